/* SPDX-License-Identifier: ISC */
/*
 * What roroctl check says of machines that were recorded, and how it says it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "check_print.h"
#include "check_private.h"
#include "conffile.h"
#include "core/list.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char lan[] = "role = proxy\n"
    "intercept { interfaces = \"lan\" }\n"
    "relay \"r\" { address = \"192.0.2.1:1093\" protection = none }\n";

/* ---- a machine ---- */

static void
look_at(struct check *c, const char *tree, const char *text)
{
	const char *srcdir = getenv("srcdir");
	char error[CONFFILE_ERROR_MAX] = "";

	*c = (struct check){ .file = "/etc/rorod.conf", .root = true };
	c->machine.root = check_format("%s/tests/data/check/%s", srcdir !=
	    NULL ? srcdir : ".", tree);
	c->openwrt = check_exists(&c->machine, "/etc/openwrt_release");
	check_report_init(&c->report);
	if (text != NULL) {
		c->config = conffile_parse("test", text, strlen(text), error,
		    sizeof(error));
		if (c->config == NULL)
			fail_msg("%s", error);
	}
}

static void
end(struct check *c)
{
	free((char *)(uintptr_t)c->machine.root);
	config_free(c->config);
	check_report_free(&c->report);
	check_free_daemon(&c->daemon);
	check_free_sockets(&c->sockets);
}

/* The `n`th item of this name; NULL: there are fewer. */
static const struct check_item *
item(const struct check *c, const char *name, unsigned n)
{
	struct list *node;

	list_each(node, &c->report.items) {
		const struct check_item *i = list_object(node,
		    struct check_item, list);

		if (strcmp(i->name, name) == 0 && n-- == 0)
			return i;
	}
	return NULL;
}

static void
assert_status(const struct check *c, const char *name, unsigned n,
    enum check_status status)
{
	const struct check_item *i = item(c, name, n);

	assert_non_null(i);
	if (i->status != status)
		fail_msg("%s: %s: %s", name, check_status_text(i->status),
		    i->found);
	if (status >= CHECK_WARNING)
		assert_non_null(i->why);
}

static void
assert_now(const struct check *c, const char *name, unsigned n,
    const char *command)
{
	const struct check_item *i = item(c, name, n);

	assert_non_null(i);
	for (size_t k = 0; k < i->now.n; k++)
		if (strcmp(i->now.lines[k], command) == 0)
			return;
	fail_msg("%s: not found: %s", name, command);
}

static void
assert_keep(const struct check *c, const char *name, unsigned n,
    const char *command)
{
	const struct check_item *i = item(c, name, n);

	assert_non_null(i);
	for (size_t k = 0; k < i->keep.n; k++)
		if (strcmp(i->keep.lines[k], command) == 0)
			return;
	fail_msg("%s: not found: %s", name, command);
}

/* ---- firewalls ---- */

static const char redirected[] = "role = proxy\n"
    "intercept { mode = redirect interfaces = \"lan\" }\n"
    "relay \"r\" { address = \"192.0.2.1:1093\" protection = none }\n";
static const char lets_marks[] = "nft insert rule inet fw input "
    "meta mark and 0x10000000 == 0x10000000 accept";
static const char lets_port[] = "nft insert rule inet fw input "
    "tcp dport 1092 accept";

/* What it says of that tree, in one of the modes. */
static void
firewall_of(const char *tree, const char *text, const char *command)
{
	struct check c;

	look_at(&c, tree, text);
	check_firewall(&c);
	assert_status(&c, "firewall", 0, command != NULL ? CHECK_WARNING :
	    CHECK_OK);
	if (command != NULL) {
		assert_string_equal(item(&c, "firewall", 0)->subject, "fw");
		assert_now(&c, "firewall", 0, command);
	}
	assert_null(item(&c, "firewall", 1));
	end(&c);
}

static void
a_policy_that_drops_what_is_intercepted(void **state)
{
	(void)state;
	firewall_of("input_drop", lan, lets_marks);
	firewall_of("input_drop", redirected, lets_port);
}

static void
a_rule_that_rejects_it_behind_a_jump(void **state)
{
	(void)state;
	firewall_of("input_reject", lan, lets_marks);
	firewall_of("input_reject", redirected, lets_port);
}

