/* SPDX-License-Identifier: ISC */
/*
 * When to dial, and who speaks first, is decided by core/redial; here its orders
 * are carried out.
 *
 * A slot has two ends, since one that is silent is kept until its replacement
 * has come up.
 *
 * Another key (a reload) is taken up by one slot at a time: it is closed and
 * made again, and some time after the relay was heard on it the next one
 * follows.  So sessions always have the others, and a key that the relay does
 * not know costs one subflow and is found out at once, by whoever changed it.
 */
#include "slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "chance.h"
#include "clock.h"
#include "core/redial.h"
#include "net/dial.h"
#include "net/log.h"
#include "net/subflow.h"
#include "net/tcpinfo.h"
#include "tuning.h"
#include "ways.h"

#define RENEW_S 1.		/* a subflow's time to become as fast as before */

struct slot;

struct end {
	struct trunk_subflow line;	/* first: callbacks find us by it */
	struct slot *slot;
	uint8_t key_id[WIRE_KEY_ID];	/* it was dialed with */
};

struct slot {
	struct slots *slots;
	uint8_t path, number;
	struct end ends[2];
	struct end *now, *next;		/* of these: its subflow, and the one
					 * that is in its handshake */
	struct dial *dial;		/* for the next, or it is connected: */
	int fd;				/* or -1 */
	bool heard;			/* the relay, on its subflow */
	const char *complaint;		/* that was made, until the relay is
					 * heard again; NULL: none */
};

struct slots {
	struct slots_options options;
	uint8_t name[WIRE_GROUP_NAME];
	bool named;			/* nobody knows the name before */
	bool finished, obeying;
	struct redial *redial;
	struct ways *ways;
	ev_timer wake;
	ev_timer renewal;		/* of a subflow, for another key */
	size_t count;
	struct slot slots[];
};

static void obey(struct slots *);

static const struct config_relay *
relay_of(const struct slots *s)
{
	return &s->options.config->relays[s->options.relay];
}

static const struct config_path *
path_of(const struct slot *slot)
{
	return &relay_of(slot->slots)->paths[slot->path];
}

static struct end *
end_of(struct trunk_subflow *line)
{
	return list_object(line, struct end, line);
}

static size_t
index_of(const struct slot *slot)
{
	return (size_t)(slot - slot->slots->slots);
}

static bool
is_bulk(const struct slot *slot)
{
	return slot->number >= WIRE_SLOT_BULK;
}

/* NULL without protection. */
static const struct key *
key_of(const struct slots *s)
{
	return keyring_relay(s->options.keys, s->options.relay);
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
	return is_bulk(slot) ? slot->number - WIRE_SLOT_BULK :
	    slot->number;
}

/* Its connection is gone, or was never made.  `why` is a literal. */
static void
complain(struct slot *slot, int error, const char *why)
{
	struct slots *s = slot->slots;
	bool same = slot->complaint != NULL &&
	    strcmp(slot->complaint, why) == 0;
	enum log_level level = same ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;
	static struct log_limit limit = { .burst = 50 };

	slot->complaint = why;
	log_limited(&limit, level, "relay \"%s\" path \"%s\" %s subflow %u: "
	    "%s%s%s", relay_of(s)->name, path_of(slot)->name, lane_text(slot),
	    lane_number(slot), why, error != 0 ? ": " : "",
	    error != 0 ? strerror(-error) : "");
}

static void
close_end(struct end *end)
{
	subflow_close(end->line.subflow);
	end->line.subflow = NULL;
	trunk_detach(&end->line);
}

/* What has not spoken yet; the relay knows nothing of it. */
static void
close_dial(struct slot *slot)
{
	dial_cancel(slot->dial);
	slot->dial = NULL;
	if (slot->fd != -1)
		close(slot->fd);
	slot->fd = -1;
}

/* ---- facts ---- */

static enum redial_failure
failure_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return REDIAL_REFUSED;
	case -ENETUNREACH:
	case -ENETDOWN:
	case -ENODEV:
	case -EADDRNOTAVAIL:
	case -EPERM:		/* a firewall of ours */
	case -ENOMEM:
		return REDIAL_LOCAL;
	default:
		return REDIAL_SILENT;
	}
}

/* What was to be its subflow is not. */
static void
attempt_failed(struct slot *slot, enum redial_failure failure, int error,
    const char *why)
{
	struct slots *s = slot->slots;

	complain(slot, error, why);
	redial_failed(s->redial, index_of(slot), failure, clock_us(),
	    chance_u16());
	s->options.on_lost(s->options.user);
	obey(s);
}

