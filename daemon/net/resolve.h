/* SPDX-License-Identifier: ISC */
/*
 * Names to addresses, blocking: at start and on reload only.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "core/addr.h"

/* The first TCP address of host and port.  0, or a getaddrinfo() error code
 * for gai_strerror(). */
int resolve(const char *host, uint16_t port, struct addr *);

#endif
