/* SPDX-License-Identifier: ISC */
/*
 * Subflows and sessions of one peer.
 *
 * Out: a subflow that can send calls group_fill(), and what is most urgent goes
 * first: answers (PONG, RESET 7, ACK, RESET), which are state and not a queue,
 * then datagrams, one turn of one session at a time.  Each express subflow has
 * turns of its own, so that a burst is never striped; bulk subflows share one
 * set and take from it what they can send (late binding).  A lane without a
 * subflow is served by the other.
 *
 * In: frames go to their session by number.  A number that is not in the table
 * is answered with RESET 7, except an OPEN that the relay has never seen; it
 * remembers all numbers that it has seen, so that a late copy opens nothing.
 */
#include "group.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session_private.h"

#define STRAYS 64		/* RESET 7 that wait to be sent */
#define SEEN_BITS 65536		/* numbers remembered above the low mark */
#define TABLE_MIN 64
#define SCAN_US UINT64_C(200000)	/* how often waiting sessions are looked
					 * at */
#define STUCK_US UINT64_C(1000000)
#define CUT_BEHIND 1024		/* bytes of answers; behind more, a datagram that
				 * does not fit waits instead of being cut */
#define CUT_OTHERS 4096		/* largest express datagram while others wait */

struct subflow_state {
	bool attached;
	uint8_t path, slot;
	uint64_t heard_us;
	bool ping_due, pong_due, drain_due;
	uint64_t pong_opaque;
};

struct stray {
	uint32_t number;
	int subflow;
};

struct group {
	struct session_env env;
	uint32_t max_sessions;
	struct subflow_state subflows[GROUP_SUBFLOWS];
	bool peer_window_known, peer_draining;

	struct session **table;		/* by number */
	size_t table_size, table_used;

	uint32_t next_number;		/* proxy */
	uint32_t seen_low;		/* relay: all below were seen */
	uint8_t *seen;			/* ring of SEEN_BITS from there */

	bool number_wanted;		/* a session waits for OPENs before it */

	struct stray strays[STRAYS];
	size_t nstrays;
	uint64_t next_scan;
};

static uint64_t
bit(int subflow)
{
	return UINT64_C(1) << subflow;
}

struct group *
group_new(const struct group_options *o)
{
	struct group *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->table = calloc(TABLE_MIN, sizeof(*g->table));
	g->seen = o->proxy ? NULL : calloc(1, SEEN_BITS / 8);
	if (g->table == NULL || (!o->proxy && g->seen == NULL)) {
		free(g->table);
		free(g->seen);
		free(g);
		return NULL;
	}
	struct session_env *e = &g->env;
	e->proxy = o->proxy;
	e->initial_window = o->initial_window;
	e->start_window = o->start_window;
	e->window_max = o->window_max;
	e->datagram_max = o->datagram_max;
	e->budget = o->budget;
	for (int i = 0; i < SUBFLOWS; i++)
		sched_init(&e->express_turns[i]);
	sched_init(&e->bulk_turns);
	list_init(&e->all);
	list_init(&e->ready);
	list_init(&e->acks_now);
	list_init(&e->acks_later);
	list_init(&e->controls);
	list_init(&e->busy);
	list_init(&e->opening);
	list_init(&e->dead);
	g->max_sessions = o->max_sessions;
	g->table_size = TABLE_MIN;
	g->next_number = 1;
	g->seen_low = 1;
	return g;
}

void
group_free(struct group *g)
{
	struct list *node;

	if (g == NULL)
		return;
	while ((node = list_first(&g->env.all)) != NULL)
		session_free(list_object(node, struct session, all));
	for (int i = 0; i < SPARES; i++)
		free(g->env.spare[i]);
	free(g->table);
	free(g->seen);
	free(g);
}

void
group_peer_window(struct group *g, uint32_t bytes)
{
	struct list *node;

	if (g->peer_window_known)
		return;
	g->peer_window_known = true;
	g->env.peer_window = bytes;
	list_each(node, &g->env.all) {	/* those that waited for it */
		struct session *s = list_object(node, struct session, all);

		if (s->edge < bytes)
			s->edge = bytes;
		session_make_ready(s);
	}
}

