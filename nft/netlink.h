/* SPDX-License-Identifier: ISC */
/*
 * A netlink socket: open, send, receive with a deadline.  And the decoder of
 * what the kernel answers.
 */
#ifndef NFT_NETLINK_H
#define NFT_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nlattr;
struct nlmsghdr;

/* ---- the socket ---- */

/* Of NETLINK_NETFILTER or NETLINK_ROUTE, non-blocking and close-on-exec (a
 * child that inherits it would keep an owned table alive), receiving what
 * belongs to `groups` (RTMGRP_*).  The descriptor, or -errno. */
int netlink_open(int protocol, uint32_t groups);

/* Send `len` bytes as one datagram, however long.  0, or -errno. */
int netlink_send(int fd, const void *data, size_t len);

/* Milliseconds of a clock that only goes forward, for deadlines. */
int64_t netlink_now_ms(void);

/* One datagram of the kernel (others are ignored) into `buffer`, which is
 * aligned to 4 bytes.  Its length, or -ETIMEDOUT when there is none until
 * `deadline_ms`; -ENOBUFS when the kernel had to drop some, -EMSGSIZE when it
 * is longer than the buffer (both: something is lost, the socket goes on), or
 * another -errno. */
ssize_t netlink_receive(int fd, void *buffer, size_t size,
    int64_t deadline_ms);

/* Enough for whatever the kernel sends as one datagram: its dumps take 32 KiB
 * when they are given the room (netlink_dump() in net/netlink/af_netlink.c). */
#define NETLINK_BUFFER 32768
union netlink_buffer {
	uint32_t align;
	uint8_t bytes[NETLINK_BUFFER];
};

/* ---- the decoder ---- */

/* What is still to be read of a datagram. */
struct netlink_cursor {
	const void *next;	/* aligned to 4 bytes */
	size_t left;
};

/* What netlink_next() found. */
enum netlink_kind {
	NETLINK_END,		/* nothing whole is left */
	NETLINK_ACK,		/* done, or `error` */
	NETLINK_DUMP_DONE,	/* the end of a dump, perhaps with `error` */
	NETLINK_DATA,		/* a message of `type` */
	NETLINK_IGNORED,	/* no-op and the like */
};

#define NETLINK_TEXT_MAX 96

struct netlink_reply {
	enum netlink_kind kind;
	uint16_t type;
	uint32_t seq;		/* of the request */
	bool interrupted;	/* of a dump: others changed what it shows */
	int error;		/* 0 or -errno */
	uint32_t offset;	/* in the request, of what the kernel objected
				   to; 0: it did not say */
	char text[NETLINK_TEXT_MAX];	/* what it said, printable; or "" */
	const struct nlmsghdr *message;	/* all of it, of NETLINK_DATA */
};

enum netlink_kind netlink_next(struct netlink_cursor *,
    struct netlink_reply *);

/* The attributes of a message, behind a header of `len` bytes of its own, and
 * the next of them; NULL: nothing whole is left.  (The loops of libmnl read up
 * to 3 bytes past a message whose length is not a multiple of 4.) */
struct netlink_cursor netlink_attributes(const struct nlmsghdr *, size_t len);
const struct nlattr *netlink_attribute(struct netlink_cursor *);

#endif
