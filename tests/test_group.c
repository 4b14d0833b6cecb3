/* SPDX-License-Identifier: ISC */
/*
 * Two groups, a proxy's and a relay's, with byte queues between them, and a
 * hand that writes single frames where a peer breaks the rules.
 */
#include "core/group.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire.h"

#define WINDOW 65536
#define MS UINT64_C(1000)

enum { PROXY, RELAY };

struct fixture {
	struct budget budget[2];
	struct group *g[2];
	uint64_t now;
	uint8_t buf[2][2][1 << 20];	/* [sender][subflow] */
	size_t len[2][2];
};

static struct wire_open
destination(void)
{
	struct wire_open o = { .dscp = -1 };

	assert_int_equal(addr_parse(&o.destination, "192.0.2.1:80"), 0);
	assert_int_equal(addr_parse(&o.client, "198.51.100.7:4000"), 0);
	return o;
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->now = 1000 * MS;
	for (int e = 0; e < 2; e++) {
		struct group_options o = {
			.proxy = e == PROXY, .initial_window = WINDOW,
			.start_window = WINDOW, .window_max = 4 * WINDOW,
			.max_sessions = 8, .datagram_max = WIRE_DATA_MAX,
			.budget = &f->budget[e],
		};
		int replaced;

		budget_init(&f->budget[e], 64 << 20);
		f->g[e] = group_new(&o);
		group_peer_window(f->g[e], WINDOW);
		assert_int_equal(group_attach(f->g[e], 0, 0, f->now,
		    &replaced), 0);
		assert_int_equal(group_attach(f->g[e], 0, 1, f->now,
		    &replaced), 1);
	}
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	for (int e = 0; e < 2; e++) {
		group_free(f->g[e]);
		assert_int_equal(f->budget[e].held_bytes, 0);
		assert_int_equal(f->budget[e].offered_bytes, 0);
	}
	free(f);
	return 0;
}

/* What `e` has to say on a subflow is put into its queue. */
static size_t
fill(struct fixture *f, int e, int subflow)
{
	size_t n, total = 0;

	while ((n = group_fill(f->g[e], subflow,
	    f->buf[e][subflow] + f->len[e][subflow], 20000, f->now)) > 0) {
		f->len[e][subflow] += n;
		total += n;
	}
	return total;
}

static int
deliver(struct fixture *f, int e, int subflow)
{
	int used = group_take(f->g[!e], subflow, f->buf[e][subflow],
	    f->len[e][subflow], f->now);

	if (used >= 0)
		assert_int_equal(used, f->len[e][subflow]);
	f->len[e][subflow] = 0;
	return used;
}

/* Until both are silent. */
static void
settle(struct fixture *f)
{
	for (int round = 0; round < 50; round++) {
		size_t moved = 0;

		for (int e = 0; e < 2; e++) {
			for (int i = 0; i < 2; i++) {
				moved += fill(f, e, i);
				deliver(f, e, i);
			}
		}
		if (moved == 0) {
			if (round % 2 == 1)
				return;
			f->now += 60 * MS;	/* delayed ACKs */
			group_tick(f->g[PROXY], f->now);
			group_tick(f->g[RELAY], f->now);
		}
	}
}

static struct session *
open_session(struct fixture *f)
{
	struct wire_open o = destination();
	struct session *s;

	assert_int_equal(group_open(f->g[PROXY], &o, f->now, &s), 0);
	session_set_user(s, f);
	return s;
}

static struct session *
accept_session(struct fixture *f)
{
	struct session *s;

	while ((s = group_ready(f->g[RELAY])) != NULL) {
		if (session_user(s) == NULL) {
			session_set_user(s, f);
			return s;
		}
	}
	return NULL;
}

static void
give(struct fixture *f, struct session *s, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		struct span spans[4];
		int n = session_read_room(s, spans, 4);
		size_t take = 0;

		assert_true(n > 0);
		for (int i = 0; i < n && len > 0; i++) {
			size_t k = spans[i].len < len ? spans[i].len : len;

			memcpy(spans[i].base, p, k);
			p += k;
			len -= k;
			take += k;
		}
		assert_int_equal(session_read(s, take, f->now), 0);
	}
}

static void
assert_takes(struct fixture *f, struct session *s, const char *expected)
{
	struct span spans[8];
	size_t len = strlen(expected);
	char got[256];
	size_t used = 0;

	for (int n; (n = session_peek(s, spans, 8)) > 0;) {
		assert_true(used + spans[0].len <= sizeof(got));
		memcpy(got + used, spans[0].base, spans[0].len);
		used += spans[0].len;
		session_consume(s, spans[0].len, f->now);
	}
	assert_int_equal(used, len);
	assert_memory_equal(got, expected, len);
}

/* Frames by hand. */
static int
say(struct fixture *f, int e, uint8_t type, uint32_t connection,
    uint32_t serial, const void *body, size_t len)
{
	struct wire_header h = {
		.type = type, .size = (uint16_t)len,
		.connection = connection, .serial = serial,
	};
	uint8_t frame[WIRE_HEADER + WIRE_DATA_MAX];

	wire_put_header(frame, &h);
	memcpy(frame + WIRE_HEADER, body, len);
	return group_take(f->g[!e], 0, frame, WIRE_HEADER + len, f->now);
}

/* Is there a frame of this type and number in what `e` says? */
static bool
says(struct fixture *f, int e, uint8_t type, uint32_t connection, int code)
{
	bool found = false;

	for (int i = 0; i < 2; i++) {
		fill(f, e, i);
		struct cursor c = { f->buf[e][i], f->buf[e][i] + f->len[e][i] };
		struct wire_header h;

		while (wire_get_header(&c, &h) == WIRE_OK) {
			if (h.type == type && h.connection == connection &&
			    (code < 0 || c.pos[0] == code))
				found = true;
			c.pos += h.size;
		}
		f->len[e][i] = 0;
	}
	return found;
}

static void
the_first_flight_opens_offers_and_carries_data(void **state)
{
	struct fixture *f = *state;
	static const uint8_t expected[] = {
		/* PING */
		6, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0x0f, 0x42, 0x40,
		/* OPEN: destination, client */
		1, 0, 0, 18, 0, 0, 0, 1, 0, 0, 0, 0,
		1, 7, 4, 192, 0, 2, 1, 0, 80,
		2, 7, 4, 198, 51, 100, 7, 0x0f, 0xa0,
		/* ACK: next is 1, the whole window */
		3, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0,
		/* DATA */
		0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 'h', 'i',
	};

	give(f, open_session(f), "hi", 2);
	assert_int_equal(fill(f, PROXY, 0), sizeof(expected));
	assert_memory_equal(f->buf[PROXY][0], expected, sizeof(expected));
}

static void
a_conversation_ends_cleanly_on_both_sides(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *r;

	give(f, p, "request", 7);
	session_read_end(p, WIRE_CODE_OK, f->now);
	settle(f);
	r = accept_session(f);
	assert_non_null(r);
	assert_true(addr_equal(&session_open_info(r)->destination,
	    &session_open_info(p)->destination));
	assert_takes(f, r, "request");
	assert_int_equal(session_state(r), SESSION_END);
	assert_int_equal(session_state(p), SESSION_OPEN);
	give(f, r, "answer", 6);
	session_read_end(r, WIRE_CODE_OK, f->now);
	settle(f);
	assert_takes(f, p, "answer");
	assert_int_equal(session_state(p), SESSION_END);
	assert_true(session_flushed(p) && session_flushed(r));
	session_release(p, f->now);
	session_release(r, f->now);
	settle(f);
	assert_int_equal(group_sessions(f->g[PROXY]), 0);
	assert_int_equal(group_sessions(f->g[RELAY]), 0);
}

static void
an_open_goes_first_on_every_subflow_until_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	give(f, p, "a", 1);
	fill(f, PROXY, 0);
	group_detach(f->g[PROXY], 0, f->now);
	assert_true(says(f, PROXY, WIRE_OPEN, 1, -1));
}

static void
a_late_copy_of_an_open_opens_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open o = destination();
	size_t n = wire_put_open(body, &o);
	const uint8_t code = 0;

	say(f, PROXY, WIRE_OPEN, 1, 0, body, n);
	assert_non_null(accept_session(f));
	say(f, PROXY, WIRE_RESET, 1, 0, &code, 1);
	assert_true(says(f, RELAY, WIRE_RESET, 1, WIRE_CODE_UNKNOWN));
	say(f, PROXY, WIRE_OPEN, 1, 0, body, n);
	assert_null(accept_session(f));
	assert_true(says(f, RELAY, WIRE_RESET, 1, WIRE_CODE_UNKNOWN));
}

static void
a_reset_that_overtook_its_open_keeps_it_closed(void **state)
{
	struct fixture *f = *state;
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open o = destination();
	size_t n = wire_put_open(body, &o);
	const uint8_t code = 0;

	say(f, PROXY, WIRE_RESET, 2, 0, &code, 1);
	assert_true(says(f, RELAY, WIRE_RESET, 2, WIRE_CODE_UNKNOWN));
	say(f, PROXY, WIRE_OPEN, 2, 0, body, n);
	assert_null(accept_session(f));
	say(f, PROXY, WIRE_OPEN, 1, 0, body, n);
	assert_non_null(accept_session(f));
}

static void
an_open_that_contradicts_the_first_is_a_fault_of_its_session(void **state)
{
	struct fixture *f = *state;
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open o = destination();
	size_t n = wire_put_open(body, &o);
	struct session *r;

	say(f, PROXY, WIRE_OPEN, 1, 0, body, n);
	r = accept_session(f);
	o.destination.port = 81;
	n = wire_put_open(body, &o);
	assert_true(say(f, PROXY, WIRE_OPEN, 1, 0, body, n) > 0);
	assert_int_equal(session_state(r), SESSION_ABORT);
	assert_true(says(f, RELAY, WIRE_RESET, 1, WIRE_CODE_PROTOCOL));
}

