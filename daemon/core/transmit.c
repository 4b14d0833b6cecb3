/* SPDX-License-Identifier: ISC */
/*
 * Frames of a group, out.
 *
 * A subflow that can send calls group_fill(), and what is most urgent goes
 * first: answers (PONG, RESET 7, ACK, RESET), which are state and not a queue,
 * then datagrams, one turn of one session at a time.  Each express subflow has
 * turns of its own, so that a burst is not striped; bulk subflows share one
 * set.  Each takes what its TCP can send soon (late binding, health_room()):
 * what is left of a burst when its express subflow has no window for it is for
 * bulk ones.  A lane without a subflow is served by the other.  What a lost
 * bulk subflow carried an idle express one takes, too: the other bulk ones may
 * be new, and would need several round trips for all that the lost one had
 * under way.  Second copies go when an express subflow has nothing else to
 * send, and no other session waits for one of its path: what is sent twice
 * takes nothing from what is new.  What is late goes again before anything new,
 * when it is very late, or instead of nothing (reinject.h).
 */
#include "group_private.h"
#include "worth.h"

#define CUT_BEHIND 1024		/* bytes of answers; behind more, a datagram
				 * that does not fit waits instead of being
				 * cut */
#define COPY_ROOM (2 * WIRE_HEADER + WIRE_OPEN_MAX)
#define CUT_OTHERS 4096		/* largest express datagram while others wait */
#define CUT_LEAST 4096		/* not to less, for want of room in its TCP */

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
wrote(struct group *g, int subflow, struct room *r, size_t bytes)
{
	r->used += bytes;
	health_give(&g->env.health[subflow], bytes);
}

static void
fill_answers(struct group *g, int subflow, struct room *r, uint64_t now)
{
	struct subflow_state *f = &g->subflows[subflow];
	size_t kept = 0;
	int path;

	if (f->pong_due && left(r) >= WIRE_CONTROL_MAX) {
		f->pong_due = false;
		wrote(g, subflow, r,
		    wire_put_ping(at(r), true, f->pong_opaque));
	}
	if (f->ping_due && left(r) >= WIRE_CONTROL_MAX) {
		f->ping_due = false;
		wrote(g, subflow, r, wire_put_ping(at(r), false, now));
	}
	if (f->drain_due && left(r) >= WIRE_CONTROL_MAX) {
		f->drain_due = false;
		wrote(g, subflow, r, wire_put_drain(at(r)));
	}
	if (f->features_due && left(r) >= WIRE_CONTROL_MAX) {
		f->features_due = false;
		wrote(g, subflow, r, wire_put_features(at(r), g->features));
	}
	if (f->path_due && left(r) >= WIRE_CONTROL_MAX) {
		f->path_due = false;
		wrote(g, subflow, r,
		    wire_put_path(at(r), &g->env.paths.of[f->path]));
	}
	while ((path = path_set_first(&f->lost_paths)) >= 0 &&
	    left(r) >= WIRE_CONTROL_MAX) {
		path_set_clear(&f->lost_paths, (uint8_t)path);
		wrote(g, subflow, r, wire_put_lost(at(r), (uint8_t)path));
	}
	for (size_t i = 0; i < g->nstrays; i++) {
		const struct stray *s = &g->strays[i];

		if (s->subflow == subflow && left(r) >= WIRE_CONTROL_MAX)
			wrote(g, subflow, r, wire_put_reset(at(r), s->number,
			    WIRE_CODE_UNKNOWN));
		else
			g->strays[kept++] = *s;
	}
	g->nstrays = kept;
}

/* ACKs go where the session was last heard, or over an express subflow of that
 * path, where nothing is queued before them: that path lives.  When it is a
 * long one, they go where they arrive sooner.  Who asks gets one where it asked
 * as well: other subflows may swallow whatever they are given. */
static bool
may_carry_ack(const struct group *g, const struct session *s, int subflow)
{
	if ((s->asked_on & subflow_bit(subflow)) != 0)
		return true;
	if (!s->ack_owed || (g->env.prompt & subflow_bit(subflow)) == 0)
		return false;
	return s->heard == subflow || s->heard < 0 ||
	    (g->env.prompt & subflow_bit(s->heard)) == 0 ||
	    ((g->env.express & subflow_bit(subflow)) != 0 &&
	    g->env.path_of[subflow] == g->env.path_of[s->heard]);
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
		wrote(g, subflow, r, n);
	}
}