static void
sets_and_maps_that_do_not_have_it(void **state)
{
	(void)state;
	firewall_of("input_sets", lan, lets_marks);
	firewall_of("input_sets", redirected, lets_port);
}

/* And a chain in which it is not known does not count. */
static void
a_firewall_that_lets_it_pass(void **state)
{
	(void)state;
	firewall_of("input_open", lan, NULL);
	firewall_of("input_open", redirected, NULL);
}

/* ---- flow offload ---- */

static void
offload_of_fw4_is_named_and_harmless(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "fw4", "role = proxy\n"
	    "intercept { interfaces = \"br-lan\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	check_offload(&c);
	assert_status(&c, "flow-offload", 0, CHECK_OK);
	assert_string_equal(item(&c, "flow-offload", 0)->subject,
	    "table inet fw4, chain forward");
	assert_non_null(strstr(item(&c, "flow-offload", 0)->found, "lan1"));
	assert_null(item(&c, "flow-offload", 1));
	end(&c);
}

static void
offload_hides_quic_that_is_to_be_rejected(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "fw4", "role = proxy\n"
	    "intercept { interfaces = \"br-lan\" quic = reject }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	check_offload(&c);
	assert_status(&c, "flow-offload", 0, CHECK_WARNING);
	assert_now(&c, "flow-offload", 0,
	    "uci set firewall.@defaults[0].flow_offloading=0");
	assert_now(&c, "flow-offload", 0, "uci commit firewall");
	assert_now(&c, "flow-offload", 0, "/etc/init.d/firewall reload");
	end(&c);
}

static void
offload_by_hand_is_mended_by_hand(void **state)
{
	struct check c;
	unsigned wrong = 0, n = 0;
	const struct check_item *i;

	(void)state;
	look_at(&c, "gateway", "role = proxy\n"
	    "intercept { interfaces = \"lan\" quic = reject "
	    "ports = \"8080\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	check_offload(&c);
	for (; (i = item(&c, "flow-offload", n)) != NULL; n++) {
		wrong += i->status == CHECK_WARNING;
		/* What is not about ports that are intercepted. */
		assert_null(strstr(i->subject, "c-to"));
		if (i->status == CHECK_WARNING) {
			assert_int_equal(i->now.n, 1);
			assert_int_equal(strncmp(i->now.lines[0],
			    "nft delete rule inet quick c-", 29), 0);
		}
	}
	assert_int_equal(wrong, 3);	/* c-all, c-udp, c-not-tcp */
	end(&c);
}

static void
offload_of_iptables_is_found(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "fw3", lan);
	check_offload(&c);
	/* IPv4: one; IPv6: all but 80, and 22 with 8000-8010; 22 alone is not
	 * intercepted, UDP is nothing to us. */
	assert_string_equal(item(&c, "flow-offload", 0)->subject,
	    "iptables, chain FORWARD");
	assert_non_null(strstr(item(&c, "flow-offload", 1)->found,
	    "all ports but 80"));
	assert_non_null(strstr(item(&c, "flow-offload", 2)->found,
	    "port 22, 8000-8010"));
	assert_null(item(&c, "flow-offload", 3));
	assert_int_equal(check_exit_status(&c.report), 0);
	end(&c);
}

static void
nothing_is_offloaded_elsewhere(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "small", lan);
	check_offload(&c);
	assert_status(&c, "flow-offload", 0, CHECK_OK);
	assert_string_equal(item(&c, "flow-offload", 0)->found,
	    "nothing is offloaded");
	end(&c);
}

/* ---- tables and routing ---- */

