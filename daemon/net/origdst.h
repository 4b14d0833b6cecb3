/* SPDX-License-Identifier: ISC */
/*
 * Where an intercepted connection was going, and as what.
 */
#ifndef NET_ORIGDST_H
#define NET_ORIGDST_H

#include <stdbool.h>

#include "core/addr.h"

/* A connection that nft REDIRECT gave us: SO_ORIGINAL_DST at SOL_IP when the
 * peer is IPv4 (v4-mapped on a dual-stack socket too), at SOL_IPV6 otherwise
 * (linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h).
 * 0, or -errno: -ENOENT means that the kernel knows no translation. */
int origdst_redirect(int fd, const struct addr *peer,
    struct addr *destination);

/* Our end of a connection (getsockname): where it was going, if TPROXY gave it
 * to us.  What SO_ORIGINAL_DST knows about such a one is another matter. */
int origdst_local(int fd, struct addr *local);

/* The DSCP of the client's first packet, 0 to 63, as the listener had it saved;
 * once.  -1: not known (a flood, say, makes the kernel do without). */
int origdst_dscp(int fd);

/* The addresses of this machine's interfaces, all of them, for the caller to
 * free(); how many there are, or -errno. */
int origdst_own(struct addr **own);

/* Is it one of them? */
bool origdst_is_own(const struct addr *);

#endif
