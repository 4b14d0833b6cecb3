/* SPDX-License-Identifier: ISC */
/*
 * A relay that has restarted says "group not known" in its answer to a subflow
 * of an established group.  Its sessions cannot be saved: they are reset, and a
 * new group under a new name begins.  Nothing is sent on that subflow, so the
 * relay forgets it as well.  The same when there was no subflow for
 * resume-timeout and the sessions were given up.
 */
#include "uplink.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "core/room.h"
#include "net/log.h"
#include "slots.h"
#include "trunk.h"
#include "uplink_private.h"

#define ASK_US UINT64_C(3000000)

/* When one is lost, another is asked whether it is still there: idle ones would
 * not know that the relay has gone, and new sessions would go there. */
static void
note_up(struct uplink *u)
{
	unsigned int count = trunk_up(u->trunk);
	bool up = count > 0;

	if (up && count < u->count)
		trunk_ask(u->trunk, 0);
	u->count = count;
	if (up == u->up)
		return;
	u->up = up;
	u->since_us = clock_us();
}

/* ---- the group ---- */

static void on_heard(void *, struct trunk_subflow *);
static void on_lost(void *, struct trunk_subflow *, const char *);
static void on_silent(void *, struct trunk_subflow *, bool);
static void on_shed(void *);
static void on_fault(void *);
static void on_expired(void *, size_t);
static void on_features(void *, uint32_t);
static void on_idle(void *);
static void on_peer_drain(void *);

static const struct trunk_callbacks trunk_callbacks = {
	.on_heard = on_heard,
	.on_lost = on_lost,
	.on_silent = on_silent,
	.on_shed = on_shed,
	.on_fault = on_fault,
	.on_expired = on_expired,
	.on_features = on_features,
	.on_idle = on_idle,
	.on_peer_drain = on_peer_drain,
};

static struct trunk *
make_trunk(struct uplink *u)
{
	const struct config *c = u->options.config;
	struct quota *quota = u->options.quota;
	const struct uplink_windows windows = uplink_windows(u);

	struct trunk *t = trunk_new(&(struct trunk_options){
		.loop = u->options.loop,
		.hangup = u->options.hangup,
		.group = {
			.proxy = true,
			.initial_window = quota_window_initial(&quota->budget,
			    CONFIG_PROXY),
			.start_window = windows.start,
			.window_max = windows.most,
			.max_sessions = QUOTA_SESSIONS / 2,
			.datagram_max = quota_datagram_max(uplink_rate(u)),
			.budget = &quota->budget,
		},
		.keepalive_s = c->keepalive_s,
		.traffic = &quota->traffic,
		.first_ms = c->connect_timeout_ms,
		.resume_ms = c->resume_timeout_ms,
		.callbacks = &trunk_callbacks,
		.user = u,
	});
	if (t != NULL) {
		uplink_be_redundant(u, t);
		uplink_set_paths(u, t);
	}
	return t;
}

/* Another group in place of one whose sessions are lost.  false: out of memory,
 * for now. */
static bool
renew(struct uplink *u)
{
	struct trunk *new = make_trunk(u);

	if (new == NULL)
		return false;
	for (size_t i = 0; i < uplink_relay(u)->npaths; i++)
		u->paths[i].before = uplink_counts(u, i);
	repeats_add(&u->repeats,
	    repeats_of(group_metrics(trunk_group(u->trunk))));
	slots_begin(u->slots);	/* (nothing of it is up before we return) */
	trunk_reset(u->trunk, WIRE_CODE_UNKNOWN);
	trunk_free(u->trunk);
	u->trunk = new;
	u->room = (struct room){ 0 };
	note_up(u);
	if (u->draining)
		trunk_drain(new);
	return true;
}

/* They cannot go on.  Where a relay is about to end nothing more is to come:
 * the next group is another uplink's. */
static void
lose_sessions(struct uplink *u, const char *why, size_t sessions)
{
	static struct log_limit limit;

	log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": %s: open "
	    "sessions are reset: %lu", uplink_relay(u)->name, why,
	    (unsigned long)sessions);
	if (!u->closing) {
		(void)renew(u);
		return;
	}
	slots_finish(u->slots);
	trunk_reset(u->trunk, WIRE_CODE_UNKNOWN);
}

static void
on_heard(void *user, struct trunk_subflow *line)
{
	(void)user;
	slots_heard(line);
}

static void
on_lost(void *user, struct trunk_subflow *line, const char *why)
{
	(void)user;
	slots_lost(line, why);
}