static void
rules_by_hand_are_told_from_others(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "gateway", "role = proxy\n"
	    "intercept { mode = redirect nft = off }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	c.daemon.pid = 1;
	check_tables(&c);
	assert_status(&c, "table", 0, CHECK_OK);
	assert_string_equal(item(&c, "table", 0)->subject, "by-hand");
	end(&c);
	look_at(&c, "gateway", "role = proxy\n"
	    "intercept { mode = redirect nft = off listen = \"[::]:1093\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	check_tables(&c);
	assert_status(&c, "table", 1, CHECK_ERROR);
	assert_int_equal(strncmp(item(&c, "table", 1)->now.lines[0],
	    "nft delete rule inet by-hand ", 29), 0);
	assert_int_equal(item(&c, "table", 1)->now.n, 1);
	end(&c);
}

static void
a_rule_without_a_daemon_refuses_only_if_it_redirects(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "gateway", "role = proxy\n"
	    "intercept { mode = redirect nft = off }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	check_tables(&c);
	assert_status(&c, "table", 1, CHECK_ERROR);
	end(&c);
	look_at(&c, "gateway", "role = proxy\n"
	    "intercept { mode = tproxy nft = off route = off "
	    "listen = \"[::]:1093\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	check_tables(&c);
	assert_status(&c, "table", 1, CHECK_OK);
	end(&c);
}

static void
the_table_of_a_daemon_that_runs_is_missed(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "gateway", lan);
	c.daemon.pid = 123;
	check_tables(&c);
	assert_status(&c, "table", 0, CHECK_ERROR);
	assert_now(&c, "table", 0, "kill 123");
	/* And somebody else redirects to its port. */
	assert_status(&c, "table", 1, CHECK_WARNING);
	end(&c);
}

static void
rule_and_route_are_found(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "gateway", lan);
	c.daemon.pid = 123;
	check_routing(&c);
	assert_status(&c, "routing", 0, CHECK_OK);
	assert_status(&c, "routing", 1, CHECK_OK);
	assert_null(item(&c, "routing", 2));
	end(&c);
}

static void
rule_and_route_are_missed(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "fw4", "role = proxy\n"
	    "intercept { interfaces = { \"br-*\" } mark = 0x40 "
	    "route-table = 77 route-priority = 7 }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	c.daemon.pid = 123;
	check_routing(&c);
	assert_status(&c, "routing", 0, CHECK_ERROR);
	assert_now(&c, "routing", 0, "ip rule add iif br-lan fwmark 0x40/0x40 "
	    "lookup 77 pref 7 protocol 82");
	assert_now(&c, "routing", 1, "ip -6 rule add iif br-lan fwmark "
	    "0x40/0x40 lookup 77 pref 7 protocol 82");
	end(&c);
}

static void
what_a_daemon_left_is_found(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "gateway", lan);
	check_routing(&c);
	assert_status(&c, "routing", 0, CHECK_WARNING);
	assert_now(&c, "routing", 0, "ip rule del iif lan fwmark "
	    "0x10000000/0x10000000 lookup 2025 pref 100 protocol 82");
	assert_now(&c, "routing", 0,
	    "ip route del local default dev lo table 2025 protocol 82");
	assert_status(&c, "routing", 1, CHECK_WARNING);
	end(&c);
	/* They may be another's. */
	look_at(&c, "gateway", lan);
	c.daemon.other = 5;
	check_routing(&c);
	assert_null(item(&c, "routing", 0));
	end(&c);
}

static void
the_same_route_of_somebody_else_is_not_in_the_way(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "gateway", "role = proxy\n"
	    "intercept { interfaces = \"lan\" route-table = 300 }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none }\n");
	c.daemon.other = 5;
	check_routing(&c);
	assert_null(item(&c, "routing", 0));
	end(&c);
}

/* ---- interfaces ---- */

static void
interfaces_are_looked_at(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "fw4", "role = proxy\n"
	    "intercept { mode = redirect interfaces = "
	    "{ \"br-lan\", \"lan*\", \"eth*\", \"nosuch0\" } }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none "
	    "path \"p\" { interface = \"wan\" } "
	    "path \"q\" { interface = \"nosuch1\" } }\n");
	check_interfaces(&c);
	assert_status(&c, "interface", 0, CHECK_OK);
	/* A port of the bridge has no address of its own. */
	assert_status(&c, "interface", 1, CHECK_ERROR);
	assert_now(&c, "interface", 1,
	    "ip address add 169.254.10.92/32 dev lan1");
	assert_status(&c, "interface", 2, CHECK_WARNING);
	assert_status(&c, "interface", 3, CHECK_ERROR);
	assert_status(&c, "interface", 4, CHECK_OK);
	/* It may come. */
	assert_status(&c, "interface", 5, CHECK_WARNING);
	end(&c);
}

