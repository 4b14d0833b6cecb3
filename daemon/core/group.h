/* SPDX-License-Identifier: ISC */
/*
 * The extended protocol: the subflows between one proxy and one relay, and the
 * sessions that share them.  Bytes and time go in, bytes and facts come out;
 * there is no socket, clock, log or callback in here.
 *
 *	socket readable:   group_take(), then for each group_ready() session:
 *	                   move bytes to its local side
 *	local readable:    session_read_room(), recv, session_read()
 *	subflow writable:  group_fill(), send
 *	timer:             group_tick() at group_deadline()
 *
 * After any of these, every subflow that can send is offered group_fill(),
 * since what one event brings in another subflow may have to carry.
 *
 * Times are microseconds of one monotonic clock, given by the caller; 0 is not
 * a time.
 */
#ifndef CORE_GROUP_H
#define CORE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "health.h"
#include "metrics.h"
#include "paths.h"
#include "session.h"
#include "wire.h"

#define GROUP_SUBFLOWS 64	/* of one group; a subflow's number is below */
#define GROUP_NEVER UINT64_MAX	/* no deadline */

struct group;

struct group_options {
	bool proxy;		/* we open sessions; false: the peer does */
	uint32_t initial_window;	/* what our hello offers each session */
	uint32_t start_window;	/* what we like to offer at once, budget
				 * permitting; at least initial_window */
	uint32_t window_max;	/* most that one session is ever offered */
	uint32_t max_sessions;	/* of the peer's; above: RESET 5 */
	uint32_t datagram_max;	/* cut to this, 1 to WIRE_DATA_MAX */
	struct budget *budget;	/* shared, outlives the group */
};

/* NULL if out of memory; group_free() accepts NULL and frees every session,
 * also those that the role has not released. */
struct group *group_new(const struct group_options *);
void group_free(struct group *);

/* What the peer offers each new session, from its hello or answer.  Once,
 * before the first subflow is attached. */
void group_peer_window(struct group *, uint32_t bytes);

/* What sessions that begin from now on are offered at once, and what any may be
 * offered at most. */
void group_windows(struct group *, uint32_t start_window, uint32_t window_max);

/* Another limit of the peer's sessions, for those that begin from now on. */
void group_limit(struct group *, uint32_t max_sessions);
/* So many first bytes of each burst of a session go express twice from now on,
 * and so many a second of all sessions together (0: any number).  None at
 * first.  That is to be one part of GROUP_REDUNDANT_PART of the rate: none goes
 * to a path whose own was not told (group_path_rate()) and is found to be lower
 * than that. */
#define GROUP_REDUNDANT_PART 8
void group_redundancy(struct group *, uint32_t burst_bytes,
    uint32_t bytes_per_s, uint64_t now);

/* ---- subflows ---- */

/* A subflow that finished its handshake.  Its number in the group, or -ENOSPC.
 * If there is one of the same path and slot, *replaced is its number (else
 * -1): the caller closes and detaches it. */
int group_attach(struct group *, uint8_t path, uint8_t slot, uint64_t now,
    int *replaced);

/* It is gone: what only it carried is sent again on others, before all else.
 * If it was the last one of its path, a proxy tells the relay on the others, so
 * that it does not send there until TCP has found out. */
void group_detach(struct group *, int subflow, uint64_t now);

/* What is said about a path: by the proxy's operator, of which the relay is
 * told.  Subflows of a backup path are kept but carry nothing of sessions while
 * another path has one. */
void group_path(struct group *, uint8_t path, const struct wire_path *,
    uint64_t now);
/* What has been said about it; and one of which something new was said since it
 * was given here.  -1: there is none. */
struct wire_path group_path_said(const struct group *, uint8_t path);
int group_path_news(struct group *);
/* Its rate in our sending direction, bytes a second; 0: not known. */
void group_path_rate(struct group *, uint8_t path, uint64_t bytes_per_s);
/* Does it bring so little, beside the others, that it gets no bulk now? */
bool group_path_poor(const struct group *, uint8_t path);
/* Does it carry sessions, or would it? */
bool group_subflow_used(const struct group *, int subflow);
/* Bytes on a path, since the group began. */
struct paths_counts group_path_counts(const struct group *, uint8_t path);
/* What its TCP last said; all 0: nothing yet. */
struct group_facts group_subflow_health(const struct group *, int subflow);

