/* SPDX-License-Identifier: ISC */
/*
 * What the two halves of a ruleset share: ruleset.c has the sets and what is in
 * them, ruleset_rules.c the chains and rules.
 */
#ifndef NFT_RULESET_PRIVATE_H
#define NFT_RULESET_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "ruleset.h"
#include "set.h"

struct batch;

/* What every chain and set of ours belongs to. */
#define T RULESET_TABLE

/* The families that are intercepted, each with a timeout. */
extern const struct set ruleset_intercepted;
/* The ports that are. */
extern const struct set ruleset_ports;

/* The sets that there are one of for each family. */
#define RULESET_NFAMILIES 2
struct ruleset_family {
	uint8_t number;		/* as in a prefix */
	uint8_t nfproto;
	unsigned bit;
	size_t len;		/* of an address */
	struct set relays, bypass, refused;
};
extern const struct ruleset_family ruleset_families[RULESET_NFAMILIES];

#define FOR_EACH_FAMILY(f)						\
	for (const struct ruleset_family *f = ruleset_families;		\
	    f < ruleset_families + RULESET_NFAMILIES; f++)

/* The chain that refuses in each way. */
#define RULESET_NREFUSALS (RULESET_REFUSE_PROHIBITED + 1)
extern const char *const ruleset_refusals[RULESET_NREFUSALS];

/* All chains, with their rules; the sets are there. */
void ruleset_add_chains(struct batch *, const struct ruleset_plan *);

/* The keeper. */
void ruleset_add_keeper(struct batch *);

#endif