static void
br_netfilter_is_in_the_way_of_tproxy_only(void **state)
{
	static const char *const modes[] = { "tproxy", "redirect" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *text = check_format("role = proxy\nintercept { "
		    "mode = %s interfaces = { \"br-lan\", \"wan\" } }\n"
		    "relay \"r\" { address = \"192.0.2.1:1\" "
		    "protection = none }\n", modes[i]);
		struct check c;

		look_at(&c, "fw4", text);
		check_bridges(&c);
		if (i == 0) {
			assert_status(&c, "bridge", 0, CHECK_ERROR);
			assert_now(&c, "bridge", 0, "sysctl -w "
			    "net.bridge.bridge-nf-call-iptables=0");
			assert_keep(&c, "bridge", 0,
			    "echo 'net.bridge.bridge-nf-call-iptables = 0' "
			    ">>/etc/sysctl.d/90-ro-ro-tcp.conf");
			assert_status(&c, "bridge", 1, CHECK_ERROR);
		} else {
			assert_null(item(&c, "bridge", 0));
		}
		end(&c);
		free(text);
	}
}

/* ---- limits ---- */

static void
a_small_machine_is_found_small(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "small", "role = proxy\n"
	    "max-sessions = 2000\n"
	    "intercept { interfaces = \"lan\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none\n"
	    "path \"p\" { rate = 20Mbit delay = 600ms } }\n");
	check_forwarding(&c);
	assert_status(&c, "forwarding", 0, CHECK_ERROR);
	assert_now(&c, "forwarding", 0, "sysctl -w net.ipv4.ip_forward=1");
	check_conntrack(&c);
	assert_status(&c, "conntrack", 0, CHECK_ERROR);
	assert_now(&c, "conntrack", 0,
	    "sysctl -w net.netfilter.nf_conntrack_max=16384");
	check_descriptors(&c);
	assert_status(&c, "descriptors", 0, CHECK_WARNING);
	assert_now(&c, "descriptors", 0, "ulimit -n 2512");
	/* Of 5000 for the whole system 1200 are used, and 2512 wanted. */
	assert_null(item(&c, "descriptors", 1));
	check_tcp_memory(&c);
	assert_status(&c, "tcp-memory", 0, CHECK_WARNING);
	check_congestion(&c);
	assert_status(&c, "congestion", 0, CHECK_WARNING);
	assert_now(&c, "congestion", 0, "modprobe tcp_bbr");
	check_slow_start(&c);
	assert_status(&c, "slow-start", 0, CHECK_WARNING);
	check_mtu_probing(&c);
	assert_status(&c, "mtu-probing", 0, CHECK_WARNING);
	assert_now(&c, "mtu-probing", 0,
	    "sysctl -w net.ipv4.tcp_mtu_probing=2");
	check_buffers(&c);
	assert_status(&c, "buffers", 0, CHECK_OK);
	assert_int_equal(check_exit_status(&c.report), 2);
	end(&c);
}

static void
without_rate_and_delay_the_kernel_has_to_tune(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "small", lan);
	check_buffers(&c);
	assert_status(&c, "buffers", 0, CHECK_WARNING);
	assert_now(&c, "buffers", 0,
	    "sysctl -w 'net.ipv4.tcp_rmem=4096 131072 4194304'");
	assert_status(&c, "buffers", 1, CHECK_WARNING);
	assert_int_equal(check_exit_status(&c.report), 1);
	end(&c);
}

static void
small_packets_come_first_over_a_short_delay_as_well(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "small", "role = proxy\n"
	    "intercept { interfaces = \"br-lan\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none\n"
	    "path \"p\" { rate = 20Mbit delay = 40ms } }\n");
	check_mtu_probing(&c);
	assert_status(&c, "mtu-probing", 0, CHECK_WARNING);
	assert_now(&c, "mtu-probing", 0,
	    "sysctl -w net.ipv4.tcp_mtu_probing=2");
	end(&c);
}

