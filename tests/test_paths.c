/* SPDX-License-Identifier: ISC */
#include "core/paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS UINT64_C(1000)

static struct paths paths;

static int
set_up(void **state)
{
	(void)state;
	paths_init(&paths);
	return 0;
}

static void
weigh(uint8_t path, uint8_t weight)
{
	paths_set(&paths, path, &(struct wire_path){ .weight = weight });
}

/* A subflow of each path, with these delays in milliseconds: how many of 1000
 * bursts each has.  0: that path has none. */
static void
assert_shares(const uint64_t delays[3], int one, int two, int three)
{
	struct paths_subflow f[3];
	int got[3] = { 0 };

	for (uint8_t i = 0; i < 3; i++)
		f[i] = (struct paths_subflow){ .subflow = i, .path = i,
			.delay_us = delays[i] * MS };
	for (int i = 0; i < 1000; i++) {
		int chosen = paths_choose(&paths, f, 3, -1, 0);

		assert_in_range(chosen, 0, 2);
		got[chosen]++;
	}
	assert_int_equal(got[0], one);
	assert_int_equal(got[1], two);
	assert_int_equal(got[2], three);
}

static void
none_is_chosen_of_none(void **state)
{
	(void)state;
	assert_int_equal(paths_choose(&paths, NULL, 0, -1, 0), -1);
}

static void
burst_goes_where_it_arrives_first(void **state)
{
	(void)state;
	assert_shares((const uint64_t[]){ 300, 25, 900 }, 0, 1000, 0);
	weigh(1, 1);
	assert_shares((const uint64_t[]){ 300, 25, 900 }, 0, 1000, 0);
	assert_shares((const uint64_t[]){ 0, 0, 900 }, 0, 0, 1000);
}

/* Which of a path of 20 Mbit/s and one of 1 Mbit/s has most of 100 bursts? */
static int
rather(uint64_t burst_bytes, uint64_t fast_us, uint64_t slow_us,
    bool configured)
{
	const uint64_t rates[] = { 2500000, 125000 };
	struct paths_subflow f[] = {
		{ .subflow = 0, .path = 0, .delay_us = fast_us },
		{ .subflow = 1, .path = 1, .delay_us = slow_us },
	};
	int got[2] = { 0 };

	paths_init(&paths);
	for (int i = 0; i < 2; i++)
		/* What was measured counts only where nothing else is known. */
		if (configured) {
			paths.rate_bytes_s[i] = rates[i];
			f[i].rate_bytes_s = rates[!i];
		} else {
			f[i].rate_bytes_s = rates[i];
		}
	for (int i = 0; i < 100; i++)
		got[paths_choose(&paths, f, 2, -1, burst_bytes)]++;
	assert_true(got[0] == 0 || got[1] == 0 || got[0] == got[1]);
	return got[0] == got[1] ? 2 : got[1] > got[0];
}

static void
last_byte_of_a_burst_counts(void **state)
{
	(void)state;
	for (int configured = 0; configured < 2; configured++) {
		/* 40 ms and 800 ms for 100 kB. */
		assert_int_equal(rather(100000, 300 * MS, 300 * MS,
		    configured), 0);
		assert_int_equal(rather(100000, 900 * MS, 30 * MS,
		    configured), 2);
		assert_int_equal(rather(100000, 600 * MS, 30 * MS,
		    configured), 0);
		/* 0.4 ms and 8 ms for 1 kB. */
		assert_int_equal(rather(1000, 300 * MS, 300 * MS,
		    configured), 2);
		assert_int_equal(rather(1000, 300 * MS, 30 * MS,
		    configured), 1);
		/* The longest burst that there can be. */
		assert_int_equal(rather(UINT32_MAX, 300 * MS, 30 * MS,
		    configured), 0);
	}
}

static void
burst_takes_no_time_where_no_rate_is_known(void **state)
{
	const struct paths_subflow f[] = {
		{ .subflow = 0, .path = 0, .delay_us = 100 * MS },
		{ .subflow = 1, .path = 1, .delay_us = 40 * MS,
		    .rate_bytes_s = 1000000 },
	};

	(void)state;
	assert_int_equal(paths_choose(&paths, f, 2, -1, 1000), 1);
	assert_int_equal(paths_choose(&paths, f, 2, -1, 100000), 0);
}

static void
paths_that_are_about_as_good_share_by_weight(void **state)
{
	(void)state;
	assert_shares((const uint64_t[]){ 100, 124, 160 }, 500, 500, 0);
	weigh(1, 25);
	assert_shares((const uint64_t[]){ 124, 100, 100 }, 445, 111, 444);
	assert_shares((const uint64_t[]){ 0, 0, 0 }, 444, 111, 445);
	assert_shares((const uint64_t[]){ 1, 2, 3 }, 445, 111, 444);
}

