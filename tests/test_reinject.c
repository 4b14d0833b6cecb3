/* SPDX-License-Identifier: ISC */
/*
 * A proxy's group with two bulk subflows and a peer that says only what it is
 * made to say.
 */
#include "core/reinject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/worth.h"

#define MS UINT64_C(1000)
#define TRIP (100 * MS)
#define PIECE 4000

struct fixture {
	struct budget budget;
	struct group *g;
	uint64_t now;
	uint32_t serials[64];		/* of DATA that was last filled */
	size_t n;
};

static void
facts(struct fixture *f, int subflow, uint64_t trip, uint32_t waiting)
{
	struct group_facts facts = {
		.rtt_us = (uint32_t)trip, .rtt_min_us = (uint32_t)trip,
		.rate_bytes_s = 1000000, .acked_bytes = f->now,
		.waiting_bytes = waiting, .free_bytes = 1 << 20,
	};

	group_subflow_facts(f->g, subflow, &facts, f->now);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int replaced;

	f->now = 1000 * MS;
	budget_init(&f->budget, 64 << 20);
	f->g = group_new(&(struct group_options){
		.proxy = true, .initial_window = 65536,
		.start_window = 65536, .window_max = 65536,
		.max_sessions = 64, .datagram_max = WIRE_DATA_MAX,
		.budget = &f->budget,
	});
	group_peer_window(f->g, 65536);
	for (uint8_t i = 0; i < 2; i++) {
		assert_int_equal(group_attach(f->g, i, WIRE_SLOT_BULK, f->now,
		    &replaced), i);
		facts(f, i, TRIP, 0);
	}
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	group_free(f->g);
	free(f);
	return 0;
}

static struct session *
open_session(struct fixture *f)
{
	struct wire_open o = { .dscp = -1 };
	struct session *s;

	assert_int_equal(addr_parse(&o.destination, "192.0.2.1:80"), 0);
	assert_int_equal(group_open(f->g, &o, f->now, &s), 0);
	session_set_user(s, f);
	return s;
}

static void
give(struct fixture *f, struct session *s, size_t len)
{
	struct span spans[1];

	while (len > 0) {
		assert_int_equal(session_read_room(s, spans, 1), 1);
		size_t n = spans[0].len < len ? spans[0].len : len;
		memset(spans[0].base, 'x', n);
		assert_int_equal(session_read(s, n, f->now), 0);
		len -= n;
	}
}

/* What goes on a subflow into so much room: the number of datagrams. */
static size_t
fill(struct fixture *f, int subflow, size_t room)
{
	static uint8_t out[1 << 17];
	bool wants = group_wants(f->g, subflow, f->now);
	size_t n = group_fill(f->g, subflow, out, room, f->now);
	struct cursor c = { out, out + n };
	struct wire_header h;

	assert_true(wants || n == 0);
	f->n = 0;
	for (; wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size)
		if (h.type == WIRE_DATA)
			f->serials[f->n++] = h.serial;
	return f->n;
}

static void
acknowledge(struct fixture *f, struct session *s, uint32_t next)
{
	uint8_t frame[WIRE_CONTROL_MAX];
	size_t n = wire_put_ack(frame, session_number(s), next, 65536);

	assert_int_equal(group_take(f->g, 0, frame, n, f->now), n);
}

/* A session, and nothing else to say. */
static struct session *
begin(struct fixture *f)
{
	struct session *s = open_session(f);

	fill(f, 0, 20000);
	acknowledge(f, s, 1);
	fill(f, 0, 20000);
	fill(f, 1, 20000);
	return s;
}

static void
pass(struct fixture *f, uint64_t us)
{
	for (uint64_t end = f->now + us; f->now < end;) {
		f->now = group_deadline(f->g) < end ? group_deadline(f->g) :
		    end;
		group_tick(f->g, f->now);
	}
}

static void
a_late_head_goes_on_a_free_subflow(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	pass(f, TRIP + ACK_DELAY_US);
	assert_int_equal(fill(f, 1, 20000), 0);
	pass(f, TRIP / 4 + 50 * MS);
	assert_int_equal(fill(f, 0, 20000), 0);
	assert_int_equal(fill(f, 1, 20000), 1);
	assert_int_equal(f->serials[0], 1);
	assert_int_equal(fill(f, 1, 20000), 0);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, PIECE);
	acknowledge(f, s, 2);
	assert_false(group_subflow_busy(f->g, 0));
	assert_false(group_subflow_busy(f->g, 1));
}

