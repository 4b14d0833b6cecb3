/* SPDX-License-Identifier: ISC */
/*
 * What an unauthenticated end can make us compute is what it has to be: of a
 * hello under an unknown key nothing, of one that is forged a few hashes and
 * one tag; the two multiplications on the curve come only for one that was made
 * by a holder of the key, once at least.
 *
 * A payload may be longer than those that we know, by what a later version
 * adds; the rest of it is skipped.
 */
#include "handshake.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static_assert(SECURE_KEY_ID == WIRE_KEY_ID, "one name for a key");

static const uint8_t no_key[WIRE_KEY_ID];

static size_t
overhead(const struct handshake *h)
{
	return h->keyed ? SECURE_OVERHEAD : 0;
}

/* A message without its encryption, if it has one. */
static enum handshake_result
read_message(struct handshake *h, uint8_t payload[static WIRE_HELLO_MAX],
    const uint8_t *message, size_t *len)
{
	assert(*len <= WIRE_HELLO_MAX);
	if (!h->keyed) {
		memcpy(payload, message, *len);
		return HANDSHAKE_OK;
	}
	if (secure_read(&h->noise, payload, message, *len) != 0)
		return HANDSHAKE_FORGED;
	*len -= SECURE_OVERHEAD;
	return HANDSHAKE_OK;
}

static int
write_message(struct handshake *h, uint8_t *out, const uint8_t *payload,
    size_t len)
{
	if (h->keyed)
		return secure_write(&h->noise, out, payload, len);
	memcpy(out, payload, len);
	return 0;
}

static enum handshake_result
give_up(struct handshake *h, enum handshake_result result)
{
	handshake_wipe(h);
	return result;
}

/* ---- proxy ---- */

size_t
handshake_begin(struct handshake *h, const struct wire_hello *hello,
    const uint8_t *key, const uint8_t *secret,
    uint8_t out[static HANDSHAKE_HELLO])
{
	struct wire_prologue prologue = { .version = WIRE_VERSION };
	uint8_t payload[WIRE_HELLO_PAYLOAD];

	assert((key == NULL) == (hello->protection == WIRE_PROTECTION_NONE));
	*h = (struct handshake){ .keyed = key != NULL,
		.protection = hello->protection };
	prologue.length = (uint16_t)(sizeof(payload) + overhead(h));
	if (key != NULL)
		secure_key_id(prologue.key_id, key);
	wire_put_prologue(out, &prologue);
	if (key != NULL)
		secure_begin(&h->noise, true, key, out, WIRE_HELLO_PROLOGUE,
		    secret);
	wire_put_hello(payload, hello);
	(void)write_message(h, out + WIRE_HELLO_PROLOGUE, payload,
	    sizeof(payload));
	secure_wipe(payload, sizeof(payload));
	return WIRE_HELLO_PROLOGUE + prologue.length;
}

enum handshake_result
handshake_answer(struct handshake *h, struct cursor *in,
    struct wire_answer *answer)
{
	uint8_t payload[WIRE_HELLO_MAX];
	struct cursor c = *in;
	enum handshake_result result;
	struct wire_answer a;
	uint16_t length;
	size_t len;

	switch (wire_get_length(&c, &length)) {
	case WIRE_MORE:
		return HANDSHAKE_MORE;
	case WIRE_BAD:
		return give_up(h, HANDSHAKE_BAD);
	case WIRE_OK:
		break;
	}
	if (c.end - c.pos < length)
		return HANDSHAKE_MORE;
	len = length;
	result = read_message(h, payload, c.pos, &len);
	if (result != HANDSHAKE_OK)
		return give_up(h, result);
	if (wire_get_answer(payload, len, &a) != WIRE_OK ||
	    a.protection != h->protection)
		return give_up(h, HANDSHAKE_BAD);
	*answer = a;
	c.pos += length;
	*in = c;
	return HANDSHAKE_OK;
}

/* ---- relay ---- */

enum handshake_result
handshake_prologue(struct handshake *h, struct cursor *in,
    uint8_t key_id[static WIRE_KEY_ID])
{
	struct wire_prologue prologue;
	struct cursor c = *in;

	switch (wire_get_prologue(&c, &prologue)) {
	case WIRE_MORE:
		return HANDSHAKE_MORE;
	case WIRE_BAD:
		return HANDSHAKE_BAD;
	case WIRE_OK:
		break;
	}
	if (c.end - c.pos < prologue.length)
		return HANDSHAKE_MORE;
	*h = (struct handshake){ .length = prologue.length };
	memcpy(h->clear, in->pos, sizeof(h->clear));
	memcpy(key_id, prologue.key_id, WIRE_KEY_ID);
	*in = c;
	return HANDSHAKE_OK;
}

enum handshake_result
handshake_hello(struct handshake *h, struct cursor *in, const uint8_t *key,
    const uint8_t *secret, struct wire_hello *hello)
{
	const uint8_t *key_id = h->clear + WIRE_HELLO_PROLOGUE - WIRE_KEY_ID;
	uint8_t payload[WIRE_HELLO_MAX];
	enum handshake_result result;
	struct wire_hello told;
	size_t len = h->length;

	if ((key == NULL) != (memcmp(key_id, no_key, WIRE_KEY_ID) == 0))
		return give_up(h, HANDSHAKE_BAD);
	assert(in->end - in->pos >= h->length);
	h->keyed = key != NULL;
	if (h->keyed)
		secure_begin(&h->noise, false, key, h->clear,
		    sizeof(h->clear), secret);
	result = read_message(h, payload, in->pos, &len);
	if (result == HANDSHAKE_OK &&
	    (wire_get_hello(payload, len, &told) != WIRE_OK ||
	    h->keyed != (told.protection != WIRE_PROTECTION_NONE)))
		result = HANDSHAKE_BAD;
	secure_wipe(payload, sizeof(payload));
	if (result != HANDSHAKE_OK)
		return give_up(h, result);
	h->protection = told.protection;
	*hello = told;
	in->pos += h->length;
	return HANDSHAKE_OK;
}

int
handshake_accept(struct handshake *h, const struct wire_answer *answer,
    uint8_t out[static HANDSHAKE_ANSWER])
{
	uint8_t payload[WIRE_ANSWER_PAYLOAD];
	size_t len = sizeof(payload) + overhead(h);
	struct wire_answer a = *answer;

	a.protection = h->protection;
	wire_put_answer(payload, &a);
	if (write_message(h, out + WIRE_ANSWER_LENGTH, payload,
	    sizeof(payload)) != 0) {
		handshake_wipe(h);
		return -EBADMSG;
	}
	wire_put_length(out, (uint16_t)len);
	return (int)(WIRE_ANSWER_LENGTH + len);
}

/* ---- both ---- */

struct transform *
handshake_transform(struct handshake *h, size_t out_bytes, size_t in_bytes)
{
	struct secure_cipher send, receive;
	struct transform *t;

	if (!h->keyed) {
		handshake_wipe(h);
		return transform_plain(out_bytes, in_bytes);
	}
	secure_split(&h->noise, &send, &receive);
	t = transform_sealed(out_bytes, in_bytes, &send, &receive,
	    h->protection == WIRE_PROTECTION_AUTH);
	secure_wipe(&send, sizeof(send));
	secure_wipe(&receive, sizeof(receive));
	handshake_wipe(h);
	return t;
}

void
handshake_wipe(struct handshake *h)
{
	secure_wipe(h, sizeof(*h));
}
