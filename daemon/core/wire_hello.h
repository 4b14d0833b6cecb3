/* SPDX-License-Identifier: ISC */
/*
 * The bytes by which a subflow of the extended protocol is established, and the
 * length of its records; otherwise as wire.h, whose rules hold.  What they
 * prove is handshake.h.
 *
 * The payloads may be followed by bytes that an older end does not know:
 * `length` says how long they are, the rest is skipped.
 */
#ifndef CORE_WIRE_HELLO_H
#define CORE_WIRE_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define WIRE_MAGIC 0xffffffffu	/* a connection number that no relay gives */
#define WIRE_VERSION 1
#define WIRE_GROUP_NAME 16
#define WIRE_KEY_ID 8
#define WIRE_HELLO_PROLOGUE 16	/* magic, version, 0, length, key id */
#define WIRE_HELLO_PAYLOAD 27
#define WIRE_ANSWER_LENGTH 2	/* u16 */
#define WIRE_ANSWER_PAYLOAD 14
#define WIRE_HELLO_MAX 256	/* an unauthenticated peer may send this much */

enum wire_protection {
	WIRE_PROTECTION_NONE,
	WIRE_PROTECTION_AUTH,
	WIRE_PROTECTION_SEALED,
};

#define WIRE_FEATURE_IPV4 0x1u	/* the relay reaches IPv4 */
#define WIRE_FEATURE_IPV6 0x2u
#define WIRE_FEATURE_ENDING 0x4u	/* of an answer: it is about to end,
				 * and takes no new group */

/* What stands in the clear before message 1; `length` is that of message 1. */
struct wire_prologue {
	uint8_t version;
	uint16_t length;
	uint8_t key_id[WIRE_KEY_ID];
};

struct wire_hello {		/* payload of message 1 */
	uint8_t group[WIRE_GROUP_NAME];
	uint8_t path, slot;
	uint8_t protection;	/* enum wire_protection */
	uint32_t features;
	uint32_t initial_window;
};

struct wire_answer {		/* payload of message 2 */
	uint8_t protection;
	bool group_known;
	uint32_t features;
	uint32_t initial_window;
	uint32_t max_sessions;
};

void wire_put_prologue(uint8_t out[static WIRE_HELLO_PROLOGUE],
    const struct wire_prologue *);
/* WIRE_BAD: another magic or version, a reserved byte that is not 0, or more
 * than WIRE_HELLO_MAX in all. */
enum wire_result wire_get_prologue(struct cursor *, struct wire_prologue *);

void wire_put_hello(uint8_t out[static WIRE_HELLO_PAYLOAD],
    const struct wire_hello *);
/* WIRE_BAD: shorter than WIRE_HELLO_PAYLOAD, or an unknown protection. */
enum wire_result wire_get_hello(const uint8_t *payload, size_t len,
    struct wire_hello *);
void wire_put_answer(uint8_t out[static WIRE_ANSWER_PAYLOAD],
    const struct wire_answer *);
/* WIRE_BAD: shorter than WIRE_ANSWER_PAYLOAD, an unknown protection, or a
 * group_known that is neither 0 nor 1. */
enum wire_result wire_get_answer(const uint8_t *payload, size_t len,
    struct wire_answer *);

/* The u16 length before message 2; WIRE_BAD above WIRE_HELLO_MAX. */
void wire_put_length(uint8_t out[static WIRE_ANSWER_LENGTH], uint16_t length);
enum wire_result wire_get_length(struct cursor *, uint16_t *length);

/* The u16 length before a record, which counts the tag; WIRE_BAD if there would
 * be no room for a tag, or more than WIRE_RECORD_MAX beside it. */
#define WIRE_RECORD_LENGTH 2
#define WIRE_RECORD_TAG 16
void wire_put_record(uint8_t out[static WIRE_RECORD_LENGTH], uint16_t length);
enum wire_result wire_get_record(struct cursor *, uint16_t *length);

#endif
