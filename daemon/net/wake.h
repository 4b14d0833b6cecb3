/* SPDX-License-Identifier: ISC */
/*
 * A loop that does not sleep over what it has yet to tell.  When the kernel
 * refuses to watch a descriptor (epoll_ctl: ENOMEM, ENOSPC), libev notes
 * EV_ERROR for its watcher, but between the moment when it looks for noted
 * events and the one when it waits (fd_reify() in ev_run(), as of 4.33).  On an
 * idle daemon that is a listener that stands still for a minute.
 */
#ifndef NET_WAKE_H
#define NET_WAKE_H

#include <ev.h>

/* Of one loop, for as long as it runs. */
void wake_start(struct ev_loop *);
void wake_stop(struct ev_loop *);

#endif
