/* SPDX-License-Identifier: ISC */
/*
 * A slot has an attempt and a subflow, either or both:
 *
 *	attempt  NONE -> DIALING -> HELD -> SPEAKING -> NONE
 *	subflow  none -> up -> heard <-> silent -> none
 *
 * While both are there the subflow is silent, and is replaced by the attempt if
 * that comes up first.  If it is heard instead, the attempt is dropped: it was
 * not needed, and what the subflow carries would have to be sent again.
 *
 * Back-off.  With the path alive it is the slot's: 250 ms, doubled up to 2 s.
 * A probe that ended without an answer has waited long enough, so the next one
 * begins at once; one that failed at once begins up to a second after the one
 * before.  A relay that takes connections and does not answer the hello
 * (another key, or it is full) is asked less often, and so is a slot whose
 * subflows are soon gone, heard or not.  Times are drawn from between half
 * of them and one and a half, or up to the limit that is promised, so that many
 * proxies that lose one relay do not come back all at once.
 *
 * How long a probe may take: the kernel sends a SYN at 0, 1, 3 and 7 s, so 2 s
 * and a round trip, 3 s at most, leave no long pause between two of them.  Only
 * a path whose round trip takes most of that gets more.  Before a round trip is
 * known the time is doubled twice if there is no answer.  A relay that has not
 * been heard in this group has 10 s to answer a hello, if no other path waits
 * for that.
 */
#include "redial.h"

#include <stdlib.h>

#define BACK_OFF_MIN_MS 250
#define BACK_OFF_MAX_MS 2000		/* with chance 3 s, as promised */
#define FAILED_US UINT64_C(1000000)	/* between probes that failed at once */
#define FIRST_US UINT64_C(200000)	/* before the first probe */
#define PROBE_MIN_MS 2000
#define PROBE_MAX_MS 3000		/* and without a round trip, */
#define DOUBLINGS 2			/* at first */
#define HELLO_MS 10000
#define BRIEF_US UINT64_C(1000000)	/* a subflow that is gone after that
					 * was there for nothing */
#define CALM_US UINT64_C(10000000)	/* so long a group has lived well */
#define PATHS 256

enum attempt {
	ATTEMPT_NONE,
	ATTEMPT_DIALING,
	ATTEMPT_HELD,		/* connected, it waits for another */
	ATTEMPT_SPEAKING,
};

struct slot {
	uint8_t path;
	enum attempt attempt;
	bool early;			/* it spoke before the
					 * relay was heard */
	bool up, heard, silent;
	bool brief;			/* the last one was soon gone */
	uint64_t heard_us;		/* first; 0: not yet */
	uint64_t due_us;		/* not before, while the path lives, */
	uint64_t follow_us;		/* or while another speaks on it */
	uint32_t back_off_ms;
};

struct path {
	bool used;			/* has it a slot? */
	bool drop;			/* its attempts are to end */
	uint64_t due_us, started_us;	/* of probes */
	uint64_t spoke_us;		/* the last hello */
	uint32_t back_off_ms;		/* of those that are unwelcome */
	uint32_t rtt_us;
	unsigned int unanswered;
	uint64_t refused_us;		/* all were, since then; 0: no */
	bool local;			/* the last one could not leave */
};

struct redial {
	uint32_t timeout_ms;
	bool established, give_up;
	bool several;			/* paths */
	uint64_t begun_us, begin_us;	/* the group; its first attempt */
	uint32_t pause_ms;
	size_t count;
	struct path paths[PATHS];
	struct slot slots[];
};

/* Half to one and a half of it. */
static uint64_t
about(uint32_t ms, uint16_t chance)
{
	return ms * UINT64_C(1000) * (32768u + chance) / 65536u;
}

/* Half to all of it. */
static uint64_t
at_most(uint64_t us, uint16_t chance)
{
	return us / 2 + us / 2 * chance / 65536u;
}

static uint32_t
doubled(uint32_t ms)
{
	return ms < BACK_OFF_MAX_MS / 2 ? 2 * ms : BACK_OFF_MAX_MS;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool
is_alive(const struct slot *s)
{
	return s->heard && !s->silent;
}

bool
redial_path_alive(const struct redial *r, uint8_t path)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->slots[i].path == path && is_alive(&r->slots[i]))
			return true;
	return false;
}

static bool
group_alive(const struct redial *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (is_alive(&r->slots[i]))
			return true;
	return false;
}

/* At least its hello was answered. */
static bool
answers(const struct slot *s)
{
	return s->up && !s->silent;
}

