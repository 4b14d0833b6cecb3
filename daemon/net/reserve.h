/* SPDX-License-Identifier: ISC */
/*
 * Memory that the event loop can fall back on.  libev ends the process when it
 * gets none; with a reserve, memory that runs out costs sessions, whose own
 * allocations fail as well, and not the daemon.
 */
#ifndef NET_RESERVE_H
#define NET_RESERVE_H

/* Before the first loop is made. */
void reserve_start(void);

#endif
