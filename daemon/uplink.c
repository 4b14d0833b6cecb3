/* SPDX-License-Identifier: ISC */
/*
 * Each subflow that should exist has a slot, and each slot dials for itself,
 * with back-off.  Two things are not for a slot alone:
 *
 * A new group's first subflow is made alone (the pioneer), the others after the
 * relay's first frame on it, because the relay knows the group from then on.
 * When the pioneer fails, the first slot of the next path is the next one.
 *
 * A relay that has restarted says "group not known" in its answer to a subflow
 * of an established group.  Its sessions cannot be saved: they are reset, and a
 * new group under a new name begins.  Nothing is sent on that subflow, so the
 * relay forgets it as well.  The same when there was no subflow for
 * resume-timeout and the sessions were given up.  When that happens again and
 * again (two relays behind one address, say) there is a pause before each.
 *
 * Another key (a reload) is taken up by one slot at a time: it is closed and
 * made again, and some time after the relay was heard on it the next one
 * follows.  So sessions always have the others, and a key that the relay does
 * not know costs one subflow and is found out at once, by whoever changed it.
 */
#include "uplink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "chance.h"
#include "clock.h"
#include "net/dial.h"
#include "net/log.h"
#include "net/subflow.h"
#include "trunk.h"
#include "tuning.h"

#define BACK_OFF_MIN_MS 250
#define BACK_OFF_MAX_MS 3000

/* Whether a relay answers has to be known within 10 s of its silence. */
#define ASK_US UINT64_C(3000000)
#define SILENCE_US UINT64_C(8000000)
#define CALM_US UINT64_C(10000000)	/* so long a group has lived well */
#define RENEW_S 1.		/* a subflow's time to become as fast as before */

struct slot {
	struct trunk_subflow line;	/* first: callbacks find us by it */
	struct uplink *uplink;
	struct dial *dial;
	ev_timer retry;
	uint8_t key_id[WIRE_KEY_ID];	/* it was dialed with */
	uint32_t back_off_ms;
	bool heard;			/* the relay, on its subflow */
	const char *complaint;		/* that was made, until the relay is
					 * heard again; NULL: none */
};

struct uplink {
	struct uplink_options options;
	struct trunk *trunk;
	uint8_t name[WIRE_GROUP_NAME];
	bool named;			/* nobody knows the name before */
	bool established;		/* the relay was heard */
	bool draining, closing;		/* closing: the relay is */
	uint32_t relay_sessions;	/* most that it takes; 0: not known */
	uint32_t features;		/* WIRE_FEATURE_*, its latest */
	bool features_known;
	bool up;			/* has it a subflow? */
	uint64_t since_us;		/* it is so since then */
	size_t pioneer;			/* its slot */
	uint64_t begun_us;		/* when the last group ended; 0: never */
	uint32_t pause_ms;		/* before this one */
	ev_timer renewal;		/* of a subflow, for another key */
	size_t nslots;
	struct slot slots[];
};

static void dial_slots(struct uplink *);
static void start_renewal(struct uplink *, double);

static const struct config_relay *
relay_of(const struct uplink *u)
{
	return &u->options.config->relays[0];
}

static const struct config_path *
path_of(const struct slot *slot)
{
	return &relay_of(slot->uplink)->paths[slot->line.path];
}

static bool
is_bulk(const struct slot *slot)
{
	return slot->line.slot >= WIRE_SLOT_BULK;
}

/* NULL without protection. */
static const struct key *
key_of(const struct uplink *u)
{
	return keyring_relay(u->options.keys, 0);
}

/* ---- a slot ---- */

static const char *
lane_text(const struct slot *slot)
{
	return is_bulk(slot) ? "bulk" : "express";
}

static unsigned int
lane_number(const struct slot *slot)
{
	return is_bulk(slot) ? slot->line.slot - WIRE_SLOT_BULK :
	    slot->line.slot;
}

/* Half to one and a half of it, so that slots do not dial all at once. */
static double
with_jitter(uint32_t ms)
{
	return ms / 1000. * (.5 + chance_u16() / 65536.);
}

