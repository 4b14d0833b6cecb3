/* SPDX-License-Identifier: ISC */
/*
 * Which destinations stay direct: special ranges, private ones unless they are
 * wanted, those of the configuration and of the operator, and the relays.
 * Memory only; table.h tells the kernel.
 */
#ifndef DIRECT_H
#define DIRECT_H

#include <stddef.h>

#include "core/config.h"
#include "nft/ruleset.h"

struct direct {
	/* Private; all zero at the start. */
	struct ruleset_prefix *relays;
	size_t nrelays;
	struct addr_prefix *extra;	/* those of the operator, at run time */
	size_t nextra;
};

void direct_free(struct direct *);

/* All but the relays, to be freed by the caller; NULL: out of memory. */
struct ruleset_prefix *direct_collect(const struct direct *,
    const struct config_intercept *, size_t *n);

/* The relays have these addresses.  0 or -ENOMEM. */
int direct_set_relays(struct direct *, const struct addr *, size_t n);
struct ruleset_prefixes direct_relays(const struct direct *);

/* The operator's: at most this many. */
#define DIRECT_EXTRA_MAX 4096
/* 0, -EEXIST, -ENOSPC or -ENOMEM; 0 or -ENOENT. */
int direct_add(struct direct *, const struct addr_prefix *);
int direct_del(struct direct *, const struct addr_prefix *);
/* The `i`th; NULL if there are fewer. */
const struct addr_prefix *direct_at(const struct direct *, size_t i);

#endif
