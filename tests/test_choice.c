/* SPDX-License-Identifier: ISC */
#include "core/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define IPV4 1u
#define IPV6 2u
#define BOTH (IPV4 | IPV6)

static struct choice choice;
static uint64_t now;

/* Three relays, all up for the first time. */
static int
setup(void **state)
{
	(void)state;
	now = 1000 * SECOND;
	choice_init(&choice, 3);
	for (size_t i = 0; i < 3; i++) {
		choice.relays[i].families = BOTH;
		choice_tell(&choice, i, true, now);
	}
	return 0;
}

static int
pick(void)
{
	return choice_pick(&choice, IPV4, 0, now);
}

static void
tell(size_t relay, bool up)
{
	choice_tell(&choice, relay, up, now);
}

/* It is lost for a second, after which it comes back. */
static void
comes_back(size_t relay)
{
	tell(relay, false);
	now += SECOND;
	tell(relay, true);
}

/* How long others are preferred from now on, to the tenth of a second. */
static uint64_t
preferred(int other, int relay)
{
	uint64_t since = now;

	while (pick() == other)
		now += SECOND / 10;
	assert_int_equal(pick(), relay);
	return now - since;
}

static void
expect_counts(unsigned picks, unsigned a, unsigned b, unsigned c)
{
	unsigned counts[3] = { 0 };

	while (picks-- > 0)
		counts[pick()]++;
	assert_int_equal(counts[0], a);
	assert_int_equal(counts[1], b);
	assert_int_equal(counts[2], c);
}

static void
in_order_the_first_takes_all(void **state)
{
	(void)state;
	expect_counts(10, 10, 0, 0);
	choice.relays[0].weight = 0;
	expect_counts(10, 10, 0, 0);
}

static void
when_the_first_is_lost_the_next_takes_all(void **state)
{
	(void)state;
	tell(0, false);
	expect_counts(10, 0, 10, 0);
	tell(1, false);
	expect_counts(10, 0, 0, 10);
}

static void
one_that_is_full_is_taken_when_there_is_no_other(void **state)
{
	(void)state;
	choice.relays[0].full = true;
	expect_counts(10, 0, 10, 0);
	choice.relays[1].full = true;
	comes_back(2);
	expect_counts(10, 0, 0, 10);
	choice.relays[2].full = true;
	now += CHOICE_ASIDE_MIN_US;
	expect_counts(10, 10, 0, 0);
	choice.relays[1].full = false;
	choice.relays[1].families = IPV6;
	expect_counts(10, 10, 0, 0);
}

static void
those_that_were_tried_are_left_out(void **state)
{
	(void)state;
	assert_int_equal(choice_pick(&choice, IPV4, 1, now), 1);
	assert_int_equal(choice_pick(&choice, IPV4, 3, now), 2);
	assert_int_equal(choice_pick(&choice, IPV4, 5, now), 1);
	assert_int_equal(choice_pick(&choice, IPV4, 7, now), -1);
}

static void
by_weight_each_has_its_share_evenly(void **state)
{
	static const int turns[] = { 0, 0, 1, 0, 2, 0, 0 };

	(void)state;
	choice.by_weight = true;
	choice.relays[0].weight = 5;
	for (size_t i = 0; i < 3 * 7; i++)
		assert_int_equal(pick(), turns[i % 7]);
}

static void
who_only_looks_takes_no_turn(void **state)
{
	(void)state;
	choice.by_weight = true;
	for (int i = 0; i < 6; i++) {
		int next = choice_look(&choice, IPV4, 0, now);

		for (int j = 0; j < 5; j++)
			assert_int_equal(choice_look(&choice, IPV4, 0, now),
			    next);
		assert_int_equal(pick(), next);
	}
	expect_counts(3, 1, 1, 1);
}

static void
the_share_of_a_lost_one_is_divided_among_the_others(void **state)
{
	(void)state;
	choice.by_weight = true;
	choice.relays[0].weight = 6;
	choice.relays[1].weight = 3;
	expect_counts(100, 60, 30, 10);
	tell(0, false);
	expect_counts(100, 0, 75, 25);
}

static void
one_that_is_back_makes_up_for_nothing(void **state)
{
	(void)state;
	choice.by_weight = true;
	expect_counts(3, 1, 1, 1);
	comes_back(2);
	expect_counts(100, 50, 50, 0);
	now += CHOICE_ASIDE_MIN_US;
	expect_counts(99, 33, 33, 33);
}

static void
one_without_weight_is_for_need(void **state)
{
	(void)state;
	choice.by_weight = true;
	choice.relays[0].weight = choice.relays[1].weight = 0;
	expect_counts(10, 0, 0, 10);
	tell(2, false);
	expect_counts(10, 5, 5, 0);
}

static void
the_first_time_one_is_believed_at_once(void **state)
{
	(void)state;
	choice_init(&choice, 3);
	tell(2, true);
	assert_int_equal(pick(), 2);
	now += SECOND;
	tell(0, true);
	assert_int_equal(pick(), 0);
}

static void
one_that_comes_and_goes_is_set_aside_for_longer_each_time(void **state)
{
	static const uint64_t seconds[] = { 5, 10, 20, 40, 80, 160, 300, 300 };

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		comes_back(0);
		assert_int_equal(choice_aside_us(&choice, 0, now),
		    seconds[i] * SECOND);
		assert_int_equal(preferred(1, 0), seconds[i] * SECOND);
		assert_int_equal(choice_aside_us(&choice, 0, now), 0);
	}
}

