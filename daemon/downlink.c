/* SPDX-License-Identifier: ISC */
/*
 * A connection is a stranger until its first frames come: it costs little, and
 * has to go when there are too many (strangers.h says which).
 *
 * A group is made by its first subflow and found by the others under its name,
 * among those of the same peer: who knows another key cannot join it.  When all
 * of them are gone it waits: its sessions and its name are all that a proxy
 * behind a bad link has to come back to.  But a peer that makes group after
 * group loses the oldest of those that wait.
 *
 * A subflow keeps the id of the key that it was made with.  Its records need
 * that key no more, but when a reload takes the key away it goes as well, so
 * that whoever held the key is out.
 */
#include "downlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "call.h"
#include "chance.h"
#include "clock.h"
#include "core/list.h"
#include "net/log.h"
#include "net/origdst.h"
#include "net/reach.h"
#include "net/sockopt.h"
#include "net/stream.h"
#include "net/subflow.h"
#include "notice.h"
#include "peers.h"
#include "strangers.h"
#include "trunk.h"
#include "tuning.h"

#define HOUSEKEEPING_S 1.
/* Sessions of a group that are refused wait for the peer to know it. */
#define REFUSED_MAX 64

struct group_entry {
	struct list list;
	struct downlink *downlink;
	struct peer *peer;
	struct trunk *trunk;
	struct repeats counted;	/* for its peer, of its own */
	unsigned long number;	/* for the log: the name is a secret */
	uint8_t name[WIRE_GROUP_NAME];
};

/* A subflow, from accept() on. */
struct member {
	struct trunk_subflow line;	/* first: callbacks find us by it */
	struct list list;
	struct downlink *downlink;
	bool named;			/* a key, which may be unknown */
	uint8_t key_id[WIRE_KEY_ID];
	struct peer *peer;		/* NULL: of nobody that we know */
	struct group_entry *group;	/* NULL: a stranger */
	struct stranger stranger;
	struct addr source;
	uint8_t name[WIRE_GROUP_NAME];	/* that its hello gave, */
	uint32_t window;		/* and what it offered; */
	bool told_known;		/* what we answered */
	uint32_t told_features;
	uint32_t told_window;
};

struct downlink {
	struct downlink_options options;
	struct call_host calls;
	struct peers *peers;
	struct strangers *strangers;
	struct list members, groups;
	unsigned long last_group;
	struct notice *notice;		/* of addresses and routes */
	uint32_t features;		/* that answers say we have */
	ev_timer housekeeping;
	bool draining, idle_told;
};

static bool
is_no_key(const uint8_t id[static WIRE_KEY_ID])
{
	static const uint8_t none[WIRE_KEY_ID];

	return memcmp(id, none, sizeof(none)) == 0;
}

static struct member *
member_of(struct subflow *subflow)
{
	struct trunk_subflow *line = subflow_user(subflow);

	return list_object(line, struct member, line);
}

static void
free_member(struct member *m)
{
	if (m->group == NULL)
		strangers_remove(m->downlink->strangers, &m->stranger);
	else
		peer_drop_subflow(m->peer);
	list_unlink(&m->list);
	free(m);
}

/* ---- lines of the log ---- */

/* It was let in. */
static void
log_lost(const struct member *m, int error, const char *why)
{
	char text[ADDR_TEXT_MAX];

	log_limited(peer_limit(m->peer, PEER_LINE_LOST), LOG_LEVEL_INFO,
	    "group %lu: subflow from %s: %s%s%s", m->group->number,
	    addr_format(&m->source, text), why, error != 0 ? ": " : "",
	    error != 0 ? strerror(-error) : "");
}

/* It was not; the key is the one that it named, not one that it proved to
 * know. */
static void
log_stranger(const struct member *m, int error, const char *why)
{
	static struct log_limit limit = { .burst = 20 };
	char text[ADDR_TEXT_MAX], id[KEY_ID_TEXT] = "";

	addr_format(&m->source, text);
	if (m->named && !is_no_key(m->key_id))
		key_id_format(id, m->key_id);
	if (!m->named || m->peer != NULL)
		log_limited(&limit, LOG_LEVEL_INFO, "stranger %s%s%s: %s%s%s",
		    text, id[0] != '\0' ? ", key " : "", id, why,
		    error != 0 ? ": " : "", error != 0 ? strerror(-error) : "");
	else if (id[0] != '\0')
		log_limited(&limit, LOG_LEVEL_INFO, "stranger %s: unknown "
		    "key %s", text, id);
	else
		log_limited(&limit, LOG_LEVEL_INFO, "stranger %s: it asks for "
		    "no protection", text);
}

/* ---- groups ---- */

static struct group_entry *
find_group(const struct member *m)
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

