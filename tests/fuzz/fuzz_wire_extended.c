/* SPDX-License-Identifier: ISC */
/*
 * Frames of the extended protocol, one after the other, with their bodies.
 * What was accepted is encoded again: it must come out as it went in, but for
 * what a receiver ignores and for TLVs in an order that we do not send.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/wire.h"

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

	if (wire_get_open(body, len, &o) != WIRE_OK)
		return;
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

/* The frame as its own function writes it; 0 for those without one. */
static size_t
write_again(uint8_t *out, const struct wire_header *h, const uint8_t *body)
{
	switch (h->type) {
	case WIRE_FIN:
		return wire_put_fin(out, h->connection, h->serial,
		    wire_body_u8(body));
	case WIRE_ACK:
		return wire_put_ack(out, h->connection, h->serial,
		    wire_body_u32(body));
	case WIRE_RESET:
		return wire_put_reset(out, h->connection, wire_body_u8(body));
	case WIRE_PING:
	case WIRE_PONG:
		return wire_put_ping(out, h->type == WIRE_PONG,
		    wire_body_u64(body));
	case WIRE_DRAIN:
		return wire_put_drain(out);
	case WIRE_ASK:
		return wire_put_ask(out, h->connection, h->serial);
	default:
		return 0;
	}
}

static void
check_control(const struct wire_header *h, const uint8_t *body)
{
	struct wire_header sent = *h;
	uint8_t first[WIRE_HEADER], again[WIRE_CONTROL_MAX];
	size_t n = write_again(again, h, body);

	if (n == 0)
		return;
	sent.flags = 0;
	if (h->type == WIRE_RESET || h->type == WIRE_PING ||
	    h->type == WIRE_PONG || h->type == WIRE_DRAIN)
		sent.serial = 0;
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
		return false;
	case WIRE_OK:
		break;
	}
	body = c->pos;
	assert(body == start + WIRE_HEADER && body <= c->end);
	assert(h.type < WIRE_NTYPES || h.type >= WIRE_OPTIONAL);
	assert(h.size <= WIRE_SIZE_MAX);
	wire_put_header(again, &h);
	assert(memcmp(again, start, sizeof(again)) == 0);
	check_cut_header(start);
	if ((size_t)(c->end - body) < h.size)
		return false;
	if (h.type == WIRE_OPEN)
		check_open(body, h.size);
	else if (h.type == WIRE_OPENED)
		(void)wire_get_opened(body, h.size);
	else
		check_control(&h, body);
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
	(void)wire_get_opened(data, len);
	return 0;
}
