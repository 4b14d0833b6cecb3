/* SPDX-License-Identifier: ISC */
/*
 * What the kernel says of the TCP connection of a subflow.
 */
#ifndef NET_TCPINFO_H
#define NET_TCPINFO_H

#include <stdbool.h>

#include "core/health.h"

/* false: it says nothing (an old kernel, not TCP); *facts is not touched. */
bool tcpinfo_facts(int fd, struct group_facts *facts);

#endif
