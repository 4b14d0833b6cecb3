/* SPDX-License-Identifier: ISC */
/*
 * Two directions that end each for itself, each cleanly or not:
 *
 *	local -> far	`read_ended`: the local end's FIN, or what is left after
 *			its reset, was handed to the session
 *	far -> local	`fin_sent`: the far end's FIN was shut down towards the
 *			local end; or its reset (SESSION_RESET), or at once
 *			(SESSION_ABORT)
 *
 * The local connection breaks (`broken`) when its RST or the kernel's own
 * error comes.  Nothing can be written any more then, so what comes from the
 * far end is dropped.  But what the local end sent before is still in the
 * kernel, and a direct connection would have delivered it: it is read up to
 * its end first, and the reset follows it as the FIN's code.  One trap: an
 * error is told once.  Whoever took it from write() finds that read() ends
 * with an end of file, which is a lie unless the error was EPIPE, by which
 * Linux says that the FIN came before the RST.
 *
 * If the local end was read to a clean end already, its reset afterwards means
 * that it takes nothing more.  The far end has to be reset as well, but only
 * after it has what was sent before (PHASE_ORPHAN).
 *
 * The local socket is armed to reset from its first moment and disarmed only
 * when both directions have ended cleanly, so whatever happens to this process
 * before is seen as what it is.
 */
#include "leg.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "core/addr.h"
#include "net/log.h"
#include "net/reap.h"
#include "net/sockopt.h"
#include "net/stream.h"

#define SPANS 16
#define READS 4			/* in one event: others wait too */
#define PARTING_S 2.		/* for the kernel to send what it has */
#define PARTING_POLL_S 0.01
#define ORPHAN_POLL_S 0.05
#define BROKEN_S 150.		/* for what came before the break to get out */

enum phase {
	PHASE_ALONE,		/* no local end yet (relay: connecting) */
	PHASE_JOINED,
	PHASE_PARTING,		/* far end reset: the kernel sends the rest */
	PHASE_ORPHAN,		/* local end broke: the session sends it */
	PHASE_GONE,
};

struct leg {
	struct reap_entry reap;		/* first: it is freed as such */
	struct list list;		/* of its host */
	struct leg_host *host;
	struct session *session;	/* until gone */
	void (*on_gone)(void *, uint8_t);
	uint8_t code;		/* the far end's, when it aborted */
	void *user;

	struct stream stream;
	struct hangup_entry hangup;
	ev_timer timer;			/* of PARTING, ORPHAN and broken */
	uint64_t deadline_us;

	enum phase phase;
	bool read_ended, fin_sent;
	bool watched;			/* by the hangup */
	int broken;			/* errno, 0: it is whole */
};

static void settle(struct leg *);

const char *
leg_session_text(const struct session *s, char text[static LEG_TEXT_MAX])
{
	char client[ADDR_TEXT_MAX];

	snprintf(text, LEG_TEXT_MAX, "session %u %s",
	    session_number(s),
	    addr_format(&session_open_info(s)->client, client));
	return text;
}

/* ---- its end ---- */

static void
free_leg(struct reap_entry *entry)
{
	free(entry);
}

/* The session was told what it had to be told. */
static void
end(struct leg *leg, const char *how)
{
	struct leg_host *host = leg->host;
	struct session *s = leg->session;
	char text[LEG_TEXT_MAX];

	log_debug("%s: %s, %llu bytes to it, %llu from it",
	    leg_session_text(s, text), how,
	    (unsigned long long)session_bytes_in(s),
	    (unsigned long long)session_bytes_out(s));
	ev_timer_stop(host->loop, &leg->timer);
	leg->phase = PHASE_GONE;
	leg->session = NULL;
	session_release(s, clock_us());
	list_unlink(&leg->list);
	host->count--;
	reap_later(&leg->reap, free_leg);
	leg->on_gone(leg->user, leg->code);
}

/* The owner hears of it before the local end, who may try again at once. */
static void
end_reset(struct leg *leg, const char *how)
{
	end(leg, how);
	stream_reset(&leg->stream);	/* we are freed later */
}

static void
end_orderly(struct leg *leg)
{
	stream_disarm(&leg->stream);
	stream_close(&leg->stream);
	end(leg, "ended");
}

/* ---- timer ---- */

static void
start_timer(struct leg *leg, double every_s, double at_most_s)
{
	leg->deadline_us = clock_us() + (uint64_t)(at_most_s * 1e6);
	ev_timer_stop(leg->host->loop, &leg->timer);
	ev_timer_set(&leg->timer, every_s, every_s);
	ev_timer_start(leg->host->loop, &leg->timer);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct leg *leg = w->data;
	struct leg_host *host = leg->host;

	(void)loop;
	(void)revents;
	if (clock_us() >= leg->deadline_us) {
		if (leg->phase == PHASE_PARTING)
			end_reset(leg, "reset by the far end");
		else
			leg_abort(leg, WIRE_CODE_OK);
	} else {
		settle(leg);
	}
	host->on_change(host);
}

