/* SPDX-License-Identifier: ISC */
/*
 * A rule is a list of expressions, and its matches work on registers.  So we
 * follow what is in them, as far as it is one of a few things that we know:
 * the port or the protocol of the packet, or a port that the rule put there.
 * Any other match only narrows a rule.  Ports are the only ones of interest,
 * and where we do not understand which they are, `fewer` is set.
 */
#include "check_nft.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_TPROXY.h>

#include <libmnl/libmnl.h>

#include "check_attr.h"

#define REGISTERS 32
#define PORT_OFFSET 2		/* of the destination, in TCP and UDP */

enum holds { HOLDS_ANYTHING, HOLDS_PORT, HOLDS_PROTOCOL, HOLDS_NUMBER };

struct reader {
	struct check_rule *rule;
	struct {
		enum holds holds;
		uint16_t number;
	} registers[REGISTERS];
};

/* The bytes of data that a match compares with; false: not `len` of them. */
static bool
data(uint8_t *into, size_t len, struct netlink_cursor c, uint16_t type)
{
	return attr_data(into, len, c, type) == len;
}

static bool
port_data(uint16_t *port, struct netlink_cursor c, uint16_t type)
{
	uint8_t bytes[2];

	if (!data(bytes, sizeof(bytes), c, type))
		return false;
	*port = (uint16_t)(bytes[0] << 8 | bytes[1]);
	return true;
}

/* ---- tables and flow tables ---- */

bool
check_next_table(struct netlink_cursor *c, struct check_table *t)
{
	struct netlink_cursor a;

	*t = (struct check_table){ 0 };
	if (!attr_message(c, NFT_MSG_NEWTABLE, &t->family, &a))
		return false;
	attr_name(t->name, CHECK_NAME_MAX, a, NFTA_TABLE_NAME);
	t->owned = attr_find(a, NFTA_TABLE_OWNER) != NULL;
	return true;
}

static void
add_device(struct check_flowtable *f, const struct nlattr *a)
{
	size_t used = strlen(f->devices);

	if (used > 0 && used + 3 < sizeof(f->devices)) {
		memcpy(f->devices + used, ", ", 3);
		used += 2;
	}
	attr_copy(f->devices + used, sizeof(f->devices) - used, a);
}

bool
check_next_flowtable(struct netlink_cursor *c, struct check_flowtable *f)
{
	struct netlink_cursor a, devices;
	const struct nlattr *hook, *list, *device;

	*f = (struct check_flowtable){ 0 };
	if (!attr_message(c, NFT_MSG_NEWFLOWTABLE, &f->family, &a))
		return false;
	attr_name(f->table, CHECK_NAME_MAX, a, NFTA_FLOWTABLE_TABLE);
	attr_name(f->name, CHECK_NAME_MAX, a, NFTA_FLOWTABLE_NAME);
	f->hardware = (attr_number(a, NFTA_FLOWTABLE_FLAGS, 0) &
	    NFT_FLOWTABLE_HW_OFFLOAD) != 0;
	hook = attr_find(a, NFTA_FLOWTABLE_HOOK);
	list = attr_find(attr_inside(hook), NFTA_FLOWTABLE_HOOK_DEVS);
	if (list == NULL)
		return true;
	devices = attr_inside(list);
	while ((device = netlink_attribute(&devices)) != NULL)
		if (mnl_attr_get_type(device) == NFTA_DEVICE_NAME)
			add_device(f, device);
	return true;
}

/* ---- rules ---- */

static enum holds
held(const struct reader *r, uint32_t reg)
{
	return reg < REGISTERS ? r->registers[reg].holds : HOLDS_ANYTHING;
}

static void
hold(struct reader *r, uint32_t reg, enum holds what)
{
	if (reg < REGISTERS)
		r->registers[reg].holds = what;
}

static void
on_payload(struct reader *r, struct netlink_cursor a)
{
	bool port = attr_number(a, NFTA_PAYLOAD_BASE, ~0u) ==
	    NFT_PAYLOAD_TRANSPORT_HEADER &&
	    attr_number(a, NFTA_PAYLOAD_OFFSET, ~0u) == PORT_OFFSET &&
	    attr_number(a, NFTA_PAYLOAD_LEN, 0) == sizeof(uint16_t);

	hold(r, attr_number(a, NFTA_PAYLOAD_DREG, ~0u), port ? HOLDS_PORT :
	    HOLDS_ANYTHING);
}

static void
on_meta(struct reader *r, struct netlink_cursor a)
{
	hold(r, attr_number(a, NFTA_META_DREG, ~0u),
	    attr_number(a, NFTA_META_KEY, ~0u) == NFT_META_L4PROTO ?
	    HOLDS_PROTOCOL : HOLDS_ANYTHING);
}

