/* SPDX-License-Identifier: ISC */
/*
 * Vectors: the four of Noise_NNpsk0_25519_ChaChaPoly_SHA256 in vectors.txt of
 * github.com/flynn/noise 1.0.0 (Debian: golang-github-flynn-noise-dev 1.0.0-2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/secure.h"
#include "core/wire_hello.h"

#define MESSAGE_MAX 128
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct bytes {
	uint8_t at[MESSAGE_MAX];
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

static void
assert_bytes(const uint8_t *got, const struct bytes *want)
{
	assert_memory_equal(got, want->at, want->len);
}

/* ---- the published vectors ---- */

static const char initiator_secret[] =
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
static const char responder_secret[] =
    "4142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60";
static const char preshared_key[] =
    "2176657279736563726574766572797365637265747665727973656372657421";

static const struct vector {
	const char *prologue;
	struct {
		const char *payload, *ciphertext;
	} messages[4];
} vectors[] = {
	{ "", {
	    { "",
		"358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662"
		"54e7136508cb8178281204abd62e9f2a3e" },
	    { "",
		"64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484"
		"66922f3b7824001193c077abd8b7a73030" },
	    { "79656c6c6f777375626d6172696e65",
		"b349a522c145762c7c737ac1d1425ce1fb25c7cca626177ee4ceed3cd6fb3d"
		},
	    { "7375626d6172696e6579656c6c6f77",
		"b41e24399dc3f1ad2faf82868700e4bf31bb89f6616e1d6a92802bb8ad80d6"
		},
	} },
	{ "", {
	    { "746573745f6d73675f30",
		"358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662"
		"547c78f22f8cea986f934a675201c7f431a539e50c9be46986fa89" },
	    { "746573745f6d73675f31",
		"64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484"
		"666913ea64c74c2f63ee5e814fda25301b9508e4685ee02e9852fd" },
	    { "79656c6c6f777375626d6172696e65",
		"b349a522c145762c7c737ac1d1425ce1fb25c7cca626177ee4ceed3cd6fb3d"
		},
	    { "7375626d6172696e6579656c6c6f77",
		"b41e24399dc3f1ad2faf82868700e4bf31bb89f6616e1d6a92802bb8ad80d6"
		},
	} },
	{ "6e6f74736563726574", {
	    { "",
		"358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662"
		"546e96a20116b68fd776478e81d11779ca" },
	    { "",
		"64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484"
		"6666f51bc44f88917daa53fb4529499b55" },
	    { "79656c6c6f777375626d6172696e65",
		"b349a522c145762c7c737ac1d1425ce1fb25c7cca626177ee4ceed3cd6fb3d"
		},
	    { "7375626d6172696e6579656c6c6f77",
		"b41e24399dc3f1ad2faf82868700e4bf31bb89f6616e1d6a92802bb8ad80d6"
		},
	} },
	{ "6e6f74736563726574", {
	    { "746573745f6d73675f30",
		"358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662"
		"547c78f22f8cea986f934ab17c2484a24a990a6473d588a4f20e99" },
	    { "746573745f6d73675f31",
		"64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484"
		"666913ea64c74c2f63ee5e32a5358320d459322d624c9ccc975fa0" },
	    { "79656c6c6f777375626d6172696e65",
		"b349a522c145762c7c737ac1d1425ce1fb25c7cca626177ee4ceed3cd6fb3d"
		},
	    { "7375626d6172696e6579656c6c6f77",
		"b41e24399dc3f1ad2faf82868700e4bf31bb89f6616e1d6a92802bb8ad80d6"
		},
	} },
};

static void
begin(struct secure_handshake *hs, bool initiator, const char *prologue)
{
	const struct bytes key = hex(preshared_key), clear = hex(prologue);
	const struct bytes secret = hex(initiator ? initiator_secret :
	    responder_secret);

	secure_begin(hs, initiator, key.at, clear.at, clear.len, secret.at);
}

/* One writes the message of the vector, the other reads it. */
static void
pass(struct secure_handshake *from, struct secure_handshake *to,
    const char *payload_text, const char *message_text)
{
	const struct bytes payload = hex(payload_text);
	const struct bytes message = hex(message_text);
	uint8_t out[MESSAGE_MAX];

	assert_int_equal(message.len, payload.len + SECURE_OVERHEAD);
	assert_int_equal(secure_write(from, out, payload.at, payload.len), 0);
	assert_bytes(out, &message);
	assert_int_equal(secure_read(to, out, message.at, message.len), 0);
	assert_bytes(out, &payload);
}

