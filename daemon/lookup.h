/* SPDX-License-Identifier: ISC */
/*
 * Where something is, a relay mostly.  Its name is looked up at start, on
 * reload and again and again while it does not answer, and the loop goes on
 * meanwhile.
 *
 * Of a name's addresses one is used, and kept as long as the name has it and
 * there is an answer there; when there is none, the next one's turn comes.
 */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/config.h"
#include "net/resolver.h"

struct lookup;

struct lookup_options {
	struct ev_loop *loop;
	const struct config_endpoint *endpoint;	/* these two until */
	const char *kind, *name;		/* lookup_configure(); for the
						 * log: relay "earth" */
	/* There is an address, another one, or others beside it.  Not from
	 * inside of any of the functions below. */
	void (*on_change)(void *user);
	void *user;
};

/* Starts to look, unless the host is written as an address.  NULL if out of
 * memory; lookup_free() accepts NULL. */
struct lookup *lookup_new(const struct lookup_options *);
void lookup_free(struct lookup *);

/* The same one, after a reload: its name is looked up again. */
void lookup_configure(struct lookup *, const struct config_endpoint *,
    const char *name);

/* Does it answer at the address?  To be told about once a second: while
 * it does not, its name is looked up, after LOOKUP_MIN_US, and less and less
 * often, up to every LOOKUP_MAX_US. */
#define LOOKUP_MIN_US UINT64_C(1000000)
#define LOOKUP_MAX_US UINT64_C(15000000)
void lookup_tell(struct lookup *, bool answers);

/* Family 0: none is known yet. */
struct addr lookup_address(const struct lookup *);
/* All that the name has, up to RESOLVER_MAX; how many. */
size_t lookup_all(const struct lookup *, const struct addr **);

#endif
