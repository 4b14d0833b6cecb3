/* SPDX-License-Identifier: ISC */
/*
 * A group whose peer holds a key and keeps to no rule.  The input says what the
 * peer sends (frames with fields near what would be right, and plain bytes),
 * what the local ends do, and when the group may write.  Whatever comes, the
 * group does not crash, finds wrong exactly what is wrong, at the cost of the
 * session (RESET 6) or, if it is no frame, of the subflow; sends what a group
 * may send; delivers what was accepted; and holds no more than it promised.
 */
#include "fuzz_hostile_group.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "input.h"

#define SPANS 8
#define GIVE_MAX (1u << 20)	/* that one input writes, in all */
#define START UINT64_C(1000000)
#define AHEAD (128u << 10)	/* read ahead of the subflows */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct world world;

/* ---- begin ---- */

static void
attach(struct world *w, int link)
{
	static const uint8_t slots[LINKS] = { 0, 1, WIRE_SLOT_BULK,
		WIRE_SLOT_BULK + 1 };
	struct link *l = &w->links[link];
	int replaced;

	l->slot = slots[link];
	l->npending = 0;
	l->pinged = false;
	l->number = group_attach(w->group, l->path, l->slot, w->now,
	    &replaced);
	assert(l->number >= 0 && replaced < 0);
}

static void
begin(struct world *w, struct cursor *in)
{
	static const uint32_t windows[] = { 200, 16448, 16448, 65536 };
	static const uint32_t growth[] = { 0, 16384, 262144, 1 << 20 };
	static const uint32_t memory[] = { 100 << 10, 400 << 10, 2 << 20,
		64 << 20 };
	static const uint32_t sessions[] = { 3, 16, 64, 65536 };
	static const uint32_t peers[] = { 0, 1000, 65536, UINT32_MAX };
	struct group_options *o = &w->options;
	uint8_t a = input_u8(in), b = input_u8(in);

	w->now = START;
	w->nseen = w->nstrays = 0;
	w->opened = 0;
	w->room = GIVE_MAX;
	budget_init(&w->budgets[1], memory[b & 3]);
	budget_init_part(&w->budgets[0], b & 0x80 ? memory[b >> 5 & 3] : 0,
	    &w->budgets[1]);
	o->proxy = b >> 2 & 1;
	o->initial_window = windows[a & 3];
	o->start_window = o->initial_window + growth[a >> 2 & 3];
	o->window_max = o->start_window + growth[a >> 4 & 3];
	o->datagram_max = a & 0x40 ? 1436 : WIRE_DATA_MAX;
	o->max_sessions = sessions[b >> 3 & 3];
	o->budget = &w->budgets[0];
	w->peer_window = peers[b >> 5 & 3];
	w->group = group_new(o);
	assert(w->group != NULL);
	group_peer_window(w->group, w->peer_window);
	for (int i = 0; i < LINKS; i++) {
		w->links[i].number = DOWN;
		w->links[i].path = 0;
		if (i != 1)
			attach(w, i);
	}
}

/* ---- what always holds ---- */

/*
 * What is offered: half of the memory, and to each session a datagram or its
 * initial window.  What is held: what was read while memory was easy, a little
 * more for each session since then, and what was offered, with what remains of
 * the rings that it needed.  And each session reads no more than a window ahead
 * of its peer, whatever that offers.
 */
static void
check_memory(const struct world *w)
{
	const struct group_options *o = &w->options;
	const struct budget *b = &w->budgets[0];
	uint64_t limit = budget_limit(b);
	uint64_t least = WIRE_DATA_MAX + WIRE_COST;
	uint64_t n = w->ntracks;

	if (least < o->initial_window)
		least = o->initial_window;
	assert(group_sessions(w->group) <= n);
	assert(b->offered_bytes <= limit / 2 +
	    group_sessions(w->group) * least);
	assert(b->held_bytes <= limit / 10 * 6 + 4 * AHEAD +
	    n * (5 * WIRE_DATA_MAX + o->window_max / 4) + b->offered_bytes);
	assert(b->held_bytes <= b->offered_bytes +
	    n * (2 * (o->window_max + 2 * AHEAD) + 5 * WIRE_DATA_MAX));
}

static void
check(const struct world *w)
{
	check_memory(w);
	for (size_t i = 0; i < w->ntracks; i++)
		model_check(&w->tracks[i]);
}

