/* SPDX-License-Identifier: ISC */
/*
 * Closing a TCP socket says one of two things to the far end: "that was all"
 * (FIN) or "this was cut" (RST).  The kernel says the first whenever a process
 * dies, which would turn our crash into truncated downloads that look whole.
 * SO_LINGER with a time of 0 turns it round: close() resets, also the one that
 * the kernel does for a dead process, until somebody who knows that the end is
 * an orderly one disarms it.
 *
 * Disarmed is not yet orderly: close() with unread bytes in the receive buffer
 * resets in any case, and drops what was still to be sent.  So an owner reads
 * up to the end of file before it closes.
 */
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/sockopt.h"

#define SPANS_MAX 32		/* of one system call */

static void
set_int(int fd, int level, int name, int value)
{
	/* Best effort: a socketpair of a test knows no TCP options. */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void
set_linger(int fd, bool reset)
{
	struct linger l = { .l_onoff = reset, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

/* The kernel's form of `spans`; the bytes that they hold in all. */
static size_t
to_iovec(const struct span spans[], int n, struct iovec iov[static SPANS_MAX],
    int *used)
{
	size_t bytes = 0;

	*used = n < SPANS_MAX ? n : SPANS_MAX;
	for (int i = 0; i < *used; i++) {
		iov[i].iov_base = spans[i].base;
		iov[i].iov_len = spans[i].len;
		bytes += spans[i].len;
	}
	return bytes;
}

static void
on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct stream *st = io->data;

	(void)loop;
	/* libev stops a watcher whose fd it cannot watch, and says EV_ERROR
	 * with both others: the owner then finds out by reading. */
	if (revents & EV_ERROR)
		st->interest = 0;
	st->on_event(st, revents & (EV_READ | EV_WRITE));
}

void
stream_open(struct stream *st, struct ev_loop *loop, int fd,
    stream_event *on_event, void *user)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags != -1 && !(flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* Urgent data would be lost otherwise; in line it is just bytes. */
	set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	set_linger(fd, true);
	*st = (struct stream){ .loop = loop, .fd = fd, .on_event = on_event,
		.user = user };
	ev_io_init(&st->io, on_io, fd, 0);
	st->io.data = st;
}

ssize_t
stream_read(struct stream *st, const struct span spans[], int n)
{
	struct iovec iov[SPANS_MAX];
	ssize_t got;

	/* Without room read() returns 0, which is not to be taken for the
	 * end of file. */
	if (to_iovec(spans, n, iov, &n) == 0)
		return -EAGAIN;
	do {
		got = readv(st->fd, iov, n);
	} while (got == -1 && errno == EINTR);
	return got == -1 ? -errno : got;
}

ssize_t
stream_write(struct stream *st, const struct span spans[], int n)
{
	struct iovec iov[SPANS_MAX];
	struct msghdr msg = { .msg_iov = iov };
	ssize_t sent;

	if (to_iovec(spans, n, iov, &n) == 0)
		return 0;
	msg.msg_iovlen = (size_t)n;
	do {
		sent = sendmsg(st->fd, &msg, MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	return sent == -1 ? -errno : sent;
}

void
stream_want(struct stream *st, bool read, bool write)
{
	int interest = (read ? EV_READ : 0) | (write ? EV_WRITE : 0);

	if (st->fd == -1 || interest == st->interest)
		return;
	st->interest = interest;
	ev_io_stop(st->loop, &st->io);
	ev_io_set(&st->io, st->fd, interest);
	if (interest != 0)
		ev_io_start(st->loop, &st->io);
}

int
stream_shutdown(struct stream *st)
{
	return shutdown(st->fd, SHUT_WR) == -1 ? -errno : 0;
}

void
stream_disarm(struct stream *st)
{
	if (st->fd != -1)
		set_linger(st->fd, false);
}

size_t
stream_unacked(const struct stream *st)
{
	return sockopt_unacked(st->fd);
}

size_t
stream_unsent(const struct stream *st)
{
	return sockopt_unsent(st->fd);
}

void
stream_close(struct stream *st)
{
	if (st->fd == -1)
		return;
	ev_io_stop(st->loop, &st->io);
	close(st->fd);
	st->fd = -1;
	st->interest = 0;
}

void
stream_reset(struct stream *st)
{
	if (st->fd != -1)
		set_linger(st->fd, true);
	stream_close(st);
}
