/* SPDX-License-Identifier: ISC */
/*
 * The subflows of a group: which there are, how each of them and its path
 * fares, and which are in use.
 */
#include "group.h"

#include <errno.h>
#include <string.h>

#include "group_private.h"
#include "worth.h"

#define SHARE_US UINT64_C(100000)	/* how often it is looked at what paths
					 * bring */
#define QUEUE_US UINT32_C(40000)	/* less, or than a quarter of the round
					 * trip, is none */

/* Is there a queue before it?  What it delivers is then what its link does. */
static bool
is_queued(const struct group_facts *f)
{
	uint32_t more = f->rtt_min_us / 4;

	if (more < QUEUE_US)
		more = QUEUE_US;
	return f->rtt_min_us != 0 && f->rtt_us > f->rtt_min_us + more;
}

static void
compare_links(struct session_env *e)
{
	bool queued[PATHS] = { false };

	memset(e->link_bytes_s, 0, sizeof(e->link_bytes_s));
	for (uint64_t m = e->attached; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		const struct group_facts *f = &e->health[i].facts;
		uint64_t *link = &e->link_bytes_s[e->path_of[i]];

		if (f->rate_bytes_s > *link)
			*link = f->rate_bytes_s;
		if (is_queued(f))
			queued[e->path_of[i]] = true;
	}
	for (uint64_t m = e->attached; m != 0; m &= m - 1) {
		uint8_t path = e->path_of[__builtin_ctzll(m)];

		if (e->paths.rate_bytes_s[path] != 0)
			e->link_bytes_s[path] = e->paths.rate_bytes_s[path];
		else if (!queued[path])
			e->link_bytes_s[path] = 0;
	}
}

void
group_compare(struct group *g, uint64_t now)
{
	struct session_env *e = &g->env;

	e->uneven = worth_uneven(e, now);
	e->prompt = worth_prompt(e, now);
	reinject_compare(e);
	e->timely = worth_timely(e, now);
	compare_links(e);
	e->lossy = worth_lossy(e);
	e->soonest_us = worth_soonest_us(e, now);
	e->longest_us = e->rtt_us;
	e->shortest_us = 0;
	for (uint64_t m = e->express | e->bulk; m != 0; m &= m - 1) {
		uint64_t trip = e->health[__builtin_ctzll(m)].trip_us;

		if (trip > e->longest_us)
			e->longest_us = trip;
		if (trip != 0 && (e->shortest_us == 0 ||
		    trip < e->shortest_us))
			e->shortest_us = trip;
	}
}

/*
 * Those of the same paths as the suspects that have not moved since either: one
 * after another would swallow the same for a second each.  They are asked, and
 * are in use again when that arrives.
 */
static uint64_t
doubtful(struct group *g, uint64_t suspect)
{
	struct session_env *e = &g->env;
	uint64_t doubtful = 0, since[PATHS] = { 0 };

	for (uint64_t m = suspect; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);

		if (e->health[i].moved_us > since[e->path_of[i]])
			since[e->path_of[i]] = e->health[i].moved_us;
	}
	for (uint64_t m = e->attached & ~suspect; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);

		if (e->health[i].alive_us <= since[e->path_of[i]] &&
		    since[e->path_of[i]] != 0)
			doubtful |= subflow_bit(i);
	}
	return doubtful;
}

/* Which are in use: none that is suspect, doubtful or said to be lost, none of
 * a backup path, and no bulk one of a poor path, while there are others. */
