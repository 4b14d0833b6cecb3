/* SPDX-License-Identifier: ISC */
/*
 * Our table (nft/ruleset.h) in the kernel while a proxy runs.  It intercepts
 * nothing but what table_beat() says, for TABLE_ALIVE_MS, so a daemon that
 * hangs lets go after that.
 *
 * It should be there as long as we are.  Owned by our socket it is; where it
 * cannot be, somebody may remove it (a firewall that is loaded again), and the
 * keeper is anybody's.  When the kernel says that it happened, they are put
 * back at once: without them, packets of connections that we have go to
 * servers, which reset.  What the kernel did not say the next heartbeat finds
 * out.
 *
 * Blocking, as gateway.h.
 */
#ifndef TABLE_H
#define TABLE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "direct.h"

#define TABLE_ALIVE_MS 6000

struct table;

struct table_options {
	struct ev_loop *loop;
	const struct config *config;	/* until table_configure() */
	const struct direct *direct;
	uint16_t port, own_port;	/* of the listeners; 0: there is none */
};

/* It is there when this returns, and intercepts nothing.  NULL with one
 * sentence in the `size` bytes at `error`.  table_free() removes it and accepts
 * NULL. */
struct table *table_new(const struct table_options *, char *error, size_t size);
void table_free(struct table *);

/* After a reload; what does not work is logged, and tried again. */
void table_configure(struct table *, const struct config *);

bool table_is_there(const struct table *);

/* Intercept these families (gate.h) from now on, for TABLE_ALIVE_MS. */
void table_beat(struct table *, unsigned families);

/* Let the kernel know what has changed in `direct`.  0, -ENOMEM, or the
 * kernel's -errno; what does not work with relays is logged. */
int table_update_bypass(struct table *);
void table_update_relays(struct table *);

/* Refuse a destination: 0 or -errno, as ruleset_refuse(); other errors than
 * those that it names are logged. */
int table_refuse(struct table *, const struct ruleset_refusal *);

#endif
