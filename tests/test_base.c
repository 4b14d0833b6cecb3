/* SPDX-License-Identifier: ISC */
/*
 * The base protocol's rules one by one.
 */
#include "core/base.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLENTY (UINT64_C(1) << 30)

static struct budget budget;

static struct base *
make(bool proxy, size_t limit, size_t datagram_max)
{
	struct base *b;

	budget_init(&budget, PLENTY);
	b = base_new(&(struct base_options){
		.proxy = proxy,
		.limit_bytes = limit,
		.datagram_max = datagram_max,
		.budget = &budget,
	});
	assert_non_null(b);
	return b;
}

static struct base *
make_joined(int subflows)
{
	struct base *b = make(true, 1 << 20, 16384);

	for (int i = 0; i < subflows; i++) {
		assert_int_equal(base_joinable(b), 0);
		assert_int_equal(base_join(b), i);
	}
	base_settle(b);
	return b;
}

static void
finish(struct base *b)
{
	base_free(b);
	assert_int_equal(budget.held_bytes, 0);
}

static void
give(struct base *b, const char *text)
{
	assert_int_equal(base_give(b, (const uint8_t *)text, strlen(text)), 0);
}

/* A datagram for `subflow`; what base_take() says of it. */
static int
take(struct base *b, int subflow, uint16_t serial, const char *text)
{
	uint8_t frame[64];
	size_t len = strlen(text);

	wire_put_base(frame, serial, (uint16_t)len);
	memcpy(frame + WIRE_BASE_HEADER, text, len);
	return base_take(b, subflow, frame, WIRE_BASE_HEADER + len);
}

static void
expect_local(struct base *b, const char *text)
{
	struct span spans[8];
	char got[64];
	size_t len = 0;
	int n = base_peek(b, spans, 8);

	for (int i = 0; i < n; i++) {
		memcpy(got + len, spans[i].base, spans[i].len);
		len += spans[i].len;
	}
	got[len] = '\0';
	assert_string_equal(got, text);
	base_consume(b, len);
}

/* ---- sending ---- */

static void
the_first_datagram_is_number_one(void **state)
{
	static const uint8_t golden[] = { 0, 1, 0, 5, 'h', 'e', 'l', 'l', 'o' };
	struct base *b = make_joined(1);
	uint8_t out[64];

	(void)state;
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 0);
	give(b, "hello");
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), sizeof(golden));
	assert_memory_equal(out, golden, sizeof(golden));
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 0);
	assert_int_equal(base_bytes_out(b), 5);
	finish(b);
}

static void
writes_are_cut_to_the_room_and_the_largest_datagram(void **state)
{
	struct base *b = make(true, 1 << 20, 3);
	uint8_t out[64];

	(void)state;
	base_join(b);
	base_settle(b);
	give(b, "abcdefgh");
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 4 + 3);
	assert_memory_equal(out + 4, "abc", 3);
	assert_int_equal(base_fill(b, 0, out, 6), 4 + 2);
	assert_memory_equal(out, "\0\2\0\2de", 6);
	finish(b);
}

static void
a_proxy_sends_nothing_before_all_have_joined(void **state)
{
	struct base *b = make(true, 1 << 20, 16384);
	uint8_t out[64];

	(void)state;
	base_join(b);
	give(b, "x");
	base_give_end(b);
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 0);
	assert_false(base_waits(b));
	assert_false(base_flushed(b));
	base_settle(b);
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 5);
	assert_true(base_flushed(b));
	finish(b);
}

static void
a_relay_sends_on_what_has_joined(void **state)
{
	struct base *b = make(false, 1 << 20, 16384);
	uint8_t out[64];

	(void)state;
	base_join(b);
	give(b, "x");
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 5);
	assert_int_equal(base_joinable(b), 0);
	base_give_end(b);
	assert_true(base_flushed(b));
	assert_int_equal(base_joinable(b), 0);	/* after our FIN: fine */
	finish(b);
}

