/* SPDX-License-Identifier: ISC */
/*
 * The role near the servers: accepts subflows of proxies, and connects their
 * sessions to where they want to go.
 */
#ifndef RELAY_H
#define RELAY_H

#include <ev.h>
#include <stddef.h>

#include "core/config.h"
#include "base_relay.h"
#include "keyring.h"
#include "peers.h"
#include "quota.h"

struct relay;

/* Configuration and its keys stay the caller's, until others are given or
 * relay_stop().  NULL with one sentence in the `size` bytes at `error`. */
struct relay *relay_start(struct ev_loop *, const struct config *,
    const struct keyring *, char *error, size_t size);

/* Take another configuration, which differs only in what can change. */
void relay_reload(struct relay *, const struct config *,
    const struct keyring *);

struct relay_status {
	const struct quota *quota;
	const struct peers *peers;		/* of the extended protocol */
	struct base_relay_status base;
};
void relay_status(const struct relay *, struct relay_status *);

/* Accept nothing more but subflows of groups that are there, and give way to
 * another relay; on_idle(user) when the last session is gone. */
void relay_drain(struct relay *, void (*on_idle)(void *user), void *user);

/* Reset every session; the other ends hear of it while the loop runs on. */
void relay_abort(struct relay *);

/* Not from inside a callback of ours.  NULL is accepted. */
void relay_stop(struct relay *);

#endif
