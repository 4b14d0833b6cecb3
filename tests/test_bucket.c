/* SPDX-License-Identifier: ISC */
#include "core/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS UINT64_C(1000)
#define SECOND (1000 * MS)
#define START (77 * SECOND)

/* How many can be taken at once. */
static unsigned int
drain(struct bucket *b, uint64_t now)
{
	unsigned int n = 0;

	while (n < 100000 && bucket_take(b, now))
		n++;
	return n;
}

static void
it_begins_with_what_a_second_allows(void **state)
{
	static const uint32_t rates[] = { 1, 2, 7, 1000, 65536 };
	struct bucket b;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		bucket_init(&b, rates[i], START);
		assert_int_equal(drain(&b, START), rates[i]);
		assert_int_equal(drain(&b, START), 0);
	}
}

static void
it_is_filled_at_its_rate(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 10, START);
	drain(&b, START);
	assert_false(bucket_take(&b, START + 99 * MS));
	assert_true(bucket_take(&b, START + 100 * MS));
	assert_false(bucket_take(&b, START + 199 * MS));
	assert_int_equal(drain(&b, START + 500 * MS), 4);
}

static void
it_never_holds_more_than_a_second_allows(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 10, START);
	assert_int_equal(drain(&b, START + 3600 * SECOND), 10);
	assert_int_equal(drain(&b, UINT64_MAX), 10);
}

/* Asked more often than there is one to give, it still gives all of them. */
static void
asking_often_takes_nothing_away(void **state)
{
	static const uint32_t rates[] = { 1, 3, 7, 30, 999 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct bucket b;
		unsigned int n = 0;

		bucket_init(&b, rates[i], START);
		drain(&b, START);
		for (uint64_t t = 0; t <= 10 * SECOND; t += 17)
			n += bucket_take(&b, START + t);
		assert_in_range(n, 10 * rates[i] - 1, 10 * rates[i]);
	}
}

static void
a_rate_of_0_is_no_limit(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 0, START);
	assert_int_equal(drain(&b, START), 100000);
}

static void
the_largest_rate_there_is_does_not_overflow(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, UINT32_MAX, START);
	assert_int_equal(drain(&b, START), 100000);
	assert_true(bucket_take(&b, START + 5 * SECOND));
}

static void
time_that_stands_still_or_goes_back_gives_nothing(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 5, START);
	drain(&b, START);
	assert_int_equal(drain(&b, START), 0);
	assert_int_equal(drain(&b, START - SECOND), 0);
	assert_int_equal(drain(&b, START + 199 * MS), 0);
	assert_int_equal(drain(&b, START + 200 * MS), 1);
}

static void
another_rate_keeps_what_there_is(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 10, START);
	for (int i = 0; i < 7; i++)
		bucket_take(&b, START);
	bucket_configure(&b, 100, START);	/* 3 are left */
	assert_int_equal(drain(&b, START), 3);
	assert_int_equal(drain(&b, START + SECOND), 100);
	bucket_configure(&b, 100, START + SECOND);
	assert_int_equal(drain(&b, START + SECOND), 0);

	bucket_configure(&b, 5, START + 2 * SECOND);	/* 100 are too many */
	assert_int_equal(drain(&b, START + 2 * SECOND), 5);
}

static void
a_limit_comes_and_goes(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 0, START);
	bucket_configure(&b, 4, START + SECOND);
	assert_int_equal(drain(&b, START + SECOND), 4);
	bucket_configure(&b, 0, START + SECOND);
	assert_int_equal(drain(&b, START + SECOND), 100000);
	bucket_configure(&b, 4, START + SECOND);
	assert_int_equal(drain(&b, START + SECOND), 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_with_what_a_second_allows),
		cmocka_unit_test(it_is_filled_at_its_rate),
		cmocka_unit_test(it_never_holds_more_than_a_second_allows),
		cmocka_unit_test(asking_often_takes_nothing_away),
		cmocka_unit_test(a_rate_of_0_is_no_limit),
		cmocka_unit_test(the_largest_rate_there_is_does_not_overflow),
		cmocka_unit_test(
		    time_that_stands_still_or_goes_back_gives_nothing),
		cmocka_unit_test(another_rate_keeps_what_there_is),
		cmocka_unit_test(a_limit_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
