/* SPDX-License-Identifier: ISC */
/*
 * Batches are parsed back with libnftnl, which knows nothing of what made them.
 */
#include "nft/ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include <cmocka.h>

#include "nft/batch.h"

#define MANY 1000

static uint32_t memory[1 << 20];
static struct batch batch;

/* ---- plans ---- */

static const char *const lan[] = { "eth0.10", "wg*" };

static struct ruleset_plan
tproxy_plan(void)
{
	return (struct ruleset_plan){
		.mode = RULESET_TPROXY, .owner = true, .port = 1091,
		.interfaces = lan, .ninterfaces = 2, .mark = 0x10000000,
		.mask = 0x10000000, .families = RULESET_IPV4, .alive_ms = 8000,
	};
}

static struct ruleset_plan
redirect_plan(void)
{
	struct ruleset_plan p = tproxy_plan();

	p.mode = RULESET_REDIRECT;
	p.port = 1092;
	return p;
}

static void
install(const struct ruleset_plan *plan)
{
	assert_null(ruleset_fault(plan));
	assert_int_equal(ruleset_install(&batch, memory, sizeof(memory),
	    plan), 0);
}

static struct ruleset_prefix
prefix(const char *address, uint8_t length)
{
	struct ruleset_prefix p = { .family = 4, .length = length };

	if (inet_pton(AF_INET, address, p.ip) != 1) {
		p.family = 6;
		assert_int_equal(inet_pton(AF_INET6, address, p.ip), 1);
	}
	return p;
}

/* ---- what is in a batch ---- */

/* The one behind `h`, or the first; NULL at the end. */
static struct nlmsghdr *
next(const struct nlmsghdr *h)
{
	uint8_t *at = batch.data;

	if (h != NULL)
		at = batch.data + ((const uint8_t *)h - batch.data) +
		    MNL_ALIGN(h->nlmsg_len);
	if (at == batch.data + batch.used)
		return NULL;
	assert_true(mnl_nlmsg_ok((void *)at,
	    (int)(batch.data + batch.used - at)));
	return (void *)at;
}

static bool
is(const struct nlmsghdr *h, int type)
{
	return h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type);
}

static size_t
count(int type)
{
	size_t n = 0;

	for (struct nlmsghdr *h = next(NULL); h != NULL; h = next(h))
		n += is(h, type);
	return n;
}

/* The rule with this beginning of its comment in a chain, the caller's. */
static struct nftnl_rule *
find_rule(const char *chain, const char *comment)
{
	for (struct nlmsghdr *h = next(NULL); h != NULL; h = next(h)) {
		struct nftnl_rule *r;
		const char *text;
		uint32_t len;

		if (!is(h, NFT_MSG_NEWRULE))
			continue;
		r = nftnl_rule_alloc();
		assert_int_equal(nftnl_rule_nlmsg_parse(h, r), 0);
		text = nftnl_rule_get_data(r, NFTNL_RULE_USERDATA, &len);
		assert_non_null(text);
		if (strcmp(nftnl_rule_get_str(r, NFTNL_RULE_CHAIN), chain) ==
		    0 && strncmp(text + 2, comment, strlen(comment)) == 0)
			return r;
		nftnl_rule_free(r);
	}
	return NULL;
}

/* Its n-th expression; NULL: it has less. */
static struct nftnl_expr *
expression(struct nftnl_rule *r, int n)
{
	struct nftnl_expr_iter *i = nftnl_expr_iter_create(r);
	struct nftnl_expr *e;

	while ((e = nftnl_expr_iter_next(i)) != NULL && n-- > 0)
		;
	nftnl_expr_iter_destroy(i);
	return e;
}

/* "meta cmp immediate" */
static const char *
shape(struct nftnl_rule *r)
{
	static char text[200];
	struct nftnl_expr *e;

	text[0] = '\0';
	for (int i = 0; (e = expression(r, i)) != NULL; i++) {
		if (i > 0)
			strcat(text, " ");
		strcat(text, nftnl_expr_get_str(e, NFTNL_EXPR_NAME));
	}
	return text;
}

