/* SPDX-License-Identifier: ISC */
/*
 * libnftnl writes attributes without asking how much room there is.  So a
 * message is built in memory that is larger than any of ours can be, and moves
 * to the batch when its length is known.
 */
#include "batch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>

void
batch_fail(struct batch *b, int error)
{
	if (b->error == 0)
		b->error = error;
}

void
batch_add(struct batch *b, const struct nlmsghdr *h)
{
	size_t len = MNL_ALIGN(h->nlmsg_len);

	assert(len <= BATCH_MESSAGE_MAX);
	if (b->error != 0)
		return;
	if (len > b->size - b->used) {
		batch_fail(b, -ENOBUFS);
		return;
	}
	memcpy(b->data + b->used, h, len);
	b->used += len;
	b->messages++;
}

struct nlmsghdr *
batch_header(const struct batch *b, union batch_message *m, uint16_t type,
    uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(m->bytes, type, NFPROTO_INET, flags,
	    b->messages);
}

void
batch_begin(struct batch *b, void *buffer, size_t size)
{
	union batch_message m;

	assert((uintptr_t)buffer % MNL_ALIGNTO == 0);
	*b = (struct batch){ .data = buffer, .size = size };
	batch_add(b, nftnl_batch_begin(m.bytes, b->messages));
}

int
batch_end(struct batch *b)
{
	union batch_message m;

	batch_add(b, nftnl_batch_end(m.bytes, b->messages));
	return b->error;
}

size_t
batch_comment(uint8_t into[static BATCH_COMMENT_MAX + 3], uint8_t type,
    const char *comment)
{
	size_t len = strnlen(comment, BATCH_COMMENT_MAX);

	/* Type, length with the terminator, string. */
	into[0] = type;
	into[1] = (uint8_t)(len + 1);
	memcpy(into + 2, comment, len);
	into[2 + len] = '\0';
	return len + 3;
}

/* ---- tables ---- */

static struct nftnl_table *
new_table(struct batch *b, const char *name)
{
	struct nftnl_table *t = nftnl_table_alloc();

	if (t == NULL ||
	    nftnl_table_set_str(t, NFTNL_TABLE_NAME, name) != 0)
		batch_fail(b, -ENOMEM);
	if (t != NULL)
		nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	return t;
}

/* Takes `t`. */
static void
put_table(struct batch *b, uint16_t type, uint16_t flags,
    struct nftnl_table *t)
{
	union batch_message m;

	if (b->error == 0) {
		struct nlmsghdr *h = batch_header(b, &m, type, flags);

		nftnl_table_nlmsg_build_payload(h, t);
		batch_add(b, h);
	}
	if (t != NULL)
		nftnl_table_free(t);
}

void
batch_add_table(struct batch *b, const char *table, uint32_t flags,
    const char *comment)
{
	uint8_t text[BATCH_COMMENT_MAX + 3];
	struct nftnl_table *t = new_table(b, table);

	if (t != NULL && flags != 0)
		nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, flags);
	if (t != NULL && comment != NULL &&
	    nftnl_table_set_data(t, NFTNL_TABLE_USERDATA, text,
	    (uint32_t)batch_comment(text, 0, comment)) != 0)
		batch_fail(b, -ENOMEM);
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, t);
}

void
batch_delete_table(struct batch *b, const char *table)
{
	put_table(b, NFT_MSG_DELTABLE, 0, new_table(b, table));
}

/* ---- chains ---- */

static struct nftnl_chain *
new_chain(struct batch *b, const char *table, const char *name,
    const char *comment)
{
	uint8_t text[BATCH_COMMENT_MAX + 3];
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (c == NULL ||
	    nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table) != 0 ||
	    nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name) != 0 ||
	    (comment != NULL &&
	    nftnl_chain_set_data(c, NFTNL_CHAIN_USERDATA, text,
	    (uint32_t)batch_comment(text, 0, comment)) != 0))
		batch_fail(b, -ENOMEM);
	return c;
}

/* Takes `c`. */
static void
put_chain(struct batch *b, struct nftnl_chain *c)
{
	union batch_message m;

	if (b->error == 0) {
		struct nlmsghdr *h = batch_header(b, &m, NFT_MSG_NEWCHAIN,
		    NLM_F_CREATE);

		nftnl_chain_nlmsg_build_payload(h, c);
		batch_add(b, h);
	}
	if (c != NULL)
		nftnl_chain_free(c);
}

void
batch_add_chain(struct batch *b, const char *table, const char *name,
    const char *comment)
{
	put_chain(b, new_chain(b, table, name, comment));
}

void
batch_add_base_chain(struct batch *b, const char *table, const char *name,
    const struct batch_base *base, const char *comment)
{
	struct nftnl_chain *c = new_chain(b, table, name, comment);

	if (c != NULL) {
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, base->hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, base->priority);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		if (nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, base->type) != 0)
			batch_fail(b, -ENOMEM);
	}
	put_chain(b, c);
}
