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

static bool
is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == 4 ? a->ip[0] == 127 :
	    memcmp(a->ip, one, sizeof(one)) == 0;
}

/* An option outside of sections. */
static bool
is_given(const struct config_builder *b, const char *name)
{
	return b->given[config_find_key(CONFIG_IN_TOP, name) -
	    config_keys].yes;
}

static unsigned int
line_of(const struct config_builder *b, const char *name)
{
	return b->given[config_find_key(CONFIG_IN_TOP, name) -
	    config_keys].line;
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

static int
finish_path(struct config_builder *b, const struct config_relay *relay,
    struct config_path *path)
{
	if (relay->protocol == CONFIG_BASE) {
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
		int result = config_add_object(b, CONFIG_IN_PATH, "default");
		if (result < 0)
			return result;
	}
	for (size_t i = 0; i < relay->npaths; i++) {
		int result = finish_path(b, relay, &relay->paths[i]);

		if (result < 0)
			return result;
	}
	return 0;
}

/* The base protocol carries no destination: the relay has one server. */
static int
check_destinations(struct config_builder *b, const struct config_relay *relay)
{
	const struct config *c = b->config;
	bool base = relay->protocol == CONFIG_BASE;

	if (base && c->redirect_listen.family != 0)
		return FAIL(b, b->seen[CONFIG_IN_REDIRECT].line, "redirect: "
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

static int
finish_proxy(struct config_builder *b)
{
	struct config *c = b->config;

	if (c->nrelays == 0)
		return FAIL(b, 0, "expected a section relay \"NAME\" { ... } "
		    "with role = proxy, found none");
	if (c->redirect_listen.family == 0 && c->nforwards == 0)
		return FAIL(b, 0, "expected a section redirect { ... } or "
		    "forward \"NAME\" { ... } with role = proxy, found none");
	int result = check_destinations(b, &c->relays[0]);
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

struct config *
config_finish(struct config_builder *b)
{
	struct config *c = b->config;

	if (b->error_len > 0)
		return NULL;
	if (b->open != CONFIG_IN_TOP)
		(void)FAIL(b, b->seen[b->open].line,
		    config_sections[b->open].info.name, ": never ends");
	else if (check_role(b) == 0)
		(void)(c->role == CONFIG_PROXY ? finish_proxy(b) :
		    finish_relay(b));
	if (b->error_len > 0)
		return NULL;
	b->config = NULL;
	return c;
}
