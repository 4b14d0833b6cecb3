/* SPDX-License-Identifier: ISC */
#include "keyring.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/log.h"

#define FILES_MAX 2		/* of one peer */
#define WHY_MAX 4352		/* a file's name and a sentence */

/* Names are kept, since a ring outlives the configuration that it is of. */
struct held {
	char *owner, *file;
	size_t index;			/* of the owner, in the configuration */
	struct key *key;
};

struct keyring {
	unsigned int holds;
	size_t n;
	struct held held[];
};

struct loading {
	struct keyring *ring;
	const struct keyring *old;
	uid_t user;
	const char *kind;		/* of owners */
	char *error;
	size_t size;
};

/* One relay or peer. */
struct owner {
	const char *name;
	size_t index;
	char *const *files;
	size_t nfiles;
};

static bool
out_of_memory(struct loading *l)
{
	snprintf(l->error, l->size, "%s", strerror(ENOMEM));
	return false;
}

/* Takes `key`, which may be NULL for want of memory. */
static bool
add(struct loading *l, const struct owner *owner, const char *file,
    struct key *key)
{
	struct held *held = &l->ring->held[l->ring->n++];

	held->owner = strdup(owner->name);
	held->file = strdup(file);
	held->index = owner->index;
	held->key = key;
	if (held->owner == NULL || held->file == NULL || key == NULL)
		return out_of_memory(l);
	return true;
}

/* What the owner had: in `file` (one, though it may be listed twice), or all of
 * it for NULL.  How many; -1: out of memory. */
static int
keep(struct loading *l, const struct owner *owner, const char *file)
{
	int n = 0;

	for (size_t i = 0; i < l->old->n; i++) {
		const struct held *held = &l->old->held[i];

		if (strcmp(held->owner, owner->name) != 0 ||
		    (file != NULL && strcmp(held->file, file) != 0))
			continue;
		if (!add(l, owner, held->file, key_copy(held->key)))
			return -1;
		n++;
		if (file != NULL)
			break;
	}
	return n;
}

/* Nothing came of the owner's files: `why` has the last reason. */
static bool
keep_all(struct loading *l, const struct owner *owner, const char *why)
{
	int n = keep(l, owner, NULL);

	if (n > 0)
		log_warn("%s; what %s \"%s\" had stays in use", why, l->kind,
		    owner->name);
	if (n == 0)
		snprintf(l->error, l->size, "%s", why);
	return n > 0;
}

static bool
load_owner(struct loading *l, const struct owner *owner)
{
	char why[WHY_MAX], left_out[WHY_MAX] = "";
	size_t before = l->ring->n;

	for (size_t i = 0; i < owner->nfiles; i++) {
		const char *file = owner->files[i];
		struct key *key = keyfile_read(file, l->user, why,
		    sizeof(why));
		int kept = 0;

		if (key != NULL) {
			if (!add(l, owner, file, key))
				return false;
			continue;
		}
		if (l->old == NULL) {
			snprintf(l->error, l->size, "%s", why);
			return false;
		}
		if ((kept = keep(l, owner, file)) < 0)
			return false;
		if (kept > 0)
			log_warn("%s; the key that was there stays in use",
			    why);
		else
			memcpy(left_out, why, sizeof(why));
	}
	if (left_out[0] == '\0')
		return true;
	if (l->ring->n == before)
		return keep_all(l, owner, left_out);
	log_warn("%s; %s \"%s\" goes on without it", left_out, l->kind,
	    owner->name);
	return true;
}

static bool
load_all(struct loading *l, const struct config *c)
{
	for (size_t i = 0; i < c->nrelays; i++)
		if (!load_owner(l, &(struct owner){
		    .name = c->relays[i].name,
		    .index = i,
		    .files = &c->relays[i].key_file,
		    .nfiles = c->relays[i].key_file != NULL,
		}))
			return false;
	for (size_t i = 0; i < c->npeers; i++)
		if (!load_owner(l, &(struct owner){
		    .name = c->peers[i].name,
		    .index = i,
		    .files = c->peers[i].key_files,
		    .nfiles = c->peers[i].nkey_files,
		}))
			return false;
	return true;
}

/* To a relay a key says who somebody is, so it cannot be that of two peers.  A
 * proxy knows whom it has dialed. */
static bool
check_peers(struct loading *l, const struct config *c)
{
	const struct keyring *r = l->ring;

	for (size_t i = 0; i < r->n; i++) {
		const struct held *one = &r->held[i];

		for (size_t j = 0; j < i; j++) {
			const struct held *two = &r->held[j];

			if (one->index == two->index || memcmp(one->key->id,
			    two->key->id, sizeof(one->key->id)) != 0)
				continue;
			snprintf(l->error, l->size, "%s:%u: peer key-file: "
			    "expected a key of its own for each peer, found in "
			    "%s that of peer \"%s\"", c->file,
			    c->peers[one->index].line, one->file, two->owner);
			return false;
		}
	}
	return true;
}

struct keyring *
keyring_load(const struct config *c, uid_t user, const struct keyring *old,
    char *error, size_t size)
{
	size_t most = (c->nrelays + c->npeers) * FILES_MAX;
	struct loading l = {
		.ring = calloc(1, sizeof(*l.ring) +
		    most * sizeof(l.ring->held[0])),
		.old = old,
		.user = user,
		.kind = c->role == CONFIG_PROXY ? "relay" : "peer",
		.error = error,
		.size = size,
	};

	if (l.ring == NULL) {
		out_of_memory(&l);
		return NULL;
	}
	if (load_all(&l, c) && (c->role == CONFIG_PROXY || check_peers(&l, c)))
		return l.ring;
	keyring_free(l.ring);
	return NULL;
}

struct keyring *
keyring_hold(struct keyring *r)
{
	r->holds++;
	return r;
}

void
keyring_free(struct keyring *r)
{
	if (r == NULL)
		return;
	if (r->holds > 0) {
		r->holds--;
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		free(r->held[i].owner);
		free(r->held[i].file);
		key_free(r->held[i].key);
	}
	free(r);
}

const struct key *
keyring_relay(const struct keyring *r, size_t relay)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->held[i].index == relay)
			return r->held[i].key;
	return NULL;
}

const struct key *
keyring_peer(const struct keyring *r, size_t peer, size_t i)
{
	for (size_t k = 0; k < r->n; k++)
		if (r->held[k].index == peer && i-- == 0)
			return r->held[k].key;
	return NULL;
}

const struct key *
keyring_find(const struct keyring *r, const uint8_t id[static SECURE_KEY_ID],
    size_t *peer)
{
	for (size_t i = 0; i < r->n; i++) {
		if (memcmp(r->held[i].key->id, id, SECURE_KEY_ID) != 0)
			continue;
		*peer = r->held[i].index;
		return r->held[i].key;
	}
	return NULL;
}
