/* SPDX-License-Identifier: ISC */
/*
 * The bytes of both protocols, written out: what stands here is what another
 * implementation has to send.  A change that needs a golden byte changed is a
 * change of the protocol.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire_hello.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct addr server4 = {
	.family = 4, .ip = { 192, 0, 2, 1 }, .port = 443
};
static const struct addr client4 = {
	.family = 4, .ip = { 10, 1, 2, 3 }, .port = 40112
};
static const struct addr server6 = {
	.family = 6, .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x01 }, .port = 80
};
static const struct addr client6 = {
	.family = 6, .ip = { 0xfd, 0x00, [14] = 0xff, 0xfe }, .port = 65535
};

/* Every frame, as we send it. */

static size_t
put_data(uint8_t *out)
{
	const struct wire_header h = {
		.type = WIRE_DATA, .size = 5,
		.connection = 0x01020304, .serial = 0xfffffffe,
	};

	wire_put_header(out, &h);
	memcpy(out + WIRE_HEADER, "hello", 5);
	return WIRE_HEADER + 5;
}

static size_t
put_open(uint8_t *out, const struct wire_open *o)
{
	struct wire_header h = { .type = WIRE_OPEN, .connection = 1 };

	h.size = (uint16_t)wire_put_open(out + WIRE_HEADER, o);
	wire_put_header(out, &h);
	return (size_t)WIRE_HEADER + h.size;
}

static size_t
put_open_smallest(uint8_t *out)
{
	return put_open(out,
	    &(struct wire_open){ .destination = server4, .dscp = -1 });
}

static size_t
put_open4(uint8_t *out)
{
	return put_open(out, &(struct wire_open){
	    .destination = server4, .client = client4, .dscp = 46 });
}

static size_t
put_open6(uint8_t *out)
{
	return put_open(out, &(struct wire_open){
	    .destination = server6, .client = client6, .dscp = 0 });
}

static size_t
put_fin(uint8_t *out)
{
	return wire_put_fin(out, 0x0a0b0c0d, 0x11121314, WIRE_CODE_RESET);
}

static size_t
put_ack(uint8_t *out)
{
	return wire_put_ack(out, 7, 0x80000001, 0x00100000);
}

static size_t
put_reset(uint8_t *out)
{
	return wire_put_reset(out, 0xfffffffe, WIRE_CODE_UNKNOWN);
}

static size_t
put_opened(uint8_t *out)
{
	return wire_put_opened(out, 258);
}

static size_t
put_ping(uint8_t *out)
{
	return wire_put_ping(out, false, 0x0102030405060708);
}

static size_t
put_pong(uint8_t *out)
{
	return wire_put_ping(out, true, 0xfffefdfcfbfaf9f8);
}

static size_t
put_drain(uint8_t *out)
{
	return wire_put_drain(out);
}

static size_t
put_features(uint8_t *out)
{
	return wire_put_features(out, 0x80000000 | WIRE_FEATURE_IPV6);
}

static size_t
put_path(uint8_t *out)
{
	return wire_put_path(out, &(struct wire_path){ true, 25, 20000 });
}

static size_t
put_lost(uint8_t *out)
{
	return wire_put_lost(out, 200);
}

static size_t
put_ask(uint8_t *out)
{
	return wire_put_ask(out, 0x00010002, 0x00030004);
}

static const struct {
	size_t (*put)(uint8_t *);
	struct wire_header header;
	uint8_t bytes[64];
} frames[] = {
	{ put_data, { WIRE_DATA, 0, 5, 0x01020304, 0xfffffffe },
	    { 0x00, 0x00, 0x00, 0x05, 0x01, 0x02, 0x03, 0x04,
	    0xff, 0xff, 0xff, 0xfe, 'h', 'e', 'l', 'l', 'o' } },
	{ put_open_smallest, { WIRE_OPEN, 0, 9, 1, 0 },
	    { 0x01, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x01,
	    0x00, 0x00, 0x00, 0x00,
	    0x01, 0x07, 0x04, 192, 0, 2, 1, 0x01, 0xbb } },
	{ put_open4, { WIRE_OPEN, 0, 21, 1, 0 },
	    { 0x01, 0x00, 0x00, 0x15, 0x00, 0x00, 0x00, 0x01,
	    0x00, 0x00, 0x00, 0x00,
	    0x01, 0x07, 0x04, 192, 0, 2, 1, 0x01, 0xbb,
	    0x02, 0x07, 0x04, 10, 1, 2, 3, 0x9c, 0xb0,
	    0x03, 0x01, 0x2e } },
	{ put_open6, { WIRE_OPEN, 0, 45, 1, 0 },
	    { 0x01, 0x00, 0x00, 0x2d, 0x00, 0x00, 0x00, 0x01,
	    0x00, 0x00, 0x00, 0x00,
	    0x01, 0x13, 0x06, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x50,
	    0x02, 0x13, 0x06, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xfe, 0xff, 0xff,
	    0x03, 0x01, 0x00 } },
	{ put_fin, { WIRE_FIN, 0, 1, 0x0a0b0c0d, 0x11121314 },
	    { 0x02, 0x00, 0x00, 0x01, 0x0a, 0x0b, 0x0c, 0x0d,
	    0x11, 0x12, 0x13, 0x14, 0x0a } },
	{ put_ack, { WIRE_ACK, 0, 4, 7, 0x80000001 },
	    { 0x03, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x07,
	    0x80, 0x00, 0x00, 0x01, 0x00, 0x10, 0x00, 0x00 } },
	{ put_reset, { WIRE_RESET, 0, 1, 0xfffffffe, 0 },
	    { 0x04, 0x00, 0x00, 0x01, 0xff, 0xff, 0xff, 0xfe,
	    0x00, 0x00, 0x00, 0x00, 0x07 } },
	{ put_opened, { WIRE_OPENED, 0, 0, 258, 0 },
	    { 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02,
	    0x00, 0x00, 0x00, 0x00 } },
	{ put_ping, { WIRE_PING, 0, 8, 0, 0 },
	    { 0x06, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00,
	    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08 } },
	{ put_pong, { WIRE_PONG, 0, 8, 0, 0 },
	    { 0x07, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00,
	    0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8 } },
	{ put_drain, { WIRE_DRAIN, 0, 0, 0, 0 },
	    { 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00 } },
	{ put_ask, { WIRE_ASK, 0, 0, 0x00010002, 0x00030004 },
	    { 0x09, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x02,
	    0x00, 0x03, 0x00, 0x04 } },
	{ put_features, { WIRE_FEATURES, 0, 4, 0, 0 },
	    { 0x80, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x02 } },
	{ put_path, { WIRE_PATH, 0, 6, 0, 0 },
	    { 0x81, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x01, 0x19, 0x00, 0x00, 0x4e, 0x20 } },
	{ put_lost, { WIRE_LOST, 0, 1, 0, 0 },
	    { 0x82, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0xc8 } },
};

