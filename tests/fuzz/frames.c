/* SPDX-License-Identifier: ISC */
#include "frames.h"

#include <assert.h>
#include <string.h>

bool
frame_next(struct cursor *in, struct frame *f)
{
	struct cursor c = *in;

	if (wire_get_header(&c, &f->header) != WIRE_OK ||
	    (size_t)(c.end - c.pos) < f->header.size)
		return false;
	f->body = c.pos;
	in->pos = c.pos + f->header.size;
	return true;
}

static size_t
with_body(uint8_t *out, uint8_t type, const struct wire_header *h,
    const uint8_t *body, size_t len)
{
	struct wire_header sent = {
		.type = type, .size = (uint16_t)len,
		.connection = h->connection,
		.serial = type == WIRE_DATA ? h->serial : 0,
	};

	wire_put_header(out, &sent);
	memcpy(out + WIRE_HEADER, body, len);
	return WIRE_HEADER + len;
}

static size_t
open_again(uint8_t *out, const struct frame *f)
{
	uint8_t body[WIRE_OPEN_MAX];
	struct wire_open open;

	if (wire_get_open(f->body, f->header.size, &open) != WIRE_OK)
		return 0;
	return with_body(out, WIRE_OPEN, &f->header, body,
	    wire_put_open(body, &open));
}

size_t
frame_again(uint8_t *out, const struct frame *f)
{
	const struct wire_header *h = &f->header;
	struct wire_path path;
	uint32_t features;
	uint8_t lost;

	switch (h->type) {
	case WIRE_DATA:
		return with_body(out, WIRE_DATA, h, f->body, h->size);
	case WIRE_OPEN:
		return open_again(out, f);
	case WIRE_FIN:
		return wire_put_fin(out, h->connection, h->serial,
		    wire_body_u8(f->body));
	case WIRE_ACK:
		return wire_put_ack(out, h->connection, h->serial,
		    wire_body_u32(f->body));
	case WIRE_RESET:
		return wire_put_reset(out, h->connection,
		    wire_body_u8(f->body));
	case WIRE_OPENED:
		if (wire_get_opened(f->body, h->size) != WIRE_OK)
			return 0;
		return wire_put_opened(out, h->connection);
	case WIRE_PING:
	case WIRE_PONG:
		return wire_put_ping(out, h->type == WIRE_PONG,
		    wire_body_u64(f->body));
	case WIRE_DRAIN:
		return wire_put_drain(out);
	case WIRE_FEATURES:
		if (!wire_get_features(h, f->body, &features))
			return 0;
		return wire_put_features(out, features);
	case WIRE_PATH:
		if (!wire_get_path(h, f->body, &path))
			return 0;
		return wire_put_path(out, &path);
	case WIRE_LOST:
		if (!wire_get_lost(h, f->body, &lost))
			return 0;
		return wire_put_lost(out, lost);
	case WIRE_ASK:
		return wire_put_ask(out, h->connection, h->serial);
	default:
		return 0;
	}
}

void
frame_check(const struct frame *f, bool proxy, uint32_t datagram_max)
{
	uint8_t again[WIRE_HEADER + WIRE_SIZE_MAX];
	const struct wire_header *h = &f->header;
	size_t n = frame_again(again, f);

	assert(n == (size_t)WIRE_HEADER + h->size);
	assert(memcmp(again, f->body - WIRE_HEADER, n) == 0);
	switch (h->type) {
	case WIRE_DATA:
		assert(h->size <= datagram_max && h->serial > 0);
		break;
	case WIRE_OPEN:
	case WIRE_PATH:
	case WIRE_LOST:
		assert(proxy);
		break;
	case WIRE_OPENED:
	case WIRE_FEATURES:
		assert(!proxy);
		break;
	case WIRE_FIN:
	case WIRE_RESET:
		assert(wire_body_u8(f->body) < WIRE_NCODES);
		break;
	}
}