/* A third one, of the path of the first. */
static int
beside(struct fixture *f)
{
	int replaced, n = group_attach(f->g, 0, WIRE_SLOT_BULK + 1, f->now,
	    &replaced);

	facts(f, n, TRIP, 0);
	fill(f, n, 20000);
	return n;
}

static void
on_its_own_path_only_what_is_last_goes_again(void **state)
{
	struct fixture *f = *state;
	int third = beside(f);
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	give(f, s, PIECE);
	pass(f, 2 * TRIP + TRIP / 2 + ACK_DELAY_US + 50 * MS);
	assert_int_equal(fill(f, third, PIECE + 1000), 1); /* what is new */
	assert_int_equal(f->serials[0], 2);
	assert_int_equal(fill(f, third, 20000), 1);	/* now it is */
	assert_int_equal(f->serials[0], 1);
}

/* Another one of the path has something to send. */
static void
load(struct fixture *f)
{
	int n = group_attach(f->g, 0, WIRE_SLOT_BULK + 2, f->now, &(int){ 0 });
	const struct group_facts loaded = {
		.rtt_us = TRIP, .rtt_min_us = TRIP, .rate_bytes_s = 1000000,
		.acked_bytes = 1, .waiting_bytes = 2000, .unsent_bytes = 1000,
	};

	group_subflow_facts(f->g, n, &loaded, f->now);
}

static void
with_the_window_shut_not_on_a_path_that_has_something_to_send(void **state)
{
	struct fixture *f = *state;
	int third = beside(f);
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	do
		give(f, s, 4000);
	while (fill(f, third, 20000) > 0);
	pass(f, 2 * TRIP + TRIP / 2 + ACK_DELAY_US + 50 * MS);
	load(f);
	assert_int_equal(fill(f, third, 20000), 0);
	assert_int_equal(fill(f, 1, 20000), 1);
	assert_int_equal(f->serials[0], 1);
}

static void
what_is_last_goes_again_whatever_else_its_path_sends(void **state)
{
	struct fixture *f = *state;
	int third = beside(f);
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	pass(f, TRIP + TRIP / 2 + ACK_DELAY_US + 50 * MS);
	load(f);
	assert_int_equal(fill(f, third, 20000), 1);
	assert_int_equal(f->serials[0], 1);
}

static void
on_a_thin_link_its_tcp_is_left_to_repair_what_is_last(void **state)
{
	struct fixture *f = *state;
	int third = beside(f);
	struct session *s = begin(f);

	group_path_rate(f->g, 0, 32000);
	facts(f, 0, TRIP, 0);
	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	pass(f, TRIP + TRIP / 2 + ACK_DELAY_US + 50 * MS);
	assert_int_equal(fill(f, third, 20000), 0);
	assert_int_equal(fill(f, 1, 20000), 1);
	assert_int_equal(f->serials[0], 1);
}

static void
nothing_goes_twice_while_the_window_is_wide(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	give(f, s, 20000);
	pass(f, 2 * TRIP + TRIP / 2 + ACK_DELAY_US + 50 * MS);
	assert_int_equal(fill(f, 1, PIECE + 1000), 1);
	assert_int_equal(f->serials[0], 2);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, 0);
	/* More than half of it is used. */
	give(f, s, 40000);
	while (fill(f, 1, 9000) > 0 && f->serials[0] != 1)
		continue;
	assert_true(group_metrics(f->g)->reinjected_bytes > 0);
}

static void
nor_while_a_session_waits_for_another_express_subflow_of_it(void **state)
{
	struct fixture *f = *state;
	int express[2], on;

	for (uint8_t i = 0; i < 2; i++) {
		express[i] = group_attach(f->g, 0, i, f->now, &(int){ 0 });
		facts(f, express[i], TRIP, 0);
		fill(f, express[i], 20000);
	}
	struct session *s = open_session(f), *other;
	give(f, s, PIECE);
	on = fill(f, express[0], 20000) == 1 ? 0 : 1;
	assert_true(on == 0 || fill(f, express[1], 20000) == 1);
	acknowledge(f, s, 1);
	other = open_session(f);
	give(f, other, 60000);
	fill(f, express[!on], PIECE + 1000);	/* OPEN, and a part */
	give(f, s, PIECE);
	fill(f, express[on], 20000);
	pass(f, TRIP + TRIP / 2 + ACK_DELAY_US + 50 * MS);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, 0);
	int idle = group_attach(f->g, 0, 2, f->now, &(int){ 0 });
	facts(f, idle, TRIP, 0);
	assert_int_equal(fill(f, idle, 20000), 0);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, 0);

	/* When nobody does, it goes. */
	while (fill(f, express[!on], 20000) > 0)
		;
	assert_true(fill(f, idle, 20000) > 0);
	assert_true(group_metrics(f->g)->reinjected_bytes > 0);
}

