/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config_private.h"

static_assert(offsetof(struct config_forward, name) == 0 &&
    offsetof(struct config_relay, name) == 0 &&
    offsetof(struct config_path, name) == 0 &&
    offsetof(struct config_peer, name) == 0,
    "the name of an object is found without knowing which it is");

void *
config_grow(void *field, size_t count, size_t size)
{
	uint8_t *old, *array;

	memcpy(&old, field, sizeof(old));
	array = reallocarray(old, count + 1, size);
	if (array == NULL)
		return NULL;
	memcpy(field, &array, sizeof(array));
	return memset(array + count * size, 0, size);
}

void *
config_object(struct config *c, enum config_section s, size_t i)
{
	switch (s) {
	case CONFIG_IN_INTERCEPT:
		return i == 0 && c->intercept_given ? &c->intercept : NULL;
	case CONFIG_IN_FORWARD:
		return i < c->nforwards ? &c->forwards[i] : NULL;
	case CONFIG_IN_RELAY:
		return i < c->nrelays ? &c->relays[i] : NULL;
	case CONFIG_IN_PEER:
		return i < c->npeers ? &c->peers[i] : NULL;
	case CONFIG_IN_PATH:
		for (size_t r = 0; r < c->nrelays; r++) {
			if (i < c->relays[r].npaths)
				return &c->relays[r].paths[i];
			i -= c->relays[r].npaths;
		}
		return NULL;
	default:
		return i == 0 ? c : NULL;
	}
}

struct config *
config_hold(struct config *c)
{
	c->holds++;
	return c;
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	if (c->holds > 0) {
		c->holds--;
		return;
	}
	free(c->file);
	for (size_t i = 0; i < c->intercept.ninterfaces; i++)
		free(c->intercept.interfaces[i]);
	free(c->intercept.interfaces);
	free(c->intercept.ports);
	free(c->intercept.except_ports);
	free(c->intercept.bypass);
	for (size_t i = 0; i < c->nforwards; i++) {
		free(c->forwards[i].name);
		free(c->forwards[i].destination.host);
	}
	for (size_t i = 0; i < c->nrelays; i++) {
		struct config_relay *relay = &c->relays[i];

		for (size_t j = 0; j < relay->npaths; j++) {
			free(relay->paths[j].name);
			free(relay->paths[j].interface);
			free(relay->paths[j].socket.congestion);
		}
		free(relay->name);
		free(relay->address.host);
		free(relay->key_file);
		free(relay->socket.congestion);
		free(relay->paths);
	}
	for (size_t i = 0; i < c->ntrusted; i++)
		free(c->trusted_interfaces[i]);
	for (size_t i = 0; i < c->npeers; i++) {
		struct config_peer *peer = &c->peers[i];

		for (size_t j = 0; j < peer->nkey_files; j++)
			free(peer->key_files[j]);
		free(peer->name);
		free(peer->key_files);
		free(peer->socket.congestion);
		acl_free(peer->acl);
	}
	free(c->user);
	free(c->group);
	free(c->control);
	free(c->control_group);
	free(c->forwards);
	free(c->relays);
	free(c->listen);
	free(c->socket.congestion);
	free(c->trusted_interfaces);
	free(c->peers);
	free(c->base.server.host);
	free(c->base.proxies);
	free(c);
}

/* `x` and `y` hold one section each, of kind `s`; NULL: there is none. */
static const char *
section_difference(enum config_section s, const void *x, const void *y)
{
	if (x == NULL || y == NULL)
		return config_sections[s].info.name;
	if (config_sections[s].info.titled &&
	    strcmp(*(char *const *)x, *(char *const *)y) != 0)
		return config_sections[s].info.name;
	for (size_t i = 0; i < config_nkeys; i++) {
		const struct key *k = &config_keys[i];

		if (k->section == s && !k->reload && !config_same(k, x, y))
			return k->label;
	}
	return NULL;
}

bool
config_same_relay(const struct config_relay *old,
    const struct config_relay *new)
{
	if (old->npaths != new->npaths ||
	    section_difference(CONFIG_IN_RELAY, old, new) != NULL)
		return false;
	for (size_t i = 0; i < old->npaths; i++)
		if (section_difference(CONFIG_IN_PATH, &old->paths[i],
		    &new->paths[i]) != NULL)
			return false;
	return true;
}

/* Not those that can come and go.  The base protocol has one relay, and no
 * sessions that could be finished elsewhere. */
static bool
is_fixed(const struct config *old, const struct config *new,
    enum config_section s)
{
	if (s != CONFIG_IN_RELAY && s != CONFIG_IN_PATH)
		return !config_sections[s].reload;
	if (old->nrelays == 0 || new->nrelays == 0)
		return !config_sections[CONFIG_IN_RELAY].reload;
	return old->relays[0].protocol == CONFIG_BASE ||
	    new->relays[0].protocol == CONFIG_BASE;
}

const char *
config_fixed_difference(const struct config *old, const struct config *new)
{
	/* config_object() serves the builder as well, which writes. */
	struct config *c = (struct config *)old, *d = (struct config *)new;

	for (size_t s = 0; s < CONFIG_NSECTIONS; s++) {
		const char *found = NULL;

		if (!is_fixed(old, new, s))
			continue;
		for (size_t i = 0; found == NULL; i++) {
			const void *x = config_object(c, s, i);
			const void *y = config_object(d, s, i);

			if (x == NULL && y == NULL)
				break;
			found = section_difference(s, x, y);
		}
		if (found != NULL)
			return found;
	}
	return NULL;
}

struct config_section_info
config_section(enum config_section s)
{
	return config_sections[s].info;
}

bool
config_key(size_t i, struct config_key_info *info)
{
	if (i >= config_nkeys)
		return false;
	*info = (struct config_key_info){
		.section = config_keys[i].section,
		.name = config_keys[i].name,
		.rule = config_keys[i].kind == KIND_RULE,
		.reload = config_keys[i].reload,
	};
	return true;
}
