/* SPDX-License-Identifier: ISC */
/*
 * A group is made by its first subflow and found by the others under its name,
 * among those of the same peer: who knows another key cannot join it.  When all
 * of them are gone it waits: its sessions and its name are all that a proxy
 * behind a bad link has to come back to.  But a peer that makes group after
 * group loses the oldest of those that wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "core/list.h"
#include "downlink_private.h"
#include "net/log.h"
#include "net/sockopt.h"
#include "net/subflow.h"
#include "peers.h"
#include "tuning.h"

/* Sessions of a group that are refused wait for the peer to know it. */
#define REFUSED_MAX 64

struct group_entry *
downlink_find_group(const struct member *m)
{
	struct list *node;

	list_each(node, &m->downlink->groups) {
		struct group_entry *g = list_object(node, struct group_entry,
		    list);

		if (g->peer == m->peer &&
		    memcmp(g->name, m->name, WIRE_GROUP_NAME) == 0)
			return g;
	}
	return NULL;
}

void
downlink_count_repeats(struct group_entry *g)
{
	struct repeats *all = peer_repeats(g->peer);
	struct repeats now = repeats_of(group_metrics(trunk_group(g->trunk)));

	all->resent_bytes += now.resent_bytes - g->counted.resent_bytes;
	all->doubled_bytes += now.doubled_bytes - g->counted.doubled_bytes;
	all->reinjected_bytes += now.reinjected_bytes -
	    g->counted.reinjected_bytes;
	g->counted = now;
}

void
downlink_remove_group(struct group_entry *g)
{
	struct downlink *d = g->downlink;
	struct list *node, *after;

	downlink_count_repeats(g);
	trunk_free(g->trunk);
	list_each_safe(node, after, &d->members) {
		struct member *m = list_object(node, struct member, list);

		if (m->group == g)
			member_free(m);
	}
	list_unlink(&g->list);
	peer_drop_group(g->peer);
	free(g);
}

void
downlink_check_idle(struct downlink *d)
{
	if (!d->draining || d->idle_told || !list_empty(&d->groups))
		return;
	d->idle_told = true;
	d->options.on_idle(d->options.user);
}

static void
on_session(void *user, struct session *s)
{
	struct group_entry *g = user;
	struct downlink *d = g->downlink;

	call_start(&d->calls, trunk_host(g->trunk), g->peer, s);
}

static void
on_lost(void *user, struct trunk_subflow *line, const char *why)
{
	struct member *m = list_object(line, struct member, line);

	(void)user;
	member_log_lost(m, 0, why);
	member_free(m);
}

static void
on_fault(void *user)
{
	struct group_entry *g = user;

	log_limited(peer_limit(g->peer, PEER_LINE_FAULT), LOG_LEVEL_WARN,
	    "peer \"%s\": group %lu: a session was reset: protocol error",
	    peer_name(g->peer), g->number);
}

static void
on_shed(void *user)
{
	struct group_entry *g = user;

	log_limited(peer_limit(g->peer, PEER_LINE_MEMORY), LOG_LEVEL_WARN,
	    "peer \"%s\": group %lu: memory is used up: the session that held "
	    "most for somebody who does not read was reset",
	    peer_name(g->peer), g->number);
}

static void
on_expired(void *user, size_t sessions)
{
	static struct log_limit limit = { .burst = 20 };
	struct group_entry *g = user;
	struct downlink *d = g->downlink;

	(void)sessions;
	log_limited(&limit, LOG_LEVEL_INFO, "group %lu: no subflow for too "
	    "long: forgotten", g->number);
	downlink_remove_group(g);
	downlink_check_idle(d);
}

static void
on_group_idle(void *user)
{
	struct group_entry *g = user;
	struct downlink *d = g->downlink;

	downlink_remove_group(g);
	downlink_check_idle(d);
}

static void on_path(void *, uint8_t);

static const struct trunk_callbacks trunk_callbacks = {
	.on_session = on_session,
	.on_shed = on_shed,
	.on_fault = on_fault,
	.on_lost = on_lost,
	.on_expired = on_expired,
	.on_idle = on_group_idle,
	.on_path = on_path,
};

/* Those beyond what there may be are refused by us, with a word in the log; the
 * group is there to bound what waits to be refused. */
uint32_t
downlink_most_sessions(const struct downlink *d, const struct peer *peer)
{
	return peer_max_sessions(peer, d->options.quota->max_sessions) +
	    REFUSED_MAX;
}

/* `initial_window` is what the proxy was told; a reload may have changed it. */
static struct trunk *
make_trunk(struct downlink *d, struct group_entry *g, uint32_t initial_window)
{
	const struct config *c = d->options.config;
	const struct config_socket *s = &peer_config(g->peer)->socket;
	struct budget *budget = peer_budget(g->peer);
	uint32_t most = quota_window_max(budget, c, s->rate_bps, s->delay_ms);

	struct trunk *t = trunk_new(&(struct trunk_options){
		.loop = d->options.loop,
		.hangup = d->options.hangup,
		.group = {
			.initial_window = initial_window,
			.start_window = quota_window_start(most, s->rate_bps,
			    s->delay_ms),
			.window_max = most,
			.max_sessions = downlink_most_sessions(d, g->peer),
			.datagram_max = quota_datagram_max(s->rate_bps),
			.budget = budget,
		},
		.keepalive_s = c->keepalive_s,
		.traffic = peer_traffic(g->peer),
		.first_ms = c->resume_timeout_ms,
		.resume_ms = c->resume_timeout_ms,
		.callbacks = &trunk_callbacks,
		.user = g,
	});
	if (t != NULL)
		trunk_redundancy(t, c->redundancy_bytes,
		    quota_redundancy_per_s(s->rate_bps));
	return t;
}