static void
an_open_without_a_destination_is_refused_alone(void **state)
{
	struct fixture *f = *state;

	assert_true(say(f, PROXY, WIRE_OPEN, 1, 0, "\x09", 1) > 0);
	assert_null(accept_session(f));
	assert_true(says(f, RELAY, WIRE_RESET, 1, WIRE_CODE_PROTOCOL));
}

static void
data_beyond_the_window_costs_its_session_only(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *other = open_session(f), *r;
	static const uint8_t big[WIRE_DATA_MAX];

	give(f, p, "a", 1);
	give(f, other, "b", 1);
	settle(f);
	r = accept_session(f);
	for (uint32_t serial = 2; serial < 7; serial++)
		assert_true(say(f, PROXY, WIRE_DATA, session_number(r), serial,
		    big, sizeof(big)) > 0);
	assert_int_equal(session_state(r), SESSION_ABORT);
	assert_int_equal(session_code(r), WIRE_CODE_PROTOCOL);
	r = accept_session(f);
	assert_int_equal(session_state(r), SESSION_OPEN);
}

static void
an_ack_of_what_was_not_sent_costs_its_session_only(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	give(f, p, "a", 1);
	settle(f);
	assert_true(say(f, RELAY, WIRE_ACK, 1, 9, "\0\0\0\0", 4) > 0);
	assert_int_equal(session_state(p), SESSION_ABORT);
	assert_true(says(f, PROXY, WIRE_RESET, 1, WIRE_CODE_PROTOCOL));
}

static void
a_second_fin_elsewhere_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	settle(f);
	say(f, RELAY, WIRE_FIN, 1, 3, "\0", 1);
	say(f, RELAY, WIRE_FIN, 1, 3, "\0", 1);
	assert_int_equal(session_state(p), SESSION_OPEN);
	say(f, RELAY, WIRE_FIN, 1, 4, "\0", 1);
	assert_int_equal(session_state(p), SESSION_ABORT);
}

static void
data_after_fin_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	settle(f);
	say(f, RELAY, WIRE_FIN, 1, 2, "\0", 1);
	say(f, RELAY, WIRE_DATA, 1, 2, "x", 1);
	assert_int_equal(session_state(p), SESSION_ABORT);
}

static void
a_fin_waits_for_the_data_before_it(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	settle(f);
	say(f, RELAY, WIRE_FIN, 1, 2, "\0", 1);
	assert_int_equal(session_state(p), SESSION_OPEN);
	say(f, RELAY, WIRE_DATA, 1, 1, "x", 1);
	assert_int_equal(session_state(p), SESSION_OPEN);
	assert_takes(f, p, "x");
	assert_int_equal(session_state(p), SESSION_END);
}

static void
what_was_sent_before_a_reset_is_delivered_first(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *r;

	give(f, p, "last words", 10);
	session_read_end(p, WIRE_CODE_RESET, f->now);
	session_release(p, f->now);
	settle(f);
	r = accept_session(f);
	assert_int_equal(session_state(r), SESSION_OPEN);
	assert_takes(f, r, "last words");
	assert_int_equal(session_state(r), SESSION_RESET);
	session_release(r, f->now);
	settle(f);
	assert_int_equal(group_sessions(f->g[PROXY]), 0);
	assert_int_equal(group_sessions(f->g[RELAY]), 0);
}

static void
an_abort_is_repeated_until_it_is_answered(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	settle(f);
	session_abort(p, WIRE_CODE_OK, f->now);
	session_release(p, f->now);
	assert_true(says(f, PROXY, WIRE_RESET, 1, WIRE_CODE_OK)); /* lost */
	assert_false(says(f, PROXY, WIRE_RESET, 1, -1));
	f->now += 2000 * MS;
	group_tick(f->g[PROXY], f->now);
	assert_true(says(f, PROXY, WIRE_RESET, 1, WIRE_CODE_OK));
	assert_int_equal(group_sessions(f->g[PROXY]), 1);
	say(f, RELAY, WIRE_RESET, 1, 0, "\x07", 1);
	assert_int_equal(group_sessions(f->g[PROXY]), 0);
}

static void
reset_7_after_the_fin_is_a_clean_end(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	settle(f);
	session_read_end(p, WIRE_CODE_OK, f->now);
	fill(f, PROXY, 0);
	fill(f, PROXY, 1);
	say(f, RELAY, WIRE_DATA, 1, 1, "x", 1);
	say(f, RELAY, WIRE_FIN, 1, 2, "\0", 1);
	say(f, RELAY, WIRE_RESET, 1, 0, "\x07", 1);
	assert_takes(f, p, "x");
	assert_int_equal(session_state(p), SESSION_END);
	assert_int_equal(group_sessions(f->g[PROXY]), 0);
}

static void
reset_7_before_the_fin_is_a_cut(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	settle(f);
	say(f, RELAY, WIRE_RESET, 1, 0, "\x07", 1);
	assert_int_equal(session_state(p), SESSION_ABORT);
	assert_int_equal(session_code(p), WIRE_CODE_UNKNOWN);
}

static void
a_frame_for_nobody_is_answered_with_reset_7(void **state)
{
	struct fixture *f = *state;

	for (int e = 0; e < 2; e++) {
		say(f, !e, WIRE_DATA, 77, 1, "x", 1);
		assert_true(says(f, e, WIRE_RESET, 77, WIRE_CODE_UNKNOWN));
		say(f, !e, WIRE_ASK, 78, 1, "", 0);
		assert_true(says(f, e, WIRE_RESET, 78, WIRE_CODE_UNKNOWN));
		say(f, !e, WIRE_ACK, 79, 1, "\0\0\0\0", 4);
		assert_false(says(f, e, WIRE_RESET, 79, -1));
		say(f, !e, WIRE_RESET, 80, 0, "\x07", 1);
		assert_false(says(f, e, WIRE_RESET, 80, -1));
	}
}

static void
an_ask_is_answered_at_once(void **state)
{
	struct fixture *f = *state;

	open_session(f);
	settle(f);
	says(f, PROXY, WIRE_ACK, 1, -1);
	say(f, RELAY, WIRE_ASK, 1, 1, "", 0);
	assert_true(says(f, PROXY, WIRE_ACK, 1, -1));
}

static void
silence_makes_a_sender_ask_with_back_off(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);
	int asked = 0;

	settle(f);
	give(f, p, "x", 1);
	says(f, PROXY, WIRE_DATA, 1, -1);	/* swallowed */
	for (int i = 0; i < 200; i++) {
		f->now += 100 * MS;
		group_tick(f->g[PROXY], f->now);
		asked += says(f, PROXY, WIRE_ASK, 1, -1);
	}
	assert_in_range(asked, 3, 6);		/* in 20 s: 1, 3, 7, 15 */
}

static void
a_pong_that_stood_still_does_not_put_off_the_asking(void **state)
{
	struct fixture *f = *state;

	says(f, PROXY, WIRE_PING, 0, -1);
	f->now += 60000 * MS;		/* 0xf4240 us: when it was sent */
	say(f, RELAY, WIRE_PONG, 0, 0, "\0\0\0\0\0\x0f\x42\x40", 8);
	assert_int_equal(group_rtt_us(f->g[PROXY]), 60000 * MS);
	struct session *p = open_session(f);
	settle(f);
	give(f, p, "x", 1);
	says(f, PROXY, WIRE_DATA, 1, -1);	/* swallowed */
	f->now += 9000 * MS;
	group_tick(f->g[PROXY], f->now);
	assert_true(says(f, PROXY, WIRE_ASK, 1, -1));
}

/* A subflow's first one has come. */
static void
pong_after(struct fixture *f, uint64_t us)
{
	char at[8];

	for (int i = 0; i < 8; i++)
		at[i] = (char)(f->now >> (56 - 8 * i));
	f->now += us;
	say(f, RELAY, WIRE_PONG, 0, 0, at, sizeof(at));
}

static void
a_late_pong_is_asked_for_again(void **state)
{
	struct fixture *f = *state;

	says(f, PROXY, WIRE_PING, 0, -1);
	pong_after(f, 200 * MS);
	assert_false(says(f, PROXY, WIRE_PING, 0, -1));
	pong_after(f, 300 * MS);
	assert_false(says(f, PROXY, WIRE_PING, 0, -1));
	uint64_t usual = group_rtt_us(f->g[PROXY]);
	pong_after(f, 30000 * MS);
	assert_true(says(f, PROXY, WIRE_PING, 0, -1));
	assert_int_equal(group_rtt_us(f->g[PROXY]), usual);
	pong_after(f, 200 * MS);
	assert_false(says(f, PROXY, WIRE_PING, 0, -1));
	assert_true(group_rtt_us(f->g[PROXY]) < usual);

	/* The path has become a longer one. */
	pong_after(f, 900 * MS);
	assert_true(says(f, PROXY, WIRE_PING, 0, -1));
	pong_after(f, 900 * MS);
	assert_false(says(f, PROXY, WIRE_PING, 0, -1));
	assert_true(group_rtt_us(f->g[PROXY]) > usual);
}

