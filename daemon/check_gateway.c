/* SPDX-License-Identifier: ISC */
/*
 * What is in the way of packets on their way to the proxy, beside the rules of
 * nf_tables.  Seen on Linux 6.18, with a bridge as LAN interface:
 *
 *  - bridge-nf-call-iptables takes the socket away that TPROXY has chosen:
 *    IPv4 is lost, IPv6 refused.  REDIRECT works with it.
 *  - REDIRECT goes to an address of the interface that the packet came from,
 *    and drops it where there is none.
 */
#include "check_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_listing.h"
#include "check_route.h"
#include "nft/ruleset.h"

#define IFF_UP_BIT 1u
#define STRICT 1		/* of rp_filter */

/* ---- LAN interfaces ---- */

struct walk {
	struct check *check;
	const char *pattern;
	void (*look)(struct check *, const char *name);
	unsigned n;
};

static bool
look_at(void *user, const char *name)
{
	struct walk *w = user;

	if (ruleset_interface_is(w->pattern, name)) {
		w->n++;
		if (w->look != NULL)
			w->look(w->check, name);
	}
	return false;
}

/* Those that are there and match; how many. */
static unsigned
each_match(struct check *c, const char *pattern,
    void (*look)(struct check *, const char *name))
{
	struct walk w = { c, pattern, look, 0 };

	check_each(&c->machine, "/sys/class/net", look_at, &w);
	return w.n;
}

static void
each_lan(struct check *c, void (*look)(struct check *, const char *name))
{
	const struct config *config = c->config;

	for (size_t i = 0; config != NULL && check_intercepts(c) &&
	    i < config->intercept.ninterfaces; i++)
		each_match(c, config->intercept.interfaces[i], look);
}

/* Is the flag set, as /sys has it ("0x1003")? */
static bool
is_up(const struct check *c, const char *name)
{
	char *text = check_read(&c->machine, "/sys/class/net/%s/flags", name);
	unsigned long flags = text != NULL ? strtoul(text, NULL, 16) :
	    IFF_UP_BIT;

	free(text);
	return (flags & IFF_UP_BIT) != 0;
}

/* The interface's first address of this kind, or false. */
static bool
address_of(const struct check *c, const char *name, uint8_t family,
    bool global, struct addr *address)
{
	struct check_listing list;
	struct check_address a;
	struct netlink_cursor cursor;
	uint64_t index = 0;
	bool has = false;

	check_number(&c->machine, &index, "/sys/class/net/%s/ifindex", name);
	check_listing(&c->machine, CHECK_ADDRESSES, &list);
	cursor = check_messages(&list);
	while (!has && check_next_address(&cursor, &a)) {
		has = a.index == index && a.address.family == family &&
		    (a.global || !global);
		*address = a.address;
	}
	check_free_listing(&list);
	return has;
}

static bool
has_address(const struct check *c, const char *name, uint8_t family,
    bool global)
{
	struct addr address;

	return address_of(c, name, family, global, &address);
}

static void
check_lan(struct check *c, const char *name)
{
	struct check_item *item;
	char *word = check_quote(name);

	if (!is_up(c, name)) {
		item = check_add(&c->report, CHECK_WARNING, "interface", name,
		    "it is down");
		check_why(item, "no connections come from there");
		check_now(item, "ip link set %s up", word);
	} else if (!check_is_tproxy(c) && !has_address(c, name, 4, false)) {
		item = check_add(&c->report, CHECK_ERROR, "interface", name,
		    "it has no IPv4 address");
		check_why(item, "mode redirect drops IPv4 connections that "
		    "come from there: it needs any address, or use tproxy");
		check_now(item, "ip address add 169.254.10.92/32 dev %s",
		    word);
	} else {
		check_add(&c->report, CHECK_OK, "interface", name,
		    "it is there, and up");
	}
	free(word);
}

/* One that trusted-interfaces names. */
static void
check_trusted(struct check *c, const char *name)
{
	struct check_item *item;

	if (check_exists(&c->machine, "/sys/class/net/%s", name)) {
		check_add(&c->report, CHECK_OK, "interface", name,
		    "it is there (trusted-interfaces)");
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, "interface", name,
	    "there is none of this name (trusted-interfaces)");
	check_why(item, "names are those of ip link");
}

/* It may come and go: whether there is another path,
 * check_relays() finds out. */
static void
check_path(struct check *c, const struct config_relay *relay,
    const struct config_path *path)
{
	const char *name = path->interface;
	struct check_item *item;
	char *word;

	if (name == NULL)
		return;
	if (!check_exists(&c->machine, "/sys/class/net/%s", name)) {
		item = check_add(&c->report, CHECK_WARNING, "interface", name,
		    "there is none of this name (%s, path %s)", relay->name,
		    path->name);
		check_why(item, "the path carries nothing until it is there; "
		    "names are those of ip link");
	} else if (!is_up(c, name)) {
		item = check_add(&c->report, CHECK_WARNING, "interface", name,
		    "it is down (%s, path %s)", relay->name, path->name);
		check_why(item, "the path carries nothing until it is up");
		word = check_quote(name);
		check_now(item, "ip link set %s up", word);
		free(word);
	} else {
		check_add(&c->report, CHECK_OK, "interface", name,
		    "it is there, and up (%s, path %s)", relay->name,
		    path->name);
	}
}

