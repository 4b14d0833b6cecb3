/* SPDX-License-Identifier: ISC */
/*
 * A library to preload into a daemon under test, which makes what the system
 * seldom does happen often.  What it does is said by the environment; all of it
 * is off by default, and begins FAIL_AFTER_MS after the start.
 *
 *	FAIL_CALLS=LIST		calls that fail now and then, with the errors
 *				that the kernel gives: "socket,readv", or "all"
 *	FAIL_PER_MILLION=N	how often they do
 *	FAIL_SEED=N		of that and of FAIL_SHORT
 *	FAIL_SHORT=N		what is read from or written to a socket is 1 to
 *				N bytes at a time
 *	FAIL_EINTR_US=N		a signal every N microseconds, without
 *				SA_RESTART
 *	FAIL_MALLOC_NTH=N	the N-th allocation fails, counted from the
 *				first epoll_create1() on (libconfuse cannot do
 *				without),
 *	FAIL_MALLOC_RUN=N	and those behind it: N in all (1)
 *	FAIL_COUNT_FILE=NAME	gets the number of allocations and of failures
 *				when the process exits
 *	FAIL_CLOCK_FILE=NAME	the wall clock is ahead by the seconds in there
 *	FAIL_STUCK_FILE=NAME	the event loop is stuck while there is this file
 *
 * An error is one that can be met: SO_LINGER, say, cannot fail.  A call that
 * has an effect even if it fails (connect() with EINTR, close()) has it here,
 * too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SPANS_MAX 64

/* The function that would be there without us, as `real_NAME`. */
#define REAL(type, name, ...)						\
	static type (*real_##name)(__VA_ARGS__);			\
	if (real_##name == NULL)					\
		*(void **)&real_##name = dlsym(RTLD_NEXT, #name)

static struct {
	bool ready;
	const char *calls;
	unsigned long per_million, shorten, nth, run;
	uint64_t begin_us;
	char clock_file[PATH_MAX], count_file[PATH_MAX], stuck_file[PATH_MAX];
} set;
static uint64_t state;
static unsigned long allocations, failures;
static bool looping;

/* ---- time and chance ---- */

static int
real_clock(clockid_t id, struct timespec *t)
{
	REAL(int, clock_gettime, clockid_t, struct timespec *);
	return real_clock_gettime(id, t);
}

static bool
begun(void)
{
	struct timespec t;

	if (!set.ready)
		return false;
	if (set.begin_us == 0)
		return true;
	real_clock(CLOCK_MONOTONIC, &t);
	if ((uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 <
	    set.begin_us)
		return false;
	set.begin_us = 0;
	return true;
}

static uint32_t
chance(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

/* Is `name` in the list? */
static bool
listed(const char *name)
{
	const char *at = set.calls;
	size_t len = strlen(name);

	if (at == NULL)
		return false;
	if (strcmp(at, "all") == 0)
		return true;
	for (; (at = strstr(at, name)) != NULL; at += len)
		if ((at == set.calls || at[-1] == ',') &&
		    (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

/* One of the errors, or 0: this time it works. */
static int
fate(const char *name, const int errors[], size_t n)
{
	if (!begun() || set.per_million == 0 || !listed(name) ||
	    chance(1000000) >= set.per_million)
		return 0;
	failures++;
	return errors[chance((uint32_t)n)];
}

/* Perhaps return `value` with one of the errors. */
#define PERHAPS(name, value, ...) do {					\
	static const int errors[] = { __VA_ARGS__ };			\
	int error = fate(name, errors, sizeof(errors) / sizeof(errors[0])); \
									\
	if (error != 0) {						\
		errno = error;						\
		return value;						\
	}								\
} while (0)

static unsigned long
number(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? strtoul(text, NULL, 10) : 0;
}

static void
on_alarm(int signo)
{
	(void)signo;
}

static void
file_name(char to[static PATH_MAX], const char *name)
{
	const char *text = getenv(name);

	snprintf(to, PATH_MAX, "%s", text != NULL ? text : "");
}

static void __attribute__((constructor))
begin(void)
{
	unsigned long us = number("FAIL_EINTR_US");
	struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval every = { { (time_t)(us / 1000000),
		(suseconds_t)(us % 1000000) }, { 1, 0 } };
	struct timespec t;

	set.calls = getenv("FAIL_CALLS");
	set.per_million = number("FAIL_PER_MILLION");
	set.shorten = number("FAIL_SHORT");
	set.nth = number("FAIL_MALLOC_NTH");
	set.run = number("FAIL_MALLOC_RUN");
	if (set.run == 0)
		set.run = 1;
	state = (number("FAIL_SEED") + 1) * UINT64_C(0x9e3779b97f4a7c15);
	file_name(set.clock_file, "FAIL_CLOCK_FILE");
	file_name(set.count_file, "FAIL_COUNT_FILE");
	file_name(set.stuck_file, "FAIL_STUCK_FILE");
	real_clock(CLOCK_MONOTONIC, &t);
	if (number("FAIL_AFTER_MS") > 0)
		set.begin_us = (uint64_t)t.tv_sec * 1000000 +
		    (uint64_t)t.tv_nsec / 1000 +
		    number("FAIL_AFTER_MS") * UINT64_C(1000);
	set.ready = true;
	if (us > 0) {
		sigaction(SIGALRM, &action, NULL);
		setitimer(ITIMER_REAL, &every, NULL);
	}
}

static void __attribute__((destructor))
end(void)
{
	FILE *f;

	set.ready = false;
	if (set.count_file[0] == '\0' ||
	    (f = fopen(set.count_file, "w")) == NULL)
		return;
	fprintf(f, "%lu allocations, %lu failures\n", allocations, failures);
	fclose(f);
}

/* ---- sockets ---- */

int
socket(int domain, int type, int protocol)
{
	REAL(int, socket, int, int, int);
	PERHAPS("socket", -1, EMFILE, ENFILE, ENOBUFS, ENOMEM);
	return real_socket(domain, type, protocol);
}

int
accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	REAL(int, accept4, int, struct sockaddr *, socklen_t *, int);
	PERHAPS("accept4", -1, EMFILE, ENFILE, ENOBUFS, ENOMEM, EINTR,
	    ECONNABORTED);
	return real_accept4(fd, sa, len, flags);
}

int
bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	REAL(int, bind, int, const struct sockaddr *, socklen_t);
	PERHAPS("bind", -1, ENOMEM, EADDRINUSE);
	return real_bind(fd, sa, len);
}

int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	REAL(int, connect, int, const struct sockaddr *, socklen_t);
	PERHAPS("connect", -1, ENOBUFS, ENOMEM, EADDRNOTAVAIL, ENETUNREACH);
	int result = real_connect(fd, sa, len);
	if (result == -1 && errno == EINPROGRESS)
		PERHAPS("connect", -1, EINTR);
	return result;
}

int
shutdown(int fd, int how)
{
	REAL(int, shutdown, int, int);
	PERHAPS("shutdown", -1, ENOBUFS);
	return real_shutdown(fd, how);
}

int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	REAL(int, setsockopt, int, int, int, const void *, socklen_t);
	if (level != SOL_SOCKET || name != SO_LINGER)
		PERHAPS("setsockopt", -1, ENOBUFS, ENOMEM);
	return real_setsockopt(fd, level, name, value, len);
}

int
getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	REAL(int, getsockopt, int, int, int, void *, socklen_t *);
	PERHAPS("getsockopt", -1, ENOBUFS, ENOMEM);
	return real_getsockopt(fd, level, name, value, len);
}

int
getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	REAL(int, getsockname, int, struct sockaddr *, socklen_t *);
	PERHAPS("getsockname", -1, ENOBUFS);
	return real_getsockname(fd, sa, len);
}

