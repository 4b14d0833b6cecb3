/* SPDX-License-Identifier: ISC */
/*
 * Nobody waits for long beside a path that turns bad while it is in use: its
 * rate drops to little, it loses packets, and still moves, so it is not
 * suspect.
 */
#ifndef SIM_LATE_H
#define SIM_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

/* One seed; ends the process with 1 when it failed. */
void late_run(uint64_t seed, bool verbose, struct totals *);

#endif
