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
 * The stream stays armed to reset.  Frames have their own acknowledgements and
 * ends, so FIN and RST say the same about a subflow: it is gone.
 */
#include "net/subflow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/carrier.h"
#include "net/hello.h"
#include "net/reap.h"
#include "net/stream.h"

#define HANDSHAKE_MS 10000
#define OUT_BYTES (64u << 10)
#define IN_BYTES (256u << 10)

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
	struct hello hello;		/* before frames; */
	struct carrier carrier;		/* these, started at the first */
	bool news;		/* the owner is owed on_event() */
	int error;		/* REFUSED, FAILED: for on_closed() */
	const char *why;
};

static void
step(struct subflow *sf, enum phase next)
{
	assert(next > sf->phase);
	sf->phase = next;
	if (next > PHASE_UP)
		carrier_stop(&sf->carrier);
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

	carrier_free(&sf->carrier);
	free(sf);
}

void
subflow_close(struct subflow *sf)
{
	if (sf == NULL || sf->phase == PHASE_DEAD)
		return;
	step(sf, PHASE_DEAD);
	hello_wipe(&sf->hello);
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
	hello_wipe(&sf->hello);
	carrier_free(&sf->carrier);
	step(sf, PHASE_REFUSED);
}

/* What a carrier came across. */
static void
judge(struct subflow *sf, enum carrier_result result)
{
	int error = sf->carrier.error;

	switch (result) {
	case CARRIER_OK:
		break;
	case CARRIER_OVER:
		fail_connection(sf, error);
		break;
	case CARRIER_FORGED:
		if (sf->phase == PHASE_UP)
			fail(sf, error, "bad record");
		else
			refuse(sf, error, "bad record");
		break;
	case CARRIER_WRONG:
		fail(sf, error, "protocol error");
		break;
	}
}

/* ---- writing ---- */

static void
write_hello(struct subflow *sf)
{
	int error = hello_write(&sf->hello, &sf->stream);

	if (error != 0 && error != -EAGAIN)
		fail_connection(sf, error);
}

static bool
wants_to_read(const struct subflow *sf)
{
	return sf->phase < PHASE_REFUSED ||
	    (sf->phase == PHASE_REFUSED && !hello_is_full(&sf->hello));
}

static bool
wants_to_write(const struct subflow *sf)
{
	return sf->phase < PHASE_REFUSED && (!hello_is_written(&sf->hello) ||
	    carrier_pending(&sf->carrier) > 0);
}

static void
update(struct subflow *sf)
{
	stream_want(&sf->stream, wants_to_read(sf), wants_to_write(sf));
}

void
subflow_pump(struct subflow *sf)
{
	if (sf->phase == PHASE_UP)
		write_hello(sf);
	if (sf->phase == PHASE_UP && hello_is_written(&sf->hello))
		judge(sf, carrier_pump(&sf->carrier));
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

static void
on_heard(void *user)
{
	struct subflow *sf = user;

	if (sf->phase == PHASE_PROVING)
		(void)come_up(sf, NULL);
}

static int
take_frames(void *user, const uint8_t *bytes, size_t len)
{
	struct subflow *sf = user;
	int used = owner(sf)->take(sf, bytes, len);

	if (sf->phase == PHASE_UP)
		sf->news = true;
	return used;
}

static size_t
fill_frames(void *user, uint8_t *bytes, size_t len)
{
	struct subflow *sf = user;

	return owner(sf)->fill(sf, bytes, len);
}

/* Relay: the first bytes after the answer decide whether it stays. */
static bool
has_carrier(struct subflow *sf)
{
	static const struct carrier_callbacks callbacks = {
		.on_heard = on_heard,
		.take = take_frames,
		.fill = fill_frames,
	};
	struct transform *transform;

	if (carrier_is_started(&sf->carrier))
		return true;
	transform = hello_transform(&sf->hello, sf->options.out_bytes,
	    sf->options.in_bytes);
	if (transform == NULL)
		return false;
	carrier_start(&sf->carrier, transform, &sf->stream, &callbacks, sf);
	return true;
}

/* The bytes behind the hello or the answer are frames already. */
static void
carry_rest(struct subflow *sf)
{
	const uint8_t *bytes;
	size_t len = hello_rest(&sf->hello, &bytes);

	if (len == 0)
		return;
	if (has_carrier(sf))
		judge(sf, carrier_put(&sf->carrier, bytes, len));
	else
		refuse(sf, -ENOMEM, "out of memory");
}

static void
read_frames(struct subflow *sf)
{
	if (has_carrier(sf))
		judge(sf, carrier_read(&sf->carrier));
	else
		refuse(sf, -ENOMEM, "out of memory");
}

/* A callback that has closed the subflow has said no. */
static bool
ask_key(void *user, const uint8_t id[static WIRE_KEY_ID], const uint8_t **key)
{
	struct subflow *sf = user;

	return owner(sf)->on_key(sf, id, key) && sf->phase == PHASE_GREETING;
}

static bool
ask_hello(void *user, const struct wire_hello *hello,
    struct wire_answer *answer)
{
	struct subflow *sf = user;

	return owner(sf)->on_hello(sf, hello, answer) &&
	    sf->phase == PHASE_GREETING;
}

/* Relay: is the hello whole, and do we like it? */
static void
take_hello(struct subflow *sf)
{
	static const struct hello_callbacks callbacks = {
		.on_key = ask_key,
		.on_hello = ask_hello,
	};
	const char *why;
	int error = hello_take_hello(&sf->hello, &callbacks, sf, &why);

	if (error == -EAGAIN || sf->phase != PHASE_GREETING)
		return;
	if (error != 0) {
		refuse(sf, error, why);
		return;
	}
	step(sf, PHASE_PROVING);
	write_hello(sf);
	if (sf->phase == PHASE_PROVING)
		carry_rest(sf);
}

/* Proxy: is the answer whole, and is it one? */
static void
take_answer(struct subflow *sf)
{
	struct wire_answer answer;
	int error = hello_take_answer(&sf->hello, &answer);

	if (error == -EAGAIN)
		return;
	if (error != 0)
		fail(sf, error, no_relay);
	else if (!has_carrier(sf))
		fail(sf, -ENOMEM, "out of memory");
	else if (come_up(sf, &answer))
		carry_rest(sf);
}

static void
read_greeting(struct subflow *sf)
{
	ssize_t n = hello_read(&sf->hello, &sf->stream);

	if (n == -EAGAIN)
		return;
	if (n <= 0)
		fail_connection(sf, (int)n);
	else if (sf->proxy)
		take_answer(sf);
	else if (sf->phase == PHASE_GREETING)
		take_hello(sf);
}

/* ---- the loop's callbacks ---- */

static void
on_stream(struct stream *stream, int revents)
{
	struct subflow *sf = stream->user;

	if (revents & EV_WRITE) {
		carrier_unblock(&sf->carrier);
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
		write_hello(sf);
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
	int error;

	if (sf == NULL)
		return NULL;
	error = hello_begin(&sf->hello, hello, key);
	if (error != 0) {
		fail(sf, error, "getrandom");
		return sf;
	}
	write_hello(sf);
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
	return sf->phase == PHASE_UP ? carrier_pending(&sf->carrier) : 0;
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
