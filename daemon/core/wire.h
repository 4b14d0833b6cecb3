/* SPDX-License-Identifier: ISC */
/*
 * The bytes of both protocols: encode and decode, nothing else.  How a subflow
 * is established, and its records, are in wire_hello.h.
 *
 * A decoder reads through a cursor and moves it only past whole messages, so a
 * caller can come again with more bytes.  It never looks at what a message
 * means; that is session.c and group.c.  All integers are big-endian.
 *
 * Decisions that the protocol's description leaves open are here:
 *  - slots from WIRE_SLOT_BULK up are bulk subflows, those below are express
 *    ones.  Each end so knows the lane of a subflow without another field;
 *  - destination and client are TLVs of 7 (family 4) or 19 bytes (family 6):
 *    u8 family, address, u16 port; a v4-mapped address in family 6 is an
 *    error, DSCP is a u8.  TLVs come in any order, are sent in that of their
 *    types, and only those from WIRE_OPTIONAL may come twice;
 *  - flags, and the serial where it is always 0, are sent as 0 and ignored on
 *    receipt.  The connection is not: 0 for PING, PONG and DRAIN, another for
 *    all other types that are known;
 *  - type 128 is FEATURES, connection 0, body u32: what the relay's answer to
 *    this subflow said about it is now this.  Who does not know it learns of
 *    it from the answer to another subflow; one that is cut short is as good as
 *    unknown, and bytes behind the u32 are skipped;
 *  - type 129 is PATH, connection 0, body u8 flags (1: backup) and u8 weight, 0
 *    to 100 (more counts as 100): what the proxy's operator says about the path
 *    of the subflow that it comes on, so that the relay sends accordingly.
 *    Then may follow a u32, what its link carries towards the proxy, in kbit/s
 *    from 8 to 10^9 (beyond that: the nearest of these; 0, or cut short: not
 *    known).  Without flags and weight, or from a relay, it says nothing; other
 *    flags, and what is behind, are skipped;
 *  - type 130 is LOST, connection 0, body u8 path: the proxy has no subflow of
 *    this path any more, and what came up there until now is closed without
 *    the relay being able to hear it.  It comes on subflows of other paths.
 *    Without a body, or from a relay, it says nothing, and what is behind is
 *    skipped.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum wire_result {
	WIRE_OK,
	WIRE_MORE,		/* not all of it is here; no cursor moved */
	WIRE_BAD,		/* can never become right */
};

/* Bytes [pos, end) still to be read. */
struct cursor {
	const uint8_t *pos, *end;
};

/* ---- extended protocol: frames ---- */

enum wire_type {
	WIRE_DATA,
	WIRE_OPEN,
	WIRE_FIN,
	WIRE_ACK,
	WIRE_RESET,
	WIRE_OPENED,
	WIRE_PING,
	WIRE_PONG,
	WIRE_DRAIN,
	WIRE_ASK,
	WIRE_NTYPES,
	WIRE_OPTIONAL = 0x80,	/* unknown types from here may be skipped */
	WIRE_FEATURES = WIRE_OPTIONAL,
	WIRE_PATH,
	WIRE_LOST,
};

enum wire_code {		/* of RESET and FIN */
	WIRE_CODE_OK,		/* FIN: clean end; RESET: orderly abort */
	WIRE_CODE_REFUSED,
	WIRE_CODE_NET_UNREACH,
	WIRE_CODE_TIMEOUT,
	WIRE_CODE_DENIED,
	WIRE_CODE_RESOURCES,
	WIRE_CODE_PROTOCOL,
	WIRE_CODE_UNKNOWN,	/* RESET: the session is not known */
	WIRE_CODE_HOST_UNREACH,
	WIRE_CODE_PROHIBITED,
	WIRE_CODE_RESET,	/* FIN: the local side was reset after this */
	WIRE_NCODES,
};

#define WIRE_HEADER 12		/* u8 type, u8 flags, u16 size, u32, u32 */
#define WIRE_DATA_MAX 16384	/* bytes of one datagram */
#define WIRE_SIZE_MAX WIRE_DATA_MAX
#define WIRE_RECORD_MAX 16640	/* plaintext of one record */
#define WIRE_COST 64		/* what a datagram uses of the window beyond its
				 * size, so that tiny ones cannot pin much */
#define WIRE_SLOT_BULK 128	/* slots from here are bulk subflows */

struct wire_header {
	uint8_t type, flags;
	uint16_t size;		/* bytes of body that follow */
	uint32_t connection, serial;
};

enum wire_tlv {			/* in OPEN; those of OPENED are their own */
	WIRE_TLV_DESTINATION = 1,
	WIRE_TLV_CLIENT,
	WIRE_TLV_DSCP,
};

/* Body of OPEN.  `destination` is required; the others may be absent. */
struct wire_open {
	struct addr destination, client;	/* client.family 0: absent */
	int dscp;				/* 0..63, -1: absent */
};

