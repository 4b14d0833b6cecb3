/* SPDX-License-Identifier: ISC */
/*
 * Connection numbers of a group: which session has which, and, at the relay,
 * which have ever been seen.  Numbers are consecutive from 1 and never used
 * again, so what was seen is all below a mark and a bit for each of the
 * NUMBERS_AHEAD above it; a peer opens none further ahead than that.
 */
#ifndef CORE_NUMBERS_H
#define CORE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBERS_AHEAD 65536

struct session;

struct numbers {
	struct session **table;		/* chained by hash_next */
	size_t size, used;
	uint32_t low;			/* all below were seen */
	uint8_t *seen;			/* ring of bits from there, or NULL */
};

/* `remember` what was seen.  0 or -ENOMEM. */
int numbers_init(struct numbers *, bool remember);
void numbers_clear(struct numbers *);

/* NULL: there is none, or the protocol is done with it. */
struct session *numbers_find(const struct numbers *, uint32_t number);
/* Give a session its number; take it out again (harmless without one). */
void numbers_add(struct numbers *, struct session *, uint32_t number);
void numbers_remove(struct numbers *, struct session *);

/* Was it seen, or is it further ahead than may be? */
bool numbers_seen(const struct numbers *, uint32_t number);
void numbers_mark(struct numbers *, uint32_t number);

#endif
