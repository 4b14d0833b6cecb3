/* SPDX-License-Identifier: ISC */
#include "relays.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "core/choice.h"
#include "core/gate.h"
#include "core/list.h"
#include "net/log.h"
#include "relays_private.h"

#define TICK_S 1.
#define DOUBT_US UINT64_C(3000000)

#define PAUSE_US UINT64_C(1000000) /* between the beginnings of two uplinks */

static_assert(CONFIG_RELAYS_MAX <= CHOICE_MAX, "each can be chosen");

const char *
relays_name(const struct relay_entry *e)
{
	return e->config->relays[e->number].name;
}

/* ---- uplinks ---- */

static void on_closing(void *, struct uplink *);
static void on_idle(void *, struct uplink *);

static struct uplink *
make_uplink(struct relay_entry *e, uint64_t begin_us)
{
	const struct relays_options *o = &e->relays->options;

	return uplink_new(&(struct uplink_options){
		.loop = o->loop,
		.hangup = o->hangup,
		.quota = o->quota,
		.config = e->config,
		.relay = e->number,
		.key = e->key,
		.address = lookup_address(e->lookup),
		.begin_us = begin_us,
		.on_closing = on_closing,
		.on_idle = on_idle,
		.user = e,
	});
}

static void
drop_retired(struct relay_entry *e, size_t i)
{
	relays_remember(e, e->retired[i]);
	uplink_free(e->retired[i]);
	e->nretired--;
	for (; i < e->nretired; i++)
		e->retired[i] = e->retired[i + 1];
}

/* If we are out of memory on_tick() tries again. */
static void
on_closing(void *user, struct uplink *u)
{
	struct relay_entry *e = user;
	struct uplink **retired, *new;
	uint64_t now = clock_us(), begin_us = e->begun_us + PAUSE_US;

	if (u != e->uplink)
		return;
	retired = realloc(e->retired, (e->nretired + 1) * sizeof(*retired));
	if (retired == NULL)
		return;
	e->retired = retired;
	if (begin_us < now)
		begin_us = now;
	if ((new = make_uplink(e, begin_us)) == NULL)
		return;
	e->begun_us = begin_us;
	e->retired[e->nretired++] = u;
	e->uplink = new;
	uplink_drain(u);
}

bool
relays_has_uplinks(const struct relay_entry *e)
{
	return e->uplink != NULL || e->nretired > 0;
}

static bool
is_idle(const struct relays *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (relays_has_uplinks(r->entries[i]))
			return false;
	return list_empty(&r->gone);
}

void
relays_free_entry(struct relay_entry *e)
{
	if (e == NULL)
		return;
	uplink_free(e->uplink);
	while (e->nretired > 0)
		drop_retired(e, 0);
	free(e->retired);
	free(e->before);
	lookup_free(e->lookup);
	list_unlink(&e->list);
	if (e->gone) {
		config_free(e->config);
		keyring_free(e->keys);
	}
	free(e);
}

static void
on_idle(void *user, struct uplink *u)
{
	struct relay_entry *e = user;
	struct relays *r = e->relays;

	if (u == e->uplink) {
		relays_remember(e, u);
		uplink_free(u);
		e->uplink = NULL;
	} else {
		for (size_t i = 0; i < e->nretired; i++)
			if (e->retired[i] == u) {
				drop_retired(e, i);
				break;
			}
	}
	if (e->gone && !relays_has_uplinks(e))
		relays_free_entry(e);
	if (r->draining && is_idle(r))
		r->options.on_idle(r->options.user);
}

/* Where sessions only finish, their group is at the old address alone: an
 * uplink that has one keeps it. */
static void
configure_uplink(struct relay_entry *e, struct uplink *u)
{
	struct addr address = uplink_address(u);

	if (address.family == 0 || (u == e->uplink && !e->gone))
		address = lookup_address(e->lookup);
	uplink_configure(u, e->config, e->number, e->key, address);
}

void
relays_configure_uplinks(struct relay_entry *e)
{
	if (e->uplink != NULL)
		configure_uplink(e, e->uplink);
	for (size_t i = 0; i < e->nretired; i++)
		configure_uplink(e, e->retired[i]);
}

/* ---- health ---- */

static unsigned
family_of(const struct wire_open *open)
{
	return open->destination.family == 6 ? GATE_IPV6 : GATE_IPV4;
}

static bool
does_another(const struct relay_entry *e)
{
	const struct relays *r = e->relays;

	for (size_t i = 0; i < r->count; i++)
		if (i != e->number && r->entries[i]->up)
			return true;
	return false;
}

