/* SPDX-License-Identifier: ISC */
/*
 * What rorod wants of nf_tables, as messages for one transaction: the whole
 * table from a plan, and the small changes while it runs.  Nothing here opens a
 * socket; transact.h sends.
 *
 * The table intercepts nothing unless the set of families has an element, and
 * the elements expire: what is called heartbeat here puts them there again.
 * So a daemon that hangs, or does not want new connections, lets them go
 * directly, and connections that it has are not touched.
 */
#ifndef NFT_RULESET_H
#define NFT_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;

/* table inet ro-ro-tcp: ours. */
#define RULESET_TABLE "ro-ro-tcp"

/* table inet ro-ro-tcp-nat: a chain of type nat in a table that nobody owns,
 * with one rule that asks for connection tracking and does nothing.  When the
 * last such chain or the last such rule goes, the kernel stops translating, and
 * the resets of a daemon that was killed would not reach the clients of
 * redirected connections (measured; the chain alone is not enough).  So this
 * one stays. */
#define RULESET_KEEPER "ro-ro-tcp-nat"

/* Behind dstnat (-100, NF_IP_PRI_NAT_DST in linux/netfilter_ipv4.h), where the
 * operator's own DNATs have already had their say: among chains of type nat the
 * first to decide wins, and a chain of type filter sees the destination that
 * they chose. */
#define RULESET_PRIORITY (-95)

/* One bit that others leave alone: mwan3 uses 0x3f00, pbr and Tailscale
 * 0xff0000. */
#define RULESET_MARK 0x10000000
#define RULESET_MASK 0x10000000

/* Families, as bits. */
#define RULESET_IPV4 1u
#define RULESET_IPV6 2u

enum ruleset_mode {
	RULESET_TPROXY,		/* needs what route.h installs, first */
	RULESET_REDIRECT,
};

/* Addresses that begin with `length` bits of `ip`; what is behind them does not
 * matter. */
struct ruleset_prefix {
	uint8_t family;		/* 4 or 6 */
	uint8_t ip[16];		/* network order; family 4 uses 4 bytes */
	uint8_t length;
};

struct ruleset_ports {
	uint16_t first, last;	/* inclusive */
};

struct ruleset_plan {
	enum ruleset_mode mode;

	/* The kernel removes the table when the socket that made it closes, and
	 * nobody else can change it (NFT_TABLE_F_OWNER, since Linux 5.12). */
	bool owner;

	/* Where rorod listens for what comes from the interfaces (names, or
	 * beginnings of names with a `*`), and where for this machine's own
	 * connections, which are redirected in either mode; 0: not at all.
	 * With TPROXY, connections to `port` itself, of any address, are never
	 * intercepted. */
	uint16_t port;
	uint16_t own_port;
	const char *const *interfaces;
	size_t ninterfaces;

	/* TCP ports: those of `only` (all if there are none) without those of
	 * `except`, and never 179, since BGP wants to meet its neighbour. */
	const struct ruleset_ports *only;
	size_t nonly;
	const struct ruleset_ports *except;
	size_t nexcept;

	/* Destinations that stay direct. */
	const struct ruleset_prefix *bypass;
	size_t nbypass;
	const struct ruleset_prefix *relays;	/* whole addresses */
	size_t nrelays;

	/* Set on what TPROXY intercepts, and by rorod on its own sockets,
	 * which are never intercepted.  Bits outside of `mask` are left as they
	 * are. */
	uint32_t mark, mask;

	/* Reject QUIC where TCP to port 443 is intercepted. */
	bool reject_quic;

	/* Room for so many refused destinations in each family; 0: none. */
	uint32_t refused_max;

	/* Intercepted from the start, and for how long without a heartbeat. */
	unsigned families;
	uint32_t alive_ms;
};

/* What is wrong with a plan, or NULL. */
const char *ruleset_fault(const struct ruleset_plan *);

/*
 * Each of the following fills a batch, from batch_begin() to batch_end(), in
 * `buffer` (aligned as malloc() does).  0, -ENOBUFS (make the buffer larger),
 * -ENOMEM.  What the kernel may answer is said where it is not a plain failure.
 */

/* Enough for all but plans with many prefixes, which take 120 bytes each. */
#define RULESET_BUFFER 32768

/* The table, in place of one that is there; with RULESET_REDIRECT or `own_port`
 * also the keeper.  The plan has no fault. */
int ruleset_install(struct batch *, void *buffer, size_t size,
    const struct ruleset_plan *);

/* Remove the table.  It need not be there. */
int ruleset_remove(struct batch *, void *buffer, size_t size);

/* Remove the keeper, once no redirected connection is left. */
int ruleset_remove_keeper(struct batch *, void *buffer, size_t size);

/* From now on intercept these families, for `alive_ms`; 0: none.
 * -ENOENT from the kernel: the table is gone. */
int ruleset_heartbeat(struct batch *, void *buffer, size_t size,
    unsigned families, uint32_t alive_ms);

/* Let the destinations that stay direct be those of `now`; `before` is what
 * they were.  Connections in progress stay as they are. */
struct ruleset_prefixes {
	const struct ruleset_prefix *prefixes;
	size_t n;
};
int ruleset_bypass(struct batch *, void *buffer, size_t size,
    struct ruleset_prefixes before, struct ruleset_prefixes now);

/* Let the relays be these. */
int ruleset_relays(struct batch *, void *buffer, size_t size,
    struct ruleset_prefixes now);

/* How a connection is refused, in place of the server or of a router. */
enum ruleset_refusal_kind {
	RULESET_REFUSE_RESET,		/* connection refused */
	RULESET_REFUSE_NETWORK,		/* network unreachable */
	RULESET_REFUSE_HOST,		/* host unreachable */
	RULESET_REFUSE_PROHIBITED,	/* administratively prohibited */
};

struct ruleset_refusal {
	uint8_t family;
	uint8_t ip[16];
	uint16_t port;
	enum ruleset_refusal_kind kind;
	uint32_t timeout_ms;
};

/* Refuse new connections to this destination for a while; the plan had room
 * for some.  From the kernel, and harmless: -ENFILE (no room left), -EEXIST (it
 * is being refused already, in another way). */
int ruleset_refuse(struct batch *, void *buffer, size_t size,
    const struct ruleset_refusal *);

/* Does a name of a plan stand for this interface?  One with a `*` never stands
 * for lo: a rule of routing for that would be for what leaves this machine. */
bool ruleset_interface_is(const char *pattern, const char *name);

#endif