static void
count_repeats(struct group_entry *g)
{
	struct repeats *all = peer_repeats(g->peer), now = { 0 };

	repeats_add(&now, group_metrics(trunk_group(g->trunk)));
	all->resent_bytes += now.resent_bytes - g->counted.resent_bytes;
	all->doubled_bytes += now.doubled_bytes - g->counted.doubled_bytes;
	all->reinjected_bytes += now.reinjected_bytes -
	    g->counted.reinjected_bytes;
	g->counted = now;
}

static void
remove_group(struct group_entry *g)
{
	struct downlink *d = g->downlink;
	struct list *node, *after;

	count_repeats(g);
	trunk_free(g->trunk);
	list_each_safe(node, after, &d->members) {
		struct member *m = list_object(node, struct member, list);

		if (m->group == g)
			free_member(m);
	}
	list_unlink(&g->list);
	peer_drop_group(g->peer);
	free(g);
}

static void
check_idle(struct downlink *d)
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
	log_lost(m, 0, why);
	free_member(m);
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
on_expired(void *user)
{
	static struct log_limit limit = { .burst = 20 };
	struct group_entry *g = user;
	struct downlink *d = g->downlink;

	log_limited(&limit, LOG_LEVEL_INFO, "group %lu: no subflow for too "
	    "long: forgotten", g->number);
	remove_group(g);
	check_idle(d);
}

static void
on_group_idle(void *user)
{
	struct group_entry *g = user;
	struct downlink *d = g->downlink;

	remove_group(g);
	check_idle(d);
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
static uint32_t
most_sessions(const struct downlink *d, const struct peer *peer)
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
			.max_sessions = most_sessions(d, g->peer),
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
	remove_group(oldest);
	return peer_take_group(peer);
}

static struct group_entry *
add_group(struct downlink *d, const struct member *m)
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

/* ---- subflows ---- */

/* Has the peer room for it? */
static bool
may_attach(const struct member *m, const struct group_entry *g)
{
	const char *refused = peer_may_attach(m->peer, g != NULL &&
	    trunk_has(g->trunk, m->line.path, m->line.slot));
	char text[ADDR_TEXT_MAX];

	if (refused == NULL)
		return true;
	log_limited(peer_limit(m->peer, PEER_LINE_SUBFLOW), LOG_LEVEL_WARN,
	    "peer \"%s\": subflow from %s: refused: %s", peer_name(m->peer),
	    addr_format(&m->source, text), refused);
	return false;
}

/* Whose key it is; NULL: nobody's. */
static struct peer *
find_peer(const struct downlink *d, const uint8_t id[static WIRE_KEY_ID],
    const struct key **key)
{
	size_t i = 0;

	*key = NULL;
	if (d->options.config->protection == WIRE_PROTECTION_NONE)
		return is_no_key(id) ? peers_at(d->peers, 0) : NULL;
	*key = keyring_find(d->options.keys, id, &i);
	return *key != NULL ? peers_at(d->peers, i) : NULL;
}

