/* SPDX-License-Identifier: ISC */
/*
 * The two messages, in the words of the paper:
 *
 *	NNpsk0:
 *	  -> psk, e
 *	  <- e, ee
 *
 * Each token changes the state in one way:
 *
 *	psk	MixKeyAndHash(key)
 *	e	the public key is sent, MixHash() and, because there is a
 *		pre-shared key, MixKey() of it
 *	ee	MixKey() of what both ephemeral keys give together
 *
 * and each message ends with its payload, which is encrypted with `hash` as
 * additional data; what was sent goes into `hash` then.  Every payload comes
 * after a MixKey(), which begins to count again, and is the only one before the
 * next: its nonce is always 0.
 *
 * psk is the very first token, so it is mixed in at the beginning, and the key
 * itself need not be kept.
 *
 * Of the points whose multiples are few, X25519 gives zero, whatever the
 * secret: an end that sent one would know the result without having a part in
 * it.  libsodium refuses to compute these, and so do we.  Only somebody who
 * knows the pre-shared key gets as far as that.
 */
#include "secure.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#define HASH 32
#define PUBLIC 32
#define NONCE 12

static_assert(HASH == crypto_hash_sha256_BYTES &&
    HASH == crypto_auth_hmacsha256_BYTES, "SHA-256");
static_assert(PUBLIC == crypto_scalarmult_BYTES &&
    SECURE_SECRET == crypto_scalarmult_SCALARBYTES, "X25519");
static_assert(SECURE_KEY == crypto_aead_chacha20poly1305_ietf_KEYBYTES &&
    SECURE_TAG == crypto_aead_chacha20poly1305_ietf_ABYTES &&
    NONCE == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "ChaCha20-Poly1305");
static_assert(SECURE_OVERHEAD == PUBLIC + SECURE_TAG, "of a message");

static const char protocol[] = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";
static const char id_label[] = "ro-ro-tcp key";

/* ---- hashes ---- */

/* Of `a` and then `b`; may write over either. */
static void
hash_two(uint8_t out[static HASH], const void *a, size_t alen, const void *b,
    size_t blen)
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, a, alen);
	crypto_hash_sha256_update(&state, b, blen);
	crypto_hash_sha256_final(&state, out);
	secure_wipe(&state, sizeof(state));
}

/* The same with a key. */
static void
hmac_two(uint8_t out[static HASH], const uint8_t key[static HASH],
    const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, HASH);
	crypto_auth_hmacsha256_update(&state, a, alen);
	crypto_auth_hmacsha256_update(&state, b, blen);
	crypto_auth_hmacsha256_final(&state, out);
	secure_wipe(&state, sizeof(state));
}

/* HKDF() of the paper. */
static void
derive(const uint8_t chain[static HASH], const uint8_t *input, size_t len,
    uint8_t out[][HASH], uint8_t n)
{
	uint8_t key[HASH];

	hmac_two(key, chain, input, len, NULL, 0);
	for (uint8_t i = 1; i <= n; i++)
		hmac_two(out[i - 1], key, i > 1 ? out[i - 2] : NULL,
		    i > 1 ? HASH : 0, &i, 1);
	secure_wipe(key, sizeof(key));
}

static void
mix_hash(struct secure_handshake *hs, const uint8_t *bytes, size_t len)
{
	hash_two(hs->hash, hs->hash, HASH, bytes, len);
}

static void
mix_key(struct secure_handshake *hs, const uint8_t input[static HASH])
{
	uint8_t out[2][HASH];

	derive(hs->chain, input, HASH, out, 2);
	memcpy(hs->chain, out[0], HASH);
	memcpy(hs->key, out[1], HASH);
	secure_wipe(out, sizeof(out));
}

static void
mix_key_and_hash(struct secure_handshake *hs, const uint8_t input[static HASH])
{
	uint8_t out[3][HASH];

	derive(hs->chain, input, HASH, out, 3);
	memcpy(hs->chain, out[0], HASH);
	mix_hash(hs, out[1], HASH);
	memcpy(hs->key, out[2], HASH);
	secure_wipe(out, sizeof(out));
}

/* ---- tokens ---- */

static void
mix_public(struct secure_handshake *hs, const uint8_t key[static PUBLIC])
{
	mix_hash(hs, key, PUBLIC);
	mix_key(hs, key);
}

/* What both ephemeral keys give.  false: theirs gives nothing. */
static bool
agree(const struct secure_handshake *hs, const uint8_t theirs[static PUBLIC],
    uint8_t shared[static HASH])
{
	return crypto_scalarmult(shared, hs->secret, theirs) == 0;
}

static const uint8_t nonce_0[NONCE];

static void
encrypt_payload(struct secure_handshake *hs, uint8_t *out,
    const uint8_t *payload, size_t len)
{
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, payload,
	    len, hs->hash, HASH, NULL, nonce_0, hs->key);
	mix_hash(hs, out, len + SECURE_TAG);
}

