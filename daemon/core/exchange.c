/* SPDX-License-Identifier: ISC */
/*
 * The frames of one session, in and out (protocol.md 2.3 to 2.6).
 *
 * On the wire serials are 32 bits; here they are 64 and never wrap: each is
 * read as the one nearest to what is next in its direction, which is right as
 * long as no copy is more than 2^31 datagrams late.
 *
 * What is wrong with a session costs that session (RESET 6), never the subflow:
 * the same frame would come again over the next one.
 */
#include "reinject.h"

#include <string.h>

static uint64_t
bit(int subflow)
{
	return UINT64_C(1) << subflow;
}

/* False: it lies before the beginning, so it is older than anything. */
static bool
unwrap(uint64_t near, uint32_t serial, uint64_t *whole)
{
	int64_t distance = (int32_t)(serial - (uint32_t)near);

	if (distance < 0 && near < (uint64_t)-distance)
		return false;
	*whole = near + (uint64_t)distance;
	return true;
}

/* ---- in ---- */

static void
progress(struct session *s, uint64_t now)
{
	s->waiting_since = now;
	s->ask_wait_us = ASK_MIN_US;
	s->ask_on = 0;
}

static void
fault(struct session *s, uint64_t now)
{
	s->env->metrics.protocol_errors++;
	session_abort(s, WIRE_CODE_PROTOCOL, now);
}

/* Something moved in order: tell the local side, or drop it for it. */
static void
arrived(struct session *s, uint64_t now)
{
	if (s->discard)
		session_consume(s, s->in.ready_bytes, now);
	else
		session_make_ready(s);
}

static void
take_data(struct session *s, uint32_t wire_serial, const uint8_t *body,
    size_t len, uint64_t now)
{
	struct metrics *m = &s->env->metrics;
	enum reorder_result r = REORDER_DUPLICATE;
	uint64_t serial;

	if (reorder_empty(&s->in))
		s->moved_us = now;
	if (unwrap(s->in.next, wire_serial, &serial)) {
		if (s->fin_seen && serial >= s->fin_serial) {
			fault(s, now);
			return;
		}
		r = reorder_put(&s->in, serial, body, len, s->offered);
	}
	switch (r) {
	case REORDER_OVERRUN:
		fault(s, now);
		return;
	case REORDER_NOMEM:
		session_abort(s, WIRE_CODE_RESOURCES, now);
		return;
	case REORDER_DUPLICATE:
		m->duplicate_datagrams++;
		break;
	case REORDER_EARLY:
		m->early_datagrams++;
		/* FALLTHROUGH */
	case REORDER_STORED:
		m->received_datagrams++;
		m->received_bytes += len;
		break;
	}
	session_owe_ack(s, session_fin_taken(s), now);
	if (r == REORDER_STORED)
		arrived(s, now);
}

static void
take_fin(struct session *s, uint32_t wire_serial, uint8_t code, uint64_t now)
{
	uint64_t serial;

	if (!unwrap(s->in.next, wire_serial, &serial) ||
	    (s->fin_seen && serial != s->fin_serial) ||
	    (!s->fin_seen && (serial < s->in.next || serial < s->in.end ||
	    !reorder_within(&s->in, serial, s->offered)))) {
		fault(s, now);
		return;
	}
	if (!s->fin_seen) {
		s->fin_seen = true;
		s->fin_serial = serial;
		s->code = code;
	}
	session_owe_ack(s, session_fin_taken(s), now);
	arrived(s, now);
}

static void
take_ack(struct session *s, uint32_t wire_next, uint32_t window, uint64_t now)
{
	struct session_env *env = s->env;
	uint64_t next;

	if (!unwrap(s->out.acked, wire_next, &next) || next < s->out.acked)
		return;			/* a newer one was here before it */
	bool moved = next > s->out.acked;
	if (sendq_ack(&s->out, next, env->carried) != 0) {
		fault(s, now);
		return;
	}
	uint64_t edge = s->out.cost_acked + window;
	if (edge > s->edge) {
		s->edge = edge;
		moved = true;
	}
	if (!moved)
		return;
	s->acked_us = now;
	progress(s, now);
	session_schedule(s, now);
	if (s->read_blocked || session_flushed(s))
		session_make_ready(s);
	session_maybe_finish(s);
}

/* 7: the number is not known there.  When the peer's FIN was taken it had
 * finished, and only its last ACK is missing. */
static void
take_unknown(struct session *s)
{
	if (session_fin_taken(s) && s->read_ended && !s->aborted &&
	    list_empty(&s->out.unsent))
		s->env->metrics.sessions_ended++;
	else
		session_cut(s, WIRE_CODE_UNKNOWN);
	session_forget(s);
}