static void
what_comes_down_a_link_with_a_slow_uplink_needs_room(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "small", "role = proxy\n"
	    "intercept { interfaces = \"br-lan\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none\n"
	    "path \"p\" { rate = 2Mbit delay = 600ms } }\n");
	check_buffers(&c);
	assert_status(&c, "buffers", 0, CHECK_OK);
	assert_status(&c, "buffers", 1, CHECK_WARNING);
	assert_now(&c, "buffers", 1,
	    "sysctl -w 'net.ipv4.tcp_rmem=4096 131072 4194304'");
	assert_null(item(&c, "buffers", 2));
	end(&c);
}

static void
a_daemon_without_privileges_is_held_to_the_limits(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "small", "role = proxy\n"
	    "forward \"f\" { listen = \"127.0.0.1:1\" "
	    "destination = \"192.0.2.2:80\" }\n"
	    "relay \"r\" { address = \"192.0.2.1:1\" protection = none\n"
	    "path \"p\" { rate = 20Mbit delay = 600ms } }\n");
	c.root = false;
	check_buffers(&c);
	assert_status(&c, "buffers", 0, CHECK_WARNING);
	assert_now(&c, "buffers", 0, "sysctl -w net.core.rmem_max=3000000");
	assert_status(&c, "buffers", 1, CHECK_WARNING);
	assert_now(&c, "buffers", 1, "sysctl -w net.core.wmem_max=4500000");
	end(&c);
}

static void
a_relay_has_to_tune_for_servers(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "small", "role = relay\n"
	    "listen = \"127.0.0.1:1093\"\nprotection = none\n"
	    "congestion = cubic\n"
	    "peer \"p\" { rate = 100Mbit delay = 600ms }\n");
	check_buffers(&c);
	assert_status(&c, "buffers", 1, CHECK_WARNING);
	check_congestion(&c);
	assert_status(&c, "congestion", 0, CHECK_OK);
	end(&c);
}

static void
a_relay_has_no_privilege_to_choose_anew(void **state)
{
	static const char westwood[] = "role = relay\n"
	    "listen = \"127.0.0.1:1093\"\nprotection = none\n"
	    "congestion = westwood\n";
	struct check c;

	(void)state;
	look_at(&c, "small", westwood);
	check_congestion(&c);
	assert_status(&c, "congestion", 0, CHECK_WARNING);
	assert_now(&c, "congestion", 0, "sysctl -w 'net.ipv4."
	    "tcp_allowed_congestion_control=reno cubic westwood'");
	end(&c);
	look_at(&c, "gateway", "role = relay\n"
	    "listen = \"127.0.0.1:1093\"\nprotection = none\n");
	check_congestion(&c);
	assert_status(&c, "congestion", 0, CHECK_OK);
	end(&c);
}

/* ---- the daemon ---- */

static void
write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* A rorod, process 7, with the socket of inode 10557, in that state; NULL: it
 * ends while one looks. */
static void
make_process(const char *root, const char *name, const char *state,
    const char *words, size_t len)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/proc", root);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/proc/7", root);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/proc/7/fd", root);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/proc/7/fd/3", root);
	unlink(path);
	assert_int_equal(symlink("socket:[10557]", path), 0);
	snprintf(path, sizeof(path), "%s/proc/7/comm", root);
	write_file(path, name, strlen(name));
	snprintf(path, sizeof(path), "%s/proc/7/cmdline", root);
	write_file(path, words, len);
	snprintf(path, sizeof(path), "%s/proc/7/cgroup", root);
	write_file(path, "0::/a/rorod.service\n", 20);
	snprintf(path, sizeof(path), "%s/proc/7/status", root);
	write_file(path, "PPid:\t1\n", 8);
	snprintf(path, sizeof(path), "%s/proc/7/stat", root);
	unlink(path);
	if (state != NULL)
		write_file(path, state, strlen(state));
}