/* Nobody waits for a share of what was before. */
static void
shares_are_even_at_any_time(void **state)
{
	const struct paths_subflow f[] = {
		{ .subflow = 4, .path = 9 }, { .subflow = 5, .path = 200 },
	};
	int got = 0;

	(void)state;
	weigh(9, 80);
	weigh(200, 20);
	for (int i = 0; i < 1000; i++)	/* the other one is away */
		assert_int_equal(paths_choose(&paths, f, 1, -1, 0), 4);
	for (int i = 0; i < 10; i++)
		got += paths_choose(&paths, f, 2, -1, 0) == 5;
	assert_int_equal(got, 2);
}

static void
path_without_weight_is_chosen_only_alone(void **state)
{
	(void)state;
	weigh(0, 0);
	assert_shares((const uint64_t[]){ 10, 500, 20 }, 0, 0, 1000);
	assert_shares((const uint64_t[]){ 10, 500, 500 }, 0, 500, 500);
	weigh(1, 0);
	weigh(2, 0);
	assert_shares((const uint64_t[]){ 10, 500, 20 }, 1000, 0, 0);
	assert_shares((const uint64_t[]){ 100, 500, 100 }, 500, 0, 500);
	assert_int_equal(paths_choose(&paths,
	    &(struct paths_subflow){ .subflow = 3, .path = 1 }, 1, -1, 0), 3);
}

static void
subflow_of_a_path_is_the_quietest_that_is_as_good(void **state)
{
	struct paths_subflow f[] = {
		{ .subflow = 1, .delay_us = 190 * MS, .carried_bytes = 5 },
		{ .subflow = 2, .delay_us = 80 * MS, .carried_bytes = 7 },
		{ .subflow = 3, .delay_us = 90 * MS, .carried_bytes = 6 },
	};

	(void)state;
	assert_int_equal(paths_choose(&paths, f, 3, -1, 0), 3);
	f[2].delay_us = f[1].delay_us = 0;	/* not known */
	assert_int_equal(paths_choose(&paths, f, 3, -1, 0), 1);
	f[0].delay_us = 0;
	assert_int_equal(paths_choose(&paths, f, 3, -1, 0), 1);
	f[0].carried_bytes = 8;
	assert_int_equal(paths_choose(&paths, f, 3, -1, 0), 3);
}

static void
second_copy_goes_on_another_path_that_is_as_good(void **state)
{
	struct paths_subflow f[] = {
		{ .subflow = 1, .path = 4, .delay_us = 100 * MS },
		{ .subflow = 2, .path = 5, .delay_us = 110 * MS },
	};

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(paths_choose(&paths, f, 2, 4, 0), 2);
		assert_int_equal(paths_choose(&paths, f, 2, 5, 0), 1);
	}
	assert_int_equal(paths_choose(&paths, f, 1, 4, 0), 1);
	f[1].delay_us = 900 * MS;
	assert_int_equal(paths_choose(&paths, f, 2, 4, 0), 1);
}

static void
only_what_changes_something_is_said(void **state)
{
	struct wire_path path = { .weight = 100 };

	(void)state;
	assert_false(paths_set(&paths, 7, &path));
	assert_false(paths.said[7]);
	path.backup = true;
	assert_true(paths_set(&paths, 7, &path));
	assert_false(paths_set(&paths, 7, &path));
	path = (struct wire_path){ .weight = 100 };
	assert_true(paths_set(&paths, 7, &path));
	assert_true(paths.said[7]);
}

static void
news_of_a_path_are_given_once(void **state)
{
	struct wire_path path = { .weight = 100, .receive_kbit = 20000 };

	(void)state;
	assert_int_equal(paths_news(&paths), -1);
	assert_true(paths_set(&paths, 255, &path));
	assert_false(paths_set(&paths, 255, &path));
	path.receive_kbit = 0;
	assert_true(paths_set(&paths, 255, &path));
	path.backup = true;
	assert_true(paths_set(&paths, 3, &path));
	assert_int_equal(paths_news(&paths), 3);
	assert_int_equal(paths_news(&paths), 255);
	assert_int_equal(paths_news(&paths), -1);
}

#define T(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(none_is_chosen_of_none),
		T(burst_goes_where_it_arrives_first),
		T(last_byte_of_a_burst_counts),
		T(burst_takes_no_time_where_no_rate_is_known),
		T(paths_that_are_about_as_good_share_by_weight),
		T(shares_are_even_at_any_time),
		T(path_without_weight_is_chosen_only_alone),
		T(subflow_of_a_path_is_the_quietest_that_is_as_good),
		T(second_copy_goes_on_another_path_that_is_as_good),
		T(only_what_changes_something_is_said),
		T(news_of_a_path_are_given_once),
	};

	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
