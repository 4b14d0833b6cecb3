/* SPDX-License-Identifier: ISC */
/*
 * With TPROXY a client's destination is the local address of its connection, as
 * if it were ours; what conntrack would say to SO_ORIGINAL_DST is not asked,
 * since it may know nothing, or something else.  With REDIRECT it is the other
 * way round.  Either way, who asks for one of our listeners was not intercepted,
 * or would be for ever.
 *
 * A client that cannot be served is reset, never closed: a clean end would say
 * that the server had nothing to say.
 */
#include "fronts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "net/listener.h"
#include "net/log.h"
#include "net/origdst.h"
#include "net/stream.h"

enum front_kind {
	FRONT_TPROXY,
	FRONT_REDIRECT,
	FRONT_FORWARD,
};

/* A listener, and where what comes to it goes. */
struct front {
	struct fronts *fronts;
	enum front_kind kind;
	struct listener *listener;
	struct addr destination;	/* of a FRONT_FORWARD */
};

struct fronts {
	struct fronts_options options;
	size_t nforwards;		/* they are the last ones */
	size_t n;
	struct front each[];
};

void
fronts_refuse(struct ev_loop *loop, int fd, const struct addr *client,
    const char *why)
{
	static struct log_limit limit;
	char text[ADDR_TEXT_MAX];
	struct stream st;

	log_limited(&limit, LOG_LEVEL_WARN, "client %s: refused: %s",
	    addr_format(client, text), why);
	stream_open(&st, loop, fd, NULL, NULL);
	stream_reset(&st);
}

static bool
is_own_listener(const struct fronts *all, const struct addr *a)
{
	bool port = false;

	for (size_t i = 0; i < all->n; i++)
		if (listener_address(all->each[i].listener)->port == a->port)
			port = true;
	return port && origdst_is_own(a);
}

/* NULL, or why not. */
static const char *
find_destination(const struct front *front, int fd, const struct addr *client,
    struct addr *destination)
{
	int error;

	switch (front->kind) {
	case FRONT_FORWARD:
		*destination = front->destination;
		return NULL;
	case FRONT_TPROXY:
		error = origdst_local(fd, destination);
		break;
	default:
		error = origdst_redirect(fd, client, destination);
		if (error == -ENOENT)
			return "it was not redirected here";
	}
	if (error != 0)
		return strerror(-error);
	if (is_own_listener(front->fronts, destination))
		return "it asked for the proxy itself";
	return NULL;
}

/* Is the DSCP of the first packet wanted? */
static bool
saves_syn(const struct front *front)
{
	return front->kind != FRONT_FORWARD &&
	    front->fronts->options.config->intercept.dscp;
}

static void
on_accept(void *user, int fd, const struct addr *client)
{
	const struct front *front = user;
	const struct fronts_options *o = &front->fronts->options;
	struct wire_open open = { .client = *client, .dscp = -1 };
	const char *why = find_destination(front, fd, client,
	    &open.destination);

	if (saves_syn(front))
		open.dscp = origdst_dscp(fd);
	if (why != NULL)
		fronts_refuse(o->loop, fd, client, why);
	else
		o->on_client(o->user, fd, &open);
}

/* ---- opening ---- */

static bool
listen_at(struct fronts *all, enum front_kind kind,
    const struct addr *address, char *error, size_t size)
{
	const char *note = kind == FRONT_TPROXY ? " for TPROXY" : "";
	struct front *front = &all->each[all->n];
	char text[ADDR_TEXT_MAX];
	const char *step;
	int result;

	front->fronts = all;
	front->kind = kind;
	front->listener = listener_new(all->options.loop,
	    &(struct listener_options){
		.address = *address,
		.transparent = kind == FRONT_TPROXY,
		.on_accept = on_accept,
		.user = front,
	}, &result, &step);
	if (front->listener == NULL) {
		snprintf(error, size, "listen %s%s: %s: %s",
		    addr_format(address, text), note, step,
		    strerror(-result));
		return false;
	}
	listener_save_syn(front->listener, saves_syn(front));
	all->n++;
	log_info("proxy: listening on %s%s",
	    addr_format(listener_address(front->listener), text), note);
	return true;
}

/* What nat redirects in output goes to the loopback. */
static bool
listen_for_own(struct fronts *all, uint16_t port, char *error, size_t size)
{
	struct addr a = { .family = 4, .ip = { 127, 0, 0, 1 }, .port = port };

	if (!listen_at(all, FRONT_REDIRECT, &a, error, size))
		return false;
	a = (struct addr){ .family = 6, .ip = { [15] = 1 }, .port = port };
	if (!origdst_is_own(&a))
		return true;	/* a machine without IPv6 */
	return listen_at(all, FRONT_REDIRECT, &a, error, size);
}

static bool
listen_all(struct fronts *all, char *error, size_t size)
{
	const struct config *c = all->options.config;
	const struct config_intercept *in = &c->intercept;

	if (c->intercept_given && !listen_at(all, in->mode == CONFIG_TPROXY ?
	    FRONT_TPROXY : FRONT_REDIRECT, &in->listen, error, size))
		return false;
	if (c->intercept_given && in->own &&
	    !listen_for_own(all, in->own_port, error, size))
		return false;
	for (size_t i = 0; i < c->nforwards; i++) {
		const struct config_forward *f = &c->forwards[i];
		struct addr *a = &all->each[all->n].destination;

		if ((f->destination.host != NULL &&
		    !endpoint_resolve(&f->destination, a, "forward", f->name,
		    error, size)) ||
		    !listen_at(all, FRONT_FORWARD, &f->listen, error, size))
			return false;
		all->nforwards++;
	}
	return true;
}

struct fronts *
fronts_new(const struct fronts_options *o, char *error, size_t size)
{
	struct fronts *all = calloc(1, sizeof(*all) +
	    (3 + o->config->nforwards) * sizeof(all->each[0]));

	if (all == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	all->options = *o;
	if (listen_all(all, error, size))
		return all;
	fronts_free(all);
	return NULL;
}

void
fronts_configure(struct fronts *all, const struct config *c)
{
	struct front *forwards = &all->each[all->n - all->nforwards];

	all->options.config = c;
	for (size_t i = 0; i < all->n; i++)
		listener_save_syn(all->each[i].listener,
		    saves_syn(&all->each[i]));
	for (size_t i = 0; i < all->nforwards; i++)
		if (c->forwards[i].destination.host != NULL)
			endpoint_resolve_again(&c->forwards[i].destination,
			    &forwards[i].destination, "forward",
			    c->forwards[i].name);
}

void
fronts_pause(struct fronts *all, bool pause)
{
	for (size_t i = 0; i < all->n; i++)
		listener_pause(all->each[i].listener, pause);
}

void
fronts_free(struct fronts *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->n; i++)
		listener_free(all->each[i].listener);
	free(all);
}
