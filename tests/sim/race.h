/* SPDX-License-Identifier: ISC */
/*
 * One transfer over several paths: however bad one of them is, or becomes, it
 * does not take longer than over the best one alone; and good ones add up.
 */
#ifndef SIM_RACE_H
#define SIM_RACE_H

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

/* One seed; ends the process with 1 when it failed. */
void race_run(uint64_t seed, bool verbose, struct totals *);

#endif
