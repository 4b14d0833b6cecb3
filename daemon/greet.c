/* SPDX-License-Identifier: ISC */
#include "greet.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/reap.h"

struct greet {
	struct reap_entry reap;		/* first: it is freed as such */
	struct greet_options options;
	ev_io io;
	ev_timer deadline;
	int fd;
	uint8_t bytes[WIRE_BASE_NUMBER];
	size_t len;			/* read so far */
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

/* Nothing came, after all; or nothing will. */
static void
read_failed(struct greet *g, ssize_t n)
{
	if (n == 0)
		fail(g, 0);
	else if (errno != EAGAIN && errno != EINTR)
		fail(g, -errno);
}

/* What recv() returned, for the rest of the word.  Is it whole? */
static bool
take(struct greet *g, uint32_t *word, ssize_t n)
{
	struct cursor c = { g->bytes, g->bytes + sizeof(g->bytes) };

	if (n > 0)
		g->len += (size_t)n;
	return g->len == sizeof(g->bytes) &&
	    wire_get_number(&c, word) == WIRE_OK;
}

static ssize_t
receive(struct greet *g)
{
	return recv(g->fd, g->bytes + g->len, sizeof(g->bytes) - g->len,
	    MSG_DONTWAIT);
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct greet *g = w->data;
	uint32_t word;
	ssize_t n;

	(void)loop;
	if (revents & EV_ERROR) {	/* the loop cannot watch it */
		fail(g, -ENOMEM);
		return;
	}
	if (g->options.extended && g->len == 0) {
		/* Look only: the handshake wants its connection untouched. */
		n = recv(g->fd, g->bytes, 1, MSG_PEEK);
		if (n != 1) {
			read_failed(g, n);
			return;
		}
		if (g->bytes[0] == GREET_MAGIC) {
			succeed(g, WIRE_MAGIC);
			return;
		}
	}
	n = receive(g);
	if (take(g, &word, n))
		succeed(g, word);
	else if (n <= 0)
		read_failed(g, n);
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
	/* The loop's time may be that of long ago. */
	ev_now_update(o->loop);
	ev_timer_init(&g->deadline, on_deadline, o->timeout_ms / 1000., 0.);
	g->io.data = g->deadline.data = g;
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
greet_take(struct greet *g, uint32_t *word)
{
	if (g == NULL || g->fd == -1)
		return -1;
	if (!take(g, word, receive(g))) {
		greet_cancel(g);
		return -1;
	}
	return stop(g);
}

int
greet_send(int fd, uint32_t word)
{
	uint8_t bytes[WIRE_BASE_NUMBER];

	wire_put_number(bytes, word);
	/* There is room for it where nothing was sent before. */
	for (size_t len = 0; len < sizeof(bytes); ) {
		ssize_t n = send(fd, bytes + len, sizeof(bytes) - len,
		    MSG_NOSIGNAL);

		if (n == -1 && errno != EINTR)
			return -errno;
		if (n > 0)
			len += (size_t)n;
	}
	return 0;
}

void
greet_refuse(int fd)
{
	arm(fd);
	close(fd);
}
