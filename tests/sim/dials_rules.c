/* SPDX-License-Identifier: ISC */
/*
 * What redial.h, silence.h and protocol.md 2.5 promise, kept account of from
 * what happens alone.
 */
#include "dials.h"

#include <inttypes.h>

#define PROBE_US (3 * SECOND)		/* apart, at most */
#define AGAIN_US SECOND			/* while they end at once */
#define CALM_US (3 * SECOND)		/* while they are not liked */
#define UNKNOWN_US (12 * SECOND)	/* before a round trip is known */
#define DIED_US (200 * MS)		/* before the first probe */
#define HELLO_US (10 * SECOND)
#define RESUME_US (5 * SECOND)
#define TRIPS 3
#define WINDOW_US (10 * SECOND)
#define WINDOW_DIALS 30
#define PATIENCE_US (3 * SECOND)
#define PATIENCE_TRIPS 4
#define ASK_US (15 * SECOND)
#define DEAD_US (30 * SECOND)

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool
answers(const struct dial_slot *s)
{
	return s->up && !s->silent;
}

struct tally {
	unsigned dialing, held, speaking, answering;
};

/* Of a path, or of all (DIAL_PATHS). */
static struct tally
tally(const struct dials *d, size_t path)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < d->nslots; i++) {
		const struct dial_slot *s = &d->slots[i];

		if (s->path != path && path != DIAL_PATHS)
			continue;
		t.dialing += s->stage == STAGE_DIALING;
		t.held += s->stage == STAGE_HELD;
		t.speaking += s->stage == STAGE_SPEAKING;
		t.answering += answers(s);
	}
	return t;
}

static bool
is_alive(const struct dials *d, size_t path)
{
	for (size_t i = 0; i < d->nslots; i++)
		if ((d->slots[i].path == path || path == DIAL_PATHS) &&
		    slot_alive(&d->slots[i]))
			return true;
	return false;
}

static uint64_t
trip_max_us(const struct dials *d)
{
	uint64_t most = 0;

	for (size_t i = 0; i < d->npaths; i++)
		most = later(most, d->paths[i].rtt_us);
	return most;
}

/* How long a probe may take. */
static uint64_t
probe_us(const struct dials *d, const struct dial_path *p)
{
	uint64_t us = later(PROBE_US, p->rtt_us + p->rtt_us / 2);

	if (!p->rtt_known)
		us = UNKNOWN_US;
	return us < d->timeout_ms * MS ? us : d->timeout_ms * MS;
}

/* ---- orders ---- */

static void
check_storm(const struct dials *d, struct dial_slot *s)
{
	unsigned last = s->dials - WINDOW_DIALS;

	if (s->dials >= WINDOW_DIALS &&
	    d->now - s->dialed[last % DIAL_RING] < WINDOW_US)
		dials_fail(d, "slot %zu dials more than %d times in %.0f s",
		    dial_index(d, s), WINDOW_DIALS, (double)WINDOW_US / 1e6);
	s->dialed[s->dials++ % DIAL_RING] = d->now;
}

static void
check_dial(struct dials *d, struct dial_slot *s)
{
	struct dial_path *p = &d->paths[s->path];
	struct tally t = tally(d, s->path);

	if (s->stage != STAGE_NONE)
		dials_fail(d, "slot %zu dials twice", dial_index(d, s));
	if (answers(s))
		dials_fail(d, "slot %zu dials, and its subflow is not silent",
		    dial_index(d, s));
	if (!redial_path_alive(d->redial, s->path) && t.speaking == 0 &&
	    t.dialing + t.held > 0)
		dials_fail(d, "slot %zu probes path %u, and another does",
		    dial_index(d, s), s->path);
	check_storm(d, s);
	p->dialed_at = p->begun_at = d->now;
	p->next_by = REDIAL_NEVER;	/* until it is over */
}

static void
check_hello(struct dials *d, const struct dial_slot *s)
{
	bool known = redial_established(d->redial);
	struct tally t = tally(d, known ? s->path : DIAL_PATHS);

	if (s->stage != STAGE_HELD)
		dials_fail(d, "slot %zu speaks and is not connected",
		    dial_index(d, s));
	if (known && t.speaking > 0 && t.answering == 0)
		dials_fail(d, "slot %zu speaks, and another of its path waits "
		    "for an answer", dial_index(d, s));
	if (!known && t.speaking + t.answering > 0)
		dials_fail(d, "slot %zu speaks, and the relay does not know "
		    "the group yet", dial_index(d, s));
	d->paths[s->path].begun_at = d->now;
}

