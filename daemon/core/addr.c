/* SPDX-License-Identifier: ISC */
/*
 * A v4-mapped IPv6 address and the IPv4 address in it name the same host, so
 * only one of them exists here: everything that comes in is unmapped at once.
 * Otherwise each comparison and each rule would have to know both.
 */
#include "addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static size_t
ip_size(uint8_t family)
{
	return family == 4 ? 4 : family == 6 ? 16 : 0;
}

static bool
is_mapped(const uint8_t ip[static 16])
{
	return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

static void
set_ip4(struct addr *a, const uint8_t *ip)
{
	a->family = 4;
	memset(a->ip, 0, sizeof(a->ip));
	memcpy(a->ip, ip, 4);
}

static void
set_ip6(struct addr *a, const uint8_t *ip)
{
	a->family = 6;
	memcpy(a->ip, ip, 16);
}

/* The `len` bytes at `text` as a decimal number up to `max`, digits only. */
static bool
parse_number(const char *text, size_t len, unsigned int max, unsigned int *out)
{
	unsigned int n = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (unsigned int)(text[i] - '0');
		if (n > max)
			return false;
	}
	*out = n;
	return true;
}

/* The `len` bytes at `text` as an address as it is written, not unmapped. */
static bool
parse_ip(const char *text, size_t len, uint8_t *family, uint8_t ip[static 16])
{
	char buf[INET6_ADDRSTRLEN];

	if (len >= sizeof(buf))
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	memset(ip, 0, 16);
	*family = memchr(buf, ':', len) != NULL ? 6 : 4;
	return inet_pton(*family == 6 ? AF_INET6 : AF_INET, buf, ip) == 1;
}

