/* SPDX-License-Identifier: ISC */
#include "visit.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)16 << 20)

/* What the patience of a socket ends with. */
static void
name_timeout(void)
{
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
}

/* A descriptor, or -1 with errno.  A daemon that hangs lets others in until its
 * backlog is full. */
static int
reach(const char *name, unsigned patience_s)
{
	const struct timeval patience = { .tv_sec = patience_s };
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
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof(patience)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience)) == 0 &&
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
receive(int fd)
{
	size_t size = 4096, len = 0;
	char *text = malloc(size), *more;
	ssize_t n;

	while (text != NULL) {
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
	size_t len = strlen(line);
	int fd = reach(name, patience_s), error;
	char *answer = NULL;

	if (fd == -1)
		return NULL;
	if (send(fd, line, len, MSG_NOSIGNAL) == (ssize_t)len)
		answer = receive(fd);
	else
		name_timeout();
	error = errno;
	close(fd);
	errno = error;
	return answer;
}
