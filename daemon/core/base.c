/* SPDX-License-Identifier: ISC */
/*
 * 16 bits of serial and no acknowledgement: three things follow.
 *
 * The serials on one subflow only grow, so each is read as the next such number
 * above the last one on the same subflow.  That is right as long as a sender
 * gives every subflow something before 65,536 others have gone by; ours does so
 * within LAG_MAX, and if the one that is behind cannot take anything, all wait
 * for it.  (Reading a serial as the nearest one to what is expected next is
 * wrong: the kernels between hold more than 32,768 small datagrams easily.)
 *
 * What is outstanding is what the kernels say.  Each subflow remembers where in
 * its bytes each of its datagrams ended; those beyond what was acknowledged may
 * not have arrived.  Range counts, not number: one that is old holds up all
 * after it.  Long before the limit small writes are gathered, which costs
 * nothing where bytes are the limit, and makes the same bytes far fewer
 * datagrams where datagrams are.
 *
 * There is no window, so a receiver that has no memory left can only stop to
 * read.  If it stops all subflows it may never see the datagram that it waits
 * for.  So each is read until its next datagram is one that has to wait, and
 * that one stays in its kernel, all but its header.  The datagram that is due
 * is the first unread one of its subflow, since all before it there were due
 * before; so it is always within reach, and it is taken whatever the limit is,
 * unless the local side is what everything waits for.
 *
 * The end is the FIN of all subflows.  When every subflow that is still open
 * has shown a serial above the missing one, nobody can bring that any more: it
 * was lost with a subflow that ended too early.
 */
#include "base.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reorder.h"

#define FIRST_SERIAL 1
#define JOIN_MAX (1u << 15)	/* sent before the last subflow has joined */
#define LAG_MAX ((1u << 15) - BASE_SUBFLOWS)
#define GATHER_FROM (BASE_OUTSTANDING / 4)
#define GATHER_BYTES 1448	/* fills a packet: not small */

#define UNSENT_MAX (128u << 10)	/* read ahead of the subflows */
#define UNSENT_TIGHT (16u << 10)
#define UNSENT_KEEP 4096u	/* an idle session keeps no more memory */

#define READY_MAX (256u << 10)	/* waits for the local side: enough */
#define CHUNK_COST 64		/* of an early datagram beyond its bytes */
#define SLOT_COST sizeof(void *)

/* A datagram that may not have arrived: it ends `end` bytes from the start of
 * what its subflow was given. */
struct sent {
	uint64_t serial, end;
};

struct subflow {
	/* Out. */
	uint64_t given;			/* bytes */
	uint64_t last_sent;		/* serial */
	struct sent *ring;		/* outstanding, oldest first */
	size_t ring_size, ring_start, ring_used;
	/* In. */
	uint64_t last_taken;		/* serial */
	uint64_t shown;			/* the highest that was seen */
	bool ended;
};

struct base {
	struct base_options options;
	bool settled;
	int count;
	struct subflow subflows[BASE_SUBFLOWS];

	/* Out: unsent bytes [start, end). */
	uint8_t *unsent;
	size_t unsent_room, start, end;
	bool given_end;
	uint64_t next_serial;
	bool starved;			/* no memory to remember one more */
	uint64_t bytes_out;

	struct reorder in;
};

struct base *
base_new(const struct base_options *o)
{
	struct base *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->options = *o;
	b->next_serial = FIRST_SERIAL;
	reorder_init(&b->in, FIRST_SERIAL, o->budget);
	return b;
}

static size_t
unsent_bytes(const struct base *b)
{
	return b->end - b->start;
}

static void
free_unsent(struct base *b)
{
	budget_hold(b->options.budget, -(int64_t)b->unsent_room);
	free(b->unsent);
	b->unsent = NULL;
	b->unsent_room = 0;
}