static void
assert_shape(const char *chain, const char *comment, const char *expected)
{
	struct nftnl_rule *r = find_rule(chain, comment);

	assert_non_null(r);
	assert_string_equal(shape(r), expected);
	nftnl_rule_free(r);
}

static void
assert_data(struct nftnl_rule *r, int n, uint16_t attribute, const void *data,
    size_t len)
{
	uint32_t have;
	const void *at = nftnl_expr_get(expression(r, n), attribute, &have);

	assert_int_equal(have, len);
	assert_memory_equal(at, data, len);
}

/* The base chain of a hook in a table, the caller's; NULL: none. */
static struct nftnl_chain *
find_base(const char *table, uint32_t hook)
{
	for (struct nlmsghdr *h = next(NULL); h != NULL; h = next(h)) {
		struct nftnl_chain *c;

		if (!is(h, NFT_MSG_NEWCHAIN))
			continue;
		c = nftnl_chain_alloc();
		assert_int_equal(nftnl_chain_nlmsg_parse(h, c), 0);
		if (nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM) &&
		    nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == hook &&
		    strcmp(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE),
		    table) == 0)
			return c;
		nftnl_chain_free(c);
	}
	return NULL;
}

static void
assert_base(const char *table, uint32_t hook, const char *type)
{
	struct nftnl_chain *c = find_base(table, hook);

	if (type == NULL) {
		assert_null(c);
		return;
	}
	assert_non_null(c);
	assert_string_equal(nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE), type);
	assert_int_equal(nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO), -95);
	assert_int_equal(nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY),
	    NF_ACCEPT);
	nftnl_chain_free(c);
}

/* ---- elements ---- */

struct element {
	uint8_t key[20];
	uint32_t len;
	bool end;
	uint64_t timeout_ms;
	char chain[32];
};

static struct element elements[MANY];
static size_t nelements;

static int
take_element(struct nftnl_set_elem *e, void *data)
{
	struct element *into = &elements[nelements++];
	const void *key;

	(void)data;
	assert_true(nelements < MANY);
	*into = (struct element){ 0 };
	key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &into->len);
	memcpy(into->key, key, into->len);
	into->end = nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_FLAGS) &&
	    nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_FLAGS) ==
	    NFT_SET_ELEM_INTERVAL_END;
	if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_TIMEOUT))
		into->timeout_ms = nftnl_set_elem_get_u64(e,
		    NFTNL_SET_ELEM_TIMEOUT);
	if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_CHAIN))
		snprintf(into->chain, sizeof(into->chain), "%s",
		    nftnl_set_elem_get_str(e, NFTNL_SET_ELEM_CHAIN));
	return 0;
}

/* libnftnl numbers elements when it builds (which the kernel ignores), and
 * accepts only the kernel's own number when it parses. */
static void
renumber(const struct nlmsghdr *h)
{
	struct nlattr *list, *element;

	mnl_attr_for_each(list, h, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(list) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(element, list) {
			element->nla_type = NLA_F_NESTED | NFTA_LIST_ELEM;
		}
	}
}

/* All that messages of this type name for a set; returns the messages. */
static size_t
take_elements(int type, const char *name)
{
	size_t messages = 0;

	nelements = 0;
	for (struct nlmsghdr *h = next(NULL); h != NULL; h = next(h)) {
		struct nftnl_set *s;

		if (!is(h, type))
			continue;
		renumber(h);
		s = nftnl_set_alloc();
		assert_int_equal(nftnl_set_elems_nlmsg_parse(h, s), 0);
		if (strcmp(nftnl_set_get_str(s, NFTNL_SET_NAME), name) == 0) {
			messages++;
			nftnl_set_elem_foreach(s, take_element, NULL);
		}
		nftnl_set_free(s);
	}
	return messages;
}

static void
assert_element(size_t n, const char *key, bool end)
{
	uint8_t ip[16];
	int family = strchr(key, ':') != NULL ? AF_INET6 : AF_INET;

	assert_true(n < nelements);
	assert_int_equal(inet_pton(family, key, ip), 1);
	assert_int_equal(elements[n].len, family == AF_INET ? 4 : 16);
	assert_memory_equal(elements[n].key, ip, elements[n].len);
	assert_int_equal(elements[n].end, end);
}

