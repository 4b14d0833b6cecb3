/* SPDX-License-Identifier: ISC */
/*
 * The proxy's side of the extended protocol: one group with one relay, whose
 * subflows are dialed, kept and replaced.
 */
#ifndef UPLINK_H
#define UPLINK_H

#include <ev.h>
#include <stdbool.h>

#include "core/config.h"
#include "core/wire.h"
#include "keyfile.h"
#include "quota.h"
#include "trunk.h"
#include "net/hangup.h"

struct uplink;

struct uplink_options {
	struct ev_loop *loop;
	struct hangup *hangup;
	struct quota *quota;
	const struct config *config;	/* this until uplink_configure(), */
	size_t relay;			/* its number there, */
	const struct key *key;		/* and this; NULL: it needs none */
	struct addr address;		/* its; family 0: not known yet */
	uint64_t begin_us;		/* as of the slots */
	/* The relay is about to end, or the group has used up its numbers: open
	 * sessions through another uplink. */
	void (*on_closing)(void *user, struct uplink *);
	/* After uplink_drain(): its last session is gone.  It may be freed in
	 * here. */
	void (*on_idle)(void *user, struct uplink *);
	void *user;
};

/* Starts to dial.  NULL if out of memory; uplink_free() accepts NULL, and
 * resets what is left. */
struct uplink *uplink_new(const struct uplink_options *);
void uplink_free(struct uplink *);

/* Another configuration, with the same relay (config_same_relay()), which may
 * have another number there, perhaps at another address.  If the key is another
 * one, the subflows are made anew, one after another. */
void uplink_configure(struct uplink *, const struct config *, size_t relay,
    const struct key *, struct addr);
/* The one that it was given last. */
struct addr uplink_address(const struct uplink *);

enum uplink_answer {
	UPLINK_GONE,		/* no subflow, or it is about to end */
	UPLINK_SILENT,		/* nothing is heard on any of them */
	UPLINK_ANSWERS,
};
/* Is there a subflow, and has the relay answered lately?  To be called about
 * once a second, since the relay is asked in here, every three; then one that
 * has gone without a word is known within 7 s, or 4 s and four round trips. */
enum uplink_answer uplink_answers(struct uplink *);
/* Which families it reaches, by its latest word: WIRE_FEATURE_IPV4,
 * WIRE_FEATURE_IPV6. */
unsigned uplink_families(const struct uplink *);

/* Does it want no more sessions?  (core/room.h; to be called after each that it
 * refused, or once a second.) */
bool uplink_is_full(struct uplink *);

struct uplink_state {
	unsigned int up, subflows;	/* subflows there are, and may be */
	size_t sessions;		/* open */
	bool closing;			/* the relay is about to end */
	struct repeats repeats;		/* since the uplink began */
	uint64_t since_us;		/* clock_us() when the first one came
					 * up, or the last one was lost, or the
					 * uplink began */
};
void uplink_state(const struct uplink *, struct uplink_state *);

struct uplink_path {
	struct trunk_path now;		/* its counts are since the uplink
					 * began */
	const char *missing;		/* why it cannot be used, a literal, or
					 * NULL */
	uint64_t sent_bps, received_bps;	/* over the last ten seconds */
};
/* Of the relay's paths[path]. */
void uplink_path(const struct uplink *, size_t path, struct uplink_path *);

/* Carry the client `fd`.  0: it was taken, and on_gone(user, code) is called
 * once when it has ended (leg.h), not from in here.  Otherwise it is still the
 * caller's: -ENETUNREACH (no subflow, and none for long), -EAGAIN (too many
 * sessions, or memory), -ENOMEM, -ENOSPC (open it through another uplink). */
int uplink_open(struct uplink *, const struct wire_open *, int fd,
    void (*on_gone)(void *user, uint8_t code), void *user);

/* Sessions of which nothing was sent yet go on in the uplink that `where`
 * names; NULL: they stay, as they do when it does not take them. */
void uplink_move(struct uplink *, struct uplink *(*where)(void *user,
    const struct wire_open *), void *user);

/* Nothing new will be opened. */
void uplink_drain(struct uplink *);
/* Reset every session, both ends. */
void uplink_abort(struct uplink *);

#endif
