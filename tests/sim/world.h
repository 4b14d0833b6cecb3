/* SPDX-License-Identifier: ISC */
/*
 * One seed's world: a proxy's and a relay's group in virtual time, the links
 * that join them and the local sides of their sessions.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/budget.h"
#include "core/group.h"
#include "random.h"
#include "scenario.h"

/* Sums over seeds, for the last line. */
struct totals {
	uint64_t seeds, long_seeds;
	uint64_t sessions, sessions_reset, refused;
	uint64_t bytes, datagrams, resent, resent_bytes, duplicates;
	uint64_t second_bytes;	/* that the relay sent over path 1 */
	uint64_t deaths, stalls, replaced, restarts;
	uint64_t events, virtual_us;
	uint64_t held_max;
	uint64_t paths_lost;
	uint64_t late_us, gap_us;	/* the worst, of what is timed */
	uint64_t dials, subflows, given_up;	/* --redial */
};

struct world;
struct link;
struct flow;
struct watch;

typedef void event_fn(struct world *, void *, int);

struct event {
	uint64_t at, order;	/* what is due at once goes by order */
	event_fn *fn;
	void *object;
	int which;
};

struct side {
	struct group *group;
	struct budget budget;
	uint64_t tick_at;	/* earliest tick in the heap, or GROUP_NEVER */
	bool touched;		/* something happened since it was settled */
	size_t open_ends;	/* sessions that its role holds */
	uint64_t shut_at;	/* when it last lacked room to send */
	bool drained;		/* it said so, where that can arrive */
	uint64_t holds[SIM_PATHS];	/* most that a path was said to carry
					 * in half a second or a round trip */
};

/* What the proxy has to say of a path. */
struct told {
	struct wire_path is, news;	/* news: as the relay last heard it */
	bool said;		/* it was something else than at first */
};

struct world {
	uint64_t seed, now;
	bool verbose;
	struct scenario plan;
	struct random random;
	struct side sides[SIDES];

	struct event *events;	/* a heap */
	size_t nevents, events_room;
	uint64_t events_made;

	struct link **links;	/* all that ever were; freed at the end */
	size_t nlinks, links_room;
	struct flow *flows;
	struct watch *watch;

	unsigned deaths_left, stalls_left;
	uint64_t progress_at;	/* when a local side last moved */
	bool reloaded;		/* the proxy has its second configuration */
	struct told told[SIM_PATHS];
	uint64_t taken_at;	/* when one last took something */
	bool over;		/* every session is done: no more trouble */
	struct totals totals;
};

extern const char *const side_names[SIDES];

/* Run one seed; returns only if nothing failed.  Its sums are added. */
void world_run(uint64_t seed, bool verbose, struct totals *);

/* Run one of our making.  Returns when the last byte was taken, in microseconds
 * from its start. */
uint64_t world_play(const struct scenario *, uint64_t seed, bool verbose,
    struct totals *);

/* Say what failed, and how to see it again; ends the process with 1. */
void world_fail(const struct world *, const char *, ...)
    __attribute__((format(printf, 2, 3), noreturn));
/* With --verbose: one line of what happens. */
void world_say(const struct world *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

/* Call fn(world, object, which) at a time, at the earliest now. */
void world_at(struct world *, uint64_t at, event_fn *fn, void *object,
    int which);

/* To be called after anything was done to a side's group. */
static inline void
world_touch(struct world *w, int side)
{
	w->sides[side].touched = true;
}

static inline void
world_progress(struct world *w)
{
	w->progress_at = w->now;
}

/* ---- tcp.c ---- */

/* Let a side look at what its TCP knows, from now on. */
void tcp_start(struct world *, int side);

/* ---- trouble.c, fill.c ---- */

void links_start(struct world *);
/* Give every subflow of a side that can send what it likes to send.
 * true: something was written. */
bool links_pump(struct world *, int side);
void links_ping(struct world *, int side);
/* Is there nothing that a side could not send now, for want of room? */
bool links_all_open(struct world *, int side);
bool links_any_up(const struct world *, int side);
/* The shortest that a round trip can be. */
uint64_t links_rtt_min(const struct world *);
/* Nothing is on its way, nobody is about to notice anything. */
void links_check_idle(struct world *);
/* The relay is gone, and the proxy has noticed. */
void links_restart(struct world *);
void links_free(struct world *);

/* ---- flows.c ---- */

void ends_start(struct world *);
/* What group_ready() gave. */
void ends_ready(struct world *, int side, struct session *);
/* Has every session come to its end at both sides? */
bool ends_done(const struct world *);
/* The relay has forgotten everything, and the proxy was told. */
void ends_restart(struct world *);
/* Who is not at its end, for a failure. */
void ends_print(const struct world *);
void ends_free(struct world *);

#endif