/* Room for the largest OPEN body that we send. */
#define WIRE_OPEN_MAX (2 * (2 + 19) + 2 + 1)

/* Body of PATH. */
struct wire_path {
	bool backup;		/* used only while no other path can be */
	uint8_t weight;		/* 0..WIRE_WEIGHT_MAX, share of what is small */
	uint32_t receive_kbit;	/* its rate towards the proxy, kbit/s; 0: not
				 * known */
};

#define WIRE_WEIGHT_MAX 100	/* of a path that nothing was said about */
#define WIRE_RATE_MIN 8u	/* kbit/s */
#define WIRE_RATE_MAX 1000000000u

/* WIRE_BAD: size above WIRE_SIZE_MAX, an unknown type below WIRE_OPTIONAL, a
 * size that the type cannot have (DATA 0, FIN not 1, ACK not 4, ...), or a
 * connection that is 0 where it must not be or the other way round. */
enum wire_result wire_get_header(struct cursor *, struct wire_header *);
void wire_put_header(uint8_t out[static WIRE_HEADER],
    const struct wire_header *);

/* Header and body of the fixed-size frames; each returns the bytes written. */
#define WIRE_CONTROL_MAX (WIRE_HEADER + 8)
size_t wire_put_fin(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection,
    uint32_t serial, uint8_t code);
size_t wire_put_ack(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection,
    uint32_t next, uint32_t window);
size_t wire_put_reset(uint8_t out[static WIRE_CONTROL_MAX],
    uint32_t connection, uint8_t code);
size_t wire_put_ping(uint8_t out[static WIRE_CONTROL_MAX], bool pong,
    uint64_t opaque);
size_t wire_put_drain(uint8_t out[static WIRE_CONTROL_MAX]);
size_t wire_put_features(uint8_t out[static WIRE_CONTROL_MAX],
    uint32_t features);
size_t wire_put_path(uint8_t out[static WIRE_CONTROL_MAX],
    const struct wire_path *);
size_t wire_put_lost(uint8_t out[static WIRE_CONTROL_MAX], uint8_t path);
size_t wire_put_ask(uint8_t out[static WIRE_CONTROL_MAX], uint32_t connection,
    uint32_t next);
size_t wire_put_opened(uint8_t out[static WIRE_CONTROL_MAX],
    uint32_t connection);

/* Bodies; `body` holds exactly header.size bytes. */
uint8_t wire_body_u8(const uint8_t *body);
uint32_t wire_body_u32(const uint8_t *body);
uint64_t wire_body_u64(const uint8_t *body);

/* A FEATURES that says something?  `body` holds header->size bytes. */
bool wire_get_features(const struct wire_header *, const uint8_t *body,
    uint32_t *features);

/* A PATH that says something?  The same. */
bool wire_get_path(const struct wire_header *, const uint8_t *body,
    struct wire_path *);
/* A LOST that does? */
bool wire_get_lost(const struct wire_header *, const uint8_t *body,
    uint8_t *path);

/* The TLVs of OPEN, without the header.  Returns the bytes written. */
size_t wire_put_open(uint8_t out[static WIRE_OPEN_MAX],
    const struct wire_open *);
/* WIRE_OK, or WIRE_BAD: no destination, a TLV cut short, one given twice, an
 * unknown one below WIRE_OPTIONAL, a wrong family or length, a v4-mapped
 * address, DSCP above 63.  On WIRE_BAD nothing was written. */
enum wire_result wire_get_open(const uint8_t *body, size_t len,
    struct wire_open *);
/* The TLVs of OPENED: none is known yet.  Same rules. */
enum wire_result wire_get_opened(const uint8_t *body, size_t len);

/* A word for the log: "DATA", "OPEN", ...; "?" for others. */
const char *wire_type_text(uint8_t type);
/* "refused", "host unreachable", ... */
const char *wire_code_text(uint8_t code);
/* Of a connect() that failed with `error`, -errno.  WIRE_CODE_RESOURCES only
 * for what is missing here: nothing that a server or a router says may look
 * so, since whoever hears it leaves this relay alone for a while (room.h). */
uint8_t wire_code_of(int error);

/* ---- base protocol ---- */

#define WIRE_BASE_NUMBER 4	/* u32 connection number; 0 asks for one */
#define WIRE_BASE_HEADER 4	/* u16 serial, u16 size */
#define WIRE_BASE_MAX 65535	/* bytes of one datagram */

void wire_put_number(uint8_t out[static WIRE_BASE_NUMBER], uint32_t number);
enum wire_result wire_get_number(struct cursor *, uint32_t *number);

void wire_put_base(uint8_t out[static WIRE_BASE_HEADER], uint16_t serial,
    uint16_t size);
/* WIRE_BAD: size 0. */
enum wire_result wire_get_base(struct cursor *, uint16_t *serial,
    uint16_t *size);

#endif
