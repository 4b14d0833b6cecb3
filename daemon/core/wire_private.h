/* SPDX-License-Identifier: ISC */
/*
 * Integers and bytes, for wire.c and wire_hello.c.
 */
#ifndef CORE_WIRE_PRIVATE_H
#define CORE_WIRE_PRIVATE_H

#include <string.h>

#include "wire.h"

static inline size_t
left(const struct cursor *c)
{
	return (size_t)(c->end - c->pos);
}

static inline bool
get_bytes(struct cursor *c, void *out, size_t len)
{
	if (left(c) < len)
		return false;
	memcpy(out, c->pos, len);
	c->pos += len;
	return true;
}

static inline bool
get_u8(struct cursor *c, uint8_t *v)
{
	return get_bytes(c, v, 1);
}

static inline bool
get_be16(struct cursor *c, uint16_t *v)
{
	uint8_t b[2];

	if (!get_bytes(c, b, sizeof(b)))
		return false;
	*v = (uint16_t)(b[0] << 8 | b[1]);
	return true;
}

static inline bool
get_be32(struct cursor *c, uint32_t *v)
{
	uint8_t b[4];

	if (!get_bytes(c, b, sizeof(b)))
		return false;
	*v = wire_body_u32(b);
	return true;
}

/* A body may be empty and NULL, to which nothing is to be added. */
static inline struct cursor
cursor_of(const uint8_t *bytes, size_t len)
{
	return (struct cursor){ bytes, len > 0 ? bytes + len : bytes };
}

/* The writers return where the next byte goes. */

static inline uint8_t *
put_bytes(uint8_t *p, const void *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

static inline uint8_t *
put_u8(uint8_t *p, uint8_t v)
{
	*p = v;
	return p + 1;
}

static inline uint8_t *
put_be16(uint8_t *p, uint16_t v)
{
	p = put_u8(p, (uint8_t)(v >> 8));
	return put_u8(p, (uint8_t)v);
}

static inline uint8_t *
put_be32(uint8_t *p, uint32_t v)
{
	p = put_be16(p, (uint16_t)(v >> 16));
	return put_be16(p, (uint16_t)v);
}

#endif
