/* SPDX-License-Identifier: ISC */
/*
 * The listeners of a proxy: clients come to them, and each is asked where it
 * was going.
 */
#ifndef FRONTS_H
#define FRONTS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/config.h"
#include "core/wire.h"

struct fronts;

struct fronts_options {
	struct ev_loop *loop;
	const struct config *config;	/* until fronts_configure() */
	/* Takes `fd`.  With the base protocol there is no destination: the
	 * relay knows it. */
	void (*on_client)(void *user, int fd, const struct wire_open *);
	void *user;
};

/* All that the configuration has.  NULL with one sentence in the `size` bytes
 * at `error`.  fronts_free() accepts NULL; not from inside on_client(). */
struct fronts *fronts_new(const struct fronts_options *, char *error,
    size_t size);
void fronts_free(struct fronts *);

/* Another configuration, with the same listeners. */
void fronts_configure(struct fronts *, const struct config *);

/* Clients wait in the backlog. */
void fronts_pause(struct fronts *, bool pause);

/* Reset a client that cannot be served, with a line in the log.  Takes `fd`. */
void fronts_refuse(struct ev_loop *, int fd, const struct addr *client,
    const char *why);

#endif
