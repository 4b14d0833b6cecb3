/* SPDX-License-Identifier: ISC */
#include "policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "ruleset.h"

#define DUMP_ATTEMPTS 3		/* while others change what we read */

/* ---- the decoder ---- */

static uint32_t
u32_of(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) >= sizeof(uint32_t) ?
	    mnl_attr_get_u32(a) : 0;
}

static uint8_t
u8_of(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) >= 1 ? mnl_attr_get_u8(a) : 0;
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
read_policy(struct netlink_cursor c, struct policy *p)
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

static bool
read_rule(const struct nlmsghdr *h, struct policy *p)
{
	struct fib_rule_hdr head;

	*p = (struct policy){ 0 };
	if (mnl_nlmsg_get_payload_len(h) < sizeof(head))
		return false;
	memcpy(&head, mnl_nlmsg_get_payload(h), sizeof(head));
	p->table = head.table;
	p->diverts = may_divert(&head);
	read_policy(netlink_attributes(h, sizeof(head)), p);
	if (head.action != FR_ACT_TO_TBL)
		p->table = 0;
	if (head.flags & FIB_RULE_INVERT) {
		p->interface[0] = '\0';
		p->mark = p->mask = 0;
	}
	return true;
}

bool
policy_next(struct netlink_cursor *c, struct policy *p)
{
	struct netlink_reply r;

	*p = (struct policy){ 0 };
	while (netlink_next(c, &r) != NETLINK_END)
		if (r.kind == NETLINK_DATA && r.type == RTM_NEWRULE &&
		    read_rule(r.message, p))
			return true;
	return false;
}

/* ---- which one wins ---- */

static bool
is_for_mark(const struct policy *p, uint32_t mark)
{
	return (mark & p->mask) == p->mark;
}

const struct policy *
policy_of(const struct policy_search *s)
{
	const struct policy *any = NULL;

	for (const struct policy *p = s->list; p < s->list + s->n; p++) {
		if (p->mark == 0 || p->table == 0 ||
		    !is_for_mark(p, s->mark) ||
		    (s->table != 0 && p->table != s->table))
			continue;
		if (s->interface[0] == '\0' ||
		    ruleset_interface_is(s->interface, p->interface))
			return p;
		if (p->interface[0] == '\0' && any == NULL)
			any = p;
	}
	return any;
}

const struct policy *
policy_before(const struct policy_search *s)
{
	const struct policy *own = policy_of(s);
	uint32_t table = own != NULL ? own->table : s->table;
	const struct policy *p = s->list, *end = p + s->n;

	for (; p < end && p != own; p++)
		if (p->diverts && !p->ours && p->table != table &&
		    is_for_mark(p, s->mark) && (p->interface[0] == '\0' ||
		    ruleset_interface_is(s->interface, p->interface)))
			break;
	if (p == end || p == own || (own == NULL && p->priority > s->priority))
		return NULL;
	return p;
}

/* ---- what is there ---- */

struct listing {
	struct policy *list;
	size_t n;
};

/* 0, or -ENOMEM. */
static int
add(struct listing *l, const struct policy *p)
{
	struct policy *more = reallocarray(l->list, l->n + 1, sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	l->list = more;
	l->list[l->n++] = *p;
	return 0;
}

/* One datagram.  1: there will be no more; 0: go on; or -errno, -EAGAIN when
 * others changed what was being read. */
static int
take(struct listing *l, struct netlink_cursor c, uint32_t seq)
{
	struct netlink_reply r;
	struct policy p;
	int error;

	while (netlink_next(&c, &r) != NETLINK_END) {
		if (r.seq != seq)
			continue;
		if (r.interrupted)
			return -EAGAIN;
		if (r.kind == NETLINK_ACK || r.kind == NETLINK_DUMP_DONE)
			return r.error != 0 ? r.error : 1;
		if (r.kind == NETLINK_DATA && r.type == RTM_NEWRULE &&
		    read_rule(r.message, &p) && (error = add(l, &p)) != 0)
			return error;
	}
	return 0;
}

/* All rules of one family (AF_*), in the kernel's order; 0 or -errno. */
static int
dump(int fd, uint8_t family, uint32_t seq, int64_t deadline_ms,
    struct listing *l)
{
	union {
		uint32_t align;
		char bytes[64];		/* two headers, of 16 and 12 */
	} request = { 0 };
	union netlink_buffer buffer;
	struct nlmsghdr *h = mnl_nlmsg_put_header(request.bytes);
	struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(h,
	    sizeof(*head));
	int result;

	h->nlmsg_type = RTM_GETRULE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	head->family = family;
	result = netlink_send(fd, h, h->nlmsg_len);
	while (result == 0) {
		ssize_t n = netlink_receive(fd, buffer.bytes, sizeof(buffer),
		    deadline_ms);

		result = n < 0 ? (int)n : take(l, (struct netlink_cursor){
		    buffer.bytes, (size_t)n }, seq);
	}
	return result == 1 ? 0 : result;
}

static int
list_rules(uint8_t family, int timeout_ms, struct listing *l)
{
	int64_t deadline_ms = netlink_now_ms() + timeout_ms;
	int error = -EAGAIN;

	/* A socket each: a dump that was given up may still be coming. */
	for (uint32_t i = 0; i < DUMP_ATTEMPTS && error == -EAGAIN; i++) {
		int fd = netlink_open(NETLINK_ROUTE, 0);

		if (fd < 0)
			return fd;
		l->n = 0;
		error = dump(fd, family, i + 1, deadline_ms, l);
		close(fd);
	}
	return error;
}

static bool
is_diverted(const struct route_plan *plan, uint8_t family, int timeout_ms)
{
	struct listing l = { 0 };
	bool diverted = false;

	if (list_rules(family, timeout_ms, &l) == 0)
		for (size_t i = 0; i < plan->ninterfaces && !diverted; i++)
			diverted = policy_before(&(struct policy_search){
			    .list = l.list, .n = l.n,
			    .interface = plan->interfaces[i],
			    .mark = plan->mark, .table = plan->table,
			    .priority = plan->priority }) != NULL;
	free(l.list);
	return diverted;
}

unsigned
policy_families(const struct route_plan *plan, int timeout_ms)
{
	unsigned families = 0;

	if (plan->ipv4 && is_diverted(plan, AF_INET, timeout_ms))
		families |= RULESET_IPV4;
	if (plan->ipv6 && is_diverted(plan, AF_INET6, timeout_ms))
		families |= RULESET_IPV6;
	return families;
}