void
base_free(struct base *b)
{
	if (b == NULL)
		return;
	for (int i = 0; i < b->count; i++) {
		struct subflow *sf = &b->subflows[i];

		budget_hold(b->options.budget,
		    -(int64_t)(sf->ring_size * sizeof(*sf->ring)));
		free(sf->ring);
	}
	free_unsent(b);
	reorder_clear(&b->in);
	free(b);
}

/* ---- subflows ---- */

int
base_joinable(const struct base *b)
{
	if (b->count == BASE_SUBFLOWS)
		return -ENOSPC;
	if (b->settled || b->next_serial > JOIN_MAX ||
	    (b->count > 0 && base_state(b) != BASE_OPEN))
		return -ETIME;
	return 0;
}

int
base_join(struct base *b)
{
	assert(base_joinable(b) == 0);
	return b->count++;
}

void
base_settle(struct base *b)
{
	b->settled = true;
}

/* ---- bytes from the local side ---- */

size_t
base_room(const struct base *b)
{
	size_t max = budget_level(b->options.budget) == BUDGET_EASY ?
	    UNSENT_MAX : UNSENT_TIGHT;

	if (b->given_end || unsent_bytes(b) >= max)
		return 0;
	return max - unsent_bytes(b);
}

/* Room for `len` bytes behind the others. */
static bool
make_room(struct base *b, size_t len)
{
	size_t used = unsent_bytes(b), room = b->unsent_room;

	if (room - b->end >= len)
		return true;
	if (b->start > 0) {
		memmove(b->unsent, b->unsent + b->start, used);
		b->start = 0;
		b->end = used;
	}
	if (room == 0)
		room = UNSENT_KEEP;
	while (room - used < len)
		room *= 2;
	if (room == b->unsent_room)
		return true;
	uint8_t *bytes = realloc(b->unsent, room);
	if (bytes == NULL)
		return false;
	budget_hold(b->options.budget, (int64_t)(room - b->unsent_room));
	b->unsent = bytes;
	b->unsent_room = room;
	return true;
}

int
base_give(struct base *b, const uint8_t *bytes, size_t len)
{
	assert(!b->given_end);
	if (len == 0)
		return 0;
	if (!make_room(b, len))
		return -ENOMEM;
	memcpy(b->unsent + b->end, bytes, len);
	b->end += len;
	b->bytes_out += len;
	return 0;
}

void
base_give_end(struct base *b)
{
	b->given_end = true;
}

bool
base_sent(const struct base *b)
{
	return unsent_bytes(b) == 0;
}

bool
base_flushed(const struct base *b)
{
	return b->given_end && base_sent(b) &&
	    (b->settled || !b->options.proxy);
}

/* ---- what is outstanding ---- */

static struct sent *
oldest(const struct subflow *sf)
{
	return &sf->ring[sf->ring_start & (sf->ring_size - 1)];
}

void
base_acked(struct base *b, int subflow, size_t unacked)
{
	struct subflow *sf = &b->subflows[subflow];
	uint64_t acked = unacked < sf->given ? sf->given - unacked : 0;

	while (sf->ring_used > 0 && oldest(sf)->end <= acked) {
		sf->ring_start++;
		sf->ring_used--;
	}
}

uint64_t
base_outstanding(const struct base *b)
{
	uint64_t first = b->next_serial;

	for (int i = 0; i < b->count; i++) {
		const struct subflow *sf = &b->subflows[i];

		if (sf->ring_used > 0 && oldest(sf)->serial < first)
			first = oldest(sf)->serial;
	}
	return b->next_serial - first;
}

/* Room to remember one more. */
static bool
ring_grow(struct base *b, struct subflow *sf)
{
	size_t size = sf->ring_size > 0 ? 2 * sf->ring_size : 16;

	if (sf->ring_used < sf->ring_size)
		return true;
	struct sent *ring = malloc(size * sizeof(*ring));
	if (ring == NULL)
		return false;
	for (size_t i = 0; i < sf->ring_used; i++)
		ring[i] = sf->ring[(sf->ring_start + i) & (sf->ring_size - 1)];
	budget_hold(b->options.budget,
	    (int64_t)((size - sf->ring_size) * sizeof(*ring)));
	free(sf->ring);
	sf->ring = ring;
	sf->ring_size = size;
	sf->ring_start = 0;
	return true;
}

