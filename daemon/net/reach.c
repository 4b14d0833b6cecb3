/* SPDX-License-Identifier: ISC */
/*
 * connect() of a datagram socket looks up the route and the source address, and
 * sends nothing.  The destination is that of a root name server: any public
 * address would do, and this one is in no range that a router treats specially.
 */
#include "net/reach.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/origdst.h"

#define SOMEWHERE "[2001:503:ba3e::2:30]:53"

bool
reach_ipv4(void)
{
	struct addr *own = NULL;
	int n = origdst_own(&own);
	bool found = false;

	for (int i = 0; i < n && !found; i++)
		found = own[i].family == 4 && own[i].ip[0] != 127;
	free(own);
	return found;
}

/* In 2000::/3? */
static bool
is_global(const struct addr *a)
{
	return a->family == 6 && (a->ip[0] & 0xe0) == 0x20;
}

bool
reach_ipv6(void)
{
	struct addr to, from = { 0 };
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	if (addr_parse(&to, SOMEWHERE) != 0)
		return false;
	len = (socklen_t)addr_to_sockaddr(&to, false, &ss);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return false;
	bool reached = connect(fd, (struct sockaddr *)&ss, len) == 0 &&
	    origdst_local(fd, &from) == 0 && is_global(&from);
	close(fd);
	return reached;
}