static bool
path_answers(const struct redial *r, uint8_t path)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->slots[i].path == path && answers(&r->slots[i]))
			return true;
	return false;
}

/* The furthest that an attempt on this path has come. */
static enum attempt
furthest(const struct redial *r, uint8_t path)
{
	enum attempt most = ATTEMPT_NONE;

	for (size_t i = 0; i < r->count; i++)
		if (r->slots[i].path == path && r->slots[i].attempt > most)
			most = r->slots[i].attempt;
	return most;
}

/* Or has spoken, and may have made the group known. */
static bool
somebody_speaks(const struct redial *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->slots[i].attempt == ATTEMPT_SPEAKING ||
		    answers(&r->slots[i]))
			return true;
	return false;
}

/* ---- facts ---- */

void
redial_connected(struct redial *r, size_t slot, uint32_t rtt_us)
{
	struct slot *s = &r->slots[slot];

	s->attempt = ATTEMPT_HELD;
	if (rtt_us != 0)
		r->paths[s->path].rtt_us = rtt_us;
}

/* Does every path refuse, as far as it can be used, and for how long? */
static bool
is_refused(const struct redial *r, uint64_t now)
{
	uint64_t since = 0;

	for (size_t i = 0; i < PATHS; i++) {
		const struct path *p = &r->paths[i];

		if (!p->used || p->local)
			continue;
		if (p->refused_us == 0)
			return false;
		since = later(since, p->refused_us);
	}
	return since != 0 && now - since >= REDIAL_REFUSED_US;
}

/* The path is not alive: when is it probed again? */
static void
probe_failed(struct redial *r, struct path *p, enum redial_failure why,
    uint64_t now, uint16_t chance)
{
	uint64_t end;

	p->due_us = later(now, p->started_us + at_most(FAILED_US, chance));
	p->local = why == REDIAL_LOCAL;
	if (why == REDIAL_SILENT)
		p->unanswered++;
	if (why == REDIAL_UNWELCOME) {
		p->due_us = now + about(p->back_off_ms, chance);
		p->back_off_ms = doubled(p->back_off_ms);
		p->drop = true;
	}
	if (why != REDIAL_REFUSED) {
		p->refused_us = 0;
		return;
	}
	if (p->refused_us == 0)
		p->refused_us = now;
	/* One that is refused at the end of the time decides. */
	end = p->refused_us + REDIAL_REFUSED_US;
	if (now < end && p->due_us > end)
		p->due_us = end;
	if (r->established && !group_alive(r) && is_refused(r, now))
		r->give_up = true;
}

void
redial_failed(struct redial *r, size_t slot, enum redial_failure why,
    uint64_t now, uint16_t chance)
{
	struct slot *s = &r->slots[slot];
	bool spoke = s->attempt == ATTEMPT_SPEAKING;

	s->attempt = ATTEMPT_NONE;
	if (why == REDIAL_DROPPED)
		return;
	if (!redial_path_alive(r, s->path)) {
		/* What one was told the others would be, too. */
		if (spoke && why != REDIAL_SILENT)
			r->paths[s->path].drop = true;
		probe_failed(r, &r->paths[s->path], why, now, chance);
		if (furthest(r, s->path) == ATTEMPT_SPEAKING) {
			s->follow_us = now + about(s->back_off_ms, chance);
			s->back_off_ms = doubled(s->back_off_ms);
		}
		return;
	}
	s->due_us = now + about(s->back_off_ms, chance);
	s->back_off_ms = doubled(s->back_off_ms);
}

void
redial_up(struct redial *r, size_t slot)
{
	struct slot *s = &r->slots[slot];

	s->attempt = ATTEMPT_NONE;
	s->up = true;
	s->heard = s->silent = false;
	s->heard_us = 0;
}

/* Nothing that was the matter with it counts any more, and the others on this
 * path need not wait. */
static void
path_lives(struct redial *r, uint8_t path, uint64_t now)
{
	struct path *p = &r->paths[path];

	p->refused_us = 0;
	p->unanswered = 0;
	p->local = p->drop = false;
	p->back_off_ms = BACK_OFF_MIN_MS;
	for (size_t i = 0; i < r->count; i++)
		if (r->slots[i].path == path && !r->slots[i].brief) {
			r->slots[i].due_us = r->slots[i].follow_us = now;
			r->slots[i].back_off_ms = BACK_OFF_MIN_MS;
		}
}

