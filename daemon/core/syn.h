/* SPDX-License-Identifier: ISC */
/*
 * What the first packet of a connection said, as the kernel keeps it
 * (TCP_SAVED_SYN): its headers, from that of IP on.
 */
#ifndef CORE_SYN_H
#define CORE_SYN_H

#include <stddef.h>
#include <stdint.h>

/* Its DSCP, 0 to 63, from the IPv4 TOS or the IPv6 traffic class, without the
 * two bits of ECN.  -1: this is no whole header of either. */
int syn_dscp(const uint8_t *packet, size_t len);

#endif
