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

/* The rest of a scenario, with one session that sends so much towards the proxy
 * and no path; and another path. */
void race_scenario(struct scenario *, uint32_t bytes);
void race_path(struct scenario *, const struct link_plan *);

/* One seed; ends the process with 1 when it failed. */
void race_run(uint64_t seed, bool verbose, struct totals *);

#endif
