/* SPDX-License-Identifier: ISC */
#include "fuzz_hostile_group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "core/numbers.h"

#define LEAST (WIRE_COST + 1)	/* cost of the smallest datagram */
#define ACK_US UINT64_C(50000)	/* so late it may be */

/* ---- tracks ---- */

struct track *
track_find(struct world *w, uint32_t number)
{
	for (size_t i = 0; i < w->ntracks && number != 0; i++)
		if (w->tracks[i].number == number)
			return &w->tracks[i];
	return NULL;
}

struct track *
track_add(struct world *w)
{
	struct track *t = &w->tracks[w->ntracks];

	if (w->ntracks == TRACKS)
		return NULL;
	memset(t, 0, offsetof(struct track, items));
	t->key = (unsigned int)w->ntracks++;
	t->nitems = 0;
	t->next = t->end = 1;
	t->cost_next = t->cost_early = 0;
	t->offered = w->options.initial_window;
	t->ready = t->taken = 0;
	t->head = 1;
	t->head_used = 0;
	t->fin_seen = false;
	t->asked = t->open_on = 0;
	t->ack_due = 0;
	t->ack_on = DOWN;
	t->sent = t->acked = w->options.proxy ? 0 : 1;
	t->edge = w->peer_window;
	t->cost_end[0] = t->bytes_end[0] = 0;
	t->given = 0;
	t->read_ended = t->discard = t->fin_sent = false;
	return t;
}

static void
drop_items(struct track *t)
{
	for (size_t i = 0; i < t->nitems; i++)
		free(t->items[i].bytes);
	t->nitems = 0;
}

void
tracks_clear(struct world *w)
{
	for (size_t i = 0; i < w->ntracks; i++)
		drop_items(&w->tracks[i]);
	w->ntracks = 0;
}

static bool
fin_taken(const struct track *t)
{
	return t->fin_seen && t->next == t->fin_serial;
}

static void
owe_ack(struct track *t, uint64_t at)
{
	if (t->life == LIFE_LIVE && (t->ack_due == 0 || at < t->ack_due))
		t->ack_due = at;
}

/* Whoever has both directions at their ends may forget it any time. */
static void
look_done(struct track *t)
{
	if (t->life == LIFE_LIVE && t->read_ended && t->fin_sent &&
	    t->acked == t->sent && fin_taken(t))
		t->life = LIFE_UNSURE;
}

static void
abort_local(struct track *t, uint8_t code)
{
	if (t->aborted)
		return;
	t->aborted = true;
	t->code = code;
	drop_items(t);
}

/* ---- RESET 7 ---- */

static struct stray *
stray_find(struct world *w, uint32_t number, int link)
{
	for (size_t i = 0; i < w->nstrays; i++)
		if (w->strays[i].number == number && w->strays[i].link == link)
			return &w->strays[i];
	return NULL;
}

static void
expect_stray(struct world *w, uint32_t number, int link, bool due)
{
	struct stray *s = stray_find(w, number, link);

	if (s == NULL) {
		assert(w->nstrays < STRAYS);
		s = &w->strays[w->nstrays++];
		*s = (struct stray){ .number = number, .link = link };
	}
	s->most++;
	s->due = s->due || due;
}

/* ---- what the group says ---- */

static void
hear_item(struct world *w, struct track *t, const struct frame *f)
{
	const struct wire_header *h = &f->header;
	uint64_t cost = 0, bytes = 0;

	assert(h->serial <= t->sent);
	if (t->sent > 0) {
		cost = t->cost_end[t->sent - 1];
		bytes = t->bytes_end[t->sent - 1];
	}
	if (h->serial < t->sent) {	/* a further copy */
		cost = h->serial > 0 ? t->cost_end[h->serial - 1] : 0;
		bytes = h->serial > 0 ? t->bytes_end[h->serial - 1] : 0;
	} else {
		assert(!t->fin_sent && t->sent < SERIALS);
		t->sent++;
	}
	if (h->type == WIRE_DATA) {
		assert(memcmp(f->body, content(t->key, bytes), h->size) == 0);
		cost += h->size + WIRE_COST;
		bytes += h->size;
		assert(cost <= t->edge && bytes <= t->given);
	}
	if (h->serial + 1 < t->sent) {
		assert(cost == t->cost_end[h->serial]);
		assert(bytes == t->bytes_end[h->serial]);
	}
	t->cost_end[h->serial] = cost;
	t->bytes_end[h->serial] = bytes;
	if (h->type == WIRE_FIN) {
		assert(t->read_ended && h->serial + 1 == t->sent);
		assert(wire_body_u8(f->body) == t->read_code);
		assert(bytes == t->given);
		t->fin_sent = true;
	}
	(void)w;
}

