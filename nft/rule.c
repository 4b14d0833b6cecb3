/* SPDX-License-Identifier: ISC */
/*
 * The kernel's expressions load something into a register and compare it there.
 * Sizes and byte orders are those that nft --debug=netlink shows, and the
 * kernel takes what it is given: a wrong size matches never, silently.
 *
 * Register 1 is 16 bytes.  A key of two parts, an address and a port, lies in
 * it and what follows: each part starts at a multiple of 4 bytes, so the port
 * is behind 4 bytes (in the second of the small registers of 4) or behind 16
 * (in register 2).
 */
#include "rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "batch.h"

/* In the headers of IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293), and UDP
 * (RFC 768), whose data begins after 8 bytes. */
#define IP_DESTINATION 16
#define IP6_DESTINATION 24
#define DESTINATION_PORT 2
#define TCP_FLAGS 13
#define UDP_DATA 8

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

void
rule_begin(struct rule *r, struct batch *b, const char *table,
    const char *chain, const char *comment)
{
	uint8_t text[BATCH_COMMENT_MAX + 3];

	*r = (struct rule){ .batch = b, .nl = nftnl_rule_alloc() };
	if (r->nl == NULL ||
	    nftnl_rule_set_str(r->nl, NFTNL_RULE_TABLE, table) != 0 ||
	    nftnl_rule_set_str(r->nl, NFTNL_RULE_CHAIN, chain) != 0 ||
	    (comment != NULL &&
	    nftnl_rule_set_data(r->nl, NFTNL_RULE_USERDATA, text,
	    (uint32_t)batch_comment(text, 0, comment)) != 0))
		batch_fail(b, -ENOMEM);
	if (r->nl != NULL)
		nftnl_rule_set_u32(r->nl, NFTNL_RULE_FAMILY, NFPROTO_INET);
}

void
rule_end(struct rule *r)
{
	union batch_message m;

	if (r->batch->error == 0) {
		struct nlmsghdr *h = batch_header(r->batch, &m,
		    NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

		nftnl_rule_nlmsg_build_payload(h, r->nl);
		batch_add(r->batch, h);
	}
	if (r->nl != NULL)
		nftnl_rule_free(r->nl);
	r->nl = NULL;
}

/* ---- expressions ---- */

/* NULL, which the setters below accept, when memory is over. */
static struct nftnl_expr *
add(struct rule *r, const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (e == NULL || r->nl == NULL) {
		batch_fail(r->batch, -ENOMEM);
		if (e != NULL)
			nftnl_expr_free(e);
		return NULL;
	}
	nftnl_rule_add_expr(r->nl, e);
	return e;
}

static void
set_u32(struct nftnl_expr *e, uint16_t attribute, uint32_t value)
{
	if (e != NULL)
		nftnl_expr_set_u32(e, attribute, value);
}

static void
set_u8(struct nftnl_expr *e, uint16_t attribute, uint8_t value)
{
	if (e != NULL)
		nftnl_expr_set_u8(e, attribute, value);
}

static void
set_data(struct rule *r, struct nftnl_expr *e, uint16_t attribute,
    const void *data, size_t len)
{
	if (e != NULL &&
	    nftnl_expr_set(e, attribute, data, (uint32_t)len) != 0)
		batch_fail(r->batch, -ENOMEM);
}

static void
set_string(struct rule *r, struct nftnl_expr *e, uint16_t attribute,
    const char *text)
{
	if (e != NULL && nftnl_expr_set_str(e, attribute, text) != 0)
		batch_fail(r->batch, -ENOMEM);
}

static void
load_meta(struct rule *r, uint32_t key)
{
	struct nftnl_expr *e = add(r, "meta");

	set_u32(e, NFTNL_EXPR_META_KEY, key);
	set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void
load_payload(struct rule *r, uint32_t base, uint32_t offset, uint32_t len,
    uint32_t into)
{
	struct nftnl_expr *e = add(r, "payload");

	set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, into);
	set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
}

/* Register 1, of `len` bytes, to a constant. */
static void
load_constant(struct rule *r, const void *data, size_t len)
{
	struct nftnl_expr *e = add(r, "immediate");

	set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	set_data(r, e, NFTNL_EXPR_IMM_DATA, data, len);
}

static void
compare(struct rule *r, uint32_t operation, const void *data, size_t len)
{
	struct nftnl_expr *e = add(r, "cmp");

	set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_CMP_OP, operation);
	set_data(r, e, NFTNL_EXPR_CMP_DATA, data, len);
}