void
redial_heard(struct redial *r, size_t slot, uint64_t now)
{
	struct slot *s = &r->slots[slot];

	if (!redial_path_alive(r, s->path))
		path_lives(r, s->path, now);
	if (s->heard_us == 0)
		s->heard_us = now;
	s->heard = true;
	s->silent = false;
	if (!s->brief)
		s->back_off_ms = BACK_OFF_MIN_MS;
	r->established = true;
}

/* Its last subflow is not heard any more. */
static void
path_dies(struct redial *r, uint8_t path, uint64_t now, uint16_t chance)
{
	struct path *p = &r->paths[path];

	p->due_us = later(now + FIRST_US * chance / 65536u,
	    p->started_us + at_most(FAILED_US, chance));
}

void
redial_silent(struct redial *r, size_t slot, bool silent, uint64_t now,
    uint16_t chance)
{
	struct slot *s = &r->slots[slot];
	bool was_alive = redial_path_alive(r, s->path);

	if (!silent) {
		if (s->silent)
			redial_heard(r, slot, now);
		return;
	}
	s->silent = true;
	s->due_us = now;
	if (was_alive && !redial_path_alive(r, s->path))
		path_dies(r, s->path, now, chance);
}

void
redial_lost(struct redial *r, size_t slot, uint64_t now, uint16_t chance)
{
	struct slot *s = &r->slots[slot];
	struct path *p = &r->paths[s->path];
	bool was_alive = redial_path_alive(r, s->path);
	bool unwelcome = !s->heard && !s->silent && !was_alive;

	s->brief = s->heard_us == 0 || now - s->heard_us < BRIEF_US;
	if (!s->brief)
		s->back_off_ms = BACK_OFF_MIN_MS;
	s->up = s->heard = s->silent = false;
	s->due_us = now + about(s->back_off_ms, chance);
	if (s->brief)
		s->follow_us = s->due_us;
	s->back_off_ms = doubled(s->back_off_ms);
	if (was_alive && !redial_path_alive(r, s->path))
		path_dies(r, s->path, now, chance);
	else if (unwelcome)
		probe_failed(r, p, REDIAL_UNWELCOME, now, chance);
}

void
redial_renew(struct redial *r, size_t slot, uint64_t now)
{
	struct slot *s = &r->slots[slot];

	s->up = s->heard = s->silent = false;
	s->due_us = r->paths[s->path].due_us = now;
}

void
redial_hurry(struct redial *r, uint8_t path, uint64_t now)
{
	r->paths[path].due_us = now;
	r->paths[path].back_off_ms = BACK_OFF_MIN_MS;
	for (size_t i = 0; i < r->count; i++)
		if (r->slots[i].path == path)
			r->slots[i].due_us = r->slots[i].follow_us = now;
}

bool
redial_established(const struct redial *r)
{
	return r->established;
}

/* ---- orders ---- */

/* The relay may have answered before it knew the group, beside a subflow that
 * was silent then: "group not known" would be taken for a restart. */
static bool
is_in_doubt(const struct redial *r, const struct slot *s)
{
	return s->attempt == ATTEMPT_SPEAKING && s->early && r->established;
}

/* One that has not spoken can wait for the next group; it is dropped where
 * the hello was not liked, and where it is not needed any more. */
static bool
is_to_drop(const struct redial *r, const struct slot *s)
{
	return s->attempt != ATTEMPT_NONE &&
	    (r->paths[s->path].drop || is_alive(s) || is_in_doubt(r, s));
}

/* Those that do not answer take turns with the others. */
static bool
has_turn(const struct redial *r, const struct path *p)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->slots[i].attempt == ATTEMPT_HELD &&
		    r->paths[r->slots[i].path].spoke_us < p->spoke_us)
			return false;
	return true;
}

static bool
may_speak(const struct redial *r, const struct slot *s, uint64_t now)
{
	if (s->attempt != ATTEMPT_HELD || now < r->begin_us)
		return false;
	if (!r->established)
		return !somebody_speaks(r) &&
		    has_turn(r, &r->paths[s->path]);
	return path_answers(r, s->path) ||
	    furthest(r, s->path) < ATTEMPT_SPEAKING;
}

/* When it may dial, from what is known. */
static uint64_t
dial_due(const struct redial *r, const struct slot *s)
{
	const struct path *p = &r->paths[s->path];

	if (s->attempt != ATTEMPT_NONE || (s->up && !s->silent))
		return REDIAL_NEVER;
	if (redial_path_alive(r, s->path))
		return s->due_us;
	switch (furthest(r, s->path)) {
	case ATTEMPT_NONE:
		return later(p->due_us, r->begin_us);
	case ATTEMPT_SPEAKING:
		return later(s->follow_us, 1);	/* at once: they follow */
	default:
		return REDIAL_NEVER;
	}
}

