/* SPDX-License-Identifier: ISC */
/*
 * A client that came to one of the fronts is counted, and given to the relays.
 */
#include "proxy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base_proxy.h"
#include "core/tally.h"
#include "fronts.h"
#include "gateway.h"
#include "lookup.h"
#include "quota.h"
#include "relays.h"
#include "net/hangup.h"
#include "net/log.h"

#define LOOK_S 1.		/* for a relay's address, base protocol */

/* When nothing is intercepted any more, those whose handshake with us has begun
 * still come, if they are not too far. */
#define LAST_CLIENTS_S .3

struct client {
	struct proxy *proxy;
	struct addr addr, destination;
};

struct proxy {
	struct ev_loop *loop;
	struct config *config;
	struct keyring *keys;
	struct hangup *hangup;
	struct quota quota;
	struct tally *clients;		/* sessions of each */
	bool paused;
	struct fronts *fronts;		/* NULL: no more clients */
	struct gateway *gateway;	/* NULL: nothing is intercepted */

	uint64_t taken, refused;	/* sessions */
	struct relays *relays;		/* NULL: there is one, which speaks the
					 * base protocol, and that is */
	struct base_proxy *base;
	struct lookup *lookup;		/* its */
	ev_timer look;

	bool draining;
	ev_timer closing;		/* until the doors close */
	void (*on_idle)(void *);
	void *user;
};

/* ---- relays ---- */

static void
on_idle(void *user)
{
	struct proxy *p = user;

	if (p->draining)
		p->on_idle(p->user);
}

/* All that is to stay direct. */
static size_t
addresses(const struct proxy *p, struct addr *to)
{
	const struct addr *all;
	size_t n;

	if (p->relays != NULL)
		return relays_addresses(p->relays, to);
	n = lookup_all(p->lookup, &all);
	memcpy(to, all, n * sizeof(*all));
	return n;
}

static void
on_addresses(void *user)
{
	struct proxy *p = user;
	struct addr all[RELAYS_ADDRESSES_MAX];
	size_t n = addresses(p, all);

	if (p->base != NULL)
		base_proxy_configure(p->base, p->config,
		    lookup_address(p->lookup));
	if (p->gateway != NULL)
		gateway_relays(p->gateway, all, n);
}

static bool
is_relay(const struct proxy *p, const struct addr *a)
{
	struct addr all[RELAYS_ADDRESSES_MAX];
	size_t n = addresses(p, all);

	while (n > 0 && !addr_equal(&all[n - 1], a))
		n--;
	return n > 0;
}

static void
on_look_up(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct proxy *p = w->data;

	(void)loop;
	(void)revents;
	lookup_tell(p->lookup, base_proxy_answers(p->base));
}

static bool
start_base(struct proxy *p)
{
	const struct config_relay *relay = &p->config->relays[0];

	p->lookup = lookup_new(&(struct lookup_options){
		.loop = p->loop,
		.endpoint = &relay->address,
		.kind = "relay",
		.name = relay->name,
		.on_change = on_addresses,
		.user = p,
	});
	if (p->lookup == NULL)
		return false;
	p->base = base_proxy_new(&(struct base_proxy_options){
		.loop = p->loop,
		.hangup = p->hangup,
		.quota = &p->quota,
		.config = p->config,
		.address = lookup_address(p->lookup),
		.on_idle = on_idle,
		.user = p,
	});
	ev_timer_set(&p->look, LOOK_S, LOOK_S);
	ev_timer_start(p->loop, &p->look);
	return p->base != NULL;
}

static bool
start_relays(struct proxy *p)
{
	if (p->config->relays[0].protocol == CONFIG_BASE)
		return start_base(p);
	p->relays = relays_new(&(struct relays_options){
		.loop = p->loop,
		.hangup = p->hangup,
		.quota = &p->quota,
		.config = p->config,
		.keys = p->keys,
		.on_addresses = on_addresses,
		.on_idle = on_idle,
		.user = p,
	});
	return p->relays != NULL;
}

/* ---- clients ---- */

static uint32_t
max_sessions(const struct proxy *p)
{
	return p->base != NULL ? base_proxy_max(p->base) :
	    p->quota.max_sessions;
}

