/* SPDX-License-Identifier: ISC */
/*
 * One client's TCP connection inside a group, seen from its local side (the
 * client at the proxy, the server at the relay).  Made by group_open(), or by
 * the peer's OPEN and first seen through group_ready().
 *
 * The local side gives bytes with session_read_room() and session_read(), and
 * says once how they ended.  It takes bytes with session_peek() and
 * session_consume() until session_state() says how those ended.  When it is
 * closed it lets go with session_release(); the group frees the session when
 * the protocol is done with it too.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"
#include "wire.h"

struct session;

enum session_state {
	SESSION_OPEN,		/* more may come for the local side */
	SESSION_END,		/* clean end, everything was taken: shut it down
				 * for writing.  The other direction goes on */
	SESSION_RESET,		/* the far end was reset after what was taken:
				 * let the kernel send it, then reset */
	SESSION_ABORT,		/* reset the local side now */
};

uint32_t session_number(const struct session *);	/* 0: not yet given */
const struct wire_open *session_open_info(const struct session *);
void *session_user(const struct session *);
void session_set_user(struct session *, void *);

/* Proxy: may the peer have heard of it? */
bool session_is_sent(const struct session *);
/* Has the peer said OPENED?  (relay) say that the server was reached. */
bool session_is_opened(const struct session *);
void session_opened(struct session *);

/* ---- bytes from the local side ---- */

/* Where to receive, at most `n` spans; returns how many, 0: do not read now.
 * The spans stay valid until the next call for any session of the group. */
int session_read_room(struct session *, struct span spans[], int n);

/* `len` bytes were received into those spans.  0, or -ENOMEM (reset it). */
int session_read(struct session *, size_t len, uint64_t now);

/* No more will come: end of file (WIRE_CODE_OK) or the local side was reset
 * (WIRE_CODE_RESET).  What was read before still goes out. */
void session_read_end(struct session *, uint8_t code, uint64_t now);

/* Give up both directions at once with RESET. */
void session_abort(struct session *, uint8_t code, uint64_t now);

/* ---- bytes for the local side ---- */

/* The bytes next in order; returns the spans used, 0: none now. */
int session_peek(const struct session *, struct span spans[], int n);
void session_consume(struct session *, size_t len, uint64_t now);

enum session_state session_state(const struct session *);
/* Of SESSION_RESET and SESSION_ABORT. */
uint8_t session_code(const struct session *);

/* Is everything read from the local side acknowledged by the peer, its end
 * included?  (A drain may stop then.) */
bool session_flushed(const struct session *);

/* The role holds it no longer; user becomes NULL.  Unless both directions have
 * ended, the session is aborted with WIRE_CODE_OK. */
void session_release(struct session *, uint64_t now);

/* For the log. */
uint64_t session_bytes_in(const struct session *);	/* to the local side */
uint64_t session_bytes_out(const struct session *);	/* from it */

#endif
