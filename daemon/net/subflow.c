/* SPDX-License-Identifier: ISC */
/*
 * Phases, each left only downwards:
 *
 *	GREETING  the other end's hello (or answer) has not come whole
 *	PROVING   relay: answered; the first bytes of frames decide
 *	UP        frames in both directions
 *	REFUSED   relay: not liked; a little more is read and dropped
 *	FAILED    over; on_closed() is due
 *	DEAD      closed and told, or closed by the owner; the reaper comes
 *
 * Whoever has not proved to know a key learns nothing from us but time: a hello
 * that is wrong, one that we refuse and one that never ends are all read up to
 * WIRE_HELLO_MAX bytes and closed by the same timer, which began to run when
 * the connection was accepted.  Nor do they cost more than this object: there
 * is no transform, with its room for frames, before a whole hello.
 *
 * Without protection there is no record to verify.  The first bytes of frames
 * stand for it: they say that the proxy has heard our answer and stays, while
 * one that is told "group not known" goes away without any.
 *
 * The owner is called from the loop only.  What goes wrong in a function that
 * it called itself is kept, for a timer that is over at once.  Any callback may
 * close the subflow, so after each of them the phase is looked at again; the
 * memory stays until the reaper comes.
 *
 * Late binding: fill() is asked only when the socket has taken all that there
 * was, and not again after it refused some until it is writable, so what a slow
 * subflow has been given is never more than the room of the transform.
 *
 * The stream stays armed to reset.  Frames have their own acknowledgements and
 * ends, so FIN and RST say the same about a subflow: it is gone.
 */
#include "net/subflow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/transform.h"
#include "net/reap.h"
#include "net/stream.h"

#define HANDSHAKE_MS 10000
#define OUT_BYTES (64u << 10)
#define IN_BYTES (256u << 10)
#define READ_BYTES (256u << 10)	/* of one event, so that others come too */

#define LENGTH 2		/* u16 before the answer */

enum phase {
	PHASE_GREETING,
	PHASE_PROVING,
	PHASE_UP,
	PHASE_REFUSED,
	PHASE_FAILED,
	PHASE_DEAD,
};

struct subflow {
	struct reap_entry reap;
	struct stream stream;
	ev_timer timer;		/* deadline of the handshake; FAILED: now */
	struct subflow_options options;
	struct addr peer;
	bool proxy;
	enum phase phase;
	struct transform *transform;	/* NULL before a whole hello */

	bool blocked;		/* the socket took less than we had */
	bool news;		/* the owner is owed on_event() */
	int error;		/* REFUSED, FAILED: for on_closed() */
	const char *why;

	/* Our hello or answer, as far as it is not written. */
	uint8_t ours[WIRE_HELLO_PROLOGUE + WIRE_HELLO_PAYLOAD];
	size_t ours_start, ours_end;
	/* What the other end has sent of its own. */
	uint8_t theirs[LENGTH + WIRE_HELLO_MAX];
	size_t theirs_len;
};

static_assert(LENGTH + WIRE_ANSWER_PAYLOAD <=
    WIRE_HELLO_PROLOGUE + WIRE_HELLO_PAYLOAD, "an answer fits into `ours`");

static void
step(struct subflow *sf, enum phase next)
{
	assert(next > sf->phase);
	sf->phase = next;
}

static const struct subflow_callbacks *
owner(const struct subflow *sf)
{
	return sf->options.callbacks;
}

/* ---- the end ---- */

static void
free_entry(struct reap_entry *entry)
{
	struct subflow *sf = (struct subflow *)entry;	/* its first member */

	transform_free(sf->transform);
	free(sf);
}

void
subflow_close(struct subflow *sf)
{
	if (sf == NULL || sf->phase == PHASE_DEAD)
		return;
	step(sf, PHASE_DEAD);
	ev_timer_stop(sf->stream.loop, &sf->timer);
	stream_close(&sf->stream);
	reap_later(&sf->reap, free_entry);
}

/* Only from the loop. */
static void
finish(struct subflow *sf)
{
	subflow_close(sf);
	owner(sf)->on_closed(sf, sf->error, sf->why);
}

/* It is over, for the first reason that was given; told later, by whoever is in
 * the loop's callback or else by the timer. */