static void
a_lost_ack_is_owed_again_when_its_subflow_dies(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *r;

	give(f, p, "x", 1);
	settle(f);
	r = accept_session(f);
	assert_non_null(r);
	give(f, p, "y", 1);
	fill(f, PROXY, 0);
	fill(f, PROXY, 1);
	deliver(f, PROXY, 0);
	deliver(f, PROXY, 1);
	f->now += 60 * MS;
	group_tick(f->g[RELAY], f->now);
	int on = fill(f, RELAY, 0) > 0 ? 0 : 1;
	if (on == 1)
		fill(f, RELAY, 1);
	f->len[RELAY][on] = 0;			/* lost with the subflow */
	group_detach(f->g[RELAY], on, f->now);
	assert_true(says(f, RELAY, WIRE_ACK, 1, -1));
}

static void
more_sessions_than_allowed_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open o = destination();
	size_t n = wire_put_open(body, &o);
	struct session *s;

	for (uint32_t i = 1; i <= 8; i++)
		say(f, PROXY, WIRE_OPEN, i, 0, body, n);
	say(f, PROXY, WIRE_OPEN, 9, 0, body, n);
	assert_true(says(f, RELAY, WIRE_RESET, 9, WIRE_CODE_RESOURCES));
	for (int i = 0; i < 8; i++)
		open_session(f);
	assert_int_equal(group_open(f->g[PROXY], &o, f->now, &s), -EAGAIN);
	/* Endless ones hold nothing more. */
	for (uint32_t i = 10; i < 5000; i++)
		say(f, PROXY, WIRE_OPEN, i, 0, body, n);
	assert_true(group_sessions(f->g[RELAY]) <= 16);
}

/* A proxy's clients that come now came before they could go directly. */
static void
little_memory_is_for_those_on_their_way(void **state)
{
	struct fixture *f = *state;
	const int64_t limit = 64 << 20, nearly = limit / 100 * 98;
	const int64_t most = limit + limit / 8;
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open o = destination();
	struct session *s;

	for (int e = 0; e < 2; e++)
		budget_hold(&f->budget[e], nearly);
	say(f, PROXY, WIRE_OPEN, 1, 0, body, wire_put_open(body, &o));
	assert_true(says(f, RELAY, WIRE_RESET, 1, WIRE_CODE_RESOURCES));
	assert_int_equal(group_open(f->g[PROXY], &o, f->now, &s), 0);
	budget_hold(&f->budget[PROXY], limit - nearly);
	assert_int_equal(group_open(f->g[PROXY], &o, f->now, &s), 0);
	budget_hold(&f->budget[PROXY], most - limit);
	assert_int_equal(group_open(f->g[PROXY], &o, f->now, &s), -EAGAIN);
	budget_hold(&f->budget[PROXY], -most);
	budget_hold(&f->budget[RELAY], -nearly);
}

static void
framing_that_cannot_be_trusted_closes_the_subflow(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(say(f, PROXY, 0x41, 1, 0, "", 0), -EPROTO);
	assert_int_equal(say(f, PROXY, WIRE_ACK, 1, 1, "x", 1), -EPROTO);
	assert_true(say(f, PROXY, 0x81, 1, 1, "skip", 4) > 0);
}

static void
a_slow_reader_stops_its_sender(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);
	static uint8_t block[4096];
	struct span spans[4];
	size_t given = 0;

	for (int i = 0; i < 200; i++) {
		while (session_read_room(p, spans, 4) > 0 &&
		    spans[0].len >= sizeof(block)) {
			give(f, p, block, sizeof(block));
			given += sizeof(block);
		}
		settle(f);
	}
	assert_in_range(given, WINDOW - 8192, WINDOW + 8192);
	assert_true(f->budget[RELAY].held_bytes < WINDOW + 8192);
}

static void
the_window_opens_when_the_reader_goes_on(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *r;
	static uint8_t block[WIRE_DATA_MAX];
	struct span spans[8];
	size_t given = 0, taken = 0;

	settle(f);
	r = accept_session(f);
	while (given < 10 * WINDOW) {
		int n = session_read_room(p, spans, 1);

		if (n > 0) {
			size_t len = spans[0].len;

			give(f, p, block, len);
			given += len;
		}
		settle(f);
		while ((n = session_peek(r, spans, 8)) > 0) {
			taken += spans[0].len;
			session_consume(r, spans[0].len, f->now);
		}
		settle(f);
	}
	assert_in_range(taken, given - 2 * WINDOW, given);
}

static void
the_stuck_holder_is_shed_when_memory_is_over(void **state)
{
	struct fixture *f = *state;
	struct session *a = open_session(f), *b = open_session(f);
	static uint8_t block[WIRE_DATA_MAX];
	struct session *ra, *rb;

	give(f, a, block, sizeof(block));
	give(f, b, "x", 1);
	settle(f);
	ra = accept_session(f);
	rb = accept_session(f);
	f->now += 2000 * MS;
	assert_true(group_shed(f->g[RELAY], f->now));
	struct session *large = session_peek(ra, &(struct span){ 0 }, 1) > 0 ?
	    rb : ra;
	assert_int_equal(session_state(large), SESSION_ABORT);
	assert_int_equal(session_code(large), WIRE_CODE_RESOURCES);
}

static void
a_subflow_of_the_same_slot_replaces_the_old_one(void **state)
{
	struct fixture *f = *state;
	int replaced;

	assert_int_equal(group_attach(f->g[RELAY], 0, 1, f->now, &replaced),
	    2);
	assert_int_equal(replaced, 1);
	assert_int_equal(group_attach(f->g[RELAY], 1, 1, f->now, &replaced),
	    3);
	assert_int_equal(replaced, -1);
}

static void
a_ping_is_answered_on_its_subflow(void **state)
{
	struct fixture *f = *state;

	settle(f);
	assert_true(group_rtt_us(f->g[PROXY]) > 0);
	group_ping(f->g[PROXY], 1, f->now);
	assert_int_equal(fill(f, PROXY, 0), 0);
	assert_int_equal(fill(f, PROXY, 1), WIRE_CONTROL_MAX);
	deliver(f, PROXY, 1);
	assert_int_equal(fill(f, RELAY, 0), 0);
	assert_int_equal(fill(f, RELAY, 1), WIRE_CONTROL_MAX);
}

static void
a_drain_is_told_on_every_subflow(void **state)
{
	struct fixture *f = *state;

	settle(f);
	group_drain(f->g[RELAY]);
	assert_int_equal(fill(f, RELAY, 0), WIRE_HEADER);
	assert_int_equal(fill(f, RELAY, 1), WIRE_HEADER);
	assert_false(group_draining(f->g[PROXY]));
	deliver(f, RELAY, 0);
	assert_true(group_draining(f->g[PROXY]));
}

static void
features_are_told_where_they_have_changed(void **state)
{
	struct fixture *f = *state;
	uint32_t features = 0;

	settle(f);
	assert_false(group_take_features(f->g[PROXY], &features));
	group_tell_features(f->g[RELAY], 1, 1);
	assert_false(group_wants(f->g[RELAY], 0, f->now));
	assert_true(group_wants(f->g[RELAY], 1, f->now));
	assert_int_equal(fill(f, RELAY, 0), 0);
	assert_int_equal(fill(f, RELAY, 1), WIRE_HEADER + 4);
	deliver(f, RELAY, 1);
	assert_true(group_take_features(f->g[PROXY], &features));
	assert_int_equal(features, 1);
	assert_false(group_take_features(f->g[PROXY], &features));

	/* The last of two is what both say. */
	group_tell_features(f->g[RELAY], -1, 2);
	group_tell_features(f->g[RELAY], -1, 3);
	assert_int_equal(fill(f, RELAY, 0), WIRE_HEADER + 4);
	assert_int_equal(fill(f, RELAY, 1), WIRE_HEADER + 4);
	deliver(f, RELAY, 0);
	assert_true(group_take_features(f->g[PROXY], &features));
	assert_int_equal(features, 3);
	deliver(f, RELAY, 1);
	assert_true(group_take_features(f->g[PROXY], &features));
	assert_int_equal(features, 3);
	assert_int_equal(fill(f, RELAY, 0), 0);
}

/* ---- redundancy ---- */

/* How much DATA of `connection` waits in a queue. */
static size_t
data_in(const struct fixture *f, int e, int subflow, uint32_t connection)
{
	const uint8_t *bytes = f->buf[e][subflow];
	struct cursor c = { bytes, bytes + f->len[e][subflow] };
	struct wire_header h;
	size_t total = 0;

	for (; wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size)
		if (h.type == WIRE_DATA && h.connection == connection)
			total += h.size;
	return total;
}

/* What the first copy was given, and a moment later the second. */
static void
fill_both(struct fixture *f)
{
	fill(f, PROXY, 0);
	fill(f, PROXY, 1);
	f->now += 5 * MS;
	fill(f, PROXY, 0);
	fill(f, PROXY, 1);
}

static void
a_small_burst_goes_on_two_subflows(void **state)
{
	struct fixture *f = *state;
	struct session *p, *r;

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 0, f->now);
	p = open_session(f);
	give(f, p, "GET / HTTP/1.1", 14);
	session_read_end(p, WIRE_CODE_OK, f->now);
	fill_both(f);
	assert_int_equal(data_in(f, PROXY, 0, 1), 14);
	assert_int_equal(data_in(f, PROXY, 1, 1), 14);
	assert_false(group_wants(f->g[PROXY], 0, f->now));
	assert_false(group_wants(f->g[PROXY], 1, f->now));
	/* (Of data: the OPEN went twice as well.) */
	assert_int_equal(group_metrics(f->g[PROXY])->doubled_bytes, 14);
	assert_int_equal(group_metrics(f->g[PROXY])->resent_bytes, 14);

	/* Either brings it all, and the other one nothing more. */
	deliver(f, PROXY, 1);
	r = accept_session(f);
	assert_takes(f, r, "GET / HTTP/1.1");
	assert_int_equal(session_state(r), SESSION_END);
	deliver(f, PROXY, 0);
	assert_int_equal(session_peek(r, &(struct span){ 0 }, 1), 0);
	session_release(p, f->now);
	session_release(r, f->now);
}

