/* SPDX-License-Identifier: ISC */
/*
 * The same conversation between two groups, again and again: each time another
 * allocation of core fails, alone or with all that follow for a while.  Nothing
 * crashes, nothing is left, nobody takes a cut for an end, and nothing stands
 * still for ever.
 *
 * The linker puts our functions in the place of malloc() and its like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/group.h"

#define MS UINT64_C(1000)
#define SESSIONS 3
#define BYTES 100000
#define WINDOW 65536
#define STEPS 20000		/* a minute */

enum { PROXY, RELAY };

/* ---- memory ---- */

static unsigned long allocations, fail_from, fail_to;
static long live;

static bool
may(void)
{
	allocations++;
	return allocations < fail_from || allocations >= fail_to;
}

static void *
count(void *p)
{
	live += p != NULL;
	return p;
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void __wrap_free(void *);

void *
__wrap_malloc(size_t size)
{
	return may() ? count(__real_malloc(size)) : NULL;
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return may() ? count(__real_calloc(n, size)) : NULL;
}

void *
__wrap_realloc(void *old, size_t size)
{
	if (!may())
		return NULL;
	return old == NULL ? count(__real_realloc(old, size)) :
	    __real_realloc(old, size);
}

void
__wrap_free(void *p)
{
	live -= p != NULL;
	__real_free(p);
}

/* ---- both local sides of a session ---- */

struct side {
	struct session *session;	/* NULL: not yet, or over */
	size_t given, got;
	bool over, whole;
};

struct world {
	struct budget budget[2];
	struct group *g[2];
	struct side sides[2][SESSIONS];
	uint64_t now;
	uint8_t wire[1 << 16];
};

static uint8_t
byte_at(int e, int i, size_t at)
{
	return (uint8_t)(at * 31 + at / 251 + (size_t)(e * 7 + i));
}

static void
let_go(struct world *w, struct side *side)
{
	session_release(side->session, w->now);
	side->session = NULL;
	side->over = true;
}

/* As a leg does; e, i: whose. */
static void
serve(struct world *w, int e, int i)
{
	struct side *side = &w->sides[e][i];
	struct session *s = side->session;
	struct span spans[4];
	int n;

	while (side->given < BYTES &&
	    (n = session_read_room(s, spans, 4)) > 0) {
		size_t took = 0;

		for (int j = 0; j < n; j++)
			for (size_t k = 0; k < spans[j].len &&
			    side->given < BYTES; k++, took++)
				((uint8_t *)spans[j].base)[k] = byte_at(e, i,
				    side->given++);
		if (session_read(s, took, w->now) != 0) {
			session_abort(s, WIRE_CODE_RESOURCES, w->now);
			let_go(w, side);
			return;
		}
	}
	if (side->given == BYTES)
		session_read_end(s, WIRE_CODE_OK, w->now);
	while ((n = session_peek(s, spans, 1)) > 0) {
		for (size_t k = 0; k < spans[0].len; k++)
			assert_int_equal(((uint8_t *)spans[0].base)[k],
			    byte_at(!e, i, side->got++));
		session_consume(s, spans[0].len, w->now);
	}
	switch (session_state(s)) {
	case SESSION_OPEN:
		return;
	case SESSION_END:
		assert_int_equal(side->got, BYTES);
		if (side->given < BYTES)
			return;
		side->whole = true;
		break;
	default:
		break;
	}
	let_go(w, side);
}

/* The destination's port tells which session it is. */
static void
serve_ready(struct world *w, int e)
{
	struct session *s;

	while ((s = group_ready(w->g[e])) != NULL) {
		int i = session_open_info(s)->destination.port - 1;

		if (session_user(s) == NULL) {
			assert_int_equal(e, RELAY);
			session_set_user(s, &w->sides[e][i]);
			w->sides[e][i].session = s;
		}
		serve(w, e, i);
	}
}

/* What one has to say now reaches the other. */
static bool
carry(struct world *w, int e)
{
	bool some = false;

	for (int subflow = 0; subflow < 2; subflow++) {
		size_t n;

		while ((n = group_fill(w->g[e], subflow, w->wire,
		    sizeof(w->wire), w->now)) > 0) {
			assert_int_equal(group_take(w->g[!e], subflow,
			    w->wire, n, w->now), n);
			some = true;
		}
	}
	return some;
}

static bool
make_groups(struct world *w)
{
	for (int e = 0; e < 2; e++) {
		int replaced;

		budget_init(&w->budget[e], 64 << 20);
		w->g[e] = group_new(&(struct group_options){
			.proxy = e == PROXY, .initial_window = WINDOW,
			.start_window = WINDOW, .window_max = 4 * WINDOW,
			.max_sessions = 100, .datagram_max = WIRE_DATA_MAX,
			.budget = &w->budget[e],
		});
		if (w->g[e] == NULL)
			return false;
		group_peer_window(w->g[e], WINDOW);
		for (uint8_t slot = 0; slot < 2; slot++)
			assert_int_equal(group_attach(w->g[e], 0, slot, w->now,
			    &replaced), slot);
	}
	return true;
}

static void
open_sessions(struct world *w)
{
	for (int i = 0; i < SESSIONS; i++) {
		struct wire_open o = { .dscp = -1 };
		struct side *side = &w->sides[PROXY][i];

		assert_int_equal(addr_parse(&o.destination, "192.0.2.1:1"), 0);
		o.destination.port = (uint16_t)(i + 1);
		if (group_open(w->g[PROXY], &o, w->now, &side->session) != 0) {
			side->session = NULL;
			side->over = true;
			continue;
		}
		session_set_user(side->session, side);
		serve(w, PROXY, i);
	}
}

static bool
is_over(const struct world *w)
{
	for (int i = 0; i < SESSIONS; i++)
		if (!w->sides[PROXY][i].over ||
		    w->sides[RELAY][i].session != NULL)
			return false;
	return group_sessions(w->g[PROXY]) == 0 &&
	    group_sessions(w->g[RELAY]) == 0;
}

/* How many sessions were whole at both ends. */
static int
talk(void)
{
	struct world *w = __real_calloc(1, sizeof(*w));
	int whole = 0;

	w->now = 1000 * MS;
	if (make_groups(w)) {
		open_sessions(w);
		for (int step = 0; !is_over(w); step++) {
			assert_true(step < STEPS);
			bool some = carry(w, PROXY) | carry(w, RELAY);
			serve_ready(w, PROXY);
			serve_ready(w, RELAY);
			if (some)
				continue;
			w->now += 3 * MS;
			for (int e = 0; e < 2; e++)
				if (group_deadline(w->g[e]) <= w->now)
					group_tick(w->g[e], w->now);
		}
	}
	for (int i = 0; i < SESSIONS; i++)
		whole += w->sides[PROXY][i].whole && w->sides[RELAY][i].whole;
	for (int e = 0; e < 2; e++) {
		group_free(w->g[e]);
		assert_int_equal(w->budget[e].held_bytes, 0);
		assert_int_equal(w->budget[e].offered_bytes, 0);
	}
	assert_int_equal(live, 0);
	__real_free(w);
	return whole;
}

static void
fail_each(unsigned long run)
{
	unsigned long total;

	allocations = 0;
	fail_from = fail_to = 0;
	assert_int_equal(talk(), SESSIONS);
	total = allocations;
	assert_true(total > 50);
	for (unsigned long n = 1; n <= total; n++) {
		allocations = 0;
		fail_from = n;
		fail_to = n + run;
		talk();
	}
	print_message("%lu allocations\n", total);
	fail_from = fail_to = 0;
}

static void
any_single_allocation_may_fail(void **state)
{
	(void)state;
	fail_each(1);
}

static void
twenty_allocations_in_a_row_may_fail(void **state)
{
	(void)state;
	fail_each(20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_single_allocation_may_fail),
		cmocka_unit_test(twenty_allocations_in_a_row_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
