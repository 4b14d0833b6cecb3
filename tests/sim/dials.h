/* SPDX-License-Identifier: ISC */
/*
 * The world of `sim --redial`: dials.c makes things happen, redial.c carries
 * orders out, and dials_rules.c knows what was promised.
 */
#ifndef SIM_DIALS_H
#define SIM_DIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/redial.h"
#include "core/silence.h"
#include "random.h"
#include "world.h"

#define DIAL_PATHS 4
#define DIAL_SLOTS 16
#define DIAL_RING 64			/* of the last dials */

#define DIAL_EVENTS 1024

#define MS UINT64_C(1000)
#define SYN_US SECOND			/* sent again after that,
					 * then twice it */
#define RTO_MIN_US (200 * MS)

/* What becomes of what is sent there. */
enum road {
	ROAD_GOOD,
	ROAD_SILENT,		/* nothing passes */
	ROAD_REFUSED,		/* nobody listens */
	ROAD_LOCAL,		/* no interface, no route */
	ROAD_DEAF,		/* connects, and nothing more is heard */
	ROAD_UNLIKED,		/* the hello is answered with a close */
	ROAD_BRIEF,		/* up, and soon closed: some before they are
				 * heard, some after */
	ROADS
};

enum stage { STAGE_NONE, STAGE_DIALING, STAGE_HELD, STAGE_SPEAKING };

struct dial_slot {
	uint8_t path;

	enum stage stage;	/* its attempt */
	unsigned attempt;	/* and the number of that */
	unsigned accepted;	/* restarts of the relay before it connected */
	bool answered;		/* its hello, there, */
	bool known, forgotten;	/* and what it says of the group; by one that
				 * knows none */

	unsigned subflow;	/* the number of its subflow */
	bool up, heard, silent;
	uint64_t down_since;	/* not known to be up and heard */
	uint64_t heard_us, moved_us;
	bool busy;		/* it is always in the middle of something */
	unsigned relay;		/* restarts before it came up */
	bool sending;		/* something of ours is not answered, */
	uint64_t sending_since;
	unsigned chain;		/* and sent again by this one's timer */
	struct silence silence;
	uint64_t asked_last;	/* by silence; 0: heard since */

	uint64_t dialed[DIAL_RING];
	unsigned dials;
};

struct dial_path {
	enum road road;
	uint64_t road_since;
	uint64_t rtt_us;
	bool rtt_known;
	uint64_t unheard_in;	/* (brief) one of so many ends before that, */
	uint64_t lives_us;	/* and the others so long after it at most */
	bool forgets;		/* (brief) nobody there knows any group */
	bool missing;		/* (local) the interface has gone */
	bool alive;
	uint64_t dead_since;
	uint64_t dialed_at;	/* its last dial, */
	uint64_t begun_at;	/* or hello, */
	uint64_t lost_at;	/* and the last end of a subflow */
	uint64_t promised;	/* when the next one begins if none is left, */
	uint64_t next_by;	/* none is; REDIAL_NEVER: one is */
	uint64_t alive_since;
	uint64_t refused_since;	/* each dial, without a pause; 0: no */
	bool local;		/* this machine had no way, last */
	uint64_t local_since;
};

enum dial_event {
	EVENT_NONE,
	EVENT_SYN, EVENT_SYN_ANSWER,	/* of an attempt */
	EVENT_HELLO, EVENT_HELLO_ANSWER,
	EVENT_TIMEOUT,
	EVENT_PING, EVENT_PONG,		/* of a subflow */
	EVENT_TALK, EVENT_CLOSED,
	EVENT_WEATHER,			/* of a path, or of all */
	EVENT_RESTART, EVENT_HURRY, EVENT_RENEW, EVENT_AWAY,
};

struct happening {
	enum dial_event kind;
	uint64_t at, order;	/* what is due at once goes by order */
	size_t which;		/* slot, or path */
	unsigned id, chain;
	uint64_t value;
};

struct dials {
	uint64_t seed, now;
	bool verbose;
	struct totals *totals;
	struct random random;
	struct happening events[DIAL_EVENTS];
	uint64_t events_made;
	struct redial *redial;
	uint32_t timeout_ms;
	size_t npaths, nslots;
	struct dial_path paths[DIAL_PATHS];
	struct dial_slot slots[DIAL_SLOTS];

	unsigned group, relay_group;	/* the relay knows that one; 0: none */
	unsigned restarts;		/* of the relay */
	uint64_t group_since, group_begins;	/* after a pause, at most */
	bool established;		/* the relay was heard in it, */
	uint64_t established_at;	/* first */
	uint64_t answered_at;		/* one is up, and not heard yet */
	uint64_t asked_us, asked_since;	/* the first question that has no
					 * answer, and since when it is that */
	uint64_t stirred;	/* nothing is owed for the time before */
};

static inline size_t
dial_index(const struct dials *d, const struct dial_slot *s)
{
	return (size_t)(s - d->slots);
}

static inline struct dial_path *
dial_path_of(struct dials *d, const struct dial_slot *s)
{
	return &d->paths[s->path];
}

void dials_fail(const struct dials *, const char *, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static inline bool
slot_alive(const struct dial_slot *s)
{
	return s->heard && !s->silent;
}

/* ---- dials.c ---- */

void dials_say(const struct dials *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
uint16_t dials_chance(struct dials *);

/* What is to happen to a path or slot, or to what an attempt is until then. */
void dials_add(struct dials *, enum dial_event, uint64_t after, size_t which,
    uint64_t value);
void dials_add_attempt(struct dials *, enum dial_event, uint64_t after,
    const struct dial_slot *, uint64_t value);
/* NULL: nothing is to happen any more. */
struct happening *dials_first(struct dials *);
void dials_happen(struct dials *, const struct happening *);

/* Facts. */
void dials_failed(struct dials *, struct dial_slot *, enum redial_failure);
void dials_lost(struct dials *, struct dial_slot *, const char *why);
void dials_begin(struct dials *);
/* Something of ours goes to the relay, behind what is not answered yet. */
void dials_ask(struct dials *, struct dial_slot *);

/* ---- dials_rules.c ---- */

/* An order, before it is carried out. */
void rules_order(struct dials *, const struct redial_action *);
/* An attempt came to an end. */
void rules_failed(struct dials *, const struct dial_slot *,
    enum redial_failure);
/* A subflow is known to be gone; new: it was neither heard nor silent. */
void rules_lost(struct dials *, struct dial_slot *, bool new);
/* An answer says that the group is not known. */
void rules_unknown(const struct dials *, const struct dial_slot *);
/* Another group begins. */
void rules_begin(struct dials *);
/* A question is asked by silence, or it says that nothing is heard. */
void rules_asked(struct dials *, struct dial_slot *);
void rules_silent(struct dials *, const struct dial_slot *);
/* All that was to be done at this time is done. */
void rules_settled(struct dials *);
/* So late it is, and nothing was done since. */
void rules_waited(const struct dials *);

#endif
