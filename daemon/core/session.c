/* SPDX-License-Identifier: ISC */
/*
 * One session: where it stands in the lists of its group, and how it ends.
 * What its local side gives and takes is in session_local.c, its frames in
 * exchange.c.
 *
 * The two directions are independent facts, not states: `read_ended` and what
 * the send queue still has; the peer's FIN and what is still to be taken.  What
 * excludes each other is only the phase of its number.  The number is forgotten
 * when both FINs are acknowledged and taken (protocol.md 2.6), which may be
 * before the local side has taken its bytes; the memory goes when the role has
 * let go as well.
 */
#include "session.h"

#include <stdlib.h>

#include "group.h"
#include "session_private.h"

static void
hold(struct session *s, int64_t bytes)
{
	budget_hold(s->env->budget, bytes);
}

struct session *
session_new(struct session_env *env, const struct wire_open *open,
    uint64_t now)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = env;
	s->open = *open;
	s->phase = env->proxy ? PHASE_WAITING : PHASE_LIVE;
	list_append(&env->all, &s->all);
	list_init(&s->ready);
	list_init(&s->ack);
	list_init(&s->control);
	list_init(&s->busy);
	list_init(&s->late);
	list_init(&s->tail);
	list_init(&s->opening);
	list_init(&s->doubled);
	list_init(&s->dead);
	sched_entry_init(&s->turn);
	/* OPEN is serial 0 of the proxy's direction; data starts at 1. */
	sendq_init(&s->out, env->proxy ? 0 : 1, env->budget);
	reorder_init(&s->in, 1, env->budget);
	s->out.stalled = env->stalled;
	s->out.gone = env->gone;
	s->out.credit = &env->doubts.credit;
	s->edge = env->peer_window;
	s->offered = env->initial_window;
	s->window = env->initial_window;
	s->express = s->twin = s->ack_on = s->heard = s->reset_on = -1;
	s->moved_us = s->period_us = s->waiting_since = s->acked_us = now;
	s->ask_wait_us = ASK_MIN_US;
	budget_offer(env->budget, s->offered);
	hold(s, sizeof(*s));
	env->numbers_in_use++;
	/* The hello promises little, for everybody; an ACK right behind OPEN
	 * promises more, while there is memory. */
	if (env->start_window > s->window)
		s->window += budget_share(env->budget,
		    env->start_window - s->window);
	return s;
}

void
session_free(struct session *s)
{
	session_forget(s);
	reorder_clear(&s->in);
	list_unlink(&s->all);
	list_unlink(&s->ready);
	list_unlink(&s->dead);
	hold(s, -(int64_t)sizeof(*s));
	free(s);
}

/* ---- where it stands ---- */

void
session_make_ready(struct session *s)
{
	s->read_blocked = false;
	if (!list_linked(&s->ready) && !s->released)
		list_append(&s->env->ready, &s->ready);
}

void
session_owe_ack(struct session *s, bool at_once, uint64_t now)
{
	struct session_env *env = s->env;

	if (s->phase != PHASE_LIVE)
		return;
	if (!s->ack_owed) {
		s->ack_owed = true;
		s->ack_deadline = now + ACK_DELAY_US;
		list_unlink(&s->ack);
		list_append(at_once || s->asked_on != 0 ? &env->acks_now :
		    &env->acks_later, &s->ack);
	} else if (at_once) {
		list_unlink(&s->ack);
		list_append(&env->acks_now, &s->ack);
	}
}

/* For what waits to be sent, of the express subflows; for a second copy of what
 * `other` (-1: none) carries, on another path where one is as good: little is
 * known of one that carries little, and it may turn bad.  -1: there is none. */
static int
best_express(const struct session *s, int other, uint64_t now)
{
	struct session_env *env = s->env;
	struct paths_subflow candidates[SUBFLOWS];
	uint64_t set = env->express, rates[PATHS] = { 0 };
	size_t n = 0;

	if (other >= 0)
		set &= ~(UINT64_C(1) << other);
	/* Those that had little to send measured little. */
	for (uint64_t m = env->attached; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		uint64_t rate = env->health[i].facts.rate_bytes_s;

		if (rate > rates[env->path_of[i]])
			rates[env->path_of[i]] = rate;
	}
	for (uint64_t m = set; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);

		candidates[n++] = (struct paths_subflow){
			.subflow = i,
			.path = env->path_of[i],
			.delay_us = health_delay_us(&env->health[i], now),
			.rate_bytes_s = rates[env->path_of[i]],
			/* (What has to move moves at once.) */
			.carried_bytes = env->carried[i] + SCHED_QUANTUM *
			    (uint64_t)env->express_turns[i].awake,
		};
	}
	return paths_choose(&env->paths, candidates, n,
	    other < 0 ? -1 : env->path_of[other],
	    s->out.unsent_bytes + s->out.unacked_bytes);
}

