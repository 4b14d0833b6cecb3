/* SPDX-License-Identifier: ISC */
/*
 * The destination is checked on the very address that is dialed: there are no
 * names on the wire, and nothing is resolved in between.
 */
#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "net/dial.h"
#include "net/log.h"

struct call {
	struct call_host *host;
	struct peer *peer;
	struct session *session;	/* as long as the leg */
	struct leg *leg;
	struct dial *dial;		/* NULL when it is over */
};

static void
on_gone(void *user, uint8_t code)
{
	struct call *call = user;

	(void)code;
	dial_cancel(call->dial);
	peer_drop_session(call->peer);
	call->host->count--;
	free(call);
}

static void
on_dialed(void *user, int fd, int error)
{
	static struct log_limit limit;
	struct call *call = user;

	call->dial = NULL;
	if (fd != -1) {
		session_opened(call->session);
		leg_join(call->leg, fd);
		return;
	}
	if (wire_code_of(error) == WIRE_CODE_RESOURCES)
		log_limited(&limit, LOG_LEVEL_WARN, "relay: connect: %s",
		    strerror(-error));
	leg_abort(call->leg, wire_code_of(error));
}

static void
refuse(struct session *s, uint8_t code)
{
	uint64_t now = clock_us();

	session_abort(s, code, now);
	session_release(s, now);
}

/* Has it room for one more?  Then the peer has one more. */
static bool
may_begin(const struct call_host *host, struct peer *peer,
    const struct session *s)
{
	const char *refused = host->count >= host->max ?
	    "max-sessions of the relay" : peer_take_session(peer, host->max,
	    clock_us());
	char text[LEG_TEXT_MAX];

	if (refused == NULL)
		return true;
	log_limited(peer_limit(peer, PEER_LINE_SESSION), LOG_LEVEL_WARN,
	    "peer \"%s\": %s: refused: %s", peer_name(peer),
	    leg_session_text(s, text), refused);
	return false;
}

static bool
is_allowed(const struct call_host *host, struct peer *peer,
    const struct session *s)
{
	const struct addr *destination = &session_open_info(s)->destination;
	enum acl_verdict verdict = acl_check(peer_config(peer)->acl,
	    destination, host->own, host->nown);
	char text[LEG_TEXT_MAX], to[ADDR_TEXT_MAX];

	if (verdict == ACL_PERMIT)
		return true;
	log_limited(peer_limit(peer, PEER_LINE_DENIED), LOG_LEVEL_WARN,
	    "peer \"%s\": %s: to %s: %s", peer_name(peer),
	    leg_session_text(s, text), addr_format(destination, to),
	    acl_verdict_text(verdict));
	return false;
}

/* NULL if out of memory. */
static struct call *
make_call(struct call_host *host, struct leg_host *legs, struct peer *peer,
    struct session *s)
{
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->host = host;
	call->peer = peer;
	call->session = s;
	call->leg = leg_new(&(struct leg_options){ .host = legs,
	    .session = s, .on_gone = on_gone, .user = call });
	if (call->leg == NULL) {
		free(call);
		return NULL;
	}
	host->count++;
	return call;
}

void
call_start(struct call_host *host, struct leg_host *legs, struct peer *peer,
    struct session *s)
{
	char text[LEG_TEXT_MAX], to[ADDR_TEXT_MAX];
	const struct wire_open *open;
	struct call *call;

	/* Its RESET may have come right behind its OPEN. */
	if (session_state(s) == SESSION_ABORT) {
		session_release(s, clock_us());
		return;
	}
	if (!may_begin(host, peer, s)) {
		refuse(s, WIRE_CODE_RESOURCES);
		return;
	}
	/* Looking for what is allowed counts as a new session, too. */
	if (!is_allowed(host, peer, s)) {
		peer_drop_session(peer);
		refuse(s, WIRE_CODE_DENIED);
		return;
	}
	if ((call = make_call(host, legs, peer, s)) == NULL) {
		peer_drop_session(peer);
		refuse(s, WIRE_CODE_RESOURCES);
		return;
	}
	open = session_open_info(s);
	log_debug("%s: to %s", leg_session_text(s, text),
	    addr_format(&open->destination, to));
	call->dial = dial_start(host->loop, &(struct dial_options){
		.destination = open->destination,
		.dscp = open->dscp > 0 ? (uint8_t)open->dscp : 0,
		.timeout_ms = host->connect_timeout_ms,
		.on_done = on_dialed,
		.user = call,
	});
	if (call->dial == NULL)
		leg_abort(call->leg, WIRE_CODE_RESOURCES);
}