static void
pass_record(struct secure_cipher *from, struct secure_cipher *to,
    const char *plain_text, const char *record_text)
{
	const struct bytes plain = hex(plain_text), record = hex(record_text);
	struct bytes b = plain;

	assert_int_equal(record.len, plain.len + SECURE_TAG);
	secure_seal(from, b.at, b.len);
	assert_bytes(b.at, &record);
	assert_int_equal(secure_open(to, b.at, record.len), 0);
	assert_bytes(b.at, &plain);
}

static void
the_published_vectors_come_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct secure_cipher is, ir, rs, rr;
		struct secure_handshake a, b;

		begin(&a, true, v->prologue);
		begin(&b, false, v->prologue);
		pass(&a, &b, v->messages[0].payload, v->messages[0].ciphertext);
		pass(&b, &a, v->messages[1].payload, v->messages[1].ciphertext);
		secure_split(&a, &is, &ir);
		secure_split(&b, &rs, &rr);
		pass_record(&is, &rr, v->messages[2].payload,
		    v->messages[2].ciphertext);
		pass_record(&rs, &ir, v->messages[3].payload,
		    v->messages[3].ciphertext);
	}
}

/* ---- what is not the message of the other end ---- */

#define CLEAR "6e6f74736563726574"	/* a prologue */

static const uint8_t text[27] = "twenty-seven bytes of text";

#define MESSAGE (sizeof(text) + SECURE_OVERHEAD)

/* An end that waits for message 1, or for message 2. */
static void
begin_reader(struct secure_handshake *hs, int message)
{
	uint8_t out[MESSAGE];

	begin(hs, message == 2, CLEAR);
	if (message == 2)
		assert_int_equal(secure_write(hs, out, text, sizeof(text)), 0);
}

/* What it waits for. */
static void
put_message(uint8_t out[static MESSAGE], int message)
{
	struct secure_handshake a, b;
	uint8_t payload[sizeof(text)];

	begin(&a, true, CLEAR);
	assert_int_equal(secure_write(&a, out, text, sizeof(text)), 0);
	if (message == 1)
		return;
	begin(&b, false, CLEAR);
	assert_int_equal(secure_read(&b, payload, out, MESSAGE), 0);
	assert_int_equal(secure_write(&b, out, text, sizeof(text)), 0);
}

static void
assert_wiped(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(at[i], 0);
}

/* The bytes of exactly this size are allocated, for a sanitizer to see a read
 * or a write beyond. */
static void
assert_not_read(int message, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	uint8_t payload[MESSAGE_MAX], before[MESSAGE_MAX];
	struct secure_handshake hs;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	memset(payload, 0x5a, sizeof(payload));
	memcpy(before, payload, sizeof(before));
	begin_reader(&hs, message);
	assert_int_equal(secure_read(&hs, payload, copy, len), -EBADMSG);
	assert_memory_equal(payload, before, sizeof(before));
	assert_wiped(&hs, sizeof(hs));
	free(copy);
}

static void
a_message_cut_short_or_drawn_out_is_not_read(void **state)
{
	(void)state;
	for (int message = 1; message <= 2; message++) {
		uint8_t bytes[MESSAGE + 1] = { 0 };

		put_message(bytes, message);
		for (size_t len = 0; len <= sizeof(bytes); len++)
			if (len != MESSAGE)
				assert_not_read(message, bytes, len);
	}
}

static void
a_message_with_any_bit_flipped_is_not_read(void **state)
{
	(void)state;
	for (int message = 1; message <= 2; message++) {
		uint8_t bytes[MESSAGE];

		put_message(bytes, message);
		for (size_t i = 0; i < 8 * sizeof(bytes); i++) {
			bytes[i / 8] ^= (uint8_t)(1u << i % 8);
			assert_not_read(message, bytes, sizeof(bytes));
			bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		}
	}
}

