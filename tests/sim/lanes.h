/* SPDX-License-Identifier: ISC */
/*
 * Small writes beside bulk ones: a 100-byte write on one session during four
 * downloads leaves before 64 KiB of theirs.
 */
#ifndef SIM_LANES_H
#define SIM_LANES_H

#include <stdbool.h>

/* 0, or 1 when it failed and said why. */
int lanes_run(bool verbose);

#endif