void
group_choose_subflows(struct group *g, uint64_t now)
{
	struct session_env *e = &g->env;
	uint64_t all = e->attached, bulk = 0, suspect = 0, backup = 0;
	uint64_t lost = 0, poor = 0;
	struct list *node;

	for (uint64_t m = all; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);

		if (g->subflows[i].slot >= WIRE_SLOT_BULK)
			bulk |= subflow_bit(i);
		if (e->health[i].suspect)
			suspect |= subflow_bit(i);
		if (e->paths.of[g->subflows[i].path].backup)
			backup |= subflow_bit(i);
		if (g->subflows[i].lost_us != 0)
			lost |= subflow_bit(i);
		if (group_path_poor(g, g->subflows[i].path))
			poor |= subflow_bit(i);
	}
	uint64_t doubt = doubtful(g, suspect);
	suspect |= lost;
	if ((all & ~(suspect | doubt)) != 0) {
		for (uint64_t m = doubt & ~e->stalled; m != 0; m &= m - 1)
			g->subflows[__builtin_ctzll(m)].ping_due = true;
		suspect |= doubt;
	}
	if (suspect == all)
		suspect = 0;
	uint64_t used = all & ~suspect;
	if ((used & ~backup) != 0)
		used &= ~backup;
	/* What a poor one delivers is late,
	 * but a keystroke may be sooner there. */
	if ((used & bulk & ~poor) != 0)
		used &= ~(bulk & poor);
	lost &= suspect;
	if (e->express == (used & ~bulk) && e->bulk == (used & bulk) &&
	    e->stalled == suspect && e->gone == lost)
		return;
	e->express = used & ~bulk;
	e->bulk = used & bulk;
	e->stalled = suspect;
	e->gone = lost;
	group_compare(g, now);
	list_each(node, &e->all)
		session_subflows_changed(list_object(node, struct session,
		    all), now);
}

int
group_attach(struct group *g, uint8_t path, uint8_t slot, uint64_t now,
    int *replaced)
{
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
		.heard_us = now, .answered_us = now, .ping_due = true,
		.drain_due = g->draining,
		.path_due = g->env.proxy && g->env.paths.said[path],
	};
	g->env.carried[free_one] = 0;
	health_begin(&g->env.health[free_one], now);
	g->env.path_of[free_one] = path;
	g->env.attached |= subflow_bit(free_one);
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		path_set_clear(&g->subflows[i].lost_paths, path);
	group_choose_subflows(g, now);
	return free_one;
}

/* Proxy: a path has lost its last subflow, which the relay may not see: the
 * link may have lost its last words. */
static void
tell_lost(struct group *g, uint8_t path)
{
	struct session_env *e = &g->env;

	for (uint64_t m = e->attached; m != 0; m &= m - 1)
		if (e->path_of[__builtin_ctzll(m)] == path)
			return;
	for (uint64_t m = e->attached; m != 0; m &= m - 1)
		path_set_add(&g->subflows[__builtin_ctzll(m)].lost_paths,
		    path);
}

void
group_detach(struct group *g, int subflow, uint64_t now)
{
	struct list *node, *after;
	size_t kept = 0;

	if (!g->subflows[subflow].attached)
		return;
	g->subflows[subflow].attached = false;
	g->env.attached &= ~subflow_bit(subflow);
	g->env.express &= ~subflow_bit(subflow);
	g->env.bulk &= ~subflow_bit(subflow);
	g->env.carried[subflow] = 0;
	group_compare(g, now);
	if (g->env.proxy)
		tell_lost(g, g->subflows[subflow].path);
	g->env.metrics.subflows_lost++;
	for (size_t i = 0; i < g->nstrays; i++)
		if (g->strays[i].subflow != subflow)
			g->strays[kept++] = g->strays[i];
	g->nstrays = kept;
	list_each_safe(node, after, &g->env.all)
		session_subflow_lost(list_object(node, struct session, all),
		    subflow, now);
	group_choose_subflows(g, now);
	group_bury(g);
}

struct paths_counts
group_path_counts(const struct group *g, uint8_t path)
{
	return g->env.paths.counts[path];
}

struct group_facts
group_subflow_health(const struct group *g, int subflow)
{
	return g->env.health[subflow].facts;
}

void
group_path(struct group *g, uint8_t path, const struct wire_path *is,
    uint64_t now)
{
	if (!paths_set(&g->env.paths, path, is))
		return;
	for (int i = 0; g->env.proxy && i < GROUP_SUBFLOWS; i++)
		if (g->subflows[i].attached && g->subflows[i].path == path)
			g->subflows[i].path_due = true;
	group_choose_subflows(g, now);
}

struct wire_path
group_path_said(const struct group *g, uint8_t path)
{
	return g->env.paths.of[path];
}

int
group_path_news(struct group *g)
{
	return paths_news(&g->env.paths);
}

void
group_path_rate(struct group *g, uint8_t path, uint64_t bytes_per_s)
{
	g->env.paths.rate_bytes_s[path] = bytes_per_s;
}

bool
group_path_poor(const struct group *g, uint8_t path)
{
	return path < SHARES && share_is_poor(&g->env.shares[path]);
}

