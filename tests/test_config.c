/* SPDX-License-Identifier: ISC */
/*
 * Configurations are written here as in the file, one statement a line, for a
 * reader of a few lines below that is no judge of syntax: words and quoted
 * text between blanks, `name = value...`, `name(value...)`, `name title {` and
 * `}`.  tests/test_conffile.c has the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define WORDS_MAX 16

/* The smallest whole ones.  Their last line is complete, so more can follow. */
#define PROXY \
	"role = proxy\n" \
	"intercept {\n" \
	"interfaces = lan0\n" \
	"}\n" \
	"relay earth {\n" \
	"address = relay.example:1093\n" \
	"protection = none\n" \
	"}\n"
#define RELAY_OF_A_PROXY \
	"role = proxy\n" \
	"relay earth {\n" \
	"address = relay.example:1093\n" \
	"protection = none\n" \
	"}\n"
#define RELAY \
	"role = relay\n" \
	"listen = 127.0.0.1:1093\n" \
	"protection = none\n"

/* And with keys; peers may follow the relay. */
#define SEALED_PROXY \
	"role = proxy\n" \
	"intercept {\n" \
	"interfaces = lan0\n" \
	"}\n" \
	"relay earth {\n" \
	"address = relay.example:1093\n" \
	"key-file = /etc/rorod/earth.key\n" \
	"}\n"
#define SEALED_RELAY \
	"role = relay\n" \
	"listen = [::]:1093\n" \
	"peer a {\n" \
	"key-file = /etc/rorod/a.key\n" \
	"}\n"

static char error[2048];

static void
statement(struct config_builder *b, char *text, unsigned int line)
{
	const char *words[WORDS_MAX];
	size_t n = 0;
	char *rest = NULL;

	for (char *w = strtok_r(text, " ", &rest); w != NULL;
	    w = strtok_r(NULL, " ", &rest)) {
		assert_true(n < WORDS_MAX);
		words[n++] = strcmp(w, "''") == 0 ? "" : w;
	}
	if (n == 0)
		return;
	if (strcmp(words[0], "}") == 0)
		config_end(b);
	else if (strcmp(words[n - 1], "{") == 0)
		config_begin(b, words[0], n > 2 ? words[1] : NULL, line);
	else if (n > 1 && strcmp(words[1], "=") == 0)
		config_value(b, words[0], words + 2, n - 2, line);
	else
		config_rule(b, words[0], words + 1, n - 1, line);
}

static struct config *
make(const char *text)
{
	struct config_builder *b = config_builder_new("test.conf");
	char *copy = strdup(text), *rest = copy;

	assert_non_null(b);
	assert_non_null(copy);
	for (unsigned int line = 1; rest != NULL; line++)
		statement(b, strsep(&rest, "\n"), line);
	struct config *c = config_finish(b);
	free(copy);
	if (c == NULL) {
		assert_non_null(config_error(b));
		snprintf(error, sizeof(error), "%s", config_error(b));
	} else {
		assert_null(config_error(b));
		error[0] = '\0';
	}
	config_builder_free(b);
	return c;
}

static struct config *
made(const char *text)
{
	struct config *c = make(text);

	assert_string_equal(error, "");
	assert_non_null(c);
	return c;
}

static void
refused(const char *text, const char *why)
{
	struct config *c = make(text);

	assert_string_equal(error, why);
	assert_null(c);
}

static void
assert_addr(const struct addr *a, const char *text)
{
	char buf[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(a, buf), text);
}

/* ---- what is accepted ---- */

static void
proxy_has_defaults(void **state)
{
	struct config *c = made(SEALED_PROXY);
	const struct config_relay *relay = &c->relays[0];
	const struct config_path *path = &relay->paths[0];

	(void)state;
	assert_int_equal(c->role, CONFIG_PROXY);
	assert_int_equal(c->log_level, CONFIG_INFO);
	assert_false(c->log_syslog);
	assert_null(c->user);
	assert_null(c->group);
	assert_string_equal(c->control, "/run/ro-ro-tcp/control.sock");
	assert_null(c->control_group);
	assert_int_equal(c->max_sessions, 0);
	assert_int_equal(c->max_sessions_per_client, 0);
	assert_int_equal(c->memory_limit_bytes, 0);
	assert_int_equal(c->window_bytes, 0);
	assert_int_equal(c->connect_timeout_ms, 30000);
	assert_int_equal(c->grace_ms, 30000);
	assert_int_equal(c->keepalive_s, 60);
	assert_int_equal(c->resume_timeout_ms, 120000);
	assert_int_equal(c->redundancy_bytes, 128 << 10);
	assert_true(c->intercept_given);
	assert_int_equal(c->nforwards, 0);

	assert_int_equal(c->nrelays, 1);
	assert_string_equal(relay->name, "earth");
	assert_int_equal(relay->line, 5);
	assert_string_equal(relay->address.host, "relay.example");
	assert_int_equal(relay->address.port, 1093);
	assert_int_equal(relay->protocol, CONFIG_EXTENDED);
	assert_int_equal(relay->protection, WIRE_PROTECTION_SEALED);
	assert_string_equal(relay->key_file, "/etc/rorod/earth.key");

	assert_int_equal(relay->weight, 1);
	assert_int_equal(c->choice, CONFIG_RELAYS_ORDER);

	assert_int_equal(relay->npaths, 1);
	assert_int_equal(path->weight, 100);
	assert_false(path->backup);
	assert_string_equal(path->name, "default");
	assert_int_equal(path->line, 0);
	assert_null(path->interface);
	assert_int_equal(path->source.family, 0);
	assert_int_equal(path->express, 2);
	assert_int_equal(path->bulk, 2);
	assert_string_equal(path->socket.congestion, "bbr");
	assert_int_equal(path->socket.notsent_lowat_bytes, 0);
	assert_int_equal(path->socket.user_timeout_ms, 30000);
	assert_int_equal(path->socket.mark, 0);
	assert_int_equal(path->socket.rate_bps, 0);
	assert_int_equal(path->socket.delay_ms, 0);
	config_free(c);
}

static void
relay_has_defaults(void **state)
{
	struct config *c = made(SEALED_RELAY);
	const struct config_peer *peer = &c->peers[0];

	(void)state;
	assert_int_equal(c->role, CONFIG_RELAY);
	assert_int_equal(c->nlisten, 1);
	assert_addr(&c->listen[0], "[::]:1093");
	assert_int_equal(c->protection, WIRE_PROTECTION_SEALED);
	assert_int_equal(c->ipv6, CONFIG_REACH_AUTO);
	assert_int_equal(c->ntrusted, 0);
	assert_string_equal(c->socket.congestion, "bbr");
	assert_int_equal(c->socket.user_timeout_ms, 30000);
	assert_int_equal(c->socket.mark, 0);
	assert_int_equal(c->npeers, 1);
	assert_string_equal(peer->name, "a");
	assert_int_equal(peer->nkey_files, 1);
	assert_string_equal(peer->key_files[0], "/etc/rorod/a.key");
	assert_non_null(peer->acl);
	assert_int_equal(peer->max_sessions, 0);
	assert_int_equal(peer->max_subflows, 64);
	assert_int_equal(peer->new_sessions_per_s, 0);
	assert_int_equal(peer->memory_bytes, 0);
	assert_string_equal(peer->socket.congestion, "bbr");
	assert_int_equal(peer->socket.user_timeout_ms, 30000);
	assert_int_equal(peer->socket.rate_bps, 0);
	assert_int_equal(peer->socket.delay_ms, 0);
	assert_int_equal(peer->socket.mark, 0);
	assert_false(c->base.enabled);
	config_free(c);
}

static void
assert_ports(const struct acl_ports *ports, unsigned int first,
    unsigned int last)
{
	assert_int_equal(ports->first, first);
	assert_int_equal(ports->last, last);
}

static void
interception_has_defaults(void **state)
{
	struct config *c = made(PROXY);
	const struct config_intercept *in = &c->intercept;

	(void)state;
	assert_true(c->intercept_given);
	assert_int_equal(in->mode, CONFIG_TPROXY);
	assert_addr(&in->listen, "[::]:1092");
	assert_false(in->own);
	assert_int_equal(in->own_port, 0);
	assert_int_equal(in->ninterfaces, 1);
	assert_string_equal(in->interfaces[0], "lan0");
	assert_int_equal(in->nports, 2);
	assert_ports(&in->ports[0], 1, 21);
	assert_ports(&in->ports[1], 23, 65535);
	assert_int_equal(in->nexcept_ports, 0);
	assert_int_equal(in->nbypass, 0);
	assert_false(in->private);
	assert_false(in->reject_quic);
	assert_true(in->refused);
	assert_false(in->dscp);
	assert_true(in->nft);
	assert_true(in->nft_owner);
	assert_true(in->route);
	assert_int_equal(in->mark, 0x10000000);
	assert_int_equal(in->route_table, 2025);
	assert_int_equal(in->route_priority, 100);
	assert_int_equal(c->relays[0].paths[0].socket.mark, 0);
	config_free(c);
}