static void
note_up(struct uplink *u)
{
	bool up = trunk_up(u->trunk) > 0;

	if (up == u->up)
		return;
	u->up = up;
	u->since_us = clock_us();
}

/* Its connection is gone, or was never made.  `why` is a literal. */
static void
slot_lost(struct slot *slot, int error, const char *why)
{
	struct uplink *u = slot->uplink;
	bool same = slot->complaint != NULL &&
	    strcmp(slot->complaint, why) == 0;
	enum log_level level = same ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;
	static struct log_limit limit = { .burst = 50 };

	slot->complaint = why;
	slot->heard = false;
	note_up(u);
	log_limited(&limit, level, "relay \"%s\" path \"%s\" %s subflow %u: "
	    "%s%s%s", relay_of(u)->name, path_of(slot)->name, lane_text(slot),
	    lane_number(slot), why, error != 0 ? ": " : "",
	    error != 0 ? strerror(-error) : "");
	if (u->closing && trunk_up(u->trunk) == 0)
		trunk_reset(u->trunk, WIRE_CODE_UNKNOWN);
	ev_timer_set(&slot->retry, with_jitter(slot->back_off_ms), 0.);
	ev_timer_start(u->options.loop, &slot->retry);
	slot->back_off_ms *= 2;
	if (slot->back_off_ms > BACK_OFF_MAX_MS)
		slot->back_off_ms = BACK_OFF_MAX_MS;
}

static void
slot_stop(struct slot *slot)
{
	ev_timer_stop(slot->uplink->options.loop, &slot->retry);
	dial_cancel(slot->dial);
	slot->dial = NULL;
	subflow_close(slot->line.subflow);
	slot->line.subflow = NULL;
	slot->heard = false;
	trunk_detach(&slot->line);
}

/* The first slot of the next path, or this one again. */
static void
next_pioneer(struct uplink *u)
{
	uint8_t path = u->slots[u->pioneer].line.path;
	size_t i = u->pioneer;

	do {
		i = (i + 1) % u->nslots;
	} while (u->slots[i].line.path == path && i != u->pioneer);
	u->pioneer = i;
}

static void
on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct slot *slot = w->data;
	struct uplink *u = slot->uplink;

	(void)loop;
	(void)revents;
	if (!u->established && slot == &u->slots[u->pioneer] &&
	    relay_of(u)->npaths > 1)
		next_pioneer(u);
	dial_slots(u);
}

/* ---- the group ---- */

static void on_heard(void *, struct trunk_subflow *);
static void on_lost(void *, struct trunk_subflow *, const char *);
static void on_shed(void *);
static void on_fault(void *);
static void on_expired(void *);
static void on_features(void *, uint32_t);
static void on_idle(void *);
static void on_peer_drain(void *);

static const struct trunk_callbacks trunk_callbacks = {
	.on_heard = on_heard,
	.on_lost = on_lost,
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
	uint64_t rate_bps = 0;
	uint32_t delay_ms = 0;

	for (size_t i = 0; i < relay_of(u)->npaths; i++) {
		const struct config_socket *s = &relay_of(u)->paths[i].socket;

		rate_bps += s->rate_bps;
		if (s->delay_ms > delay_ms)
			delay_ms = s->delay_ms;
	}
	uint32_t most = quota_window_max(&quota->budget, c, rate_bps,
	    delay_ms);

	return trunk_new(&(struct trunk_options){
		.loop = u->options.loop,
		.hangup = u->options.hangup,
		.group = {
			.proxy = true,
			.initial_window = quota_window_initial(&quota->budget,
			    CONFIG_PROXY),
			.start_window = quota_window_start(most, rate_bps,
			    delay_ms),
			.window_max = most,
			.max_sessions = QUOTA_SESSIONS / 2,
			.datagram_max = quota_datagram_max(rate_bps),
			.budget = &quota->budget,
		},
		.keepalive_s = c->keepalive_s,
		.traffic = &quota->traffic,
		.first_ms = c->connect_timeout_ms,
		.resume_ms = c->resume_timeout_ms,
		.callbacks = &trunk_callbacks,
		.user = u,
	});
}

