/* SPDX-License-Identifier: ISC */
#include "downlink.h"

#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"
#include "core/list.h"
#include "downlink_private.h"
#include "net/log.h"
#include "net/origdst.h"
#include "net/reach.h"
#include "net/subflow.h"
#include "peers.h"

#define HOUSEKEEPING_S 1.

/* ---- housekeeping ---- */

static bool
reaches_ipv6(enum config_reach ipv6)
{
	return ipv6 == CONFIG_REACH_AUTO ? reach_ipv6() :
	    ipv6 == CONFIG_REACH_YES;
}

/* Which addresses are ours, and what is reached from here?  Proxies are told
 * what is not any more as their subflows were. */
static void
look_around(void *user)
{
	struct downlink *d = user;
	const uint32_t before = d->features;
	struct addr *own;
	int n = origdst_own(&own);
	struct list *node;

	if (n >= 0) {
		free(d->calls.own);
		d->calls.own = own;
		d->calls.nown = (size_t)n;
	}
	d->features = (reach_ipv4() ? WIRE_FEATURE_IPV4 : 0) |
	    (reaches_ipv6(d->options.config->ipv6) ? WIRE_FEATURE_IPV6 : 0);
	if (d->features == before)
		return;
	log_info("relay: it reaches%s%s%s",
	    d->features & WIRE_FEATURE_IPV4 ? " IPv4" : "",
	    d->features & WIRE_FEATURE_IPV6 ? " IPv6" : "",
	    d->features == 0 ? " nothing" : "");
	list_each(node, &d->groups)
		trunk_tell_features(list_object(node, struct group_entry,
		    list)->trunk, NULL, d->features);
}

static void
on_housekeeping(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct downlink *d = w->data;
	struct list *node;

	(void)loop;
	(void)revents;
	/* Who holds most may be in a group where nothing happens. */
	list_each(node, &d->groups) {
		struct group_entry *g = list_object(node, struct group_entry,
		    list);

		downlink_count_repeats(g);
		if (budget_yields(peer_budget(g->peer)))
			trunk_change(g->trunk);
	}
	downlink_check_idle(d);
}

static void
start_housekeeping(struct downlink *d, double after_s)
{
	ev_timer_stop(d->options.loop, &d->housekeeping);
	ev_timer_set(&d->housekeeping, after_s, HOUSEKEEPING_S);
	ev_timer_start(d->options.loop, &d->housekeeping);
}

/* ---- for the relay ---- */

struct downlink *
downlink_new(const struct downlink_options *o)
{
	struct downlink *d = calloc(1, sizeof(*d));
	uint64_t seed;

	if (d == NULL)
		return NULL;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) ||
	    (d->strangers = strangers_new(quota_strangers(o->quota),
	    seed)) == NULL ||
	    (d->peers = peers_new(&o->quota->budget,
	    &o->quota->traffic)) == NULL) {
		strangers_free(d->strangers);
		free(d);
		return NULL;
	}
	d->options = *o;
	d->calls.loop = o->loop;
	list_init(&d->members);
	list_init(&d->groups);
	ev_init(&d->housekeeping, on_housekeeping);
	d->housekeeping.data = d;
	d->notice = notice_new(o->loop, look_around, d);
	if (d->notice == NULL) {
		downlink_free(d);
		return NULL;
	}
	downlink_configure(d, o->config, o->keys);
	if (d->calls.own == NULL) {	/* nothing would keep them from us */
		downlink_free(d);
		return NULL;
	}
	start_housekeeping(d, HOUSEKEEPING_S);
	return d;
}

void
downlink_free(struct downlink *d)
{
	struct list *node;

	if (d == NULL)
		return;
	ev_timer_stop(d->options.loop, &d->housekeeping);
	notice_free(d->notice);
	while ((node = list_first(&d->groups)) != NULL)
		downlink_remove_group(list_object(node, struct group_entry,
		    list));
	while ((node = list_first(&d->members)) != NULL) {
		struct member *m = list_object(node, struct member, list);

		subflow_close(m->line.subflow);
		member_free(m);
	}
	peers_free(d->peers);
	strangers_free(d->strangers);
	free(d->calls.own);
	free(d);
}

/* The peers that are gone, and their groups. */
static void
remove_gone(struct downlink *d)
{
	struct list *node, *after;

	list_each_safe(node, after, &d->groups) {
		struct group_entry *g = list_object(node, struct group_entry,
		    list);

		if (peer_config(g->peer) != NULL)
			continue;
		log_info("peer \"%s\": group %lu: the peer is removed: %lu "
		    "sessions are reset", peer_name(g->peer), g->number,
		    (unsigned long)group_sessions(trunk_group(g->trunk)));
		downlink_remove_group(g);
	}
}

void
downlink_configure(struct downlink *d, const struct config *c,
    const struct keyring *keys)
{
	struct list *node;

	d->options.config = c;
	d->options.keys = keys;
	d->calls.connect_timeout_ms = c->connect_timeout_ms;
	d->calls.max = d->options.quota->max_sessions;
	look_around(d);
	peers_configure(d->peers, c, clock_us());
	remove_gone(d);
	downlink_close_unwelcome(d);
	peers_forget(d->peers);
	list_each(node, &d->groups) {
		struct group_entry *g = list_object(node, struct group_entry,
		    list);

		trunk_configure(g->trunk, c->keepalive_s,
		    c->resume_timeout_ms);
		downlink_tune_group(g);
		group_limit(trunk_group(g->trunk),
		    downlink_most_sessions(d, g->peer));
	}
}

const struct peers *
downlink_peers(const struct downlink *d)
{
	return d->peers;
}

void
downlink_drain(struct downlink *d)
{
	struct list *node;

	d->draining = true;
	list_each(node, &d->groups)
		trunk_drain(list_object(node, struct group_entry,
		    list)->trunk);
	start_housekeeping(d, 0.);	/* perhaps there is none */
}

void
downlink_abort(struct downlink *d)
{
	struct list *node;

	list_each(node, &d->groups)
		leg_abort_all(trunk_host(list_object(node, struct group_entry,
		    list)->trunk), WIRE_CODE_OK);
}
