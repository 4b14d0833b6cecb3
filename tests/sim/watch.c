/* SPDX-License-Identifier: ISC */
#include "watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"
#include "world.h"

/* What has a serial, as it was first sent. */
struct item {
	uint64_t cost_end;	/* of the window, up to and with it */
	uint16_t size;
	uint8_t type;
	bool arrived;
};

/* One direction of a session. */
struct stream {
	struct item *items;	/* by serial */
	uint64_t next, room;	/* next to be sent for the first time */
	bool fin_sent;
	bool reset_sent, reset_heard;	/* by its sender */
	uint64_t arrived;	/* all before are there */
	uint64_t acked, edge;	/* as the receiver last said */
	uint64_t acked_heard, edge_heard;	/* highest that was heard */

	/* Of the receiver. */
	uint64_t owed_since;	/* an ACK; 0: it owes none */
	size_t acked_on;	/* link of the last ACK */
	uint64_t taken_at;	/* its local side last took something */
	bool asked;		/* since the last ACK */
};

struct track {
	struct stream from[SIDES];
	uint8_t open[WIRE_OPEN_MAX];
	uint64_t *open_on;	/* proxy: links that carry OPEN, bit map */
	size_t open_on_words;
	bool open_heard;	/* proxy: the relay has spoken of it */
};

struct watch {
	struct world *world;
	struct track **tracks;	/* by number, from 1 */
	uint32_t used, room;
	uint64_t look_at[SIDES];	/* nothing is overdue before */
	uint64_t heads[SIDES];		/* watch_heads() */
};

struct frame {
	struct wire_header header;
	const uint8_t *body;
};

static void *
resize(void *p, size_t count, size_t size)
{
	p = realloc(p, count * size);
	if (p == NULL)
		abort();
	return p;
}

/* A receiver has 50 ms, and its timer may be late. */
#define OWED_US UINT64_C(100000)
#define NO_LINK SIZE_MAX
#define SHUT 1024		/* a window below is as good as none */
#define OPENING 4096		/* and one that is worth an ACK of its own */

struct watch *
watch_new(struct world *world)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->world = world;
	return w;
}

void
watch_free(struct watch *w)
{
	for (uint32_t i = 0; i < w->used; i++) {
		for (int side = 0; side < SIDES; side++)
			free(w->tracks[i]->from[side].items);
		free(w->tracks[i]->open_on);
		free(w->tracks[i]);
	}
	free(w->tracks);
	free(w);
}

/* The next frame; false: no whole one is left. */
static bool
next_frame(struct cursor *c, struct frame *f)
{
	struct cursor at = *c;

	if (wire_get_header(&at, &f->header) != WIRE_OK ||
	    (size_t)(at.end - at.pos) < f->header.size)
		return false;
	f->body = at.pos;
	c->pos = at.pos + f->header.size;
	return true;
}

static struct track *
track_of(const struct watch *w, uint32_t number)
{
	return number >= 1 && number <= w->used ? w->tracks[number - 1] :
	    NULL;
}

static void
start_track(struct watch *w, const struct frame *f)
{
	struct track *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	if (f->header.connection != w->used + 1)
		world_fail(w->world, "session %u is opened after session %u",
		    f->header.connection, w->used);
	if (w->used == w->room) {
		w->room = w->room * 2 + 16;
		w->tracks = resize(w->tracks, w->room, sizeof(*w->tracks));
	}
	w->tracks[w->used++] = t;
	memcpy(t->open, f->body, f->header.size);
	for (int side = 0; side < SIDES; side++) {
		const struct scenario *plan = &w->world->plan;
		struct stream *s = &t->from[side];

		s->edge = s->edge_heard =
		    plan->options[!side].initial_window;
		s->room = 16;
		s->items = resize(NULL, s->room, sizeof(*s->items));
		s->items[0] = (struct item){ .type = WIRE_OPEN };
		s->acked_on = NO_LINK;
	}
	/* Nothing has the relay's serial 0. */
	t->from[RELAY].next = t->from[RELAY].arrived = 1;
	t->from[RELAY].items[0].arrived = true;
}

/* ---- sending ---- */

static bool
carries_open(const struct track *t, size_t link)
{
	return link / 64 < t->open_on_words &&
	    (t->open_on[link / 64] >> link % 64 & 1) != 0;
}

static void
mark_open(struct track *t, size_t link)
{
	while (link / 64 >= t->open_on_words) {
		t->open_on = resize(t->open_on, t->open_on_words + 1,
		    sizeof(*t->open_on));
		t->open_on[t->open_on_words++] = 0;
	}
	t->open_on[link / 64] |= UINT64_C(1) << link % 64;
}

