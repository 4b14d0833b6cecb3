/* SPDX-License-Identifier: ISC */
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "netlink.h"
#include "route.h"

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