static void
assert_port(size_t n, uint16_t port, bool end)
{
	assert_true(n < nelements);
	assert_int_equal(elements[n].len, 2);
	assert_int_equal(elements[n].key[0] << 8 | elements[n].key[1], port);
	assert_int_equal(elements[n].end, end);
}

/* ---- tests ---- */

static uint32_t
table_flags(const struct nlmsghdr *h)
{
	struct nftnl_table *t = nftnl_table_alloc();
	uint32_t flags = 0;

	assert_int_equal(nftnl_table_nlmsg_parse(h, t), 0);
	assert_string_equal(nftnl_table_get_str(t, NFTNL_TABLE_NAME),
	    "ro-ro-tcp");
	if (nftnl_table_is_set(t, NFTNL_TABLE_FLAGS))
		flags = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS);
	nftnl_table_free(t);
	return flags;
}

static void
one_transaction_replaces_the_table(void **state)
{
	struct ruleset_plan plan = tproxy_plan();
	uint32_t number = 0;
	struct nlmsghdr *h;

	(void)state;
	install(&plan);
	for (h = next(NULL); h != NULL; h = next(h)) {
		assert_int_equal(h->nlmsg_seq, number++);
		assert_true((h->nlmsg_flags & NLM_F_REQUEST) != 0);
		assert_true((h->nlmsg_flags & NLM_F_ACK) == 0);
	}
	assert_int_equal(number, batch.messages);
	h = next(NULL);
	assert_int_equal(h->nlmsg_type, NFNL_MSG_BATCH_BEGIN);
	h = next(h);
	assert_true(is(h, NFT_MSG_NEWTABLE));
	assert_int_equal(table_flags(h), 0);
	h = next(h);
	assert_true(is(h, NFT_MSG_DELTABLE));
	h = next(h);
	assert_true(is(h, NFT_MSG_NEWTABLE));
	assert_int_equal(table_flags(h), 2);
	assert_int_equal(count(NFT_MSG_NEWTABLE), 2);
}

static void
without_owner_the_table_has_no_flag(void **state)
{
	struct ruleset_plan plan = tproxy_plan();

	(void)state;
	plan.owner = false;
	install(&plan);
	for (struct nlmsghdr *h = next(NULL); h != NULL; h = next(h))
		if (is(h, NFT_MSG_NEWTABLE))
			assert_int_equal(table_flags(h), 0);
}

static void
a_name_is_compared_whole_and_a_wildcard_by_its_beginning(void **state)
{
	struct ruleset_plan plan = tproxy_plan();
	const char whole[16] = "eth0.10";
	struct nftnl_rule *r;

	(void)state;
	install(&plan);
	r = find_rule("prerouting", "");
	assert_string_equal(shape(r), "meta cmp immediate");
	assert_data(r, 1, NFTNL_EXPR_CMP_DATA, whole, sizeof(whole));
	nftnl_rule_free(r);

	plan.interfaces = lan + 1;
	plan.ninterfaces = 1;
	install(&plan);
	r = find_rule("prerouting", "");
	assert_data(r, 1, NFTNL_EXPR_CMP_DATA, "wg", 2);
	nftnl_rule_free(r);
}

static void
the_mark_comes_behind_tproxy_and_keeps_the_bits_of_others(void **state)
{
	struct ruleset_plan plan = tproxy_plan();
	const uint32_t keep = 0xf0ffffff, mark = 0x05000000;
	struct nftnl_rule *r;

	(void)state;
	plan.mark = mark;
	plan.mask = 0x0f000000;
	install(&plan);
	r = find_rule("new", "to rorod");
	assert_string_equal(shape(r), "meta cmp immediate tproxy "
	    "meta bitwise meta counter immediate");
	assert_data(r, 2, NFTNL_EXPR_IMM_DATA, "\x04\x43", 2);
	assert_data(r, 5, NFTNL_EXPR_BITWISE_MASK, &keep, 4);
	assert_data(r, 5, NFTNL_EXPR_BITWISE_XOR, &mark, 4);
	nftnl_rule_free(r);
	assert_shape("known", "", "socket cmp meta bitwise meta counter "
	    "immediate");
}