/* Serials of DATA in the order of a queue; returns how many. */
static size_t
serials_in(const struct fixture *f, int e, int subflow, uint32_t serials[],
    size_t n)
{
	const uint8_t *bytes = f->buf[e][subflow];
	struct cursor c = { bytes, bytes + f->len[e][subflow] };
	struct wire_header h;
	size_t used = 0;

	for (; wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size)
		if (h.type == WIRE_DATA && used < n)
			serials[used++] = h.serial;
	return used;
}

static void
the_second_copy_goes_from_the_end(void **state)
{
	static const uint8_t bytes[1000];
	struct fixture *f = *state;
	uint32_t first[4], second[4];
	struct session *p;

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 0, f->now);
	p = open_session(f);
	for (int i = 0; i < 3; i++) {
		give(f, p, bytes, sizeof(bytes));
		fill(f, PROXY, 0);
		f->now += 2 * MS;
		assert_int_equal(fill(f, PROXY, 1), 0);
	}
	f->now += 3 * MS;
	fill(f, PROXY, 1);
	assert_int_equal(serials_in(f, PROXY, 0, first, 4), 3);
	assert_int_equal(serials_in(f, PROXY, 1, second, 4), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(second[i], first[2 - i]);
	session_release(p, f->now);
}

static void
what_was_acknowledged_does_not_go_again(void **state)
{
	struct fixture *f = *state;
	struct session *p;

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 0, f->now);
	p = open_session(f);
	give(f, p, "first", 5);
	fill(f, PROXY, 0);
	assert_false(group_wants(f->g[PROXY], 1, f->now));
	assert_true(group_deadline(f->g[PROXY]) <= f->now + 5 * MS);
	f->now += 5 * MS;
	assert_true(group_wants(f->g[PROXY], 1, f->now));
	deliver(f, PROXY, 0);
	f->now += 60 * MS;
	group_tick(f->g[RELAY], f->now);
	fill(f, RELAY, 0);
	deliver(f, RELAY, 0);
	assert_false(group_wants(f->g[PROXY], 1, f->now));
	assert_int_equal(fill(f, PROXY, 1), 0);
	session_release(accept_session(f), f->now);
	session_release(p, f->now);
}

static void
bulk_goes_once(void **state)
{
	static const uint8_t bytes[WINDOW / 2];
	struct fixture *f = *state;
	struct session *p, *r;
	uint64_t doubled;

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 0, f->now);
	p = open_session(f);
	for (size_t sent = 0; sent < sizeof(bytes); sent += 4096) {
		give(f, p, bytes, 4096);
		fill_both(f);
	}
	doubled = group_metrics(f->g[PROXY])->doubled_bytes;
	assert_in_range(doubled, 4096, 10000 + WIRE_OPEN_MAX);

	/* Once all of it has arrived, there may be another burst. */
	settle(f);
	r = accept_session(f);
	session_consume(r, sizeof(bytes), f->now);
	settle(f);
	give(f, p, "next", 4);
	fill_both(f);
	assert_int_equal(group_metrics(f->g[PROXY])->doubled_bytes,
	    doubled + 4);
	session_release(p, f->now);
	session_release(r, f->now);
}

static void
second_copies_are_limited_for_all_together(void **state)
{
	static const uint8_t bytes[3000];
	struct fixture *f = *state;
	struct session *p[4];

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 5000, f->now);
	for (int i = 0; i < 4; i++) {
		p[i] = open_session(f);
		give(f, p[i], bytes, sizeof(bytes));
		fill_both(f);
	}
	assert_in_range(group_metrics(f->g[PROXY])->doubled_bytes, 3000, 5000);
	for (int i = 0; i < 4; i++)
		session_release(p[i], f->now);
}

/* That is an eighth of a rate.  One that is lower is known when it was told, or
 * when there is a queue before it. */
static void
none_go_over_a_link_for_which_that_is_too_much(void **state)
{
	static const uint8_t bytes[1000];
	struct fixture *f = *state;
	struct group_facts facts = {
		.rtt_us = 100 * MS, .rtt_min_us = 100 * MS,
		.rate_bytes_s = 39000, .free_bytes = 1 << 20,
	};
	struct session *p[4];

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 5000, f->now);
	for (int i = 0; i < 4; i++) {
		if (i == 1)
			facts.rtt_us = 200 * MS;
		if (i == 2)
			facts.rate_bytes_s = 41000;
		if (i == 3)
			facts.rate_bytes_s = 39000;
		group_path_rate(f->g[PROXY], 0, i == 3 ? 40000 : 0);
		for (int k = 0; k < 2; k++)
			group_subflow_facts(f->g[PROXY], k, &facts, f->now);
		p[i] = open_session(f);
		give(f, p[i], bytes, sizeof(bytes));
		fill_both(f);
		assert_int_equal(group_metrics(f->g[PROXY])->doubled_bytes,
		    i < 2 ? 1000 : i * 1000);
	}
	for (int i = 0; i < 4; i++)
		session_release(p[i], f->now);
}

static void
a_second_copy_waits_while_another_session_does(void **state)
{
	static const uint8_t bytes[2000];
	struct fixture *f = *state;
	struct session *p[3];

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 0, f->now);
	p[0] = open_session(f);
	give(f, p[0], bytes, 1000);
	fill(f, PROXY, 0);
	p[1] = open_session(f);
	give(f, p[1], bytes, 2000);
	fill(f, PROXY, 1);
	p[2] = open_session(f);
	give(f, p[2], bytes, 1000);
	f->now += 20 * MS;
	assert_int_equal(group_waiting(f->g[PROXY], 1, 1, f->now), 0);
	assert_int_equal(fill(f, PROXY, 1), 0);
	assert_int_equal(group_metrics(f->g[PROXY])->doubled_bytes, 0);

	fill(f, PROXY, 0);
	f->now += 20 * MS;
	assert_true(group_waiting(f->g[PROXY], 1, 1, f->now) > 0);
	fill(f, PROXY, 1);
	assert_int_equal(data_in(f, PROXY, 1, 1), 1000);
	assert_int_equal(data_in(f, PROXY, 1, 3), 1000);
	for (int i = 0; i < 3; i++)
		session_release(p[i], f->now);
}

static void
after_a_death_what_is_small_goes_first(void **state)
{
	static const uint8_t bytes[60000];
	struct fixture *f = *state;
	struct session *p[5];
	size_t before = 0, lost;
	struct wire_header h;

	settle(f);
	group_detach(f->g[PROXY], 1, f->now);
	for (int i = 0; i < 3; i++) {
		p[i] = open_session(f);
		give(f, p[i], bytes, 40000);
	}
	for (int i = 0; i < 4; i++)
		f->len[PROXY][0] = group_fill(f->g[PROXY], 0,
		    f->buf[PROXY][0], 20000, f->now);
	p[3] = open_session(f);
	give(f, p[3], "lost", 4);
	group_fill(f->g[PROXY], 0, f->buf[PROXY][0], 4000, f->now);
	p[4] = open_session(f);
	give(f, p[4], "not sent yet", 12);
	lost = group_metrics(f->g[PROXY])->sent_bytes;
	assert_int_equal(group_attach(f->g[PROXY], 0, 1, f->now, &(int){ 0 }),
	    1);
	group_detach(f->g[PROXY], 0, f->now);

	/* What was lost, the least first, and then what is new. */
	fill(f, PROXY, 1);
	struct cursor c = { f->buf[PROXY][1],
		f->buf[PROXY][1] + f->len[PROXY][1] };
	for (; wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size) {
		if (h.type != WIRE_DATA)
			continue;
		if (before == 0)
			assert_int_equal(h.connection, 4);
		if (h.connection == 5)
			break;
		before += h.size;
	}
	assert_int_equal(h.connection, 5);
	assert_in_range(before, lost, lost + 4);
	for (int i = 0; i < 5; i++)
		session_release(p[i], f->now);
}

static void
another_subflow_makes_no_session_new(void **state)
{
	static const uint8_t bytes[40000];
	struct fixture *f = *state;
	struct session *p[4];

	settle(f);
	group_detach(f->g[PROXY], 1, f->now);
	for (int i = 0; i < 4; i++) {
		p[i] = open_session(f);
		give(f, p[i], bytes, i < 3 ? sizeof(bytes) : 4);
	}
	for (int i = 0; i < 4; i++)
		group_fill(f->g[PROXY], 0, f->buf[PROXY][0], 20000, f->now);
	give(f, p[3], "more", 4);
	assert_int_equal(group_attach(f->g[PROXY], 0, 1, f->now, &(int){ 0 }),
	    1);
	f->len[PROXY][0] = group_fill(f->g[PROXY], 0, f->buf[PROXY][0], 5000,
	    f->now);
	assert_int_equal(data_in(f, PROXY, 0, 4), 4);
	for (int i = 0; i < 4; i++)
		session_release(p[i], f->now);
}

static void
the_first_copy_s_subflow_may_die(void **state)
{
	struct fixture *f = *state;
	struct session *p, *r;
	uint64_t resent;

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 0, f->now);
	p = open_session(f);
	give(f, p, "alive", 5);
	fill_both(f);
	resent = group_metrics(f->g[PROXY])->resent_bytes;
	group_detach(f->g[PROXY], 0, f->now);
	group_detach(f->g[RELAY], 0, f->now);
	f->len[PROXY][0] = 0;
	settle(f);
	assert_int_equal(group_metrics(f->g[PROXY])->resent_bytes, resent);
	r = accept_session(f);
	assert_takes(f, r, "alive");
	session_release(p, f->now);
	session_release(r, f->now);
}

