/* SPDX-License-Identifier: ISC */
/*
 * What establishes a subflow of the extended protocol.  The first byte says
 * which side reads the rest: the relay (a prologue, then a payload of the
 * length given there), the proxy (a length, then a payload), or one of the
 * payloads alone, as it comes out of a decrypted message.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/wire_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_hello(const uint8_t *payload, size_t len)
{
	uint8_t again[WIRE_HELLO_PAYLOAD];
	struct wire_hello h;

	if (wire_get_hello(payload, len, &h) != WIRE_OK) {
		assert(len < WIRE_HELLO_PAYLOAD ||
		    payload[18] > WIRE_PROTECTION_SEALED);
		return;
	}
	assert(len >= WIRE_HELLO_PAYLOAD);
	wire_put_hello(again, &h);
	assert(memcmp(again, payload, sizeof(again)) == 0);
}

static void
check_answer(const uint8_t *payload, size_t len)
{
	uint8_t again[WIRE_ANSWER_PAYLOAD];
	struct wire_answer a;

	if (wire_get_answer(payload, len, &a) != WIRE_OK) {
		assert(len < WIRE_ANSWER_PAYLOAD ||
		    payload[0] > WIRE_PROTECTION_SEALED || payload[1] > 1);
		return;
	}
	assert(len >= WIRE_ANSWER_PAYLOAD);
	wire_put_answer(again, &a);
	assert(memcmp(again, payload, sizeof(again)) == 0);
}

/* As security.md has it; `b` holds WIRE_HELLO_PROLOGUE bytes. */
static bool
prologue_is_right(const uint8_t *b)
{
	return b[0] == 0xff && b[1] == 0xff && b[2] == 0xff && b[3] == 0xff &&
	    b[4] == 1 && b[5] == 0 && b[6] * 256u + b[7] <= 256 - 16;
}

static void
check_relay(const uint8_t *data, size_t len)
{
	struct cursor c = { data, data + len };
	uint8_t again[WIRE_HELLO_PROLOGUE];
	struct wire_prologue p;

	switch (wire_get_prologue(&c, &p)) {
	case WIRE_MORE:
		assert(c.pos == data && len < WIRE_HELLO_PROLOGUE);
		return;
	case WIRE_BAD:
		assert(c.pos == data && len >= WIRE_HELLO_PROLOGUE);
		assert(!prologue_is_right(data));
		return;
	case WIRE_OK:
		assert(prologue_is_right(data));
		break;
	}
	assert(c.pos == data + WIRE_HELLO_PROLOGUE && c.pos <= c.end);
	assert(p.version == WIRE_VERSION);
	assert(WIRE_HELLO_PROLOGUE + p.length <= WIRE_HELLO_MAX);
	wire_put_prologue(again, &p);
	assert(memcmp(again, data, sizeof(again)) == 0);
	for (size_t n = 0; n < WIRE_HELLO_PROLOGUE; n++) {
		struct cursor cut = { data, data + n };

		assert(wire_get_prologue(&cut, &p) == WIRE_MORE);
		assert(cut.pos == data);
	}
	if ((size_t)(c.end - c.pos) >= p.length)
		check_hello(c.pos, p.length);
}

static void
check_proxy(const uint8_t *data, size_t len)
{
	struct cursor c = { data, data + len };
	uint8_t again[2];
	uint16_t length;

	switch (wire_get_length(&c, &length)) {
	case WIRE_MORE:
		assert(c.pos == data && len < 2);
		return;
	case WIRE_BAD:
		assert(c.pos == data && len >= 2);
		assert(data[0] * 256u + data[1] > WIRE_HELLO_MAX);
		return;
	case WIRE_OK:
		break;
	}
	assert(c.pos == data + 2 && length <= WIRE_HELLO_MAX);
	wire_put_length(again, length);
	assert(memcmp(again, data, sizeof(again)) == 0);
	if ((size_t)(c.end - c.pos) >= length)
		check_answer(c.pos, length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		check_relay(data + 1, len - 1);
		break;
	case 1:
		check_proxy(data + 1, len - 1);
		break;
	case 2:
		check_hello(data + 1, len - 1);
		break;
	case 3:
		check_answer(data + 1, len - 1);
		break;
	}
	return 0;
}