void
session_take(struct session *s, const struct wire_header *h,
    const uint8_t *body, int subflow, uint64_t now)
{
	s->heard = subflow;
	/* Whatever the relay says about a session
	 * proves that OPEN was taken. */
	if (s->env->proxy && s->out.acked == 0) {
		sendq_ack(&s->out, 1, s->env->carried);
		list_unlink(&s->opening);
		progress(s, now);
		session_schedule(s, now);
	}
	switch (h->type) {
	case WIRE_DATA:
		take_data(s, h->serial, body, h->size, now);
		break;
	case WIRE_FIN:
		take_fin(s, h->serial, wire_body_u8(body), now);
		break;
	case WIRE_ACK:
		take_ack(s, h->serial, wire_body_u32(body), now);
		break;
	case WIRE_OPENED:
		if (wire_get_opened(body, h->size) != WIRE_OK) {
			fault(s, now);
			return;
		}
		s->peer_opened = true;
		session_make_ready(s);
		break;
	case WIRE_ASK:
		s->asked_on |= bit(subflow);
		session_owe_ack(s, true, now);
		break;
	case WIRE_RESET:
		if (wire_body_u8(body) == WIRE_CODE_UNKNOWN) {
			take_unknown(s);
		} else {
			session_cut(s, wire_body_u8(body));
			session_forget(s);
		}
		break;
	}
}

/* ---- out ---- */

static size_t
put_frame(uint8_t *out, const struct session *s, const struct datagram *d)
{
	struct wire_header h = {
		.type = d->type,
		.size = (uint16_t)d->len,
		.connection = s->number,
		.serial = (uint32_t)d->serial,
	};

	wire_put_header(out, &h);
	memcpy(out + WIRE_HEADER, d->data + d->off, d->len);
	return WIRE_HEADER + d->len;
}

/* Write one item of the send queue, if there is room. */
static size_t
send_item(struct session *s, struct datagram *d, int subflow, uint8_t *out,
    size_t room, uint64_t now)
{
	struct session_env *env = s->env;
	struct metrics *m = &env->metrics;
	bool again = d->sent_us != 0;

	if (room < WIRE_HEADER + d->len)
		return 0;
	if ((d->copies & bit(subflow)) == 0)
		env->carried[subflow] += d->len;
	reinject_sent(env, d, subflow, again, now);
	sendq_sent(&s->out, d, subflow, now);
	if (d->type == WIRE_DATA) {
		*(again ? &m->resent_datagrams : &m->sent_datagrams) += 1;
		*(again ? &m->resent_bytes : &m->sent_bytes) += d->len;
		if (again)
			env->paths.counts[env->path_of[subflow]].
			    resent_bytes += d->len;
	}
	if (!again)
		session_double(s, d, subflow, now);
	return put_frame(out, s, d);
}

/* The one whose turn it is: new, lost, or with a suspect subflow, which may
 * still deliver it. */
static size_t
send_next(struct session *s, struct datagram *d, int subflow, uint8_t *out,
    size_t room, uint64_t now)
{
	bool doubted = sendq_doubts(&s->out, d);
	size_t n = send_item(s, d, subflow, out, room, now);

	if (n > 0 && doubted)
		reinject_doubted(s->env, d);
	return n;
}

/*
 * Proxy: until OPEN is acknowledged a copy of it goes first on every subflow
 * that carries anything of the session, so nothing ever overtakes it there.
 * *fits is false when there was no room for it.
 */
static size_t
open_first(struct session *s, int subflow, uint8_t *out, size_t room,
    uint64_t now, bool *fits)
{
	struct list *node;

	*fits = true;
	if (!s->env->proxy || s->out.acked > 0)
		return 0;
	node = list_first(&s->out.unacked);
	if (node == NULL)
		node = list_first(&s->out.unsent);
	struct datagram *open = list_object(node, struct datagram, node);
	if (open->copies & bit(subflow))
		return 0;
	size_t n = send_item(s, open, subflow, out, room, now);
	*fits = n > 0;
	if (n == 0)
		return 0;
	if (!list_linked(&s->opening))
		list_append(&s->env->opening, &s->opening);
	session_schedule(s, now);	/* perhaps nothing else was lost */
	return n;
}

/* The window that we may show now: a datagram, or what the hello has promised,
 * always; more only as far as nobody else was offered it since the window grew.
 * (A thousand OPENs in one segment all grow before the first is answered.) */
