/* SPDX-License-Identifier: ISC */
/*
 * What is true of several options together.  It waits for the end, since `role`
 * may be the last line of the file.
 */
#include "config_private.h"

#include <errno.h>
#include <string.h>

#define MBIT (1000 * 1000)
#define FAST_PATH_BPS (100 * MBIT)	/* from here 4 bulk subflows a path */
#define DEFAULT_CONGESTION "bbr"
#define DEFAULT_LISTEN "[::]:1092"
#define DEFAULT_OWN_PORT 1091
#define BGP_PORT 179		/* it wants to meet its neighbour */

static bool
is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == 4 ? a->ip[0] == 127 :
	    memcmp(a->ip, one, sizeof(one)) == 0;
}

/* An option of a section that there is at most one of. */
static bool
is_given_in(const struct config_builder *b, enum config_section s,
    const char *name)
{
	return b->given[config_find_key(s, name) - config_keys].yes;
}

static unsigned int
line_in(const struct config_builder *b, enum config_section s,
    const char *name)
{
	return b->given[config_find_key(s, name) - config_keys].line;
}

/* The same outside of sections. */
static bool
is_given(const struct config_builder *b, const char *name)
{
	return is_given_in(b, CONFIG_IN_TOP, name);
}

static unsigned int
line_of(const struct config_builder *b, const char *name)
{
	return line_in(b, CONFIG_IN_TOP, name);
}

/* What was written once for all, into the sockets of one path or peer. */
static int
finish_socket(struct config_builder *b, struct config_socket *s,
    const struct config_socket *common)
{
	s->notsent_lowat_bytes = common->notsent_lowat_bytes;
	s->user_timeout_ms = common->user_timeout_ms;
	return config_store_text(b, &s->congestion,
	    common->congestion != NULL ? common->congestion :
	    DEFAULT_CONGESTION);
}

/* Of a relay with a name it is not known which addresses it has. */
static int
check_source(struct config_builder *b, const struct config_relay *relay,
    const struct config_path *path)
{
	struct addr a;

	if (path->source.family == 0 || relay->address.host == NULL ||
	    addr_parse(&a, relay->address.host) < 0 ||
	    a.family == path->source.family)
		return 0;
	return FAIL(b, path->line, "path: expected a source of the family of "
	    "the relay's address, ", relay->address.host, ", found ",
	    path->source.family == 4 ? "an IPv4 address" : "an IPv6 address");
}

static int
finish_path(struct config_builder *b, const struct config_relay *relay,
    struct config_path *path)
{
	const struct config *c = b->config;

	if (check_source(b, relay, path) < 0)
		return -EINVAL;
	if (relay->protocol == CONFIG_BASE) {
		if (path->backup || path->weight != CONFIG_WEIGHT_DEFAULT)
			return FAIL(b, path->line, "path: backup and weight "
			    "belong to protocol = extended, found protocol = "
			    "base, whose sessions use every path");
		if (path->socket.receive_bps != 0)
			return FAIL(b, path->line, "path: receive-rate belongs "
			    "to protocol = extended, found protocol = base, "
			    "which cannot tell it to the relay");
		if (path->express > 0 || path->bulk > 0)
			return FAIL(b, path->line, "path: express and bulk "
			    "belong to protocol = extended, found protocol = "
			    "base, which has subflows in the relay section");
	} else {
		if (path->express == 0)
			path->express = 2;
		if (path->bulk == 0)
			path->bulk =
			    path->socket.rate_bps >= FAST_PATH_BPS ? 4 : 2;
	}
	/* Our own connections are told apart by it. */
	if (c->intercept_given && c->intercept.own)
		path->socket.mark |= c->intercept.mark;
	return finish_socket(b, &path->socket, &relay->socket);
}

/* ---- proxy ---- */

static const char *
protection_name(enum wire_protection p)
{
	return config_find_key(CONFIG_IN_TOP, "protection")->words[p];
}

