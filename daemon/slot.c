/* SPDX-License-Identifier: ISC */
/*
 * One subflow that should exist: the connection that is to be it, the
 * handshake, and its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "chance.h"
#include "clock.h"
#include "net/log.h"
#include "net/subflow.h"
#include "net/tcpinfo.h"
#include "slots_private.h"
#include "tuning.h"

const char *
slot_lane(const struct slot *slot)
{
	return is_bulk(slot) ? "bulk" : "express";
}

unsigned int
slot_lane_number(const struct slot *slot)
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
	    "%s%s%s", slots_relay(s)->name, slot_path(slot)->name,
	    slot_lane(slot), slot_lane_number(slot), why,
	    error != 0 ? ": " : "",
	    error != 0 ? strerror(-error) : "");
}

void
slot_close_end(struct end *end)
{
	subflow_close(end->line.subflow);
	end->line.subflow = NULL;
	trunk_detach(&end->line);
}

void
slot_close_dial(struct slot *slot)
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

/* One that is about to end and does not know an established group is not the
 * one that has it: that one may have freed its place, and its sessions wait. */
static enum redial_failure
failure_of_answer(const struct slots *s, const struct wire_answer *answer)
{
	if (!(answer->features & WIRE_FEATURE_ENDING))
		return REDIAL_UNWELCOME;
	return redial_established(s->redial) ? REDIAL_SILENT : REDIAL_REFUSED;
}

/* What was to be its subflow is not. */
void
slot_failed(struct slot *slot, enum redial_failure failure, int error,
    const char *why)
{
	struct slots *s = slot->slots;

	complain(slot, error, why);
	redial_failed(s->redial, slot_index(slot), failure, clock_us(),
	    chance_u16());
	s->options.on_lost(s->options.user);
	slots_obey(s);
}

void
slot_lost(struct slot *slot, int error, const char *why)
{
	struct slots *s = slot->slots;

	slot->heard = false;
	complain(slot, error, why);
	redial_lost(s->redial, slot_index(slot), clock_us(), chance_u16());
	s->options.on_lost(s->options.user);
	slots_obey(s);
}

/* An old subflow that is still there is closed by the trunk, in favour of this
 * one: only slots_lost() hears of that. */
static bool
on_up(struct subflow *subflow, const struct wire_answer *answer)
{
	static struct log_limit limit = { .burst = 50 };
	struct end *end = slot_end(subflow_user(subflow));
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
		slot_failed(slot, failure_of_answer(s, answer), 0, why);
		return false;
	}
	slot->heard = false;
	redial_up(s->redial, slot_index(slot));
	log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\" path \"%s\" %s "
	    "subflow %u: up", slots_relay(s)->name, slot_path(slot)->name,
	    slot_lane(slot), slot_lane_number(slot));
	slots_obey(s);
	return true;
}

static void
on_closed(struct subflow *subflow, int error, const char *why)
{
	struct end *end = slot_end(subflow_user(subflow));
	struct slot *slot = end->slot;

	end->line.subflow = NULL;
	trunk_detach(&end->line);
	if (end == slot->now)
		slot_lost(slot, error, why);
	else
		slot_failed(slot, error == -ETIMEDOUT &&
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
		slot_failed(slot, failure_of(error), error, "connect");
		return;
	}
	slot->fd = fd;
	(void)tcpinfo_facts(fd, &facts);
	redial_connected(s->redial, slot_index(slot), facts.rtt_us);
	slots_obey(s);
}

/* ---- orders ---- */

void
slot_dial(struct slot *slot, uint32_t timeout_ms)
{
	struct slots *s = slot->slots;
	const struct config_path *path = slot_path(slot);
	const struct sockopt_subflow sockopt = tuning_subflow(&path->socket,
	    path->bulk);

	if (ways_missing(s->ways, slot->path) != NULL) {	/* was said */
		redial_failed(s->redial, slot_index(slot), REDIAL_LOCAL,
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
		slot_failed(slot, REDIAL_LOCAL, -ENOMEM, "connect");
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

void
slot_speak(struct slot *slot, uint32_t timeout_ms)
{
	struct slots *s = slot->slots;
	struct end *end = slot->next;
	const struct key *key = slots_key(s);
	struct wire_hello hello = {
		.path = slot->path,
		.slot = slot->number,
		.protection = (uint8_t)slots_relay(s)->protection,
		.initial_window = quota_window_initial(
		    &s->options.quota->budget, CONFIG_PROXY),
	};
	int fd = slot->fd;

	if (!has_name(s)) {
		slot_close_dial(slot);
		slot_failed(slot, REDIAL_LOCAL, -errno, "getrandom");
		return;
	}
	if (key != NULL)
		memcpy(end->key_id, key->id, sizeof(end->key_id));
	memcpy(hello.group, s->name, sizeof(hello.group));
	end->line.rate_bps = slot_path(slot)->socket.rate_bps;
	slot->fd = -1;
	end->line.subflow = subflow_proxy(s->options.loop, fd,
	    &(struct subflow_options){ .callbacks = &subflow_callbacks,
	    .user = &end->line, .handshake_ms = timeout_ms,
	    .out_bytes = quota_bound_bytes(end->line.rate_bps) }, &hello,
	    key != NULL ? key->bytes : NULL);
	if (end->line.subflow == NULL)
		slot_failed(slot, REDIAL_LOCAL, -ENOMEM, "connect");
}
