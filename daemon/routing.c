/* SPDX-License-Identifier: ISC */
#include "routing.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/log.h"
#include "nft/route.h"
#include "nft/watch.h"

#define ANSWER_MS 1000			/* the kernel's */
#define SETTLE_S 1.			/* not more often than that */

struct routing {
	struct routing_options options;
	int watch_fd;			/* -1: not yet */
	unsigned changed;		/* WATCH_*, since the last look */
	ev_timer settle;
	ev_io watch;
};

static int
install(struct routing *r, struct route_failure *failure)
{
	const struct config_intercept *c = &r->options.config->intercept;
	struct route_plan plan = {
		.interfaces = (const char *const *)c->interfaces,
		.ninterfaces = c->ninterfaces,
		.mark = c->mark, .mask = c->mark,
		.table = c->route_table,
		.priority = c->route_priority,
		.ipv4 = true, .ipv6 = true,
	};
	int error = route_install(&plan, ANSWER_MS, failure);

	if (error == 0 || !failure->ipv6)
		return error;
	/* A kernel without IPv6 is not what stops us. */
	if (error != -EAFNOSUPPORT && error != -EOPNOTSUPP)
		return error;
	plan.ipv6 = false;
	return route_install(&plan, ANSWER_MS, failure);
}

static void
settle(struct routing *r)
{
	static struct log_limit limit = { .burst = 3 };
	struct route_failure failure;

	unsigned changed = r->changed;

	r->changed = 0;
	if (install(r, &failure) != 0)
		log_limited(&limit, LOG_LEVEL_WARN, "gateway: %s",
		    failure.text);
	if (changed & WATCH_RULES)
		r->options.on_rules(r->options.user);
	ev_timer_set(&r->settle, SETTLE_S, 0.);
	ev_timer_start(r->options.loop, &r->settle);
}

static void
on_settled(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct routing *r = w->data;

	(void)loop;
	(void)revents;
	if (r->changed != 0)
		settle(r);
}

static void
on_watch(struct ev_loop *loop, ev_io *w, int revents)
{
	struct routing *r = w->data;
	unsigned changed;
	int error = watch_read(r->watch_fd, &changed);

	(void)revents;
	if (error != 0) {
		log_warn("gateway: routes are not watched any more: %s",
		    strerror(-error));
		ev_io_stop(loop, w);
		return;
	}
	if (changed == 0)
		return;
	r->changed |= changed;
	if (!ev_is_active(&r->settle))
		settle(r);
}

static bool
start(struct routing *r, char *error, size_t size)
{
	struct route_failure failure;

	if (install(r, &failure) != 0) {
		snprintf(error, size, "gateway: %s", failure.text);
		return false;
	}
	if ((r->watch_fd = watch_open()) < 0) {
		snprintf(error, size, "gateway: routes cannot be watched: %s",
		    strerror(-r->watch_fd));
		r->watch_fd = -1;
		return false;
	}
	ev_io_init(&r->watch, on_watch, r->watch_fd, EV_READ);
	r->watch.data = r;
	ev_io_start(r->options.loop, &r->watch);
	return true;
}

void
routing_clean(void)
{
	struct route_failure failure;

	(void)route_remove(ANSWER_MS, &failure);
}

struct routing *
routing_new(const struct routing_options *o, char *error, size_t size)
{
	struct routing *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	r->options = *o;
	r->watch_fd = -1;
	ev_init(&r->settle, on_settled);
	r->settle.data = r;
	if (start(r, error, size))
		return r;
	routing_clean();	/* of one family it may be there */
	routing_free(r);
	return NULL;
}

void
routing_free(struct routing *r)
{
	struct route_failure failure;

	if (r == NULL)
		return;
	ev_timer_stop(r->options.loop, &r->settle);
	if (r->watch_fd != -1) {
		ev_io_stop(r->options.loop, &r->watch);
		close(r->watch_fd);
		if (route_remove(ANSWER_MS, &failure) != 0)
			log_warn("gateway: %s", failure.text);
	}
	free(r);
}

void
routing_configure(struct routing *r, const struct config *c)
{
	struct route_failure failure;

	r->options.config = c;
	if (install(r, &failure) != 0)
		log_warn("gateway: %s", failure.text);
}
