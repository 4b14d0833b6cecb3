/* SPDX-License-Identifier: ISC */
/*
 * What is in a set or a map of nf_tables, by the listing of all elements.
 */
#ifndef CHECK_SET_H
#define CHECK_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nft/netlink.h"

#define CHECK_KEY_MAX 16

struct check_set {
	uint8_t family;			/* NFPROTO_* */
	const char *table, *name;
};

struct check_element {
	bool there;
	struct netlink_cursor attributes;	/* its, or its interval's */
};

/* Look for `key`, of `len` bytes as a register has them, not more than
 * CHECK_KEY_MAX.  false: there is no such set, or none of such keys, or it has
 * an element for all others. */
bool check_find_element(struct netlink_cursor elements,
    const struct check_set *, const uint8_t *key, size_t len,
    struct check_element *);

#endif