/* The second copy is due on a subflow that is gone: it may go elsewhere, or
 * not, but nothing waits for it. */
static void
the_second_copy_s_subflow_may_die(void **state)
{
	struct fixture *f = *state;
	struct session *p, *r;

	settle(f);
	group_redundancy(f->g[PROXY], 10000, 0, f->now);
	p = open_session(f);
	give(f, p, "alone", 5);
	fill(f, PROXY, 0);
	group_detach(f->g[PROXY], 1, f->now);
	group_detach(f->g[RELAY], 1, f->now);
	give(f, p, " again", 6);
	settle(f);
	r = accept_session(f);
	assert_takes(f, r, "alone again");
	session_release(p, f->now);
	session_release(r, f->now);
}

/* ---- paths ---- */

/* Subflow 1 is another path's, a backup. */
static void
make_backup(struct fixture *f)
{
	const struct wire_path backup = { .backup = true, .weight = 100 };
	int replaced;

	group_path(f->g[PROXY], 1, &backup, f->now);
	for (int e = 0; e < 2; e++) {
		group_detach(f->g[e], 1, f->now);
		assert_int_equal(group_attach(f->g[e], 1, 0, f->now,
		    &replaced), 1);
	}
	assert_int_equal(fill(f, PROXY, 1), WIRE_CONTROL_MAX +
	    WIRE_HEADER + 6);		/* PING and PATH */
	settle(f);
}

static void
a_backup_carries_nothing_while_another_path_lives(void **state)
{
	struct fixture *f = *state;
	int replaced;

	make_backup(f);
	struct session *p = open_session(f);
	give(f, p, "one ", 4);
	assert_false(group_wants(f->g[PROXY], 1, f->now));
	assert_int_equal(fill(f, PROXY, 1), 0);
	settle(f);
	struct session *r = accept_session(f);
	give(f, r, "a", 1);
	assert_int_equal(fill(f, RELAY, 1), 0);
	assert_true(fill(f, RELAY, 0) > 0);
	settle(f);

	/* It takes over what is under way, */
	give(f, p, "two ", 4);
	give(f, r, "b", 1);
	assert_true(fill(f, PROXY, 0) > 0);
	assert_true(fill(f, RELAY, 0) > 0);
	for (int e = 0; e < 2; e++) {
		f->len[e][0] = 0;
		group_detach(f->g[e], 0, f->now);
		assert_true(fill(f, e, 1) > 0);
	}
	settle(f);
	assert_takes(f, p, "ab");
	struct paths_counts counts = group_path_counts(f->g[PROXY], 1);
	assert_int_equal(counts.resent_bytes, 4);
	assert_int_equal(group_path_counts(f->g[PROXY], 0).resent_bytes, 0);
	assert_int_equal(counts.sent_bytes,
	    group_path_counts(f->g[RELAY], 1).received_bytes);

	/* and gives it back. */
	for (int e = 0; e < 2; e++)
		assert_int_equal(group_attach(f->g[e], 0, 0, f->now,
		    &replaced), 0);
	settle(f);
	give(f, p, "three", 5);
	assert_int_equal(fill(f, PROXY, 1), 0);
	assert_true(fill(f, PROXY, 0) > 0);
	settle(f);
	assert_takes(f, r, "one two three");
}

static void
a_path_is_told_again_when_it_changes(void **state)
{
	struct fixture *f = *state;
	struct wire_path path = { .weight = 100 };

	make_backup(f);
	group_path(f->g[PROXY], 1, &path, f->now);
	assert_true(group_wants(f->g[PROXY], 1, f->now));
	assert_int_equal(fill(f, PROXY, 0), 0);
	assert_int_equal(fill(f, PROXY, 1), WIRE_HEADER + 6);
	assert_false(group_subflow_used(f->g[RELAY], 1));
	deliver(f, PROXY, 1);
	assert_true(group_subflow_used(f->g[RELAY], 1));
	group_path(f->g[PROXY], 1, &path, f->now);
	assert_false(group_wants(f->g[PROXY], 1, f->now));

	/* Also when it is as at first, which goes without saying otherwise. */
	int replaced;
	group_detach(f->g[PROXY], 1, f->now);
	assert_int_equal(group_attach(f->g[PROXY], 1, 0, f->now, &replaced),
	    1);
	assert_true(says(f, PROXY, WIRE_PATH, 0, 0));
}

static void
a_path_is_not_told_by_the_relay(void **state)
{
	struct fixture *f = *state;
	static const uint8_t backup[] = { 1, 100 };
	int replaced;

	group_detach(f->g[PROXY], 1, f->now);
	assert_int_equal(group_attach(f->g[PROXY], 1, 0, f->now, &replaced),
	    1);
	say(f, RELAY, WIRE_PATH, 0, 0, backup, 2);
	assert_true(group_subflow_used(f->g[PROXY], 0));
}

static void
the_rate_of_a_path_is_told(void **state)
{
	struct fixture *f = *state;
	struct wire_path path = { .weight = 100, .receive_kbit = 20000 };

	assert_int_equal(group_path_news(f->g[RELAY]), -1);
	group_path(f->g[PROXY], 0, &path, f->now);
	settle(f);
	assert_int_equal(group_path_news(f->g[RELAY]), 0);
	assert_int_equal(group_path_said(f->g[RELAY], 0).receive_kbit, 20000);
	path.receive_kbit = 0;
	group_path(f->g[PROXY], 0, &path, f->now);
	settle(f);
	assert_int_equal(group_path_news(f->g[RELAY]), 0);
	assert_int_equal(group_path_said(f->g[RELAY], 0).receive_kbit, 0);
	assert_int_equal(group_path_news(f->g[RELAY]), -1);
}

/* Subflow 1 is another path's. */
static void
add_path(struct fixture *f)
{
	int replaced;

	for (int e = 0; e < 2; e++) {
		group_detach(f->g[e], 1, f->now);
		assert_int_equal(group_attach(f->g[e], 1, 0, f->now,
		    &replaced), 1);
	}
	settle(f);
}

/* The proxy has lost a path, and the relay sees nothing of that. */
static void
what_was_on_a_lost_path_goes_at_once(void **state)
{
	struct fixture *f = *state;

	add_path(f);
	struct session *p = open_session(f);
	give(f, p, "?", 1);
	settle(f);
	struct session *r = accept_session(f);
	group_detach(f->g[RELAY], 0, f->now);	/* so it goes on the other */
	give(f, r, "under way", 9);
	assert_true(fill(f, RELAY, 1) > 0);
	f->len[RELAY][1] = 0;
	int replaced;
	assert_int_equal(group_attach(f->g[RELAY], 0, 0, f->now, &replaced),
	    0);
	fill(f, RELAY, 0);
	f->len[RELAY][0] = 0;

	group_detach(f->g[PROXY], 1, f->now);
	assert_true(group_wants(f->g[PROXY], 0, f->now));
	assert_int_equal(fill(f, PROXY, 0), WIRE_HEADER + 1);
	deliver(f, PROXY, 0);
	assert_false(group_subflow_used(f->g[RELAY], 1));
	assert_true(fill(f, RELAY, 0) > 0);
	deliver(f, RELAY, 0);
	assert_takes(f, p, "under way");
	assert_false(says(f, PROXY, WIRE_LOST, 0, 1));	/* it was said once */
}

static void
a_path_that_was_lost_is_used_when_it_answers(void **state)
{
	static const uint8_t one = 1;
	struct fixture *f = *state;

	add_path(f);
	f->now += MS;
	fill(f, RELAY, 1);		/* what was asked before says nothing */
	group_ping(f->g[RELAY], 1, f->now);
	fill(f, RELAY, 1);
	f->now += MS;
	say(f, PROXY, WIRE_LOST, 0, 0, &one, 1);
	assert_false(group_subflow_used(f->g[RELAY], 1));
	deliver(f, RELAY, 1);
	fill(f, PROXY, 1);
	deliver(f, PROXY, 1);
	assert_false(group_subflow_used(f->g[RELAY], 1));

	fill(f, RELAY, 1);		/* it was asked again */
	deliver(f, RELAY, 1);
	fill(f, PROXY, 1);
	deliver(f, PROXY, 1);
	assert_true(group_subflow_used(f->g[RELAY], 1));
}

static void
a_path_that_is_back_was_not_lost(void **state)
{
	struct fixture *f = *state;
	int replaced;

	add_path(f);
	group_detach(f->g[PROXY], 1, f->now);
	assert_int_equal(group_attach(f->g[PROXY], 1, 0, f->now, &replaced),
	    1);
	assert_false(group_wants(f->g[PROXY], 0, f->now));

	/* Another one of it, which the proxy lost after that, is there. */
	assert_int_equal(group_attach(f->g[PROXY], 1, 1, f->now, &replaced),
	    2);
	group_detach(f->g[PROXY], 1, f->now);
	assert_false(group_wants(f->g[PROXY], 0, f->now));
}

static void
loss_of_all_paths_is_not_believed(void **state)
{
	struct fixture *f = *state;
	static const uint8_t paths[] = { 0, 1 };

	add_path(f);
	say(f, PROXY, WIRE_LOST, 0, 0, &paths[0], 1);
	assert_false(group_subflow_used(f->g[RELAY], 0));
	say(f, PROXY, WIRE_LOST, 0, 0, &paths[1], 1);
	assert_true(group_subflow_used(f->g[RELAY], 0));
	assert_true(group_subflow_used(f->g[RELAY], 1));
	/* Nor what a relay says. */
	say(f, RELAY, WIRE_LOST, 0, 0, &paths[1], 1);
	assert_true(group_subflow_used(f->g[PROXY], 1));
}