static void
what_has_waited_for_long_goes_on_its_own_path_too(void **state)
{
	struct fixture *f = *state;
	int third = beside(f);
	struct session *s = begin(f), *other = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	give(f, other, 60000);
	pass(f, 1000 * MS + TRIP);
	assert_int_equal(fill(f, third, PIECE + 1000), 1);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, 0);
	pass(f, TRIP + 50 * MS);
	assert_int_equal(fill(f, third, PIECE + 1000), 1);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, PIECE);
}

/* Of a slow link. */
static void
slow_facts(struct fixture *f, int subflow, uint32_t waiting)
{
	const struct group_facts facts = {
		.rtt_us = TRIP, .rtt_min_us = TRIP, .rate_bytes_s = 20000,
		.acked_bytes = f->now, .waiting_bytes = waiting,
		.free_bytes = 1 << 20,
	};

	group_subflow_facts(f->g, subflow, &facts, f->now);
}

static void
unless_all_of_its_path_is_slow(void **state)
{
	struct fixture *f = *state;
	int third = beside(f);
	struct session *s = begin(f), *other = begin(f);

	slow_facts(f, third, 0);
	for (int i = 0; i < 10; i++) {
		give(f, other, PIECE);
		assert_int_equal(fill(f, 0, PIECE + 1000), 1);
	}
	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	slow_facts(f, 0, 11 * PIECE);
	give(f, other, 20000);
	/* It moves as fast as the other could: no sooner would it be there. */
	pass(f, 1300 * MS);
	slow_facts(f, 0, 11 * PIECE - 26000);
	assert_int_equal(fill(f, third, PIECE + 1000), 1);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, 0);
	/* It has moved, but hardly. */
	slow_facts(f, 0, 11 * PIECE - 1000);
	assert_int_equal(fill(f, third, PIECE + 1000), 1);
	assert_true(group_metrics(f->g)->reinjected_bytes > 0);
}

/* The copy that went elsewhere is as late. */
static void
nor_has_it_to_wait_for_another_path_that_is_slow(void **state)
{
	struct fixture *f = *state;
	int third = beside(f);
	struct session *s = begin(f), *other = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	facts(f, 0, TRIP, PIECE + 1000);
	pass(f, 2 * TRIP + TRIP / 2 + ACK_DELAY_US + 50 * MS);
	assert_int_equal(fill(f, 1, 20000), 1);
	assert_int_equal(f->serials[0], 1);
	give(f, other, 20000);
	for (int i = 0; i < 4; i++) {		/* both hardly move */
		pass(f, 500 * MS);
		facts(f, 0, TRIP, PIECE + 900 - 100 * (uint32_t)i);
		facts(f, 1, TRIP, PIECE + 900 - 100 * (uint32_t)i);
		facts(f, third, TRIP, 0);
	}
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, PIECE);
	assert_int_equal(fill(f, third, PIECE + 1000), 1);
	assert_int_equal(f->serials[0], 1);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, 2 * PIECE);
}

static void
what_has_other_things_to_send_waits_a_round_trip_more(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f), *other = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	give(f, other, 60000);
	pass(f, TRIP + TRIP / 4 + ACK_DELAY_US + 50 * MS);
	assert_int_equal(fill(f, 1, PIECE + 1000), 1);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, 0);
	pass(f, TRIP);
	assert_int_equal(fill(f, 1, PIECE + 1000), 1);
	assert_int_equal(group_metrics(f->g)->reinjected_bytes, PIECE);
}