static void
compare_u8(struct rule *r, uint8_t value)
{
	compare(r, NFT_CMP_EQ, &value, sizeof(value));
}

/* Register 1 = (register 1 & mask) ^ xor, all of `len` bytes. */
static void
bitwise(struct rule *r, const void *mask, const void *xor, size_t len)
{
	struct nftnl_expr *e = add(r, "bitwise");

	set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_BITWISE_LEN, (uint32_t)len);
	set_data(r, e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	set_data(r, e, NFTNL_EXPR_BITWISE_XOR, xor, len);
}

static void
mask_u8(struct rule *r, uint8_t mask)
{
	const uint8_t none = 0;

	bitwise(r, &mask, &none, sizeof(mask));
}

/* The set is found by its name, in the same transaction too. */
static struct nftnl_expr *
lookup(struct rule *r, const char *set)
{
	struct nftnl_expr *e = add(r, "lookup");

	set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	set_string(r, e, NFTNL_EXPR_LOOKUP_SET, set);
	return e;
}

static void
load_destination(struct rule *r, uint8_t family)
{
	if (family == NFPROTO_IPV4)
		load_payload(r, NFT_PAYLOAD_NETWORK_HEADER, IP_DESTINATION, 4,
		    NFT_REG_1);
	else
		load_payload(r, NFT_PAYLOAD_NETWORK_HEADER, IP6_DESTINATION,
		    16, NFT_REG_1);
}

static void
load_port(struct rule *r, uint32_t into)
{
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, DESTINATION_PORT, 2,
	    into);
}

static void
verdict(struct rule *r, int32_t what, const char *chain)
{
	struct nftnl_expr *e = add(r, "immediate");

	set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)what);
	if (chain != NULL)
		set_string(r, e, NFTNL_EXPR_IMM_CHAIN, chain);
}

/* ---- matches ---- */

/* The whole of a name is 16 bytes with its zeros; a prefix is its own bytes. */
void
rule_input_interface(struct rule *r, const char *name)
{
	char whole[IFNAMSIZ] = "";
	size_t len = strnlen(name, IFNAMSIZ - 1);

	memcpy(whole, name, len);
	load_meta(r, NFT_META_IIFNAME);
	if (len > 0 && name[len - 1] == '*')
		compare(r, NFT_CMP_EQ, name, len - 1);
	else
		compare(r, NFT_CMP_EQ, whole, sizeof(whole));
}

void
rule_family(struct rule *r, uint8_t family)
{
	load_meta(r, NFT_META_NFPROTO);
	compare_u8(r, family);
}

