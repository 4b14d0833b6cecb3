/* SPDX-License-Identifier: ISC */
/*
 * The machine that is looked at: files, mostly of /proc and /sys.  Tests look
 * at a recorded one, which is a directory with the same files below it.
 */
#ifndef CHECK_MACHINE_H
#define CHECK_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_machine {
	const char *root;	/* before every path; "" for this machine */
};

/* Is it one that was recorded? */
bool check_is_recorded(const struct check_machine *);

/* A file, as text that ends with a NUL (one inside ends it early) and is the
 * caller's.  Of a very long one, the beginning.  NULL with errno. */
char *check_read(const struct check_machine *, const char *path, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with its length, for files with NULs. */
char *check_read_bytes(const struct check_machine *, size_t *len,
    const char *path, ...) __attribute__((format(printf, 3, 4)));

/* The number in a file; false with errno, EINVAL where there is none. */
bool check_number(const struct check_machine *, uint64_t *,
    const char *path, ...) __attribute__((format(printf, 3, 4)));

bool check_exists(const struct check_machine *, const char *path, ...)
    __attribute__((format(printf, 2, 3)));

/* Where a symbolic link points to; the caller's, or NULL with errno. */
char *check_link(const struct check_machine *, const char *path, ...)
    __attribute__((format(printf, 2, 3)));

/* Each name in a directory, until one makes `found` return true; whether one
 * did.  A directory that cannot be read is empty. */
bool check_each(const struct check_machine *, const char *path,
    bool (*found)(void *user, const char *name), void *user);

#endif
