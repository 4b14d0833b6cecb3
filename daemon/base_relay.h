/* SPDX-License-Identifier: ISC */
/*
 * The relay's side of the base protocol: connections of configured proxies,
 * which become the subflows of sessions with one fixed server.
 */
#ifndef BASE_RELAY_H
#define BASE_RELAY_H

#include <ev.h>
#include <stdbool.h>

#include "core/addr.h"
#include "core/config.h"
#include "net/hangup.h"
#include "quota.h"

struct base_relay;

struct base_relay_options {
	struct ev_loop *loop;
	struct hangup *hangup;
	struct quota *quota;
	const struct config *config;	/* until base_relay_configure() */
	struct addr server;		/* config->base.server */
	/* An accepted connection begins as the extended protocol does.  Takes
	 * `fd`, nothing was read from it. */
	void (*on_extended)(void *user, int fd, const struct addr *peer);
	/* After base_relay_drain(): the last session is gone. */
	void (*on_idle)(void *user);
	void *user;
};

/* NULL if out of memory; base_relay_free() accepts NULL, and resets what is
 * left.  Not freed inside a callback. */
struct base_relay *base_relay_new(const struct base_relay_options *);
void base_relay_free(struct base_relay *);

/* After a reload, of the configuration or of the quota. */
void base_relay_configure(struct base_relay *, const struct config *,
    struct addr server);

/* May this peer use the base protocol?  Then takes `fd`, and on_extended() may
 * give it back.  false: it is not for us. */
bool base_relay_accept(struct base_relay *, int fd, const struct addr *peer);

/* Sessions now, how many there may be, and how many there were. */
struct base_relay_status {
	uint32_t sessions, max_sessions;
	uint64_t sessions_taken;
};
void base_relay_status(const struct base_relay *, struct base_relay_status *);

/* Nothing new will be opened. */
void base_relay_drain(struct base_relay *);
/* Reset every session, both ends. */
void base_relay_abort(struct base_relay *);

#endif
