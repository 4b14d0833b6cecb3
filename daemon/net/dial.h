/* SPDX-License-Identifier: ISC */
/*
 * Connect without blocking, with a deadline.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <ev.h>
#include <stdint.h>

#include "core/addr.h"
#include "net/sockopt.h"

struct dial;

/* Once, never from inside dial_start().  `fd` >= 0: connected, yours (it may
 * have been reset since; what came before is still there to be read).
 * Otherwise -1 and `error` is -errno (-ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT
 * at the deadline, ...).  The dial is over and must not be cancelled any
 * more. */
typedef void dial_done(void *user, int fd, int error);

struct dial_options {
	struct addr destination;
	struct addr source;		/* family 0: any; port 0: any */
	const char *interface;		/* SO_BINDTODEVICE, or NULL */
	const struct sockopt_subflow *subflow;	/* or NULL: a server leg */
	uint8_t dscp;			/* of what we send, 0 to 63 */
	uint32_t timeout_ms;
	dial_done *on_done;
	void *user;
};

/* NULL: out of memory.  Every other failure is told by on_done, later. */
struct dial *dial_start(struct ev_loop *, const struct dial_options *);
/* Forget it: on_done will not be called.  NULL is accepted. */
void dial_cancel(struct dial *);

#endif