static void
fail(struct subflow *sf, int error, const char *why)
{
	if (sf->phase >= PHASE_FAILED)
		return;
	if (sf->phase != PHASE_REFUSED) {
		sf->error = error;
		sf->why = why;
	}
	step(sf, PHASE_FAILED);
	stream_want(&sf->stream, false, false);
	ev_timer_stop(sf->stream.loop, &sf->timer);
	ev_timer_set(&sf->timer, 0., 0.);
	ev_timer_start(sf->stream.loop, &sf->timer);
}

/* The connection said so; `error` as from stream_read() or stream_write(). */
static void
fail_connection(struct subflow *sf, int error)
{
	if (sf->phase < PHASE_UP)
		fail(sf, error, "closed in the handshake");
	else
		fail(sf, error, error == 0 ? "closed by the peer" :
		    "connection lost");
}

/* Closed when the timer says so, and not before. */
static void
refuse(struct subflow *sf, int error, const char *why)
{
	sf->error = error;
	sf->why = why;
	transform_free(sf->transform);
	sf->transform = NULL;
	step(sf, PHASE_REFUSED);
}

/* ---- writing ---- */

/* How many of these bytes the socket took. */
static size_t
write_bytes(struct subflow *sf, const uint8_t *bytes, size_t len)
{
	/* A span is for reading too; writing leaves its bytes alone. */
	struct span span = { (uint8_t *)(uintptr_t)bytes, len };
	ssize_t n = stream_write(&sf->stream, &span, 1);

	if (n < 0 && n != -EAGAIN)
		fail_connection(sf, (int)n);
	if (n < 0)
		n = 0;
	sf->blocked = (size_t)n < len;
	return (size_t)n;
}

/* Is nothing left to write? */
static bool
flush(struct subflow *sf)
{
	const uint8_t *bytes;
	size_t len;

	if (sf->ours_start < sf->ours_end)
		sf->ours_start += write_bytes(sf, sf->ours + sf->ours_start,
		    sf->ours_end - sf->ours_start);
	if (sf->ours_start < sf->ours_end)
		return false;
	if (sf->phase != PHASE_UP)
		return true;
	if ((len = transform_out_peek(sf->transform, &bytes)) == 0)
		return true;
	transform_out_consume(sf->transform, write_bytes(sf, bytes, len));
	return transform_out_peek(sf->transform, &bytes) == 0;
}

static bool
wants_to_read(const struct subflow *sf)
{
	return sf->phase < PHASE_REFUSED ||
	    (sf->phase == PHASE_REFUSED && sf->theirs_len < WIRE_HELLO_MAX);
}

static bool
wants_to_write(const struct subflow *sf)
{
	const uint8_t *bytes;

	if (sf->phase >= PHASE_REFUSED)
		return false;
	return sf->ours_start < sf->ours_end || (sf->phase == PHASE_UP &&
	    transform_out_peek(sf->transform, &bytes) > 0);
}

static void
update(struct subflow *sf)
{
	stream_want(&sf->stream, wants_to_read(sf), wants_to_write(sf));
}

void
subflow_pump(struct subflow *sf)
{
	while (sf->phase == PHASE_UP && !sf->blocked && flush(sf)) {
		size_t room, n;
		uint8_t *out = transform_out_room(sf->transform, &room);

		n = owner(sf)->fill(sf, out, room);
		if (n == 0)
			break;
		transform_out_commit(sf->transform, n);
	}
	update(sf);
}

/* ---- reading ---- */

/* false: the owner does not want it, and it is closed. */
static bool
come_up(struct subflow *sf, const struct wire_answer *answer)
{
	step(sf, PHASE_UP);
	ev_timer_stop(sf->stream.loop, &sf->timer);
	sf->news = true;
	if (!owner(sf)->on_up(sf, answer))
		subflow_close(sf);
	return sf->phase == PHASE_UP;
}

/* Give the owner the frames that are here. */
static void
deliver(struct subflow *sf)
{
	const uint8_t *bytes;
	size_t len;

	if (transform_in_peek(sf->transform, &bytes) == 0)
		return;
	if (sf->phase == PHASE_PROVING && !come_up(sf, NULL))
		return;
	while (sf->phase == PHASE_UP &&
	    (len = transform_in_peek(sf->transform, &bytes)) > 0) {
		int used = owner(sf)->take(sf, bytes, len);

		if (sf->phase != PHASE_UP)
			return;
		sf->news = true;
		if (used < 0)
			fail(sf, used, "protocol error");
		if (used <= 0)
			return;
		transform_in_consume(sf->transform, (size_t)used);
	}
}

