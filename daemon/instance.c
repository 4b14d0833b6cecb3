/* SPDX-License-Identifier: ISC */
#include "instance.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

/* Whose is it?  -EADDRINUSE or -EPERM. */
static int
look_at_other(int fd, const struct sockaddr *address, socklen_t len,
    pid_t *other)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (connect(fd, address, len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == -1 ||
	    (who.uid != 0 && who.uid != geteuid()))
		return -EPERM;
	*other = who.pid;
	return -EADDRINUSE;
}

void
instance_answer(int fd)
{
	int asker;

	while ((asker = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) != -1)
		close(asker);
}

int
instance_claim(const char *name, pid_t *other)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    1 + n);
	int fd, error = 0;

	if (1 + n > sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path + 1, name, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, len) == -1)
		error = -errno;
	else if (listen(fd, BACKLOG) == -1)
		error = -errno;
	if (error == -EADDRINUSE)
		error = look_at_other(fd, (struct sockaddr *)&address, len,
		    other);
	if (error == 0)
		return fd;
	close(fd);
	return error;
}
