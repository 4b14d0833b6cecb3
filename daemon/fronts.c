/* SPDX-License-Identifier: ISC */
/*
 * With TPROXY a client's destination is the local address of its connection, as
 * if it were ours; what conntrack would say to SO_ORIGINAL_DST is not asked,
 * since it may know nothing, or something else.  With REDIRECT it is the other
 * way round.  Either way, who asks for one of our listeners was not
 * intercepted, or would be for ever.
 *
 * A client that cannot be served is reset, never closed: a clean end would say
 * that the server had nothing to say.
 */
#include "fronts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lookup.h"
#include "net/listener.h"
#include "net/log.h"
#include "net/origdst.h"
#include "net/stream.h"

#define LOOK_S 1.

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
	struct lookup *lookup;		/* of a FRONT_FORWARD's destination;
					 * NULL: it has none of its own */
};

struct fronts {
	struct fronts_options options;
	ev_timer look;			/* for destinations */
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
		*destination = (struct addr){ 0 };
		if (front->lookup == NULL)
			return NULL;
		*destination = lookup_address(front->lookup);
		return destination->family != 0 ? NULL :
		    "the address of its destination is not known";
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

static void
on_found(void *user)
{
	(void)user;		/* who comes next asks for it */
}

/* A name whose server does not answer holds nothing up. */
static struct lookup *
look_for(struct fronts *all, const struct config_forward *f)
{
	return lookup_new(&(struct lookup_options){
		.loop = all->options.loop,
		.endpoint = &f->destination,
		.kind = "forward",
		.name = f->name,
		.on_change = on_found,
	});
}

/* One that was found stays until a reload. */
static void
on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct fronts *all = w->data;

	(void)loop;
	(void)revents;
	for (size_t i = 0; i < all->n; i++) {
		struct lookup *l = all->each[i].lookup;

		if (l != NULL)
			lookup_tell(l, lookup_address(l).family != 0);
	}
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
		struct front *front = &all->each[all->n];

		if (!listen_at(all, FRONT_FORWARD, &f->listen, error, size))
			return false;
		all->nforwards++;
		if (f->destination.host != NULL &&
		    (front->lookup = look_for(all, f)) == NULL) {
			snprintf(error, size, "%s", strerror(ENOMEM));
			return false;
		}
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
	ev_timer_init(&all->look, on_look, LOOK_S, LOOK_S);
	all->look.data = all;
	if (o->config->nforwards > 0)
		ev_timer_start(o->loop, &all->look);
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
		if (forwards[i].lookup != NULL)
			lookup_configure(forwards[i].lookup,
			    &c->forwards[i].destination, c->forwards[i].name);
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
	ev_timer_stop(all->options.loop, &all->look);
	for (size_t i = 0; i < all->n; i++) {
		listener_free(all->each[i].listener);
		lookup_free(all->each[i].lookup);
	}
	free(all);
}
