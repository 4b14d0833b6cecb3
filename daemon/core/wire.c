/* SPDX-License-Identifier: ISC */
/*
 * Everything is read through a cursor that cannot pass its end, and written
 * byte by byte: no buffer is ever taken for a struct, so neither alignment nor
 * the byte order of the host matters.
 *
 * A message has one encoding.  Where two would mean the same, such as an IPv4
 * address dressed as a v4-mapped IPv6 one, the other is refused: rules that are
 * applied to the one must not be avoided with the other.
 */
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "wire_private.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PATH_BACKUP 1		/* flag of PATH */

/* What a frame of each type must look like. */
static const struct {
	const char *text;
	uint16_t min, max;	/* size of the body */
	bool session;		/* belongs to a session: has its number */
} types[] = {
	[WIRE_DATA] = { "DATA", 1, WIRE_DATA_MAX, true },
	[WIRE_OPEN] = { "OPEN", 1, WIRE_SIZE_MAX, true },
	[WIRE_FIN] = { "FIN", 1, 1, true },
	[WIRE_ACK] = { "ACK", 4, 4, true },
	[WIRE_RESET] = { "RESET", 1, 1, true },
	[WIRE_OPENED] = { "OPENED", 0, WIRE_SIZE_MAX, true },
	[WIRE_PING] = { "PING", 8, 8, false },
	[WIRE_PONG] = { "PONG", 8, 8, false },
	[WIRE_DRAIN] = { "DRAIN", 0, 0, false },
	[WIRE_ASK] = { "ASK", 0, 0, true },
};
static_assert(COUNT(types) == WIRE_NTYPES, "a row for each type");

static const char *const codes[] = {
	[WIRE_CODE_OK] = "no error",
	[WIRE_CODE_REFUSED] = "refused",
	[WIRE_CODE_NET_UNREACH] = "network unreachable",
	[WIRE_CODE_TIMEOUT] = "connect timed out",
	[WIRE_CODE_DENIED] = "destination not allowed",
	[WIRE_CODE_RESOURCES] = "out of resources",
	[WIRE_CODE_PROTOCOL] = "protocol error",
	[WIRE_CODE_UNKNOWN] = "session unknown",
	[WIRE_CODE_HOST_UNREACH] = "host unreachable",
	[WIRE_CODE_PROHIBITED] = "administratively prohibited",
	[WIRE_CODE_RESET] = "reset",
};
static_assert(COUNT(codes) == WIRE_NCODES, "a text for each code");

static_assert(WIRE_HEADER + WIRE_SIZE_MAX <= WIRE_RECORD_MAX,
    "the largest frame fits into a record");

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ---- frames ---- */

enum wire_result
wire_get_header(struct cursor *in, struct wire_header *out)
{
	struct cursor c = *in;
	struct wire_header h;

	if (!get_u8(&c, &h.type) || !get_u8(&c, &h.flags) ||
	    !get_be16(&c, &h.size) || !get_be32(&c, &h.connection) ||
	    !get_be32(&c, &h.serial))
		return WIRE_MORE;
	if (h.size > WIRE_SIZE_MAX)
		return WIRE_BAD;
	if (h.type < WIRE_NTYPES) {
		if (h.size < types[h.type].min || h.size > types[h.type].max ||
		    (h.connection != 0) != types[h.type].session)
			return WIRE_BAD;
	} else if (h.type < WIRE_OPTIONAL) {
		return WIRE_BAD;
	}
	*out = h;
	*in = c;	/* the caller's cursor moves only past whole headers */
	return WIRE_OK;
}

static uint8_t *
put_header(uint8_t *p, uint8_t type, uint16_t size, uint32_t connection,
    uint32_t serial)
{
	p = put_u8(p, type);
	p = put_u8(p, 0);
	p = put_be16(p, size);
	p = put_be32(p, connection);
	return put_be32(p, serial);
}

void
wire_put_header(uint8_t out[static WIRE_HEADER], const struct wire_header *h)
{
	put_header(out, h->type, h->size, h->connection, h->serial);
	out[1] = h->flags;
}

size_t
wire_put_fin(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection,
    uint32_t serial, uint8_t code)
{
	uint8_t *p = put_header(out, WIRE_FIN, 1, connection, serial);

	return (size_t)(put_u8(p, code) - out);
}

size_t
wire_put_ack(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection,
    uint32_t next, uint32_t window)
{
	uint8_t *p = put_header(out, WIRE_ACK, 4, connection, next);

	return (size_t)(put_be32(p, window) - out);
}

size_t
wire_put_reset(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection,
    uint8_t code)
{
	uint8_t *p = put_header(out, WIRE_RESET, 1, connection, 0);

	return (size_t)(put_u8(p, code) - out);
}

