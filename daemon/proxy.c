/* SPDX-License-Identifier: ISC */
/*
 * A client that came to one of the fronts is counted, and given to the uplink.
 *
 * When the relay is about to end, its uplink retires: sessions that are open
 * may finish there, and new ones go through a new uplink, which finds the
 * relay's successor.
 */
#include "proxy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base_proxy.h"
#include "clock.h"
#include "core/tally.h"
#include "endpoint.h"
#include "fronts.h"
#include "gateway.h"
#include "quota.h"
#include "net/hangup.h"
#include "net/log.h"
#include "uplink.h"

#define RETIRED_MAX 8

/* When nothing is intercepted any more, those whose handshake with us has begun
 * still come, if they are not too far. */
#define LAST_CLIENTS_S .3

struct client {
	struct proxy *proxy;
	struct addr addr, destination;
};

struct proxy {
	struct ev_loop *loop;
	const struct config *config;
	const struct keyring *keys;
	struct hangup *hangup;
	struct quota quota;
	struct tally *clients;		/* sessions of each */
	bool paused;
	struct fronts *fronts;		/* NULL: no more clients */
	struct gateway *gateway;	/* NULL: nothing is intercepted */

	struct addr relay;
	bool up;			/* it answered when it was looked at */
	uint64_t since_us;
	uint64_t taken, refused;	/* sessions */
	struct uplink *uplink;		/* NULL: before start and after idle */
	struct uplink *retired[RETIRED_MAX];
	size_t nretired;
	struct base_proxy *base;	/* instead, if the relay speaks that */

	bool draining;
	ev_timer closing;		/* until the doors close */
	void (*on_idle)(void *);
	void *user;
};

/* ---- uplinks ---- */

static void on_closing(void *, struct uplink *);
static void on_idle(void *, struct uplink *);

static struct uplink *
make_uplink(struct proxy *p)
{
	return uplink_new(&(struct uplink_options){
		.loop = p->loop,
		.hangup = p->hangup,
		.quota = &p->quota,
		.config = p->config,
		.keys = p->keys,
		.address = p->relay,
		.on_closing = on_closing,
		.on_idle = on_idle,
		.user = p,
	});
}

static void
on_base_idle(void *user)
{
	struct proxy *p = user;

	p->on_idle(p->user);
}

static struct base_proxy *
make_base(struct proxy *p)
{
	return base_proxy_new(&(struct base_proxy_options){
		.loop = p->loop,
		.hangup = p->hangup,
		.quota = &p->quota,
		.config = p->config,
		.address = p->relay,
		.on_idle = on_base_idle,
		.user = p,
	});
}

static void
drop_retired(struct proxy *p, size_t i)
{
	uplink_free(p->retired[i]);
	p->nretired--;
	for (; i < p->nretired; i++)
		p->retired[i] = p->retired[i + 1];
}

static void
on_closing(void *user, struct uplink *u)
{
	struct proxy *p = user;
	struct uplink *new;

	if (u != p->uplink || (new = make_uplink(p)) == NULL)
		return;
	if (p->nretired == RETIRED_MAX)
		drop_retired(p, 0);
	p->retired[p->nretired++] = u;
	p->uplink = new;
	uplink_drain(u);
}

