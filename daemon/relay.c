/* SPDX-License-Identifier: ISC */
#include "relay.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base_relay.h"
#include "downlink.h"
#include "quota.h"
#include "net/hangup.h"
#include "net/listener.h"
#include "net/log.h"
#include "net/resolve.h"
#include "tuning.h"

/* How many subflows carry bulk is the proxy's choice; this is its default. */
#define BULK_SUBFLOWS 2

struct relay {
	struct ev_loop *loop;
	const struct config *config;
	const struct keyring *keys;
	struct hangup *hangup;
	struct quota quota;
	struct downlink *downlink;
	struct base_relay *base;
	struct addr server;		/* of the base protocol */
	bool draining;
	int busy;			/* draining: which of both are */
	void (*on_idle)(void *);
	void *user;
	size_t nlisteners;
	struct listener *listeners[];
};

static void
on_idle(void *user)
{
	struct relay *r = user;

	if (--r->busy == 0)
		r->on_idle(r->user);
}

static void
on_extended(void *user, int fd, const struct addr *peer)
{
	struct relay *r = user;

	downlink_accept(r->downlink, fd, peer);
}

static void
on_accept(void *user, int fd, const struct addr *peer)
{
	struct relay *r = user;

	if (r->draining || !base_relay_accept(r->base, fd, peer))
		downlink_accept(r->downlink, fd, peer);
}

/* ---- start ---- */

static bool
is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == 4 ? a->ip[0] == 127 :
	    memcmp(a->ip, one, sizeof(one)) == 0;
}

static uint32_t
larger(uint32_t x, uint32_t y)
{
	return x > y ? x : y;
}

/* Whose subflow it will be is not known yet: what the largest of them asks for,
 * and buffers are left to the kernel if one leaves them to it. */
static struct sockopt_subflow
of_all_peers(const struct config *c)
{
	struct sockopt_subflow all = tuning_subflow(&c->peers[0].socket,
	    BULK_SUBFLOWS);

	for (size_t i = 1; i < c->npeers; i++) {
		const struct sockopt_subflow one = tuning_subflow(
		    &c->peers[i].socket, BULK_SUBFLOWS);

		all.notsent_lowat_bytes = larger(all.notsent_lowat_bytes,
		    one.notsent_lowat_bytes);
		all.buffer_bytes = all.buffer_bytes == 0 ||
		    one.buffer_bytes == 0 ? 0 :
		    larger(all.buffer_bytes, one.buffer_bytes);
	}
	return all;
}

static bool
listen_at(struct relay *r, const struct addr *address, const char *interface,
    char *error, size_t size)
{
	const struct sockopt_subflow sockopt = of_all_peers(r->config);
	const char *on = interface != NULL ? " on " : "";
	const char *name = interface != NULL ? interface : "";
	char text[ADDR_TEXT_MAX];
	struct listener *l;
	const char *step;
	int result;

	l = listener_new(r->loop, &(struct listener_options){
		.address = *address,
		.interface = interface,
		.subflow = &sockopt,
		.on_accept = on_accept,
		.user = r,
	}, &result, &step);
	if (l == NULL) {
		snprintf(error, size, "listen %s%s%s: %s: %s",
		    addr_format(address, text), on, name, step,
		    strerror(-result));
		return false;
	}
	r->listeners[r->nlisteners++] = l;
	log_info("relay: listening on %s%s%s%s",
	    addr_format(listener_address(l), text), on, name,
	    listener_succeeds(l) ? ", in the place of one that is about to "
	    "end" : "");
	return true;
}

/* Without protection, only trusted ways lead here.  By its address alone a
 * listener could be reached over any interface. */
static bool
listen_all(struct relay *r, char *error, size_t size)
{
	const struct config *c = r->config;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < c->nlisten; i++) {
		if (c->protection != WIRE_PROTECTION_NONE ||
		    is_loopback(&c->listen[i])) {
			if (!listen_at(r, &c->listen[i], NULL, error, size))
				return false;
			continue;
		}
		if (c->ntrusted == 0) {
			snprintf(error, size, "listen %s: with protection = "
			    "none this needs trusted-interfaces",
			    addr_format(&c->listen[i], text));
			return false;
		}
		for (size_t j = 0; j < c->ntrusted; j++)
			if (!listen_at(r, &c->listen[i],
			    c->trusted_interfaces[j], error, size))
				return false;
	}
	return true;
}

