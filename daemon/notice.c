/* SPDX-License-Identifier: ISC */
#include "notice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/log.h"
#include "nft/watch.h"

#define SOON_S .1		/* a change seldom comes alone */
#define AGAIN_S 3.		/* after the last time, for a route; */
#define AGAIN_LINK_S .5		/* links and addresses do not change so often,
				 * and somebody may wait for them */
#define WITHOUT_S 10.

struct notice {
	struct ev_loop *loop;
	ev_io io;
	ev_timer timer;		/* until we say so */
	int fd;			/* -1: the kernel does not tell us */
	ev_tstamp last;		/* when we said so */
	void (*on_change)(void *);
	void *user;
};

static void
say_in(struct notice *n, double seconds)
{
	if (ev_is_active(&n->timer) &&
	    ev_timer_remaining(n->loop, &n->timer) <= seconds)
		return;
	ev_timer_stop(n->loop, &n->timer);
	ev_timer_set(&n->timer, seconds, 0.);
	ev_timer_start(n->loop, &n->timer);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct notice *n = w->data;

	(void)revents;
	n->last = ev_now(loop);
	if (n->fd == -1)
		say_in(n, WITHOUT_S);
	n->on_change(n->user);
}

static void
do_without(struct notice *n, int error)
{
	log_warn("changes of addresses and routes are not watched: %s",
	    strerror(-error));
	if (n->fd != -1) {
		ev_io_stop(n->loop, &n->io);
		close(n->fd);
		n->fd = -1;
	}
	say_in(n, WITHOUT_S);
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct notice *n = w->data;
	double calm = ev_now(loop) - n->last, again = AGAIN_S;
	unsigned changed;
	int error = watch_read(n->fd, &changed);

	(void)revents;
	if ((changed & (WATCH_LINKS | WATCH_ADDRESSES)) != 0)
		again = AGAIN_LINK_S;
	if (error != 0)
		do_without(n, error);
	else if (changed != 0)
		say_in(n, calm >= 0. && calm < again - SOON_S ?
		    again - calm : SOON_S);
}

struct notice *
notice_new(struct ev_loop *loop, void (*on_change)(void *), void *user)
{
	struct notice *n = calloc(1, sizeof(*n));
	int fd;

	if (n == NULL)
		return NULL;
	n->loop = loop;
	n->on_change = on_change;
	n->user = user;
	n->last = ev_now(loop) - AGAIN_S;
	ev_init(&n->timer, on_timer);
	n->timer.data = n;
	n->fd = -1;
	fd = watch_open();
	if (fd < 0) {
		do_without(n, fd);
		return n;
	}
	n->fd = fd;
	ev_io_init(&n->io, on_readable, fd, EV_READ);
	n->io.data = n;
	ev_io_start(loop, &n->io);
	return n;
}

void
notice_free(struct notice *n)
{
	if (n == NULL)
		return;
	ev_timer_stop(n->loop, &n->timer);
	if (n->fd != -1) {
		ev_io_stop(n->loop, &n->io);
		close(n->fd);
	}
	free(n);
}
