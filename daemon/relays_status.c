/* SPDX-License-Identifier: ISC */
/*
 * A relay is shown by the uplink that has subflows, as somebody sees it who
 * looks at its links: that of new sessions, or while the relay is about to end,
 * the one where the others finish.  What was carried is the sum of all that it
 * ever had.
 */
#include "relays_private.h"

#include "clock.h"

void
relays_remember(struct relay_entry *e, const struct uplink *u)
{
	size_t npaths = e->config->relays[e->number].npaths;
	struct uplink_state state;
	struct uplink_path path;

	if (e->before == NULL)
		return;
	uplink_state(u, &state);
	repeats_add(&e->repeats, state.repeats);
	for (size_t i = 0; i < npaths; i++) {
		uplink_path(u, i, &path);
		paths_counts_add(&e->before[i], &path.now.counts);
	}
}

static bool
has_subflow(const struct uplink *u)
{
	struct uplink_state state;

	uplink_state(u, &state);
	return state.up > 0;
}

/* NULL: there is none. */
static const struct uplink *
shown(const struct relay_entry *e)
{
	if (e->uplink != NULL && has_subflow(e->uplink))
		return e->uplink;
	for (size_t i = e->nretired; i-- > 0;)
		if (has_subflow(e->retired[i]))
			return e->retired[i];
	return e->uplink;
}

size_t
relays_count(const struct relays *r)
{
	const struct list *node;
	size_t n = r->count;

	list_each(node, &r->gone)
		n++;
	return n;
}

static struct relay_entry *
entry_of(const struct relays *r, size_t relay)
{
	struct list *node;

	if (relay < r->count)
		return r->entries[relay];
	node = list_first(&r->gone);
	while (relay-- > r->count)
		node = node->next;
	return list_object(node, struct relay_entry, list);
}

void
relays_status(struct relays *r, size_t relay, struct relays_status *s)
{
	struct relay_entry *e = entry_of(r, relay);
	uint64_t now = clock_us();
	const struct uplink *u;
	struct uplink_state retired;

	if (!e->gone)
		relays_look_at(e, now);
	*s = (struct relays_status){
		.config = &e->config->relays[e->number],
		.key = e->key,
		.removed = e->gone,
		.address = lookup_address(e->lookup),
		.up = e->up,
		.since_us = e->since_us,
		.repeats = e->repeats,
	};
	if (!e->gone) {
		s->aside_us = choice_aside_us(&r->choice, relay, now);
		s->families = r->choice.relays[relay].families;
	}
	if ((u = shown(e)) != NULL) {
		uplink_state(u, &s->uplink);
		if (e->gone) {
			s->address = uplink_address(u);
			s->families = uplink_families(u);
		}
	}
	if (e->uplink != NULL) {
		uplink_state(e->uplink, &retired);
		s->sessions = retired.sessions;
		repeats_add(&s->repeats, retired.repeats);
	}
	for (size_t i = 0; i < e->nretired; i++) {
		uplink_state(e->retired[i], &retired);
		s->sessions += retired.sessions;
		s->draining = s->draining || (retired.closing && !e->up);
		repeats_add(&s->repeats, retired.repeats);
	}
}

static void
add_uplink(struct uplink_path *to, const struct uplink *u, size_t path)
{
	struct uplink_path p;

	uplink_path(u, path, &p);
	paths_counts_add(&to->now.counts, &p.now.counts);
	to->sent_bps += p.sent_bps;
	to->received_bps += p.received_bps;
}

void
relays_path(const struct relays *r, size_t relay, size_t path,
    struct uplink_path *p)
{
	const struct relay_entry *e = entry_of(r, relay);
	const struct uplink *u = shown(e);

	*p = (struct uplink_path){ 0 };
	if (u != NULL)
		uplink_path(u, path, p);
	p->now.counts = e->before[path];
	p->sent_bps = p->received_bps = 0;
	if (e->uplink != NULL)
		add_uplink(p, e->uplink, path);
	for (size_t i = 0; i < e->nretired; i++)
		add_uplink(p, e->retired[i], path);
}
