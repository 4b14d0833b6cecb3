/* SPDX-License-Identifier: ISC */
/*
 * The relays of a proxy that speak the extended protocol: where each is,
 * whether it answers, and its uplink; which of them a new session is given to
 * (core/choice.h).
 *
 * When a relay is about to end, its uplink retires: sessions that are open may
 * finish there, and a new uplink in its place finds the relay's successor.  A
 * relay that a reload removes is kept as long as it has sessions, and so is
 * what it was before when it is another one afterwards.
 * Sessions of a relay that is lost wait there for it.
 */
#ifndef RELAYS_H
#define RELAYS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"
#include "core/wire.h"
#include "keyring.h"
#include "quota.h"
#include "uplink.h"
#include "net/hangup.h"
#include "net/resolver.h"

struct relays;

struct relays_options {
	struct ev_loop *loop;
	struct hangup *hangup;
	struct quota *quota;
	/* These two until relays_configure(), and held beyond that where it is
	 * needed. */
	struct config *config;
	struct keyring *keys;
	/* relays_addresses() would say something else now. */
	void (*on_addresses)(void *user);
	/* After relays_drain(): the last session is gone. */
	void (*on_idle)(void *user);
	void *user;
};

/* Starts to dial all of them.  NULL if out of memory; relays_free() accepts
 * NULL, and resets what is left.  Not freed inside a callback. */
struct relays *relays_new(const struct relays_options *);
void relays_free(struct relays *);

/* Another configuration.  0, or -ENOMEM: nothing has changed.  The addresses
 * may be others (on_addresses() is not called). */
int relays_configure(struct relays *, struct config *, struct keyring *);

/* Carry the client `fd` through one of them; as uplink_open(), but for
 * -ENOSPC. */
int relays_open(struct relays *, const struct wire_open *, int fd,
    void (*on_gone)(void *user, uint8_t code), void *user);

/* Where they are, as far as is known; how many.  The array has room for that
 * many. */
#define RELAYS_ADDRESSES_MAX (CONFIG_RELAYS_MAX * RESOLVER_MAX)
size_t relays_addresses(const struct relays *, struct addr *);

/* Look whether they answer.  false: none does.  `*families` is what those that
 * take more sessions reach together (gate.h); `*full`: none of them does.  To
 * be called about once a second (it is also done inside). */
bool relays_look(struct relays *, unsigned *families, bool *full);

/* How many there are, those included that are not configured any more; they
 * come after the others. */
size_t relays_count(const struct relays *);

struct relays_status {
	const struct config_relay *config;	/* this and the key until the */
	const struct key *key;		/* loop runs; the key may be NULL */
	bool removed;			/* it is not configured any more */
	struct addr address;		/* family 0: not known yet */
	bool up;			/* it answers, and takes sessions */
	bool draining;			/* not up: it is about to end */
	uint64_t since_us;		/* it is up or is not, or was removed */
	uint64_t aside_us;		/* for so long others are preferred */
	unsigned families;		/* that it reaches (gate.h) */
	size_t sessions;		/* open there, those that finish, too */
	struct repeats repeats;		/* since we began to use it */
	struct uplink_state uplink;	/* zero when there is none any more;
					 * while draining, of those */
};
/* Of config->relays[relay], or one that was. */
void relays_status(struct relays *, size_t relay, struct relays_status *);

/* One of its paths, as its subflows are; counts are since we began to use the
 * relay. */
void relays_path(const struct relays *, size_t relay, size_t path,
    struct uplink_path *);

/* Nothing new will be opened. */
void relays_drain(struct relays *);
/* Reset every session, both ends. */
void relays_abort(struct relays *);

#endif
