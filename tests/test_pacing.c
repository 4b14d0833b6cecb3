/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/pacing.h"

#define RATE UINT64_C(20000000)
#define MOST (RATE / 8 * 95 / 100)

static const struct pacing_share path[4] = {
	{ .express = true }, { .express = true }, { .express = false },
	{ .express = false }
};

static uint64_t
divide(struct pacing_share s[4], unsigned int busy)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < 4; i++) {
		s[i] = path[i];
		s[i].busy = (busy >> i & 1) != 0;
	}
	pacing_divide(RATE, s, 4);
	for (size_t i = 0; i < 4; i++)
		sum += s[i].bytes_per_s;
	return sum;
}

static void
the_sum_is_just_below_the_rate_whoever_sends(void **state)
{
	struct pacing_share s[4];

	(void)state;
	for (unsigned int busy = 0; busy < 16; busy++) {
		uint64_t sum = divide(s, busy);

		assert_true(sum <= MOST);
		assert_true(sum > MOST - 8);
	}
}

static void
a_busy_express_subflow_gets_twice_what_a_bulk_one_gets(void **state)
{
	struct pacing_share s[4];

	(void)state;
	divide(s, 1u << 0 | 1u << 2);
	assert_true(s[0].bytes_per_s / 2 == s[2].bytes_per_s);
}

static void
a_lone_download_gets_nearly_all(void **state)
{
	struct pacing_share s[4];

	(void)state;
	divide(s, 1u << 2);
	assert_true(s[2].bytes_per_s > MOST / 10 * 9);
	divide(s, 1u << 2 | 1u << 3);
	assert_true(s[2].bytes_per_s + s[3].bytes_per_s > MOST / 10 * 9);
}

static void
a_lone_burst_gets_nearly_all(void **state)
{
	struct pacing_share s[4];

	(void)state;
	divide(s, 1u << 0);
	assert_true(s[0].bytes_per_s > MOST / 10 * 8);
}

/* Who sends next waits for as long as that takes. */
static void
a_segment_of_an_idle_one_leaves_soon_on_a_slow_link(void **state)
{
	static const uint64_t rates[] = { 1000000, 3000000, 20000000 };

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct pacing_share s[4];
		uint64_t sum = 0;

		memcpy(s, path, sizeof(s));
		s[2].busy = s[3].busy = true;
		pacing_divide(rates[k], s, 4);
		for (size_t i = 0; i < 4; i++) {
			assert_true(s[i].bytes_per_s > 1448 * 2);
			if (s[i].busy)
				sum += s[i].bytes_per_s;
		}
		assert_true(sum <= rates[k] / 8);
		assert_true(s[2].bytes_per_s + s[3].bytes_per_s >
		    rates[k] / 8 * 85 / 100);
	}
}

/* The rate that an idle one begins a burst with holds up its second packet.  On
 * the slowest links that may take a fraction of a second, not a whole one, and
 * busy ones do not lose by it. */
static void
the_second_packet_of_a_burst_follows_soon_on_a_thin_link(void **state)
{
	static const uint64_t rates[] = { 64000, 256000, 1000000 };

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct pacing_share s[4];
		uint64_t most = rates[k] / 8 * 95 / 100;

		memcpy(s, path, sizeof(s));
		s[2].busy = true;
		pacing_divide(rates[k], s, 4);
		for (size_t i = 0; i < 4; i++)
			assert_true(s[i].bytes_per_s >= 14480 ||
			    s[i].bytes_per_s >= most / 2);
		assert_true(s[2].bytes_per_s > most * 85 / 100);
		assert_true(s[2].bytes_per_s <= most);
	}
}

static void
nobody_gets_nothing(void **state)
{
	struct pacing_share s[64] = { 0 };

	(void)state;
	for (size_t i = 0; i < 32; i++)
		s[i].express = true;
	s[40].busy = true;
	pacing_divide(8000, s, 64);
	for (size_t i = 0; i < 64; i++)
		assert_true(s[i].bytes_per_s >= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sum_is_just_below_the_rate_whoever_sends),
		cmocka_unit_test(
		    a_busy_express_subflow_gets_twice_what_a_bulk_one_gets),
		cmocka_unit_test(a_lone_download_gets_nearly_all),
		cmocka_unit_test(
		    a_lone_burst_gets_nearly_all),
		cmocka_unit_test(
		    a_segment_of_an_idle_one_leaves_soon_on_a_slow_link),
		cmocka_unit_test(
		    the_second_packet_of_a_burst_follows_soon_on_a_thin_link),
		cmocka_unit_test(nobody_gets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