/* The key, the prologue and the ephemeral secrets: none is without effect. */
static void
a_message_of_another_handshake_is_not_read(void **state)
{
	uint8_t first[MESSAGE], second[MESSAGE], payload[sizeof(text)];
	const struct bytes clear = hex(CLEAR), key = hex(preshared_key);
	const struct bytes secret = hex(initiator_secret);
	struct secure_handshake hs;

	(void)state;
	put_message(first, 1);
	put_message(second, 2);
	for (size_t i = 0; i < 8 * key.len; i++) {
		struct bytes other = key;

		other.at[i / 8] ^= (uint8_t)(1u << i % 8);
		secure_begin(&hs, false, other.at, clear.at, clear.len,
		    secret.at);
		assert_int_equal(secure_read(&hs, payload, first,
		    sizeof(first)), -EBADMSG);
	}
	for (size_t i = 0; i < 8 * clear.len; i++) {
		struct bytes other = clear;

		other.at[i / 8] ^= (uint8_t)(1u << i % 8);
		secure_begin(&hs, false, key.at, other.at, other.len,
		    secret.at);
		assert_int_equal(secure_read(&hs, payload, first,
		    sizeof(first)), -EBADMSG);
	}
	for (size_t i = 8; i < 8 * 31; i++) {	/* others may be clamped */
		struct bytes other = secret;

		other.at[i / 8] ^= (uint8_t)(1u << i % 8);
		secure_begin(&hs, true, key.at, clear.at, clear.len, other.at);
		assert_int_equal(secure_write(&hs, first, text, sizeof(text)),
		    0);
		assert_int_equal(secure_read(&hs, payload, second,
		    sizeof(second)), -EBADMSG);
	}
	/* Our own message, given back. */
	put_message(first, 1);
	assert_not_read(2, first, sizeof(first));
}

/* ---- public keys of small order ---- */

/* On the curve and its twist, in every encoding: from p up, with the top
 * bit. */
static const char *const worthless[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

/* ---- somebody who holds the key and plays by no other rule ---- */

static void
hmac(uint8_t out[32], const uint8_t key[32], const uint8_t *bytes, size_t len)
{
	assert_int_equal(crypto_auth_hmacsha256(out, bytes, len, key), 0);
}

/* HKDF with two results, or three if `last` is given. */
static void
derive(uint8_t chain[32], const uint8_t *input, size_t len, uint8_t second[32],
    uint8_t *last)
{
	uint8_t key[32], block[33];

	hmac(key, chain, input, len);
	block[0] = 1;
	hmac(chain, key, block, 1);
	memcpy(block, chain, 32);
	block[32] = 2;
	hmac(second, key, block, 33);
	if (last == NULL)
		return;
	memcpy(block, second, 32);
	block[32] = 3;
	hmac(last, key, block, 33);
}

static void
mix_hash(uint8_t hash[32], const uint8_t *bytes, size_t len)
{
	uint8_t both[32 + MESSAGE_MAX];

	assert_true(len <= MESSAGE_MAX);
	memcpy(both, hash, 32);
	memcpy(both + 32, bytes, len);
	crypto_hash_sha256(hash, both, 32 + len);
}

/* Message 2 to the initiator's `first`, with this public key and as if it gave
 * zeros, which is what it gives. */
static void
put_worthless_message(uint8_t out[static MESSAGE], const uint8_t *first,
    const uint8_t public[static 32])
{
	static const char name[] = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";
	static const uint8_t nothing[32], nonce[12];
	const struct bytes psk = hex(preshared_key), clear = hex(CLEAR);
	uint8_t hash[32], chain[32], key[32], more[32];

	crypto_hash_sha256(hash, (const uint8_t *)name, sizeof(name) - 1);
	memcpy(chain, hash, 32);
	mix_hash(hash, clear.at, clear.len);
	derive(chain, psk.at, psk.len, more, key);
	mix_hash(hash, more, 32);
	mix_hash(hash, first, 32);
	derive(chain, first, 32, key, NULL);
	mix_hash(hash, first + 32, MESSAGE - 32);
	mix_hash(hash, public, 32);
	derive(chain, public, 32, key, NULL);
	derive(chain, nothing, 32, key, NULL);
	memcpy(out, public, 32);
	crypto_aead_chacha20poly1305_ietf_encrypt(out + 32, NULL, text,
	    sizeof(text), hash, 32, NULL, nonce, key);
}

static void
a_worthless_public_key_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(worthless); i++) {
		const struct bytes point = hex(worthless[i]);
		struct secure_handshake hs;
		uint8_t out[MESSAGE], before[MESSAGE];

		/* The responder has read it in an authentic message. */
		begin(&hs, false, CLEAR);
		put_message(out, 1);
		assert_int_equal(secure_read(&hs, before, out, sizeof(out)),
		    0);
		memcpy(hs.theirs, point.at, point.len);
		memset(out, 0x5a, sizeof(out));
		memcpy(before, out, sizeof(before));
		assert_int_equal(secure_write(&hs, out, text, sizeof(text)),
		    -EBADMSG);
		assert_memory_equal(out, before, sizeof(before));
		assert_wiped(&hs, sizeof(hs));

		/* The initiator. */
		put_message(before, 1);
		put_worthless_message(out, before, point.at);
		assert_not_read(2, out, sizeof(out));
	}
}

