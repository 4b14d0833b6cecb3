/* SPDX-License-Identifier: ISC */
#include "net/ifaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct ifaces {
	struct ifaddrs *all;
};

struct ifaces *
ifaces_look(void)
{
	struct ifaces *f = malloc(sizeof(*f));

	if (f == NULL || getifaddrs(&f->all) == -1) {
		free(f);
		return NULL;
	}
	return f;
}

void
ifaces_free(struct ifaces *f)
{
	if (f == NULL)
		return;
	freeifaddrs(f->all);
	free(f);
}

/* Has an interface (NULL: any) this address? */
static bool
has(const struct ifaces *f, const char *interface, const struct addr *a)
{
	struct addr own;

	for (const struct ifaddrs *i = f->all; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL && (interface == NULL ||
		    strcmp(i->ifa_name, interface) == 0) &&
		    addr_from_sockaddr(&own, i->ifa_addr,
		    sizeof(struct sockaddr_storage)) == 0 &&
		    addr_same_host(&own, a))
			return true;
	return false;
}

/* What a link without an address has as well: a record of its own. */
static const struct ifaddrs *
find(const struct ifaces *f, const char *interface)
{
	const struct ifaddrs *i = f->all;

	while (i != NULL && strcmp(i->ifa_name, interface) != 0)
		i = i->ifa_next;
	return i;
}

static bool
is_link_local(const struct addr *a)
{
	return a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

/* One that leads somewhere. */
static bool
has_family(const struct ifaces *f, const char *interface, uint8_t family)
{
	struct addr own;

	for (const struct ifaddrs *i = f->all; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
		    strcmp(i->ifa_name, interface) == 0 &&
		    addr_from_sockaddr(&own, i->ifa_addr,
		    sizeof(struct sockaddr_storage)) == 0 &&
		    own.family == family && !is_link_local(&own))
			return true;
	return false;
}

const char *
ifaces_missing(const struct ifaces *f, const char *interface,
    const struct addr *source, uint8_t family)
{
	const struct ifaddrs *i;
	bool own = false;		/* it needs an address of its own */

	if (family != 0 && source->family != 0 && source->family != family)
		return family == 4 ? "its source is IPv6, the relay's address "
		    "IPv4" : "its source is IPv4, the relay's address IPv6";

	if (f == NULL)
		return NULL;
	if (interface != NULL) {
		if ((i = find(f, interface)) == NULL)
			return "there is no such interface";
		if ((i->ifa_flags & IFF_UP) == 0)
			return "its interface is down";
		if ((i->ifa_flags & IFF_RUNNING) == 0)
			return "its interface has no carrier";
		own = source->family == 0 && family != 0 &&
		    (i->ifa_flags & IFF_POINTOPOINT) == 0;
	}
	if (source->family != 0 && !has(f, NULL, source))
		return "its address is not there";
	if (own && !has_family(f, interface, family))
		return family == 4 ? "its interface has no IPv4 address" :
		    "its interface has no IPv6 address";
	return NULL;
}

/* FNV-1a of each, and their sum, since their order means nothing. */
uint64_t
ifaces_print(const struct ifaces *f, const char *interface)
{
	struct addr own;
	uint64_t sum = 0;

	if (f == NULL)
		return 0;
	for (const struct ifaddrs *i = f->all; i != NULL; i = i->ifa_next) {
		uint64_t hash = UINT64_C(0xcbf29ce484222325);

		if (i->ifa_addr == NULL || (interface != NULL &&
		    strcmp(i->ifa_name, interface) != 0) ||
		    addr_from_sockaddr(&own, i->ifa_addr,
		    sizeof(struct sockaddr_storage)) != 0)
			continue;
		for (size_t k = 0; k < sizeof(own.ip); k++)
			hash = (hash ^ own.ip[k]) * UINT64_C(0x100000001b3);
		sum += hash;
	}
	return sum;
}

bool
ifaces_have(const struct ifaces *f, const struct addr *a)
{
	return f == NULL || has(f, NULL, a);
}
