/* SPDX-License-Identifier: ISC */
/*
 * The socket of roroctl: a stream socket in the file system.  One line comes
 * (core/request.h), one JSON document goes back, and that is all of a
 * connection.
 *
 * Whoever may open the socket is trusted with what he asks, not with how: there
 * are CONTROL_MAX connections at a time, each has CONTROL_S to ask and as long
 * to take the answer.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/request.h"

#define CONTROL_MAX 8
#define CONTROL_S 5.

struct control;

struct control_options {
	struct ev_loop *loop;
	const char *path, *group;	/* of the configuration; group may be
					 * NULL */
	uid_t uid;			/* whom the daemon will be, */
	gid_t gid;			/* and with which group */
	/* The answer: a document, allocated; NULL: out of memory.  `wrong` is
	 * what was wrong with the request, or NULL. */
	char *(*on_request)(void *user, const struct request *,
	    const char *wrong);
	void *user;
	/* Is the daemon that gives this answer to "status" about to end, so
	 * that we may have its socket? */
	bool (*gives_way)(const char *answer);
};

/* Makes the directory and sees whether the socket may be ours: one on which
 * nobody listens may, and that of a daemon that is about to end, which is
 * asked.  NULL with one sentence in the `size` bytes at `error`.
 * control_free() removes the socket if it may, and accepts NULL; not from
 * inside on_request(). */
struct control *control_new(const struct control_options *, char *error,
    size_t size);

/* Takes it and listens, with file modes as rorod.conf(5) has them; to be called
 * before privileges are dropped, but when all else has started: who had it can
 * be asked no longer.  false with one sentence at `error`. */
bool control_listen(struct control *, char *error, size_t size);
void control_free(struct control *);

#endif