static void
hear_ack(const struct world *w, struct track *t, int link,
    const struct frame *f)
{
	uint32_t window = wire_body_u32(f->body);
	uint64_t next = t->next + (fin_taken(t) ? 1 : 0);

	if (t->life != LIFE_LIVE)
		return;
	assert(f->header.serial == (uint32_t)next);
	assert(t->cost_next + window >= t->offered);
	assert(window <= w->options.window_max);
	t->offered = t->cost_next + window;
	t->asked &= ~(1u << link);
	t->ack_due = 0;
	t->ack_on = link;
}

static void
hear_reset(struct world *w, struct track *t, int link, const struct frame *f)
{
	uint8_t code = wire_body_u8(f->body);

	if (code == WIRE_CODE_UNKNOWN) {
		struct stray *s = stray_find(w, f->header.connection, link);

		assert(s != NULL && s->most > 0);
		s->most--;
		s->due = false;
		return;
	}
	assert(t != NULL);
	assert(t->life == LIFE_RESETTING ? t->code == code :
	    t->life == LIFE_UNSURE);
}

static struct track *
hear_open(struct world *w, int link, const struct frame *f)
{
	struct track *t = track_find(w, f->header.connection);

	if (t == NULL) {		/* the next one that waits */
		assert(f->header.connection == w->opened + 1);
		w->opened++;
		for (size_t i = 0; t == NULL; i++) {
			assert(i < w->ntracks);
			if (w->tracks[i].life == LIFE_WAITING &&
			    w->tracks[i].open_len == f->header.size &&
			    memcmp(w->tracks[i].open, f->body,
			    f->header.size) == 0)
				t = &w->tracks[i];
		}
		t->number = f->header.connection;
		t->life = LIFE_LIVE;
	}
	assert(t->acked == 0 || t->life == LIFE_UNSURE);
	assert(t->open_len == f->header.size);
	assert(memcmp(t->open, f->body, t->open_len) == 0);
	t->open_on |= 1u << link;
	return t;
}

void
model_hear(struct world *w, int link, const struct frame *f)
{
	const struct wire_header *h = &f->header;
	struct track *t = track_find(w, h->connection);

	frame_check(f, w->options.proxy, w->options.datagram_max);
	switch (h->type) {
	case WIRE_PONG:
		assert(w->links[link].pinged);
		assert(w->links[link].opaque == wire_body_u64(f->body));
		w->links[link].pinged = false;
		return;
	case WIRE_PING:
		assert(wire_body_u64(f->body) == w->now);
		return;
	case WIRE_DRAIN:
		return;
	case WIRE_RESET:
		hear_reset(w, t, link, f);
		return;
	case WIRE_OPEN:
		t = hear_open(w, link, f);
		break;
	}
	assert(t != NULL);
	assert(t->life == LIFE_LIVE || t->life == LIFE_UNSURE);
	if (w->options.proxy && t->life == LIFE_LIVE && t->acked == 0)
		assert(t->open_on >> link & 1);	/* nothing may precede it */
	if (h->type == WIRE_ACK)
		hear_ack(w, t, link, f);
	else if (h->type == WIRE_ASK)
		assert(h->serial == (uint32_t)t->sent);
	else if (h->type != WIRE_OPENED)
		hear_item(w, t, f);
}