/*
 * The first bytes of a burst and what an interactive session writes go express,
 * a burst on one subflow: its completion is that of its last datagram, and with
 * several subflows that is the worst of several (performance.md, section 0).
 * One that has become very slow keeps what it was given, but the rest moves.
 * So does what the window of one keeps waiting that is new, for a round trip at
 * least: several have more of it.
 */
static bool
is_full(const struct session_env *env, int subflow)
{
	return env->bulk != 0 && health_room(&env->health[subflow]) == 0;
}

static struct sched *
lane(struct session *s, uint64_t now)
{
	struct session_env *env = s->env;
	bool small = s->out.cost_sent - s->burst_cost < EXPRESS_START ||
	    s->out.unsent_bytes + s->out.unacked_bytes <= EXPRESS_SMALL;

	if (env->express == 0 || (env->bulk != 0 && !small))
		return &env->bulk_turns;
	if (s->express < 0 || !(env->express >> s->express & 1) ||
	    !(env->timely >> s->express & 1) ||
	    (s->out.unacked_bytes == 0 && s->turn.queue == NULL))
		s->express = best_express(s, -1, now);
	return is_full(env, s->express) ? &env->bulk_turns :
	    &env->express_turns[s->express];
}

/* Was its rate not told, and is found to be less than what the part that may go
 * twice is for? */
static bool
is_modest(const struct session_env *env, uint8_t path)
{
	return env->paths.rate_bytes_s[path] == 0 &&
	    env->link_bytes_s[path] != 0 && env->link_bytes_s[path] <
	    (uint64_t)env->redundant.per_s * GROUP_REDUNDANT_PART;
}

/*
 * A burst that goes twice is there with the better of two subflows: one lost
 * packet stops a subflow for a round trip, and the last ones of a burst for
 * longer.  On the same subflow both copies would be stopped.
 *
 * The second one waits until the first is on its way, and goes from its end to
 * its beginning: all is there unless both are stopped before they meet.
 */
void
session_double(struct session *s, struct datagram *d, int subflow,
    uint64_t now)
{
	struct session_env *env = s->env;
	/* (Alone under way.) */
	bool begins = s->out.unacked_bytes <= d->len && s->out.twice == 0;

	if (env->redundancy == 0 || (env->express >> subflow & 1) == 0 ||
	    s->out.cost_sent - s->burst_cost > env->redundancy)
		return;
	if (begins || s->twin < 0 || s->twin == subflow ||
	    (env->express >> s->twin & 1) == 0) {
		list_unlink(&s->doubled);
		s->twin = best_express(s, subflow, now);
		if (s->twin >= 0)
			sendq_second_on(&s->out, s->twin);
	}
	if (s->twin < 0 || is_modest(env, env->path_of[s->twin]) ||
	    !bucket_take_n(&env->redundant, d->len, now))
		return;
	sendq_twice(&s->out, d);
	if (!env->doubled_waits)
		env->doubled_since = now;
	env->doubled_waits = true;
	env->doubled_at = now + SECOND_COPY_US;
	if (env->doubled_at > env->doubled_since + SECOND_COPY_MAX_US)
		env->doubled_at = env->doubled_since + SECOND_COPY_MAX_US;
}

void
session_move(struct session *s, uint64_t now)
{
	if (s->turn.awake && s->turn.queue != &s->env->bulk_turns &&
	    s->express >= 0 && (!(s->env->timely >> s->express & 1) ||
	    is_full(s->env, s->express)))
		session_schedule(s, now);
}

static enum sched_why
why_ready(const struct session *s)
{
	const struct sendq *q = &s->out;

	if (!sendq_again(q))
		return SCHED_NEW;
	return q->unsent_bytes + q->unacked_bytes <= EXPRESS_SMALL ?
	    SCHED_AGAIN_FIRST : SCHED_AGAIN;
}

void
session_schedule(struct session *s, uint64_t now)
{
	bool sends = s->phase == PHASE_WAITING || s->phase == PHASE_LIVE;
	bool waits = s->phase == PHASE_RESETTING ||
	    (sends && !sendq_empty(&s->out));
	bool ready = sends && sendq_ready(&s->out, s->edge);

	if (!sends)
		sched_remove(&s->turn);
	else if (!ready)
		sched_sleep(&s->turn);
	else
		sched_wake(lane(s, now), &s->turn, why_ready(s));
	if (!sends || ready || list_empty(&s->out.unacked))
		list_unlink(&s->tail);
	else if (!list_linked(&s->tail))
		list_append(&s->env->tails, &s->tail);

	if (!sends || s->twin < 0 || s->out.twice == 0)
		list_unlink(&s->doubled);
	else if (!list_linked(&s->doubled))
		list_append(&s->env->doubled[s->twin], &s->doubled);

	if (!waits) {
		list_unlink(&s->busy);
		list_unlink(&s->late);
	} else if (!list_linked(&s->busy)) {
		list_append(&s->env->busy, &s->busy);
		s->waiting_since = now;
		s->ask_wait_us = ASK_MIN_US;
		s->ask_on = 0;
	}
}