static void
check_give_up(const struct dials *d)
{
	unsigned refusing = 0;

	if (!redial_established(d->redial) || is_alive(d, DIAL_PATHS))
		dials_fail(d, "gives up, and there is no reason");
	for (size_t i = 0; i < d->npaths; i++) {
		const struct dial_path *p = &d->paths[i];

		if (p->local)
			continue;
		if (p->refused_since == 0 ||
		    d->now - p->refused_since < REDIAL_REFUSED_US)
			dials_fail(d, "gives up, and path %zu does not refuse "
			    "for 5 s", i);
		refusing++;
	}
	if (refusing == 0)
		dials_fail(d, "gives up, and nobody refuses");
}

void
rules_order(struct dials *d, const struct redial_action *a)
{
	struct dial_slot *s = &d->slots[a->slot];

	switch (a->order) {
	case REDIAL_DIAL:
		check_dial(d, s);
		break;
	case REDIAL_HELLO:
		check_hello(d, s);
		break;
	case REDIAL_DROP:
		if (s->stage == STAGE_NONE)
			dials_fail(d, "slot %zu drops nothing", a->slot);
		break;
	case REDIAL_GIVE_UP:
		check_give_up(d);
		break;
	}
}

/* ---- facts ---- */

static void
set_local(struct dials *d, struct dial_path *p, bool local)
{
	if (p->local != local)
		p->local_since = d->now;
	p->local = local;
}

/* When the path is probed next at the latest.  (Groups that end soon begin with
 * a pause.) */
static void
promise(const struct dials *d, struct dial_path *p, uint64_t at)
{
	p->promised = later(at, d->group_begins);
}

void
rules_failed(struct dials *d, const struct dial_slot *s,
    enum redial_failure why)
{
	struct dial_path *p = &d->paths[s->path];

	if (redial_path_alive(d->redial, s->path))
		return;
	set_local(d, p, why == REDIAL_LOCAL);
	if (why != REDIAL_REFUSED)
		p->refused_since = 0;
	else if (p->refused_since == 0)
		p->refused_since = d->now;
	promise(d, p, why == REDIAL_UNWELCOME ? d->now + CALM_US :
	    later(d->now, p->dialed_at + AGAIN_US));
}

/* One of the path's subflows is not heard any more. */
static void
check_death(struct dials *d, size_t path)
{
	struct dial_path *p = &d->paths[path];

	if (redial_path_alive(d->redial, (uint8_t)path) && !is_alive(d, path))
		promise(d, p, later(d->now + DIED_US,
		    p->dialed_at + AGAIN_US));
}

void
rules_lost(struct dials *d, struct dial_slot *s, bool new)
{
	struct dial_path *p = &d->paths[s->path];

	s->down_since = p->lost_at = d->now;
	check_death(d, s->path);
	if (!new || redial_path_alive(d->redial, s->path))
		return;
	set_local(d, p, false);
	p->refused_since = 0;
	promise(d, p, d->now + CALM_US);
}

void
rules_unknown(const struct dials *d, const struct dial_slot *s)
{
	if (d->relay_group == d->group && !s->forgotten)
		dials_fail(d, "slot %zu takes an answer from before the relay "
		    "knew the group for a restart", dial_index(d, s));
}

void
rules_begin(struct dials *d)
{
	for (size_t i = 0; i < d->npaths; i++) {
		struct dial_path *p = &d->paths[i];

		promise(d, p, p->promised);
		if (p->next_by != REDIAL_NEVER)
			p->next_by = p->promised;
	}
}