size_t
wire_put_ping(uint8_t out[static WIRE_CONTROL_MAX], bool pong, uint64_t opaque)
{
	uint8_t *p = put_header(out, pong ? WIRE_PONG : WIRE_PING, 8, 0, 0);

	p = put_be32(p, (uint32_t)(opaque >> 32));
	p = put_be32(p, (uint32_t)opaque);
	return (size_t)(p - out);
}

size_t
wire_put_drain(uint8_t out[static WIRE_CONTROL_MAX])
{
	return (size_t)(put_header(out, WIRE_DRAIN, 0, 0, 0) - out);
}

size_t
wire_put_features(uint8_t out[static WIRE_CONTROL_MAX], uint32_t features)
{
	uint8_t *p = put_header(out, WIRE_FEATURES, 4, 0, 0);

	return (size_t)(put_be32(p, features) - out);
}

bool
wire_get_features(const struct wire_header *h, const uint8_t *body,
    uint32_t *features)
{
	struct cursor c = cursor_of(body, h->size);

	return h->type == WIRE_FEATURES && h->connection == 0 &&
	    get_be32(&c, features);
}

size_t
wire_put_path(uint8_t out[static WIRE_CONTROL_MAX],
    const struct wire_path *path)
{
	uint8_t *p = put_header(out, WIRE_PATH, 6, 0, 0);

	*p++ = path->backup ? PATH_BACKUP : 0;
	*p++ = path->weight;
	return (size_t)(put_be32(p, path->receive_kbit) - out);
}

static uint32_t
bounded_rate(uint32_t kbit)
{
	if (kbit == 0)
		return 0;
	if (kbit < WIRE_RATE_MIN)
		return WIRE_RATE_MIN;
	return kbit < WIRE_RATE_MAX ? kbit : WIRE_RATE_MAX;
}

bool
wire_get_path(const struct wire_header *h, const uint8_t *body,
    struct wire_path *path)
{
	struct cursor c = cursor_of(body, h->size);
	uint8_t flags, weight;
	uint32_t kbit = 0;

	if (h->type != WIRE_PATH || h->connection != 0 ||
	    !get_u8(&c, &flags) || !get_u8(&c, &weight))
		return false;
	path->backup = (flags & PATH_BACKUP) != 0;
	path->weight = weight < WIRE_WEIGHT_MAX ? weight : WIRE_WEIGHT_MAX;
	(void)get_be32(&c, &kbit);
	path->receive_kbit = bounded_rate(kbit);
	return true;
}

size_t
wire_put_lost(uint8_t out[static WIRE_CONTROL_MAX], uint8_t path)
{
	uint8_t *p = put_header(out, WIRE_LOST, 1, 0, 0);

	*p++ = path;
	return (size_t)(p - out);
}

bool
wire_get_lost(const struct wire_header *h, const uint8_t *body, uint8_t *path)
{
	struct cursor c = cursor_of(body, h->size);

	return h->type == WIRE_LOST && h->connection == 0 && get_u8(&c, path);
}

size_t
wire_put_ask(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection,
    uint32_t next)
{
	return (size_t)(put_header(out, WIRE_ASK, 0, connection, next) - out);
}

size_t
wire_put_opened(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection)
{
	return (size_t)(put_header(out, WIRE_OPENED, 0, connection, 0) - out);
}

uint8_t
wire_body_u8(const uint8_t *body)
{
	return body[0];
}

uint32_t
wire_body_u32(const uint8_t *body)
{
	return (uint32_t)body[0] << 24 | (uint32_t)body[1] << 16 |
	    (uint32_t)body[2] << 8 | body[3];
}

uint64_t
wire_body_u64(const uint8_t *body)
{
	return (uint64_t)wire_body_u32(body) << 32 | wire_body_u32(body + 4);
}

const char *
wire_type_text(uint8_t type)
{
	return type < WIRE_NTYPES ? types[type].text : "?";
}

const char *
wire_code_text(uint8_t code)
{
	return code < WIRE_NCODES ? codes[code] : "?";
}

uint8_t
wire_code_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return WIRE_CODE_REFUSED;
	case -ENETUNREACH:
	case -ENETDOWN:
	case -EAFNOSUPPORT:
		return WIRE_CODE_NET_UNREACH;
	case -EHOSTUNREACH:
	case -EHOSTDOWN:
	case -ENONET:		/* ICMP: host isolated, */
	case -ENOPROTOOPT:	/* protocol unreachable, */
	case -EOPNOTSUPP:	/* source route failed, */
	case -EPROTO:		/* parameter problem */
		return WIRE_CODE_HOST_UNREACH;
	case -ETIMEDOUT:
		return WIRE_CODE_TIMEOUT;
	case -EACCES:
	case -EPERM:
		return WIRE_CODE_PROHIBITED;
	case -ECONNRESET:	/* by a server that answers the handshake so, */
	case -EPIPE:		/* or that ends first */
		return WIRE_CODE_OK;
	default:		/* EMFILE, ENOBUFS, EADDRNOTAVAIL, ... */
		return WIRE_CODE_RESOURCES;
	}
}