static int
check_relay_key(struct config_builder *b, const struct config_relay *relay)
{
	const char *protection = protection_name(relay->protection);

	if (relay->protocol == CONFIG_BASE &&
	    relay->protection != WIRE_PROTECTION_NONE)
		return FAIL(b, relay->line, "relay: expected protection = none "
		    "with protocol = base, which has no other, found ",
		    protection);
	if (relay->protection != WIRE_PROTECTION_NONE &&
	    relay->key_file == NULL)
		return FAIL(b, relay->line, "relay: expected the option "
		    "key-file with protection = ", protection, ", found none");
	if (relay->protection == WIRE_PROTECTION_NONE &&
	    relay->key_file != NULL)
		return FAIL(b, relay->line, "relay: expected no key-file with "
		    "protection = none, found ",
		    config_quoted(b, relay->key_file));
	return 0;
}

/* The fastest has the most, in proportion, if it is known which that is. */
static void
finish_weights(struct config_relay *relay)
{
	bool known = true;
	uint64_t most = 1;

	for (size_t i = 0; i < relay->npaths; i++) {
		uint64_t rate = relay->paths[i].socket.rate_bps;

		known = known && rate > 0;
		if (rate > most)
			most = rate;
	}
	for (size_t i = 0; i < relay->npaths; i++) {
		struct config_path *path = &relay->paths[i];
		uint64_t share = CONFIG_WEIGHT_MAX;

		if (known)
			share = share * path->socket.rate_bps / most;
		if (path->weight == CONFIG_WEIGHT_DEFAULT)
			path->weight = share > 0 ? (uint8_t)share : 1;
	}
}

/* All paths together. */
static int
check_paths(struct config_builder *b, const struct config_relay *relay)
{
	unsigned int subflows = 0;
	bool any = false;
	char most[UNITS_TEXT_MAX], text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < relay->npaths; i++) {
		subflows += relay->paths[i].express + relay->paths[i].bulk;
		any = any || !relay->paths[i].backup;
	}
	if (!any)
		return FAIL(b, relay->line, "relay: expected a path without "
		    "backup = yes, found none");
	if (subflows > CONFIG_RELAY_MAX)
		return FAIL(b, relay->line, "relay: expected at most ",
		    units_format(most, UNITS_NONE, CONFIG_RELAY_MAX),
		    " subflows on all of its paths, "
		    "found ", units_format(text, UNITS_NONE, subflows));
	return 0;
}

static int
finish_config_relay(struct config_builder *b, struct config_relay *relay)
{
	if (check_relay_key(b, relay) < 0)
		return -EINVAL;
	if (relay->protocol == CONFIG_EXTENDED && relay->subflows > 0)
		return FAIL(b, relay->line, "relay: subflows belongs to "
		    "protocol = base, found protocol = extended, which has "
		    "express and bulk in its path sections");
	if (relay->protocol == CONFIG_BASE && relay->subflows == 0)
		relay->subflows = 4;
	if (relay->npaths == 0) {
		b->line = 0;
		int result = config_add_path(b, relay, "default");
		if (result < 0)
			return result;
	}
	for (size_t i = 0; i < relay->npaths; i++) {
		int result = finish_path(b, relay, &relay->paths[i]);

		if (result < 0)
			return result;
	}
	finish_weights(relay);
	return check_paths(b, relay);
}

/* The base protocol carries no destination: the relay has one server. */
static int
check_destinations(struct config_builder *b, const struct config_relay *relay)
{
	const struct config *c = b->config;
	bool base = relay->protocol == CONFIG_BASE;

	if (base && c->intercept_given)
		return FAIL(b, b->seen[CONFIG_IN_INTERCEPT].line, "intercept: "
		    "expected a relay with protocol = extended, found base, "
		    "which cannot carry the original destination (forward "
		    "can be used)");
	for (size_t i = 0; i < c->nforwards; i++) {
		const struct config_forward *f = &c->forwards[i];

		if (base && f->destination.host != NULL)
			return FAIL(b, f->line, "forward: expected no "
			    "destination with protocol = base, whose relay has "
			    "one server of its own, found ",
			    config_quoted(b, f->destination.host));
		if (!base && f->destination.host == NULL)
			return FAIL(b, f->line, "forward: expected the option "
			    "destination, found none");
	}
	return 0;
}

