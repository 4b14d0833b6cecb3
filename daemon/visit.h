/* SPDX-License-Identifier: ISC */
/*
 * A request to a running daemon, over its control socket.
 */
#ifndef VISIT_H
#define VISIT_H

/* Send `line`, which has a newline at its end, and wait for the answer, no
 * longer than `patience_s` in all; the caller's.  NULL with errno:
 * ENOENT or ECONNREFUSED (nobody listens there), ETIMEDOUT (there is no
 * answer), ENAMETOOLONG, EACCES, ENOMEM, ... */
char *visit(const char *socket, const char *line, unsigned patience_s);

#endif
