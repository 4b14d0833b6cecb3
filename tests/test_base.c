/* SPDX-License-Identifier: ISC */
/*
 * The base protocol's rules one by one, then two ends over subflows that are
 * slow, stall and have little room, seeded: what kernels and networks do, in a
 * time of our own.
 */
#include "core/base.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLENTY (UINT64_C(1) << 30)
#define FRAME_MAX (WIRE_BASE_HEADER + WIRE_BASE_MAX)

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
	budget.held_bytes = PLENTY / 10 * 8;
	assert_int_equal(base_want(b, 0, NULL, 0), 4);
	budget.held_bytes -= 40000;
	assert_in_range(base_want(b, 0, NULL, 0), 9000, 10000);
	budget.held_bytes = 0;
	finish(b);
}

/* ---- two ends ---- */

static uint64_t random_state;

static uint32_t
any(uint32_t below)
{
	random_state ^= random_state << 13;	/* xorshift64 */
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % below;
}

/* One direction of a subflow: bytes [arrived, written) are the sending
 * kernel's, [read, arrived) the receiving one's. */
struct way {
	uint8_t *bytes;
	size_t size, written, arrived, read;
	size_t send_room, receive_room;
	uint32_t speed;			/* bytes of a step; 0: it stalls */
	uint32_t usual_speed;
	uint64_t last_serial;
	struct { uint64_t serial; size_t end; } sent[65536];
	size_t sent_first, sent_end;
	uint8_t left[FRAME_MAX + (64 << 10)];
	size_t nleft;
	bool ended;
};

struct world {
	struct budget budgets[2];
	struct base *from, *to;
	struct way *ways;
	int count;
	size_t total, given, delivered, limit, datagram_max;
	uint32_t give_max, eager;	/* of 16 steps, how many read locally */
	bool ended;
	uint64_t serial, steps;
};

static uint8_t
byte_at(size_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 13);
}

static void
way_append(struct way *w, const uint8_t *bytes, size_t len)
{
	if (w->written + len > w->size) {
		w->size = 2 * (w->written + len);
		w->bytes = realloc(w->bytes, w->size);
		assert_non_null(w->bytes);
	}
	memcpy(w->bytes + w->written, bytes, len);
	w->written += len;
}

/* The sender's promises, seen from outside. */
static void
check_datagram(struct world *world, struct way *w, const uint8_t *frame,
    size_t len)
{
	struct cursor c = { frame, frame + len };
	uint16_t serial, size;
	uint64_t first = ++world->serial;

	assert_int_equal(wire_get_base(&c, &serial, &size), WIRE_OK);
	assert_int_equal(serial, (uint16_t)world->serial);
	assert_int_equal(size, len - WIRE_BASE_HEADER);
	w->last_serial = world->serial;
	w->sent[w->sent_end++ % 65536].serial = world->serial;
	w->sent[(w->sent_end - 1) % 65536].end = w->written + len;
	for (int i = 0; i < world->count; i++) {
		struct way *o = &world->ways[i];

		assert_true(world->serial - o->last_serial < 32768);
		while (o->sent_first < o->sent_end &&
		    o->sent[o->sent_first % 65536].end <= o->arrived)
			o->sent_first++;
		if (o->sent_first < o->sent_end &&
		    o->sent[o->sent_first % 65536].serial < first)
			first = o->sent[o->sent_first % 65536].serial;
	}
	assert_true(world->serial - first + 1 < BASE_OUTSTANDING);
}

static void
step_send(struct world *world)
{
	static uint8_t frame[FRAME_MAX];
	bool progress = true;
	int start = (int)any((uint32_t)world->count);

	for (int i = 0; i < world->count; i++)
		base_acked(world->from, i,
		    world->ways[i].written - world->ways[i].arrived);
	while (progress) {
		progress = false;
		for (int i = 0; i < world->count; i++) {
			int k = (start + i) % world->count;
			struct way *w = &world->ways[k];
			size_t n;

			if (w->written - w->arrived >= w->send_room)
				continue;
			n = base_fill(world->from, k, frame, sizeof(frame));
			if (n == 0)
				continue;
			check_datagram(world, w, frame, n);
			way_append(w, frame, n);
			progress = true;
		}
	}
}

