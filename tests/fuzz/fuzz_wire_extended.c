/* SPDX-License-Identifier: ISC */
/*
 * Frames of the extended protocol, one after the other, with their bodies.
 * What was accepted is encoded again: it must come out as it went in, but for
 * what a receiver ignores and for TLVs in an order that we do not send.  And it
 * is accepted exactly when protocol.md allows it: its rules stand here a second
 * time, written as they are read there.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/wire.h"
#include "frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What can be decoded now was not decodable with one byte less. */
static void
check_cut_header(const uint8_t *bytes)
{
	for (size_t n = 0; n < WIRE_HEADER; n++) {
		struct cursor c = { bytes, bytes + n };
		struct wire_header h;

		assert(wire_get_header(&c, &h) == WIRE_MORE);
		assert(c.pos == bytes);
	}
}

/* Are these TLVs as we would send them: each known, in the order of types? */
static bool
is_canonical(const uint8_t *body, size_t len)
{
	int last = 0;

	for (size_t i = 0; i < len; i += 2u + body[i + 1]) {
		if (body[i] <= last || body[i] >= WIRE_OPTIONAL)
			return false;
		last = body[i];
	}
	return true;
}

/* May a header be like that?  `b` holds WIRE_HEADER bytes. */
static bool
header_is_right(const uint8_t *b)
{
	unsigned int type = b[0], size = b[2] * 256u + b[3];
	bool number = (b[4] | b[5] | b[6] | b[7]) != 0;

	if (size > 16384)
		return false;
	switch (type) {
	case 0:				/* DATA */
	case 1:				/* OPEN, with its destination */
		return number && size >= 1;
	case 2:				/* FIN */
	case 4:				/* RESET */
		return number && size == 1;
	case 3:				/* ACK */
		return number && size == 4;
	case 5:				/* OPENED */
		return number;
	case 6:				/* PING */
	case 7:				/* PONG */
		return !number && size == 8;
	case 8:				/* DRAIN */
		return !number && size == 0;
	case 9:				/* ASK */
		return number && size == 0;
	}
	return type >= 0x80;
}

static bool
addr_is_right(const uint8_t *value, size_t len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (len == 7)
		return value[0] == 4;
	return len == 19 && value[0] == 6 &&
	    memcmp(value + 1, mapped, sizeof(mapped)) != 0;
}

/* May the body of an OPEN (else OPENED) be like that? */
static bool
tlvs_are_right(const uint8_t *body, size_t len, bool open)
{
	unsigned int count[4] = { 0 };

	while (len > 0) {
		const uint8_t *value = body + 2;

		if (len < 2 || len - 2 < body[1])
			return false;
		if (body[0] < 0x80) {
			if (!open || body[0] < 1 || body[0] > 3)
				return false;
			if (body[0] == 3 ? body[1] != 1 || value[0] > 63 :
			    !addr_is_right(value, body[1]))
				return false;
			if (++count[body[0]] > 1)
				return false;
		}
		len -= 2u + body[1];
		body += 2u + body[1];
	}
	return !open || count[1] == 1;
}

static void
check_addr(const struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	assert(a->family == 4 || a->family == 6);
	if (a->family == 6)
		assert(memcmp(a->ip, mapped, sizeof(mapped)) != 0);
}

static void
check_open(const uint8_t *body, size_t len)
{
	uint8_t again[WIRE_OPEN_MAX];
	struct wire_open o, o2;
	size_t n;

	if (wire_get_open(body, len, &o) != WIRE_OK) {
		assert(!tlvs_are_right(body, len, true));
		return;
	}
	assert(tlvs_are_right(body, len, true));
	check_addr(&o.destination);
	if (o.client.family != 0)
		check_addr(&o.client);
	assert(o.dscp >= -1 && o.dscp <= 63);
	n = wire_put_open(again, &o);
	assert(n <= sizeof(again) && n <= len);
	if (is_canonical(body, len))
		assert(n == len && memcmp(again, body, n) == 0);
	assert(wire_get_open(again, n, &o2) == WIRE_OK);
	assert(addr_equal(&o.destination, &o2.destination));
	assert(addr_equal(&o.client, &o2.client));
	assert(o.dscp == o2.dscp);
}

static void
check_opened(const uint8_t *body, size_t len)
{
	assert((wire_get_opened(body, len) == WIRE_OK) ==
	    tlvs_are_right(body, len, false));
}