void
model_quiet(struct world *w, int link)
{
	assert(!w->links[link].pinged);
	for (size_t i = 0; i < w->nstrays; i++)
		assert(w->strays[i].link != link || !w->strays[i].due);
	for (size_t i = 0; i < w->ntracks; i++)
		assert(w->tracks[i].life != LIFE_LIVE ||
		    !(w->tracks[i].asked >> link & 1));
}

void
model_all_quiet(struct world *w)
{
	for (size_t i = 0; i < w->ntracks; i++) {
		const struct track *t = &w->tracks[i];

		assert(t->life != LIFE_LIVE || t->ack_due == 0 ||
		    t->ack_due > w->now);
	}
}

void
model_link_lost(struct world *w, int link)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->nstrays; i++)
		if (w->strays[i].link != link)
			w->strays[kept++] = w->strays[i];
	w->nstrays = kept;
	for (size_t i = 0; i < w->ntracks; i++) {
		struct track *t = &w->tracks[i];

		t->asked &= ~(1u << link);
		t->open_on &= ~(1u << link);
		if (t->ack_on == link) {	/* it may have been lost */
			t->ack_on = DOWN;
			owe_ack(t, w->now);
		}
	}
	w->links[link].pinged = false;
}

/* ---- what we say ---- */

/* Relay: was this number named before, or is it too far away? */
static bool
is_seen(const struct world *w, uint32_t number)
{
	uint32_t low = 1;

	for (size_t i = 0; i < w->nseen; i++) {
		if (w->seen[i] == number)
			return true;
		if (w->seen[i] == low) {
			low++;
			i = (size_t)-1;	/* the next may stand before it */
		}
	}
	return number < low || number - low >= NUMBERS_AHEAD;
}

static void
mark_seen(struct world *w, uint32_t number)
{
	if (!is_seen(w, number))
		w->seen[w->nseen++] = number;
}

bool
model_follows(struct world *w, const struct frame *f)
{
	const struct track *t = track_find(w, f->header.connection);

	return w->nseen < SEEN && w->nstrays < STRAYS &&
	    (t != NULL ? t->nitems < ITEMS :
	    f->header.type != WIRE_OPEN || w->ntracks < TRACKS);
}

/* The serial nearest to `near`; false: before all. */
static bool
unwrap(uint64_t near, uint32_t serial, uint64_t *whole)
{
	int32_t away = (int32_t)(serial - (uint32_t)near);

	if (away < 0 && near < (uint64_t)-(int64_t)away)
		return false;
	*whole = near + (uint64_t)(int64_t)away;
	return true;
}

static const struct item *
item_find(const struct track *t, uint64_t serial)
{
	for (size_t i = 0; i < t->nitems; i++)
		if (t->items[i].serial == serial)
			return &t->items[i];
	return NULL;
}

/*
 * Something of `cost` at `serial`: what is here already must have been offered
 * together with it, and so must have been something at each serial before the
 * highest.  The two together are too much for an honest peer as well, but the
 * group need not look so closely.
 */
static enum verdict
judge_window(const struct track *t, uint64_t serial, uint64_t cost)
{
	uint64_t highest = serial >= t->end ? serial : t->end - 1;
	uint64_t others = highest - t->next;
	uint64_t early = 0, least = others * LEAST;

	for (size_t i = 0; i < t->nitems; i++)
		if (t->items[i].serial >= t->next)
			early++;
	if (least < t->cost_early)
		least = t->cost_early;
	if (t->cost_next + least + cost > t->offered)
		return VERDICT_FAULT;
	if (t->cost_next + t->cost_early + (others - early) * LEAST + cost <=
	    t->offered)
		return VERDICT_FINE;
	return VERDICT_EITHER;
}

static enum verdict
judge_data(const struct track *t, const struct frame *f)
{
	uint64_t serial;

	if (!unwrap(t->next, f->header.serial, &serial))
		return VERDICT_FINE;
	if (t->fin_seen && serial >= t->fin_serial)
		return VERDICT_FAULT;
	if (serial < t->next || item_find(t, serial) != NULL)
		return VERDICT_FINE;
	return judge_window(t, serial, f->header.size + WIRE_COST);
}

