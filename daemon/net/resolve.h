/* SPDX-License-Identifier: ISC */
/*
 * Names to addresses, blocking: at start and on reload only.  For a loop that
 * goes on there is resolver.h.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <stddef.h>

#include "core/addr.h"

/* The first TCP address of host and port.  0, or a getaddrinfo() error code
 * for gai_strerror(). */
int resolve(const char *host, uint16_t port, struct addr *);

/* The first `max` of them at most, in the order of the system's preference;
 * `*n` is how many, 1 or more after 0. */
int resolve_all(const char *host, uint16_t port, struct addr *, size_t max,
    size_t *n);

/* Of a host that is written as an address; nobody is asked, nothing blocks.
 * false: it is a name. */
bool resolve_numeric(const char *host, uint16_t port, struct addr *);

#endif
