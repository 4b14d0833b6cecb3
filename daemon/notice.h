/* SPDX-License-Identifier: ISC */
/*
 * Says when links, addresses, routes or rules of this machine have changed:
 * soon after it, but not more often than twice a second, and every few seconds
 * for routes, which on a router may change all the time.  Where the kernel
 * would not say it, every ten seconds is as good as a change.
 */
#ifndef NOTICE_H
#define NOTICE_H

#include <ev.h>

struct notice;

/* NULL if out of memory; notice_free() accepts NULL. */
struct notice *notice_new(struct ev_loop *, void (*on_change)(void *user),
    void *user);
void notice_free(struct notice *);

#endif
