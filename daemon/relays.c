/* SPDX-License-Identifier: ISC */
#include "relays.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "core/choice.h"
#include "core/gate.h"
#include "lookup.h"
#include "net/log.h"

#define TICK_S 1.
#define DOUBT_US UINT64_C(3000000)

static_assert(CONFIG_RELAYS_MAX <= CHOICE_MAX, "each can be chosen");

struct relay_entry {
	struct relays *relays;
	size_t number;
	struct lookup *lookup;
	struct uplink *uplink;		/* NULL: before start and after idle */
	struct uplink **retired;	/* that have sessions still */
	size_t nretired;
	enum uplink_answer answer;
	bool up;			/* it answers */
	uint64_t since_us;
};

struct relays {
	struct relays_options options;
	struct choice choice;
	ev_timer tick;
	bool draining;
	size_t count;
	struct relay_entry entries[];
};

static const char *
name_of(const struct relay_entry *e)
{
	return e->relays->options.config->relays[e->number].name;
}

/* ---- uplinks ---- */

static void on_closing(void *, struct uplink *);
static void on_idle(void *, struct uplink *);

static struct uplink *
make_uplink(struct relay_entry *e)
{
	const struct relays_options *o = &e->relays->options;

	return uplink_new(&(struct uplink_options){
		.loop = o->loop,
		.hangup = o->hangup,
		.quota = o->quota,
		.config = o->config,
		.keys = o->keys,
		.relay = e->number,
		.address = lookup_address(e->lookup),
		.on_closing = on_closing,
		.on_idle = on_idle,
		.user = e,
	});
}

static void
drop_retired(struct relay_entry *e, size_t i)
{
	uplink_free(e->retired[i]);
	e->nretired--;
	for (; i < e->nretired; i++)
		e->retired[i] = e->retired[i + 1];
}

static void
on_closing(void *user, struct uplink *u)
{
	struct relay_entry *e = user;
	struct uplink **retired, *new;

	if (u != e->uplink)
		return;
	retired = realloc(e->retired, (e->nretired + 1) * sizeof(*retired));
	if (retired == NULL)
		return;
	e->retired = retired;
	if ((new = make_uplink(e)) == NULL)
		return;
	e->retired[e->nretired++] = u;
	e->uplink = new;
	uplink_drain(u);
}

static bool
is_idle(const struct relays *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->entries[i].uplink != NULL ||
		    r->entries[i].nretired > 0)
			return false;
	return true;
}

static void
on_idle(void *user, struct uplink *u)
{
	struct relay_entry *e = user;
	struct relays *r = e->relays;

	if (u == e->uplink) {
		uplink_free(u);
		e->uplink = NULL;
	} else {
		for (size_t i = 0; i < e->nretired; i++)
			if (e->retired[i] == u) {
				drop_retired(e, i);
				break;
			}
	}
	if (r->draining && is_idle(r))
		r->options.on_idle(r->options.user);
}

static void
configure_uplinks(struct relay_entry *e)
{
	const struct relays_options *o = &e->relays->options;
	struct addr address = lookup_address(e->lookup);

	if (e->uplink != NULL)
		uplink_configure(e->uplink, o->config, o->keys, address);
	for (size_t i = 0; i < e->nretired; i++)
		uplink_configure(e->retired[i], o->config, o->keys, address);
}

/* ---- health ---- */

static unsigned
family_of(const struct wire_open *open)
{
	return open->destination.family == 6 ? GATE_IPV6 : GATE_IPV4;
}

static void
log_turn(const struct relay_entry *e, uint64_t now)
{
	static struct log_limit limit = { .burst = 20 };
	uint64_t aside = choice_aside_us(&e->relays->choice, e->number, now);

	if (e->relays->count == 1 || e->relays->draining)
		return;
	if (!e->up)
		log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": lost: new "
		    "sessions go to another", name_of(e));
	else if (aside > 0)
		log_limited(&limit, LOG_LEVEL_INFO, "relay \"%s\": it is back: "
		    "others are preferred for %lu s", name_of(e),
		    (unsigned long)(aside / 1000000));
}

static void
look_at(struct relay_entry *e, uint64_t now)
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
	int i = choice_pick(&r->choice, family_of(open), 0, clock_us());

	return i != -1 && r->entries[i].up && !r->choice.relays[i].full ?
	    r->entries[i].uplink : NULL;
}

static void
move_waiting(struct relays *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct relay_entry *e = &r->entries[i];

		if (e->uplink != NULL && !e->up)
			uplink_move(e->uplink, elsewhere, r);
		for (size_t j = 0; j < e->nretired; j++)
			uplink_move(e->retired[j], elsewhere, r);
	}
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct relays *r = w->data;

	(void)loop;
	(void)revents;
	(void)relays_look(r, &(unsigned){ 0 }, &(bool){ false });
	for (size_t i = 0; i < r->count; i++) {
		struct relay_entry *e = &r->entries[i];

		if (e->uplink != NULL)
			lookup_tell(e->lookup, e->up);
		/* One that is gone without a word is not waited for. */
		for (size_t j = 0; j < e->nretired; j++)
			(void)uplink_answers(e->retired[j]);
	}
	move_waiting(r);
}