static void
sent_item(struct watch *w, struct stream *s, int side, const struct frame *f)
{
	const struct wire_header *h = &f->header;
	uint64_t cost = h->type == WIRE_DATA ? h->size + WIRE_COST : 0;

	if (h->serial > s->next)
		world_fail(w->world, "session %u: the %s sends %s %u, but %"
		    PRIu64 " is next", h->connection, side_names[side],
		    wire_type_text(h->type), h->serial, s->next);
	if (h->serial < s->next) {
		const struct item *i = &s->items[h->serial];

		if (i->type != h->type || i->size != h->size)
			world_fail(w->world, "session %u: %u was %s of %u and "
			    "is sent again as %s of %u", h->connection,
			    h->serial, wire_type_text(i->type), i->size,
			    wire_type_text(h->type), h->size);
		if (h->serial == s->acked_heard)
			w->heads[side] += h->size;
		return;
	}
	if (s->fin_sent)
		world_fail(w->world, "session %u: the %s sends %s after FIN",
		    h->connection, side_names[side], wire_type_text(h->type));
	if (s->next == s->room) {
		s->room *= 2;
		s->items = resize(s->items, s->room, sizeof(*s->items));
	}
	uint64_t before = s->next > 0 ? s->items[s->next - 1].cost_end : 0;
	s->items[s->next++] = (struct item){
		.cost_end = before + cost, .size = h->size, .type = h->type,
	};
	s->fin_sent = h->type == WIRE_FIN;
	if (before + cost > s->edge_heard && cost > 0)
		world_fail(w->world, "session %u: the %s sends up to %" PRIu64
		    ", but only %" PRIu64 " were offered", h->connection,
		    side_names[side], before + cost, s->edge_heard);
	if (h->type == WIRE_DATA &&
	    h->size > w->world->plan.options[side].datagram_max)
		world_fail(w->world, "session %u: the %s sends a datagram of "
		    "%u bytes", h->connection, side_names[side], h->size);
}

/*
 * A window that was shut is opened when the local side takes something, not
 * when the peer asks what keeps it waiting.
 */
static void
check_asked(const struct watch *w, const struct stream *s, int side,
    uint32_t number, uint64_t next, uint64_t edge)
{
	const struct world *world = w->world;
	uint64_t quiet = s->taken_at > world->sides[side].shut_at ?
	    s->taken_at : world->sides[side].shut_at;

	if (!s->asked || next == 0 || next != s->acked ||
	    world->plan.may_refuse || world->now - quiet < OWED_US)
		return;
	if (s->edge < s->items[next - 1].cost_end + SHUT &&
	    edge >= s->edge + OPENING)
		world_fail(world, "session %u: the %s opens the window only "
		    "when asked", number, side_names[side]);
}

static void
sent_ack(struct watch *w, struct stream *s, int side, size_t link,
    const struct frame *f)
{
	const struct wire_header *h = &f->header;
	uint64_t next = h->serial;

	if (next > s->arrived)
		world_fail(w->world, "session %u: the %s acknowledges %" PRIu64
		    " and has only what is before %" PRIu64, h->connection,
		    side_names[side], next, s->arrived);
	uint64_t edge = wire_body_u32(f->body);
	if (next > 0)
		edge += s->items[next - 1].cost_end;
	if (next < s->acked || edge < s->edge)
		world_fail(w->world, "session %u: the %s goes back from %"
		    PRIu64 ", edge %" PRIu64 " to %" PRIu64 ", edge %" PRIu64,
		    h->connection, side_names[side], s->acked, s->edge, next,
		    edge);
	check_asked(w, s, side, h->connection, next, edge);
	s->acked = next;
	s->edge = edge;
	s->asked = false;
	s->acked_on = link;
	s->owed_since = 0;
}

static void
sent_frame(struct watch *w, int side, size_t link, const struct frame *f)
{
	const struct wire_header *h = &f->header;

	if (h->connection == 0)
		return;		/* told.c knows those */
	if (h->type == WIRE_OPEN && h->connection > w->used)
		start_track(w, f);

	struct track *t = track_of(w, h->connection);
	if (t == NULL)
		world_fail(w->world, "the %s sends %s of session %u, which "
		    "was never opened", side_names[side],
		    wire_type_text(h->type), h->connection);
	struct stream *out = &t->from[side];
	if (h->type == WIRE_RESET) {
		out->reset_sent = true;
		return;
	}
	if (out->reset_sent)
		world_fail(w->world, "session %u: the %s sends %s after RESET",
		    h->connection, side_names[side], wire_type_text(h->type));
	if (h->type == WIRE_OPEN) {
		if (side != PROXY || memcmp(t->open, f->body, h->size) != 0)
			world_fail(w->world, "session %u: the %s sends another "
			    "OPEN", h->connection, side_names[side]);
		mark_open(t, link);
	} else if (side == PROXY && !t->open_heard && !carries_open(t, link))
		world_fail(w->world, "session %u: %s goes before OPEN on link "
		    "%zu", h->connection, wire_type_text(h->type), link);

	switch (h->type) {
	case WIRE_OPEN:
	case WIRE_DATA:
	case WIRE_FIN:
		sent_item(w, out, side, f);
		break;
	case WIRE_ACK:
		sent_ack(w, &t->from[!side], side, link, f);
		break;
	case WIRE_ASK:
		if (h->serial != out->next)
			world_fail(w->world, "session %u: the %s asks with %u,"
			    " next is %" PRIu64, h->connection,
			    side_names[side], h->serial, out->next);
		break;
	}
}