static const uint8_t prologue_bytes[WIRE_HELLO_PROLOGUE] = {
	0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00, 0x4b,
	0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7
};
static const struct wire_prologue prologue = {
	.version = 1, .length = 75,
	.key_id = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7 },
};

static const uint8_t hello_bytes[WIRE_HELLO_PAYLOAD] = {
	0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
	0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
	0x03, 0x81, 0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00
};
static const struct wire_hello hello = {
	.group = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
	    0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f },
	.path = 3, .slot = 129, .protection = WIRE_PROTECTION_SEALED,
	.features = WIRE_FEATURE_IPV4 | WIRE_FEATURE_IPV6,
	.initial_window = 262144,
};

static const uint8_t answer_bytes[WIRE_ANSWER_PAYLOAD] = {
	0x01, 0x01, 0x80, 0x00, 0x00, 0x02, 0x00, 0x08, 0x00, 0x00,
	0x00, 0x00, 0x10, 0x00
};
static const struct wire_answer answer = {
	.protection = WIRE_PROTECTION_AUTH, .group_known = true,
	.features = 0x80000000 | WIRE_FEATURE_IPV6,
	.initial_window = 524288, .max_sessions = 4096,
};

/* A copy that ends where its memory ends, so that a sanitizer sees a read
 * past it. */
static uint8_t *
copy_of(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return copy;
}

static void
assert_header_equal(const struct wire_header *a, const struct wire_header *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->connection, b->connection);
	assert_int_equal(a->serial, b->serial);
}

static void
assert_open_equal(const struct wire_open *a, const struct wire_open *b)
{
	assert_true(addr_equal(&a->destination, &b->destination));
	assert_true(addr_equal(&a->client, &b->client));
	assert_int_equal(a->dscp, b->dscp);
}

static enum wire_result
get_header(const uint8_t *bytes, size_t len, struct wire_header *h)
{
	uint8_t *copy = copy_of(bytes, len);
	struct cursor c = { copy, copy + len };
	enum wire_result result = wire_get_header(&c, h);

	assert_ptr_equal(c.pos,
	    copy + (result == WIRE_OK ? WIRE_HEADER : 0));
	assert_ptr_equal(c.end, copy + len);
	free(copy);
	return result;
}

/* What becomes of a header with these fields. */
static enum wire_result
read_header(uint8_t type, uint16_t size, uint32_t connection)
{
	const struct wire_header h = {
		.type = type, .size = size, .connection = connection
	};
	struct wire_header got;
	uint8_t bytes[WIRE_HEADER];

	wire_put_header(bytes, &h);
	return get_header(bytes, sizeof(bytes), &got);
}

static enum wire_result
get_open(const uint8_t *body, size_t len, struct wire_open *o)
{
	uint8_t *copy = copy_of(body, len);
	enum wire_result result = wire_get_open(copy, len, o);

	free(copy);
	return result;
}

/* ---- frames ---- */

static void
every_frame_is_written_as_its_golden_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		uint8_t out[64] = { 0 };
		size_t len = frames[i].put(out);

		assert_int_equal(len, WIRE_HEADER + frames[i].header.size);
		assert_memory_equal(out, frames[i].bytes, sizeof(out));
	}
}

static void
every_frame_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		struct wire_header h;

		assert_int_equal(get_header(frames[i].bytes,
		    (size_t)WIRE_HEADER + frames[i].header.size, &h), WIRE_OK);
		assert_header_equal(&h, &frames[i].header);
	}
}

static void
every_type_has_a_golden_frame(void **state)
{
	(void)state;
	for (int type = 0; type < WIRE_NTYPES; type++) {
		bool seen = false;

		for (size_t i = 0; i < COUNT(frames); i++)
			seen |= frames[i].header.type == type;
		assert_true(seen);
	}
}

static void
header_is_taken_only_when_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++)
		for (size_t n = 0; n < WIRE_HEADER; n++) {
			struct wire_header h;

			assert_int_equal(get_header(frames[i].bytes, n, &h),
			    WIRE_MORE);
		}
}

