/* SPDX-License-Identifier: ISC */
/*
 * The kernel's sets of ranges hold ends: one element for the first key, and one
 * with a flag for the key behind the last, which is absent when the range ends
 * at the top.
 */
#include "set.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <libnftnl/set.h>
#include <libnftnl/udata.h>

#include "batch.h"

/* So many in a message, an even number, so that the ends of a range stay
 * together (only the last range can be without its second).  Each is at most
 * 124 bytes (headers 4 and 4, key 28, flags 8, timeout 12, data 68: nested 12,
 * verdict 8, a name of 48), half of BATCH_MESSAGE_MAX together. */
#define BATCH_ELEMENTS 64

/* From enum datatypes in nft's include/datatype.h, which cannot change without
 * changing what older nft list.  The parts of a concatenation take 6 bits
 * each. */
enum {
	NFT_TYPE_NFPROTO = 2,
	NFT_TYPE_IPADDR = 7,
	NFT_TYPE_IP6ADDR = 8,
	NFT_TYPE_INET_SERVICE = 13,
	NFT_TYPE_BITS = 6,
};

static const struct {
	uint32_t number;
	uint32_t len;		/* each part padded to 4 bytes */
} types[] = {
	[SET_FAMILY] = { NFT_TYPE_NFPROTO, 1 },
	[SET_ADDRESS4] = { NFT_TYPE_IPADDR, 4 },
	[SET_ADDRESS6] = { NFT_TYPE_IP6ADDR, 16 },
	[SET_PORT] = { NFT_TYPE_INET_SERVICE, 2 },
	[SET_ADDRESS4_PORT] = {
	    NFT_TYPE_IPADDR << NFT_TYPE_BITS | NFT_TYPE_INET_SERVICE, 8 },
	[SET_ADDRESS6_PORT] = {
	    NFT_TYPE_IP6ADDR << NFT_TYPE_BITS | NFT_TYPE_INET_SERVICE, 20 },
};

static_assert(sizeof(types) / sizeof(types[0]) == SET_ADDRESS6_PORT + 1,
    "a line for each type");

size_t
set_key_len(enum set_type type)
{
	return types[type].len;
}

static struct nftnl_set *
new_set(struct batch *b, const struct set *s)
{
	struct nftnl_set *nl = nftnl_set_alloc();

	if (nl == NULL ||
	    nftnl_set_set_str(nl, NFTNL_SET_TABLE, s->table) != 0 ||
	    nftnl_set_set_str(nl, NFTNL_SET_NAME, s->name) != 0) {
		batch_fail(b, -ENOMEM);
		if (nl != NULL)
			nftnl_set_free(nl);
		return NULL;
	}
	nftnl_set_set_u32(nl, NFTNL_SET_FAMILY, NFPROTO_INET);
	return nl;
}

