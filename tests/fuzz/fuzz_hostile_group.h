/* SPDX-License-Identifier: ISC */
/*
 * One group, and what its peer may expect of it by protocol.md, for
 * fuzz_hostile_group*.c.
 *
 * The model follows the frames both ways.  Of each frame of the peer it says
 * beforehand what has to happen: nothing wrong, a fault of the session (RESET
 * 6), or either where the protocol leaves room.  What it cannot know (has the
 * group forgotten a session whose two directions have ended?) is LIFE_UNSURE.
 */
#ifndef FUZZ_HOSTILE_GROUP_H
#define FUZZ_HOSTILE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/group.h"
#include "frames.h"

#define TRACKS 80
#define ITEMS 128		/* of one session that are not taken yet */
#define SERIALS 1024		/* that the group gives in one session */
#define SEEN 512
#define LINKS 4
#define ROOM (64u << 10)	/* of a subflow's turn */
#define DOWN (-1)
#define STRAYS 1000		/* RESET 7 that we expect; a group keeps 1024 */

enum life {
	LIFE_WAITING,		/* the proxy has sent nothing of it */
	LIFE_LIVE,
	LIFE_RESETTING,		/* RESET `code` was sent or will be */
	LIFE_GONE,
	LIFE_UNSURE,
};

struct item {
	uint64_t serial;
	size_t len;
	uint8_t *bytes;		/* ours */
};

struct track {
	uint32_t number;
	unsigned int key;		/* of the content that it sends */
	struct session *session;	/* NULL: the role has let it go */
	enum life life;
	bool aborted;			/* the local side must be told `code` */
	uint8_t code;
	uint8_t open[WIRE_OPEN_MAX];	/* as it is sent */
	size_t open_len;

	/* From us to the group. */
	struct item items[ITEMS];	/* not taken by the local side */
	size_t nitems;
	uint64_t next, end;		/* first missing, past the highest */
	uint64_t cost_next, cost_early;
	uint64_t offered;		/* cost */
	uint64_t ready, taken;		/* bytes in order; taken of them */
	uint64_t head;			/* serial of the first item in order */
	size_t head_used;		/* bytes of it */
	bool fin_seen;
	uint64_t fin_serial;
	uint8_t fin_code;
	unsigned int asked;		/* links where an ACK is due */
	uint64_t ack_due;		/* on any, from then on; 0: none is */
	int ack_on;			/* link of the last one, or DOWN */

	/* From the group to us. */
	unsigned int open_on;		/* links that carry OPEN */
	uint64_t sent;			/* serials */
	uint64_t acked, edge;		/* as we said; edge in cost */
	uint64_t cost_end[SERIALS], bytes_end[SERIALS];
	uint64_t given;			/* bytes, by the local side */
	bool read_ended, discard, fin_sent;
	uint8_t read_code;
};

struct link {
	int number;			/* in the group, or DOWN */
	uint8_t path, slot;
	uint8_t pending[WIRE_HEADER + WIRE_SIZE_MAX];
	size_t npending;
	bool pinged;			/* a PONG is due */
	uint64_t opaque;
};

/* RESET 7 that a link has to bring. */
struct stray {
	uint32_t number;
	int link;
	unsigned int most;		/* so many may come */
	bool due;			/* one has to */
};

enum verdict {
	VERDICT_FINE,
	VERDICT_FAULT,
	VERDICT_EITHER,
	VERDICT_UNKNOWN,
};

struct world {
	uint64_t now;
	struct budget budgets[2];	/* the peer's within the process's */
	struct group_options options;
	struct group *group;
	struct link links[LINKS];
	struct track tracks[TRACKS];
	size_t ntracks;
	uint32_t seen[SEEN];		/* relay: numbers that were named */
	size_t nseen;
	struct stray strays[STRAYS];
	size_t nstrays;
	uint32_t peer_window;		/* what we offer each session */
	uint32_t opened;		/* proxy: numbers that OPENs had */
	size_t sessions_before;		/* as it was judged */
	enum budget_level level_before;
	size_t room;			/* that local sides may still write */
	/* ROOM bytes, used at their end: a sanitizer sees what goes past. */
	uint8_t *scratch;
};

/* ---- fuzz_hostile_model.c ---- */

struct track *track_find(struct world *, uint32_t number);
/* NULL: there are too many. */
struct track *track_add(struct world *);
void tracks_clear(struct world *);

/* The group wrote this frame on a link: asserts that it may. */
void model_hear(struct world *, int link, const struct frame *);
/* The link was emptied, or all that there are: asserts that everything due has
 * come. */
void model_quiet(struct world *, int link);
void model_all_quiet(struct world *);
void model_link_lost(struct world *, int link);

/* Can the model follow this frame?  (It has room for what it makes.) */
bool model_follows(struct world *, const struct frame *);
/* What the group has to find wrong with a frame that we send. */
enum verdict model_judge(struct world *, const struct frame *);
/* It was given to the group, which found a fault or not. */
void model_say(struct world *, int link, const struct frame *, bool fault);

/* The local side of a session: what it did. */
void model_read_end(struct track *, uint8_t code);
void model_abort(struct track *, uint8_t code);
void model_release(struct track *);
void model_consume(struct track *, size_t len);
/* Memory was over: some of them may have been reset. */
void model_shed(struct world *);
/* The next item that is in order and not taken, counted from 0; NULL: none. */
const struct item *model_item(const struct track *, size_t);
/* Asserts that it sees what it has to. */
void model_check(const struct track *);

#endif
