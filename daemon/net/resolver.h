/* SPDX-License-Identifier: ISC */
/*
 * Names to addresses while the loop goes on, however long the answer takes.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include <ev.h>

#include "core/addr.h"

#define RESOLVER_MAX 8			/* addresses of one name */

struct resolver;

/* Once, from the loop.  `error` is 0 with one address or more, in the order of
 * the system's preference, or a getaddrinfo() error code.  The resolver is over
 * and must not be cancelled any more. */
typedef void resolver_done(void *user, int error, const struct addr *,
    size_t n);

/* NULL: no memory, descriptor or thread is left. */
struct resolver *resolver_start(struct ev_loop *, const char *host,
    uint16_t port, resolver_done *, void *user);
/* Forget it: nothing will be called.  The thread that asks cannot be stopped,
 * and ends when it has its answer.  NULL is accepted. */
void resolver_cancel(struct resolver *);

#endif