static void
joining_ends(void **state)
{
	struct base *b = make(false, 1 << 20, 1);
	uint8_t out[64];

	(void)state;
	for (int i = 0; i < BASE_SUBFLOWS; i++) {
		assert_int_equal(base_joinable(b), 0);
		base_join(b);
	}
	assert_int_equal(base_joinable(b), -ENOSPC);
	finish(b);

	b = make(false, 1 << 20, 1);
	base_join(b);
	base_settle(b);
	assert_int_equal(base_joinable(b), -ETIME);
	finish(b);

	/* The peer would read its first serial as one of 65,536 before. */
	b = make(false, 1 << 20, 1);
	base_join(b);
	for (int i = 0; i < 32768; i++) {
		assert_int_equal(base_joinable(b), 0);
		give(b, "x");
		assert_int_equal(base_fill(b, 0, out, sizeof(out)), 5);
		base_acked(b, 0, 0);
	}
	assert_int_equal(base_joinable(b), -ETIME);
	finish(b);

	b = make(false, 1 << 20, 1);
	base_join(b);
	assert_int_equal(base_take_end(b, 0, 0), 0);
	assert_int_equal(base_state(b), BASE_END);
	assert_int_equal(base_joinable(b), -ETIME);
	finish(b);
}

/* Send one-byte datagrams on `subflow` until it may not; how many. */
static int
pour(struct base *b, int subflow, bool acked)
{
	uint8_t out[64];
	int n = 0;

	for (; n < 100000; n++) {
		if (base_room(b) > 0)
			give(b, "x");
		if (base_fill(b, subflow, out, 5) == 0)
			break;
		if (acked)
			base_acked(b, subflow, 0);
	}
	return n;
}

static void
every_subflow_gets_one_in_32768(void **state)
{
	struct base *b = make_joined(3);
	uint8_t out[64];

	(void)state;
	assert_in_range(pour(b, 0, true), 32000, 32767);
	assert_false(base_waits(b));	/* for acks; it is the others' turn */
	give(b, "xxxx");
	assert_int_equal(base_fill(b, 1, out, 5), 5);
	assert_int_equal(base_fill(b, 1, out, 5), 0);
	assert_int_equal(base_fill(b, 0, out, 5), 0);
	assert_int_equal(base_fill(b, 2, out, 5), 5);
	base_acked(b, 1, 0);
	base_acked(b, 2, 0);
	assert_in_range(pour(b, 0, true), 32000, 32767);
	finish(b);
}

static void
never_16384_are_outstanding(void **state)
{
	struct base *b = make_joined(2);
	uint8_t out[64];
	int n = 0;

	(void)state;
	give(b, "x");
	assert_int_equal(base_fill(b, 0, out, 5), 5);	/* is not acked */
	while (base_room(b) > 64)
		give(b, "0123456789abcdef0123456789abcdef0123456789abcdef");
	for (; base_fill(b, 1, out, 5) == 5; n++) {
		base_acked(b, 1, 0);
		if (base_room(b) > 64)
			give(b, "0123456789abcdef0123456789abcdef");
	}
	assert_int_equal(n + 1, BASE_OUTSTANDING - 1);
	assert_int_equal(base_outstanding(b), BASE_OUTSTANDING - 1);
	assert_true(base_waits(b));
	base_acked(b, 0, 5);
	assert_true(base_waits(b));
	base_acked(b, 0, 4);			/* not in full */
	assert_true(base_waits(b));
	base_acked(b, 0, 0);
	assert_int_equal(base_outstanding(b), 0);
	assert_false(base_waits(b));
	assert_int_equal(base_fill(b, 1, out, 5), 5);
	finish(b);
}

static void
small_writes_are_gathered_while_much_is_outstanding(void **state)
{
	struct base *b = make_joined(1);
	uint8_t out[4096];

	(void)state;
	assert_int_equal(pour(b, 0, false), BASE_OUTSTANDING / 4);
	assert_true(base_waits(b));
	for (int i = 1; i < 1448; i++) {
		assert_int_equal(base_fill(b, 0, out, sizeof(out)), 0);
		give(b, "x");
	}
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 4 + 1448);
	/* The end waits for nothing. */
	give(b, "x");
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 0);
	base_give_end(b);
	assert_int_equal(base_fill(b, 0, out, sizeof(out)), 5);
	assert_true(base_flushed(b));
	finish(b);
}

