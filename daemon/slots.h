/* SPDX-License-Identifier: ISC */
/*
 * The subflows that a proxy should have to one relay, of every path: a slot
 * each.  They are dialed, again when they are gone, and in time replaced when
 * they are silent (core/redial.h says when).
 */
#ifndef SLOTS_H
#define SLOTS_H

#include <ev.h>
#include <stdbool.h>

#include "core/config.h"
#include "core/wire_hello.h"
#include "keyfile.h"
#include "quota.h"
#include "trunk.h"

struct slots;

struct slots_options {
	struct ev_loop *loop;
	struct quota *quota;
	const struct config *config;	/* this until slots_configure(), */
	size_t relay;			/* its number there, */
	const struct key *key;		/* and this; NULL: it needs none */
	struct addr address;		/* its; family 0: not known yet */
	uint64_t begin_us;		/* clock_us(): nothing is dialed there
					 * before */
	/* The relay has answered on a subflow.  NULL: it was attached to the
	 * trunk; slots_heard() and slots_lost() are to follow.  Otherwise it is
	 * closed, and made again later; a literal, for the log.  It may be
	 * closed inside, by slots_begin(). */
	const char *(*on_up)(void *user, struct trunk_subflow *,
	    const struct wire_answer *);
	/* A subflow is gone, or did not come about. */
	void (*on_lost)(void *user);
	/* Every path has refused for so long that the relay's state must be
	 * gone: it has ended.  Begin another group. */
	void (*on_refused)(void *user);
	void *user;
};

/* NULL if out of memory; slots_free() accepts NULL.  Nothing is dialed before
 * slots_begin(). */
struct slots *slots_new(const struct slots_options *);
void slots_free(struct slots *);

/* Another configuration, with the same relay (config_same_relay()), which may
 * have another number there, perhaps at another address: what is not connected
 * yet is dialed there, at once.  If the key is another one, the subflows are
 * made anew, one after another. */
void slots_configure(struct slots *, const struct config *, size_t relay,
    const struct key *, struct addr);

/* A group begins, under a name of its own; all subflows are closed. */
void slots_begin(struct slots *);
/* Keep what there is, but dial nothing any more. */
void slots_finish(struct slots *);

/* The trunk heard the relay on a subflow first; did not hear it when it should
 * have, or did again after that; has closed and detached it (`why` is a
 * literal). */
void slots_heard(struct trunk_subflow *);
void slots_silent(struct trunk_subflow *, bool);
void slots_lost(struct trunk_subflow *, const char *why);

/* Was the relay heard in this group? */
bool slots_established(const struct slots *);
/* Why nothing can be sent on a path, a literal; NULL: it can (ways.h). */
const char *slots_missing(const struct slots *, size_t path);
/* How many subflows there should be. */
unsigned int slots_count(const struct slots *);

#endif