/* ---- sessions by number ---- */

static struct session **
bucket(const struct group *g, uint32_t number)
{
	return &g->table[number & (g->table_size - 1)];
}

static struct session *
find(const struct group *g, uint32_t number)
{
	struct session *s = *bucket(g, number);

	while (s != NULL && s->number != number)
		s = s->hash_next;
	if (s != NULL && s->phase == PHASE_FORGOTTEN)
		return NULL;
	return s;
}

static void
table_grow(struct group *g)
{
	size_t old_size = g->table_size;
	struct session **old = g->table;
	struct session **new = calloc(old_size * 2, sizeof(*new));

	if (new == NULL)
		return;		/* longer chains, nothing worse */
	g->table = new;
	g->table_size = old_size * 2;
	for (size_t i = 0; i < old_size; i++) {
		for (struct session *s = old[i], *after; s != NULL; s = after) {
			struct session **b = bucket(g, s->number);

			after = s->hash_next;
			s->hash_next = *b;
			*b = s;
		}
	}
	free(old);
}

static void
table_add(struct group *g, struct session *s, uint32_t number)
{
	if (g->table_used >= g->table_size)
		table_grow(g);
	struct session **b = bucket(g, number);

	s->number = number;
	s->hash_next = *b;
	*b = s;
	g->table_used++;
}

static void
table_remove(struct group *g, struct session *s)
{
	struct session **p = bucket(g, s->number);

	if (s->number == 0)
		return;
	while (*p != s)
		p = &(*p)->hash_next;
	*p = s->hash_next;
	g->table_used--;
}

/* Nobody needs them any more, and no caller holds one of them. */
static void
bury(struct group *g)
{
	struct list *node;

	while ((node = list_first(&g->env.dead)) != NULL) {
		struct session *s = list_object(node, struct session, dead);

		table_remove(g, s);
		session_free(s);
	}
}

static bool
seen(const struct group *g, uint32_t number)
{
	uint32_t at = number % SEEN_BITS;

	return number < g->seen_low || (g->seen[at / 8] >> at % 8 & 1);
}

static void
mark_seen(struct group *g, uint32_t number)
{
	uint32_t at = number % SEEN_BITS;

	if (number < g->seen_low)
		return;
	g->seen[at / 8] |= (uint8_t)(1 << at % 8);
	for (at = g->seen_low % SEEN_BITS; g->seen[at / 8] >> at % 8 & 1;
	    at = g->seen_low % SEEN_BITS) {
		g->seen[at / 8] &= (uint8_t)~(1 << at % 8);
		g->seen_low++;
	}
}

/* ---- subflows ---- */

int
group_attach(struct group *g, uint8_t path, uint8_t slot, uint64_t now,
    int *replaced)
{
	struct list *node;
	int free_one = -1;

	*replaced = -1;
	for (int i = GROUP_SUBFLOWS - 1; i >= 0; i--) {
		const struct subflow_state *f = &g->subflows[i];

		if (!f->attached)
			free_one = i;
		else if (f->path == path && f->slot == slot)
			*replaced = i;
	}
	if (free_one < 0)
		return -ENOSPC;
	g->subflows[free_one] = (struct subflow_state){
		.attached = true, .path = path, .slot = slot,
		.heard_us = now, .ping_due = true,
	};
	g->env.carried[free_one] = 0;
	if (slot >= WIRE_SLOT_BULK)
		g->env.bulk |= bit(free_one);
	else
		g->env.express |= bit(free_one);
	list_each(node, &g->env.all) {		/* lanes may have changed */
		struct session *s = list_object(node, struct session, all);

		if (s->turn.queue != NULL) {
			sched_remove(&s->turn);
			session_schedule(s, now);
		}
	}
	return free_one;
}