/* ---- TLVs of OPEN and OPENED ---- */

static size_t
ip_size(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static uint8_t *
put_addr(uint8_t *p, uint8_t type, const struct addr *a)
{
	size_t ip = ip_size(a->family);

	assert(a->family == 4 || a->family == 6);
	p = put_u8(p, type);
	p = put_u8(p, (uint8_t)(1 + ip + 2));
	p = put_u8(p, a->family);
	p = put_bytes(p, a->ip, ip);
	return put_be16(p, a->port);
}

/* An address that fills the value, and is given only once. */
static bool
get_addr(struct cursor value, struct addr *out)
{
	struct addr a = { 0 };

	if (out->family != 0)
		return false;
	if (!get_u8(&value, &a.family) || (a.family != 4 && a.family != 6))
		return false;
	if (!get_bytes(&value, a.ip, ip_size(a.family)) ||
	    !get_be16(&value, &a.port) || left(&value) != 0)
		return false;
	if (a.family == 6 && memcmp(a.ip, mapped, sizeof(mapped)) == 0)
		return false;
	*out = a;
	return true;
}

static bool
get_dscp(struct cursor value, int *dscp)
{
	uint8_t v;

	if (*dscp >= 0)
		return false;
	if (!get_u8(&value, &v) || v > 63 || left(&value) != 0)
		return false;
	*dscp = v;
	return true;
}

/* The next TLV; `value` holds its bytes and nothing else. */
static bool
get_tlv(struct cursor *c, uint8_t *type, struct cursor *value)
{
	uint8_t len;

	if (!get_u8(c, type) || !get_u8(c, &len) || left(c) < len)
		return false;
	*value = (struct cursor){ c->pos, c->pos + len };
	c->pos += len;
	return true;
}

size_t
wire_put_open(uint8_t out[static WIRE_OPEN_MAX], const struct wire_open *o)
{
	uint8_t *p = put_addr(out, WIRE_TLV_DESTINATION, &o->destination);

	if (o->client.family != 0)
		p = put_addr(p, WIRE_TLV_CLIENT, &o->client);
	if (o->dscp >= 0) {
		assert(o->dscp <= 63);
		p = put_u8(p, WIRE_TLV_DSCP);
		p = put_u8(p, 1);
		p = put_u8(p, (uint8_t)o->dscp);
	}
	return (size_t)(p - out);
}

enum wire_result
wire_get_open(const uint8_t *body, size_t len, struct wire_open *out)
{
	struct cursor c = cursor_of(body, len);
	struct wire_open o = { .dscp = -1 };

	while (left(&c) > 0) {
		struct cursor value;
		uint8_t type;
		bool good;

		if (!get_tlv(&c, &type, &value))
			return WIRE_BAD;
		switch (type) {
		case WIRE_TLV_DESTINATION:
			good = get_addr(value, &o.destination);
			break;
		case WIRE_TLV_CLIENT:
			good = get_addr(value, &o.client);
			break;
		case WIRE_TLV_DSCP:
			good = get_dscp(value, &o.dscp);
			break;
		default:
			good = type >= WIRE_OPTIONAL;
			break;
		}
		if (!good)
			return WIRE_BAD;
	}
	if (o.destination.family == 0)
		return WIRE_BAD;
	*out = o;
	return WIRE_OK;
}

enum wire_result
wire_get_opened(const uint8_t *body, size_t len)
{
	struct cursor c = cursor_of(body, len);

	while (left(&c) > 0) {
		struct cursor value;
		uint8_t type;

		if (!get_tlv(&c, &type, &value) || type < WIRE_OPTIONAL)
			return WIRE_BAD;
	}
	return WIRE_OK;
}

/* ---- base protocol ---- */

void
wire_put_number(uint8_t out[static WIRE_BASE_NUMBER], uint32_t number)
{
	put_be32(out, number);
}

enum wire_result
wire_get_number(struct cursor *in, uint32_t *number)
{
	return get_be32(in, number) ? WIRE_OK : WIRE_MORE;
}

void
wire_put_base(uint8_t out[static WIRE_BASE_HEADER], uint16_t serial,
    uint16_t size)
{
	put_be16(put_be16(out, serial), size);
}

enum wire_result
wire_get_base(struct cursor *in, uint16_t *serial, uint16_t *size)
{
	struct cursor c = *in;
	uint16_t s, n;

	if (!get_be16(&c, &s) || !get_be16(&c, &n))
		return WIRE_MORE;
	if (n == 0)
		return WIRE_BAD;
	*serial = s;
	*size = n;
	*in = c;
	return WIRE_OK;
}
