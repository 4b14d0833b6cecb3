/* SPDX-License-Identifier: ISC */
#include "strangers.h"

#include <stdlib.h>
#include <string.h>

#include "core/tally.h"

#define V6_BITS 64

struct strangers {
	size_t most;
	struct tally *sources;
	struct list all;
};

struct strangers *
strangers_new(size_t most, uint64_t seed)
{
	struct strangers *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return NULL;
	if ((st->sources = tally_new(V6_BITS, seed)) == NULL) {
		free(st);
		return NULL;
	}
	st->most = most < STRANGERS_MAX ? most : STRANGERS_MAX;
	list_init(&st->all);
	return st;
}

void
strangers_free(struct strangers *st)
{
	if (st == NULL)
		return;
	tally_free(st->sources);
	free(st);
}

/* All addresses that count as this one. */
static struct addr_prefix
neighbours(const struct addr *a)
{
	struct addr_prefix p = { .family = a->family,
		.length = a->family == 4 ? 32 : V6_BITS };

	memcpy(p.ip, a->ip, p.length / 8);
	return p;
}

/* Who has the highest goes first. */
static uint32_t
rank(const struct strangers *st, const struct stranger *s)
{
	return tally_count(st->sources, &s->source) +
	    (s->answered ? 0 : STRANGERS_OF_ONE);
}

/* splitmix64 */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

struct stranger *
strangers_victim(const struct strangers *st, const struct addr *source,
    uint64_t random)
{
	const struct addr_prefix same = neighbours(source);
	bool full = tally_total(st->sources) >= st->most;
	bool of_one = tally_count(st->sources, source) >= STRANGERS_OF_ONE;
	struct stranger *victim = NULL;
	uint32_t highest = 0;
	uint64_t equal = 0;
	struct list *node;

	if (!full && !of_one)
		return NULL;
	list_each(node, &st->all) {
		struct stranger *s = list_object(node, struct stranger, list);
		uint32_t r;

		if (of_one && !addr_prefix_holds(&same, &s->source))
			continue;
		if ((r = rank(st, s)) < highest)
			continue;
		if (r > highest) {
			highest = r;
			equal = 0;
		}
		/* The n-th of equals takes the place with a chance of 1/n. */
		if (next_random(&random) % ++equal == 0)
			victim = s;
	}
	return victim;
}

int
strangers_add(struct strangers *st, struct stranger *s,
    const struct addr *source)
{
	int error = tally_add(st->sources, source);

	if (error != 0)
		return error;
	s->source = *source;
	s->answered = false;
	list_append(&st->all, &s->list);
	return 0;
}

void
strangers_remove(struct strangers *st, struct stranger *s)
{
	tally_remove(st->sources, &s->source);
	list_unlink(&s->list);
}

size_t
strangers_count(const struct strangers *st)
{
	return tally_total(st->sources);
}
