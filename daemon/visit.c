/* SPDX-License-Identifier: ISC */
#include "visit.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

#define ANSWER_MAX ((size_t)16 << 20)

/* What the patience of a socket ends with. */
static void
name_timeout(void)
{
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
}

/* What is left of it for the next call, which `option` is about; or false with
 * errno. */
static bool
be_patient(int fd, int option, int64_t until_us)
{
	int64_t left = until_us - (int64_t)clock_us();
	const struct timeval patience = { .tv_sec = left / 1000000,
	    .tv_usec = left % 1000000 };

	errno = ETIMEDOUT;
	return left > 0 && setsockopt(fd, SOL_SOCKET, option, &patience,
	    sizeof(patience)) == 0;
}

/* A descriptor, or -1 with errno.  A daemon that hangs lets others in until its
 * backlog is full. */
static int
reach(const char *name, int64_t until_us)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd, error;

	if (len >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (len == 0) {		/* no name at all */
		errno = ENOENT;
		return -1;
	}
	memcpy(address.sun_path, name, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (be_patient(fd, SO_SNDTIMEO, until_us) &&
	    connect(fd, (const struct sockaddr *)&address,
	    sizeof(address)) == 0)
		return fd;
	name_timeout();
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The answer, allocated; NULL with errno. */
static char *
receive(int fd, int64_t until_us)
{
	size_t size = 4096, len = 0;
	char *text = malloc(size), *more;
	ssize_t n;

	while (text != NULL && be_patient(fd, SO_RCVTIMEO, until_us)) {
		n = recv(fd, text + len, size - len - 1, 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			text[len] = '\0';
			if (n == 0)
				return text;
			name_timeout();
			break;
		}
		len += (size_t)n;
		if (len + 1 < size)
			continue;
		more = size < ANSWER_MAX ? realloc(text, size * 2) : NULL;
		if (more == NULL) {
			errno = ENOMEM;
			break;
		}
		text = more;
		size *= 2;
	}
	free(text);
	return NULL;
}

char *
visit(const char *name, const char *line, unsigned patience_s)
{
	const int64_t until_us = (int64_t)clock_us() +
	    patience_s * INT64_C(1000000);
	size_t len = strlen(line);
	int fd = reach(name, until_us), error;
	char *answer = NULL;

	if (fd == -1)
		return NULL;
	if (be_patient(fd, SO_SNDTIMEO, until_us) &&
	    send(fd, line, len, MSG_NOSIGNAL) == (ssize_t)len)
		answer = receive(fd, until_us);
	else
		name_timeout();
	error = errno;
	close(fd);
	errno = error;
	return answer;
}
