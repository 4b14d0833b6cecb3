/* SPDX-License-Identifier: ISC */
/*
 * Packets that meet a bad road are lost, and sent again by their TCP.
 */
#include "dials.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define RTO_MAX_US (120 * SECOND)
#define TALK_US SECOND
#define SOON_US (10 * SECOND)		/* a group ends, and the next one has */
#define PAUSE_US (3 * SECOND)		/* a pause, at most */

static const char *const road_names[ROADS] = {
	"good", "silent", "refused", "local", "deaf", "unliked", "brief",
};

void
dials_fail(const struct dials *d, const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 ": ", d->seed);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ", at virtual time %.6f s\nto see it again: "
	    "tests/sim/sim --redial --verbose --seed %" PRIu64 "\n",
	    (double)d->now / 1e6, d->seed);
	fflush(stderr);
	_exit(1);
}

void
dials_say(const struct dials *d, const char *format, ...)
{
	va_list ap;

	if (!d->verbose)
		return;
	printf("%.6f ", (double)d->now / 1e6);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
}

uint16_t
dials_chance(struct dials *d)
{
	return (uint16_t)random_next(&d->random);
}

/* ---- events ---- */

static void
put(struct dials *d, struct happening event, uint64_t after)
{
	size_t i = 0;

	while (i < DIAL_EVENTS && d->events[i].kind != EVENT_NONE)
		i++;
	if (i == DIAL_EVENTS)
		dials_fail(d, "too much at once");
	event.at = d->now + after;
	event.order = d->events_made++;
	d->events[i] = event;
}

void
dials_add(struct dials *d, enum dial_event kind, uint64_t after, size_t which,
    uint64_t value)
{
	put(d, (struct happening){ .kind = kind, .which = which,
	    .value = value }, after);
}

void
dials_add_attempt(struct dials *d, enum dial_event kind, uint64_t after,
    const struct dial_slot *s, uint64_t value)
{
	put(d, (struct happening){ .kind = kind, .which = dial_index(d, s),
	    .id = s->attempt, .value = value }, after);
}

static void
add_subflow(struct dials *d, enum dial_event kind, uint64_t after,
    const struct dial_slot *s, uint64_t value)
{
	put(d, (struct happening){ .kind = kind, .which = dial_index(d, s),
	    .id = s->subflow, .chain = s->chain, .value = value }, after);
}

struct happening *
dials_first(struct dials *d)
{
	struct happening *first = NULL;

	for (size_t i = 0; i < DIAL_EVENTS; i++) {
		struct happening *e = &d->events[i];

		if (e->kind != EVENT_NONE && (first == NULL ||
		    e->at < first->at ||
		    (e->at == first->at && e->order < first->order)))
			first = e;
	}
	return first;
}

/* ---- facts ---- */

void
dials_failed(struct dials *d, struct dial_slot *s, enum redial_failure why)
{
	static const char *const names[] = {
		"refused", "silent", "local", "unwelcome", "dropped",
	};

	dials_say(d, "slot %zu: attempt %u failed: %s", dial_index(d, s),
	    s->attempt, names[why]);
	s->stage = STAGE_NONE;
	s->attempt++;
	rules_failed(d, s, why);
	redial_failed(d->redial, dial_index(d, s), why, d->now,
	    dials_chance(d));
}

void
dials_lost(struct dials *d, struct dial_slot *s, const char *why)
{
	bool new = !s->heard && !s->silent;

	dials_say(d, "slot %zu: lost: %s", dial_index(d, s), why);
	s->up = s->heard = s->silent = false;
	s->subflow++;
	rules_lost(d, s, new);
	redial_lost(d->redial, dial_index(d, s), d->now, dials_chance(d));
}

