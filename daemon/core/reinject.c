/* SPDX-License-Identifier: ISC */
/*
 * Late is what TCP's own fast retransmission does not explain.  That takes one
 * round trip more, so with 2.25 round trips (and what waited before it, and the
 * time that an ACK may take) we do not race with it while the subflow has other
 * things to send.  One that would be idle begins after 1.25 round trips.
 * (Linux' MPTCP waits for an empty queue; see also TLP's two round trips, RFC
 * 8985.)
 *
 * A subflow is in order: what it was given after the head cannot have arrived
 * before it.  So of what lies behind a late head, that which was sent on the
 * same subflow, and only there, waits as well, and is sent again with it when
 * its own time has come.  Nothing is known of what went elsewhere: it may have
 * arrived.
 *
 * Nobody waits for a head as long as its session has something to send and the
 * window for it: the whole is done no sooner, and what goes twice is missing
 * there.  It is late when less is left of the window than is under way, or when
 * that is all.
 *
 * Subflows of one path share its link.  A copy on another of them takes from
 * what is new and from TCP's own retransmission, which is under way, and with
 * it goes a round trip's worth of what waits behind the head.  So it is made at
 * the end only, when the session may send nothing new, and none waits to; a
 * subflow that is dead is suspect soon.  If it is the window that keeps it from
 * that, the rest has yet to go over the same link, so then no other subflow of
 * the path may have anything to send.  On a thin link it is not made: what a
 * subflow has under way takes longer to go again than its TCP takes to repair
 * it.
 */
#include "reinject.h"

#include <stddef.h>

#include "worth.h"

#define SCAN_US UINT64_C(50000)
#define SCAN_MIN_US UINT64_C(5000)
#define UNKNOWN_US UINT64_C(1000000)	/* without facts, and three trips */
#define GAIN_US UINT64_C(20000)		/* what arrives so much earlier is
					 * worth a copy */
#define BURST_US UINT64_C(500000)	/* of their rates, or a round trip */
#define SECOND_US UINT64_C(1000000)
#define CRAWL_SHARE 4			/* of what the others deliver */
#define THIN_BYTES_S UINT64_C(125000)	/* a datagram
					 * takes an eighth of a second */
#define SESSIONS 32			/* looked at in one turn */
#define STEPS 256			/* items of each */

static uint64_t
bit(int subflow)
{
	return UINT64_C(1) << subflow;
}

static uint64_t
trip_us(const struct session_env *env, int subflow)
{
	const struct group_facts *f = &env->health[subflow].facts;

	return f->rtt_us != 0 ? f->rtt_us : env->rtt_us;
}

/* Later than this is late, whatever was to be expected when it was sent: a path
 * may be a good one then and all but stand still now, or it may be known to be
 * slow, but nobody has to wait for it for ever. */
static uint64_t
limit_us(const struct session_env *env, int subflow)
{
	uint64_t way = env->health[subflow].facts.rtt_min_us;

	return UNKNOWN_US + 2 * (way > env->soonest_us ? way :
	    env->soonest_us);
}

/* Is it on this subflow's path already? */
static bool
is_on_path(const struct session_env *env, const struct datagram *d, int subflow)
{
	for (uint64_t m = d->copies; m != 0; m &= m - 1)
		if (env->path_of[__builtin_ctzll(m)] == env->path_of[subflow])
			return true;
	return false;
}

/* Is there anything on a path that waits to be sent?  What waits with the item
 * does not count, since that may be dead. */
static bool
is_loaded(const struct session_env *env, const struct datagram *d, int subflow)
{
	for (uint64_t m = (env->express | env->bulk) & ~d->copies; m != 0;
	    m &= m - 1) {
		int i = __builtin_ctzll(m);

		if (i != subflow && env->path_of[i] == env->path_of[subflow] &&
		    env->health[i].facts.unsent_bytes > 0)
			return true;
	}
	return false;
}

static bool
is_thin(const struct session_env *env, int subflow)
{
	uint64_t rate = env->link_bytes_s[env->path_of[subflow]];

	return rate != 0 && rate < THIN_BYTES_S;
}

/* It has waited for so long. */
static bool
is_overdue(const struct session_env *env, const struct datagram *d,
    uint64_t now)
{
	return env->soonest_us != 0 &&
	    now >= d->copied_us + limit_us(env, d->on);
}

/* How far the subflow that carries it has come, of given_bytes. */
static uint64_t
come_to(const struct health *h)
{
	return h->looked_bytes > h->facts.waiting_bytes ?
	    h->looked_bytes - h->facts.waiting_bytes : 0;
}

