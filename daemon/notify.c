/* SPDX-License-Identifier: ISC */
/*
 * Each word is one datagram; the manager's socket has a path, or a name in the
 * abstract space, which begins with `@` here and with a zero byte there.
 */
#include "notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "net/log.h"

static ev_timer watchdog;

static void
say(const char *word)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = name != NULL ? strlen(name) : 0;
	int fd;

	if (len < 2 || len >= sizeof(to.sun_path) ||
	    (name[0] != '/' && name[0] != '@'))
		return;
	memcpy(to.sun_path, name, len);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || sendto(fd, word, strlen(word), MSG_NOSIGNAL,
	    (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un,
	    sun_path) + len)) == -1)
		log_debug("NOTIFY_SOCKET: %s", strerror(errno));
	if (fd != -1)
		close(fd);
}

static void
on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	say("WATCHDOG=1");
}

/* In seconds; 0: nobody watches. */
static double
watchdog_s(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (us == NULL ||
	    (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
		return 0.;
	return (double)strtoull(us, NULL, 10) / 1e6;
}

void
notify_ready(struct ev_loop *loop)
{
	double every_s = watchdog_s() / 2;

	say("READY=1");
	if (every_s <= 0. || ev_is_active(&watchdog))
		return;
	ev_timer_init(&watchdog, on_watchdog, every_s, every_s);
	ev_timer_start(loop, &watchdog);
	ev_unref(loop);		/* nobody waits for it */
}

void
notify_reloading(void)
{
	char word[64];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(word, sizeof(word), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)now.tv_sec * 1000000 +
	    (unsigned long long)now.tv_nsec / 1000);
	say(word);
}

void
notify_stopping(void)
{
	say("STOPPING=1");
}

void
notify_end(struct ev_loop *loop)
{
	if (!ev_is_active(&watchdog))
		return;
	ev_ref(loop);
	ev_timer_stop(loop, &watchdog);
}
