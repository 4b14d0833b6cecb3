/* SPDX-License-Identifier: ISC */
/*
 * The attributes of messages of nf_tables.  Whatever is missing or too short
 * is as if it were not there.
 */
#ifndef CHECK_ATTR_H
#define CHECK_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nft/netlink.h"

struct nlattr;

/* Those of a nested one; none of NULL. */
struct netlink_cursor attr_inside(const struct nlattr *);

/* The first of a type; NULL: there is none. */
const struct nlattr *attr_find(struct netlink_cursor, uint16_t type);

/* In host order; `otherwise` where there is none. */
uint32_t attr_number(struct netlink_cursor, uint16_t type, uint32_t otherwise);
/* 0 where there is none. */
uint64_t attr_wide(struct netlink_cursor, uint16_t type);

/* A string, cut to what there is room for; "" of NULL. */
void attr_copy(char *into, size_t size, const struct nlattr *);
/* The same of one that is looked for. */
void attr_name(char *into, size_t size, struct netlink_cursor, uint16_t type);

/* The bytes of data (NFTA_DATA_VALUE), at most `size`; how many there are, 0:
 * no such. */
size_t attr_data(uint8_t *into, size_t size, struct netlink_cursor,
    uint16_t type);

/* The next message of one type (NFT_MSG_*), its family and its attributes. */
bool attr_message(struct netlink_cursor *, uint16_t type, uint8_t *family,
    struct netlink_cursor *attributes);

#endif
