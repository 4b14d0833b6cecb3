/* SPDX-License-Identifier: ISC */
/*
 * The two messages that establish a subflow (security.md), with a key and
 * without one: bytes in and out, no socket and nothing random.
 *
 *	proxy: handshake_begin(), send; handshake_answer()
 *	relay: handshake_prologue(), handshake_hello(); handshake_accept(), send
 *	both:  handshake_transform()
 *
 * Whether there is a key is never negotiated.  A key id of zeros and a
 * protection of none go together and with no key; the protection of the answer
 * is that of the hello; whatever differs is not a message of this handshake.
 *
 * The struct is wiped when anything fails and when the transform was made;
 * whoever gives up in between calls handshake_wipe().
 */
#ifndef CORE_HANDSHAKE_H
#define CORE_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "secure.h"
#include "transform.h"
#include "wire_hello.h"

#define HANDSHAKE_HELLO (WIRE_HELLO_PROLOGUE + WIRE_HELLO_PAYLOAD + \
    SECURE_OVERHEAD)	/* most that is sent by the proxy, */
#define HANDSHAKE_ANSWER (WIRE_ANSWER_LENGTH + WIRE_ANSWER_PAYLOAD + \
    SECURE_OVERHEAD)	/* and by the relay */

enum handshake_result {
	HANDSHAKE_OK,
	HANDSHAKE_MORE,		/* not all of it is here; no cursor moved */
	HANDSHAKE_BAD,		/* not a message, or not one of these ends */
	HANDSHAKE_FORGED,	/* made or changed by one without our key */
};

struct handshake {		/* private; embedded in whoever has one */
	struct secure_handshake noise;
	uint8_t clear[WIRE_HELLO_PROLOGUE];
	uint16_t length;	/* relay: of message 1 */
	bool keyed;
	uint8_t protection;	/* enum wire_protection */
};

/* Write what the proxy sends, and return how many bytes: `hello`, under `key`
 * if hello->protection is another than none (else NULL).  `secret`: of this
 * handshake alone; not looked at without a key. */
size_t handshake_begin(struct handshake *, const struct wire_hello *,
    const uint8_t *key, const uint8_t *secret,
    uint8_t out[static HANDSHAKE_HELLO]);

/* What the proxy hears. */
enum handshake_result handshake_answer(struct handshake *, struct cursor *,
    struct wire_answer *);

/* What the relay hears.  MORE also as long as message 1 is not whole; else its
 * key id, all zeros for none.  Nothing is kept of it before. */
enum handshake_result handshake_prologue(struct handshake *, struct cursor *,
    uint8_t key_id[static WIRE_KEY_ID]);

/* The rest, once, with the key of that id, or NULL for none.  Never MORE.  The
 * hello of a key may be a repetition of an old one, so it is not to be acted
 * on, beyond an answer, before transform_heard(). */
enum handshake_result handshake_hello(struct handshake *, struct cursor *,
    const uint8_t *key, const uint8_t *secret, struct wire_hello *);

/* Write what the relay sends, and return how many bytes, or -EBADMSG: there is
 * no answer to this hello (its public key is worthless).  The protection is
 * that of the hello, whatever stands there. */
int handshake_accept(struct handshake *, const struct wire_answer *,
    uint8_t out[static HANDSHAKE_ANSWER]);

/* What the frames go through, with so much room.  NULL if out of memory. */
struct transform *handshake_transform(struct handshake *, size_t out_bytes,
    size_t in_bytes);

void handshake_wipe(struct handshake *);

#endif