void
check_interfaces(struct check *c)
{
	const struct config *config = c->config;

	if (config == NULL)
		return;
	for (size_t i = 0; i < config->intercept.ninterfaces; i++) {
		const char *pattern = config->intercept.interfaces[i];
		struct check_item *item;

		if (each_match(c, pattern, check_lan) > 0)
			continue;
		item = check_add(&c->report, strchr(pattern, '*') != NULL ?
		    CHECK_WARNING : CHECK_ERROR, "interface", pattern,
		    "there is none of this name (intercept)");
		check_why(item, "no connections come from there; names are "
		    "those of ip link");
	}
	for (size_t i = 0; i < config->nrelays; i++)
		for (size_t j = 0; j < config->relays[i].npaths; j++)
			check_path(c, &config->relays[i],
			    &config->relays[i].paths[j]);
	for (size_t i = 0; i < config->ntrusted; i++)
		check_trusted(c, config->trusted_interfaces[i]);
}

/* ---- forwarding ---- */

static void
check_forwarding4(struct check *c)
{
	static const char setting[] = "net/ipv4/ip_forward";
	struct check_item *item;
	uint64_t on;

	if (!check_number(&c->machine, &on, "/proc/sys/%s", setting))
		return;
	if (on != 0) {
		check_add(&c->report, CHECK_OK, "forwarding", "IPv4", "on");
		return;
	}
	item = check_add(&c->report, c->config != NULL ? CHECK_ERROR :
	    CHECK_WARNING, "forwarding", "IPv4", "off");
	check_why(item, "what rorod lets go directly gets nowhere");
	check_sysctl(item, "1", "%s", setting);
}

/* Where the LAN has IPv6 at all. */
static void
check_forwarding6(struct check *c, const char *name)
{
	struct check_item *item;
	uint64_t on;

	if (!has_address(c, name, 6, true) || !check_number(&c->machine, &on,
	    "/proc/sys/net/ipv6/conf/%s/forwarding", name))
		return;
	if (on != 0) {
		check_add(&c->report, CHECK_OK, "forwarding", name,
		    "IPv6 is on");
		return;
	}
	item = check_add(&c->report, CHECK_WARNING, "forwarding", name,
	    "IPv6 is off, and there are addresses for it");
	check_why(item, "what rorod lets go directly gets nowhere");
	check_sysctl(item, "1", "net/ipv6/conf/all/forwarding");
}

void
check_forwarding(struct check *c)
{
	if (!check_intercepts(c))
		return;
	check_forwarding4(c);
	each_lan(c, check_forwarding6);
}

/* ---- the way back ---- */

/* Strict rp_filter drops what comes from the relay over an interface that is
 * not the one by which we would go there, if nobody bound us to it. */
void
check_way_back(struct check *c, const char *name,
    const struct config_path *path, const struct addr *relay)
{
	struct addr from = path->source;
	uint64_t all = 0, one = 0, index = 0;
	uint32_t way;
	struct check_item *item;

	if (path->interface == NULL || relay->family != 4 ||
	    !is_up(c, path->interface) ||
	    !check_number(&c->machine, &index, "/sys/class/net/%s/ifindex",
	    path->interface) || (from.family == 0 &&
	    !address_of(c, path->interface, 4, false, &from)))
		return;
	check_number(&c->machine, &all,
	    "/proc/sys/net/ipv4/conf/all/rp_filter");
	check_number(&c->machine, &one, "/proc/sys/net/ipv4/conf/%s/rp_filter",
	    path->interface);
	if ((all > one ? all : one) != STRICT ||
	    (check_way(relay, &from, &way) == 0 && way == index)) {
		check_add(&c->report, CHECK_OK, "rp-filter", path->interface,
		    "what the relay answers is let in (%s)", name);
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, "rp-filter",
	    path->interface, "it is strict, and routes to the relay lead "
	    "elsewhere (%s)", name);
	check_why(item, "what the relay answers is dropped");
	check_sysctl(item, "2", "net/ipv4/conf/%s/rp_filter",
	    path->interface);
}

/* ---- bridges ---- */

static bool
is_on(const struct check *c, const char *path, const char *name)
{
	uint64_t on = 0;
	char *whole = check_format("%s%s", path, name);

	check_number(&c->machine, &on, "%s", whole);
	free(whole);
	return on != 0;
}

static void
check_bridge(struct check *c, const char *bridge)
{
	static const char *const settings[][2] = {
		{ "bridge-nf-call-iptables", "nf_call_iptables" },
		{ "bridge-nf-call-ip6tables", "nf_call_ip6tables" },
	};
	struct check_item *item = NULL;
	char *word, *own;

	if (!check_exists(&c->machine, "/sys/class/net/%s/bridge", bridge))
		return;
	word = check_quote(bridge);
	own = check_format("/sys/class/net/%s/bridge/", bridge);
	for (size_t i = 0; i < 2; i++) {
		bool all = is_on(c, "/proc/sys/net/bridge/", settings[i][0]);
		bool this = is_on(c, own, settings[i][1]);

		if (!all && !this)
			continue;
		item = check_add(&c->report, CHECK_ERROR, "bridge", bridge,
		    "%s is on", settings[i][all ? 0 : 1]);
		check_why(item, "br_netfilter takes packets away from TPROXY "
		    "(Docker, for one, turns it on); mode redirect works with "
		    "it");
		if (all)
			check_sysctl(item, "0", "net/bridge/%s",
			    settings[i][0]);
		if (this)
			check_now(item, "ip link set %s type bridge %s 0",
			    word, settings[i][1]);
	}
	if (item == NULL)
		check_add(&c->report, CHECK_OK, "bridge", bridge,
		    "br_netfilter leaves it alone");
	free(word);
	free(own);
}

void
check_bridges(struct check *c)
{
	if (check_is_tproxy(c))
		each_lan(c, check_bridge);
}