static void
tproxy_is_a_filter_and_leaves_no_keeper(void **state)
{
	struct ruleset_plan plan = tproxy_plan();

	(void)state;
	install(&plan);
	assert_base("ro-ro-tcp", NF_INET_PRE_ROUTING, "filter");
	assert_base("ro-ro-tcp", NF_INET_LOCAL_OUT, NULL);
	assert_base("ro-ro-tcp-nat", NF_INET_PRE_ROUTING, NULL);
}

static void
redirect_is_nat_and_leaves_a_keeper_that_nobody_owns(void **state)
{
	struct ruleset_plan plan = redirect_plan();
	const struct nlmsghdr *h, *last = NULL;
	struct nftnl_table *t;

	(void)state;
	install(&plan);
	assert_base("ro-ro-tcp", NF_INET_PRE_ROUTING, "nat");
	assert_base("ro-ro-tcp-nat", NF_INET_PRE_ROUTING, "nat");
	assert_shape("new", "to rorod", "meta cmp counter immediate redir");
	assert_shape("prerouting", "so that connections are tracked",
	    "ct bitwise cmp immediate");
	for (h = next(NULL); h != NULL; h = next(h))
		if (is(h, NFT_MSG_NEWTABLE))
			last = h;
	t = nftnl_table_alloc();
	assert_int_equal(nftnl_table_nlmsg_parse(last, t), 0);
	assert_string_equal(nftnl_table_get_str(t, NFTNL_TABLE_NAME),
	    "ro-ro-tcp-nat");
	assert_false(nftnl_table_is_set(t, NFTNL_TABLE_FLAGS) &&
	    nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) != 0);
	nftnl_table_free(t);
	assert_int_equal(count(NFT_MSG_DELTABLE), 2);	/* in place of old */
}

static void
only_a_syn_is_a_new_connection(void **state)
{
	struct ruleset_plan plan = redirect_plan();
	struct nftnl_rule *r;

	(void)state;
	install(&plan);
	r = find_rule("lan", "new connections");
	assert_string_equal(shape(r), "meta cmp payload bitwise cmp "
	    "immediate");
	assert_data(r, 3, NFTNL_EXPR_BITWISE_MASK, "\x17", 1);
	assert_data(r, 4, NFTNL_EXPR_CMP_DATA, "\x02", 1);
	nftnl_rule_free(r);
}

static void
own_connections_pass_before_all_else_if_they_are_marked(void **state)
{
	struct ruleset_plan plan = tproxy_plan();
	struct nftnl_rule *r;

	(void)state;
	plan.own_port = 1094;
	install(&plan);
	assert_base("ro-ro-tcp", NF_INET_LOCAL_OUT, "nat");
	assert_base("ro-ro-tcp-nat", NF_INET_PRE_ROUTING, "nat");
	r = find_rule("output", "");		/* the first of the chain */
	assert_string_equal(shape(r), "meta bitwise cmp immediate");
	assert_data(r, 1, NFTNL_EXPR_BITWISE_MASK, &plan.mask, 4);
	assert_data(r, 2, NFTNL_EXPR_CMP_DATA, &plan.mark, 4);
	nftnl_rule_free(r);
	r = find_rule("own", "to rorod");
	assert_data(r, 3, NFTNL_EXPR_IMM_DATA, "\x04\x46", 2);
	nftnl_rule_free(r);
}

static void
own_connections_alone_need_no_interface(void **state)
{
	struct ruleset_plan plan = redirect_plan();

	(void)state;
	plan.port = 0;
	plan.ninterfaces = 0;
	plan.own_port = 1094;
	install(&plan);
	assert_base("ro-ro-tcp", NF_INET_PRE_ROUTING, NULL);
	assert_base("ro-ro-tcp", NF_INET_LOCAL_OUT, "nat");
}

static void
quic_is_refused_only_if_asked_for(void **state)
{
	struct ruleset_plan plan = tproxy_plan();

	(void)state;
	install(&plan);
	assert_null(find_rule("lan", "QUIC"));
	assert_null(find_rule("new", "QUIC"));
	plan.reject_quic = true;
	plan.own_port = 1094;
	install(&plan);
	assert_shape("lan", "QUIC", "meta cmp payload cmp payload bitwise cmp "
	    "immediate");
	assert_shape("new", "QUIC", "meta cmp counter reject");
	assert_shape("output", "QUIC", "meta cmp payload cmp payload bitwise "
	    "cmp immediate");
	assert_shape("own", "QUIC", "meta cmp counter reject");
}

