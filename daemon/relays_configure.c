/* SPDX-License-Identifier: ISC */
/*
 * Another configuration of the relays: which of them are the same, which leave
 * and which are new.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "net/log.h"
#include "relays_private.h"

/* The number that config->relays[i] has had until now; -1: it is new. */
static int
number_before(const struct relays *r, const struct config *c, size_t i)
{
	for (size_t j = 0; j < r->count; j++)
		if (config_same_relay(&r->options.config->relays[j],
		    &c->relays[i]))
			return (int)j;
	return -1;
}

/* Its sessions may end; then it is freed. */
static void
leave(struct relays *r, struct relay_entry *e)
{
	struct uplink_state state = { 0 };

	e->gone = true;
	e->up = false;
	e->since_us = clock_us();
	e->config = config_hold(e->config);
	e->keys = keyring_hold(e->keys);
	if (e->uplink != NULL) {
		uplink_state(e->uplink, &state);
		uplink_drain(e->uplink);
	}
	log_info("relay \"%s\": it is not configured any more: %lu sessions "
	    "may end there", relays_name(e), (unsigned long)state.sessions);
	if (relays_has_uplinks(e))
		list_append(&r->gone, &e->list);
	else
		relays_free_entry(e);
}

/* The same relay, as it is now. */
static void
stay(struct relay_entry *e, struct config *c, struct keyring *keys,
    size_t number)
{
	e->config = c;
	e->number = number;
	e->keys = keys;
	e->key = keyring_relay(keys, number);
	lookup_configure(e->lookup, &c->relays[number].address,
	    c->relays[number].name);
	relays_configure_uplinks(e);
}

/* (One of the same name elsewhere may be another relay.) */
static bool
is_there(const struct config_relay *new, const struct config_relay *old)
{
	return strcmp(new->name, old->name) == 0 &&
	    strcmp(new->address.host, old->address.host) == 0 &&
	    new->address.port == old->address.port;
}

/* Did the relay that is there now have this one's name until now, and its key?
 * Then it is taken for the same one at another address.  If it is not, then
 * one dial after the other fails, and those subflows stay that there are. */
static bool
had_its_key(const struct relay_entry *e, const struct config_relay *new,
    const struct config *before, const struct keyring *keys)
{
	if (strcmp(new->name, relays_name(e)) != 0)
		return false;
	for (size_t i = 0; i < before->nrelays; i++) {
		const struct key *key = keyring_relay(keys, i);

		if (key != NULL && is_there(new, &before->relays[i]) &&
		    memcmp(key->id, e->key->id, sizeof(key->id)) == 0)
			return true;
	}
	return false;
}

/* Sessions may be left from before a path of the relay was changed, or its
 * address: its key is theirs too when it is rolled.  (`before` is of `r`, as
 * long as that has not the new configuration.) */
static void
take_key(struct relay_entry *e, const struct config *c, struct keyring *keys)
{
	const struct relays_options *before = &e->relays->options;

	for (size_t i = 0; i < c->nrelays; i++) {
		const struct key *key = keyring_relay(keys, i);

		if (key == NULL || e->key == NULL ||
		    (!is_there(&c->relays[i], &e->config->relays[e->number]) &&
		    !had_its_key(e, &c->relays[i], before->config,
		    before->keys)))
			continue;
		e->key = key;
		relays_configure_uplinks(e);
		keyring_free(e->keys);
		e->keys = keyring_hold(keys);
	}
}

int
relays_configure(struct relays *r, struct config *c, struct keyring *keys)
{
	struct list *node;
	struct relay_entry *entries[CONFIG_RELAYS_MAX];
	bool stays[CONFIG_RELAYS_MAX] = { false };
	int was[CONFIG_RELAYS_MAX];

	for (size_t i = 0; i < c->nrelays; i++) {
		was[i] = number_before(r, c, i);
		if (was[i] >= 0) {
			entries[i] = r->entries[was[i]];
			stays[was[i]] = true;
			continue;
		}
		if ((entries[i] = relays_new_entry(r, c, keys, i)) != NULL)
			continue;
		while (i-- > 0)
			if (was[i] < 0)
				relays_free_entry(entries[i]);
		return -ENOMEM;
	}
	for (size_t i = 0; i < r->count; i++)
		if (!stays[i])
			leave(r, r->entries[i]);
	list_each(node, &r->gone)
		take_key(list_object(node, struct relay_entry, list), c, keys);
	r->options.config = c;
	r->options.keys = keys;
	choice_arrange(&r->choice, was, c->nrelays);
	r->count = c->nrelays;
	for (size_t i = 0; i < r->count; i++) {
		r->entries[i] = entries[i];
		if (was[i] >= 0)
			stay(entries[i], c, keys, i);
		else
			log_info("relay \"%s\": it is new",
			    relays_name(entries[i]));
	}
	relays_configure_choice(r);
	return 0;
}
