/* SPDX-License-Identifier: ISC */
/*
 * Whose rule of routing takes what TPROXY has marked?  A packet that TPROXY has
 * given a socket is delivered here or lost: where an operator's rule comes
 * before ours (nft/route.h) and leads elsewhere, a source of the LAN to one of
 * several uplinks for instance, connections get no answer.  The first rule that
 * fits wins; with equal priorities that is the older one.  Seen on Linux 6.18.
 */
#ifndef NFT_POLICY_H
#define NFT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"
#include "route.h"

/* A rule of routing.  One that says `not` has neither interface nor mark, since
 * it may be for all others. */
struct policy {
	char interface[16];		/* "": from anywhere */
	uint32_t mark, mask;		/* 0: whatever it is */
	uint32_t table;			/* where it looks; 0: it does not */
	uint32_t priority;
	bool diverts;			/* what it is for, TCP from outside to
					 * the Internet among it, ends there */
	bool ours;			/* rorod made it */
};
/* The next one of a listing; false: there is none. */
bool policy_next(struct netlink_cursor *, struct policy *);

/* What is looked for among the `n` rules of a listing, in its order. */
struct policy_search {
	const struct policy *list;
	size_t n;
	const char *interface;	/* of the packet; a `*` at its end: one of
				 * those; "": it is not known */
	uint32_t mark;		/* that it has */
	uint32_t table;		/* that it has to come to; 0: whatever the
				 * first rule for that mark says */
	uint32_t priority;	/* that our rule will have while it is not
				 * there */
};

/* The rule that is there for it, first those that name the interface.  NULL:
 * none is. */
const struct policy *policy_of(const struct policy_search *);

/* The first rule before that (where it is not there: before its priority) that
 * leads elsewhere some of what it is for; NULL: none does.  Whether there are
 * such packets, and a route in the table of that rule, is not asked. */
const struct policy *policy_before(const struct policy_search *);

/* Families (RULESET_IPV4, RULESET_IPV6) in which there is such a rule for one
 * of the plan's interfaces now; `table` may be 0, as above.  What cannot be
 * seen is not in the way. */
unsigned policy_families(const struct route_plan *, int timeout_ms);

#endif
