/* SPDX-License-Identifier: ISC */
/*
 * A host and a port of the configuration become an address, at start and on
 * reload.
 */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/config.h"

/* `kind` and `name` say in the error whose it is: relay "earth".  false with one
 * sentence in the `size` bytes at `error`. */
bool endpoint_resolve(const struct config_endpoint *, struct addr *,
    const char *kind, const char *name, char *error, size_t size);

/* The same on reload: the address stays as it is where there is no other, and
 * the log says so. */
void endpoint_resolve_again(const struct config_endpoint *, struct addr *,
    const char *kind, const char *name);

#endif
