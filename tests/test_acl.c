/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "core/acl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct rule {
	bool permit;
	const char *prefix, *ports;
};

struct expected {
	const char *destination;
	enum acl_verdict verdict;
};

static struct addr
parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	if (a.port == 0)
		a.port = 443;
	return a;
}

static struct acl *
acl_of(const struct rule *rules, size_t nrules)
{
	struct acl *acl = acl_new();

	assert_non_null(acl);
	for (size_t i = 0; i < nrules; i++)
		assert_int_equal(acl_add(acl, rules[i].permit, rules[i].prefix,
		    rules[i].ports), 0);
	return acl;
}

static void
assert_verdicts(const struct acl *acl, const struct addr *own, size_t nown,
    const struct expected *expected, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct addr a = parsed(expected[i].destination);
		enum acl_verdict got = acl_check(acl, &a, own, nown);

		if (got != expected[i].verdict)
			print_error("%s: %s\n", expected[i].destination,
			    acl_verdict_text(got));
		assert_int_equal(got, expected[i].verdict);
	}
}

/* ---- no rules ---- */

/*
 * What a relay without rules reaches: for each special range of the IANA
 * registries (RFC 6890) and of older RFCs the address before it, its first, its
 * last, and the one after it.
 */
static const struct expected reachable[] = {
	/* nothing special */
	{ "8.8.8.8", ACL_PERMIT },
	{ "2001:4860:4860::8888", ACL_PERMIT },
	/* this network, unspecified: 0.0.0.0/8 */
	{ "0.0.0.0", ACL_DENY_SPECIAL },
	{ "0.255.255.255", ACL_DENY_SPECIAL },
	{ "1.0.0.0", ACL_PERMIT },
	/* private: 10.0.0.0/8 */
	{ "9.255.255.255", ACL_PERMIT },
	{ "10.0.0.0", ACL_DENY_SPECIAL },
	{ "10.255.255.255", ACL_DENY_SPECIAL },
	{ "11.0.0.0", ACL_PERMIT },
	/* shared, a carrier's NAT: 100.64.0.0/10 */
	{ "100.63.255.255", ACL_PERMIT },
	{ "100.64.0.0", ACL_DENY_SPECIAL },
	{ "100.127.255.255", ACL_DENY_SPECIAL },
	{ "100.128.0.0", ACL_PERMIT },
	/* loopback: 127.0.0.0/8 */
	{ "126.255.255.255", ACL_PERMIT },
	{ "127.0.0.0", ACL_DENY_SPECIAL },
	{ "127.0.0.1", ACL_DENY_SPECIAL },
	{ "127.255.255.255", ACL_DENY_SPECIAL },
	{ "128.0.0.0", ACL_PERMIT },
	/* link-local, metadata of clouds: 169.254.0.0/16 */
	{ "169.253.255.255", ACL_PERMIT },
	{ "169.254.0.0", ACL_DENY_SPECIAL },
	{ "169.254.169.254", ACL_DENY_SPECIAL },
	{ "169.254.255.255", ACL_DENY_SPECIAL },
	{ "169.255.0.0", ACL_PERMIT },
	/* private: 172.16.0.0/12 */
	{ "172.15.255.255", ACL_PERMIT },
	{ "172.16.0.0", ACL_DENY_SPECIAL },
	{ "172.31.255.255", ACL_DENY_SPECIAL },
	{ "172.32.0.0", ACL_PERMIT },
	/* IETF protocols: 192.0.0.0/24, also its two anycast addresses */
	{ "191.255.255.255", ACL_PERMIT },
	{ "192.0.0.0", ACL_DENY_SPECIAL },
	{ "192.0.0.9", ACL_DENY_SPECIAL },
	{ "192.0.0.10", ACL_DENY_SPECIAL },
	{ "192.0.0.255", ACL_DENY_SPECIAL },
	{ "192.0.1.0", ACL_PERMIT },
	/* documentation: 192.0.2.0/24 */
	{ "192.0.1.255", ACL_PERMIT },
	{ "192.0.2.0", ACL_DENY_SPECIAL },
	{ "192.0.2.255", ACL_DENY_SPECIAL },
	{ "192.0.3.0", ACL_PERMIT },
	/* once 6to4 relays: 192.88.99.0/24 */
	{ "192.88.98.255", ACL_PERMIT },
	{ "192.88.99.0", ACL_DENY_SPECIAL },
	{ "192.88.99.255", ACL_DENY_SPECIAL },
	{ "192.88.100.0", ACL_PERMIT },
	/* private: 192.168.0.0/16 */
	{ "192.167.255.255", ACL_PERMIT },
	{ "192.168.0.0", ACL_DENY_SPECIAL },
	{ "192.168.255.255", ACL_DENY_SPECIAL },
	{ "192.169.0.0", ACL_PERMIT },
	/* benchmarking: 198.18.0.0/15 */
	{ "198.17.255.255", ACL_PERMIT },
	{ "198.18.0.0", ACL_DENY_SPECIAL },
	{ "198.19.255.255", ACL_DENY_SPECIAL },
	{ "198.20.0.0", ACL_PERMIT },
	/* documentation: 198.51.100.0/24 */
	{ "198.51.99.255", ACL_PERMIT },
	{ "198.51.100.0", ACL_DENY_SPECIAL },
	{ "198.51.100.255", ACL_DENY_SPECIAL },
	{ "198.51.101.0", ACL_PERMIT },
	/* documentation: 203.0.113.0/24 */
	{ "203.0.112.255", ACL_PERMIT },
	{ "203.0.113.0", ACL_DENY_SPECIAL },
	{ "203.0.113.255", ACL_DENY_SPECIAL },
	{ "203.0.114.0", ACL_PERMIT },
	/* multicast: 224.0.0.0/4, and class E follows */
	{ "223.255.255.255", ACL_PERMIT },
	{ "224.0.0.0", ACL_DENY_SPECIAL },
	{ "239.255.255.255", ACL_DENY_SPECIAL },
	/* class E: 240.0.0.0/4, and its end is broadcast */
	{ "240.0.0.0", ACL_DENY_SPECIAL },
	{ "255.255.255.254", ACL_DENY_SPECIAL },
	{ "255.255.255.255", ACL_DENY_SPECIAL },
	/* special, and meant for everybody */
	{ "192.31.196.1", ACL_PERMIT },
	{ "192.52.193.1", ACL_PERMIT },
	{ "192.175.48.1", ACL_PERMIT },
	{ "2620:4f:8000::1", ACL_PERMIT },
	/* unspecified, loopback, v4-compatible, the rest of ::/8 */
	{ "::", ACL_DENY_SPECIAL },
	{ "::1", ACL_DENY_SPECIAL },
	{ "::2", ACL_DENY_SPECIAL },
	{ "::8.8.8.8", ACL_DENY_SPECIAL },
	{ "::127.0.0.1", ACL_DENY_SPECIAL },
	{ "::255.255.255.255", ACL_DENY_SPECIAL },
	{ "::1:0:0", ACL_DENY_SPECIAL },
	{ "::fffe:ffff:ffff", ACL_DENY_SPECIAL },
	{ "::ffff:0:8.8.8.8", ACL_DENY_SPECIAL },
	{ "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	/* v4-mapped: as the IPv4 address */
	{ "::ffff:0.0.0.0", ACL_DENY_SPECIAL },
	{ "::ffff:9.255.255.255", ACL_PERMIT },
	{ "::ffff:10.0.0.0", ACL_DENY_SPECIAL },
	{ "::ffff:10.255.255.255", ACL_DENY_SPECIAL },
	{ "::ffff:11.0.0.0", ACL_PERMIT },
	{ "::ffff:8.8.8.8", ACL_PERMIT },
	{ "::ffff:127.0.0.1", ACL_DENY_SPECIAL },
	{ "::ffff:255.255.255.255", ACL_DENY_SPECIAL },
	{ "::1:0:0:0", ACL_DENY_SPECIAL },
	/* discard and dummy: 100::/64, 100:0:0:1::/64 */
	{ "100::", ACL_DENY_SPECIAL },
	{ "100::ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "100:0:0:1::", ACL_DENY_SPECIAL },
	{ "100:0:0:1:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "100:0:0:2::", ACL_PERMIT },
	/* translators, 64:ff9b::/96: also by the IPv4 address in it */
	{ "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "64:ff9b::", ACL_DENY_SPECIAL },
	{ "64:ff9b::0.255.255.255", ACL_DENY_SPECIAL },
	{ "64:ff9b::1.0.0.0", ACL_PERMIT },
	{ "64:ff9b::8.8.8.8", ACL_PERMIT },
	{ "64:ff9b::10.0.0.1", ACL_DENY_SPECIAL },
	{ "64:ff9b::127.0.0.1", ACL_DENY_SPECIAL },
	{ "64:ff9b::169.254.169.254", ACL_DENY_SPECIAL },
	{ "64:ff9b::192.168.255.255", ACL_DENY_SPECIAL },
	{ "64:ff9b::192.169.0.0", ACL_PERMIT },
	{ "64:ff9b::223.255.255.255", ACL_PERMIT },
	{ "64:ff9b::224.0.0.0", ACL_DENY_SPECIAL },
	{ "64:ff9b::255.255.255.255", ACL_DENY_SPECIAL },
	{ "64:ff9b::1:0:0", ACL_DENY_SPECIAL },
	{ "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	/* translators inside one network: 64:ff9b:1::/48; what is around it */
	{ "64:ff9b:1::", ACL_DENY_SPECIAL },
	{ "64:ff9b:1::8.8.8.8", ACL_DENY_SPECIAL },
	{ "64:ff9b:1:7f00:0:100::", ACL_DENY_SPECIAL },
	{ "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "64:ff9b:2::", ACL_DENY_SPECIAL },
	{ "64:ff9b:2::8.8.8.8", ACL_DENY_SPECIAL },
	/* IETF protocols: 2001::/23, but for Teredo and two services */
	{ "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "2001:1::", ACL_DENY_SPECIAL },
	{ "2001:1::1", ACL_DENY_SPECIAL },
	{ "2001:2::", ACL_DENY_SPECIAL },
	{ "2001:2:0:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "2001:2:ffff:ffff::", ACL_DENY_SPECIAL },
	{ "2001:3::", ACL_PERMIT },
	{ "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "2001:4::", ACL_DENY_SPECIAL },
	{ "2001:4:111:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "2001:4:112::", ACL_PERMIT },
	{ "2001:4:112:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "2001:4:113::", ACL_DENY_SPECIAL },
	{ "2001:10::", ACL_DENY_SPECIAL },
	{ "2001:1f:ffff::", ACL_DENY_SPECIAL },
	{ "2001:20::", ACL_DENY_SPECIAL },
	{ "2001:30::", ACL_DENY_SPECIAL },
	{ "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "2001:200::", ACL_PERMIT },
	/* Teredo, 2001::/32: also by server and (bits turned) client */
	{ "2001::", ACL_DENY_SPECIAL },
	/* ... server 8.8.8.8, client 8.8.4.4 */
	{ "2001:0:808:808:0:0:f7f7:fbfb", ACL_PERMIT },
	/* ... client 127.0.0.1, 10.0.0.1, 255.255.255.255, 0.0.0.0 */
	{ "2001:0:808:808:0:0:80ff:fffe", ACL_DENY_SPECIAL },
	{ "2001:0:808:808:0:0:f5ff:fffe", ACL_DENY_SPECIAL },
	{ "2001:0:808:808::", ACL_DENY_SPECIAL },
	{ "2001:0:808:808:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	/* ... client 9.255.255.255, 10.0.0.0, 10.255.255.255, 11.0.0.0 */
	{ "2001:0:808:808:0:0:f600:0", ACL_PERMIT },
	{ "2001:0:808:808:0:0:f5ff:ffff", ACL_DENY_SPECIAL },
	{ "2001:0:808:808:0:0:f500:0", ACL_DENY_SPECIAL },
	{ "2001:0:808:808:0:0:f4ff:ffff", ACL_PERMIT },
	/* ... whose own bits are 127.0.0.1, which makes it 128.255.255.254 */
	{ "2001:0:808:808:0:0:7f00:1", ACL_PERMIT },
	/* ... server 10.0.0.1, 127.0.0.1 */
	{ "2001:0:a00:1:0:0:f7f7:fbfb", ACL_DENY_SPECIAL },
	{ "2001:0:7f00:1:0:0:f7f7:fbfb", ACL_DENY_SPECIAL },
	/* documentation: 2001:db8::/32 */
	{ "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "2001:db8::", ACL_DENY_SPECIAL },
	{ "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "2001:db9::", ACL_PERMIT },
	/* 6to4, 2002::/16: also by the IPv4 address in it */
	{ "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "2002::", ACL_DENY_SPECIAL },
	{ "2002:ff:ffff::", ACL_DENY_SPECIAL },
	{ "2002:100::", ACL_PERMIT },
	{ "2002:808:808::1", ACL_PERMIT },
	{ "2002:a00:1::", ACL_DENY_SPECIAL },
	{ "2002:7f00:1::1", ACL_DENY_SPECIAL },
	{ "2002:a9fe:a9fe::1", ACL_DENY_SPECIAL },
	{ "2002:c0a8:101:1:2:3:4:5", ACL_DENY_SPECIAL },
	{ "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "2003::", ACL_PERMIT },
	{ "2003:7f00:1::1", ACL_PERMIT },
	/* documentation: 3fff::/20 */
	{ "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "3fff::", ACL_DENY_SPECIAL },
	{ "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "3fff:1000::", ACL_PERMIT },
	/* segments of routes: 5f00::/16 */
	{ "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "5f00::", ACL_DENY_SPECIAL },
	{ "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "5f01::", ACL_PERMIT },
	/* unique local: fc00::/7 */
	{ "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "fc00::", ACL_DENY_SPECIAL },
	{ "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	{ "fe00::", ACL_PERMIT },
	/* link-local: fe80::/10, and site-local follows */
	{ "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_PERMIT },
	{ "fe80::", ACL_DENY_SPECIAL },
	{ "fe80::1", ACL_DENY_SPECIAL },
	{ "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	/* site-local: fec0::/10, and multicast follows */
	{ "fec0::", ACL_DENY_SPECIAL },
	{ "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	/* multicast: ff00::/8 */
	{ "ff00::", ACL_DENY_SPECIAL },
	{ "ff02::1", ACL_DENY_SPECIAL },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ACL_DENY_SPECIAL },
	/* the relay's own 9.1.2.3, 2600::5 and 10.0.0.1, at every port */
	{ "9.1.2.2", ACL_PERMIT },
	{ "9.1.2.3:1", ACL_DENY_SELF },
	{ "9.1.2.3:443", ACL_DENY_SELF },
	{ "9.1.2.3:65535", ACL_DENY_SELF },
	{ "9.1.2.4", ACL_PERMIT },
	{ "::ffff:9.1.2.3", ACL_DENY_SELF },
	{ "[::ffff:9.1.2.3]:22", ACL_DENY_SELF },
	{ "::9.1.2.3", ACL_DENY_SPECIAL },
	{ "64:ff9b::9.1.2.3", ACL_DENY_SELF },
	{ "64:ff9b::9.1.2.4", ACL_PERMIT },
	{ "2002:901:203::1", ACL_DENY_SELF },
	{ "2001:0:901:203:0:0:f7f7:fbfb", ACL_DENY_SELF },
	{ "2001:0:808:808:0:0:f6fe:fdfc", ACL_DENY_SELF },
	{ "2600::4", ACL_PERMIT },
	{ "[2600::5]:22", ACL_DENY_SELF },
	{ "2600::5", ACL_DENY_SELF },
	{ "2600::6", ACL_PERMIT },
	{ "10.0.0.1", ACL_DENY_SPECIAL },
	{ "::ffff:10.0.0.1", ACL_DENY_SPECIAL },
};

static void
only_what_everybody_may_reach_is_reached(void **state)
{
	const struct addr own[] = {
		parsed("9.1.2.3:1"), parsed("[2600::5]:1"), parsed("10.0.0.1"),
	};
	struct acl *acl = acl_of(NULL, 0);

	(void)state;
	assert_verdicts(acl, own, COUNT(own), reachable, COUNT(reachable));
	assert_verdicts(NULL, own, COUNT(own), reachable, COUNT(reachable));
	acl_free(acl);
}

static void
no_port_makes_a_special_address_reachable(void **state)
{
	static const uint16_t ports[] = { 1, 22, 80, 443, 65535 };

	(void)state;
	for (size_t i = 0; i < COUNT(reachable); i++) {
		struct addr a = parsed(reachable[i].destination);

		for (size_t j = 0; j < COUNT(ports); j++) {
			enum acl_verdict verdict = reachable[i].verdict;

			if (verdict == ACL_DENY_SELF)
				verdict = ACL_PERMIT;	/* not ours here */
			a.port = ports[j];
			assert_int_equal(acl_check(NULL, &a, NULL, 0),
			    verdict);
		}
	}
}

static void
v4_mapped_address_made_by_hand_is_judged_as_ipv4(void **state)
{
	static const struct rule rules[] = {
		{ false, "8.8.8.8", "any" },
		{ true, "any", "any" },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));
	struct addr a = {
		.family = 6, .port = 443,
		.ip = { [10] = 0xff, 0xff, 127, 0, 0, 1 },
	};

	(void)state;
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_DENY_SPECIAL);
	memset(a.ip + 12, 8, 4);
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_DENY_RULE);
	memset(a.ip + 12, 9, 4);
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_PERMIT);
	acl_free(acl);
}

static void
port_0_and_no_address_are_denied(void **state)
{
	static const struct rule rules[] = { { true, "any", "any" } };
	struct acl *acl = acl_of(rules, COUNT(rules));
	struct addr a = parsed("8.8.8.8");

	(void)state;
	a.port = 0;
	assert_int_equal(acl_check(NULL, &a, NULL, 0), ACL_DENY_PORT);
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_DENY_PORT);
	a = (struct addr){ .port = 80 };
	assert_int_equal(acl_check(NULL, &a, NULL, 0), ACL_DENY_SPECIAL);
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_DENY_SPECIAL);
	acl_free(acl);
}

/* ---- rules ---- */

static void
first_rule_that_matches_decides(void **state)
{
	static const struct rule rules[] = {
		{ false, "8.8.8.8", "53" },
		{ true, "8.8.8.0/24", "any" },
		{ false, "8.0.0.0/8", "any" },
		{ false, "2600::/16", "25" },
		{ true, "any", "80,443" },
		{ false, "any", "any" },
	};
	static const struct expected addrs[] = {
		{ "8.8.8.8:53", ACL_DENY_RULE },
		{ "8.8.8.8:54", ACL_PERMIT },
		{ "8.8.8.9:53", ACL_PERMIT },
		{ "8.8.9.8:443", ACL_DENY_RULE },
		{ "9.9.9.9:443", ACL_PERMIT },
		{ "9.9.9.9:444", ACL_DENY_RULE },
		{ "[2600::1]:25", ACL_DENY_RULE },
		{ "[2600::1]:80", ACL_PERMIT },
		{ "[2600::1]:81", ACL_DENY_RULE },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, NULL, 0, addrs, COUNT(addrs));
	acl_free(acl);
}

static void
port_ranges_include_both_ends(void **state)
{
	static const struct rule rules[] = {
		{ true, "8.8.8.8", "22,80-90,8000-8000,65535" },
		{ true, "8.8.4.4", "0-65535" },
		{ false, "any", "any" },
	};
	static const struct expected addrs[] = {
		{ "8.8.8.8:21", ACL_DENY_RULE },
		{ "8.8.8.8:22", ACL_PERMIT },
		{ "8.8.8.8:23", ACL_DENY_RULE },
		{ "8.8.8.8:79", ACL_DENY_RULE },
		{ "8.8.8.8:80", ACL_PERMIT },
		{ "8.8.8.8:85", ACL_PERMIT },
		{ "8.8.8.8:90", ACL_PERMIT },
		{ "8.8.8.8:91", ACL_DENY_RULE },
		{ "8.8.8.8:8000", ACL_PERMIT },
		{ "8.8.8.8:8001", ACL_DENY_RULE },
		{ "8.8.8.8:65534", ACL_DENY_RULE },
		{ "8.8.8.8:65535", ACL_PERMIT },
		{ "8.8.4.4:1", ACL_PERMIT },
		{ "8.8.4.4:65535", ACL_PERMIT },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, NULL, 0, addrs, COUNT(addrs));
	acl_free(acl);
}

static void
permit_opens_a_special_range_that_it_names(void **state)
{
	static const struct rule rules[] = {
		{ true, "10.0.0.0/8", "any" },
		{ true, "192.168.1.0/24", "any" },
		{ true, "127.0.0.1", "8080" },
		{ true, "fd00::/8", "any" },
		{ true, "::1", "any" },
		{ true, "2001:db8::/32", "any" },
		{ true, "64:ff9b:1::/48", "any" },
		{ true, "::2", "any" },
		{ true, "::8.0.0.0/104", "any" },
	};
	static const struct expected addrs[] = {
		{ "10.1.2.3", ACL_PERMIT },
		{ "192.168.1.9", ACL_PERMIT },
		{ "192.168.2.9", ACL_DENY_SPECIAL },
		{ "127.0.0.1:8080", ACL_PERMIT },
		{ "127.0.0.1:8081", ACL_DENY_SPECIAL },
		{ "127.0.0.2:8080", ACL_DENY_SPECIAL },
		{ "fd12::1", ACL_PERMIT },
		{ "fc12::1", ACL_DENY_SPECIAL },
		{ "::1", ACL_PERMIT },
		{ "::", ACL_DENY_SPECIAL },
		{ "::2", ACL_PERMIT },
		{ "::3", ACL_DENY_SPECIAL },
		{ "::8.8.8.8", ACL_PERMIT },
		{ "2001:db8::1", ACL_PERMIT },
		{ "64:ff9b:1::127.0.0.1", ACL_PERMIT },
		{ "8.8.8.8", ACL_PERMIT },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, NULL, 0, addrs, COUNT(addrs));
	acl_free(acl);
}

static void
permit_for_any_opens_no_special_range(void **state)
{
	static const struct rule any[] = {
		{ true, "any", "80,443" },
		{ false, "any", "any" },
	};
	static const struct expected addrs[] = {
		{ "9.9.9.9:80", ACL_PERMIT },
		{ "9.9.9.9:81", ACL_DENY_RULE },
		{ "10.0.0.1:80", ACL_DENY_SPECIAL },
		{ "127.0.0.1:80", ACL_DENY_SPECIAL },
		{ "[::1]:80", ACL_DENY_SPECIAL },
		{ "[2600::1]:80", ACL_PERMIT },
		{ "[2001:db8::1]:80", ACL_DENY_SPECIAL },
		{ "[fe80::1]:80", ACL_DENY_SPECIAL },
		{ "[2002:a00:1::1]:80", ACL_DENY_SPECIAL },
		{ "[64:ff9b::10.0.0.1]:80", ACL_DENY_SPECIAL },
		{ "192.168.0.1:81", ACL_DENY_RULE },
	};
	struct acl *acl = acl_of(any, COUNT(any));

	(void)state;
	assert_verdicts(acl, NULL, 0, addrs, COUNT(addrs));
	acl_free(acl);
}

static void
broad_prefix_decides_for_all_that_it_holds(void **state)
{
	static const struct rule broad[] = {
		{ false, "169.254.0.0/16", "any" },
		{ true, "0.0.0.0/0", "80" },
		{ true, "::/0", "80" },
	};
	const struct addr own[] = { parsed("10.0.0.2"), parsed("9.1.2.3") };
	static const struct expected addrs[] = {
		{ "9.9.9.9:80", ACL_PERMIT },
		{ "10.0.0.1:80", ACL_PERMIT },
		{ "10.0.0.1:81", ACL_DENY_SPECIAL },
		{ "10.0.0.2:80", ACL_PERMIT },
		{ "9.1.2.3:80", ACL_PERMIT },
		{ "9.1.2.3:81", ACL_DENY_SELF },
		{ "127.0.0.1:80", ACL_PERMIT },
		{ "169.254.169.254:80", ACL_DENY_RULE },
		{ "[fd00::1]:80", ACL_PERMIT },
		{ "[64:ff9b::169.254.169.254]:80", ACL_DENY_RULE },
		{ "[64:ff9b::10.0.0.1]:80", ACL_PERMIT },
	};
	struct acl *acl = acl_of(broad, COUNT(broad));

	(void)state;
	assert_verdicts(acl, own, COUNT(own), addrs, COUNT(addrs));
	acl_free(acl);
}

static void
rules_for_the_embedded_ipv4_hold(void **state)
{
	static const struct rule rules[] = {
		{ false, "8.8.8.0/24", "any" },
		{ true, "10.0.0.0/8", "any" },
		{ false, "2002:909::/32", "any" },
		{ true, "any", "any" },
	};
	static const struct expected addrs[] = {
		{ "64:ff9b::8.8.8.8", ACL_DENY_RULE },
		{ "64:ff9b::8.8.9.8", ACL_PERMIT },
		{ "64:ff9b::10.0.0.1", ACL_PERMIT },
		{ "64:ff9b::192.168.0.1", ACL_DENY_SPECIAL },
		{ "2002:808:808::1", ACL_DENY_RULE },
		{ "2002:909:909::1", ACL_DENY_RULE },
		{ "2002:a00:1::1", ACL_PERMIT },
		{ "9.9.9.9", ACL_PERMIT },
		{ "2001:0:909:909:0:0:f7f7:f7f7", ACL_DENY_RULE },
		{ "2001:0:808:808:0:0:f6f6:f6f6", ACL_DENY_RULE },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, NULL, 0, addrs, COUNT(addrs));
	acl_free(acl);
}

static void
ports_of_rules_hold_for_the_embedded_ipv4(void **state)
{
	static const struct rule rules[] = {
		{ true, "10.0.0.0/8", "80" },
	};
	static const struct expected addrs[] = {
		{ "[64:ff9b::10.0.0.1]:80", ACL_PERMIT },
		{ "[64:ff9b::10.0.0.1]:81", ACL_DENY_SPECIAL },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, NULL, 0, addrs, COUNT(addrs));
	acl_free(acl);
}

static void
permit_of_the_embedding_prefix_speaks_for_the_ipv4_in_it(void **state)
{
	static const struct rule rules[] = {
		{ true, "64:ff9b::/96", "any" },
		{ true, "2002:a00::/24", "any" },
		{ true, "2002::/15", "any" },
		{ false, "any", "any" },
	};
	static const struct expected addrs[] = {
		{ "64:ff9b::10.0.0.1", ACL_PERMIT },
		{ "64:ff9b::8.8.8.8", ACL_PERMIT },
		{ "2002:a00:1::1", ACL_PERMIT },
		/* /15 is shorter than 6to4's /16, so the inner one counts */
		{ "2002:808:808::1", ACL_DENY_RULE },
		{ "2002:c0a8:1::1", ACL_DENY_RULE },
		{ "2003::1", ACL_PERMIT },
		{ "10.0.0.1", ACL_DENY_RULE },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, NULL, 0, addrs, COUNT(addrs));
	acl_free(acl);
}

/* ---- own addresses ---- */

static void
own_address_is_opened_by_a_prefix_that_holds_it(void **state)
{
	static const struct rule rules[] = {
		{ true, "10.0.0.2", "53" },
		{ true, "9.0.0.0/8", "any" },
		{ true, "2600::5", "22" },
		{ false, "2600::6", "any" },
		{ true, "any", "any" },
	};
	const struct addr own[] = {
		parsed("10.0.0.1"), parsed("10.0.0.2"), parsed("9.1.2.3"),
		parsed("2600::5"), parsed("2600::6"),
	};
	static const struct expected addrs[] = {
		{ "10.0.0.1", ACL_DENY_SPECIAL },
		{ "10.0.0.2:53", ACL_PERMIT },
		{ "10.0.0.2:54", ACL_DENY_SPECIAL },
		{ "9.1.2.3", ACL_PERMIT },
		{ "[2600::5]:22", ACL_PERMIT },
		{ "[2600::5]:23", ACL_DENY_SELF },
		{ "2600::6", ACL_DENY_RULE },
		{ "[64:ff9b::10.0.0.2]:53", ACL_PERMIT },
		{ "[64:ff9b::10.0.0.2]:54", ACL_DENY_SPECIAL },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, own, COUNT(own), addrs, COUNT(addrs));
	acl_free(acl);
}

static void
loopback_is_opened_by_its_range_alone(void **state)
{
	static const struct rule rules[] = {
		{ true, "127.0.0.0/8", "any" },
		{ true, "::1", "any" },
	};
	const struct addr own[] = { parsed("127.0.0.1"), parsed("::1") };
	static const struct expected addrs[] = {
		{ "127.0.0.1", ACL_PERMIT },
		{ "127.0.0.2", ACL_PERMIT },
		{ "::1", ACL_PERMIT },
	};
	static const struct expected closed[] = {
		{ "127.0.0.1", ACL_DENY_SPECIAL },
		{ "::1", ACL_DENY_SPECIAL },
	};
	struct acl *acl = acl_of(rules, COUNT(rules));

	(void)state;
	assert_verdicts(acl, own, COUNT(own), addrs, COUNT(addrs));
	assert_verdicts(NULL, own, COUNT(own), closed, COUNT(closed));
	acl_free(acl);
}

/* ---- reading rules ---- */

static void
rules_that_make_no_sense_are_refused(void **state)
{
	static const struct rule rules[] = {
		{ true, "", "any" }, { true, "all", "any" },
		{ true, "ANY", "any" }, { true, "10.0.0.0/33", "any" },
		{ true, "10.0.0.1/8", "any" }, { true, "10.0.0.0/8:80", "any" },
		{ true, "example.com", "any" }, { true, "any/0", "any" },
		{ true, "any", "" }, { true, "any", "http" },
		{ true, "any", "ANY" }, { true, "any", "any,80" },
		{ true, "any", "80,any" }, { true, "any", "," },
		{ true, "any", "80," }, { true, "any", ",80" },
		{ true, "any", "80,,81" }, { true, "any", "65536" },
		{ true, "any", "99999999999999999999" }, { true, "any", "-" },
		{ true, "any", "-80" }, { true, "any", "80-" },
		{ true, "any", "80-79" }, { true, "any", "80-65536" },
		{ true, "any", "80-90-99" }, { true, "any", "80 81" },
		{ true, "any", "80, 81" }, { true, "any", " 80" },
		{ true, "any", "80 " }, { true, "any", "+80" },
		{ true, "any", "0x50" }, { true, "any", "80;81" },
	};
	struct acl *acl = acl_new();
	struct addr a = parsed("10.0.0.1");

	(void)state;
	assert_non_null(acl);
	for (size_t i = 0; i < COUNT(rules); i++)
		assert_int_equal(acl_add(acl, rules[i].permit, rules[i].prefix,
		    rules[i].ports), -EINVAL);

	/* And none of them was kept. */
	assert_int_equal(acl_add(acl, true, "10.0.0.0/8", "any"), 0);
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_PERMIT);
	acl_free(acl);
}

static void
there_may_be_many_rules(void **state)
{
	struct acl *acl = acl_new();
	struct addr a = parsed("8.8.8.8:1000");

	(void)state;
	assert_non_null(acl);
	for (unsigned int port = 999; port > 799; port--) {
		const char text[] = {
			(char)('0' + port / 100), (char)('0' + port / 10 % 10),
			(char)('0' + port % 10), '\0'
		};

		assert_int_equal(acl_add(acl, false, "8.8.8.8", text), 0);
	}
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_PERMIT);
	a.port = 799;
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_PERMIT);
	a.port = 800;
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_DENY_RULE);
	a.port = 999;
	assert_int_equal(acl_check(acl, &a, NULL, 0), ACL_DENY_RULE);
	acl_free(acl);
}

static void
nothing_can_be_freed(void **state)
{
	(void)state;
	acl_free(NULL);
	acl_free(acl_new());
}

static void
every_verdict_has_words(void **state)
{
	(void)state;
	assert_string_equal(acl_verdict_text(ACL_PERMIT), "permitted");
	assert_string_equal(acl_verdict_text(ACL_DENY_RULE), "denied by rule");
	for (int v = ACL_PERMIT; v <= ACL_DENY_PORT; v++)
		assert_non_null(acl_verdict_text((enum acl_verdict)v));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_everybody_may_reach_is_reached),
		cmocka_unit_test(no_port_makes_a_special_address_reachable),
		cmocka_unit_test(
		    v4_mapped_address_made_by_hand_is_judged_as_ipv4),
		cmocka_unit_test(port_0_and_no_address_are_denied),
		cmocka_unit_test(first_rule_that_matches_decides),
		cmocka_unit_test(port_ranges_include_both_ends),
		cmocka_unit_test(permit_opens_a_special_range_that_it_names),
		cmocka_unit_test(permit_for_any_opens_no_special_range),
		cmocka_unit_test(broad_prefix_decides_for_all_that_it_holds),
		cmocka_unit_test(rules_for_the_embedded_ipv4_hold),
		cmocka_unit_test(ports_of_rules_hold_for_the_embedded_ipv4),
		cmocka_unit_test(
		    permit_of_the_embedding_prefix_speaks_for_the_ipv4_in_it),
		cmocka_unit_test(
		    own_address_is_opened_by_a_prefix_that_holds_it),
		cmocka_unit_test(loopback_is_opened_by_its_range_alone),
		cmocka_unit_test(rules_that_make_no_sense_are_refused),
		cmocka_unit_test(there_may_be_many_rules),
		cmocka_unit_test(nothing_can_be_freed),
		cmocka_unit_test(every_verdict_has_words),
	};

	return cmocka_run_group_tests_name("acl", tests, NULL, NULL);
}
