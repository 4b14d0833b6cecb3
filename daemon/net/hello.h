/* SPDX-License-Identifier: ISC */
/*
 * What a subflow's connection carries before frames: the proxy's hello and the
 * relay's answer.  Their bytes are kept here and their secrets drawn, which
 * core/handshake.h cannot.  Its owner has the connection and the phases, and is
 * told the rest of what happens by return values.
 *
 *	proxy: hello_begin(); hello_take_answer()
 *	relay: hello_take_hello()
 *	both:  hello_transform(), which hello_rest() goes through
 */
#ifndef NET_HELLO_H
#define NET_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/handshake.h"
#include "core/transform.h"
#include "core/wire_hello.h"
#include "net/stream.h"

struct hello {		/* private; embedded, and all zeros at first */
	struct handshake handshake;
	bool proxy;
	/* Our hello or answer, as far as it is not written. */
	uint8_t ours[HANDSHAKE_HELLO];
	size_t ours_start, ours_end;
	/* What the other end has sent, as far as it is not taken. */
	uint8_t theirs[WIRE_ANSWER_LENGTH + WIRE_HELLO_MAX];
	size_t theirs_start, theirs_end;
};

/* ---- its connection ---- */

/* Write what is to be said, as far as the socket takes it.  0, or as
 * stream_write(). */
int hello_write(struct hello *, struct stream *);
bool hello_is_written(const struct hello *);

/* Read a part.  As stream_read(). */
ssize_t hello_read(struct hello *, struct stream *);
/* As much was read as the longest hello (proxy: answer) has. */
bool hello_is_full(const struct hello *);

/* ---- proxy ---- */

/* Say `hello` under `key`, which is not kept; NULL if, and only if, its
 * protection is none.  0, or -errno of getrandom(). */
int hello_begin(struct hello *, const struct wire_hello *hello,
    const uint8_t *key);

/* 0: the answer is here; -EAGAIN: not all of it; -EBADMSG: made or changed by
 * one without our key; -EPROTO: it is none. */
int hello_take_answer(struct hello *, struct wire_answer *);

/* ---- relay ---- */

/* As in struct subflow_callbacks. */
struct hello_callbacks {
	bool (*on_key)(void *user, const uint8_t id[static WIRE_KEY_ID],
	    const uint8_t **key);
	bool (*on_hello)(void *user, const struct wire_hello *,
	    struct wire_answer *);
};

/* 0: a hello is here, and its answer is to be written; -EAGAIN: not all of it;
 * else there is none, and *why is a word for the log: -ENOKEY and -EACCES, a
 * callback said false; -EBADMSG, -EPROTO, others as for the proxy. */
int hello_take_hello(struct hello *, const struct hello_callbacks *,
    void *user, const char **why);

/* ---- both ---- */

/* Once, for frames; as handshake_transform(), and the secrets are wiped. */
struct transform *hello_transform(struct hello *, size_t out_bytes,
    size_t in_bytes);

/* What came behind the hello or the answer is frames: how many bytes. */
size_t hello_rest(const struct hello *, const uint8_t **);

/* Wipe the secrets; whoever gives up. */
void hello_wipe(struct hello *);

#endif
