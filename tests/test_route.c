/* SPDX-License-Identifier: ISC */
/*
 * The decoder of rules and routes, and of what changes.
 */
#include "nft/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/fib_rules.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include <cmocka.h>

#include "nft/watch.h"

static uint32_t memory[256];

static struct nlmsghdr *
rule(uint16_t type, uint8_t family, uint8_t protocol)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(memory);
	struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(h,
	    sizeof(*head));

	h->nlmsg_type = type;
	head->family = family;
	head->action = FR_ACT_TO_TBL;
	head->table = 7;
	mnl_attr_put_u32(h, FRA_TABLE, 1092);
	mnl_attr_put_u32(h, FRA_PRIORITY, 100);
	mnl_attr_put_u32(h, FRA_FWMARK, 0x10000000);
	mnl_attr_put_u32(h, FRA_FWMASK, 0x30000000);
	mnl_attr_put_u8(h, FRA_PROTOCOL, protocol);
	mnl_attr_put_strz(h, FRA_IIFNAME, "eth0.10");
	return h;
}

static struct nlmsghdr *
route(uint16_t type, uint8_t family, uint8_t protocol, uint8_t what)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(memory);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(h, sizeof(*head));

	h->nlmsg_type = type;
	head->rtm_family = family;
	head->rtm_protocol = protocol;
	head->rtm_type = what;
	head->rtm_table = 252;
	mnl_attr_put_u32(h, RTA_TABLE, 1092);
	return h;
}

static void
a_rule_of_ours_is_read_whole(void **state)
{
	struct route_rule r;

	(void)state;
	assert_true(route_read_rule(rule(RTM_NEWRULE, AF_INET6,
	    ROUTE_PROTOCOL), AF_INET6, &r));
	assert_string_equal(r.interface, "eth0.10");
	assert_int_equal(r.mark, 0x10000000);
	assert_int_equal(r.mask, 0x30000000);
	assert_int_equal(r.table, 1092);
	assert_int_equal(r.priority, 100);
}

static void
rules_and_routes_of_others_are_none_of_ours(void **state)
{
	struct route_local l;
	struct route_rule r;

	(void)state;
	assert_false(route_read_rule(rule(RTM_NEWRULE, AF_INET,
	    RTPROT_STATIC), AF_INET, &r));
	assert_false(route_read_rule(rule(RTM_NEWRULE, AF_INET,
	    ROUTE_PROTOCOL), AF_INET6, &r));
	assert_true(route_read_local(route(RTM_NEWROUTE, AF_INET,
	    RTPROT_BOOT, RTN_LOCAL), AF_INET, &l));
	assert_false(l.ours);
	assert_false(route_read_local(route(RTM_NEWROUTE, AF_INET6,
	    ROUTE_PROTOCOL, RTN_LOCAL), AF_INET, &l));
}

static void
a_route_of_ours_is_read(void **state)
{
	struct route_local l;

	(void)state;
	assert_true(route_read_local(route(RTM_NEWROUTE, AF_INET,
	    ROUTE_PROTOCOL, RTN_LOCAL), AF_INET, &l));
	assert_int_equal(l.table, 1092);
	assert_true(l.everything);
	assert_true(l.ours);
	assert_true(route_read_local(route(RTM_NEWROUTE, AF_INET,
	    ROUTE_PROTOCOL, RTN_UNICAST), AF_INET, &l));
	assert_false(l.everything);
}

static unsigned
changed(const struct nlmsghdr *h)
{
	return watch_parse(h, h->nlmsg_len);
}

