/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/tally.h"

static struct addr
address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static void
ports_do_not_count(void **state)
{
	struct tally *t = tally_new(128, 1);
	struct addr a = address("192.0.2.1:1"), b = address("192.0.2.1:2");

	(void)state;
	assert_non_null(t);
	assert_int_equal(tally_count(t, &a), 0);
	assert_int_equal(tally_add(t, &a), 0);
	assert_int_equal(tally_add(t, &b), 0);
	assert_int_equal(tally_count(t, &a), 2);
	tally_remove(t, &a);
	assert_int_equal(tally_count(t, &b), 1);
	tally_remove(t, &b);
	assert_int_equal(tally_count(t, &b), 0);
	assert_int_equal(tally_total(t), 0);
	tally_free(t);
}

static void
an_ipv6_source_is_its_prefix(void **state)
{
	const struct {
		uint8_t bits;
		const char *other;
		bool same;
	} cases[] = {
		{ 64, "[2001:db8:0:1::2]:1", true },
		{ 64, "[2001:db8:0:2::1]:1", false },
		{ 128, "[2001:db8:0:1::2]:1", false },
		{ 62, "[2001:db8:0:3::1]:1", true },
		{ 62, "[2001:db8:0:4::1]:1", false },
		{ 64, "32.1.13.184:1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tally *t = tally_new(cases[i].bits, i);
		struct addr a = address("[2001:db8:0:1::1]:1");
		struct addr b = address(cases[i].other);

		assert_non_null(t);
		assert_int_equal(tally_add(t, &a), 0);
		assert_int_equal(tally_count(t, &b), cases[i].same);
		tally_free(t);
	}
}

static void
many_sources_are_counted_each_for_itself(void **state)
{
	struct tally *t = tally_new(64, 7);
	const unsigned int n = 10000;
	struct addr a = address("10.0.0.0:1");

	(void)state;
	assert_non_null(t);
	for (unsigned int i = 0; i < n; i++) {
		a.ip[2] = (uint8_t)(i >> 8);
		a.ip[3] = (uint8_t)i;
		for (unsigned int j = 0; j <= i % 3; j++)
			assert_int_equal(tally_add(t, &a), 0);
	}
	for (unsigned int i = 0; i < n; i++) {
		a.ip[2] = (uint8_t)(i >> 8);
		a.ip[3] = (uint8_t)i;
		assert_int_equal(tally_count(t, &a), i % 3 + 1);
		for (unsigned int j = 0; j <= i % 3; j++)
			tally_remove(t, &a);
	}
	assert_int_equal(tally_total(t), 0);
	tally_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_do_not_count),
		cmocka_unit_test(an_ipv6_source_is_its_prefix),
		cmocka_unit_test(many_sources_are_counted_each_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
