/* SPDX-License-Identifier: ISC */
/*
 * rorod --check-config: what an operator wants to know before a start and
 * before SIGHUP.
 */
#ifndef CONFCHECK_H
#define CONFCHECK_H

#include "core/config.h"

/* The rest of what a start would find wrong with the configuration that was
 * read from `file`: user, group and keys.  And then as whom the daemon will be:
 * what can it not read again?  That is warned about.  All of it goes to
 * standard error.  Privileges are dropped.  An exit status. */
int confcheck(const char *file, const struct config *);

#endif