static void
an_unused_path_is_asked_when_all_others_are_silent(void **state)
{
	struct fixture *f = *state;
	bool asked[2] = { false, false };

	make_backup(f);
	give(f, open_session(f), "x", 1);
	fill(f, PROXY, 0);
	for (int i = 0; i < 400 && !asked[1]; i++) {
		f->now += 50 * MS;
		group_tick(f->g[PROXY], f->now);
		for (int k = 0; k < 2; k++) {
			f->len[PROXY][k] = 0;
			if (fill(f, PROXY, k) > 0)
				asked[k] = true;
			assert_true(asked[0] || !asked[1]);
		}
	}
	assert_true(asked[1]);
}

static void
a_forgotten_group_resets_its_sessions(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *waiting;

	settle(f);
	waiting = open_session(f);
	group_reset_all(f->g[PROXY], WIRE_CODE_UNKNOWN, f->now);
	assert_int_equal(session_state(p), SESSION_ABORT);
	assert_int_equal(session_state(waiting), SESSION_ABORT);
	assert_int_equal(group_sessions(f->g[PROXY]), 0);
	session_release(p, f->now);
	session_release(waiting, f->now);
}

static void
sessions_that_end_without_a_subflow_leave_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t held = 0;

	group_detach(f->g[PROXY], 0, f->now);
	group_detach(f->g[PROXY], 1, f->now);
	for (int i = 0; i < 100; i++) {
		session_release(open_session(f), f->now);
		if (i == 0)
			held = f->budget[PROXY].held_bytes;
		assert_true(f->budget[PROXY].held_bytes <= held);
	}
	group_tick(f->g[PROXY], f->now);
	assert_int_equal(f->budget[PROXY].held_bytes, 0);
}

static void
who_holds_nothing_is_not_shed(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *r;

	give(f, p, "a", 1);
	settle(f);
	r = accept_session(f);
	assert_takes(f, r, "a");
	f->now += 10000 * MS;
	budget_hold(&f->budget[RELAY], 64 << 20);
	assert_int_equal(budget_level(&f->budget[RELAY]), BUDGET_OVER);
	assert_false(group_shed(f->g[RELAY], f->now));
	/* Nor who has just been given something. */
	give(f, p, "b", 1);
	settle(f);
	assert_false(group_shed(f->g[RELAY], f->now));
	f->now += 2000 * MS;
	assert_true(group_shed(f->g[RELAY], f->now));
	assert_int_equal(session_state(r), SESSION_ABORT);
	budget_hold(&f->budget[RELAY], -(64 << 20));
}

static void
what_the_peer_does_not_take_is_shed_too(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *r;
	static uint8_t block[WIRE_DATA_MAX];

	give(f, p, "a", 1);
	settle(f);
	r = accept_session(f);
	assert_takes(f, r, "a");
	f->now += 20000 * MS;
	/* It has just been given something. */
	give(f, r, block, sizeof(block));
	fill(f, RELAY, 0);
	assert_false(group_shed(f->g[RELAY], f->now));
	f->now += 9000 * MS;
	assert_false(group_shed(f->g[RELAY], f->now));
	/* It takes some. */
	settle(f);
	give(f, r, block, sizeof(block));
	f->now += 9000 * MS;
	assert_false(group_shed(f->g[RELAY], f->now));
	f->now += 1000 * MS;
	assert_true(group_shed(f->g[RELAY], f->now));
	assert_int_equal(session_state(r), SESSION_ABORT);
	assert_int_equal(session_code(r), WIRE_CODE_RESOURCES);
	assert_false(group_shed(f->g[RELAY], f->now));
}

static void
when_memory_is_over_a_refusal_is_not_remembered(void **state)
{
	struct fixture *f = *state;
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open o = destination();
	size_t n = wire_put_open(body, &o);

	budget_hold(&f->budget[RELAY], 64 << 20);
	for (uint32_t i = 1; i <= 3; i++)
		say(f, PROXY, WIRE_OPEN, i, 0, body, n);
	assert_int_equal(group_sessions(f->g[RELAY]), 0);
	assert_int_equal(f->budget[RELAY].held_bytes, 64 << 20);
	assert_true(says(f, RELAY, WIRE_RESET, 3, WIRE_CODE_UNKNOWN));
	budget_hold(&f->budget[RELAY], -(64 << 20));
}

static void
an_opened_that_says_what_we_must_know_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f), *q = open_session(f);
	const uint8_t required[] = { 1, 0 }, optional[] = { 0x81, 0 };

	settle(f);
	say(f, RELAY, WIRE_OPENED, 1, 0, required, sizeof(required));
	assert_int_equal(session_state(p), SESSION_ABORT);
	assert_true(says(f, PROXY, WIRE_RESET, 1, WIRE_CODE_PROTOCOL));
	say(f, RELAY, WIRE_OPENED, 2, 0, optional, sizeof(optional));
	assert_true(session_is_opened(q));
}

/* A frame of this type for session 1, on this subflow and no other. */
static bool
only_on(struct fixture *f, int e, int subflow, uint8_t type)
{
	bool found[2] = { false, false };

	for (int i = 0; i < 2; i++) {
		fill(f, e, i);
		struct cursor c = { f->buf[e][i], f->buf[e][i] + f->len[e][i] };
		struct wire_header h;

		while (wire_get_header(&c, &h) == WIRE_OK) {
			if (h.type == type && h.connection == 1)
				found[i] = true;
			c.pos += h.size;
		}
		f->len[e][i] = 0;
	}
	return found[subflow] && !found[!subflow];
}

static void
an_abort_is_repeated_where_it_was_not_tried(void **state)
{
	struct fixture *f = *state;
	struct session *p = open_session(f);

	settle(f);
	session_abort(p, WIRE_CODE_OK, f->now);
	assert_true(only_on(f, PROXY, 0, WIRE_RESET));
	f->now += 2000 * MS;
	group_tick(f->g[PROXY], f->now);
	assert_true(only_on(f, PROXY, 1, WIRE_RESET));
	/* The death of the last is no reason to wait for the clock. */
	group_detach(f->g[PROXY], 1, f->now);
	assert_true(only_on(f, PROXY, 0, WIRE_RESET));
	session_release(p, f->now);
}

static void
an_ask_is_answered_on_its_own_subflow(void **state)
{
	struct fixture *f = *state;

	open_session(f);
	settle(f);
	f->len[PROXY][1] = wire_put_ask(f->buf[PROXY][1], 1, 1);
	deliver(f, PROXY, 1);
	/* An ACK may leave on another too, but that one may swallow it. */
	fill(f, RELAY, 0);
	f->len[RELAY][0] = 0;
	assert_true(only_on(f, RELAY, 1, WIRE_ACK));
	assert_int_equal(fill(f, RELAY, 0) + fill(f, RELAY, 1), 0);
	/* It is not owed to a subflow that has died. */
	f->len[PROXY][1] = wire_put_ask(f->buf[PROXY][1], 1, 1);
	deliver(f, PROXY, 1);
	fill(f, RELAY, 0);
	f->len[RELAY][0] = 0;
	group_detach(f->g[RELAY], 1, f->now);
	assert_int_equal(fill(f, RELAY, 0), 0);
}

static void
a_burst_of_resets_is_answered_at_once(void **state)
{
	enum { BURST = 1000 };
	struct fixture *f = *state;
	size_t asked = 0;

	settle(f);
	for (uint32_t i = 1; i <= BURST; i++)
		asked += wire_put_reset(f->buf[RELAY][0] + asked, i,
		    WIRE_CODE_OK);
	f->len[RELAY][0] = asked;
	assert_int_equal(deliver(f, RELAY, 0), asked);
	assert_int_equal(fill(f, PROXY, 0), asked);
}

/* Each of them is granted its window before the first is offered any. */
static void
sessions_opened_at_once_are_offered_no_more_than_one_by_one(void **state)
{
	const uint64_t limit = 16 << 20, sessions = 100;
	static uint8_t out[1 << 20];
	uint8_t frame[WIRE_HEADER + WIRE_OPEN_MAX];
	struct wire_open o = destination();
	struct budget budget;
	int replaced;

	(void)state;
	budget_init(&budget, limit);
	struct group *g = group_new(&(struct group_options){
		.initial_window = WIRE_DATA_MAX + WIRE_COST,
		.start_window = 1 << 20, .window_max = 1 << 20,
		.max_sessions = 200, .datagram_max = WIRE_DATA_MAX,
		.budget = &budget,
	});
	group_peer_window(g, WINDOW);
	assert_int_equal(group_attach(g, 0, 0, 1, &replaced), 0);
	for (uint32_t i = 1; i <= sessions; i++) {
		size_t n = wire_put_open(frame + WIRE_HEADER, &o);

		wire_put_header(frame, &(struct wire_header){
			.type = WIRE_OPEN, .size = (uint16_t)n,
			.connection = i,
		});
		assert_int_equal(group_take(g, 0, frame, WIRE_HEADER + n, 1),
		    WIRE_HEADER + n);
	}
	assert_int_equal(group_sessions(g), sessions);
	assert_true(group_fill(g, 0, out, sizeof(out), 1) > 0);
	assert_in_range(budget.offered_bytes, limit / 4, limit / 2 +
	    sessions * (WIRE_DATA_MAX + WIRE_COST));
	group_free(g);
}

