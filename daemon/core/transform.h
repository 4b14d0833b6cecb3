/* SPDX-License-Identifier: ISC */
/*
 * The bytes of frames on one side, the bytes of a subflow's TCP connection on
 * the other, and what happens between them.  `plain` changes nothing; sealed
 * records have the same shape.  A transform owns its room, which bounds what
 * is bound to a subflow before the kernel has it.
 *
 *	group_fill()  -> out_room, out_commit -> out_peek, out_consume -> socket
 *	socket -> in_room, in_commit -> in_peek, in_consume -> group_take()
 */
#ifndef CORE_TRANSFORM_H
#define CORE_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

struct transform;

/* `out_bytes` and `in_bytes` of room, each at least one whole frame (else it is
 * raised to that).  NULL if out of memory; transform_free() accepts NULL. */
struct transform *transform_plain(size_t out_bytes, size_t in_bytes);
void transform_free(struct transform *);

/* Where whole frames may be written, and how many bytes of them; 0 while bytes
 * of earlier ones wait for the socket. */
uint8_t *transform_out_room(struct transform *, size_t *room);
void transform_out_commit(struct transform *, size_t len);

/* What the socket should send next; 0 if nothing. */
size_t transform_out_peek(const struct transform *, const uint8_t **);
void transform_out_consume(struct transform *, size_t len);

/* Where the socket's bytes go; never 0 as long as whatever in_peek shows is
 * taken.  commit: 0, or -EBADMSG when they cannot be trusted. */
uint8_t *transform_in_room(struct transform *, size_t *room);
int transform_in_commit(struct transform *, size_t len);

/* Bytes of frames that have arrived, the last perhaps in part. */
size_t transform_in_peek(const struct transform *, const uint8_t **);
void transform_in_consume(struct transform *, size_t len);

#endif