/* ---- local end to session ---- */

/* The local connection is over in both directions; see the top. */
static void
break_off(struct leg *leg, int error)
{
	char text[LEG_TEXT_MAX];

	if (leg->broken != 0)
		return;
	leg->broken = error;
	log_debug("%s: connection broke: %s",
	    leg_session_text(leg->session, text), strerror(error));
	start_timer(leg, BROKEN_S, BROKEN_S);
}

/* `error` is 0 at the end of file. */
static void
read_end(struct leg *leg, int error)
{
	bool clean = error == 0 && (leg->broken == 0 || leg->broken == EPIPE);

	if (error != 0)
		break_off(leg, error);
	leg->read_ended = true;
	session_read_end(leg->session, clean ? WIRE_CODE_OK : WIRE_CODE_RESET,
	    clock_us());
	/* Reset: the session does the rest alone, there is nobody to take
	 * anything. */
	if (!clean)
		end_reset(leg, "reset by the local end");
	else
		sockopt_half_closed(leg->stream.fd);
}

static void
read_local(struct leg *leg)
{
	struct session *s = leg->session;
	struct span spans[SPANS];
	int n;

	for (int i = 0; i < READS; i++) {
		if (leg->phase != PHASE_JOINED || leg->read_ended ||
		    (n = session_read_room(s, spans, SPANS)) == 0)
			return;
		ssize_t got = stream_read(&leg->stream, spans, n);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			read_end(leg, (int)-got);
			return;
		}
		if (session_read(s, (size_t)got, clock_us()) != 0) {
			leg_abort(leg, WIRE_CODE_RESOURCES);
			return;
		}
		traffic_from(leg->host->traffic, (size_t)got);
	}
}

/* ---- session to local end ---- */

static size_t
total(const struct span spans[], int n)
{
	size_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += spans[i].len;
	return bytes;
}

/* The kernel may also fail without the connection being over: that is for us to
 * end then, since nobody else will. */
static void
write_failed(struct leg *leg, int error)
{
	if (error == ENOMEM || error == ENOBUFS)
		leg_abort(leg, WIRE_CODE_RESOURCES);
	else
		break_off(leg, error);
}

static void
write_local(struct leg *leg)
{
	struct session *s = leg->session;
	struct span spans[SPANS];
	int n;

	while ((n = session_peek(s, spans, SPANS)) > 0) {
		size_t bytes = total(spans, n);

		if (leg->broken != 0) {
			session_consume(s, bytes, clock_us());
			continue;
		}
		ssize_t sent = stream_write(&leg->stream, spans, n);
		if (sent == -EAGAIN || sent == 0)
			return;
		if (sent < 0) {
			write_failed(leg, (int)-sent);
			if (leg->phase == PHASE_GONE)
				return;
			continue;
		}
		session_consume(s, (size_t)sent, clock_us());
		traffic_to(leg->host->traffic, (size_t)sent);
		if ((size_t)sent < bytes)
			return;
	}
}

/* ---- what follows ---- */

/* The far end was reset after what we have written. */
static void
settle_parting(struct leg *leg)
{
	if (stream_unacked(&leg->stream) == 0 || leg->broken != 0) {
		end_reset(leg, "reset by the far end");
	} else if (leg->phase != PHASE_PARTING) {
		leg->phase = PHASE_PARTING;
		start_timer(leg, PARTING_POLL_S, PARTING_S);
	}
}

/* Read to its clean end, and broken since. */
static void
settle_orphan(struct leg *leg, enum session_state state)
{
	if (state != SESSION_OPEN || session_flushed(leg->session)) {
		end_reset(leg, "reset by the local end, after its end");
	} else if (leg->phase != PHASE_ORPHAN) {
		leg->phase = PHASE_ORPHAN;
		stream_reset(&leg->stream);
		start_timer(leg, ORPHAN_POLL_S, BROKEN_S);
	}
}

/* The one place where interest is derived. */
static void
update_interest(struct leg *leg)
{
	struct span span;
	bool reads = false, writes = false;

	if (leg->phase == PHASE_JOINED) {
		reads = !leg->read_ended &&
		    session_read_room(leg->session, &span, 1) > 0;
		writes = leg->broken == 0 &&
		    session_peek(leg->session, &span, 1) > 0;
	}
	stream_want(&leg->stream, reads, writes);
	if (!reads && !leg->watched && leg->stream.fd != -1) {
		leg->watched = true;
		hangup_watch(leg->host->hangup, leg->stream.fd, &leg->hangup);
	}
}

static void
shut_down(struct leg *leg)
{
	int error = -stream_shutdown(&leg->stream);

	if (error == 0) {
		leg->fin_sent = true;
		sockopt_half_closed(leg->stream.fd);
	} else if (error == ENOTCONN) {	/* it broke, by what? */
		error = hangup_error(leg->stream.fd);
		break_off(leg, error != 0 ? error : ENOTCONN);
	} else {
		write_failed(leg, error);
	}
}

