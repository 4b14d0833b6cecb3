/* SPDX-License-Identifier: ISC */
#include "relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "downlink.h"
#include "quota.h"
#include "net/hangup.h"
#include "net/listener.h"
#include "net/log.h"
#include "net/sockopt.h"

/* How many subflows carry bulk is the proxy's choice; this is its default. */
#define BULK_SUBFLOWS 2

struct relay {
	struct ev_loop *loop;
	const struct config *config;
	struct hangup *hangup;
	struct quota quota;
	struct downlink *downlink;
	void (*on_idle)(void *);
	void *user;
	size_t nlisteners;
	struct listener *listeners[];
};

static void
on_idle(void *user)
{
	struct relay *r = user;

	r->on_idle(r->user);
}

/* (Where the base protocol is told apart, its connections leave here.) */
static void
on_accept(void *user, int fd, const struct addr *peer)
{
	struct relay *r = user;

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

static bool
listen_at(struct relay *r, const struct addr *address, const char *interface,
    char *error, size_t size)
{
	const struct config_socket *s = &r->config->peers[0].socket;
	const struct sockopt_subflow sockopt = {
		.congestion = s->congestion,
		.notsent_lowat_bytes = s->notsent_lowat_bytes != 0 ?
		    s->notsent_lowat_bytes : sockopt_lowat_bytes(s->rate_bps),
		.user_timeout_ms = s->user_timeout_ms,
		.mark = s->mark,
		.buffer_bytes = sockopt_buffer_bytes(s->rate_bps, s->delay_ms,
		    BULK_SUBFLOWS),
	};
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
	log_info("relay: listening on %s%s%s",
	    addr_format(listener_address(l), text), on, name);
	return true;
}

/* Without keys, only trusted ways lead here.  By its address alone a listener
 * could be reached over any interface. */
static bool
listen_all(struct relay *r, char *error, size_t size)
{
	const struct config *c = r->config;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < c->nlisten; i++) {
		if (is_loopback(&c->listen[i])) {
			if (!listen_at(r, &c->listen[i], NULL, error, size))
				return false;
			continue;
		}
		if (c->ntrusted == 0) {
			snprintf(error, size, "listen %s: without keys this "
			    "needs trusted-interfaces",
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

static bool
start(struct relay *r, char *error, size_t size)
{
	if (r->config->base.enabled) {
		snprintf(error, size, "base: it is not built yet");
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
		.on_idle = on_idle,
		.user = r,
	});
	if (r->downlink == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return false;
	}
	return listen_all(r, error, size);
}

struct relay *
relay_start(struct ev_loop *loop, const struct config *c, char *error,
    size_t size)
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
	quota_start(&r->quota, c);
	if (start(r, error, size))
		return r;
	relay_stop(r);
	return NULL;
}

/* ---- later ---- */

void
relay_reload(struct relay *r, const struct config *c)
{
	r->config = c;
	quota_configure(&r->quota, c);
	downlink_configure(r->downlink, c);
}

static void
close_listeners(struct relay *r)
{
	for (size_t i = 0; i < r->nlisteners; i++)
		listener_free(r->listeners[i]);
	r->nlisteners = 0;
}

void
relay_drain(struct relay *r, void (*idle)(void *), void *user)
{
	r->on_idle = idle;
	r->user = user;
	close_listeners(r);
	downlink_drain(r->downlink);
}

void
relay_abort(struct relay *r)
{
	downlink_abort(r->downlink);
}

void
relay_stop(struct relay *r)
{
	if (r == NULL)
		return;
	close_listeners(r);
	downlink_free(r->downlink);
	hangup_free(r->hangup);
	free(r);
}
