/* SPDX-License-Identifier: ISC */
/*
 * Sets and maps of a table, and what is in them.  Errors stay in the batch.
 */
#ifndef NFT_SET_H
#define NFT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ranges.h"

struct batch;
struct nftnl_set;

/* What nft calls the type of a key.  The kernel only keeps the number: nft
 * itself gives it meaning when it lists (enum datatypes of its datatype.h). */
enum set_type {
	SET_FAMILY,		/* nf_proto */
	SET_ADDRESS4,		/* ipv4_addr */
	SET_ADDRESS6,		/* ipv6_addr */
	SET_PORT,		/* inet_service */
	SET_ADDRESS4_PORT,	/* ipv4_addr . inet_service */
	SET_ADDRESS6_PORT,	/* ipv6_addr . inet_service */
};

#define SET_KEY_MAX 20

struct set {
	const char *table;
	const char *name;
	enum set_type type;
	bool ranges;		/* flags interval */
	bool expires;		/* flags timeout */
	bool verdicts;		/* a map to verdicts */
	const char *comment;	/* or NULL */
};

/* Bytes of a key, or of each end of a range. */
size_t set_key_len(enum set_type);

/* add set inet TABLE NAME { type ...; flags ...; size SIZE; comment ...; },
 * or map; without size if it is 0. */
void set_add(struct batch *, const struct set *, uint32_t size);

/* flush set inet TABLE NAME */
void set_flush(struct batch *, const struct set *);

/*
 * add element inet TABLE NAME { ... }, or delete: in as many messages as it
 * takes.
 *
 *	struct set_elements e;
 *
 *	set_elements_begin(&e, batch, set, false);
 *	set_elements_key(&e, key, 5000);
 *	set_elements_end(&e);
 */
struct set_elements {
	struct batch *batch;
	const struct set *set;
	bool remove;
	unsigned count;		/* in the message under construction */
	struct nftnl_set *nl;
};

void set_elements_begin(struct set_elements *, struct batch *,
    const struct set *, bool remove);
void set_elements_end(struct set_elements *);

/* KEY, or KEY timeout MILLISECONDSms if that is not 0 */
void set_elements_key(struct set_elements *, const uint8_t *key,
    uint64_t timeout_ms);
/* FIRST-LAST, for a set of ranges */
void set_elements_range(struct set_elements *, const struct range *);
/* KEY timeout MILLISECONDSms : goto CHAIN, for a map to verdicts */
void set_elements_goto(struct set_elements *, const uint8_t *key,
    uint64_t timeout_ms, const char *chain);

#endif
