/* SPDX-License-Identifier: ISC */
#include "core/reorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire.h"

#define PLENTY UINT64_C(1000000)

struct fixture {
	struct budget budget;
	struct reorder r;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	budget_init(&f->budget, PLENTY);
	reorder_init(&f->r, 1, &f->budget);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	reorder_clear(&f->r);
	assert_int_equal(f->budget.held_bytes, 0);
	free(f);
	return 0;
}

static enum reorder_result
put(struct fixture *f, uint64_t serial, const char *text)
{
	return reorder_put(&f->r, serial, (const uint8_t *)text, strlen(text),
	    PLENTY);
}

/* Everything in order, consumed `step` bytes at a time. */
static void
assert_reads(struct fixture *f, const char *expected, size_t step)
{
	char got[256];
	size_t len = 0;
	struct span spans[3];
	int n;

	while ((n = reorder_peek(&f->r, spans, 3)) > 0) {
		size_t take = spans[0].len < step ? spans[0].len : step;

		memcpy(got + len, spans[0].base, take);
		len += take;
		reorder_consume(&f->r, take);
	}
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(got, expected, len);
}

static void
what_comes_in_order_goes_out_in_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, 1, "ab"), REORDER_STORED);
	assert_int_equal(put(f, 2, "c"), REORDER_STORED);
	assert_reads(f, "abc", 100);
	assert_int_equal(f->r.next, 3);
}

static void
an_early_one_waits_for_those_before_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, 3, "three"), REORDER_EARLY);
	assert_int_equal(put(f, 2, "two"), REORDER_EARLY);
	assert_reads(f, "", 100);
	assert_int_equal(put(f, 1, "one"), REORDER_STORED);
	assert_reads(f, "onetwothree", 2);
	assert_int_equal(f->r.next, 4);
}

static void
a_copy_changes_nothing(void **state)
{
	struct fixture *f = *state;

	put(f, 1, "one");
	put(f, 3, "three");
	uint64_t held = f->budget.held_bytes;
	assert_int_equal(put(f, 1, "xxx"), REORDER_DUPLICATE);
	assert_int_equal(put(f, 3, "xxxxx"), REORDER_DUPLICATE);
	assert_int_equal(f->budget.held_bytes, held);
	put(f, 2, "two");
	assert_reads(f, "onetwothree", 100);
	assert_int_equal(put(f, 2, "two"), REORDER_DUPLICATE);
}

static void
bytes_may_be_taken_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct span spans[4];

	put(f, 1, "hello");
	put(f, 2, "world");
	reorder_consume(&f->r, 3);
	assert_int_equal(reorder_peek(&f->r, spans, 4), 2);
	assert_int_equal(spans[0].len, 2);
	assert_memory_equal(spans[0].base, "lo", 2);
	assert_int_equal(spans[1].len, 5);
	assert_int_equal(f->r.ready_bytes, 7);
	assert_reads(f, "loworld", 100);
}

static void
cost_counts_size_and_a_surcharge(void **state)
{
	struct fixture *f = *state;

	put(f, 1, "abc");
	put(f, 2, "d");
	assert_int_equal(f->r.cost_next, 4 + 2 * WIRE_COST);
	reorder_consume(&f->r, 2);
	assert_int_equal(f->r.cost_consumed, 2);
	reorder_consume(&f->r, 1);
	assert_int_equal(f->r.cost_consumed, 3 + WIRE_COST);
}

static void
exactly_what_was_offered_is_taken(void **state)
{
	struct fixture *f = *state;
	const uint64_t offered = 2 * (WIRE_COST + 4);
	const uint8_t bytes[8] = { 0 };

	assert_int_equal(reorder_put(&f->r, 2, bytes, 4, offered),
	    REORDER_EARLY);
	assert_int_equal(reorder_put(&f->r, 1, bytes, 5, offered),
	    REORDER_OVERRUN);
	assert_int_equal(reorder_put(&f->r, 1, bytes, 4, offered),
	    REORDER_STORED);
	assert_int_equal(reorder_put(&f->r, 3, bytes, 1, offered),
	    REORDER_OVERRUN);
}

static void
a_far_serial_cannot_lie_within_a_small_offer(void **state)
{
	struct fixture *f = *state;
	const uint64_t offered = 100 * (WIRE_COST + 1);
	const uint8_t byte = 0;

	assert_int_equal(reorder_put(&f->r, 100, &byte, 1, offered),
	    REORDER_EARLY);
	assert_int_equal(reorder_put(&f->r, 101, &byte, 1, offered),
	    REORDER_OVERRUN);
	assert_int_equal(reorder_put(&f->r, UINT32_MAX, &byte, 1, offered),
	    REORDER_OVERRUN);
	assert_true(reorder_within(&f->r, 101, offered));
	assert_false(reorder_within(&f->r, 102, offered));
}

static void
any_order_gives_the_same_bytes(void **state)
{
	struct fixture *f = *state;
	enum { N = 26 };
	uint8_t order[N];

	srand(7);
	for (int round = 0; round < 200; round++) {
		char expected[N + 1] = { 0 };

		reorder_clear(&f->r);
		reorder_init(&f->r, 1, &f->budget);
		for (int i = 0; i < N; i++) {
			order[i] = (uint8_t)i;
			expected[i] = (char)('a' + i);
		}
		for (int i = N - 1; i > 0; i--) {
			int j = rand() % (i + 1);
			uint8_t t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		for (int i = 0; i < N; i++) {
			char text[2] = { (char)('a' + order[i]), 0 };

			put(f, order[i] + 1u, text);
		}
		assert_reads(f, expected, 1);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_comes_in_order_goes_out_in_order),
		T(an_early_one_waits_for_those_before_it),
		T(a_copy_changes_nothing),
		T(bytes_may_be_taken_in_pieces),
		T(cost_counts_size_and_a_surcharge),
		T(exactly_what_was_offered_is_taken),
		T(a_far_serial_cannot_lie_within_a_small_offer),
		T(any_order_gives_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
