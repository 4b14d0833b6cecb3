/* SPDX-License-Identifier: ISC */
/*
 * What catches connections for a proxy: the nftables rules, TPROXY's routing,
 * and when they are in force.  New connections are caught as long as this
 * daemon turns its loop and the gate (core/gate.h) is open; else they go
 * directly.
 *
 * Blocking: each change is one netlink transaction, which the kernel answers
 * while it is asked, some hundred microseconds.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/gate.h"

struct gateway;

struct gateway_options {
	struct ev_loop *loop;
	const struct config *config;	/* until gateway_configure(); it has an
					 * intercept section */
	const struct addr *relays;	/* stay direct; copied */
	size_t nrelays;
	uint16_t port, own_port;	/* of the listeners; 0: there is none */
	/* Once a second: fill in what the gate has to know of the proxy; `off`
	 * is ours. */
	void (*on_look)(void *user, struct gate_input *);
	void *user;
};

/* Rules and routing are there when this returns, the gate is closed.  NULL with
 * one sentence in the `size` bytes at `error`: another instance runs, the
 * kernel lacks something, ...  gateway_free() removes everything and accepts
 * NULL. */
struct gateway *gateway_new(const struct gateway_options *, char *error,
    size_t size);
void gateway_free(struct gateway *);

/* After a reload. */
void gateway_configure(struct gateway *, const struct config *);

/* The relays have these addresses from now on; copied. */
void gateway_relays(struct gateway *, const struct addr *, size_t n);

/* Do not wait a second to look.  Cheap when nothing has changed.  From inside a
 * callback of the relays: soon, which is from the loop. */
void gateway_look(struct gateway *);
void gateway_look_soon(struct gateway *);

/* The relay could not reach this destination, because of `code` (enum
 * wire_code): for a few seconds, the kernel says so to whoever tries again. */
void gateway_refused(struct gateway *, const struct addr *destination,
    uint8_t code);

/* ---- the operator ---- */

/* Intercept or not; a new start begins with yes. */
void gateway_switch(struct gateway *, bool on);

/* Destinations that stay direct beside those of the configuration; forgotten at
 * the end.  0, -EEXIST, -ENOENT, -ENOMEM, -ENOSPC (there are DIRECT_EXTRA_MAX
 * already), -EOPNOTSUPP (the rules are not ours), or the kernel's -errno. */
int gateway_bypass_add(struct gateway *, const struct addr_prefix *);
int gateway_bypass_del(struct gateway *, const struct addr_prefix *);
/* The `i`th of those; NULL if there are fewer. */
const struct addr_prefix *gateway_bypass(const struct gateway *, size_t i);

struct gateway_status {
	bool rules;			/* they are ours, and there */
	unsigned families;		/* that are intercepted (gate.h) */
	enum gate_reason reason;	/* why none is */
	const char *lacks;		/* ", IPv6 only: ..." where this machine
					 * is in the way of one; else "" */
	uint64_t refused;		/* told to gateway_refused(), in all */
};
void gateway_status(const struct gateway *, struct gateway_status *);

#endif