/* Its TCP has so much to send and does not move. */
static void
stand_still(struct fixture *f, int e, int subflow, uint32_t waiting)
{
	struct group_facts facts = { .rtt_us = 1000, .acked_bytes = 7,
		.waiting_bytes = waiting, .free_bytes = 1 << 20 };

	for (int i = 0; i < 12; i++) {
		group_subflow_facts(f->g[e], subflow, &facts, f->now);
		f->now += 100 * MS;
	}
}

static void
move(struct fixture *f, int e, int subflow)
{
	struct group_facts facts = { .rtt_us = 1000, .acked_bytes = 8,
		.waiting_bytes = 1, .free_bytes = 1 << 20 };

	group_subflow_facts(f->g[e], subflow, &facts, f->now);
}

static void
what_a_suspect_carries_goes_over_the_others(void **state)
{
	struct fixture *f = *state;
	struct session *c = open_session(f);

	settle(f);
	struct session *r = accept_session(f);
	give(f, c, "lost?", 5);
	assert_true(fill(f, PROXY, 0) > 0);
	f->len[PROXY][0] = 0;
	assert_int_equal(fill(f, PROXY, 1), 0);
	stand_still(f, PROXY, 0, 50);
	assert_true(group_subflow_suspect(f->g[PROXY], 0));
	assert_false(group_wants(f->g[PROXY], 0, f->now));
	assert_int_equal(fill(f, PROXY, 0), 0);
	assert_true(fill(f, PROXY, 1) > 0);
	deliver(f, PROXY, 1);
	assert_takes(f, r, "lost?");
	assert_int_equal(group_metrics(f->g[PROXY])->resent_bytes, 5);
	/* What comes now goes there at once. */
	give(f, c, "more", 4);
	assert_int_equal(fill(f, PROXY, 0), 0);
	assert_true(fill(f, PROXY, 1) > 0);
	deliver(f, PROXY, 1);
	assert_takes(f, r, "more");
	move(f, PROXY, 0);
	assert_false(group_subflow_suspect(f->g[PROXY], 0));
	settle(f);
	assert_false(group_subflow_busy(f->g[PROXY], 0));
	group_detach(f->g[PROXY], 1, f->now);
	give(f, c, "again", 5);
	assert_true(fill(f, PROXY, 0) > 0);
	f->len[PROXY][0] = f->len[PROXY][1] = 0;
}

/* The other bulk one may be new, with little room. */
static void
what_a_lost_bulk_subflow_carried_an_express_one_takes_too(void **state)
{
	static const uint8_t bytes[3 * WIRE_DATA_MAX];
	static const uint8_t window[] = { 0, 0x40, 0, 0 };
	static uint8_t out[4 * WIRE_DATA_MAX];
	struct fixture *f = *state;
	struct group *g = f->g[PROXY];
	struct session *p = open_session(f);
	uint64_t resent;
	int bulk[2], replaced;

	settle(f);
	assert_int_equal(say(f, RELAY, WIRE_ACK, 1, 1, window,
	    sizeof(window)), WIRE_HEADER + sizeof(window));
	for (uint8_t i = 0; i < 2; i++) {
		bulk[i] = group_attach(g, 0, WIRE_SLOT_BULK + i, f->now,
		    &replaced);
		assert_true(bulk[i] > 1);
		group_fill(g, bulk[i], out, sizeof(out), f->now);
	}
	for (size_t sent = 0; sent < 128 * 1024; sent += 4096) {
		give(f, p, bytes, 4096);
		fill(f, PROXY, 0);
		fill(f, PROXY, 1);
	}
	f->len[PROXY][0] = f->len[PROXY][1] = 0;
	give(f, p, bytes, sizeof(bytes));
	assert_false(group_wants(g, 0, f->now));
	assert_true(group_fill(g, bulk[0], out, sizeof(out), f->now) >
	    sizeof(bytes));
	resent = group_metrics(g)->resent_bytes;
	group_detach(g, bulk[0], f->now);
	assert_true(group_wants(g, bulk[1], f->now));
	assert_true(group_wants(g, 0, f->now));
	assert_true(fill(f, PROXY, 0) > sizeof(bytes));
	assert_int_equal(group_metrics(g)->resent_bytes - resent,
	    sizeof(bytes));
	assert_false(group_wants(g, bulk[1], f->now));
	/* What is new waits for a bulk one. */
	give(f, p, bytes, sizeof(bytes));
	assert_false(group_wants(g, 0, f->now));
	assert_true(group_wants(g, bulk[1], f->now));
	session_release(p, f->now);
}

/* Each takes a first window and no more; what of a burst is left over is for
 * all, and what is new to say waits for one that takes it. */
static void
a_new_subflow_is_given_its_first_window(void **state)
{
	static const uint8_t bytes[64 * 1024];
	static const uint8_t wide[] = { 0, 0x40, 0, 0 };
	static uint8_t out[4 * WIRE_DATA_MAX];
	const struct group_facts facts = { .rtt_us = 600000,
		.rate_bytes_s = 24000, .free_bytes = 14480 };
	const size_t window = 14480 + 24000 / 8, datagram = 4096 + 1024;
	struct fixture *f = *state;
	struct group *g = f->g[PROXY];
	struct session *p = open_session(f);
	size_t some;
	int bulk, replaced;

	settle(f);
	assert_int_equal(say(f, RELAY, WIRE_ACK, 1, 1, wide, sizeof(wide)),
	    WIRE_HEADER + sizeof(wide));
	bulk = group_attach(g, 0, WIRE_SLOT_BULK, f->now, &replaced);
	group_fill(g, bulk, out, sizeof(out), f->now);
	for (int i = 0; i < 2; i++)
		group_subflow_facts(g, i, &facts, f->now);
	group_subflow_facts(g, bulk, &facts, f->now);
	give(f, p, bytes, sizeof(bytes));
	some = fill(f, PROXY, 0) + fill(f, PROXY, 1);
	assert_true(some >= window && some < window + datagram);
	assert_false(group_wants(g, 0, f->now));
	assert_true(group_wants(g, bulk, f->now));
	some = group_fill(g, bulk, out, sizeof(out), f->now);
	assert_true(some >= window && some < window + datagram);
	assert_false(group_wants(g, bulk, f->now));
	/* Its window lets out more. */
	group_subflow_facts(g, bulk, &facts, f->now);
	assert_true(group_wants(g, bulk, f->now));
	session_release(p, f->now);
}

static void
when_all_are_suspect_nothing_is_sent_again(void **state)
{
	struct fixture *f = *state;
	struct session *c = open_session(f);
	int replaced;

	settle(f);
	give(f, c, "lost?", 5);
	fill(f, PROXY, 0);
	fill(f, PROXY, 1);
	f->len[PROXY][0] = 0;
	stand_still(f, PROXY, 1, 50);
	stand_still(f, PROXY, 0, 50);
	assert_int_equal(fill(f, PROXY, 0) + fill(f, PROXY, 1), 0);
	assert_int_equal(group_metrics(f->g[PROXY])->resent_bytes, 0);
	/* A new one is where it goes. */
	int number = group_attach(f->g[PROXY], 0, 2, f->now, &replaced);
	assert_true(group_wants(f->g[PROXY], number, f->now));
	assert_true(group_fill(f->g[PROXY], number, f->buf[PROXY][0], 20000,
	    f->now) > 0);
	assert_int_equal(group_metrics(f->g[PROXY])->resent_bytes, 5);
}

static void
a_path_is_doubtful_as_a_whole(void **state)
{
	struct fixture *f = *state;
	int replaced;

	settle(f);
	assert_int_equal(group_attach(f->g[PROXY], 1, 0, f->now, &replaced),
	    2);
	f->now += 1;
	stand_still(f, PROXY, 0, 50);
	assert_true(group_subflow_suspect(f->g[PROXY], 0));
	assert_false(group_subflow_suspect(f->g[PROXY], 1));
	assert_false(group_subflow_used(f->g[PROXY], 1));
	assert_true(group_subflow_used(f->g[PROXY], 2));

	/* It is asked, and moves: the other one was alone. */
	assert_int_equal(fill(f, PROXY, 1), WIRE_CONTROL_MAX);
	move(f, PROXY, 1);
	assert_true(group_subflow_used(f->g[PROXY], 1));
	assert_false(group_subflow_used(f->g[PROXY], 0));

	/* Without another path there is nothing to choose from. */
	group_detach(f->g[PROXY], 2, f->now);
	stand_still(f, PROXY, 0, 60);
	assert_true(group_subflow_used(f->g[PROXY], 1));
}

/* Subflow 1 is another path's; both have their round trips. */
static void
make_paths(struct fixture *f, uint32_t first_us, uint32_t second_us)
{
	struct group_facts facts = { .acked_bytes = 1, .rate_bytes_s = 1 << 20,
		.free_bytes = 1 << 20 };
	int replaced;

	for (int e = 0; e < 2; e++) {
		group_detach(f->g[e], 1, f->now);
		assert_int_equal(group_attach(f->g[e], 1, 0, f->now,
		    &replaced), 1);
	}
	settle(f);
	facts.rtt_us = facts.rtt_min_us = first_us;
	group_subflow_facts(f->g[PROXY], 0, &facts, f->now);
	facts.rtt_us = facts.rtt_min_us = second_us;
	group_subflow_facts(f->g[PROXY], 1, &facts, f->now);
}

/* Of 8 sessions, how many write their first bytes to subflow 1? */
static int
count_on_second(struct fixture *f)
{
	int n = 0;

	for (int i = 0; i < 8; i++) {
		give(f, open_session(f), "x", 1);
		n += fill(f, PROXY, 1) > 0;
		fill(f, PROXY, 0);
		f->len[PROXY][0] = f->len[PROXY][1] = 0;
	}
	return n;
}

