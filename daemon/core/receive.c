/* SPDX-License-Identifier: ISC */
/*
 * Frames of a group, in.
 *
 * They go to their session by number.  A number that is not in the table is
 * answered with RESET 7, except an OPEN that the relay has never seen; it
 * remembers all numbers that it has seen, so that a late copy opens nothing.
 */
#include "group_private.h"

#include <errno.h>
#include <string.h>

#define USUAL_US UINT64_C(1000000)	/* of round trips, at most */

static void
stray(struct group *g, uint32_t number, int subflow)
{
	for (size_t i = g->nstrays; i > 0 && g->nstrays - i < STRAYS_ALIKE; i--)
		if (g->strays[i - 1].number == number &&
		    g->strays[i - 1].subflow == subflow)
			return;
	if (g->nstrays < STRAYS)	/* who asks, asks again */
		g->strays[g->nstrays++] = (struct stray){ number, subflow };
}

/* The same OPEN as the one that opened it? */
static bool
same_open(const struct session *s, const struct wire_open *open)
{
	uint8_t a[WIRE_OPEN_MAX], b[WIRE_OPEN_MAX];
	size_t n = wire_put_open(a, &s->open);

	return wire_put_open(b, open) == n && memcmp(a, b, n) == 0;
}

/* Relay: an OPEN for a number that is not live. */
static void
take_open(struct group *g, const struct wire_header *h, const uint8_t *body,
    int subflow, uint64_t now)
{
	struct session_env *e = &g->env;
	struct wire_open open;
	uint8_t refused = 0;

	if (numbers_seen(&g->numbers, h->connection)) {
		stray(g, h->connection, subflow);
		return;
	}
	numbers_mark(&g->numbers, h->connection);
	if (wire_get_open(body, h->size, &open) != WIRE_OK) {
		e->metrics.protocol_errors++;
		refused = WIRE_CODE_PROTOCOL;
	} else if (e->numbers_in_use >= g->max_sessions ||
	    budget_level(e->budget) >= BUDGET_CLOSED) {
		e->metrics.sessions_refused++;
		refused = WIRE_CODE_RESOURCES;
	}
	/* One that is refused is remembered until its RESET is answered; more
	 * of those than there may be sessions, or than there is memory for,
	 * cannot be. */
	if (refused != 0 &&
	    (e->numbers_in_use >= 2 * (size_t)g->max_sessions ||
	    budget_level(e->budget) >= BUDGET_OVER)) {
		stray(g, h->connection, subflow);
		return;
	}
	if (refused == WIRE_CODE_PROTOCOL)
		open = (struct wire_open){ .dscp = -1 };
	struct session *s = session_new(e, &open, now);
	if (s == NULL) {
		stray(g, h->connection, subflow);
		return;
	}
	numbers_add(&g->numbers, s, h->connection);
	s->heard = subflow;
	if (refused != 0) {
		s->released = true;
		session_abort(s, refused, now);
		return;
	}
	e->metrics.sessions_opened++;
	session_owe_ack(s, true, now);
	session_make_ready(s);
}

/* A frame for a number that is not live. */
static void
take_unknown(struct group *g, const struct wire_header *h,
    const uint8_t *body, int subflow, uint64_t now)
{
	bool relay = !g->env.proxy;

	switch (h->type) {
	case WIRE_OPEN:
		if (relay)
			take_open(g, h, body, subflow, now);
		else
			stray(g, h->connection, subflow);
		break;
	case WIRE_DATA:
	case WIRE_FIN:
	case WIRE_ASK:
		stray(g, h->connection, subflow);
		break;
	case WIRE_RESET:
		/* It may have overtaken its OPEN, which now opens nothing. */
		if (relay)
			numbers_mark(&g->numbers, h->connection);
		if (wire_body_u8(body) != WIRE_CODE_UNKNOWN)
			stray(g, h->connection, subflow);
		break;
	}
}

/* A copy of the OPEN of a live session, or one that contradicts it. */
static void
take_open_again(struct group *g, struct session *s,
    const struct wire_header *h, const uint8_t *body, uint64_t now)
{
	struct wire_open open;

	if (!g->env.proxy && wire_get_open(body, h->size, &open) == WIRE_OK &&
	    same_open(s, &open)) {
		session_owe_ack(s, true, now);
		return;
	}
	g->env.metrics.protocol_errors++;
	session_abort(s, WIRE_CODE_PROTOCOL, now);
}

