/* SPDX-License-Identifier: ISC */
#include "peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bucket.h"
#include "core/list.h"

struct peer {
	struct list list;
	const struct peers *all;
	char *name;
	const struct config_peer *config;	/* NULL: it is gone */
	struct budget budget;			/* its memory */
	struct traffic traffic;
	struct repeats repeats;
	struct bucket bucket;			/* new sessions */
	struct peer_counters counters;
	struct log_limit limits[PEER_NLINES];
};

struct peers {
	struct budget *memory;
	struct traffic *traffic;
	const struct config *config;		/* NULL before the first */
	struct list all;
};

struct peers *
peers_new(struct budget *memory, struct traffic *traffic)
{
	struct peers *ps = calloc(1, sizeof(*ps));

	if (ps == NULL)
		return NULL;
	ps->memory = memory;
	ps->traffic = traffic;
	list_init(&ps->all);
	return ps;
}

/* ---- configuration ---- */

static struct peer *
find(const struct peers *ps, const char *name)
{
	struct list *node;

	list_each(node, &ps->all) {
		struct peer *p = list_object(node, struct peer, list);

		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

/* 0: no limit of its own.  Where there are others, nobody may keep them from
 * all that there is. */
static uint64_t
memory_of(const struct peers *ps, const struct config_peer *c)
{
	if (c->memory_bytes == 0 && ps->config->npeers > 1)
		return ps->memory->limit_bytes / 2;
	return c->memory_bytes;
}

static void
add_peer(struct peers *ps, const struct config_peer *c, uint64_t now)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->name = strdup(c->name)) == NULL) {
		log_error("peer \"%s\": out of memory: it is left out",
		    c->name);
		free(p);
		return;
	}
	p->all = ps;
	p->config = c;
	p->traffic.parent = ps->traffic;
	p->limits[PEER_LINE_LOST].burst = 20;
	p->limits[PEER_LINE_UP].burst = 50;
	budget_init_part(&p->budget, memory_of(ps, c), ps->memory);
	bucket_init(&p->bucket, c->new_sessions_per_s, now);
	list_append(&ps->all, &p->list);
}

void
peers_configure(struct peers *ps, const struct config *config, uint64_t now)
{
	struct list *node;

	ps->config = config;
	list_each(node, &ps->all)
		list_object(node, struct peer, list)->config = NULL;
	for (size_t i = 0; i < config->npeers; i++) {
		const struct config_peer *c = &config->peers[i];
		struct peer *p = find(ps, c->name);

		if (p == NULL) {
			add_peer(ps, c, now);
			continue;
		}
		p->config = c;
		p->budget.limit_bytes = memory_of(ps, c);
		bucket_configure(&p->bucket, c->new_sessions_per_s, now);
	}
}

static void
free_peer(struct peer *p)
{
	assert(p->counters.sessions == 0 && p->counters.subflows == 0 &&
	    p->counters.groups == 0);
	budget_end(&p->budget);
	list_unlink(&p->list);
	free(p->name);
	free(p);
}

void
peers_forget(struct peers *ps)
{
	struct list *node, *after;

	list_each_safe(node, after, &ps->all) {
		struct peer *p = list_object(node, struct peer, list);

		if (p->config == NULL)
			free_peer(p);
	}
}

void
peers_free(struct peers *ps)
{
	struct list *node;

	if (ps == NULL)
		return;
	while ((node = list_first(&ps->all)) != NULL)
		free_peer(list_object(node, struct peer, list));
	free(ps);
}

struct peer *
peers_at(const struct peers *ps, size_t index)
{
	return find(ps, ps->config->peers[index].name);
}

/* ---- one ---- */

const char *
peer_name(const struct peer *p)
{
	return p->name;
}

const struct config_peer *
peer_config(const struct peer *p)
{
	return p->config;
}

struct budget *
peer_budget(struct peer *p)
{
	return &p->budget;
}

struct traffic *
peer_traffic(struct peer *p)
{
	return &p->traffic;
}

struct repeats *
peer_repeats(struct peer *p)
{
	return &p->repeats;
}

const struct peer_counters *
peer_counters(const struct peer *p)
{
	return &p->counters;
}

struct log_limit *
peer_limit(struct peer *p, enum peer_line line)
{
	return &p->limits[line];
}

uint32_t
peer_max_sessions(const struct peer *p, uint32_t all)
{
	uint32_t own = p->config->max_sessions;

	if (own == 0 && p->all->config->npeers > 1)
		own = all > 1 ? all / 2 : 1;
	return own != 0 && own < all ? own : all;
}

/* NULL, or the option that refuses it. */
static const char *
refuses_session(struct peer *p, uint32_t all, uint64_t now)
{
	if (p->counters.sessions >= peer_max_sessions(p, all))
		return "max-sessions";
	return bucket_take(&p->bucket, now) ? NULL : "new-sessions";
}

const char *
peer_take_session(struct peer *p, uint32_t all, uint64_t now)
{
	const char *refused = refuses_session(p, all, now);

	if (refused != NULL) {
		p->counters.sessions_refused++;
		return refused;
	}
	p->counters.sessions++;
	p->counters.sessions_taken++;
	return NULL;
}

void
peer_drop_session(struct peer *p)
{
	assert(p->counters.sessions > 0);
	p->counters.sessions--;
}

const char *
peer_may_attach(const struct peer *p, bool replaces)
{
	uint32_t most = p->config->max_subflows + (replaces ? 1 : 0);

	return p->counters.subflows < most ? NULL : "max-subflows";
}

void
peer_take_subflow(struct peer *p)
{
	p->counters.subflows++;
}

void
peer_drop_subflow(struct peer *p)
{
	assert(p->counters.subflows > 0);
	p->counters.subflows--;
}

bool
peer_take_group(struct peer *p)
{
	if (p->counters.groups >= PEER_GROUPS)
		return false;
	p->counters.groups++;
	return true;
}

void
peer_drop_group(struct peer *p)
{
	assert(p->counters.groups > 0);
	p->counters.groups--;
}
