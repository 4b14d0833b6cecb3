/* SPDX-License-Identifier: ISC */
/*
 * What listings of routing say: which routes and addresses are there (rules:
 * nft/policy.h).  Messages in, values out.
 */
#ifndef CHECK_ROUTE_H
#define CHECK_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "nft/netlink.h"

struct check_route {
	uint32_t table;
	uint32_t metric;		/* the least wins */
	bool everything;		/* it is a default route */
	bool local;			/* what it is for is delivered here */
	bool ours;			/* rorod made it */
};
bool check_next_route(struct netlink_cursor *, struct check_route *);

struct check_address {
	uint32_t index;			/* of the interface */
	struct addr address;		/* without a port */
	bool global;			/* its scope */
};
bool check_next_address(struct netlink_cursor *, struct check_address *);

#endif
