/* SPDX-License-Identifier: ISC */
/*
 * One rorod with rules of its own in each network namespace.  The kernel says
 * so where tables have owners; for where they do not, and before anything of
 * the other one is touched, there is a name: of an abstract unix socket, which
 * belongs to a network namespace, to nobody twice, and is free when its process
 * is gone, however that happens (unix(7)).
 *
 * Anybody may take such a name.  It counts only for who is root or the user
 * that we are.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include <stddef.h>
#include <sys/types.h>

#define INSTANCE_NAME "ro-ro-tcp"

/* A descriptor, which is the claim until it is closed; -EADDRINUSE, with the
 * process whose it is (0: it is not known here); or another -errno, -EPERM for
 * a stranger's. */
int instance_claim(const char *name, pid_t *other);

/* To be called now and then: those who asked are let go, so that there is room
 * for the next. */
void instance_answer(int fd);

#endif