/* ---- links ---- */

static void
lose(struct world *w, int link)
{
	if (w->links[link].number == DOWN)
		return;
	group_detach(w->group, w->links[link].number, w->now);
	w->links[link].number = DOWN;
	model_link_lost(w, link);
}

static size_t
fill(struct world *w, int link, size_t room)
{
	uint8_t *out = w->scratch + ROOM - room;
	struct cursor c = { out, out };
	struct frame f;

	c.end += group_fill(w->group, w->links[link].number, out, room,
	    w->now);
	size_t n = (size_t)(c.end - out);
	assert(n <= room);
	while (frame_next(&c, &f))
		model_hear(w, link, &f);
	assert(c.pos == c.end);
	return n;
}

/* All that it has to say now, and then it is silent. */
static void
empty(struct world *w, int link)
{
	int number = w->links[link].number;

	if (number == DOWN)
		return;
	size_t n;

	while (group_wants(w->group, number, w->now)) {
		n = fill(w, link, ROOM);
		assert(n > 0);
	}
	n = fill(w, link, ROOM);
	assert(n == 0);
	model_quiet(w, link);
}

static void
empty_all(struct world *w)
{
	bool up = false;

	for (int i = 0; i < LINKS; i++) {
		empty(w, i);
		up = up || w->links[i].number != DOWN;
	}
	if (up)
		model_all_quiet(w);
}

/* `len` bytes at the end of the scratch, so that reading past is seen. */
static int
take(struct world *w, int link, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = w->scratch + ROOM - len;

	memcpy(copy, bytes, len);
	return group_take(w->group, w->links[link].number, copy, len, w->now);
}

static void
say(struct world *w, int link, const uint8_t *bytes, const struct frame *f)
{
	const struct metrics *m = group_metrics(w->group);
	uint64_t before = m->protocol_errors;
	size_t len = WIRE_HEADER + (size_t)f->header.size;

	if (!model_follows(w, f))
		return;
	enum verdict verdict = model_judge(w, f);
	int used = take(w, link, bytes, len);
	assert(used == (int)len);
	uint64_t faults = m->protocol_errors - before;
	assert(faults <= 1);
	assert(verdict != VERDICT_FINE || faults == 0);
	assert(verdict != VERDICT_FAULT || faults == 1);
	model_say(w, link, f, faults == 1);
}

/* Bytes of the peer's stream: whole frames as soon as they are whole. */
static void
feed(struct world *w, int link, const uint8_t *bytes, size_t len)
{
	struct link *l = &w->links[link];

	while (len > 0 && l->number != DOWN) {
		size_t part = sizeof(l->pending) - l->npending;

		if (part > len)
			part = len;
		memcpy(l->pending + l->npending, bytes, part);
		l->npending += part;
		bytes += part;
		len -= part;

		struct cursor c = { l->pending, l->pending + l->npending };
		struct frame f;
		for (const uint8_t *at = c.pos; frame_next(&c, &f); at = c.pos)
			say(w, link, at, &f);
		l->npending = (size_t)(c.end - c.pos);
		memmove(l->pending, c.pos, l->npending);

		/* The rest is a part of a frame, or none. */
		struct wire_header h;
		c = (struct cursor){ l->pending, l->pending + l->npending };
		bool bad = wire_get_header(&c, &h) == WIRE_BAD;
		int used = take(w, link, l->pending, l->npending);
		assert(used == (bad ? -EPROTO : 0));
		if (bad)
			lose(w, link);
	}
}

/* ---- what the peer says ---- */

static uint32_t
choose_number(struct cursor *in)
{
	uint8_t b = input_u8(in);

	if (b < 64)
		return b % 16 + 1u;
	if (b < 128)
		return b - 63u;
	if (b < 192)
		return 65536u - 32u + b - 128u;
	return input_u32(in);
}

/* A serial around `near`. */
static uint32_t
choose_serial(struct cursor *in, uint64_t near)
{
	uint8_t b = input_u8(in);

	if (b < 128)
		return (uint32_t)near;
	if (b < 224)
		return (uint32_t)near + (b - 144u);
	return input_u32(in);
}

static uint32_t
choose_window(struct cursor *in)
{
	static const uint32_t windows[] = { 0, 64, 65, 1000, 16448, 65536,
		1 << 20, UINT32_MAX };

	return windows[input_u8(in) % 8];
}