static void
ports_are_those_wanted_without_bgp_and_the_listener(void **state)
{
	const struct ruleset_ports only[] = { { 80, 90 }, { 170, 180 } };
	const struct ruleset_ports except[] = { { 85, 85 }, { 90, 100 } };
	struct ruleset_plan plan = tproxy_plan();

	(void)state;
	install(&plan);
	take_elements(NFT_MSG_NEWSETELEM, "ports");
	assert_int_equal(nelements, 5);
	assert_port(0, 1, false);
	assert_port(1, 179, true);
	assert_port(2, 180, false);
	assert_port(3, 1091, true);
	assert_port(4, 1092, false);		/* up to the top */

	plan.only = only;
	plan.nonly = 2;
	plan.except = except;
	plan.nexcept = 2;
	install(&plan);
	take_elements(NFT_MSG_NEWSETELEM, "ports");
	assert_int_equal(nelements, 8);
	assert_port(0, 80, false);
	assert_port(1, 85, true);
	assert_port(2, 86, false);
	assert_port(3, 90, true);
	assert_port(4, 170, false);
	assert_port(5, 179, true);
	assert_port(6, 180, false);
	assert_port(7, 181, true);
}

static void
prefixes_go_to_the_set_of_their_family_and_are_joined(void **state)
{
	const struct ruleset_prefix bypass[] = {
		prefix("10.1.0.0", 16), prefix("2001:db8::", 32),
		prefix("10.0.0.0", 8), prefix("192.0.2.128", 25),
		prefix("192.0.2.0", 25),
	};
	const struct ruleset_prefix relays[] = {
		prefix("198.51.100.1", 32), prefix("2001:db8:9::1", 128),
	};
	struct ruleset_plan plan = tproxy_plan();

	(void)state;
	plan.bypass = bypass;
	plan.nbypass = 5;
	plan.relays = relays;
	plan.nrelays = 2;
	install(&plan);
	take_elements(NFT_MSG_NEWSETELEM, "bypass4");
	assert_int_equal(nelements, 4);
	assert_element(0, "10.0.0.0", false);
	assert_element(1, "11.0.0.0", true);
	assert_element(2, "192.0.2.0", false);
	assert_element(3, "192.0.3.0", true);
	take_elements(NFT_MSG_NEWSETELEM, "bypass6");
	assert_int_equal(nelements, 2);
	assert_element(0, "2001:db8::", false);
	assert_element(1, "2001:db9::", true);
	take_elements(NFT_MSG_NEWSETELEM, "relays4");
	assert_int_equal(nelements, 1);
	assert_element(0, "198.51.100.1", false);
	take_elements(NFT_MSG_NEWSETELEM, "relays6");
	assert_int_equal(nelements, 1);
	assert_element(0, "2001:db8:9::1", false);
}

static void
everything_may_be_bypassed(void **state)
{
	const struct ruleset_prefix all = prefix("0.0.0.0", 0);
	struct ruleset_plan plan = tproxy_plan();

	(void)state;
	plan.bypass = &all;
	plan.nbypass = 1;
	install(&plan);
	take_elements(NFT_MSG_NEWSETELEM, "bypass4");
	assert_int_equal(nelements, 1);
	assert_element(0, "0.0.0.0", false);
}

static void
a_long_list_takes_several_messages(void **state)
{
	struct ruleset_prefix bypass[400];
	struct ruleset_plan plan = tproxy_plan();

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		bypass[i] = prefix("10.0.0.0", 32);
		bypass[i].ip[2] = (uint8_t)(i / 100);
		bypass[i].ip[3] = (uint8_t)(2 * (i % 100));
	}
	plan.bypass = bypass;
	plan.nbypass = 400;
	install(&plan);
	assert_true(take_elements(NFT_MSG_NEWSETELEM, "bypass4") > 1);
	assert_int_equal(nelements, 800);
	for (size_t i = 0; i < nelements; i++)
		assert_int_equal(elements[i].end, i % 2);
}