static void
on_silent(void *user, struct trunk_subflow *line, bool silent)
{
	(void)user;
	slots_silent(line, silent);
}

static void
on_fault(void *user)
{
	static struct log_limit limit;
	const struct uplink *u = user;

	log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": a session was "
	    "reset: protocol error", uplink_relay(u)->name);
}

static void
on_shed(void *user)
{
	static struct log_limit limit;
	struct uplink *u = user;

	log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": memory is used up: "
	    "the session that held most for somebody who does not read was "
	    "reset", uplink_relay(u)->name);
}

/* The relay may have seen the last subflow go later than we have, or wait for
 * longer.  Then it still holds its ends of the sessions that were just reset,
 * and would for ever if the group went on. */
static void
on_expired(void *user, size_t sessions)
{
	struct uplink *u = user;

	if (slots_established(u->slots))
		lose_sessions(u, "no subflow for too long", sessions);
}

static void
note_features(struct uplink *u, uint32_t features)
{
	static struct log_limit limit = { .burst = 20 };
	uint32_t changed = u->features_known ? u->features ^ features :
	    ~features;

	u->features = features;
	u->features_known = true;
	if (changed & WIRE_FEATURE_IPV4)
		log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\": it reaches "
		    "%s", uplink_relay(u)->name, features & WIRE_FEATURE_IPV4 ?
		    "IPv4" : "no IPv4");
	if (changed & WIRE_FEATURE_IPV6)
		log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\": it reaches "
		    "%s", uplink_relay(u)->name, features & WIRE_FEATURE_IPV6 ?
		    "IPv6" : "no IPv6");
}

static void
on_features(void *user, uint32_t features)
{
	note_features(user, features);
}

static void
on_idle(void *user)
{
	struct uplink *u = user;

	u->options.on_idle(u->options.user, u);
}

static void
on_peer_drain(void *user)
{
	static struct log_limit limit;
	struct uplink *u = user;

	u->closing = true;
	log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\": it is about to end",
	    uplink_relay(u)->name);
	if (!u->draining)
		u->options.on_closing(u->options.user, u);
}

/* ---- what the slots tell ---- */

/* Another relay answers where one was that is about to end. */
static const char *
give_way(struct uplink *u)
{
	if (trunk_up(u->trunk) == 0)
		lose_sessions(u, "another one is in its place",
		    group_sessions(trunk_group(u->trunk)));
	return "another relay is in its place";
}

static const char *
on_up(void *user, struct trunk_subflow *line, const struct wire_answer *answer)
{
	static struct log_limit limit;
	struct uplink *u = user;

	/* (The connection may be from before its successor was there.) */
	if (!answer->group_known && answer->features & WIRE_FEATURE_ENDING)
		return "it is about to end";
	if (slots_established(u->slots) && !answer->group_known) {
		if (u->closing)
			return give_way(u);
		log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": it has "
		    "restarted: open sessions are reset: %lu",
		    uplink_relay(u)->name,
		    (unsigned long)group_sessions(trunk_group(u->trunk)));
		return renew(u) ? NULL : "group not known: out of memory";
	}
	u->relay_sessions = answer->max_sessions;
	note_features(u, answer->features);
	group_peer_window(trunk_group(u->trunk), answer->initial_window);
	if (trunk_attach(u->trunk, line) != 0)
		return "too many subflows";
	note_up(u);
	return NULL;
}

static void
on_subflow_lost(void *user)
{
	note_up(user);
}

/* ---- for the proxy ---- */

static void
on_refused(void *user)
{
	struct uplink *u = user;

	lose_sessions(u, "it refuses connections on every path",
	    group_sessions(trunk_group(u->trunk)));
}

struct uplink *
uplink_new(const struct uplink_options *o)
{
	struct uplink *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->options = *o;
	u->since_us = clock_us();
	u->paths = calloc(uplink_relay(u)->npaths, sizeof(u->paths[0]));
	u->trunk = make_trunk(u);
	u->slots = slots_new(&(struct slots_options){
		.loop = o->loop,
		.quota = o->quota,
		.config = o->config,
		.relay = o->relay,
		.key = o->key,
		.address = o->address,
		.begin_us = o->begin_us,
		.on_up = on_up,
		.on_lost = on_subflow_lost,
		.on_refused = on_refused,
		.user = u,
	});
	if (u->paths == NULL || u->trunk == NULL || u->slots == NULL) {
		uplink_free(u);
		return NULL;
	}
	slots_begin(u->slots);
	return u;
}

