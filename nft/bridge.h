/* SPDX-License-Identifier: ISC */
/*
 * A bridge may be set to have its packets go through the rules of IP where they
 * enter it (br_netfilter; Docker, for one, turns that on).  These are the only
 * rules that they meet, and on the way up to IP the kernel forgets the socket
 * that TPROXY has chosen there: what is intercepted is lost.  Seen on Linux
 * 6.18; REDIRECT works.
 */
#ifndef NFT_BRIDGE_H
#define NFT_BRIDGE_H

#include <stddef.h>

/* Families (RULESET_IPV4, RULESET_IPV6) that this is so for on one of these
 * interfaces, names or beginnings of names with a `*`. */
unsigned bridge_families(const char *const *interfaces, size_t n);

#endif