static void
a_heartbeat_replaces_what_is_intercepted(void **state)
{
	(void)state;
	assert_int_equal(ruleset_heartbeat(&batch, memory, sizeof(memory),
	    RULESET_IPV4 | RULESET_IPV6, 8000), 0);
	assert_int_equal(take_elements(NFT_MSG_DELSETELEM, "intercepted"), 1);
	assert_int_equal(nelements, 0);			/* all of them */
	take_elements(NFT_MSG_NEWSETELEM, "intercepted");
	assert_int_equal(nelements, 2);
	assert_int_equal(elements[0].len, 1);
	assert_int_equal(elements[0].key[0], NFPROTO_IPV4);
	assert_int_equal(elements[0].timeout_ms, 8000);
	assert_int_equal(elements[1].key[0], NFPROTO_IPV6);
	assert_int_equal(batch.messages, 4);
}

static void
a_heartbeat_for_no_family_ends_interception(void **state)
{
	(void)state;
	assert_int_equal(ruleset_heartbeat(&batch, memory, sizeof(memory), 0,
	    8000), 0);
	assert_int_equal(take_elements(NFT_MSG_DELSETELEM, "intercepted"), 1);
	assert_int_equal(take_elements(NFT_MSG_NEWSETELEM, "intercepted"), 0);
}

static void
a_change_of_the_bypass_names_the_difference_only(void **state)
{
	const struct ruleset_prefix before[] = {
		prefix("10.0.0.0", 8), prefix("192.0.2.0", 24),
		prefix("2001:db8::", 32),
	};
	const struct ruleset_prefix now[] = {
		prefix("2001:db8::", 32), prefix("192.0.2.0", 23),
		prefix("10.0.0.0", 9), prefix("10.128.0.0", 9),
		prefix("172.16.0.0", 12),
	};

	(void)state;
	assert_int_equal(ruleset_bypass(&batch, memory, sizeof(memory),
	    (struct ruleset_prefixes){ before, 3 },
	    (struct ruleset_prefixes){ now, 5 }), 0);
	assert_int_equal(batch.messages, 4);
	take_elements(NFT_MSG_DELSETELEM, "bypass4");
	assert_int_equal(nelements, 2);
	assert_element(0, "192.0.2.0", false);
	assert_element(1, "192.0.3.0", true);
	take_elements(NFT_MSG_NEWSETELEM, "bypass4");
	assert_int_equal(nelements, 4);
	assert_element(0, "172.16.0.0", false);
	assert_element(1, "172.32.0.0", true);
	assert_element(2, "192.0.2.0", false);
	assert_element(3, "192.0.4.0", true);
}

static void
a_change_that_is_none_deletes_nothing(void **state)
{
	const struct ruleset_prefix same[] = { prefix("10.0.0.0", 8) };

	(void)state;
	assert_int_equal(ruleset_bypass(&batch, memory, sizeof(memory),
	    (struct ruleset_prefixes){ same, 1 },
	    (struct ruleset_prefixes){ same, 1 }), 0);
	assert_int_equal(batch.messages, 2);	/* begin and end */
}

static void
relays_are_replaced(void **state)
{
	const struct ruleset_prefix now[] = { prefix("192.0.2.7", 32) };

	(void)state;
	assert_int_equal(ruleset_relays(&batch, memory, sizeof(memory),
	    (struct ruleset_prefixes){ now, 1 }), 0);
	assert_int_equal(take_elements(NFT_MSG_DELSETELEM, "relays4"), 1);
	assert_int_equal(nelements, 0);
	assert_int_equal(take_elements(NFT_MSG_DELSETELEM, "relays6"), 1);
	assert_int_equal(nelements, 0);
	take_elements(NFT_MSG_NEWSETELEM, "relays4");
	assert_int_equal(nelements, 1);
	assert_element(0, "192.0.2.7", false);
	assert_int_equal(take_elements(NFT_MSG_NEWSETELEM, "relays6"), 0);
}