/* ---- how it ends ---- */

bool
session_fin_taken(const struct session *s)
{
	return s->fin_seen && s->in.next == s->fin_serial;
}

void
session_forget(struct session *s)
{
	if (s->phase != PHASE_FORGOTTEN) {
		s->phase = PHASE_FORGOTTEN;
		s->env->numbers_in_use--;
		budget_offer(s->env->budget,
		    -(int64_t)(s->offered - s->in.cost_consumed));
		sendq_clear(&s->out, s->env->carried);
		s->ack_owed = false;
		list_unlink(&s->ack);
		list_unlink(&s->control);
		list_unlink(&s->busy);
		list_unlink(&s->late);
		list_unlink(&s->tail);
		list_unlink(&s->opening);
		list_unlink(&s->doubled);
		sched_remove(&s->turn);
		session_make_ready(s);
	}
	if (s->released && !list_linked(&s->dead)) {
		reorder_clear(&s->in);	/* it may take a while until burial */
		list_append(&s->env->dead, &s->dead);
	}
}

void
session_maybe_finish(struct session *s)
{
	if (s->phase != PHASE_LIVE || !s->read_ended ||
	    !sendq_empty(&s->out) || !session_fin_taken(s) || s->ack_owed)
		return;
	s->env->metrics.sessions_ended++;
	session_forget(s);
}

void
session_cut(struct session *s, uint8_t code)
{
	if (s->aborted)
		return;
	s->aborted = true;
	s->code = code;
	reorder_clear(&s->in);
	s->env->metrics.sessions_reset++;
	session_make_ready(s);
}

/* From here on only its RESET goes to the peer. */
static void
start_reset(struct session *s, uint8_t code, uint64_t now)
{
	if (s->phase == PHASE_WAITING) {	/* the peer never heard of it */
		session_forget(s);
		return;
	}
	if (s->phase != PHASE_LIVE)
		return;
	s->phase = PHASE_RESETTING;
	s->code = code;
	sendq_clear(&s->out, s->env->carried);
	/* What was offered is void: the peer's bytes are not taken any more. */
	budget_offer(s->env->budget,
	    -(int64_t)(s->offered - s->in.cost_consumed));
	s->offered = s->in.cost_consumed;
	s->ack_owed = false;
	list_unlink(&s->ack);
	s->opened_due = s->ask_due = false;
	s->reset_due = true;
	s->ask_on = 0;
	if (!list_linked(&s->control))
		list_append(&s->env->controls, &s->control);
	session_schedule(s, now);
}

void
session_abort(struct session *s, uint8_t code, uint64_t now)
{
	session_cut(s, code);
	start_reset(s, code, now);
}

static bool
is_in(int subflow, uint64_t subflows)
{
	return subflow >= 0 && (subflows >> subflow & 1) != 0;
}

/* What went over one of these may never have arrived. */
static void
distrust(struct session *s, uint64_t subflows, uint64_t now)
{
	if (is_in(s->express, subflows))
		s->express = -1;
	if (is_in(s->twin, subflows))
		s->twin = -1;
	if (is_in(s->heard, subflows))
		s->heard = -1;
	if (is_in(s->ack_on, subflows)) {
		s->ack_on = -1;
		session_owe_ack(s, true, now);
	}
	if (s->phase == PHASE_RESETTING && is_in(s->reset_on, subflows)) {
		s->reset_on = -1;
		s->reset_due = true;
		s->ask_on = 0;
		if (!list_linked(&s->control))
			list_append(&s->env->controls, &s->control);
	}
}

void
session_subflow_lost(struct session *s, int subflow, uint64_t now)
{
	s->asked_on &= ~(UINT64_C(1) << subflow);
	if (s->asked_on == 0 && !s->ack_owed)
		list_unlink(&s->ack);
	s->ask_on &= ~(UINT64_C(1) << subflow);
	sendq_lose(&s->out, subflow);
	distrust(s, UINT64_C(1) << subflow, now);
	sched_move(&s->turn);
	session_schedule(s, now);
}

void
session_subflows_changed(struct session *s, uint64_t now)
{
	sendq_stall(&s->out, s->env->stalled, s->env->gone);
	distrust(s, s->env->stalled, now);
	if (s->twin >= 0 && (s->env->express >> s->twin & 1) == 0)
		s->twin = -1;
	sched_move(&s->turn);
	session_schedule(s, now);
}
