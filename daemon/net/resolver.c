/* SPDX-License-Identifier: ISC */
/*
 * getaddrinfo() is the only one who knows what the system's names are (files,
 * DNS, mDNS, whatever a host is set up for), and it blocks: so it has a thread,
 * one for each question, which are rare.  A thread that asks cannot be ended;
 * so it owns what it works with, shares nothing, and sends its answer through
 * a pipe, in one piece.  Whoever does not want it any more closes the other
 * end.
 */
#include "net/resolver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/resolve.h"

struct answer {
	int error;
	size_t n;
	struct addr addrs[RESOLVER_MAX];
};

static_assert(sizeof(struct answer) <= PIPE_BUF,
    "a pipe takes it in one piece");

struct question {			/* the thread's */
	int fd;				/* to answer to */
	uint16_t port;
	char host[];
};

struct resolver {
	struct ev_loop *loop;
	ev_io io;			/* its fd is ours */
	resolver_done *on_done;
	void *user;
};

/* ---- the thread ---- */

static void *
ask(void *argument)
{
	struct question *q = argument;
	struct answer answer;

	memset(&answer, 0, sizeof(answer));
	answer.error = resolve_all(q->host, q->port, answer.addrs,
	    RESOLVER_MAX, &answer.n);
	/* If nobody reads it, it is lost, as it should be. */
	if (write(q->fd, &answer, sizeof(answer)) == -1)
		answer.n = 0;
	close(q->fd);
	free(q);
	return NULL;
}

/* It takes no signal: those are the loop's, and SIGPIPE nobody's.  Takes the
 * question if true. */
static bool
start_thread(struct question *q)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	(void)pthread_attr_setdetachstate(&attributes,
	    PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, ask, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error == 0;
}

/* ---- the loop ---- */

static void
on_answer(struct ev_loop *loop, ev_io *w, int revents)
{
	struct resolver *r = w->data;
	resolver_done *on_done = r->on_done;
	void *user = r->user;
	struct answer answer;
	ssize_t len = read(r->io.fd, &answer, sizeof(answer));

	(void)loop;
	/* An event may be left over from an older one of this number; but with
	 * EV_ERROR there will be no other. */
	if (len == -1 && errno == EAGAIN && !(revents & EV_ERROR))
		return;
	if (len != sizeof(answer))
		answer = (struct answer){ .error = EAI_AGAIN };
	resolver_cancel(r);
	on_done(user, answer.error, answer.addrs, answer.n);
}

struct resolver *
resolver_start(struct ev_loop *loop, const char *host, uint16_t port,
    resolver_done *on_done, void *user)
{
	size_t size = strlen(host) + 1;
	struct resolver *r = calloc(1, sizeof(*r));
	struct question *q = calloc(1, sizeof(*q) + size);
	int fds[2];

	if (r == NULL || q == NULL || pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
		goto free_both;
	q->fd = fds[1];
	q->port = port;
	memcpy(q->host, host, size);
	if (!start_thread(q))
		goto close_both;
	r->loop = loop;
	r->on_done = on_done;
	r->user = user;
	ev_io_init(&r->io, on_answer, fds[0], EV_READ);
	r->io.data = r;
	ev_io_start(loop, &r->io);
	return r;
close_both:
	close(fds[0]);
	close(fds[1]);
free_both:
	free(q);
	free(r);
	return NULL;
}

void
resolver_cancel(struct resolver *r)
{
	if (r == NULL)
		return;
	ev_io_stop(r->loop, &r->io);
	close(r->io.fd);
	free(r);
}
