/* SPDX-License-Identifier: ISC */
/*
 * A group at work: its subflows, its legs, its clock.  Both roles have it; what
 * differs (who dials, who opens sessions) is theirs.
 *
 * Whatever happens is only noted at first; once in each turn of the loop, just
 * before it waits, the trunk looks at every session that is ready and offers
 * every subflow what there is to send.
 */
#ifndef TRUNK_H
#define TRUNK_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/group.h"
#include "core/silence.h"
#include "leg.h"
#include "net/subflow.h"
#include "pacer.h"

struct trunk;

/* A subflow as the trunk sees it, embedded in the role's own object, which
 * outlives its being attached.  It is the user of the subflow, whose callbacks
 * take, fill and on_event are those below. */
struct trunk_subflow {
	struct subflow *subflow;	/* the role's; NULL: none */
	uint8_t path, slot;
	uint64_t rate_bps;		/* of its path, our way; 0: not known */

	/* Private, zero when it is not attached. */
	struct trunk *trunk;
	int number;
	bool heard;
	struct silence silence;
	struct pacer_subflow pacer;
};

/* `user` is that of the options.  Those of a role that has no use for one may
 * be NULL, but for on_lost, on_shed and on_fault. */
struct trunk_callbacks {
	/* Relay: the peer opened a session.  Make a leg of it, or abort and
	 * release it. */
	void (*on_session)(void *user, struct session *);
	/* Memory is used up: the session that held most for somebody who does
	 * not read was reset.  Nothing is freed in here. */
	void (*on_shed)(void *user);
	/* The peer broke the rules of a session, which was reset. */
	void (*on_fault)(void *user);
	/* The first frames came on a subflow. */
	void (*on_heard)(void *user, struct trunk_subflow *);
	/* Proxy: nothing was heard on it when something should have been; or
	 * it is heard again after that. */
	void (*on_silent)(void *user, struct trunk_subflow *, bool silent);
	/* The trunk has closed and detached a subflow: it was silent, or a
	 * newer one took its place.  `why` is for the log. */
	void (*on_lost)(void *user, struct trunk_subflow *, const char *why);
	/* There was no subflow for so long that all sessions were reset, so
	 * many.  The trunk may be freed inside these three. */
	void (*on_expired)(void *user, size_t sessions);
	/* After trunk_drain(): no session is left, told once. */
	void (*on_idle)(void *user);
	/* Proxy: the relay's answers would say this now. */
	void (*on_features)(void *user, uint32_t features);
	/* Relay: the proxy has said something new about a path. */
	void (*on_path)(void *user, uint8_t path);
	/* The peer is about to end: open nothing new here; told once. */
	void (*on_peer_drain)(void *user);
};

struct trunk_options {
	struct ev_loop *loop;
	struct hangup *hangup;
	struct group_options group;
	uint32_t keepalive_s;		/* of the legs */
	struct traffic *traffic;	/* of the legs; or NULL */
	uint32_t first_ms;		/* sessions wait that for the first
					 * subflow */
	uint32_t resume_ms;		/* and that when all were lost, or
					 * silent, and a quarter more, up to
					 * 4 s */
	const struct trunk_callbacks *callbacks;
	void *user;
};

/* NULL if out of memory. */
struct trunk *trunk_new(const struct trunk_options *);
/* All legs are reset, subflows closed; the peer resets its ends when it hears
 * of a RESET that still got out, or when no subflow comes back.  NULL is
 * accepted. */
void trunk_free(struct trunk *);

struct group *trunk_group(struct trunk *);
struct leg_host *trunk_host(struct trunk *);

/* Something changed. */
void trunk_change(struct trunk *);

/* What a reload can change, from now on. */
void trunk_configure(struct trunk *, uint32_t keepalive_s, uint32_t resume_ms);

/* As group_redundancy(). */
void trunk_redundancy(struct trunk *, uint32_t burst_bytes,
    uint32_t bytes_per_s);

/* ---- subflows ---- */

/* Its handshake is done.  0 or -ENOSPC. */
int trunk_attach(struct trunk *, struct trunk_subflow *);
/* It was closed.  Harmless when it is not attached. */
void trunk_detach(struct trunk_subflow *);

/* Another rate of its path, our way, bit/s; 0: not known.  One that is not
 * attached has it from then on. */
void trunk_rate(struct trunk_subflow *, uint64_t rate_bps);

/* Proxy: what is said about a path (core/group.h). */
void trunk_path(struct trunk *, uint8_t path, const struct wire_path *);

/* Relay: what the proxy said of it. */
struct wire_path trunk_path_said(const struct trunk *, uint8_t path);

struct trunk_path {
	unsigned int up;		/* subflows */
	unsigned int moving;		/* of these, not suspect */
	bool used;			/* sessions go there */
	bool poor;			/* but not what is large: it brings too
					 * little (core/share.h) */
	uint32_t rtt_us;		/* shortest of theirs; 0: not known */
	struct paths_counts counts;
};
void trunk_path_state(const struct trunk *, uint8_t path, struct trunk_path *);

unsigned int trunk_up(const struct trunk *);
/* Is there one of this path and slot, which another would replace? */
bool trunk_has(const struct trunk *, uint8_t path, uint8_t slot);
/* Do sessions wait for a subflow, or have they one?  false: there was none for
 * too long. */
bool trunk_waits(const struct trunk *);

/* Relay: what it answered to a subflow (NULL: to all) is not true any more. */
void trunk_tell_features(struct trunk *, const struct trunk_subflow *,
    uint32_t features);

/* Is there a subflow, and nothing that says that the peer is not there: a
 * question that had no answer for as long as core/silence.h says, and nothing
 * came on any subflow since it was asked? */
bool trunk_answers(const struct trunk *);
/* Ask on one subflow of each path in use, another each time, at most once in
 * `every_us`.  (On one path alone, a link that breaks beside another one would
 * look like a peer that is gone.) */
void trunk_ask(struct trunk *, uint64_t every_us);

int trunk_take(struct subflow *, const uint8_t *, size_t);
size_t trunk_fill(struct subflow *, uint8_t *, size_t);
void trunk_event(struct subflow *);

/* ---- its end ---- */

/* Tell the peer, and say when the last session is gone. */
void trunk_drain(struct trunk *);
/* Every session is reset as if by the peer with `code`; nothing is sent. */
void trunk_reset(struct trunk *, uint8_t code);

#endif
