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
 * under an unknown key, one that is forged or wrong, one that we refuse, one
 * that never ends and, after the answer, a first record that is not the right
 * one are all read up to WIRE_HELLO_MAX bytes and closed by the same timer,
 * which began to run when the connection was accepted.  Nor do they cost more
 * than this object: there is no transform, with its room for frames, before
 * something follows a hello that was answered.  That an old hello is played
 * back, and answered, cannot be helped, but what follows it would have to be
 * sealed under keys that our own secret has a part in.
 *
 * So the proxy sends a record as soon as it is up, an empty one if it has no
 * frames, unless it was told "group not known" and goes away without any.
 * Without protection there is no record to verify, and the first bytes of
 * frames stand for it: they say that the proxy has heard our answer and stays.
 *
 * The owner is called from the loop only.  What goes wrong in a function that
 * it called itself is kept, for a timer that is over at once.  Any callback may
 * close the subflow, so after each of them the phase is looked at again; the
 * memory stays until the reaper comes.
 *
 * Late binding: fill() is asked only when the socket has taken all that there
 * was, and not again after it refused some until it is writable, so what a slow
 * subflow has been given is never more than the room of the transform.  As many
 * records as fit into that leave in one write.
 *
 * The stream stays armed to reset.  Frames have their own acknowledgements and
 * ends, so FIN and RST say the same about a subflow: it is gone.
 */
#include "net/subflow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/handshake.h"
#include "core/secure.h"
#include "core/transform.h"
#include "net/reap.h"
#include "net/stream.h"

#define HANDSHAKE_MS 10000
#define OUT_BYTES (64u << 10)
#define IN_BYTES (256u << 10)
/* TCP begins with about 14 KB and waits for a round trip: none of that is to be
 * part of a record that the other end cannot open before the next.  The first
 * record, for which it waits to believe us, is in one packet. */
#define YOUNG_BYTES (14u << 10)
#define YOUNG_RECORD 1200
#define READ_BYTES (256u << 10)	/* of one event, so that others come too */

static const char no_relay[] =
    "closed in the handshake: wrong key, not a relay, its limits, or it ends";

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
	struct handshake handshake;	/* wiped with the transform's making */
	struct transform *transform;	/* NULL before */

	bool blocked;		/* the socket took less than we had */
	bool news;		/* the owner is owed on_event() */
	bool spoken;		/* a record was sent, or frames, */
	uint64_t given;		/* with so many bytes */
	int error;		/* REFUSED, FAILED: for on_closed() */
	const char *why;

	/* Our hello or answer, as far as it is not written. */
	uint8_t ours[HANDSHAKE_HELLO];
	size_t ours_start, ours_end;
	/* What the other end has sent of its own. */
	uint8_t theirs[WIRE_ANSWER_LENGTH + WIRE_HELLO_MAX];
	size_t theirs_len;
};

static_assert(HANDSHAKE_ANSWER <= HANDSHAKE_HELLO,
    "an answer fits into `ours`");

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
	handshake_wipe(&sf->handshake);
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
		fail(sf, error, sf->proxy ? no_relay :
		    "closed in the handshake");
	else
		fail(sf, error, error == 0 ? "closed by the peer" :
		    "connection lost");
}

