/* SPDX-License-Identifier: ISC */
#include "net/origdst.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

/* After netinet/in.h, whose names they would define again. */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "core/syn.h"

#define SYN_MAX 1024	/* headers, with those of extensions and options */

int
origdst_redirect(int fd, const struct addr *peer, struct addr *destination)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int error;

	/* Asked for the wrong family, a kernel may answer all the same, with
	 * something else: it is the peer's that counts. */
	if (peer->family == 4)
		error = getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, &ss, &len);
	else
		error = getsockopt(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, &ss,
		    &len);
	if (error == -1)
		return -errno;
	return addr_from_sockaddr(destination, (struct sockaddr *)&ss, len);
}

int
origdst_local(int fd, struct addr *local)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return -errno;
	return addr_from_sockaddr(local, (struct sockaddr *)&ss, len);
}

int
origdst_dscp(int fd)
{
	uint8_t packet[SYN_MAX];
	socklen_t len = sizeof(packet);

	if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, packet, &len) == -1)
		return -1;
	return syn_dscp(packet, len);
}

static size_t
sockaddr_size(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) :
	    sizeof(struct sockaddr_in6);
}

bool
origdst_is_own(const struct addr *a)
{
	struct addr *own = NULL;
	int n = origdst_own(&own);
	bool found = false;

	for (int i = 0; i < n && !found; i++)
		found = addr_same_host(&own[i], a);
	free(own);
	return found;
}

int
origdst_own(struct addr **own)
{
	struct ifaddrs *all;
	size_t most = 1;
	int n = 0;

	if (getifaddrs(&all) == -1)
		return -errno;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		most++;
	if ((*own = calloc(most, sizeof(**own))) == NULL) {
		freeifaddrs(all);
		return -ENOMEM;
	}
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		const struct sockaddr *sa = i->ifa_addr;

		if (sa == NULL ||
		    (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
			continue;
		if (addr_from_sockaddr(&(*own)[n], sa, sockaddr_size(sa)) == 0)
			n++;
	}
	freeifaddrs(all);
	return n;
}
