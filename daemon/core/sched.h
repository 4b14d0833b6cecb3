/* SPDX-License-Identifier: ISC */
/*
 * Whose turn is it?  Deficit round robin (Shreedhar and Varghese, 1996) with
 * new and sparse entries first, as in FQ-CoDel (RFC 8290, section 4.1): an
 * entry that wakes goes ahead until it has used one quantum, then takes turns.
 * What it sends first goes before the rest of such quanta, so that a request
 * does not wait for a hundred uploads that have just begun.  One that falls
 * asleep keeps its turn until that comes, and what is left of its quantum for
 * waking again before that, so that writing little keeps it ahead and waking
 * often does not.
 *
 * Entries with something to send again go before all others, one after another
 * and those with little first, but for that only: then each is where it would
 * be without.  So is one that moves to another queue: when a subflow dies, all
 * would be new there, and those with little to send behind those with much.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"

#define SCHED_QUANTUM 16448	/* bytes: the largest datagram and its cost */

struct sched {
	struct list again, fresh, begun, turns;
	uint32_t awake;		/* entries that have something to send */
};

/* Embedded in what is scheduled. */
struct sched_entry {
	struct list node;
	struct sched *queue;	/* NULL: in none */
	int32_t deficit;
	bool awake;
	bool again;		/* in that list, wherever it belongs else */
	bool begun;		/* in that list, unless again */
	bool in_turns;		/* else ahead of them */
	bool moving;		/* in none, but awake and to be
				 * woken elsewhere */
};

enum sched_why {
	SCHED_NEW,
	SCHED_AGAIN,		/* something was sent before, */
	SCHED_AGAIN_FIRST,	/* and there is little of it */
};

void sched_init(struct sched *);
void sched_entry_init(struct sched_entry *);

/* It has something to send. */
void sched_wake(struct sched *, struct sched_entry *, enum sched_why);
/* It has nothing to send now. */
void sched_sleep(struct sched_entry *);
/* Take it out of its queue. */
void sched_remove(struct sched_entry *);
/* The same, to be woken in another at once, or put to sleep. */
void sched_move(struct sched_entry *);

/* Who sends next, or NULL.  It stays where it is until charged. */
struct sched_entry *sched_pick(struct sched *);
/* The same, of those that a filter lets through, which may cost more. */
typedef bool sched_filter(const struct sched_entry *, const void *arg);
struct sched_entry *sched_pick_if(struct sched *, sched_filter *,
    const void *arg);
bool sched_awake_if(const struct sched *, sched_filter *, const void *arg);
/* The same, of those alone that send again; NULL: none. */
struct sched_entry *sched_again_if(const struct sched *, sched_filter *,
    const void *arg);
/* It sent so many bytes. */
void sched_charge(struct sched_entry *, uint32_t bytes);

bool sched_awake(const struct sched *);	/* does anybody wait? */
/* Does anybody but this entry wait? */
bool sched_others(const struct sched *, const struct sched_entry *);

#endif