static void
describe(struct batch *b, struct nftnl_set *nl, const struct set *s,
    uint32_t size)
{
	uint8_t text[BATCH_COMMENT_MAX + 3];
	uint32_t flags = (s->ranges ? NFT_SET_INTERVAL : 0) |
	    (s->expires ? NFT_SET_TIMEOUT : 0) |
	    (s->verdicts ? NFT_SET_MAP : 0);

	/* Rules name the set; the kernel wants a number all the same. */
	nftnl_set_set_u32(nl, NFTNL_SET_ID, b->messages);
	nftnl_set_set_u32(nl, NFTNL_SET_FLAGS, flags);
	nftnl_set_set_u32(nl, NFTNL_SET_KEY_TYPE, types[s->type].number);
	nftnl_set_set_u32(nl, NFTNL_SET_KEY_LEN, types[s->type].len);
	if (s->verdicts)
		nftnl_set_set_u32(nl, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
	if (size != 0)
		nftnl_set_set_u32(nl, NFTNL_SET_DESC_SIZE, size);
	if (s->comment != NULL &&
	    nftnl_set_set_data(nl, NFTNL_SET_USERDATA, text,
	    (uint32_t)batch_comment(text, NFTNL_UDATA_SET_COMMENT,
	    s->comment)) != 0)
		batch_fail(b, -ENOMEM);
}

void
set_add(struct batch *b, const struct set *s, uint32_t size)
{
	struct nftnl_set *nl = new_set(b, s);
	union batch_message m;

	if (nl == NULL)
		return;
	describe(b, nl, s, size);
	if (b->error == 0) {
		struct nlmsghdr *h = batch_header(b, &m, NFT_MSG_NEWSET,
		    NLM_F_CREATE);

		nftnl_set_nlmsg_build_payload(h, nl);
		batch_add(b, h);
	}
	nftnl_set_free(nl);
}

/* Takes `nl`. */
static void
put_elements(struct batch *b, bool remove, struct nftnl_set *nl)
{
	union batch_message m;

	if (nl == NULL)
		return;
	if (b->error == 0) {
		struct nlmsghdr *h = batch_header(b, &m,
		    remove ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM,
		    remove ? 0 : NLM_F_CREATE);

		nftnl_set_elems_nlmsg_build_payload(h, nl);
		batch_add(b, h);
	}
	nftnl_set_free(nl);
}

/* To delete without saying what is to delete all. */
void
set_flush(struct batch *b, const struct set *s)
{
	put_elements(b, true, new_set(b, s));
}

/* ---- elements ---- */

void
set_elements_begin(struct set_elements *e, struct batch *b,
    const struct set *s, bool remove)
{
	*e = (struct set_elements){ .batch = b, .set = s, .remove = remove };
}

/* Never an empty message: that would be a flush. */
void
set_elements_end(struct set_elements *e)
{
	if (e->count > 0)
		put_elements(e->batch, e->remove, e->nl);
	else if (e->nl != NULL)
		nftnl_set_free(e->nl);
	e->nl = NULL;
	e->count = 0;
}

/* The next element, with its key; NULL when memory is over. */
static struct nftnl_set_elem *
next(struct set_elements *e, const uint8_t *key)
{
	struct nftnl_set_elem *element;

	if (e->batch->error != 0)
		return NULL;
	if (e->count == BATCH_ELEMENTS)
		set_elements_end(e);
	if (e->nl == NULL && (e->nl = new_set(e->batch, e->set)) == NULL)
		return NULL;
	if ((element = nftnl_set_elem_alloc()) == NULL) {
		batch_fail(e->batch, -ENOMEM);
		return NULL;
	}
	nftnl_set_elem_add(e->nl, element);
	e->count++;
	if (nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key,
	    types[e->set->type].len) != 0)
		batch_fail(e->batch, -ENOMEM);
	return element;
}

void
set_elements_key(struct set_elements *e, const uint8_t *key,
    uint64_t timeout_ms)
{
	struct nftnl_set_elem *element = next(e, key);

	if (element != NULL && timeout_ms != 0)
		nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT,
		    timeout_ms);
}

void
set_elements_range(struct set_elements *e, const struct range *r)
{
	struct nftnl_set_elem *element;
	uint8_t end[RANGES_KEY_MAX];

	(void)next(e, r->first);
	if (!range_end(r, set_key_len(e->set->type), end))
		return;
	element = next(e, end);
	if (element != NULL)
		nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS,
		    NFT_SET_ELEM_INTERVAL_END);
}

void
set_elements_goto(struct set_elements *e, const uint8_t *key,
    uint64_t timeout_ms, const char *chain)
{
	struct nftnl_set_elem *element = next(e, key);

	if (element == NULL)
		return;
	nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, timeout_ms);
	nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_VERDICT,
	    (uint32_t)NFT_GOTO);
	if (nftnl_set_elem_set_str(element, NFTNL_SET_ELEM_CHAIN, chain) != 0)
		batch_fail(e->batch, -ENOMEM);
}
