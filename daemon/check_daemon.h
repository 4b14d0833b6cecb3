/* SPDX-License-Identifier: ISC */
/*
 * The rorod that runs here with the configuration that is looked at, if there
 * is one, and who listens for TCP here.
 */
#ifndef CHECK_DAEMON_H
#define CHECK_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check_machine.h"
#include "check_text.h"

struct check_daemon {
	long pid;		/* 0: it does not run */
	long other;		/* a rorod with another configuration, or 0 */
	bool visible;		/* we can see what it has open: */
	uint64_t *sockets;	/* by their inodes */
	size_t nsockets;
	char unit[CHECK_UNIT_MAX];	/* of systemd; or "" */
};

struct check_sockets {
	struct check_socket *list;
	size_t n;
};

/* All that listen in this network namespace. */
void check_find_sockets(const struct check_machine *, struct check_sockets *);
void check_free_sockets(struct check_sockets *);

/* Do they take the same connections, or would both not go together? */
bool check_overlap(const struct addr *, const struct addr *);

/* The daemon that was started with `file`, or that listens where one with this
 * configuration would: at one of the `n` addresses. */
void check_find_daemon(const struct check_machine *, const char *file,
    const struct check_sockets *, const struct addr *listen, size_t n,
    struct check_daemon *);
void check_free_daemon(struct check_daemon *);

/* Is the socket with this inode the daemon's? */
bool check_owns(const struct check_daemon *, uint64_t inode);

/* Who has it open: "NAME (PID)", the caller's; NULL: that cannot be seen. */
char *check_owner(const struct check_machine *, uint64_t inode);

/* The configuration that a command line names (its words end with NULs), as it
 * is written there, or else SYSCONFDIR/rorod.conf.  The caller's. */
char *check_file_of(const char *words, size_t len);

#endif