static void
the_daemon_is_known_by_its_file_or_its_listener(void **state)
{
	static const char sleeps[] = "7 (rorod) S 1",
	    zombie[] = "7 (rorod) Z 1";
	static const struct {
		const char *name;
		const char *stat;
		const char *file;
		const char *listen;
		long pid, other;
	} cases[] = {
		{ "rorod\n", sleeps, "/etc/a.conf", "[::]:1", 7, 0 },
		{ "rorod\n", sleeps, "/etc/b.conf", "[::]:1092", 7, 0 },
		{ "rorod\n", sleeps, "/etc/b.conf", "[::]:1", 0, 7 },
		{ "other\n", sleeps, "/etc/a.conf", "[::]:1092", 0, 0 },
		{ "rorod\n", zombie, "/etc/b.conf", "[::]:1", 0, 0 },
		{ "rorod\n", NULL, "/etc/b.conf", "[::]:1", 0, 0 },
	};
	static const char words[] = "rorod\0-c\0/etc/a.conf";
	char root[] = "/tmp/test_check.XXXXXX", path[512];
	struct check_machine m = { .root = root };
	struct check_socket socket = { .inode = 10557 };
	struct check_sockets sockets = { &socket, 1 };

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(addr_parse(&socket.address, "[::]:1092"), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct check_daemon d = { 0 };
		struct addr listen;

		make_process(root, cases[i].name, cases[i].stat, words,
		    sizeof(words));
		assert_int_equal(addr_parse(&listen, cases[i].listen), 0);
		check_find_daemon(&m, cases[i].file, &sockets, &listen, 1, &d);
		assert_int_equal(d.pid, cases[i].pid);
		assert_int_equal(d.other, cases[i].other);
		if (d.pid != 0) {
			assert_true(check_owns(&d, 10557));
			assert_false(check_owns(&d, 10558));
			assert_string_equal(d.unit, "rorod.service");
		}
		check_free_daemon(&d);
	}
	snprintf(path, sizeof(path), "rm -r %s", root);
	assert_int_equal(system(path), 0);
}

