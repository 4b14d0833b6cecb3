/* SPDX-License-Identifier: ISC */
/*
 * What the proxy tells the relay of its paths (PATH, LOST), and frames that a
 * peer of another version sends or does not know:
 *
 *  - each subflow is told what its path is, as soon as it has room, and again
 *    when that changes; in the end the relay knows it, and was told of it;
 *  - when a path has lost its last subflow the others say so at once, and the
 *    relay gives nothing more to what it still has of that path, unless that
 *    answers;
 *  - what answers is in use again.
 */
#ifndef SIM_TOLD_H
#define SIM_TOLD_H

#include <stddef.h>
#include <stdint.h>

#include "links.h"

/* Two groups begin; the proxy's configuration is taken up. */
void told_start(struct world *);
void told_configured(struct world *);

void told_attached(struct world *, struct link *, int side);
/* Before the group hears of it. */
void told_closed(struct world *, struct link *, int side);

/* A side has filled so many bytes. */
void told_sent(struct world *, struct link *, int side, const uint8_t *,
    size_t len);
/* What a newer one would say besides, and what an older peer would skip.
 * Returns how many there are then; room is for `room`. */
size_t told_versions(struct world *, int side, uint8_t *, size_t len,
    size_t room);
/* Before it is given to the group of `side`. */
void told_arrived(struct world *, struct link *, int side, const uint8_t *,
    size_t len);

/* A side has done all that it can. */
void told_settled(struct world *, int side);
/* Nothing is on its way any more. */
void told_check(const struct world *);

#endif
