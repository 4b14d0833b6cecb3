/* SPDX-License-Identifier: ISC */
#include "nft/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define OURS UINT32_C(0x10000000)
#define MAX 8

static struct policy list[MAX];
static struct policy_search s;

static int
begin(void **state)
{
	(void)state;
	s = (struct policy_search){ .list = list, .interface = "lan",
		.mark = OURS, .table = 2025, .priority = 100 };
	return 0;
}

static void
put(const struct policy *p)
{
	assert_true(s.n < MAX);
	list[s.n++] = *p;
}

static void
put_local(void)
{
	put(&(struct policy){ .table = 255 });
}

static void
put_ours(void)
{
	put(&(struct policy){ .interface = "lan", .mark = OURS, .mask = OURS,
		.table = 2025, .priority = 100, .diverts = true,
		.ours = true });
}

static void
put_theirs(uint32_t priority)
{
	put(&(struct policy){ .table = 77, .priority = priority,
		.diverts = true });
}

static void
only_what_comes_before_ours_is_in_the_way(void **state)
{
	(void)state;
	put_local();
	put_ours();
	put_theirs(101);
	assert_null(policy_before(&s));
	s.n = 0;
	put_local();
	put_theirs(50);
	put_ours();
	assert_ptr_equal(policy_before(&s), &list[1]);
}

static void
of_equal_priorities_the_older_wins(void **state)
{
	const struct policy same = { .interface = "lan", .mark = OURS,
		.mask = OURS, .table = 77, .priority = 100, .diverts = true };

	(void)state;
	put_ours();
	put(&same);
	assert_null(policy_before(&s));
	s.n = 0;
	put(&same);
	put_ours();
	assert_ptr_equal(policy_before(&s), &list[0]);
	/* Ours will come after what has its priority. */
	s.n = 1;
	assert_ptr_equal(policy_before(&s), &list[0]);
	s.priority = 99;
	assert_null(policy_before(&s));
}

static void
what_is_for_others_is_not_in_the_way(void **state)
{
	(void)state;
	put(&(struct policy){ .interface = "wan", .table = 77,
		.diverts = true });
	put(&(struct policy){ .mark = 1, .mask = 1, .table = 77,
		.diverts = true });
	put(&(struct policy){ .table = 77, .diverts = false });
	put(&(struct policy){ .table = 2025, .diverts = true });
	/* An old one of ours, about to go. */
	put(&(struct policy){ .mark = OURS, .mask = OURS, .table = 2024,
		.diverts = true, .ours = true });
	put_ours();
	assert_null(policy_before(&s));
	s.interface = "wan";
	assert_ptr_equal(policy_before(&s), &list[0]);
}

static void
interfaces_may_be_a_pattern(void **state)
{
	(void)state;
	s.interface = "la*";
	put(&(struct policy){ .interface = "lan", .table = 77,
		.diverts = true });
	put_ours();
	assert_ptr_equal(policy_before(&s), &list[0]);
	s.interface = "wla*";
	s.priority = 0;
	assert_null(policy_before(&s));
}

static void
an_operators_rule_will_do_where_none_is_ours(void **state)
{
	(void)state;
	s.table = 0;
	put_theirs(50);
	put(&(struct policy){ .mark = OURS, .mask = OURS, .table = 300,
		.priority = 60, .diverts = true });
	assert_ptr_equal(policy_of(&s), &list[1]);
	assert_ptr_equal(policy_before(&s), &list[0]);
	s.list = list + 1;
	s.n = 1;
	assert_null(policy_before(&s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    only_what_comes_before_ours_is_in_the_way, begin),
		cmocka_unit_test_setup(of_equal_priorities_the_older_wins,
		    begin),
		cmocka_unit_test_setup(what_is_for_others_is_not_in_the_way,
		    begin),
		cmocka_unit_test_setup(interfaces_may_be_a_pattern, begin),
		cmocka_unit_test_setup(
		    an_operators_rule_will_do_where_none_is_ours, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
