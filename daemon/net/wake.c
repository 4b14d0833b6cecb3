/* SPDX-License-Identifier: ISC */
/*
 * The release callback is the only one that libev makes right before it waits.
 * How long it waits is settled by then, so it is woken up as a thread would
 * wake it.
 */
#include "net/wake.h"

#include <stddef.h>

static ev_async wake;

static void
on_wake(struct ev_loop *loop, ev_async *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static void
before_waiting(struct ev_loop *loop) EV_NOEXCEPT
{
	if (ev_pending_count(loop) > 0)
		ev_async_send(loop, &wake);
}

static void
after_waiting(struct ev_loop *loop) EV_NOEXCEPT
{
	(void)loop;
}

void
wake_start(struct ev_loop *loop)
{
	ev_async_init(&wake, on_wake);
	ev_async_start(loop, &wake);
	ev_unref(loop);		/* nobody waits for it */
	ev_set_loop_release_cb(loop, before_waiting, after_waiting);
}

void
wake_stop(struct ev_loop *loop)
{
	ev_set_loop_release_cb(loop, NULL, NULL);
	if (ev_is_active(&wake)) {
		ev_ref(loop);
		ev_async_stop(loop, &wake);
	}
}
