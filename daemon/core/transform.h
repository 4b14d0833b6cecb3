/* SPDX-License-Identifier: ISC */
/*
 * The bytes of frames on one side, the bytes of a subflow's TCP connection on
 * the other, and what happens between them: nothing (plain), or records that
 * are sealed and opened (protocol.md 2.3, security.md).  A transform owns its
 * room, which bounds what is bound to a subflow before the kernel has it.
 *
 *	group_fill()  -> out_room, out_commit -> out_peek, out_consume -> socket
 *	socket -> in_room, in_commit -> in_peek, in_consume -> group_take()
 */
#ifndef CORE_TRANSFORM_H
#define CORE_TRANSFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "secure.h"

struct transform;

/* `out_bytes` and `in_bytes` of room, each at least one whole frame (else it is
 * raised to that).  NULL if out of memory; transform_free() accepts NULL and
 * wipes keys. */
struct transform *transform_plain(size_t out_bytes, size_t in_bytes);

/* The same with records: u16 length of what follows, and that, sealed.  What is
 * in a record is whole frames, or nothing.  With `only_first` the first record
 * each way is the only one, and plain bytes of frames come after it.  The
 * ciphers are copied. */
struct transform *transform_sealed(size_t out_bytes, size_t in_bytes,
    const struct secure_cipher *send, const struct secure_cipher *receive,
    bool only_first);
void transform_free(struct transform *);

/* ---- outwards ---- */

/* Where whole frames may be written, and how many bytes of them; 0 while bytes
 * of earlier ones wait for the socket.  A sealed one may be asked again after
 * each commit until it says 0, so that several records leave in one write.
 * `enough`, up to `room`: better no more than that at once, since the other end
 * can take none of it before it has all. */
uint8_t *transform_out_room(struct transform *, size_t *room, size_t *enough);

/* They are written.  Sealed: 0 of them are an empty record, for which there is
 * room whenever there is any. */
void transform_out_commit(struct transform *, size_t len);

/* What the socket should send next; 0 if nothing. */
size_t transform_out_peek(const struct transform *, const uint8_t **);
void transform_out_consume(struct transform *, size_t len);

/* ---- inwards ---- */

/* Where the socket's bytes go.  0 as long as what in_peek shows is not taken: a
 * caller that cannot take more of it has half a frame where no other half will
 * come (sealed), or one that is longer than any (plain). */
uint8_t *transform_in_room(struct transform *, size_t *room);
void transform_in_commit(struct transform *, size_t len);

/* Bytes of frames that have arrived; plain: the last perhaps in part.  Take
 * them all, and peek again until there are none.  0, or -EBADMSG: what came is
 * not the next record, and nothing will be shown any more. */
int transform_in_peek(struct transform *, const uint8_t **, size_t *len);
void transform_in_consume(struct transform *, size_t len);

/* Has in_peek come across a record, be it empty; or (plain) any byte? */
bool transform_heard(const struct transform *);

#endif