static void
what_waits_behind_it_on_the_same_subflow_goes_too(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	for (int i = 0; i < 6; i++) {
		give(f, s, PIECE);
		assert_int_equal(fill(f, i % 2, 20000), 1);
	}
	pass(f, 2 * TRIP + 100 * MS);
	/* 2, 4 and 6 may have arrived. */
	assert_int_equal(fill(f, 1, 60000), 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(f->serials[i], 1 + 2 * i);
	assert_int_equal(fill(f, 0, 60000), 0);
}

static void
what_a_slow_one_would_deliver_later_goes_on_a_fast_one(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	facts(f, 0, 10 * TRIP, PIECE + 1000);
	assert_int_equal(fill(f, 1, 20000), 1);
	assert_int_equal(f->serials[0], 1);
	/* And not the other way round. */
	give(f, s, PIECE);
	assert_int_equal(fill(f, 1, 20000), 1);
	assert_int_equal(fill(f, 0, 20000), 0);
}

static void
a_long_queue_is_slow_as_well(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	facts(f, 0, TRIP, 900000);
	assert_int_equal(fill(f, 1, 20000), 1);
}

static void
a_slow_one_gets_nothing_that_a_fast_one_delivers_earlier(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	facts(f, 0, 10 * TRIP, 0);
	give(f, s, PIECE);
	assert_false(group_wants(f->g, 0, f->now));
	assert_int_equal(fill(f, 0, 20000), 0);
	assert_int_equal(fill(f, 1, 20000), 1);
}

static void
with_much_behind_it_a_slow_one_helps(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	/* 45 ms later at 1 MB/s: 45 kB arrive meanwhile. */
	facts(f, 0, 2 * TRIP - 10 * MS, 0);
	give(f, s, 40000);
	assert_int_equal(fill(f, 0, 20000), 0);
	give(f, s, 15000);
	assert_int_equal(fill(f, 0, PIECE + 1000), 1);
}

/* Until there is no room for more. */
static void
give_all(struct fixture *f, struct session *s)
{
	struct span spans[1];

	while (session_read_room(s, spans, 1) == 1) {
		memset(spans[0].base, 'x', spans[0].len);
		assert_int_equal(session_read(s, spans[0].len, f->now), 0);
	}
}

/* The number of datagrams that the other one takes, of a session that has more
 * than its window, after the first one took the head. */
static uint32_t
first_behind(struct fixture *f, struct session *s, uint64_t trip)
{
	give_all(f, s);
	facts(f, 0, TRIP, 0);
	assert_int_equal(fill(f, 0, PIECE + 1000), 1);
	facts(f, 0, trip, PIECE + 1000);
	give_all(f, s);
	pass(f, 1 * MS);
	assert_true(fill(f, 1, 20000) > 0);
	return f->serials[0];
}

static void
before_the_window_is_used_up_what_comes_later_goes_again(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	assert_int_equal(first_behind(f, s, 10 * TRIP), 1);
	assert_int_equal(group_metrics(f->g)->reinjected_datagrams, 1);
}

static void
what_comes_in_time_does_not(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	assert_int_equal(first_behind(f, s, TRIP), 2);
	assert_int_equal(group_metrics(f->g)->reinjected_datagrams, 0);
}

/* What is known of a subflow that is gone says nothing of the copy that is
 * left. */
static void
a_copy_that_is_gone_does_not_come_later(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);
	int slow = 0;

	for (uint8_t path = 2; path < 4; path++) {
		slow = group_attach(f->g, path, WIRE_SLOT_BULK, f->now,
		    &(int){ 0 });
		facts(f, slow, 10 * TRIP, 0);
		fill(f, slow, 20000);
	}
	give_all(f, s);
	facts(f, 0, TRIP, 0);
	assert_int_equal(fill(f, 0, PIECE + 1000), 1);
	struct datagram *d = list_object(list_first(&s->out.unacked),
	    struct datagram, node);
	d->on = (int8_t)slow;		/* it went there, too */
	d->position = 1 << 20;
	group_detach(f->g, slow, f->now);
	give_all(f, s);
	pass(f, 1 * MS);
	assert_true(fill(f, 1, 20000) > 0);
	assert_int_equal(f->serials[0], 2);
	assert_int_equal(group_metrics(f->g)->reinjected_datagrams, 0);
}

