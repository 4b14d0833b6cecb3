/* SPDX-License-Identifier: ISC */
/*
 * Golden bytes come from tests/e2e/extended.py, which has its own cryptography
 * and was written from the description alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/handshake.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES_MAX 256

struct bytes {
	uint8_t at[BYTES_MAX];
	size_t len;
};

static struct bytes
hex(const char *text)
{
	struct bytes b = { .len = strlen(text) / 2 };

	assert_true(b.len <= sizeof(b.at));
	for (size_t i = 0; i < b.len; i++) {
		const char digits[3] = { text[2 * i], text[2 * i + 1] };

		b.at[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return b;
}

/* `first`, `first` + 1, ... */
static struct bytes
counted(uint8_t first)
{
	struct bytes b = { .len = 32 };

	for (size_t i = 0; i < b.len; i++)
		b.at[i] = (uint8_t)(first + i);
	return b;
}

static void
assert_bytes(const struct bytes *got, const struct bytes *want)
{
	assert_int_equal(got->len, want->len);
	assert_memory_equal(got->at, want->at, want->len);
}

static void
assert_wiped(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(at[i], 0);
}

/* ---- two ends ---- */

#define KEY 0x40		/* the key is 40 41 .. 5f */
#define PROXY_SECRET 0x01
#define RELAY_SECRET 0x81

static const enum wire_protection protections[] = {
	WIRE_PROTECTION_NONE, WIRE_PROTECTION_AUTH, WIRE_PROTECTION_SEALED,
};

static struct wire_hello
hello_of(enum wire_protection protection)
{
	return (struct wire_hello){ .group = "sixteen bytes...", .path = 3,
		.slot = 129, .protection = (uint8_t)protection,
		.features = WIRE_FEATURE_IPV4, .initial_window = 65536 };
}

static const struct wire_answer answer = {
	.group_known = true, .features = WIRE_FEATURE_IPV6,
	.initial_window = 131072, .max_sessions = 77,
};

static struct bytes
begin_as(struct handshake *h, const struct wire_hello *hello)
{
	const struct bytes key = counted(KEY), secret = counted(PROXY_SECRET);
	bool keyed = hello->protection != WIRE_PROTECTION_NONE;
	struct bytes out;

	out.len = handshake_begin(h, hello, keyed ? key.at : NULL, secret.at,
	    out.at);
	assert_true(out.len <= HANDSHAKE_HELLO);
	return out;
}

static struct bytes
begin(struct handshake *h, enum wire_protection protection)
{
	const struct wire_hello hello = hello_of(protection);

	return begin_as(h, &hello);
}

/* What a relay makes of these bytes.  Copied, for a sanitizer to see a read
 * past their end.  `key`: NULL if it takes hellos without one. */
static enum handshake_result
hear(struct handshake *h, const struct bytes *in, const struct bytes *key,
    struct wire_hello *hello)
{
	const struct bytes secret = counted(RELAY_SECRET);
	uint8_t *copy = malloc(in->len > 0 ? in->len : 1);
	struct cursor c = { copy, copy + in->len };
	uint8_t id[WIRE_KEY_ID];
	enum handshake_result result;

	assert_non_null(copy);
	memcpy(copy, in->at, in->len);
	result = handshake_prologue(h, &c, id);
	if (result != HANDSHAKE_OK) {
		assert_ptr_equal(c.pos, copy);
		free(copy);
		return result;
	}
	assert_ptr_equal(c.pos, copy + WIRE_HELLO_PROLOGUE);
	assert_memory_equal(id, in->at + 8, sizeof(id));
	result = handshake_hello(h, &c, key != NULL ? key->at : NULL,
	    secret.at, hello);
	assert_int_not_equal(result, HANDSHAKE_MORE);
	if (result == HANDSHAKE_OK)
		assert_ptr_equal(c.pos, c.end);
	else
		assert_wiped(h, sizeof(*h));
	free(copy);
	return result;
}

/* The same for a key that it knows, or none. */
static enum handshake_result
hear_known(struct handshake *h, const struct bytes *in,
    enum wire_protection protection, struct wire_hello *hello)
{
	const struct bytes key = counted(KEY);

	return hear(h, in, protection != WIRE_PROTECTION_NONE ? &key : NULL,
	    hello);
}