void
uplink_free(struct uplink *u)
{
	if (u == NULL)
		return;
	trunk_free(u->trunk);
	slots_free(u->slots);
	free(u->paths);
	free(u);
}

void
uplink_configure(struct uplink *u, const struct config *c, size_t relay,
    const struct key *key, struct addr address)
{
	u->options.config = c;
	u->options.relay = relay;
	u->options.key = key;
	u->options.address = address;
	trunk_configure(u->trunk, c->keepalive_s, c->resume_timeout_ms);
	uplink_be_redundant(u, u->trunk);
	const struct uplink_windows windows = uplink_windows(u);
	group_windows(trunk_group(u->trunk), windows.start, windows.most);
	uplink_set_paths(u, u->trunk);
	slots_configure(u->slots, c, relay, key, address);
}

struct addr
uplink_address(const struct uplink *u)
{
	return u->options.address;
}

static bool
is_full(const struct uplink *u)
{
	return u->relay_sessions != 0 &&
	    group_sessions(trunk_group(u->trunk)) >= u->relay_sessions;
}

int
uplink_open(struct uplink *u, const struct wire_open *open, int fd,
    void (*on_gone)(void *, uint8_t), void *user)
{
	struct group *group = trunk_group(u->trunk);
	uint64_t now = clock_us();
	struct session *session;
	struct leg *leg;
	int error;

	if (!trunk_waits(u->trunk))
		return -ENETUNREACH;
	if (is_full(u))
		return -EAGAIN;
	error = group_open(group, open, now, &session);
	if (error != 0)
		return error;
	leg = leg_new(&(struct leg_options){
		.host = trunk_host(u->trunk),
		.session = session,
		.on_gone = on_gone,
		.user = user,
	});
	if (leg == NULL) {
		session_release(session, now);
		return -ENOMEM;
	}
	leg_join(leg, fd);
	return 0;
}

struct move {
	struct uplink *(*where)(void *, const struct wire_open *);
	void *user;
	size_t moved;
};

static void
move_leg(void *user, struct leg *leg, const struct wire_open *open)
{
	struct move *m = user;
	struct uplink *to = m->where(m->user, open);

	if (to != NULL && !is_full(to) && leg_move(leg, trunk_host(to->trunk),
	    trunk_group(to->trunk)) == 0)
		m->moved++;
}

void
uplink_move(struct uplink *u, struct uplink *(*where)(void *,
    const struct wire_open *), void *user)
{
	struct move m = { where, user, 0 };

	leg_each_unsent(trunk_host(u->trunk), move_leg, &m);
	if (m.moved > 0)
		log_info("relay \"%s\": sessions that waited for it go to "
		    "another: %lu", uplink_relay(u)->name,
		    (unsigned long)m.moved);
}

unsigned
uplink_families(const struct uplink *u)
{
	return u->features & (WIRE_FEATURE_IPV4 | WIRE_FEATURE_IPV6);
}

enum uplink_answer
uplink_answers(struct uplink *u)
{
	uplink_sample(u, clock_us());
	trunk_ask(u->trunk, ASK_US);
	if (u->closing || trunk_up(u->trunk) == 0)
		return UPLINK_GONE;
	return trunk_answers(u->trunk) ? UPLINK_ANSWERS : UPLINK_SILENT;
}

bool
uplink_is_full(struct uplink *u)
{
	struct leg_host *host = trunk_host(u->trunk);
	uint64_t now = clock_us();

	if (host->refused > 0)
		room_refused(&u->room, now);
	host->refused = 0;
	return room_is_full(&u->room, group_sessions(trunk_group(u->trunk)),
	    u->relay_sessions, now);
}

void
uplink_state(const struct uplink *u, struct uplink_state *state)
{
	*state = (struct uplink_state){
		.up = trunk_up(u->trunk),
		.subflows = slots_count(u->slots),
		.sessions = group_sessions(trunk_group(u->trunk)),
		.closing = u->closing,
		.repeats = u->repeats,
		.since_us = u->since_us,
	};
	repeats_add(&state->repeats,
	    repeats_of(group_metrics(trunk_group(u->trunk))));
}

void
uplink_drain(struct uplink *u)
{
	u->draining = true;
	trunk_drain(u->trunk);
}

void
uplink_abort(struct uplink *u)
{
	leg_abort_all(trunk_host(u->trunk), WIRE_CODE_OK);
}