/* ---- records ---- */

static void
join(struct secure_cipher *ours, struct secure_cipher *theirs)
{
	struct secure_cipher other_way[2];
	struct secure_handshake a, b;
	uint8_t out[MESSAGE], payload[sizeof(text)];

	begin(&a, true, CLEAR);
	begin(&b, false, CLEAR);
	assert_int_equal(secure_write(&a, out, text, sizeof(text)), 0);
	assert_int_equal(secure_read(&b, payload, out, sizeof(out)), 0);
	assert_int_equal(secure_write(&b, out, text, sizeof(text)), 0);
	assert_int_equal(secure_read(&a, payload, out, sizeof(out)), 0);
	secure_split(&a, ours, &other_way[0]);
	secure_split(&b, &other_way[1], theirs);
	assert_memory_equal(ours->key, theirs->key, SECURE_KEY);
	assert_memory_equal(other_way[0].key, other_way[1].key, SECURE_KEY);
	assert_memory_not_equal(ours->key, other_way[0].key, SECURE_KEY);
	assert_wiped(&a, sizeof(a));
	assert_wiped(&b, sizeof(b));
}

/* What the vectors leave out: a count that is not 0.  Computed with a few lines
 * of Python that give the example of RFC 8439, 2.8.2, as well; the nonce is 00
 * 00 00 00, 08 07 06 05, 04 03 02 01. */
static void
the_nonce_is_the_count(void **state)
{
	const struct bytes want =
	    hex("9cd482d73f6ea188529ec4993d3110c027ff9a219b");
	struct secure_cipher c = { .count = UINT64_C(0x0102030405060708) };
	struct secure_cipher same;
	uint8_t first[5 + SECURE_TAG] = "hello";
	uint8_t second[5 + SECURE_TAG] = "hello";

	(void)state;
	for (int i = 0; i < SECURE_KEY; i++)
		c.key[i] = (uint8_t)(0x80 + i);
	same = c;
	secure_seal(&c, first, 5);
	assert_bytes(first, &want);
	secure_seal(&c, second, 5);
	assert_memory_not_equal(first, second, sizeof(first));
	assert_int_equal(secure_open(&same, first, sizeof(first)), 0);
	assert_int_equal(secure_open(&same, second, sizeof(second)), 0);
	assert_memory_equal(first, "hello", 5);
	assert_memory_equal(second, "hello", 5);
	assert_true(same.count == UINT64_C(0x010203040506070a));
	assert_true(c.count == same.count);
}

static void
records_open_in_the_order_in_which_they_were_sealed(void **state)
{
	struct secure_cipher ours, theirs;
	uint8_t records[3][1 + SECURE_TAG], copy[1 + SECURE_TAG];

	(void)state;
	for (int skipped = 0; skipped < 3; skipped++) {
		join(&ours, &theirs);
		for (uint8_t i = 0; i < 3; i++) {
			records[i][0] = i;
			secure_seal(&ours, records[i], 1);
		}
		for (int i = 0; i < skipped; i++) {
			memcpy(copy, records[i], sizeof(copy));
			assert_int_equal(secure_open(&theirs, copy,
			    sizeof(copy)), 0);
			assert_int_equal(copy[0], i);
		}
		if (skipped < 2)	/* the one after the next */
			memcpy(copy, records[skipped + 1], sizeof(copy));
		else			/* the last one again */
			memcpy(copy, records[1], sizeof(copy));
		assert_int_equal(secure_open(&theirs, copy, sizeof(copy)),
		    -EBADMSG);
	}
}