/* Relay: closed when the timer says so, and not before. */
static void
refuse(struct subflow *sf, int error, const char *why)
{
	sf->error = error;
	sf->why = why;
	handshake_wipe(&sf->handshake);
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

/* Put frames into the transform until there are no more, or no room.  false:
 * there were none. */
static bool
gather(struct subflow *sf)
{
	bool any = false;
	size_t room, enough, n;

	while (sf->phase == PHASE_UP) {
		uint8_t *out = transform_out_room(sf->transform, &room,
		    &enough);

		if (room == 0)
			break;
		if (sf->given < YOUNG_BYTES && enough > YOUNG_RECORD)
			enough = YOUNG_RECORD;
		n = owner(sf)->fill(sf, out, enough);
		/* One that is larger?  It is not for the first record. */
		if (n == 0 && enough < room && sf->spoken)
			n = owner(sf)->fill(sf, out, room);
		if (n == 0 && sf->spoken)
			break;
		transform_out_commit(sf->transform, n);
		sf->given += n;
		sf->spoken = any = true;
	}
	return any;
}

void
subflow_pump(struct subflow *sf)
{
	while (sf->phase == PHASE_UP && !sf->blocked && flush(sf) &&
	    gather(sf))
		continue;
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

/* What came is not what the other end sealed. */
static void
bad_record(struct subflow *sf)
{
	if (sf->phase == PHASE_UP)
		fail(sf, -EBADMSG, "bad record");
	else
		refuse(sf, -EBADMSG, "bad record");
}

/* Give the owner the frames that are here. */
static void
deliver(struct subflow *sf)
{
	const uint8_t *bytes;
	size_t len, room;
	int used;

	for (;;) {
		if (transform_in_peek(sf->transform, &bytes, &len) != 0) {
			bad_record(sf);
			return;
		}
		if (sf->phase == PHASE_PROVING &&
		    transform_heard(sf->transform) && !come_up(sf, NULL))
			return;
		if (len == 0)
			return;
		used = owner(sf)->take(sf, bytes, len);
		if (sf->phase != PHASE_UP)
			return;
		sf->news = true;
		if (used <= 0)
			break;
		transform_in_consume(sf->transform, (size_t)used);
	}
	if (used == 0) {	/* part of a frame: can the rest come? */
		transform_in_room(sf->transform, &room);
		if (room > 0)
			return;
		used = -EPROTO;
	}
	fail(sf, used, "protocol error");
}

/* Relay: the first bytes after the answer decide whether it stays. */
static bool
has_transform(struct subflow *sf)
{
	if (sf->transform == NULL)
		sf->transform = handshake_transform(&sf->handshake,
		    sf->options.out_bytes, sf->options.in_bytes);
	return sf->transform != NULL;
}

/* The bytes behind the hello or the answer are frames already. */
static void
commit_rest(struct subflow *sf, const uint8_t *bytes)
{
	size_t len = (size_t)(sf->theirs + sf->theirs_len - bytes), room;
	uint8_t *in;

	if (len == 0)
		return;
	if (!has_transform(sf)) {
		refuse(sf, -ENOMEM, "out of memory");
		return;
	}
	in = transform_in_room(sf->transform, &room);
	assert(len <= room);	/* a whole frame at least */
	memcpy(in, bytes, len);
	transform_in_commit(sf->transform, len);
	deliver(sf);
}

static void
read_frames(struct subflow *sf)
{
	struct span span;
	ssize_t n;

	if (!has_transform(sf)) {
		refuse(sf, -ENOMEM, "out of memory");
		return;
	}
	for (size_t total = 0; total < READ_BYTES; total += (size_t)n) {
		span.base = transform_in_room(sf->transform, &span.len);
		assert(span.len > 0);	/* deliver() has seen to it */
		n = stream_read(&sf->stream, &span, 1);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			fail_connection(sf, (int)n);
			return;
		}
		transform_in_commit(sf->transform, (size_t)n);
		deliver(sf);
		if (sf->phase > PHASE_UP || (size_t)n < span.len)
			return;
	}
}

/* A secret for this handshake; 0 or -errno. */
static int
draw(uint8_t secret[static SECURE_SECRET])
{
	ssize_t n = getrandom(secret, SECURE_SECRET, 0);

	return n == SECURE_SECRET ? 0 : n < 0 ? -errno : -EIO;
}

/* Relay: what stands in a whole message 1, of which we hold the key.  false: it
 * was refused. */
static bool
open_hello(struct subflow *sf, struct cursor *in, const uint8_t *key,
    struct wire_hello *hello)
{
	uint8_t secret[SECURE_SECRET];
	enum handshake_result result;
	int error = key != NULL ? draw(secret) : 0;

	if (error != 0) {
		refuse(sf, error, "getrandom");
		return false;
	}
	result = handshake_hello(&sf->handshake, in, key, secret, hello);
	secure_wipe(secret, sizeof(secret));
	if (result == HANDSHAKE_FORGED)
		refuse(sf, -EBADMSG, "hello does not verify");
	else if (result != HANDSHAKE_OK)
		refuse(sf, -EPROTO, "bad hello");
	return result == HANDSHAKE_OK;
}

/* Relay: is the hello whole, and do we like it? */
static void
take_hello(struct subflow *sf)
{
	struct cursor in = { sf->theirs, sf->theirs + sf->theirs_len };
	uint8_t id[WIRE_KEY_ID];
	const uint8_t *key = NULL;
	struct wire_hello hello;
	struct wire_answer answer = { 0 };
	enum handshake_result result = handshake_prologue(&sf->handshake, &in,
	    id);
	bool good;
	int n;

	if (result == HANDSHAKE_MORE)
		return;
	if (result != HANDSHAKE_OK) {
		refuse(sf, -EPROTO, "bad hello");
		return;
	}
	good = owner(sf)->on_key(sf, id, &key);
	if (sf->phase != PHASE_GREETING)
		return;
	if (!good) {
		refuse(sf, -ENOKEY, "unknown key");
		return;
	}
	if (!open_hello(sf, &in, key, &hello))
		return;
	good = owner(sf)->on_hello(sf, &hello, &answer);
	if (sf->phase != PHASE_GREETING)
		return;
	if (!good) {
		refuse(sf, -EACCES, "hello refused");
		return;
	}
	n = handshake_accept(&sf->handshake, &answer, sf->ours);
	if (n < 0) {
		refuse(sf, n, "hello does not verify");
		return;
	}
	sf->ours_end = (size_t)n;
	step(sf, PHASE_PROVING);
	flush(sf);
	if (sf->phase == PHASE_PROVING)
		commit_rest(sf, in.pos);
}

/* Proxy: is the answer whole, and is it one? */
static void
take_answer(struct subflow *sf)
{
	struct cursor in = { sf->theirs, sf->theirs + sf->theirs_len };
	struct wire_answer answer;
	enum handshake_result result = handshake_answer(&sf->handshake, &in,
	    &answer);

	if (result == HANDSHAKE_MORE)
		return;
	if (result != HANDSHAKE_OK)
		fail(sf, result == HANDSHAKE_FORGED ? -EBADMSG : -EPROTO,
		    no_relay);
	else if (!has_transform(sf))
		fail(sf, -ENOMEM, "out of memory");
	else if (come_up(sf, &answer))
		commit_rest(sf, in.pos);
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
	fail(sf, -ETIMEDOUT, sf->proxy ? no_relay :
	    "timed out in the handshake");
	finish(sf);
}

/* ---- the beginning ---- */

void
subflow_set_room(struct subflow *sf, size_t out_bytes, size_t in_bytes)
{
	sf->options.out_bytes = out_bytes != 0 ? out_bytes : OUT_BYTES;
	sf->options.in_bytes = in_bytes != 0 ? in_bytes : IN_BYTES;
}

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
	subflow_set_room(sf, o->out_bytes, o->in_bytes);
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
    const struct wire_hello *hello, const uint8_t *key)
{
	struct subflow *sf = subflow_new(loop, fd, o, true);
	uint8_t secret[SECURE_SECRET];
	int error;

	if (sf == NULL)
		return NULL;
	error = key != NULL ? draw(secret) : 0;
	if (error != 0) {
		fail(sf, error, "getrandom");
		return sf;
	}
	sf->ours_end = handshake_begin(&sf->handshake, hello, key, secret,
	    sf->ours);
	secure_wipe(secret, sizeof(secret));
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

size_t
subflow_pending(const struct subflow *sf)
{
	const uint8_t *bytes;

	return sf->phase == PHASE_UP ?
	    transform_out_peek(sf->transform, &bytes) : 0;
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
