/* SPDX-License-Identifier: ISC */
/*
 * What the slots of a proxy do with orders, and when they look for silence,
 * over roads whose weather changes.
 */
#include "redial.h"

#include <stdlib.h>

#include "dials.h"

#define ORDERS_MAX 100			/* at one instant */
#define CALM_US (40 * SECOND)		/* in the end */
#define BEGIN_US (1000 * SECOND)

/* ---- orders ---- */

static void
dial(struct dials *d, struct dial_slot *s, uint32_t timeout_ms)
{
	s->attempt++;
	s->stage = STAGE_DIALING;
	d->totals->dials++;
	if (dial_path_of(d, s)->missing) {
		dials_failed(d, s, REDIAL_LOCAL);
		return;
	}
	dials_say(d, "slot %zu: dials, for %u ms", dial_index(d, s),
	    timeout_ms);
	dials_add_attempt(d, EVENT_TIMEOUT, timeout_ms * MS, s, 0);
	dials_add_attempt(d, EVENT_SYN, 0, s, SYN_US);
}

static void
obey(struct dials *d, const struct redial_action *a)
{
	struct dial_slot *s = &d->slots[a->slot];

	rules_order(d, a);
	switch (a->order) {
	case REDIAL_DIAL:
		dial(d, s, a->timeout_ms);
		break;
	case REDIAL_HELLO:
		dials_say(d, "slot %zu: speaks, for %u ms", a->slot,
		    a->timeout_ms);
		s->attempt++;
		s->stage = STAGE_SPEAKING;
		s->answered = false;
		dials_add_attempt(d, EVENT_TIMEOUT, a->timeout_ms * MS, s, 0);
		dials_add_attempt(d, EVENT_HELLO, 0, s,
		    3 * dial_path_of(d, s)->rtt_us + RTO_MIN_US);
		break;
	case REDIAL_DROP:
		dials_say(d, "slot %zu: drops", a->slot);
		s->stage = STAGE_NONE;
		s->attempt++;
		break;
	case REDIAL_GIVE_UP:
		dials_say(d, "gives up");
		d->totals->given_up++;
		dials_begin(d);
		break;
	}
}

static uint64_t
rtt_us(const struct dials *d)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < d->npaths; i++)
		sum += d->paths[i].rtt_us;
	return sum / d->npaths;
}

static struct silence_facts
facts_of(const struct dials *d, const struct dial_slot *s)
{
	uint64_t first = 0;

	for (size_t i = 0; i < d->nslots; i++) {
		uint64_t at = d->slots[i].silence.asked_us;

		if (d->slots[i].up && at != 0 && (first == 0 || at < first))
			first = at;
	}
	return (struct silence_facts){
		.heard_us = s->heard_us,
		.expects = s->busy,
		.moved_us = s->moved_us,
		.rtt_us = rtt_us(d),
		.beside_us = first,
	};
}

static void
look(struct dials *d, struct dial_slot *s, const struct silence_facts *f)
{
	enum silence_step step = silence_look(&s->silence, f, d->now);

	if (step == SILENCE_DEAD) {
		if (!s->silent)
			dials_fail(d, "slot %zu is dead before it is silent",
			    dial_index(d, s));
		dials_lost(d, s, "no sign of life");
		return;
	}
	if (step == SILENCE_ASK) {
		rules_asked(d, s);
		dials_ask(d, s);
	}
	if (s->silence.silent && !s->silent) {
		dials_say(d, "slot %zu: silent", dial_index(d, s));
		s->silent = true;
		s->down_since = d->now;
		rules_silent(d, s);
		redial_silent(d->redial, dial_index(d, s), true, d->now,
		    dials_chance(d));
	}
}

/* What the daemon does each time that it wakes up. */
static void
settle(struct dials *d)
{
	struct redial_action a;
	int orders = 0;

	/* (With one that is dead goes its question.) */
	for (size_t i = 0; i < 2 * d->nslots; i++) {
		struct dial_slot *s = &d->slots[i % d->nslots];
		struct silence_facts f = facts_of(d, s);

		if (s->up)
			look(d, s, &f);
	}
	while (redial_next(d->redial, d->now, &a)) {
		if (++orders > ORDERS_MAX)
			dials_fail(d, "there is no end of orders");
		obey(d, &a);
	}
	rules_settled(d);
}

