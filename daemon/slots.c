/* SPDX-License-Identifier: ISC */
/*
 * A new group's first subflow is made alone (the pioneer), the others after the
 * relay's first frame on it, because the relay knows the group from then on.
 * When the pioneer fails, the first slot of the next path is the next one.
 * When groups end again and again (two relays behind one address, say) there is
 * a pause before each.
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

#include "chance.h"
#include "clock.h"
#include "net/dial.h"
#include "net/log.h"
#include "net/subflow.h"
#include "tuning.h"

#define BACK_OFF_MIN_MS 250
#define BACK_OFF_MAX_MS 3000

#define CALM_US UINT64_C(10000000)	/* so long a group has lived well */
#define RENEW_S 1.		/* a subflow's time to become as fast as before */

struct slot {
	struct trunk_subflow line;	/* first: callbacks find us by it */
	struct slots *slots;
	struct dial *dial;
	ev_timer retry;
	uint8_t key_id[WIRE_KEY_ID];	/* it was dialed with */
	uint32_t back_off_ms;
	bool heard;			/* the relay, on its subflow */
	const char *complaint;		/* that was made, until the relay is
					 * heard again; NULL: none */
};

struct slots {
	struct slots_options options;
	uint8_t name[WIRE_GROUP_NAME];
	bool named;			/* nobody knows the name before */
	bool established;		/* the relay was heard */
	bool finished;
	size_t pioneer;			/* its slot */
	uint64_t begun_us;		/* when the last group ended; 0: never */
	uint32_t pause_ms;		/* before this one */
	ev_timer renewal;		/* of a subflow, for another key */
	size_t count;
	struct slot slots[];
};

static void dial_slots(struct slots *);

static const struct config_relay *
relay_of(const struct slots *s)
{
	return &s->options.config->relays[s->options.relay];
}

static const struct config_path *
path_of(const struct slot *slot)
{
	return &relay_of(slot->slots)->paths[slot->line.path];
}

static struct slot *
slot_of(struct trunk_subflow *line)
{
	return list_object(line, struct slot, line);
}

static bool
is_bulk(const struct slot *slot)
{
	return slot->line.slot >= WIRE_SLOT_BULK;
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
	return is_bulk(slot) ? slot->line.slot - WIRE_SLOT_BULK :
	    slot->line.slot;
}

/* Half to one and a half of it, so that slots do not dial all at once. */
static double
with_jitter(uint32_t ms)
{
	return ms / 1000. * (.5 + chance_u16() / 65536.);
}

/* Its connection is gone, or was never made.  `why` is a literal. */
static void
slot_lost(struct slot *slot, int error, const char *why)
{
	struct slots *s = slot->slots;
	bool same = slot->complaint != NULL &&
	    strcmp(slot->complaint, why) == 0;
	enum log_level level = same ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;
	static struct log_limit limit = { .burst = 50 };

	slot->complaint = why;
	slot->heard = false;
	s->options.on_lost(s->options.user);
	log_limited(&limit, level, "relay \"%s\" path \"%s\" %s subflow %u: "
	    "%s%s%s", relay_of(s)->name, path_of(slot)->name, lane_text(slot),
	    lane_number(slot), why, error != 0 ? ": " : "",
	    error != 0 ? strerror(-error) : "");
	ev_timer_set(&slot->retry, with_jitter(slot->back_off_ms), 0.);
	ev_timer_start(s->options.loop, &slot->retry);
	slot->back_off_ms *= 2;
	if (slot->back_off_ms > BACK_OFF_MAX_MS)
		slot->back_off_ms = BACK_OFF_MAX_MS;
}

static void
slot_stop(struct slot *slot)
{
	ev_timer_stop(slot->slots->options.loop, &slot->retry);
	dial_cancel(slot->dial);
	slot->dial = NULL;
	subflow_close(slot->line.subflow);
	slot->line.subflow = NULL;
	slot->heard = false;
	trunk_detach(&slot->line);
}

/* The first slot of the next path, or this one again. */
static void
next_pioneer(struct slots *s)
{
	uint8_t path = s->slots[s->pioneer].line.path;
	size_t i = s->pioneer;

	do {
		i = (i + 1) % s->count;
	} while (s->slots[i].line.path == path && i != s->pioneer);
	s->pioneer = i;
}

static void
on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct slot *slot = w->data;
	struct slots *s = slot->slots;

	(void)loop;
	(void)revents;
	if (!s->established && slot == &s->slots[s->pioneer] &&
	    relay_of(s)->npaths > 1)
		next_pioneer(s);
	dial_slots(s);
}

/* ---- its subflow ---- */

static bool
on_up(struct subflow *subflow, const struct wire_answer *answer)
{
	static struct log_limit limit = { .burst = 50 };
	struct trunk_subflow *line = subflow_user(subflow);
	struct slot *slot = slot_of(line);
	struct slots *s = slot->slots;
	const char *why = s->options.on_up(s->options.user, line, answer);

	if (line->subflow == NULL)	/* another group has begun */
		return false;
	if (why != NULL) {
		line->subflow = NULL;
		slot_lost(slot, 0, why);
		return false;
	}
	log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\" path \"%s\" %s "
	    "subflow %u: up", relay_of(s)->name, path_of(slot)->name,
	    lane_text(slot), lane_number(slot));
	return true;
}

