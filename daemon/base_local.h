/* SPDX-License-Identifier: ISC */
/*
 * The local connection of a base protocol session, between its socket and core:
 * the client at the proxy, the server at the relay.
 */
#ifndef BASE_LOCAL_H
#define BASE_LOCAL_H

#include <stdbool.h>

#include "core/base.h"
#include "core/traffic.h"
#include "net/stream.h"

struct base_local {
	struct stream stream;		/* opened by the owner */
	struct base *base;
	struct traffic *traffic;	/* its bytes count there; or NULL */
	bool read_ended;		/* nothing more will be read */
	bool fin_sent;
	int broken;			/* it is over: errno; 0: it is whole */
	bool failed;			/* the kernel did: it is ours to end */
};

/* May more be read now?  Are there bytes to write? */
bool base_local_reads(const struct base_local *);
bool base_local_writes(const struct base_local *);

/* 0, or -ENOMEM. */
int base_local_read(struct base_local *);
/* Write, or drop what can no longer be written.  Has core less now? */
bool base_local_write(struct base_local *);
/* FIN. */
void base_local_shut(struct base_local *);
/* Nobody reads or writes it, and it may be broken. */
void base_local_look(struct base_local *);

#endif
