/* SPDX-License-Identifier: ISC */
/*
 * What an operator configured, checked and with every default filled in.
 * Reading the file is conffile.c's business; here names and values with their
 * file and line go in, and one const struct or one sentence comes out.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl.h"
#include "addr.h"
#include "wire_hello.h"

#define CONFIG_NAME_MAX 64		/* of a relay, path, peer or forward */
#define CONFIG_EXPRESS_MAX 8		/* express subflows of a path */
#define CONFIG_BULK_MAX 16		/* bulk subflows of a path */
#define CONFIG_SUBFLOWS_MAX 16		/* base protocol, per client */
#define CONFIG_RELAYS_MAX 16
#define CONFIG_RELAY_MAX 60		/* subflows to one relay, on all of its
					 * paths: a group takes a few more while
					 * they are replaced */
#define CONFIG_WEIGHT_MAX 100
#define CONFIG_PORTS_MAX 128		/* ranges in one list of ports */
#define CONFIG_CONTROL_MAX 107		/* sun_path without its terminator */
#define CONFIG_CONTROL "/run/ro-ro-tcp/control.sock"	/* by default */

enum config_role { CONFIG_PROXY, CONFIG_RELAY };
enum config_mode { CONFIG_TPROXY, CONFIG_REDIRECT };
enum config_reach { CONFIG_REACH_AUTO, CONFIG_REACH_YES, CONFIG_REACH_NO };
enum config_protocol { CONFIG_EXTENDED, CONFIG_BASE };
enum config_relays { CONFIG_RELAYS_ORDER, CONFIG_RELAYS_WEIGHT };
enum config_log { CONFIG_ERROR, CONFIG_WARN, CONFIG_INFO, CONFIG_DEBUG };

/* A host and a port as written: "relay.example:1093", "[2001:db8::1]:1093".
 * Names are resolved by the roles, at start and on reload. */
struct config_endpoint {
	char *host;
	uint16_t port;
};

/* Options of the sockets of subflows, on both sides.  Those of a path and of a
 * peer are complete: what is written once for all of them is copied there.  A
 * relay's own is complete but for rate and delay, which belong to its peers. */
struct config_socket {
	char *congestion;		/* "bbr" by default */
	uint32_t notsent_lowat_bytes;	/* 0: derived from the rate */
	uint32_t user_timeout_ms;
	uint32_t mark;			/* SO_MARK; 0: none */
	uint64_t rate_bps;		/* of the link, in our sending
					 * direction, bit/s; 0: not known */
	uint64_t receive_bps;		/* and in the other (of a path only) */
	uint32_t delay_ms;		/* round trip, no load; 0: not known */
};

/* `name` comes first in what can be there several times; `line` is where it was
 * written (0: nowhere, it is a default), for messages. */
struct config_path {
	char *name;
	unsigned int line;
	char *interface;		/* SO_BINDTODEVICE, or NULL */
	struct addr source;		/* family 0: any */
	uint8_t express, bulk;		/* subflows of each lane */
	bool backup;			/* only while no other path lives */
	uint8_t weight;			/* of small sessions; 0: none while
					 * another path lives */
	struct config_socket socket;
};

struct config_relay {			/* a proxy's relay */
	char *name;
	unsigned int line;
	struct config_endpoint address;
	enum config_protocol protocol;
	enum wire_protection protection;	/* base protocol: none */
	char *key_file;			/* NULL without protection */
	uint8_t subflows;		/* base protocol: per client */
	uint8_t weight;			/* of new sessions; 0: none while
					 * another relay answers */
	struct config_socket socket;	/* as written; use a path's */
	struct config_path *paths;	/* at least one */
	size_t npaths;
};

/* Which connections come to the proxy although they are for somebody else.
 * What belongs to another mode, or to nft = yes, has its default there. */
struct config_intercept {
	enum config_mode mode;
	struct addr listen;
	bool own;			/* those of this machine, too */
	uint16_t own_port;		/* on the loopback; 0 without `own` */

	/* Names, or beginnings of names with a `*`; where they are not needed,
	 * none. */
	char **interfaces;
	size_t ninterfaces;
	/* Destinations: the first without the second, never 0 or 179. */
	struct acl_ports *ports, *except_ports;
	size_t nports, nexcept_ports;
	struct addr_prefix *bypass;	/* beside what is always direct */
	size_t nbypass;
	bool private;			/* special and private ranges, too */
	bool reject_quic;
	bool refused;			/* by the kernel for a while */
	bool dscp;			/* the server sees the client's */

	bool nft;			/* the rules are ours, */
	bool nft_owner;			/* and nobody else's; */
	bool route;			/* TPROXY's routing is ours */
	uint32_t mark;			/* not 0; it is its own mask */
	uint32_t route_table, route_priority;
};

struct config_forward {
	char *name;
	unsigned int line;
	struct addr listen;
	struct config_endpoint destination;	/* host NULL with the base
						 * protocol: the relay's */
};

struct config_peer {			/* a relay's proxy */
	char *name;
	unsigned int line;
	char **key_files;		/* none without protection; else one, */
	size_t nkey_files;		/* or two, of which
					 * either is accepted */
	struct acl *acl;
	uint32_t max_sessions;		/* 0: half of the relay's, or all of it
					 * where there is no other peer */
	uint32_t max_subflows;
	uint32_t new_sessions_per_s;	/* 0: no limit */
	uint64_t memory_bytes;		/* 0: half of the relay's, or all of it
					 * where there is no other peer */
	struct config_socket socket;
};