static bool
on_key(struct subflow *subflow, const uint8_t id[static WIRE_KEY_ID],
    const uint8_t **bytes)
{
	struct member *m = member_of(subflow);
	const struct key *key;

	m->named = true;
	memcpy(m->key_id, id, sizeof(m->key_id));
	m->peer = find_peer(m->downlink, id, &key);
	*bytes = key != NULL ? key->bytes : NULL;
	return m->peer != NULL;
}

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
static void
tune(struct member *m)
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
static void
tune_group(struct group_entry *g)
{
	const struct config *c = g->downlink->options.config;
	const struct config_socket *s = &peer_config(g->peer)->socket;
	uint64_t rate_bps;
	uint32_t most;
	struct list *node;

	list_each(node, &g->downlink->members) {
		struct member *m = list_object(node, struct member, list);

		if (m->group == g)
			tune(m);
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
	tune_group(user);
}

static bool
on_hello(struct subflow *subflow, const struct wire_hello *hello,
    struct wire_answer *answer)
{
	struct member *m = member_of(subflow);
	struct downlink *d = m->downlink;
	const struct config *c = d->options.config;
	const struct group_entry *g;

	if (hello->protection != c->protection)
		return false;
	memcpy(m->name, hello->group, sizeof(m->name));
	m->window = hello->initial_window;
	m->line.path = hello->path;
	m->line.slot = hello->slot;
	g = find_group(m);
	if (!may_attach(m, g))
		return false;
	m->told_known = g != NULL;
	m->told_features = d->features;
	m->told_window = quota_window_initial(peer_budget(m->peer),
	    CONFIG_RELAY);
	m->stranger.answered = true;
	tune(m);
	*answer = (struct wire_answer){
		.protection = hello->protection,
		.group_known = m->told_known,
		.features = m->told_features |
		    (d->draining ? WIRE_FEATURE_ENDING : 0),
		.initial_window = m->told_window,
		.max_sessions = peer_max_sessions(m->peer,
		    d->options.quota->max_sessions),
	};
	return true;
}

static bool
on_up(struct subflow *subflow, const struct wire_answer *answer)
{
	struct member *m = member_of(subflow);
	struct downlink *d = m->downlink;
	struct group_entry *g = find_group(m);
	char text[ADDR_TEXT_MAX];

	(void)answer;
	/* One that was told that its group is known goes on in the middle of
	 * what it says: if the group has expired since, that begins
	 * nothing.  Others may have come up since it was let in. */
	if (!may_attach(m, g) ||
	    (g == NULL && (m->told_known || (g = add_group(d, m)) == NULL)) ||
	    trunk_attach(g->trunk, &m->line) != 0) {
		free_member(m);
		return false;
	}
	if (m->told_features != d->features)
		trunk_tell_features(g->trunk, &m->line, d->features);
	strangers_remove(d->strangers, &m->stranger);
	peer_take_subflow(m->peer);
	m->group = g;
	tune(m);
	log_limited(peer_limit(m->peer, PEER_LINE_UP), LOG_LEVEL_INFO,
	    "group %lu: subflow from %s: up", g->number,
	    addr_format(&m->source, text));
	return true;
}

static void
on_closed(struct subflow *subflow, int error, const char *why)
{
	struct member *m = member_of(subflow);

	if (m->group != NULL)
		log_lost(m, error, why);
	else
		log_stranger(m, error, why);
	m->line.subflow = NULL;
	trunk_detach(&m->line);
	free_member(m);
}

static const struct subflow_callbacks subflow_callbacks = {
	.on_key = on_key,
	.on_hello = on_hello,
	.on_up = on_up,
	.take = trunk_take,
	.fill = trunk_fill,
	.on_event = trunk_event,
	.on_closed = on_closed,
};

/* There are too many of them: one has to go. */
static void
make_room(struct downlink *d, const struct addr *source)
{
	static struct log_limit limit;
	struct stranger *victim = strangers_victim(d->strangers, source,
	    clock_us() << 16 | chance_u16());
	char text[ADDR_TEXT_MAX];
	struct member *m;

	if (victim == NULL)
		return;
	m = list_object(victim, struct member, stranger);
	log_limited(&limit, LOG_LEVEL_WARN, "stranger %s: dropped: too many "
	    "of them", addr_format(&m->source, text));
	subflow_close(m->line.subflow);
	free_member(m);
}

void
downlink_accept(struct downlink *d, int fd, const struct addr *peer)
{
	struct member *m = calloc(1, sizeof(*m));
	struct stream st;

	make_room(d, peer);
	if (m == NULL || strangers_add(d->strangers, &m->stranger, peer) != 0) {
		free(m);
		stream_open(&st, d->options.loop, fd, NULL, NULL);
		stream_reset(&st);
		return;
	}
	m->downlink = d;
	m->source = *peer;
	list_append(&d->members, &m->list);
	sockopt_congestion(fd, d->options.config->socket.congestion);
	m->line.subflow = subflow_relay(d->options.loop, fd,
	    &(struct subflow_options){ .callbacks = &subflow_callbacks,
	    .user = &m->line });
	if (m->line.subflow == NULL)
		free_member(m);
}

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

		count_repeats(g);
		if (budget_yields(peer_budget(g->peer)))
			trunk_change(g->trunk);
	}
	check_idle(d);
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
		remove_group(list_object(node, struct group_entry, list));
	while ((node = list_first(&d->members)) != NULL) {
		struct member *m = list_object(node, struct member, list);

		subflow_close(m->line.subflow);
		free_member(m);
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
		remove_group(g);
	}
}

/* The subflows whose key is not their peer's any more, attached or not. */
static void
close_unwelcome(struct downlink *d)
{
	struct list *node, *after;
	const struct key *key;

	list_each_safe(node, after, &d->members) {
		struct member *m = list_object(node, struct member, list);

		if (m->peer == NULL ||
		    find_peer(d, m->key_id, &key) == m->peer)
			continue;
		if (m->group != NULL)
			log_lost(m, 0, "its key is not accepted any more");
		else
			log_stranger(m, 0, "its key is not accepted any more");
		subflow_close(m->line.subflow);
		m->line.subflow = NULL;
		trunk_detach(&m->line);
		free_member(m);
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
	close_unwelcome(d);
	peers_forget(d->peers);
	list_each(node, &d->groups) {
		struct group_entry *g = list_object(node, struct group_entry,
		    list);

		trunk_configure(g->trunk, c->keepalive_s,
		    c->resume_timeout_ms);
		tune_group(g);
		group_limit(trunk_group(g->trunk), most_sessions(d, g->peer));
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
