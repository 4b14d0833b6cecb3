/* SPDX-License-Identifier: ISC */
/*
 * What an operator asks of a running daemon: one line of words.
 *
 *	status
 *	bypass list
 *	bypass add PREFIX
 *	bypass del PREFIX
 *	intercept on
 *	intercept off
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include <stddef.h>

#include "addr.h"

#define REQUEST_MAX 4096		/* a line, with its newline */

enum request_kind {
	REQUEST_STATUS,
	REQUEST_BYPASS_LIST,
	REQUEST_BYPASS_ADD,
	REQUEST_BYPASS_DEL,
	REQUEST_INTERCEPT_ON,
	REQUEST_INTERCEPT_OFF,
	REQUEST_NKINDS,
};

struct request {
	enum request_kind kind;
	struct addr_prefix prefix;	/* of add and del */
};

/* A line without its newline; its words are parted by spaces.  NULL, or one
 * sentence that says what is wrong with it. */
const char *request_parse(struct request *, const char *line, size_t len);

#endif
