/* SPDX-License-Identifier: ISC */
#include "core/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define N 4

struct fixture {
	struct sched q;
	struct sched_entry e[N];
};

static struct fixture f;

static int
set_up(void **state)
{
	(void)state;
	sched_init(&f.q);
	for (int i = 0; i < N; i++)
		sched_entry_init(&f.e[i]);
	return 0;
}

/* The next entry sends `bytes`; which one was it? */
static int
send_next(uint32_t bytes)
{
	struct sched_entry *e = sched_pick(&f.q);

	if (e == NULL)
		return -1;
	sched_charge(e, bytes);
	return (int)(e - f.e);
}

static void
nobody_awake_means_nobody_picked(void **state)
{
	(void)state;
	assert_null(sched_pick(&f.q));
	sched_wake(&f.q, &f.e[0], SCHED_NEW);
	sched_sleep(&f.e[0]);
	assert_false(sched_awake(&f.q));
	assert_null(sched_pick(&f.q));
}

static void
the_backlogged_share_equally(void **state)
{
	uint32_t sent[N] = { 0 };

	(void)state;
	for (int i = 0; i < N; i++)
		sched_wake(&f.q, &f.e[i], SCHED_NEW);
	for (int n = 0; n < 4000; n++) {
		uint32_t size = n % 3 == 0 ? 16000 : 1500;

		sent[send_next(size)] += size;
	}
	for (int i = 1; i < N; i++)
		assert_in_range(sent[i], sent[0] - 4 * SCHED_QUANTUM,
		    sent[0] + 4 * SCHED_QUANTUM);
}

static void
a_new_one_goes_ahead_of_the_backlogged(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		sched_wake(&f.q, &f.e[i], SCHED_NEW);
	for (int n = 0; n < 12; n++)
		send_next(16384);
	sched_wake(&f.q, &f.e[3], SCHED_NEW);
	assert_int_equal(send_next(100), 3);
	assert_int_equal(send_next(100), 3);
	assert_int_equal(send_next(SCHED_QUANTUM), 3);
	assert_int_not_equal(send_next(100), 3); /* its quantum is used */
}

static void
waking_often_is_no_way_to_be_always_new(void **state)
{
	int others = 0;

	(void)state;
	sched_wake(&f.q, &f.e[0], SCHED_NEW);
	for (int n = 0; n < 3; n++)
		send_next(16384);
	for (int n = 0; n < 100; n++) {
		sched_wake(&f.q, &f.e[1], SCHED_NEW);
		if (send_next(16384) == 0)
			others++;
		sched_sleep(&f.e[1]);
	}
	assert_in_range(others, 40, 60);
}

static void
small_writes_go_ahead_each_time(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		sched_wake(&f.q, &f.e[i], SCHED_NEW);
	for (int n = 0; n < 12; n++)
		send_next(16384);
	for (int n = 0; n < 100; n++) {
		sched_wake(&f.q, &f.e[3], SCHED_NEW);
		assert_int_equal(send_next(100), 3);
		sched_sleep(&f.e[3]);
		assert_int_not_equal(send_next(16384), 3);
	}
}

static void
what_is_sent_again_goes_before_all(void **state)
{
	(void)state;
	sched_wake(&f.q, &f.e[0], SCHED_NEW);
	sched_wake(&f.q, &f.e[1], SCHED_NEW);
	sched_wake(&f.q, &f.e[1], SCHED_AGAIN);
	assert_int_equal(send_next(100), 1);
}

/* `n` that are backlogged, all of which have used a quantum. */
static void
backlog(int n)
{
	for (int i = 0; i < n; i++)
		sched_wake(&f.q, &f.e[i], SCHED_NEW);
	for (int i = 0; i < 4 * n; i++)
		send_next(16384);
}

static void
what_is_lost_goes_before_all_and_no_more_than_that(void **state)
{
	(void)state;
	backlog(2);
	sched_wake(&f.q, &f.e[2], SCHED_NEW);
	sched_wake(&f.q, &f.e[0], SCHED_AGAIN);
	for (int n = 0; n < 10; n++)
		assert_int_equal(send_next(4096), 0);
	sched_wake(&f.q, &f.e[0], SCHED_NEW);	/* that was all */
	assert_int_equal(send_next(100), 2);
}

static void
the_lost_take_turns_and_small_ones_are_first(void **state)
{
	(void)state;
	backlog(2);
	sched_wake(&f.q, &f.e[0], SCHED_AGAIN);
	sched_wake(&f.q, &f.e[1], SCHED_AGAIN);
	assert_int_equal(send_next(4096), 0);
	sched_wake(&f.q, &f.e[0], SCHED_AGAIN);
	assert_int_equal(send_next(4096), 1);
	sched_wake(&f.q, &f.e[2], SCHED_AGAIN_FIRST);
	assert_int_equal(send_next(28), 2);
	assert_int_equal(send_next(4096), 0);
}

static void
a_queue_that_is_left_does_not_make_anybody_new(void **state)
{
	struct sched other;

	(void)state;
	sched_init(&other);
	backlog(3);
	sched_wake(&f.q, &f.e[3], SCHED_NEW);
	for (int i = 0; i < N; i++) {
		sched_move(&f.e[i]);
		sched_wake(&other, &f.e[i], SCHED_NEW);
	}
	assert_false(sched_awake(&f.q));
	assert_ptr_equal(sched_pick(&other), &f.e[3]);
	sched_charge(&f.e[3], 100);
	assert_ptr_equal(sched_pick(&other), &f.e[3]);

	/* One that had nothing to send is, when it has. */
	sched_sleep(&f.e[0]);
	sched_move(&f.e[0]);
	sched_remove(&f.e[3]);
	sched_wake(&other, &f.e[0], SCHED_NEW);
	assert_ptr_equal(sched_pick(&other), &f.e[0]);
}

static void
what_begins_does_not_wait_for_others_whole_quanta(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		sched_wake(&f.q, &f.e[i], SCHED_NEW);
	for (int i = 0; i < 2; i++)
		assert_int_equal(send_next(4096), i);
	sched_wake(&f.q, &f.e[3], SCHED_NEW);
	assert_int_equal(send_next(4096), 2);
	assert_int_equal(send_next(100), 3);
	for (int i = 0; i < 4; i++)		/* then as they came */
		assert_int_equal(send_next(4096), 0);
	assert_int_equal(send_next(4096), 1);
}

static void
others_are_those_awake_but_oneself(void **state)
{
	(void)state;
	sched_wake(&f.q, &f.e[0], SCHED_NEW);
	assert_false(sched_others(&f.q, &f.e[0]));
	assert_true(sched_others(&f.q, &f.e[1]));
	sched_wake(&f.q, &f.e[1], SCHED_NEW);
	assert_true(sched_others(&f.q, &f.e[0]));
	sched_remove(&f.e[1]);
	assert_false(sched_others(&f.q, &f.e[0]));
	sched_remove(&f.e[0]);
	assert_false(sched_awake(&f.q));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		T(nobody_awake_means_nobody_picked),
		T(the_backlogged_share_equally),
		T(a_new_one_goes_ahead_of_the_backlogged),
		T(waking_often_is_no_way_to_be_always_new),
		T(small_writes_go_ahead_each_time),
		T(what_is_sent_again_goes_before_all),
		T(what_is_lost_goes_before_all_and_no_more_than_that),
		T(the_lost_take_turns_and_small_ones_are_first),
		T(a_queue_that_is_left_does_not_make_anybody_new),
		T(what_begins_does_not_wait_for_others_whole_quanta),
		T(others_are_those_awake_but_oneself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
