/* SPDX-License-Identifier: ISC */
/*
 * What is true of one option alone is in its row here: kind, range, where it is
 * stored, whether a running daemon can change it.  What is true of several
 * together is in config_build.c.
 */
#include "config_private.h"

#include <assert.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define KILO UINT64_C(1000)
#define MBIT (KILO * KILO)
#define TBIT (MBIT * MBIT)
#define SECOND UINT64_C(1000)
#define HOUR (3600 * SECOND)
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define TIB (MIB * MIB)

#define SESSIONS_MAX 65536	/* numbers that a relay remembers */
#define SUBFLOWS_MAX 1024	/* of a peer: 16 groups that
				 * have all they may */
#define NEW_SESSIONS_MAX 65536	/* a second */
#define ROUTE_PRIORITY_MAX 32765	/* the rule for table main is 32766 */

const struct section config_sections[CONFIG_NSECTIONS] = {
	[CONFIG_IN_TOP] = { .info = { "", CONFIG_IN_TOP, false } },
	[CONFIG_IN_INTERCEPT] = {
		.info = { "intercept", CONFIG_IN_TOP, false },
		.role = FOR_PROXY,
	},
	[CONFIG_IN_FORWARD] = {
		.info = { "forward", CONFIG_IN_TOP, true },
		.role = FOR_PROXY,
		.many = true,
	},
	[CONFIG_IN_RELAY] = {
		.info = { "relay", CONFIG_IN_TOP, true },
		.role = FOR_PROXY,
		.many = true,
	},
	[CONFIG_IN_PATH] = {
		.info = { "path", CONFIG_IN_RELAY, true },
		.role = FOR_PROXY,
		.many = true,
	},
	[CONFIG_IN_PEER] = {
		.info = { "peer", CONFIG_IN_TOP, true },
		.role = FOR_RELAY,
		.many = true,
		.reload = true,
	},
	[CONFIG_IN_BASE] = {
		.info = { "base", CONFIG_IN_TOP, false },
		.role = FOR_RELAY,
	},
};

static const char *const role_words[] = {
	[CONFIG_PROXY] = "proxy",
	[CONFIG_RELAY] = "relay",
	NULL
};
static const char *const protocol_words[] = {
	[CONFIG_EXTENDED] = "extended",
	[CONFIG_BASE] = "base",
	NULL
};
static const char *const protection_words[] = {
	[WIRE_PROTECTION_NONE] = "none",
	[WIRE_PROTECTION_AUTH] = "auth",
	[WIRE_PROTECTION_SEALED] = "sealed",
	NULL
};
static const char *const relays_words[] = {
	[CONFIG_RELAYS_ORDER] = "order",
	[CONFIG_RELAYS_WEIGHT] = "weight",
	NULL
};
static const char *const level_words[] = {
	[CONFIG_ERROR] = "error",
	[CONFIG_WARN] = "warn",
	[CONFIG_INFO] = "info",
	[CONFIG_DEBUG] = "debug",
	NULL
};
static const char *const log_words[] = { "stderr", "syslog", NULL };
static const char *const mode_words[] = {
	[CONFIG_TPROXY] = "tproxy",
	[CONFIG_REDIRECT] = "redirect",
	NULL
};
static const char *const reach_words[] = {
	[CONFIG_REACH_AUTO] = "auto",
	[CONFIG_REACH_YES] = "yes",
	[CONFIG_REACH_NO] = "no",
	NULL
};
/* Of what is a bool: false, then true. */
static const char *const no_yes_words[] = { "no", "yes", NULL };
static const char *const off_yes_words[] = { "off", "yes", NULL };
static const char *const private_words[] = { "direct", "intercept", NULL };
static const char *const quic_words[] = { "pass", "reject", NULL };
static const char *const dscp_words[] = { "off", "copy", NULL };

#define TOP(n) .section = CONFIG_IN_TOP, .name = n, .label = n
#define IN(s, text, n) .section = (s), .name = n, .label = text " " n
#define IN_INTERCEPT(n) IN(CONFIG_IN_INTERCEPT, "intercept", n)
#define IN_FORWARD(n) IN(CONFIG_IN_FORWARD, "forward", n)
#define IN_RELAY(n) IN(CONFIG_IN_RELAY, "relay", n)
#define IN_PATH(n) IN(CONFIG_IN_PATH, "path", n)
#define IN_PEER(n) IN(CONFIG_IN_PEER, "peer", n)
#define IN_BASE(n) IN(CONFIG_IN_BASE, "base", n)