static uint32_t
dial_ms(const struct redial *r, const struct path *p)
{
	unsigned int doublings = p->unanswered < DOUBLINGS ?
	    p->unanswered : DOUBLINGS;
	uint32_t rtt_ms = p->rtt_us / 1000, ms = PROBE_MIN_MS + rtt_ms;

	if (ms > PROBE_MAX_MS)
		ms = PROBE_MAX_MS;
	if (ms < rtt_ms + rtt_ms / 2)
		ms = rtt_ms + rtt_ms / 2;
	if (p->rtt_us == 0)
		ms = PROBE_MAX_MS << doublings;
	return ms < r->timeout_ms ? ms : r->timeout_ms;
}

static uint32_t
hello_ms(const struct redial *r, const struct path *p)
{
	if (r->established || r->several)
		return dial_ms(r, p);
	return HELLO_MS < r->timeout_ms ? HELLO_MS : r->timeout_ms;
}

bool
redial_next(struct redial *r, uint64_t now, struct redial_action *action)
{
	*action = (struct redial_action){ .order = REDIAL_GIVE_UP };
	if (r->give_up) {
		r->give_up = false;
		return true;
	}
	for (size_t i = 0; i < r->count; i++) {
		struct slot *s = &r->slots[i];
		struct path *p = &r->paths[s->path];

		action->slot = i;
		if (is_to_drop(r, s)) {
			s->attempt = ATTEMPT_NONE;
			action->order = REDIAL_DROP;
			return true;
		}
		if (may_speak(r, s, now)) {
			s->attempt = ATTEMPT_SPEAKING;
			s->early = !r->established;
			p->spoke_us = now;
			action->order = REDIAL_HELLO;
			action->timeout_ms = hello_ms(r, p);
			return true;
		}
		if (dial_due(r, s) <= now) {
			s->attempt = ATTEMPT_DIALING;
			p->started_us = now;
			p->drop = false;
			action->order = REDIAL_DIAL;
			action->timeout_ms = dial_ms(r, p);
			return true;
		}
	}
	return false;
}

uint64_t
redial_deadline(const struct redial *r, uint64_t now)
{
	uint64_t first = REDIAL_NEVER;

	for (size_t i = 0; i < r->count; i++) {
		const struct slot *s = &r->slots[i];
		uint64_t due = dial_due(r, s);

		if (s->attempt == ATTEMPT_HELD && now < r->begin_us)
			due = r->begin_us;
		if (r->give_up || is_to_drop(r, s) || may_speak(r, s, now))
			return now;
		if (due < first)
			first = due;
	}
	return first;
}

/* ---- beginning and end ---- */

struct redial *
redial_new(const uint8_t *paths, size_t slots, uint32_t timeout_ms)
{
	struct redial *r = calloc(1, sizeof(*r) + slots * sizeof(r->slots[0]));

	if (r == NULL)
		return NULL;
	r->timeout_ms = timeout_ms;
	r->count = slots;
	for (size_t i = 0; i < PATHS; i++)
		r->paths[i].back_off_ms = BACK_OFF_MIN_MS;
	for (size_t i = 0; i < slots; i++) {
		r->slots[i].path = paths[i];
		r->slots[i].back_off_ms = BACK_OFF_MIN_MS;
		r->paths[paths[i]].used = true;
		r->several = r->several || paths[i] != paths[0];
	}
	return r;
}

void
redial_free(struct redial *r)
{
	free(r);
}

void
redial_configure(struct redial *r, uint32_t timeout_ms)
{
	r->timeout_ms = timeout_ms;
}

void
redial_begin(struct redial *r, uint64_t now, uint16_t chance)
{
	if (r->begun_us == 0 || now - r->begun_us >= CALM_US)
		r->pause_ms = 0;
	else
		r->pause_ms = r->pause_ms == 0 ? BACK_OFF_MIN_MS :
		    doubled(r->pause_ms);
	r->begun_us = now;
	r->begin_us = now + about(r->pause_ms, chance);
	r->established = r->give_up = false;
	for (size_t i = 0; i < r->count; i++) {
		struct slot *s = &r->slots[i];

		s->up = s->heard = s->silent = false;
		if (s->attempt == ATTEMPT_SPEAKING)
			s->attempt = ATTEMPT_NONE;
	}
}
