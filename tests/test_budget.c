/* SPDX-License-Identifier: ISC */
#include "core/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (1024 * 1024)

static void
levels_follow_what_is_held(void **state)
{
	static const struct {
		int64_t held;
		enum budget_level level;
	} steps[] = {
		{ 0, BUDGET_EASY }, { 59, BUDGET_EASY }, { 60, BUDGET_TIGHT },
		{ 96, BUDGET_TIGHT }, { 97, BUDGET_CLOSED },
		{ 99, BUDGET_CLOSED }, { 100, BUDGET_OVER },
		{ 150, BUDGET_OVER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct budget b;

		budget_init(&b, 100);
		budget_hold(&b, steps[i].held);
		assert_int_equal(budget_level(&b), steps[i].level);
	}
}

static void
an_asker_gets_what_it_wants_while_there_is_much(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 256 * MIB);
	assert_int_equal(budget_share(&b, MIB), MIB);
}

static void
a_thousand_askers_never_get_more_than_half(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 64 * MIB);
	for (int i = 0; i < 1000; i++)
		budget_offer(&b, budget_share(&b, MIB));
	assert_true(b.offered_bytes <= 32 * MIB);
	assert_true(b.offered_bytes > 28 * MIB);
}

static void
twenty_askers_leave_something_for_the_next(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 32 * MIB);
	for (int i = 0; i < 20; i++)
		budget_offer(&b, budget_share(&b, 4 * MIB));
	assert_true(budget_share(&b, 4 * MIB) > 256 * 1024);
}

static void
nothing_is_shared_out_when_memory_is_tight(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 100 * MIB);
	budget_hold(&b, 60 * MIB);
	assert_int_equal(budget_share(&b, MIB), 0);
	budget_hold(&b, -MIB);
	assert_int_equal(budget_share(&b, MIB), MIB);
}

/* ---- parts ---- */

static void
a_part_counts_in_the_whole_as_well(void **state)
{
	struct budget whole, part;

	(void)state;
	budget_init(&whole, 100 * MIB);
	budget_init_part(&part, 10 * MIB, &whole);
	budget_hold(&whole, MIB);
	budget_hold(&part, 3 * MIB);
	budget_offer(&part, 5 * MIB);
	assert_int_equal(part.held_bytes, 3 * MIB);
	assert_int_equal(whole.held_bytes, 4 * MIB);
	assert_int_equal(whole.offered_bytes, 5 * MIB);
	budget_offer(&part, -5 * MIB);
	budget_hold(&part, -3 * MIB);
	budget_end(&part);
	assert_int_equal(whole.held_bytes, MIB);
	assert_int_equal(whole.offered_bytes, 0);
	assert_true(list_empty(&whole.parts));
}