static size_t
make_open(uint8_t *out, uint32_t number, uint8_t how)
{
	struct wire_open open = {
		.destination = { .family = 4, .ip = { 192, 0, 2, 1 },
		    .port = (uint16_t)(number + how / 16) },
		.dscp = how & 8 ? 46 : -1,
	};
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_header h = { .type = WIRE_OPEN, .connection = number };

	h.size = (uint16_t)wire_put_open(body, &open);
	if (how % 8 == 7)
		h.size -= 1u;
	wire_put_header(out, &h);
	memcpy(out + WIRE_HEADER, body, h.size);
	return WIRE_HEADER + h.size;
}

static size_t
make_body(uint8_t *out, const struct wire_header *h, const uint8_t *body)
{
	wire_put_header(out, h);
	memcpy(out + WIRE_HEADER, body, h->size);
	return WIRE_HEADER + (size_t)h->size;
}

static void
send_frame(struct world *w, int link, uint8_t type, struct cursor *in)
{
	uint8_t out[WIRE_HEADER + WIRE_SIZE_MAX];
	struct wire_header h = { .type = type };
	uint32_t number = choose_number(in);
	const struct track *t = track_find(w, number);
	uint64_t next = t != NULL ? t->next : 1, sent = t != NULL ? t->sent : 1;
	size_t n = 0;

	switch (type) {
	case WIRE_DATA:
		h.connection = number;
		h.serial = choose_serial(in, next);
		h.size = (uint16_t)(input_u16(in) % WIRE_DATA_MAX + 1u);
		n = make_body(out, &h, content(number & 0xff, h.serial));
		break;
	case WIRE_OPEN:
		n = make_open(out, number, input_u8(in));
		break;
	case WIRE_FIN:
		next = choose_serial(in, next);
		n = wire_put_fin(out, number, (uint32_t)next, input_u8(in));
		break;
	case WIRE_ACK:
		sent = choose_serial(in, sent);
		n = wire_put_ack(out, number, (uint32_t)sent,
		    choose_window(in));
		break;
	case WIRE_RESET:
		n = wire_put_reset(out, number, input_u8(in) % 16);
		break;
	case WIRE_OPENED:
		h.connection = number;
		h.size = input_u8(in) % 8;
		if (h.size > in->end - in->pos)
			h.size = 0;
		n = make_body(out, &h, in->pos);
		break;
	case WIRE_PING:
	case WIRE_PONG:
		n = wire_put_ping(out, type == WIRE_PONG, w->now - number);
		break;
	case WIRE_DRAIN:
		n = wire_put_drain(out);
		break;
	case WIRE_FEATURES:
	case WIRE_PATH:
	case WIRE_LOST:
		h = (struct wire_header){ .type = type,
			.size = input_u8(in) & 7,
			.connection = input_u8(in) == 0 };
		if (h.size > in->end - in->pos)
			h.size = 0;
		n = make_body(out, &h, in->pos);
		break;
	case WIRE_ASK:
		n = wire_put_ask(out, number, (uint32_t)sent);
		break;
	default:
		h = (struct wire_header){ .type = type, .connection = number,
			.size = input_u8(in) };
		n = make_body(out, &h, content(0, 0));
		break;
	}
	feed(w, link, out, n);
}

static void
send_bytes(struct world *w, int link, struct cursor *in)
{
	size_t len = input_u8(in), left = (size_t)(in->end - in->pos);

	if (len > left)
		len = left;
	feed(w, link, in->pos, len);
	in->pos += len;
}

/* ---- what the local ends do ---- */

static void
open_session(struct world *w)
{
	struct session *s;
	struct wire_open open = {
		.destination = { .family = 6, .ip = { 0x20, 1 },
		    .port = (uint16_t)(w->ntracks + 1) },
		.dscp = -1,
	};

	if (!w->options.proxy || w->ntracks == TRACKS ||
	    group_open(w->group, &open, w->now, &s) != 0)
		return;
	struct track *t = track_add(w);
	t->session = s;
	t->life = LIFE_WAITING;
	t->open_len = wire_put_open(t->open, &open);
	session_set_user(s, t);
}