static struct bytes
accept_with(struct handshake *h, const struct wire_answer *a)
{
	struct bytes out;
	int n = handshake_accept(h, a, out.at);

	assert_true(n > 0 && n <= HANDSHAKE_ANSWER);
	out.len = (size_t)n;
	return out;
}

/* What a proxy makes of these. */
static enum handshake_result
learn(struct handshake *h, const struct bytes *in, struct wire_answer *a)
{
	uint8_t *copy = malloc(in->len > 0 ? in->len : 1);
	struct cursor c = { copy, copy + in->len };
	enum handshake_result result;

	assert_non_null(copy);
	memcpy(copy, in->at, in->len);
	result = handshake_answer(h, &c, a);
	if (result == HANDSHAKE_OK)
		assert_ptr_equal(c.pos, c.end);
	else
		assert_ptr_equal(c.pos, copy);
	if (result == HANDSHAKE_BAD || result == HANDSHAKE_FORGED)
		assert_wiped(h, sizeof(*h));
	free(copy);
	return result;
}

/* What crosses, in order. */
struct ends {
	struct handshake proxy, relay;
	struct bytes hello, answer;
};

static void
shake(struct ends *e, enum wire_protection protection)
{
	struct wire_hello hello;
	struct wire_answer a;

	e->hello = begin(&e->proxy, protection);
	assert_int_equal(hear_known(&e->relay, &e->hello, protection, &hello),
	    HANDSHAKE_OK);
	e->answer = accept_with(&e->relay, &answer);
	assert_int_equal(learn(&e->proxy, &e->answer, &a), HANDSHAKE_OK);
}

/* ---- bytes ---- */

static void
assert_sends(struct transform *t, const char *frames, const char *want)
{
	const struct bytes in = hex(frames), expected = hex(want);
	size_t room, enough;
	uint8_t *out = transform_out_room(t, &room, &enough);
	const uint8_t *bytes;

	memcpy(out, in.at, in.len);
	transform_out_commit(t, in.len);
	assert_int_equal(transform_out_peek(t, &bytes), expected.len);
	assert_memory_equal(bytes, expected.at, expected.len);
	transform_out_consume(t, expected.len);
}

#define PING "0600000800000000000000000102030405060708"
#define PONG "0700000800000000000000000102030405060708"
#define PROXY_1 "00244041958b31e0fa0dcc20ae74cd530e19ea0f19b3cc9b247ca548b930" \
    "ed05bf7042b4f327"
#define RELAY_1 "00241b0584f67c03e5d1fa136b213e113926c95f7f46a39a71794e996ef1" \
    "af2d1a5e0ec0d6a4"

/* With the key 40 41 .. 5f and the secrets 01 02 .. 20 and 81 82 .. a0. */
static const struct {
	enum wire_protection protection;
	const char *hello, *answer;
	const char *proxy[3], *relay[2];	/* PING, nothing, PING; PONG,
						 * PING */
} golden[] = {
	{ WIRE_PROTECTION_SEALED,
	    "ffffffff0100004bbb23f55387bb34f7"
	    "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
	    "544eab366ed37486aa3dfd0ff38efcee0fc188eae9ed4572982262"
	    "002c2befa47c8e71839c411e2e58fa30",
	    "003e"
	    "883186b800b41d5cf0429695da9b3cc4f328ebcd184a6e482fa578c103f06c77"
	    "f7f88ffe5d26cd2073d40f7f0c36"
	    "983edd46a53745d4b666b02aff86128f",
	    { PROXY_1,
		"00107dba3432dc4d5c8213de87fd9af35fed",
		"00248093814b81b802d43c7e3e6a079b215f4c3b482d55eeda011d24c1bf80"
		"ceecd8a319ad01" },
	    { RELAY_1,
		"00247cfedd6bccaa8eeaeea0d36c6f3358ea87ed3ba14032db5aecb5288370"
		"7c3b23591e0284" } },
	{ WIRE_PROTECTION_AUTH,
	    "ffffffff0100004bbb23f55387bb34f7"
	    "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
	    "544eab366ed37486aa3dfd0ff38efcee0fc18beae9ed4572982262"
	    "eb067ab38846c79ec1ab43d8646cbec8",
	    "003e"
	    "883186b800b41d5cf0429695da9b3cc4f328ebcd184a6e482fa578c103f06c77"
	    "f4f88ffe5d26cd2073d40f7f0c36"
	    "73a0f604bc3f46e6a81f62578db40690",
	    { PROXY_1, "", PING }, { RELAY_1, PING } },
	{ WIRE_PROTECTION_NONE,
	    "ffffffff0100001b0000000000000000"
	    "7369787465656e2062797465732e2e2e" "038100" "00000001" "00010000",
	    "000e" "0001" "00000002" "00020000" "0000004d",
	    { PING, "", PING }, { PONG, PING } },
};

