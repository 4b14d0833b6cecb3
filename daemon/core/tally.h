/* SPDX-License-Identifier: ISC */
/*
 * How many of something each source address has: sessions of a client,
 * greetings of a stranger.  IPv6 sources are told apart by a prefix, since
 * one machine may have any number of addresses in its own.
 */
#ifndef CORE_TALLY_H
#define CORE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

struct tally;

/* `v6_bits` is 1 to 128.  `seed` is random, so that nobody can choose addresses
 * that end in one bucket.  NULL if out of memory; tally_free() accepts NULL. */
struct tally *tally_new(uint8_t v6_bits, uint64_t seed);
void tally_free(struct tally *);

/* One more; 0 or -ENOMEM.  One less, of what was added before. */
int tally_add(struct tally *, const struct addr *);
void tally_remove(struct tally *, const struct addr *);

uint32_t tally_count(const struct tally *, const struct addr *);
/* Of all sources together. */
size_t tally_total(const struct tally *);

#endif