static void
a_record_that_was_touched_does_not_open(void **state)
{
	enum { LEN = sizeof(text) + SECURE_TAG };
	struct secure_cipher ours, theirs;
	uint8_t record[LEN];

	(void)state;
	join(&ours, &theirs);
	memcpy(record, text, sizeof(text));
	secure_seal(&ours, record, sizeof(text));
	for (size_t i = 0; i < 8 * sizeof(record); i++) {
		struct secure_cipher c = theirs;
		uint8_t copy[LEN];

		memcpy(copy, record, sizeof(copy));
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(secure_open(&c, copy, sizeof(copy)),
		    -EBADMSG);
	}
	for (size_t len = 0; len < sizeof(record); len++) {
		struct secure_cipher c = theirs;
		uint8_t *copy = malloc(len > 0 ? len : 1);

		assert_non_null(copy);
		memcpy(copy, record, len);
		assert_int_equal(secure_open(&c, copy, len), -EBADMSG);
		free(copy);
	}
	assert_int_equal(secure_open(&theirs, record, sizeof(record)), 0);
	assert_memory_equal(record, text, sizeof(text));
}

static void
records_may_be_empty_or_long(void **state)
{
	static uint8_t record[WIRE_RECORD_MAX + SECURE_TAG];
	static uint8_t plain[WIRE_RECORD_MAX];
	struct secure_cipher ours, theirs;

	(void)state;
	join(&ours, &theirs);
	secure_seal(&ours, record, 0);
	assert_int_equal(secure_open(&theirs, record, SECURE_TAG), 0);
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 31 >> 3);
	memcpy(record, plain, sizeof(plain));
	secure_seal(&ours, record, sizeof(plain));
	assert_int_equal(secure_open(&theirs, record, sizeof(record)), 0);
	assert_memory_equal(record, plain, sizeof(plain));
}

/* The nonce of all ones is not for messages. */
static void
the_last_count_is_never_used(void **state)
{
	struct secure_cipher ours, theirs;
	uint8_t record[1 + SECURE_TAG] = { 7 };

	(void)state;
	join(&ours, &theirs);
	ours.count = theirs.count = UINT64_MAX - 1;
	secure_seal(&ours, record, 1);
	assert_int_equal(secure_open(&theirs, record, sizeof(record)), 0);
	assert_int_equal(record[0], 7);
	assert_true(theirs.count == UINT64_MAX);
	assert_int_equal(secure_open(&theirs, record, sizeof(record)),
	    -EBADMSG);
	assert_true(theirs.count == UINT64_MAX);
}

/* ---- the rest ---- */

/* As sha256sum says: printf 'ro-ro-tcp key' and the bytes of the key. */
static void
a_key_is_named_by_a_hash(void **state)
{
	const struct bytes key = hex(preshared_key);
	const struct bytes want = hex("68b27f0a2a74e53d");
	uint8_t id[SECURE_KEY_ID];

	(void)state;
	assert_int_equal(SECURE_KEY_ID, WIRE_KEY_ID);
	secure_key_id(id, key.at);
	assert_bytes(id, &want);
}

static void
wiped_is_zero(void **state)
{
	uint8_t bytes[40];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	secure_wipe(bytes + 4, 32);
	assert_wiped(bytes + 4, 32);
	assert_int_equal(bytes[3], 0xff);
	assert_int_equal(bytes[36], 0xff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vectors_come_out),
		cmocka_unit_test(a_message_cut_short_or_drawn_out_is_not_read),
		cmocka_unit_test(a_message_with_any_bit_flipped_is_not_read),
		cmocka_unit_test(a_message_of_another_handshake_is_not_read),
		cmocka_unit_test(a_worthless_public_key_is_refused),
		cmocka_unit_test(the_nonce_is_the_count),
		cmocka_unit_test(
		    records_open_in_the_order_in_which_they_were_sealed),
		cmocka_unit_test(a_record_that_was_touched_does_not_open),
		cmocka_unit_test(records_may_be_empty_or_long),
		cmocka_unit_test(the_last_count_is_never_used),
		cmocka_unit_test(a_key_is_named_by_a_hash),
		cmocka_unit_test(wiped_is_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
