/* SPDX-License-Identifier: ISC */
/*
 * An epoll instance of our own, itself watched by the loop.  Descriptors are in
 * it without any event, so only what epoll always reports is left: EPOLLERR and
 * EPOLLHUP.  Edge-triggered, since the state stays and is told once.
 *
 * EPOLLHUP alone is no accident: it is also what two clean ends look like.
 *
 * A descriptor leaves an epoll instance when it is closed, and none of ours is
 * ever duplicated, so nothing has to be taken out.  Within one batch an entry
 * may belong to a descriptor that an earlier one closed; that is why its memory
 * has to stay a little, and why its owner has to know that it is dead.
 */
#include "net/hangup.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64

struct hangup {
	struct ev_loop *loop;
	ev_io io;
	int fd;
};

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct hangup *h = w->data;
	struct epoll_event events[BATCH];
	int n = epoll_wait(h->fd, events, BATCH, 0);

	if (revents & EV_ERROR) {	/* it could not be watched: again */
		ev_io_start(loop, w);
		return;
	}
	for (int i = 0; i < n; i++) {
		struct hangup_entry *entry = events[i].data.ptr;

		if (events[i].events & EPOLLERR)
			entry->on_hangup(entry);
	}
}

struct hangup *
hangup_new(struct ev_loop *loop)
{
	struct hangup *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->loop = loop;
	h->fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->fd == -1) {
		free(h);
		return NULL;
	}
	ev_io_init(&h->io, on_readable, h->fd, EV_READ);
	h->io.data = h;
	ev_io_start(loop, &h->io);
	ev_unref(loop);
	return h;
}

void
hangup_free(struct hangup *h)
{
	if (h == NULL)
		return;
	ev_ref(h->loop);
	ev_io_stop(h->loop, &h->io);
	close(h->fd);
	free(h);
}

void
hangup_watch(struct hangup *h, int fd, struct hangup_entry *entry)
{
	struct epoll_event event = { .events = EPOLLET, .data.ptr = entry };

	(void)epoll_ctl(h->fd, EPOLL_CTL_ADD, fd, &event);
}

int
hangup_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return errno;
	return error;
}