static void
what_changed_is_told(void **state)
{
	static const struct {
		uint16_t type;
		unsigned bits;
	} events[] = {
		{ RTM_NEWLINK, WATCH_LINKS }, { RTM_DELLINK, WATCH_LINKS },
		{ RTM_NEWADDR, WATCH_ADDRESSES },
		{ RTM_DELADDR, WATCH_ADDRESSES },
		{ RTM_NEWROUTE, WATCH_ROUTES }, { RTM_DELROUTE, WATCH_ROUTES },
		{ RTM_NEWRULE, WATCH_RULES }, { RTM_DELRULE, WATCH_RULES },
		{ RTM_NEWNEIGH, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct nlmsghdr *h = mnl_nlmsg_put_header(memory);

		h->nlmsg_type = events[i].type;
		(void)mnl_nlmsg_put_extra_header(h, sizeof(struct rtmsg));
		assert_int_equal(changed(h), events[i].bits);
	}
}

/* So that installing does not make us look again, and losing one does. */
static void
what_we_add_is_no_change_and_what_goes_is_one(void **state)
{
	(void)state;
	assert_int_equal(changed(rule(RTM_NEWRULE, AF_INET,
	    ROUTE_PROTOCOL)), 0);
	assert_int_equal(changed(rule(RTM_DELRULE, AF_INET,
	    ROUTE_PROTOCOL)), WATCH_RULES);
	assert_int_equal(changed(rule(RTM_NEWRULE, AF_INET,
	    RTPROT_STATIC)), WATCH_RULES);
	assert_int_equal(changed(route(RTM_NEWROUTE, AF_INET6,
	    ROUTE_PROTOCOL, RTN_LOCAL)), 0);
	assert_int_equal(changed(route(RTM_DELROUTE, AF_INET6,
	    ROUTE_PROTOCOL, RTN_LOCAL)), WATCH_ROUTES);
}

/* Of `table`, from the socket `port`. */
static const struct nlmsghdr *
of_tables(unsigned type, const char *table, uint32_t port)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(memory);

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	h->nlmsg_pid = port;
	(void)mnl_nlmsg_put_extra_header(h, sizeof(struct nfgenmsg));
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	return h;
}

static bool
removed(const struct nlmsghdr *h)
{
	return watch_tables_parse(h, h->nlmsg_len, 7);
}

static void
who_removes_what_is_ours_is_noticed(void **state)
{
	static const unsigned types[] = { NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN,
		NFT_MSG_DELRULE, NFT_MSG_DELSET };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_true(removed(of_tables(types[i], "ro-ro-tcp", 8)));
		assert_true(removed(of_tables(types[i], "ro-ro-tcp-nat", 8)));
		assert_false(removed(of_tables(types[i], "ro-ro-tcp", 7)));
		assert_false(removed(of_tables(types[i], "ro-ro-tc", 8)));
		assert_false(removed(of_tables(types[i],
		    "ro-ro-tcp-static", 8)));
	}
	assert_false(removed(of_tables(NFT_MSG_NEWTABLE, "ro-ro-tcp", 8)));
	assert_false(removed(of_tables(NFT_MSG_DELSETELEM, "ro-ro-tcp", 8)));
	assert_false(removed(route(RTM_DELROUTE, AF_INET, RTPROT_STATIC,
	    RTN_LOCAL)));
}

static void
cut_messages_of_tables_are_harmless(void **state)
{
	const struct nlmsghdr *h = of_tables(NFT_MSG_DELTABLE, "ro-ro-tcp", 8);
	const uint32_t whole = h->nlmsg_len;

	(void)state;
	for (uint32_t len = sizeof(*h); len <= whole; len++) {
		struct nlmsghdr *exact = malloc(len);

		assert_non_null(exact);
		memcpy(exact, h, len);
		exact->nlmsg_len = len;
		(void)watch_tables_parse(exact, len, 7);
		free(exact);
	}
}

static void
cut_messages_are_harmless(void **state)
{
	struct nlmsghdr *h = rule(RTM_NEWRULE, AF_INET, ROUTE_PROTOCOL);
	const uint32_t whole = h->nlmsg_len;

	(void)state;
	for (uint32_t len = sizeof(*h); len <= whole; len++) {
		for (uint16_t type = RTM_NEWROUTE; type <= RTM_DELRULE;
		    type++) {
			struct nlmsghdr *exact = malloc(len);

			assert_non_null(exact);
			memcpy(exact, h, len);
			exact->nlmsg_len = len;
			exact->nlmsg_type = type;
			(void)watch_parse(exact, len);
			free(exact);
		}
	}
}

static void
a_name_that_is_too_long_is_cut(void **state)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(memory);
	struct route_rule r;

	(void)state;
	(void)mnl_nlmsg_put_extra_header(h, sizeof(struct fib_rule_hdr));
	mnl_attr_put(h, FRA_IIFNAME, 20, "0123456789abcdefghij");
	(void)route_read_rule(h, AF_INET, &r);
	assert_string_equal(r.interface, "0123456789abcde");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_of_ours_is_read_whole),
		cmocka_unit_test(rules_and_routes_of_others_are_none_of_ours),
		cmocka_unit_test(a_route_of_ours_is_read),
		cmocka_unit_test(what_changed_is_told),
		cmocka_unit_test(what_we_add_is_no_change_and_what_goes_is_one),
		cmocka_unit_test(who_removes_what_is_ours_is_noticed),
		cmocka_unit_test(cut_messages_of_tables_are_harmless),
		cmocka_unit_test(cut_messages_are_harmless),
		cmocka_unit_test(a_name_that_is_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