static void
a_refusal_is_keyed_by_address_and_port(void **state)
{
	static const uint8_t key4[8] = { 192, 0, 2, 7, 0x1f, 0x90 };
	static const uint8_t key6[20] = { 0x20, 1, 0xd, 0xb8, [15] = 7,
		[16] = 0, [17] = 80 };
	struct ruleset_refusal r = { .family = 4, .ip = { 192, 0, 2, 7 },
		.port = 8080, .kind = RULESET_REFUSE_RESET,
		.timeout_ms = 5000 };

	(void)state;
	assert_int_equal(ruleset_refuse(&batch, memory, sizeof(memory), &r),
	    0);
	take_elements(NFT_MSG_NEWSETELEM, "refused4");
	assert_int_equal(nelements, 1);
	assert_int_equal(elements[0].len, sizeof(key4));
	assert_memory_equal(elements[0].key, key4, sizeof(key4));
	assert_string_equal(elements[0].chain, "refuse-reset");
	assert_int_equal(elements[0].timeout_ms, 5000);

	r = (struct ruleset_refusal){ .family = 6,
		.ip = { 0x20, 1, 0xd, 0xb8, [15] = 7 }, .port = 80,
		.kind = RULESET_REFUSE_HOST, .timeout_ms = 1 };
	assert_int_equal(ruleset_refuse(&batch, memory, sizeof(memory), &r),
	    0);
	take_elements(NFT_MSG_NEWSETELEM, "refused6");
	assert_int_equal(nelements, 1);
	assert_int_equal(elements[0].len, sizeof(key6));
	assert_memory_equal(elements[0].key, key6, sizeof(key6));
	assert_string_equal(elements[0].chain, "refuse-host");
}

static void
refusals_are_bounded(void **state)
{
	struct ruleset_plan plan = tproxy_plan();
	unsigned bounded = 0;

	(void)state;
	install(&plan);
	assert_null(find_rule("direct", "what the relay could not reach"));
	plan.refused_max = 512;
	install(&plan);
	assert_shape("direct", "what the relay could not reach",
	    "meta cmp meta cmp payload payload lookup");
	for (struct nlmsghdr *h = next(NULL); h != NULL; h = next(h)) {
		struct nftnl_set *s;

		if (!is(h, NFT_MSG_NEWSET))
			continue;
		s = nftnl_set_alloc();
		assert_int_equal(nftnl_set_nlmsg_parse(h, s), 0);
		if ((nftnl_set_get_u32(s, NFTNL_SET_FLAGS) & NFT_SET_MAP) != 0)
			bounded += nftnl_set_get_u32(s,
			    NFTNL_SET_DESC_SIZE) == 512;
		nftnl_set_free(s);
	}
	assert_int_equal(bounded, 2);
}

static void
removal_works_whether_the_table_is_there_or_not(void **state)
{
	(void)state;
	assert_int_equal(ruleset_remove(&batch, memory, sizeof(memory)), 0);
	assert_int_equal(batch.messages, 4);
	assert_true(is(next(next(NULL)), NFT_MSG_NEWTABLE));
	assert_int_equal(table_flags(next(next(NULL))), 0);
	assert_true(is(next(next(next(NULL))), NFT_MSG_DELTABLE));
	assert_int_equal(ruleset_remove_keeper(&batch, memory,
	    sizeof(memory)), 0);
	assert_int_equal(count(NFT_MSG_DELTABLE), 1);
}

static void
a_buffer_that_is_too_small_is_told(void **state)
{
	struct ruleset_plan plan = redirect_plan();
	size_t whole;

	(void)state;
	plan.own_port = 1094;
	plan.reject_quic = true;
	plan.refused_max = 100;
	install(&plan);
	whole = batch.used;
	assert_true(whole < RULESET_BUFFER / 2);
	for (size_t size = 0; size < whole; size += 4) {
		void *exact = malloc(size > 0 ? size : 1);

		assert_non_null(exact);
		assert_int_equal(ruleset_install(&batch, exact, size, &plan),
		    -ENOBUFS);
		assert_true(batch.used <= size);
		free(exact);
	}
	assert_int_equal(ruleset_install(&batch, memory, whole, &plan), 0);
}