void
dials_begin(struct dials *d)
{
	dials_say(d, "a new group");
	d->group++;
	d->group_begins = d->now;
	if (d->group > 1 && d->now - d->group_since < SOON_US)
		d->group_begins += PAUSE_US;
	d->group_since = d->now;
	for (size_t i = 0; i < d->nslots; i++) {
		struct dial_slot *s = &d->slots[i];

		s->up = s->heard = s->silent = false;
		s->subflow++;
		s->down_since = d->now;
		if (s->stage == STAGE_SPEAKING) {
			s->stage = STAGE_NONE;
			s->attempt++;
		}
	}
	rules_begin(d);
	redial_begin(d->redial, d->now, dials_chance(d));
}

/* Something of ours goes to the relay, behind what is not answered yet. */
void
dials_ask(struct dials *d, struct dial_slot *s)
{
	if (s->sending)
		return;
	s->sending = true;
	s->sending_since = d->now;
	s->chain++;
	add_subflow(d, EVENT_PING, 0, s, 3 * dial_path_of(d, s)->rtt_us +
	    RTO_MIN_US);
}

static void
hear(struct dials *d, struct dial_slot *s)
{
	bool was_heard = s->heard, was_silent;

	s->heard_us = s->moved_us = d->now;
	s->asked_last = 0;
	was_silent = silence_heard(&s->silence);
	s->heard = true;
	s->silent = false;
	if (!was_heard) {
		dials_say(d, "slot %zu: heard", dial_index(d, s));
		redial_heard(d->redial, dial_index(d, s), d->now);
	}
	if (was_silent) {
		dials_say(d, "slot %zu: heard again", dial_index(d, s));
		redial_silent(d->redial, dial_index(d, s), false, d->now,
		    dials_chance(d));
	}
}

static void
up(struct dials *d, struct dial_slot *s)
{
	const struct dial_path *p = dial_path_of(d, s);

	dials_say(d, "slot %zu: up", dial_index(d, s));
	d->totals->subflows++;
	s->stage = STAGE_NONE;
	s->attempt++;
	s->subflow++;
	s->up = true;
	s->heard = s->silent = s->sending = false;
	s->heard_us = s->moved_us = s->down_since = d->now;
	s->asked_last = 0;
	s->relay = s->accepted;
	s->busy = random_once_in(&d->random, 2);
	s->silence = (struct silence){ 0 };
	redial_up(d->redial, dial_index(d, s));
	silence_asked(&s->silence, d->now);
	dials_ask(d, s);
	if (s->busy)
		add_subflow(d, EVENT_TALK, p->rtt_us + TALK_US, s, 0);
	if (p->road != ROAD_BRIEF)
		return;
	if (random_once_in(&d->random, p->unheard_in))
		add_subflow(d, EVENT_CLOSED, random_range(&d->random, 0,
		    p->rtt_us), s, 0);
	else
		add_subflow(d, EVENT_CLOSED, p->rtt_us +
		    random_range(&d->random, 1, p->lives_us), s, 0);
}

/* ---- packets ---- */

static bool
passes(const struct dial_path *p)
{
	return p->road != ROAD_SILENT && p->road != ROAD_LOCAL;
}

static void
syn(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	const struct dial_path *p = dial_path_of(d, s);

	if (p->road == ROAD_LOCAL && e->value == SYN_US) {
		dials_failed(d, s, REDIAL_LOCAL);
		return;
	}
	if (passes(p))
		dials_add_attempt(d, EVENT_SYN_ANSWER, p->rtt_us, s,
		    p->road == ROAD_REFUSED);
	dials_add_attempt(d, EVENT_SYN, e->value, s, 2 * e->value);
}

static void
syn_answer(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	struct dial_path *p = dial_path_of(d, s);

	if (!passes(p))
		return;
	if (e->value) {
		dials_failed(d, s, REDIAL_REFUSED);
		return;
	}
	s->stage = STAGE_HELD;
	s->attempt++;		/* its timeout is over */
	s->accepted = d->restarts;
	p->rtt_known = true;
	redial_connected(d->redial, dial_index(d, s), (uint32_t)p->rtt_us);
}

