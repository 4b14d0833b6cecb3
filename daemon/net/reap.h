/* SPDX-License-Identifier: ISC */
/*
 * Memory of objects that died while one of their callbacks may be on the stack.
 * It is freed at the start of the loop's next turn.
 */
#ifndef NET_REAP_H
#define NET_REAP_H

#include <ev.h>

struct reap_entry {
	struct reap_entry *next;
	void (*free)(struct reap_entry *);
};

void reap_start(struct ev_loop *);
/* `entry` is embedded in the object; `free` is called once, later. */
void reap_later(struct reap_entry *entry, void (*free)(struct reap_entry *));
/* Free all now, at the end of the program. */
void reap_stop(struct ev_loop *);

#endif
