/* SPDX-License-Identifier: ISC */
/*
 * Records on their way from a proxy to a relay, driven by a sequence of
 * operations: what stands in them is the input's, so it is sealed here, and
 * what is opened goes on to a group, as in a subflow.  In between come bytes of
 * the input's that nobody sealed, or bits are flipped.  What the relay shows is
 * in any case what was sealed, from its beginning, and with no byte left out.
 *
 * The group answers; that goes through records too, and has to arrive.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/group.h"
#include "core/transform.h"
#include "core/wire_hello.h"

#define PIPE (256u << 10)
#define TEXT_MAX (256u << 10)
#define RECORD (WIRE_RECORD_LENGTH + WIRE_RECORD_MAX + WIRE_RECORD_TAG)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct secure_cipher up = { .key = "from proxy to relay" };
static const struct secure_cipher down = { .key = "from relay to proxy" };

struct world {
	struct budget budget;
	struct group *group;		/* of the relay */
	struct transform *proxy, *relay;
	int subflow;
	uint64_t now;
	bool only_first;
	size_t first_len;		/* of the first record; or SIZE_MAX */
	bool foreign;			/* bytes that nobody sealed are there */
	bool over;			/* the relay has closed the subflow */
	uint8_t pipe[PIPE];		/* [start, end) is under way */
	size_t start, end;
	uint8_t given[TEXT_MAX];	/* plaintext of all records */
	size_t ngiven, ntaken;
};

static struct world world;

static uint8_t
next(struct cursor *in)
{
	return in->pos < in->end ? *in->pos++ : 0;
}

static size_t
left(const struct cursor *in)
{
	return (size_t)(in->end - in->pos);
}

/* ---- what is sent ---- */

/* One record that holds `len` bytes of the input, or plain ones behind it. */
static void
seal(struct world *w, struct cursor *in, size_t len)
{
	const uint8_t *bytes;
	size_t room, enough;
	uint8_t *out = transform_out_room(w->proxy, &room, &enough);

	assert(room > 0 && enough <= room);
	if (len > left(in))
		len = left(in);
	if (len > room)
		len = room;
	if (w->ngiven + len > TEXT_MAX || PIPE - w->end < RECORD)
		return;
	if (len > 0) {
		memcpy(out, in->pos, len);
		memcpy(w->given + w->ngiven, in->pos, len);
	}
	in->pos += len;
	w->ngiven += len;
	if (w->first_len == SIZE_MAX)
		w->first_len = len;
	transform_out_commit(w->proxy, len);
	len = transform_out_peek(w->proxy, &bytes);
	memcpy(w->pipe + w->end, bytes, len);
	w->end += len;
	transform_out_consume(w->proxy, len);
}

static void
forge(struct world *w, struct cursor *in, size_t len)
{
	if (len > left(in))
		len = left(in);
	if (len == 0 || PIPE - w->end < len)
		return;
	memcpy(w->pipe + w->end, in->pos, len);
	in->pos += len;
	w->end += len;
	w->foreign = true;
}

static void
flip(struct world *w, size_t at, uint8_t bits)
{
	if (w->start == w->end || bits == 0)
		return;
	w->pipe[w->start + at % (w->end - w->start)] ^= bits;
	w->foreign = true;
}

/* ---- what arrives ---- */

static void
serve(struct session *s, uint64_t now)
{
	struct span spans[4];
	enum session_state state;
	int n;

	if (session_user(s) == NULL) {
		session_set_user(s, &world);
		session_opened(s);
	}
	while ((n = session_peek(s, spans, 4)) > 0)
		session_consume(s, spans[0].len, now);
	state = session_state(s);
	if (state == SESSION_OPEN)
		return;
	if (state == SESSION_END)
		session_read_end(s, WIRE_CODE_OK, now);
	session_release(s, now);
}

/* What the group says is sealed, carried and opened. */
static void
answer(struct world *w)
{
	const uint8_t *bytes, *shown;
	size_t room, enough, n, len;
	uint8_t *out;
	static uint8_t said[RECORD];

	for (;;) {
		out = transform_out_room(w->relay, &room, &enough);
		assert(room >= WIRE_HEADER + WIRE_SIZE_MAX);
		n = group_fill(w->group, w->subflow, out,
		    room < sizeof(said) ? room : sizeof(said), w->now);
		if (n == 0)
			return;
		memcpy(said, out, n);
		transform_out_commit(w->relay, n);
		len = transform_out_peek(w->relay, &bytes);
		out = transform_in_room(w->proxy, &room);
		assert(room >= len);
		memcpy(out, bytes, len);
		transform_in_commit(w->proxy, len);
		transform_out_consume(w->relay, len);
		assert(transform_in_peek(w->proxy, &shown, &len) == 0);
		assert(len == n && memcmp(shown, said, n) == 0);
		transform_in_consume(w->proxy, len);
	}
}

