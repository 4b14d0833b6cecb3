/* SPDX-License-Identifier: ISC */
/*
 * What establishes a subflow, with the key and both secrets fixed, so that an
 * input can be a message that verifies.  The first byte says who hears the rest
 * of it, and for whom it was made:
 *
 *	bits 0, 1	0: a relay, 1: a proxy, 2: a relay and 3: a proxy, but
 *			the rest is what the message holds, and is sealed here
 *	bits 2, 3	none, auth, sealed
 *
 * Nobody can forge, so what verifies without having been sealed here is one of
 * the messages that the honest ends would have said.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const uint8_t key[SECURE_KEY] = "the key of this fuzz target";
static const uint8_t proxy_secret[SECURE_SECRET] = "of the proxy";
static const uint8_t relay_secret[SECURE_SECRET] = "of the relay";

static const struct wire_answer our_answer = {
	.group_known = true, .features = 3, .initial_window = 65536,
	.max_sessions = 100,
};

static struct wire_hello
our_hello(enum wire_protection protection)
{
	return (struct wire_hello){ .group = "a group's name", .slot = 128,
		.protection = (uint8_t)protection, .initial_window = 65536 };
}

static size_t
begin(struct handshake *h, enum wire_protection protection,
    uint8_t out[static HANDSHAKE_HELLO])
{
	const struct wire_hello hello = our_hello(protection);
	bool keyed = protection != WIRE_PROTECTION_NONE;

	return handshake_begin(h, &hello, keyed ? key : NULL, proxy_secret,
	    out);
}

static void
assert_wiped(const struct handshake *h)
{
	static const struct handshake none;

	assert(memcmp(h, &none, sizeof(none)) == 0);
}

/* ---- the other end, as it should be ---- */

/* An honest proxy's end of the connection of a hello that was taken. */
static void
check_answer(struct handshake *relay, struct secure_handshake *noise,
    const struct wire_hello *hello)
{
	uint8_t out[HANDSHAKE_ANSWER], payload[WIRE_HELLO_MAX];
	int n = handshake_accept(relay, &our_answer, out);
	struct transform *t;
	struct wire_answer told;

	assert(n > 2 && out[0] == 0 && out[1] == n - 2);
	if (noise != NULL) {
		assert(secure_read(noise, payload, out + 2, (size_t)n - 2) ==
		    0);
		n -= SECURE_OVERHEAD;
	} else {
		memcpy(payload, out + 2, (size_t)n - 2);
	}
	assert(wire_get_answer(payload, (size_t)n - 2, &told) == WIRE_OK);
	assert(told.protection == hello->protection);
	assert(told.max_sessions == our_answer.max_sessions);
	t = handshake_transform(relay, 0, 0);
	assert(t != NULL);
	assert_wiped(relay);
	transform_free(t);
}

static bool
is_honest_hello(const uint8_t *bytes, size_t len)
{
	for (int p = WIRE_PROTECTION_AUTH; p <= WIRE_PROTECTION_SEALED; p++) {
		uint8_t honest[HANDSHAKE_HELLO];
		struct handshake h;
		size_t n = begin(&h, (enum wire_protection)p, honest);

		if (len >= n && memcmp(bytes, honest, n) == 0)
			return true;
	}
	return false;
}

static size_t
honest_answer(enum wire_protection protection,
    uint8_t out[static HANDSHAKE_ANSWER])
{
	bool keyed = protection != WIRE_PROTECTION_NONE;
	uint8_t hello[HANDSHAKE_HELLO], id[WIRE_KEY_ID];
	struct handshake p, r;
	struct wire_hello heard;
	struct cursor c = { hello, hello };

	c.end += begin(&p, protection, hello);
	assert(handshake_prologue(&r, &c, id) == HANDSHAKE_OK);
	assert(handshake_hello(&r, &c, keyed ? key : NULL,
	    relay_secret, &heard) == HANDSHAKE_OK);
	return (size_t)handshake_accept(&r, &our_answer, out);
}

/* ---- what is heard ---- */

/* Any cut of it is only not whole. */
static void
check_cuts(const uint8_t *bytes, size_t whole)
{
	for (size_t n = 0; n < whole; n++) {
		struct cursor c = { bytes, bytes + n };
		uint8_t id[WIRE_KEY_ID];
		struct handshake h;
		enum handshake_result result = handshake_prologue(&h, &c, id);

		assert(result == HANDSHAKE_MORE);
		assert(c.pos == bytes);
	}
}

/* `noise`: the state of who sealed it here, or NULL. */
static void
relay_hears(const uint8_t *bytes, size_t len, bool keyed,
    struct secure_handshake *noise)
{
	static const uint8_t none[WIRE_KEY_ID];
	struct cursor c = { bytes, bytes + len };
	struct handshake h;
	struct wire_hello hello;
	uint8_t id[WIRE_KEY_ID];
	enum handshake_result result = handshake_prologue(&h, &c, id);

	assert(result != HANDSHAKE_FORGED);
	if (result != HANDSHAKE_OK) {
		assert(c.pos == bytes);
		return;
	}
	assert(c.pos == bytes + WIRE_HELLO_PROLOGUE);
	size_t whole = WIRE_HELLO_PROLOGUE + ((size_t)bytes[6] << 8 | bytes[7]);
	assert(whole <= len && whole <= WIRE_HELLO_MAX);
	check_cuts(bytes, whole);

