/* SPDX-License-Identifier: ISC */
/*
 * Registers hold bytes as the kernel has them there, or something unknown.
 * What is compared is compared byte by byte, as the kernel does it.
 */
#include "check_fate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include <libmnl/libmnl.h>

#include "check_attr.h"
#include "check_set.h"

#define REGISTERS 32
#define VALUE_MAX CHECK_KEY_MAX
#define DEPTH_MAX 16			/* of jumps, as in the kernel */
#define LOOPBACK 1			/* the number of lo, everywhere */

struct value {
	size_t len;			/* 0: not known */
	uint8_t bytes[VALUE_MAX];
};

enum fate {
	FALLS,			/* to the end of the chain */
	PASSES,
	DROPPED,
	PERHAPS,		/* one of these */
};

enum answer { NO, YES, MAYBE };

struct walk {
	struct netlink_cursor rules, elements;
	const struct check_chain *chain;	/* the one with the hook */
	const struct check_packet *packet;
	struct value registers[REGISTERS];
	bool interface_number[REGISTERS];	/* that is in there */
	int depth;
};

/* What a rule says when it matches. */
struct verdict {
	bool given;
	enum fate fate;
	int32_t code;			/* NFT_JUMP, NFT_GOTO, NFT_RETURN */
	char chain[CHECK_NAME_MAX];
};

/* ---- registers ---- */

static struct value *
reg(struct walk *w, struct netlink_cursor a, uint16_t type)
{
	uint32_t n = attr_number(a, type, 0);

	return &w->registers[n < REGISTERS ? n : 0];
}

static void
put(struct value *v, const void *bytes, size_t len)
{
	v->len = len;
	memcpy(v->bytes, bytes, len);
}

static void
put_byte(struct value *v, uint8_t byte)
{
	put(v, &byte, 1);
}

static void
load_meta(struct walk *w, struct netlink_cursor a)
{
	const struct check_packet *p = w->packet;
	struct value *v = reg(w, a, NFTA_META_DREG);
	uint16_t ethertype = htons(p->family == NFPROTO_IPV4 ? 0x0800 : 0x86dd);
	char name[VALUE_MAX] = "";

	v->len = 0;
	w->interface_number[v - w->registers] = false;
	switch (attr_number(a, NFTA_META_KEY, ~0u)) {
	case NFT_META_L4PROTO:
		put_byte(v, IPPROTO_TCP);
		break;
	case NFT_META_NFPROTO:
		put_byte(v, p->family);
		break;
	case NFT_META_PROTOCOL:
		put(v, &ethertype, sizeof(ethertype));
		break;
	case NFT_META_MARK:
		put(v, &p->mark, sizeof(p->mark));
		break;
	case NFT_META_IIF:
		w->interface_number[v - w->registers] = true;
		break;
	case NFT_META_IIFNAME:
		if (p->interface == NULL)
			break;
		memcpy(name, p->interface, strnlen(p->interface,
		    sizeof(name) - 1));
		put(v, name, sizeof(name));
	}
}

static void
load_payload(struct walk *w, struct netlink_cursor a)
{
	struct value *v = reg(w, a, NFTA_PAYLOAD_DREG);
	uint32_t base = attr_number(a, NFTA_PAYLOAD_BASE, ~0u);
	uint32_t offset = attr_number(a, NFTA_PAYLOAD_OFFSET, ~0u);
	uint32_t len = attr_number(a, NFTA_PAYLOAD_LEN, 0);
	uint16_t port = htons(w->packet->port);

	v->len = 0;
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && offset == 2 && len == 2)
		put(v, &port, sizeof(port));
	/* The protocol, in the header of either family. */
	if (base == NFT_PAYLOAD_NETWORK_HEADER && len == 1 &&
	    offset == (w->packet->family == NFPROTO_IPV4 ? 9 : 6))
		put_byte(v, IPPROTO_TCP);
}

static void
load_ct(struct walk *w, struct netlink_cursor a)
{
	const uint32_t state = NF_CT_STATE_BIT(IP_CT_NEW);
	const uint32_t status = w->packet->redirected ? IPS_DST_NAT |
	    IPS_DST_NAT_DONE | IPS_SRC_NAT_DONE : 0;
	struct value *v = reg(w, a, NFTA_CT_DREG);

	v->len = 0;
	switch (attr_number(a, NFTA_CT_KEY, ~0u)) {
	case NFT_CT_STATE:
		put(v, &state, sizeof(state));
		break;
	case NFT_CT_STATUS:
		put(v, &status, sizeof(status));
	}
}