/* The first one at once, those that follow it soon with a pause. */
static void
begin_again(struct uplink *u)
{
	uint64_t now = clock_us();
	ev_timer *retry = &u->slots[u->pioneer].retry;

	if (u->begun_us == 0 || now - u->begun_us >= CALM_US)
		u->pause_ms = 0;
	else
		u->pause_ms = u->pause_ms == 0 ? BACK_OFF_MIN_MS :
		    2 * u->pause_ms;
	if (u->pause_ms > BACK_OFF_MAX_MS)
		u->pause_ms = BACK_OFF_MAX_MS;
	u->begun_us = now;
	if (u->pause_ms > 0) {
		ev_timer_set(retry, with_jitter(u->pause_ms), 0.);
		ev_timer_start(u->options.loop, retry);
	}
	dial_slots(u);
}

/* Another group in place of one whose sessions are lost.  false: out of memory,
 * for now. */
static bool
renew(struct uplink *u)
{
	struct trunk *new = make_trunk(u);

	if (new == NULL)
		return false;
	for (size_t i = 0; i < u->nslots; i++)
		slot_stop(&u->slots[i]);
	trunk_reset(u->trunk, WIRE_CODE_UNKNOWN);
	trunk_free(u->trunk);
	u->trunk = new;
	u->established = u->named = false;
	note_up(u);
	if (u->draining)
		trunk_drain(new);
	begin_again(u);
	return true;
}

static void
on_heard(void *user, struct trunk_subflow *line)
{
	struct uplink *u = user;
	struct slot *slot = list_object(line, struct slot, line);

	slot->back_off_ms = BACK_OFF_MIN_MS;
	slot->complaint = NULL;
	slot->heard = true;
	start_renewal(u, RENEW_S);
	if (u->established)
		return;
	u->established = true;
	dial_slots(u);
}

static void
on_lost(void *user, struct trunk_subflow *line, const char *why)
{
	(void)user;
	slot_lost(list_object(line, struct slot, line), 0, why);
}

static void
on_fault(void *user)
{
	static struct log_limit limit;
	const struct uplink *u = user;

	log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": a session was "
	    "reset: protocol error", relay_of(u)->name);
}

static void
on_shed(void *user)
{
	static struct log_limit limit;
	struct uplink *u = user;

	log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": memory is used up: "
	    "the session that held most for somebody who does not read was "
	    "reset", relay_of(u)->name);
}

/* The relay may have seen the last subflow go later than we have, or wait for
 * longer.  Then it still holds its ends of the sessions that were just reset,
 * and would for ever if the group went on. */
static void
on_expired(void *user)
{
	struct uplink *u = user;

	if (!u->established)
		return;
	log_warn("relay \"%s\": no subflow for too long: sessions were reset",
	    relay_of(u)->name);
	(void)renew(u);
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
		    "%s", relay_of(u)->name, features & WIRE_FEATURE_IPV4 ?
		    "IPv4" : "no IPv4");
	if (changed & WIRE_FEATURE_IPV6)
		log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\": it reaches "
		    "%s", relay_of(u)->name, features & WIRE_FEATURE_IPV6 ?
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
	    relay_of(u)->name);
	if (!u->draining)
		u->options.on_closing(u->options.user, u);
}

/* ---- a slot's subflow ---- */

