/* SPDX-License-Identifier: ISC */
/*
 * Tells when a connection breaks that nobody reads or writes at the moment:
 * its owner has no room, or has read the end of file, and what the peer's RST
 * or a failed keepalive means to the other leg should not wait for that to
 * change.  (The loop itself cannot say so: to libev, an error is readability.)
 */
#ifndef NET_HANGUP_H
#define NET_HANGUP_H

#include <ev.h>

struct hangup;

/* Embedded in the owner; its memory has to stay until the loop's next turn
 * after the descriptor was closed (reap.h). */
struct hangup_entry {
	/* Told once, perhaps after the descriptor was closed. */
	void (*on_hangup)(struct hangup_entry *);
};

/* One for each loop.  NULL with errno set. */
struct hangup *hangup_new(struct ev_loop *);
/* No entry may be left.  NULL is accepted. */
void hangup_free(struct hangup *);

/* Watch until `fd` is closed.  Best effort: without memory it is noticed when
 * somebody reads or writes. */
void hangup_watch(struct hangup *, int fd, struct hangup_entry *);

/* What broke the connection, as a positive errno, 0: nothing.  It is told once:
 * read and write will not fail with it any more, and a read past the last byte
 * then looks like an end of file.  EPIPE: the RST came after a FIN, so that
 * end of file is a true one. */
int hangup_error(int fd);

#endif