void
watch_sent(struct watch *w, int side, size_t link, const uint8_t *bytes,
    size_t len)
{
	struct cursor c = { bytes, bytes + len };
	struct frame f;

	while (next_frame(&c, &f))
		sent_frame(w, side, link, &f);
	if (c.pos != c.end)
		world_fail(w->world, "the %s writes %zu bytes that are no whole"
		    " frame", side_names[side], (size_t)(c.end - c.pos));
}

uint64_t
watch_heads(const struct watch *w, int side)
{
	return w->heads[side];
}

/* ---- arriving ---- */

static bool
all_acked(const struct stream *s, uint64_t acked)
{
	return s->fin_sent && acked == s->next;
}

/* Does `side` still have to acknowledge?  Not when it gave the session up, was
 * told that the other did, or has nothing more to wait for. */
static bool
has_to_ack(const struct track *t, int side)
{
	const struct stream *in = &t->from[!side], *out = &t->from[side];

	return !out->reset_sent && !out->reset_heard &&
	    !(all_acked(in, in->acked) && all_acked(out, out->acked_heard));
}

static void
owe(struct watch *w, struct track *t, int side)
{
	uint64_t now = w->world->now;

	if (t->from[!side].owed_since != 0 || !has_to_ack(t, side))
		return;
	t->from[!side].owed_since = now;
	if (w->look_at[side] == 0 || now + OWED_US < w->look_at[side])
		w->look_at[side] = now + OWED_US;
}

static void
arrived_item(struct stream *s, uint32_t serial)
{
	s->items[serial].arrived = true;
	while (s->arrived < s->next && s->items[s->arrived].arrived)
		s->arrived++;
}

static void
arrived_frame(struct watch *w, int side, const struct frame *f)
{
	const struct wire_header *h = &f->header;
	struct track *t = track_of(w, h->connection);

	if (t == NULL || h->type >= WIRE_OPTIONAL)
		return;
	if (side == PROXY)
		t->open_heard = true;
	switch (h->type) {
	case WIRE_OPEN:
	case WIRE_DATA:
	case WIRE_FIN:
		arrived_item(&t->from[!side], h->serial);
		owe(w, t, side);
		break;
	case WIRE_ASK:
		t->from[!side].asked = true;
		owe(w, t, side);
		break;
	case WIRE_RESET:
		t->from[side].reset_heard = true;
		break;
	case WIRE_ACK: {
		struct stream *out = &t->from[side];
		uint64_t edge = wire_body_u32(f->body);

		if (h->serial > out->acked_heard)
			out->acked_heard = h->serial;
		if (h->serial > 0)
			edge += out->items[h->serial - 1].cost_end;
		if (edge > out->edge_heard)
			out->edge_heard = edge;
		break;
	}
	}
}

size_t
watch_arrived(struct watch *w, int side, const uint8_t *bytes, size_t len)
{
	struct cursor c = { bytes, bytes + len };
	struct frame f;

	while (next_frame(&c, &f))
		arrived_frame(w, side, &f);
	return (size_t)(c.pos - bytes);
}

/* ---- what is owed ---- */

void
watch_taken(struct watch *w, int side, uint32_t number)
{
	struct track *t = track_of(w, number);

	if (t != NULL)
		t->from[!side].taken_at = w->world->now;
}

void
watch_gone(struct watch *w, int side, size_t link)
{
	for (uint32_t i = 0; i < w->used; i++)
		if (w->tracks[i]->from[!side].acked_on == link) {
			w->tracks[i]->from[!side].acked_on = NO_LINK;
			owe(w, w->tracks[i], side);
		}
}

uint32_t
watch_overdue(struct watch *w, int side)
{
	uint64_t now = w->world->now, next = 0;

	if (w->look_at[side] == 0 || now < w->look_at[side])
		return 0;
	for (uint32_t i = 0; i < w->used; i++) {
		uint64_t since = w->tracks[i]->from[!side].owed_since;

		if (since == 0 || !has_to_ack(w->tracks[i], side))
			continue;
		if (since + OWED_US <= now)
			return i + 1;
		if (next == 0 || since + OWED_US < next)
			next = since + OWED_US;
	}
	w->look_at[side] = next;
	return 0;
}
