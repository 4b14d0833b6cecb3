/* SPDX-License-Identifier: ISC */
#include "check_machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_report.h"
#include "check_text.h"

#define READ_MAX (1u << 20)
#define READ_FIRST 4096u
#define LINK_MAX 4096

__attribute__((format(printf, 2, 0))) static char *
path_of(const struct check_machine *m, const char *fmt, va_list ap)
{
	char *below, *path;

	if (vasprintf(&below, fmt, ap) == -1)
		check_out_of_memory();
	path = check_format("%s%s", m->root, below);
	free(below);
	return path;
}

bool
check_is_recorded(const struct check_machine *m)
{
	return m->root[0] != '\0';
}

/* Files of /proc have no size: read until there is no more. */
static char *
read_all(int fd, size_t *length)
{
	size_t room = READ_FIRST, len = 0;
	char *text = check_alloc(room + 1);
	ssize_t n;

	while ((n = read(fd, text + len, room - len)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			free(text);
			return NULL;
		}
		len += (size_t)n;
		if (len < room)
			continue;
		if (room >= READ_MAX)
			break;
		room *= 2;
		text = check_grow(text, room + 1, 1);
	}
	text[len] = '\0';
	*length = len;
	return text;
}

static char *
read_path(const char *path, size_t *len)
{
	/* Nobody is waited for: somebody may have put a pipe in this place. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;
	int error;

	if (fd == -1)
		return NULL;
	text = read_all(fd, len);
	error = errno;
	close(fd);
	errno = error;
	return text;
}

__attribute__((format(printf, 3, 0))) static char *
read_format(const struct check_machine *m, size_t *len, const char *fmt,
    va_list ap)
{
	char *path = path_of(m, fmt, ap);
	char *text = read_path(path, len);
	int error = errno;

	free(path);
	errno = error;
	return text;
}

char *
check_read(const struct check_machine *m, const char *fmt, ...)
{
	va_list ap;
	char *text;
	size_t len;

	va_start(ap, fmt);
	text = read_format(m, &len, fmt, ap);
	va_end(ap);
	return text;
}

char *
check_read_bytes(const struct check_machine *m, size_t *len, const char *fmt,
    ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = read_format(m, len, fmt, ap);
	va_end(ap);
	return text;
}

bool
check_number(const struct check_machine *m, uint64_t *n, const char *fmt, ...)
{
	va_list ap;
	char *text;
	size_t len;
	bool good;

	va_start(ap, fmt);
	text = read_format(m, &len, fmt, ap);
	va_end(ap);
	if (text == NULL)
		return false;
	good = check_text_number(text, n);
	free(text);
	errno = EINVAL;
	return good;
}

bool
check_exists(const struct check_machine *m, const char *fmt, ...)
{
	struct stat st;
	va_list ap;
	char *path;
	bool there;

	va_start(ap, fmt);
	path = path_of(m, fmt, ap);
	va_end(ap);
	there = stat(path, &st) == 0;
	free(path);
	return there;
}

char *
check_link(const struct check_machine *m, const char *fmt, ...)
{
	char *path, *target = check_alloc(LINK_MAX + 1);
	va_list ap;
	ssize_t n;
	int error;

	va_start(ap, fmt);
	path = path_of(m, fmt, ap);
	va_end(ap);
	n = readlink(path, target, LINK_MAX);
	error = errno;
	free(path);
	if (n >= 0)
		return target;
	free(target);
	errno = error;
	return NULL;
}

bool
check_each(const struct check_machine *m, const char *path,
    bool (*found)(void *, const char *), void *user)
{
	char *whole = check_format("%s%s", m->root, path);
	DIR *dir = opendir(whole);
	struct dirent *entry;
	bool any = false;

	free(whole);
	if (dir == NULL)
		return false;
	while (!any && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			any = found(user, entry->d_name);
	closedir(dir);
	return any;
}