static void
where_much_is_lost_there_is_no_more_than_may_go_again(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	s->edge += 1 << 20;
	s->read_blocked = true;		/* there is more */
	s->env->copies.credit = 2 * WIRE_DATA_MAX + 80000;
	s->env->shares[0].lossy = SHARE_LOSSY_BLOCKS;
	facts(f, 0, TRIP, 30000);
	assert_true(worth_taking(s, 0, f->now));
	facts(f, 0, TRIP, 41000);
	assert_false(worth_taking(s, 0, f->now));
	/* Unless it is the same everywhere, or is not for long. */
	s->env->shares[1].lossy = SHARE_LOSSY_BLOCKS;
	facts(f, 0, TRIP, 41000);
	assert_true(worth_taking(s, 0, f->now));
	s->env->shares[1].lossy = 0;
	s->env->shares[0].lossy = SHARE_LOSSY_BLOCKS - 1;
	facts(f, 0, TRIP, 41000);
	assert_true(worth_taking(s, 0, f->now));
}

/* Of new ones nothing is known. */
static void
alone_it_takes_everything(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);
	struct group_facts unknown = {
		.rtt_us = TRIP, .rtt_min_us = TRIP, .acked_bytes = f->now,
		.waiting_bytes = 41000, .free_bytes = 1 << 20,
	};

	s->edge += 1 << 20;
	s->read_blocked = true;
	s->env->copies.credit = 0;
	group_detach(f->g, 1, f->now);
	s->env->shares[0].lossy = SHARE_LOSSY_BLOCKS;
	group_subflow_facts(f->g, 0, &unknown, f->now);
	assert_true(worth_taking(s, 0, f->now));
}

/* A start that overflows a queue loses much, too. */
static void
who_brings_most_is_held_back_by_nothing(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);
	struct group_facts much = {
		.rtt_us = TRIP, .rtt_min_us = TRIP, .rate_bytes_s = 1000001,
		.acked_bytes = f->now, .waiting_bytes = 41000,
		.free_bytes = 1 << 20,
	};

	s->edge += 1 << 20;
	s->read_blocked = true;
	s->env->copies.credit = 2 * WIRE_DATA_MAX + 80000;
	s->env->shares[0].lossy = SHARE_LOSSY_BLOCKS;
	group_subflow_facts(f->g, 0, &much, f->now);
	assert_true(worth_taking(s, 0, f->now));
	much.rate_bytes_s = 1000000;
	group_subflow_facts(f->g, 0, &much, f->now);
	assert_false(worth_taking(s, 0, f->now));
}

static void
what_tcp_has_delivered_is_not_late(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	facts(f, 0, TRIP, 0);
	pass(f, 900 * MS);
	assert_int_equal(fill(f, 1, 20000), 0);
}

static void
answers_go_where_they_arrive_soon(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);
	uint8_t frame[WIRE_HEADER + 3] = { 0 };

	facts(f, 0, 10 * TRIP, 0);
	wire_put_header(frame, &(struct wire_header){ .type = WIRE_DATA,
	    .size = 3, .connection = session_number(s), .serial = 1 });
	assert_int_equal(group_take(f->g, 0, frame, sizeof(frame), f->now),
	    sizeof(frame));
	pass(f, ACK_DELAY_US);
	assert_false(group_wants(f->g, 0, f->now));
	assert_true(group_wants(f->g, 1, f->now));
}

/* At once, and not when the next question to the slow one is answered. */
static void
when_the_fast_one_is_gone_answers_go_on_the_slow_one(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);
	uint8_t frame[WIRE_HEADER + 3] = { 0 };

	facts(f, 0, 10 * TRIP, 0);
	group_detach(f->g, 1, f->now);
	wire_put_header(frame, &(struct wire_header){ .type = WIRE_DATA,
	    .size = 3, .connection = session_number(s), .serial = 1 });
	assert_int_equal(group_take(f->g, 0, frame, sizeof(frame), f->now),
	    sizeof(frame));
	fill(f, 0, 20000);	/* that the path is lost */
	pass(f, ACK_DELAY_US);
	assert_true(group_wants(f->g, 0, f->now));
}

static void
only_so_much_is_sent_twice(void **state)
{
	struct fixture *f = *state;
	struct session *s[16];
	uint64_t once = 0;

	for (int i = 0; i < 16; i++)
		s[i] = begin(f);
	for (int i = 0; i < 16; i++) {
		give(f, s[i], 60000);
		once += 60000;
	}
	while (fill(f, 0, 100000) > 0)
		continue;
	facts(f, 0, TRIP, 960000);
	pass(f, 5000 * MS);
	facts(f, 1, TRIP, 0);
	for (int i = 0; i < 100; i++) {
		fill(f, 1, 100000);
		pass(f, 100 * MS);
	}
	/* More than they carry in half a second. */
	assert_in_range(group_metrics(f->g)->reinjected_bytes, 500000,
	    1000000 + once / REINJECT_SHARE);
}

