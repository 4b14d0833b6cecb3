/* SPDX-License-Identifier: ISC */
/*
 * What the kernel lists, as it was recorded (tests/record) on Linux 6.1: the
 * listings in tests/data/check/gateway and fw4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check_fate.h"
#include "check_listing.h"
#include "check_nft.h"
#include "check_report.h"
#include "check_route.h"
#include "nft/policy.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct check_listing
recorded(const char *tree, enum check_list list)
{
	const char *srcdir = getenv("srcdir");
	char *root = check_format("%s/tests/data/check/%s", srcdir != NULL ?
	    srcdir : ".", tree);
	const struct check_machine m = { .root = root };
	struct check_listing l;

	check_listing(&m, list, &l);
	assert_non_null(l.bytes);
	free(root);
	return l;
}

/* ---- nf_tables ---- */

static void
tables_have_family_and_name(void **state)
{
	static const struct {
		const char *family, *name;
	} expected[] = {
		{ "inet", "quick" }, { "inet", "by-hand" }, { "ip", "nat" },
		{ "ip", "mangle" }, { "ip", "filter" },
	};
	struct check_listing l = recorded("gateway", CHECK_TABLES);
	struct netlink_cursor c = check_messages(&l);
	struct check_table t;

	(void)state;
	for (size_t i = 0; i < COUNT(expected); i++) {
		assert_true(check_next_table(&c, &t));
		assert_string_equal(t.name, expected[i].name);
		assert_string_equal(check_family_text(t.family),
		    expected[i].family);
		assert_false(t.owned);
	}
	assert_false(check_next_table(&c, &t));
	check_free_listing(&l);
}

static void
flow_tables_have_their_interfaces(void **state)
{
	struct check_listing l = recorded("fw4", CHECK_FLOWTABLES);
	struct netlink_cursor c = check_messages(&l);
	struct check_flowtable f;

	(void)state;
	assert_true(check_next_flowtable(&c, &f));
	assert_string_equal(f.table, "fw4");
	assert_string_equal(f.name, "ft");
	assert_non_null(strstr(f.devices, "lan1"));
	assert_non_null(strstr(f.devices, "wan"));
	assert_non_null(strstr(f.devices, ", "));
	assert_false(f.hardware);
	assert_false(check_next_flowtable(&c, &f));
	check_free_listing(&l);
}

/* Of the table `quick`: the name of a chain says what is in it. */
static const struct offload {
	const char *chain;
	bool tcp, udp, fewer;
	uint16_t in, out;	/* ports; 0: none such */
} offloads[] = {
	{ "c-all", true, true, false, 1, 0 },
	{ "c-tcp", true, false, false, 1, 0 },
	{ "c-udp", false, true, false, 443, 442 },
	{ "c-one", true, false, false, 8080, 8081 },
	{ "c-but-one", true, false, false, 442, 443 },
	{ "c-range", true, false, false, 8999, 9000 },
	{ "c-but-range", true, false, false, 7999, 8000 },
	{ "c-from", true, false, false, 1024, 1023 },
	{ "c-to", true, false, false, 1023, 1024 },
	{ "c-set", true, false, true, 80, 0 },
	{ "c-source", true, false, false, 80, 0 },
	{ "c-not-tcp", false, true, false, 80, 0 },
	{ "c-established", true, false, false, 80, 0 },
};

static void
check_offload_rule(const struct check_rule *r, const struct offload *o)
{
	assert_int_equal(r->deed, CHECK_OFFLOAD);
	assert_string_equal(r->table, "quick");
	assert_string_equal(r->chain, o->chain);
	assert_string_equal(r->flowtable, "quick");
	assert_int_equal(r->tcp, o->tcp);
	assert_int_equal(r->udp, o->udp);
	assert_int_equal(r->fewer, o->fewer);
	assert_true(r->handle > 0);
	assert_true(check_ports_have(&r->ports, o->in));
	if (o->out != 0)
		assert_false(check_ports_have(&r->ports, o->out));
}