static char *
format_number(char *p, unsigned int n)
{
	char digits[10];
	size_t i = 0;

	do {
		digits[i++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	while (i > 0)
		*p++ = digits[--i];
	return p;
}

/* Are all bits of `ip` from bit `length` on zero? */
static bool
rest_is_zero(const uint8_t *ip, size_t size, unsigned int length)
{
	for (size_t i = length / 8; i < size; i++) {
		uint8_t bits = ip[i];

		if (i == length / 8)
			bits &= (uint8_t)(0xff >> length % 8);
		if (bits != 0)
			return false;
	}
	return true;
}

int
addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, size_t len)
{
	sa_family_t family;
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;
	size_t at = offsetof(struct sockaddr, sa_family);

	/* Copied, since `sa` may be aligned for less than what it holds. */
	if (len < at + sizeof(family))
		return -EAFNOSUPPORT;
	memcpy(&family, (const uint8_t *)sa + at, sizeof(family));
	if (family == AF_INET && len >= sizeof(sin)) {
		memcpy(&sin, sa, sizeof(sin));
		set_ip4(a, (const uint8_t *)&sin.sin_addr);
		a->port = ntohs(sin.sin_port);
		return 0;
	}
	if (family == AF_INET6 && len >= sizeof(sin6)) {
		memcpy(&sin6, sa, sizeof(sin6));
		if (is_mapped(sin6.sin6_addr.s6_addr))
			set_ip4(a, sin6.sin6_addr.s6_addr + sizeof(mapped));
		else
			set_ip6(a, sin6.sin6_addr.s6_addr);
		a->port = ntohs(sin6.sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

size_t
addr_to_sockaddr(const struct addr *a, bool map, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 sin6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(a->port),
	};

	assert(a->family == 4 || a->family == 6);
	memset(ss, 0, sizeof(*ss));
	if (a->family == 4 && !map) {
		struct sockaddr_in sin = {
			.sin_family = AF_INET,
			.sin_port = htons(a->port),
		};

		memcpy(&sin.sin_addr, a->ip, 4);
		memcpy(ss, &sin, sizeof(sin));
		return sizeof(sin);
	}
	if (a->family == 4) {
		memcpy(sin6.sin6_addr.s6_addr, mapped, sizeof(mapped));
		memcpy(sin6.sin6_addr.s6_addr + sizeof(mapped), a->ip, 4);
	} else {
		memcpy(sin6.sin6_addr.s6_addr, a->ip, 16);
	}
	memcpy(ss, &sin6, sizeof(sin6));
	return sizeof(sin6);
}

int
addr_parse(struct addr *out, const char *text)
{
	const char *ip = text, *port = NULL, *end = text + strlen(text);
	const char *ip_end = end;
	bool bracket = text[0] == '[';
	uint8_t family, bytes[16];
	unsigned int n = 0;

	if (bracket) {
		ip++;
		ip_end = memchr(ip, ']', (size_t)(end - ip));
		if (ip_end == NULL)
			return -EINVAL;
		if (ip_end + 1 < end) {
			if (ip_end[1] != ':')
				return -EINVAL;
			port = ip_end + 2;
		}
	} else {
		const char *colon = strchr(text, ':');

		/* Two colons are an IPv6 address, which then has no port. */
		if (colon != NULL && strchr(colon + 1, ':') == NULL) {
			ip_end = colon;
			port = colon + 1;
		}
	}
	if (!parse_ip(ip, (size_t)(ip_end - ip), &family, bytes) ||
	    (bracket && family != 6))
		return -EINVAL;
	if (port != NULL &&
	    !parse_number(port, (size_t)(end - port), UINT16_MAX, &n))
		return -EINVAL;
	if (family == 4)
		set_ip4(out, bytes);
	else if (is_mapped(bytes))
		set_ip4(out, bytes + sizeof(mapped));
	else
		set_ip6(out, bytes);
	out->port = (uint16_t)n;
	return 0;
}

const char *
addr_format(const struct addr *a, char text[static ADDR_TEXT_MAX])
{
	bool bracket = a->family == 6;
	char *p = text;

	if (a->family != 4 && a->family != 6) {
		memcpy(text, "-", sizeof("-"));
		return text;
	}
	if (bracket)
		*p++ = '[';
	if (inet_ntop(bracket ? AF_INET6 : AF_INET, a->ip, p,
	    INET6_ADDRSTRLEN) == NULL)
		*p = '\0';	/* only for lack of room, and there is room */
	p += strlen(p);
	if (bracket)
		*p++ = ']';
	*p++ = ':';
	p = format_number(p, a->port);
	*p = '\0';
	return text;
}

int
addr_prefix_parse(struct addr_prefix *out, const char *text)
{
	struct addr_prefix prefix;
	size_t len = strlen(text);
	const char *slash = memchr(text, '/', len);
	size_t ip_len = slash != NULL ? (size_t)(slash - text) : len;
	unsigned int length;

	if (!parse_ip(text, ip_len, &prefix.family, prefix.ip))
		return -EINVAL;
	length = (unsigned int)ip_size(prefix.family) * 8;
	if (slash != NULL &&
	    !parse_number(slash + 1, len - ip_len - 1, length, &length))
		return -EINVAL;
	if (!rest_is_zero(prefix.ip, ip_size(prefix.family), length))
		return -EINVAL;
	if (prefix.family == 6 && length >= 96 && is_mapped(prefix.ip)) {
		prefix.family = 4;
		memmove(prefix.ip, prefix.ip + sizeof(mapped), 4);
		memset(prefix.ip + 4, 0, sizeof(prefix.ip) - 4);
		length -= 96;
	}
	prefix.length = (uint8_t)length;
	*out = prefix;
	return 0;
}

const char *
addr_prefix_format(const struct addr_prefix *prefix,
    char text[static ADDR_PREFIX_TEXT_MAX])
{
	char *p = text;

	if (inet_ntop(prefix->family == 6 ? AF_INET6 : AF_INET, prefix->ip, p,
	    INET6_ADDRSTRLEN) == NULL)
		*p = '\0';	/* as above */
	p += strlen(p);
	*p++ = '/';
	p = format_number(p, prefix->length);
	*p = '\0';
	return text;
}

bool
addr_prefix_holds(const struct addr_prefix *prefix, const struct addr *a)
{
	size_t whole = prefix->length / 8;
	unsigned int rest = prefix->length % 8;
	uint8_t mask = (uint8_t)~(0xff >> rest);

	if (prefix->family != a->family || a->family == 0)
		return false;
	if (memcmp(prefix->ip, a->ip, whole) != 0)
		return false;
	return rest == 0 || (a->ip[whole] & mask) == prefix->ip[whole];
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_same_host(a, b) && a->port == b->port;
}

bool
addr_same_host(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, ip_size(a->family)) == 0;
}

bool
addr_is_any(const struct addr *a)
{
	return a->family != 0 && rest_is_zero(a->ip, ip_size(a->family), 0);
}