void
group_detach(struct group *g, int subflow, uint64_t now)
{
	struct list *node, *after;
	size_t kept = 0;

	if (!g->subflows[subflow].attached)
		return;
	g->subflows[subflow].attached = false;
	g->env.express &= ~bit(subflow);
	g->env.bulk &= ~bit(subflow);
	g->env.carried[subflow] = 0;
	g->env.metrics.subflows_lost++;
	for (size_t i = 0; i < g->nstrays; i++)
		if (g->strays[i].subflow != subflow)
			g->strays[kept++] = g->strays[i];
	g->nstrays = kept;
	list_each_safe(node, after, &g->env.all)
		session_subflow_lost(list_object(node, struct session, all),
		    subflow, now);
	bury(g);
}

void
group_ping(struct group *g, int subflow, uint64_t now)
{
	(void)now;
	g->subflows[subflow].ping_due = true;
}

uint64_t
group_heard(const struct group *g, int subflow)
{
	return g->subflows[subflow].heard_us;
}

bool
group_subflow_busy(const struct group *g, int subflow)
{
	return g->env.carried[subflow] > 0;
}

uint64_t
group_waiting(const struct group *g, int subflow, uint64_t enough)
{
	const struct session_env *e = &g->env;
	const struct sched *turns = e->express & bit(subflow) ?
	    &e->express_turns[subflow] : &e->bulk_turns;
	const struct list *const lists[] = {
		&turns->again, &turns->fresh, &turns->turns,
	};
	uint64_t bytes = 0;

	if (!sched_awake(turns))
		return 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		for (struct list *n = lists[i]->next; n != lists[i] &&
		    bytes < enough; n = n->next) {
			struct sched_entry *t =
			    list_object(n, struct sched_entry, node);

			if (t->awake)
				bytes += list_object(t, struct session,
				    turn)->out.unsent_bytes;
		}
	}
	return bytes;
}

void
group_drain(struct group *g)
{
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		g->subflows[i].drain_due = g->subflows[i].attached;
}

bool
group_draining(const struct group *g)
{
	return g->peer_draining;
}

uint64_t
group_rtt_us(const struct group *g)
{
	return g->env.rtt_us;
}

/* ---- in ---- */

