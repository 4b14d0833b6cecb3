/* SPDX-License-Identifier: ISC */
/*
 * A subflow of the base protocol: the connection number, then datagrams, as
 * they come out of a stream that may be cut anywhere.
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
	for (size_t n = 0; n < WIRE_BASE_HEADER; n++) {
		struct cursor c = { bytes, bytes + n };
		uint16_t serial, size;

		assert(wire_get_base(&c, &serial, &size) == WIRE_MORE);
		assert(c.pos == bytes);
	}
}

/* Take a datagram; false when there is no whole one. */
static bool
take_datagram(struct cursor *c)
{
	const uint8_t *start = c->pos;
	size_t left = (size_t)(c->end - start);
	uint8_t again[WIRE_BASE_HEADER];
	uint16_t serial, size;

	switch (wire_get_base(c, &serial, &size)) {
	case WIRE_MORE:
		assert(c->pos == start && left < WIRE_BASE_HEADER);
		return false;
	case WIRE_BAD:
		assert(c->pos == start && left >= WIRE_BASE_HEADER);
		assert(start[2] == 0 && start[3] == 0);
		return false;
	case WIRE_OK:
		break;
	}
	assert(c->pos == start + WIRE_BASE_HEADER && c->pos <= c->end);
	assert(size > 0);
	wire_put_base(again, serial, size);
	assert(memcmp(again, start, sizeof(again)) == 0);
	check_cut_header(start);
	if ((size_t)(c->end - c->pos) < size)
		return false;
	c->pos += size;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = { data, data + len };
	uint8_t again[WIRE_BASE_NUMBER];
	uint32_t number;

	if (wire_get_number(&c, &number) != WIRE_OK) {
		assert(c.pos == data && len < WIRE_BASE_NUMBER);
		return 0;
	}
	assert(c.pos == data + WIRE_BASE_NUMBER);
	wire_put_number(again, number);
	assert(memcmp(again, data, sizeof(again)) == 0);
	while (take_datagram(&c))
		;
	assert(c.end == data + len);
	return 0;
}