static void
subflow_lost(struct slot *slot, int error, const char *why)
{
	struct slots *s = slot->slots;

	slot->heard = false;
	complain(slot, error, why);
	redial_lost(s->redial, index_of(slot), clock_us(), chance_u16());
	s->options.on_lost(s->options.user);
	obey(s);
}

/* An old subflow that is still there is closed by the trunk, in favour of this
 * one: only slots_lost() hears of that. */
static bool
on_up(struct subflow *subflow, const struct wire_answer *answer)
{
	static struct log_limit limit = { .burst = 50 };
	struct end *end = end_of(subflow_user(subflow));
	struct slot *slot = end->slot;
	struct slots *s = slot->slots;
	const char *why;

	slot->next = slot->now;
	slot->now = end;
	why = s->options.on_up(s->options.user, &end->line, answer);
	if (end->line.subflow == NULL)	/* another group has begun */
		return false;
	if (why != NULL) {
		slot->now = slot->next;
		slot->next = end;
		end->line.subflow = NULL;
		attempt_failed(slot, REDIAL_UNWELCOME, 0, why);
		return false;
	}
	slot->heard = false;
	redial_up(s->redial, index_of(slot));
	log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\" path \"%s\" %s "
	    "subflow %u: up", relay_of(s)->name, path_of(slot)->name,
	    lane_text(slot), lane_number(slot));
	obey(s);
	return true;
}

static void
on_closed(struct subflow *subflow, int error, const char *why)
{
	struct end *end = end_of(subflow_user(subflow));
	struct slot *slot = end->slot;

	end->line.subflow = NULL;
	trunk_detach(&end->line);
	if (end == slot->now)
		subflow_lost(slot, error, why);
	else
		attempt_failed(slot, error == -ETIMEDOUT &&
		    redial_established(slot->slots->redial) ? REDIAL_SILENT :
		    REDIAL_UNWELCOME, error, why);
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
	struct slots *s = slot->slots;
	struct group_facts facts = { 0 };

	slot->dial = NULL;
	if (fd == -1) {
		attempt_failed(slot, failure_of(error), error, "connect");
		return;
	}
	slot->fd = fd;
	(void)tcpinfo_facts(fd, &facts);
	redial_connected(s->redial, index_of(slot), facts.rtt_us);
	obey(s);
}

/* ---- orders ---- */

static void
dial(struct slot *slot, uint32_t timeout_ms)
{
	struct slots *s = slot->slots;
	const struct config_path *path = path_of(slot);
	const struct sockopt_subflow sockopt = tuning_subflow(&path->socket,
	    path->bulk);

	if (ways_missing(s->ways, slot->path) != NULL) {	/* it was said */
		redial_failed(s->redial, index_of(slot), REDIAL_LOCAL,
		    clock_us(), chance_u16());
		return;
	}
	slot->dial = dial_start(s->options.loop, &(struct dial_options){
		.destination = s->options.address,
		.source = path->source,
		.interface = path->interface,
		.subflow = &sockopt,
		.timeout_ms = timeout_ms,
		.on_done = on_dialed,
		.user = slot,
	});
	if (slot->dial == NULL)
		attempt_failed(slot, REDIAL_LOCAL, -ENOMEM, "connect");
}

/* Under the group's name, which is made when it is first needed. */
static bool
has_name(struct slots *s)
{
	if (!s->named)
		s->named = getrandom(s->name, sizeof(s->name), 0) ==
		    sizeof(s->name);
	return s->named;
}

static void
speak(struct slot *slot, uint32_t timeout_ms)
{
	struct slots *s = slot->slots;
	struct end *end = slot->next;
	const struct key *key = key_of(s);
	struct wire_hello hello = {
		.path = slot->path,
		.slot = slot->number,
		.protection = (uint8_t)relay_of(s)->protection,
		.initial_window = quota_window_initial(
		    &s->options.quota->budget, CONFIG_PROXY),
	};
	int fd = slot->fd;

	if (!has_name(s)) {
		close_dial(slot);
		attempt_failed(slot, REDIAL_LOCAL, -errno, "getrandom");
		return;
	}
	if (key != NULL)
		memcpy(end->key_id, key->id, sizeof(end->key_id));
	memcpy(hello.group, s->name, sizeof(hello.group));
	end->line.rate_bps = path_of(slot)->socket.rate_bps;
	slot->fd = -1;
	end->line.subflow = subflow_proxy(s->options.loop, fd,
	    &(struct subflow_options){ .callbacks = &subflow_callbacks,
	    .user = &end->line, .handshake_ms = timeout_ms,
	    .out_bytes = quota_bound_bytes(end->line.rate_bps) }, &hello,
	    key != NULL ? key->bytes : NULL);
	if (end->line.subflow == NULL)
		attempt_failed(slot, REDIAL_LOCAL, -ENOMEM, "connect");
}