/* What the first one that gets there is told is what is sent again, too. */
static void
hello(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	const struct dial_path *p = dial_path_of(d, s);

	if (passes(p) && p->road != ROAD_DEAF && !s->answered) {
		s->answered = true;
		s->forgotten = p->road == ROAD_BRIEF && p->forgets;
		s->known = !s->forgotten && d->relay_group == d->group;
	}
	if (passes(p) && p->road != ROAD_DEAF)
		dials_add_attempt(d, EVENT_HELLO_ANSWER, p->rtt_us, s,
		    p->road == ROAD_REFUSED || p->road == ROAD_UNLIKED ||
		    s->accepted != d->restarts);
	dials_add_attempt(d, EVENT_HELLO, e->value, s, 2 * e->value);
}

static void
hello_answer(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	const struct dial_path *p = dial_path_of(d, s);

	if (!passes(p))
		return;
	if (e->value)
		dials_failed(d, s, REDIAL_UNWELCOME);
	else if (redial_established(d->redial) && !s->known) {
		rules_unknown(d, s);
		dials_begin(d);
	} else {
		up(d, s);
	}
}

static void
ping(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	const struct dial_path *p = dial_path_of(d, s);
	uint64_t next = 2 * e->value;

	if (!s->sending || e->chain != s->chain)
		return;
	if (p->road == ROAD_REFUSED ||
	    (passes(p) && s->relay != d->restarts))
		add_subflow(d, EVENT_CLOSED, p->rtt_us, s, 0);
	else if (passes(p) && p->road != ROAD_DEAF) {
		d->relay_group = d->group;
		add_subflow(d, EVENT_PONG, p->rtt_us, s, 0);
	}
	add_subflow(d, EVENT_PING, e->value, s,
	    next < RTO_MAX_US ? next : RTO_MAX_US);
}

static void
pong(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	if (!passes(dial_path_of(d, s)) || !s->sending ||
	    e->chain != s->chain || s->relay != d->restarts)
		return;
	s->sending = false;
	hear(d, s);
}

/* A relay talks where something of ours came first. */
static void
talk(struct dials *d, struct dial_slot *s)
{
	if (dial_path_of(d, s)->road == ROAD_GOOD && s->heard &&
	    s->relay == d->restarts)
		hear(d, s);
	add_subflow(d, EVENT_TALK, TALK_US, s, 0);
}

/* ---- weather ---- */

static void
close_later(struct dials *d, const struct dial_path *p, uint64_t most_us)
{
	for (size_t i = 0; i < d->nslots; i++)
		if (dial_path_of(d, &d->slots[i]) == p && d->slots[i].up)
			add_subflow(d, EVENT_CLOSED, p->rtt_us / 2 +
			    random_range(&d->random, 0, most_us),
			    &d->slots[i], 0);
}

/* Its interface is seen to go, or to come. */
static void
leave(struct dials *d, const struct dial_path *p)
{
	for (size_t i = 0; i < d->nslots; i++) {
		struct dial_slot *s = &d->slots[i];

		if (dial_path_of(d, s) != p)
			continue;
		if (s->stage != STAGE_NONE)
			dials_failed(d, s, REDIAL_LOCAL);
		if (s->up)
			dials_lost(d, s, "its interface has gone");
	}
}

static void
set_road(struct dials *d, size_t path, enum road road)
{
	struct dial_path *p = &d->paths[path];
	bool passed = passes(p);

	if (p->road == road)
		return;
	dials_say(d, "path %zu: %s", path, road_names[road]);
	p->road = road;
	p->road_since = d->now;
	p->unheard_in = random_range(&d->random, 1, 16);
	p->lives_us = random_log(&d->random, 1, 4 * SECOND);
	p->forgets = random_once_in(&d->random, 8);
	if (p->missing)
		redial_hurry(d->redial, (uint8_t)path, d->now);
	p->missing = road == ROAD_LOCAL && random_once_in(&d->random, 2);
	if (p->missing)
		leave(d, p);
	if (passed && (road == ROAD_REFUSED || road == ROAD_UNLIKED ||
	    road == ROAD_BRIEF))
		close_later(d, p, random_once_in(&d->random, 2) ? 0 : SECOND);
}