static void
frames_follow_each_other_in_one_buffer(void **state)
{
	uint8_t buf[3 * WIRE_CONTROL_MAX];
	size_t len = 0;
	struct wire_header h;

	(void)state;
	len += wire_put_drain(buf + len);
	len += wire_put_ack(buf + len, 1, 2, 3);
	len += wire_put_ask(buf + len, 4, 5);

	struct cursor c = { buf, buf + len };

	assert_int_equal(wire_get_header(&c, &h), WIRE_OK);
	assert_int_equal(h.type, WIRE_DRAIN);
	assert_int_equal(wire_get_header(&c, &h), WIRE_OK);
	assert_int_equal(h.type, WIRE_ACK);
	assert_int_equal(wire_body_u32(c.pos), 3);
	c.pos += h.size;
	assert_int_equal(wire_get_header(&c, &h), WIRE_OK);
	assert_int_equal(h.type, WIRE_ASK);
	assert_ptr_equal(c.pos, c.end);
	assert_int_equal(wire_get_header(&c, &h), WIRE_MORE);
}

static void
size_must_suit_the_type(void **state)
{
	static const struct {
		uint16_t min, max;
	} allowed[WIRE_NTYPES] = {
		[WIRE_DATA] = { 1, 16384 },
		[WIRE_OPEN] = { 1, 16384 },
		[WIRE_FIN] = { 1, 1 },
		[WIRE_ACK] = { 4, 4 },
		[WIRE_RESET] = { 1, 1 },
		[WIRE_OPENED] = { 0, 16384 },
		[WIRE_PING] = { 8, 8 },
		[WIRE_PONG] = { 8, 8 },
		[WIRE_DRAIN] = { 0, 0 },
		[WIRE_ASK] = { 0, 0 },
	};

	(void)state;
	for (uint8_t type = 0; type < WIRE_NTYPES; type++) {
		bool none = type == WIRE_PING || type == WIRE_PONG ||
		    type == WIRE_DRAIN;

		for (unsigned int size = 0; size <= UINT16_MAX; size++) {
			bool good = size >= allowed[type].min &&
			    size <= allowed[type].max;

			assert_int_equal(
			    read_header(type, (uint16_t)size, none ? 0 : 1),
			    good ? WIRE_OK : WIRE_BAD);
		}
	}
}

static void
connection_must_suit_the_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		const struct wire_header *h = &frames[i].header;
		bool none = h->type == WIRE_PING || h->type == WIRE_PONG ||
		    h->type == WIRE_DRAIN;

		if (h->type >= WIRE_OPTIONAL)
			continue;
		assert_int_equal(read_header(h->type, h->size, 0),
		    none ? WIRE_OK : WIRE_BAD);
		assert_int_equal(read_header(h->type, h->size, 1),
		    none ? WIRE_BAD : WIRE_OK);
		assert_int_equal(read_header(h->type, h->size, UINT32_MAX),
		    none ? WIRE_BAD : WIRE_OK);
	}
}

static void
unknown_types_are_bad_below_0x80_and_good_from_there(void **state)
{
	(void)state;
	for (unsigned int type = WIRE_NTYPES; type <= UINT8_MAX; type++) {
		enum wire_result result = type < 0x80 ? WIRE_BAD : WIRE_OK;

		for (uint32_t connection = 0; connection < 2; connection++) {
			assert_int_equal(read_header((uint8_t)type, 0,
			    connection), result);
			assert_int_equal(read_header((uint8_t)type, 16384,
			    connection), result);
			assert_int_equal(read_header((uint8_t)type, 16385,
			    connection), WIRE_BAD);
			assert_int_equal(read_header((uint8_t)type, 65535,
			    connection), WIRE_BAD);
		}
	}
}

static void
features_that_say_nothing_are_skipped(void **state)
{
	static const uint8_t body[] = { 0x80, 0, 0, 2, 0xff };
	struct wire_header h = { .type = WIRE_FEATURES };
	uint32_t features = 7;

	(void)state;
	for (uint16_t size = 0; size < 4; size++) {
		h.size = size;
		assert_false(wire_get_features(&h, size > 0 ? body : NULL,
		    &features));
	}
	h.size = 4;
	h.connection = 1;
	assert_false(wire_get_features(&h, body, &features));
	h.connection = 0;
	h.type++;
	assert_false(wire_get_features(&h, body, &features));
	h.type--;
	assert_int_equal(features, 7);
	assert_true(wire_get_features(&h, body, &features));
	assert_int_equal(features, 0x80000002);
	h.size = 5;
	assert_true(wire_get_features(&h, body, &features));
}

static void
path_that_says_nothing_is_skipped(void **state)
{
	static const uint8_t body[] = { 0x81, 101, 0xff };
	static const uint8_t other[] = { 0xfe, 0 };
	struct wire_header h = { .type = WIRE_PATH };
	struct wire_path path = { .weight = 7 };

	(void)state;
	for (h.size = 0; h.size < 2; h.size++)
		assert_false(wire_get_path(&h, h.size > 0 ? body : NULL,
		    &path));
	h.connection = 1;
	assert_false(wire_get_path(&h, body, &path));
	h.connection = 0;
	h.type++;
	assert_false(wire_get_path(&h, body, &path));
	h.type--;
	assert_int_equal(path.weight, 7);
	assert_true(wire_get_path(&h, body, &path));
	assert_true(path.backup);
	assert_int_equal(path.weight, 100);
	assert_true(wire_get_path(&h, other, &path));
	assert_false(path.backup);
	assert_int_equal(path.weight, 0);
	h.size = 3;
	assert_true(wire_get_path(&h, body, &path));
}