/* Has that moved much less, since it was given this one, than others of its
 * path deliver?  (What TCP says of its own rate is of old times.)  If not, the
 * link is slow, and a copy takes from it what the first one needs. */
static bool
crawls(const struct session_env *env, const struct datagram *d, uint64_t now)
{
	uint64_t come = come_to(&env->health[d->on]), most = 0;
	uint64_t moved = come > d->from ? come - d->from : 0;

	for (uint64_t m = env->express | env->bulk; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		uint64_t rate = env->health[i].facts.rate_bytes_s;

		if (i != d->on && env->path_of[i] == env->path_of[d->on] &&
		    rate > most)
			most = rate;
	}
	return moved < most * (now - d->copied_us) / SECOND_US / CRAWL_SHARE;
}

/* May it go on another subflow of a path?  Only if there is nothing new, or if
 * it has waited for so long, and not for all of the path: packets may be lost
 * again and again, and move too often for their subflow to be suspect.  (If it
 * went elsewhere since, and that took so long, it has waited here for longer,
 * and how far that copy has come nobody remembers.) */
static bool
may_race(const struct session_env *env, const struct session *s,
    const struct datagram *d, int subflow, bool idle, uint64_t now)
{
	return !is_on_path(env, d, subflow) ||
	    (idle && !is_thin(env, subflow) && list_linked(&s->tail) &&
	    !worth_others_wait(env, subflow, NULL) &&
	    (s->out.unsent_bytes == 0 || !is_loaded(env, d, subflow))) ||
	    (is_overdue(env, d, now) &&
	    (env->path_of[d->on] != env->path_of[subflow] ||
	    crawls(env, d, now)));
}

static void
earn(struct allowance *a, uint64_t bytes)
{
	a->credit += bytes;
	if (a->credit > a->burst)
		a->credit = a->burst;
}

static void
spend(struct allowance *a, uint64_t bytes)
{
	a->credit -= bytes < a->credit ? bytes : a->credit;
}

/* Of a link that turns out to be faster, the rest is given then. */
static void
widen(struct allowance *a, uint64_t bytes)
{
	if (bytes <= a->burst)
		return;
	a->credit += bytes - a->burst;
	a->burst = bytes;
}

void
reinject_sent(struct session_env *env, struct datagram *d, int subflow,
    bool again, uint64_t now)
{
	const struct health *h = &env->health[subflow];
	uint64_t delay = health_delay_us(h, now);
	uint64_t trip = trip_us(env, subflow);

	d->on = (int8_t)subflow;
	d->copied_us = now;
	d->from = come_to(h);
	d->position = h->given_bytes + d->len;
	if (delay == 0 || h->facts.rate_bytes_s == 0)
		d->due_us = now + UNKNOWN_US + 3 * trip;
	else
		d->due_us = now + delay + trip / 2 + trip / 4 +
		    2 * (uint64_t)h->facts.rtt_var_us + ACK_DELAY_US;
	if (d->due_us > now + limit_us(env, subflow))
		d->due_us = now + limit_us(env, subflow);
	if (again)
		return;
	d->first = d->on;
	earn(&env->copies, d->len / REINJECT_SHARE);
	earn(&env->doubts, d->len / REINJECT_SHARE);
}

/* What is no more than a burst on a fast link takes a slow one half a minute.
 * The subflows of a path share its link, and each may have had it for itself
 * when it was measured. */
void
reinject_compare(struct session_env *env)
{
	uint64_t most[PATHS] = { 0 }, bytes = 0;

	for (uint64_t m = env->express | env->bulk; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		const struct group_facts *f = &env->health[i].facts;
		uint32_t trip = f->rtt_min_us != 0 ? f->rtt_min_us : f->rtt_us;
		uint64_t holds = f->rate_bytes_s *
		    (trip > BURST_US ? trip : BURST_US) / SECOND_US;
		uint64_t *path = &most[env->path_of[i]];
		if (holds > *path) {
			bytes += holds - *path;
			*path = holds;
		}
	}
	if (bytes < REINJECT_BURST_MIN)
		bytes = REINJECT_BURST_MIN;
	widen(&env->doubts, bytes);
	widen(&env->copies, bytes < REINJECT_BURST ? bytes : REINJECT_BURST);
}

/* Has its last copy arrived, as far as TCP knows?  Then only its
 * acknowledgement is missing. */
static bool
has_arrived(const struct session_env *env, const struct datagram *d)
{
	return (d->copies & bit(d->on)) != 0 &&
	    health_has_arrived(&env->health[d->on], d->position);
}