/* `len` bytes stand where transform_in_room() said. */
static void
commit(struct subflow *sf, size_t len)
{
	if (transform_in_commit(sf->transform, len) < 0)
		fail(sf, -EBADMSG, "bad record");
	else
		deliver(sf);
}

/* The bytes behind the hello or the answer are frames already. */
static void
commit_rest(struct subflow *sf, const uint8_t *bytes)
{
	size_t len = (size_t)(sf->theirs + sf->theirs_len - bytes), room;
	uint8_t *in;

	if (len == 0)
		return;
	in = transform_in_room(sf->transform, &room);
	assert(len <= room);	/* a whole frame at least */
	memcpy(in, bytes, len);
	commit(sf, len);
}

static void
read_frames(struct subflow *sf)
{
	struct span span;
	ssize_t n;

	for (size_t total = 0; total < READ_BYTES; total += (size_t)n) {
		span.base = transform_in_room(sf->transform, &span.len);
		if (span.len == 0) {
			/* The owner left a whole frame and more. */
			fail(sf, -EPROTO, "protocol error");
			return;
		}
		n = stream_read(&sf->stream, &span, 1);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			fail_connection(sf, (int)n);
			return;
		}
		commit(sf, (size_t)n);
		if (sf->phase > PHASE_UP || (size_t)n < span.len)
			return;
	}
}

static bool
make_transform(struct subflow *sf)
{
	sf->transform = transform_plain(sf->options.out_bytes,
	    sf->options.in_bytes);
	return sf->transform != NULL;
}

/* Relay: is the hello whole, and do we like it? */
static void
take_hello(struct subflow *sf)
{
	static const uint8_t no_key[WIRE_KEY_ID];
	struct cursor in = { sf->theirs, sf->theirs + sf->theirs_len };
	struct wire_prologue prologue;
	struct wire_hello hello;
	struct wire_answer answer = { .protection = WIRE_PROTECTION_NONE };
	enum wire_result result = wire_get_prologue(&in, &prologue);
	bool good;

	if (result == WIRE_MORE)
		return;
	if (result == WIRE_OK && in.end - in.pos < prologue.length)
		return;
	if (result == WIRE_BAD ||
	    memcmp(prologue.key_id, no_key, sizeof(no_key)) != 0 ||
	    wire_get_hello(in.pos, prologue.length, &hello) != WIRE_OK ||
	    hello.protection != WIRE_PROTECTION_NONE) {
		refuse(sf, -EPROTO, "bad hello");
		return;
	}
	if (!make_transform(sf)) {
		refuse(sf, -ENOMEM, "out of memory");
		return;
	}
	good = owner(sf)->on_hello(sf, &hello, &answer);
	if (sf->phase != PHASE_GREETING)
		return;
	if (!good) {
		refuse(sf, -EACCES, "hello refused");
		return;
	}
	wire_put_length(sf->ours, WIRE_ANSWER_PAYLOAD);
	wire_put_answer(sf->ours + LENGTH, &answer);
	sf->ours_end = LENGTH + WIRE_ANSWER_PAYLOAD;
	step(sf, PHASE_PROVING);
	flush(sf);
	if (sf->phase == PHASE_PROVING)
		commit_rest(sf, in.pos + prologue.length);
}

/* Proxy: is the answer whole, and is it one? */
static void
take_answer(struct subflow *sf)
{
	struct cursor in = { sf->theirs, sf->theirs + sf->theirs_len };
	struct wire_answer answer;
	uint16_t length;
	enum wire_result result = wire_get_length(&in, &length);

	if (result == WIRE_MORE)
		return;
	if (result == WIRE_OK && in.end - in.pos < length)
		return;
	if (result == WIRE_BAD ||
	    wire_get_answer(in.pos, length, &answer) != WIRE_OK ||
	    answer.protection != WIRE_PROTECTION_NONE) {
		fail(sf, -EPROTO, "bad answer");
		return;
	}
	if (come_up(sf, &answer))
		commit_rest(sf, in.pos + length);
}