/* The oldest of a peer's groups that has no subflow, or NULL. */
static struct group_entry *
find_waiting(const struct downlink *d, const struct peer *peer)
{
	struct list *node;

	list_each(node, &d->groups) {
		struct group_entry *g = list_object(node, struct group_entry,
		    list);

		if (g->peer == peer && trunk_up(g->trunk) == 0)
			return g;
	}
	return NULL;
}

/* Has the peer room for one more group?  Then it has one more. */
static bool
take_group(struct downlink *d, struct peer *peer)
{
	struct group_entry *oldest;

	if (peer_take_group(peer))
		return true;
	oldest = find_waiting(d, peer);
	log_limited(peer_limit(peer, PEER_LINE_GROUPS), LOG_LEVEL_WARN,
	    "peer \"%s\": it has %d groups: %s", peer_name(peer), PEER_GROUPS,
	    oldest != NULL ? "the oldest without a subflow is given up" :
	    "a subflow was refused");
	if (oldest == NULL)
		return false;
	downlink_remove_group(oldest);
	return peer_take_group(peer);
}

struct group_entry *
downlink_add_group(struct downlink *d, const struct member *m)
{
	struct group_entry *g;
	char text[ADDR_TEXT_MAX];

	if (d->draining || (g = calloc(1, sizeof(*g))) == NULL)
		return NULL;
	if (!take_group(d, m->peer)) {
		free(g);
		return NULL;
	}
	g->downlink = d;
	g->peer = m->peer;
	if ((g->trunk = make_trunk(d, g, m->told_window)) == NULL) {
		peer_drop_group(g->peer);
		free(g);
		return NULL;
	}
	group_peer_window(trunk_group(g->trunk), m->window);
	memcpy(g->name, m->name, sizeof(g->name));
	g->number = ++d->last_group;
	list_append(&d->groups, &g->list);
	log_limited(peer_limit(g->peer, PEER_LINE_GROUP), LOG_LEVEL_INFO,
	    "peer \"%s\": group %lu: made by %s", peer_name(g->peer),
	    g->number, addr_format(&m->source, text));
	return g;
}

/* ---- how fast ---- */

/* Of its path: what the proxy says, if it does, but no more than its peer may
 * have. */
static uint64_t
rate_of(const struct member *m)
{
	uint64_t most = peer_config(m->peer)->socket.rate_bps, said = 0;

	if (m->group != NULL)
		said = trunk_path_said(m->group->trunk,
		    m->line.path).receive_kbit * UINT64_C(1000);
	if (said == 0 || (most != 0 && most < said))
		return most;
	return said;
}

/* Its listener has what the largest of all peers needs. */
void
downlink_tune(struct member *m)
{
	struct config_socket s = peer_config(m->peer)->socket;

	s.rate_bps = rate_of(m);
	trunk_rate(&m->line, s.rate_bps);
	subflow_set_room(m->line.subflow, quota_bound_bytes(s.rate_bps), 0);
	sockopt_lowat(subflow_fd(m->line.subflow),
	    tuning_subflow(&s, 1).notsent_lowat_bytes);
}

/* All paths of a group together, as far as they have subflows; 0: that is not
 * known. */
static uint64_t
rate_of_all(const struct group_entry *g)
{
	bool counted[PATHS] = { false };
	uint64_t rate_bps = 0;
	struct list *node;

	list_each(node, &g->downlink->members) {
		const struct member *m = list_object(node, struct member, list);

		if (m->group != g || counted[m->line.path])
			continue;
		if (m->line.rate_bps == 0)
			return 0;
		counted[m->line.path] = true;
		rate_bps += m->line.rate_bps;
	}
	return rate_bps;
}

/* After something was said about its rates. */
void
downlink_tune_group(struct group_entry *g)
{
	const struct config *c = g->downlink->options.config;
	const struct config_socket *s = &peer_config(g->peer)->socket;
	uint64_t rate_bps;
	uint32_t most;
	struct list *node;

	list_each(node, &g->downlink->members) {
		struct member *m = list_object(node, struct member, list);

		if (m->group == g)
			downlink_tune(m);
	}
	rate_bps = rate_of_all(g);
	if (rate_bps == 0)
		rate_bps = s->rate_bps;
	most = quota_window_max(peer_budget(g->peer), c, rate_bps,
	    s->delay_ms);
	group_windows(trunk_group(g->trunk),
	    quota_window_start(most, rate_bps, s->delay_ms), most);
	trunk_redundancy(g->trunk, c->redundancy_bytes,
	    quota_redundancy_per_s(rate_bps));
}

static void
on_path(void *user, uint8_t path)
{
	(void)path;
	downlink_tune_group(user);
}