static bool
several(const struct session_env *env)
{
	uint64_t used = env->express | env->bulk;

	return (used & (used - 1)) != 0;
}

static struct datagram *
head_of(const struct session *s)
{
	struct list *node = list_first(&s->out.unacked);

	return node != NULL ? list_object(node, struct datagram, node) : NULL;
}

/* Late, or it was, and has been sent again. */
static bool
is_blocked(const struct datagram *head, uint64_t now)
{
	return head->due_us <= now || (head->copies & (head->copies - 1)) != 0;
}

/* Until its session has to stop if this item stays away, at the rate of all
 * subflows in use, which it shares with others. */
static uint64_t
shut_us(const struct session_env *env, const struct session *s,
    const struct datagram *d)
{
	const struct sendq *q = &s->out;
	uint64_t bytes = d->cost_end - q->cost_acked, rate = 0;
	uint32_t others = env->bulk_turns.awake;

	if (s->edge > q->cost_sent)
		bytes += s->edge - q->cost_sent;
	for (uint64_t m = env->bulk; m != 0; m &= m - 1)
		rate += env->health[__builtin_ctzll(m)].facts.rate_bytes_s;
	if (others > 1)
		rate /= others;
	return rate != 0 ? bytes * SECOND_US / rate : UINT64_MAX;
}

/* Is the window used up soon?  That its copy is of use before, one goes as long
 * before as it and its ACK are under way. */
static bool
is_short(const struct session_env *env, const struct session *s,
    const struct datagram *head)
{
	return env->uneven && worth_more(s) && s->out.unsent_bytes > 0 &&
	    shut_us(env, s, head) <= SCAN_US + 2 * env->longest_us;
}

void
reinject_scan(struct session_env *env, uint64_t now)
{
	struct list *node, *after;

	env->copy_scan = now + SCAN_US;
	list_each_safe(node, after, &env->busy) {
		struct session *s = list_object(node, struct session, busy);
		const struct datagram *head = head_of(s);

		session_move(s, now);
		if (s->out.doubted > 0 && !s->turn.awake)
			session_schedule(s, now); /* there may be credit */

		if (head != NULL && head->due_us > now &&
		    head->due_us < env->copy_scan)
			env->copy_scan = head->due_us;
		if (head == NULL || (!is_blocked(head, now) &&
		    !is_short(env, s, head)))
			list_unlink(&s->late);
		else if (!list_linked(&s->late))
			list_append(&env->late, &s->late);
	}
	if (env->copy_scan < now + SCAN_MIN_US)
		env->copy_scan = now + SCAN_MIN_US;
}

uint64_t
reinject_deadline(const struct session_env *env)
{
	return list_empty(&env->busy) ||
	    (!several(env) && env->stalled == 0) ? GROUP_NEVER :
	    env->copy_scan;
}

/* The oldest of a session that has waited for so long goes whatever went twice
 * before: to another path, or where nothing else wants to. */
static bool
is_free(const struct session_env *env, const struct session *s,
    const struct datagram *d, int subflow, bool idle, uint64_t now)
{
	return d == head_of(s) && is_overdue(env, d, now) &&
	    (!is_on_path(env, d, subflow) ||
	    (idle && !worth_others_wait(env, subflow, NULL)));
}

/* Is it late enough for this subflow?  One that takes long is for what has been
 * late for long. */
static bool
is_late(const struct session_env *env, const struct session *s,
    const struct datagram *d, int subflow, bool idle, uint64_t now)
{
	uint64_t trip = trip_us(env, d->first), late;

	if ((d->copies & bit(subflow)) != 0 || now < d->due_us ||
	    has_arrived(env, d) || !may_race(env, s, d, subflow, idle, now))
		return false;
	if (d->len > env->copies.credit &&
	    !is_free(env, s, d, subflow, idle, now))
		return false;
	if (now < d->due_us + (idle ? 0 : trip) && !is_overdue(env, d, now))
		return false;
	late = now - d->due_us;
	return health_delay_us(&env->health[subflow], now) <=
	    2 * (trip + late) + ACK_DELAY_US;
}

/* Would it have to stop if its head stayed away?  Or has whoever listens heard
 * nothing for long? */
static bool
is_held_up(const struct session *s, const struct datagram *head, uint64_t now)
{
	const struct sendq *q = &s->out;

	return list_linked(&s->tail) || is_overdue(s->env, head, now) ||
	    s->edge < q->cost_sent + (q->cost_sent - q->cost_acked);
}