static void
one_that_stayed_is_believed_soon_again(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		comes_back(0);
	now += 40 * SECOND + CHOICE_CALM_US - 1;
	comes_back(0);
	assert_int_equal(preferred(1, 0), 80 * SECOND);
	now += CHOICE_CALM_US;
	comes_back(0);
	assert_int_equal(preferred(1, 0), 5 * SECOND);
}

static void
one_that_was_away_for_long_has_to_stay_as_well(void **state)
{
	(void)state;
	tell(0, false);
	now += 86400 * SECOND;
	tell(0, true);
	assert_int_equal(preferred(1, 0), 5 * SECOND);
}

/* Whatever the pace: in an hour, new sessions change sides a few times only,
 * since after six returns one is set aside for longer than it stays. */
static void
nothing_flaps(void **state)
{
	(void)state;
	for (uint64_t up = 1; up <= 256; up *= 2)
		for (uint64_t down = 1; down <= 64; down *= 4) {
			uint64_t end;
			int changes = 0, last;

			setup(NULL);
			end = now + 3600 * SECOND;
			last = pick();
			for (uint64_t t = 0; now < end; now += SECOND, t++) {
				tell(0, t % (up + down) < up);
				changes += pick() != last;
				last = pick();
			}
			assert_in_range(changes, 1, 13);
		}
}

static void
one_that_is_set_aside_is_better_than_none(void **state)
{
	(void)state;
	tell(1, false);
	tell(2, false);
	comes_back(0);
	assert_true(choice_aside_us(&choice, 0, now) > 0);
	assert_int_equal(pick(), 0);
}

static void
a_session_goes_where_its_family_is_reached(void **state)
{
	(void)state;
	choice.relays[0].families = IPV4;
	choice.relays[2].families = IPV6;
	assert_int_equal(choice_pick(&choice, IPV6, 0, now), 1);
	comes_back(1);		/* set aside, still */
	assert_int_equal(choice_pick(&choice, IPV6, 0, now), 2);
	tell(2, false);
	assert_int_equal(choice_pick(&choice, IPV6, 0, now), 1);
	tell(1, false);
	/* It may know more than it says. */
	assert_int_equal(choice_pick(&choice, IPV6, 0, now), 0);
	assert_int_equal(choice_pick(&choice, IPV4, 0, now), 0);
}

static void
with_none_up_it_waits_where_one_was_last(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		now += SECOND;
		tell((size_t)(i + 1) % 3, false);
	}
	for (int i = 0; i < 2; i++) {
		choice.by_weight = i;
		expect_counts(5, 5, 0, 0);
		assert_int_equal(choice_pick(&choice, IPV4, 1, now), 2);
		assert_int_equal(choice_pick(&choice, IPV4, 5, now), 1);
	}
}

static void
with_none_ever_up_it_waits_at_the_first(void **state)
{
	(void)state;
	choice_init(&choice, 3);
	assert_int_equal(pick(), 0);
	assert_int_equal(choice_aside_us(&choice, 0, now), 0);
}

/* The second is removed, a new one is between the others. */
static void
those_that_stay_keep_what_is_known_of_them(void **state)
{
	static const int was[] = { 2, -1, 0 };

	(void)state;
	tell(0, false);
	tell(0, true);
	assert_true(choice_aside_us(&choice, 0, now) > 0);
	choice.relays[2].weight = 7;
	choice_arrange(&choice, was, 3);
	assert_int_equal(choice.relays[0].weight, 7);
	assert_int_equal(choice_aside_us(&choice, 0, now), 0);
	assert_true(choice_aside_us(&choice, 2, now) > 0);
	assert_int_equal(choice.relays[1].weight, 1);
	choice.relays[1].families = BOTH;
	assert_int_equal(choice_pick(&choice, IPV4, 1, now), 2);
	choice_tell(&choice, 1, true, now);
	assert_int_equal(choice_pick(&choice, IPV4, 1, now), 1);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_order_the_first_takes_all),
		TEST(when_the_first_is_lost_the_next_takes_all),
		TEST(one_that_is_full_is_taken_when_there_is_no_other),
		TEST(those_that_were_tried_are_left_out),
		TEST(by_weight_each_has_its_share_evenly),
		TEST(who_only_looks_takes_no_turn),
		TEST(the_share_of_a_lost_one_is_divided_among_the_others),
		TEST(one_that_is_back_makes_up_for_nothing),
		TEST(one_without_weight_is_for_need),
		TEST(the_first_time_one_is_believed_at_once),
		TEST(one_that_comes_and_goes_is_set_aside_for_longer_each_time),
		TEST(one_that_stayed_is_believed_soon_again),
		TEST(one_that_was_away_for_long_has_to_stay_as_well),
		TEST(nothing_flaps),
		TEST(one_that_is_set_aside_is_better_than_none),
		TEST(a_session_goes_where_its_family_is_reached),
		TEST(with_none_up_it_waits_where_one_was_last),
		TEST(with_none_ever_up_it_waits_at_the_first),
		TEST(those_that_stay_keep_what_is_known_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