static void
step_give(struct world *world)
{
	uint8_t bytes[4096];
	size_t n = 1 + any(world->give_max);

	if (n > world->total - world->given)
		n = world->total - world->given;
	if (n > base_room(world->from))
		n = base_room(world->from);
	for (size_t i = 0; i < n; i++)
		bytes[i] = byte_at(world->given + i);
	if (n > 0)
		assert_int_equal(base_give(world->from, bytes, n), 0);
	world->given += n;
	if (world->given == world->total && !world->ended && any(4) == 0) {
		base_give_end(world->from);
		world->ended = true;
	}
}

static void
step_network(struct world *world)
{
	struct way *w = &world->ways[any((uint32_t)world->count)];
	size_t n = w->speed, room;

	if (any(400) == 0)
		w->speed = w->speed != 0 ? 0 : w->usual_speed;
	room = w->receive_room - (w->arrived - w->read);
	if (w->arrived - w->read > w->receive_room)
		room = 0;
	if (n > room)
		n = room;
	if (n > w->written - w->arrived)
		n = w->written - w->arrived;
	w->arrived += n;
}

static void
take_left(struct world *world, int i)
{
	struct way *w = &world->ways[i];
	int used = base_take(world->to, i, w->left, w->nleft);

	assert_true(used >= 0);
	memmove(w->left, w->left + used, w->nleft - (size_t)used);
	w->nleft -= (size_t)used;
	assert_true(world->budgets[1].held_bytes <=
	    world->limit + world->datagram_max + 512);
}

static void
step_receive(struct world *world)
{
	int i = (int)any((uint32_t)world->count);
	struct way *w = &world->ways[i];
	size_t n;

	if (w->ended)
		return;
	take_left(world, i);
	n = base_want(world->to, i, w->left, w->nleft);
	if (n > sizeof(w->left) - w->nleft)
		n = sizeof(w->left) - w->nleft;
	if (n > w->arrived - w->read)
		n = w->arrived - w->read;
	if (n > 0) {
		memcpy(w->left + w->nleft, w->bytes + w->read, n);
		w->nleft += n;
		w->read += n;
		take_left(world, i);
	} else if (w->read == w->written && w->nleft == 0 &&
	    base_flushed(world->from)) {
		assert_int_equal(base_take_end(world->to, i, 0), 0);
		w->ended = true;
	}
	assert_int_not_equal(base_state(world->to), BASE_LOST);
}

static void
step_deliver(struct world *world)
{
	struct span spans[4];
	int n = base_peek(world->to, spans, 1 + (int)any(4));
	size_t len = 0;

	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < spans[i].len; k++)
			if (spans[i].base[k] != byte_at(world->delivered +
			    len++))
				fail_msg("a wrong byte at %zu",
				    world->delivered + len - 1);
	if (n > 0 && any(2) == 0)
		len = 1 + any((uint32_t)len);
	base_consume(world->to, len);
	world->delivered += len;
}

static void
run(struct world *world)
{
	uint64_t last = 0, stuck = 0;

	while (base_state(world->to) != BASE_END) {
		uint64_t sum = world->delivered + world->serial;

		world->steps++;
		if (any(4) == 0)
			step_give(world);
		step_send(world);
		step_network(world);
		step_receive(world);
		if (any(16) < world->eager)
			step_deliver(world);
		for (int i = 0; i < world->count; i++)
			sum += world->ways[i].read;
		stuck = sum == last ? stuck + 1 : 0;
		last = sum;
		if (stuck > 200000)
			fail_msg("stuck after %zu of %zu bytes",
			    world->delivered, world->total);
	}
	assert_int_equal(world->delivered, world->total);
	assert_int_equal(world->given, world->total);
}