static void
bytes_on_the_wire_are_these(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(golden); i++) {
		const struct bytes hello = hex(golden[i].hello);
		const struct bytes told = hex(golden[i].answer);
		struct transform *p, *r;
		struct ends e;

		shake(&e, golden[i].protection);
		assert_bytes(&e.hello, &hello);
		assert_bytes(&e.answer, &told);
		p = handshake_transform(&e.proxy, 0, 0);
		r = handshake_transform(&e.relay, 0, 0);
		assert_non_null(p);
		assert_non_null(r);
		assert_sends(p, PING, golden[i].proxy[0]);
		assert_sends(p, "", golden[i].proxy[1]);
		assert_sends(p, PING, golden[i].proxy[2]);
		assert_sends(r, PONG, golden[i].relay[0]);
		assert_sends(r, PING, golden[i].relay[1]);
		transform_free(p);
		transform_free(r);
	}
}

static void
both_ends_hear_what_was_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++) {
		const struct wire_hello said = hello_of(protections[i]);
		struct wire_hello heard;
		struct wire_answer told;
		struct ends e;

		e.hello = begin(&e.proxy, protections[i]);
		assert_int_equal(hear_known(&e.relay, &e.hello,
		    protections[i], &heard), HANDSHAKE_OK);
		assert_memory_equal(heard.group, said.group,
		    sizeof(said.group));
		assert_int_equal(heard.path, 3);
		assert_int_equal(heard.slot, 129);
		assert_int_equal(heard.protection, protections[i]);
		assert_int_equal(heard.features, WIRE_FEATURE_IPV4);
		assert_int_equal(heard.initial_window, 65536);

		e.answer = accept_with(&e.relay, &answer);
		assert_int_equal(learn(&e.proxy, &e.answer, &told),
		    HANDSHAKE_OK);
		assert_int_equal(told.protection, protections[i]);
		assert_true(told.group_known);
		assert_int_equal(told.features, WIRE_FEATURE_IPV6);
		assert_int_equal(told.initial_window, 131072);
		assert_int_equal(told.max_sessions, 77);
	}
}

/* What a later version adds to a payload; sealed by hand, since ours has
 * none. */
static void
a_payload_may_be_longer_than_those_we_know(void **state)
{
	const struct bytes key = counted(KEY), secret = counted(PROXY_SECRET);
	struct wire_hello hello = hello_of(WIRE_PROTECTION_SEALED), heard;
	struct wire_prologue prologue = { .version = WIRE_VERSION,
		.length = WIRE_HELLO_MAX - WIRE_HELLO_PROLOGUE };
	uint8_t payload[WIRE_HELLO_MAX] = { 0 };
	size_t len = prologue.length - SECURE_OVERHEAD;
	struct secure_handshake noise;
	struct bytes b = { .len = WIRE_HELLO_MAX };
	struct wire_answer told;
	struct ends e;

	(void)state;
	secure_key_id(prologue.key_id, key.at);
	wire_put_prologue(b.at, &prologue);
	wire_put_hello(payload, &hello);
	secure_begin(&noise, true, key.at, b.at, WIRE_HELLO_PROLOGUE,
	    secret.at);
	assert_int_equal(secure_write(&noise, b.at + WIRE_HELLO_PROLOGUE,
	    payload, len), 0);
	assert_int_equal(hear(&e.relay, &b, &key, &heard), HANDSHAKE_OK);
	assert_int_equal(heard.slot, hello.slot);

	/* And the answer, to a proxy of ours. */
	b = begin(&e.proxy, WIRE_PROTECTION_SEALED);
	secure_begin(&noise, false, key.at, b.at, WIRE_HELLO_PROLOGUE,
	    secret.at);
	assert_int_equal(secure_read(&noise, payload,
	    b.at + WIRE_HELLO_PROLOGUE, b.len - WIRE_HELLO_PROLOGUE), 0);
	told = answer;
	told.protection = WIRE_PROTECTION_SEALED;
	wire_put_answer(payload, &told);
	b.len = 200;
	wire_put_length(b.at, 198);
	assert_int_equal(secure_write(&noise, b.at + 2, payload,
	    198 - SECURE_OVERHEAD), 0);
	assert_int_equal(learn(&e.proxy, &b, &told), HANDSHAKE_OK);
	assert_int_equal(told.max_sessions, 77);
}