static void
every_option_of_an_interception_is_stored(void **state)
{
	struct config *c = made(RELAY_OF_A_PROXY
	    "intercept {\n"
	    "mode = tproxy\n"
	    "listen = 192.0.2.1:1\n"
	    "own = yes\n"
	    "own-port = 2\n"
	    "interfaces = br-lan wlan*\n"
	    "ports = 80 443 8000-8999\n"
	    "except-ports = 8291 8728-8729\n"
	    "bypass = 192.0.2.0/24 2001:db8::1\n"
	    "private = intercept\n"
	    "quic = reject\n"
	    "refused = no\n"
	    "dscp = copy\n"
	    "nft = yes\n"
	    "nft-owner = no\n"
	    "route = yes\n"
	    "mark = 0x40\n"
	    "route-table = 7\n"
	    "route-priority = 8\n"
	    "}\n");
	const struct config_intercept *in = &c->intercept;

	(void)state;
	assert_int_equal(in->mode, CONFIG_TPROXY);
	assert_addr(&in->listen, "192.0.2.1:1");
	assert_true(in->own);
	assert_int_equal(in->own_port, 2);
	assert_int_equal(in->ninterfaces, 2);
	assert_string_equal(in->interfaces[0], "br-lan");
	assert_string_equal(in->interfaces[1], "wlan*");
	assert_int_equal(in->nports, 3);
	assert_ports(&in->ports[0], 80, 80);
	assert_ports(&in->ports[1], 443, 443);
	assert_ports(&in->ports[2], 8000, 8999);
	assert_int_equal(in->nexcept_ports, 2);
	assert_ports(&in->except_ports[1], 8728, 8729);
	assert_int_equal(in->nbypass, 2);
	assert_int_equal(in->bypass[0].length, 24);
	assert_int_equal(in->bypass[1].family, 6);
	assert_true(in->private);
	assert_true(in->reject_quic);
	assert_false(in->refused);
	assert_true(in->dscp);
	assert_true(in->nft);
	assert_false(in->nft_owner);
	assert_int_equal(in->mark, 0x40);
	assert_int_equal(in->route_table, 7);
	assert_int_equal(in->route_priority, 8);
	config_free(c);

	c = made(RELAY_OF_A_PROXY "intercept {\nmode = redirect\n"
	    "nft = off\n}\n");
	assert_int_equal(c->intercept.mode, CONFIG_REDIRECT);
	assert_false(c->intercept.nft);
	assert_int_equal(c->intercept.ninterfaces, 0);
	config_free(c);
	c = made(RELAY_OF_A_PROXY "intercept {\nroute = off\n"
	    "nft = off\n}\n");
	assert_false(c->intercept.route);
	config_free(c);
}

/* So that they are not intercepted themselves. */
static void
own_sockets_are_marked_where_own_connections_are_intercepted(void **state)
{
	struct config *c = made("role = proxy\n"
	    "intercept {\ninterfaces = lan0\nown = yes\n}\n"
	    "relay earth {\naddress = relay.example:1093\n"
	    "protection = none\npath sat {\nmark = 3\n}\n}\n");

	(void)state;
	assert_int_equal(c->intercept.own_port, 1091);
	assert_int_equal(c->relays[0].paths[0].socket.mark, 0x10000003);
	config_free(c);
}

static void
every_option_of_a_proxy_is_stored(void **state)
{
	struct config *c = made("log-level = debug\n"
	    "log = syslog\n"
	    "user = rorod\n"
	    "group = net_dev.2\n"
	    "control = /run/roro.sock/a\n"
	    "control-group = adm\n"
	    "max-sessions = 1000\n"
	    "max-sessions-per-client = 100\n"
	    "memory-limit = 64MiB\n"
	    "window = 4MiB\n"
	    "connect-timeout = 5s\n"
	    "grace = 0\n"
	    "keepalive = 2min\n"
	    "resume-timeout = 1h\n"
	    "forward web {\n"
	    "listen = 127.0.0.1:8080\n"
	    "destination = [2001:db8::80]:80\n"
	    "}\n"
	    "forward mail {\n"
	    "listen = [::1]:2525\n"
	    "destination = 192.0.2.25:25\n"
	    "}\n"
	    "relay earth-1 {\n"
	    "address = 192.0.2.1:1093\n"
	    "protocol = extended\n"
	    "protection = auth\n"
	    "key-file = /k\n"
	    "congestion = cubic\n"
	    "notsent-lowat = 128KiB\n"
	    "user-timeout = 0\n"
	    "path sat {\n"
	    "interface = wwan0\n"
	    "source = 192.0.2.9\n"
	    "mark = 0x10\n"
	    "rate = 2Mbit\n"
	    "receive-rate = 20Mbit\n"
	    "delay = 600ms\n"
	    "express = 1\n"
	    "bulk = 3\n"
	    "weight = 0\n"
	    "}\n"
	    "path lte {\n"
	    "backup = yes\n"
	    "}\n"
	    "weight = 9\n"
	    "}\n"
	    "relays = weight\n"
	    "redundancy = 64KiB\n"
	    "role = proxy\n");
	const struct config_relay *relay = &c->relays[0];
	const struct config_path *path = &relay->paths[0];

	(void)state;
	assert_int_equal(c->log_level, CONFIG_DEBUG);
	assert_true(c->log_syslog);
	assert_string_equal(c->user, "rorod");
	assert_string_equal(c->group, "net_dev.2");
	assert_string_equal(c->control, "/run/roro.sock/a");
	assert_string_equal(c->control_group, "adm");
	assert_false(c->intercept_given);
	assert_int_equal(c->max_sessions, 1000);
	assert_int_equal(c->max_sessions_per_client, 100);
	assert_int_equal(c->memory_limit_bytes, 64 << 20);
	assert_int_equal(c->window_bytes, 4 << 20);
	assert_int_equal(c->connect_timeout_ms, 5000);
	assert_int_equal(c->grace_ms, 0);
	assert_int_equal(c->keepalive_s, 120);
	assert_int_equal(c->resume_timeout_ms, 3600000);
	assert_int_equal(c->redundancy_bytes, 64 << 10);

	assert_int_equal(c->nforwards, 2);
	assert_string_equal(c->forwards[0].name, "web");
	assert_int_equal(c->forwards[0].line, 15);
	assert_addr(&c->forwards[0].listen, "127.0.0.1:8080");
	assert_string_equal(c->forwards[0].destination.host, "2001:db8::80");
	assert_int_equal(c->forwards[0].destination.port, 80);
	assert_string_equal(c->forwards[1].name, "mail");
	assert_addr(&c->forwards[1].listen, "[::1]:2525");
	assert_string_equal(c->forwards[1].destination.host, "192.0.2.25");

	assert_string_equal(relay->name, "earth-1");
	assert_int_equal(relay->protection, WIRE_PROTECTION_AUTH);
	assert_string_equal(relay->key_file, "/k");
	assert_int_equal(relay->npaths, 2);
	assert_string_equal(path->name, "sat");
	assert_int_equal(path->line, 31);
	assert_string_equal(path->interface, "wwan0");
	assert_addr(&path->source, "192.0.2.9:0");
	assert_int_equal(path->express, 1);
	assert_int_equal(path->bulk, 3);
	assert_int_equal(path->weight, 0);
	assert_false(path->backup);
	assert_true(path[1].backup);
	assert_int_equal(path->socket.receive_bps, 20000000);
	assert_int_equal(path[1].socket.receive_bps, 0);
	assert_int_equal(relay->weight, 9);
	assert_int_equal(c->choice, CONFIG_RELAYS_WEIGHT);
	assert_string_equal(path->socket.congestion, "cubic");
	assert_int_equal(path->socket.notsent_lowat_bytes, 128 << 10);
	assert_int_equal(path->socket.user_timeout_ms, 0);
	assert_int_equal(path->socket.mark, 16);
	assert_int_equal(path->socket.rate_bps, 2000000);
	assert_int_equal(path->socket.delay_ms, 600);
	config_free(c);
}