static void
small_sessions_go_where_they_arrive_first(void **state)
{
	struct fixture *f = *state;

	make_paths(f, 600000, 50000);
	group_path(f->g[PROXY], 1, &(struct wire_path){ .weight = 1 }, f->now);
	fill(f, PROXY, 1);
	f->len[PROXY][1] = 0;
	assert_int_equal(count_on_second(f), 8);
}

/* Both take as long for a byte. */
static void
a_burst_goes_where_its_last_byte_arrives_first(void **state)
{
	struct fixture *f = *state;
	static const uint8_t burst[50000];

	make_paths(f, 50000, 50000);
	group_path_rate(f->g[PROXY], 0, 125000);
	group_path_rate(f->g[PROXY], 1, 2500000);
	for (int i = 0; i < 4; i++) {
		struct session *c = open_session(f);

		settle(f);
		give(f, c, burst, sizeof(burst));
		assert_int_equal(fill(f, PROXY, 0), 0);
		assert_true(fill(f, PROXY, 1) > sizeof(burst));
		f->len[PROXY][1] = 0;
	}
}

static void
small_sessions_go_by_weight_where_that_is_alike(void **state)
{
	struct fixture *f = *state;

	make_paths(f, 50000, 55000);
	group_path(f->g[PROXY], 1, &(struct wire_path){ .weight = 33 }, f->now);
	fill(f, PROXY, 1);
	f->len[PROXY][1] = 0;
	assert_int_equal(count_on_second(f), 2);
}

static void
what_a_suspect_carried_and_has_left_is_not_sent_again(void **state)
{
	struct fixture *f = *state;
	struct session *c = open_session(f);

	settle(f);
	give(f, c, "late", 4);
	fill(f, PROXY, 0);
	stand_still(f, PROXY, 0, 50);
	move(f, PROXY, 0);
	fill(f, PROXY, 1);
	assert_int_equal(group_metrics(f->g[PROXY])->resent_bytes, 0);
}

static void
an_ack_does_not_stay_with_a_suspect(void **state)
{
	struct fixture *f = *state;
	struct session *c = open_session(f);

	settle(f);
	struct session *r = accept_session(f);
	give(f, c, "x", 1);
	settle(f);
	assert_takes(f, r, "x");
	give(f, c, "y", 1);
	fill(f, PROXY, 0);
	deliver(f, PROXY, 0);
	f->now += 60 * MS;
	group_tick(f->g[RELAY], f->now);
	assert_true(fill(f, RELAY, 0) > 0);	/* the ACK */
	f->len[RELAY][0] = 0;
	stand_still(f, RELAY, 0, 50);
	assert_int_equal(fill(f, RELAY, 0), 0);
	assert_true(fill(f, RELAY, 1) > 0);
	deliver(f, RELAY, 1);
	assert_false(group_subflow_busy(f->g[PROXY], 0));
}

/* A session waits for a relay that nobody has heard of, with an end already. */
static void
what_was_not_sent_goes_on_in_another_group(void **state)
{
	struct fixture *f = *state;
	struct group_options o = {
		.proxy = true, .initial_window = WINDOW,
		.start_window = WINDOW, .window_max = 4 * WINDOW,
		.max_sessions = 8, .datagram_max = WIRE_DATA_MAX,
		.budget = &f->budget[PROXY],
	};
	struct group *waiting = group_new(&o);
	struct wire_open open = destination();
	struct session *s, *moved, *r;

	assert_int_equal(group_open(waiting, &open, f->now, &s), 0);
	session_set_user(s, f);
	give(f, s, "all of it", 9);
	session_read_end(s, WIRE_CODE_OK, f->now);
	assert_false(session_is_sent(s));
	assert_int_equal(group_adopt(f->g[PROXY], s, f->now, &moved), 0);
	session_set_user(moved, f);
	session_release(s, f->now);
	group_free(waiting);
	assert_int_equal(session_bytes_out(moved), 9);
	settle(f);
	assert_true(session_is_sent(moved));
	r = accept_session(f);
	assert_non_null(r);
	assert_takes(f, r, "all of it");
	assert_int_equal(session_state(r), SESSION_END);
	give(f, r, "answer", 6);
	session_read_end(r, WIRE_CODE_OK, f->now);
	settle(f);
	assert_takes(f, moved, "answer");
	assert_int_equal(session_state(moved), SESSION_END);
	session_release(moved, f->now);
	session_release(r, f->now);
	settle(f);
	assert_int_equal(group_sessions(f->g[PROXY]), 0);
}

static void
a_drain_is_told_on_later_subflows_too(void **state)
{
	struct fixture *f = *state;
	int replaced;

	group_drain(f->g[RELAY]);
	for (int i = 0; i < 2; i++) {
		fill(f, RELAY, i);
		f->len[RELAY][i] = 0;		/* it is lost */
		group_detach(f->g[RELAY], i, f->now);
		group_detach(f->g[PROXY], i, f->now);
	}
	for (int e = 0; e < 2; e++)
		assert_int_equal(group_attach(f->g[e], 0, 0, f->now,
		    &replaced), 0);
	fill(f, RELAY, 0);
	deliver(f, RELAY, 0);
	assert_true(group_draining(f->g[PROXY]));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_first_flight_opens_offers_and_carries_data),
		T(a_conversation_ends_cleanly_on_both_sides),
		T(an_open_goes_first_on_every_subflow_until_acknowledged),
		T(a_late_copy_of_an_open_opens_nothing),
		T(a_reset_that_overtook_its_open_keeps_it_closed),
		T(an_open_that_contradicts_the_first_is_a_fault_of_its_session),
		T(an_open_without_a_destination_is_refused_alone),
		T(data_beyond_the_window_costs_its_session_only),
		T(an_ack_of_what_was_not_sent_costs_its_session_only),
		T(a_second_fin_elsewhere_is_a_fault),
		T(data_after_fin_is_a_fault),
		T(a_fin_waits_for_the_data_before_it),
		T(what_was_sent_before_a_reset_is_delivered_first),
		T(an_abort_is_repeated_until_it_is_answered),
		T(reset_7_after_the_fin_is_a_clean_end),
		T(reset_7_before_the_fin_is_a_cut),
		T(a_frame_for_nobody_is_answered_with_reset_7),
		T(an_ask_is_answered_at_once),
		T(silence_makes_a_sender_ask_with_back_off),
		T(a_pong_that_stood_still_does_not_put_off_the_asking),
		T(a_late_pong_is_asked_for_again),
		T(a_lost_ack_is_owed_again_when_its_subflow_dies),
		T(more_sessions_than_allowed_are_refused),
		T(little_memory_is_for_those_on_their_way),
		T(framing_that_cannot_be_trusted_closes_the_subflow),
		T(a_slow_reader_stops_its_sender),
		T(the_window_opens_when_the_reader_goes_on),
		T(the_stuck_holder_is_shed_when_memory_is_over),
		T(a_subflow_of_the_same_slot_replaces_the_old_one),
		T(a_ping_is_answered_on_its_subflow),
		T(a_drain_is_told_on_every_subflow),
		T(features_are_told_where_they_have_changed),
		T(a_small_burst_goes_on_two_subflows),
		T(the_second_copy_goes_from_the_end),
		T(what_was_acknowledged_does_not_go_again),
		T(bulk_goes_once),
		T(second_copies_are_limited_for_all_together),
		T(none_go_over_a_link_for_which_that_is_too_much),
		T(a_second_copy_waits_while_another_session_does),
		T(after_a_death_what_is_small_goes_first),
		T(another_subflow_makes_no_session_new),
		T(the_first_copy_s_subflow_may_die),
		T(the_second_copy_s_subflow_may_die),
		T(a_backup_carries_nothing_while_another_path_lives),
		T(a_path_is_told_again_when_it_changes),
		T(a_path_is_not_told_by_the_relay),
		T(the_rate_of_a_path_is_told),
		T(what_was_on_a_lost_path_goes_at_once),
		T(a_path_that_was_lost_is_used_when_it_answers),
		T(a_path_that_is_back_was_not_lost),
		T(loss_of_all_paths_is_not_believed),
		T(an_unused_path_is_asked_when_all_others_are_silent),
		T(a_path_is_doubtful_as_a_whole),
		T(small_sessions_go_where_they_arrive_first),
		T(a_burst_goes_where_its_last_byte_arrives_first),
		T(small_sessions_go_by_weight_where_that_is_alike),
		T(a_forgotten_group_resets_its_sessions),
		T(sessions_that_end_without_a_subflow_leave_nothing),
		T(who_holds_nothing_is_not_shed),
		T(what_the_peer_does_not_take_is_shed_too),
		T(when_memory_is_over_a_refusal_is_not_remembered),
		T(an_opened_that_says_what_we_must_know_is_a_fault),
		T(an_abort_is_repeated_where_it_was_not_tried),
		T(an_ask_is_answered_on_its_own_subflow),
		T(a_burst_of_resets_is_answered_at_once),
		T(sessions_opened_at_once_are_offered_no_more_than_one_by_one),
		T(what_a_suspect_carries_goes_over_the_others),
		T(what_a_lost_bulk_subflow_carried_an_express_one_takes_too),
		T(a_new_subflow_is_given_its_first_window),
		T(when_all_are_suspect_nothing_is_sent_again),
		T(what_a_suspect_carried_and_has_left_is_not_sent_again),
		T(an_ack_does_not_stay_with_a_suspect),
		T(what_was_not_sent_goes_on_in_another_group),
		T(a_drain_is_told_on_later_subflows_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