static void
bytes_behind_a_message_are_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++) {
		const struct bytes key = counted(KEY), secret = counted(9);
		bool keyed = protections[i] != WIRE_PROTECTION_NONE;
		struct wire_hello hello;
		struct wire_answer told;
		uint8_t id[WIRE_KEY_ID];
		struct cursor c;
		struct ends e;

		e.hello = begin(&e.proxy, protections[i]);
		c = (struct cursor){ e.hello.at, e.hello.at + e.hello.len + 9 };
		assert_int_equal(handshake_prologue(&e.relay, &c, id),
		    HANDSHAKE_OK);
		assert_int_equal(handshake_hello(&e.relay, &c,
		    keyed ? key.at : NULL, secret.at, &hello), HANDSHAKE_OK);
		assert_int_equal(c.end - c.pos, 9);
		e.answer = accept_with(&e.relay, &answer);
		c = (struct cursor){ e.answer.at,
			e.answer.at + e.answer.len + 7 };
		assert_int_equal(handshake_answer(&e.proxy, &c, &told),
		    HANDSHAKE_OK);
		assert_int_equal(c.end - c.pos, 7);
	}
}

/* ---- what is not whole, or not the other end's ---- */

static void
messages_are_taken_only_when_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++) {
		struct wire_hello hello;
		struct wire_answer told;
		struct ends e;

		shake(&e, protections[i]);
		for (size_t len = 0; len < e.hello.len; len++) {
			struct bytes cut = e.hello;

			cut.len = len;
			assert_int_equal(hear_known(&e.relay, &cut,
			    protections[i], &hello), HANDSHAKE_MORE);
		}
		begin(&e.proxy, protections[i]);
		for (size_t len = 0; len < e.answer.len; len++) {
			struct bytes cut = e.answer;

			cut.len = len;
			assert_int_equal(learn(&e.proxy, &cut, &told),
			    HANDSHAKE_MORE);
		}
		/* The same state still takes all of it. */
		assert_int_equal(learn(&e.proxy, &e.answer, &told),
		    HANDSHAKE_OK);
	}
}

/* Cut, and saying so. */
static void
shorter_messages_are_forged(void **state)
{
	struct wire_hello hello;
	struct wire_answer told;
	struct ends e;

	(void)state;
	shake(&e, WIRE_PROTECTION_SEALED);
	for (size_t len = 0; len < e.hello.len - WIRE_HELLO_PROLOGUE; len++) {
		struct bytes cut = e.hello;

		cut.at[7] = (uint8_t)len;
		cut.len = WIRE_HELLO_PROLOGUE + len;
		assert_int_equal(hear_known(&e.relay, &cut,
		    WIRE_PROTECTION_SEALED, &hello), HANDSHAKE_FORGED);
	}
	for (size_t len = 0; len < e.answer.len - WIRE_ANSWER_LENGTH; len++) {
		struct bytes cut = e.answer;

		begin(&e.proxy, WIRE_PROTECTION_SEALED);
		cut.at[1] = (uint8_t)len;
		cut.len = WIRE_ANSWER_LENGTH + len;
		assert_int_equal(learn(&e.proxy, &cut, &told),
		    HANDSHAKE_FORGED);
	}
}

