/* SPDX-License-Identifier: ISC */
#include "check_attr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libmnl/libmnl.h>

struct netlink_cursor
attr_inside(const struct nlattr *a)
{
	if (a == NULL)
		return (struct netlink_cursor){ NULL, 0 };
	return (struct netlink_cursor){ mnl_attr_get_payload(a),
		mnl_attr_get_payload_len(a) };
}

const struct nlattr *
attr_find(struct netlink_cursor c, uint16_t type)
{
	const struct nlattr *a;

	while ((a = netlink_attribute(&c)) != NULL)
		if (mnl_attr_get_type(a) == type)
			return a;
	return NULL;
}

uint32_t
attr_number(struct netlink_cursor c, uint16_t type, uint32_t otherwise)
{
	const struct nlattr *a = attr_find(c, type);
	uint32_t n;

	if (a == NULL || mnl_attr_get_payload_len(a) < sizeof(n))
		return otherwise;
	memcpy(&n, mnl_attr_get_payload(a), sizeof(n));
	return ntohl(n);
}

uint64_t
attr_wide(struct netlink_cursor c, uint16_t type)
{
	const struct nlattr *a = attr_find(c, type);
	uint64_t n;

	if (a == NULL || mnl_attr_get_payload_len(a) < sizeof(n))
		return 0;
	memcpy(&n, mnl_attr_get_payload(a), sizeof(n));
	return be64toh(n);
}

void
attr_copy(char *into, size_t size, const struct nlattr *a)
{
	size_t len = a != NULL ? mnl_attr_get_payload_len(a) : 0;

	if (len > size - 1)
		len = size - 1;
	if (len > 0)
		memcpy(into, mnl_attr_get_payload(a), len);
	into[len] = '\0';
}

void
attr_name(char *into, size_t size, struct netlink_cursor c, uint16_t type)
{
	attr_copy(into, size, attr_find(c, type));
}

size_t
attr_data(uint8_t *into, size_t size, struct netlink_cursor c, uint16_t type)
{
	const struct nlattr *a = attr_find(attr_inside(attr_find(c, type)),
	    NFTA_DATA_VALUE);
	size_t len = a != NULL ? mnl_attr_get_payload_len(a) : 0;

	if (len > size)
		len = 0;
	if (len > 0)
		memcpy(into, mnl_attr_get_payload(a), len);
	return len;
}

bool
attr_message(struct netlink_cursor *c, uint16_t type, uint8_t *family,
    struct netlink_cursor *attributes)
{
	struct netlink_reply r;
	struct nfgenmsg head;

	while (netlink_next(c, &r) != NETLINK_END) {
		if (r.kind != NETLINK_DATA ||
		    r.type != (NFNL_SUBSYS_NFTABLES << 8 | type) ||
		    mnl_nlmsg_get_payload_len(r.message) < sizeof(head))
			continue;
		memcpy(&head, mnl_nlmsg_get_payload(r.message), sizeof(head));
		*family = head.nfgen_family;
		*attributes = netlink_attributes(r.message, sizeof(head));
		return true;
	}
	return false;
}