/* Behind the only record anybody may have said anything. */
static void
check_shown(const struct world *w, const uint8_t *bytes, size_t len)
{
	if (w->foreign && w->only_first && w->ntaken >= w->first_len)
		return;
	assert(len <= w->ngiven - w->ntaken);
	assert(memcmp(bytes, w->given + w->ntaken, len) == 0);
}

/* As subflow.c does. */
static void
deliver(struct world *w)
{
	const uint8_t *bytes;
	size_t len, room;
	int used = 0;

	for (;;) {
		if (transform_in_peek(w->relay, &bytes, &len) != 0) {
			assert(w->foreign);
			w->over = true;
			return;
		}
		if (len == 0)
			break;
		check_shown(w, bytes, len);
		/* A copy of exactly that size, for a sanitizer. */
		uint8_t *copy = malloc(len);

		assert(copy != NULL);
		memcpy(copy, bytes, len);
		used = group_take(w->group, w->subflow, copy, len, w->now);
		free(copy);
		assert(used <= (int)len);
		if (used <= 0)
			break;
		transform_in_consume(w->relay, (size_t)used);
		w->ntaken += (size_t)used;
	}
	if (len > 0) {
		transform_in_room(w->relay, &room);
		if (used < 0 || room == 0)
			w->over = true;
	}
	assert(!transform_heard(w->relay) || w->first_len != SIZE_MAX);
}

static void
carry(struct world *w, size_t len)
{
	size_t room;
	uint8_t *in;
	struct session *s;

	if (w->over)
		return;
	in = transform_in_room(w->relay, &room);
	assert(room > 0);
	if (len > w->end - w->start)
		len = w->end - w->start;
	if (len > room)
		len = room;
	memcpy(in, w->pipe + w->start, len);
	w->start += len;
	if (w->start == w->end)
		w->start = w->end = 0;
	transform_in_commit(w->relay, len);
	deliver(w);
	while ((s = group_ready(w->group)) != NULL)
		serve(s, w->now);
}

static void
step(struct world *w, struct cursor *in)
{
	uint8_t op = next(in);
	size_t amount = op & 0x80 ? next(in) * 67u : next(in);

	w->now += 1 + (op >> 3 & 15) * 1000u;
	switch (op & 7) {
	case 0:
	case 1:
		seal(w, in, amount);
		break;
	case 2:
		forge(w, in, amount);
		break;
	case 3:
		flip(w, amount, next(in));
		break;
	case 4:
		answer(w);
		break;
	case 5:
		carry(w, PIPE);
		break;
	case 6:
	case 7:
		carry(w, amount);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = { data, data + len };
	struct world *w = &world;
	uint8_t first = next(&in);
	int replaced;

	memset(w, 0, offsetof(struct world, pipe));
	w->start = w->end = w->ngiven = w->ntaken = 0;
	w->only_first = first & 1;
	w->first_len = SIZE_MAX;
	w->now = 1;
	budget_init(&w->budget, UINT64_C(1) << 30);
	w->group = group_new(&(struct group_options){
		.initial_window = 65536, .start_window = 65536,
		.window_max = 1 << 20, .max_sessions = 20,
		.datagram_max = WIRE_DATA_MAX, .budget = &w->budget });
	w->proxy = transform_sealed(first & 2 ? 1400 : 64 << 10, 0, &up,
	    &down, w->only_first);
	w->relay = transform_sealed(first & 2 ? 1400 : 64 << 10,
	    first & 4 ? 64 << 10 : 0, &down, &up, w->only_first);
	assert(w->group != NULL && w->proxy != NULL && w->relay != NULL);
	group_peer_window(w->group, 65536);
	w->subflow = group_attach(w->group, 0, 0, w->now, &replaced);
	assert(w->subflow >= 0);

	while (in.pos < in.end && !w->over)
		step(w, &in);
	while (!w->over && w->start < w->end)
		carry(w, PIPE);
	/* Of whole records nothing is kept back. */
	if (!w->over && !w->foreign && !w->only_first)
		assert(w->ntaken == w->ngiven);

	transform_free(w->proxy);
	transform_free(w->relay);
	group_free(w->group);
	assert(w->budget.held_bytes == 0);
	return 0;
}
