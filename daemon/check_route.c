/* SPDX-License-Identifier: ISC */
#include "check_route.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "nft/route.h"

static uint32_t
u32_of(const struct nlattr *a)
{
	uint32_t n = 0;

	if (mnl_attr_get_payload_len(a) >= sizeof(n))
		memcpy(&n, mnl_attr_get_payload(a), sizeof(n));
	return n;
}

/* The next message of one type, its head of `size` bytes and its attributes. */
static bool
next_message(struct netlink_cursor *c, uint16_t type, void *head, size_t size,
    struct netlink_cursor *attributes)
{
	struct netlink_reply r;

	while (netlink_next(c, &r) != NETLINK_END) {
		if (r.kind != NETLINK_DATA || r.type != type ||
		    mnl_nlmsg_get_payload_len(r.message) < size)
			continue;
		memcpy(head, mnl_nlmsg_get_payload(r.message), size);
		*attributes = netlink_attributes(r.message, size);
		return true;
	}
	return false;
}

bool
check_next_route(struct netlink_cursor *c, struct check_route *r)
{
	struct netlink_cursor attributes;
	const struct nlattr *a;
	struct rtmsg head;

	if (!next_message(c, RTM_NEWROUTE, &head, sizeof(head), &attributes))
		return false;
	*r = (struct check_route){ .table = head.rtm_table,
		.everything = head.rtm_dst_len == 0,
		.local = head.rtm_type == RTN_LOCAL,
		.ours = head.rtm_protocol == ROUTE_PROTOCOL };
	while ((a = netlink_attribute(&attributes)) != NULL)
		switch (mnl_attr_get_type(a)) {
		case RTA_TABLE:
			r->table = u32_of(a);
			break;
		case RTA_PRIORITY:
			r->metric = u32_of(a);
			break;
		}
	return true;
}

/* Where both are there, LOCAL is ours, and ADDRESS that of the other end. */
static void
take_address(struct addr *address, const struct nlattr *a, size_t len)
{
	uint16_t type = mnl_attr_get_type(a);

	if (len == 0 || mnl_attr_get_payload_len(a) != len ||
	    (type != IFA_LOCAL && (type != IFA_ADDRESS ||
	    address->family != 0)))
		return;
	address->family = len == 4 ? 4 : 6;
	memcpy(address->ip, mnl_attr_get_payload(a), len);
}

bool
check_next_address(struct netlink_cursor *c, struct check_address *address)
{
	struct netlink_cursor attributes;
	const struct nlattr *a;
	struct ifaddrmsg head;
	size_t len;

	do {
		if (!next_message(c, RTM_NEWADDR, &head, sizeof(head),
		    &attributes))
			return false;
		*address = (struct check_address){ .index = head.ifa_index,
			.global = head.ifa_scope == RT_SCOPE_UNIVERSE };
		len = head.ifa_family == AF_INET ? 4 :
		    head.ifa_family == AF_INET6 ? 16 : 0;
		while ((a = netlink_attribute(&attributes)) != NULL)
			take_address(&address->address, a, len);
	} while (address->address.family == 0);
	return true;
}
