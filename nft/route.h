/* SPDX-License-Identifier: ISC */
/*
 * What TPROXY needs of routing: packets with the mark are delivered here,
 * whatever their destination.  In the words of ip(8), for each interface
 *
 *	ip rule add iif INTERFACE fwmark MARK/MASK lookup TABLE pref PRIORITY \
 *	    protocol 82
 *	ip route add local default dev lo table TABLE protocol 82
 *
 * and the same with -6.  The interface is in the rule because without it the
 * kernel drops IPv4 packets when net.ipv4.conf.*.src_valid_mark is set.
 *
 * Install this before the ruleset and remove it after: a packet that tproxy has
 * given a socket and that is not delivered here is lost.
 */
#ifndef NFT_ROUTE_H
#define NFT_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who made a rule or a route, by which we know ours again: a number that
 * neither linux/rtnetlink.h (RTPROT_*) nor iproute2's rt_protos uses. */
#define ROUTE_PROTOCOL 82

/* Defaults.  Other programs' rules have higher numbers (Tailscale 5210, mwan3
 * 1001, wg-quick and pbr 30000 and more), and these have to come first. */
#define ROUTE_TABLE 2025
#define ROUTE_PRIORITY 100

struct route_plan {
	/* As in a ruleset's plan.  A name is served also while there is no such
	 * interface; a `*` stands for those that are there now, so install
	 * again when others have come. */
	const char *const *interfaces;
	size_t ninterfaces;

	uint32_t mark, mask;
	uint32_t table;
	uint32_t priority;
	bool ipv4, ipv6;
};

#define ROUTE_TEXT_MAX 200

struct route_failure {
	int error;			/* -errno of the kernel */
	bool ipv6;			/* it was about IPv6 */
	char text[ROUTE_TEXT_MAX];	/* one sentence, without a full stop */
};

/* Make rules and routes of ours be those of the plan: add what is missing,
 * remove what is left over (of an earlier run, too), touch nothing else.  0, or
 * -errno with *failure; what has been done then stays. */
int route_install(const struct route_plan *, int timeout_ms,
    struct route_failure *);

/* Remove all of ours. */
int route_remove(int timeout_ms, struct route_failure *);

/* ---- the decoder, for tests ---- */

struct nlmsghdr;

struct route_rule {
	char interface[16];	/* "" if it has none */
	uint32_t mark, mask;
	uint32_t table;
	uint32_t priority;
};

struct route_local {
	uint32_t table;
	bool everything;	/* default, and of type local */
	bool ours;		/* by its protocol */
};

/* Is it a rule of ours, of `family` (AF_*)? */
bool route_read_rule(const struct nlmsghdr *, uint8_t family,
    struct route_rule *);

/* Is it a route of that family, whoever's? */
bool route_read_local(const struct nlmsghdr *, uint8_t family,
    struct route_local *);

#endif
