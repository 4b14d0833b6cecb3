/* SPDX-License-Identifier: ISC */
/*
 * The clients and servers, with the part of the roles that stands between them
 * and core.  Each end keeps account of what it gave and took, and each is
 * checked against the account of the other:
 *
 *  - what comes out is, byte for byte, what the other end put in;
 *  - a clean end comes when the other end ended cleanly and all of it is here;
 *  - a reset comes after all that was put in before, never as a clean end;
 *  - an abort comes only if the other end gave up, with its code.
 *
 * With resources made short on purpose a session may also be aborted for want
 * of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define NEVER UINT64_MAX
#define SPANS 8
#define PORT 1000

struct end {
	struct flow *flow;
	int side;
	const struct end_plan *plan;
	struct session *session;	/* NULL: not yet, or released */
	bool seen, released;

	/* What it put in, and how that ended. */
	uint64_t key, fed;
	bool ended;
	uint8_t end_code;
	bool gave_up;			/* abort, or released too early */
	uint8_t give_up_code;

	/* What it took, and how that ended. */
	uint64_t taken;
	enum session_state state;

	uint64_t wake_at;		/* earliest wake in the heap */
	uint64_t write_at, read_at;	/* not before */
	uint64_t connected_at;		/* (relay) */
	bool opened;			/* (relay) said so */
	bool paused;			/* has been */
	uint64_t fate_at, release_at;	/* 0: not known yet */
};

struct flow {
	uint32_t index;
	const struct flow_plan *plan;
	struct wire_open open;
	struct end ends[SIDES];
};

static void step(struct world *, struct end *);

static struct end *
other(const struct end *e)
{
	return &e->flow->ends[!e->side];
}

/* "flow 3 client" */
static const char *
name_of(const struct end *e)
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
	e->wake_at = NEVER;
	step(w, e);
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
	const struct end *from = other(e);

	if (e->taken + len > from->fed)
		world_fail(w, "%s gets %zu bytes at %" PRIu64 ", but only %"
		    PRIu64 " were sent", name_of(e), len, e->taken, from->fed);
	size_t right = content_check(from->key, e->taken, bytes, len);
	if (right < len)
		world_fail(w, "%s gets a wrong byte at %" PRIu64, name_of(e),
		    e->taken + right);
}

static void
check_state(const struct world *w, const struct end *e,
    enum session_state state)
{
	const struct end *from = other(e);
	uint8_t code = 0;

	switch (state) {
	case SESSION_OPEN:
		if (e->state != SESSION_OPEN)
			world_fail(w, "%s is open again", name_of(e));
		return;
	case SESSION_END:
		if (!from->ended || from->end_code != WIRE_CODE_OK)
			world_fail(w, "%s gets a clean end that nobody sent",
			    name_of(e));
		if (e->taken != from->fed)
			world_fail(w, "%s gets its end after %" PRIu64 " of %"
			    PRIu64 " bytes", name_of(e), e->taken, from->fed);
		return;
	case SESSION_RESET:
		code = session_code(e->session);
		if (!from->ended || from->end_code != code)
			world_fail(w, "%s gets a reset (%u) that nobody sent",
			    name_of(e), code);
		if (e->taken != from->fed)
			world_fail(w, "%s gets a reset after %" PRIu64 " of %"
			    PRIu64 " bytes", name_of(e), e->taken, from->fed);
		return;
	case SESSION_ABORT:
		code = session_code(e->session);
		if (w->plan.may_refuse && code == WIRE_CODE_RESOURCES)
			return;
		if (w->plan.may_refuse && code == WIRE_CODE_UNKNOWN)
			return;
		if (!from->gave_up || from->give_up_code != code)
			world_fail(w, "%s is aborted (%u: %s), and nobody did",
			    name_of(e), code, wire_code_text(code));
		return;
	}
	world_fail(w, "%s is in no state", name_of(e));
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

static void
release(struct world *w, struct end *e)
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
		    " out, should be %" PRIu64 " and %" PRIu64, name_of(e),
		    session_bytes_in(e->session), session_bytes_out(e->session),
		    e->taken, e->fed);
	world_say(w, "%s: released, %" PRIu64 " bytes in, %" PRIu64 " out",
	    name_of(e), e->taken, e->fed);
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
	world_say(w, "%s: aborts (%u)", name_of(e), code);
	e->gave_up = true;
	e->give_up_code = code;
	session_abort(e->session, code, w->now);
	e->state = SESSION_ABORT;
	world_touch(w, e->side);
}

static void
end_writing(struct world *w, struct end *e, uint8_t code)
{
	world_say(w, "%s: ends (%u) after %" PRIu64, name_of(e), code,
	    e->fed);
	e->ended = true;
	e->end_code = code;
	session_read_end(e->session, code, w->now);
	world_touch(w, e->side);
	world_progress(w);
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
			world_fail(w, "%s gets %d spans", name_of(e), n);
		for (int i = 0; i < n && left > 0; i++) {
			size_t part = spans[i].len;

			if (part == 0)
				world_fail(w, "%s gets an empty span",
				    name_of(e));
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
		w->totals.bytes += len;
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
			    name_of(e), error);
		e->fed += len;
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
		release(w, e);
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
		release(w, e);
}