static void
settle_joined(struct leg *leg)
{
	write_local(leg);
	if (leg->phase == PHASE_GONE)
		return;
	enum session_state state = session_state(leg->session);
	if (state == SESSION_RESET) {
		settle_parting(leg);
		return;
	}
	if (state == SESSION_END && !leg->fin_sent && leg->broken == 0)
		shut_down(leg);
	if (leg->phase == PHASE_GONE || !leg->read_ended)
		return;
	if (leg->fin_sent)
		end_orderly(leg);
	else if (leg->broken != 0)
		settle_orphan(leg, state);
}

/* After each event: do what can be done, and derive what to wait for. */
static void
settle(struct leg *leg)
{
	enum session_state state;

	if (leg->phase == PHASE_GONE)
		return;
	state = session_state(leg->session);
	if (state == SESSION_ABORT) {
		leg->code = session_code(leg->session);
		if (leg->code == WIRE_CODE_RESOURCES &&
		    !session_is_opened(leg->session))
			leg->host->refused++;
		end_reset(leg, leg->code != WIRE_CODE_OK ?
		    wire_code_text(leg->code) : "reset by the far end");
		return;
	}
	switch (leg->phase) {
	case PHASE_ALONE:
		if (state == SESSION_RESET)
			end_reset(leg, "reset by the far end");
		break;
	case PHASE_PARTING:
		settle_parting(leg);
		break;
	case PHASE_ORPHAN:
		write_local(leg);
		settle_orphan(leg, session_state(leg->session));
		break;
	default:
		settle_joined(leg);
	}
	if (leg->phase != PHASE_GONE)
		update_interest(leg);
}

static void
on_stream(struct stream *stream, int revents)
{
	struct leg *leg = stream->user;
	struct leg_host *host = leg->host;

	/* Read first: what came before an error must be taken before it. */
	if (revents & EV_READ)
		read_local(leg);
	settle(leg);
	host->on_change(host);
}

static void
on_hangup(struct hangup_entry *entry)
{
	struct leg *leg = list_object(entry, struct leg, hangup);
	struct leg_host *host = leg->host;
	int error;

	if (leg->stream.fd == -1 || leg->broken != 0 ||
	    (error = hangup_error(leg->stream.fd)) == 0)
		return;
	break_off(leg, error);
	settle(leg);
	host->on_change(host);
}

/* ---- for the roles ---- */

void
leg_host_init(struct leg_host *host)
{
	list_init(&host->legs);
	host->count = 0;
}

struct leg *
leg_new(const struct leg_options *o)
{
	struct leg *leg = calloc(1, sizeof(*leg));

	if (leg == NULL)
		return NULL;
	leg->host = o->host;
	leg->session = o->session;
	leg->on_gone = o->on_gone;
	leg->user = o->user;
	leg->stream.fd = -1;
	leg->hangup.on_hangup = on_hangup;
	ev_init(&leg->timer, on_timer);
	leg->timer.data = leg;
	list_append(&o->host->legs, &leg->list);
	o->host->count++;
	session_set_user(o->session, leg);
	return leg;
}

void
leg_join(struct leg *leg, int fd)
{
	struct leg_host *host = leg->host;

	stream_open(&leg->stream, host->loop, fd, on_stream, leg);
	sockopt_leg(fd, host->keepalive_s);
	leg->phase = PHASE_JOINED;
	settle(leg);
	host->on_change(host);
}

void
leg_update(struct leg *leg)
{
	settle(leg);
}

int
leg_move(struct leg *leg, struct leg_host *to, struct group *group)
{
	struct leg_host *from = leg->host;
	struct session *new;
	uint64_t now = clock_us();
	int error = group_adopt(group, leg->session, now, &new);

	if (error != 0)
		return error;
	session_release(leg->session, now);
	session_set_user(new, leg);
	leg->session = new;
	list_unlink(&leg->list);
	from->count--;
	leg->host = to;
	list_append(&to->legs, &leg->list);
	to->count++;
	from->on_change(from);
	to->on_change(to);
	return 0;
}

void
leg_abort(struct leg *leg, uint8_t code)
{
	struct leg_host *host = leg->host;

	if (leg->phase == PHASE_GONE)
		return;
	session_abort(leg->session, code, clock_us());
	end_reset(leg, code != WIRE_CODE_OK ? wire_code_text(code) : "cut");
	host->on_change(host);
}

void
leg_each_unsent(struct leg_host *host, void (*look)(void *, struct leg *,
    const struct wire_open *), void *user)
{
	struct list *node, *after;

	list_each_safe(node, after, &host->legs) {
		struct leg *leg = list_object(node, struct leg, list);

		if (!session_is_sent(leg->session))
			look(user, leg, session_open_info(leg->session));
	}
}

void
leg_abort_all(struct leg_host *host, uint8_t code)
{
	struct list *node;

	while ((node = list_first(&host->legs)) != NULL)
		leg_abort(list_object(node, struct leg, list), code);
}
