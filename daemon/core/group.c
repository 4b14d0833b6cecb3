/* SPDX-License-Identifier: ISC */
/*
 * Sessions with one peer: how they begin and end, and what time does to them.
 * The subflows are in group_subflows.c, the frames in receive.c and transmit.c.
 */
#include "group.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "group_private.h"
#include "worth.h"

#define SCAN_US UINT64_C(200000)	/* how often waiting sessions are looked
					 * at */
#define STUCK_US UINT64_C(1000000)	/* a local side that takes nothing, */
#define STUCK_PEER_US UINT64_C(10000000)	/* and a peer */

struct group *
group_new(const struct group_options *o)
{
	struct group *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	if (numbers_init(&g->numbers, !o->proxy) != 0) {
		free(g);
		return NULL;
	}
	struct session_env *e = &g->env;
	paths_init(&e->paths);
	e->proxy = o->proxy;
	e->initial_window = o->initial_window;
	e->start_window = o->start_window;
	e->window_max = o->window_max;
	e->datagram_max = o->datagram_max;
	e->budget = o->budget;
	for (int i = 0; i < SUBFLOWS; i++) {
		sched_init(&e->express_turns[i]);
		list_init(&e->doubled[i]);
	}
	sched_init(&e->bulk_turns);
	list_init(&e->all);
	list_init(&e->ready);
	list_init(&e->acks_now);
	list_init(&e->acks_later);
	list_init(&e->controls);
	list_init(&e->busy);
	list_init(&e->late);
	list_init(&e->tails);
	reinject_compare(e);
	list_init(&e->opening);
	list_init(&e->dead);
	g->max_sessions = o->max_sessions;
	g->next_number = 1;
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
	numbers_clear(&g->numbers);
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

void
group_windows(struct group *g, uint32_t start_window, uint32_t window_max)
{
	g->env.start_window = start_window;
	g->env.window_max = window_max;
}

void
group_limit(struct group *g, uint32_t max_sessions)
{
	g->max_sessions = max_sessions;
}

void
group_redundancy(struct group *g, uint32_t burst_bytes, uint32_t bytes_per_s,
    uint64_t now)
{
	g->env.redundancy = burst_bytes;
	bucket_configure(&g->env.redundant, bytes_per_s, now);
}

void
group_bury(struct group *g)
{
	struct list *node;

	while ((node = list_first(&g->env.dead)) != NULL) {
		struct session *s = list_object(node, struct session, dead);

		numbers_remove(&g->numbers, s);
		session_free(s);
	}
}

/* ---- what the two ends say of themselves ---- */

void
group_drain(struct group *g)
{
	g->draining = true;
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		g->subflows[i].drain_due = g->subflows[i].attached;
}

bool
group_draining(const struct group *g)
{
	return g->peer_draining;
}

void
group_tell_features(struct group *g, int subflow, uint32_t features)
{
	g->features = features;
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		if (g->subflows[i].attached && (i == subflow || subflow < 0))
			g->subflows[i].features_due = true;
}

bool
group_take_features(struct group *g, uint32_t *features)
{
	bool is_new = g->peer_features_new;

	g->peer_features_new = false;
	*features = g->peer_features;
	return is_new;
}

uint64_t
group_rtt_us(const struct group *g)
{
	return g->env.rtt_us;
}

/* ---- time ---- */

/* ASK or RESET again, with back-off, when the peer has been silent for long. */
static void
look_after(struct group *g, struct session *s, uint64_t now)
{
	struct session_env *e = &g->env;
	/* The question takes the best of the ways. */
	uint64_t wait = s->ask_wait_us, trips = 3 * (e->shortest_us != 0 ?
	    e->shortest_us : e->rtt_us);

	/* A PONG that stood still for a minute says little about the path. */
	if (trips > ASK_MAX_US)
		trips = ASK_MAX_US;
	if (wait < trips)
		wait = trips;
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
	if ((s->ask_on | e->stalled) == (s->ask_on | e->attached))
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

/* Perhaps there is memory again.  Nothing else would tell those whose far end
 * owes them nothing. */
static void
feed_starved(struct session_env *env)
{
	struct list *node;

	if (!env->starved)
		return;
	env->starved = false;
	list_each(node, &env->all) {
		struct session *s = list_object(node, struct session, all);

		if (s->read_blocked)
			session_make_ready(s);
	}
}

void
group_tick(struct group *g, uint64_t now)
{
	struct list *node, *after;

	hurry_acks(&g->env, now);
	if (now >= g->env.doubled_at)
		g->env.doubled_waits = false;
	group_bury(g);
	if (now >= reinject_deadline(&g->env))
		reinject_scan(&g->env, now);
	if (now < g->next_scan)
		return;
	list_each_safe(node, after, &g->env.busy)
		look_after(g, list_object(node, struct session, busy), now);
	feed_starved(&g->env);
	g->next_scan = now + SCAN_US;
}

static bool
has_doubled(const struct session_env *e)
{
	for (uint64_t m = e->express; m != 0; m &= m - 1)
		if (!list_empty(&e->doubled[__builtin_ctzll(m)]))
			return true;
	return false;
}

uint64_t
group_deadline(const struct group *g)
{
	uint64_t deadline = GROUP_NEVER;

	if (!list_empty(&g->env.acks_later))
		deadline = list_object(g->env.acks_later.next, struct session,
		    ack)->ack_deadline;
	if ((!list_empty(&g->env.busy) || g->env.starved) &&
	    g->next_scan < deadline)
		deadline = g->next_scan;
	if (reinject_deadline(&g->env) < deadline)
		deadline = reinject_deadline(&g->env);
	if (g->env.doubled_waits && has_doubled(&g->env) &&
	    g->env.doubled_at < deadline)
		deadline = g->env.doubled_at;
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
	group_bury(g);	/* without a subflow nobody else does for long */
	if (g->next_number == 0)
		return -ENOSPC;
	if (e->numbers_in_use >= g->max_sessions ||
	    !budget_admits(e->budget)) {
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
	group_bury(g);
}

/* What it holds for somebody who takes nothing.  (Empty rings are no reason to
 * go.) */
static uint64_t
stuck_bytes(const struct session *s, uint64_t now)
{
	uint64_t bytes = 0;

	if (s->aborted)
		return 0;
	if (!reorder_empty(&s->in) && now - s->moved_us >= STUCK_US)
		bytes += s->in.held;
	if (!sendq_empty(&s->out) && now - s->acked_us >= STUCK_PEER_US)
		bytes += s->out.held;
	return bytes;
}

bool
group_shed(struct group *g, uint64_t now)
{
	struct session *worst = NULL;
	struct list *node;
	uint64_t most = 0;

	list_each(node, &g->env.all) {
		struct session *s = list_object(node, struct session, all);
		uint64_t bytes = stuck_bytes(s, now);

		if (bytes > most) {
			worst = s;
			most = bytes;
		}
	}
	if (worst == NULL)
		return false;
	session_abort(worst, WIRE_CODE_RESOURCES, now);
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
