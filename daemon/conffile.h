/* SPDX-License-Identifier: ISC */
/*
 * The configuration file, rorod.conf(5): its syntax is libconfuse's business,
 * what it means is core/config's.  Not for several threads.
 */
#ifndef CONFFILE_H
#define CONFFILE_H

#include <stddef.h>

struct config;

#define CONFFILE_ERROR_MAX 1024		/* room for any error */

/* The file at `path`; the caller's, see config_free().  NULL with one sentence
 * in the `size` bytes at `error`: "PATH:LINE: what was expected, what was
 * found". */
struct config *conffile_read(const char *path, char *error, size_t size);

/* The same for the `len` bytes at `text`; errors call them `name`. */
struct config *conffile_parse(const char *name, const char *text, size_t len,
    char *error, size_t size);

#endif
