/* SPDX-License-Identifier: ISC */
/*
 * Words for a service manager that started us with NOTIFY_SOCKET and perhaps
 * WATCHDOG_USEC in the environment (sd_notify(3), sd_watchdog_enabled(3)).
 * Without one, nothing happens here.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <ev.h>

/* We serve; and from now on, as long as the loop turns, so much is said twice
 * in each interval of the watchdog. */
void notify_ready(struct ev_loop *);

/* A reload begins; notify_ready() ends it. */
void notify_reloading(void);

/* We end.  The loop may turn on for a while, and the watchdog with it. */
void notify_stopping(void);

/* Before the loop is destroyed. */
void notify_end(struct ev_loop *);

#endif
