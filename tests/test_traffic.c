/* SPDX-License-Identifier: ISC */
#include "core/traffic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)

static void
bytes_count_at_all_parents(void **state)
{
	struct traffic all = { .parent = NULL }, one = { .parent = &all },
	    other = { .parent = &all };

	(void)state;
	traffic_from(&one, 3);
	traffic_to(&one, 5);
	traffic_from(&other, 7);
	traffic_to(NULL, 11);
	assert_int_equal(one.from_bytes, 3);
	assert_int_equal(one.to_bytes, 5);
	assert_int_equal(other.to_bytes, 0);
	assert_int_equal(all.from_bytes, 10);
	assert_int_equal(all.to_bytes, 5);
}

static void
rate_is_that_of_the_last_ten_seconds(void **state)
{
	struct traffic_rate rate = { .count = 0 };
	struct traffic t = { .parent = NULL };
	uint64_t from, to;

	(void)state;
	traffic_rates(&rate, &from, &to);
	assert_int_equal(from, 0);
	traffic_sample(&rate, &t, SECOND);
	traffic_rates(&rate, &from, &to);
	assert_int_equal(from, 0);
	traffic_from(&t, 1000);
	traffic_sample(&rate, &t, 2 * SECOND);
	traffic_rates(&rate, &from, &to);
	assert_int_equal(from, 8000);
	assert_int_equal(to, 0);
	for (int i = 0; i < 10; i++) {
		traffic_to(&t, 500);
		traffic_sample(&rate, &t, (uint64_t)(3 + i) * SECOND);
	}
	traffic_rates(&rate, &from, &to);
	assert_int_equal(from, 0);
	assert_int_equal(to, 4000);
}

static void
samples_of_one_moment_have_no_rate(void **state)
{
	struct traffic_rate rate = { .count = 0 };
	struct traffic t = { .parent = NULL };
	uint64_t from, to;

	(void)state;
	traffic_sample(&rate, &t, SECOND);
	traffic_from(&t, 1000);
	traffic_sample(&rate, &t, SECOND);
	traffic_rates(&rate, &from, &to);
	assert_int_equal(from, 0);
	assert_int_equal(to, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_count_at_all_parents),
		cmocka_unit_test(rate_is_that_of_the_last_ten_seconds),
		cmocka_unit_test(samples_of_one_moment_have_no_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