static void
log_turn(const struct relay_entry *e, uint64_t now)
{
	static struct log_limit limit = { .burst = 20 };
	uint64_t aside = choice_aside_us(&e->relays->choice, e->number, now);
	bool another = does_another(e);

	if (e->relays->count == 1 || e->relays->draining)
		return;
	if (!e->up)
		log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": lost: %s",
		    relays_name(e), another ? "new sessions go to another" :
		    "no other one answers");
	else if (aside == 0 || !another)
		log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\": it answers",
		    relays_name(e));
	else
		log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\": it is back: "
		    "others are preferred for %lu s", relays_name(e),
		    (unsigned long)(aside / 1000000));
}

void
relays_look_at(struct relay_entry *e, uint64_t now)
{
	struct choice *choice = &e->relays->choice;
	bool up;

	e->answer = e->uplink != NULL ? uplink_answers(e->uplink) : UPLINK_GONE;
	up = e->answer == UPLINK_ANSWERS;
	choice_tell(choice, e->number, up, now);
	if (e->uplink != NULL) {
		choice->relays[e->number].families =
		    uplink_families(e->uplink);
		choice->relays[e->number].full = uplink_is_full(e->uplink);
	}
	if (up == e->up)
		return;
	e->up = up;
	e->since_us = now;
	log_turn(e, now);
}

/* Where one goes that waits for a relay that does not answer. */
static struct uplink *
elsewhere(void *user, const struct wire_open *open)
{
	struct relays *r = user;
	uint64_t now = clock_us();
	int i = choice_look(&r->choice, family_of(open), 0, now);

	if (i == -1 || !r->entries[i]->up || r->choice.relays[i].full ||
	    uplink_is_full(r->entries[i]->uplink))
		return NULL;
	(void)choice_pick(&r->choice, family_of(open), 0, now);
	return r->entries[i]->uplink;
}

/* And one that is gone without a word is not waited for. */
static void
look_at_retired(struct relay_entry *e)
{
	if (e->uplink != NULL && (e->gone || !e->up))
		uplink_move(e->uplink, elsewhere, e->relays);
	if (e->uplink != NULL && e->gone)
		(void)uplink_answers(e->uplink);
	for (size_t i = 0; i < e->nretired; i++) {
		uplink_move(e->retired[i], elsewhere, e->relays);
		(void)uplink_answers(e->retired[i]);
	}
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct relays *r = w->data;
	struct uplink_state state;
	struct list *node;

	(void)loop;
	(void)revents;
	(void)relays_look(r, &(unsigned){ 0 }, &(bool){ false });
	for (size_t i = 0; i < r->count; i++) {
		struct relay_entry *e = r->entries[i];

		if (e->uplink != NULL)
			lookup_tell(e->lookup, e->up);
		if (e->uplink != NULL && !r->draining) {
			uplink_state(e->uplink, &state);
			if (state.closing)
				on_closing(e, e->uplink);
		}
		look_at_retired(e);
	}
	list_each(node, &r->gone)
		look_at_retired(list_object(node, struct relay_entry, list));
}

/* Silent for so short a time that it may as well be the link, and no other
 * would carry the sessions better than we do when that is back. */
static bool
is_doubtful(const struct relay_entry *e, uint64_t now)
{
	return e->answer == UPLINK_SILENT && now - e->since_us < DOUBT_US;
}

bool
relays_look(struct relays *r, unsigned *families, bool *full)
{
	uint64_t now = clock_us();
	unsigned preferred = 0, others = 0;
	bool answers = false, up = false;

	*full = true;
	for (size_t i = 0; i < r->count; i++) {
		relays_look_at(r->entries[i], now);
		answers = answers || r->entries[i]->up;
	}
	for (size_t i = 0; i < r->count; i++) {
		unsigned reached;

		if (answers ? !r->entries[i]->up :
		    !is_doubtful(r->entries[i], now))
			continue;
		up = true;
		if (r->choice.relays[i].full)
			continue;
		*full = false;
		reached = r->choice.relays[i].families;
		if (choice_aside_us(&r->choice, i, now) == 0)
			preferred |= reached;
		else
			others |= reached;
	}
	*families = preferred != 0 ? preferred : others;
	return up;
}

/* ---- sessions ---- */

static int
open_at(struct relay_entry *e, const struct wire_open *open, int fd,
    void (*on_gone)(void *, uint8_t), void *user)
{
	int error;

	if (e->uplink == NULL)
		return -ENETUNREACH;
	error = uplink_open(e->uplink, open, fd, on_gone, user);
	if (error != -ENOSPC)
		return error;
	on_closing(e, e->uplink);	/* its numbers are used up */
	return uplink_open(e->uplink, open, fd, on_gone, user);
}

/* The best one that takes it.  One that is full is no reason to wait for one
 * that is lost. */
int
relays_open(struct relays *r, const struct wire_open *open, int fd,
    void (*on_gone)(void *, uint8_t), void *user)
{
	unsigned family = family_of(open);
	int error = -ENETUNREACH, result, i;
	uint32_t tried = 0;

	(void)relays_look(r, &(unsigned){ 0 }, &(bool){ false });
	while ((i = choice_pick(&r->choice, family, tried,
	    clock_us())) != -1) {
		if (!r->entries[i]->up && error == -EAGAIN)
			break;
		result = open_at(r->entries[i], open, fd, on_gone, user);
		if (result != -ENETUNREACH && result != -EAGAIN)
			return result;
		if (result == -EAGAIN)
			error = result;
		tried |= UINT32_C(1) << i;
	}
	return error;
}

