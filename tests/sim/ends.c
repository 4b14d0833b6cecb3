/* SPDX-License-Identifier: ISC */
#include "ends.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "watch.h"

#define SPANS 8

const char *
end_name(const struct end *e)
{
	static char text[32];

	snprintf(text, sizeof(text), "flow %u %s", e->flow->index,
	    e->side == PROXY ? "client" : "server");
	return text;
}

static void
on_wake(struct world *w, void *object, int which)
{
	struct end *e = object;

	(void)which;
	if (e->wake_at > w->now)
		return;
	e->wake_at = END_NEVER;
	end_step(w, e);
}

static void
wake(struct world *w, struct end *e, uint64_t at)
{
	if (at >= e->wake_at)
		return;
	e->wake_at = at;
	world_at(w, at, on_wake, e, 0);
}

/* ---- what is right ---- */

static void
check_taken(const struct world *w, const struct end *e, const uint8_t *bytes,
    size_t len)
{
	const struct end *from = end_other(e);

	if (e->taken + len > from->fed)
		world_fail(w, "%s gets %zu bytes at %" PRIu64 ", but only %"
		    PRIu64 " were sent", end_name(e), len, e->taken, from->fed);
	size_t right = content_check(from->key, e->taken, bytes, len);
	if (right < len)
		world_fail(w, "%s gets a wrong byte at %" PRIu64, end_name(e),
		    e->taken + right);
}

static void
check_state(const struct world *w, const struct end *e,
    enum session_state state)
{
	const struct end *from = end_other(e);
	uint8_t code = 0;

	switch (state) {
	case SESSION_OPEN:
		if (e->state != SESSION_OPEN)
			world_fail(w, "%s is open again", end_name(e));
		return;
	case SESSION_END:
		if (!from->ended || from->end_code != WIRE_CODE_OK)
			world_fail(w, "%s gets a clean end that nobody sent",
			    end_name(e));
		if (e->taken != from->fed)
			world_fail(w, "%s gets its end after %" PRIu64 " of %"
			    PRIu64 " bytes", end_name(e), e->taken, from->fed);
		return;
	case SESSION_RESET:
		code = session_code(e->session);
		if (!from->ended || from->end_code != code)
			world_fail(w, "%s gets a reset (%u) that nobody sent",
			    end_name(e), code);
		if (e->taken != from->fed)
			world_fail(w, "%s gets a reset after %" PRIu64 " of %"
			    PRIu64 " bytes", end_name(e), e->taken, from->fed);
		return;
	case SESSION_ABORT:
		code = session_code(e->session);
		if (w->plan.may_refuse && code == WIRE_CODE_RESOURCES)
			return;
		if (w->plan.may_refuse && code == WIRE_CODE_UNKNOWN)
			return;
		if (!from->gave_up || from->give_up_code != code)
			world_fail(w, "%s is aborted (%u: %s), and nobody did",
			    end_name(e), code, wire_code_text(code));
		return;
	}
	world_fail(w, "%s is in no state", end_name(e));
}

/* ---- the role ---- */

static bool
gone(const struct end *e)
{
	return e->session == NULL;
}

/* One that was reset takes nothing: core drops it. */
static bool
is_reset(const struct end *e)
{
	return e->ended && e->end_code != WIRE_CODE_OK;
}

void
end_release(struct world *w, struct end *e)
{
	bool both = e->ended && e->state != SESSION_OPEN;

	/* What it had to send is lost, the other end has to know. */
	if (!both && !is_reset(e) && e->state != SESSION_ABORT) {
		e->gave_up = true;
		e->give_up_code = WIRE_CODE_OK;
	}
	if (is_reset(e))
		e->taken = session_bytes_in(e->session);
	if (session_bytes_in(e->session) != e->taken ||
	    session_bytes_out(e->session) != e->fed)
		world_fail(w, "%s counts %" PRIu64 " bytes in and %" PRIu64
		    " out, should be %" PRIu64 " and %" PRIu64, end_name(e),
		    session_bytes_in(e->session), session_bytes_out(e->session),
		    e->taken, e->fed);
	world_say(w, "%s: released, %" PRIu64 " bytes in, %" PRIu64 " out",
	    end_name(e), e->taken, e->fed);
	session_release(e->session, w->now);
	e->session = NULL;
	e->released = true;
	w->sides[e->side].open_ends--;
	world_touch(w, e->side);
	world_progress(w);
}