static enum verdict
judge_fin(const struct track *t, const struct frame *f)
{
	uint64_t serial;

	if (!unwrap(t->next, f->header.serial, &serial))
		return VERDICT_FAULT;
	if (t->fin_seen)
		return serial == t->fin_serial ? VERDICT_FINE : VERDICT_FAULT;
	if (serial < t->next || serial < t->end)
		return VERDICT_FAULT;
	return serial == t->next ? VERDICT_FINE : judge_window(t, serial, 0);
}

/* Whatever the relay says of a session proves that OPEN was taken. */
static uint64_t
acked_by(const struct world *w, const struct track *t)
{
	return w->options.proxy && t->acked == 0 ? 1 : t->acked;
}

static enum verdict
judge_ack(const struct world *w, const struct track *t, const struct frame *f)
{
	uint64_t next;

	if (!unwrap(acked_by(w, t), f->header.serial, &next))
		return VERDICT_FINE;
	return next > t->sent ? VERDICT_FAULT : VERDICT_FINE;
}

/* Of an OPEN: as we would send it; 0: it is wrong. */
static size_t
normalize(const struct frame *f, uint8_t body[static WIRE_OPEN_MAX])
{
	struct wire_open open;

	if (wire_get_open(f->body, f->header.size, &open) != WIRE_OK)
		return 0;
	return wire_put_open(body, &open);
}

static enum verdict
judge_open(const struct world *w, const struct track *t, const struct frame *f)
{
	uint8_t body[WIRE_OPEN_MAX];
	size_t n = normalize(f, body);

	if (t == NULL || t->life == LIFE_GONE)	/* it would be a new one */
		return n > 0 || w->options.proxy ||
		    is_seen(w, f->header.connection) ? VERDICT_FINE :
		    VERDICT_FAULT;
	return !w->options.proxy && n == t->open_len &&
	    memcmp(body, t->open, n) == 0 ? VERDICT_FINE : VERDICT_FAULT;
}

enum verdict
model_judge(struct world *w, const struct frame *f)
{
	const struct track *t = track_find(w, f->header.connection);

	w->sessions_before = group_sessions(w->group);
	w->level_before = budget_level(&w->budgets[0]);
	if (t != NULL && t->life == LIFE_UNSURE)
		return VERDICT_UNKNOWN;
	if (t != NULL && t->life == LIFE_RESETTING)
		return VERDICT_FINE;
	if (f->header.type == WIRE_OPEN)
		return judge_open(w, t, f);
	if (t == NULL || t->life == LIFE_GONE)
		return VERDICT_FINE;
	switch (f->header.type) {
	case WIRE_DATA:
		return judge_data(t, f);
	case WIRE_FIN:
		return judge_fin(t, f);
	case WIRE_ACK:
		return judge_ack(w, t, f);
	case WIRE_OPENED:
		return wire_get_opened(f->body, f->header.size) == WIRE_OK ?
		    VERDICT_FINE : VERDICT_FAULT;
	}
	return VERDICT_FINE;
}

/* ---- and what comes of it ---- */

static void
advance(struct track *t)
{
	const struct item *i;

	while ((i = item_find(t, t->next)) != NULL) {
		t->cost_early -= i->len + WIRE_COST;
		t->cost_next += i->len + WIRE_COST;
		t->ready += i->len;
		t->next++;
	}
}

/* Nobody takes it, so it is dropped. */
static void
discard_ready(struct track *t)
{
	if (t->discard)
		model_consume(t, t->ready - t->taken);
}

static void
say_data(struct track *t, const struct frame *f)
{
	size_t len = f->header.size;
	uint64_t serial;

	if (!unwrap(t->next, f->header.serial, &serial) || serial < t->next ||
	    item_find(t, serial) != NULL)
		return;
	struct item *i = &t->items[t->nitems++];
	*i = (struct item){ serial, len, malloc(len) };
	assert(i->bytes != NULL);
	memcpy(i->bytes, f->body, len);
	t->cost_early += len + WIRE_COST;
	if (serial >= t->end)
		t->end = serial + 1;
	advance(t);
	discard_ready(t);
}