/* ---- sending ---- */

/* Are there bytes, and may they leave but for what is outstanding? */
static bool
has_unsent(const struct base *b)
{
	return unsent_bytes(b) > 0 && (b->settled || !b->options.proxy);
}

static bool
held_back(const struct base *b)
{
	uint64_t outstanding = base_outstanding(b);

	if (outstanding >= BASE_OUTSTANDING - 1)
		return true;
	return outstanding >= GATHER_FROM && !b->given_end &&
	    unsent_bytes(b) < GATHER_BYTES;
}

bool
base_waits(const struct base *b)
{
	return has_unsent(b) && (b->starved || held_back(b));
}

/* Is no other subflow so far behind that it has to be next? */
static bool
has_turn(const struct base *b, int subflow)
{
	int last = subflow;

	for (int i = 0; i < b->count; i++)
		if (b->subflows[i].last_sent < b->subflows[last].last_sent)
			last = i;
	return last == subflow ||
	    b->next_serial - b->subflows[last].last_sent < LAG_MAX;
}

static void
remember(struct subflow *sf, uint64_t serial, size_t bytes)
{
	sf->given += bytes;
	sf->last_sent = serial;
	sf->ring[(sf->ring_start + sf->ring_used++) & (sf->ring_size - 1)] =
	    (struct sent){ .serial = serial, .end = sf->given };
}

static void
consume_unsent(struct base *b, size_t len)
{
	b->start += len;
	if (b->start < b->end)
		return;
	b->start = b->end = 0;
	if (b->unsent_room > UNSENT_KEEP)
		free_unsent(b);
}

size_t
base_fill(struct base *b, int subflow, uint8_t *out, size_t room)
{
	struct subflow *sf = &b->subflows[subflow];
	size_t len = unsent_bytes(b);

	assert(subflow < b->count && room > WIRE_BASE_HEADER);
	if (!has_unsent(b) || held_back(b) || !has_turn(b, subflow))
		return 0;
	b->starved = !ring_grow(b, sf);
	if (b->starved)
		return 0;
	if (len > b->options.datagram_max)
		len = b->options.datagram_max;
	if (len > room - WIRE_BASE_HEADER)
		len = room - WIRE_BASE_HEADER;
	wire_put_base(out, (uint16_t)b->next_serial, (uint16_t)len);
	memcpy(out + WIRE_BASE_HEADER, b->unsent + b->start, len);
	remember(sf, b->next_serial++, WIRE_BASE_HEADER + len);
	consume_unsent(b, len);
	return WIRE_BASE_HEADER + len;
}

/* ---- receiving ---- */

/* The next number above the subflow's last one that looks like this. */
static uint64_t
unwrap(const struct subflow *sf, uint16_t serial)
{
	uint16_t step = (uint16_t)(serial - (uint16_t)sf->last_taken);

	return sf->last_taken + (step != 0 ? step : UINT64_C(1) << 16);
}

/* How much may be held.  A share of what all have left of half of the budget,
 * so that those who hold most are the first who get nothing more. */
static uint64_t
limit_now(const struct base *b)
{
	const struct budget *all = b->options.budget;
	uint64_t half = all->limit_bytes / 2;
	uint64_t share = all->held_bytes < half ?
	    (half - all->held_bytes) / 4 : 0;

	return share < b->options.limit_bytes ? share : b->options.limit_bytes;
}

/* Memory in use with this datagram, at most. */
static uint64_t
held_with(const struct base *b, uint64_t serial, size_t size)
{
	const struct reorder *r = &b->in;
	uint64_t slots = r->ring_size;

	if (serial - r->head >= slots)
		slots = 2 * (serial - r->head + 1);
	return r->held + (slots - r->ring_size) * SLOT_COST + size +
	    CHUNK_COST;
}

