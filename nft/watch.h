/* SPDX-License-Identifier: ISC */
/*
 * What changes on this machine that can concern us: interfaces, addresses,
 * routes and rules; and, apart from that, our tables.  It says only that
 * something did, so that one looks again.
 *
 *	int fd = watch_open();
 *	... when it is readable:
 *	error = watch_read(fd, &changed);
 *
 * On a router with a full table, routes change all the time: look again now and
 * then, not each time.
 */
#ifndef NFT_WATCH_H
#define NFT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_LINKS 1u		/* an interface came, went, or changed */
#define WATCH_ADDRESSES 2u
#define WATCH_ROUTES 4u
#define WATCH_RULES 8u
#define WATCH_ALL 15u

/* A descriptor to watch and close, or -errno. */
int watch_open(void);

/* Read what is there, up to a bound: the descriptor stays readable when there
 * is more.  0 with the bits of what changed, perhaps none; WATCH_ALL when the
 * kernel had more to say than there was room for.  Or -errno. */
int watch_read(int fd, unsigned *changed);

/* The bits of one datagram, which is aligned to 4 bytes.  Rules and routes that
 * route_install() adds are not counted. */
unsigned watch_parse(const void *data, size_t len);

/* The same of the tables RULESET_TABLE and RULESET_KEEPER: *removed is whether
 * somebody else than `port` (transact_port()) has removed one of them, or
 * chains, rules or sets of it.  What the kernel had no room for is not known:
 * one has to look from time to time, too. */
int watch_tables_open(void);
int watch_tables_read(int fd, uint32_t port, bool *removed);
bool watch_tables_parse(const void *data, size_t len, uint32_t port);

#endif