/* ---- addresses ---- */

static void
on_change(void *user)
{
	struct relay_entry *e = user;
	struct relays *r = e->relays;

	relays_configure_uplinks(e);
	r->options.on_addresses(r->options.user);
}

static size_t
add_address(struct addr *to, size_t count, struct addr a)
{
	for (size_t i = 0; i < count; i++)
		if (addr_equal(&to[i], &a))
			return count;
	if (a.family != 0 && count < RELAYS_ADDRESSES_MAX)
		to[count++] = a;
	return count;
}

/* Those of its name, and where sessions finish. */
static size_t
add_addresses(const struct relay_entry *e, struct addr *to, size_t count)
{
	const struct addr *all;
	size_t n = lookup_all(e->lookup, &all);

	for (size_t i = 0; i < n; i++)
		count = add_address(to, count, all[i]);
	if (e->uplink != NULL)
		count = add_address(to, count, uplink_address(e->uplink));
	for (size_t i = 0; i < e->nretired; i++)
		count = add_address(to, count, uplink_address(e->retired[i]));
	return count;
}

size_t
relays_addresses(const struct relays *r, struct addr *to)
{
	struct list *node;
	size_t count = 0;

	for (size_t i = 0; i < r->count; i++)
		count = add_addresses(r->entries[i], to, count);
	list_each(node, &r->gone)
		count = add_addresses(list_object(node, struct relay_entry,
		    list), to, count);
	return count;
}

/* ---- start, later, end ---- */

void
relays_configure_choice(struct relays *r)
{
	const struct config *c = r->options.config;

	r->choice.by_weight = c->choice == CONFIG_RELAYS_WEIGHT;
	for (size_t i = 0; i < r->count; i++)
		r->choice.relays[i].weight = c->relays[i].weight;
}

struct relay_entry *
relays_new_entry(struct relays *r, struct config *c, struct keyring *keys,
    size_t number)
{
	struct relay_entry *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	list_init(&e->list);
	e->relays = r;
	e->config = c;
	e->number = number;
	e->keys = keys;
	e->key = keyring_relay(keys, number);
	e->since_us = e->begun_us = clock_us();
	e->lookup = lookup_new(&(struct lookup_options){
		.loop = r->options.loop,
		.endpoint = &c->relays[number].address,
		.kind = "relay",
		.name = c->relays[number].name,
		.on_change = on_change,
		.user = e,
	});
	e->before = calloc(c->relays[number].npaths, sizeof(e->before[0]));
	if (e->lookup != NULL && e->before != NULL &&
	    (e->uplink = make_uplink(e, 0)) != NULL)
		return e;
	relays_free_entry(e);
	return NULL;
}

struct relays *
relays_new(const struct relays_options *o)
{
	struct relays *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->options = *o;
	list_init(&r->gone);
	ev_init(&r->tick, on_tick);
	r->tick.data = r;
	for (; r->count < o->config->nrelays; r->count++) {
		struct relay_entry *e = relays_new_entry(r, o->config, o->keys,
		    r->count);

		if (e == NULL) {
			relays_free(r);
			return NULL;
		}
		r->entries[r->count] = e;
	}
	choice_init(&r->choice, r->count);
	relays_configure_choice(r);
	ev_timer_set(&r->tick, TICK_S, TICK_S);
	ev_timer_start(o->loop, &r->tick);
	return r;
}

void
relays_free(struct relays *r)
{
	struct list *node, *after;

	if (r == NULL)
		return;
	ev_timer_stop(r->options.loop, &r->tick);
	for (size_t i = 0; i < r->count; i++)
		relays_free_entry(r->entries[i]);
	list_each_safe(node, after, &r->gone)
		relays_free_entry(list_object(node, struct relay_entry, list));
	free(r);
}

/* ---- the end ---- */

void
relays_drain(struct relays *r)
{
	r->draining = true;		/* (what is gone drains already) */
	for (size_t i = 0; i < r->count; i++)
		if (r->entries[i]->uplink != NULL)
			uplink_drain(r->entries[i]->uplink);
}

static void
abort_entry(struct relay_entry *e)
{
	if (e->uplink != NULL)
		uplink_abort(e->uplink);
	for (size_t i = 0; i < e->nretired; i++)
		uplink_abort(e->retired[i]);
}

void
relays_abort(struct relays *r)
{
	struct list *node;

	for (size_t i = 0; i < r->count; i++)
		abort_entry(r->entries[i]);
	list_each(node, &r->gone)
		abort_entry(list_object(node, struct relay_entry, list));
}