static void
every_option_of_a_relay_is_stored(void **state)
{
	struct config *c = made("role = relay\n"
	    "listen = [::]:1093 0.0.0.0:1094\n"
	    "protection = auth\n"
	    "ipv6 = no\n"
	    "control = off\n"
	    "congestion = reno\n"
	    "notsent-lowat = 16384\n"
	    "user-timeout = 10s\n"
	    "mark = 7\n"
	    "\n"
	    "peer cpe {\n"
	    "key-file = /new.key /old.key\n"
	    "rate = 20Mbit\n"
	    "delay = 0.6s\n"
	    "max-sessions = 100\n"
	    "max-subflows = 8\n"
	    "new-sessions = 50\n"
	    "memory = 8MiB\n"
	    "permit 10.0.0.0/8 80,443\n"
	    "deny any 25\n"
	    "}\n"
	    "peer other {\n"
	    "key-file = /other.key\n"
	    "}\n"
	    "base {\n"
	    "server = www.example:80\n"
	    "proxies = 192.0.2.1 2001:db8::/64\n"
	    "max-subflows = 4\n"
	    "}\n");
	const struct config_peer *peer = &c->peers[0];

	(void)state;
	assert_int_equal(c->nlisten, 2);
	assert_addr(&c->listen[0], "[::]:1093");
	assert_addr(&c->listen[1], "0.0.0.0:1094");
	assert_int_equal(c->protection, WIRE_PROTECTION_AUTH);
	assert_int_equal(c->ipv6, CONFIG_REACH_NO);
	assert_null(c->control);
	assert_string_equal(c->socket.congestion, "reno");
	assert_int_equal(c->socket.notsent_lowat_bytes, 16384);
	assert_int_equal(c->socket.user_timeout_ms, 10000);
	assert_int_equal(c->socket.mark, 7);
	assert_int_equal(c->npeers, 2);
	assert_string_equal(peer->name, "cpe");
	assert_int_equal(peer->line, 11);
	assert_int_equal(peer->nkey_files, 2);
	assert_string_equal(peer->key_files[0], "/new.key");
	assert_string_equal(peer->key_files[1], "/old.key");
	assert_int_equal(peer->max_sessions, 100);
	assert_int_equal(peer->max_subflows, 8);
	assert_int_equal(peer->new_sessions_per_s, 50);
	assert_int_equal(peer->memory_bytes, 8 << 20);
	assert_string_equal(peer->socket.congestion, "reno");
	assert_int_equal(peer->socket.notsent_lowat_bytes, 16384);
	assert_int_equal(peer->socket.user_timeout_ms, 10000);
	assert_int_equal(peer->socket.rate_bps, 20000000);
	assert_int_equal(peer->socket.delay_ms, 600);
	assert_int_equal(peer->socket.mark, 7);
	assert_string_equal(c->peers[1].name, "other");
	assert_int_equal(c->peers[1].line, 22);
	assert_string_equal(c->peers[1].key_files[0], "/other.key");
	assert_int_equal(c->peers[1].max_subflows, 64);
	assert_true(c->base.enabled);
	assert_string_equal(c->base.server.host, "www.example");
	assert_int_equal(c->base.server.port, 80);
	assert_int_equal(c->base.nproxies, 2);
	assert_int_equal(c->base.proxies[0].family, 4);
	assert_int_equal(c->base.proxies[0].length, 32);
	assert_int_equal(c->base.proxies[1].family, 6);
	assert_int_equal(c->base.proxies[1].length, 64);
	assert_int_equal(c->base.max_subflows, 4);
	config_free(c);
}

static void
interfaces_are_listed(void **state)
{
	struct config *c = made(RELAY "trusted-interfaces = wg0 lan.7\n");

	(void)state;
	assert_int_equal(c->ntrusted, 2);
	assert_string_equal(c->trusted_interfaces[0], "wg0");
	assert_string_equal(c->trusted_interfaces[1], "lan.7");
	config_free(c);
}

/* The one that whoever reaches the relay is. */
static void
without_protection_there_is_a_peer(void **state)
{
	struct config *c = made(RELAY "mark = 3\n");
	const struct config_peer *peer = &c->peers[0];

	(void)state;
	assert_int_equal(c->protection, WIRE_PROTECTION_NONE);
	assert_int_equal(c->npeers, 1);
	assert_string_equal(peer->name, "default");
	assert_int_equal(peer->line, 0);
	assert_int_equal(peer->nkey_files, 0);
	assert_int_equal(peer->max_subflows, 64);
	assert_non_null(peer->acl);
	assert_string_equal(peer->socket.congestion, "bbr");
	assert_int_equal(peer->socket.mark, 3);
	config_free(c);
}

static enum acl_verdict
verdict(const struct config *c, const char *destination)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, destination), 0);
	return acl_check(c->peers[0].acl, &a, NULL, 0);
}

static void
rules_keep_their_order(void **state)
{
	struct config *c = made(RELAY
	    "peer cpe {\n"
	    "deny 10.1.0.0/16 any\n"
	    "permit 10.0.0.0/8 80,443\n"
	    "deny any 25\n"
	    "}\n");

	(void)state;
	assert_int_equal(verdict(c, "10.2.0.1:80"), ACL_PERMIT);
	assert_int_equal(verdict(c, "10.1.0.1:80"), ACL_DENY_RULE);
	assert_int_equal(verdict(c, "10.2.0.1:81"), ACL_DENY_SPECIAL);
	assert_int_equal(verdict(c, "8.8.8.8:25"), ACL_DENY_RULE);
	assert_int_equal(verdict(c, "8.8.8.8:26"), ACL_PERMIT);
	config_free(c);
}

static struct config *
made_with_path(const char *options)
{
	char text[512];

	snprintf(text, sizeof(text), "role = proxy\n"
	    "intercept {\ninterfaces = lan0\n}\n"
	    "relay earth {\n"
	    "address = relay.example:1093\n"
	    "protection = none\n"
	    "path sat {\n%s\n}\n}\n", options);
	return made(text);
}

static void
fast_path_has_four_bulk_subflows(void **state)
{
	struct config *slow = made_with_path("rate = 99Mbit");
	struct config *fast = made_with_path("rate = 100Mbit");
	struct config *told = made_with_path("rate = 1Gbit\nbulk = 1");

	(void)state;
	assert_int_equal(slow->relays[0].paths[0].bulk, 2);
	assert_int_equal(fast->relays[0].paths[0].bulk, 4);
	assert_int_equal(fast->relays[0].paths[0].express, 2);
	assert_int_equal(told->relays[0].paths[0].bulk, 1);
	config_free(slow);
	config_free(fast);
	config_free(told);
}

/* Two of them, on lines 5 and 10 if `one` is a line. */
#define RELAYS(one, two) "role = proxy\n" \
	"intercept {\ninterfaces = lan0\n}\n" \
	"relay earth {\naddress = a:1\nprotection = none\n" one "\n}\n" \
	"relay mars {\naddress = b:1\nprotection = none\n" two "\n}\n"

static void
relays_have_paths_of_their_own(void **state)
{
	struct config *c = made(RELAYS("path sat {\n}\npath lte {\nmark = 1\n}",
	    "path sat {\nmark = 2\n}"));

	(void)state;
	assert_int_equal(c->nrelays, 2);
	assert_int_equal(c->relays[0].npaths, 2);
	assert_string_equal(c->relays[0].paths[1].name, "lte");
	assert_int_equal(c->relays[0].paths[1].socket.mark, 1);
	assert_string_equal(c->relays[1].name, "mars");
	assert_int_equal(c->relays[1].npaths, 1);
	assert_string_equal(c->relays[1].paths[0].name, "sat");
	assert_int_equal(c->relays[1].paths[0].socket.mark, 2);
	config_free(c);
	c = made(RELAYS("", "path lte {\n}"));
	assert_int_equal(c->relays[0].npaths, 1);
	assert_string_equal(c->relays[0].paths[0].name, "default");
	assert_string_equal(c->relays[1].paths[0].name, "lte");
	config_free(c);
	refused(RELAYS("path sat {\n}\npath sat {\n}", ""),
	    "test.conf:10: path: expected a name of its own, found 'sat' "
	    "again");
	refused(RELAYS("}\nrelay earth {\naddress = c:1", ""),
	    "test.conf:9: relay: expected a name of its own, found 'earth' "
	    "again");
}

static void
assert_weights(const char *paths, uint8_t one, uint8_t two, uint8_t three)
{
	char text[1024];

	snprintf(text, sizeof(text), "role = proxy\n"
	    "intercept {\ninterfaces = lan0\n}\n"
	    "relay a {\naddress = a:1\nprotection = none\n%s}\n", paths);
	struct config *c = made(text);
	assert_int_equal(c->relays[0].npaths, 3);
	assert_int_equal(c->relays[0].paths[0].weight, one);
	assert_int_equal(c->relays[0].paths[1].weight, two);
	assert_int_equal(c->relays[0].paths[2].weight, three);
	config_free(c);
}

static void
paths_weigh_as_their_rates(void **state)
{
	(void)state;
	assert_weights("path a {\nrate = 20Mbit\n}\npath b {\nrate = 5Mbit\n}\n"
	    "path c {\nrate = 8kbit\n}\n", 100, 25, 1);
	assert_weights("path a {\nrate = 20Mbit\n}\npath b {\n}\n"
	    "path c {\nrate = 8kbit\n}\n", 100, 100, 100);
	assert_weights("path a {\nrate = 20Mbit\nweight = 7\n}\n"
	    "path b {\nrate = 10Mbit\n}\npath c {\nrate = 1Mbit\nweight = 0\n"
	    "}\n", 7, 50, 0);
}

static void
paths_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	refused(RELAYS("path a {\nbackup = yes\n}\npath b {\nbackup = yes\n}",
	    ""), "test.conf:5: relay: expected a path without backup = yes, "
	    "found none");
	refused("role = proxy\nintercept {\ninterfaces = a\n}\n"
	    "relay a {\naddress = 192.0.2.1:1\nkey-file = /k\n"
	    "path a {\nsource = 2001:db8::1\n}\n}\n",
	    "test.conf:8: path: expected a source of the family of the relay's "
	    "address, 192.0.2.1, found an IPv6 address");
	refused("role = proxy\nintercept {\ninterfaces = a\n}\n"
	    "relay a {\nkey-file = /k\npath a {\nsource = 192.0.2.2\n}\n"
	    "address = [2001:db8::1]:1\n}\n",
	    "test.conf:7: path: expected a source of the family of the relay's "
	    "address, 2001:db8::1, found an IPv4 address");
	refused(RELAYS("path a {\nexpress = 8\nbulk = 16\n}\n"
	    "path b {\nexpress = 8\nbulk = 16\n}\n"
	    "path c {\nexpress = 8\nbulk = 5\n}", ""),
	    "test.conf:5: relay: expected at most 60 subflows on all of its "
	    "paths, found 61");
	config_free(made(RELAYS("path a {\nexpress = 8\nbulk = 16\n}\n"
	    "path b {\nexpress = 8\nbulk = 16\n}\n"
	    "path c {\nexpress = 8\nbulk = 4\n}", "")));
