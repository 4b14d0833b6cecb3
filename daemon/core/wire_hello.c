/* SPDX-License-Identifier: ISC */
#include "wire_hello.h"

#include <assert.h>

#include "wire_private.h"

void
wire_put_prologue(uint8_t out[static WIRE_HELLO_PROLOGUE],
    const struct wire_prologue *pro)
{
	uint8_t *p = put_be32(out, WIRE_MAGIC);

	p = put_u8(p, pro->version);
	p = put_u8(p, 0);
	p = put_be16(p, pro->length);
	p = put_bytes(p, pro->key_id, WIRE_KEY_ID);
	assert(p == out + WIRE_HELLO_PROLOGUE);
}

enum wire_result
wire_get_prologue(struct cursor *in, struct wire_prologue *out)
{
	struct cursor c = *in;
	struct wire_prologue pro;
	uint32_t magic;
	uint8_t reserved;

	if (!get_be32(&c, &magic) || !get_u8(&c, &pro.version) ||
	    !get_u8(&c, &reserved) || !get_be16(&c, &pro.length) ||
	    !get_bytes(&c, pro.key_id, WIRE_KEY_ID))
		return WIRE_MORE;
	if (magic != WIRE_MAGIC || pro.version != WIRE_VERSION ||
	    reserved != 0 ||
	    pro.length > WIRE_HELLO_MAX - WIRE_HELLO_PROLOGUE)
		return WIRE_BAD;
	*out = pro;
	*in = c;
	return WIRE_OK;
}

void
wire_put_hello(uint8_t out[static WIRE_HELLO_PAYLOAD],
    const struct wire_hello *h)
{
	uint8_t *p = put_bytes(out, h->group, WIRE_GROUP_NAME);

	p = put_u8(p, h->path);
	p = put_u8(p, h->slot);
	p = put_u8(p, h->protection);
	p = put_be32(p, h->features);
	p = put_be32(p, h->initial_window);
	assert(p == out + WIRE_HELLO_PAYLOAD);
}

enum wire_result
wire_get_hello(const uint8_t *payload, size_t len, struct wire_hello *out)
{
	struct cursor c = cursor_of(payload, len);
	struct wire_hello h;

	if (!get_bytes(&c, h.group, WIRE_GROUP_NAME) || !get_u8(&c, &h.path) ||
	    !get_u8(&c, &h.slot) || !get_u8(&c, &h.protection) ||
	    !get_be32(&c, &h.features) || !get_be32(&c, &h.initial_window))
		return WIRE_BAD;
	if (h.protection > WIRE_PROTECTION_SEALED)
		return WIRE_BAD;
	*out = h;
	return WIRE_OK;
}

void
wire_put_answer(uint8_t out[static WIRE_ANSWER_PAYLOAD],
    const struct wire_answer *a)
{
	uint8_t *p = put_u8(out, a->protection);

	p = put_u8(p, a->group_known);
	p = put_be32(p, a->features);
	p = put_be32(p, a->initial_window);
	p = put_be32(p, a->max_sessions);
	assert(p == out + WIRE_ANSWER_PAYLOAD);
}

enum wire_result
wire_get_answer(const uint8_t *payload, size_t len, struct wire_answer *out)
{
	struct cursor c = cursor_of(payload, len);
	struct wire_answer a;
	uint8_t known;

	if (!get_u8(&c, &a.protection) || !get_u8(&c, &known) ||
	    !get_be32(&c, &a.features) || !get_be32(&c, &a.initial_window) ||
	    !get_be32(&c, &a.max_sessions))
		return WIRE_BAD;
	if (a.protection > WIRE_PROTECTION_SEALED || known > 1)
		return WIRE_BAD;
	a.group_known = known == 1;
	*out = a;
	return WIRE_OK;
}

void
wire_put_length(uint8_t out[static WIRE_ANSWER_LENGTH], uint16_t length)
{
	put_be16(out, length);
}

enum wire_result
wire_get_length(struct cursor *in, uint16_t *length)
{
	struct cursor c = *in;
	uint16_t n;

	if (!get_be16(&c, &n))
		return WIRE_MORE;
	if (n > WIRE_HELLO_MAX)
		return WIRE_BAD;
	*length = n;
	*in = c;
	return WIRE_OK;
}

void
wire_put_record(uint8_t out[static WIRE_RECORD_LENGTH], uint16_t length)
{
	put_be16(out, length);
}

enum wire_result
wire_get_record(struct cursor *in, uint16_t *length)
{
	struct cursor c = *in;
	uint16_t n;

	if (!get_be16(&c, &n))
		return WIRE_MORE;
	if (n < WIRE_RECORD_TAG || n > WIRE_RECORD_MAX + WIRE_RECORD_TAG)
		return WIRE_BAD;
	*length = n;
	*in = c;
	return WIRE_OK;
}