static void
rules_are_understood(void **state)
{
	static const struct {
		const char *table;
		enum check_deed deed;
		uint16_t port;
	} handing[] = {
		{ "by-hand", CHECK_REDIRECT, 1092 },
		{ "by-hand", CHECK_TPROXY, 1093 },
		{ "nat", CHECK_REDIRECT, 1092 },
		{ "mangle", CHECK_TPROXY, 1092 },
	};
	struct check_listing l = recorded("gateway", CHECK_RULES);
	struct netlink_cursor c = check_messages(&l);
	struct check_rule r;

	(void)state;
	for (size_t i = 0; i < COUNT(offloads); i++) {
		assert_true(check_next_rule(&c, &r));
		check_offload_rule(&r, &offloads[i]);
	}
	for (size_t i = 0; i < COUNT(handing); i++) {
		assert_true(check_next_rule(&c, &r));
		assert_string_equal(r.table, handing[i].table);
		assert_int_equal(r.deed, handing[i].deed);
		assert_int_equal(r.port, handing[i].port);
		assert_int_equal(r.iptables, i >= 2);
	}
	assert_false(check_next_rule(&c, &r));
	check_free_listing(&l);
}

static void
the_rule_of_fw4_is_about_everything(void **state)
{
	struct check_listing l = recorded("fw4", CHECK_RULES);
	struct netlink_cursor c = check_messages(&l);
	struct check_rule r;

	(void)state;
	assert_true(check_next_rule(&c, &r));
	assert_string_equal(r.table, "fw4");
	assert_string_equal(r.chain, "forward");
	assert_string_equal(r.flowtable, "ft");
	assert_true(r.tcp && r.udp && !r.fewer);
	assert_true(check_ports_have(&r.ports, 443));
	assert_false(check_next_rule(&c, &r));
	check_free_listing(&l);
}

/* ---- routing ---- */

/* The next one that has a mark. */
static bool
next_marked(struct netlink_cursor *c, struct policy *p)
{
	while (policy_next(c, p))
		if (p->mark != 0)
			return true;
	return false;
}

static void
rules_for_marks_are_found(void **state)
{
	struct check_listing l = recorded("gateway", CHECK_POLICY4);
	struct netlink_cursor c = check_messages(&l);
	struct policy p;

	(void)state;
	assert_true(next_marked(&c, &p));
	assert_string_equal(p.interface, "");
	assert_int_equal(p.mark, 1);
	assert_int_equal(p.mask, 0xff);
	assert_int_equal(p.table, 300);
	assert_int_equal(p.priority, 90);
	assert_false(p.ours);
	assert_true(p.diverts);
	assert_true(next_marked(&c, &p));
	assert_string_equal(p.interface, "lan");
	assert_int_equal(p.mark, 0x10000000);
	assert_int_equal(p.mask, 0x10000000);
	assert_int_equal(p.table, 2025);
	assert_int_equal(p.priority, 100);
	assert_true(p.ours);
	assert_false(next_marked(&c, &p));
	/* The kernel's own for local addresses is none that leads elsewhere. */
	c = check_messages(&l);
	assert_true(policy_next(&c, &p));
	assert_int_equal(p.priority, 0);
	assert_false(p.diverts);
	check_free_listing(&l);
}

static void
routes_that_deliver_everything_are_found(void **state)
{
	struct check_listing l = recorded("gateway", CHECK_LOCAL4);
	struct netlink_cursor c = check_messages(&l);
	struct check_route route;

	(void)state;
	do
		assert_true(check_next_route(&c, &route));
	while (!route.everything);
	assert_int_equal(route.table, 300);
	assert_true(route.local);
	assert_false(route.ours);
	do
		assert_true(check_next_route(&c, &route));
	while (!route.everything);
	assert_int_equal(route.table, 2025);
	assert_true(route.local);
	assert_true(route.ours);
	while (check_next_route(&c, &route))
		assert_false(route.everything);
	check_free_listing(&l);
}

