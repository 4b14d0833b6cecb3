/* SPDX-License-Identifier: ISC */
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include <linux/fib_rules.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "netlink.h"
#include "route.h"
#include "ruleset.h"

#define GROUPS (RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | \
	RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | \
	1u << (RTNLGRP_IPV6_RULE - 1))

#define BATCH 64		/* datagrams in one call; others wait too */

int
watch_open(void)
{
	return netlink_open(NETLINK_ROUTE, GROUPS);
}

static unsigned
concerns(const struct nlmsghdr *h)
{
	struct route_rule rule;
	struct route_local local;
	const uint8_t *family = mnl_nlmsg_get_payload(h);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*family))
		return 0;	/* all of them begin with it */
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return WATCH_LINKS;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return WATCH_ADDRESSES;
	case RTM_NEWROUTE:
		return route_read_local(h, *family, &local) && local.ours ?
		    0 : WATCH_ROUTES;
	case RTM_DELROUTE:
		return WATCH_ROUTES;
	case RTM_NEWRULE:
		return route_read_rule(h, *family, &rule) ? 0 : WATCH_RULES;
	case RTM_DELRULE:
		return WATCH_RULES;
	default:
		return 0;
	}
}

unsigned
watch_parse(const void *data, size_t len)
{
	struct netlink_cursor c = { data, len };
	struct netlink_reply r;
	unsigned changed = 0;

	while (netlink_next(&c, &r) != NETLINK_END)
		if (r.kind == NETLINK_DATA)
			changed |= concerns(r.message);
	return changed;
}

int
watch_read(int fd, unsigned *changed)
{
	union netlink_buffer buffer;

	*changed = 0;
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = netlink_receive(fd, buffer.bytes, sizeof(buffer),
		    0);

		if (n == -ETIMEDOUT)
			break;
		if (n == -ENOBUFS || n == -EMSGSIZE)
			*changed = WATCH_ALL;
		else if (n < 0)
			return (int)n;
		else
			*changed |= watch_parse(buffer.bytes, (size_t)n);
	}
	return 0;
}

/* ---- tables ---- */

int
watch_tables_open(void)
{
	return netlink_open(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1));
}

/* Of what all messages about tables and what is in them have as their first
 * attribute, and with the same number: NFTA_TABLE_NAME, NFTA_CHAIN_TABLE,
 * ... */
static bool
is_ours(const struct nlmsghdr *h)
{
	struct netlink_cursor c = netlink_attributes(h,
	    sizeof(struct nfgenmsg));
	const struct nlattr *a;

	while ((a = netlink_attribute(&c)) != NULL)
		if (mnl_attr_get_type(a) == NFTA_TABLE_NAME)
			break;
	return a != NULL && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 &&
	    (strcmp(mnl_attr_get_str(a), RULESET_TABLE) == 0 ||
	    strcmp(mnl_attr_get_str(a), RULESET_KEEPER) == 0);
}

static bool
removes(const struct nlmsghdr *h)
{
	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return false;
	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_DELTABLE:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_DELRULE:
	case NFT_MSG_DELSET:
		return is_ours(h);
	default:
		return false;
	}
}

bool
watch_tables_parse(const void *data, size_t len, uint32_t port)
{
	struct netlink_cursor c = { data, len };
	struct netlink_reply r;
	bool removed = false;

	while (netlink_next(&c, &r) != NETLINK_END)
		if (r.kind == NETLINK_DATA && r.message->nlmsg_pid != port &&
		    removes(r.message))
			removed = true;
	return removed;
}

int
watch_tables_read(int fd, uint32_t port, bool *removed)
{
	union netlink_buffer buffer;

	*removed = false;
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = netlink_receive(fd, buffer.bytes, sizeof(buffer),
		    0);

		if (n == -ETIMEDOUT)
			break;
		if (n == -ENOBUFS || n == -EMSGSIZE)
			continue;
		if (n < 0)
			return (int)n;
		if (watch_tables_parse(buffer.bytes, (size_t)n, port))
			*removed = true;
	}
	return 0;
}
