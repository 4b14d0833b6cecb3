/* SPDX-License-Identifier: ISC */
/*
 * A session at the relay, from the peer's OPEN on: is its destination allowed,
 * can it be reached?  Then it is a leg like any other.
 */
#ifndef CALL_H
#define CALL_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "core/session.h"
#include "leg.h"
#include "peers.h"

/* What all calls of a relay share; outlives them. */
struct call_host {
	struct ev_loop *loop;
	uint32_t connect_timeout_ms;
	uint32_t max;			/* at a time */
	uint32_t count;
	struct addr *own;		/* of this machine: not reached */
	size_t nown;
};

/* Takes the session: it becomes a call of the peer, which outlives it, or it is
 * aborted with the reason and released. */
void call_start(struct call_host *, struct leg_host *, struct peer *,
    struct session *);

#endif