static void
give_up(struct world *w, struct end *e, uint8_t code)
{
	world_say(w, "%s: aborts (%u)", end_name(e), code);
	e->gave_up = true;
	e->give_up_code = code;
	session_abort(e->session, code, w->now);
	e->state = SESSION_ABORT;
	world_touch(w, e->side);
}

static void
end_writing(struct world *w, struct end *e, uint8_t code)
{
	world_say(w, "%s: ends (%u) after %" PRIu64, end_name(e), code,
	    e->fed);
	e->ended = true;
	e->end_code = code;
	session_read_end(e->session, code, w->now);
	world_touch(w, e->side);
	world_progress(w);
}

/* ---- how late it is ---- */

/* A piece of what it has to write is there for the role to read. */
static void
note_offered(const struct world *w, struct end *e)
{
	if (e->offered_at == 0)
		e->offered_at = w->now;
	if (e->waits_since == 0)
		e->waits_since = w->now;
}

static void
note_fed(struct end *e)
{
	size_t last = (e->first_piece + e->npieces) % END_PIECES;

	if (e->npieces == END_PIECES)	/* it counts as of the one before */
		last = (last + END_PIECES - 1) % END_PIECES;
	else
		e->pieces[last].at = e->offered_at, e->npieces++;
	e->pieces[last].upto = e->fed;
	e->offered_at = 0;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void
note_taken(struct world *w, struct end *e)
{
	struct end *from = end_other(e);
	uint64_t begin = SECOND + w->plan.timed_us;

	if (w->plan.timed_us == 0)
		return;
	if (w->now > begin)
		w->totals.gap_us = later(w->totals.gap_us, w->now -
		    later(from->waits_since, begin));
	from->waits_since = e->taken < from->fed ? w->now : from->offered_at;
	while (from->npieces > 0) {
		size_t i = from->first_piece;

		if (from->pieces[i].upto > e->taken)
			break;
		if (from->plan->timed && from->pieces[i].at >= begin)
			w->totals.late_us = later(w->totals.late_us,
			    w->now - from->pieces[i].at);
		from->first_piece = (i + 1) % END_PIECES;
		from->npieces--;
	}
}

/* ---- reading and writing ---- */

static void
take(struct world *w, struct end *e)
{
	const struct end_plan *plan = e->plan;
	struct span spans[SPANS];
	size_t left = plan->read_piece;

	if (e->state != SESSION_OPEN || is_reset(e))
		return;
	if (plan->pause_us > 0 && !e->paused && e->taken >= plan->pause_at) {
		e->paused = true;
		e->read_at = w->now + plan->pause_us;
	}
	if (w->now < e->read_at) {
		wake(w, e, e->read_at);
		return;
	}
	while (left > 0) {
		int n = session_peek(e->session, spans, SPANS);
		size_t len = 0;

		if (n < 0 || n > SPANS)
			world_fail(w, "%s gets %d spans", end_name(e), n);
		for (int i = 0; i < n && left > 0; i++) {
			size_t part = spans[i].len;

			if (part == 0)
				world_fail(w, "%s gets an empty span",
				    end_name(e));
			if (part > left)
				part = left;
			check_taken(w, e, spans[i].base, part);
			e->taken += part;
			len += part;
			left -= part;
		}
		if (len == 0)
			break;
		session_consume(e->session, len, w->now);
		watch_taken(w->watch, e->side, session_number(e->session));
		w->totals.bytes += len;
		w->taken_at = w->now;
		note_taken(w, e);
		world_touch(w, e->side);
		world_progress(w);
	}
	if (left == 0) {
		e->read_at = w->now + plan->read_gap_us;
		wake(w, e, e->read_at);
	}
}

/* What the local side has ready to be read. */
static size_t
offered(struct world *w, struct end *e)
{
	size_t len = e->plan->bytes - e->fed;

	if (e->ended || e->taken < e->plan->write_after)
		return 0;
	if (w->now < e->write_at) {
		if (len > 0)
			wake(w, e, e->write_at);
		return 0;
	}
	return len < e->plan->write_piece ? len : e->plan->write_piece;
}

static void
feed(struct world *w, struct end *e)
{
	struct span spans[SPANS];
	size_t left = offered(w, e), whole = left;

	if (left == 0)
		return;
	note_offered(w, e);
	while (left > 0) {
		int n = session_read_room(e->session, spans,
		    (int)random_range(&w->random, 1, SPANS));
		size_t len = 0;

		for (int i = 0; i < n && left > 0; i++) {
			size_t part = spans[i].len;

			if (part > left)
				part = left;
			content_fill(e->key, e->fed + len, spans[i].base, part);
			len += part;
			left -= part;
		}
		if (len == 0)
			break;
		int error = session_read(e->session, len, w->now);
		if (error != 0)
			world_fail(w, "%s: session_read() says %d",
			    end_name(e), error);
		e->fed += len;
		note_fed(e);
		world_touch(w, e->side);
		world_progress(w);
		/* Not all at once: the rest comes with the next event. */
		if (random_once_in(&w->random, 16)) {
			wake(w, e, w->now);
			return;
		}
	}
	if (left < whole)
		e->write_at = w->now + e->plan->write_gap_us;
	if (left == 0 && e->fed < e->plan->bytes)
		wake(w, e, e->write_at);	/* else when there is room */
}

/* ---- what an end does when it can ---- */

static void
meet_fate(struct world *w, struct end *e)
{
	const struct end_plan *plan = e->plan;

	if (plan->fate == FATE_NONE || e->ended || e->state != SESSION_OPEN ||
	    e->fed < plan->fate_written || e->taken < plan->fate_read)
		return;
	if (e->fate_at == 0)
		e->fate_at = w->now + plan->fate_delay_us;
	if (w->now < e->fate_at) {
		wake(w, e, e->fate_at);
		return;
	}
	switch (plan->fate) {
	case FATE_RESET:
		end_writing(w, e, plan->fate_code);
		break;
	case FATE_RELEASE:
		end_release(w, e);
		break;
	default:
		give_up(w, e, plan->fate_code);
	}
}

static void
finish_writing(struct world *w, struct end *e)
{
	if (e->ended || e->state == SESSION_RESET ||
	    e->state == SESSION_ABORT || e->fed < e->plan->bytes ||
	    e->taken < e->plan->write_after)
		return;
	if (e->plan->end_last && e->state != SESSION_END)
		return;
	end_writing(w, e, WIRE_CODE_OK);
}

static void
finish(struct world *w, struct end *e)
{
	if (!is_reset(e) && (e->state == SESSION_OPEN ||
	    (e->state == SESSION_END && !e->ended)))
		return;
	if (e->release_at == 0)
		e->release_at = w->now + e->plan->release_delay_us;
	if (w->now < e->release_at)
		wake(w, e, e->release_at);
	else
		end_release(w, e);
}

void
end_look(struct world *w, struct end *e)
{
	enum session_state state = session_state(e->session);

	if (is_reset(e))
		e->taken = session_bytes_in(e->session);
	if (e->side == PROXY && session_is_opened(e->session) &&
	    !end_other(e)->opened)
		world_fail(w, "%s is opened, and nobody said so", end_name(e));
	/* It may have met its own end before, which is no news. */
	if (e->gave_up || state == e->state)
		return;
	check_state(w, e, state);
	e->state = state;
	world_say(w, "%s: %s", end_name(e), state == SESSION_END ? "end" :
	    state == SESSION_RESET ? "reset" : "abort");
	world_progress(w);
}

static bool
connected(struct world *w, struct end *e)
{
	if (e->side == PROXY)
		return true;
	if (w->now < e->connected_at) {
		wake(w, e, e->connected_at);
		return false;
	}
	if (!e->opened && e->state == SESSION_OPEN &&
	    e->plan->fate != FATE_REFUSE) {
		e->opened = true;
		session_opened(e->session);
		world_touch(w, e->side);
	}
	return true;
}

void
end_step(struct world *w, struct end *e)
{
	if (gone(e))
		return;
	end_look(w, e);
	if (e->state != SESSION_ABORT && !connected(w, e))
		return;
	if (e->side == RELAY && e->plan->fate == FATE_REFUSE &&
	    e->state == SESSION_OPEN)
		give_up(w, e, e->plan->fate_code);
	take(w, e);
	end_look(w, e);
	if (e->state == SESSION_OPEN || e->state == SESSION_END) {
		feed(w, e);
		finish_writing(w, e);
		meet_fate(w, e);
	}
	if (!gone(e))
		end_look(w, e);
	if (!gone(e))
		finish(w, e);
}