static void
no_bit_of_a_hello_can_be_flipped(void **state)
{
	struct wire_hello heard;
	struct handshake p, r;
	const struct bytes hello = begin(&p, WIRE_PROTECTION_SEALED);

	(void)state;
	for (size_t bit = 0; bit < 8 * hello.len; bit++) {
		struct bytes b = hello;
		enum handshake_result result;
		size_t length;

		b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* If it is longer now, it has to be. */
		length = (size_t)b.at[6] << 8 | b.at[7];
		b.len = WIRE_HELLO_PROLOGUE + length;
		if (b.len > sizeof(b.at))
			b.len = sizeof(b.at);
		else if (b.len > hello.len)
			memset(b.at + hello.len, 0, b.len - hello.len);
		/* Not even with its id changed: that is known as well, say. */
		result = hear_known(&r, &b, WIRE_PROTECTION_SEALED, &heard);
		if (bit < 8 * 8)	/* magic, version, 0, length */
			assert_true(result == HANDSHAKE_BAD ||
			    result == HANDSHAKE_FORGED);
		else
			assert_int_equal(result, HANDSHAKE_FORGED);
	}
}

static void
no_bit_of_an_answer_can_be_flipped(void **state)
{
	struct wire_answer told;
	struct ends e;

	(void)state;
	shake(&e, WIRE_PROTECTION_SEALED);
	for (size_t bit = 0; bit < 8 * e.answer.len; bit++) {
		struct bytes b = e.answer;
		size_t length;

		begin(&e.proxy, WIRE_PROTECTION_SEALED);
		b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
		length = (size_t)b.at[0] << 8 | b.at[1];
		b.len = length > BYTES_MAX - 2 ? BYTES_MAX : 2 + length;
		if (b.len > e.answer.len)
			memset(b.at + e.answer.len, 0, b.len - e.answer.len);
		assert_int_equal(learn(&e.proxy, &b, &told),
		    length > WIRE_HELLO_MAX ? HANDSHAKE_BAD :
		    length > BYTES_MAX - 2 ? HANDSHAKE_MORE :
		    HANDSHAKE_FORGED);
	}
}

static void
another_key_is_not_ours(void **state)
{
	const struct bytes other = counted(KEY + 1);
	struct wire_hello hello;
	struct handshake p, r;
	struct bytes b;

	(void)state;
	/* A relay that held it under the same id. */
	b = begin(&p, WIRE_PROTECTION_SEALED);
	assert_int_equal(hear(&r, &b, &other, &hello), HANDSHAKE_FORGED);
}

/* ---- repetition ---- */

/* An old hello draws an answer, but nobody can say what comes after it: there
 * the relay's secret has a part. */
static void
an_old_hello_does_not_lead_to_a_record(void **state)
{
	const struct bytes key = counted(KEY), fresh = counted(0x21);
	const uint8_t *record;
	struct transform *p, *r;
	struct wire_hello hello;
	struct wire_answer told;
	uint8_t id[WIRE_KEY_ID];
	struct bytes second;
	const uint8_t *bytes;
	struct cursor c;
	struct ends e;
	size_t room, enough, len;

	(void)state;
	shake(&e, WIRE_PROTECTION_SEALED);
	p = handshake_transform(&e.proxy, 0, 0);
	assert_non_null(p);
	transform_out_room(p, &room, &enough);
	transform_out_commit(p, 0);
	len = transform_out_peek(p, &record);

	/* All that the proxy ever sent, once more, to the same relay. */
	c = (struct cursor){ e.hello.at, e.hello.at + e.hello.len };
	assert_int_equal(handshake_prologue(&e.relay, &c, id), HANDSHAKE_OK);
	assert_int_equal(handshake_hello(&e.relay, &c, key.at, fresh.at,
	    &hello), HANDSHAKE_OK);
	second = accept_with(&e.relay, &answer);
	assert_memory_not_equal(second.at, e.answer.at, second.len);
	r = handshake_transform(&e.relay, 0, 0);
	assert_non_null(r);
	memcpy(transform_in_room(r, &room), record, len);
	transform_in_commit(r, len);
	assert_int_equal(transform_in_peek(r, &bytes, &len), -EBADMSG);
	assert_false(transform_heard(r));
	transform_free(p);
	transform_free(r);

	/* Nor does an old answer to a new hello. */
	handshake_begin(&e.proxy, &hello, key.at, fresh.at, e.hello.at);
	assert_int_equal(learn(&e.proxy, &e.answer, &told),
	    HANDSHAKE_FORGED);
}

/* ---- no way down ---- */