static void
a_command_line_names_its_file(void **state)
{
	static const struct {
		const char *words;
		size_t len;
		const char *file;
	} lines[] = {
#define WORDS(text) text, sizeof(text)
		{ WORDS("rorod"), SYSCONFDIR "/rorod.conf" },
		{ WORDS("rorod\0-c\0a"), "a" },
		{ WORDS("rorod\0-ca"), "a" },
		{ WORDS("rorod\0--config\0a\0-d"), "a" },
		{ WORDS("rorod\0-d\0--config=a"), "a" },
		{ WORDS("rorod\0-c"), SYSCONFDIR "/rorod.conf" },
		{ "", 0, SYSCONFDIR "/rorod.conf" },
		{ "rorod", 5, SYSCONFDIR "/rorod.conf" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		char *file = check_file_of(lines[i].words, lines[i].len);

		assert_string_equal(file, lines[i].file);
		free(file);
	}
}

static void
listeners_overlap_or_do_not(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} pairs[] = {
		{ "[::]:1", "[::]:1", true },
		{ "[::]:1", "[::]:2", false },
		{ "[::]:1", "0.0.0.0:1", true },
		{ "[::]:1", "192.0.2.1:1", true },
		{ "[::]:1", "[2001:db8::1]:1", true },
		{ "0.0.0.0:1", "192.0.2.1:1", true },
		{ "0.0.0.0:1", "[2001:db8::1]:1", false },
		{ "192.0.2.1:1", "192.0.2.1:1", true },
		{ "192.0.2.1:1", "192.0.2.2:1", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct addr a, b;

		assert_int_equal(addr_parse(&a, pairs[i].a), 0);
		assert_int_equal(addr_parse(&b, pairs[i].b), 0);
		assert_int_equal(check_overlap(&a, &b), pairs[i].overlap);
		assert_int_equal(check_overlap(&b, &a), pairs[i].overlap);
	}
}

static void
a_port_that_somebody_else_has_is_an_error(void **state)
{
	struct check c;

	(void)state;
	look_at(&c, "gateway", lan);
	check_find_sockets(&c.machine, &c.sockets);
	assert_int_equal(c.sockets.n, 3);
	check_listeners(&c);
	assert_status(&c, "listener", 0, CHECK_ERROR);
	end(&c);
	/* It is the daemon's own; only root knows whose it is. */
	look_at(&c, "gateway", lan);
	check_find_sockets(&c.machine, &c.sockets);
	c.daemon.pid = 7;
	check_listeners(&c);
	assert_status(&c, "listener", 0, CHECK_SKIPPED);
	c.daemon.sockets = check_alloc(sizeof(uint64_t));
	c.daemon.sockets[c.daemon.nsockets++] = 10557;
	check_listeners(&c);
	assert_status(&c, "listener", 1, CHECK_OK);
	end(&c);
}

/* ---- how it is said ---- */

static void
a_shell_reads_what_was_quoted(void **state)
{
	static const struct {
		const char *text, *quoted;
	} words[] = {
		{ "/etc/rorod/a.key", "/etc/rorod/a.key" },
		{ "", "''" },
		{ "a b", "'a b'" },
		{ "$(x)", "'$(x)'" },
		{ "it's", "'it'\\''s'" },
		{ "a\nb", "'a\nb'" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		char *quoted = check_quote(words[i].text);

		assert_string_equal(quoted, words[i].quoted);
		free(quoted);
	}
}

static void
a_setting_is_written_as_sysctl_has_it(void **state)
{
	struct check_report r;
	struct check_item *i;

	(void)state;
	check_report_init(&r);
	i = check_add(&r, CHECK_WARNING, "x", NULL, "x");
	check_sysctl(i, "2", "net/ipv4/conf/%s/rp_filter", "eth0");
	check_sysctl(i, "2", "net/ipv4/conf/%s/rp_filter", "eth0.5");
	check_sysctl(i, "1 2", "net/x");
	assert_string_equal(i->now.lines[0],
	    "sysctl -w net.ipv4.conf.eth0.rp_filter=2");
	assert_string_equal(i->now.lines[1],
	    "sysctl -w net/ipv4/conf/eth0.5/rp_filter=2");
	assert_string_equal(i->now.lines[2], "sysctl -w 'net.x=1 2'");
	assert_string_equal(i->keep.lines[2],
	    "echo 'net.x = 1 2' >>/etc/sysctl.d/90-ro-ro-tcp.conf");
	check_report_free(&r);
}

static void
nothing_but_text_is_printed(void **state)
{
	static const struct {
		const char *in, *out;
	} texts[] = {
		{ "plain", "plain" },
		{ "\x1b[31mred\n", "?[31mred?" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "\xf0\x9f\x90\xa2", "\xf0\x9f\x90\xa2" },
		{ "\xc3", "?" },
		{ "\xff\xfe" "a\x80", "??a?" },
		{ "\xc2\x9b" "31m", "??31m" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct check_report r;

		check_report_init(&r);
		assert_string_equal(check_add(&r, CHECK_OK, "x", texts[i].in,
		    "%s", texts[i].in)->found, texts[i].out);
		check_report_free(&r);
	}
}

static void
the_exit_status_is_that_of_the_worst(void **state)
{
	struct check_report r;

	(void)state;
	check_report_init(&r);
	assert_int_equal(check_exit_status(&r), 0);
	check_add(&r, CHECK_OK, "x", NULL, "x");
	check_add(&r, CHECK_SKIPPED, "x", NULL, "x");
	assert_int_equal(check_exit_status(&r), 0);
	check_add(&r, CHECK_WARNING, "x", NULL, "x");
	assert_int_equal(check_exit_status(&r), 1);
	check_add(&r, CHECK_ERROR, "x", NULL, "x");
	check_add(&r, CHECK_WARNING, "x", NULL, "x");
	assert_int_equal(check_exit_status(&r), 2);
	check_report_free(&r);
}

/* What was printed by `json` or as text; the caller's. */
static char *
printed(const struct check_report *r, bool json, bool brief)
{
	const struct check_head head = { .file = "/etc/x", .role = "proxy",
		.pid = 7, .root = true };
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	if (json)
		check_print_json(to, &head, r);
	else
		check_print_text(to, &head, r, brief);
	fclose(to);
	return text;
}

static void
json_holds_everything(void **state)
{
	struct check_report r;
	struct check_item *i;
	struct json_object *o, *items, *first, *value;
	char *text;

	(void)state;
	check_report_init(&r);
	i = check_add(&r, CHECK_ERROR, "x", "a \"b\"", "found \\ it");
	check_why(i, "why");
	check_now(i, "do %d", 1);
	check_keep(i, "do more");
	text = printed(&r, true, false);
	o = json_tokener_parse(text);
	assert_non_null(o);
	assert_true(json_object_object_get_ex(o, "version", &value));
	assert_int_equal(json_object_get_int(value), 1);
	assert_true(json_object_object_get_ex(o, "status", &value));
	assert_string_equal(json_object_get_string(value), "error");
	assert_true(json_object_object_get_ex(o, "items", &items));
	first = json_object_array_get_idx(items, 0);
	assert_true(json_object_object_get_ex(first, "subject", &value));
	assert_string_equal(json_object_get_string(value), "a \"b\"");
	assert_true(json_object_object_get_ex(first, "found", &value));
	assert_string_equal(json_object_get_string(value), "found \\ it");
	assert_true(json_object_object_get_ex(first, "now", &value));
	assert_string_equal(json_object_get_string(
	    json_object_array_get_idx(value, 0)), "do 1");
	json_object_put(o);
	free(text);
	check_report_free(&r);
}

static void
brief_text_holds_what_is_wrong(void **state)
{
	struct check_report r;
	char *text;

	(void)state;
	check_report_init(&r);
	check_add(&r, CHECK_OK, "fine", NULL, "x");
	text = printed(&r, false, true);
	assert_string_equal(text, "");
	free(text);
	check_why(check_add(&r, CHECK_WARNING, "bad", "s", "x"), "because");
	text = printed(&r, false, true);
	assert_null(strstr(text, "fine"));
	assert_non_null(strstr(text, "warning  bad"));
	assert_non_null(strstr(text, "s: x\n"));
	assert_non_null(strstr(text, "because\n"));
	free(text);
	text = printed(&r, false, false);
	assert_non_null(strstr(text, "ok       fine"));
	free(text);
	check_report_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_that_drops_what_is_intercepted),
		cmocka_unit_test(a_rule_that_rejects_it_behind_a_jump),
		cmocka_unit_test(sets_and_maps_that_do_not_have_it),
		cmocka_unit_test(a_firewall_that_lets_it_pass),
		cmocka_unit_test(offload_of_fw4_is_named_and_harmless),
		cmocka_unit_test(offload_hides_quic_that_is_to_be_rejected),
		cmocka_unit_test(offload_by_hand_is_mended_by_hand),
		cmocka_unit_test(offload_of_iptables_is_found),
		cmocka_unit_test(nothing_is_offloaded_elsewhere),
		cmocka_unit_test(rules_by_hand_are_told_from_others),
		cmocka_unit_test(
		    a_rule_without_a_daemon_refuses_only_if_it_redirects),
		cmocka_unit_test(the_table_of_a_daemon_that_runs_is_missed),
		cmocka_unit_test(rule_and_route_are_found),
		cmocka_unit_test(rule_and_route_are_missed),
		cmocka_unit_test(what_a_daemon_left_is_found),
		cmocka_unit_test(
		    the_same_route_of_somebody_else_is_not_in_the_way),
		cmocka_unit_test(interfaces_are_looked_at),
		cmocka_unit_test(br_netfilter_is_in_the_way_of_tproxy_only),
		cmocka_unit_test(a_small_machine_is_found_small),
		cmocka_unit_test(without_rate_and_delay_the_kernel_has_to_tune),
		cmocka_unit_test(
		    small_packets_come_first_over_a_short_delay_as_well),
		cmocka_unit_test(
		    what_comes_down_a_link_with_a_slow_uplink_needs_room),
		cmocka_unit_test(
		    a_daemon_without_privileges_is_held_to_the_limits),
		cmocka_unit_test(a_relay_has_to_tune_for_servers),
		cmocka_unit_test(a_relay_has_no_privilege_to_choose_anew),
		cmocka_unit_test(
		    the_daemon_is_known_by_its_file_or_its_listener),
		cmocka_unit_test(a_command_line_names_its_file),
		cmocka_unit_test(listeners_overlap_or_do_not),
		cmocka_unit_test(a_port_that_somebody_else_has_is_an_error),
		cmocka_unit_test(a_shell_reads_what_was_quoted),
		cmocka_unit_test(a_setting_is_written_as_sysctl_has_it),
		cmocka_unit_test(nothing_but_text_is_printed),
		cmocka_unit_test(the_exit_status_is_that_of_the_worst),
		cmocka_unit_test(json_holds_everything),
		cmocka_unit_test(brief_text_holds_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
