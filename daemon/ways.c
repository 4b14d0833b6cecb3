/* SPDX-License-Identifier: ISC */
/*
 * TCP does not notice that its interface or its address is gone: it goes on
 * sending into nothing.  So all of them are looked at when the kernel says that
 * something has changed.
 *
 * An interface may come before its addresses, and not all at once.  So another
 * address on the interface is as good as another interface.
 */
#include "ways.h"

#include <stdlib.h>

#include "net/ifaces.h"
#include "net/log.h"
#include "net/origdst.h"
#include "notice.h"

struct way {
	const char *missing;
	uint64_t print;			/* of what it has */
	bool came;
};

struct ways {
	struct notice *notice;
	struct ifaces *ifaces;		/* NULL: not known */
	const struct config_relay *relay;
	uint8_t family;			/* of its address; 0: not known */
	void (*on_change)(void *);
	void *user;
	size_t count;
	struct way ways[];
};

static void
look_at(struct ways *w, size_t path)
{
	const struct config_path *c = &w->relay->paths[path];
	struct way *way = &w->ways[path];
	const char *missing = ifaces_missing(w->ifaces, c->interface,
	    &c->source, w->family);
	uint64_t print = ifaces_print(w->ifaces, c->interface);
	static struct log_limit limit = { .burst = 50 };

	way->came = missing == NULL &&
	    (way->missing != NULL || print != way->print);
	way->print = print;
	if (missing == way->missing)
		return;
	if (missing != NULL)
		log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\" path "
		    "\"%s\": %s", w->relay->name, c->name, missing);
	else
		log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\" path "
		    "\"%s\": there is a way again", w->relay->name, c->name);
	way->missing = missing;
}

static void
look(struct ways *w)
{
	ifaces_free(w->ifaces);
	w->ifaces = ifaces_look();
	for (size_t i = 0; i < w->count; i++)
		look_at(w, i);
}

static void
on_notice(void *user)
{
	struct ways *w = user;

	look(w);
	w->on_change(w->user);
}

struct ways *
ways_new(struct ev_loop *loop, const struct config_relay *relay,
    uint8_t family, void (*on_change)(void *), void *user)
{
	struct ways *w = calloc(1, sizeof(*w) +
	    relay->npaths * sizeof(w->ways[0]));

	if (w == NULL)
		return NULL;
	w->relay = relay;
	w->family = family;
	w->count = relay->npaths;
	w->on_change = on_change;
	w->user = user;
	w->notice = notice_new(loop, on_notice, w);
	if (w->notice == NULL) {
		free(w);
		return NULL;
	}
	look(w);
	return w;
}

void
ways_free(struct ways *w)
{
	if (w == NULL)
		return;
	notice_free(w->notice);
	ifaces_free(w->ifaces);
	free(w);
}

void
ways_configure(struct ways *w, const struct config_relay *relay,
    uint8_t family)
{
	w->relay = relay;
	w->family = family;
	for (size_t i = 0; i < w->count; i++)
		look_at(w, i);
}

const char *
ways_missing(const struct ways *w, size_t path)
{
	return w->ways[path].missing;
}

bool
ways_came(const struct ways *w, size_t path)
{
	return w->ways[path].came;
}

const char *
ways_lost(const struct ways *w, size_t path, int fd)
{
	const struct config_path *c = &w->relay->paths[path];
	struct addr local = { 0 };
	const char *why;

	/* (The relay may have another address by now.) */
	if (origdst_local(fd, &local) != 0)
		local.family = 0;
	why = ifaces_missing(w->ifaces, c->interface, &c->source,
	    local.family);
	if (why == NULL && local.family != 0 &&
	    !ifaces_have(w->ifaces, &local))
		return "its address is gone";
	return why;
}