static void
check_features(const struct wire_header *h, const uint8_t *body)
{
	uint32_t features;

	if (!wire_get_features(h, body, &features)) {
		assert(h->type != 0x80 || h->connection != 0 || h->size < 4);
		return;
	}
	assert(h->type == 0x80 && h->connection == 0 && h->size >= 4);
	assert(features == ((uint32_t)body[0] << 24 | body[1] << 16 |
	    body[2] << 8 | body[3]));
}

static void
check_path(const struct wire_header *h, const uint8_t *body)
{
	struct wire_path path;

	if (!wire_get_path(h, body, &path)) {
		assert(h->type != 0x81 || h->connection != 0 || h->size < 2);
		return;
	}
	assert(h->type == 0x81 && h->connection == 0 && h->size >= 2);
	assert(path.backup == (body[0] & 1));
	assert(path.weight == (body[1] < 100 ? body[1] : 100));
	if (h->size < 6) {
		assert(path.receive_kbit == 0);
		return;
	}
	uint32_t kbit = (uint32_t)body[2] << 24 | (uint32_t)body[3] << 16 |
	    (uint32_t)body[4] << 8 | body[5];
	assert(path.receive_kbit == kbit ||
	    (kbit > 0 && kbit < 8 && path.receive_kbit == 8) ||
	    (kbit > 1000000000 && path.receive_kbit == 1000000000));
}

static void
check_lost(const struct wire_header *h, const uint8_t *body)
{
	uint8_t path;

	if (wire_get_lost(h, body, &path))
		assert(h->type == 0x82 && h->connection == 0 && h->size >= 1 &&
		    path == body[0]);
	else
		assert(h->type != 0x82 || h->connection != 0 || h->size < 1);
}

/* Those that have one encoding only come out as they came in. */
static void
check_again(const struct wire_header *h, const uint8_t *body)
{
	uint8_t first[WIRE_HEADER], again[WIRE_HEADER + WIRE_SIZE_MAX];
	const struct frame f = { *h, body };
	struct wire_header sent = *h;
	size_t n = frame_again(again, &f);

	if (n == 0)			/* wrong, or unknown */
		return;
	sent.flags = 0;
	if (h->type != WIRE_DATA && h->type != WIRE_FIN &&
	    h->type != WIRE_ACK && h->type != WIRE_ASK)
		sent.serial = 0;
	if (h->type == WIRE_OPEN || h->type == WIRE_OPENED ||
	    h->type == WIRE_FEATURES || h->type == WIRE_PATH ||
	    h->type == WIRE_LOST) {
		/* (An old PATH has no rate.) */
		assert(n <= (size_t)WIRE_HEADER + h->size +
		    (h->type == WIRE_PATH ? 4 : 0));
		return;
	}
	wire_put_header(first, &sent);
	assert(n == (size_t)WIRE_HEADER + h->size);
	assert(memcmp(again, first, sizeof(first)) == 0);
	assert(memcmp(again + WIRE_HEADER, body, h->size) == 0);
}

/* Take a frame; false when there is no whole one. */
static bool
take_frame(struct cursor *c)
{
	const uint8_t *start = c->pos, *body;
	size_t left = (size_t)(c->end - start);
	uint8_t again[WIRE_HEADER];
	struct wire_header h;

	switch (wire_get_header(c, &h)) {
	case WIRE_MORE:
		assert(c->pos == start && left < WIRE_HEADER);
		return false;
	case WIRE_BAD:
		assert(c->pos == start && left >= WIRE_HEADER);
		assert(!header_is_right(start));
		return false;
	case WIRE_OK:
		break;
	}
	body = c->pos;
	assert(body == start + WIRE_HEADER && body <= c->end);
	assert(header_is_right(start));
	wire_put_header(again, &h);
	assert(memcmp(again, start, sizeof(again)) == 0);
	check_cut_header(start);
	if ((size_t)(c->end - body) < h.size)
		return false;
	if (h.type == WIRE_OPEN)
		check_open(body, h.size);
	else if (h.type == WIRE_OPENED)
		check_opened(body, h.size);
	check_features(&h, body);
	check_path(&h, body);
	check_lost(&h, body);
	check_again(&h, body);
	c->pos += h.size;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = { data, data + len };

	while (take_frame(&c))
		;
	assert(c.pos <= c.end && c.end == data + len);

	/* As a body alone, so that reading past it is seen. */
	check_open(data, len);
	check_opened(data, len);
	return 0;
}
