/* SPDX-License-Identifier: ISC */
#include "net/resolve.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

static int
look_up(const char *host, uint16_t port, int flags, struct addr *out,
    size_t max, size_t *n)
{
	/* Sorted by what the system prefers (RFC 6724). */
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_flags = flags, .ai_socktype = SOCK_STREAM,
		.ai_protocol = 0 };
	struct addrinfo *list;
	int error = getaddrinfo(host, NULL, &hints, &list);

	*n = 0;
	if (error != 0)
		return error;
	for (struct addrinfo *i = list; i != NULL && *n < max;
	    i = i->ai_next) {
		if (addr_from_sockaddr(&out[*n], i->ai_addr,
		    i->ai_addrlen) == 0)
			out[(*n)++].port = port;
	}
	freeaddrinfo(list);
	return *n > 0 ? 0 : EAI_FAMILY;
}

int
resolve_all(const char *host, uint16_t port, struct addr *out, size_t max,
    size_t *n)
{
	return look_up(host, port, 0, out, max, n);
}

int
resolve(const char *host, uint16_t port, struct addr *out)
{
	size_t n;

	return look_up(host, port, 0, out, 1, &n);
}

bool
resolve_numeric(const char *host, uint16_t port, struct addr *out)
{
	size_t n;

	return look_up(host, port, AI_NUMERICHOST, out, 1, &n) == 0;
}