static void
load_socket(struct walk *w, struct netlink_cursor a)
{
	struct value *v = reg(w, a, NFTA_SOCKET_DREG);

	v->len = 0;
	if (attr_number(a, NFTA_SOCKET_KEY, ~0u) == NFT_SOCKET_TRANSPARENT &&
	    w->packet->transparent)
		put_byte(v, 1);
}

static void
mask(struct walk *w, struct netlink_cursor a)
{
	const struct value from = *reg(w, a, NFTA_BITWISE_SREG);
	struct value *v = reg(w, a, NFTA_BITWISE_DREG);
	uint8_t and[VALUE_MAX], xor[VALUE_MAX];
	size_t len = from.len;

	v->len = 0;
	if (len == 0 || attr_number(a, NFTA_BITWISE_OP, NFT_BITWISE_BOOL) !=
	    NFT_BITWISE_BOOL ||
	    attr_data(and, sizeof(and), a, NFTA_BITWISE_MASK) != len ||
	    attr_data(xor, sizeof(xor), a, NFTA_BITWISE_XOR) != len)
		return;
	v->len = len;
	for (size_t i = 0; i < len; i++)
		v->bytes[i] = (from.bytes[i] & and[i]) ^ xor[i];
}

/* ---- matches ---- */

static enum answer
compare(struct walk *w, struct netlink_cursor a)
{
	const struct value *v = reg(w, a, NFTA_CMP_SREG);
	uint32_t op = attr_number(a, NFTA_CMP_OP, ~0u), lo = LOOPBACK;
	uint8_t to[VALUE_MAX];
	size_t len = attr_data(to, sizeof(to), a, NFTA_CMP_DATA);
	int order;

	/* Nothing that is intercepted comes from there. */
	if (w->interface_number[v - w->registers] && len == sizeof(lo) &&
	    memcmp(to, &lo, len) == 0)
		return op == NFT_CMP_EQ ? NO : op == NFT_CMP_NEQ ? YES : MAYBE;
	if (v->len == 0 || len == 0 || len > v->len)
		return MAYBE;
	order = memcmp(v->bytes, to, len);
	switch (op) {
	case NFT_CMP_EQ:
		return order == 0 ? YES : NO;
	case NFT_CMP_NEQ:
		return order != 0 ? YES : NO;
	case NFT_CMP_LT:
		return order < 0 ? YES : NO;
	case NFT_CMP_LTE:
		return order <= 0 ? YES : NO;
	case NFT_CMP_GT:
		return order > 0 ? YES : NO;
	case NFT_CMP_GTE:
		return order >= 0 ? YES : NO;
	default:
		return MAYBE;
	}
}

static enum answer
range(struct walk *w, struct netlink_cursor a)
{
	const struct value *v = reg(w, a, NFTA_RANGE_SREG);
	uint8_t from[VALUE_MAX], to[VALUE_MAX];
	bool in;

	if (v->len == 0 ||
	    attr_data(from, sizeof(from), a, NFTA_RANGE_FROM_DATA) != v->len ||
	    attr_data(to, sizeof(to), a, NFTA_RANGE_TO_DATA) != v->len)
		return MAYBE;
	in = memcmp(v->bytes, from, v->len) >= 0 &&
	    memcmp(v->bytes, to, v->len) <= 0;
	return in == (attr_number(a, NFTA_RANGE_OP, NFT_RANGE_EQ) ==
	    NFT_RANGE_EQ) ? YES : NO;
}

/* ---- verdicts ---- */

static void
read_verdict(struct netlink_cursor a, uint16_t type, struct verdict *verdict)
{
	struct netlink_cursor in = attr_inside(attr_find(attr_inside(
	    attr_find(a, type)), NFTA_DATA_VERDICT));

	verdict->code = (int32_t)attr_number(in, NFTA_VERDICT_CODE, 0);
	attr_name(verdict->chain, sizeof(verdict->chain), in,
	    NFTA_VERDICT_CHAIN);
	verdict->given = verdict->code != NFT_CONTINUE;
	verdict->fate = verdict->code == NF_ACCEPT ? PASSES :
	    verdict->code == NF_DROP ? DROPPED : PERHAPS;
}

