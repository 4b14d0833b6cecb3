/* SPDX-License-Identifier: ISC */
#include "told.h"

#include <string.h>

#define NEWER 16		/* one of so many fills has more */
#define NEWER_MAX 2000

static bool
equal(const struct wire_path *a, const struct wire_path *b)
{
	return a->backup == b->backup && a->weight == b->weight &&
	    a->receive_kbit == b->receive_kbit;
}

static bool
is_up(const struct link *l, int side)
{
	return l->state[side] == END_ATTACHED;
}

static bool
path_is_up(const struct world *w, uint8_t path, const struct link *but)
{
	for (size_t i = 0; i < w->nlinks; i++)
		if (w->links[i] != but && is_up(w->links[i], PROXY) &&
		    link_plan(w, w->links[i])->path == path)
			return true;
	return false;
}

/* ---- what is owed ---- */

void
told_start(struct world *w)
{
	for (int i = 0; i < SIM_PATHS; i++)
		w->told[i] = (struct told){
			.is = { .weight = WIRE_WEIGHT_MAX },
			.news = { .weight = WIRE_WEIGHT_MAX },
		};
}

void
told_configured(struct world *w)
{
	for (uint8_t i = 0; i < SIM_PATHS; i++) {
		const struct wire_path *is = &w->plan.paths[w->reloaded][i];

		if (equal(is, &w->told[i].is))
			continue;
		w->told[i].is = *is;
		w->told[i].said = true;
		for (size_t k = 0; k < w->nlinks; k++)
			if (is_up(w->links[k], PROXY) &&
			    link_plan(w, w->links[k])->path == i)
				w->links[k]->path_owed = true;
	}
}

void
told_attached(struct world *w, struct link *l, int side)
{
	uint8_t path = link_plan(w, l)->path;

	if (side == RELAY)
		return;
	l->path_owed = w->told[path].said;
	for (size_t i = 0; i < w->nlinks; i++)
		w->links[i]->lost_owed[path] = false;
}

void
told_closed(struct world *w, struct link *l, int side)
{
	uint8_t path = link_plan(w, l)->path;

	if (side == RELAY || path_is_up(w, path, l))
		return;
	for (size_t i = 0; i < w->nlinks; i++)
		if (w->links[i] != l && is_up(w->links[i], PROXY))
			w->links[i]->lost_owed[path] = true;
}

void
told_settled(struct world *w, int side)
{
	struct group *group = w->sides[side].group;
	int path;

	while (side == RELAY && (path = group_path_news(group)) >= 0) {
		if (path >= SIM_PATHS)
			world_fail(w, "the relay hears of path %d", path);
		w->told[path].news = group_path_said(group, (uint8_t)path);
		group_path_rate(group, (uint8_t)path,
		    w->told[path].news.receive_kbit * UINT64_C(125));
	}
	if (side == RELAY || !links_all_open(w, side))
		return;
	for (size_t i = 0; i < w->nlinks; i++) {
		const struct link *l = w->links[i];

		if (!is_up(l, PROXY))
			continue;
		if (l->path_owed)
			world_fail(w, "link %zu could say what its path is, "
			    "and does not", i);
		for (int k = 0; k < SIM_PATHS; k++)
			if (l->lost_owed[k])
				world_fail(w, "link %zu could say that path %d"
				    " is lost, and does not", i, k);
	}
}

/* ---- frames ---- */

/* It is in use, and nothing is known against it. */
static bool
is_better(const struct world *w, const struct link *l)
{
	const struct group *relay = w->sides[RELAY].group;

	return is_up(l, RELAY) && l->lost_at == 0 &&
	    group_subflow_used(relay, l->number[RELAY]) &&
	    !group_subflow_suspect(relay, l->number[RELAY]);
}

static void
relay_sent(struct world *w, const struct link *l, const struct wire_header *h)
{
	if (h->type == WIRE_PATH || h->type == WIRE_LOST)
		world_fail(w, "the relay says something of a path");
	if (l->lost_at == 0 || (h->type != WIRE_DATA && h->type != WIRE_FIN))
		return;
	for (size_t i = 0; i < w->nlinks; i++)
		if (is_better(w, w->links[i]))
			world_fail(w, "the relay sends %s over link %zu, whose"
			    " path is said to be lost", wire_type_text(h->type),
			    l->index);
}

static void
proxy_sent(struct world *w, struct link *l, const struct wire_header *h,
    const uint8_t *body)
{
	struct wire_path path;
	uint8_t lost;

	if (h->type == WIRE_PATH) {
		if (!wire_get_path(h, body, &path) ||
		    !equal(&path, &w->told[link_plan(w, l)->path].is))
			world_fail(w, "link %zu says of its path what is not "
			    "so", l->index);
		if (!l->path_owed)
			world_fail(w, "link %zu says again what its path is",
			    l->index);
		l->path_owed = false;
	}
	if (h->type == WIRE_LOST) {
		if (!wire_get_lost(h, body, &lost) || lost >= SIM_PATHS ||
		    !l->lost_owed[lost])
			world_fail(w, "link %zu says that a path is lost, and "
			    "it is not", l->index);
		l->lost_owed[lost] = false;
	}
}

