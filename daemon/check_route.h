/* SPDX-License-Identifier: ISC */
/*
 * What listings of routing say: who sends marked packets to this machine, which
 * addresses are there.  Messages in, values out.
 */
#ifndef CHECK_ROUTE_H
#define CHECK_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "nft/netlink.h"

/* A rule of routing.  One that says `not` has neither interface nor mark, since
 * it may be for all others. */
struct check_policy {
	char interface[16];		/* "": from anywhere */
	uint32_t mark, mask;		/* 0: whatever it is */
	uint32_t table;			/* where it looks; 0: it does not */
	uint32_t priority;
	bool diverts;			/* what it is for, TCP from outside to
					 * the Internet among it, ends there */
	bool ours;			/* rorod made it */
};
/* The next one of a listing; false: there is none. */
bool check_next_policy(struct netlink_cursor *, struct check_policy *);

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