static bool
may_take(const struct base *b, uint64_t serial, size_t size)
{
	if (b->in.ready_bytes >= READY_MAX)
		return false;
	if (serial <= b->in.next && b->in.ready_bytes == 0)
		return true;
	if (serial < b->in.head)
		return true;	/* to be found wrong */
	return held_with(b, serial, size) <= limit_now(b);
}

size_t
base_want(const struct base *b, int subflow, const uint8_t *have, size_t len)
{
	const struct subflow *sf = &b->subflows[subflow];
	struct cursor c = { have, have + len };
	uint64_t limit = limit_now(b), held = b->in.held;
	size_t room = limit > held ? (size_t)(limit - held) : 0;
	size_t missing;
	uint16_t serial, size;

	if (sf->ended || b->in.ready_bytes >= READY_MAX)
		return 0;
	switch (wire_get_base(&c, &serial, &size)) {
	case WIRE_MORE:
		missing = WIRE_BASE_HEADER - len;
		break;
	case WIRE_OK:
		if (!may_take(b, unwrap(sf, serial), size))
			return 0;
		missing = WIRE_BASE_HEADER + (size_t)size;
		missing = missing > len ? missing - len : 0;
		break;
	default:
		return 0;
	}
	return room > missing ? room : missing;
}

/* One datagram; false: it has to wait. */
static bool
take_one(struct base *b, struct subflow *sf, struct cursor *in, int *error)
{
	struct cursor c = *in;
	uint16_t serial16, size;
	uint64_t serial;

	switch (wire_get_base(&c, &serial16, &size)) {
	case WIRE_MORE:
		return false;
	case WIRE_OK:
		break;
	default:
		*error = -EPROTO;
		return false;
	}
	serial = unwrap(sf, serial16);
	sf->shown = serial;
	if (c.end - c.pos < size || !may_take(b, serial, size))
		return false;
	switch (reorder_put(&b->in, serial, c.pos, size, UINT64_MAX / 2)) {
	case REORDER_STORED:
	case REORDER_EARLY:
		break;
	case REORDER_NOMEM:
		*error = -ENOMEM;
		return false;
	default:
		*error = -EPROTO;
		return false;
	}
	sf->last_taken = serial;
	in->pos = c.pos + size;
	return true;
}

int
base_take(struct base *b, int subflow, const uint8_t *bytes, size_t len)
{
	struct subflow *sf = &b->subflows[subflow];
	struct cursor in = { bytes, bytes + len };
	int error = 0;

	assert(subflow < b->count && !sf->ended);
	while (take_one(b, sf, &in, &error))
		;
	return error != 0 ? error : (int)(in.pos - bytes);
}

int
base_take_end(struct base *b, int subflow, size_t left)
{
	b->subflows[subflow].ended = true;
	return left > 0 ? -EPROTO : 0;
}

int
base_peek(const struct base *b, struct span spans[], int n)
{
	return reorder_peek(&b->in, spans, n);
}

void
base_consume(struct base *b, size_t len)
{
	reorder_consume(&b->in, len);
}

enum base_state
base_state(const struct base *b)
{
	bool beyond = b->in.end > b->in.next;	/* something is missing */
	bool open = false, hope = false;

	for (int i = 0; i < b->count; i++) {
		const struct subflow *sf = &b->subflows[i];

		if (sf->shown > b->in.next)
			beyond = true;
		if (!sf->ended) {
			open = true;
			if (sf->shown <= b->in.next)
				hope = true;
		}
	}
	if (beyond)
		return hope || !b->settled ? BASE_OPEN : BASE_LOST;
	if (open || b->count == 0 || (b->options.proxy && !b->settled))
		return BASE_OPEN;
	return b->in.ready_bytes == 0 ? BASE_END : BASE_OPEN;
}

uint64_t
base_bytes_in(const struct base *b)
{
	return b->in.cost_consumed - (b->in.head - FIRST_SERIAL) * WIRE_COST;
}

uint64_t
base_bytes_out(const struct base *b)
{
	return b->bytes_out;
}