/* What `options` have no meaning without, unless none of them is given. */
static int
check_belongs(struct config_builder *b, const char *const options[],
    const char *needed, const char *found)
{
	for (; *options != NULL; options++)
		if (is_given_in(b, CONFIG_IN_INTERCEPT, *options))
			return FAIL(b, line_in(b, CONFIG_IN_INTERCEPT,
			    *options), "intercept ", *options, ": expected ",
			    needed, " with it, found ", found);
	return 0;
}

static int
check_intercept_options(struct config_builder *b)
{
	static const char *const of_nft[] = { "ports", "except-ports",
		"bypass", "private", "quic", "refused", "nft-owner", NULL };
	static const char *const of_tproxy[] = { "route", NULL };
	static const char *const of_route[] = { "route-table",
		"route-priority", NULL };
	static const char *const of_interfaces[] = { "interfaces", NULL };
	static const char *const of_own[] = { "own-port", NULL };
	const struct config_intercept *in = &b->config->intercept;
	bool route = in->mode == CONFIG_TPROXY && in->route;
	int result = 0;

	if (!in->nft)
		result = check_belongs(b, of_nft, "nft = yes", "nft = off");
	if (result == 0 && in->mode == CONFIG_REDIRECT)
		result = check_belongs(b, of_tproxy, "mode = tproxy",
		    "mode = redirect");
	if (result == 0 && !route)
		result = check_belongs(b, of_route, "mode = tproxy and route = "
		    "yes", in->route ? "mode = redirect" : "route = off");
	if (result == 0 && !in->nft && !route)
		result = check_belongs(b, of_interfaces, "nft = yes, or mode = "
		    "tproxy and route = yes,", "neither");
	if (result == 0 && !in->own)
		result = check_belongs(b, of_own, "own = yes", "own = no");
	if (result == 0 && (in->nft || route) && in->ninterfaces == 0)
		return FAIL(b, b->seen[CONFIG_IN_INTERCEPT].line, "intercept: "
		    "expected the option interfaces, which is missing");
	if (result == 0 && in->route_table >= 253 && in->route_table <= 255)
		return FAIL(b, line_in(b, CONFIG_IN_INTERCEPT, "route-table"),
		    "intercept route-table: expected a table of its own, "
		    "found one of the kernel's, 253 to 255");
	return result;
}

static int
finish_listen(struct config_builder *b)
{
	struct config_intercept *in = &b->config->intercept;
	struct addr a;

	if (in->listen.family == 0) {
		if (addr_parse(&a, DEFAULT_LISTEN) < 0 ||
		    config_listens(b->config, &a))
			return FAIL(b, b->seen[CONFIG_IN_INTERCEPT].line,
			    "intercept: expected the option listen, since "
			    "something else listens on " DEFAULT_LISTEN
			    ", found none");
		in->listen = a;
	}
	if (in->own && in->own_port == 0)
		in->own_port = DEFAULT_OWN_PORT;
	if (in->own_port == in->listen.port)
		return FAIL(b, b->seen[CONFIG_IN_INTERCEPT].line, "intercept: "
		    "expected another port in own-port than in listen, found "
		    "the same");
	return 0;
}

/* Is there a port to intercept? */
static bool
is_port_left(const struct config_intercept *in)
{
	uint8_t wanted[UINT16_MAX + 1] = { 0 };

	for (size_t i = 0; i < in->nports; i++)
		for (size_t p = in->ports[i].first; p <= in->ports[i].last; p++)
			wanted[p] = 1;
	for (size_t i = 0; i < in->nexcept_ports; i++)
		for (size_t p = in->except_ports[i].first;
		    p <= in->except_ports[i].last; p++)
			wanted[p] = 0;
	wanted[BGP_PORT] = 0;
	return memchr(wanted, 1, sizeof(wanted)) != NULL;
}

