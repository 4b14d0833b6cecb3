/* SPDX-License-Identifier: ISC */
/*
 * What an operator is told: JSON documents, of which roroctl(8) explains every
 * field.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <ev.h>
#include <stdbool.h>

#include "core/config.h"
#include "core/request.h"
#include "keyring.h"
#include "proxy.h"
#include "relay.h"

#define ANSWERS_VERSION 1		/* of the documents */

struct answers;

struct answers_options {
	struct ev_loop *loop;
	const struct config *config;	/* these two until */
	const struct keyring *keys;	/* answers_configure() */
	struct proxy *proxy;		/* one of these, */
	struct relay *relay;		/* the other is NULL */
};

/* NULL if out of memory; answers_free() accepts NULL. */
struct answers *answers_new(const struct answers_options *);
void answers_free(struct answers *);

/* After a reload. */
void answers_configure(struct answers *, const struct config *,
    const struct keyring *);

/* From now on the daemon is about to end. */
void answers_end(struct answers *);

/* Is that what this answer to "status" says? */
bool answers_ending(const char *answer);

/* Do what is asked and say what became of it; `wrong` is what was wrong with
 * the request, or NULL.  A document with a newline, the caller's to free; NULL
 * if out of memory. */
char *answers_give(struct answers *, const struct request *, const char *wrong);

#endif
