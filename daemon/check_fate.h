/* SPDX-License-Identifier: ISC */
/*
 * What the chains of nf_tables do with a packet that comes in.  Rules are run
 * as far as they are understood; a match that is not (an address, a limit, one
 * of iptables) may be true or not.  Messages in, a verdict out.
 */
#ifndef CHECK_FATE_H
#define CHECK_FATE_H

#include <stdbool.h>
#include <stdint.h>

#include "check_nft.h"

struct check_packet {		/* the first of a TCP connection */
	uint8_t family;		/* NFPROTO_IPV4, NFPROTO_IPV6 */
	const char *interface;	/* NULL: not known which */
	uint16_t port;		/* of its destination */
	uint32_t mark;
	bool redirected;	/* its destination is another now */
	bool transparent;	/* a socket for TPROXY has it */
};

struct check_chain {		/* one with a hook */
	uint8_t family;
	char table[CHECK_NAME_MAX];
	char name[CHECK_NAME_MAX];
	uint32_t hook;		/* NF_INET_* */
	bool drops;		/* its policy */
};
/* The next chain with a hook; false: there is none. */
bool check_next_chain(struct netlink_cursor *, struct check_chain *);

/* Is it dropped or rejected there for sure?  `rules` and `elements` are the
 * listings of all.  A chain of another family has no say. */
bool check_drops(struct netlink_cursor rules, struct netlink_cursor elements,
    const struct check_chain *, const struct check_packet *);

#endif
