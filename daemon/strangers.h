/* SPDX-License-Identifier: ISC */
/*
 * Connections that have not proved anything yet, and which of them has to go
 * when there are too many.
 *
 * It is never the newcomer.  Who floods us comes back as soon as it is dropped,
 * so if newcomers were (OpenSSH does so, at random and early), a proxy that
 * starts meanwhile would need as many attempts as everybody else: minutes.  Of
 * those that are there, one has to go that has said nothing worth an answer,
 * from the source that has most of them, at random.  An honest proxy's hello
 * comes right behind its connection, so it is among those for a moment only,
 * and one of few from where it is.
 */
#ifndef STRANGERS_H
#define STRANGERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/list.h"

#define STRANGERS_OF_ONE 16	/* of one address, or /64 */
#define STRANGERS_MAX 400	/* where there are descriptors for them */

struct strangers;

/* One, embedded in its owner's object. */
struct stranger {
	struct list list;
	struct addr source;
	bool answered;		/* its hello was worth that */
};

/* `most` at a time, within STRANGERS_MAX; `seed` is random.  NULL if out of
 * memory; strangers_free() accepts NULL. */
struct strangers *strangers_new(size_t most, uint64_t seed);
void strangers_free(struct strangers *);

/* Who has to go before another one from `source` may come; the caller ends and
 * removes it.  NULL: nobody.  `random` chooses among equals. */
struct stranger *strangers_victim(const struct strangers *,
    const struct addr *source, uint64_t random);

/* 0 or -ENOMEM. */
int strangers_add(struct strangers *, struct stranger *,
    const struct addr *source);
void strangers_remove(struct strangers *, struct stranger *);

size_t strangers_count(const struct strangers *);

#endif