static void
restart(struct dials *d)
{
	dials_say(d, "the relay starts again");
	d->restarts++;
	d->relay_group = 0;
	d->stirred = d->now;
	for (size_t i = 0; i < d->npaths; i++)
		if (passes(&d->paths[i]) && !random_once_in(&d->random, 4))
			close_later(d, &d->paths[i], 0);
}

/* Of a path, or of all of them (DIAL_PATHS). */
static void
weather(struct dials *d, size_t path, enum road road)
{
	for (size_t i = 0; i < d->npaths; i++)
		if (path == i || path == DIAL_PATHS)
			set_road(d, i, road);
	if (road == ROAD_REFUSED && path == DIAL_PATHS &&
	    random_once_in(&d->random, 2))
		restart(d);
}

static void
away(struct dials *d, uint64_t us)
{
	uint64_t until = d->now + us;

	dials_say(d, "away for %.3f s", (double)us / 1e6);
	for (size_t i = 0; i < DIAL_EVENTS; i++)
		if (d->events[i].kind != EVENT_NONE && d->events[i].at < until)
			d->events[i].at = until;
	d->now = d->stirred = until;
	for (size_t i = 0; i < d->nslots; i++)
		if (d->slots[i].up)
			silence_pardon(&d->slots[i].silence, d->now);
}

static void
renew(struct dials *d, struct dial_slot *s)
{
	if (!s->up)
		return;
	dials_say(d, "slot %zu: renewed", dial_index(d, s));
	s->up = s->heard = s->silent = false;
	s->subflow++;
	/* (What was about to be heard is that no more.) */
	s->down_since = d->paths[s->path].dead_since = d->now;
	redial_renew(d->redial, dial_index(d, s), d->now);
}

/* ---- what happens ---- */

static void
happen_attempt(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	if (e->id != s->attempt)
		return;
	switch (e->kind) {
	case EVENT_SYN:
		syn(d, s, e);
		break;
	case EVENT_SYN_ANSWER:
		syn_answer(d, s, e);
		break;
	case EVENT_HELLO:
		hello(d, s, e);
		break;
	case EVENT_HELLO_ANSWER:
		hello_answer(d, s, e);
		break;
	default:
		dials_failed(d, s, s->stage == STAGE_SPEAKING &&
		    !redial_established(d->redial) ? REDIAL_UNWELCOME :
		    REDIAL_SILENT);
	}
}

static void
happen_subflow(struct dials *d, struct dial_slot *s, const struct happening *e)
{
	if (e->id != s->subflow || !s->up)
		return;
	switch (e->kind) {
	case EVENT_PING:
		ping(d, s, e);
		break;
	case EVENT_PONG:
		pong(d, s, e);
		break;
	case EVENT_TALK:
		talk(d, s);
		break;
	default:
		if (passes(dial_path_of(d, s)))
			dials_lost(d, s, "closed");
	}
}

void
dials_happen(struct dials *d, const struct happening *e)
{
	switch (e->kind) {
	case EVENT_SYN:
	case EVENT_SYN_ANSWER:
	case EVENT_HELLO:
	case EVENT_HELLO_ANSWER:
	case EVENT_TIMEOUT:
		happen_attempt(d, &d->slots[e->which], e);
		break;
	case EVENT_PING:
	case EVENT_PONG:
	case EVENT_TALK:
	case EVENT_CLOSED:
		happen_subflow(d, &d->slots[e->which], e);
		break;
	case EVENT_WEATHER:
		weather(d, e->which, (enum road)e->value);
		break;
	case EVENT_RESTART:
		restart(d);
		break;
	case EVENT_HURRY:
		redial_hurry(d->redial, (uint8_t)e->which, d->now);
		break;
	case EVENT_RENEW:
		renew(d, &d->slots[e->which]);
		break;
	case EVENT_AWAY:
		away(d, e->value);
		break;
	case EVENT_NONE:
		break;
	}
}
