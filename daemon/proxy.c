/* SPDX-License-Identifier: ISC */
/*
 * A client is accepted, asked where it was going, counted, and given to the
 * uplink.  A client that cannot be served is reset, never closed: a clean end
 * would say that the server had nothing to say.
 *
 * When the relay is about to end, its uplink retires: sessions that are open
 * may finish there, and new ones go through a new uplink, which finds the
 * relay's successor.
 */
#include "proxy.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base_proxy.h"
#include "core/list.h"
#include "core/tally.h"
#include "quota.h"
#include "net/hangup.h"
#include "net/listener.h"
#include "net/log.h"
#include "net/origdst.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "uplink.h"

#define RETIRED_MAX 8
#define OWN_MAX 256

/* A listener, and where what comes to it goes. */
struct front {
	struct proxy *proxy;
	struct listener *listener;
	struct addr destination;	/* family 0: as redirected, or (base
					 * protocol) known to the relay */
};

struct client {
	struct proxy *proxy;
	struct addr addr;
};

struct proxy {
	struct ev_loop *loop;
	const struct config *config;
	const struct keyring *keys;
	struct hangup *hangup;
	struct quota quota;
	struct tally *clients;		/* sessions of each */
	bool paused;

	struct addr relay;
	struct uplink *uplink;		/* NULL: before start and after idle */
	struct uplink *retired[RETIRED_MAX];
	size_t nretired;
	struct base_proxy *base;	/* instead, if the relay speaks that */

	bool draining;
	void (*on_idle)(void *);
	void *user;