static void
the_level_is_the_worse_of_both(void **state)
{
	static const struct {
		int64_t whole, part;	/* of 1000 and of 100; the first is
					 * held beside the second */
		enum budget_level level;
	} rows[] = {
		{ 0, 0, BUDGET_EASY }, { 0, 59, BUDGET_EASY },
		{ 0, 60, BUDGET_TIGHT }, { 0, 97, BUDGET_CLOSED },
		{ 0, 100, BUDGET_OVER }, { 599, 0, BUDGET_EASY },
		{ 600, 0, BUDGET_TIGHT }, { 590, 10, BUDGET_TIGHT },
		{ 970, 0, BUDGET_CLOSED }, { 910, 60, BUDGET_CLOSED },
		{ 600, 98, BUDGET_CLOSED }, { 1000, 0, BUDGET_OVER },
		{ 950, 50, BUDGET_OVER }, { 600, 100, BUDGET_OVER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct budget whole, part;

		budget_init(&whole, 1000);
		budget_init_part(&part, 100, &whole);
		budget_hold(&whole, rows[i].whole);
		budget_hold(&part, rows[i].part);
		assert_int_equal(budget_level(&part), rows[i].level);
	}
}

static void
a_part_that_is_full_does_not_trouble_the_others(void **state)
{
	struct budget whole, full, other;

	(void)state;
	budget_init(&whole, 100 * MIB);
	budget_init_part(&full, MIB, &whole);
	budget_init_part(&other, 10 * MIB, &whole);
	budget_hold(&full, MIB);
	assert_int_equal(budget_level(&full), BUDGET_OVER);
	assert_int_equal(budget_share(&full, 1024), 0);
	assert_true(budget_yields(&full));
	assert_int_equal(budget_level(&other), BUDGET_EASY);
	assert_int_equal(budget_share(&other, 1024), 1024);
	assert_false(budget_yields(&other));
	assert_int_equal(budget_level(&whole), BUDGET_EASY);
}

static void
the_share_is_the_smaller_of_both(void **state)
{
	struct budget whole, part;

	(void)state;
	budget_init(&whole, 64 * MIB);
	budget_init_part(&part, 8 * MIB, &whole);
	assert_int_equal(budget_share(&part, MIB), 8 * MIB / 2 / 32);
	budget_offer(&whole, 31 * MIB);
	assert_int_equal(budget_share(&part, MIB), MIB / 32);
	budget_offer(&whole, MIB);
	assert_int_equal(budget_share(&part, MIB), 0);
}

static void
a_part_without_a_limit_has_that_of_the_whole(void **state)
{
	struct budget whole, part;

	(void)state;
	budget_init(&whole, 100 * MIB);
	budget_init_part(&part, 0, &whole);
	assert_int_equal(budget_limit(&part), 100 * MIB);
	assert_int_equal(budget_share(&part, MIB), MIB);
	budget_hold(&part, 59 * MIB);
	assert_int_equal(budget_level(&part), BUDGET_EASY);
	budget_hold(&part, 41 * MIB);
	assert_int_equal(budget_level(&part), BUDGET_OVER);
	assert_true(budget_yields(&part));
	assert_int_equal(budget_share(&part, MIB), 0);
}

static void
the_least_limit_holds(void **state)
{
	struct budget whole, small, big;

	(void)state;
	budget_init(&whole, 100);
	budget_init_part(&small, 10, &whole);
	budget_init_part(&big, 1000, &whole);
	assert_int_equal(budget_limit(&whole), 100);
	assert_int_equal(budget_limit(&small), 10);
	assert_int_equal(budget_limit(&big), 100);
}

static void
the_part_that_holds_most_yields(void **state)
{
	struct budget whole, a, b;

	(void)state;
	budget_init(&whole, 100);
	budget_init_part(&a, 0, &whole);
	budget_init_part(&b, 90, &whole);
	budget_hold(&a, 39);
	budget_hold(&b, 60);
	assert_false(budget_yields(&a));
	assert_false(budget_yields(&b));
	budget_hold(&a, 1);
	assert_false(budget_yields(&a));
	assert_true(budget_yields(&b));
	assert_true(budget_yields(&whole));
	budget_hold(&b, -20);
	budget_hold(&whole, 20);	/* held by none of the parts */
	assert_true(budget_yields(&a));
	assert_true(budget_yields(&b));
	budget_hold(&a, -40);
	budget_end(&a);
	budget_hold(&b, 50);
	assert_true(budget_yields(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_follow_what_is_held),
		cmocka_unit_test(
		    an_asker_gets_what_it_wants_while_there_is_much),
		cmocka_unit_test(
		    a_thousand_askers_never_get_more_than_half),
		cmocka_unit_test(twenty_askers_leave_something_for_the_next),
		cmocka_unit_test(nothing_is_shared_out_when_memory_is_tight),
		cmocka_unit_test(a_part_counts_in_the_whole_as_well),
		cmocka_unit_test(the_level_is_the_worse_of_both),
		cmocka_unit_test(
		    a_part_that_is_full_does_not_trouble_the_others),
		cmocka_unit_test(the_share_is_the_smaller_of_both),
		cmocka_unit_test(a_part_without_a_limit_has_that_of_the_whole),
		cmocka_unit_test(the_least_limit_holds),
		cmocka_unit_test(the_part_that_holds_most_yields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