/* NULL, or what is wrong with the name. */
static const char *
resolve_server(const struct config_base *base, struct addr *server)
{
	int result;

	if (!base->enabled)
		return NULL;
	result = resolve(base->server.host, base->server.port, server);
	return result == 0 ? NULL : gai_strerror(result);
}

static bool
start(struct relay *r, char *error, size_t size)
{
	const struct config_base *base = &r->config->base;
	const char *wrong = resolve_server(base, &r->server);

	if (wrong != NULL) {
		snprintf(error, size, "base server: %s: %s",
		    base->server.host, wrong);
		return false;
	}
	if ((r->hangup = hangup_new(r->loop)) == NULL) {
		snprintf(error, size, "epoll: %s", strerror(errno));
		return false;
	}
	r->downlink = downlink_new(&(struct downlink_options){
		.loop = r->loop,
		.hangup = r->hangup,
		.quota = &r->quota,
		.config = r->config,
		.keys = r->keys,
		.on_idle = on_idle,
		.user = r,
	});
	r->base = base_relay_new(&(struct base_relay_options){
		.loop = r->loop,
		.hangup = r->hangup,
		.quota = &r->quota,
		.config = r->config,
		.server = r->server,
		.on_extended = on_extended,
		.on_idle = on_idle,
		.user = r,
	});
	if (r->downlink == NULL || r->base == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return false;
	}
	return listen_all(r, error, size);
}

struct relay *
relay_start(struct ev_loop *loop, const struct config *c,
    const struct keyring *keys, char *error, size_t size)
{
	size_t most = c->nlisten * (c->ntrusted > 0 ? c->ntrusted : 1);
	struct relay *r = calloc(1, sizeof(*r) +
	    most * sizeof(r->listeners[0]));

	if (r == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	r->loop = loop;
	r->config = c;
	r->keys = keys;
	quota_start(&r->quota, c);
	if (start(r, error, size))
		return r;
	relay_stop(r);
	return NULL;
}

/* ---- later ---- */

void
relay_reload(struct relay *r, const struct config *c,
    const struct keyring *keys)
{
	const char *wrong = resolve_server(&c->base, &r->server);

	if (wrong != NULL)
		log_warn("base server: %s: %s; the old address stays",
		    c->base.server.host, wrong);
	r->config = c;
	r->keys = keys;
	quota_configure(&r->quota, c);
	downlink_configure(r->downlink, c, keys);
	base_relay_configure(r->base, c, r->server);
}

void
relay_status(const struct relay *r, struct relay_status *s)
{
	*s = (struct relay_status){
		.quota = &r->quota,
		.peers = downlink_peers(r->downlink),
	};
	base_relay_status(r->base, &s->base);
}

static void
close_listeners(struct relay *r)
{
	for (size_t i = 0; i < r->nlisteners; i++)
		listener_free(r->listeners[i]);
	r->nlisteners = 0;
}

/* Where another one that is about to end listens still, it stays the only one:
 * a third is to have the place of a second. */
static void
share_listeners(struct relay *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->nlisteners; i++) {
		if (listener_share(r->listeners[i]))
			r->listeners[kept++] = r->listeners[i];
		else
			listener_free(r->listeners[i]);
	}
	r->nlisteners = kept;
}

void
relay_drain(struct relay *r, void (*idle)(void *), void *user)
{
	r->on_idle = idle;
	r->user = user;
	r->busy = 2;
	r->draining = true;
	share_listeners(r);
	downlink_drain(r->downlink);
	base_relay_drain(r->base);
}

void
relay_abort(struct relay *r)
{
	downlink_abort(r->downlink);
	base_relay_abort(r->base);
}

void
relay_stop(struct relay *r)
{
	if (r == NULL)
		return;
	close_listeners(r);
	base_relay_free(r->base);
	downlink_free(r->downlink);
	hangup_free(r->hangup);
	free(r);
}
