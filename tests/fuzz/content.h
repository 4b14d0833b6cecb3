/* SPDX-License-Identifier: ISC */
/*
 * Bytes that depend on where they stand, so that a lost, repeated or misplaced
 * one is seen.  They come out of a table, since making each would take longer
 * than what is to be tested.
 */
#ifndef FUZZ_CONTENT_H
#define FUZZ_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#define CONTENT_MAX 65536	/* bytes that can be looked at in one piece */

/* What stream `key` has from `offset` on. */
const uint8_t *content(unsigned int key, uint64_t offset);

#endif