static int
finish_ports(struct config_builder *b)
{
	static const struct acl_ports standard[] = {
		{ 1, 21 }, { 23, UINT16_MAX },
	};
	struct config_intercept *in = &b->config->intercept;

	while (!is_given_in(b, CONFIG_IN_INTERCEPT, "ports") &&
	    in->nports < sizeof(standard) / sizeof(standard[0])) {
		struct acl_ports *ports = config_grow(&in->ports, in->nports,
		    sizeof(*ports));

		if (ports == NULL)
			return config_out_of_memory(b);
		*ports = standard[in->nports++];
	}
	if (!is_port_left(in))
		return FAIL(b, b->seen[CONFIG_IN_INTERCEPT].line, "intercept: "
		    "expected a port beside 179 that is in ports and not in "
		    "except-ports, found none");
	return 0;
}

static int
finish_intercept(struct config_builder *b)
{
	int result = check_intercept_options(b);

	if (result == 0)
		result = finish_listen(b);
	if (result == 0)
		result = finish_ports(b);
	return result;
}

/* All relays together. */
static int
check_relays(struct config_builder *b)
{
	const struct config *c = b->config;
	char most[UNITS_TEXT_MAX];

	if (c->nrelays > CONFIG_RELAYS_MAX)
		return FAIL(b, c->relays[CONFIG_RELAYS_MAX].line, "relay: "
		    "expected at most ", units_format(most, UNITS_NONE,
		    CONFIG_RELAYS_MAX), " of them, found another");
	for (size_t i = 0; c->nrelays > 1 && i < c->nrelays; i++)
		if (c->relays[i].protocol == CONFIG_BASE)
			return FAIL(b, c->relays[i].line, "relay: expected no "
			    "other relay with protocol = base, which carries "
			    "no destination, found several");
	return 0;
}

static int
finish_proxy(struct config_builder *b)
{
	struct config *c = b->config;

	if (c->nrelays == 0)
		return FAIL(b, 0, "expected a section relay \"NAME\" { ... } "
		    "with role = proxy, found none");
	if (!c->intercept_given && c->nforwards == 0)
		return FAIL(b, 0, "expected a section intercept { ... } or "
		    "forward \"NAME\" { ... } with role = proxy, found none");
	int result = check_relays(b);
	if (result == 0)
		result = check_destinations(b, &c->relays[0]);
	if (result == 0 && c->intercept_given)
		result = finish_intercept(b);
	for (size_t i = 0; result == 0 && i < c->nrelays; i++)
		result = finish_config_relay(b, &c->relays[i]);
	return result;
}

/* ---- relay ---- */

/* Without protection, only what is reached over trusted ways may be open. */
static int
check_exposure(struct config_builder *b)
{
	const struct config *c = b->config;
	char text[ADDR_TEXT_MAX];

	if (c->protection != WIRE_PROTECTION_NONE) {
		if (c->ntrusted > 0)
			return FAIL(b, line_of(b, "trusted-interfaces"),
			    "trusted-interfaces: expected protection = none "
			    "with it, found protection = ",
			    protection_name(c->protection));
		return 0;
	}
	for (size_t i = 0; i < c->nlisten && c->ntrusted == 0; i++)
		if (!is_loopback(&c->listen[i]))
			return FAIL(b, line_of(b, "listen"), "listen: with "
			    "protection = none whoever reaches this relay can "
			    "use it, expected loopback addresses only or "
			    "trusted-interfaces, found ",
			    addr_format(&c->listen[i], text));
	return 0;
}

/* With protection a peer is known by its keys; without, there is no telling
 * who is who. */
