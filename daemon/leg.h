/* SPDX-License-Identifier: ISC */
/*
 * One local leg: the TCP connection of a client (at the proxy) or with a server
 * (at the relay), joined to its session so that each end sees what the other
 * does: bytes, end of file, reset.
 *
 * A leg ends by itself, or by leg_abort(); it then tells its owner once.
 */
#ifndef LEG_H
#define LEG_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "core/group.h"
#include "core/list.h"
#include "core/traffic.h"
#include "net/hangup.h"

struct leg;

/* What the legs of one group share; outlives them. */
struct leg_host {
	struct ev_loop *loop;
	struct hangup *hangup;
	uint32_t keepalive_s;		/* of those joined from now on */
	struct traffic *traffic;	/* their bytes count there; or NULL */
	/* Sessions changed: look at group_ready() and at the subflows, not
	 * necessarily now. */
	void (*on_change)(struct leg_host *);
	struct list legs;		/* private */
	size_t count;			/* legs that have not ended */
	size_t refused;			/* by the far end before it had opened
					 * them, for want of resources; the
					 * owner's to clear */
};

/* `host` has its members above set. */
void leg_host_init(struct leg_host *);

struct leg_options {
	struct leg_host *host;
	struct session *session;	/* its user becomes the leg */
	/* The leg has ended, its session is released.  `code` (enum wire_code):
	 * why the far end aborted the session, else WIRE_CODE_OK.  Never from
	 * inside leg_new(). */
	void (*on_gone)(void *user, uint8_t code);
	void *user;
};

/* NULL if out of memory: nothing has changed. */
struct leg *leg_new(const struct leg_options *);

/* The local end is here (takes `fd`): proxy, the client that was accepted, at
 * once; relay, the server when it was reached.  Only once; it may end in
 * here. */
void leg_join(struct leg *, int fd);

/* The session may have changed (group_ready()). */
void leg_update(struct leg *);

/* Nothing of its session was sent yet (session_is_sent()): go on in another
 * group, with its host.  Its owner stays the same.  0, or as group_adopt():
 * nothing has changed. */
int leg_move(struct leg *, struct leg_host *, struct group *);

/* End it now: RST to the local end, RESET with `code` to the other. */
void leg_abort(struct leg *, uint8_t code);

/* "session 17 192.0.2.6:40112", for the log, into `text`, which is returned. */
#define LEG_TEXT_MAX 80
const char *leg_session_text(const struct session *,
    char text[static LEG_TEXT_MAX]);

/* All of a host: those whose session nothing was sent of; every one, now. */
void leg_each_unsent(struct leg_host *, void (*)(void *user, struct leg *,
    const struct wire_open *), void *user);
void leg_abort_all(struct leg_host *, uint8_t code);

#endif