/* Silent for so short a time that it may as well be the link, and no other would
 * carry the sessions better than we do when that is back. */
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
		look_at(&r->entries[i], now);
		answers = answers || r->entries[i].up;
	}
	for (size_t i = 0; i < r->count; i++) {
		unsigned reached;

		if (answers ? !r->entries[i].up :
		    !is_doubtful(&r->entries[i], now))
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
		if (!r->entries[i].up && error == -EAGAIN)
			break;
		result = open_at(&r->entries[i], open, fd, on_gone, user);
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

	configure_uplinks(e);
	r->options.on_addresses(r->options.user);
}

size_t
relays_addresses(const struct relays *r, struct addr *to)
{
	const struct addr *all;
	size_t count = 0;

	for (size_t i = 0; i < r->count; i++) {
		size_t n = lookup_all(r->entries[i].lookup, &all);

		for (size_t j = 0; j < n; j++)
			to[count++] = all[j];
	}
	return count;
}

/* ---- start, later, end ---- */

static void
configure_choice(struct relays *r)
{
	const struct config *c = r->options.config;

	r->choice.by_weight = c->choice == CONFIG_RELAYS_WEIGHT;
	for (size_t i = 0; i < r->count; i++)
		r->choice.relays[i].weight = c->relays[i].weight;
}

static bool
add_entry(struct relays *r)
{
	struct relay_entry *e = &r->entries[r->count];
	const struct config_relay *relay =
	    &r->options.config->relays[r->count];

	e->relays = r;
	e->number = r->count++;
	e->since_us = clock_us();
	e->lookup = lookup_new(&(struct lookup_options){
		.loop = r->options.loop,
		.endpoint = &relay->address,
		.name = relay->name,
		.on_change = on_change,
		.user = e,
	});
	return e->lookup != NULL && (e->uplink = make_uplink(e)) != NULL;
}

struct relays *
relays_new(const struct relays_options *o)
{
	size_t n = o->config->nrelays;
	struct relays *r = calloc(1, sizeof(*r) + n * sizeof(r->entries[0]));

	if (r == NULL)
		return NULL;
	r->options = *o;
	ev_init(&r->tick, on_tick);
	r->tick.data = r;
	while (r->count < n)
		if (!add_entry(r)) {
			relays_free(r);
			return NULL;
		}
	choice_init(&r->choice, n);
	configure_choice(r);
	ev_timer_set(&r->tick, TICK_S, TICK_S);
	ev_timer_start(o->loop, &r->tick);
	return r;
}

void
relays_free(struct relays *r)
{
	if (r == NULL)
		return;
	ev_timer_stop(r->options.loop, &r->tick);
	for (size_t i = 0; i < r->count; i++) {
		struct relay_entry *e = &r->entries[i];

		uplink_free(e->uplink);
		while (e->nretired > 0)
			drop_retired(e, 0);
		free(e->retired);
		lookup_free(e->lookup);
	}
	free(r);
}

void
relays_configure(struct relays *r, const struct config *c,
    const struct keyring *keys)
{
	r->options.config = c;
	r->options.keys = keys;
	configure_choice(r);
	for (size_t i = 0; i < r->count; i++) {
		lookup_configure(r->entries[i].lookup, &c->relays[i].address,
		    c->relays[i].name);
		configure_uplinks(&r->entries[i]);
	}
}

void
relays_status(struct relays *r, size_t relay, struct relays_status *s)
{
	struct relay_entry *e = &r->entries[relay];
	uint64_t now = clock_us();
	struct uplink_state retired;

	look_at(e, now);
	*s = (struct relays_status){
		.address = lookup_address(e->lookup),
		.up = e->up,
		.since_us = e->since_us,
		.aside_us = choice_aside_us(&r->choice, relay, now),
		.families = r->choice.relays[relay].families,
	};
	if (e->uplink != NULL)
		uplink_state(e->uplink, &s->uplink);
	s->sessions = s->uplink.sessions;
	for (size_t i = 0; i < e->nretired; i++) {
		uplink_state(e->retired[i], &retired);
		s->sessions += retired.sessions;
	}
}

bool
relays_path(const struct relays *r, size_t relay, size_t path,
    struct uplink_path *p)
{
	const struct relay_entry *e = &r->entries[relay];

	if (e->uplink == NULL)
		return false;
	uplink_path(e->uplink, path, p);
	return true;
}

void
relays_drain(struct relays *r)
{
	r->draining = true;
	for (size_t i = 0; i < r->count; i++)
		if (r->entries[i].uplink != NULL)
			uplink_drain(r->entries[i].uplink);
}

void
relays_abort(struct relays *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct relay_entry *e = &r->entries[i];

		if (e->uplink != NULL)
			uplink_abort(e->uplink);
		for (size_t j = 0; j < e->nretired; j++)
			uplink_abort(e->retired[j]);
	}
}