static bool
on_up(struct subflow *subflow, const struct wire_answer *answer)
{
	static struct log_limit limit, up_limit = { .burst = 50 };
	struct trunk_subflow *line = subflow_user(subflow);
	struct slot *slot = list_object(line, struct slot, line);
	struct uplink *u = slot->uplink;

	if (u->established && !answer->group_known) {
		log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": it has "
		    "restarted: %lu sessions are reset", relay_of(u)->name,
		    (unsigned long)group_sessions(trunk_group(u->trunk)));
		if (!renew(u)) {
			slot->line.subflow = NULL;
			slot_lost(slot, -ENOMEM, "group not known");
		}
		return false;
	}
	u->relay_sessions = answer->max_sessions;
	note_features(u, answer->features);
	group_peer_window(trunk_group(u->trunk), answer->initial_window);
	if (trunk_attach(u->trunk, line) != 0) {
		slot->line.subflow = NULL;
		slot_lost(slot, 0, "too many subflows");
		return false;
	}
	log_limited(&up_limit, LOG_LEVEL_INFO, "relay \"%s\" path \"%s\" %s "
	    "subflow %u: up", relay_of(u)->name, path_of(slot)->name,
	    lane_text(slot), lane_number(slot));
	note_up(u);
	return true;
}

static void
on_closed(struct subflow *subflow, int error, const char *why)
{
	struct trunk_subflow *line = subflow_user(subflow);

	line->subflow = NULL;
	trunk_detach(line);
	slot_lost(list_object(line, struct slot, line), error, why);
}

static const struct subflow_callbacks subflow_callbacks = {
	.on_up = on_up,
	.take = trunk_take,
	.fill = trunk_fill,
	.on_event = trunk_event,
	.on_closed = on_closed,
};

static void
on_dialed(void *user, int fd, int error)
{
	struct slot *slot = user;
	struct uplink *u = slot->uplink;
	const struct key *key = key_of(u);
	struct wire_hello hello = {
		.path = slot->line.path,
		.slot = slot->line.slot,
		.protection = (uint8_t)relay_of(u)->protection,
		.initial_window = quota_window_initial(
		    &u->options.quota->budget, CONFIG_PROXY),
	};

	slot->dial = NULL;
	if (fd == -1) {
		slot_lost(slot, error, "connect");
		return;
	}
	if (key != NULL)
		memcpy(slot->key_id, key->id, sizeof(slot->key_id));
	memcpy(hello.group, u->name, sizeof(hello.group));
	slot->line.subflow = subflow_proxy(u->options.loop, fd,
	    &(struct subflow_options){ .callbacks = &subflow_callbacks,
	    .user = &slot->line,
	    .out_bytes = quota_bound_bytes(slot->line.rate_bps) }, &hello,
	    key != NULL ? key->bytes : NULL);
	if (slot->line.subflow == NULL)
		slot_lost(slot, -ENOMEM, "connect");
}

static void
slot_dial(struct slot *slot)
{
	struct uplink *u = slot->uplink;
	const struct config_path *path = path_of(slot);
	const struct sockopt_subflow sockopt = tuning_subflow(&path->socket,
	    path->bulk);

	slot->line.rate_bps = path->socket.rate_bps;
	slot->dial = dial_start(u->options.loop, &(struct dial_options){
		.destination = u->options.address,
		.source = path->source,
		.interface = path->interface,
		.subflow = &sockopt,
		.timeout_ms = u->options.config->connect_timeout_ms,
		.on_done = on_dialed,
		.user = slot,
	});
	if (slot->dial == NULL)
		slot_lost(slot, -ENOMEM, "connect");
}

/* Whatever may be dialed now and is not under way. */
static void
dial_slots(struct uplink *u)
{
	if (u->closing)		/* another relay may answer there by now */
		return;
	if (!u->named) {
		if (getrandom(u->name, sizeof(u->name), 0) !=
		    sizeof(u->name)) {
			slot_lost(&u->slots[u->pioneer], -errno, "getrandom");
			return;
		}
		u->named = true;
	}
	for (size_t i = 0; i < u->nslots; i++) {
		struct slot *slot = &u->slots[i];

		if ((u->established || i == u->pioneer) &&
		    slot->dial == NULL && slot->line.subflow == NULL &&
		    !ev_is_active(&slot->retry))
			slot_dial(slot);
	}
}

/* Was it made with the key that we have now? */
static bool
has_key(const struct slot *slot)
{
	const struct key *key = key_of(slot->uplink);

	return key == NULL ||
	    memcmp(slot->key_id, key->id, sizeof(slot->key_id)) == 0;
}