static void
what_is_wrong_with_a_plan_is_told(void **state)
{
	static const char *const bad_names[] = { "", ".", "..", "*", "a/b",
		"a b", "a*b", "w**", "a:1", "0123456789abcdef" };
	const struct ruleset_prefix half = prefix("192.0.2.0", 24);
	const struct ruleset_prefix strange = { .family = 4, .length = 33 };
	const struct ruleset_ports backward = { 90, 80 };
	const struct ruleset_plan good = tproxy_plan();
	struct ruleset_plan plan = good;

	(void)state;
	assert_null(ruleset_fault(&plan));
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(*bad_names); i++) {
		plan.interfaces = &bad_names[i];
		plan.ninterfaces = 1;
		assert_non_null(ruleset_fault(&plan));
	}
	plan = good;
	plan.ninterfaces = 0;
	assert_non_null(ruleset_fault(&plan));
	plan = good;
	plan.port = 0;
	assert_non_null(ruleset_fault(&plan));
	plan = good;
	plan.mark = 0x30000000;
	assert_non_null(ruleset_fault(&plan));
	plan = good;
	plan.relays = &half;
	plan.nrelays = 1;
	assert_non_null(ruleset_fault(&plan));
	plan = good;
	plan.bypass = &strange;
	plan.nbypass = 1;
	assert_non_null(ruleset_fault(&plan));
	plan = good;
	plan.except = &backward;
	plan.nexcept = 1;
	assert_non_null(ruleset_fault(&plan));
	plan = good;
	plan.families = 4;
	assert_non_null(ruleset_fault(&plan));
}

static void
a_pattern_stands_for_names_that_begin_so(void **state)
{
	(void)state;
	assert_true(ruleset_interface_is("wg*", "wg0"));
	assert_true(ruleset_interface_is("wg*", "wg"));
	assert_false(ruleset_interface_is("wg*", "w"));
	assert_false(ruleset_interface_is("l*", "lo"));
	assert_true(ruleset_interface_is("l*", "lo0"));
	assert_true(ruleset_interface_is("eth0.10", "eth0.10"));
	assert_false(ruleset_interface_is("eth0.1", "eth0.10"));
	assert_false(ruleset_interface_is("eth0.10", "eth0.1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_transaction_replaces_the_table),
		cmocka_unit_test(without_owner_the_table_has_no_flag),
		cmocka_unit_test(
		    a_name_is_compared_whole_and_a_wildcard_by_its_beginning),
		cmocka_unit_test(
		    the_mark_comes_behind_tproxy_and_keeps_the_bits_of_others),
		cmocka_unit_test(tproxy_is_a_filter_and_leaves_no_keeper),
		cmocka_unit_test(
		    redirect_is_nat_and_leaves_a_keeper_that_nobody_owns),
		cmocka_unit_test(only_a_syn_is_a_new_connection),
		cmocka_unit_test(
		    own_connections_pass_before_all_else_if_they_are_marked),
		cmocka_unit_test(own_connections_alone_need_no_interface),
		cmocka_unit_test(quic_is_refused_only_if_asked_for),
		cmocka_unit_test(
		    ports_are_those_wanted_without_bgp_and_the_listener),
		cmocka_unit_test(
		    prefixes_go_to_the_set_of_their_family_and_are_joined),
		cmocka_unit_test(everything_may_be_bypassed),
		cmocka_unit_test(a_long_list_takes_several_messages),
		cmocka_unit_test(a_heartbeat_replaces_what_is_intercepted),
		cmocka_unit_test(a_heartbeat_for_no_family_ends_interception),
		cmocka_unit_test(
		    a_change_of_the_bypass_names_the_difference_only),
		cmocka_unit_test(a_change_that_is_none_deletes_nothing),
		cmocka_unit_test(relays_are_replaced),
		cmocka_unit_test(a_refusal_is_keyed_by_address_and_port),
		cmocka_unit_test(refusals_are_bounded),
		cmocka_unit_test(
		    removal_works_whether_the_table_is_there_or_not),
		cmocka_unit_test(a_buffer_that_is_too_small_is_told),
		cmocka_unit_test(what_is_wrong_with_a_plan_is_told),
		cmocka_unit_test(a_pattern_stands_for_names_that_begin_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