/* Whoever says it: from 8 kbit/s to 1 Tbit/s, or nothing. */
static void
rate_of_a_path_is_bounded(void **state)
{
	static const struct {
		uint8_t body[7];
		uint32_t kbit;
	} cases[] = {
		{ { 0, 100, 0, 0, 0, 0, 9 }, 0 },
		{ { 0, 100, 0, 0, 0, 1, 9 }, 8 },
		{ { 0, 100, 0, 0, 0, 8, 9 }, 8 },
		{ { 0, 100, 0, 0, 0x4e, 0x20, 9 }, 20000 },
		{ { 0, 100, 0x3b, 0x9a, 0xca, 0x00, 9 }, 1000000000 },
		{ { 0, 100, 0x3b, 0x9a, 0xca, 0x01, 9 }, 1000000000 },
		{ { 0, 100, 0xff, 0xff, 0xff, 0xff, 9 }, 1000000000 },
	};
	struct wire_header h = { .type = WIRE_PATH };
	struct wire_path path = { .receive_kbit = 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (h.size = 2; h.size <= 7; h.size++) {
			assert_true(wire_get_path(&h, cases[i].body, &path));
			assert_int_equal(path.receive_kbit,
			    h.size < 6 ? 0 : cases[i].kbit);
		}
}

static void
lost_that_says_nothing_is_skipped(void **state)
{
	static const uint8_t body[] = { 5, 6 };
	struct wire_header h = { .type = WIRE_LOST };
	uint8_t path = 7;

	(void)state;
	assert_false(wire_get_lost(&h, NULL, &path));
	h.size = 2;
	h.connection = 1;
	assert_false(wire_get_lost(&h, body, &path));
	h.connection = 0;
	h.type++;
	assert_false(wire_get_lost(&h, body, &path));
	h.type--;
	assert_int_equal(path, 7);
	assert_true(wire_get_lost(&h, body, &path));
	assert_int_equal(path, 5);
}

static void
flags_and_unused_serials_are_ignored(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		struct wire_header h = frames[i].header, got;
		uint8_t bytes[WIRE_HEADER];

		h.flags = 0xff;
		h.serial = 0xffffffff;
		wire_put_header(bytes, &h);
		assert_int_equal(get_header(bytes, sizeof(bytes), &got),
		    WIRE_OK);
		assert_header_equal(&got, &h);
	}
}

static void
bad_header_is_not_handed_out(void **state)
{
	const uint8_t bytes[WIRE_HEADER] = { 0x7f, 1, 2, 3, 4 };
	struct wire_header h = { .type = 0x55 };

	(void)state;
	assert_int_equal(get_header(bytes, sizeof(bytes), &h), WIRE_BAD);
	assert_int_equal(h.type, 0x55);
}

static void
bodies_are_big_endian(void **state)
{
	const uint8_t body[] = {
		0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88
	};

	(void)state;
	assert_int_equal(wire_body_u8(body), 0x81);
	assert_int_equal(wire_body_u32(body), 0x81828384);
	assert_true(wire_body_u64(body) == 0x8182838485868788);
}

static void
types_and_codes_have_words(void **state)
{
	(void)state;
	assert_string_equal(wire_type_text(WIRE_DATA), "DATA");
	assert_string_equal(wire_type_text(WIRE_ASK), "ASK");
	assert_string_equal(wire_type_text(WIRE_NTYPES), "?");
	assert_string_equal(wire_type_text(255), "?");
	assert_string_equal(wire_code_text(WIRE_CODE_REFUSED), "refused");
	assert_string_equal(wire_code_text(WIRE_CODE_HOST_UNREACH),
	    "host unreachable");
	assert_string_equal(wire_code_text(WIRE_NCODES), "?");
	assert_string_equal(wire_code_text(255), "?");
	for (uint8_t i = 0; i < WIRE_NTYPES; i++)
		assert_non_null(wire_type_text(i));
	for (uint8_t i = 0; i < WIRE_NCODES; i++)
		assert_non_null(wire_code_text(i));
}

/* No server, and no router on the way to it, can make us look as if we had no
 * room: a proxy would send its sessions elsewhere. */