static int
check_peer_keys(struct config_builder *b)
{
	const struct config *c = b->config;
	const char *protection = protection_name(c->protection);
	bool none = c->protection == WIRE_PROTECTION_NONE;
	char first[UNITS_TEXT_MAX];

	if (!none && c->npeers == 0)
		return FAIL(b, 0, "expected a section peer \"NAME\" { ... } "
		    "with protection = ", protection, ", found none");
	if (none && c->npeers > 1)
		return FAIL(b, c->peers[1].line, "peer: expected only the one "
		    "on line ", units_format(first, UNITS_NONE,
		    c->peers[0].line), " with protection = none, which cannot "
		    "tell them apart, found another");
	for (size_t i = 0; i < c->npeers; i++) {
		const struct config_peer *peer = &c->peers[i];

		if (!none && peer->nkey_files == 0)
			return FAIL(b, peer->line, "peer: expected the option "
			    "key-file with protection = ", protection,
			    ", found none");
		if (none && peer->nkey_files > 0)
			return FAIL(b, peer->line, "peer: expected no key-file "
			    "with protection = none, found ",
			    config_quoted(b, peer->key_files[0]));
	}
	return 0;
}

static int
finish_peer(struct config_builder *b, struct config_peer *peer)
{
	const struct config *c = b->config;
	char found[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];

	if (c->memory_limit_bytes > 0 &&
	    peer->memory_bytes > c->memory_limit_bytes)
		return FAIL(b, peer->line, "peer: expected memory of at most ",
		    units_format(most, UNITS_SIZE, c->memory_limit_bytes),
		    ", which is memory-limit, found ",
		    units_format(found, UNITS_SIZE, peer->memory_bytes));
	peer->socket.mark = c->socket.mark;
	return finish_socket(b, &peer->socket, &c->socket);
}

static int
finish_relay(struct config_builder *b)
{
	struct config *c = b->config;

	if (c->nlisten == 0)
		return FAIL(b, 0, "expected the option listen with role = "
		    "relay, found none");
	int result = check_exposure(b);
	if (result == 0)
		result = check_peer_keys(b);
	if (result == 0 && c->npeers == 0) {
		b->line = 0;
		result = config_add_object(b, CONFIG_IN_PEER, "default");
	}
	if (result == 0 && c->socket.congestion == NULL)
		result = config_store_text(b, &c->socket.congestion,
		    DEFAULT_CONGESTION);
	for (size_t i = 0; result == 0 && i < c->npeers; i++)
		result = finish_peer(b, &c->peers[i]);
	return result;
}

/* ---- the whole ---- */

static int
check_role(struct config_builder *b)
{
	bool proxy = b->config->role == CONFIG_PROXY;
	enum belongs other = proxy ? FOR_RELAY : FOR_PROXY;

	if (!is_given(b, "role"))
		return FAIL(b, 0, "expected the option role = proxy or role = "
		    "relay, found none");
	if (b->first_of[other].label == NULL)
		return 0;
	return FAIL(b, b->first_of[other].line, b->first_of[other].label,
	    ": expected here only with role = ", proxy ? "relay" : "proxy",
	    ", found role = ", proxy ? "proxy" : "relay");
}

static int
finish_control(struct config_builder *b)
{
	struct config *c = b->config;

	if (!is_given(b, "control"))
		return config_store_text(b, &c->control, CONFIG_CONTROL);
	if (c->control == NULL && c->control_group != NULL)
		return FAIL(b, line_of(b, "control-group"), "control-group: "
		    "expected a socket with it, found control = off");
	return 0;
}

struct config *
config_finish(struct config_builder *b)
{
	struct config *c = b->config;

	if (b->error_len > 0)
		return NULL;
	if (b->open != CONFIG_IN_TOP)
		(void)FAIL(b, b->seen[b->open].line,
		    config_sections[b->open].info.name, ": never ends");
	else if (check_role(b) == 0 && finish_control(b) == 0)
		(void)(c->role == CONFIG_PROXY ? finish_proxy(b) :
		    finish_relay(b));
	if (b->error_len > 0)
		return NULL;
	c->file = b->file;
	b->file = NULL;
	b->config = NULL;
	return c;
}
