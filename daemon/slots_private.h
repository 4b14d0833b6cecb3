/* SPDX-License-Identifier: ISC */
/*
 * The inside of the slots, for slot.c (one of them: its attempts, its subflow)
 * and slots.c (all of them: orders, keys, addresses) only.
 */
#ifndef SLOTS_PRIVATE_H
#define SLOTS_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/redial.h"
#include "net/dial.h"
#include "slots.h"
#include "ways.h"

struct slot;

struct end {
	struct trunk_subflow line;	/* first: callbacks find us by it */
	struct slot *slot;
	uint8_t key_id[WIRE_KEY_ID];	/* it was dialed with */
};

struct slot {
	struct slots *slots;
	uint8_t path, number;
	struct end ends[2];
	struct end *now, *next;		/* of these: its subflow, and the one
					 * that is in its handshake */
	struct dial *dial;		/* for the next, or it is connected: */
	int fd;				/* or -1 */
	bool heard;			/* the relay, on its subflow */
	const char *complaint;		/* that was made, until the relay is
					 * heard again; NULL: none */
};

struct slots {
	struct slots_options options;
	uint8_t name[WIRE_GROUP_NAME];
	bool named;			/* nobody knows the name before */
	bool finished, obeying;
	struct redial *redial;
	struct ways *ways;
	ev_timer wake;
	ev_timer renewal;		/* of a subflow, for another key */
	size_t count;
	struct slot slots[];
};

static inline const struct config_relay *
slots_relay(const struct slots *s)
{
	return &s->options.config->relays[s->options.relay];
}

static inline const struct config_path *
slot_path(const struct slot *slot)
{
	return &slots_relay(slot->slots)->paths[slot->path];
}

static inline struct end *
slot_end(struct trunk_subflow *line)
{
	return list_object(line, struct end, line);
}

static inline size_t
slot_index(const struct slot *slot)
{
	return (size_t)(slot - slot->slots->slots);
}

static inline bool
is_bulk(const struct slot *slot)
{
	return slot->number >= WIRE_SLOT_BULK;
}

/* NULL without protection. */
static inline const struct key *
slots_key(const struct slots *s)
{
	return s->options.key;
}

/* Its lane and the number there, for the log. */
const char *slot_lane(const struct slot *);
unsigned int slot_lane_number(const struct slot *);

/* Connect; then, the handshake.  What comes of it is told to redial. */
void slot_dial(struct slot *, uint32_t timeout_ms);
void slot_speak(struct slot *, uint32_t timeout_ms);

/* Close one end; close what has not spoken yet (the relay knows nothing of it).
 * Nobody is told. */
void slot_close_end(struct end *);
void slot_close_dial(struct slot *);

/* Its attempt is over, its subflow is gone: say so, and obey.  `why` is a
 * literal. */
void slot_failed(struct slot *, enum redial_failure, int error,
    const char *why);
void slot_lost(struct slot *, int error, const char *why);

/* Do whatever is to be done now. */
void slots_obey(struct slots *);

#endif