static void
only_what_is_missing_here_is_a_want_of_resources(void **state)
{
	static const struct {
		int error;
		uint8_t code;
	} rows[] = {
		{ ECONNREFUSED, WIRE_CODE_REFUSED },
		{ ENETUNREACH, WIRE_CODE_NET_UNREACH },
		{ EHOSTUNREACH, WIRE_CODE_HOST_UNREACH },
		{ ETIMEDOUT, WIRE_CODE_TIMEOUT },
		{ EACCES, WIRE_CODE_PROHIBITED },
		/* A reset, and one behind an end, before we have looked. */
		{ ECONNRESET, WIRE_CODE_OK },
		{ EPIPE, WIRE_CODE_OK },
		/* What else Linux makes of an ICMP message. */
		{ EHOSTDOWN, WIRE_CODE_HOST_UNREACH },
		{ ENONET, WIRE_CODE_HOST_UNREACH },
		{ ENOPROTOOPT, WIRE_CODE_HOST_UNREACH },
		{ EOPNOTSUPP, WIRE_CODE_HOST_UNREACH },
		{ EPROTO, WIRE_CODE_HOST_UNREACH },
		{ EMFILE, WIRE_CODE_RESOURCES },
		{ ENOMEM, WIRE_CODE_RESOURCES },
		{ EADDRNOTAVAIL, WIRE_CODE_RESOURCES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(wire_code_of(-rows[i].error), rows[i].code);
}

/* ---- OPEN and OPENED ---- */

static void
open_reads_back(void **state)
{
	const struct wire_open opens[] = {
		{ .destination = server4, .dscp = -1 },
		{ .destination = server6, .dscp = -1 },
		{ .destination = server4, .client = client4, .dscp = 63 },
		{ .destination = server6, .client = client6, .dscp = 0 },
		{ .destination = server6, .client = client4, .dscp = -1 },
		{ .destination = server4, .dscp = 10 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(opens); i++) {
		uint8_t body[WIRE_OPEN_MAX];
		struct wire_open got;
		size_t len = wire_put_open(body, &opens[i]);

		assert_in_range(len, 1, WIRE_OPEN_MAX);
		assert_int_equal(get_open(body, len, &got), WIRE_OK);
		assert_open_equal(&got, &opens[i]);
	}
}

static void
open_cut_short_is_bad_except_between_its_parts(void **state)
{
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open got;
	size_t len = wire_put_open(body, &(struct wire_open){
	    .destination = server4, .client = client6, .dscp = 1 });

	(void)state;
	for (size_t n = 0; n <= len; n++) {
		bool between = n == 9 || n == 9 + 21 || n == len;

		assert_int_equal(get_open(body, n, &got),
		    between ? WIRE_OK : WIRE_BAD);
	}
}

static void
parts_of_open_come_in_any_order(void **state)
{
	const uint8_t body[] = {
		3, 1, 46,
		2, 7, 4, 10, 1, 2, 3, 0x9c, 0xb0,
		1, 7, 4, 192, 0, 2, 1, 0x01, 0xbb,
	};
	struct wire_open got;

	(void)state;
	assert_int_equal(get_open(body, sizeof(body), &got), WIRE_OK);
	assert_open_equal(&got, &(struct wire_open){
	    .destination = server4, .client = client4, .dscp = 46 });
}

static void
parts_of_open_from_0x80_are_skipped(void **state)
{
	const uint8_t body[] = {
		0x80, 0,
		0xff, 3, 1, 2, 3,
		1, 7, 4, 192, 0, 2, 1, 0x01, 0xbb,
		0xff, 1, 9,	/* also when they come twice */
	};
	struct wire_open got;

	(void)state;
	assert_int_equal(get_open(body, sizeof(body), &got), WIRE_OK);
	assert_open_equal(&got,
	    &(struct wire_open){ .destination = server4, .dscp = -1 });
	assert_int_equal(get_open(body, sizeof(body) - 1, &got), WIRE_BAD);
}

#define SERVER 1, 7, 4, 192, 0, 2, 1, 1, 187
#define BODY(...) { sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ } }

static void
bad_open_is_refused_and_not_handed_out(void **state)
{
	static const struct {
		size_t len;
		uint8_t bytes[64];
	} bodies[] = {
		/* no destination */
		{ 0, { 0 } },
		BODY(3, 1, 0),
		BODY(2, 7, 4, 10, 1, 2, 3, 1, 187),
		BODY(0x80, 0),
		/* twice */
		BODY(SERVER, SERVER),
		BODY(SERVER, 1, 7, 4, 192, 0, 2, 2, 1, 187),
		BODY(SERVER, 2, 7, 4, 1, 2, 3, 4, 0, 1, 2, 7, 4, 1, 2, 3, 4,
		    0, 1),
		BODY(SERVER, 3, 1, 0, 3, 1, 0),
		/* unknown and not to be skipped */
		BODY(SERVER, 0, 0),
		BODY(SERVER, 4, 0),
		BODY(SERVER, 0x7f, 1, 0),
		/* a wrong family */
		BODY(1, 7, 0, 192, 0, 2, 1, 1, 187),
		BODY(1, 7, 2, 192, 0, 2, 1, 1, 187),
		BODY(1, 7, 10, 192, 0, 2, 1, 1, 187),
		BODY(SERVER, 2, 7, 5, 192, 0, 2, 1, 1, 187),
		BODY(1, 19, 0, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		    1, 1, 187),
		BODY(1, 19, 10, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		    0, 1, 1, 187),
		/* a wrong length */
		BODY(1, 0),
		BODY(1, 1, 4),
		BODY(1, 6, 4, 192, 0, 2, 1, 1),
		BODY(1, 8, 4, 192, 0, 2, 1, 1, 187, 0),
		BODY(1, 7, 6, 192, 0, 2, 1, 1, 187),
		BODY(1, 18, 6, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		    1, 1),
		BODY(1, 20, 6, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		    1, 1, 187, 0),
		BODY(1, 19, 4, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		    1, 1, 187),
		BODY(SERVER, 2, 0),
		BODY(SERVER, 2, 6, 4, 192, 0, 2, 1, 1),
		BODY(SERVER, 2, 8, 4, 192, 0, 2, 1, 1, 187, 0),
		BODY(SERVER, 3, 0),
		BODY(SERVER, 3, 2, 0, 0),
		/* DSCP has six bits */
		BODY(SERVER, 3, 1, 64),
		BODY(SERVER, 3, 1, 255),
		/* IPv4 dressed as IPv6 */
		BODY(1, 19, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0,
		    0, 1, 1, 187),
		BODY(SERVER, 2, 19, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255,
		    10, 0, 0, 1, 1, 187),
		/* longer than what is there */
		BODY(SERVER, 0x80),
		BODY(SERVER, 0x80, 1),
		BODY(SERVER, 0x80, 255, 0),
	};
	struct wire_open o = { .dscp = 55 };

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		assert_int_equal(get_open(bodies[i].bytes, bodies[i].len, &o),
		    WIRE_BAD);
		assert_int_equal(o.dscp, 55);
	}
}

static void
destination_port_0_is_not_the_decoders_business(void **state)
{
	const uint8_t body[] = { 1, 7, 4, 192, 0, 2, 1, 0, 0 };
	struct wire_open got;

	(void)state;
	assert_int_equal(get_open(body, sizeof(body), &got), WIRE_OK);
	assert_int_equal(got.destination.port, 0);
}

static void
opened_may_be_empty_or_hold_what_can_be_skipped(void **state)
{
	const uint8_t skipped[] = { 0x80, 2, 1, 2, 0xff, 0 };

	(void)state;
	assert_int_equal(wire_get_opened(NULL, 0), WIRE_OK);
	assert_int_equal(wire_get_opened(skipped, sizeof(skipped)), WIRE_OK);
	for (size_t n = 1; n < sizeof(skipped); n++) {
		uint8_t *copy = copy_of(skipped, n);

		assert_int_equal(wire_get_opened(copy, n),
		    n == 4 ? WIRE_OK : WIRE_BAD);
		free(copy);
	}
}

static void
opened_with_an_unknown_part_below_0x80_is_bad(void **state)
{
	const uint8_t body[] = { 0x80, 0, 1, 0 };

	(void)state;
	assert_int_equal(wire_get_opened(body, sizeof(body)), WIRE_BAD);
}

/* ---- establishment ---- */

static enum wire_result
get_prologue(const uint8_t *bytes, size_t len, struct wire_prologue *p)
{
	uint8_t *copy = copy_of(bytes, len);
	struct cursor c = { copy, copy + len };
	enum wire_result result = wire_get_prologue(&c, p);

	assert_ptr_equal(c.pos,
	    copy + (result == WIRE_OK ? WIRE_HELLO_PROLOGUE : 0));
	free(copy);
	return result;
}

static void
prologue_has_its_golden_bytes(void **state)
{
	uint8_t out[WIRE_HELLO_PROLOGUE];
	struct wire_prologue got;

	(void)state;
	wire_put_prologue(out, &prologue);
	assert_memory_equal(out, prologue_bytes, sizeof(out));
	assert_int_equal(get_prologue(out, sizeof(out), &got), WIRE_OK);
	assert_int_equal(got.version, prologue.version);
	assert_int_equal(got.length, prologue.length);
	assert_memory_equal(got.key_id, prologue.key_id, WIRE_KEY_ID);
}

static void
prologue_is_taken_only_when_whole(void **state)
{
	struct wire_prologue got;

	(void)state;
	for (size_t n = 0; n < WIRE_HELLO_PROLOGUE; n++)
		assert_int_equal(get_prologue(prologue_bytes, n, &got),
		    WIRE_MORE);
}

static void
prologue_of_something_else_is_bad(void **state)
{
	struct wire_prologue got;

	(void)state;
	for (size_t i = 0; i < 6; i++) {	/* magic, version, reserved */
		uint8_t bytes[WIRE_HELLO_PROLOGUE];

		memcpy(bytes, prologue_bytes, sizeof(bytes));
		bytes[i] ^= 0x02;
		assert_int_equal(get_prologue(bytes, sizeof(bytes), &got),
		    WIRE_BAD);
	}
}

static void
hello_is_no_longer_than_256_bytes_in_all(void **state)
{
	struct wire_prologue p = prologue, got;
	uint8_t bytes[WIRE_HELLO_PROLOGUE];

	(void)state;
	p.length = 240;
	wire_put_prologue(bytes, &p);
	assert_int_equal(get_prologue(bytes, sizeof(bytes), &got), WIRE_OK);
	p.length = 241;
	wire_put_prologue(bytes, &p);
	assert_int_equal(get_prologue(bytes, sizeof(bytes), &got), WIRE_BAD);
	p.length = 65535;
	wire_put_prologue(bytes, &p);
	assert_int_equal(get_prologue(bytes, sizeof(bytes), &got), WIRE_BAD);
}

static void
hello_has_its_golden_bytes(void **state)
{
	uint8_t out[WIRE_HELLO_PAYLOAD];
	struct wire_hello got;

	(void)state;
	wire_put_hello(out, &hello);
	assert_memory_equal(out, hello_bytes, sizeof(out));
	assert_int_equal(wire_get_hello(out, sizeof(out), &got), WIRE_OK);
	assert_memory_equal(got.group, hello.group, WIRE_GROUP_NAME);
	assert_int_equal(got.path, hello.path);
	assert_int_equal(got.slot, hello.slot);
	assert_int_equal(got.protection, hello.protection);
	assert_int_equal(got.features, hello.features);
	assert_int_equal(got.initial_window, hello.initial_window);
}

static void
answer_has_its_golden_bytes(void **state)
{
	uint8_t out[WIRE_ANSWER_PAYLOAD];
	struct wire_answer got;

	(void)state;
	wire_put_answer(out, &answer);
	assert_memory_equal(out, answer_bytes, sizeof(out));
	assert_int_equal(wire_get_answer(out, sizeof(out), &got), WIRE_OK);
	assert_int_equal(got.protection, answer.protection);
	assert_true(got.group_known);
	assert_int_equal(got.features, answer.features);
	assert_int_equal(got.initial_window, answer.initial_window);
	assert_int_equal(got.max_sessions, answer.max_sessions);
	out[1] = 0;
	assert_int_equal(wire_get_answer(out, sizeof(out), &got), WIRE_OK);
	assert_false(got.group_known);
	out[0] = WIRE_PROTECTION_SEALED;
	assert_int_equal(wire_get_answer(out, sizeof(out), &got), WIRE_OK);
	assert_int_equal(got.protection, WIRE_PROTECTION_SEALED);
}

static void
payloads_cut_short_are_bad(void **state)
{
	struct wire_hello h;
	struct wire_answer a;

	(void)state;
	assert_int_equal(wire_get_hello(NULL, 0, &h), WIRE_BAD);
	assert_int_equal(wire_get_answer(NULL, 0, &a), WIRE_BAD);
	for (size_t n = 1; n < WIRE_HELLO_PAYLOAD; n++) {
		uint8_t *copy = copy_of(hello_bytes, n);

		assert_int_equal(wire_get_hello(copy, n, &h), WIRE_BAD);
		free(copy);
	}
	for (size_t n = 1; n < WIRE_ANSWER_PAYLOAD; n++) {
		uint8_t *copy = copy_of(answer_bytes, n);

		assert_int_equal(wire_get_answer(copy, n, &a), WIRE_BAD);
		free(copy);
	}
}

static void
payloads_may_be_followed_by_what_we_do_not_know(void **state)
{
	uint8_t bytes[64];
	struct wire_hello h;
	struct wire_answer a;

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	memcpy(bytes, hello_bytes, sizeof(hello_bytes));
	assert_int_equal(wire_get_hello(bytes, sizeof(bytes), &h), WIRE_OK);
	assert_int_equal(h.initial_window, hello.initial_window);
	memset(bytes, 0xee, sizeof(bytes));
	memcpy(bytes, answer_bytes, sizeof(answer_bytes));
	assert_int_equal(wire_get_answer(bytes, sizeof(bytes), &a), WIRE_OK);
	assert_int_equal(a.max_sessions, answer.max_sessions);
}

static void
payloads_with_impossible_fields_are_bad(void **state)
{
	uint8_t bytes[WIRE_HELLO_PAYLOAD];
	struct wire_hello h;
	struct wire_answer a;

	(void)state;
	memcpy(bytes, hello_bytes, sizeof(hello_bytes));
	bytes[18] = WIRE_PROTECTION_SEALED + 1;
	assert_int_equal(wire_get_hello(bytes, sizeof(bytes), &h), WIRE_BAD);

	memcpy(bytes, answer_bytes, sizeof(answer_bytes));
	bytes[0] = WIRE_PROTECTION_SEALED + 1;
	assert_int_equal(wire_get_answer(bytes, sizeof(answer_bytes), &a),
	    WIRE_BAD);
	bytes[0] = WIRE_PROTECTION_NONE;
	bytes[1] = 2;
	assert_int_equal(wire_get_answer(bytes, sizeof(answer_bytes), &a),
	    WIRE_BAD);
}

static void
length_of_the_answer_is_two_bytes_and_256_at_most(void **state)
{
	static const struct {
		uint8_t bytes[2];
		uint16_t length;
		enum wire_result result;
	} lengths[] = {
		{ { 0x00, 0x00 }, 0, WIRE_OK },
		{ { 0x00, 0x3e }, 62, WIRE_OK },
		{ { 0x01, 0x00 }, 256, WIRE_OK },
		{ { 0x01, 0x01 }, 257, WIRE_BAD },
		{ { 0xff, 0xff }, 65535, WIRE_BAD },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		uint8_t out[2];
		uint16_t length = 0;
		struct cursor c = { out, out + 2 };

		wire_put_length(out, lengths[i].length);
		assert_memory_equal(out, lengths[i].bytes, 2);
		assert_int_equal(wire_get_length(&c, &length),
		    lengths[i].result);
		if (lengths[i].result == WIRE_OK) {
			assert_int_equal(length, lengths[i].length);
			assert_ptr_equal(c.pos, out + 2);
		} else {
			assert_ptr_equal(c.pos, out);
		}
		for (size_t n = 0; n < 2; n++) {
			uint8_t *copy = copy_of(out, n);
			struct cursor cut = { copy, copy + n };

			assert_int_equal(wire_get_length(&cut, &length),
			    WIRE_MORE);
			assert_ptr_equal(cut.pos, copy);
			free(copy);
		}
	}
}

static void
length_of_a_record_counts_its_tag(void **state)
{
	static const struct {
		uint8_t bytes[2];
		uint16_t length;
		enum wire_result result;
	} lengths[] = {
		{ { 0x00, 0x00 }, 0, WIRE_BAD },
		{ { 0x00, 0x0f }, 15, WIRE_BAD },
		{ { 0x00, 0x10 }, 16, WIRE_OK },
		{ { 0x41, 0x10 }, 16656, WIRE_OK },
		{ { 0x41, 0x11 }, 16657, WIRE_BAD },
		{ { 0xff, 0xff }, 65535, WIRE_BAD },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		uint8_t out[WIRE_RECORD_LENGTH];
		uint16_t length = 0;
		struct cursor c = { out, out + 2 };

		wire_put_record(out, lengths[i].length);
		assert_memory_equal(out, lengths[i].bytes, 2);
		assert_int_equal(wire_get_record(&c, &length),
		    lengths[i].result);
		assert_ptr_equal(c.pos, lengths[i].result == WIRE_OK ?
		    out + 2 : out);
		if (lengths[i].result == WIRE_OK)
			assert_int_equal(length, lengths[i].length);
		for (size_t n = 0; n < 2; n++) {
			uint8_t *copy = copy_of(out, n);
			struct cursor cut = { copy, copy + n };

			assert_int_equal(wire_get_record(&cut, &length),
			    WIRE_MORE);
			assert_ptr_equal(cut.pos, copy);
			free(copy);
		}
	}
}

/* ---- base protocol ---- */

static void
base_number_is_four_bytes(void **state)
{
	static const struct {
		uint32_t number;
		uint8_t bytes[WIRE_BASE_NUMBER];
	} numbers[] = {
		{ 0, { 0, 0, 0, 0 } },
		{ 1, { 0, 0, 0, 1 } },
		{ 0xdeadbeef, { 0xde, 0xad, 0xbe, 0xef } },
		{ WIRE_MAGIC, { 0xff, 0xff, 0xff, 0xff } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint8_t out[WIRE_BASE_NUMBER];
		uint32_t number = 12345;
		struct cursor c = { out, out + sizeof(out) };

		wire_put_number(out, numbers[i].number);
		assert_memory_equal(out, numbers[i].bytes, sizeof(out));
		for (size_t n = 0; n < sizeof(out); n++) {
			uint8_t *copy = copy_of(out, n);
			struct cursor cut = { copy, copy + n };

			assert_int_equal(wire_get_number(&cut, &number),
			    WIRE_MORE);
			assert_ptr_equal(cut.pos, copy);
			free(copy);
		}
		assert_int_equal(number, 12345);
		assert_int_equal(wire_get_number(&c, &number), WIRE_OK);
		assert_int_equal(number, numbers[i].number);
		assert_ptr_equal(c.pos, c.end);
	}
}

static void
base_header_is_serial_and_size(void **state)
{
	static const struct {
		uint16_t serial, size;
		uint8_t bytes[WIRE_BASE_HEADER];
	} headers[] = {
		{ 1, 1, { 0x00, 0x01, 0x00, 0x01 } },
		{ 0, 1460, { 0x00, 0x00, 0x05, 0xb4 } },
		{ 0x1234, 0x5678, { 0x12, 0x34, 0x56, 0x78 } },
		{ 65535, 65535, { 0xff, 0xff, 0xff, 0xff } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		uint8_t out[WIRE_BASE_HEADER];
		uint16_t serial, size;
		struct cursor c = { out, out + sizeof(out) };

		wire_put_base(out, headers[i].serial, headers[i].size);
		assert_memory_equal(out, headers[i].bytes, sizeof(out));
		for (size_t n = 0; n < sizeof(out); n++) {
			uint8_t *copy = copy_of(out, n);
			struct cursor cut = { copy, copy + n };

			assert_int_equal(wire_get_base(&cut, &serial, &size),
			    WIRE_MORE);
			assert_ptr_equal(cut.pos, copy);
			free(copy);
		}
		assert_int_equal(wire_get_base(&c, &serial, &size), WIRE_OK);
		assert_int_equal(serial, headers[i].serial);
		assert_int_equal(size, headers[i].size);
		assert_ptr_equal(c.pos, c.end);
	}
}

static void
base_datagram_of_size_0_is_bad(void **state)
{
	const uint8_t bytes[] = { 0x00, 0x01, 0x00, 0x00 };
	struct cursor c = { bytes, bytes + sizeof(bytes) };
	uint16_t serial = 7, size = 8;

	(void)state;
	assert_int_equal(wire_get_base(&c, &serial, &size), WIRE_BAD);
	assert_ptr_equal(c.pos, bytes);
	assert_int_equal(serial, 7);
	assert_int_equal(size, 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_is_written_as_its_golden_bytes),
		cmocka_unit_test(every_frame_reads_back),
		cmocka_unit_test(every_type_has_a_golden_frame),
		cmocka_unit_test(header_is_taken_only_when_whole),
		cmocka_unit_test(frames_follow_each_other_in_one_buffer),
		cmocka_unit_test(size_must_suit_the_type),
		cmocka_unit_test(connection_must_suit_the_type),
		cmocka_unit_test(
		    unknown_types_are_bad_below_0x80_and_good_from_there),
		cmocka_unit_test(features_that_say_nothing_are_skipped),
		cmocka_unit_test(path_that_says_nothing_is_skipped),
		cmocka_unit_test(rate_of_a_path_is_bounded),
		cmocka_unit_test(lost_that_says_nothing_is_skipped),
		cmocka_unit_test(flags_and_unused_serials_are_ignored),
		cmocka_unit_test(bad_header_is_not_handed_out),
		cmocka_unit_test(bodies_are_big_endian),
		cmocka_unit_test(types_and_codes_have_words),
		cmocka_unit_test(
		    only_what_is_missing_here_is_a_want_of_resources),
		cmocka_unit_test(open_reads_back),
		cmocka_unit_test(
		    open_cut_short_is_bad_except_between_its_parts),
		cmocka_unit_test(parts_of_open_come_in_any_order),
		cmocka_unit_test(parts_of_open_from_0x80_are_skipped),
		cmocka_unit_test(bad_open_is_refused_and_not_handed_out),
		cmocka_unit_test(
		    destination_port_0_is_not_the_decoders_business),
		cmocka_unit_test(
		    opened_may_be_empty_or_hold_what_can_be_skipped),
		cmocka_unit_test(opened_with_an_unknown_part_below_0x80_is_bad),
		cmocka_unit_test(prologue_has_its_golden_bytes),
		cmocka_unit_test(prologue_is_taken_only_when_whole),
		cmocka_unit_test(prologue_of_something_else_is_bad),
		cmocka_unit_test(hello_is_no_longer_than_256_bytes_in_all),
		cmocka_unit_test(hello_has_its_golden_bytes),
		cmocka_unit_test(answer_has_its_golden_bytes),
		cmocka_unit_test(payloads_cut_short_are_bad),
		cmocka_unit_test(
		    payloads_may_be_followed_by_what_we_do_not_know),
		cmocka_unit_test(payloads_with_impossible_fields_are_bad),
		cmocka_unit_test(
		    length_of_the_answer_is_two_bytes_and_256_at_most),
		cmocka_unit_test(length_of_a_record_counts_its_tag),
		cmocka_unit_test(base_number_is_four_bytes),
		cmocka_unit_test(base_header_is_serial_and_size),
		cmocka_unit_test(base_datagram_of_size_0_is_bad),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