	size_t nfronts;
	struct front fronts[];		/* one for REDIRECT, then forwards */
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

/* Listeners rest while there is no room, and clients wait in the backlog. */
static void
update_pause(struct proxy *p)
{
	static struct log_limit limit = { .burst = 1 };
	uint32_t most = p->base != NULL ? base_proxy_max(p->base) :
	    p->quota.max_sessions;
	bool full = tally_total(p->clients) >= most;

	if (full == p->paused)
		return;
	p->paused = full;
	if (full)
		log_limited(&limit, LOG_LEVEL_WARN, "proxy: %u sessions are "
		    "all that there may be: new clients wait",
		    most);
	for (size_t i = 0; i < p->nfronts; i++)
		if (p->fronts[i].listener != NULL)
			listener_pause(p->fronts[i].listener, full);
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
refuse(struct proxy *p, int fd, const struct addr *peer, const char *why)
{
	static struct log_limit limit;
	char text[ADDR_TEXT_MAX];
	struct stream st;

	log_limited(&limit, LOG_LEVEL_WARN, "client %s: refused: %s",
	    addr_format(peer, text), why);
	stream_open(&st, p->loop, fd, NULL, NULL);
	stream_reset(&st);
}

static bool
is_own_listener(const struct proxy *p, const struct addr *a)
{
	struct addr own[OWN_MAX];
	bool port = false;
	int n;

	for (size_t i = 0; i < p->nfronts; i++)
		if (listener_address(p->fronts[i].listener)->port == a->port)
			port = true;
	if (!port)
		return false;
	n = origdst_own(own, OWN_MAX);
	for (int i = 0; i < n; i++)
		if (addr_same_host(&own[i], a))
			return true;
	return false;
}

/* NULL, or why not. */
static const char *
find_destination(const struct front *front, int fd, const struct addr *peer,
    struct addr *destination)
{
	int error;

	if (front->destination.family != 0 || front->proxy->base != NULL) {
		*destination = front->destination;
		return NULL;
	}
	error = origdst_redirect(fd, peer, destination);
	if (error == -ENOENT)
		return "it was not redirected here";
	if (error != 0)
		return strerror(-error);
	if (is_own_listener(front->proxy, destination))
		return "it asked for the proxy itself";
	return NULL;
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
open_session(struct proxy *p, int fd, const struct addr *peer,
    const struct addr *destination, struct client *client)
{
	const struct wire_open open = { .destination = *destination,
		.client = *peer, .dscp = -1 };
	int error;

	if (p->base != NULL)
		return base_proxy_open(p->base, fd, peer, on_client_gone,
		    client);
	error = uplink_open(p->uplink, &open, fd, on_client_gone, client);
	if (error != -ENOSPC)
		return error;
	on_closing(p, p->uplink);	/* its numbers are used up */
	return uplink_open(p->uplink, &open, fd, on_client_gone, client);
}

/* Takes `fd`, or says why not. */
static const char *
carry(struct proxy *p, int fd, const struct addr *peer,
    const struct addr *destination)
{
	struct client *client = calloc(1, sizeof(*client));
	int error;

	if (client == NULL)
		return "out of memory";
	client->proxy = p;
	client->addr = *peer;
	if ((error = tally_add(p->clients, peer)) != 0) {
		free(client);
		return strerror(-error);
	}
	error = open_session(p, fd, peer, destination, client);
	if (error == 0)
		return NULL;
	on_client_gone(client);
	return carry_error(error);
}

static void
on_accept(void *user, int fd, const struct addr *peer)
{
	struct front *front = user;
	struct proxy *p = front->proxy;
	uint32_t most = p->config->max_sessions_per_client;
	struct addr destination;
	const char *why;

	if (most != 0 && tally_count(p->clients, peer) >= most)
		why = "too many sessions of this client";
	else if ((why = find_destination(front, fd, peer, &destination)) ==
	    NULL)
		why = carry(p, fd, peer, &destination);
	if (why != NULL)
		refuse(p, fd, peer, why);
	update_pause(p);
}

/* ---- start ---- */

static bool
resolve_endpoint(const struct config_endpoint *e, struct addr *a,
    const char *kind, const char *name, char *error, size_t size)
{
	int result = resolve(e->host, e->port, a);

	if (result == 0)
		return true;
	snprintf(error, size, "%s \"%s\": %s: %s", kind, name, e->host,
	    gai_strerror(result));
	return false;
}

static bool
listen_at(struct proxy *p, const struct addr *address, char *error,
    size_t size)
{
	struct front *front = &p->fronts[p->nfronts];
	char text[ADDR_TEXT_MAX];
	const char *step;
	int result;

	front->proxy = p;
	front->listener = listener_new(p->loop, &(struct listener_options){
		.address = *address,
		.on_accept = on_accept,
		.user = front,
	}, &result, &step);
	if (front->listener == NULL) {
		snprintf(error, size, "listen %s: %s: %s",
		    addr_format(address, text), step, strerror(-result));
		return false;
	}
	p->nfronts++;
	log_info("proxy: listening on %s",
	    addr_format(listener_address(front->listener), text));
	return true;
}

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
	if (!resolve_endpoint(&relay->address, &p->relay, "relay",
	    relay->name, error, size))
		return false;
	if (c->intercept_given &&
	    !listen_at(p, &c->intercept.listen, error, size))
		return false;
	for (size_t i = 0; i < c->nforwards; i++) {
		const struct config_forward *f = &c->forwards[i];
		struct addr *a = &p->fronts[p->nfronts].destination;

		if ((f->destination.host != NULL &&
		    !resolve_endpoint(&f->destination, a, "forward", f->name,
		    error, size)) || !listen_at(p, &f->listen, error, size))
			return false;
	}
	if (relay->protocol == CONFIG_BASE)
		return (p->base = make_base(p)) != NULL;
	return (p->uplink = make_uplink(p)) != NULL;
}

struct proxy *
proxy_start(struct ev_loop *loop, const struct config *c,
    const struct keyring *keys, char *error, size_t size)
{
	struct proxy *p = calloc(1, sizeof(*p) +
	    (1 + c->nforwards) * sizeof(p->fronts[0]));

	if (p == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	p->loop = loop;
	p->config = c;
	p->keys = keys;
	quota_start(&p->quota, c);
	if (start(p, error, size))
		return p;
	proxy_stop(p);
	return NULL;
}

/* ---- later ---- */

/* What a name stands for now; the old address where that is not known. */
static void
resolve_again(const struct config_endpoint *e, struct addr *a,
    const char *kind, const char *name)
{
	char error[256];
	struct addr new;

	if (resolve_endpoint(e, &new, kind, name, error, sizeof(error)))
		*a = new;
	else
		log_warn("%s; the old address stays", error);
}

void
proxy_reload(struct proxy *p, const struct config *c,
    const struct keyring *keys)
{
	const struct config_relay *relay = &c->relays[0];
	size_t first = c->intercept_given ? 1 : 0;

	p->config = c;
	p->keys = keys;
	quota_configure(&p->quota, c);
	resolve_again(&relay->address, &p->relay, "relay", relay->name);
	for (size_t i = 0; i < c->nforwards && first + i < p->nfronts; i++)
		if (c->forwards[i].destination.host != NULL)
			resolve_again(&c->forwards[i].destination,
			    &p->fronts[first + i].destination, "forward",
			    c->forwards[i].name);
	if (p->base != NULL)
		base_proxy_configure(p->base, c, p->relay);
	if (p->uplink != NULL)
		uplink_configure(p->uplink, c, keys, p->relay);
	for (size_t i = 0; i < p->nretired; i++)
		uplink_configure(p->retired[i], c, keys, p->relay);
	update_pause(p);
}

static void
close_fronts(struct proxy *p)
{
	for (size_t i = 0; i < p->nfronts; i++) {
		listener_free(p->fronts[i].listener);
		p->fronts[i].listener = NULL;
	}
	p->nfronts = 0;
}

void
proxy_drain(struct proxy *p, void (*idle)(void *), void *user)
{
	p->draining = true;
	p->on_idle = idle;
	p->user = user;
	close_fronts(p);
	if (p->base != NULL)
		base_proxy_drain(p->base);
	else
		uplink_drain(p->uplink);
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
	close_fronts(p);
	base_proxy_free(p->base);
	uplink_free(p->uplink);
	while (p->nretired > 0)
		drop_retired(p, 0);
	hangup_free(p->hangup);
	tally_free(p->clients);
	free(p);
}