static void
note_path(struct dials *d, size_t path)
{
	struct dial_path *p = &d->paths[path];
	struct tally t = tally(d, path);
	bool alive = is_alive(d, path);

	if (alive != redial_path_alive(d->redial, (uint8_t)path))
		dials_fail(d, "path %zu is %s", path, alive ? "alive" :
		    "not alive");
	if (alive && !p->alive) {
		p->refused_since = 0;
		set_local(d, p, false);
		p->alive_since = d->now;
	}
	if (!alive && p->alive)
		p->dead_since = d->now;
	p->alive = alive;
	if (alive || t.dialing + t.held + t.speaking + t.answering > 0)
		p->next_by = REDIAL_NEVER;
	else if (p->next_by == REDIAL_NEVER)
		p->next_by = later(d->now, p->promised);
}

static void
note_question(struct dials *d)
{
	uint64_t first = 0;

	for (size_t i = 0; i < d->nslots; i++) {
		uint64_t at = d->slots[i].silence.asked_us;

		if (d->slots[i].up && at != 0 && (first == 0 || at < first))
			first = at;
	}
	if (first != d->asked_us)
		d->asked_since = d->now;
	d->asked_us = first;
}

void
rules_settled(struct dials *d)
{
	bool was = d->established;

	d->established = redial_established(d->redial);
	if (d->established && !was)
		d->established_at = d->now;
	if (!d->established && tally(d, DIAL_PATHS).answering > 0)
		d->answered_at = d->now;
	note_question(d);
	for (size_t i = 0; i < d->npaths; i++)
		note_path(d, i);
	for (size_t i = 0; i < d->nslots; i++)
		if (slot_alive(&d->slots[i]) &&
		    d->slots[i].stage != STAGE_NONE)
			dials_fail(d, "slot %zu is heard, and has an attempt",
			    i);
}

/* ---- silence ---- */

static uint64_t
patience_us(const struct dials *d)
{
	return later(PATIENCE_US, PATIENCE_TRIPS * trip_max_us(d));
}

void
rules_asked(struct dials *d, struct dial_slot *s)
{
	if (s->asked_last != 0 && d->now - s->asked_last < ASK_US)
		dials_fail(d, "slot %zu is asked again after %.3f s",
		    dial_index(d, s), (double)(d->now - s->asked_last) / 1e6);
	s->asked_last = d->now;
}

void
rules_silent(struct dials *d, const struct dial_slot *s)
{
	const struct dial_path *p = &d->paths[s->path];

	check_death(d, s->path);
	if (p->road == ROAD_GOOD && p->road_since <= s->sending_since &&
	    s->relay == d->restarts)
		dials_fail(d, "slot %zu is taken to be silent, and nothing is "
		    "wrong with it", dial_index(d, s));
}

/* The first question that has no answer, of a slot whose road is as it is. */
static void
check_silence(const struct dials *d)
{
	for (size_t i = 0; i < d->nslots; i++) {
		const struct dial_slot *s = &d->slots[i];
		const struct dial_path *p = &d->paths[s->path];
		uint64_t since = later(s->heard_us, d->stirred);
		uint64_t patience = patience_us(d), most;

		if (!s->up || s->silent)
			continue;
		most = (s->busy ? patience / 2 : ASK_US) + patience;
		if (d->now > since + most)
			dials_fail(d, "slot %zu is not heard for %.1f s, and "
			    "is not silent (%u)", i,
			    (double)(d->now - since) / 1e6, p->road);
	}
}

/* If one has no answer, the others are asked: whoever was not heard since is
 * silent soon after it. */
static void
check_beside(const struct dials *d)
{
	uint64_t patience = patience_us(d);

	for (size_t i = 0; i < d->nslots && d->asked_us != 0; i++) {
		const struct dial_slot *s = &d->slots[i];
		uint64_t since = later(d->asked_since, d->stirred);

		if (answers(s) && s->heard_us < d->asked_us && d->now >
		    since + patience / 2 + patience)
			dials_fail(d, "slot %zu is not asked with the others",
			    i);
	}
}

static void
check_dead(const struct dials *d)
{
	for (size_t i = 0; i < d->nslots; i++) {
		const struct dial_slot *s = &d->slots[i];

		if (s->up && s->silent && d->now > later(s->down_since,
		    d->stirred) + DEAD_US)
			dials_fail(d, "slot %zu is silent for ever", i);
	}
}

/* ---- what has to have happened by now ---- */

