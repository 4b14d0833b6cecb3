/* SPDX-License-Identifier: ISC */
/*
 * The relay's side of the extended protocol: the groups that proxies make, and
 * their subflows from accept() on.
 */
#ifndef DOWNLINK_H
#define DOWNLINK_H

#include <ev.h>

#include "core/addr.h"
#include "core/config.h"
#include "keyring.h"
#include "peers.h"
#include "quota.h"
#include "net/hangup.h"

struct downlink;

struct downlink_options {
	struct ev_loop *loop;
	struct hangup *hangup;
	struct quota *quota;
	const struct config *config;	/* these two until */
	const struct keyring *keys;	/* downlink_configure() */
	/* After downlink_drain(): the last group is gone; told once. */
	void (*on_idle)(void *user);
	void *user;
};

/* NULL if out of memory; downlink_free() accepts NULL, and resets what is
 * left.  Not freed inside on_idle(). */
struct downlink *downlink_new(const struct downlink_options *);
void downlink_free(struct downlink *);

/* After a reload, of the configuration, the keys or the quota.  Peers that are
 * gone lose their sessions; subflows made with a key that their peer does not
 * have any more are closed, and the sessions go on over others. */
void downlink_configure(struct downlink *, const struct config *,
    const struct keyring *);

const struct peers *downlink_peers(const struct downlink *);

/* A connection that may become a subflow; takes `fd`. */
void downlink_accept(struct downlink *, int fd, const struct addr *peer);

/* Groups end with their last session, and there are no new ones; those that
 * have lost subflows may still get others. */
void downlink_drain(struct downlink *);
/* Reset every session, both ends. */
void downlink_abort(struct downlink *);

#endif