#define BASE_WITH_PATH(text) "role = proxy\n" \
	"forward f {\nlisten = [::1]:1\n}\n" \
	"relay a {\naddress = a:1\nprotocol = base\npath b {\n" text "\n}\n}\n"
	refused(BASE_WITH_PATH("backup = yes"),
	    "test.conf:8: path: backup and weight belong to protocol = "
	    "extended, found protocol = base, whose sessions use every path");
	refused(BASE_WITH_PATH("receive-rate = 5Mbit"),
	    "test.conf:8: path: receive-rate belongs to protocol = extended, "
	    "found protocol = base, which cannot tell it to the relay");
	refused(BASE_WITH_PATH("weight = 5"),
	    "test.conf:8: path: backup and weight belong to protocol = "
	    "extended, found protocol = base, whose sessions use every path");
}

static void
relays_that_make_no_sense_are_refused(void **state)
{
	char text[2048] = PROXY, one[128];

	(void)state;
	refused("role = proxy\nforward f {\nlisten = [::1]:1\n}\n"
	    "relay a {\naddress = a:1\nprotocol = base\n}\n"
	    "relay b {\naddress = b:1\nprotocol = base\n}\n",
	    "test.conf:5: relay: expected no other relay with protocol = base, "
	    "which carries no destination, found several");
	for (int i = 2; i <= CONFIG_RELAYS_MAX + 1; i++) {
		snprintf(one, sizeof(one), "relay r%d {\naddress = a:1\n"
		    "protection = none\n}\n", i);
		strcat(text, one);
		if (i == CONFIG_RELAYS_MAX)
			config_free(made(text));
	}
	assert_null(make(text));
	assert_string_equal(error, "test.conf:69: relay: expected at most 16 "
	    "of them, found another");
}

static void
base_protocol_has_forwards_without_destination(void **state)
{
	struct config *c = made("role = proxy\n"
	    "forward web {\n"
	    "listen = 127.0.0.1:8080\n"
	    "}\n"
	    "relay earth {\n"
	    "address = relay.example:1093\n"
	    "protocol = base\n"
	    "}\n");

	(void)state;
	assert_int_equal(c->relays[0].protocol, CONFIG_BASE);
	assert_int_equal(c->relays[0].protection, WIRE_PROTECTION_NONE);
	assert_int_equal(c->relays[0].subflows, 4);
	assert_int_equal(c->relays[0].npaths, 1);
	assert_string_equal(c->relays[0].paths[0].socket.congestion, "bbr");
	assert_null(c->forwards[0].destination.host);
	config_free(c);
}

static void
loopback_or_trusted_interfaces_need_no_key(void **state)
{
	(void)state;
	config_free(made("role = relay\nprotection = none\n"
	    "listen = [::1]:1093 127.1.2.3:1093\n"));
	config_free(made("role = relay\nprotection = none\n"
	    "listen = [::]:1093\ntrusted-interfaces = wg0\n"));
}

static void
hosts_are_names_or_whole_addresses(void **state)
{
	static const char *const good[] = {
		"a:1", "relay.example:65535", "relay.example.:1", "x_1.a-b:80",
		"192.0.2.1:80", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80",
		"3com.example:80",
	};
	static const char *const bad[] = {
		"relay.example", "relay.example:", "relay.example:0",
		"relay.example:65536", "relay.example:0x50", "a:+80", "a:8o",
		"a:99999999999999999999", ":80", "a..b:80", ".a:80", "-a:80",
		"a/b:80", "192.0.2:80", "192.0.2.256:80", "1:80", "0.0.0.0:80",
		"[::]:80", "2001:db8::1:80", "[2001:db8::1]", "[192.0.2.1]:80",
		"[2001:db8::1]:", "[a]:80", "[:80", "''", "a:b:80",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		snprintf(text, sizeof(text), RELAY "base {\nserver = %s\n"
		    "proxies = 192.0.2.1\n}\n", good[i]);
		config_free(made(text));
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		char why[256];

		snprintf(text, sizeof(text), RELAY "base {\nserver = %s\n",
		    bad[i]);
		snprintf(why, sizeof(why), "test.conf:5: base server: expected "
		    "a host and a port from 1 to 65535, such as "
		    "host.example:1093, 192.0.2.1:1093 or [2001:db8::1]:1093, "
		    "found '%s'", strcmp(bad[i], "''") == 0 ? "" : bad[i]);
		refused(text, why);
	}
}

/* ---- what is refused ---- */