	bool zero = memcmp(id, none, sizeof(none)) == 0;
	result = handshake_hello(&h, &c, keyed ? key : NULL,
	    relay_secret, &hello);
	assert(result != HANDSHAKE_MORE);
	if (zero == keyed)
		assert(result == HANDSHAKE_BAD);
	else if (keyed && noise == NULL)
		assert((result == HANDSHAKE_OK) == is_honest_hello(bytes, len));
	else
		assert(result != HANDSHAKE_FORGED);
	if (result != HANDSHAKE_OK) {
		assert(c.pos == bytes + WIRE_HELLO_PROLOGUE);
		assert_wiped(&h);
		return;
	}
	assert(c.pos == bytes + whole);
	assert(keyed == (hello.protection != WIRE_PROTECTION_NONE));
	if (noise != NULL || !keyed)
		check_answer(&h, noise, &hello);
}

static void
proxy_hears(const uint8_t *bytes, size_t len, enum wire_protection protection,
    bool ours)
{
	uint8_t hello[HANDSHAKE_HELLO], honest[HANDSHAKE_ANSWER];
	struct cursor c = { bytes, bytes + len };
	struct handshake h;
	struct wire_answer told;
	struct transform *t;
	size_t whole = len < 2 ? 0 : 2 + ((size_t)bytes[0] << 8 | bytes[1]);

	for (size_t n = 0; n < whole && n < len && whole <= 258; n++) {
		struct cursor cut = { bytes, bytes + n };

		if (n == 0)
			begin(&h, protection, hello);
		assert(handshake_answer(&h, &cut, &told) == HANDSHAKE_MORE);
		assert(cut.pos == bytes);
	}
	begin(&h, protection, hello);
	switch (handshake_answer(&h, &c, &told)) {
	case HANDSHAKE_MORE:
		assert(c.pos == bytes && (len < 2 || len < whole));
		return;
	case HANDSHAKE_FORGED:
		assert(protection != WIRE_PROTECTION_NONE && !ours);
		/* FALLTHROUGH */
	case HANDSHAKE_BAD:
		assert(c.pos == bytes);
		assert_wiped(&h);
		return;
	case HANDSHAKE_OK:
		break;
	}
	assert(c.pos == bytes + whole);
	assert(told.protection == protection);
	if (protection != WIRE_PROTECTION_NONE && !ours) {
		size_t n = honest_answer(protection, honest);

		assert(whole == n && memcmp(bytes, honest, n) == 0);
	}
	t = handshake_transform(&h, 0, 0);
	assert(t != NULL);
	assert_wiped(&h);
	transform_free(t);
}

/* ---- what is sealed here ---- */

/* The rest is a payload, as long as a message can hold. */
static void
relay_hears_sealed(const uint8_t *payload, size_t len)
{
	struct wire_prologue prologue = { .version = WIRE_VERSION };
	uint8_t bytes[WIRE_HELLO_MAX];
	struct secure_handshake noise;

	if (len > sizeof(bytes) - WIRE_HELLO_PROLOGUE - SECURE_OVERHEAD)
		return;
	prologue.length = (uint16_t)(len + SECURE_OVERHEAD);
	secure_key_id(prologue.key_id, key);
	wire_put_prologue(bytes, &prologue);
	secure_begin(&noise, true, key, bytes, WIRE_HELLO_PROLOGUE,
	    proxy_secret);
	(void)secure_write(&noise, bytes + WIRE_HELLO_PROLOGUE, payload, len);
	relay_hears(bytes, WIRE_HELLO_PROLOGUE + prologue.length, true,
	    &noise);
}

static void
proxy_hears_sealed(const uint8_t *payload, size_t len,
    enum wire_protection protection)
{
	uint8_t hello[HANDSHAKE_HELLO], told[WIRE_HELLO_PAYLOAD];
	uint8_t bytes[WIRE_ANSWER_LENGTH + WIRE_HELLO_MAX];
	struct secure_handshake noise;
	struct handshake h;
	size_t n;

	if (len > WIRE_HELLO_MAX - SECURE_OVERHEAD ||
	    protection == WIRE_PROTECTION_NONE)
		return;
	n = begin(&h, protection, hello);
	secure_begin(&noise, false, key, hello, WIRE_HELLO_PROLOGUE,
	    relay_secret);
	assert(secure_read(&noise, told, hello + WIRE_HELLO_PROLOGUE,
	    n - WIRE_HELLO_PROLOGUE) == 0);
	wire_put_length(bytes, (uint16_t)(len + SECURE_OVERHEAD));
	assert(secure_write(&noise, bytes + WIRE_ANSWER_LENGTH, payload,
	    len) == 0);
	proxy_hears(bytes, WIRE_ANSWER_LENGTH + len + SECURE_OVERHEAD,
	    protection, true);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum wire_protection protection;

	if (len == 0 || (data[0] >> 2 & 3) > WIRE_PROTECTION_SEALED)
		return 0;
	protection = (enum wire_protection)(data[0] >> 2 & 3);
	switch (data[0] & 3) {
	case 0:
		relay_hears(data + 1, len - 1,
		    protection != WIRE_PROTECTION_NONE, NULL);
		break;
	case 1:
		proxy_hears(data + 1, len - 1, protection, false);
		break;
	case 2:
		relay_hears_sealed(data + 1, len - 1);
		break;
	case 3:
		proxy_hears_sealed(data + 1, len - 1, protection);
		break;
	}
	return 0;
}