static uint64_t
next_time(struct dials *d)
{
	uint64_t at = redial_deadline(d->redial, d->now);

	if (at <= d->now)
		dials_fail(d, "something is due, and there is no order");
	for (size_t i = 0; i < d->nslots; i++) {
		const struct dial_slot *s = &d->slots[i];
		struct silence_facts f = facts_of(d, s);
		uint64_t due = s->up ? silence_due(&s->silence, &f) :
		    REDIAL_NEVER;

		if (due <= d->now)
			dials_fail(d, "slot %zu is to be looked at for ever",
			    i);
		if (due < at)
			at = due;
	}
	return at;
}

static void
run(struct dials *d, uint64_t until)
{
	for (;;) {
		settle(d);
		struct happening *first = dials_first(d);
		uint64_t at = next_time(d);

		if (first != NULL && first->at <= at) {
			struct happening e = *first;

			if (e.at > until)
				return;
			first->kind = EVENT_NONE;
			d->now = e.at;
			rules_waited(d);
			dials_happen(d, &e);
		} else if (at <= until) {
			d->now = at;
			rules_waited(d);
		} else {
			return;
		}
		d->totals->events++;
	}
}

/* ---- a seed ---- */

static void
make_slots(struct dials *d, uint8_t *paths)
{
	struct random *r = &d->random;

	d->npaths = random_range(r, 1, DIAL_PATHS);
	for (size_t i = 0; i < d->npaths; i++) {
		size_t n = random_range(r, 1, DIAL_SLOTS / DIAL_PATHS);

		d->paths[i] = (struct dial_path){
			.road_since = d->now, .dead_since = d->now,
			.promised = d->now, .next_by = REDIAL_NEVER,
			.rtt_us = random_log(r, MS, 2 * SECOND),
		};
		for (; n > 0; n--) {
			d->slots[d->nslots] = (struct dial_slot){
				.path = (uint8_t)i, .down_since = d->now,
			};
			paths[d->nslots++] = (uint8_t)i;
		}
	}
}

static enum road
draw_road(struct random *r)
{
	return random_once_in(r, 3) ? ROAD_GOOD :
	    (enum road)random_range(r, 0, ROADS - 1);
}

/* The last thing is that all is well, for long enough to be seen. */
static uint64_t
make_events(struct dials *d)
{
	struct random *r = &d->random;
	uint64_t at = 0;

	if (random_once_in(r, 8)) {	/* all but one have the same trouble */
		size_t good = random_range(r, 0, d->npaths - 1);
		enum road road = draw_road(r);

		for (size_t i = 0; i < d->npaths; i++)
			if (i != good)
				dials_add(d, EVENT_WEATHER, 0, i, road);
		at = random_log(r, SECOND, 60 * SECOND);
	}
	for (uint64_t n = random_range(r, 1, 16); n > 0; n--) {
		dials_add(d, EVENT_WEATHER, at, random_once_in(r, 2) ?
		    DIAL_PATHS : random_range(r, 0, d->npaths - 1),
		    draw_road(r));
		at += random_log(r, 10 * MS, 60 * SECOND);
	}
	for (uint64_t n = random_range(r, 0, 4); n > 0; n--) {
		uint64_t when = random_range(r, 0, at);

		if (random_once_in(r, 3))
			dials_add(d, EVENT_HURRY, when,
			    random_range(r, 0, d->npaths - 1), 0);
		if (random_once_in(r, 3))
			dials_add(d, EVENT_RENEW, when,
			    random_range(r, 0, d->nslots - 1), 0);
		if (random_once_in(r, 4))
			dials_add(d, EVENT_RESTART, when, 0, 0);
		if (random_once_in(r, 4))
			dials_add(d, EVENT_AWAY, when, 0, random_log(r, SECOND,
			    20 * SECOND));
	}
	dials_add(d, EVENT_WEATHER, at, DIAL_PATHS, ROAD_GOOD);
	return d->now + at + CALM_US;
}

void
redial_run(uint64_t seed, bool verbose, struct totals *sum)
{
	static struct dials world;	/* large */
	struct dials *d = &world;
	uint8_t paths[DIAL_SLOTS];

	*d = (struct dials){
		.seed = seed, .verbose = verbose, .now = BEGIN_US,
		.stirred = BEGIN_US,
		.random = { random_mix(seed + 501) }, .totals = sum,
	};
	make_slots(d, paths);
	d->timeout_ms = (uint32_t)random_range(&d->random, 4, 30) * 1000;
	d->redial = redial_new(paths, d->nslots, d->timeout_ms);
	if (d->redial == NULL)
		abort();
	dials_begin(d);
	uint64_t until = make_events(d);
	run(d, until);
	redial_free(d->redial);
	sum->seeds++;
	sum->virtual_us += d->now - BEGIN_US;
}