static void
read_greeting(struct subflow *sf)
{
	size_t max = sf->proxy ? sizeof(sf->theirs) : WIRE_HELLO_MAX;
	struct span span = { sf->theirs + sf->theirs_len,
		max - sf->theirs_len };
	ssize_t n = stream_read(&sf->stream, &span, 1);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		fail_connection(sf, (int)n);
		return;
	}
	sf->theirs_len += (size_t)n;
	if (sf->phase == PHASE_REFUSED)
		return;
	if (sf->proxy)
		take_answer(sf);
	else
		take_hello(sf);
}

/* ---- the loop's callbacks ---- */

static void
on_stream(struct stream *stream, int revents)
{
	struct subflow *sf = stream->user;

	if (revents & EV_WRITE) {
		sf->blocked = false;
		sf->news = sf->phase == PHASE_UP;
	}
	if (revents & EV_READ) {
		if (sf->phase == PHASE_GREETING || sf->phase == PHASE_REFUSED)
			read_greeting(sf);
		else if (sf->phase == PHASE_PROVING || sf->phase == PHASE_UP)
			read_frames(sf);
	}
	/* Also before on_closed(): what was taken has to go somewhere. */
	if (sf->news && sf->phase != PHASE_DEAD) {
		sf->news = false;
		owner(sf)->on_event(sf);
	}
	if (sf->phase < PHASE_UP)
		flush(sf);
	if (sf->phase == PHASE_FAILED)
		finish(sf);
	else if (sf->phase != PHASE_DEAD)
		subflow_pump(sf);
}

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct subflow *sf = timer->data;

	(void)loop;
	(void)revents;
	fail(sf, -ETIMEDOUT, "timed out in the handshake");
	finish(sf);
}

/* ---- the beginning ---- */

static struct subflow *
subflow_new(struct ev_loop *loop, int fd, const struct subflow_options *o,
    bool proxy)
{
	struct subflow *sf = calloc(1, sizeof(*sf));
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (sf == NULL) {
		close(fd);
		return NULL;
	}
	stream_open(&sf->stream, loop, fd, on_stream, sf);
	sf->options = *o;
	if (sf->options.handshake_ms == 0)
		sf->options.handshake_ms = HANDSHAKE_MS;
	if (sf->options.out_bytes == 0)
		sf->options.out_bytes = OUT_BYTES;
	if (sf->options.in_bytes == 0)
		sf->options.in_bytes = IN_BYTES;
	sf->proxy = proxy;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		(void)addr_from_sockaddr(&sf->peer, (struct sockaddr *)&ss,
		    len);
	ev_now_update(loop);
	ev_timer_init(&sf->timer, on_timer, sf->options.handshake_ms / 1000.,
	    0.);
	sf->timer.data = sf;
	ev_timer_start(loop, &sf->timer);
	return sf;
}

struct subflow *
subflow_proxy(struct ev_loop *loop, int fd, const struct subflow_options *o,
    const struct wire_hello *hello)
{
	const struct wire_prologue prologue = { .version = WIRE_VERSION,
		.length = WIRE_HELLO_PAYLOAD };
	struct subflow *sf = subflow_new(loop, fd, o, true);

	if (sf == NULL)
		return NULL;
	if (!make_transform(sf)) {
		subflow_close(sf);
		return NULL;
	}
	if (hello->protection != WIRE_PROTECTION_NONE) {
		fail(sf, -EPROTONOSUPPORT, "protection not supported");
		return sf;
	}
	wire_put_prologue(sf->ours, &prologue);
	wire_put_hello(sf->ours + WIRE_HELLO_PROLOGUE, hello);
	sf->ours_end = WIRE_HELLO_PROLOGUE + WIRE_HELLO_PAYLOAD;
	flush(sf);
	update(sf);
	return sf;
}

struct subflow *
subflow_relay(struct ev_loop *loop, int fd, const struct subflow_options *o)
{
	struct subflow *sf = subflow_new(loop, fd, o, false);

	if (sf != NULL)
		update(sf);
	return sf;
}

void *
subflow_user(const struct subflow *sf)
{
	return sf->options.user;
}

void
subflow_set_user(struct subflow *sf, void *user)
{
	sf->options.user = user;
}

int
subflow_fd(const struct subflow *sf)
{
	return sf->stream.fd;
}

const struct addr *
subflow_peer(const struct subflow *sf)
{
	return &sf->peer;
}