static void
addresses_have_their_interface(void **state)
{
	struct check_listing l = recorded("fw4", CHECK_ADDRESSES);
	struct netlink_cursor c = check_messages(&l);
	struct check_address a;
	struct addr lan4, lan6;
	unsigned n4 = 0, n6 = 0;
	uint32_t index = 0;

	(void)state;
	assert_int_equal(addr_parse(&lan4, "192.168.1.1"), 0);
	assert_int_equal(addr_parse(&lan6, "fd00:1::1"), 0);
	while (check_next_address(&c, &a)) {
		if (addr_same_host(&a.address, &lan4)) {
			index = a.index;
			n4++;
			assert_true(a.global);
		}
		if (addr_same_host(&a.address, &lan6)) {
			n6++;
			assert_true(a.global);
			assert_int_equal(a.index, index);
		}
	}
	assert_int_equal(n4, 1);
	assert_int_equal(n6, 1);
	check_free_listing(&l);
}

/* ---- what is cut ---- */

/* All that is still there is read, and nothing behind it. */
static void
a_listing_can_end_anywhere(void **state)
{
	(void)state;
	for (enum check_list list = CHECK_TABLES; list < CHECK_NLISTS; list++) {
		bool firewall = list == CHECK_CHAINS || list == CHECK_SETS ||
		    list == CHECK_ELEMENTS;
		struct check_listing l = recorded(firewall ? "input_open" :
		    "gateway", list);

		for (size_t n = 0; n <= l.len; n++) {
			uint8_t *copy = malloc(n > 0 ? n : 1);
			const struct netlink_cursor all = { copy, n };
			struct netlink_cursor c;
			struct check_table t;
			struct check_rule r;
			struct check_flowtable f;
			struct policy p;
			struct check_route route;
			struct check_address a;

			assert_non_null(copy);
			memcpy(copy, l.bytes, n);
			for (c = all; check_next_table(&c, &t);)
				continue;
			for (c = all; check_next_rule(&c, &r);)
				continue;
			for (c = all; check_next_flowtable(&c, &f);)
				continue;
			for (c = all; policy_next(&c, &p);)
				continue;
			for (c = all; check_next_route(&c, &route);)
				continue;
			for (c = all; check_next_address(&c, &a);)
				continue;
			free(copy);
		}
		check_free_listing(&l);
	}
}

/* Cut or changed anywhere, the listings of a firewall give some verdict. */
static void
a_firewall_can_end_anywhere(void **state)
{
	static const enum check_list lists[] = { CHECK_RULES, CHECK_ELEMENTS };
	const struct check_packet packet = { .family = 2, .interface = "lan",
		.port = 443 };
	struct check_listing chains = recorded("input_open", CHECK_CHAINS);
	struct check_chain chain;

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct check_listing l = recorded("input_open", lists[i]);
		struct check_listing other = recorded("input_open",
		    lists[1 - i]);

		for (size_t n = 0; n <= 2 * l.len; n++) {
			size_t len = n <= l.len ? n : l.len;
			uint8_t *copy = malloc(len > 0 ? len : 1);
			struct netlink_cursor c = check_messages(&chains);
			const struct netlink_cursor one = { copy, len };
			const struct netlink_cursor two =
			    check_messages(&other);

			assert_non_null(copy);
			memcpy(copy, l.bytes, len);
			if (n > l.len)
				copy[n - l.len - 1] ^= 0xff;
			while (check_next_chain(&c, &chain))
				(void)check_drops(i == 0 ? one : two,
				    i == 0 ? two : one, &chain, &packet);
			free(copy);
		}
		check_free_listing(&l);
		check_free_listing(&other);
	}
	check_free_listing(&chains);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_have_family_and_name),
		cmocka_unit_test(flow_tables_have_their_interfaces),
		cmocka_unit_test(rules_are_understood),
		cmocka_unit_test(the_rule_of_fw4_is_about_everything),
		cmocka_unit_test(rules_for_marks_are_found),
		cmocka_unit_test(routes_that_deliver_everything_are_found),
		cmocka_unit_test(addresses_have_their_interface),
		cmocka_unit_test(a_listing_can_end_anywhere),
		cmocka_unit_test(a_firewall_can_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