void
rule_family_not_in(struct rule *r, const char *set)
{
	load_meta(r, NFT_META_NFPROTO);
	set_u32(lookup(r, set), NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

void
rule_protocol(struct rule *r, uint8_t protocol)
{
	load_meta(r, NFT_META_L4PROTO);
	compare_u8(r, protocol);
}

void
rule_not_unicast(struct rule *r)
{
	const uint32_t unicast = RTN_UNICAST;	/* of the host's byte order */
	struct nftnl_expr *e = add(r, "fib");

	set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
	set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	compare(r, NFT_CMP_NEQ, &unicast, sizeof(unicast));
}

void
rule_destination_in(struct rule *r, uint8_t family, const char *set)
{
	rule_family(r, family);
	load_destination(r, family);
	(void)lookup(r, set);
}

void
rule_port_not_in(struct rule *r, const char *set)
{
	load_port(r, NFT_REG_1);
	set_u32(lookup(r, set), NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

void
rule_port(struct rule *r, uint16_t port)
{
	const uint16_t wire = htons(port);

	load_port(r, NFT_REG_1);
	compare(r, NFT_CMP_EQ, &wire, sizeof(wire));
}

void
rule_syn(struct rule *r)
{
	rule_protocol(r, IPPROTO_TCP);
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS, 1, NFT_REG_1);
	mask_u8(r, FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_ACK);
	compare_u8(r, FLAG_SYN);
}

void
rule_first_bit_set(struct rule *r)
{
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_DATA, 1, NFT_REG_1);
	mask_u8(r, 0x80);
	compare_u8(r, 0x80);
}

void
rule_transparent(struct rule *r)
{
	struct nftnl_expr *e = add(r, "socket");

	set_u32(e, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_TRANSPARENT);
	set_u32(e, NFTNL_EXPR_SOCKET_DREG, NFT_REG_1);
	compare_u8(r, 1);
}

void
rule_marked(struct rule *r, uint32_t mark, uint32_t mask)
{
	const uint32_t none = 0;

	load_meta(r, NFT_META_MARK);
	bitwise(r, &mask, &none, sizeof(mask));
	compare(r, NFT_CMP_EQ, &mark, sizeof(mark));
}

void
rule_translated(struct rule *r)
{
	const uint32_t status = IPS_DST_NAT, none = 0;
	struct nftnl_expr *e = add(r, "ct");

	set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_STATUS);
	set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	bitwise(r, &status, &none, sizeof(status));
	compare(r, NFT_CMP_NEQ, &none, sizeof(none));
}

/* ---- what it does ---- */

void
rule_count(struct rule *r)
{
	(void)add(r, "counter");
}

void
rule_mark(struct rule *r, uint32_t mark, uint32_t mask)
{
	const uint32_t keep = ~mask;

	load_meta(r, NFT_META_MARK);
	bitwise(r, &keep, &mark, sizeof(mark));
	struct nftnl_expr *e = add(r, "meta");
	set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

void
rule_tproxy(struct rule *r, uint16_t port)
{
	const uint16_t wire = htons(port);

	load_constant(r, &wire, sizeof(wire));
	struct nftnl_expr *e = add(r, "tproxy");
	set_u32(e, NFTNL_EXPR_TPROXY_FAMILY, NFPROTO_UNSPEC);
	set_u32(e, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_1);
}

void
rule_redirect(struct rule *r, uint16_t port)
{
	const uint16_t wire = htons(port);

	load_constant(r, &wire, sizeof(wire));
	struct nftnl_expr *e = add(r, "redir");
	set_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
}

void
rule_destination_verdict(struct rule *r, uint8_t family, const char *map)
{
	rule_family(r, family);
	rule_protocol(r, IPPROTO_TCP);
	load_destination(r, family);
	load_port(r, family == NFPROTO_IPV4 ? NFT_REG32_01 : NFT_REG_2);
	set_u32(lookup(r, map), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void
rule_reject_reset(struct rule *r)
{
	set_u32(add(r, "reject"), NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
}

void
rule_reject(struct rule *r, uint8_t code)
{
	struct nftnl_expr *e = add(r, "reject");

	set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	set_u8(e, NFTNL_EXPR_REJECT_CODE, code);
}

void
rule_accept(struct rule *r)
{
	verdict(r, NF_ACCEPT, NULL);
}

void
rule_jump(struct rule *r, const char *chain)
{
	verdict(r, NFT_JUMP, chain);
}

void
rule_goto(struct rule *r, const char *chain)
{
	verdict(r, NFT_GOTO, chain);
}

void
rule_return(struct rule *r)
{
	verdict(r, NFT_RETURN, NULL);
}