static void
on_immediate(struct reader *r, struct netlink_cursor a)
{
	uint32_t reg = attr_number(a, NFTA_IMMEDIATE_DREG, ~0u);
	uint16_t port;

	hold(r, reg, HOLDS_ANYTHING);
	if (reg < REGISTERS && port_data(&port, a, NFTA_IMMEDIATE_DATA)) {
		hold(r, reg, HOLDS_NUMBER);
		r->registers[reg].number = port;
	}
}

static void
match_protocol(struct reader *r, uint8_t protocol, bool equal)
{
	struct check_rule *rule = r->rule;

	rule->tcp = rule->tcp && (protocol == IPPROTO_TCP) == equal;
	rule->udp = rule->udp && (protocol == IPPROTO_UDP) == equal;
}

/* One more match of ports.  Two that say from where and up to where are one
 * range; what else there may be is more than we can say. */
static void
match_ports(struct reader *r, struct acl_ports range, bool except)
{
	struct check_ports *ports = &r->rule->ports;
	struct acl_ports *first = &ports->ranges[0];

	if (range.first > range.last) {
		r->rule->fewer = true;
	} else if (ports->n == 0) {
		*ports = (struct check_ports){ .except = except, .n = 1,
			.ranges = { range } };
	} else if (!except && !ports->except && range.first <= first->last &&
	    first->first <= range.last) {
		if (range.first > first->first)
			first->first = range.first;
		if (range.last < first->last)
			first->last = range.last;
	} else {
		r->rule->fewer = true;
	}
}

static void
on_cmp(struct reader *r, struct netlink_cursor a)
{
	enum holds what = held(r, attr_number(a, NFTA_CMP_SREG, ~0u));
	uint32_t op = attr_number(a, NFTA_CMP_OP, ~0u);
	uint16_t port = 0;
	uint8_t protocol;

	if (what == HOLDS_PROTOCOL && data(&protocol, 1, a, NFTA_CMP_DATA) &&
	    (op == NFT_CMP_EQ || op == NFT_CMP_NEQ)) {
		match_protocol(r, protocol, op == NFT_CMP_EQ);
		return;
	}
	if (what != HOLDS_PORT)
		return;
	if (!port_data(&port, a, NFTA_CMP_DATA))
		op = ~0u;
	switch (op) {
	case NFT_CMP_EQ:
	case NFT_CMP_NEQ:
		match_ports(r, (struct acl_ports){ port, port },
		    op == NFT_CMP_NEQ);
		break;
	case NFT_CMP_GTE:
		match_ports(r, (struct acl_ports){ port, UINT16_MAX }, false);
		break;
	case NFT_CMP_LTE:
		match_ports(r, (struct acl_ports){ 0, port }, false);
		break;
	default:
		r->rule->fewer = true;
	}
}

static void
on_range(struct reader *r, struct netlink_cursor a)
{
	struct acl_ports range;

	if (held(r, attr_number(a, NFTA_RANGE_SREG, ~0u)) != HOLDS_PORT)
		return;
	if (port_data(&range.first, a, NFTA_RANGE_FROM_DATA) &&
	    port_data(&range.last, a, NFTA_RANGE_TO_DATA))
		match_ports(r, range, attr_number(a, NFTA_RANGE_OP,
		    NFT_RANGE_EQ) == NFT_RANGE_NEQ);
	else
		r->rule->fewer = true;
}

static void
on_lookup(struct reader *r, struct netlink_cursor a)
{
	if (held(r, attr_number(a, NFTA_LOOKUP_SREG, ~0u)) == HOLDS_PORT)
		r->rule->fewer = true;
}

static uint16_t
port_in(const struct reader *r, uint32_t reg)
{
	return held(r, reg) == HOLDS_NUMBER ? r->registers[reg].number : 0;
}

static void
on_redirect(struct reader *r, struct netlink_cursor a)
{
	r->rule->deed = CHECK_REDIRECT;
	r->rule->port = port_in(r, attr_number(a, NFTA_REDIR_REG_PROTO_MIN,
	    ~0u));
}

static void
on_tproxy(struct reader *r, struct netlink_cursor a)
{
	r->rule->deed = CHECK_TPROXY;
	r->rule->port = port_in(r, attr_number(a, NFTA_TPROXY_REG_PORT, ~0u));
}

static void
on_offload(struct reader *r, struct netlink_cursor a)
{
	r->rule->deed = CHECK_OFFLOAD;
	attr_name(r->rule->flowtable, CHECK_NAME_MAX, a, NFTA_FLOW_TABLE_NAME);
}

