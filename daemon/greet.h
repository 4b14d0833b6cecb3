/* SPDX-License-Identifier: ISC */
/*
 * The first word that comes over a connection: the magic of the extended
 * protocol, or a connection number of the base protocol.
 *
 * The first byte tells them apart, since our relay gives no number that begins
 * as the magic does.
 */
#ifndef GREET_H
#define GREET_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/wire_hello.h"

#define GREET_MAGIC (WIRE_MAGIC >> 24)	/* first byte of no number of ours */

struct greet;

struct greet_options {
	struct ev_loop *loop;
	uint32_t timeout_ms;
	bool extended;			/* it may also be that */
	/* Once, never from inside greet_start(); the greet is over.  `fd` is
	 * the caller's again, and `word` was read from it; or it begins with
	 * GREET_MAGIC and `extended` is set, then nothing was read and `word`
	 * is WIRE_MAGIC.  -1: it was closed, `error` is -errno (0: by the other
	 * end). */
	void (*on_word)(void *user, int fd, uint32_t word, int error);
	void *user;
};

/* Takes `fd`, non-blocking.  From now on closing it resets.  NULL if out of
 * memory: then it is closed. */
struct greet *greet_start(int fd, const struct greet_options *);
/* Close it without a word to anybody.  NULL is accepted. */
void greet_cancel(struct greet *);
/* End it now, without on_word; not with `extended`.  If the word is there, it
 * is read, and the descriptor, which is returned, is the caller's again.  -1:
 * it was closed.  NULL is accepted. */
int greet_take(struct greet *, uint32_t *word);

/* Send a word, the first thing on a connection.  0, or -errno. */
int greet_send(int fd, uint32_t word);

/* Close it with a reset. */
void greet_refuse(int fd);

#endif
