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
		{ 89, BUDGET_TIGHT }, { 90, BUDGET_CLOSED },
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