#define FIELD(type, member) \
	.offset = offsetof(type, member), \
	.size = sizeof(((type *)NULL)->member)
#define FIELDS(type, member, n) \
	.list = true, \
	.offset = offsetof(type, member), \
	.size = sizeof(*((type *)NULL)->member), \
	.count = offsetof(type, n)

#define WORD(w) .kind = KIND_WORD, .words = (w)
#define NUMBER .kind = KIND_INTEGER, .units = UNITS_NONE
#define RATE .kind = KIND_INTEGER, .units = UNITS_RATE, \
	.min = 8 * KILO, .max = TBIT, .or_zero = true
#define TIME .kind = KIND_INTEGER, .units = UNITS_TIME
#define SIZE .kind = KIND_INTEGER, .units = UNITS_SIZE

const struct key config_keys[] = {
	{ TOP("role"), WORD(role_words),
	    FIELD(struct config, role) },
	{ TOP("log-level"), WORD(level_words),
	    .reload = true,
	    FIELD(struct config, log_level) },
	{ TOP("log"), WORD(log_words), .reload = true,
	    FIELD(struct config, log_syslog) },
	{ TOP("user"), .kind = KIND_ACCOUNT,
	    FIELD(struct config, user) },
	{ TOP("group"), .kind = KIND_ACCOUNT,
	    FIELD(struct config, group) },
	{ TOP("control"), .kind = KIND_CONTROL,
	    FIELD(struct config, control) },
	{ TOP("control-group"), .kind = KIND_ACCOUNT,
	    FIELD(struct config, control_group) },
	{ TOP("max-sessions"), NUMBER, .max = SESSIONS_MAX,
	    .reload = true,
	    FIELD(struct config, max_sessions) },
	{ TOP("max-sessions-per-client"), NUMBER, .max = SESSIONS_MAX,
	    .reload = true, .role = FOR_PROXY,
	    FIELD(struct config, max_sessions_per_client) },
	{ TOP("memory-limit"), SIZE, .min = MIB, .max = TIB, .or_zero = true,
	    FIELD(struct config, memory_limit_bytes) },
	{ TOP("window"), SIZE, .min = 64 * KIB, .max = GIB, .or_zero = true,
	    FIELD(struct config, window_bytes) },
	{ TOP("redundancy"), SIZE, .max = MIB, .reload = true,
	    FIELD(struct config, redundancy_bytes) },
	{ TOP("connect-timeout"), TIME, .min = SECOND / 10, .max = HOUR / 6,
	    .reload = true,
	    FIELD(struct config, connect_timeout_ms) },
	{ TOP("grace"), TIME, .max = HOUR, .reload = true,
	    FIELD(struct config, grace_ms) },
	{ TOP("keepalive"), TIME, .min = SECOND, .max = 9 * HOUR,
	    .or_zero = true, .scale = SECOND, .reload = true,
	    FIELD(struct config, keepalive_s) },
	{ TOP("resume-timeout"), TIME, .max = HOUR, .reload = true,
	    FIELD(struct config, resume_timeout_ms) },
	{ TOP("relays"), WORD(relays_words), .role = FOR_PROXY,
	    .reload = true,
	    FIELD(struct config, choice) },

	{ IN_INTERCEPT("mode"), WORD(mode_words),
	    FIELD(struct config_intercept, mode) },
	{ IN_INTERCEPT("listen"), .kind = KIND_LISTEN,
	    FIELD(struct config_intercept, listen) },
	{ IN_INTERCEPT("own"), WORD(no_yes_words),
	    FIELD(struct config_intercept, own) },
	{ IN_INTERCEPT("own-port"), NUMBER, .min = 1, .max = UINT16_MAX,
	    FIELD(struct config_intercept, own_port) },
	{ IN_INTERCEPT("interfaces"), .kind = KIND_INTERFACES, .reload = true,
	    FIELDS(struct config_intercept, interfaces, ninterfaces) },
	{ IN_INTERCEPT("ports"), .kind = KIND_PORTS, .reload = true,
	    .most = CONFIG_PORTS_MAX,
	    FIELDS(struct config_intercept, ports, nports) },
	{ IN_INTERCEPT("except-ports"), .kind = KIND_PORTS, .reload = true,
	    .most = CONFIG_PORTS_MAX,
	    FIELDS(struct config_intercept, except_ports, nexcept_ports) },
	{ IN_INTERCEPT("bypass"), .kind = KIND_PREFIX, .reload = true,
	    FIELDS(struct config_intercept, bypass, nbypass) },
	{ IN_INTERCEPT("private"), WORD(private_words), .reload = true,
	    FIELD(struct config_intercept, private) },
	{ IN_INTERCEPT("quic"), WORD(quic_words), .reload = true,
	    FIELD(struct config_intercept, reject_quic) },
	{ IN_INTERCEPT("refused"), WORD(no_yes_words), .reload = true,
	    FIELD(struct config_intercept, refused) },
	{ IN_INTERCEPT("dscp"), WORD(dscp_words), .reload = true,
	    FIELD(struct config_intercept, dscp) },
	{ IN_INTERCEPT("nft"), WORD(off_yes_words),
	    FIELD(struct config_intercept, nft) },
	{ IN_INTERCEPT("nft-owner"), WORD(no_yes_words),
	    FIELD(struct config_intercept, nft_owner) },
	{ IN_INTERCEPT("route"), WORD(off_yes_words),
	    FIELD(struct config_intercept, route) },
	{ IN_INTERCEPT("mark"), NUMBER, .min = 1, .max = UINT32_MAX,
	    FIELD(struct config_intercept, mark) },
	{ IN_INTERCEPT("route-table"), NUMBER, .min = 1, .max = UINT32_MAX,
	    FIELD(struct config_intercept, route_table) },
	{ IN_INTERCEPT("route-priority"), NUMBER, .min = 1,
	    .max = ROUTE_PRIORITY_MAX,
	    FIELD(struct config_intercept, route_priority) },

	{ IN_FORWARD("listen"), .kind = KIND_LISTEN, .required = true,
	    FIELD(struct config_forward, listen) },
	{ IN_FORWARD("destination"), .kind = KIND_ENDPOINT, .reload = true,
	    FIELD(struct config_forward, destination) },

	{ IN_RELAY("address"), .kind = KIND_ENDPOINT, .required = true,
	    FIELD(struct config_relay, address) },
	{ IN_RELAY("protocol"), WORD(protocol_words),
	    FIELD(struct config_relay, protocol) },
	{ IN_RELAY("protection"), WORD(protection_words),
	    FIELD(struct config_relay, protection) },
	{ IN_RELAY("key-file"), .kind = KIND_FILE, .reload = true,
	    FIELD(struct config_relay, key_file) },
	{ IN_RELAY("subflows"), NUMBER, .min = 1, .max = CONFIG_SUBFLOWS_MAX,
	    FIELD(struct config_relay, subflows) },
	{ IN_RELAY("weight"), NUMBER, .max = CONFIG_WEIGHT_MAX,
	    .reload = true,
	    FIELD(struct config_relay, weight) },
	{ IN_RELAY("congestion"), .kind = KIND_CONGESTION,
	    FIELD(struct config_relay, socket.congestion) },
	{ IN_RELAY("notsent-lowat"), SIZE, .min = 4 * KIB, .max = 64 * MIB,
	    .or_zero = true,
	    FIELD(struct config_relay, socket.notsent_lowat_bytes) },
	{ IN_RELAY("user-timeout"), TIME, .min = SECOND, .max = HOUR,
	    .or_zero = true,
	    FIELD(struct config_relay, socket.user_timeout_ms) },

	{ IN_PATH("interface"), .kind = KIND_INTERFACE,
	    FIELD(struct config_path, interface) },
	{ IN_PATH("source"), .kind = KIND_SOURCE,
	    FIELD(struct config_path, source) },
	{ IN_PATH("mark"), NUMBER, .max = UINT32_MAX,
	    FIELD(struct config_path, socket.mark) },
	{ IN_PATH("rate"), RATE,
	    FIELD(struct config_path, socket.rate_bps) },
	{ IN_PATH("receive-rate"), RATE, .reload = true,
	    FIELD(struct config_path, socket.receive_bps) },
	{ IN_PATH("delay"), TIME, .max = 60 * SECOND,
	    FIELD(struct config_path, socket.delay_ms) },
	{ IN_PATH("express"), NUMBER, .min = 1, .max = CONFIG_EXPRESS_MAX,
	    FIELD(struct config_path, express) },
	{ IN_PATH("bulk"), NUMBER, .min = 1, .max = CONFIG_BULK_MAX,
	    FIELD(struct config_path, bulk) },
	{ IN_PATH("backup"), WORD(no_yes_words), .reload = true,
	    FIELD(struct config_path, backup) },
	{ IN_PATH("weight"), NUMBER, .max = CONFIG_WEIGHT_MAX,
	    .reload = true,
	    FIELD(struct config_path, weight) },

	{ TOP("listen"), .kind = KIND_LISTEN, .role = FOR_RELAY,
	    FIELDS(struct config, listen, nlisten) },
	{ TOP("protection"), WORD(protection_words),
	    .role = FOR_RELAY,
	    FIELD(struct config, protection) },
	{ TOP("ipv6"), WORD(reach_words), .role = FOR_RELAY, .reload = true,
	    FIELD(struct config, ipv6) },
	{ TOP("trusted-interfaces"), .kind = KIND_INTERFACE, .role = FOR_RELAY,
	    FIELDS(struct config, trusted_interfaces, ntrusted) },
	{ TOP("congestion"), .kind = KIND_CONGESTION, .role = FOR_RELAY,
	    FIELD(struct config, socket.congestion) },
	{ TOP("notsent-lowat"), SIZE, .min = 4 * KIB, .max = 64 * MIB,
	    .or_zero = true, .role = FOR_RELAY,
	    FIELD(struct config, socket.notsent_lowat_bytes) },
	{ TOP("user-timeout"), TIME, .min = SECOND, .max = HOUR,
	    .or_zero = true, .role = FOR_RELAY,
	    FIELD(struct config, socket.user_timeout_ms) },
	{ TOP("mark"), NUMBER, .max = UINT32_MAX, .role = FOR_RELAY,
	    FIELD(struct config, socket.mark) },

	{ IN_PEER("key-file"), .kind = KIND_FILE, .most = 2, .reload = true,
	    FIELDS(struct config_peer, key_files, nkey_files) },
	{ IN_PEER("rate"), RATE, .reload = true,
	    FIELD(struct config_peer, socket.rate_bps) },
	{ IN_PEER("delay"), TIME, .max = 60 * SECOND, .reload = true,
	    FIELD(struct config_peer, socket.delay_ms) },
	{ IN_PEER("max-sessions"), NUMBER, .max = SESSIONS_MAX,
	    .reload = true,
	    FIELD(struct config_peer, max_sessions) },
	{ IN_PEER("max-subflows"), NUMBER, .min = 1, .max = SUBFLOWS_MAX,
	    .reload = true,
	    FIELD(struct config_peer, max_subflows) },
	{ IN_PEER("new-sessions"), NUMBER, .max = NEW_SESSIONS_MAX,
	    .reload = true,
	    FIELD(struct config_peer, new_sessions_per_s) },
	{ IN_PEER("memory"), SIZE, .min = MIB, .max = TIB, .or_zero = true,
	    .reload = true,
	    FIELD(struct config_peer, memory_bytes) },
	{ IN_PEER("permit"), .kind = KIND_RULE, .reload = true },
	{ IN_PEER("deny"), .kind = KIND_RULE, .reload = true },

	{ IN_BASE("server"), .kind = KIND_ENDPOINT, .required = true,
	    .reload = true,
	    FIELD(struct config, base.server) },
	{ IN_BASE("proxies"), .kind = KIND_PREFIX, .required = true,
	    .reload = true,
	    FIELDS(struct config, base.proxies, base.nproxies) },
	{ IN_BASE("max-subflows"), NUMBER, .min = 1, .max = CONFIG_SUBFLOWS_MAX,
	    .reload = true,
	    FIELD(struct config, base.max_subflows) },
};

const size_t config_nkeys = LENGTH(config_keys);

static_assert(LENGTH(config_keys) <= CONFIG_KEYS_MAX,
    "the builder has room for a mark on each");
