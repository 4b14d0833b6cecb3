/* SPDX-License-Identifier: ISC */
#include "check_route.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/fib_rules.h>
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

static uint8_t
u8_of(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) >= 1 ? mnl_attr_get_u8(a) : 0;
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

/* Are connections that come in, and have a mark, perhaps sent elsewhere by a
 * rule with this head?  Not by those that only jump, nor by the kernel's for
 * what is local. */
static bool
may_divert(const struct fib_rule_hdr *head)
{
	return head->action != FR_ACT_GOTO && head->action != FR_ACT_NOP &&
	    head->table != RT_TABLE_LOCAL;
}

/* Nor by those that are for something else, and those that take no default
 * route. */
static bool
leaves_tcp_alone(const struct nlattr *a)
{
	switch (mnl_attr_get_type(a)) {
	case FRA_OIFNAME:
	case FRA_UID_RANGE:
	case FRA_L3MDEV:
	case FRA_TUN_ID:
		return true;
	case FRA_SUPPRESS_PREFIXLEN:
		return u32_of(a) != UINT32_MAX;
	case FRA_IP_PROTO:
		return u8_of(a) != IPPROTO_TCP;
	default:
		return false;
	}
}

static void
read_policy(struct netlink_cursor c, struct check_policy *p)
{
	const struct nlattr *a;

	while ((a = netlink_attribute(&c)) != NULL) {
		if (leaves_tcp_alone(a))
			p->diverts = false;
		switch (mnl_attr_get_type(a)) {
		case FRA_IIFNAME: {
			size_t len = mnl_attr_get_payload_len(a);

			if (len > sizeof(p->interface) - 1)
				len = sizeof(p->interface) - 1;
			memcpy(p->interface, mnl_attr_get_payload(a), len);
			break;
		}
		case FRA_FWMARK:
			p->mark = u32_of(a);
			break;
		case FRA_FWMASK:
			p->mask = u32_of(a);
			break;
		case FRA_TABLE:
			p->table = u32_of(a);
			break;
		case FRA_PRIORITY:
			p->priority = u32_of(a);
			break;
		case FRA_PROTOCOL:
			p->ours = u8_of(a) == ROUTE_PROTOCOL;
			break;
		}
	}
}

bool
check_next_policy(struct netlink_cursor *c, struct check_policy *p)
{
	struct netlink_cursor a;
	struct fib_rule_hdr head;

	*p = (struct check_policy){ 0 };
	if (!next_message(c, RTM_NEWRULE, &head, sizeof(head), &a))
		return false;
	p->table = head.table;
	p->diverts = may_divert(&head);
	read_policy(a, p);
	if (head.action != FR_ACT_TO_TBL)
		p->table = 0;
	if (head.flags & FIB_RULE_INVERT) {
		p->interface[0] = '\0';
		p->mark = p->mask = 0;
	}
	return true;
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