static void
say_fin(struct track *t, const struct frame *f)
{
	if (t->fin_seen)
		return;
	t->fin_seen = true;
	t->fin_code = wire_body_u8(f->body);
	(void)unwrap(t->next, f->header.serial, &t->fin_serial);
}

static void
say_ack(struct track *t, const struct frame *f)
{
	uint64_t next, edge = wire_body_u32(f->body);

	if (!unwrap(t->acked, f->header.serial, &next) || next < t->acked)
		return;
	t->acked = next;
	if (next > 0)
		edge += t->cost_end[next - 1];
	if (edge > t->edge)
		t->edge = edge;
}

static void
say_reset(struct track *t, uint8_t code)
{
	bool sent = t->fin_sent && t->read_ended;

	if (code != WIRE_CODE_UNKNOWN || !fin_taken(t) || !sent)
		abort_local(t, code);
	t->life = LIFE_GONE;
}

/* For a number that is not live. */
static void
say_unknown(struct world *w, int link, const struct frame *f)
{
	uint32_t number = f->header.connection;
	bool proxy = w->options.proxy;

	switch (f->header.type) {
	case WIRE_OPEN:
		if (!proxy && !is_seen(w, number))
			break;		/* which the caller handles */
		/* FALLTHROUGH */
	case WIRE_DATA:
	case WIRE_FIN:
	case WIRE_ASK:
		expect_stray(w, number, link, true);
		break;
	case WIRE_RESET:
		if (!proxy)
			mark_seen(w, number);
		if (wire_body_u8(f->body) != WIRE_CODE_UNKNOWN)
			expect_stray(w, number, link, true);
		break;
	}
}

/* The new session, if the relay has one. */
static struct session *
fresh_session(struct world *w, uint32_t number)
{
	struct session *s;

	while ((s = group_ready(w->group)) != NULL)
		if (session_user(s) == NULL) {
			assert(session_number(s) == number);
			assert(session_state(s) == SESSION_OPEN);
			return s;
		}
	return NULL;
}

/* Relay: the number has not been seen before. */
static void
say_open(struct world *w, int link, const struct frame *f, bool fault)
{
	const uint32_t number = f->header.connection;
	const uint32_t most = w->options.max_sessions;
	bool full = w->sessions_before >= most ||
	    w->level_before >= BUDGET_CLOSED;
	struct session *s = fresh_session(w, number);

	mark_seen(w, number);
	assert((s != NULL) == (!fault && !full));
	if (s == NULL && (w->sessions_before >= 2 * (size_t)most ||
	    w->level_before >= BUDGET_OVER)) {
		expect_stray(w, number, link, true);
		return;
	}
	struct track *t = track_add(w);
	assert(t != NULL);
	t->number = number;
	t->life = LIFE_LIVE;
	t->session = s;
	if (s != NULL) {
		session_set_user(s, t);
		t->open_len = normalize(f, t->open);
		owe_ack(t, w->now);
		return;
	}
	t->life = LIFE_RESETTING;
	abort_local(t, fault ? WIRE_CODE_PROTOCOL : WIRE_CODE_RESOURCES);
}

static void
say_live(struct world *w, struct track *t, int link, const struct frame *f,
    bool fault)
{
	t->acked = acked_by(w, t);
	if (fault) {
		abort_local(t, WIRE_CODE_PROTOCOL);
		t->life = LIFE_RESETTING;
		return;
	}
	switch (f->header.type) {
	case WIRE_DATA:
		say_data(t, f);
		owe_ack(t, w->now + ACK_US);
		break;
	case WIRE_FIN:
		say_fin(t, f);
		owe_ack(t, w->now + ACK_US);
		break;
	case WIRE_OPEN:
		owe_ack(t, w->now);
		break;
	case WIRE_ACK:
		say_ack(t, f);
		break;
	case WIRE_RESET:
		say_reset(t, wire_body_u8(f->body));
		return;
	case WIRE_ASK:
		t->asked |= 1u << link;
		break;
	}
	look_done(t);
}

