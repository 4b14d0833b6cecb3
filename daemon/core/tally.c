/* SPDX-License-Identifier: ISC */
#include "tally.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64		/* a power of two */

struct source {
	struct source *next;
	struct addr addr;	/* the bits that count; port 0 */
	uint32_t count;
};

struct tally {
	struct source **buckets;
	size_t nbuckets, nsources, total;
	uint64_t seed;
	uint8_t v6_bits;
};

static struct addr
key_of(const struct tally *t, const struct addr *a)
{
	struct addr key = { .family = a->family };

	if (a->family == 4) {
		memcpy(key.ip, a->ip, 4);
		return key;
	}
	memcpy(key.ip, a->ip, t->v6_bits / 8);
	if (t->v6_bits % 8 != 0)
		key.ip[t->v6_bits / 8] = a->ip[t->v6_bits / 8] &
		    (uint8_t)(0xff << (8 - t->v6_bits % 8));
	return key;
}

/* The finalizer of splitmix64, over the two halves of the address. */
static uint64_t
mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static struct source **
bucket(const struct tally *t, const struct addr *key)
{
	uint64_t half[2];

	memcpy(half, key->ip, sizeof(half));
	uint64_t h = mix(mix(t->seed ^ half[0]) ^ half[1]);
	return &t->buckets[h & (t->nbuckets - 1)];
}

static struct source **
find(const struct tally *t, const struct addr *a)
{
	struct addr key = key_of(t, a);
	struct source **p = bucket(t, &key);

	while (*p != NULL && !addr_same_host(&(*p)->addr, &key))
		p = &(*p)->next;
	return p;
}

/* Without memory the chains get longer, nothing worse. */
static void
grow(struct tally *t)
{
	size_t old_n = t->nbuckets;
	struct source **old = t->buckets;
	struct source **new = calloc(old_n * 2, sizeof(*new));

	if (new == NULL)
		return;
	t->buckets = new;
	t->nbuckets = old_n * 2;
	for (size_t i = 0; i < old_n; i++) {
		for (struct source *s = old[i], *after; s != NULL; s = after) {
			struct source **b = bucket(t, &s->addr);

			after = s->next;
			s->next = *b;
			*b = s;
		}
	}
	free(old);
}

struct tally *
tally_new(uint8_t v6_bits, uint64_t seed)
{
	struct tally *t = calloc(1, sizeof(*t));

	assert(v6_bits >= 1 && v6_bits <= 128);
	if (t == NULL)
		return NULL;
	t->buckets = calloc(BUCKETS_MIN, sizeof(struct source *));
	if (t->buckets == NULL) {
		free(t);
		return NULL;
	}
	t->nbuckets = BUCKETS_MIN;
	t->seed = seed;
	t->v6_bits = v6_bits;
	return t;
}

void
tally_free(struct tally *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->nbuckets; i++) {
		for (struct source *s = t->buckets[i], *after; s != NULL;
		    s = after) {
			after = s->next;
			free(s);
		}
	}
	free(t->buckets);
	free(t);
}

int
tally_add(struct tally *t, const struct addr *a)
{
	struct source **p = find(t, a);

	if (*p == NULL) {
		struct source *s = calloc(1, sizeof(*s));

		if (s == NULL)
			return -ENOMEM;
		s->addr = key_of(t, a);
		*p = s;
		s->count = 1;
		if (++t->nsources > t->nbuckets)
			grow(t);
	} else {
		(*p)->count++;
	}
	t->total++;
	return 0;
}

void
tally_remove(struct tally *t, const struct addr *a)
{
	struct source **p = find(t, a), *s = *p;

	assert(s != NULL);
	t->total--;
	if (--s->count > 0)
		return;
	*p = s->next;
	t->nsources--;
	free(s);
}

uint32_t
tally_count(const struct tally *t, const struct addr *a)
{
	const struct source *s = *find(t, a);

	return s != NULL ? s->count : 0;
}

size_t
tally_total(const struct tally *t)
{
	return t->total;
}