/* It goes where it arrives soon.  What this subflow swallowed, another may
 * carry; one that is not in use only what all those have swallowed. */
static bool
may_carry_control(const struct group *g, const struct session *s, int subflow)
{
	uint64_t used = g->env.express | g->env.bulk;

	if ((g->env.stalled & subflow_bit(subflow)) != 0 ||
	    (!group_subflow_used(g, subflow) && (s->ask_on & used) != used))
		return false;
	if ((g->env.prompt & subflow_bit(subflow)) == 0 &&
	    (s->ask_on & g->env.prompt) != g->env.prompt)
		return false;
	return s->opened_due || (s->ask_on & subflow_bit(subflow)) == 0;
}

static void
fill_controls(struct group *g, int subflow, struct room *r, uint64_t now)
{
	struct list *node, *after;

	list_each_safe(node, after, &g->env.controls) {
		struct session *s = list_object(node, struct session, control);

		if (!may_carry_control(g, s, subflow))
			continue;
		size_t n = session_fill_control(s, subflow, at(r), left(r),
		    now);
		if (n == 0)
			return;
		wrote(g, subflow, r, n);
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
	    struct session, opening)->number >= NUMBERS_AHEAD) {
		g->number_wanted = true;
		return false;
	}
	numbers_add(&g->numbers, s, g->next_number++);
	s->phase = PHASE_LIVE;
	return true;
}

/* May it be given datagrams? */
static bool
takes(const struct group *g, int subflow)
{
	return group_subflow_used(g, subflow) &&
	    health_room(&g->env.health[subflow]) > 0;
}

/* The largest datagram for it: about what it takes. */
static size_t
cut_for(const struct group *g, int subflow)
{
	uint64_t room = health_room(&g->env.health[subflow]);

	if (room < CUT_LEAST)
		return CUT_LEAST;
	return room < WIRE_DATA_MAX ? (size_t)room : WIRE_DATA_MAX;
}

/* For whom, and when, a bulk subflow asks whether it should send. */
struct choice {
	int subflow;
	uint64_t now;
};

static bool
is_worth(const struct sched_entry *t, const void *arg)
{
	const struct choice *c = arg;

	return worth_taking(list_object((struct sched_entry *)t,
	    struct session, turn), c->subflow, c->now);
}

/* Are there subflows among which to choose with care? */
static bool
is_choosy(const struct session_env *e, int subflow)
{
	return e->uneven && (e->bulk & subflow_bit(subflow)) != 0 &&
	    e->bulk_turns.awake <= WORTH_SESSIONS;
}

/* Lost, and soon there if it goes this way. */
static bool
is_lost(const struct sched_entry *t, const void *arg)
{
	const struct session *s = list_object((struct sched_entry *)t,
	    struct session, turn);
	const struct choice *c = arg;

	return sendq_again(&s->out) && (!s->env->uneven ||
	    worth_taking(s, c->subflow, c->now));
}

/* The turns that this subflow serves, in order of preference. */
static struct sched_entry *
pick(struct group *g, int subflow, uint64_t now)
{
	const struct choice choice = { subflow, now };

	struct session_env *e = &g->env;
	struct sched_entry *t = NULL;

	if (!takes(g, subflow))
		return NULL;
	if (e->express & subflow_bit(subflow))
		t = sched_pick(&e->express_turns[subflow]);
	if (t == NULL && is_choosy(e, subflow))
		t = sched_pick_if(&e->bulk_turns, is_worth, &choice);
	else if (t == NULL &&
	    (e->bulk == 0 || (e->bulk & subflow_bit(subflow)) != 0))
		t = sched_pick(&e->bulk_turns);
	else if (t == NULL)
		t = sched_again_if(&e->bulk_turns, is_lost, &choice);
	return t;
}