/* Perhaps the number is still live, perhaps not. */
static void
say_unsure(struct world *w, int link, const struct frame *f)
{
	switch (f->header.type) {
	case WIRE_OPEN:
	case WIRE_DATA:
	case WIRE_FIN:
	case WIRE_ASK:
		expect_stray(w, f->header.connection, link, false);
	}
}

static void
say_of_session(struct world *w, int link, const struct frame *f, bool fault)
{
	const struct wire_header *h = &f->header;
	struct track *t = track_find(w, h->connection);

	if (t == NULL || t->life == LIFE_GONE) {
		if (h->type == WIRE_OPEN && !w->options.proxy &&
		    !is_seen(w, h->connection))
			say_open(w, link, f, fault);
		else
			say_unknown(w, link, f);
		return;
	}
	if (h->type == WIRE_RESET && wire_body_u8(f->body) != WIRE_CODE_UNKNOWN)
		expect_stray(w, h->connection, link, true);
	if (t->life == LIFE_LIVE)
		say_live(w, t, link, f, fault);
	else if (t->life == LIFE_UNSURE)
		say_unsure(w, link, f);
	else if (h->type == WIRE_RESET)
		t->life = LIFE_GONE;
}

void
model_say(struct world *w, int link, const struct frame *f, bool fault)
{
	if (f->header.type == WIRE_PING) {
		w->links[link].pinged = true;
		w->links[link].opaque = wire_body_u64(f->body);
	} else if (f->header.type < WIRE_NTYPES && f->header.connection != 0) {
		say_of_session(w, link, f, fault);
	}
}

/* ---- the local side ---- */

void
model_read_end(struct track *t, uint8_t code)
{
	t->read_ended = true;
	t->read_code = code;
	if (code != WIRE_CODE_OK)
		t->discard = true;
	discard_ready(t);
	look_done(t);
}

void
model_abort(struct track *t, uint8_t code)
{
	if (t->aborted || t->life == LIFE_UNSURE)
		return;
	abort_local(t, code);
	t->life = t->life == LIFE_LIVE ? LIFE_RESETTING : LIFE_GONE;
}

void
model_release(struct track *t)
{
	bool open = !fin_taken(t) || t->taken < t->ready;

	t->session = NULL;
	if ((t->life == LIFE_WAITING || t->life == LIFE_LIVE) &&
	    !t->discard && (!t->read_ended || open))
		model_abort(t, WIRE_CODE_OK);
}

const struct item *
model_item(const struct track *t, size_t i)
{
	return t->head + i < t->next && !t->aborted ?
	    item_find(t, t->head + i) : NULL;
}

void
model_consume(struct track *t, size_t len)
{
	t->taken += len;
	while (len > 0) {
		size_t at = 0;

		while (t->items[at].serial != t->head)
			at++;
		if (len < t->items[at].len - t->head_used) {
			t->head_used += len;
			return;
		}
		len -= t->items[at].len - t->head_used;
		t->head_used = 0;
		t->head++;
		free(t->items[at].bytes);
		t->items[at] = t->items[--t->nitems];
	}
}

void
model_shed(struct world *w)
{
	for (size_t i = 0; i < w->ntracks; i++) {
		struct track *t = &w->tracks[i];

		if (t->session == NULL && t->life == LIFE_LIVE)
			t->life = LIFE_UNSURE;
		else if (t->session != NULL &&
		    session_state(t->session) == SESSION_ABORT)
			model_abort(t, WIRE_CODE_RESOURCES);
	}
}

void
model_check(const struct track *t)
{
	const struct session *s = t->session;
	enum session_state state;

	if (s == NULL || t->life == LIFE_UNSURE)
		return;
	state = session_state(s);
	assert(session_number(s) == t->number && session_user(s) == t);
	assert(session_bytes_in(s) == t->taken);
	assert(session_bytes_out(s) == t->given);
	if (t->aborted)
		assert(state == SESSION_ABORT && session_code(s) == t->code);
	else if (!fin_taken(t) || t->taken < t->ready)
		assert(state == SESSION_OPEN);
	else if (t->fin_code == WIRE_CODE_OK)
		assert(state == SESSION_END);
	else
		assert(state == SESSION_RESET &&
		    session_code(s) == t->fin_code);
}