static void
stray(struct group *g, uint32_t number, int subflow)
{
	for (size_t i = 0; i < g->nstrays; i++)
		if (g->strays[i].number == number &&
		    g->strays[i].subflow == subflow)
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

	if (seen(g, h->connection) ||
	    h->connection - g->seen_low >= SEEN_BITS) {
		stray(g, h->connection, subflow);
		return;
	}
	mark_seen(g, h->connection);
	if (wire_get_open(body, h->size, &open) != WIRE_OK) {
		e->metrics.protocol_errors++;
		refused = WIRE_CODE_PROTOCOL;
	} else if (e->numbers_in_use >= g->max_sessions ||
	    budget_level(e->budget) >= BUDGET_CLOSED) {
		e->metrics.sessions_refused++;
		refused = WIRE_CODE_RESOURCES;
	}
	/* One that is refused is remembered until its RESET is answered; more of
	 * those than there may be sessions cannot be. */
	if (refused != 0 && e->numbers_in_use >= 2 * (size_t)g->max_sessions) {
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
	table_add(g, s, h->connection);
	s->heard = subflow;
	if (refused != 0) {
		s->released = true;
		session_fail(s, refused, now);
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
		if (relay && h->connection - g->seen_low < SEEN_BITS)
			mark_seen(g, h->connection);
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
	session_fail(s, WIRE_CODE_PROTOCOL, now);
}

static void
take_session_frame(struct group *g, const struct wire_header *h,
    const uint8_t *body, int subflow, uint64_t now)
{
	struct session *s = find(g, h->connection);

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
take_pong(struct group *g, uint64_t sent, uint64_t now)
{
	if (sent == 0 || sent > now)
		return;			/* not a time that we gave */
	uint64_t rtt = now - sent;
	if (rtt == 0)
		rtt = 1;
	if (g->env.rtt_us == 0)
		g->env.rtt_us = rtt;
	else
		g->env.rtt_us += (rtt >> 3) - (g->env.rtt_us >> 3);
}

static void
take_frame(struct group *g, const struct wire_header *h, const uint8_t *body,
    int subflow, uint64_t now)
{
	struct subflow_state *f = &g->subflows[subflow];

	switch (h->type) {
	case WIRE_PING:
		f->pong_due = true;
		f->pong_opaque = wire_body_u64(body);
		break;
	case WIRE_PONG:
		take_pong(g, wire_body_u64(body), now);
		break;
	case WIRE_DRAIN:
		g->peer_draining = true;
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
	if (g->number_wanted) {
		g->number_wanted = false;
		wake_all(g, now);
	}
	bury(g);
	return (int)(in.pos - bytes);
}

/* ---- out ---- */

struct room {
	uint8_t *out;
	size_t len, used;
};

static uint8_t *
at(const struct room *r)
{
	return r->out + r->used;
}

static size_t
left(const struct room *r)
{
	return r->len - r->used;
}

static void
fill_answers(struct group *g, int subflow, struct room *r, uint64_t now)
{
	struct subflow_state *f = &g->subflows[subflow];
	size_t kept = 0;

	if (f->pong_due && left(r) >= WIRE_CONTROL_MAX) {
		f->pong_due = false;
		r->used += wire_put_ping(at(r), true, f->pong_opaque);
	}
	if (f->ping_due && left(r) >= WIRE_CONTROL_MAX) {
		f->ping_due = false;
		r->used += wire_put_ping(at(r), false, now);
	}
	if (f->drain_due && left(r) >= WIRE_CONTROL_MAX) {
		f->drain_due = false;
		r->used += wire_put_drain(at(r));
	}
	for (size_t i = 0; i < g->nstrays; i++) {
		const struct stray *s = &g->strays[i];

		if (s->subflow == subflow && left(r) >= WIRE_CONTROL_MAX)
			r->used += wire_put_reset(at(r), s->number,
			    WIRE_CODE_UNKNOWN);
		else
			g->strays[kept++] = *s;
	}
	g->nstrays = kept;
}

/* ACKs go where the session was last heard, or over an express subflow, where
 * nothing is queued before them. */
static bool
may_carry_ack(const struct group *g, const struct session *s, int subflow)
{
	return (g->env.express & bit(subflow)) != 0 || s->heard == subflow ||
	    s->heard < 0;
}

static void
fill_acks(struct group *g, int subflow, struct room *r, uint64_t now)
{
	struct list *node, *after;

	list_each_safe(node, after, &g->env.acks_now) {
		struct session *s = list_object(node, struct session, ack);

		if (!may_carry_ack(g, s, subflow))
			continue;
		size_t n = session_fill_ack(s, subflow, at(r), left(r), now);
		if (n == 0)
			return;
		r->used += n;
	}
}

/* What this subflow swallowed, another may carry. */
static bool
may_carry_control(const struct session *s, int subflow)
{
	return s->reset_due || s->opened_due ||
	    (s->ask_on & bit(subflow)) == 0;
}

static void
fill_controls(struct group *g, int subflow, struct room *r, uint64_t now)
{
	struct list *node, *after;

	list_each_safe(node, after, &g->env.controls) {
		struct session *s = list_object(node, struct session, control);

		if (!may_carry_control(s, subflow))
			continue;
		size_t n = session_fill_control(s, subflow, at(r), left(r),
		    now);
		if (n == 0)
			return;
		r->used += n;
	}
}

/* The first OPEN of a session is about to be sent: it needs a number. */
static bool
give_number(struct group *g, struct session *s)
{
	struct list *oldest = list_first(&g->env.opening);

	if (g->next_number == 0) {		/* used up */
		session_cut(s, WIRE_CODE_RESOURCES);
		session_forget(s);
		return false;
	}
	if (oldest != NULL && g->next_number - list_object(oldest,
	    struct session, opening)->number >= SEEN_BITS) {
		g->number_wanted = true;
		return false;
	}
	table_add(g, s, g->next_number++);
	s->phase = PHASE_LIVE;
	return true;
}

/* The turns that this subflow serves, in order of preference. */
static struct sched_entry *
pick(struct group *g, int subflow)
{
	struct session_env *e = &g->env;
	struct sched_entry *t = NULL;

	if (e->express & bit(subflow))
		t = sched_pick(&e->express_turns[subflow]);
	if (t == NULL && (e->bulk == 0 || (e->bulk & bit(subflow)) != 0))
		t = sched_pick(&e->bulk_turns);
	return t;
}

static void
fill_datagrams(struct group *g, int subflow, struct room *r, uint64_t now)
{
	bool express = (g->env.express & bit(subflow)) != 0;
	struct sched_entry *t;

	while ((t = pick(g, subflow)) != NULL) {
		struct session *s = list_object(t, struct session, turn);
		struct sched *before = t->queue;
		struct session_turn turn = {
			.subflow = subflow, .out = at(r), .room = left(r),
			.cut = g->env.datagram_max, .cut_to_room = r->used < CUT_BEHIND,
		};

		/* A number is given only when its OPEN will fit. */
		if (s->phase == PHASE_WAITING &&
		    turn.room < WIRE_HEADER + WIRE_OPEN_MAX)
			return;
		if (s->phase == PHASE_WAITING && !give_number(g, s)) {
			sched_sleep(t);
			continue;
		}
		if (express && turn.cut > CUT_OTHERS &&
		    sched_others(t->queue, t))
			turn.cut = CUT_OTHERS;
		size_t n = session_fill(s, &turn, now);
		if (n == 0)		/* no room for it: next time */
			return;
		r->used += n;
		if (t->queue == before)
			sched_charge(t, (uint32_t)n);
	}
}

size_t
group_fill(struct group *g, int subflow, uint8_t *out, size_t room,
    uint64_t now)
{
	struct room r = { out, room, 0 };

	if (!g->subflows[subflow].attached)
		return 0;
	fill_answers(g, subflow, &r, now);
	fill_acks(g, subflow, &r, now);
	fill_controls(g, subflow, &r, now);
	fill_datagrams(g, subflow, &r, now);
	bury(g);
	return r.used;
}

/* Would fill_acks() write anything here? */
static bool
owes_ack(const struct group *g, int subflow)
{
	const struct list *node;

	list_each(node, &g->env.acks_now)
		if (may_carry_ack(g, list_object(node, struct session, ack),
		    subflow))
			return true;
	return false;
}

/* Would fill_controls()? */
static bool
owes_control(const struct group *g, int subflow)
{
	const struct list *node;

	list_each(node, &g->env.controls)
		if (may_carry_control(list_object(node, struct session,
		    control), subflow))
			return true;
	return false;
}

bool
group_wants(const struct group *g, int subflow, uint64_t now)
{
	const struct subflow_state *f = &g->subflows[subflow];
	const struct session_env *e = &g->env;
	bool express = (e->express & bit(subflow)) != 0;

	(void)now;
	if (!f->attached)
		return false;
	if (f->pong_due || f->ping_due || f->drain_due ||
	    owes_ack(g, subflow) || owes_control(g, subflow))
		return true;
	for (size_t i = 0; i < g->nstrays; i++)
		if (g->strays[i].subflow == subflow)
			return true;
	return (express && sched_awake(&e->express_turns[subflow])) ||
	    ((!express || e->bulk == 0) && sched_awake(&e->bulk_turns));
}

/* ---- time ---- */

/* ASK or RESET again, with back-off, when the peer has been silent for long. */
static void
look_after(struct group *g, struct session *s, uint64_t now)
{
	struct session_env *e = &g->env;
	uint64_t wait = s->ask_wait_us;

	if (wait < 3 * e->rtt_us)
		wait = 3 * e->rtt_us;
	if (s->phase == PHASE_WAITING || now - s->waiting_since < wait)
		return;
	s->waiting_since = now;
	session_schedule(s, now);
	if (s->ask_wait_us < ASK_MAX_US)
		s->ask_wait_us *= 2;
	if (s->phase == PHASE_RESETTING)
		s->reset_due = true;
	else
		s->ask_due = true;
	if ((s->ask_on & (e->express | e->bulk)) == (e->express | e->bulk))
		s->ask_on = 0;
	if (!list_linked(&s->control))
		list_append(&e->controls, &s->control);
}

/* What is due waits for a subflow from now on, not for the clock. */
static void
hurry_acks(struct session_env *e, uint64_t now)
{
	struct list *node;

	while ((node = list_first(&e->acks_later)) != NULL &&
	    list_object(node, struct session, ack)->ack_deadline <= now) {
		list_unlink(node);
		list_append(&e->acks_now, node);
	}
}

void
group_tick(struct group *g, uint64_t now)
{
	struct list *node, *after;

	hurry_acks(&g->env, now);
	if (now < g->next_scan)
		return;
	list_each_safe(node, after, &g->env.busy)
		look_after(g, list_object(node, struct session, busy), now);
	g->next_scan = now + SCAN_US;
}

uint64_t
group_deadline(const struct group *g)
{
	uint64_t deadline = GROUP_NEVER;

	if (!list_empty(&g->env.acks_later))
		deadline = list_object(g->env.acks_later.next, struct session,
		    ack)->ack_deadline;
	if (!list_empty(&g->env.busy) && g->next_scan < deadline)
		deadline = g->next_scan;
	return deadline;
}

/* ---- sessions ---- */

int
group_open(struct group *g, const struct wire_open *open, uint64_t now,
    struct session **session)
{
	uint8_t body[WIRE_OPEN_MAX];
	struct session_env *e = &g->env;

	assert(e->proxy);
	if (g->next_number == 0)
		return -ENOSPC;
	if (e->numbers_in_use >= g->max_sessions ||
	    budget_level(e->budget) >= BUDGET_CLOSED) {
		e->metrics.sessions_refused++;
		return -EAGAIN;
	}
	struct session *s = session_new(e, open, now);
	if (s == NULL)
		return -ENOMEM;
	if (sendq_item(&s->out, WIRE_OPEN, body, wire_put_open(body, open))
	    != 0) {
		session_free(s);
		return -ENOMEM;
	}
	e->metrics.sessions_opened++;
	session_schedule(s, now);
	session_make_ready(s);
	*session = s;
	return 0;
}

struct session *
group_ready(struct group *g)
{
	struct list *node = list_first(&g->env.ready);

	if (node == NULL)
		return NULL;
	list_unlink(node);
	return list_object(node, struct session, ready);
}

void
group_reset_all(struct group *g, uint8_t code, uint64_t now)
{
	struct list *node, *after;

	(void)now;
	list_each_safe(node, after, &g->env.all) {
		struct session *s = list_object(node, struct session, all);

		if (s->phase == PHASE_FORGOTTEN)
			continue;
		session_cut(s, code);
		session_forget(s);
	}
	g->nstrays = 0;
	bury(g);
}

bool
group_shed(struct group *g, uint64_t now)
{
	struct session *worst = NULL;
	struct list *node;

	list_each(node, &g->env.all) {
		struct session *s = list_object(node, struct session, all);

		if (s->aborted || s->in.held == 0 ||
		    now - s->moved_us < STUCK_US)
			continue;
		if (worst == NULL || s->in.held > worst->in.held)
			worst = s;
	}
	if (worst == NULL)
		return false;
	session_fail(worst, WIRE_CODE_RESOURCES, now);
	return true;
}

size_t
group_sessions(const struct group *g)
{
	return g->env.numbers_in_use;
}

const struct metrics *
group_metrics(const struct group *g)
{
	return &g->env.metrics;
}