/* Listeners rest while there is no room, and clients wait in the backlog. */
static void
update_pause(struct proxy *p)
{
	static struct log_limit limit = { .burst = 1 };
	uint32_t most = max_sessions(p);
	bool full = tally_total(p->clients) >= most;

	if (full == p->paused)
		return;
	p->paused = full;
	if (full)
		log_limited(&limit, LOG_LEVEL_WARN, "proxy: %u sessions are "
		    "all that there may be: new clients wait",
		    most);
	if (p->fronts != NULL)
		fronts_pause(p->fronts, full);
}

static void
on_client_gone(void *user)
{
	struct client *client = user;
	struct proxy *p = client->proxy;

	tally_remove(p->clients, &client->addr);
	free(client);
	update_pause(p);
}

static void
on_session_gone(void *user, uint8_t code)
{
	struct client *client = user;
	struct proxy *p = client->proxy;

	if (code != WIRE_CODE_OK && p->gateway != NULL)
		gateway_refused(p->gateway, &client->destination, code);
	if (code == WIRE_CODE_RESOURCES && p->gateway != NULL)
		gateway_look_soon(p->gateway);
	on_client_gone(client);
}

static const char *
carry_error(int error)
{
	switch (error) {
	case -ENETUNREACH:
		return "no relay";
	case -EAGAIN:
		return "too many sessions, or too little memory";
	default:
		return strerror(-error);
	}
}

static int
open_session(struct proxy *p, int fd, const struct wire_open *open,
    struct client *client)
{
	if (p->base != NULL)
		return base_proxy_open(p->base, fd, &open->client,
		    on_client_gone, client);
	return relays_open(p->relays, open, fd, on_session_gone, client);
}

/* Takes `fd`, or says why not. */
static const char *
carry(struct proxy *p, int fd, const struct wire_open *open)
{
	struct client *client = calloc(1, sizeof(*client));
	int error;

	if (client == NULL)
		return "out of memory";
	client->proxy = p;
	client->addr = open->client;
	client->destination = open->destination;
	if ((error = tally_add(p->clients, &client->addr)) != 0) {
		free(client);
		return strerror(-error);
	}
	error = open_session(p, fd, open, client);
	if (error == 0) {
		p->taken++;
		return NULL;
	}
	on_client_gone(client);
	return carry_error(error);
}

static void
on_client(void *user, int fd, const struct wire_open *open)
{
	struct proxy *p = user;
	uint32_t most = p->config->max_sessions_per_client;
	const char *why;

	if (most != 0 && tally_count(p->clients, &open->client) >= most)
		why = "too many sessions of this client";
	else if (is_relay(p, &open->destination))
		why = "it asked for a relay itself";	/* as we do */
	else
		why = carry(p, fd, open);
	if (why != NULL) {
		p->refused++;
		fronts_refuse(p->loop, fd, &open->client, why);
	}
	/* Before there is no room left for those on their way. */
	if (p->gateway != NULL)
		gateway_look(p->gateway);
	update_pause(p);
}

/* ---- what is caught ---- */

static void
on_look(void *user, struct gate_input *in)
{
	struct proxy *p = user;

	in->draining = p->draining;
	in->relay_up = relays_look(p->relays, &in->relay_families,
	    &in->relay_full);
	in->sessions = tally_total(p->clients);
	in->max_sessions = p->quota.max_sessions;
	in->held_bytes = p->quota.budget.held_bytes;
	in->limit_bytes = p->quota.budget.limit_bytes;
}

/* false: it cannot, with a sentence in `error`. */
static bool
start_gateway(struct proxy *p, char *error, size_t size)
{
	const struct config_intercept *c = &p->config->intercept;
	struct addr all[RELAYS_ADDRESSES_MAX];

	if (!p->config->intercept_given || p->base != NULL)
		return true;
	p->gateway = gateway_new(&(struct gateway_options){
		.loop = p->loop,
		.config = p->config,
		.relays = all,
		.nrelays = addresses(p, all),
		.port = c->listen.port,
		.own_port = c->own_port,
		.on_look = on_look,
		.user = p,
	}, error, size);
	return p->gateway != NULL;
}

/* ---- the end of it ---- */

static void
close_doors(struct proxy *p)
{
	fronts_free(p->fronts);
	p->fronts = NULL;
	if (p->base != NULL)
		base_proxy_drain(p->base);
	else
		relays_drain(p->relays);
}

static void
on_close_doors(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	close_doors(w->data);
}