static void
immediate(struct walk *w, struct netlink_cursor a, struct verdict *verdict)
{
	struct value *v = reg(w, a, NFTA_IMMEDIATE_DREG);

	if (attr_number(a, NFTA_IMMEDIATE_DREG, ~0u) != NFT_REG_VERDICT) {
		v->len = attr_data(v->bytes, sizeof(v->bytes), a,
		    NFTA_IMMEDIATE_DATA);
		return;
	}
	read_verdict(a, NFTA_IMMEDIATE_DATA, verdict);
}

/* Of iptables: what has no effect here, what rejects, and what we know nothing
 * of. */
static void
target(struct netlink_cursor a, struct verdict *verdict)
{
	static const char *const harmless[] = { "LOG", "NFLOG", "ULOG",
		"TCPMSS", "TRACE" };
	char name[CHECK_NAME_MAX];

	attr_name(name, sizeof(name), a, NFTA_TARGET_NAME);
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(name, harmless[i]) == 0)
			return;
	verdict->given = true;
	verdict->fate = strcmp(name, "REJECT") == 0 ? DROPPED : PERHAPS;
}

/* ---- sets ---- */

/* A map that is not understood gives a verdict or a value that is not known. */
static enum answer
lookup(struct walk *w, struct netlink_cursor a, struct verdict *verdict)
{
	const struct value v = *reg(w, a, NFTA_LOOKUP_SREG);
	bool map = attr_find(a, NFTA_LOOKUP_DREG) != NULL;
	bool inverse = (attr_number(a, NFTA_LOOKUP_FLAGS, 0) &
	    NFT_LOOKUP_F_INV) != 0;
	struct value *to = reg(w, a, NFTA_LOOKUP_DREG);
	char set[CHECK_NAME_MAX];
	struct check_element e;
	bool known;

	attr_name(set, sizeof(set), a, NFTA_LOOKUP_SET);
	known = v.len != 0 && check_find_element(w->elements,
	    &(struct check_set){ w->chain->family, w->chain->table, set },
	    v.bytes, v.len, &e);
	if (map && attr_number(a, NFTA_LOOKUP_DREG, ~0u) == NFT_REG_VERDICT) {
		*verdict = (struct verdict){ .given = true, .fate = PERHAPS };
		if (known && e.there)
			read_verdict(e.attributes, NFTA_SET_ELEM_DATA,
			    verdict);
	} else if (map) {
		to->len = known && e.there ? attr_data(to->bytes,
		    sizeof(to->bytes), e.attributes, NFTA_SET_ELEM_DATA) : 0;
	}
	if (!known)
		return MAYBE;
	return e.there != inverse ? YES : NO;
}

/* ---- rules ---- */

static enum answer
expression(struct walk *w, const char *name, struct netlink_cursor a,
    struct verdict *verdict)
{
	static const char *const harmless[] = { "counter", "log", "notrack",
		"last", "" };
	static const struct {
		const char *name;
		void (*load)(struct walk *, struct netlink_cursor);
	} loads[] = {
		{ "meta", load_meta }, { "payload", load_payload },
		{ "ct", load_ct }, { "socket", load_socket },
		{ "bitwise", mask },
	};

	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (strcmp(name, loads[i].name) == 0) {
			loads[i].load(w, a);
			return YES;
		}
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(name, harmless[i]) == 0)
			return YES;
	if (strcmp(name, "cmp") == 0)
		return compare(w, a);
	if (strcmp(name, "range") == 0)
		return range(w, a);
	if (strcmp(name, "lookup") == 0)
		return lookup(w, a, verdict);
	if (strcmp(name, "immediate") == 0) {
		immediate(w, a, verdict);
		return YES;
	}
	if (strcmp(name, "target") == 0) {
		target(a, verdict);
		return YES;
	}
	if (strcmp(name, "reject") == 0) {
		*verdict = (struct verdict){ .given = true, .fate = DROPPED };
		return YES;
	}
	memset(w->registers, 0, sizeof(w->registers));	/* whatever it does */
	return MAYBE;
}

