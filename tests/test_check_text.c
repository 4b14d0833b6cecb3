/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check_machine.h"
#include "check_report.h"
#include "check_text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A file of a recorded machine; freed by the caller. */
static char *
recorded(const char *tree, const char *path)
{
	const char *srcdir = getenv("srcdir");
	char *root = check_format("%s/tests/data/check/%s", srcdir != NULL ?
	    srcdir : ".", tree);
	const struct check_machine m = { .root = root };
	char *text = check_read(&m, "%s", path);

	assert_non_null(text);
	free(root);
	return text;
}

static void
a_number_stands_alone(void **state)
{
	static const char *const others[] = { "", "\n", "x", "1x", "1 2", "-1",
		"+1", "0x1", "18446744073709551616" };
	uint64_t n = 0;

	(void)state;
	assert_true(check_text_number("0\n", &n));
	assert_int_equal(n, 0);
	assert_true(check_text_number(" 262144 \n", &n));
	assert_int_equal(n, 262144);
	assert_true(check_text_number("18446744073709551615", &n));
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(check_text_number(others[i], &n));
}

static void
numbers_are_counted(void **state)
{
	uint64_t n[3] = { 0 };

	(void)state;
	assert_int_equal(check_text_numbers("4096\t131072\t6291456\n", n, 3),
	    3);
	assert_int_equal(n[2], 6291456);
	assert_int_equal(check_text_numbers("1 2 3 4", n, 3), 3);
	assert_int_equal(check_text_numbers("1 x 3", n, 3), 1);
	assert_int_equal(check_text_numbers("", n, 3), 0);
	assert_int_equal(check_text_numbers(" \n", n, 3), 0);
}

static void
words_are_whole(void **state)
{
	(void)state;
	assert_true(check_text_has("reno bbr cubic\n", "cubic"));
	assert_true(check_text_has("nat\nfilter\n", "filter"));
	assert_false(check_text_has("reno bbr2\n", "bbr"));
	assert_false(check_text_has("reno bbr2\n", "bbr21"));
	assert_false(check_text_has("", "bbr"));
	assert_false(check_text_has("reno ", ""));
}

static void
listeners_are_found_and_others_are_not(void **state)
{
	char *text = recorded("gateway", "/proc/net/tcp");
	const char *p = text;
	struct check_socket s;
	struct addr expected;

	(void)state;
	assert_true(check_text_listener(&p, &s));
	assert_int_equal(addr_parse(&expected, "10.0.0.1:53"), 0);
	assert_true(addr_equal(&s.address, &expected));
	assert_int_equal(s.inode, 10559);
	assert_true(check_text_listener(&p, &s));
	assert_int_equal(addr_parse(&expected, "127.0.0.1:8080"), 0);
	assert_true(addr_equal(&s.address, &expected));
	assert_false(check_text_listener(&p, &s));
	assert_string_equal(p, "");
	free(text);
}

static void
a_listener_of_ipv6_is_found(void **state)
{
	char *text = recorded("gateway", "/proc/net/tcp6");
	const char *p = text;
	struct check_socket s;
	struct addr expected;

	(void)state;
	assert_true(check_text_listener(&p, &s));
	assert_int_equal(addr_parse(&expected, "[::]:1092"), 0);
	assert_true(addr_equal(&s.address, &expected));
	assert_int_equal(s.inode, 10557);
	assert_false(check_text_listener(&p, &s));
	free(text);
}

static void
a_line_that_is_cut_is_no_listener(void **state)
{
	static const char line[] = "0: 0100007F:0016 00000000:0000 0A "
	    "00000000:00000000 00:00000000 00000000 0 0 10559";
	struct check_socket s;

	(void)state;
	for (size_t n = 0; n < sizeof(line) - 1; n++) {
		char *cut = strndup(line, n);
		const char *p = cut;

		if (check_text_listener(&p, &s))
			assert_true(n > sizeof(line) - sizeof("10559"));
		free(cut);
	}
}

static void
limits_are_read(void **state)
{
	char *text = recorded("gateway", "/proc/self/limits");
	uint64_t soft, hard;

	(void)state;
	assert_true(check_text_limit(text, "Max open files", &soft, &hard));
	assert_int_equal(soft, 1024);
	assert_int_equal(hard, 4096);
	assert_true(check_text_limit(text, "Max cpu time", &soft, &hard));
	assert_true(soft == UINT64_MAX && hard == UINT64_MAX);
	assert_false(check_text_limit(text, "Max", &soft, &hard));
	assert_false(check_text_limit("", "Max open files", &soft, &hard));
	assert_false(check_text_limit("Max open files 1", "Max open files",
	    &soft, &hard));
	free(text);
}

static void
a_field_of_a_status_is_read(void **state)
{
	static const char status[] = "Name:\trorod\nUid:\t65534\t0\t0\t0\n"
	    "CapEff:\t0000000000001000\nUidX:\t1\n";
	uint64_t n;

	(void)state;
	assert_true(check_text_status(status, "Uid", 10, &n));
	assert_int_equal(n, 65534);
	assert_true(check_text_status(status, "CapEff", 16, &n));
	assert_int_equal(n, 0x1000);
	assert_false(check_text_status(status, "Name", 10, &n));
	assert_false(check_text_status(status, "Gid", 10, &n));
}

static void
the_last_assignment_counts(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_true(check_text_assignment("[Service]\n#LimitNOFILE=1\n"
	    "LimitNOFILE=65536\nLimitNOFILE=x\n LimitNOFILE=2\n",
	    "LimitNOFILE", &n));
	assert_int_equal(n, 65536);
	assert_false(check_text_assignment("LimitNOFILE\nLimitNOFILEX=1\n",
	    "LimitNOFILE", &n));
	assert_false(check_text_assignment("", "LimitNOFILE", &n));
}

