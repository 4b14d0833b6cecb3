/* SPDX-License-Identifier: ISC */
/*
 * When the subflows of a group are dialed, which of them, and who speaks first.
 * Facts and time go in, orders come out.
 *
 * Each slot is a subflow that should exist, on one of the paths.  A path is
 * alive while the relay is heard on one of its subflows.  Then each slot that
 * has none, or a silent one, dials for itself, with back-off.
 *
 * A path that is not alive is probed: one slot dials, in short attempts which
 * begin 3 s apart at most (1 s while they are refused), whether its old
 * subflows are closed or only silent; those would find a link that is back by
 * their retransmission timers alone, tens of seconds later.  As soon as the
 * probe is connected the others dial, too, but do not speak before the relay
 * has answered its hello; then all are there at once.
 *
 * A relay knows a group after its first record, so in a new group one slot of
 * all paths speaks first.  Every path dials, and whoever is connected first
 * leads: a path that is dead at the start delays nothing.  If the relay is
 * heard on a subflow that was silent, whoever spoke meanwhile is dropped and
 * dials again: "group not known", said before, is no restart.
 *
 * Times are microseconds of one monotonic clock; 0 is not a time.  `chance` is
 * any 16 random bits.
 */
#ifndef CORE_REDIAL_H
#define CORE_REDIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIAL_NEVER UINT64_MAX

/* How long every path refuses before the relay's state is taken to be gone. */
#define REDIAL_REFUSED_US UINT64_C(5000000)

struct redial;

/* A slot for each of `paths`, the numbers of their paths (below 256).  An
 * attempt ends after `timeout_ms` at the latest.  NULL: out of memory;
 * redial_free() accepts NULL. */
struct redial *redial_new(const uint8_t *paths, size_t slots,
    uint32_t timeout_ms);
void redial_free(struct redial *);
void redial_configure(struct redial *, uint32_t timeout_ms);

/* A new group begins: no slot has a subflow, the relay knows none of them.
 * Attempts that have not spoken go on.  If groups end soon after one another
 * there is a pause. */
void redial_begin(struct redial *, uint64_t now, uint16_t chance);

/* ---- facts ---- */

/* What was ordered by REDIAL_DIAL is connected, and its round trip (0: not
 * known). */
void redial_connected(struct redial *, size_t slot, uint32_t rtt_us);

enum redial_failure {
	REDIAL_REFUSED,		/* by the relay's machine, or because it is
				 * about to end */
	REDIAL_SILENT,		/* no answer, or the network has no way */
	REDIAL_LOCAL,		/* this machine has no way */
	REDIAL_UNWELCOME,	/* connected, but its hello was not answered
				 * well */
	REDIAL_DROPPED,		/* the caller has given it up: once more */
};
/* The attempt is over. */
void redial_failed(struct redial *, size_t slot, enum redial_failure,
    uint64_t now, uint16_t chance);

/* It has become the slot's subflow, in place of the one before if there is one;
 * the relay was heard on it (again). */
void redial_up(struct redial *, size_t slot);
void redial_heard(struct redial *, size_t slot, uint64_t now);
/* The peer should have been heard on it, and was not; or it was again. */
void redial_silent(struct redial *, size_t slot, bool, uint64_t now,
    uint16_t chance);
/* The slot's subflow is gone. */
void redial_lost(struct redial *, size_t slot, uint64_t now, uint16_t chance);

/* The caller has closed it, to have it made again at once. */
void redial_renew(struct redial *, size_t slot, uint64_t now);

/* Something is better than it was (an interface came, an address changed): the
 * next attempt on a path need not wait. */
void redial_hurry(struct redial *, uint8_t path, uint64_t now);

/* Was the relay heard in this group?  Is it heard? */
bool redial_established(const struct redial *);
bool redial_path_alive(const struct redial *, uint8_t path);

/* ---- orders ---- */

enum redial_order {
	REDIAL_DIAL,		/* connect, within timeout_ms */
	REDIAL_HELLO,		/* it is connected: the handshake, within
				 * timeout_ms */
	REDIAL_DROP,		/* close the attempt; it is forgotten here */
	REDIAL_GIVE_UP,		/* every path refuses: the sessions are lost */
};

struct redial_action {
	enum redial_order order;
	size_t slot;
	uint32_t timeout_ms;
};

/* What is to be done now, one thing each time; false: nothing.  The order
 * counts as carried out. */
bool redial_next(struct redial *, uint64_t now, struct redial_action *);
/* When there is something to do if no fact changes, or REDIAL_NEVER. */
uint64_t redial_deadline(const struct redial *, uint64_t now);

#endif