static void
reading_ahead_is_bounded(void **state)
{
	struct base *b = make_joined(1);
	uint8_t bytes[4096] = { 0 };
	size_t total = 0, room;

	(void)state;
	while ((room = base_room(b)) > 0) {
		if (room > sizeof(bytes))
			room = sizeof(bytes);
		assert_int_equal(base_give(b, bytes, room), 0);
		total += room;
	}
	assert_int_equal(total, 128 * 1024);
	finish(b);

	b = make_joined(1);
	budget.held_bytes = PLENTY / 10 * 9;
	assert_in_range(base_room(b), 1, 16384);
	base_give_end(b);
	assert_int_equal(base_room(b), 0);
	budget.held_bytes = 0;
	finish(b);
}

/* ---- receiving ---- */

static void
bytes_come_out_in_order(void **state)
{
	struct base *b = make_joined(2);

	(void)state;
	assert_int_equal(take(b, 1, 2, "world"), 9);
	expect_local(b, "");
	assert_int_equal(take(b, 0, 1, "hello "), 10);
	expect_local(b, "hello world");
	assert_int_equal(base_bytes_in(b), 11);
	finish(b);
}

static void
datagrams_are_taken_only_when_whole(void **state)
{
	static const uint8_t frames[] = { 0, 1, 0, 2, 'a', 'b',
		0, 2, 0, 1, 'c' };
	struct base *b = make_joined(1);

	(void)state;
	for (size_t n = 0; n < 6; n++)
		assert_int_equal(base_take(b, 0, frames, n), 0);
	assert_int_equal(base_take(b, 0, frames, 10), 6);
	assert_int_equal(base_take(b, 0, frames + 6, 5), 5);
	expect_local(b, "abc");
	finish(b);
}

static void
nonsense_is_an_error(void **state)
{
	struct base *b = make_joined(2);

	(void)state;
	assert_int_equal(take(b, 0, 1, ""), -EPROTO);
	finish(b);

	b = make_joined(2);
	assert_int_equal(take(b, 0, 1, "x"), 5);
	assert_int_equal(take(b, 1, 1, "x"), -EPROTO);	/* twice */
	finish(b);

	b = make_joined(2);
	assert_int_equal(take(b, 0, 3, "x"), 5);
	assert_int_equal(take(b, 1, 3, "x"), -EPROTO);	/* twice, early */
	finish(b);

	b = make_joined(2);
	assert_int_equal(base_take_end(b, 0, 3), -EPROTO);	/* cut */
	finish(b);
}

static void
serials_wrap_on_each_subflow(void **state)
{
	struct base *b = make_joined(2);

	(void)state;
	for (uint32_t serial = 1; serial < 200000; serial++) {
		int subflow = serial % 30000 == 0;

		assert_int_equal(take(b, subflow, (uint16_t)serial, "x"), 5);
		expect_local(b, "x");
	}
	finish(b);
}

static void
kernels_may_hold_more_than_half_of_the_numbers(void **state)
{
	struct base *b = make(false, 16 << 20, 16384);
	uint32_t serial;

	(void)state;
	base_join(b);
	base_join(b);
	/* Serial 1 waits on subflow 1, and 60,000 others were sent. */
	for (serial = 2; serial < 60002; serial++)
		assert_int_equal(take(b, 0, (uint16_t)serial, "x"), 5);
	assert_int_equal(take(b, 1, 1, "x"), 5);
	assert_int_equal(take(b, 1, (uint16_t)serial, "y"), 5);
	for (uint32_t i = 1; i < serial; i++)
		base_consume(b, 1);
	expect_local(b, "y");
	finish(b);
}

