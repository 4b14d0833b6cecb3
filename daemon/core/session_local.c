/* SPDX-License-Identifier: ISC */
/*
 * A session as its local side sees it: bytes that it gives and takes, and its
 * ends.
 */
#include "session.h"

#include <assert.h>
#include <errno.h>

#include "session_private.h"

/* ---- bytes from the local side ---- */

/* How much may be read ahead. */
static size_t
read_room(const struct session *s)
{
	const struct sendq *q = &s->out;
	enum budget_level level = budget_level(s->env->budget);
	bool tight = level != BUDGET_EASY;
	uint64_t most = tight ? WIRE_DATA_MAX : UNSENT_MAX;
	/* Whatever the peer offers, what we keep for it is ours to bound. */
	uint64_t keep = most + (tight ? 0 : s->env->window_max);
	uint64_t room = 0;

	if (s->read_ended || s->aborted ||
	    (s->phase != PHASE_WAITING && s->phase != PHASE_LIVE) ||
	    q->held >= keep || (level == BUDGET_OVER && q->held > 0))
		return 0;
	if (s->edge > q->cost_sent)
		room = s->edge - q->cost_sent;
	if (room < LOOKAHEAD)
		room = LOOKAHEAD;
	if (room > most)
		room = most;
	return q->unsent_bytes < room ? (size_t)(room - q->unsent_bytes) : 0;
}

int
session_read_room(struct session *s, struct span spans[], int n)
{
	size_t room = read_room(s);
	int used = 0;

	for (; used < n && used < SPARES && room > 0; used++) {
		struct datagram **d = &s->env->spare[used];
		size_t len = room < WIRE_DATA_MAX ? room : WIRE_DATA_MAX;

		if (*d == NULL &&
		    (*d = sendq_datagram(WIRE_DATA_MAX)) == NULL) {
			s->env->starved = true;
			break;
		}
		spans[used] = (struct span){ (*d)->data, len };
		room -= len;
	}
	s->read_blocked = used == 0;
	return used;
}

int
session_read(struct session *s, size_t len, uint64_t now)
{
	assert(!s->read_ended);
	s->bytes_out += len;
	if (sendq_empty(&s->out)) {
		s->acked_us = now;
		s->burst_cost = s->out.cost_sent;
	}
	for (int i = 0; len > 0; i++) {
		struct datagram **d = &s->env->spare[i];
		size_t n = len < WIRE_DATA_MAX ? len : WIRE_DATA_MAX;

		if (n > WIRE_DATA_MAX / 2) {
			sendq_adopt(&s->out, *d, n);
			*d = NULL;
		} else if (sendq_append(&s->out, (*d)->data, n) != 0) {
			return -ENOMEM;
		}
		len -= n;
	}
	session_schedule(s, now);
	return 0;
}

void
session_read_end(struct session *s, uint8_t code, uint64_t now)
{
	if (s->read_ended)
		return;
	s->read_ended = true;
	if (s->phase != PHASE_WAITING && s->phase != PHASE_LIVE)
		return;
	if (code != WIRE_CODE_OK)	/* nobody is left to take anything */
		s->discard = true;
	if (sendq_item(&s->out, WIRE_FIN, &code, 1) != 0) {
		session_abort(s, WIRE_CODE_RESOURCES, now);
		return;
	}
	session_schedule(s, now);
	if (s->discard)
		session_consume(s, s->in.ready_bytes, now);
}

/* ---- bytes for the local side ---- */

int
session_peek(const struct session *s, struct span spans[], int n)
{
	if (s->aborted || s->discard)
		return 0;
	return reorder_peek(&s->in, spans, n);
}

/*
 * The window grows to four times what the local side takes in a round trip, so
 * it doubles while it is what limits the rate and a hole may live for two round
 * trips (Linux's tcp_rcv_space_adjust() has the same idea).
 */
static void
grow_window(struct session *s, size_t len, uint64_t now)
{
	struct session_env *env = s->env;
	uint64_t rtt = env->longest_us != 0 ? env->longest_us :
	    ASK_MIN_US / 10;

	s->period_bytes += len;
	if (now - s->period_us < rtt)
		return;
	uint64_t want = 4 * s->period_bytes;
	s->period_us = now;
	s->period_bytes = 0;
	if (want > env->window_max)
		want = env->window_max;
	if (want > s->window)
		s->window += budget_share(env->budget,
		    (uint32_t)(want - s->window));
}

void
session_consume(struct session *s, size_t len, uint64_t now)
{
	if (len == 0)
		return;
	uint64_t before = s->in.cost_consumed;

	reorder_consume(&s->in, len);
	s->bytes_in += len;
	s->moved_us = now;
	if (s->phase == PHASE_FORGOTTEN)
		return;
	budget_offer(s->env->budget, -(int64_t)(s->in.cost_consumed - before));
	grow_window(s, len, now);
	if (s->fin_seen)
		return;		/* nothing more will need room */
	uint64_t edge = s->in.cost_consumed + s->window;
	uint64_t left = s->offered - s->in.cost_next;
	if (edge > s->offered && (edge - s->offered >= s->window / 4 ||
	    left < WIRE_DATA_MAX + WIRE_COST))
		session_owe_ack(s, true, now);
}

enum session_state
session_state(const struct session *s)
{
	if (s->aborted)
		return SESSION_ABORT;
	if (!session_fin_taken(s) || s->in.ready_bytes > 0)
		return SESSION_OPEN;
	return s->code == WIRE_CODE_OK ? SESSION_END : SESSION_RESET;
}

uint8_t
session_code(const struct session *s)
{
	return s->code;
}

bool
session_flushed(const struct session *s)
{
	return s->aborted || (s->read_ended && sendq_empty(&s->out));
}

void
session_release(struct session *s, uint64_t now)
{
	enum session_state state = session_state(s);

	s->released = true;
	s->user = NULL;
	list_unlink(&s->ready);
	if (s->phase == PHASE_WAITING || s->phase == PHASE_LIVE) {
		if (!s->discard && (!s->read_ended || state == SESSION_OPEN))
			session_abort(s, WIRE_CODE_OK, now);
		else
			session_maybe_finish(s);
	}
	if (s->phase == PHASE_FORGOTTEN)
		session_forget(s);
}

/* ---- facts ---- */

uint32_t
session_number(const struct session *s)
{
	return s->number;
}

const struct wire_open *
session_open_info(const struct session *s)
{
	return &s->open;
}

void *
session_user(const struct session *s)
{
	return s->user;
}

void
session_set_user(struct session *s, void *user)
{
	s->user = user;
}

bool
session_is_sent(const struct session *s)
{
	return s->phase != PHASE_WAITING;
}

bool
session_is_opened(const struct session *s)
{
	return s->peer_opened;
}

void
session_opened(struct session *s)
{
	if (s->phase != PHASE_LIVE)
		return;
	s->opened_due = true;
	if (!list_linked(&s->control))
		list_append(&s->env->controls, &s->control);
}

uint64_t
session_bytes_in(const struct session *s)
{
	return s->bytes_in;
}

uint64_t
session_bytes_out(const struct session *s)
{
	return s->bytes_out;
}