static void
check_probes(const struct dials *d, size_t path)
{
	const struct dial_path *p = &d->paths[path];
	struct tally t = tally(d, path);
	uint64_t since = later(p->road_since, p->dead_since);

	if (d->now > later(p->next_by, d->stirred) &&
	    p->next_by != REDIAL_NEVER)
		dials_fail(d, "path %zu is not probed any more", path);
	if (p->alive || p->road != ROAD_SILENT || t.answering + t.held > 0 ||
	    !redial_established(d->redial))
		return;
	since = later(later(since, p->begun_at), p->lost_at);
	since = later(later(since, d->stirred), d->group_begins);
	since = later(since, d->established_at);
	if (d->now > since + probe_us(d, p))
		dials_fail(d, "path %zu is silent, and its last probe was %.3f"
		    " s ago", path, (double)(d->now - since) / 1e6);
}

/* Since when all is as it should be; 0: it is not. */
static uint64_t
good_since(const struct dials *d, const struct dial_path *p)
{
	if (p->road != ROAD_GOOD)
		return 0;
	return later(p->road_since, later(d->stirred, d->group_begins));
}

/* A new group waits for one after another that does not answer, for long if no
 * other path would have to. */
static uint64_t
others_us(const struct dials *d)
{
	uint64_t sum = CALM_US + (d->npaths == 1 ? HELLO_US : 0);
	unsigned others = 0;

	for (size_t i = 0; i < d->npaths; i++)
		if (d->paths[i].road != ROAD_GOOD && others++ > 0)
			sum += probe_us(d, &d->paths[i]);
	return sum;
}

/* A path, or if none is heard the group. */
static void
check_resumed(const struct dials *d)
{
	for (size_t i = 0; i < d->npaths; i++) {
		const struct dial_path *p = &d->paths[i];
		uint64_t good = good_since(d, p);
		uint64_t most = RESUME_US + TRIPS * p->rtt_us;

		if (good == 0 || p->alive)
			continue;
		if (d->established) {
			good = later(good, later(p->dead_since,
			    d->established_at));
		} else {
			good = later(good, d->answered_at);
			most += others_us(d);
		}
		if (d->now > good + most)
			dials_fail(d, "path %zu is good for %.3f s, and %s",
			    i, (double)(d->now - good) / 1e6, d->established ?
			    "not alive" : "nothing is up");
	}
}

static void
check_slots(const struct dials *d)
{
	for (size_t i = 0; i < d->nslots; i++) {
		const struct dial_slot *s = &d->slots[i];
		const struct dial_path *p = &d->paths[s->path];
		uint64_t good = good_since(d, p);
		uint64_t most = RESUME_US + CALM_US + TRIPS * p->rtt_us;

		if (good == 0 || !p->alive || slot_alive(s))
			continue;
		good = later(good, later(p->alive_since, s->down_since));
		if (d->now > good + most)
			dials_fail(d, "slot %zu is not up, and path %u is "
			    "alive for %.3f s", i, s->path,
			    (double)(d->now - good) / 1e6);
	}
}

/* Every path refuses, or has no way, and nothing has changed since. */
static void
check_given_up(const struct dials *d)
{
	uint64_t by = 0, trip = trip_max_us(d);
	unsigned refusing = 0;

	if (!redial_established(d->redial) || is_alive(d, DIAL_PATHS))
		return;
	for (size_t i = 0; i < d->npaths; i++) {
		const struct dial_path *p = &d->paths[i];

		if (p->local && p->road == ROAD_LOCAL) {
			by = later(by, p->local_since + AGAIN_US + trip);
			continue;
		}
		if (p->road != ROAD_REFUSED || p->refused_since == 0 ||
		    p->road_since > p->refused_since)
			return;
		by = later(by, p->refused_since + REDIAL_REFUSED_US +
		    p->rtt_us);
		refusing++;
	}
	by = later(by, d->stirred + AGAIN_US + trip);
	if (refusing > 0 && d->now > by)
		dials_fail(d, "every path refuses, and nothing is given up");
}

void
rules_waited(const struct dials *d)
{
	for (size_t i = 0; i < d->npaths; i++)
		check_probes(d, i);
	check_resumed(d);
	check_slots(d);
	check_given_up(d);
	check_silence(d);
	check_beside(d);
	check_dead(d);
}
