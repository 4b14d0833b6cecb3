/* SPDX-License-Identifier: ISC */
/*
 * When to dial, and who speaks first, is decided by core/redial; here its
 * orders are carried out.
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

#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "clock.h"
#include "net/log.h"
#include "net/subflow.h"
#include "slots_private.h"

#define RENEW_S 1.	/* a subflow's time to become as fast as before */

static void
carry_out(struct slots *s, const struct redial_action *action)
{
	struct slot *slot = &s->slots[action->slot];

	switch (action->order) {
	case REDIAL_DIAL:
		slot_dial(slot, action->timeout_ms);
		break;
	case REDIAL_HELLO:
		slot_speak(slot, action->timeout_ms);
		break;
	case REDIAL_DROP:
		slot_close_dial(slot);
		slot_close_end(slot->next);
		break;
	case REDIAL_GIVE_UP:
		s->options.on_refused(s->options.user);
		break;
	}
}

static void
wake_at(struct slots *s, uint64_t at, uint64_t now)
{
	ev_now_update(s->options.loop);
	ev_timer_set(&s->wake, at > now ? (double)(at - now) / 1e6 : 0., 0.);
	ev_timer_start(s->options.loop, &s->wake);
}

/* Whatever is to be done now. */
void
slots_obey(struct slots *s)
{
	struct redial_action action;
	uint64_t now = clock_us(), at;

	ev_timer_stop(s->options.loop, &s->wake);
	if (s->finished || s->obeying || s->options.address.family == 0)
		return;
	if (now < s->options.begin_us) {
		wake_at(s, s->options.begin_us, now);
		return;
	}
	s->obeying = true;
	while (redial_next(s->redial, now, &action))
		carry_out(s, &action);
	s->obeying = false;
	at = redial_deadline(s->redial, now);
	if (at != REDIAL_NEVER)
		wake_at(s, at, now);
}

static void
on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	slots_obey(w->data);
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
		slot_close_dial(slot);
		slot_failed(slot, REDIAL_LOCAL, 0, missing);
	}
	if (next != NULL && (why = ways_lost(s->ways, slot->path,
	    subflow_fd(next))) != NULL) {
		slot_close_end(slot->next);
		slot_failed(slot, REDIAL_LOCAL, 0, why);
	}
	if (now != NULL && (why = ways_lost(s->ways, slot->path,
	    subflow_fd(now))) != NULL) {
		slot_close_end(slot->now);
		slot_lost(slot, 0, why);
	}
}

static void
on_ways(void *user)
{
	struct slots *s = user;
	uint64_t now = clock_us();

	for (size_t i = 0; i < s->count; i++)
		leave(&s->slots[i]);
	for (size_t i = 0; i < slots_relay(s)->npaths; i++)
		if (ways_came(s->ways, i))
			redial_hurry(s->redial, (uint8_t)i, now);
	slots_obey(s);
}

/* ---- another key ---- */

/* Was it made with the key that we have now? */
static bool
has_key(const struct slot *slot)
{
	const struct key *key = slots_key(slot->slots);

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
	    "another key", slots_relay(s)->name, slot_path(old)->name,
	    slot_lane(old), slot_lane_number(old));
	slot_close_end(old->now);
	old->heard = false;
	redial_renew(s->redial, slot_index(old), clock_us());
	slots_obey(s);
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

		slot_close_end(slot->now);
		slot_close_end(slot->next);
		slot->heard = false;
	}
}

void
slots_begin(struct slots *s)
{
	close_ends(s);
	s->named = false;
	redial_begin(s->redial, clock_us(), chance_u16());
	slots_obey(s);
}

void
slots_heard(struct trunk_subflow *line)
{
	struct slot *slot = slot_end(line)->slot;
	struct slots *s = slot->slots;

	slot->complaint = NULL;
	slot->heard = true;
	start_renewal(s, RENEW_S);
	redial_heard(s->redial, slot_index(slot), clock_us());
	slots_obey(s);
}

void
slots_silent(struct trunk_subflow *line, bool silent)
{
	struct slot *slot = slot_end(line)->slot;
	struct slots *s = slot->slots;

	if (slot_end(line) != slot->now)
		return;
	redial_silent(s->redial, slot_index(slot), silent, clock_us(),
	    chance_u16());
	slots_obey(s);
}

void
slots_lost(struct trunk_subflow *line, const char *why)
{
	struct slot *slot = slot_end(line)->slot;

	if (slot_end(line) == slot->now)
		slot_lost(slot, 0, why);
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
	    (s->ways = ways_new(o->loop, relay, o->address.family, on_ways,
	    s)) == NULL) {
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
		slot_close_dial(&s->slots[i]);
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
	s->options.begin_us = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->dial != NULL || slot->fd != -1) {
			slot_close_dial(slot);
			redial_failed(s->redial, i, REDIAL_DROPPED, now, 0);
		}
		redial_hurry(s->redial, slot->path, now);
	}
}

void
slots_configure(struct slots *s, const struct config *c, size_t relay,
    const struct key *key, struct addr address)
{
	s->options.config = c;
	s->options.relay = relay;
	s->options.key = key;
	redial_configure(s->redial, c->connect_timeout_ms);
	ways_configure(s->ways, slots_relay(s), address.family);
	if (!addr_equal(&s->options.address, &address))
		move(s, address);
	start_renewal(s, 0.);
	slots_obey(s);
}
