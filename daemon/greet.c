/* SPDX-License-Identifier: ISC */
/*
 * The word is looked at before it is taken (MSG_PEEK), so that a handshake
 * finds its connection untouched.  Part of a word would make the loop spin,
 * since it stays readable; so it is left alone for a moment.
 */
#include "greet.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/reap.h"

#define AGAIN_S 0.02

struct greet {
	struct reap_entry reap;		/* first: it is freed as such */
	struct greet_options options;
	ev_io io;
	ev_timer again, deadline;
	int fd;
};

static void
arm(int fd)
{
	const struct linger l = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void
free_greet(struct reap_entry *entry)
{
	free(entry);
}

static int
stop(struct greet *g)
{
	int fd = g->fd;

	ev_io_stop(g->options.loop, &g->io);
	ev_timer_stop(g->options.loop, &g->again);
	ev_timer_stop(g->options.loop, &g->deadline);
	g->fd = -1;
	reap_later(&g->reap, free_greet);
	return fd;
}

static void
fail(struct greet *g, int error)
{
	close(stop(g));
	g->options.on_word(g->options.user, -1, 0, error);
}

static void
succeed(struct greet *g, uint32_t word)
{
	g->options.on_word(g->options.user, stop(g), word, 0);
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct greet *g = w->data;
	uint8_t bytes[WIRE_BASE_NUMBER];
	struct cursor c = { bytes, bytes + sizeof(bytes) };
	uint32_t word;
	ssize_t n = recv(g->fd, bytes, sizeof(bytes), MSG_PEEK);

	(void)revents;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(g, n == 0 ? 0 : -errno);
		return;
	}
	if (n < WIRE_BASE_NUMBER) {
		ev_io_stop(loop, &g->io);
		ev_timer_set(&g->again, AGAIN_S, 0.);
		ev_timer_start(loop, &g->again);
		return;
	}
	(void)wire_get_number(&c, &word);
	if (word != WIRE_MAGIC &&
	    recv(g->fd, bytes, sizeof(bytes), 0) != WIRE_BASE_NUMBER) {
		fail(g, -EIO);
		return;
	}
	succeed(g, word);
}

static void
on_again(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct greet *g = w->data;

	(void)revents;
	ev_io_start(loop, &g->io);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	fail(w->data, -ETIMEDOUT);
}

struct greet *
greet_start(int fd, const struct greet_options *o)
{
	struct greet *g = calloc(1, sizeof(*g));

	if (g == NULL) {
		greet_refuse(fd);
		return NULL;
	}
	arm(fd);
	g->options = *o;
	g->fd = fd;
	ev_io_init(&g->io, on_readable, fd, EV_READ);
	ev_init(&g->again, on_again);
	/* The loop's time may be that of long ago. */
	ev_now_update(o->loop);
	ev_timer_init(&g->deadline, on_deadline, o->timeout_ms / 1000., 0.);
	g->io.data = g->again.data = g->deadline.data = g;
	ev_io_start(o->loop, &g->io);
	ev_timer_start(o->loop, &g->deadline);
	return g;
}

void
greet_cancel(struct greet *g)
{
	if (g != NULL && g->fd != -1)
		close(stop(g));
}

int
greet_send(int fd, uint32_t word)
{
	uint8_t bytes[WIRE_BASE_NUMBER];
	ssize_t n;

	wire_put_number(bytes, word);
	n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	if (n == -1)
		return -errno;
	/* There is room for it where nothing was sent before. */
	return n == sizeof(bytes) ? 0 : -EIO;
}

void
greet_refuse(int fd)
{
	arm(fd);
	close(fd);
}