static void
take_session_frame(struct group *g, const struct wire_header *h,
    const uint8_t *body, int subflow, uint64_t now)
{
	struct session *s = numbers_find(&g->numbers, h->connection);

	if (h->type <= WIRE_FIN)
		g->subflows[subflow].datagram_us = now;
	if (s == NULL) {
		take_unknown(g, h, body, subflow, now);
		return;
	}
	bool reset = h->type == WIRE_RESET;
	if (reset && wire_body_u8(body) != WIRE_CODE_UNKNOWN)
		stray(g, h->connection, subflow);
	if (s->phase == PHASE_RESETTING) {
		if (reset)
			session_forget(s);	/* answered, or crossed */
	} else if (h->type == WIRE_OPEN) {
		take_open_again(g, s, h, body, now);
	} else {
		session_take(s, h, body, subflow, now);
	}
}

static void
take_pong(struct group *g, int subflow, uint64_t sent, uint64_t now)
{
	if (sent == 0 || sent > now)
		return;			/* not a time that we gave */
	g->subflows[subflow].answered_us = now;
	if (g->subflows[subflow].lost_us != 0 &&
	    sent >= g->subflows[subflow].lost_us) {
		g->subflows[subflow].lost_us = 0;	/* it lives */
		group_choose_subflows(g, now);
	}
	uint64_t rtt = now - sent, was = g->env.health[subflow].trip_us;
	bool late = rtt > 2 * (was != 0 ? was : USUAL_US);
	if (rtt == 0)
		rtt = 1;
	g->env.health[subflow].trip_us = rtt;
	group_compare(g, now);
	/* It may have waited for a link that was away: whether this is how it
	 * is now, the next one says. */
	if (late)
		g->subflows[subflow].ping_due = true;
	if (g->env.rtt_us == 0)
		g->env.rtt_us = rtt;
	else if (!late)
		g->env.rtt_us += (rtt >> 3) - (g->env.rtt_us >> 3);
}

/* What arrives from there now may have been sent before, so only an answer says
 * that it was another subflow that was lost: one that was there before this
 * one. */
static void
take_lost(struct group *g, uint8_t path, uint64_t now)
{
	for (uint64_t m = g->env.attached; m != 0; m &= m - 1) {
		struct subflow_state *f = &g->subflows[__builtin_ctzll(m)];

		if (f->path != path || f->lost_us != 0)
			continue;
		f->lost_us = now;
		f->ping_due = true;
		g->paths_changed = true;
	}
}

static void
take_frame(struct group *g, const struct wire_header *h, const uint8_t *body,
    int subflow, uint64_t now)
{
	struct subflow_state *f = &g->subflows[subflow];
	struct wire_path path;
	uint8_t lost;

	switch (h->type) {
	case WIRE_PING:
		f->pong_due = true;
		f->pong_opaque = wire_body_u64(body);
		break;
	case WIRE_PONG:
		take_pong(g, subflow, wire_body_u64(body), now);
		break;
	case WIRE_DRAIN:
		g->peer_draining = true;
		break;
	case WIRE_FEATURES:
		if (wire_get_features(h, body, &g->peer_features))
			g->peer_features_new = true;
		break;
	case WIRE_PATH:
		if (!g->env.proxy && wire_get_path(h, body, &path) &&
		    paths_set(&g->env.paths, f->path, &path))
			g->paths_changed = true;
		break;
	case WIRE_LOST:
		if (!g->env.proxy && wire_get_lost(h, body, &lost))
			take_lost(g, lost, now);
		break;
	default:
		if (h->type < WIRE_OPTIONAL)
			take_session_frame(g, h, body, subflow, now);
	}
}

static void
wake_all(struct group *g, uint64_t now)
{
	struct list *node;

	list_each(node, &g->env.all)
		session_schedule(list_object(node, struct session, all), now);
}

int
group_take(struct group *g, int subflow, const uint8_t *bytes, size_t len,
    uint64_t now)
{
	struct cursor in = { bytes, bytes + len };

	if (len > 0)
		g->subflows[subflow].heard_us = now;
	for (;;) {
		struct cursor c = in;
		struct wire_header h;
		enum wire_result r = wire_get_header(&c, &h);

		if (r == WIRE_BAD) {
			g->env.metrics.protocol_errors++;
			return -EPROTO;
		}
		if (r == WIRE_MORE || (size_t)(c.end - c.pos) < h.size)
			break;
		take_frame(g, &h, c.pos, subflow, now);
		in.pos = c.pos + h.size;
	}
	g->env.paths.counts[g->subflows[subflow].path].received_bytes +=
	    (uint64_t)(in.pos - bytes);
	if (g->paths_changed) {	/* once, however often it was said */
		g->paths_changed = false;
		group_choose_subflows(g, now);
	}
	if (g->number_wanted) {
		g->number_wanted = false;
		wake_all(g, now);
	}
	group_bury(g);
	return (int)(in.pos - bytes);
}
