/* SPDX-License-Identifier: ISC */
/*
 * One list for the process, which has one loop.  Prepare watchers run before
 * the loop blocks, when no other callback is on the stack.
 */
#include "net/reap.h"

#include <stddef.h>

static struct reap_entry *first;
static struct reap_entry **last = &first;
static ev_prepare prepare;

static void
free_all(void)
{
	struct reap_entry *entry;

	/* In the order of their deaths; free() may add more. */
	while ((entry = first) != NULL) {
		first = entry->next;
		if (first == NULL)
			last = &first;
		entry->free(entry);
	}
}

static void
on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	free_all();
}

void
reap_start(struct ev_loop *loop)
{
	ev_prepare_init(&prepare, on_prepare);
	ev_prepare_start(loop, &prepare);
	ev_unref(loop);		/* nobody waits for it */
}

void
reap_later(struct reap_entry *entry, void (*free)(struct reap_entry *))
{
	entry->next = NULL;
	entry->free = free;
	*last = entry;
	last = &entry->next;
}

void
reap_stop(struct ev_loop *loop)
{
	if (ev_is_active(&prepare)) {
		ev_ref(loop);
		ev_prepare_stop(loop, &prepare);
	}
	free_all();
}
