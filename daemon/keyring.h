/* SPDX-License-Identifier: ISC */
/*
 * The keys of one configuration: of a proxy's relays, or of a relay's peers.
 */
#ifndef KEYRING_H
#define KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "keyfile.h"

struct keyring;

/*
 * At start (`old` NULL), reads all key files; what cannot be read is an error.
 * They belong to root, the effective user or `user`, whom the daemon will be.
 * On reload, a file that cannot be read keeps the key that it held, and whoever
 * has no other key keeps all that it had; one line of the log says so.  Only
 * for somebody new that is an error.
 *
 * So is one key for two peers (but not for two relays).  NULL with one sentence
 * in the `size` bytes at `error`, which names the file.
 */
struct keyring *keyring_load(const struct config *, uid_t user,
    const struct keyring *old, char *error, size_t size);

/* NULL is accepted.  It is there until it was freed once more than held. */
void keyring_free(struct keyring *);
struct keyring *keyring_hold(struct keyring *);

/* Of config->relays[relay]; NULL if it needs none.  The ring's, as below. */
const struct key *keyring_relay(const struct keyring *, size_t relay);

/* The `i`th key of config->peers[peer]; NULL: it has no more. */
const struct key *keyring_peer(const struct keyring *, size_t peer, size_t i);

/* With this id, and whose it is: config->peers[*peer].  NULL: nobody's. */
const struct key *keyring_find(const struct keyring *,
    const uint8_t id[static SECURE_KEY_ID], size_t *peer);

#endif
