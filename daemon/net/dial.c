/* SPDX-License-Identifier: ISC */
/*
 * All that can go wrong is told from the event loop, also what goes wrong at
 * once: a failure waits in `error` for a timer that is already over, so the
 * owner has its pointer before it hears of it.
 */
#include "net/dial.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct dial {
	struct ev_loop *loop;
	ev_io io;
	ev_timer timer;
	int fd;			/* ours until on_done */
	int error;		/* what the timer tells */
	dial_done *on_done;
	void *user;
};

static void
stop(struct dial *d)
{
	ev_io_stop(d->loop, &d->io);
	ev_timer_stop(d->loop, &d->timer);
}

/* Tell the owner, with a socket or with an error.  Freed before: nothing of it
 * is on the stack but our own callback. */
static void
finish(struct dial *d, int error)
{
	dial_done *on_done = d->on_done;
	void *user = d->user;
	int fd = d->fd;

	stop(d);
	free(d);
	if (error != 0 && fd != -1) {
		close(fd);
		fd = -1;
	}
	on_done(user, fd, error);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct dial *d = w->data;

	(void)loop;
	(void)revents;
	finish(d, d->error);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct dial *d = w->data;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int error = 0, unread = 0;
	socklen_t errlen = sizeof(error);

	(void)loop;
	if (revents & EV_ERROR) {	/* the loop cannot watch it */
		finish(d, -ENOMEM);
		return;
	}
	if (getpeername(d->fd, (struct sockaddr *)&ss, &len) == 0) {
		finish(d, 0);
		return;
	}
	if (errno != ENOTCONN) {
		finish(d, -errno);
		return;
	}
	/* Not connected, or not any more: one who speaks first may have been
	 * reset again by now.  His bytes are still there, and so is the error
	 * behind them if we do not take it.  In this order: only what is over
	 * can have no more bytes in a moment. */
	if (ioctl(d->fd, SIOCINQ, &unread) == 0 && unread > 0) {
		finish(d, 0);
		return;
	}
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &errlen) == -1)
		error = errno;
	/* An event may be left over from an older socket of this number. */
	if (error == 0)
		return;
	finish(d, -error);
}

/* Errors of a step that the operator asked for are errors of the dial: without
 * its device or source it would go out elsewhere. */
static int
bind_source(int fd, const struct dial_options *o)
{
	const int one = 1;
	struct sockaddr_storage ss;
	socklen_t len;

	if (o->interface != NULL &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->interface,
	    (socklen_t)strlen(o->interface)) == -1)
		return -errno;
	if (o->source.family == 0)
		return 0;
	if (o->source.family != o->destination.family)
		return -EAFNOSUPPORT;
	/* Choose the port in connect(), when the far end is known: otherwise
	 * each port of ours serves only one destination. */
	if (o->source.port == 0)
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
		    sizeof(one));
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
		    sizeof(one));
	len = (socklen_t)addr_to_sockaddr(&o->source, false, &ss);
	return bind(fd, (struct sockaddr *)&ss, len) == -1 ? -errno : 0;
}

/* 0: under way or connected; -errno. */
static int
begin(struct dial *d, const struct dial_options *o)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	const int one = 1;
	struct sockaddr_storage ss;
	socklen_t len;
	int error;

	if (o->destination.family == 0)
		return -EDESTADDRREQ;
	d->fd = socket(o->destination.family == 4 ? AF_INET : AF_INET6,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd == -1)
		return -errno;
	/* Given up in the moment when it was made, it has not ended well. */
	(void)setsockopt(d->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	/* SIOCINQ does not count what is behind urgent data out of line. */
	(void)setsockopt(d->fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	if (o->subflow != NULL)
		sockopt_subflow(d->fd, o->subflow);
	if (o->dscp != 0)
		sockopt_dscp(d->fd, o->destination.family, o->dscp);
	if ((error = bind_source(d->fd, o)) != 0)
		return error;
	len = (socklen_t)addr_to_sockaddr(&o->destination, false, &ss);
	if (connect(d->fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS && errno != EINTR)
		return -errno;
	return 0;
}

struct dial *
dial_start(struct ev_loop *loop, const struct dial_options *o)
{
	struct dial *d = calloc(1, sizeof(*d));
	double after = o->timeout_ms / 1000.;
	int error;

	if (d == NULL)
		return NULL;
	d->loop = loop;
	d->fd = -1;
	d->error = -ETIMEDOUT;
	d->on_done = o->on_done;
	d->user = o->user;
	ev_init(&d->io, on_writable);
	ev_init(&d->timer, on_timer);
	d->io.data = d->timer.data = d;

	if ((error = begin(d, o)) != 0) {
		d->error = error;
		after = 0.;
	} else {
		ev_io_set(&d->io, d->fd, EV_WRITE);
		ev_io_start(loop, &d->io);
		if (o->timeout_ms == 0)	/* the kernel gives up some time */
			return d;
	}
	/* The loop's time is that of its last turn, which at start can be long
	 * ago (names were resolved): the deadline must not be over yet. */
	ev_now_update(loop);
	ev_timer_set(&d->timer, after, 0.);
	ev_timer_start(loop, &d->timer);
	return d;
}

void
dial_cancel(struct dial *d)
{
	if (d == NULL)
		return;
	stop(d);
	if (d->fd != -1)
		close(d->fd);
	free(d);
}