/* Frames that arrived on a subflow, the last perhaps in part.  Returns how many
 * bytes were used (whole frames), or -EPROTO: its framing can no longer be
 * trusted, so close it.  Faults of a session cost that session only. */
int group_take(struct group *, int subflow, const uint8_t *bytes, size_t len,
    uint64_t now);

/* Write whole frames for this subflow, as much as is due and fits `room`.
 * Returns the bytes written; 0: it has nothing to send now. */
size_t group_fill(struct group *, int subflow, uint8_t *out, size_t room,
    uint64_t now);

/* Would group_fill() write anything?  (Interest in EV_WRITE.) */
bool group_wants(const struct group *, int subflow, uint64_t now);

/* Ask the peer for a sign of life on a subflow; when the last byte came. */
void group_ping(struct group *, int subflow, uint64_t now);
uint64_t group_heard(const struct group *, int subflow);
/* Does it carry anything that is not yet acknowledged? */
bool group_subflow_busy(const struct group *, int subflow);
/* That, or datagrams came on it after its last answer: more should come. */
bool group_subflow_expects(const struct group *, int subflow);

/* What its TCP says.  One that does not move is suspect: it gets nothing new,
 * and what it alone carries goes first to the others, until it moves.  When all
 * are, none is treated so, and nothing is sent again in vain. */
void group_subflow_facts(struct group *, int subflow,
    const struct group_facts *, uint64_t now);
/* Would another look say anything? */
bool group_subflow_idle(const struct group *, int subflow);
/* When it last moved. */
uint64_t group_subflow_moved(const struct group *, int subflow);
bool group_subflow_suspect(const struct group *, int subflow);

/* Bytes that wait for this subflow's turns and were given to none yet; it stops
 * counting at `enough`. */
uint64_t group_waiting(const struct group *, int subflow, uint64_t enough,
    uint64_t now);

/* Tell the peer that we will end soon, on every subflow, also on those to come;
 * has the peer said so on any? */
void group_drain(struct group *);
bool group_draining(const struct group *);

/* Relay: what it answered to this subflow (-1: to any) is not true any more;
 * the peer is told. */
void group_tell_features(struct group *, int subflow, uint32_t features);
/* Proxy: was it told so?  Once for each time. */
bool group_take_features(struct group *, uint32_t *features);

/* Smoothed round trip as seen by PING and PONG, 0 before the first. */
uint64_t group_rtt_us(const struct group *);

/* ---- time ---- */

void group_tick(struct group *, uint64_t now);
uint64_t group_deadline(const struct group *);

/* ---- sessions ---- */

/* Open one (proxy).  `open` is copied.  *session is ours until released.
 * 0, -ENOMEM, -EAGAIN (budget closed, too many sessions or too many OPENs
 * under way) or -ENOSPC (numbers used up: the group has to be replaced). */
int group_open(struct group *, const struct wire_open *open, uint64_t now,
    struct session **session);

/* Take over a session of another group with the same budget, of which nothing
 * was sent (session_is_sent()), with all that was read for it.  *session is
 * ours until released; `s` is nothing any more and has to be released now.  0
 * or as above, but that the budget is not asked: then nothing has changed. */
int group_adopt(struct group *, struct session *s, uint64_t now,
    struct session **session);

/* Sessions for whose local side something may have changed: bytes or an end to
 * deliver, room to read, or (relay) a new one, whose user is NULL.  Each is
 * given once until something changes again.  NULL: no more. */
struct session *group_ready(struct group *);

/* Every session ends as if the peer had reset it with `code`;
 * nothing is sent. */
void group_reset_all(struct group *, uint8_t code, uint64_t now);

/* At BUDGET_OVER: reset (5) the session that holds most for a local side that
 * has taken nothing for a second, or for a peer that has taken nothing for ten.
 * false: there is none. */
bool group_shed(struct group *, uint64_t now);

/* Sessions whose number is in use, including those that only wait for the
 * answer to a RESET. */
size_t group_sessions(const struct group *);
const struct metrics *group_metrics(const struct group *);

#endif