/* Make the next one anew, while all the others are there. */
static void
on_renewal(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct uplink *u = w->data;
	struct slot *old = NULL;

	(void)loop;
	(void)revents;
	if (!u->established || u->closing)
		return;
	for (size_t i = 0; i < u->nslots; i++) {
		if (!u->slots[i].heard)
			return;
		if (old == NULL && !has_key(&u->slots[i]))
			old = &u->slots[i];
	}
	if (old == NULL)
		return;
	log_info("relay \"%s\" path \"%s\" %s subflow %u: made again, with "
	    "another key", relay_of(u)->name, path_of(old)->name,
	    lane_text(old), lane_number(old));
	slot_stop(old);
	slot_dial(old);
}

static void
start_renewal(struct uplink *u, double after_s)
{
	ev_timer_stop(u->options.loop, &u->renewal);
	ev_timer_set(&u->renewal, after_s, 0.);
	ev_timer_start(u->options.loop, &u->renewal);
}

/* ---- for the proxy ---- */

static void
add_slot(struct uplink *u, uint8_t path, uint8_t number)
{
	struct slot *slot = &u->slots[u->nslots++];

	slot->uplink = u;
	slot->line.path = path;
	slot->line.slot = number;
	slot->back_off_ms = BACK_OFF_MIN_MS;
	ev_init(&slot->retry, on_retry);
	slot->retry.data = slot;
}

struct uplink *
uplink_new(const struct uplink_options *o)
{
	const struct config_relay *relay = &o->config->relays[0];
	size_t n = 0;

	for (size_t i = 0; i < relay->npaths; i++)
		n += (size_t)relay->paths[i].express + relay->paths[i].bulk;
	struct uplink *u = calloc(1, sizeof(*u) + n * sizeof(u->slots[0]));
	if (u == NULL)
		return NULL;
	u->options = *o;
	u->since_us = clock_us();
	ev_init(&u->renewal, on_renewal);
	u->renewal.data = u;
	if ((u->trunk = make_trunk(u)) == NULL) {
		free(u);
		return NULL;
	}
	for (size_t i = 0; i < relay->npaths; i++) {
		for (uint8_t j = 0; j < relay->paths[i].express; j++)
			add_slot(u, (uint8_t)i, j);
		for (uint8_t j = 0; j < relay->paths[i].bulk; j++)
			add_slot(u, (uint8_t)i, WIRE_SLOT_BULK + j);
	}
	dial_slots(u);
	return u;
}

void
uplink_free(struct uplink *u)
{
	if (u == NULL)
		return;
	trunk_free(u->trunk);
	ev_timer_stop(u->options.loop, &u->renewal);
	for (size_t i = 0; i < u->nslots; i++)
		slot_stop(&u->slots[i]);
	free(u);
}

void
uplink_configure(struct uplink *u, const struct config *c,
    const struct keyring *keys, struct addr address)
{
	u->options.config = c;
	u->options.keys = keys;
	u->options.address = address;
	trunk_configure(u->trunk, c->keepalive_s, c->resume_timeout_ms);
	start_renewal(u, 0.);
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
	if (u->relay_sessions != 0 &&
	    group_sessions(group) >= u->relay_sessions)
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

unsigned
uplink_families(const struct uplink *u)
{
	return u->features & (WIRE_FEATURE_IPV4 | WIRE_FEATURE_IPV6);
}

bool
uplink_answers(struct uplink *u)
{
	uint64_t answered = trunk_answered_us(u->trunk);

	if (answered == 0 || u->closing)
		return false;
	trunk_ask(u->trunk, ASK_US);
	return clock_us() < answered + SILENCE_US;
}

void
uplink_state(const struct uplink *u, struct uplink_state *state)
{
	*state = (struct uplink_state){
		.up = trunk_up(u->trunk),
		.subflows = (unsigned int)u->nslots,
		.since_us = u->since_us,
	};
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