static void
on_idle(void *user, struct uplink *u)
{
	struct proxy *p = user;

	if (u == p->uplink) {
		uplink_free(u);
		p->uplink = NULL;
	} else {
		for (size_t i = 0; i < p->nretired; i++)
			if (p->retired[i] == u) {
				drop_retired(p, i);
				break;
			}
	}
	if (p->draining && p->uplink == NULL && p->nretired == 0)
		p->on_idle(p->user);
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
	int error;

	if (p->base != NULL)
		return base_proxy_open(p->base, fd, &open->client,
		    on_client_gone, client);
	error = uplink_open(p->uplink, open, fd, on_session_gone, client);
	if (error != -ENOSPC)
		return error;
	on_closing(p, p->uplink);	/* its numbers are used up */
	return uplink_open(p->uplink, open, fd, on_session_gone, client);
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
	else if (addr_equal(&open->destination, &p->relay))
		why = "it asked for the relay itself";	/* as we do */
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

static bool
look_at_relay(struct proxy *p)
{
	bool up = p->uplink != NULL && uplink_answers(p->uplink);

	if (up != p->up)
		p->since_us = clock_us();
	p->up = up;
	return up;
}

static void
on_look(void *user, struct gate_input *in)
{
	struct proxy *p = user;

	in->draining = p->draining;
	in->relay_up = look_at_relay(p);
	in->relay_families = p->uplink != NULL ?
	    uplink_families(p->uplink) : 0;
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

	if (!p->config->intercept_given || p->base != NULL)
		return true;
	p->gateway = gateway_new(&(struct gateway_options){
		.loop = p->loop,
		.config = p->config,
		.relay = p->relay,
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
		uplink_drain(p->uplink);
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
	const struct config *c = p->config;
	const struct config_relay *relay = &c->relays[0];
	uint64_t seed;

	snprintf(error, size, "%s", strerror(ENOMEM));
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) ||
	    (p->clients = tally_new(128, seed)) == NULL)
		return false;
	if ((p->hangup = hangup_new(p->loop)) == NULL) {
		snprintf(error, size, "epoll: %s", strerror(errno));
		return false;
	}
	if (!endpoint_resolve(&relay->address, &p->relay, "relay",
	    relay->name, error, size))
		return false;
	p->fronts = fronts_new(&(struct fronts_options){
		.loop = p->loop,
		.config = c,
		.on_client = on_client,
		.user = p,
	}, error, size);
	if (p->fronts == NULL)
		return false;
	snprintf(error, size, "%s", strerror(ENOMEM));
	if (relay->protocol == CONFIG_BASE)
		return (p->base = make_base(p)) != NULL;
	return (p->uplink = make_uplink(p)) != NULL &&
	    start_gateway(p, error, size);
}

struct proxy *
proxy_start(struct ev_loop *loop, const struct config *c,
    const struct keyring *keys, char *error, size_t size)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	p->loop = loop;
	p->config = c;
	p->keys = keys;
	p->since_us = clock_us();
	ev_init(&p->closing, on_close_doors);
	p->closing.data = p;
	quota_start(&p->quota, c);
	if (start(p, error, size))
		return p;
	proxy_stop(p);
	return NULL;
}

/* ---- later ---- */

void
proxy_reload(struct proxy *p, const struct config *c,
    const struct keyring *keys)
{
	const struct config_relay *relay = &c->relays[0];

	p->config = c;
	p->keys = keys;
	quota_configure(&p->quota, c);
	endpoint_resolve_again(&relay->address, &p->relay, "relay",
	    relay->name);
	if (p->fronts != NULL)
		fronts_configure(p->fronts, c);
	if (p->gateway != NULL)
		gateway_configure(p->gateway, c, p->relay);
	if (p->base != NULL)
		base_proxy_configure(p->base, c, p->relay);
	if (p->uplink != NULL)
		uplink_configure(p->uplink, c, keys, p->relay);
	for (size_t i = 0; i < p->nretired; i++)
		uplink_configure(p->retired[i], c, keys, p->relay);
	update_pause(p);
}

void
proxy_status(struct proxy *p, struct proxy_status *s)
{
	struct uplink_state state;

	*s = (struct proxy_status){
		.quota = &p->quota,
		.relay = p->relay,
		.sessions = (uint32_t)tally_total(p->clients),
		.max_sessions = max_sessions(p),
		.sessions_taken = p->taken,
		.sessions_refused = p->refused,
		.extended = p->base == NULL,
		.up = look_at_relay(p),
		.since_us = p->since_us,
	};
	if (p->uplink == NULL)
		return;
	uplink_state(p->uplink, &state);
	s->subflows = state.up;
	s->subflows_wanted = state.subflows;
	s->families = uplink_families(p->uplink);
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
	if (p->uplink != NULL)
		uplink_abort(p->uplink);
	for (size_t i = 0; i < p->nretired; i++)
		uplink_abort(p->retired[i]);
}

void
proxy_stop(struct proxy *p)
{
	if (p == NULL)
		return;
	ev_timer_stop(p->loop, &p->closing);
	fronts_free(p->fronts);
	base_proxy_free(p->base);
	uplink_free(p->uplink);
	while (p->nretired > 0)
		drop_retired(p, 0);
	/* The last resets go through its rules. */
	gateway_free(p->gateway);
	hangup_free(p->hangup);
	tally_free(p->clients);
	free(p);
}