void
told_sent(struct world *w, struct link *l, int side, const uint8_t *bytes,
    size_t len)
{
	struct cursor c = { bytes, bytes + len };
	struct wire_header h;

	for (; wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size)
		if (side == RELAY)
			relay_sent(w, l, &h);
		else
			proxy_sent(w, l, &h, c.pos);
}

static void
take_lost(struct world *w, uint8_t path)
{
	world_say(w, "relay: path %u is lost", path);
	w->totals.paths_lost++;
	for (size_t i = 0; i < w->nlinks; i++) {
		struct link *l = w->links[i];

		if (is_up(l, RELAY) && l->lost_at == 0 &&
		    link_plan(w, l)->path == path)
			l->lost_at = w->now;
	}
}

void
told_arrived(struct world *w, struct link *l, int side, const uint8_t *bytes,
    size_t len)
{
	struct cursor c = { bytes, bytes + len };
	struct wire_header h;
	uint8_t lost;

	if (side != RELAY)
		return;
	for (; wire_get_header(&c, &h) == WIRE_OK &&
	    h.size <= c.end - c.pos; c.pos += h.size) {
		if (h.type == WIRE_LOST && wire_get_lost(&h, c.pos, &lost))
			take_lost(w, lost);
		/* Asked since then: it lives. */
		if (h.type == WIRE_PONG && wire_body_u64(c.pos) >= l->lost_at)
			l->lost_at = 0;
	}
}

/* ---- other versions ---- */

/* A frame that we do not know, and may skip. */
static size_t
newer(struct world *w, uint8_t *p, size_t room)
{
	struct random *r = &w->random;
	size_t size = (size_t)random_log(r, 1, NEWER_MAX) - 1;

	if (WIRE_HEADER + size > room)
		return 0;
	p[0] = (uint8_t)random_range(r, WIRE_LOST + 1, 255);
	p[1] = (uint8_t)random_next(r);
	p[2] = (uint8_t)(size >> 8);
	p[3] = (uint8_t)size;
	memset(p + 4, 0, 8);
	p[7] = (uint8_t)random_range(r, 0, 8);	/* a session, or none */
	memset(p + WIRE_HEADER, (int)size & 255, size);
	return WIRE_HEADER + size;
}

/* Without the frames that may be skipped. */
static size_t
older(uint8_t *bytes, size_t len)
{
	struct cursor c = { bytes, bytes + len };
	struct wire_header h;
	uint8_t *to = bytes;

	for (;;) {
		const uint8_t *from = c.pos;

		if (wire_get_header(&c, &h) != WIRE_OK)
			break;
		c.pos += h.size;
		if (h.type >= WIRE_OPTIONAL)
			continue;
		memmove(to, from, (size_t)(c.pos - from));
		to += c.pos - from;
	}
	return (size_t)(to - bytes);
}

size_t
told_versions(struct world *w, int side, uint8_t *bytes, size_t len,
    size_t room)
{
	if (w->plan.older[!side])
		len = older(bytes, len);
	if (w->plan.newer[side] && random_once_in(&w->random, NEWER))
		len += newer(w, bytes + len, room - len);
	return len;
}

/* ---- the end ---- */

static bool
lives(const struct link *l)
{
	return !l->dead && is_up(l, PROXY) && is_up(l, RELAY);
}

void
told_check(const struct world *w)
{
	struct group *relay = w->sides[RELAY].group;
	bool others = false, suspect = false;

	if (w->plan.older[RELAY])
		return;
	for (size_t i = 0; i < w->nlinks; i++) {
		const struct link *l = w->links[i];

		if (!is_up(l, RELAY))
			continue;
		others = others || !w->told[link_plan(w, l)->path].is.backup;
		/* (Nobody has looked since all was over.) */
		suspect = suspect ||
		    group_subflow_suspect(relay, l->number[RELAY]);
	}
	for (size_t i = 0; i < w->nlinks; i++) {
		const struct link *l = w->links[i];
		uint8_t path = link_plan(w, l)->path;
		const struct told *t = &w->told[path];
		struct wire_path said = group_path_said(relay, path);

		if (!lives(l))
			continue;
		if (!equal(&said, &t->is) || !equal(&t->news, &t->is))
			world_fail(w, "the relay does not know what path %u is",
			    path);
		if (!suspect && !(t->is.backup && others) &&
		    !group_path_poor(relay, path) &&
		    !group_subflow_used(relay, l->number[RELAY]))
			world_fail(w, "the relay does not use link %zu again",
			    i);
	}
}