/* A port that stands `offset` bytes into what a target of iptables is told;
 * 0: there is less. */
static uint16_t
target_port(struct netlink_cursor a, size_t offset)
{
	const struct nlattr *info = attr_find(a, NFTA_TARGET_INFO);
	uint16_t port;

	if (info == NULL ||
	    mnl_attr_get_payload_len(info) < offset + sizeof(port))
		return 0;
	memcpy(&port, (const uint8_t *)mnl_attr_get_payload(info) + offset,
	    sizeof(port));
	return ntohs(port);
}

/* A target of iptables.  What each is told is in its header of the kernel; that
 * of REDIRECT is longer for IPv6. */
static void
on_target(struct reader *r, struct netlink_cursor a)
{
	char target[CHECK_NAME_MAX];

	attr_name(target, CHECK_NAME_MAX, a, NFTA_TARGET_NAME);
	r->rule->iptables = true;
	if (strcmp(target, "REDIRECT") == 0) {
		r->rule->deed = CHECK_REDIRECT;
		r->rule->port = target_port(a, r->rule->family == NFPROTO_IPV6 ?
		    offsetof(struct nf_nat_range, min_proto) :
		    offsetof(struct nf_nat_ipv4_multi_range_compat,
		    range[0].min));
	} else if (strcmp(target, "TPROXY") == 0) {
		r->rule->deed = CHECK_TPROXY;
		r->rule->port = target_port(a,
		    attr_number(a, NFTA_TARGET_REV, 0) > 0 ?
		    offsetof(struct xt_tproxy_target_info_v1, lport) :
		    offsetof(struct xt_tproxy_target_info, lport));
	} else if (strcmp(target, "FLOWOFFLOAD") == 0)
		r->rule->deed = CHECK_OFFLOAD;
}

static void
on_match(struct reader *r, struct netlink_cursor a)
{
	char match[CHECK_NAME_MAX];

	attr_name(match, CHECK_NAME_MAX, a, NFTA_MATCH_NAME);
	if (strcmp(match, "tcp") == 0)
		match_protocol(r, IPPROTO_TCP, true);
	else if (strcmp(match, "udp") == 0)
		match_protocol(r, IPPROTO_UDP, true);
	else if (strcmp(match, "multiport") != 0)
		return;
	r->rule->fewer = true;
}

static void
read_expression(struct reader *r, struct netlink_cursor a)
{
	static const struct {
		const char *name;
		void (*read)(struct reader *, struct netlink_cursor);
	} known[] = {
		{ "payload", on_payload }, { "meta", on_meta },
		{ "immediate", on_immediate }, { "cmp", on_cmp },
		{ "range", on_range }, { "lookup", on_lookup },
		{ "redir", on_redirect }, { "tproxy", on_tproxy },
		{ "flow_offload", on_offload }, { "target", on_target },
		{ "match", on_match },
	};
	const struct nlattr *inner = attr_find(a, NFTA_EXPR_DATA);
	char expression[CHECK_NAME_MAX];

	attr_name(expression, CHECK_NAME_MAX, a, NFTA_EXPR_NAME);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (inner != NULL && strcmp(expression, known[i].name) == 0)
			known[i].read(r, attr_inside(inner));
}

static void
read_rule(struct netlink_cursor a, struct check_rule *rule)
{
	struct reader r = { .rule = rule };
	const struct nlattr *list = attr_find(a, NFTA_RULE_EXPRESSIONS);
	const struct nlattr *element;
	struct netlink_cursor c;

	attr_name(rule->table, CHECK_NAME_MAX, a, NFTA_RULE_TABLE);
	attr_name(rule->chain, CHECK_NAME_MAX, a, NFTA_RULE_CHAIN);
	rule->handle = attr_wide(a, NFTA_RULE_HANDLE);
	rule->tcp = rule->udp = true;
	rule->ports.except = true;
	if (list == NULL)
		return;
	c = attr_inside(list);
	while ((element = netlink_attribute(&c)) != NULL)
		if (mnl_attr_get_type(element) == NFTA_LIST_ELEM)
			read_expression(&r, attr_inside(element));
}

bool
check_next_rule(struct netlink_cursor *c, struct check_rule *rule)
{
	struct netlink_cursor a;

	do {
		*rule = (struct check_rule){ 0 };
		if (!attr_message(c, NFT_MSG_NEWRULE, &rule->family, &a))
			return false;
		read_rule(a, rule);
	} while (rule->deed == CHECK_NOTHING);
	return true;
}

const char *
check_family_text(uint8_t family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_BRIDGE:
		return "bridge";
	case NFPROTO_NETDEV:
		return "netdev";
	case NFPROTO_ARP:
		return "arp";
	default:
		return "?";
	}
}
