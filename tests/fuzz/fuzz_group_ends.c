/* SPDX-License-Identifier: ISC */
#include "fuzz_group.h"

#include <assert.h>
#include <string.h>

#include "content.h"

#define SPANS 8
#define FIRST_PORT 1000		/* of the destination: names the flow */

static const struct end *
other(const struct world *w, const struct end *e)
{
	return &w->ends[e->flow][!e->side];
}

static unsigned int
key(const struct end *e)
{
	return 2 * e->flow + (unsigned int)e->side;
}

/* One that was reset takes nothing: core drops it. */
static bool
is_reset(const struct end *e)
{
	return e->ended && e->end_code != WIRE_CODE_OK;
}

/* ---- what is right ---- */

static void
check_state(const struct world *w, const struct end *e,
    enum session_state state)
{
	const struct end *from = other(w, e);
	uint8_t code = session_code(e->session);

	switch (state) {
	case SESSION_OPEN:
		assert(e->state == SESSION_OPEN);
		break;
	case SESSION_END:
		assert(from->ended && from->end_code == WIRE_CODE_OK);
		assert(e->taken == from->given);
		break;
	case SESSION_RESET:
		assert(from->ended && from->end_code == code);
		assert(code != WIRE_CODE_OK);
		assert(e->taken == from->given);
		break;
	case SESSION_ABORT:
		if (w->cut || (w->may_refuse && (code == WIRE_CODE_UNKNOWN ||
		    code == WIRE_CODE_RESOURCES)))
			break;
		assert(from->gave_up && from->give_up_code == code);
		break;
	}
}

void
end_look(struct world *w, struct end *e)
{
	if (e->session == NULL)
		return;
	enum session_state state = session_state(e->session);
	if (is_reset(e))
		e->taken = session_bytes_in(e->session);
	assert(session_bytes_in(e->session) == e->taken);
	assert(session_bytes_out(e->session) == e->given);
	assert(e->taken <= other(w, e)->given);
	assert(session_user(e->session) == e);
	if (session_is_opened(e->session))
		assert(e->side == PROXY && other(w, e)->opened);
	/* It may have met its own end before, which is no news. */
	if (e->gave_up || state == e->state)
		return;
	check_state(w, e, state);
	e->state = state;
	w->moved++;
}

/* ---- what a role does ---- */

void
end_open(struct world *w, uint8_t dscp)
{
	struct wire_open open = {
		.destination = { .family = 4, .ip = { 192, 0, 2, 1 },
		    .port = (uint16_t)(FIRST_PORT + w->nflows) },
		.client = { .family = dscp & 0x40 ? 6 : 4, .ip = { 0x20, 1 },
		    .port = 1 },
		.dscp = (dscp & 0x3f) - 1,
	};

	if (w->nflows == FLOWS)
		return;
	struct end *e = &w->ends[w->nflows][PROXY];
	int error = group_open(w->groups[PROXY], &open, w->now, &e->session);
	if (error != 0) {
		assert(w->may_refuse);
		return;
	}
	for (int side = 0; side < SIDES; side++) {
		w->ends[w->nflows][side].flow = w->nflows;
		w->ends[w->nflows][side].side = side;
	}
	w->nflows++;
	w->moved++;
	session_set_user(e->session, e);
	assert(session_number(e->session) == 0);
}

static bool
same(const struct wire_open *a, const struct wire_open *b)
{
	return addr_equal(&a->destination, &b->destination) &&
	    addr_equal(&a->client, &b->client) && a->dscp == b->dscp;
}

static void
accept(struct world *w, struct session *s)
{
	const struct wire_open *open = session_open_info(s);
	unsigned int flow = (unsigned int)open->destination.port - FIRST_PORT;

	assert(flow < w->nflows);
	struct end *e = &w->ends[flow][RELAY];
	const struct end *from = other(w, e);
	assert(e->session == NULL && !e->released);
	if (from->session != NULL)
		assert(same(open, session_open_info(from->session)));
	e->session = s;
	session_set_user(s, e);
	w->moved++;
}

bool
ends_ready(struct world *w, int side,
    void (*serve)(struct world *, struct end *))
{
	struct session *s;
	bool some = false;

	while ((s = group_ready(w->groups[side])) != NULL) {
		some = true;
		if (session_user(s) == NULL) {
			assert(side == RELAY);
			accept(w, s);
		}
		serve(w, session_user(s));
	}
	return some;
}

void
end_give(struct world *w, struct end *e, size_t len, int nspans)
{
	struct span spans[SPANS];
	size_t put = 0;

	if (e->session == NULL || e->ended || e->gave_up)
		return;
	if (len > w->room)
		len = w->room;
	int n = session_read_room(e->session, spans, nspans);
	assert(n >= 0 && n <= nspans);
	for (int i = 0; i < n && len > 0; i++) {
		size_t part = spans[i].len < len ? spans[i].len : len;

		assert(part > 0);
		memcpy(spans[i].base, content(key(e), e->given + put), part);
		put += part;
		len -= part;
	}
	if (put == 0)
		return;
	int error = session_read(e->session, put, w->now);
	assert(error == 0);
	e->given += put;
	w->room -= put;
	w->moved += put;
}

void
end_take(struct world *w, struct end *e, size_t len)
{
	struct span spans[SPANS];
	size_t taken = 0;

	if (e->session == NULL)
		return;
	int n = session_peek(e->session, spans, SPANS);
	assert(n >= 0 && n <= SPANS);
	assert(n == 0 || (!is_reset(e) && !e->gave_up));
	for (int i = 0; i < n && taken < len; i++) {
		size_t part = spans[i].len;

		assert(part > 0 && part <= WIRE_DATA_MAX);
		if (part > len - taken)
			part = len - taken;
		assert(memcmp(spans[i].base, content(key(other(w, e)),
		    e->taken + taken), part) == 0);
		taken += part;
	}
	session_consume(e->session, taken, w->now);
	e->taken += taken;
	w->moved += taken;
}

void
end_read_end(struct world *w, struct end *e, uint8_t code)
{
	if (e->session == NULL || e->ended || e->gave_up)
		return;
	end_look(w, e);
	e->ended = true;
	e->end_code = code;
	session_read_end(e->session, code, w->now);
	w->moved++;
}

void
end_give_up(struct world *w, struct end *e, uint8_t code)
{
	if (e->session == NULL || e->gave_up)
		return;
	end_look(w, e);
	if (e->state == SESSION_ABORT)
		return;
	e->gave_up = true;
	e->give_up_code = code;
	session_abort(e->session, code, w->now);
	assert(session_state(e->session) == SESSION_ABORT);
	e->state = SESSION_ABORT;
	w->moved++;
}

void
end_opened(struct world *w, struct end *e)
{
	if (e->session == NULL || e->side != RELAY || e->opened)
		return;
	e->opened = true;
	session_opened(e->session);
	w->moved++;
}

void
end_release(struct world *w, struct end *e)
{
	if (e->session == NULL)
		return;
	end_look(w, e);
	bool both = e->ended && e->state != SESSION_OPEN;

	/* What it had to send is lost, the other end has to know. */
	if (!both && !is_reset(e) && e->state != SESSION_ABORT) {
		e->gave_up = true;
		e->give_up_code = WIRE_CODE_OK;
	}
	session_release(e->session, w->now);
	e->session = NULL;
	e->released = true;
	w->moved++;
}