struct config_base {			/* a relay's base protocol */
	bool enabled;
	struct config_endpoint server;
	struct addr_prefix *proxies;	/* who may use it */
	size_t nproxies;
	uint32_t max_subflows;		/* of one client */
};

struct config {
	enum config_role role;
	unsigned int holds;		/* config_hold() */
	char *file;			/* where it was read, for messages */

	enum config_log log_level;
	bool log_syslog;

	/* Whom to become once what needs privileges is done.  NULL: stay. */
	char *user, *group;

	char *control;			/* socket of roroctl; NULL: none */
	char *control_group;		/* who may use it beside us, or NULL */

	/* Limits; 0 in max_sessions: from RLIMIT_NOFILE at start;
	 * 0 in memory_limit_bytes: a quarter of RAM, at most 256 MiB. */
	uint32_t max_sessions;
	uint32_t max_sessions_per_client;	/* 0: no limit of its own */
	uint64_t memory_limit_bytes;
	uint32_t window_bytes;		/* most that one session is offered;
					 * 0: from rate and delay, or 16 MiB */
	uint32_t redundancy_bytes;	/* first ones of a burst that are sent
					 * on two express subflows; 0: none */
	uint32_t resume_timeout_ms;	/* sessions wait that for a subflow */
	uint32_t connect_timeout_ms;	/* relay to server, proxy to relay */
	uint32_t grace_ms;		/* SIGTERM: open sessions may finish */
	uint32_t keepalive_s;		/* client and server legs; 0: off */

	/* Proxy. */
	bool intercept_given;
	struct config_intercept intercept;
	struct config_forward *forwards;
	size_t nforwards;
	struct config_relay *relays;	/* base protocol: one */
	size_t nrelays;
	enum config_relays choice;	/* which of them new sessions go to */

	/* Relay. */
	struct addr *listen;
	size_t nlisten;
	enum wire_protection protection;
	enum config_reach ipv6;		/* are there servers with IPv6? */
	struct config_socket socket;	/* of listeners; use a peer's */
	char **trusted_interfaces;	/* only without protection */
	size_t ntrusted;
	struct config_peer *peers;	/* at least one; without protection */
	size_t npeers;			/* just one */
	struct config_base base;
};

/* NULL is accepted.  It is there until it was freed once more than held. */
void config_free(struct config *);
struct config *config_hold(struct config *);

/* The first option, as "relay address" or "listen", that differs and that a
 * running daemon cannot change; NULL when `new` can replace `old`.  The order
 * of sections counts, except that peers and relays are known by their names:
 * all of them can change, and they can come and go (but for the relay of the
 * base protocol). */
const char *config_fixed_difference(const struct config *old,
    const struct config *new);

/* Does the relay have the same name in both, and differ only in what can change
 * while it has sessions? */
bool config_same_relay(const struct config_relay *old,
    const struct config_relay *new);

/* ---- input ---- */

/* What exists.  conffile.c makes its grammar of this, and the tests compare it
 * with the manual page and the examples. */
enum config_section {
	CONFIG_IN_TOP,
	CONFIG_IN_INTERCEPT,
	CONFIG_IN_FORWARD,
	CONFIG_IN_RELAY,
	CONFIG_IN_PATH,
	CONFIG_IN_PEER,
	CONFIG_IN_BASE,
	CONFIG_NSECTIONS,
};

struct config_section_info {
	const char *name;		/* "" for CONFIG_IN_TOP */
	enum config_section parent;	/* of CONFIG_IN_TOP: itself */
	bool titled;
};

struct config_key_info {
	enum config_section section;
	const char *name;
	bool rule;			/* permit(...), not name = ... */
	bool reload;			/* a running daemon can change it */
};

struct config_section_info config_section(enum config_section);

/* false: there are only `i` options. */
bool config_key(size_t i, struct config_key_info *);

/*
 * Takes sections, options and rules in any order inside their section and makes
 * a struct config of them.  The first error is kept, what comes after it is
 * ignored; so callers may look at the end only.
 */
struct config_builder;

/* `file` is copied; it begins each error.  NULL if out of memory.
 * config_builder_free() accepts NULL. */
struct config_builder *config_builder_new(const char *file);
void config_builder_free(struct config_builder *);

/* `line` is 1 for the first line, 0 if unknown.  `title` is NULL if there is
 * none, `values` has `n` texts.  0, or -EINVAL with config_error() set. */
int config_begin(struct config_builder *, const char *section,
    const char *title, unsigned int line);
int config_value(struct config_builder *, const char *name,
    const char *const *values, size_t n, unsigned int line);
int config_rule(struct config_builder *, const char *name,
    const char *const *values, size_t n, unsigned int line);
int config_end(struct config_builder *);

/* Checked as a whole, defaults filled in; the caller's.  NULL with
 * config_error() set.  The builder is empty afterwards. */
struct config *config_finish(struct config_builder *);

/* One sentence, "FILE:LINE: what was expected, what was found"; NULL when there
 * was no error.  Ours, until the builder is freed. */
const char *config_error(const struct config_builder *);

/* Are these `len` bytes what a key looks like?  An error must not repeat it if
 * somebody wrote it where its file is named. */
bool config_is_like_key(const char *text, size_t len);

#endif