static void
carry_out(struct slots *s, const struct redial_action *action)
{
	struct slot *slot = &s->slots[action->slot];

	switch (action->order) {
	case REDIAL_DIAL:
		dial(slot, action->timeout_ms);
		break;
	case REDIAL_HELLO:
		speak(slot, action->timeout_ms);
		break;
	case REDIAL_DROP:
		close_dial(slot);
		close_end(slot->next);
		break;
	case REDIAL_GIVE_UP:
		s->options.on_refused(s->options.user);
		break;
	}
}

/* Whatever is to be done now. */
static void
obey(struct slots *s)
{
	struct redial_action action;
	uint64_t now = clock_us(), at;

	ev_timer_stop(s->options.loop, &s->wake);
	if (s->finished || s->obeying || s->options.address.family == 0)
		return;
	s->obeying = true;
	while (redial_next(s->redial, now, &action))
		carry_out(s, &action);
	s->obeying = false;
	at = redial_deadline(s->redial, now);
	if (at == REDIAL_NEVER)
		return;
	ev_now_update(s->options.loop);
	ev_timer_set(&s->wake, at > now ? (double)(at - now) / 1e6 : 0., 0.);
	ev_timer_start(s->options.loop, &s->wake);
}

static void
on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	obey(w->data);
}

/* ---- interfaces and addresses ---- */

/* What cannot get through any more is closed, so that its sessions go on
 * elsewhere at once. */
static void
leave(struct slot *slot)
{
	struct slots *s = slot->slots;
	const struct subflow *now = slot->now->line.subflow;
	const struct subflow *next = slot->next->line.subflow;
	const char *missing = ways_missing(s->ways, slot->path), *why;

	if (missing != NULL && (slot->dial != NULL || slot->fd != -1)) {
		close_dial(slot);
		attempt_failed(slot, REDIAL_LOCAL, 0, missing);
	}
	if (next != NULL && (why = ways_lost(s->ways, slot->path,
	    subflow_fd(next))) != NULL) {
		close_end(slot->next);
		attempt_failed(slot, REDIAL_LOCAL, 0, why);
	}
	if (now != NULL && (why = ways_lost(s->ways, slot->path,
	    subflow_fd(now))) != NULL) {
		close_end(slot->now);
		subflow_lost(slot, 0, why);
	}
}

static void
on_ways(void *user)
{
	struct slots *s = user;
	uint64_t now = clock_us();

	for (size_t i = 0; i < s->count; i++)
		leave(&s->slots[i]);
	for (size_t i = 0; i < relay_of(s)->npaths; i++)
		if (ways_came(s->ways, i))
			redial_hurry(s->redial, (uint8_t)i, now);
	obey(s);
}

/* ---- another key ---- */

/* Was it made with the key that we have now? */
static bool
has_key(const struct slot *slot)
{
	const struct key *key = key_of(slot->slots);

	return key == NULL ||
	    memcmp(slot->now->key_id, key->id, sizeof(key->id)) == 0;
}

/* Make the next one anew, while all the others are there. */
static void
on_renewal(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct slots *s = w->data;
	struct slot *old = NULL;

	(void)loop;
	(void)revents;
	if (!redial_established(s->redial) || s->finished)
		return;
	for (size_t i = 0; i < s->count; i++) {
		if (!s->slots[i].heard)
			return;
		if (old == NULL && !has_key(&s->slots[i]))
			old = &s->slots[i];
	}
	if (old == NULL)
		return;
	log_info("relay \"%s\" path \"%s\" %s subflow %u: made again, with "
	    "another key", relay_of(s)->name, path_of(old)->name,
	    lane_text(old), lane_number(old));
	close_end(old->now);
	old->heard = false;
	redial_renew(s->redial, index_of(old), clock_us());
	obey(s);
}

static void
start_renewal(struct slots *s, double after_s)
{
	ev_timer_stop(s->options.loop, &s->renewal);
	ev_timer_set(&s->renewal, after_s, 0.);
	ev_timer_start(s->options.loop, &s->renewal);
}

/* ---- for the uplink ---- */

/* What was said to the relay, or by it. */
static void
close_ends(struct slots *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct slot *slot = &s->slots[i];

		close_end(slot->now);
		close_end(slot->next);
		slot->heard = false;
	}
}

void
slots_begin(struct slots *s)
{
	close_ends(s);
	s->named = false;
	redial_begin(s->redial, clock_us(), chance_u16());
	obey(s);
}