static void
error_says_where_what_was_expected_and_what_was_found(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		/* Words. */
		{ "role = gateway\n",
		    "test.conf:1: role: expected proxy or relay, "
		    "found 'gateway'" },
		{ "\nlog-level = Info\n",
		    "test.conf:2: log-level: expected error, warn, info or "
		    "debug, found 'Info'" },
		{ "log = file\n",
		    "test.conf:1: log: expected stderr or syslog, "
		    "found 'file'" },
		{ "relay a {\nprotection = sealed!\n",
		    "test.conf:2: relay protection: expected none, auth or "
		    "sealed, found 'sealed!'" },
		{ "protection = Sealed\n",
		    "test.conf:1: protection: expected none, auth or sealed, "
		    "found 'Sealed'" },
		{ "relay a {\nprotocol = v2\n",
		    "test.conf:2: relay protocol: expected extended or base, "
		    "found 'v2'" },

		/* Numbers: each names its range. */
		{ "max-sessions = -1\n",
		    "test.conf:1: max-sessions: expected a number from 0 to "
		    "65536, found '-1'" },
		{ "max-sessions-per-client = 65537\n",
		    "test.conf:1: max-sessions-per-client: expected a number "
		    "from 0 to 65536, found '65537'" },
		{ "memory-limit = 1023KiB\n",
		    "test.conf:1: memory-limit: expected a size from 1MiB to "
		    "1TiB, or 0, such as 4MiB, found '1023KiB'" },
		{ "window = 4MB\n",
		    "test.conf:1: window: expected a size from 64KiB to 1GiB, "
		    "or 0, in B, KiB, MiB, GiB or TiB, found '4MB'" },
		{ "connect-timeout = 0\n",
		    "test.conf:1: connect-timeout: expected a time from 100ms "
		    "to 10min, such as 600ms or 30s, found '0'" },
		{ "grace = 10\n",
		    "test.conf:1: grace: expected a time from 0 to 1h, in ms, "
		    "s, min or h, found '10'" },
		{ "keepalive = 1500ms\n",
		    "test.conf:1: keepalive: expected a time from 1s to 9h, or "
		    "0, in whole seconds, such as 600ms or 30s, "
		    "found '1500ms'" },
		{ "resume-timeout = 3601s\n",
		    "test.conf:1: resume-timeout: expected a time from 0 to "
		    "1h, such as 600ms or 30s, found '3601s'" },
		{ "relay a {\nsubflows = 17\n",
		    "test.conf:2: relay subflows: expected a number from 1 to "
		    "16, found '17'" },
		{ "relay a {\nnotsent-lowat = 1\n",
		    "test.conf:2: relay notsent-lowat: expected a size from "
		    "4KiB to 64MiB, or 0, such as 4MiB, found '1'" },
		{ "relay a {\nuser-timeout = 1ms\n",
		    "test.conf:2: relay user-timeout: expected a time from 1s "
		    "to 1h, or 0, such as 600ms or 30s, found '1ms'" },
		{ "relay a {\npath b {\nmark = 0x100000000\n",
		    "test.conf:3: path mark: expected a number from 0 to "
		    "4294967295, found '0x100000000'" },
		{ "relay a {\npath b {\nrate = 20M\n",
		    "test.conf:3: path rate: expected a rate from 8kbit to "
		    "1Tbit, or 0, in bit, kbit, Mbit, Gbit or Tbit, "
		    "found '20M'" },
		{ "relay a {\npath b {\ndelay = 61s\n",
		    "test.conf:3: path delay: expected a time from 0 to 1min, "
		    "such as 600ms or 30s, found '61s'" },
		{ "relay a {\npath b {\nexpress = 9\n",
		    "test.conf:3: path express: expected a number from 1 to 8, "
		    "found '9'" },
		{ "relay a {\npath b {\nbulk = 0\n",
		    "test.conf:3: path bulk: expected a number from 1 to 16, "
		    "found '0'" },
		{ "base {\nmax-subflows = many\n",
		    "test.conf:2: base max-subflows: expected a number from 1 "
		    "to 16, found 'many'" },

		{ "intercept {\nmark = 0\n",
		    "test.conf:2: intercept mark: expected a number from 1 to "
		    "4294967295, found '0'" },
		{ "intercept {\nown-port = 65536\n",
		    "test.conf:2: intercept own-port: expected a number from 1 "
		    "to 65535, found '65536'" },
		{ "intercept {\nroute-table = 0\n",
		    "test.conf:2: intercept route-table: expected a number "
		    "from 1 to 4294967295, found '0'" },
		{ "intercept {\nroute-priority = 32766\n",
		    "test.conf:2: intercept route-priority: expected a number "
		    "from 1 to 32765, found '32766'" },
		{ "intercept {\nports = 80 0\n",
		    "test.conf:2: intercept ports: expected a port from 1 to "
		    "65535, or a range, such as 80 or 8000-8999, found '0'" },
		{ "intercept {\nports = 81-80\n",
		    "test.conf:2: intercept ports: expected a port from 1 to "
		    "65535, or a range, such as 80 or 8000-8999, "
		    "found '81-80'" },
		{ "intercept {\nexcept-ports = 80,443\n",
		    "test.conf:2: intercept except-ports: expected a port from "
		    "1 to 65535, or a range, such as 80 or 8000-8999, "
		    "found '80,443'" },
		{ "intercept {\nexcept-ports = 65536\n",
		    "test.conf:2: intercept except-ports: expected a port from "
		    "1 to 65535, or a range, such as 80 or 8000-8999, "
		    "found '65536'" },

		{ "mark = -1\n",
		    "test.conf:1: mark: expected a number from 0 to "
		    "4294967295, found '-1'" },
		{ "peer a {\nmax-sessions = 65537\n",
		    "test.conf:2: peer max-sessions: expected a number from 0 "
		    "to 65536, found '65537'" },
		{ "peer a {\nmax-subflows = 0\n",
		    "test.conf:2: peer max-subflows: expected a number from 1 "
		    "to 1024, found '0'" },
		{ "peer a {\nnew-sessions = 100/s\n",
		    "test.conf:2: peer new-sessions: expected a number from 0 "
		    "to 65536, found '100/s'" },
		{ "peer a {\nmemory = 64KiB\n",
		    "test.conf:2: peer memory: expected a size from 1MiB to "
		    "1TiB, or 0, such as 4MiB, found '64KiB'" },

		/* Words of interception. */
		{ "intercept {\nmode = nat\n",
		    "test.conf:2: intercept mode: expected tproxy or redirect, "
		    "found 'nat'" },
		{ "intercept {\nown = off\n",
		    "test.conf:2: intercept own: expected no or yes, found "
		    "'off'" },
		{ "intercept {\nnft = no\n",
		    "test.conf:2: intercept nft: expected off or yes, found "
		    "'no'" },
		{ "intercept {\nprivate = bypass\n",
		    "test.conf:2: intercept private: expected direct or "
		    "intercept, found 'bypass'" },
		{ "ipv6 = maybe\n",
		    "test.conf:1: ipv6: expected auto, yes or no, found "
		    "'maybe'" },

		/* Files and accounts. */
		{ "control = run/control.sock\n",
		    "test.conf:1: control: expected a socket in a directory of "
		    "its own, from / on, of at most 107 characters, such as "
		    "/run/ro-ro-tcp/control.sock, or off, "
		    "found 'run/control.sock'" },
		{ "control = /control.sock\n",
		    "test.conf:1: control: expected a socket in a directory of "
		    "its own, from / on, of at most 107 characters, such as "
		    "/run/ro-ro-tcp/control.sock, or off, "
		    "found '/control.sock'" },
		{ "relay a {\nkey-file = earth.key\n",
		    "test.conf:2: relay key-file: expected a file, from / on, "
		    "such as /etc/rorod/earth.key, found 'earth.key'" },
		{ "relay a {\nkey-file = /etc/rorod/\n",
		    "test.conf:2: relay key-file: expected a file, from / on, "
		    "such as /etc/rorod/earth.key, found '/etc/rorod/'" },
		{ "relay a {\nkey-file = "
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+/AA=\n",
		    "test.conf:2: relay key-file: expected a file, from / on, "
		    "such as /etc/rorod/earth.key, found what looks like a "
		    "key" },
		{ "peer a {\nkey-file = "
		    "/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+/AA=\n",
		    "test.conf:2: peer key-file: expected a file, from / on, "
		    "such as /etc/rorod/earth.key, found what looks like a "
		    "key" },
		{ "peer a {\nkey-file = /a.key ''\n",
		    "test.conf:2: peer key-file: expected a file, from / on, "
		    "such as /etc/rorod/earth.key, found ''" },
		{ "peer a {\nkey-file = /1 /2 /3\n",
		    "test.conf:2: peer key-file: expected at most 2 values, "
		    "found more" },
		{ "user = ''\n",
		    "test.conf:1: user: expected a name of this system's, 1 to "
		    "32 letters, digits or _.-, found ''" },
		{ "group = -1\n",
		    "test.conf:1: group: expected a name of this system's, 1 "
		    "to 32 letters, digits or _.-, found '-1'" },
		{ "user = a:b\n",
		    "test.conf:1: user: expected a name of this system's, 1 to "
		    "32 letters, digits or _.-, found 'a:b'" },

		/* Addresses. */
		{ "intercept {\nlisten = [::]\n",
		    "test.conf:2: intercept listen: expected an address and a "
		    "port from 1 to 65535, such as [::]:1092 or "
		    "127.0.0.1:8080, found '[::]'" },
		{ "forward a {\nlisten = 127.0.0.1:0\n",
		    "test.conf:2: forward listen: expected an address and a "
		    "port from 1 to 65535, such as [::]:1092 or "
		    "127.0.0.1:8080, found '127.0.0.1:0'" },
		{ "listen = 127.0.0.1:1 localhost:1093\n",
		    "test.conf:1: listen: expected an address and a port from "
		    "1 to 65535, such as [::]:1092 or 127.0.0.1:8080, "
		    "found 'localhost:1093'" },
		{ "listen = 127.0.0.1:1\nintercept {\n"
		    "listen = [::ffff:127.0.0.1]:1\n",
		    "test.conf:3: intercept listen: expected an address that "
		    "nothing else here listens on, found "
		    "'[::ffff:127.0.0.1]:1' again" },
		{ "listen = 127.0.0.1:1 127.0.0.1:1\n",
		    "test.conf:1: listen: expected an address that nothing "
		    "else here listens on, found '127.0.0.1:1' again" },
		{ "forward a {\nlisten = [::1]:1\ndestination = a:1\n}\n"
		    "forward b {\nlisten = [::1]:1\n",
		    "test.conf:6: forward listen: expected an address that "
		    "nothing else here listens on, found '[::1]:1' again" },
		{ "relay a {\npath b {\nsource = 192.0.2.9:80\n",
		    "test.conf:3: path source: expected an address of this "
		    "host without a port, such as 192.0.2.9, "
		    "found '192.0.2.9:80'" },
		{ "relay a {\npath b {\nsource = 192.0.2.0/24\n",
		    "test.conf:3: path source: expected an address of this "
		    "host without a port, such as 192.0.2.9, "
		    "found '192.0.2.0/24'" },
		{ "relay a {\npath b {\nsource = ::\n",
		    "test.conf:3: path source: expected an address of this "
		    "host without a port, such as 192.0.2.9, found '::'" },
		{ "base {\nproxies = 192.0.2.1 192.0.2.1/24\n",
		    "test.conf:2: base proxies: expected an address or a "
		    "prefix, such as 192.0.2.1 or 2001:db8::/64, "
		    "found '192.0.2.1/24'" },
		{ "base {\nproxies = any\n",
		    "test.conf:2: base proxies: expected an address or a "
		    "prefix, such as 192.0.2.1 or 2001:db8::/64, "
		    "found 'any'" },

		/* Names. */
		{ "relay a {\ncongestion = /etc\n",
		    "test.conf:2: relay congestion: expected a congestion "
		    "control of the kernel, such as bbr or cubic, "
		    "found '/etc'" },
		{ "relay a {\npath b {\ninterface = sixteen-letters0\n",
		    "test.conf:3: path interface: expected the name of an "
		    "interface, 1 to 15 letters, digits or _.-, "
		    "found 'sixteen-letters0'" },
		{ "trusted-interfaces = wg0 ..\n",
		    "test.conf:1: trusted-interfaces: expected the name of an "
		    "interface, 1 to 15 letters, digits or _.-, found '..'" },
		{ "trusted-interfaces = wg0 wg0\n",
		    "test.conf:1: trusted-interfaces: 'wg0' is there twice" },
		{ "trusted-interfaces = wg*\n",
		    "test.conf:1: trusted-interfaces: expected the name of an "
		    "interface, 1 to 15 letters, digits or _.-, found 'wg*'" },
		{ "intercept {\ninterfaces = lan0 w* lan0\n",
		    "test.conf:2: intercept interfaces: 'lan0' is there "
		    "twice" },
		{ "intercept {\ninterfaces = *\n",
		    "test.conf:2: intercept interfaces: expected the name of "
		    "an interface, 1 to 15 letters, digits or _.-, or its "
		    "beginning and *, found '*'" },
		{ "intercept {\ninterfaces = lo\n",
		    "test.conf:2: intercept interfaces: expected an interface "
		    "with clients, found 'lo'" },
		{ "intercept {\ninterfaces = fifteen-letters*\n",
		    "test.conf:2: intercept interfaces: expected the name of "
		    "an interface, 1 to 15 letters, digits or _.-, or its "
		    "beginning and *, found 'fifteen-letters*'" },
		{ "intercept {\ninterfaces = a*b\n",
		    "test.conf:2: intercept interfaces: expected the name of "
		    "an interface, 1 to 15 letters, digits or _.-, or its "
		    "beginning and *, found 'a*b'" },
		{ "relay a/b {\n",
		    "test.conf:1: relay: expected a name of 1 to 63 letters, "
		    "digits or _.-, found 'a/b'" },
		{ "relay {\n",
		    "test.conf:1: relay: expected a name, found none" },
		{ "base a {\n",
		    "test.conf:1: base: expected no name, found 'a'" },
		{ "forward a {\nlisten = [::1]:1\n}\nforward a {\n",
		    "test.conf:4: forward: expected a name of its own, "
		    "found 'a' again" },
		{ SEALED_RELAY "peer b {\n}\npeer a {\n",
		    "test.conf:8: peer: expected a name of its own, "
		    "found 'a' again" },

		/* Rules. */
		{ "peer a {\npermit 10.0.0.0/8\n",
		    "test.conf:2: peer permit: expected (PREFIX, PORTS), found "
		    "one value" },
		{ "peer a {\ndeny\n",
		    "test.conf:2: peer deny: expected (PREFIX, PORTS), found "
		    "nothing" },
		{ "peer a {\ndeny any any any\n",
		    "test.conf:2: peer deny: expected (PREFIX, PORTS), found "
		    "more than two values" },
		{ "peer a {\npermit 10.0.0.1/8 80\n",
		    "test.conf:2: peer permit: expected a prefix, such as "
		    "10.0.0.0/8, or any, found '10.0.0.1/8'" },
		{ "peer a {\ndeny any http\n",
		    "test.conf:2: peer deny: expected ports, such as "
		    "80,443,8000-8999, or any, found 'http'" },
		{ "peer a {\npermit = 10.0.0.0/8\n",
		    "test.conf:2: expected an option or a section, found "
		    "'permit', which is none here" },
		{ "peer a {\nrate 20Mbit\n",
		    "test.conf:2: expected an option or a section, found "
		    "'rate', which is none here" },

		/* How many. */
		{ "role =\n",
		    "test.conf:1: role: expected a value, found none" },
		{ "role = proxy relay\n",
		    "test.conf:1: role: expected one value, found a list" },
		{ "listen =\n",
		    "test.conf:1: listen: expected a value, found none" },
		{ "role = proxy\n\nrole = proxy\n",
		    "test.conf:3: role: given twice, first on line 1" },
		{ "listen = [::]:1\nlisten = [::]:2\n",
		    "test.conf:2: listen: given twice, first on line 1" },
		{ "intercept {\ninterfaces = a\n}\nintercept {\n",
		    "test.conf:4: intercept: given twice, first on line 1" },
		{ "base {\nserver = a:1\nproxies = 192.0.2.1\n}\nbase {\n",
		    "test.conf:5: base: given twice, first on line 1" },

		/* What is not there. */
		{ "speed = 5\n",
		    "test.conf:1: expected an option or a section, found "
		    "'speed', which is none here" },
		{ "path a {\n",
		    "test.conf:1: expected an option or a section, found "
		    "'path', which is none here" },
		{ "relay a {\nlisten = [::]:1\n",
		    "test.conf:2: expected an option or a section, found "
		    "'listen', which is none here" },
		{ "relay a {\nprotection = none\n}\n",
		    "test.conf:1: relay: expected the option address, which is "
		    "missing" },
		{ "base {\nserver = a:1\n}\n",
		    "test.conf:1: base: expected the option proxies, which is "
		    "missing" },
		{ "intercept {\n",
		    "test.conf:1: intercept: never ends" },
		{ "}\n",
		    "test.conf: expected an open section, found none" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		refused(cases[i].text, cases[i].why);
}

#define INTERCEPT(text) RELAY_OF_A_PROXY "intercept {\n" text "}\n"

static void
options_that_do_not_go_together_are_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "",
		    "test.conf: expected the option role = proxy or role = "
		    "relay, found none" },
		{ "role = proxy\n",
		    "test.conf: expected a section relay \"NAME\" { ... } with "
		    "role = proxy, found none" },
		{ "role = proxy\nrelay a {\naddress = a:1\nprotection = none\n"
		    "}\n",
		    "test.conf: expected a section intercept { ... } or "
		    "forward \"NAME\" { ... } with role = proxy, found none" },
		{ "role = relay\n",
		    "test.conf: expected the option listen with role = relay, "
		    "found none" },

		/* Interception. */
		{ INTERCEPT(""),
		    "test.conf:6: intercept: expected the option interfaces, "
		    "which is missing" },
		{ INTERCEPT("nft = off\n"),
		    "test.conf:6: intercept: expected the option interfaces, "
		    "which is missing" },
		{ INTERCEPT("mode = redirect\n"),
		    "test.conf:6: intercept: expected the option interfaces, "
		    "which is missing" },
		{ INTERCEPT("mode = redirect\nnft = off\ninterfaces = a\n"),
		    "test.conf:9: intercept interfaces: expected nft = yes, or "
		    "mode = tproxy and route = yes, with it, found neither" },
		{ INTERCEPT("interfaces = a\nquic = pass\nnft = off\n"),
		    "test.conf:8: intercept quic: expected nft = yes with it, "
		    "found nft = off" },
		{ INTERCEPT("interfaces = a\nmode = redirect\nroute = off\n"),
		    "test.conf:9: intercept route: expected mode = tproxy with "
		    "it, found mode = redirect" },
		{ INTERCEPT("interfaces = a\nmode = redirect\n"
		    "route-table = 1\n"),
		    "test.conf:9: intercept route-table: expected mode = "
		    "tproxy and route = yes with it, found mode = redirect" },
		{ INTERCEPT("interfaces = a\nroute = off\n"
		    "route-priority = 1\n"),
		    "test.conf:9: intercept route-priority: expected mode = "
		    "tproxy and route = yes with it, found route = off" },
		{ INTERCEPT("interfaces = a\nroute-table = 254\n"),
		    "test.conf:8: intercept route-table: expected a table of "
		    "its own, found one of the kernel's, 253 to 255" },
		{ INTERCEPT("interfaces = a\nown-port = 5\n"),
		    "test.conf:8: intercept own-port: expected own = yes with "
		    "it, found own = no" },
		{ INTERCEPT("interfaces = a\nown = yes\nown-port = 1092\n"),
		    "test.conf:6: intercept: expected another port in own-port "
		    "than in listen, found the same" },
		{ INTERCEPT("interfaces = a\nown = yes\n"
		    "listen = [::]:1091\n"),
		    "test.conf:6: intercept: expected another port in own-port "
		    "than in listen, found the same" },
		{ INTERCEPT("interfaces = a\n") "forward b {\n"
		    "listen = [::]:1092\ndestination = a:1\n}\n",
		    "test.conf:6: intercept: expected the option listen, since "
		    "something else listens on [::]:1092, found none" },
		{ INTERCEPT("interfaces = a\nports = 179 80\n"
		    "except-ports = 1-178\n"),
		    "test.conf:6: intercept: expected a port beside 179 that "
		    "is in ports and not in except-ports, found none" },
		{ PROXY "control = off\ncontrol-group = adm\n",
		    "test.conf:10: control-group: expected a socket with it, "
		    "found control = off" },
		{ PROXY "ipv6 = no\n",
		    "test.conf:9: ipv6: expected here only with role = relay, "
		    "found role = proxy" },

		/* Keys and protection. */
		{ "role = relay\nlisten = [::1]:1093\n",
		    "test.conf: expected a section peer \"NAME\" { ... } with "
		    "protection = sealed, found none" },
		{ "role = relay\nlisten = [::1]:1093\nprotection = auth\n",
		    "test.conf: expected a section peer \"NAME\" { ... } with "
		    "protection = auth, found none" },
		{ SEALED_RELAY "peer b {\nrate = 1Mbit\n}\n",
		    "test.conf:6: peer: expected the option key-file with "
		    "protection = sealed, found none" },
		{ RELAY "peer a {\nkey-file = /a.key\n}\n",
		    "test.conf:4: peer: expected no key-file with protection = "
		    "none, found '/a.key'" },
		{ RELAY "peer a {\n}\npeer b {\n}\n",
		    "test.conf:6: peer: expected only the one on line 4 with "
		    "protection = none, which cannot tell them apart, found "
		    "another" },
		{ SEALED_RELAY "trusted-interfaces = wg0\n",
		    "test.conf:6: trusted-interfaces: expected protection = "
		    "none with it, found protection = sealed" },
		{ SEALED_RELAY "memory-limit = 64MiB\npeer b {\n"
		    "key-file = /b.key\nmemory = 65MiB\n}\n",
		    "test.conf:7: peer: expected memory of at most 64MiB, "
		    "which is memory-limit, found 65MiB" },
		{ "role = proxy\nintercept {\ninterfaces = a\n}\n"
		    "relay a {\naddress = a:1\n}\n",
		    "test.conf:5: relay: expected the option key-file with "
		    "protection = sealed, found none" },
		{ "role = proxy\nintercept {\ninterfaces = a\n}\n"
		    "relay a {\nprotection = auth\naddress = a:1\n}\n",
		    "test.conf:5: relay: expected the option key-file with "
		    "protection = auth, found none" },
		{ "role = proxy\nintercept {\ninterfaces = a\n}\n"
		    "relay a {\nprotection = none\naddress = a:1\n"
		    "key-file = /a.key\n}\n",
		    "test.conf:5: relay: expected no key-file with protection "
		    "= none, found '/a.key'" },
		{ "role = proxy\nforward web {\nlisten = [::]:1\n}\n"
		    "relay a {\nprotection = sealed\naddress = a:1\n"
		    "protocol = base\nkey-file = /a.key\n}\n",
		    "test.conf:5: relay: expected protection = none with "
		    "protocol = base, which has no other, found sealed" },
		{ "role = proxy\nforward web {\nlisten = [::]:1\n}\n"
		    "relay a {\naddress = a:1\nprotocol = base\n"
		    "key-file = /a.key\n}\n",
		    "test.conf:5: relay: expected no key-file with protection "
		    "= none, found '/a.key'" },
		{ "role = relay\nprotection = none\nlisten = [::1]:1 "
		    "192.0.2.1:1\n",
		    "test.conf:3: listen: with protection = none whoever "
		    "reaches this relay can use it, expected loopback "
		    "addresses only or trusted-interfaces, found "
		    "192.0.2.1:1" },

		/* Of the other role, wherever `role` stands. */
		{ PROXY "listen = [::]:1093\n",
		    "test.conf:9: listen: expected here only with role = "
		    "relay, found role = proxy" },
		{ PROXY "\ncongestion = bbr\n",
		    "test.conf:10: congestion: expected here only with role = "
		    "relay, found role = proxy" },
		{ PROXY "peer a {\n}\n",
		    "test.conf:9: peer: expected here only with role = relay, "
		    "found role = proxy" },
		{ RELAY "forward a {\nlisten = [::1]:1\n}\n",
		    "test.conf:4: forward: expected here only with role = "
		    "proxy, found role = relay" },
		{ "max-sessions-per-client = 7\n" RELAY,
		    "test.conf:1: max-sessions-per-client: expected here only "
		    "with role = proxy, found role = relay" },

		/* Of the other protocol. */
		{ "role = proxy\nforward web {\nlisten = [::1]:80\n}\n"
		    "relay a {\naddress = a:1\nprotection = none\n}\n",
		    "test.conf:2: forward: expected the option destination, "
		    "found none" },
		{ "role = proxy\nforward web {\nlisten = [::1]:80\n"
		    "destination = a:80\n}\nrelay a {\naddress = a:1\n"
		    "protection = none\nprotocol = base\n}\n",
		    "test.conf:2: forward: expected no destination with "
		    "protocol = base, whose relay has one server of its own, "
		    "found 'a'" },
		{ "role = proxy\nintercept {\ninterfaces = a\n}\n"
		    "relay a {\naddress = a:1\nprotection = none\n"
		    "protocol = base\n}\n",
		    "test.conf:2: intercept: expected a relay with protocol = "
		    "extended, found base, which cannot carry the original "
		    "destination (forward can be used)" },
		{ "role = proxy\nintercept {\ninterfaces = a\n}\n"
		    "relay a {\naddress = a:1\nprotection = none\n"
		    "subflows = 4\n}\n",
		    "test.conf:5: relay: subflows belongs to protocol = base, "
		    "found protocol = extended, which has express and bulk in "
		    "its path sections" },
		{ "role = proxy\nforward web {\nlisten = [::1]:80\n}\n"
		    "relay a {\naddress = a:1\nprotection = none\n"
		    "path b {\nbulk = 4\n}\nprotocol = base\n}\n",
		    "test.conf:8: path: express and bulk belong to protocol = "
		    "extended, found protocol = base, which has subflows in "
		    "the relay section" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		refused(cases[i].text, cases[i].why);
}