static void
fill_datagrams(struct group *g, int subflow, struct room *r, uint64_t now)
{
	bool express = (g->env.express & subflow_bit(subflow)) != 0;
	struct sched_entry *t;

	while ((t = pick(g, subflow, now)) != NULL) {
		struct session *s = list_object(t, struct session, turn);
		struct sched *before = t->queue;
		struct session_turn turn = {
			.subflow = subflow, .out = at(r), .room = left(r),
			.cut = g->env.datagram_max,
			.cut_to_room = r->used < CUT_BEHIND,
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
		if (turn.cut > cut_for(g, subflow))
			turn.cut = cut_for(g, subflow);
		size_t n = session_fill(s, &turn, now);
		if (n == 0)		/* no room for it: next time */
			return;
		wrote(g, subflow, r, n);
		if (t->queue == before)
			sched_charge(t, (uint32_t)n);
	}
}

/* What waits for an express subflow that is full now. */
static void
move_on(struct group *g, int subflow, uint64_t now)
{
	struct sched *turns = &g->env.express_turns[subflow];
	struct sched_entry *t;

	while (!takes(g, subflow) && (t = sched_pick(turns)) != NULL) {
		session_move(list_object(t, struct session, turn), now);
		if (t->queue == turns)		/* there is no other */
			return;
	}
}

struct session *
group_doubled_next(const struct group *g, int subflow, uint64_t now)
{
	const struct session_env *e = &g->env;
	struct list *node = list_first(&e->doubled[subflow]);
	struct session *s;

	if (now < e->doubled_at || node == NULL)
		return NULL;
	s = list_object(node, struct session, doubled);
	return worth_others_wait(e, subflow, s) ? NULL : s;
}

/* One datagram of each session in turn. */
static void
fill_second_copies(struct group *g, int subflow, struct room *r, uint64_t now)
{
	struct session *s;

	while (takes(g, subflow) &&
	    (s = group_doubled_next(g, subflow, now)) != NULL) {
		size_t n = session_fill_second(s, subflow, at(r), left(r), now);

		if (n == 0 && list_linked(&s->doubled))
			return;
		wrote(g, subflow, r, n);
		if (list_linked(&s->doubled)) {
			list_unlink(&s->doubled);
			list_append(&g->env.doubled[subflow], &s->doubled);
		}
	}
}

/* Would fill_datagrams() or fill_second_copies()? */
static bool
has_datagrams(const struct group *g, int subflow, uint64_t now)
{
	const struct session_env *e = &g->env;
	const struct choice choice = { subflow, now };
	bool express = (e->express & subflow_bit(subflow)) != 0;

	if (!takes(g, subflow))
		return false;
	return group_doubled_next(g, subflow, now) != NULL ||
	    (express && (sched_awake(&e->express_turns[subflow]) ||
	    sched_again_if(&e->bulk_turns, is_lost, &choice) != NULL)) ||
	    ((!express || e->bulk == 0) && (is_choosy(e, subflow) ?
	    sched_awake_if(&e->bulk_turns, is_worth, &choice) :
	    sched_awake(&e->bulk_turns)));
}

/* What goes on this subflow again. */
static struct datagram *
copy_due(const struct group *g, int subflow, bool idle, uint64_t now,
    struct session **s)
{
	if (!takes(g, subflow))
		return NULL;
	return reinject_next(&g->env, subflow, idle, now, s);
}

static void
fill_copies(struct group *g, int subflow, bool idle, struct room *r,
    uint64_t now)
{
	struct datagram *d;
	struct session *s;

	while ((d = copy_due(g, subflow, idle, now, &s)) != NULL) {
		size_t n;

		if (left(r) < COPY_ROOM + d->len)
			return;
		reinject_charge(&g->env, d, now);
		n = session_fill_copy(s, d, subflow, at(r), left(r), now);
		wrote(g, subflow, r, n);
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
	fill_copies(g, subflow, false, &r, now);
	fill_datagrams(g, subflow, &r, now);
	move_on(g, subflow, now);
	fill_second_copies(g, subflow, &r, now);
	if (!has_datagrams(g, subflow, now))
		fill_copies(g, subflow, true, &r, now);
	g->env.paths.counts[g->subflows[subflow].path].sent_bytes += r.used;
	group_bury(g);
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
		if (may_carry_control(g, list_object(node, struct session,
		    control), subflow))
			return true;
	return false;
}

bool
group_wants(const struct group *g, int subflow, uint64_t now)
{
	const struct subflow_state *f = &g->subflows[subflow];
	struct session *s;

	if (!f->attached)
		return false;
	if (f->pong_due || f->ping_due || f->drain_due || f->features_due ||
	    f->path_due || path_set_first(&f->lost_paths) >= 0 ||
	    owes_ack(g, subflow) || owes_control(g, subflow))
		return true;
	for (size_t i = 0; i < g->nstrays; i++)
		if (g->strays[i].subflow == subflow)
			return true;
	return has_datagrams(g, subflow, now) ||
	    copy_due(g, subflow, true, now, &s) != NULL;
}
