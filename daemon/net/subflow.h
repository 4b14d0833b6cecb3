/* SPDX-License-Identifier: ISC */
/*
 * One TCP connection between a proxy and a relay: the handshake of security.md,
 * then bytes of frames through a transform.  It knows neither sessions nor
 * groups: its owner is told when the handshake has something to decide, and is
 * asked to take and fill bytes of frames.
 */
#ifndef NET_SUBFLOW_H
#define NET_SUBFLOW_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/wire_hello.h"
#include "net/sockopt.h"

struct subflow;

/* All are called from the event loop, never from inside a function below
 * that starts something.  `user` is subflow_user(). */
struct subflow_callbacks {
	/* Relay: a hello came in under the key `id`, all zeros for none.  Give
	 * the key (NULL for none, where that is accepted) and return true, or
	 * return false: it is then closed as every other failure is.  The key
	 * is not looked at any more once we return to the loop. */
	bool (*on_key)(struct subflow *, const uint8_t id[static WIRE_KEY_ID],
	    const uint8_t **key);
	/* Relay: and it is one of a holder of that key, or a repetition of one.
	 * Fill the answer (its protection is not looked at) and return true, or
	 * false as above. */
	bool (*on_hello)(struct subflow *, const struct wire_hello *,
	    struct wire_answer *);
	/* The other end is what it says it is: proxy, with the answer; relay
	 * (answer NULL), when the first frames or the empty record came.
	 * Attach it now.  false: close it (on_closed will not be called). */
	bool (*on_up)(struct subflow *, const struct wire_answer *);
	/* Frames came; as group_take(). */
	int (*take)(struct subflow *, const uint8_t *, size_t);
	/* Write frames; as group_fill(). */
	size_t (*fill)(struct subflow *, uint8_t *, size_t);
	/* After take() or writability: offer all subflows of the group fill()
	 * with subflow_pump(). */
	void (*on_event)(struct subflow *);
	/* The connection is over, `error` is -errno (0: closed by the peer).
	 * `why` is a word for the log, which a relay gives in silence: the
	 * other end cannot tell, so a proxy names what it may have been.  The
	 * object is freed after this. */
	void (*on_closed)(struct subflow *, int error, const char *why);
};

struct subflow_options {
	const struct subflow_callbacks *callbacks;
	void *user;
	uint32_t handshake_ms;		/* 10 s */
	size_t out_bytes, in_bytes;	/* room of the transform; 0: 64 KiB and
					 * 256 KiB */
};

/* Both take `fd`, connected (dial) or accepted.  NULL: out of memory, fd is
 * closed.  The proxy's sends `hello` at once, under a key of SECURE_KEY bytes,
 * which is not kept; NULL if, and only if, hello->protection is none. */
struct subflow *subflow_proxy(struct ev_loop *, int fd,
    const struct subflow_options *, const struct wire_hello *hello,
    const uint8_t *key);
struct subflow *subflow_relay(struct ev_loop *, int fd,
    const struct subflow_options *);

/* Relay, from on_key or on_hello: the rooms of its options again, since only
 * now one may know whose it is. */
void subflow_set_room(struct subflow *, size_t out_bytes, size_t in_bytes);

/* Write while fill() gives bytes and the kernel takes them; derives interest
 * afterwards.  Never calls on_closed (a failure is told in the next turn). */
void subflow_pump(struct subflow *);

/* Close without calling on_closed; freed later.  NULL is accepted. */
void subflow_close(struct subflow *);

/* Bytes that fill() gave and the kernel did not take yet, about. */
size_t subflow_pending(const struct subflow *);

void *subflow_user(const struct subflow *);
void subflow_set_user(struct subflow *, void *);
int subflow_fd(const struct subflow *);
const struct addr *subflow_peer(const struct subflow *);

#endif