static void
the_same_number_is_65536_later(void **state)
{
	struct base *b = make(false, 16 << 20, 16384);

	(void)state;
	base_join(b);
	base_join(b);
	assert_int_equal(take(b, 0, 1, "x"), 5);
	for (uint32_t serial = 2; serial < 65537; serial++)
		assert_int_equal(take(b, 1, (uint16_t)serial, "x"), 5);
	for (uint32_t serial = 1; serial < 65537; serial++)
		base_consume(b, 1);
	assert_int_equal(take(b, 0, 1, "y"), 5);
	expect_local(b, "y");
	finish(b);
}

static void
the_end_is_that_of_all_subflows(void **state)
{
	struct base *b = make_joined(2);

	(void)state;
	assert_int_equal(take(b, 0, 1, "a"), 5);
	assert_int_equal(base_take_end(b, 0, 0), 0);
	assert_int_equal(base_state(b), BASE_OPEN);
	assert_int_equal(take(b, 1, 2, "b"), 5);
	assert_int_equal(base_take_end(b, 1, 0), 0);
	assert_int_equal(base_state(b), BASE_OPEN);	/* not delivered */
	expect_local(b, "ab");
	assert_int_equal(base_state(b), BASE_END);
	finish(b);
}

static void
a_proxy_knows_how_many_have_to_end(void **state)
{
	struct base *b = make(true, 1 << 20, 16384);

	(void)state;
	base_join(b);
	assert_int_equal(base_take_end(b, 0, 0), 0);
	assert_int_equal(base_state(b), BASE_OPEN);
	base_join(b);
	base_settle(b);
	assert_int_equal(base_state(b), BASE_OPEN);
	assert_int_equal(base_take_end(b, 1, 0), 0);
	assert_int_equal(base_state(b), BASE_END);
	finish(b);
}

static void
a_datagram_is_lost_when_nobody_can_bring_it(void **state)
{
	struct base *b = make_joined(3);

	(void)state;
	assert_int_equal(base_take_end(b, 0, 0), 0);	/* with serial 1 */
	assert_int_equal(base_state(b), BASE_OPEN);
	assert_int_equal(take(b, 1, 2, "b"), 5);
	assert_int_equal(base_state(b), BASE_OPEN);
	assert_int_equal(take(b, 2, 3, "c"), 5);
	assert_int_equal(base_state(b), BASE_LOST);
	finish(b);

	/* All have ended. */
	b = make_joined(2);
	assert_int_equal(base_take_end(b, 0, 0), 0);
	assert_int_equal(take(b, 1, 2, "b"), 5);
	assert_int_equal(base_take_end(b, 1, 0), 0);
	assert_int_equal(base_state(b), BASE_LOST);
	finish(b);

	/* Another subflow might still join with it. */
	b = make(false, 1 << 20, 16384);
	base_join(b);
	assert_int_equal(take(b, 0, 2, "b"), 5);
	assert_int_equal(base_state(b), BASE_OPEN);
	base_join(b);
	assert_int_equal(take(b, 1, 1, "a"), 5);
	expect_local(b, "ab");
	assert_int_equal(take(b, 0, 4, "d"), 5);
	assert_int_equal(take(b, 1, 5, "e"), 5);
	assert_int_equal(base_state(b), BASE_OPEN);
	base_settle(b);
	assert_int_equal(base_state(b), BASE_LOST);
	finish(b);
}

static void
at_its_limit_it_reads_up_to_one_early_datagram(void **state)
{
	static const uint8_t early[] = { 0, 2, 0, 1, 'b' };
	static const uint8_t due[] = { 0, 1, 0, 2, 'a', 'a' };
	struct base *b = make(false, 0, 16384);

	(void)state;
	base_join(b);
	base_join(b);
	assert_int_equal(base_want(b, 0, early, 0), 4);
	assert_int_equal(base_want(b, 0, early, 3), 1);
	assert_int_equal(base_take(b, 0, early, 4), 0);
	assert_int_equal(base_want(b, 0, early, 4), 0);
	assert_int_equal(base_take(b, 0, early, 5), 0);
	/* The due one always, in full. */
	assert_int_equal(base_want(b, 1, due, 4), 2);
	assert_int_equal(base_want(b, 1, due, 5), 1);
	assert_int_equal(base_take(b, 1, due, 6), 6);
	/* The next one when that has gone. */
	assert_int_equal(base_want(b, 0, early, 4), 0);
	base_consume(b, 1);
	assert_int_equal(base_want(b, 0, early, 4), 0);
	base_consume(b, 1);
	assert_int_equal(base_want(b, 0, early, 4), 1);
	assert_int_equal(base_take(b, 0, early, 5), 5);
	expect_local(b, "b");
	finish(b);
}