static void
a_key_and_its_absence_go_with_the_key_id(void **state)
{
	const struct bytes key = counted(KEY);
	struct wire_hello hello;
	struct handshake p, r;
	struct bytes b;

	(void)state;
	/* A key where the id says none. */
	b = begin(&p, WIRE_PROTECTION_NONE);
	assert_int_equal(hear(&r, &b, &key, &hello), HANDSHAKE_BAD);
	/* None where it says a key, with a good hello and with a clear one. */
	b = begin(&p, WIRE_PROTECTION_SEALED);
	assert_int_equal(hear(&r, &b, NULL, &hello), HANDSHAKE_BAD);
	b = begin(&p, WIRE_PROTECTION_NONE);
	b.at[WIRE_HELLO_PROLOGUE - 1] = 1;
	assert_int_equal(hear(&r, &b, NULL, &hello), HANDSHAKE_BAD);
}

static void
a_clear_hello_cannot_ask_for_protection(void **state)
{
	struct wire_hello hello;
	struct handshake p, r;

	(void)state;
	for (int asked = 1; asked <= 3; asked++) {
		struct bytes b = begin(&p, WIRE_PROTECTION_NONE);

		b.at[WIRE_HELLO_PROLOGUE + 18] = (uint8_t)asked;
		assert_int_equal(hear(&r, &b, NULL, &hello), HANDSHAKE_BAD);
	}
}

/* By hand: our proxy would not say this. */
static void
a_hello_under_a_key_cannot_ask_for_none(void **state)
{
	static const struct {
		uint8_t protection;
		enum handshake_result result;
	} rows[] = {
		{ WIRE_PROTECTION_NONE, HANDSHAKE_BAD },
		{ WIRE_PROTECTION_AUTH, HANDSHAKE_OK },
		{ WIRE_PROTECTION_SEALED, HANDSHAKE_OK },
		{ WIRE_PROTECTION_SEALED + 1, HANDSHAKE_BAD },
	};
	const struct bytes key = counted(KEY), secret = counted(PROXY_SECRET);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct wire_hello hello = hello_of(rows[i].protection), heard;
		uint8_t payload[WIRE_HELLO_PAYLOAD];
		struct secure_handshake noise;
		struct handshake p, r;
		struct bytes b = begin(&p, WIRE_PROTECTION_SEALED);

		secure_begin(&noise, true, key.at, b.at, WIRE_HELLO_PROLOGUE,
		    secret.at);
		wire_put_hello(payload, &hello);
		assert_int_equal(secure_write(&noise,
		    b.at + WIRE_HELLO_PROLOGUE, payload, sizeof(payload)), 0);
		assert_int_equal(hear(&r, &b, &key, &heard), rows[i].result);
	}
}

/* What the relay's owner says of it does not count. */
static void
the_answer_has_the_protection_of_the_hello(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++)
		for (size_t k = 0; k < COUNT(protections); k++) {
			struct wire_answer a = answer, told;
			struct wire_hello hello;
			struct ends e;

			e.hello = begin(&e.proxy, protections[i]);
			assert_int_equal(hear_known(&e.relay, &e.hello,
			    protections[i], &hello), HANDSHAKE_OK);
			a.protection = (uint8_t)protections[k];
			e.answer = accept_with(&e.relay, &a);
			assert_int_equal(learn(&e.proxy, &e.answer, &told),
			    HANDSHAKE_OK);
			assert_int_equal(told.protection, protections[i]);
		}
}

static void
an_answer_of_another_protection_is_bad(void **state)
{
	const struct bytes key = counted(KEY), secret = counted(RELAY_SECRET);

	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++)
		for (uint8_t told = 0; told <= 3; told++) {
			struct wire_answer a = answer;
			uint8_t payload[WIRE_HELLO_PAYLOAD];
			struct secure_handshake noise;
			struct handshake p;
			struct bytes b = begin(&p, protections[i]);
			size_t len = WIRE_ANSWER_PAYLOAD;

			secure_begin(&noise, false, key.at, b.at,
			    WIRE_HELLO_PROLOGUE, secret.at);
			if (protections[i] != WIRE_PROTECTION_NONE)
				assert_int_equal(secure_read(&noise, payload,
				    b.at + WIRE_HELLO_PROLOGUE,
				    b.len - WIRE_HELLO_PROLOGUE), 0);
			a.protection = told;
			wire_put_answer(payload, &a);
			if (protections[i] != WIRE_PROTECTION_NONE) {
				assert_int_equal(secure_write(&noise,
				    b.at + 2, payload, len), 0);
				len += SECURE_OVERHEAD;
			} else {
				memcpy(b.at + 2, payload, len);
			}
			wire_put_length(b.at, (uint16_t)len);
			b.len = 2 + len;
			assert_int_equal(learn(&p, &b, &a),
			    told == protections[i] ? HANDSHAKE_OK :
			    HANDSHAKE_BAD);
		}
}