static void
the_service_is_named(void **state)
{
	char unit[CHECK_UNIT_MAX];

	(void)state;
	assert_true(check_text_unit("0::/system.slice/rorod.service\n", unit));
	assert_string_equal(unit, "rorod.service");
	assert_true(check_text_unit("12:pids:/x.slice\n"
	    "1:name=systemd:/system.slice/a@b.service\n", unit));
	assert_string_equal(unit, "a@b.service");
	assert_false(check_text_unit("0::/user.slice/session-1.scope\n", unit));
	assert_false(check_text_unit("0::/.service\n", unit));
	assert_false(check_text_unit("0::/\n", unit));
	assert_false(check_text_unit("", unit));
}

static void
an_option_of_uci_is_that_of_its_section(void **state)
{
	char *text = recorded("fw3", "/etc/config/firewall");
	char value[CHECK_UCI_MAX];

	(void)state;
	assert_true(check_text_uci(text, "defaults", "flow_offloading",
	    value));
	assert_string_equal(value, "1");
	assert_true(check_text_uci(text, "rule", "name", value));
	assert_string_equal(value, "Allow-Ping");
	assert_false(check_text_uci(text, "defaults", "name", value));
	assert_false(check_text_uci(text, "nosuch", "name", value));
	assert_true(check_text_uci("config defaults 'x'\n"
	    "\toption  flow_offloading  \"1\"\n", "defaults",
	    "flow_offloading", value));
	assert_string_equal(value, "1");
	assert_false(check_text_uci("config defaults\n\toption x\n",
	    "defaults", "x", value));
	free(text);
}

static void
offloading_rules_of_iptables_are_found(void **state)
{
	char *text = recorded("fw3", "/commands/iptables-save");
	const char *p = text;
	struct check_xt_rule r;

	(void)state;
	assert_true(check_text_xt_rule(&p, "FLOWOFFLOAD", &r));
	assert_string_equal(r.chain, "FORWARD");
	assert_string_equal(r.spec, "FORWARD -m comment --comment \"!fw3: "
	    "Traffic offloading\" -m conntrack --ctstate RELATED,ESTABLISHED "
	    "-j FLOWOFFLOAD --hw");
	assert_true(r.tcp && r.udp);
	assert_true(check_ports_have(&r.ports, 1));
	assert_true(check_ports_have(&r.ports, 65535));
	/* A comment that looks like one is none. */
	assert_false(check_text_xt_rule(&p, "FLOWOFFLOAD", &r));
	free(text);
}

static void
ports_of_iptables_are_understood(void **state)
{
	char *text = recorded("fw3", "/commands/ip6tables-save");
	const char *p = text;
	struct check_xt_rule r;

	(void)state;
	assert_true(check_text_xt_rule(&p, "FLOWOFFLOAD", &r));
	assert_true(r.tcp && !r.udp);
	assert_false(check_ports_have(&r.ports, 80));
	assert_true(check_ports_have(&r.ports, 81));
	assert_true(check_text_xt_rule(&p, "FLOWOFFLOAD", &r));
	assert_true(!r.tcp && r.udp);
	assert_true(check_ports_have(&r.ports, 443));
	assert_false(check_ports_have(&r.ports, 80));
	assert_true(check_text_xt_rule(&p, "FLOWOFFLOAD", &r));
	assert_true(check_ports_have(&r.ports, 22));
	assert_true(check_ports_have(&r.ports, 8000));
	assert_true(check_ports_have(&r.ports, 8010));
	assert_false(check_ports_have(&r.ports, 8011));
	free(text);
}

static void
ports_that_are_not_understood_are_all(void **state)
{
	static const char *const rules[] = {
		"-A F -p tcp --dport x -j T", "-A F -p tcp --dport 9:1 -j T",
		"-A F -p tcp --dport 70000 -j T", "-A F --dports 1, -j T",
		"-A F --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 -j T",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rules); i++) {
		const char *p = rules[i];
		struct check_xt_rule r;

		assert_true(check_text_xt_rule(&p, "T", &r));
		assert_true(check_ports_have(&r.ports, 12345));
	}
}

static void
a_protocol_that_is_excluded_is_not_meant(void **state)
{
	const char *p = "-A F ! -p tcp -j T\n-A F -j U\n-D F -j T\nA F -j T\n";
	struct check_xt_rule r;

	(void)state;
	assert_true(check_text_xt_rule(&p, "T", &r));
	assert_true(!r.tcp && r.udp);
	assert_false(check_text_xt_rule(&p, "T", &r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_stands_alone),
		cmocka_unit_test(numbers_are_counted),
		cmocka_unit_test(words_are_whole),
		cmocka_unit_test(listeners_are_found_and_others_are_not),
		cmocka_unit_test(a_listener_of_ipv6_is_found),
		cmocka_unit_test(a_line_that_is_cut_is_no_listener),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(a_field_of_a_status_is_read),
		cmocka_unit_test(the_last_assignment_counts),
		cmocka_unit_test(the_service_is_named),
		cmocka_unit_test(an_option_of_uci_is_that_of_its_section),
		cmocka_unit_test(offloading_rules_of_iptables_are_found),
		cmocka_unit_test(ports_of_iptables_are_understood),
		cmocka_unit_test(ports_that_are_not_understood_are_all),
		cmocka_unit_test(a_protocol_that_is_excluded_is_not_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