static void
it_stops_while_the_local_side_has_enough(void **state)
{
	static uint8_t frame[WIRE_BASE_HEADER + 16384];
	struct base *b = make(false, 16 << 20, 16384);
	size_t ready = 0;
	uint16_t serial = 1;

	(void)state;
	base_join(b);
	base_join(b);
	for (;; ready += 16384) {
		wire_put_base(frame, serial++, 16384);
		if (base_take(b, 0, frame, sizeof(frame)) == 0)
			break;
	}
	assert_in_range(ready, 100000, 500000);
	assert_int_equal(base_want(b, 0, frame, sizeof(frame)), 0);
	assert_int_equal(base_want(b, 1, frame, 0), 0);
	base_consume(b, ready);
	assert_true(base_want(b, 1, frame, 0) > 4);
	assert_int_equal(base_take(b, 0, frame, sizeof(frame)), sizeof(frame));
	finish(b);
}

static void
far_serials_cannot_pin_memory(void **state)
{
	struct base *b = make(false, 100000, 16384);

	(void)state;
	base_join(b);
	for (uint32_t i = 0; i < 100; i++)
		if (take(b, 0, (uint16_t)(i * 65535), "x") <= 0)
			break;
	assert_true(budget.held_bytes <= 100000);
	finish(b);
}

static void
who_holds_most_gets_nothing_more_first(void **state)
{
	struct base *b = make(false, 1 << 20, 16384);

	(void)state;
	base_join(b);
	assert_true(base_want(b, 0, NULL, 0) > 100000);
	budget.held_bytes = PLENTY / 2;
	assert_int_equal(base_want(b, 0, NULL, 0), 4);
	budget.held_bytes -= 40000;
	assert_in_range(base_want(b, 0, NULL, 0), 9000, 10000);
	budget.held_bytes = 0;
	finish(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_datagram_is_number_one),
		cmocka_unit_test(
		    writes_are_cut_to_the_room_and_the_largest_datagram),
		cmocka_unit_test(a_proxy_sends_nothing_before_all_have_joined),
		cmocka_unit_test(a_relay_sends_on_what_has_joined),
		cmocka_unit_test(joining_ends),
		cmocka_unit_test(every_subflow_gets_one_in_32768),
		cmocka_unit_test(never_16384_are_outstanding),
		cmocka_unit_test(
		    small_writes_are_gathered_while_much_is_outstanding),
		cmocka_unit_test(reading_ahead_is_bounded),
		cmocka_unit_test(bytes_come_out_in_order),
		cmocka_unit_test(datagrams_are_taken_only_when_whole),
		cmocka_unit_test(nonsense_is_an_error),
		cmocka_unit_test(serials_wrap_on_each_subflow),
		cmocka_unit_test(
		    kernels_may_hold_more_than_half_of_the_numbers),
		cmocka_unit_test(the_same_number_is_65536_later),
		cmocka_unit_test(the_end_is_that_of_all_subflows),
		cmocka_unit_test(a_proxy_knows_how_many_have_to_end),
		cmocka_unit_test(a_datagram_is_lost_when_nobody_can_bring_it),
		cmocka_unit_test(
		    at_its_limit_it_reads_up_to_one_early_datagram),
		cmocka_unit_test(it_stops_while_the_local_side_has_enough),
		cmocka_unit_test(far_serials_cannot_pin_memory),
		cmocka_unit_test(who_holds_most_gets_nothing_more_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