/* ---- start ---- */

static bool
start(struct proxy *p, char *error, size_t size)
{
	uint64_t seed;

	snprintf(error, size, "%s", strerror(ENOMEM));
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) ||
	    (p->clients = tally_new(128, seed)) == NULL)
		return false;
	if ((p->hangup = hangup_new(p->loop)) == NULL) {
		snprintf(error, size, "epoll: %s", strerror(errno));
		return false;
	}
	p->fronts = fronts_new(&(struct fronts_options){
		.loop = p->loop,
		.config = p->config,
		.on_client = on_client,
		.user = p,
	}, error, size);
	if (p->fronts == NULL)
		return false;
	snprintf(error, size, "%s", strerror(ENOMEM));
	return start_relays(p) && start_gateway(p, error, size);
}

struct proxy *
proxy_start(struct ev_loop *loop, struct config *c, struct keyring *keys,
    char *error, size_t size)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	p->loop = loop;
	p->config = c;
	p->keys = keys;
	ev_init(&p->closing, on_close_doors);
	ev_init(&p->look, on_look_up);
	p->closing.data = p->look.data = p;
	quota_start(&p->quota, c);
	if (start(p, error, size))
		return p;
	proxy_stop(p);
	return NULL;
}

/* ---- later ---- */

int
proxy_reload(struct proxy *p, struct config *c, struct keyring *keys)
{
	if (p->relays != NULL && relays_configure(p->relays, c, keys) != 0)
		return -ENOMEM;
	p->config = c;
	p->keys = keys;
	quota_configure(&p->quota, c);
	if (p->fronts != NULL)
		fronts_configure(p->fronts, c);
	if (p->gateway != NULL)
		gateway_configure(p->gateway, c);
	if (p->base != NULL)
		lookup_configure(p->lookup, &c->relays[0].address,
		    c->relays[0].name);
	on_addresses(p);
	update_pause(p);
	return 0;
}

void
proxy_status(struct proxy *p, struct proxy_status *s)
{
	*s = (struct proxy_status){
		.quota = &p->quota,
		.sessions = (uint32_t)tally_total(p->clients),
		.max_sessions = max_sessions(p),
		.sessions_taken = p->taken,
		.sessions_refused = p->refused,
		.extended = p->base == NULL,
	};
}

size_t
proxy_relays(const struct proxy *p)
{
	return p->relays != NULL ? relays_count(p->relays) : 1;
}

void
proxy_relay_status(struct proxy *p, size_t relay, struct relays_status *s)
{
	if (p->relays != NULL)
		relays_status(p->relays, relay, s);
	else
		*s = (struct relays_status){
			.config = &p->config->relays[0],
			.key = keyring_relay(p->keys, 0),
			.address = lookup_address(p->lookup),
		};
}

void
proxy_path_status(struct proxy *p, size_t relay, size_t path,
    struct uplink_path *s)
{
	if (p->relays != NULL)
		relays_path(p->relays, relay, path, s);
	else
		*s = (struct uplink_path){ 0 };
}

struct gateway *
proxy_gateway(struct proxy *p)
{
	return p->gateway;
}

void
proxy_drain(struct proxy *p, void (*idle)(void *), void *user)
{
	p->draining = true;
	p->on_idle = idle;
	p->user = user;
	/* Rules that are not ours go on sending new clients here. */
	if (p->gateway == NULL || !p->config->intercept.nft) {
		close_doors(p);
		return;
	}
	gateway_look(p->gateway);
	ev_timer_set(&p->closing, LAST_CLIENTS_S, 0.);
	ev_timer_start(p->loop, &p->closing);
}

void
proxy_abort(struct proxy *p)
{
	if (p->base != NULL)
		base_proxy_abort(p->base);
	if (p->relays != NULL)
		relays_abort(p->relays);
}

void
proxy_stop(struct proxy *p)
{
	if (p == NULL)
		return;
	ev_timer_stop(p->loop, &p->closing);
	ev_timer_stop(p->loop, &p->look);
	fronts_free(p->fronts);
	base_proxy_free(p->base);
	lookup_free(p->lookup);
	relays_free(p->relays);
	/* The last resets go through its rules. */
	gateway_free(p->gateway);
	hangup_free(p->hangup);
	tally_free(p->clients);
	free(p);
}
