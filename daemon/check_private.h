/* SPDX-License-Identifier: ISC */
/*
 * What the items of roroctl check have in common.  Each function that is listed
 * here looks at one subject and adds items for it, at least one where the
 * subject concerns this configuration.
 */
#ifndef CHECK_PRIVATE_H
#define CHECK_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "check_daemon.h"
#include "check_listing.h"
#include "check_machine.h"
#include "check_report.h"
#include "core/config.h"

struct check {
	struct check_machine machine;
	struct check_report report;
	const char *file;
	struct config *config;		/* NULL: there is none to go by */
	bool root;			/* we are */
	bool openwrt;
	struct check_sockets sockets;
	struct check_daemon daemon;
};

/* ---- what is asked of the configuration ---- */

/* Without one the machine is looked at as a gateway whose daemon has the
 * defaults. */
bool check_is_proxy(const struct check *);
bool check_intercepts(const struct check *);
bool check_is_tproxy(const struct check *);	/* and intercepts */
bool check_is_relay(const struct check *);

/* Will the daemon have CAP_NET_ADMIN while it sets up its sockets? */
bool check_is_privileged(const struct check *);

/* Where it listens; what is beyond the first few is left out. */
#define CHECK_ADDRESSES_MAX 64
struct check_addresses {
	struct addr addresses[CHECK_ADDRESSES_MAX];
	size_t n;
};
void check_listen(const struct check *, struct check_addresses *);

/* The sockets of subflows: `i` counts paths of a proxy's relays, or peers of a
 * relay.  false: there are only `i`. */
struct check_flow {
	/* Of the peer, of the path, or "relay, path" among several relays;
	 * empty: there is no configuration. */
	char name[2 * CONFIG_NAME_MAX + 2];
	const struct config_socket *socket;
	unsigned subflows;		/* among which it is shared */
};
bool check_flow_at(const struct check *, size_t i, struct check_flow *);

/* A listing, for that item.  false: it cannot be had, which is said. */
bool check_get(struct check *, const char *item, enum check_list,
    struct check_listing *);

/* The commands that start the daemon anew. */
void check_restart(const struct check *, struct check_item *);

/* A module of the kernel is missing: how it comes. */
void check_module(const struct check *, struct check_item *,
    const char *module, const char *openwrt_package);

/* ---- the subjects ---- */

/* Reads c->file into c->config; `given`: somebody asked for it. */
void check_configuration(struct check *, bool given);
void check_user(struct check *);
void check_keys(struct check *);

void check_interfaces(struct check *);
void check_forwarding(struct check *);
void check_bridges(struct check *);

void check_routing(struct check *);

void check_kernel(struct check *);
void check_tables(struct check *);
void check_firewall(struct check *);
void check_offload(struct check *);

void check_descriptors(struct check *);
void check_conntrack(struct check *);

void check_buffers(struct check *);
void check_tcp_memory(struct check *);
void check_slow_start(struct check *);
void check_mtu_probing(struct check *);
void check_congestion(struct check *);

void check_listeners(struct check *);

void check_destinations(struct check *);

/* And for each path, check_way_back(). */
void check_relays(struct check *);
void check_way_back(struct check *, const char *name,
    const struct config_path *, const struct addr *relay);

/* Of the daemon's answer to `status`: why it intercepts nothing now, the
 * caller's; NULL: it does, or has no rules of its own. */
char *check_closed(const char *answer);

#endif