int
getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	REAL(int, getpeername, int, struct sockaddr *, socklen_t *);
	PERHAPS("getpeername", -1, ENOBUFS);
	return real_getpeername(fd, sa, len);
}

/* ---- bytes ---- */

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* The first bytes of `iov`, as many as are allowed this time, into `cut`. */
static int
shorten(const struct iovec *iov, int n, struct iovec cut[static SPANS_MAX])
{
	size_t left = 1 + chance((uint32_t)set.shorten);
	int used = 0;

	for (; used < n && used < SPANS_MAX && left > 0; used++) {
		cut[used] = iov[used];
		if (cut[used].iov_len > left)
			cut[used].iov_len = left;
		left -= cut[used].iov_len;
	}
	return used;
}

ssize_t
readv(int fd, const struct iovec *iov, int n)
{
	REAL(ssize_t, readv, int, const struct iovec *, int);
	struct iovec cut[SPANS_MAX];

	PERHAPS("readv", -1, EINTR, ENOMEM, ENOBUFS, EAGAIN);
	if (set.shorten == 0 || !begun())
		return real_readv(fd, iov, n);
	return real_readv(fd, cut, shorten(iov, n, cut));
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
	struct iovec cut[SPANS_MAX];
	struct msghdr less = *msg;

	PERHAPS("sendmsg", -1, EINTR, ENOMEM, ENOBUFS, EAGAIN);
	if (set.shorten == 0 || !begun())
		return real_sendmsg(fd, msg, flags);
	less.msg_iov = cut;
	less.msg_iovlen = (size_t)shorten(msg->msg_iov, (int)msg->msg_iovlen,
	    cut);
	return real_sendmsg(fd, &less, flags);
}

ssize_t
recv(int fd, void *bytes, size_t len, int flags)
{
	REAL(ssize_t, recv, int, void *, size_t, int);
	PERHAPS("recv", -1, EINTR, ENOMEM, ENOBUFS, EAGAIN);
	if (set.shorten > 0 && begun() && len > 0 && (flags & MSG_PEEK) == 0)
		len = 1 + chance((uint32_t)set.shorten) % len;
	return real_recv(fd, bytes, len, flags);
}

ssize_t
send(int fd, const void *bytes, size_t len, int flags)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	if (fd != STDERR_FILENO) {
		PERHAPS("send", -1, EINTR, ENOMEM, ENOBUFS, EAGAIN);
		if (set.shorten > 0 && begun() && len > 0)
			len = 1 + chance((uint32_t)set.shorten) % len;
	}
	return real_send(fd, bytes, len, flags);
}

