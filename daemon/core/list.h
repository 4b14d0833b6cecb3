/* SPDX-License-Identifier: ISC */
/*
 * Intrusive doubly linked lists: a node is embedded in its object, an empty
 * list or an unlinked node points to itself, so unlinking twice is harmless.
 */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

/* The object of `type` whose member `field` is the node. */
#define list_object(node, type, field) \
	((type *)(void *)((char *)(node) - offsetof(type, field)))

#define list_each(node, head) \
	for ((node) = (head)->next; (node) != (head); (node) = (node)->next)

/* `node` may be unlinked in the body. */
#define list_each_safe(node, after, head) \
	for ((node) = (head)->next; \
	    (after) = (node)->next, (node) != (head); (node) = (after))

static inline void
list_init(struct list *node)
{
	node->prev = node->next = node;
}

static inline bool
list_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool
list_linked(const struct list *node)
{
	return node->next != node;
}

static inline void
list_unlink(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline void
list_insert_before(struct list *at, struct list *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void
list_append(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

static inline void
list_prepend(struct list *head, struct list *node)
{
	list_insert_before(head->next, node);
}

/* NULL when empty. */
static inline struct list *
list_first(const struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

#endif