static void
no_option_takes_nonsense(void **state)
{
	struct config_key_info key;
	size_t n = 0;

	(void)state;
	while (config_key(n++, &key)) {
		struct config_section_info in = config_section(key.section);
		struct config_section_info out = config_section(in.parent);
		char text[128], start[128];

		snprintf(text, sizeof(text), "%s%s%s%s%s%s%s %s !\n",
		    out.name, out.titled ? " a" : "",
		    out.name[0] != '\0' ? " {\n" : "",
		    in.name, in.titled ? " a" : "",
		    in.name[0] != '\0' ? " {\n" : "",
		    key.name, key.rule ? "any" : "=");
		snprintf(start, sizeof(start),
		    "test.conf:%d: %s%s%s: expected ",
		    1 + (in.name[0] != '\0') + (out.name[0] != '\0'),
		    in.name, in.name[0] != '\0' ? " " : "", key.name);
		assert_null(make(text));
		assert_memory_equal(error, start, strlen(start));
		assert_non_null(strstr(error, "found '!'"));
	}
	assert_true(n > 40);
}

static void
first_error_is_kept(void **state)
{
	(void)state;
	refused("role = x\nrole = y\nspeed = 5\n}\n",
	    "test.conf:1: role: expected proxy or relay, found 'x'");
}

