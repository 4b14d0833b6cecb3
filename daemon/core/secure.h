/* SPDX-License-Identifier: ISC */
/*
 * Noise_NNpsk0_25519_ChaChaPoly_SHA256 (Noise Protocol Framework, revision 34)
 * and the ciphers that come out of it.  Two messages prove to each end that the
 * other knows the pre-shared key, and give keys that nobody has who learns it
 * later:
 *
 *	initiator: secure_begin(), secure_write(), secure_read(), secure_split()
 *	responder: secure_begin(), secure_read(), secure_write(), secure_split()
 *
 * Any other order is a mistake of the caller's.  So is going on after an error:
 * the handshake has been wiped by then.
 *
 * Nothing here is random: an ephemeral secret is an argument, to be drawn for
 * each handshake and wiped when it was given.  Whoever links this calls
 * sodium_init() first, once, as main() does; without it the results are the
 * same, from slower code.
 */
#ifndef CORE_SECURE_H
#define CORE_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECURE_KEY 32		/* pre-shared key; also of a cipher */
#define SECURE_SECRET 32	/* private half of an ephemeral key pair: any
				 * random bytes are one */
#define SECURE_TAG 16
#define SECURE_OVERHEAD (32 + SECURE_TAG)	/* of a handshake's message
						 * beyond its payload */
#define SECURE_KEY_ID 8		/* WIRE_KEY_ID */

/* One direction.  The records are counted, and the count is the nonce: both
 * ends have to see all of them, in order.  2^64 - 1 are more than 100 Gbit/s
 * carry in 800 years, so they do not run out. */
struct secure_cipher {
	uint8_t key[SECURE_KEY];
	uint64_t count;
};

struct secure_handshake {	/* private; embedded in whoever has one */
	uint8_t hash[32], chain[32], key[32];	/* h, ck, k of the paper */
	uint8_t secret[SECURE_SECRET], theirs[32];
	bool initiator;
	uint8_t next;		/* message 1, 2; 3: split; 0: over */
};

/* The name of a key on the wire, which says nothing about the key. */
void secure_key_id(uint8_t id[static SECURE_KEY_ID],
    const uint8_t key[static SECURE_KEY]);

/* `prologue`: what both ends have to have seen alike.  Everything is copied. */
void secure_begin(struct secure_handshake *, bool initiator,
    const uint8_t key[static SECURE_KEY], const uint8_t *prologue, size_t len,
    const uint8_t secret[static SECURE_SECRET]);

/* Write a message of len + SECURE_OVERHEAD bytes.  0, or -EBADMSG (responder):
 * the other end's public key is a worthless one.  Nothing was written then. */
int secure_write(struct secure_handshake *, uint8_t *out,
    const uint8_t *payload, size_t len);

/* Read a message of `len` bytes, whose payload has len - SECURE_OVERHEAD.  0,
 * or -EBADMSG: not of the other end, for us, under this key, or whole.  Nothing
 * was written then.  The payload of message 1 is the only thing that can be
 * somebody else's repetition; nothing is to be done about it before a record of
 * the initiator's was opened. */
int secure_read(struct secure_handshake *, uint8_t *payload,
    const uint8_t *message, size_t len);

/* The ciphers of both directions.  The handshake is wiped. */
void secure_split(struct secure_handshake *, struct secure_cipher *send,
    struct secure_cipher *receive);

/* Overwrite, and not be optimised away. */
void secure_wipe(void *, size_t);

/* In place; the tag comes behind, so there are len + SECURE_TAG bytes. */
void secure_seal(struct secure_cipher *, uint8_t *bytes, size_t len);

/* In place; `len` counts the tag, which is left where it stands.  0, or
 * -EBADMSG: this is not the next record that was sealed.  The bytes are lost
 * then, and the cipher is not to be used again. */
int secure_open(struct secure_cipher *, uint8_t *bytes, size_t len);

#endif