/* Without a key there is nothing to verify, but a length and values that are
 * known. */
static void
clear_messages_have_to_make_sense(void **state)
{
	struct wire_hello hello;
	struct wire_answer told;
	struct ends e;

	(void)state;
	shake(&e, WIRE_PROTECTION_NONE);
	for (size_t len = 0; len < WIRE_HELLO_PAYLOAD; len++) {
		struct bytes b = e.hello;

		b.at[7] = (uint8_t)len;
		assert_int_equal(hear(&e.relay, &b, NULL, &hello),
		    HANDSHAKE_BAD);
	}
	for (size_t len = 0; len < WIRE_ANSWER_PAYLOAD; len++) {
		struct bytes b = e.answer;

		begin(&e.proxy, WIRE_PROTECTION_NONE);
		b.at[1] = (uint8_t)len;
		assert_int_equal(learn(&e.proxy, &b, &told), HANDSHAKE_BAD);
	}
	begin(&e.proxy, WIRE_PROTECTION_NONE);
	e.answer.at[3] = 2;		/* group known */
	assert_int_equal(learn(&e.proxy, &e.answer, &told), HANDSHAKE_BAD);
}

/* ---- the end ---- */

/* From somebody who holds the key: the point 0, and then all is well but the
 * agreement. */
static void
there_is_no_answer_to_a_worthless_public_key(void **state)
{
	struct wire_hello hello;
	struct handshake p, r;
	uint8_t out[HANDSHAKE_ANSWER];
	struct bytes b = begin(&p, WIRE_PROTECTION_SEALED);

	(void)state;
	assert_int_equal(hear_known(&r, &b, WIRE_PROTECTION_SEALED, &hello),
	    HANDSHAKE_OK);
	memset(r.noise.theirs, 0, sizeof(r.noise.theirs));
	assert_int_equal(handshake_accept(&r, &answer, out), -EBADMSG);
	assert_wiped(&r, sizeof(r));
}

static void
nothing_is_left_of_a_handshake(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++) {
		struct transform *t;
		struct ends e;

		shake(&e, protections[i]);
		t = handshake_transform(&e.proxy, 0, 0);
		assert_non_null(t);
		assert_wiped(&e.proxy, sizeof(e.proxy));
		transform_free(t);
		t = handshake_transform(&e.relay, 0, 0);
		assert_wiped(&e.relay, sizeof(e.relay));
		transform_free(t);
		shake(&e, protections[i]);
		handshake_wipe(&e.relay);
		assert_wiped(&e.relay, sizeof(e.relay));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_on_the_wire_are_these),
		cmocka_unit_test(both_ends_hear_what_was_said),
		cmocka_unit_test(a_payload_may_be_longer_than_those_we_know),
		cmocka_unit_test(bytes_behind_a_message_are_left),
		cmocka_unit_test(messages_are_taken_only_when_whole),
		cmocka_unit_test(shorter_messages_are_forged),
		cmocka_unit_test(no_bit_of_a_hello_can_be_flipped),
		cmocka_unit_test(no_bit_of_an_answer_can_be_flipped),
		cmocka_unit_test(another_key_is_not_ours),
		cmocka_unit_test(an_old_hello_does_not_lead_to_a_record),
		cmocka_unit_test(a_key_and_its_absence_go_with_the_key_id),
		cmocka_unit_test(a_clear_hello_cannot_ask_for_protection),
		cmocka_unit_test(a_hello_under_a_key_cannot_ask_for_none),
		cmocka_unit_test(the_answer_has_the_protection_of_the_hello),
		cmocka_unit_test(an_answer_of_another_protection_is_bad),
		cmocka_unit_test(clear_messages_have_to_make_sense),
		cmocka_unit_test(there_is_no_answer_to_a_worthless_public_key),
		cmocka_unit_test(nothing_is_left_of_a_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
