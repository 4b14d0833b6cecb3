/* SPDX-License-Identifier: ISC */
/*
 * The peers of a relay: what each may have, and what it has.  One is known by
 * its name; a reload may change all else of it, and peers may come and go.
 *
 * What a peer has is counted here by those who give it to it.  What it may not
 * have costs nobody else anything: its own sessions are refused, its own
 * subflows, and of its own groups one that has no subflow is given up.
 */
#ifndef PEERS_H
#define PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/budget.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/traffic.h"
#include "net/log.h"

/* Groups of one peer.  It needs one, and for a while more: one for each of its
 * restarts since resume-timeout, and those that drain. */
#define PEER_GROUPS 16

struct peers;
struct peer;

/* `memory` and `traffic` are those of the process and outlive them.  NULL if
 * out of memory; peers_free() accepts NULL. */
struct peers *peers_new(struct budget *memory, struct traffic *traffic);
void peers_free(struct peers *);

/* Take another configuration, which stays until the next.  A peer that it does
 * not name is gone (peer_config() is NULL): the caller ends what it has, and
 * calls peers_forget().  One for which there is no memory is left out, with a
 * line in the log. */
void peers_configure(struct peers *, const struct config *, uint64_t now);
/* Free those that are gone; nothing of theirs is left. */
void peers_forget(struct peers *);

/* Of config->peers[index]; NULL if it was left out. */
struct peer *peers_at(const struct peers *, size_t index);

/* ---- one ---- */

const char *peer_name(const struct peer *);
const struct config_peer *peer_config(const struct peer *);
struct budget *peer_budget(struct peer *);
struct traffic *peer_traffic(struct peer *);
/* Of all its groups, as counted there. */
struct repeats *peer_repeats(struct peer *);

/* Most sessions that it may have at a time, where the relay has `all`. */
uint32_t peer_max_sessions(const struct peer *, uint32_t all);

/* One more, where the relay has `all`.  NULL: it counts from now on, until it
 * is dropped.  Else it is too many, and this is the option that says so. */
const char *peer_take_session(struct peer *, uint32_t all, uint64_t now);
void peer_drop_session(struct peer *);

/* One that replaces another is not one more, though for a moment both are
 * there.  The first asks only. */
const char *peer_may_attach(const struct peer *, bool replaces);
void peer_take_subflow(struct peer *);
void peer_drop_subflow(struct peer *);

/* false: there are PEER_GROUPS. */
bool peer_take_group(struct peer *);
void peer_drop_group(struct peer *);

struct peer_counters {
	uint32_t sessions, subflows, groups;		/* now */
	uint64_t sessions_taken, sessions_refused;	/* since start */
};
const struct peer_counters *peer_counters(const struct peer *);

/* What it can make us say, each kind limited by itself, so that no peer hides
 * what is said about another. */
enum peer_line {
	PEER_LINE_DENIED,
	PEER_LINE_FAULT,
	PEER_LINE_GROUP,		/* is made */
	PEER_LINE_GROUPS,		/* are too many */
	PEER_LINE_LOST,			/* and these two of a subflow */
	PEER_LINE_UP,
	PEER_LINE_MEMORY,
	PEER_LINE_SESSION,
	PEER_LINE_SUBFLOW,
	PEER_NLINES,
};
struct log_limit *peer_limit(struct peer *, enum peer_line);

#endif
