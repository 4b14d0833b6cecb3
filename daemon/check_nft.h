/* SPDX-License-Identifier: ISC */
/*
 * What listings of nf_tables say: who hands connections to a proxy, who
 * offloads them.  Messages in, values out; whatever else a rule does is left
 * aside.
 */
#ifndef CHECK_NFT_H
#define CHECK_NFT_H

#include <stdbool.h>
#include <stdint.h>

#include "check_text.h"
#include "nft/netlink.h"

#define CHECK_NAME_MAX 64	/* longer names are cut */

struct check_table {
	uint8_t family;			/* NFPROTO_* */
	char name[CHECK_NAME_MAX];
	bool owned;			/* it goes with its owner */
};
/* The next table of a listing; false: there is none. */
bool check_next_table(struct netlink_cursor *, struct check_table *);

enum check_deed {
	CHECK_NOTHING,
	CHECK_REDIRECT,			/* to a port of this machine */
	CHECK_TPROXY,
	CHECK_OFFLOAD,
};

struct check_rule {
	uint8_t family;
	char table[CHECK_NAME_MAX];
	char chain[CHECK_NAME_MAX];
	uint64_t handle;
	enum check_deed deed;
	uint16_t port;			/* REDIRECT, TPROXY; 0: not known */
	bool iptables;			/* a target of its own does it */
	char flowtable[CHECK_NAME_MAX];	/* OFFLOAD; "" for that of iptables */
	bool tcp, udp;			/* it may be about these, */
	struct check_ports ports;	/* to these; */
	bool fewer;			/* or fewer: of a set, or of iptables */
};
/* The next rule that does one of these. */
bool check_next_rule(struct netlink_cursor *, struct check_rule *);

#define CHECK_DEVICES_MAX 256
struct check_flowtable {
	uint8_t family;
	char table[CHECK_NAME_MAX];
	char name[CHECK_NAME_MAX];
	char devices[CHECK_DEVICES_MAX];	/* "lan1, lan2", perhaps cut */
	bool hardware;
};
bool check_next_flowtable(struct netlink_cursor *, struct check_flowtable *);

/* "inet", "ip", "ip6", ... as nft has it. */
const char *check_family_text(uint8_t family);

#endif
