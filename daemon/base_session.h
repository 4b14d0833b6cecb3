/* SPDX-License-Identifier: ISC */
/*
 * A session of the base protocol at work: its local connection (the client at
 * the proxy, the server at the relay) and the subflows of its own, joined so
 * that each end sees what the other does: bytes, end of file, reset.
 *
 * It ends by itself, or by base_session_reset(), and then tells its owner once.
 */
#ifndef BASE_SESSION_H
#define BASE_SESSION_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/budget.h"
#include "core/traffic.h"
#include "net/hangup.h"

struct base_session;

struct base_session_options {
	struct ev_loop *loop;
	struct hangup *hangup;
	struct budget *budget;
	struct traffic *traffic;	/* its bytes count there; or NULL */
	size_t limit_bytes;	/* most that it holds for the local side */
	bool proxy;
	uint32_t keepalive_s;	/* of the local connection */
	struct addr peer;	/* for the log: the client, or the proxy */
	/* Subflows broke: what can still join must do so before this returns,
	 * by base_session_rescue(), since what came over it may be missing.
	 * Once at most, from where on_gone comes from; or NULL. */
	void (*on_break)(void *user);
	/* It has ended.  Only from the loop, from base_session_break() and from
	 * base_session_reset(). */
	void (*on_gone)(void *user);
	void *user;
};

/* Takes `local`, connected.  NULL if out of memory: then it is still the
 * caller's. */
struct base_session *base_session_new(int local,
    const struct base_session_options *);

/* May another subflow join?  As base_joinable(), or -ECONNRESET: it ends. */
int base_session_joinable(const struct base_session *);
/* It joins: takes `fd`, over which the numbers have gone.  Only after
 * base_session_joinable() has said 0. */
void base_session_join(struct base_session *, int fd);
/* As base_session_join(), from on_break: false if it may not, then `fd` is
 * still the caller's. */
bool base_session_rescue(struct base_session *, int fd);
/* No other will. */
void base_session_settle(struct base_session *);

/* The subflows are over: the local end is given what they brought, then it is
 * reset. */
void base_session_break(struct base_session *, const char *why);
/* Both ends, now. */
void base_session_reset(struct base_session *, const char *why);

#endif
