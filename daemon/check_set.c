/* SPDX-License-Identifier: ISC */
/*
 * An interval is two elements, its beginning and, with a flag, what comes after
 * its end; the last one may have no end.  They come in any order.  So the last
 * element up to the key decides.
 */
#include "check_set.h"

#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include <libmnl/libmnl.h>

#include "check_attr.h"

struct search {
	const uint8_t *key;
	size_t len;
	bool intervals;			/* there are some */
	bool any;			/* an element up to the key: */
	bool end;
	uint8_t at[CHECK_KEY_MAX];
	struct netlink_cursor attributes;
};

/* false: it is not understood. */
static bool
take(struct search *s, struct netlink_cursor element)
{
	uint8_t at[CHECK_KEY_MAX];
	size_t len = attr_data(at, sizeof(at), element, NFTA_SET_ELEM_KEY);
	bool end = (attr_number(element, NFTA_SET_ELEM_FLAGS, 0) &
	    NFT_SET_ELEM_INTERVAL_END) != 0;
	int later;

	if (len != s->len ||
	    attr_find(element, NFTA_SET_ELEM_KEY_END) != NULL)
		return false;
	s->intervals = s->intervals || end;
	if (memcmp(at, s->key, len) > 0)
		return true;
	later = s->any ? memcmp(at, s->at, len) : 1;
	/* One interval may begin where another ends. */
	if (later < 0 || (later == 0 && end))
		return true;
	s->any = true;
	s->end = end;
	memcpy(s->at, at, len);
	s->attributes = element;
	return true;
}

static bool
is_of(struct netlink_cursor a, uint8_t family, const struct check_set *set)
{
	char text[NFT_NAME_MAXLEN];

	if (family != set->family)
		return false;
	attr_name(text, sizeof(text), a, NFTA_SET_ELEM_LIST_TABLE);
	if (strcmp(text, set->table) != 0)
		return false;
	attr_name(text, sizeof(text), a, NFTA_SET_ELEM_LIST_SET);
	return strcmp(text, set->name) == 0;
}

bool
check_find_element(struct netlink_cursor elements, const struct check_set *set,
    const uint8_t *key, size_t len, struct check_element *found)
{
	struct search s = { .key = key, .len = len };
	struct netlink_cursor a;
	bool known = false;
	uint8_t family;

	*found = (struct check_element){ 0 };
	while (attr_message(&elements, NFT_MSG_NEWSETELEM, &family, &a)) {
		struct netlink_cursor list;
		const struct nlattr *element;

		if (!is_of(a, family, set))
			continue;
		known = true;
		list = attr_inside(attr_find(a, NFTA_SET_ELEM_LIST_ELEMENTS));
		while ((element = netlink_attribute(&list)) != NULL)
			if (!take(&s, attr_inside(element)))
				return false;
	}
	found->there = s.any && (s.intervals ? !s.end :
	    memcmp(s.at, key, len) == 0);
	found->attributes = s.attributes;
	return known;
}
