/* SPDX-License-Identifier: ISC */
/*
 * Two groups, the links between them and the local ends of their sessions, for
 * fuzz_group*.c.  The model is a byte queue for each direction of a session:
 * what is taken at one end is what was given at the other, in order, and the
 * way it ends there is the way it was ended here.
 */
#ifndef FUZZ_GROUP_H
#define FUZZ_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/group.h"

#define FLOWS 12
#define LINKS 5
#define QUEUE (96u << 10)
#define DOWN (-1)

enum { PROXY, RELAY, SIDES };

/* One local end of a session: what a role knows of it. */
struct end {
	unsigned int flow;
	int side;
	struct session *session;	/* NULL: not yet, or released */
	bool released;
	uint64_t given, taken;
	uint64_t goal;			/* of `given`, in the end */
	bool ended;			/* session_read_end() with `end_code` */
	uint8_t end_code;
	bool gave_up;			/* aborted with `give_up_code` */
	uint8_t give_up_code;
	bool opened;			/* relay: session_opened() */
	enum session_state state;
};

/* A subflow, which either side may think dead before the other does. */
struct link {
	int number[SIDES];		/* in the group of that side, or DOWN */
	uint8_t path, slot;
	bool fresh;			/* the relay has still to hear of it */
	struct {
		uint8_t bytes[QUEUE];
		size_t start, arrived, end;
	} queues[SIDES];		/* by sender */
};

struct world {
	uint64_t now;
	struct budget budgets[SIDES];
	struct group_options options[SIDES];
	struct group *groups[SIDES];
	struct link links[LINKS];
	struct end ends[FLOWS][SIDES];
	unsigned int nflows;
	bool may_refuse;		/* for want of memory or numbers */
	bool cut;			/* the group was given up */
	size_t room;			/* that local sides may still write */
	uint64_t moved;			/* whatever happened, counted */
	/* QUEUE bytes, used at their end: a sanitizer sees what goes past. */
	uint8_t *scratch;
};

/* ---- fuzz_group_links.c ---- */

void links_init(struct world *);
/* Both ends know it at once, or the relay when the first bytes come. */
void link_add(struct world *, uint8_t path, uint8_t slot, bool both);
void link_fill(struct world *, struct link *, int from, size_t room);
/* Let `len` bytes arrive on the side that is not `from`. */
void link_deliver(struct world *, struct link *, int from, size_t len);
/* `side` finds it dead; what is on the way there is lost. */
void link_kill(struct world *, struct link *, int side);

/* ---- fuzz_group_ends.c ---- */

void end_open(struct world *, uint8_t dscp);
void end_give(struct world *, struct end *, size_t len, int spans);
void end_take(struct world *, struct end *, size_t len);
void end_read_end(struct world *, struct end *, uint8_t code);
void end_give_up(struct world *, struct end *, uint8_t code);
void end_opened(struct world *, struct end *);
void end_release(struct world *, struct end *);
/* What happened to it without its doing is right. */
void end_look(struct world *, struct end *);
/* Each that group_ready() names is made known if it is new, and served; false:
 * there was none. */
bool ends_ready(struct world *, int side,
    void (*serve)(struct world *, struct end *));

#endif
