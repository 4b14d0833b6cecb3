/* SPDX-License-Identifier: ISC */
/*
 * Reads along what the two groups write and checks it against the protocol's
 * description, apart from whether the bytes arrive: what every peer may rely
 * on, also one that is not ours.
 *
 *  - frames are whole, and numbers consecutive from 1;
 *  - on a subflow nothing precedes OPEN, until OPEN is known to be there;
 *  - serials are consecutive at their first sending, a copy has the size of
 *    the first, FIN stays where it is and nothing comes behind it;
 *  - nothing is sent beyond the highest edge that was heard of;
 *  - an ACK never goes back, nor does the edge it offers, nor does it cover
 *    what has not arrived;
 *  - what arrived is acknowledged in time, and again when the subflow is gone
 *    that the last ACK went over; a window that was shut opens unasked.
 *
 * And it counts, for fill.c, what each sender was free to send again.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include <stddef.h>
#include <stdint.h>

struct world;
struct watch;

struct watch *watch_new(struct world *);
void watch_free(struct watch *);

/* `link` is any number that is not used again after the link's death. */
void watch_sent(struct watch *, int side, size_t link, const uint8_t *,
    size_t len);
/* Bytes of the copies that were the oldest of their session when `side` sent
 * them. */
uint64_t watch_heads(const struct watch *, int side);
/* Before it is given to the group of `side`.  Returns how many of the bytes are
 * whole frames. */
size_t watch_arrived(struct watch *, int side, const uint8_t *, size_t len);
/* A local side has taken bytes of a session. */
void watch_taken(struct watch *, int side, uint32_t number);
/* `side` knows that the link is gone. */
void watch_gone(struct watch *, int side, size_t link);
/* The session that should have been acknowledged long ago by `side`, which has
 * just been offered to send all that it likes; 0: there is none. */
uint32_t watch_overdue(struct watch *, int side);

#endif