static void
give(struct world *w, struct track *t, size_t len)
{
	struct span spans[SPANS];
	size_t put = 0;

	if (t->read_ended || t->sent + 64 > SERIALS)
		return;
	if (len > w->room)
		len = w->room;
	int n = session_read_room(t->session, spans, 4);
	assert(n == 0 || !t->aborted);
	for (int i = 0; i < n && len > 0; i++) {
		size_t part = spans[i].len < len ? spans[i].len : len;

		memcpy(spans[i].base, content(t->key, t->given + put), part);
		put += part;
		len -= part;
	}
	if (put == 0)
		return;
	int error = session_read(t->session, put, w->now);
	assert(error == 0);
	t->given += put;
	w->room -= put;
}

static void
take_local(struct world *w, struct track *t, size_t len)
{
	struct span spans[SPANS];
	size_t used = t->head_used, total = 0;
	int n = session_peek(t->session, spans, SPANS);

	if (t->life == LIFE_UNSURE && n == 0)
		return;
	assert(n == SPANS || model_item(t, (size_t)n) == NULL);
	for (int i = 0; i < n; i++, used = 0) {
		const struct item *item = model_item(t, (size_t)i);

		assert(item != NULL && spans[i].len == item->len - used);
		assert(memcmp(spans[i].base, item->bytes + used,
		    spans[i].len) == 0);
		total += spans[i].len;
	}
	if (len > total)
		len = total;
	session_consume(t->session, len, w->now);
	model_consume(t, len);
}

static void
operate_end(struct world *w, uint8_t op, uint8_t which, struct cursor *in)
{
	struct track *t = &w->tracks[which % 16];
	uint8_t code;

	if (which % 16u >= w->ntracks || t->session == NULL)
		return;
	switch (op) {
	case 1:
		give(w, t, input_u16(in));
		break;
	case 2:
		take_local(w, t, which & 0x80 ? SIZE_MAX : input_u16(in));
		break;
	case 3:
		if (t->read_ended || t->aborted)
			break;
		code = which & 0x80 ? WIRE_CODE_RESET : WIRE_CODE_OK;
		session_read_end(t->session, code, w->now);
		model_read_end(t, code);
		break;
	case 4:
		code = (which >> 4) % WIRE_CODE_UNKNOWN;
		session_abort(t->session, code, w->now);
		model_abort(t, code);
		break;
	case 5:
		session_release(t->session, w->now);
		model_release(t);
		break;
	case 6:
		if (!w->options.proxy)
			session_opened(t->session);
		break;
	}
}

/* ---- */

static void
pass(struct world *w, uint64_t us)
{
	w->now += us;
	group_tick(w->group, w->now);
}

static void
operate(struct world *w, struct cursor *in)
{
	uint8_t op = input_u8(in), which = input_u8(in);
	int link = which % LINKS;

	switch (op % 32) {
	case 0:
		open_session(w);
		break;
	case 7:
		if (w->links[link].number != DOWN)
			fill(w, link, 1500 + which / LINKS * 256u);
		break;
	case 8:
		if (w->links[link].number == DOWN)
			attach(w, link);
		else
			lose(w, link);
		break;
	case 9:
		pass(w, (which & 63) * (UINT64_C(300) << 4 * (which >> 6)));
		break;
	case 10:
		empty(w, link);
		break;
	case 11:
		empty_all(w);
		break;
	case 12:
		send_bytes(w, link, in);
		break;
	case 13:
		send_frame(w, link, which, in);
		break;
	case 14:
		send_frame(w, link, WIRE_OPEN, in);
		break;
	case 15:
		send_frame(w, link, WIRE_DATA, in);
		break;
	default:
		if (op % 32 < 7)
			operate_end(w, op % 32, which, in);
		else
			send_frame(w, link, op % 32 % WIRE_NTYPES, in);
	}
}

static void
shed(struct world *w)
{
	bool some = false;

	while (budget_level(&w->budgets[0]) == BUDGET_OVER &&
	    budget_yields(&w->budgets[0]) &&
	    group_shed(w->group, w->now))
		some = true;
	if (some)
		model_shed(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = { data, data + len };
	struct world *w = &world;

	if (w->scratch == NULL)
		w->scratch = malloc(ROOM);
	assert(w->scratch != NULL);
	begin(w, &in);
	while (in.pos < in.end) {
		operate(w, &in);
		shed(w);
		check(w);
	}
	empty_all(w);
	group_free(w->group);
	tracks_clear(w);
	budget_end(&w->budgets[0]);
	budget_end(&w->budgets[1]);
	return 0;
}