bool
group_subflow_used(const struct group *g, int subflow)
{
	return ((g->env.express | g->env.bulk) & subflow_bit(subflow)) != 0;
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

/* Bulk subflows in use that have more than their TCP sends now. */
static uint64_t
loaded(const struct session_env *e)
{
	uint64_t those = 0;

	for (uint64_t m = e->bulk; m != 0; m &= m - 1)
		if (e->health[__builtin_ctzll(m)].facts.unsent_bytes > 0)
			those |= m & -m;
	return those;
}

static void
compare_paths(struct group *g, uint64_t now)
{
	struct session_env *e = &g->env;
	uint64_t full = loaded(e), on[SHARES] = { 0 };
	uint32_t rtt_us[SHARES] = { 0 };
	bool changed = false;

	e->shared_at = now + SHARE_US;
	for (uint64_t m = e->attached; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		uint8_t path = e->path_of[i];

		if (path >= SHARES)
			continue;
		e->health[i].lost_permille = share_lost_permille(
		    &e->shares[path], now);
		on[path] |= subflow_bit(i);
		if (e->health[i].facts.rtt_us > rtt_us[path])
			rtt_us[path] = e->health[i].facts.rtt_us;
	}
	for (int i = 0; i < SHARES; i++) {
		bool busy = share_is_poor(&e->shares[i]) ? full != 0 :
		    (full & on[i]) != 0;

		if (on[i] != 0 && share_look(&e->shares[i], busy,
		    e->acked_bytes, rtt_us[i], now))
			changed = true;
	}
	if (changed)
		group_choose_subflows(g, now);
}

/* Look at a subflow, and count for its path what its TCP has done since the
 * last time. */
static void
look_at(struct session_env *e, int subflow, const struct group_facts *facts,
    uint64_t now)
{
	struct health *h = &e->health[subflow], was = *h;
	uint64_t acked = facts->acked_bytes - was.facts.acked_bytes;

	health_look(h, facts, now);
	e->acked_bytes += acked;
	if (e->path_of[subflow] < SHARES)
		share_add(&e->shares[e->path_of[subflow]], acked,
		    facts->sent_bytes - was.facts.sent_bytes,
		    h->lost_bytes - was.lost_bytes, now);
}

void
group_subflow_facts(struct group *g, int subflow,
    const struct group_facts *facts, uint64_t now)
{
	struct health *h = &g->env.health[subflow];
	bool suspect = h->suspect;

	if (!g->subflows[subflow].attached)
		return;
	look_at(&g->env, subflow, facts, now);
	if (now >= g->env.shared_at)
		compare_paths(g, now);
	if (h->suspect != suspect ||
	    (g->env.stalled & subflow_bit(subflow)) != 0)
		group_choose_subflows(g, now);
	group_compare(g, now);
}

bool
group_subflow_idle(const struct group *g, int subflow)
{
	return health_idle(&g->env.health[subflow]);
}

uint64_t
group_subflow_moved(const struct group *g, int subflow)
{
	return g->env.health[subflow].alive_us;
}

bool
group_subflow_suspect(const struct group *g, int subflow)
{
	return g->env.health[subflow].suspect;
}

bool
group_subflow_expects(const struct group *g, int subflow)
{
	const struct subflow_state *f = &g->subflows[subflow];

	return group_subflow_busy(g, subflow) ||
	    f->datagram_us > f->answered_us;
}

uint64_t
group_waiting(const struct group *g, int subflow, uint64_t enough,
    uint64_t now)
{
	const struct session_env *e = &g->env;
	const struct sched *turns = g->subflows[subflow].slot < WIRE_SLOT_BULK ?
	    &e->express_turns[subflow] : &e->bulk_turns;
	const struct list *const lists[] = {
		&turns->again, &turns->fresh, &turns->begun,
		&turns->turns,
	};
	const struct list *node;
	uint64_t bytes = 0;

	if (!group_subflow_used(g, subflow))
		return 0;
	for (node = e->doubled[subflow].next;
	    group_doubled_next(g, subflow, now) != NULL &&
	    node != &e->doubled[subflow]; node = node->next) {
		bytes += list_object(node, struct session,
		    doubled)->out.unacked_bytes;
		if (bytes >= enough)
			return bytes;
	}
	if (!sched_awake(turns))
		return bytes;
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