/* The first call only compares the tags: libsodium would otherwise clear
 * `payload` when they differ. */
static bool
decrypt_payload(struct secure_handshake *hs, uint8_t *payload,
    const uint8_t *bytes, size_t len)
{
	if (crypto_aead_chacha20poly1305_ietf_decrypt(NULL, NULL, NULL, bytes,
	    len, hs->hash, HASH, nonce_0, hs->key) != 0 ||
	    crypto_aead_chacha20poly1305_ietf_decrypt(payload, NULL, NULL,
	    bytes, len, hs->hash, HASH, nonce_0, hs->key) != 0)
		return false;
	mix_hash(hs, bytes, len);
	return true;
}

/* ---- handshake ---- */

void
secure_wipe(void *bytes, size_t len)
{
	sodium_memzero(bytes, len);
}

void
secure_key_id(uint8_t id[static SECURE_KEY_ID],
    const uint8_t key[static SECURE_KEY])
{
	uint8_t hash[HASH];

	hash_two(hash, id_label, sizeof(id_label) - 1, key, SECURE_KEY);
	memcpy(id, hash, SECURE_KEY_ID);
}

void
secure_begin(struct secure_handshake *hs, bool initiator,
    const uint8_t key[static SECURE_KEY], const uint8_t *prologue, size_t len,
    const uint8_t secret[static SECURE_SECRET])
{
	*hs = (struct secure_handshake){ .initiator = initiator, .next = 1 };
	memcpy(hs->secret, secret, SECURE_SECRET);
	hash_two(hs->hash, protocol, sizeof(protocol) - 1, NULL, 0);
	memcpy(hs->chain, hs->hash, HASH);
	mix_hash(hs, prologue, len);
	mix_key_and_hash(hs, key);
}

int
secure_write(struct secure_handshake *hs, uint8_t *out, const uint8_t *payload,
    size_t len)
{
	uint8_t shared[HASH];
	bool second = hs->next == 2;

	assert(hs->next == (hs->initiator ? 1 : 2));
	if (second && !agree(hs, hs->theirs, shared)) {
		secure_wipe(hs, sizeof(*hs));
		return -EBADMSG;
	}
	(void)crypto_scalarmult_base(out, hs->secret);
	mix_public(hs, out);
	if (second) {
		mix_key(hs, shared);
		secure_wipe(shared, sizeof(shared));
	}
	encrypt_payload(hs, out + PUBLIC, payload, len);
	hs->next++;
	return 0;
}

int
secure_read(struct secure_handshake *hs, uint8_t *payload,
    const uint8_t *message, size_t len)
{
	uint8_t shared[HASH];
	bool second = hs->next == 2;

	assert(hs->next == (hs->initiator ? 2 : 1));
	if (len < SECURE_OVERHEAD)
		goto bad;
	if (second && !agree(hs, message, shared))
		goto bad;
	memcpy(hs->theirs, message, PUBLIC);
	mix_public(hs, message);
	if (second) {
		mix_key(hs, shared);
		secure_wipe(shared, sizeof(shared));
	}
	if (!decrypt_payload(hs, payload, message + PUBLIC, len - PUBLIC))
		goto bad;
	hs->next++;
	return 0;
bad:
	secure_wipe(hs, sizeof(*hs));
	return -EBADMSG;
}

void
secure_split(struct secure_handshake *hs, struct secure_cipher *send,
    struct secure_cipher *receive)
{
	uint8_t out[2][HASH];

	assert(hs->next == 3);
	derive(hs->chain, NULL, 0, out, 2);
	memcpy(send->key, out[hs->initiator ? 0 : 1], HASH);
	memcpy(receive->key, out[hs->initiator ? 1 : 0], HASH);
	send->count = receive->count = 0;
	secure_wipe(out, sizeof(out));
	secure_wipe(hs, sizeof(*hs));
}

/* ---- records ---- */

/* 32 bits of zero, then the count, least byte first. */
static void
next_nonce(struct secure_cipher *c, uint8_t nonce[static NONCE])
{
	memset(nonce, 0, NONCE);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(c->count >> 8 * i);
	c->count++;
}

void
secure_seal(struct secure_cipher *c, uint8_t *bytes, size_t len)
{
	uint8_t nonce[NONCE];

	assert(c->count < UINT64_MAX);	/* the paper keeps the last */
	next_nonce(c, nonce);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(bytes, NULL, bytes,
	    len, NULL, 0, NULL, nonce, c->key);
}

int
secure_open(struct secure_cipher *c, uint8_t *bytes, size_t len)
{
	uint8_t nonce[NONCE];

	if (len < SECURE_TAG || c->count == UINT64_MAX)
		return -EBADMSG;
	next_nonce(c, nonce);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(bytes, NULL, NULL, bytes,
	    len, NULL, 0, nonce, c->key) != 0)
		return -EBADMSG;
	return 0;
}
