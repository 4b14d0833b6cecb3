/* SPDX-License-Identifier: ISC */
/*
 * The role near the clients: accepts what is intercepted for it, and what comes
 * to its forward listeners, and has it carried to a relay.
 */
#ifndef PROXY_H
#define PROXY_H

#include <ev.h>
#include <stddef.h>

#include "core/config.h"
#include "gateway.h"
#include "keyring.h"
#include "quota.h"
#include "relays.h"

struct proxy;

/* Configuration and its keys stay the caller's, until others are given or
 * proxy_stop(), and are held where they are needed beyond that.  NULL with one
 * sentence in the `size` bytes at `error`. */
struct proxy *proxy_start(struct ev_loop *, struct config *, struct keyring *,
    char *error, size_t size);

/* Take another configuration, which differs only in what can change.  0, or
 * -ENOMEM: the one before stays in use. */
int proxy_reload(struct proxy *, struct config *, struct keyring *);

struct proxy_status {
	const struct quota *quota;
	uint32_t sessions, max_sessions;	/* now */
	uint64_t sessions_taken, sessions_refused;	/* since start */
	/* Of the extended protocol; with the other nothing is known of the
	 * relay but what becomes of sessions, and `extended` is false. */
	bool extended;
};
void proxy_status(struct proxy *, struct proxy_status *);

/* As of relays.h; with the base protocol there is one, of which only the first
 * members and the address are known. */
size_t proxy_relays(const struct proxy *);
void proxy_relay_status(struct proxy *, size_t relay, struct relays_status *);

/* One of its paths; zero when nothing is known of it. */
void proxy_path_status(struct proxy *, size_t relay, size_t path,
    struct uplink_path *);

/* NULL: nothing is intercepted. */
struct gateway *proxy_gateway(struct proxy *);

/* Accept nothing more; on_idle(user) when the last session is gone. */
void proxy_drain(struct proxy *, void (*on_idle)(void *user), void *user);

/* Reset every session; the other ends hear of it while the loop runs on. */
void proxy_abort(struct proxy *);

/* Not from inside a callback of ours.  NULL is accepted. */
void proxy_stop(struct proxy *);

#endif
