/* SPDX-License-Identifier: ISC */
#include "net/resolve.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

int
resolve(const char *host, uint16_t port, struct addr *out)
{
	/* The first is the one that the system prefers (RFC 6724). */
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM, .ai_protocol = 0 };
	struct addrinfo *list;
	int error = getaddrinfo(host, NULL, &hints, &list);

	if (error != 0)
		return error;
	error = EAI_FAMILY;
	for (struct addrinfo *i = list; i != NULL && error != 0;
	    i = i->ai_next) {
		if (addr_from_sockaddr(out, i->ai_addr, i->ai_addrlen) == 0)
			error = 0;
	}
	freeaddrinfo(list);
	if (error == 0)
		out->port = port;
	return error;
}