/* What arrives, as it looks, when its session has long stopped for want of a
 * window, and in time if it goes here now. */
static struct datagram *
pressing_in(const struct session_env *env, const struct session *s, int subflow,
    uint64_t now)
{
	uint64_t delay = health_delay_us(&env->health[subflow], now);
	uint64_t back = trip_us(env, subflow) / 2 + ACK_DELAY_US;
	int steps = 0;

	if (delay == 0)
		return NULL;
	for (struct list *n = s->out.unacked.next; n != &s->out.unacked &&
	    steps < STEPS; n = n->next, steps++) {
		struct datagram *d = list_object(n, struct datagram, node);
		uint64_t left = shut_us(env, s, d), arrival;

		if (left > delay + back + SCAN_US)
			break;
		if (d->len <= env->copies.credit &&
		    (d->copies & bit(d->on)) != 0 &&
		    !is_on_path(env, d, subflow) &&
		    (arrival = health_arrival_us(&env->health[d->on],
		    d->position, d->copied_us, now)) > delay + GAIN_US &&
		    arrival + back > left)
			return d;
	}
	return NULL;
}

static struct datagram *
late_in(const struct session_env *env, const struct session *s, int subflow,
    bool idle, uint64_t now)
{
	struct datagram *head = head_of(s), *d;
	int steps = 0;

	if (head == NULL)
		return NULL;
	if (is_short(env, s, head) &&
	    (d = pressing_in(env, s, subflow, now)) != NULL)
		return d;
	if (!is_blocked(head, now) || !is_held_up(s, head, now))
		return NULL;
	if (is_late(env, s, head, subflow, idle, now))
		return head;
	for (struct list *n = head->node.next; n != &s->out.unacked &&
	    steps < STEPS; n = n->next, steps++) {
		d = list_object(n, struct datagram, node);
		if (d->copies == bit(head->first) &&
		    is_late(env, s, d, subflow, idle, now))
			return d;
	}
	return NULL;
}

static struct datagram *
tail_in(const struct session_env *env, const struct session *s, int subflow,
    uint64_t now)
{
	const struct health *h = &env->health[subflow];
	uint64_t delay = health_delay_us(h, now);
	uint64_t gain = trip_us(env, subflow) / 4;
	int steps = 0;

	if (delay == 0)
		return NULL;
	if (gain < GAIN_US)
		gain = GAIN_US;
	for (struct list *n = s->out.unacked.next; n != &s->out.unacked &&
	    steps < STEPS; n = n->next, steps++) {
		struct datagram *d = list_object(n, struct datagram, node);

		/* (Subflows of a path share its queue.) */
		if ((d->copies & bit(subflow)) == 0 &&
		    (d->copies & bit(d->on)) != 0 &&
		    env->path_of[subflow] != env->path_of[d->on] &&
		    d->len <= env->copies.credit &&
		    health_arrival_us(&env->health[d->on], d->position,
		    d->copied_us, now) > delay + gain)
			return d;
	}
	return NULL;
}

struct datagram *
reinject_next(const struct session_env *env, int subflow, bool idle,
    uint64_t now, struct session **session)
{
	struct datagram *d;
	struct list *node;
	int looked = 0;

	if (!several(env))
		return NULL;
	list_each(node, &env->late) {
		struct session *s = list_object(node, struct session, late);

		d = late_in(env, s, subflow, idle, now);
		*session = s;
		if (d != NULL)
			return d;
		if (++looked == SESSIONS)
			break;
	}
	looked = 0;
	if (idle && env->uneven)
		list_each(node, &env->tails) {
			struct session *s = list_object(node, struct session,
			    tail);

			d = tail_in(env, s, subflow, now);
			*session = s;
			if (d != NULL)
				return d;
			if (++looked == SESSIONS)
				break;
		}
	return NULL;
}

static void
count(struct session_env *env, const struct datagram *d)
{
	if (d->type != WIRE_DATA)
		return;
	env->metrics.reinjected_datagrams++;
	env->metrics.reinjected_bytes += d->len;
}

void
reinject_doubted(struct session_env *env, const struct datagram *d)
{
	spend(&env->doubts, d->len);
	count(env, d);
	if (d->type == WIRE_DATA)
		env->metrics.suspect_bytes += d->len;
}

void
reinject_charge(struct session_env *env, const struct datagram *d,
    uint64_t now)
{
	if (d->due_us <= now)
		health_late(&env->health[d->first], now - d->due_us, now);
	spend(&env->copies, d->len);
	count(env, d);
}
