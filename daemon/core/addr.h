/* SPDX-License-Identifier: ISC */
/*
 * Internet addresses as small values: what the protocol carries, what rules
 * match and what logs show.  No name is ever resolved here.
 */
#ifndef CORE_ADDR_H
#define CORE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;
struct sockaddr_storage;

/* An address and a port.  `family` is 4 or 6, as on the wire, never AF_*; 0 is
 * "no address".  A v4-mapped IPv6 address is always held as family 4. */
struct addr {
	uint8_t family;
	uint8_t ip[16];		/* network order; family 4 uses 4 bytes */
	uint16_t port;		/* host order */
};

/* The first `length` bits of an address. */
struct addr_prefix {
	uint8_t family;
	uint8_t ip[16];		/* bits beyond `length` are zero */
	uint8_t length;
};

/* Room for the longest text, its terminator included:
 * "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535". */
#define ADDR_TEXT_MAX 56

/* From a socket address of AF_INET or AF_INET6 (v4-mapped becomes 4).
 * 0, or -EAFNOSUPPORT. */
int addr_from_sockaddr(struct addr *, const struct sockaddr *, size_t len);

/* To a socket address.  With `mapped`, an IPv4 address becomes a v4-mapped
 * sockaddr_in6, for dual-stack sockets.  Returns the length used. */
size_t addr_to_sockaddr(const struct addr *, bool mapped,
    struct sockaddr_storage *);

/* "192.0.2.1:80", "[2001:db8::1]:443"; a bare address gives port 0.
 * 0, or -EINVAL (names are -EINVAL too). */
int addr_parse(struct addr *, const char *text);

/* "192.0.2.1:80" or "[2001:db8::1]:443", into `text`, which is returned; "-"
 * when there is no address. */
const char *addr_format(const struct addr *, char text[static ADDR_TEXT_MAX]);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone (whole length).
 * A v4-mapped one becomes that of the IPv4 addresses in it.
 * 0, or -EINVAL, also when bits beyond the length are set. */
int addr_prefix_parse(struct addr_prefix *, const char *text);

/* "10.0.0.0/8", always with its length, into `text`, which is returned. */
#define ADDR_PREFIX_TEXT_MAX 52
const char *addr_prefix_format(const struct addr_prefix *,
    char text[static ADDR_PREFIX_TEXT_MAX]);

/* Does `prefix` hold the address?  Different families never match. */
bool addr_prefix_holds(const struct addr_prefix *prefix, const struct addr *);

/* Same family, address and (the first form) port? */
bool addr_equal(const struct addr *, const struct addr *);
bool addr_same_host(const struct addr *, const struct addr *);

/* All zero bits: 0.0.0.0 or ::. */
bool addr_is_any(const struct addr *);

#endif