static void
found_text_is_printable_and_short(void **state)
{
	(void)state;
	refused("role = a\033[2Jb\n",
	    "test.conf:1: role: expected proxy or relay, found 'a?[2Jb'");
	refused("role = 0123456789012345678901234567890123456789"
	    "0123456789012345678901234567890123456789\n",
	    "test.conf:1: role: expected proxy or relay, found "
	    "'0123456789012345678901234567890123456789"
	    "012345678901234567890123...'");
}

static void
name_may_have_63_letters(void **state)
{
	char name[65], text[256];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	snprintf(text, sizeof(text), RELAY "peer %s {\n}\n", name);
	config_free(made(text));
	memset(name, 'a', sizeof(name));
	name[64] = '\0';
	snprintf(text, sizeof(text), RELAY "peer %s {\n}\n", name);
	assert_null(make(text));
}

/* ---- what a reload can change ---- */

static void
assert_difference(const char *old, const char *new, const char *what)
{
	struct config *c = made(old), *d = made(new);
	const char *found = config_fixed_difference(c, d);

	assert_string_equal(found != NULL ? found : "", what);
	found = config_fixed_difference(d, c);
	assert_string_equal(found != NULL ? found : "", what);
	config_free(c);
	config_free(d);
}

static void
reload_changes_limits_timeouts_and_rules(void **state)
{
	(void)state;
	assert_difference(PROXY, PROXY, "");
	assert_difference(PROXY, PROXY
	    "log-level = debug\nlog = syslog\nmax-sessions = 7\n"
	    "max-sessions-per-client = 3\nconnect-timeout = 1s\ngrace = 1s\n"
	    "keepalive = 0\nresume-timeout = 0\nrelays = weight\n", "");
	assert_difference(RELAYS("", ""), RELAYS("weight = 0", "weight = 7"),
	    "");
	assert_difference(RELAYS("path a {\n}\npath b {\n}", ""),
	    RELAYS("path a {\nweight = 4\nreceive-rate = 1Mbit\n}\n"
	    "path b {\nbackup = yes\n}", ""),
	    "");
	assert_difference(
	    PROXY "forward a {\nlisten = [::1]:1\ndestination = b:1\n}\n",
	    PROXY "forward a {\nlisten = [::1]:1\ndestination = c:2\n}\n", "");
	assert_difference(RELAY, RELAY
	    "base {\nserver = a:1\nproxies = 192.0.2.1\n}\n", "");
	assert_difference(RELAY, RELAY "peer a {\ndeny any 25\n}\n", "");
	assert_difference(RELAY, RELAY "ipv6 = no\n", "");
	assert_difference(PROXY, INTERCEPT("interfaces = lan1\nports = 80\n"
	    "except-ports = 81\nbypass = 192.0.2.1\nprivate = intercept\n"
	    "quic = reject\nrefused = no\ndscp = copy\n"), "");
}

static void
reload_changes_keys_and_peers(void **state)
{
#define PEER(name, key) "peer " name " {\nkey-file = " key "\n}\n"
	static const char relay[] = "role = relay\nlisten = [::]:1093\n";
	char old[256], new[512];
	struct config_key_info key;

	(void)state;
	assert_difference(SEALED_PROXY, "role = proxy\n"
	    "intercept {\ninterfaces = lan0\n}\nrelay earth {\n"
	    "address = relay.example:1093\nkey-file = /other.key\n}\n", "");
	assert_difference(SEALED_RELAY, SEALED_RELAY PEER("b", "/b.key"), "");
	snprintf(old, sizeof(old), "%s%s%s", relay, PEER("a", "/a.key"),
	    PEER("b", "/b.key"));
	snprintf(new, sizeof(new), "%s%s%s", relay, PEER("c", "/c.key"),
	    "peer a {\nkey-file = /a.key /new.key\nrate = 1Mbit\n"
	    "delay = 1s\nmax-sessions = 1\nmax-subflows = 1\n"
	    "new-sessions = 1\nmemory = 1MiB\npermit any any\n}\n");
	assert_difference(old, new, "");

	/* They are not even compared. */
	for (size_t i = 0; config_key(i, &key); i++)
		assert_true(key.section != CONFIG_IN_PEER || key.reload);
}

