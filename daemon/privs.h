/* SPDX-License-Identifier: ISC */
/*
 * Whom the daemon runs as and what it may do, once it has started.  Before that
 * it is what it was started as: ports are bound, keys read, limits raised and
 * options of listeners set.
 */
#ifndef PRIVS_H
#define PRIVS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct privs {
	uid_t uid;
	gid_t gid;
	bool set_groups;	/* else they stay: nobody is named */
	gid_t *groups;		/* supplementary ones */
	size_t ngroups;
};

/* Whom these names mean; NULL: stay who we are.  Without `group` it is the
 * user's own; supplementary groups are those of the user, none without `user`.
 * NULL with one sentence in the `size` bytes at `error`. */
struct privs *privs_find(const char *user, const char *group, char *error,
    size_t size);

/* NULL is accepted. */
void privs_free(struct privs *);

/*
 * Be that user, and keep no capability but CAP_NET_ADMIN, that only with
 * `net_admin` and if it was there.  Nothing gives any back: bounding and
 * ambient set are cleared and no_new_privs is set.  Nobody else can look into
 * the process, and it leaves no core dump.  What was not there before is no
 * error.  0, or -errno with one sentence at `error`; then some of it may be
 * done.  Not with several threads.
 */
int privs_drop(const struct privs *, bool net_admin, char *error, size_t size);

#endif