static void
on_slow_ones_a_burst_is_small(void **state)
{
	struct fixture *f = *state;
	struct budget budget;
	int replaced;

	group_free(f->g);
	budget_init(&budget, 64 << 20);
	f->g = group_new(&(struct group_options){
		.proxy = true, .initial_window = 1 << 20,
		.start_window = 1 << 20, .window_max = 1 << 20,
		.max_sessions = 64, .datagram_max = PIECE, .budget = &budget,
	});
	group_peer_window(f->g, 1 << 20);
	for (uint8_t i = 0; i < 2; i++)
		assert_int_equal(group_attach(f->g, i, WIRE_SLOT_BULK, f->now,
		    &replaced), i);
	struct session *s = begin(f);
	for (int i = 0; i < 4; i++) {
		give(f, s, 100000);
		while (fill(f, 0, 100000) > 0)
			continue;
	}
	pass(f, 60000 * MS);
	for (int i = 0; i < 100; i++) {
		fill(f, 1, 100000);
		pass(f, 100 * MS);
	}
	assert_in_range(group_metrics(f->g)->reinjected_bytes, PIECE,
	    REINJECT_BURST_MIN + 400000 / REINJECT_SHARE);
	group_free(f->g);
	f->g = NULL;
}

static void
with_one_subflow_nobody_looks(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);

	group_detach(f->g, 1, f->now);
	give(f, s, PIECE);
	assert_int_equal(fill(f, 0, 20000), 1);
	pass(f, 300 * MS);
	assert_true(group_deadline(f->g) >= f->now + 100 * MS);
	assert_int_equal(fill(f, 0, 20000), 0);
}

static void
without_facts_a_second_and_three_trips_are_late(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin(f);
	int replaced;

	int fresh = group_attach(f->g, 7, WIRE_SLOT_BULK, f->now, &replaced);
	give(f, s, PIECE);
	assert_int_equal(fill(f, fresh, 20000), 1);
	pass(f, 900 * MS);
	assert_int_equal(fill(f, 1, 20000), 0);
	pass(f, 200 * MS);
	assert_int_equal(fill(f, 1, 20000), 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_late_head_goes_on_a_free_subflow),
		T(on_its_own_path_only_what_is_last_goes_again),
		T(with_the_window_shut_not_on_a_path_that_has_something_to_send),
		T(what_is_last_goes_again_whatever_else_its_path_sends),
		T(what_has_waited_for_long_goes_on_its_own_path_too),
		T(unless_all_of_its_path_is_slow),
		T(nor_has_it_to_wait_for_another_path_that_is_slow),
		T(on_a_thin_link_its_tcp_is_left_to_repair_what_is_last),
		T(nothing_goes_twice_while_the_window_is_wide),
		T(nor_while_a_session_waits_for_another_express_subflow_of_it),
		T(what_has_other_things_to_send_waits_a_round_trip_more),
		T(what_waits_behind_it_on_the_same_subflow_goes_too),
		T(what_a_slow_one_would_deliver_later_goes_on_a_fast_one),
		T(a_long_queue_is_slow_as_well),
		T(only_so_much_is_sent_twice),
		T(on_slow_ones_a_burst_is_small),
		T(a_slow_one_gets_nothing_that_a_fast_one_delivers_earlier),
		T(with_much_behind_it_a_slow_one_helps),
		T(before_the_window_is_used_up_what_comes_later_goes_again),
		T(what_comes_in_time_does_not),
		T(a_copy_that_is_gone_does_not_come_later),
		T(where_much_is_lost_there_is_no_more_than_may_go_again),
		T(alone_it_takes_everything),
		T(who_brings_most_is_held_back_by_nothing),
		T(what_tcp_has_delivered_is_not_late),
		T(answers_go_where_they_arrive_soon),
		T(when_the_fast_one_is_gone_answers_go_on_the_slow_one),
		T(with_one_subflow_nobody_looks),
		T(without_facts_a_second_and_three_trips_are_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
