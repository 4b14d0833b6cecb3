/* SPDX-License-Identifier: ISC */
/*
 * The messages of one nf_tables transaction, one behind the other in a buffer
 * of the caller.  The kernel does all of them or none.  Nothing here sends.
 *
 *	struct batch b;
 *
 *	batch_begin(&b, buffer, size);
 *	batch_table(&b, ...);
 *	error = batch_end(&b);
 *
 * The first error stays: nothing is added after it, and batch_end() returns it.
 */
#ifndef NFT_BATCH_H
#define NFT_BATCH_H

#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

/* Messages are numbered from 0 in nlmsg_seq; transact_send() makes that unique
 * among batches. */
struct batch {
	uint8_t *data;		/* the caller's */
	size_t size;
	size_t used;
	uint32_t messages;
	int error;
};

/* The longest message that is ever built; see BATCH_ELEMENTS in set.c. */
#define BATCH_MESSAGE_MAX 16384

/* One message while it is built. */
union batch_message {
	uint32_t align;
	char bytes[BATCH_MESSAGE_MAX];
};

/* `buffer` is aligned as malloc() does. */
void batch_begin(struct batch *, void *buffer, size_t size);

/* 0, -ENOBUFS (the buffer is too small: try again with a larger one), or
 * -ENOMEM. */
int batch_end(struct batch *);

/* A header (NFT_MSG_*, NLM_F_* beside NLM_F_REQUEST) at the start of `m`, for
 * the payload that follows, and the whole of it to the end of the batch. */
struct nlmsghdr *batch_header(const struct batch *, union batch_message *m,
    uint16_t type, uint16_t flags);
void batch_add(struct batch *, const struct nlmsghdr *);

/* Note an error; 0 and later ones change nothing. */
void batch_fail(struct batch *, int error);

/* A comment as nft keeps it, for the attribute USERDATA of tables, chains,
 * rules and sets: a type (0 but for sets) and a string.  Returns its length;
 * longer comments are cut. */
#define BATCH_COMMENT_MAX 80
size_t batch_comment(uint8_t into[static BATCH_COMMENT_MAX + 3], uint8_t type,
    const char *comment);

/* nft names what is given as `inet NAME`; family inet everywhere. */

/* add table inet TABLE { flags FLAGS; comment COMMENT; } without flags if they
 * are 0, which leaves those of a table that exists. */
void batch_add_table(struct batch *, const char *table, uint32_t flags,
    const char *comment);

/* delete table inet TABLE */
void batch_delete_table(struct batch *, const char *table);

/* add chain inet TABLE NAME { comment COMMENT; } */
void batch_add_chain(struct batch *, const char *table, const char *name,
    const char *comment);

/* add chain inet TABLE NAME { type TYPE hook HOOK priority PRIORITY; } where
 * HOOK is NF_INET_*; policy accept. */
struct batch_base {
	const char *type;	/* "filter" or "nat" */
	uint32_t hook;
	int32_t priority;
};
void batch_add_base_chain(struct batch *, const char *table, const char *name,
    const struct batch_base *, const char *comment);

#endif
