/* SPDX-License-Identifier: ISC */
#include "nft/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint16_t
port(const uint8_t *key)
{
	return (uint16_t)(key[0] << 8 | key[1]);
}

static void
a_prefix_is_all_that_begins_with_it(void **state)
{
	const uint8_t ip[16] = { 10, 77, 255, 1 };
	const uint8_t first[16] = { 10, 77, 240 };
	const uint8_t last[16] = { 10, 77, 255, 255 };
	const uint8_t zero[16] = { 0 }, all[16] = { 255, 255, 255, 255 };
	struct range r;

	(void)state;
	r = range_of_prefix(ip, 4, 20);
	assert_memory_equal(r.first, first, 16);
	assert_memory_equal(r.last, last, 16);
	r = range_of_prefix(ip, 4, 32);
	assert_memory_equal(r.first, ip, 16);
	assert_memory_equal(r.last, ip, 16);
	r = range_of_prefix(ip, 4, 0);
	assert_memory_equal(r.first, zero, 16);
	assert_memory_equal(r.last, all, 16);
}

static void
what_overlaps_or_touches_is_joined(void **state)
{
	struct range r[] = {
		range_of_ports(80, 90), range_of_ports(1, 10),
		range_of_ports(85, 86), range_of_ports(11, 20),
		range_of_ports(22, 22), range_of_ports(65535, 65535),
		range_of_ports(60000, 65535), range_of_ports(1, 10),
	};

	(void)state;
	assert_int_equal(ranges_join(r, 8, 2), 4);
	assert_int_equal(port(r[0].first), 1);
	assert_int_equal(port(r[0].last), 20);
	assert_int_equal(port(r[1].first), 22);
	assert_int_equal(port(r[1].last), 22);
	assert_int_equal(port(r[2].first), 80);
	assert_int_equal(port(r[2].last), 90);
	assert_int_equal(port(r[3].first), 60000);
	assert_int_equal(port(r[3].last), 65535);
	assert_int_equal(ranges_join(r, 0, 2), 0);
}

static void
a_range_up_to_the_top_has_no_end(void **state)
{
	uint8_t end[RANGES_KEY_MAX];
	struct range r = range_of_ports(1, 0x12ff);

	(void)state;
	assert_true(range_end(&r, 2, end));
	assert_int_equal(port(end), 0x1300);
	r = range_of_ports(7, 65535);
	assert_false(range_end(&r, 2, end));
}

static void
mark(bool *in, const struct range *r, size_t n)
{
	memset(in, 0, 65536);
	for (size_t i = 0; i < n; i++)
		for (unsigned p = port(r[i].first); p <= port(r[i].last); p++)
			in[p] = true;
}

static void
joined_ranges_hold_what_was_in_them_and_keep_apart(void **state)
{
	static bool before[65536], after[65536];
	struct range r[40];

	(void)state;
	srand(1);
	for (int round = 0; round < 200; round++) {
		size_t n = (size_t)rand() % 40;

		for (size_t i = 0; i < n; i++) {
			unsigned first = (unsigned)rand() % 65536;
			unsigned last = first + (unsigned)rand() % 3000;

			r[i] = range_of_ports((uint16_t)first,
			    (uint16_t)(last < 65536 ? last : 65535));
		}
		mark(before, r, n);
		n = ranges_join(r, n, 2);
		mark(after, r, n);
		assert_memory_equal(before, after, sizeof(before));
		for (size_t i = 1; i < n; i++)
			assert_true(port(r[i].first) >
			    port(r[i - 1].last) + 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_is_all_that_begins_with_it),
		cmocka_unit_test(what_overlaps_or_touches_is_joined),
		cmocka_unit_test(a_range_up_to_the_top_has_no_end),
		cmocka_unit_test(
		    joined_ranges_hold_what_was_in_them_and_keep_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
