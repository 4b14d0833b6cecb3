/* SPDX-License-Identifier: ISC */
/*
 * For tests of daemon/net: a libev loop for each test, and connections over the
 * loopback interface.
 */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/reap.h"

#define GUARD_S 10.		/* longer than that is a failure */

static struct ev_loop *loop;

static inline int
loop_setup(void **state)
{
	(void)state;
	loop = ev_loop_new(EVFLAG_AUTO);
	reap_start(loop);
	return loop == NULL;
}

static inline int
loop_teardown(void **state)
{
	(void)state;
	reap_stop(loop);
	ev_loop_destroy(loop);
	return 0;
}

static inline void
on_guard(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)l;
	(void)revents;
	*(bool *)w->data = true;
}

/* Turn the loop until `count` reaches `n`, or for `seconds` (then false). */
static inline bool
run_for(double seconds, const int *count, int n)
{
	bool over = false;
	ev_timer guard;

	ev_now_update(loop);
	ev_timer_init(&guard, on_guard, seconds, 0.);
	guard.data = &over;
	ev_timer_start(loop, &guard);
	while (!over && (count == NULL || *count < n))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &guard);
	return !over;
}

static inline bool
run_until(const int *count, int n)
{
	return run_for(GUARD_S, count, n);
}

/* One turn; one without an event is a failure. */
static inline void
run_turn(void)
{
	bool over = false;
	ev_timer guard;

	ev_now_update(loop);
	ev_timer_init(&guard, on_guard, GUARD_S, 0.);
	guard.data = &over;
	ev_timer_start(loop, &guard);
	ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &guard);
	assert_false(over);
}

/* A listening socket at 127.0.0.1 and its address. */
static inline int
listen_at(struct sockaddr_in *at, int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*at);

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

/* Some build environments have no network at all, not even this one. */
static inline bool
loopback_is_there(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = 9 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool there = fd != -1 &&
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

	if (fd != -1)
		close(fd);
	return there;
}

/* Two ends of one TCP connection, blocking. */
static inline void
tcp_pair(int fds[2])
{
	struct sockaddr_in at;
	int server = listen_at(&at, 1);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&at, sizeof(at)),
	    0);
	fds[1] = accept(server, NULL, NULL);
	assert_true(fds[1] >= 0);
	close(server);
}

/* One read: bytes, 0 at a clean end, -errno. */
static inline ssize_t
read_once(int fd, void *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	return n == -1 ? -errno : n;
}

#endif
