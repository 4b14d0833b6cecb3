/* SPDX-License-Identifier: ISC */
/*
 * Whether this machine has what the paths of a relay need: their interfaces and
 * source addresses, which may come and go.
 */
#ifndef WAYS_H
#define WAYS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

struct ways;

/* `family` is that of the relay's address; 0: not known yet.  on_change(user)
 * follows when something may be different.  NULL if out of memory; ways_free()
 * accepts NULL. */
struct ways *ways_new(struct ev_loop *, const struct config_relay *,
    uint8_t family, void (*on_change)(void *user), void *user);
void ways_free(struct ways *);

/* The same relay, with the same paths, perhaps at another address. */
void ways_configure(struct ways *, const struct config_relay *,
    uint8_t family);

/* Why nothing can be sent on a path, a literal for the log; NULL: it can. */
const char *ways_missing(const struct ways *, size_t path);

/* In on_change(): is there more than there was before, on this path? */
bool ways_came(const struct ways *, size_t path);

/* Why a connection on this path is lost, a literal; NULL: it is not, as far as
 * can be seen from here. */
const char *ways_lost(const struct ways *, size_t path, int fd);

#endif
