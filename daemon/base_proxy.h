/* SPDX-License-Identifier: ISC */
/*
 * The proxy's side of the base protocol: for each client it dials subflows of
 * its own to a relay that knows where to go.
 */
#ifndef BASE_PROXY_H
#define BASE_PROXY_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/config.h"
#include "net/hangup.h"
#include "quota.h"

struct base_proxy;

struct base_proxy_options {
	struct ev_loop *loop;
	struct hangup *hangup;
	struct quota *quota;
	const struct config *config;	/* until base_proxy_configure() */
	struct addr address;		/* of config->relays[0]; family 0: not
					 * known yet */
	/* After base_proxy_drain(): the last session is gone. */
	void (*on_idle)(void *user);
	void *user;
};

/* NULL if out of memory; base_proxy_free() accepts NULL, and resets what is
 * left.  Not freed inside a callback. */
struct base_proxy *base_proxy_new(const struct base_proxy_options *);
void base_proxy_free(struct base_proxy *);

/* After a reload, of the configuration or of the quota. */
void base_proxy_configure(struct base_proxy *, const struct config *,
    struct addr);

/* Was the relay there when it was last needed? */
bool base_proxy_answers(const struct base_proxy *);

/* Most sessions that there may be. */
uint32_t base_proxy_max(const struct base_proxy *);

/* Carry the client `fd`.  0: it was taken, and on_gone(user) is called once
 * when it has ended, not from in here.  Otherwise it is still the caller's:
 * -EAGAIN (too many sessions, or memory) or -ENOMEM. */
int base_proxy_open(struct base_proxy *, int fd, const struct addr *client,
    void (*on_gone)(void *user), void *user);

/* Nothing new will be opened. */
void base_proxy_drain(struct base_proxy *);
/* Reset every session, both ends. */
void base_proxy_abort(struct base_proxy *);

#endif
