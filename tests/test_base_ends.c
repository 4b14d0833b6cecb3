/* SPDX-License-Identifier: ISC */
/*
 * Two ends of the base protocol over subflows that are slow, stall and have
 * little room, seeded: what kernels and networks do, in a time of our own.
 *
 *	SEED=17 tests/test_base_ends
 */
#include "core/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLENTY (UINT64_C(1) << 30)
#define FRAME_MAX (WIRE_BASE_HEADER + WIRE_BASE_MAX)

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
		cmocka_unit_test(every_byte_arrives_once_and_nothing_sticks),
		cmocka_unit_test(a_slow_subflow_does_not_confuse_serials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