static struct base *
make_end(struct world *world, int k)
{
	struct base *b;

	budget_init(&world->budgets[k], PLENTY);
	b = base_new(&(struct base_options){
		.proxy = k == 0,
		.limit_bytes = world->limit,
		.datagram_max = world->datagram_max,
		.budget = &world->budgets[k],
	});
	assert_non_null(b);
	for (int i = 0; i < world->count; i++)
		base_join(b);
	base_settle(b);
	return b;
}

static void
make_world(struct world *world)
{
	world->from = make_end(world, 0);
	world->to = make_end(world, 1);
	world->ways = calloc((size_t)world->count, sizeof(*world->ways));
	assert_non_null(world->ways);
}

static void
free_world(struct world *world)
{
	for (int i = 0; i < world->count; i++)
		free(world->ways[i].bytes);
	free(world->ways);
	base_free(world->from);
	base_free(world->to);
	assert_int_equal(world->budgets[0].held_bytes, 0);
	assert_int_equal(world->budgets[1].held_bytes, 0);
}

static void
run_seed(unsigned int seed)
{
	static const size_t datagrams[] = { 1, 5, 100, 1448, 16384, 65535 };
	static const size_t limits[] = { 0, 1000, 20000, 300000, 1 << 22 };
	static const uint32_t gives[] = { 1, 10, 4096 };
	struct world world = { 0 };

	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	any(2);
	world.count = 1 + (int)any(8);
	world.datagram_max = datagrams[any(6)];
	world.limit = limits[any(5)];
	world.give_max = gives[any(3)];
	world.eager = 1 + any(16);
	world.total = any(world.give_max == 1 || world.datagram_max == 1 ?
	    5000 : 60000);
	if (seed % 10 == 0)
		world.total *= 6;
	make_world(&world);
	for (int i = 0; i < world.count; i++) {
		struct way *w = &world.ways[i];

		w->send_room = 1 + any(60000);
		w->receive_room = 1 + any(60000);
		w->speed = w->usual_speed = 1 + any(any(3) == 0 ? 20 : 20000);
	}
	run(&world);
	free_world(&world);
}

static void
every_byte_arrives_once_and_nothing_sticks(void **state)
{
	const char *only = getenv("SEED");
	unsigned int first = 1, last = getenv("RORO_LONG") ? 5000 : 200;

	(void)state;
	if (only != NULL)
		first = last = (unsigned int)strtoul(only, NULL, 0);
	for (unsigned int seed = first; seed <= last; seed++) {
		/* A failure names nothing: the last line says which. */
		if (only != NULL || getenv("RORO_LONG"))
			print_message("seed %u\n", seed);
		run_seed(seed);
	}
}

/* 200,000 datagrams of one byte, over three fast subflows and a slow one with
 * room for many of them. */
static void
a_slow_subflow_does_not_confuse_serials(void **state)
{
	struct world world = { .count = 4, .datagram_max = 1,
		.limit = 1 << 20, .give_max = 64, .eager = 16,
		.total = 220000 };

	(void)state;
	random_state = 42;
	make_world(&world);
	for (int i = 0; i < world.count; i++) {
		struct way *w = &world.ways[i];

		w->send_room = w->receive_room = i == 2 ? 200000 : 20000;
		w->speed = w->usual_speed = i == 2 ? 20 : 2000;
	}
	run(&world);
	assert_int_equal(world.serial, world.total);
	free_world(&world);
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
		cmocka_unit_test(far_serials_cannot_pin_memory),
		cmocka_unit_test(who_holds_most_gets_nothing_more_first),
		cmocka_unit_test(every_byte_arrives_once_and_nothing_sticks),
		cmocka_unit_test(a_slow_subflow_does_not_confuse_serials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
