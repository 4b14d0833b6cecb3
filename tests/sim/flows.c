/* SPDX-License-Identifier: ISC */
/*
 * The sessions as wholes: how they come into being at both sides, and when they
 * are over.
 */
#include "ends.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PORT 1000

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
	world_say(w, "%s: opens", end_name(e));
	bind_end(w, e, session);
	world_touch(w, PROXY);
	end_step(w, e);
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
	world_say(w, "%s: is session %u", end_name(e),
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
		world_fail(w, "%s is ready, but not open", end_name(e));
	end_step(w, e);
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
			e->wake_at = END_NEVER;
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
ends_restart(struct world *w)
{
	for (size_t i = 0; i < w->plan.nflows; i++) {
		struct end *client = &w->flows[i].ends[PROXY];
		struct end *server = &w->flows[i].ends[RELAY];

		if (server->session != NULL) {
			server->session = NULL;
			server->released = true;
			w->sides[RELAY].open_ends--;
		}
		if (!client->seen)
			continue;
		server->gave_up = true;
		server->give_up_code = WIRE_CODE_UNKNOWN;
		if (client->session != NULL) {
			end_look(w, client);
			end_release(w, client);
		}
		client->gave_up = true;
	}
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
			    "took %" PRIu64 " of %" PRIu64 "%s\n", end_name(e),
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
