/* SPDX-License-Identifier: ISC */
/*
 * A listening TCP socket.  It accepts in batches, pauses on EMFILE, ENFILE,
 * ENOBUFS and ENOMEM with a timer instead of spinning, and can be paused by its
 * owner while there is no room for another session.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <ev.h>
#include <stdbool.h>

#include "core/addr.h"
#include "net/sockopt.h"

struct listener;

/* Takes `fd` (non-blocking, close-on-exec); `peer` is who connected. */
typedef void listener_accept(void *user, int fd, const struct addr *peer);

struct listener_options {
	struct addr address;
	const char *interface;		/* SO_BINDTODEVICE, or NULL */
	bool transparent;		/* takes what TPROXY gives it, for
					 * whatever address (IP_TRANSPARENT) */
	const struct sockopt_subflow *subflow;	/* before listen(), or NULL */
	int backlog;			/* 0: the system's */
	listener_accept *on_accept;
	void *user;
};

/* "::" listens for both families (IPV6_V6ONLY off).  NULL with *error set to
 * -errno and `step` naming the call that failed ("bind", ...). */
struct listener *listener_new(struct ev_loop *,
    const struct listener_options *, int *error, const char **step);
void listener_free(struct listener *);

/* Have the kernel keep the first packet of each connection, from now on
 * (TCP_SAVE_SYN), for origdst_dscp(). */
void listener_save_syn(struct listener *, bool save);

/* Stop accepting until resumed; connections wait in the backlog. */
void listener_pause(struct listener *, bool pause);

/* This process is about to end: from now on one other, of the same user, may
 * listen at the same address, and then has all new connections (at another one
 * that includes it, or is included, those that the kernel gives it).  false,
 * and that is logged: one more is about to end there already, or no other can
 * be told, so free this one.
 * Did this one find such another? */
bool listener_share(struct listener *);
bool listener_succeeds(const struct listener *);

/* The address that it really has (port 0 was filled in). */
const struct addr *listener_address(const struct listener *);

#endif