static enum answer
run_rule(struct walk *w, struct netlink_cursor a, struct verdict *verdict)
{
	struct netlink_cursor c = attr_inside(attr_find(a,
	    NFTA_RULE_EXPRESSIONS));
	const struct nlattr *element;
	enum answer matches = YES;

	*verdict = (struct verdict){ 0 };
	memset(w->registers, 0, sizeof(w->registers));
	memset(w->interface_number, 0, sizeof(w->interface_number));
	while ((element = netlink_attribute(&c)) != NULL) {
		struct netlink_cursor e = attr_inside(element);
		char name[CHECK_NAME_MAX];

		attr_name(name, sizeof(name), e, NFTA_EXPR_NAME);
		switch (expression(w, name, attr_inside(attr_find(e,
		    NFTA_EXPR_DATA)), verdict)) {
		case NO:
			return NO;
		case MAYBE:
			matches = MAYBE;
			break;
		case YES:
			break;
		}
	}
	return matches;
}

/* The fate of one that may have passed before. */
static enum fate
or_passed(enum fate fate, bool perhaps)
{
	return perhaps && fate != PASSES ? PERHAPS : fate;
}

static enum fate run_chain(struct walk *, const char *name);

static enum fate
follow(struct walk *w, const struct verdict *v)
{
	if (v->code != NFT_JUMP && v->code != NFT_GOTO)
		return v->fate;
	return run_chain(w, v->chain);
}

static bool
is_of(struct netlink_cursor a, uint8_t family, const struct check_chain *base,
    const char *name)
{
	char text[CHECK_NAME_MAX];

	attr_name(text, sizeof(text), a, NFTA_RULE_TABLE);
	if (family != base->family || strcmp(text, base->table) != 0)
		return false;
	attr_name(text, sizeof(text), a, NFTA_RULE_CHAIN);
	return strcmp(text, name) == 0;
}

static enum fate
run_rules(struct walk *w, const char *name)
{
	struct netlink_cursor c = w->rules, a;
	struct verdict v;
	bool perhaps = false;
	uint8_t family;

	while (attr_message(&c, NFT_MSG_NEWRULE, &family, &a)) {
		enum answer matches;
		enum fate fate;

		if (!is_of(a, family, w->chain, name))
			continue;
		matches = run_rule(w, a, &v);
		if (matches == NO || !v.given)
			continue;
		if (v.code == NFT_RETURN) {
			if (matches == YES)
				return or_passed(FALLS, perhaps);
			continue;
		}
		fate = follow(w, &v);
		if (matches == MAYBE) {
			perhaps = perhaps || fate == PASSES || fate == PERHAPS;
			continue;
		}
		if (fate == PASSES || fate == DROPPED)
			return or_passed(fate, perhaps);
		perhaps = perhaps || fate == PERHAPS;
		if (v.code == NFT_GOTO)
			return or_passed(FALLS, perhaps);
	}
	return or_passed(FALLS, perhaps);
}

static enum fate
run_chain(struct walk *w, const char *name)
{
	enum fate fate;

	if (w->depth == DEPTH_MAX)
		return PERHAPS;
	w->depth++;
	fate = run_rules(w, name);
	w->depth--;
	return fate;
}

bool
check_drops(struct netlink_cursor rules, struct netlink_cursor elements,
    const struct check_chain *chain, const struct check_packet *packet)
{
	struct walk w = { .rules = rules, .elements = elements, .chain = chain,
		.packet = packet };
	enum fate fate;

	if (chain->family != NFPROTO_INET && chain->family != packet->family)
		return false;
	fate = run_chain(&w, chain->name);
	return fate == DROPPED || (fate == FALLS && chain->drops);
}

/* ---- chains ---- */

bool
check_next_chain(struct netlink_cursor *c, struct check_chain *chain)
{
	struct netlink_cursor a, hook;

	do {
		*chain = (struct check_chain){ 0 };
		if (!attr_message(c, NFT_MSG_NEWCHAIN, &chain->family, &a))
			return false;
		hook = attr_inside(attr_find(a, NFTA_CHAIN_HOOK));
	} while (hook.left == 0);
	attr_name(chain->table, sizeof(chain->table), a, NFTA_CHAIN_TABLE);
	attr_name(chain->name, sizeof(chain->name), a, NFTA_CHAIN_NAME);
	chain->hook = attr_number(hook, NFTA_HOOK_HOOKNUM, ~0u);
	chain->drops = attr_number(a, NFTA_CHAIN_POLICY, NF_ACCEPT) == NF_DROP;
	return true;
}
