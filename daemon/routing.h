/* SPDX-License-Identifier: ISC */
/*
 * The rules and routes of TPROXY (nft/route.h) while a proxy runs.  Anybody can
 * change them: when something did, ours are installed again, at once and then
 * not for a second, which changes nothing if they are there.
 *
 * Blocking, as gateway.h.
 */
#ifndef ROUTING_H
#define ROUTING_H

#include <ev.h>
#include <stddef.h>

#include "core/config.h"

struct routing;

struct routing_options {
	struct ev_loop *loop;
	const struct config *config;
	void (*on_rules)(void *user);	/* somebody has changed rules */
	void *user;
};

/* They are there when this returns, and the configuration's intercept section
 * stays until routing_configure().  NULL with one sentence in the `size` bytes
 * at `error`.  routing_free() removes them and accepts NULL. */
struct routing *routing_new(const struct routing_options *, char *error,
    size_t size);
void routing_free(struct routing *);

/* Remove what a run has left that was killed, as far as that can be done. */
void routing_clean(void);

/* After a reload; what does not work is logged. */
void routing_configure(struct routing *, const struct config *);

#endif
