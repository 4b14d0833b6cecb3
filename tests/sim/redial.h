/* SPDX-License-Identifier: ISC */
/*
 * The policies of core/redial and core/silence against a network and a relay
 * that behave as a seed says: roads that are silent, refuse, or have no way,
 * relays that do not answer a hello or do not like it, that close a subflow
 * before they are heard or soon after, restarts, and a daemon that stands still
 * for a while.
 */
#ifndef SIM_REDIAL_H
#define SIM_REDIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

/* One seed; ends the process with 1 when it failed. */
void redial_run(uint64_t seed, bool verbose, struct totals *);

#endif
