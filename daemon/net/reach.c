/* SPDX-License-Identifier: ISC */
/*
 * connect() of a datagram socket looks up the route and the source address, and
 * sends nothing.  The destinations are those of a root name server: any public
 * address would do, and these are in no range that a router treats specially.
 */
#include "net/reach.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/addr.h"

bool
reach_family(uint8_t family)
{
	struct sockaddr_storage ss;
	struct addr a;
	socklen_t len;
	int fd;

	if (addr_parse(&a, family == 4 ? "198.41.0.4:53" :
	    "[2001:503:ba3e::2:30]:53") != 0)
		return false;
	len = (socklen_t)addr_to_sockaddr(&a, false, &ss);
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return false;
	bool reached = connect(fd, (struct sockaddr *)&ss, len) == 0;
	close(fd);
	return reached;
}