static void
reload_does_not_change_what_is_bound(void **state)
{
#define WITH_PATH(text) "role = proxy\nintercept {\ninterfaces = lan0\n}\n" \
	"relay a {\naddress = a:1\nprotection = none\npath b {\n" text "\n}\n}"
#define WITH_RELAY(text) "role = proxy\nforward f {\nlisten = [::]:1092\n" \
	"destination = a:1\n}\n" \
	"relay a {\naddress = a:1\nprotection = none\n" text "\n}\n"
	(void)state;
	assert_difference(PROXY, RELAY, "role");
	assert_difference(PROXY, PROXY "memory-limit = 1GiB\n", "memory-limit");
	assert_difference(PROXY, PROXY "window = 1MiB\n", "window");
	assert_difference(RELAY, "role = relay\nprotection = none\n"
	    "listen = 127.0.0.1:1093 127.0.0.1:1094\n", "listen");
	assert_difference(RELAY, RELAY "trusted-interfaces = wg0\n",
	    "trusted-interfaces");
	assert_difference(RELAY "trusted-interfaces = wg0\n",
	    RELAY "trusted-interfaces = wg1\n", "trusted-interfaces");
	assert_difference(RELAY, RELAY "congestion = cubic\n", "congestion");
	assert_difference(RELAY, RELAY "notsent-lowat = 4KiB\n",
	    "notsent-lowat");
	assert_difference(RELAY, RELAY "user-timeout = 1s\n", "user-timeout");
	assert_difference(RELAY, RELAY "mark = 1\n", "mark");
	assert_difference(SEALED_RELAY, SEALED_RELAY "protection = auth\n",
	    "protection");
	assert_difference(PROXY, PROXY "control = off\n", "control");
	assert_difference(PROXY, PROXY "control-group = adm\n",
	    "control-group");
	assert_difference(PROXY, RELAY_OF_A_PROXY
	    "forward a {\nlisten = [::1]:1\ndestination = b:1\n}\n",
	    "intercept");
#define INTERCEPT_DIFFERENCE(text, what) assert_difference(PROXY, \
	    INTERCEPT("interfaces = a\n" text "\n"), "intercept " what)
	INTERCEPT_DIFFERENCE("mode = redirect", "mode");
	INTERCEPT_DIFFERENCE("listen = [::]:5", "listen");
	INTERCEPT_DIFFERENCE("own = yes", "own");
	INTERCEPT_DIFFERENCE("nft = off", "nft");
	INTERCEPT_DIFFERENCE("nft-owner = no", "nft-owner");
	INTERCEPT_DIFFERENCE("route = off", "route");
	INTERCEPT_DIFFERENCE("mark = 1", "mark");
	INTERCEPT_DIFFERENCE("route-table = 1", "route-table");
	INTERCEPT_DIFFERENCE("route-priority = 1", "route-priority");
	assert_difference(PROXY, PROXY "user = nobody\n", "user");
	assert_difference(PROXY "user = nobody\n", PROXY "user = rorod\n",
	    "user");
	assert_difference(RELAY, RELAY "group = nogroup\n", "group");

	assert_difference(PROXY,
	    PROXY "forward a {\nlisten = [::1]:1\ndestination = b:1\n}\n",
	    "forward");
	assert_difference(
	    PROXY "forward a {\nlisten = [::1]:1\ndestination = b:1\n}\n",
	    PROXY "forward a {\nlisten = [::1]:2\ndestination = b:1\n}\n",
	    "forward listen");
#define BASE(text) "role = proxy\nforward f {\nlisten = [::]:1092\n}\n" \
	"relay a {\nprotocol = base\n" text "}\n"
	assert_difference(BASE("address = a:1\n"), BASE("address = a:2\n"),
	    "relay address");
	assert_difference(BASE("address = a:1\n"),
	    BASE("address = a:1\npath b {\nsource = 192.0.2.1\n}\n"), "path");
	assert_difference(BASE("address = a:1\npath b {\n}\n"),
	    BASE("address = a:1\npath b {\nsource = 192.0.2.1\n}\n"),
	    "path source");
	assert_difference(BASE("address = a:1\npath b {\n}\n"),
	    BASE("address = a:1\npath c {\n}\n"), "path");
	assert_difference(BASE("address = a:1\n"), WITH_RELAY(""),
	    "relay protocol");
}

/* A reload takes the first relay of both, `kept` or as another one. */
static void
assert_taken(const char *old, const char *new, bool kept)
{
	struct config *c = made(old), *d = made(new);

	assert_null(config_fixed_difference(c, d));
	assert_null(config_fixed_difference(d, c));
	assert_int_equal(config_same_relay(&c->relays[0], &d->relays[0]), kept);
	assert_int_equal(config_same_relay(&d->relays[0], &c->relays[0]), kept);
	config_free(c);
	config_free(d);
}

static void
reload_takes_relays_and_paths_of_any_kind(void **state)
{
	(void)state;
	assert_taken(WITH_RELAY(""), WITH_RELAY("weight = 3"), true);
	assert_taken(WITH_PATH(""), WITH_PATH("weight = 3\n"
	    "receive-rate = 1Mbit"), true);
	assert_taken(RELAYS("", ""), "role = proxy\n"
	    "intercept {\ninterfaces = lan0\n}\n"
	    "relay earth {\naddress = a:1\nprotection = none\n}\n", true);
	assert_taken(PROXY, SEALED_PROXY, false);
	assert_taken(WITH_PATH(""), PROXY, false);
	assert_taken(WITH_RELAY(""), WITH_RELAY("congestion = cubic"), false);
	assert_taken(WITH_RELAY(""), WITH_RELAY("path b {\n}"), false);
	assert_taken(WITH_RELAY("path a {\n}\npath b {\n}"),
	    WITH_RELAY("path a {\n}"), false);
	assert_taken(WITH_PATH(""), WITH_PATH("interface = eth0"), false);
	assert_taken(WITH_PATH("source = 192.0.2.1"),
	    WITH_PATH("source = 192.0.2.2"), false);
	assert_taken(WITH_PATH(""), WITH_PATH("mark = 1"), false);
	assert_taken(WITH_PATH(""), WITH_PATH("rate = 1Mbit"), false);
	assert_taken(WITH_PATH(""), WITH_PATH("delay = 1s"), false);
	assert_taken(WITH_PATH(""), WITH_PATH("bulk = 3"), false);
}

static void
what_is_held_stays(void **state)
{
	struct config *c = made(PROXY);

	(void)state;
	assert_ptr_equal(config_hold(c), c);
	config_free(c);
	assert_string_equal(c->relays[0].name, "earth");
	config_free(c);
}

static void
nothing_can_be_freed(void **state)
{
	(void)state;
	config_free(NULL);
	config_builder_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proxy_has_defaults),
		cmocka_unit_test(relay_has_defaults),
		cmocka_unit_test(interception_has_defaults),
		cmocka_unit_test(every_option_of_an_interception_is_stored),
		cmocka_unit_test(
		    own_sockets_are_marked_where_own_connections_are_intercepted
		    ),
		cmocka_unit_test(every_option_of_a_proxy_is_stored),
		cmocka_unit_test(every_option_of_a_relay_is_stored),
		cmocka_unit_test(interfaces_are_listed),
		cmocka_unit_test(without_protection_there_is_a_peer),
		cmocka_unit_test(rules_keep_their_order),
		cmocka_unit_test(fast_path_has_four_bulk_subflows),
		cmocka_unit_test(
		    base_protocol_has_forwards_without_destination),
		cmocka_unit_test(loopback_or_trusted_interfaces_need_no_key),
		cmocka_unit_test(hosts_are_names_or_whole_addresses),
		cmocka_unit_test(
		    error_says_where_what_was_expected_and_what_was_found),
		cmocka_unit_test(relays_have_paths_of_their_own),
		cmocka_unit_test(paths_weigh_as_their_rates),
		cmocka_unit_test(paths_that_make_no_sense_are_refused),
		cmocka_unit_test(relays_that_make_no_sense_are_refused),
		cmocka_unit_test(options_that_do_not_go_together_are_refused),
		cmocka_unit_test(no_option_takes_nonsense),
		cmocka_unit_test(first_error_is_kept),
		cmocka_unit_test(found_text_is_printable_and_short),
		cmocka_unit_test(name_may_have_63_letters),
		cmocka_unit_test(reload_changes_limits_timeouts_and_rules),
		cmocka_unit_test(reload_changes_keys_and_peers),
		cmocka_unit_test(reload_does_not_change_what_is_bound),
		cmocka_unit_test(reload_takes_relays_and_paths_of_any_kind),
		cmocka_unit_test(what_is_held_stays),
		cmocka_unit_test(nothing_can_be_freed),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
