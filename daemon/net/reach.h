/* SPDX-License-Identifier: ISC */
#ifndef NET_REACH_H
#define NET_REACH_H

#include <stdbool.h>

/* Has this machine an IPv4 address beside those of the loopback?  Which
 * networks it reaches with it may be anybody's, so a route is not asked for. */
bool reach_ipv4(void);

/* Has it a route to the IPv6 Internet, and a global address to go there with?
 * A route alone is often there without anything behind it.  Nothing is sent. */
bool reach_ipv6(void);

#endif
