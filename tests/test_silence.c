/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/silence.h"

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)

static struct silence silence;
static struct silence_facts facts;
static uint64_t now;

static int
setup(void **state)
{
	(void)state;
	now = 1000 * SECOND;
	silence = (struct silence){ 0 };
	facts = (struct silence_facts){ .heard_us = now };
	return 0;
}

static void
hear(void)
{
	facts.heard_us = now;
	silence_heard(&silence);
}

/* The time until the next thing that is to be done, and what that is. */
static uint64_t
next(enum silence_step *step)
{
	uint64_t begin = now;

	do {
		uint64_t due = silence_due(&silence, &facts);
		bool was_silent = silence.silent;

		assert_true(due > now);		/* or the caller would spin */
		now = due;
		*step = silence_look(&silence, &facts, now);
		if (silence.silent && !was_silent)
			break;
	} while (*step == SILENCE_NOTHING);
	return now - begin;
}

static void
expect_next(enum silence_step step, uint64_t after)
{
	enum silence_step got;

	assert_int_equal(next(&got), after);
	assert_int_equal(got, step);
}

static void
one_that_is_idle_is_asked_each_fifteen_seconds(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		expect_next(SILENCE_ASK, 15 * SECOND);
		now += 600 * MS;
		hear();
		assert_false(silence.silent);
	}
}

static void
one_that_owes_something_is_asked_soon(void **state)
{
	(void)state;
	facts.expects = true;
	expect_next(SILENCE_ASK, 1500 * MS);
	expect_next(SILENCE_NOTHING, 3 * SECOND);
	assert_true(silence.silent);
	now++;
	facts.heard_us = now;
	assert_true(silence_heard(&silence));
	assert_false(silence.silent);
	assert_false(silence_heard(&silence));
}

static void
patience_is_four_round_trips(void **state)
{
	(void)state;
	facts.expects = true;
	facts.rtt_us = 2 * SECOND;
	expect_next(SILENCE_ASK, 4 * SECOND);
	expect_next(SILENCE_NOTHING, 8 * SECOND);
	assert_true(silence.silent);
}

static void
one_that_stays_silent_is_dead_thirty_seconds_after_the_question(void **state)
{
	(void)state;
	expect_next(SILENCE_ASK, 15 * SECOND);
	expect_next(SILENCE_NOTHING, 3 * SECOND);
	expect_next(SILENCE_ASK, 12 * SECOND);
	expect_next(SILENCE_DEAD, 15 * SECOND);
}

static void
the_others_are_asked_when_one_has_no_answer(void **state)
{
	(void)state;
	now += SECOND;
	facts.beside_us = now;
	expect_next(SILENCE_ASK, 1500 * MS);
	/* One that was heard since is not. */
	hear();
	expect_next(SILENCE_ASK, 15 * SECOND);
}

static void
a_question_that_waits_behind_what_moves_is_no_silence(void **state)
{
	(void)state;
	facts.expects = true;
	expect_next(SILENCE_ASK, 1500 * MS);
	for (int i = 0; i < 120; i++) {		/* longer than to be dead */
		now += SECOND / 2;
		facts.moved_us = now;
		assert_int_not_equal(silence_look(&silence, &facts, now),
		    SILENCE_DEAD);
		assert_false(silence.silent);
	}
	expect_next(SILENCE_NOTHING, 3 * SECOND);
	assert_true(silence.silent);
}

static void
an_acknowledgement_alone_is_no_answer(void **state)
{
	enum silence_step step;

	(void)state;
	expect_next(SILENCE_ASK, 15 * SECOND);
	facts.moved_us = now + 600 * MS;	/* the question itself */
	expect_next(SILENCE_NOTHING, 3600 * MS);
	assert_true(silence.silent);
	do {
		next(&step);
		facts.moved_us = now + 600 * MS;	/* and the next */
		assert_true(silence.silent);
	} while (step == SILENCE_ASK);
	assert_int_equal(step, SILENCE_DEAD);
}

static void
another_question_counts_too(void **state)
{
	(void)state;
	now += 5 * SECOND;
	silence_asked(&silence, now);
	expect_next(SILENCE_NOTHING, 3 * SECOND);
	assert_true(silence.silent);
}

static void
who_was_away_himself_does_not_judge(void **state)
{
	(void)state;
	silence_asked(&silence, now);
	now += 60 * SECOND;
	silence_pardon(&silence, now);
	assert_int_equal(silence_look(&silence, &facts, now), SILENCE_NOTHING);
	assert_false(silence.silent);
	expect_next(SILENCE_NOTHING, 3 * SECOND);
	assert_true(silence.silent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, setup)
		TEST(one_that_is_idle_is_asked_each_fifteen_seconds),
		TEST(one_that_owes_something_is_asked_soon),
		TEST(patience_is_four_round_trips),
		TEST(one_that_stays_silent_is_dead_thirty_seconds_after_the_question),
		TEST(the_others_are_asked_when_one_has_no_answer),
		TEST(a_question_that_waits_behind_what_moves_is_no_silence),
		TEST(an_acknowledgement_alone_is_no_answer),
		TEST(another_question_counts_too),
		TEST(who_was_away_himself_does_not_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
