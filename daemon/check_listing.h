/* SPDX-License-Identifier: ISC */
/*
 * Listings of the kernel, as it gives them over netlink: its messages, one
 * behind the other, each aligned to 4 bytes.  That is how they are recorded,
 * too, in ROOT/netlink/NAME.
 */
#ifndef CHECK_LISTING_H
#define CHECK_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check_machine.h"
#include "core/addr.h"
#include "nft/netlink.h"

enum check_list {
	CHECK_TABLES,		/* of nf_tables, of all families */
	CHECK_CHAINS,
	CHECK_RULES,
	CHECK_SETS,		/* and maps */
	CHECK_ELEMENTS,		/* of all of them */
	CHECK_FLOWTABLES,
	CHECK_POLICY4,		/* rules of routing */
	CHECK_POLICY6,
	CHECK_LOCAL4,		/* routes of type local, in whatever table */
	CHECK_LOCAL6,
	CHECK_ADDRESSES,
	CHECK_NLISTS,
};

struct check_listing {
	uint8_t *bytes;		/* NULL: it cannot be had */
	size_t len;
	int error;		/* then -errno; -EPERM: only root can */
};

/* "tables", ...: what it is called when it is recorded. */
const char *check_list_name(enum check_list);

void check_listing(const struct check_machine *, enum check_list,
    struct check_listing *);
void check_free_listing(struct check_listing *);

/* The routes of one table, of whatever type: none, if there is no such table or
 * the machine was recorded. */
void check_table_routes(const struct check_machine *, bool ipv6,
    uint32_t table, struct check_listing *);

/* All of its messages. */
struct netlink_cursor check_messages(const struct check_listing *);

/* The interface (its index) by which packets of this machine leave for `to`, of
 * the address `from`.  0, or -errno. */
int check_way(const struct addr *to, const struct addr *from, uint32_t *index);

#endif