static void
look(struct world *w, struct end *e)
{
	enum session_state state = session_state(e->session);

	if (is_reset(e))
		e->taken = session_bytes_in(e->session);
	if (e->side == PROXY && session_is_opened(e->session) &&
	    !other(e)->opened)
		world_fail(w, "%s is opened, and nobody said so", name_of(e));
	/* It may have met its own end before, which is no news. */
	if (e->gave_up || state == e->state)
		return;
	check_state(w, e, state);
	e->state = state;
	world_say(w, "%s: %s", name_of(e), state == SESSION_END ? "end" :
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

static void
step(struct world *w, struct end *e)
{
	if (gone(e))
		return;
	look(w, e);
	if (e->state != SESSION_ABORT && !connected(w, e))
		return;
	if (e->side == RELAY && e->plan->fate == FATE_REFUSE &&
	    e->state == SESSION_OPEN)
		give_up(w, e, e->plan->fate_code);
	take(w, e);
	look(w, e);
	if (e->state == SESSION_OPEN || e->state == SESSION_END) {
		feed(w, e);
		finish_writing(w, e);
		meet_fate(w, e);
	}
	if (!gone(e))
		look(w, e);
	if (!gone(e))
		finish(w, e);
}

/* ---- beginning ---- */

static void
bind_end(struct world *w, struct end *e, struct session *session)
{
	e->session = session;
	e->seen = true;
	session_set_user(session, e);
	w->sides[e->side].open_ends++;
	world_progress(w);
}

static void
on_open(struct world *w, void *object, int which)
{
	struct flow *f = object;
	struct end *e = &f->ends[PROXY];
	struct session *session = NULL;
	int error = group_open(w->sides[PROXY].group, &f->open, w->now,
	    &session);

	(void)which;
	if (error == -EAGAIN) {
		world_at(w, w->now + random_range(&w->random, 1, SECOND),
		    on_open, f, 0);
		return;
	}
	if (error != 0)
		world_fail(w, "flow %u: group_open() says %d", f->index,
		    error);
	world_say(w, "%s: opens", name_of(e));
	bind_end(w, e, session);
	world_touch(w, PROXY);
	step(w, e);
}

static void
accept_session(struct world *w, struct session *session)
{
	const struct wire_open *open = session_open_info(session);
	uint32_t index = (uint32_t)open->client.port - PORT;

	if (index >= w->plan.nflows)
		world_fail(w, "the relay gets a session from port %u",
		    open->client.port);
	struct flow *f = &w->flows[index];
	struct end *e = &f->ends[RELAY];
	if (e->seen)
		world_fail(w, "the relay gets flow %u twice", index);
	if (!addr_equal(&open->destination, &f->open.destination) ||
	    !addr_equal(&open->client, &f->open.client) ||
	    open->dscp != f->open.dscp)
		world_fail(w, "flow %u arrives with other addresses", index);
	world_say(w, "%s: is session %u", name_of(e),
	    session_number(session));
	e->connected_at = w->now + f->plan->connect_us;
	bind_end(w, e, session);
}

void
ends_ready(struct world *w, int side, struct session *session)
{
	if (session_user(session) == NULL) {
		if (side == PROXY)
			world_fail(w, "the proxy makes up a session");
		accept_session(w, session);
	}

	struct end *e = session_user(session);
	if (e->session != session || e->side != side)
		world_fail(w, "%s is ready, but not open", name_of(e));
	step(w, e);
}

void
ends_start(struct world *w)
{
	w->flows = calloc(w->plan.nflows, sizeof(*w->flows));
	if (w->flows == NULL)
		abort();
	for (uint32_t i = 0; i < w->plan.nflows; i++) {
		struct flow *f = &w->flows[i];
		struct addr address = { .family = 4, .ip = { 192, 0, 2, 1 } };

		f->index = i;
		f->plan = &w->plan.flows[i];
		f->open.dscp = (int)random_range(&w->random, 0, 64) - 1;
		f->open.client = f->open.destination = address;
		f->open.client.port = (uint16_t)(PORT + i);
		if (random_once_in(&w->random, 2))
			f->open.destination.family = 6;
		f->open.destination.ip[3] = (uint8_t)(2 + i);
		f->open.destination.port =
		    (uint16_t)random_range(&w->random, 1, UINT16_MAX);
		for (int side = 0; side < SIDES; side++) {
			struct end *e = &f->ends[side];

			e->flow = f;
			e->side = side;
			e->plan = &f->plan->ends[side];
			e->key = content_key(w->seed, i, side);
			e->wake_at = NEVER;
		}
		world_at(w, w->now + f->plan->start_us, on_open, f, 0);
	}
}

/* ---- the end ---- */

bool
ends_done(const struct world *w)
{
	for (size_t i = 0; i < w->plan.nflows; i++) {
		const struct end *client = &w->flows[i].ends[PROXY];
		const struct end *server = &w->flows[i].ends[RELAY];

		if (!client->released || (server->seen && !server->released))
			return false;
		/* One that was given up may never have left, one for which
		 * there was no room leaves no trace there. */
		if (!server->seen && !client->gave_up &&
		    !w->plan.may_refuse)
			return false;
	}
	return true;
}

void
ends_print(const struct world *w)
{
	for (size_t i = 0; i < w->plan.nflows; i++)
		for (int side = 0; side < SIDES; side++) {
			const struct end *e = &w->flows[i].ends[side];
			const struct end *from = &w->flows[i].ends[!side];

			if (e->released)
				continue;
			fprintf(stderr, "%s: %s, gave %" PRIu64 " of %u%s, "
			    "took %" PRIu64 " of %" PRIu64 "%s\n", name_of(e),
			    e->seen ? "open" : "not seen", e->fed,
			    e->plan->bytes, e->ended ? ", ended" : "",
			    e->taken, from->fed, e->state == SESSION_END ?
			    ", end" : e->state == SESSION_RESET ? ", reset" :
			    e->state == SESSION_ABORT ? ", abort" : "");
		}
}

void
ends_free(struct world *w)
{
	free(w->flows);
}
