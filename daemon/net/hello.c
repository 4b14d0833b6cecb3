/* SPDX-License-Identifier: ISC */
#include "net/hello.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#include "core/secure.h"

static_assert(HANDSHAKE_ANSWER <= HANDSHAKE_HELLO,
    "an answer fits into `ours`");

/* ---- its connection ---- */

int
hello_write(struct hello *h, struct stream *stream)
{
	struct span span = { h->ours + h->ours_start,
		h->ours_end - h->ours_start };
	ssize_t n;

	if (span.len == 0)
		return 0;
	n = stream_write(stream, &span, 1);
	if (n < 0)
		return (int)n;
	h->ours_start += (size_t)n;
	return 0;
}

bool
hello_is_written(const struct hello *h)
{
	return h->ours_start == h->ours_end;
}

static size_t
room(const struct hello *h)
{
	return (h->proxy ? sizeof(h->theirs) : WIRE_HELLO_MAX) - h->theirs_end;
}

ssize_t
hello_read(struct hello *h, struct stream *stream)
{
	struct span span = { h->theirs + h->theirs_end, room(h) };
	ssize_t n = stream_read(stream, &span, 1);

	if (n > 0)
		h->theirs_end += (size_t)n;
	return n;
}

bool
hello_is_full(const struct hello *h)
{
	return room(h) == 0;
}

size_t
hello_rest(const struct hello *h, const uint8_t **bytes)
{
	*bytes = h->theirs + h->theirs_start;
	return h->theirs_end - h->theirs_start;
}

/* ---- the handshake ---- */

static struct cursor
received(const struct hello *h)
{
	return (struct cursor){ h->theirs + h->theirs_start,
		h->theirs + h->theirs_end };
}

/* What is before the cursor is taken. */
static void
take(struct hello *h, const struct cursor *in)
{
	h->theirs_start = (size_t)(in->pos - h->theirs);
}

static int
error_of(enum handshake_result result)
{
	switch (result) {
	case HANDSHAKE_OK:
		return 0;
	case HANDSHAKE_MORE:
		return -EAGAIN;
	case HANDSHAKE_FORGED:
		return -EBADMSG;
	case HANDSHAKE_BAD:
		break;
	}
	return -EPROTO;
}

/* A secret for this handshake; 0 or -errno. */
static int
draw(uint8_t secret[static SECURE_SECRET])
{
	ssize_t n = getrandom(secret, SECURE_SECRET, 0);

	return n == SECURE_SECRET ? 0 : n < 0 ? -errno : -EIO;
}

int
hello_begin(struct hello *h, const struct wire_hello *hello,
    const uint8_t *key)
{
	uint8_t secret[SECURE_SECRET];
	int error = key != NULL ? draw(secret) : 0;

	h->proxy = true;
	if (error != 0)
		return error;
	h->ours_end = handshake_begin(&h->handshake, hello, key, secret,
	    h->ours);
	secure_wipe(secret, sizeof(secret));
	return 0;
}

int
hello_take_answer(struct hello *h, struct wire_answer *answer)
{
	struct cursor in = received(h);
	int error = error_of(handshake_answer(&h->handshake, &in, answer));

	take(h, &in);
	return error;
}

/* What stands in a whole message 1, of which we hold the key. */
static int
open_hello(struct hello *h, struct cursor *in, const uint8_t *key,
    struct wire_hello *hello, const char **why)
{
	uint8_t secret[SECURE_SECRET];
	int error = key != NULL ? draw(secret) : 0;

	if (error != 0) {
		*why = "getrandom";
		return error;
	}
	error = error_of(handshake_hello(&h->handshake, in, key, secret,
	    hello));
	secure_wipe(secret, sizeof(secret));
	*why = error == -EBADMSG ? "hello does not verify" : "bad hello";
	return error;
}

int
hello_take_hello(struct hello *h, const struct hello_callbacks *callbacks,
    void *user, const char **why)
{
	struct cursor in = received(h);
	uint8_t id[WIRE_KEY_ID];
	const uint8_t *key = NULL;
	struct wire_hello hello;
	struct wire_answer answer = { 0 };
	int n, error = error_of(handshake_prologue(&h->handshake, &in, id));

	*why = "bad hello";
	if (error != 0)
		return error;
	if (!callbacks->on_key(user, id, &key)) {
		*why = "unknown key";
		return -ENOKEY;
	}
	error = open_hello(h, &in, key, &hello, why);
	if (error != 0)
		return error;
	if (!callbacks->on_hello(user, &hello, &answer)) {
		*why = "hello refused";
		return -EACCES;
	}
	n = handshake_accept(&h->handshake, &answer, h->ours);
	if (n < 0) {
		*why = "hello does not verify";
		return n;
	}
	h->ours_end = (size_t)n;
	take(h, &in);
	return 0;
}

struct transform *
hello_transform(struct hello *h, size_t out_bytes, size_t in_bytes)
{
	return handshake_transform(&h->handshake, out_bytes, in_bytes);
}

void
hello_wipe(struct hello *h)
{
	handshake_wipe(&h->handshake);
}