ssize_t
read(int fd, void *bytes, size_t len)
{
	REAL(ssize_t, read, int, void *, size_t);
	PERHAPS("read", -1, EINTR);
	if (set.shorten > 0 && begun() && len > 0 && is_socket(fd))
		len = 1 + chance((uint32_t)set.shorten) % len;
	return real_read(fd, bytes, len);
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
	REAL(ssize_t, write, int, const void *, size_t);
	if (fd == STDERR_FILENO)
		PERHAPS("write", -1, EINTR, ENOSPC, EIO, EAGAIN);
	return real_write(fd, bytes, len);
}

/* ---- descriptors and what is known of the host ---- */

int
close(int fd)
{
	REAL(int, close, int);
	int result = real_close(fd);

	PERHAPS("close", -1, EINTR, EIO);
	return result;
}

int
open(const char *name, int flags, ...)
{
	REAL(int, open, const char *, int, ...);
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	PERHAPS("open", -1, EMFILE, ENFILE, ENOMEM, EINTR);
	return real_open(name, flags, mode);
}

int
ioctl(int fd, unsigned long request, ...)
{
	REAL(int, ioctl, int, unsigned long, void *);
	va_list ap;
	void *value;

	va_start(ap, request);
	value = va_arg(ap, void *);
	va_end(ap);
	PERHAPS("ioctl", -1, ENOMEM, ENOBUFS);
	return real_ioctl(fd, request, value);
}

int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	REAL(int, epoll_ctl, int, int, int, struct epoll_event *);
	if (what == EPOLL_CTL_ADD)
		PERHAPS("epoll_ctl", -1, ENOMEM, ENOSPC);
	return real_epoll_ctl(epoll, what, fd, event);
}

int
epoll_create1(int flags)
{
	REAL(int, epoll_create1, int);
	looping = true;
	return real_epoll_create1(flags);
}

int
epoll_wait(int epoll, struct epoll_event *events, int n, int timeout_ms)
{
	REAL(int, epoll_wait, int, struct epoll_event *, int, int);
	PERHAPS("epoll_wait", -1, EINTR);
	while (set.stuck_file[0] != '\0' && access(set.stuck_file, F_OK) == 0)
		;
	return real_epoll_wait(epoll, events, n, timeout_ms);
}

int
getifaddrs(struct ifaddrs **all)
{
	REAL(int, getifaddrs, struct ifaddrs **);
	PERHAPS("getifaddrs", -1, EMFILE, ENOMEM, ENOBUFS);
	return real_getifaddrs(all);
}

ssize_t
getrandom(void *bytes, size_t len, unsigned int flags)
{
	REAL(ssize_t, getrandom, void *, size_t, unsigned int);
	PERHAPS("getrandom", -1, EINTR, ENOSYS);
	return real_getrandom(bytes, len, flags);
}

/* ---- memory ---- */

#ifndef FAIL_WITHOUT_MALLOC
static bool
may_allocate(void)
{
	static bool inside;
	bool may = true;

	if (inside || !begun())		/* dlsym() allocates, too */
		return true;
	inside = true;
	allocations += looping;
	if (set.nth != 0 && looping && allocations >= set.nth &&
	    allocations < set.nth + set.run)
		may = false;
	if (may && set.per_million != 0 && listed("malloc") &&
	    chance(1000000) < set.per_million)
		may = false;
	if (!may) {
		failures++;
		errno = ENOMEM;
	}
	inside = false;
	return may;
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *
malloc(size_t size)
{
	return may_allocate() ? __libc_malloc(size) : NULL;
}

void *
calloc(size_t n, size_t size)
{
	return may_allocate() ? __libc_calloc(n, size) : NULL;
}

void *
realloc(void *old, size_t size)
{
	return may_allocate() ? __libc_realloc(old, size) : NULL;
}
#endif

/* ---- the wall clock ---- */

/* Seconds that it is ahead; read anew each time. */
static long long
ahead_s(void)
{
	char text[32] = "";
	int fd;

	if (!set.ready || set.clock_file[0] == '\0')
		return 0;
	REAL(int, open, const char *, int, ...);
	REAL(ssize_t, read, int, void *, size_t);
	REAL(int, close, int);
	if ((fd = real_open(set.clock_file, O_RDONLY | O_CLOEXEC)) == -1)
		return 0;
	if (real_read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	real_close(fd);
	return strtoll(text, NULL, 10);
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int result = real_clock(id, t);

	if (result == 0 && (id == CLOCK_REALTIME ||
	    id == CLOCK_REALTIME_COARSE))
		t->tv_sec += ahead_s();
	return result;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	REAL(int, gettimeofday, struct timeval *, void *);
	int result = real_gettimeofday(t, zone);

	if (result == 0)
		t->tv_sec += ahead_s();
	return result;
}

time_t
time(time_t *to)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (to != NULL)
		*to = t.tv_sec;
	return t.tv_sec;
}