static uint64_t
window_now(const struct session *s)
{
	const struct session_env *env = s->env;
	uint64_t least = WIRE_DATA_MAX + WIRE_COST;

	if (s->window <= least)
		return s->window;
	if (budget_level(env->budget) != BUDGET_EASY)
		return least;
	if (least < env->initial_window)
		least = env->initial_window;
	uint64_t most = s->offered - s->in.cost_consumed +
	    budget_spare(env->budget);
	if (most < least)
		most = least;
	return s->window < most ? s->window : most;
}

/* The edge that we may show now; it never moves back. */
static void
raise_offer(struct session *s)
{
	if (s->fin_seen)
		return;
	uint64_t window = window_now(s);
	uint64_t edge = s->in.cost_consumed + window;
	if (edge <= s->offered)
		return;
	budget_offer(s->env->budget, (int64_t)(edge - s->offered));
	s->offered = edge;
}

static size_t
put_ack(struct session *s, int subflow, uint8_t *out)
{
	uint64_t next = s->in.next + (session_fin_taken(s) ? 1 : 0);

	raise_offer(s);
	s->ack_owed = false;
	s->asked_on &= ~bit(subflow);
	s->ack_on = subflow;
	if (s->asked_on == 0)
		list_unlink(&s->ack);
	return wire_put_ack(out, s->number, (uint32_t)next,
	    (uint32_t)(s->offered - s->in.cost_next));
}

size_t
session_fill_ack(struct session *s, int subflow, uint8_t *out, size_t room,
    uint64_t now)
{
	bool fits;
	size_t n = open_first(s, subflow, out, room, now, &fits);

	if (!fits || room - n < WIRE_CONTROL_MAX)
		return n;
	n += put_ack(s, subflow, out + n);
	session_maybe_finish(s);
	return n;
}

size_t
session_fill(struct session *s, const struct session_turn *t, uint64_t now)
{
	bool fits;
	bool opening = s->env->proxy && s->out.next == 0;
	size_t n = open_first(s, t->subflow, t->out, t->room, now, &fits);

	if (!fits || t->room - n < 2 * WIRE_CONTROL_MAX)
		return n;
	if ((s->ack_owed && (s->env->prompt & bit(t->subflow)) != 0) ||
	    (s->asked_on & bit(t->subflow)) != 0 || opening)
		n += put_ack(s, t->subflow, t->out + n);
	size_t max = t->room - n - WIRE_HEADER;
	if (t->cut_to_room || sendq_next_len(&s->out, s->edge) <= max ||
	    t->cut <= max) {
		if (max > t->cut)
			max = t->cut;
		struct datagram *d = sendq_next(&s->out, s->edge, max);
		if (d != NULL)
			n += send_next(s, d, t->subflow, t->out + n,
			    t->room - n, now);
	}
	if (s->read_blocked)
		session_make_ready(s);
	session_schedule(s, now);
	session_maybe_finish(s);
	return n;
}

size_t
session_fill_copy(struct session *s, struct datagram *d, int subflow,
    uint8_t *out, size_t room, uint64_t now)
{
	bool fits;
	size_t n = open_first(s, subflow, out, room, now, &fits);

	/* (It may have been the OPEN itself.) */
	if (fits && (d->copies & bit(subflow)) == 0)
		n += send_item(s, d, subflow, out + n, room - n, now);
	session_schedule(s, now);
	return n;
}

size_t
session_fill_second(struct session *s, int subflow, uint8_t *out, size_t room,
    uint64_t now)
{
	struct metrics *m = &s->env->metrics;
	struct datagram *d = sendq_second(&s->out);
	uint64_t before = m->resent_bytes;
	size_t n;

	if (d == NULL) {
		session_schedule(s, now);
		return 0;
	}
	n = session_fill_copy(s, d, subflow, out, room, now);
	m->doubled_bytes += m->resent_bytes - before;
	return n;
}

size_t
session_fill_control(struct session *s, int subflow, uint8_t *out,
    size_t room, uint64_t now)
{
	bool fits = true;
	size_t n = 0;

	if (!s->reset_due)
		n = open_first(s, subflow, out, room, now, &fits);
	if (!fits || room - n < WIRE_CONTROL_MAX)
		return n;
	if (s->reset_due) {
		s->reset_due = false;
		s->reset_on = subflow;
		s->ask_on |= bit(subflow);
		n += wire_put_reset(out + n, s->number, s->code);
	} else if (s->opened_due) {
		s->opened_due = false;
		n += wire_put_opened(out + n, s->number);
	} else if (s->ask_due) {
		s->ask_due = false;
		s->ask_on |= bit(subflow);
		s->env->metrics.asks_sent++;
		n += wire_put_ask(out + n, s->number, (uint32_t)s->out.next);
	}
	if (!s->reset_due && !s->opened_due && !s->ask_due)
		list_unlink(&s->control);
	return n;
}
