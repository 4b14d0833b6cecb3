/* SPDX-License-Identifier: ISC */
/*
 * A line is formatted into a buffer of its own and leaves in one system call,
 * so that lines of two processes do not mix.  What cannot be written is lost:
 * a full disk, a closed stderr or a slow reader never harm the daemon.
 */
#include "net/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define BURST_DEFAULT 5
#define PAUSE_US 10000000u

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *text;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARN] = { "warn", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};
static_assert(COUNT(levels) == LOG_LEVEL_DEBUG + 1, "a row for each level");

static enum log_level most = LOG_LEVEL_INFO;
static bool to_syslog;

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void
write_stderr(const char *line, size_t len)
{
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n;

	/* Under systemd stderr is a socket, where a reader that hangs must
	 * not stop us.  Its file flags are shared with others: leave them.  A
	 * pipe is writable while it has a page of room, which a line fits
	 * in. */
	n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno == ENOTSOCK && poll(&to, 1, 0) == 1)
		n = write(STDERR_FILENO, line, len);
	(void)n;
}

static void __attribute__((format(printf, 2, 0)))
log_line(enum log_level level, const char *fmt, va_list ap, uint32_t dropped)
{
	char line[LINE_MAX_BYTES];
	size_t start, len, room = sizeof(line) - 1;	/* and a new line */
	int saved = errno, n;

	n = snprintf(line, room, "%s: ", levels[level].text);
	start = len = (size_t)n;
	n = vsnprintf(line + len, room - len, fmt, ap);
	if (n > 0)
		len += (size_t)n < room - len ? (size_t)n : room - len - 1;
	if (dropped > 0) {
		n = snprintf(line + len, room - len,
		    " (%u more like it were left out)", (unsigned int)dropped);
		len += (size_t)n < room - len ? (size_t)n : room - len - 1;
	}
	/* One event, one line. */
	for (size_t i = start; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	if (to_syslog) {
		line[len] = '\0';
		syslog(levels[level].priority, "%s", line + start);
	} else {
		line[len++] = '\n';
		write_stderr(line, len);
	}
	errno = saved;
}

void
log_init(enum log_level level, bool use_syslog)
{
	most = level;
	if (use_syslog && !to_syslog)
		openlog("rorod", LOG_NDELAY | LOG_PID, LOG_DAEMON);
	if (!use_syslog && to_syslog)
		closelog();
	to_syslog = use_syslog;
}

void
log_set_level(enum log_level level)
{
	most = level;
}

#define LOG(level) do {					\
	va_list ap;					\
							\
	if ((level) > most)				\
		return;					\
	va_start(ap, fmt);				\
	log_line((level), fmt, ap, 0);			\
	va_end(ap);					\
} while (0)

void
log_error(const char *fmt, ...)
{
	LOG(LOG_LEVEL_ERROR);
}

void
log_warn(const char *fmt, ...)
{
	LOG(LOG_LEVEL_WARN);
}

void
log_info(const char *fmt, ...)
{
	LOG(LOG_LEVEL_INFO);
}

void
log_debug(const char *fmt, ...)
{
	LOG(LOG_LEVEL_DEBUG);
}

void
log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	uint32_t burst = limit->burst > 0 ? limit->burst : BURST_DEFAULT;
	uint32_t dropped = 0;
	uint64_t now;
	va_list ap;

	if (level > most)
		return;
	now = now_us();
	if (limit->since_us == 0 || now - limit->since_us >= PAUSE_US) {
		dropped = limit->dropped;
		limit->since_us = now;
		limit->count = limit->dropped = 0;
	}
	if (limit->count >= burst) {
		limit->dropped++;
		return;
	}
	limit->count++;
	va_start(ap, fmt);
	log_line(level, fmt, ap, dropped);
	va_end(ap);
}