static void
on_closed(struct subflow *subflow, int error, const char *why)
{
	struct trunk_subflow *line = subflow_user(subflow);

	line->subflow = NULL;
	trunk_detach(line);
	slot_lost(slot_of(line), error, why);
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
	const struct key *key = key_of(s);
	struct wire_hello hello = {
		.path = slot->line.path,
		.slot = slot->line.slot,
		.protection = (uint8_t)relay_of(s)->protection,
		.initial_window = quota_window_initial(
		    &s->options.quota->budget, CONFIG_PROXY),
	};

	slot->dial = NULL;
	if (fd == -1) {
		slot_lost(slot, error, "connect");
		return;
	}
	if (key != NULL)
		memcpy(slot->key_id, key->id, sizeof(slot->key_id));
	memcpy(hello.group, s->name, sizeof(hello.group));
	slot->line.subflow = subflow_proxy(s->options.loop, fd,
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
	struct slots *s = slot->slots;
	const struct config_path *path = path_of(slot);
	const struct sockopt_subflow sockopt = tuning_subflow(&path->socket,
	    path->bulk);

	slot->line.rate_bps = path->socket.rate_bps;
	slot->dial = dial_start(s->options.loop, &(struct dial_options){
		.destination = s->options.address,
		.source = path->source,
		.interface = path->interface,
		.subflow = &sockopt,
		.timeout_ms = s->options.config->connect_timeout_ms,
		.on_done = on_dialed,
		.user = slot,
	});
	if (slot->dial == NULL)
		slot_lost(slot, -ENOMEM, "connect");
}

/* Whatever may be dialed now and is not under way. */
static void
dial_slots(struct slots *s)
{
	if (s->finished || s->options.address.family == 0)
		return;
	if (!s->named) {
		if (getrandom(s->name, sizeof(s->name), 0) !=
		    sizeof(s->name)) {
			slot_lost(&s->slots[s->pioneer], -errno, "getrandom");
			return;
		}
		s->named = true;
	}
	for (size_t i = 0; i < s->count; i++) {
		struct slot *slot = &s->slots[i];

		if ((s->established || i == s->pioneer) &&
		    slot->dial == NULL && slot->line.subflow == NULL &&
		    !ev_is_active(&slot->retry))
			slot_dial(slot);
	}
}

/* Was it made with the key that we have now? */
static bool
has_key(const struct slot *slot)
{
	const struct key *key = key_of(slot->slots);

	return key == NULL ||
	    memcmp(slot->key_id, key->id, sizeof(slot->key_id)) == 0;
}

/* Make the next one anew, while all the others are there. */
static void
on_renewal(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct slots *s = w->data;
	struct slot *old = NULL;

	(void)loop;
	(void)revents;
	if (!s->established || s->finished)
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
	slot_stop(old);
	slot_dial(old);
}

static void
start_renewal(struct slots *s, double after_s)
{
	ev_timer_stop(s->options.loop, &s->renewal);
	ev_timer_set(&s->renewal, after_s, 0.);
	ev_timer_start(s->options.loop, &s->renewal);
}

/* ---- for the uplink ---- */

void
slots_begin(struct slots *s)
{
	dial_slots(s);
}

void
slots_begin_again(struct slots *s)
{
	uint64_t now = clock_us();
	ev_timer *retry = &s->slots[s->pioneer].retry;

	s->established = s->named = false;
	if (s->begun_us == 0 || now - s->begun_us >= CALM_US)
		s->pause_ms = 0;
	else
		s->pause_ms = s->pause_ms == 0 ? BACK_OFF_MIN_MS :
		    2 * s->pause_ms;
	if (s->pause_ms > BACK_OFF_MAX_MS)
		s->pause_ms = BACK_OFF_MAX_MS;
	s->begun_us = now;
	if (s->pause_ms > 0) {
		ev_timer_set(retry, with_jitter(s->pause_ms), 0.);
		ev_timer_start(s->options.loop, retry);
	}
	dial_slots(s);
}

void
slots_heard(struct trunk_subflow *line)
{
	struct slot *slot = slot_of(line);
	struct slots *s = slot->slots;

	slot->back_off_ms = BACK_OFF_MIN_MS;
	slot->complaint = NULL;
	slot->heard = true;
	start_renewal(s, RENEW_S);
	if (s->established)
		return;
	s->established = true;
	dial_slots(s);
}

void
slots_lost(struct trunk_subflow *line, const char *why)
{
	slot_lost(slot_of(line), 0, why);
}

bool
slots_established(const struct slots *s)
{
	return s->established;
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

void
slots_stop(struct slots *s)
{
	for (size_t i = 0; i < s->count; i++)
		slot_stop(&s->slots[i]);
}

static void
add_slot(struct slots *s, uint8_t path, uint8_t number)
{
	struct slot *slot = &s->slots[s->count++];

	slot->slots = s;
	slot->line.path = path;
	slot->line.slot = number;
	slot->back_off_ms = BACK_OFF_MIN_MS;
	ev_init(&slot->retry, on_retry);
	slot->retry.data = slot;
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
	s->renewal.data = s;
	for (size_t i = 0; i < relay->npaths; i++) {
		for (uint8_t j = 0; j < relay->paths[i].express; j++)
			add_slot(s, (uint8_t)i, j);
		for (uint8_t j = 0; j < relay->paths[i].bulk; j++)
			add_slot(s, (uint8_t)i, WIRE_SLOT_BULK + j);
	}
	return s;
}

void
slots_free(struct slots *s)
{
	if (s == NULL)
		return;
	ev_timer_stop(s->options.loop, &s->renewal);
	slots_stop(s);
	free(s);
}

/* Those that are not connected begin again, at the new address. */
static void
dial_there(struct slots *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->line.subflow != NULL)
			continue;
		slot_stop(slot);
		slot->back_off_ms = BACK_OFF_MIN_MS;
	}
	dial_slots(s);
}

void
slots_configure(struct slots *s, const struct config *c,
    const struct keyring *keys, struct addr address)
{
	bool moved = !addr_equal(&s->options.address, &address);

	s->options.config = c;
	s->options.keys = keys;
	s->options.address = address;
	start_renewal(s, 0.);
	if (moved)
		dial_there(s);
}