void
slots_heard(struct trunk_subflow *line)
{
	struct slot *slot = end_of(line)->slot;
	struct slots *s = slot->slots;

	slot->complaint = NULL;
	slot->heard = true;
	start_renewal(s, RENEW_S);
	redial_heard(s->redial, index_of(slot), clock_us());
	obey(s);
}

void
slots_silent(struct trunk_subflow *line, bool silent)
{
	struct slot *slot = end_of(line)->slot;
	struct slots *s = slot->slots;

	if (end_of(line) != slot->now)
		return;
	redial_silent(s->redial, index_of(slot), silent, clock_us(),
	    chance_u16());
	obey(s);
}

void
slots_lost(struct trunk_subflow *line, const char *why)
{
	struct slot *slot = end_of(line)->slot;

	if (end_of(line) == slot->now)
		subflow_lost(slot, 0, why);
}

bool
slots_established(const struct slots *s)
{
	return redial_established(s->redial);
}

const char *
slots_missing(const struct slots *s, size_t path)
{
	return ways_missing(s->ways, path);
}

unsigned int
slots_count(const struct slots *s)
{
	return (unsigned int)s->count;
}

void
slots_finish(struct slots *s)
{
	s->finished = true;
}

static void
add_slot(struct slots *s, uint8_t path, uint8_t number)
{
	struct slot *slot = &s->slots[s->count++];

	slot->slots = s;
	slot->path = path;
	slot->number = number;
	slot->fd = -1;
	slot->now = &slot->ends[0];
	slot->next = &slot->ends[1];
	for (size_t i = 0; i < 2; i++) {
		slot->ends[i].slot = slot;
		slot->ends[i].line.path = path;
		slot->ends[i].line.slot = number;
	}
}

static struct redial *
make_redial(const struct slots *s)
{
	uint8_t *paths = malloc(s->count);
	struct redial *redial;

	if (paths == NULL)
		return NULL;
	for (size_t i = 0; i < s->count; i++)
		paths[i] = s->slots[i].path;
	redial = redial_new(paths, s->count,
	    s->options.config->connect_timeout_ms);
	free(paths);
	return redial;
}

struct slots *
slots_new(const struct slots_options *o)
{
	const struct config_relay *relay = &o->config->relays[o->relay];
	size_t n = 0;

	for (size_t i = 0; i < relay->npaths; i++)
		n += (size_t)relay->paths[i].express + relay->paths[i].bulk;
	struct slots *s = calloc(1, sizeof(*s) + n * sizeof(s->slots[0]));
	if (s == NULL)
		return NULL;
	s->options = *o;
	ev_init(&s->renewal, on_renewal);
	ev_init(&s->wake, on_wake);
	s->renewal.data = s->wake.data = s;
	for (size_t i = 0; i < relay->npaths; i++) {
		for (uint8_t j = 0; j < relay->paths[i].express; j++)
			add_slot(s, (uint8_t)i, j);
		for (uint8_t j = 0; j < relay->paths[i].bulk; j++)
			add_slot(s, (uint8_t)i, WIRE_SLOT_BULK + j);
	}
	if ((s->redial = make_redial(s)) == NULL ||
	    (s->ways = ways_new(o->loop, relay, on_ways, s)) == NULL) {
		redial_free(s->redial);
		free(s);
		return NULL;
	}
	return s;
}

void
slots_free(struct slots *s)
{
	if (s == NULL)
		return;
	ev_timer_stop(s->options.loop, &s->renewal);
	ev_timer_stop(s->options.loop, &s->wake);
	close_ends(s);
	for (size_t i = 0; i < s->count; i++)
		close_dial(&s->slots[i]);
	ways_free(s->ways);
	redial_free(s->redial);
	free(s);
}

/* What is connected stays. */
static void
move(struct slots *s, struct addr address)
{
	uint64_t now = clock_us();

	s->options.address = address;
	for (size_t i = 0; i < s->count; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->dial != NULL || slot->fd != -1) {
			close_dial(slot);
			redial_failed(s->redial, i, REDIAL_DROPPED, now, 0);
		}
		redial_hurry(s->redial, slot->path, now);
	}
}

void
slots_configure(struct slots *s, const struct config *c,
    const struct keyring *keys, struct addr address)
{
	s->options.config = c;
	s->options.keys = keys;
	redial_configure(s->redial, c->connect_timeout_ms);
	ways_configure(s->ways, relay_of(s));
	if (!addr_equal(&s->options.address, &address))
		move(s, address);
	start_renewal(s, 0.);
	obey(s);
}
