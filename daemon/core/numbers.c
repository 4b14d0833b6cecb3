/* SPDX-License-Identifier: ISC */
#include "numbers.h"

#include <errno.h>
#include <stdlib.h>

#include "session_private.h"

#define TABLE_MIN 64

int
numbers_init(struct numbers *n, bool remember)
{
	*n = (struct numbers){
		.table = calloc(TABLE_MIN, sizeof(*n->table)),
		.size = TABLE_MIN, .low = 1,
		.seen = remember ? calloc(1, NUMBERS_AHEAD / 8) : NULL,
	};
	if (n->table != NULL && (!remember || n->seen != NULL))
		return 0;
	numbers_clear(n);
	return -ENOMEM;
}

void
numbers_clear(struct numbers *n)
{
	free(n->table);
	free(n->seen);
	*n = (struct numbers){ .table = NULL };
}

static struct session **
bucket(const struct numbers *n, uint32_t number)
{
	return &n->table[number & (n->size - 1)];
}

struct session *
numbers_find(const struct numbers *n, uint32_t number)
{
	struct session *s = *bucket(n, number);

	while (s != NULL && s->number != number)
		s = s->hash_next;
	if (s != NULL && s->phase == PHASE_FORGOTTEN)
		return NULL;
	return s;
}

static void
grow(struct numbers *n)
{
	size_t old_size = n->size;
	struct session **old = n->table;
	struct session **new = calloc(old_size * 2, sizeof(*new));

	if (new == NULL)
		return;		/* longer chains, nothing worse */
	n->table = new;
	n->size = old_size * 2;
	for (size_t i = 0; i < old_size; i++) {
		for (struct session *s = old[i], *after; s != NULL; s = after) {
			struct session **b = bucket(n, s->number);

			after = s->hash_next;
			s->hash_next = *b;
			*b = s;
		}
	}
	free(old);
}

void
numbers_add(struct numbers *n, struct session *s, uint32_t number)
{
	if (n->used >= n->size)
		grow(n);
	struct session **b = bucket(n, number);

	s->number = number;
	s->hash_next = *b;
	*b = s;
	n->used++;
}

void
numbers_remove(struct numbers *n, struct session *s)
{
	struct session **p = bucket(n, s->number);

	if (s->number == 0)
		return;
	while (*p != s)
		p = &(*p)->hash_next;
	*p = s->hash_next;
	n->used--;
}

bool
numbers_seen(const struct numbers *n, uint32_t number)
{
	uint32_t at = number % NUMBERS_AHEAD;

	return number < n->low || number - n->low >= NUMBERS_AHEAD ||
	    (n->seen[at / 8] >> at % 8 & 1);
}

void
numbers_mark(struct numbers *n, uint32_t number)
{
	uint32_t at = number % NUMBERS_AHEAD;

	if (number < n->low || number - n->low >= NUMBERS_AHEAD)
		return;
	n->seen[at / 8] |= (uint8_t)(1 << at % 8);
	for (at = n->low % NUMBERS_AHEAD; n->seen[at / 8] >> at % 8 & 1;
	    at = n->low % NUMBERS_AHEAD) {
		n->seen[at / 8] &= (uint8_t)~(1 << at % 8);
		n->low++;
	}
}
