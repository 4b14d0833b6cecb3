/* SPDX-License-Identifier: ISC */
/*
 * What roroctl check found, item by item, in the order in which it looked.
 *
 * Text may come from anywhere: what is not printable, or not UTF-8, becomes a
 * question mark on its way in.  Where memory runs out the process says so and
 * ends: this is a command, not a daemon.
 */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include <stddef.h>

#include "core/list.h"

enum check_status {
	CHECK_OK,
	CHECK_SKIPPED,		/* not looked at; `found` says why */
	CHECK_WARNING,
	CHECK_ERROR,
	CHECK_NSTATUS,
};

/* One line of text each, for people who are root. */
struct check_commands {
	char **lines;
	size_t n;
};

struct check_item {
	struct list list;
	const char *name;		/* for scripts: it stays */
	enum check_status status;
	char *subject;			/* an interface, a file; or NULL */
	char *found;
	char *why;			/* why that matters; or NULL */
	struct check_commands now;	/* what mends it, */
	struct check_commands keep;	/* and what makes that stay */
};

struct check_report {
	struct list items;
	unsigned count[CHECK_NSTATUS];
};

void check_report_init(struct check_report *);
void check_report_free(struct check_report *);

/* Of what was added: 0, 1 if there is a warning, 2 if there is an error. */
int check_exit_status(const struct check_report *);

/* "ok", ... */
const char *check_status_text(enum check_status);

/* A new item, with what was found; `subject` may be NULL or empty.  The
 * report's. */
struct check_item *check_add(struct check_report *, enum check_status,
    const char *name, const char *subject, const char *found, ...)
    __attribute__((format(printf, 5, 6)));

/* An error is but a warning, after all: that is added to why it matters. */
void check_soften(struct check_report *, struct check_item *, const char *why);

/* Once for an item. */
void check_why(struct check_item *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* One more command. */
void check_now(struct check_item *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void check_keep(struct check_item *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The commands that set /proc/sys/PATH to `value`: now, and at every start of
 * the system. */
void check_sysctl(struct check_item *, const char *value, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- memory and text ---- */

/* Ends the process. */
_Noreturn void check_out_of_memory(void);

/* What calloc(), reallocarray() and asprintf() do, or the end. */
void *check_alloc(size_t);
void *check_grow(void *, size_t n, size_t size);
char *check_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* As one word of a shell; the caller's. */
char *check_quote(const char *);

#endif
