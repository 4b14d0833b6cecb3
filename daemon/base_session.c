/* SPDX-License-Identifier: ISC */
/*
 * The base protocol has no word for a reset.  It is the RST of the subflows,
 * and what was sent before it can still arrive: the end that resets waits until
 * the kernel of the other has everything (PHASE_ORPHAN), and that one reads
 * what is in its kernel, which stays readable, and delivers what is in order
 * before it resets its own local connection (PHASE_PARTING).
 *
 * Every socket is armed to reset until both directions have ended cleanly.
 * Then whatever happens to this process before is seen as what it is, even if a
 * FIN was sent already.
 */
#include "base_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base_line.h"
#include "base_local.h"
#include "clock.h"
#include "core/base.h"
#include "core/list.h"
#include "net/log.h"
#include "net/reap.h"
#include "net/sockopt.h"
#include "net/stream.h"

#define POLL_S 0.01
#define PARTING_S 2.		/* for the kernel to send what it has */
#define DELIVER_S 150.		/* for a slow local end to take the rest */
#define ORPHAN_S 10.		/* for the subflows to carry the rest */

enum phase {
	PHASE_OPEN,
	PHASE_PARTING,		/* subflows broke, the local end gets it all */
	PHASE_ORPHAN,		/* local end broke, the subflows get the rest */
	PHASE_GONE,
};

struct subflow {
	struct base_line line;	/* its number is its place */
	struct hangup_entry hangup;
	struct base_session *session;
	bool watched;		/* by the hangup */
};

struct base_session {
	struct reap_entry reap;	/* first: it is freed as such */
	struct base_session_options options;
	struct base *base;
	enum phase phase;
	ev_timer poll;		/* also: look at it soon */
	uint64_t deadline_us;	/* 0: none */

	struct base_local local;
	struct hangup_entry hangup;	/* of the local connection */
	bool watched;

	const char *why;	/* the subflows broke; NULL: they are whole */
	int count;
	int turn;		/* who is offered something first */
	struct subflow subflows[BASE_SUBFLOWS];
};

static void settle(struct base_session *);

/* ---- its end ---- */

static void
free_session(struct reap_entry *entry)
{
	struct base_session *s = (struct base_session *)entry;

	for (int i = 0; i < s->count; i++)
		base_line_clear(&s->subflows[i].line);
	base_free(s->base);
	free(s);
}

/* The sockets were closed as they had to be. */
static void
end(struct base_session *s, const char *how)
{
	char text[ADDR_TEXT_MAX];

	log_debug("base session %s: %s, %llu bytes to it, %llu from it",
	    addr_format(&s->options.peer, text), how,
	    (unsigned long long)base_bytes_in(s->base),
	    (unsigned long long)base_bytes_out(s->base));
	ev_timer_stop(s->options.loop, &s->poll);
	s->phase = PHASE_GONE;
	reap_later(&s->reap, free_session);
	s->options.on_gone(s->options.user);
}

static void
reset_subflows(struct base_session *s)
{
	for (int i = 0; i < s->count; i++)
		stream_reset(&s->subflows[i].line.stream);
}

static void
end_reset(struct base_session *s, const char *how)
{
	stream_reset(&s->local.stream);
	reset_subflows(s);
	end(s, how);
}

static void
close_orderly(struct stream *stream)
{
	stream_disarm(stream);
	stream_close(stream);
}

static void
end_orderly(struct base_session *s)
{
	close_orderly(&s->local.stream);
	for (int i = 0; i < s->count; i++)
		close_orderly(&s->subflows[i].line.stream);
	end(s, "ended");
}

static void
set_deadline(struct base_session *s, double after_s)
{
	s->deadline_us = clock_us() + (uint64_t)(after_s * 1e6);
}

static bool
is_late(const struct base_session *s)
{
	return s->deadline_us != 0 && clock_us() >= s->deadline_us;
}

/* The subflows are over; what they brought may still be of use. */
static void
fail(struct base_session *s, const char *why)
{
	if (s->why == NULL)
		s->why = why;
}

/* And nothing more can come. */
static void
fail_hard(struct base_session *s, const char *why)
{
	fail(s, why);
	reset_subflows(s);
}

/* What a line said; it is returned. */
static int
judge(struct base_session *s, int result)
{
	if (result == -EPROTO)
		fail_hard(s, "protocol error");
	else if (result == -ENOMEM)
		fail_hard(s, "out of memory");
	else if (result < 0)
		fail(s, "subflow lost");
	return result;
}

/* ---- local end to subflows ---- */

/* What the kernels have not yet seen acknowledged.  Who has least of it is
 * offered something first. */
static void
report(struct base_session *s)
{
	size_t least = SIZE_MAX;
	int first = s->turn;

	for (int i = 0; i < s->count; i++) {
		int k = (first + i) % s->count;
		size_t unacked = base_line_unacked(&s->subflows[k].line);

		base_acked(s->base, k, unacked);
		if (unacked < least) {
			least = unacked;
			s->turn = k;
		}
	}
}

static void
pump(struct base_session *s)
{
	bool progress = s->count > 0 && !base_sent(s->base);

	if (progress)
		report(s);
	while (progress && s->why == NULL) {
		progress = false;
		for (int i = 0; i < s->count && s->why == NULL; i++) {
			struct subflow *sf =
			    &s->subflows[(s->turn + i) % s->count];

			if (judge(s, base_line_offer(&sf->line)) > 0)
				progress = true;
		}
		s->turn = (s->turn + 1) % s->count;
	}
}

/* The end of file, once everything was written.  Was it sent on all? */
static bool
shut_subflows(struct base_session *s)
{
	bool all = base_flushed(s->base);

	if (!all)
		return false;
	for (int i = 0; i < s->count && s->why == NULL; i++)
		if (judge(s, base_line_shut(&s->subflows[i].line)) <= 0)
			all = false;
	return all;
}

/* ---- subflows to local end ---- */

/* What is delivered makes room, and datagrams due that had to wait. */
static void
deliver(struct base_session *s)
{
	bool more = base_local_write(&s->local);

	while (more) {
		more = false;
		for (int i = 0; i < s->count; i++)
			if (judge(s, base_line_take(&s->subflows[i].line)) > 0)
				more = true;
		more = more && base_local_write(&s->local);
	}
}

/* Everything that the kernels of broken subflows still have, as far as there is
 * room for it. */
static void
read_out(struct base_session *s)
{
	bool again;

	do {
		again = false;
		for (int i = 0; i < s->count; i++) {
			struct base_line *l = &s->subflows[i].line;

			if (!base_line_wants(l))
				continue;
			again = true;
			if (judge(s, base_line_read(l)) <= 0)
				stream_reset(&l->stream);
			deliver(s);
		}
	} while (again);
}

/* ---- what follows ---- */

/* The subflows broke: the rest, and then the local end's reset. */
static void
settle_parting(struct base_session *s)
{
	struct span span;

	if (s->phase != PHASE_PARTING) {
		s->phase = PHASE_PARTING;
		if (s->options.on_break != NULL)
			s->options.on_break(s->options.user);
		set_deadline(s, DELIVER_S);
	}
	deliver(s);
	read_out(s);
	if (base_peek(s->base, &span, 1) == 0) {
		/* What may still be in a kernel waits for what is lost. */
		if (stream_unacked(&s->local.stream) == 0) {
			end_reset(s, s->why);
			return;
		}
		if (s->deadline_us > clock_us() + (uint64_t)(PARTING_S * 1e6))
			set_deadline(s, PARTING_S);
	}
	if (s->local.broken != 0 || s->local.failed || is_late(s))
		end_reset(s, s->why);
}

/* The local end broke, and everything of it was read. */
static void
settle_orphan(struct base_session *s)
{
	size_t unacked = 0;

	if (s->phase != PHASE_ORPHAN) {
		s->phase = PHASE_ORPHAN;
		stream_reset(&s->local.stream);
		if (!is_late(s))	/* it was, if it could not be read */
			set_deadline(s, ORPHAN_S);
	}
	pump(s);
	for (int i = 0; i < s->count; i++)
		unacked += base_line_unacked(&s->subflows[i].line);
	if (s->why != NULL || is_late(s) ||
	    (base_sent(s->base) && unacked == 0))
		end_reset(s, "reset by the local end");
}

static void
settle_open(struct base_session *s)
{
	struct base_local *local = &s->local;
	bool shut;

	deliver(s);
	pump(s);
	if (base_state(s->base) == BASE_LOST)
		fail_hard(s, "data lost");
	shut = s->why == NULL && local->broken == 0 && shut_subflows(s);
	if (base_state(s->base) == BASE_END && !local->fin_sent &&
	    local->broken == 0 && s->why == NULL)
		base_local_shut(local);
	if (local->failed)
		fail_hard(s, "out of memory");
	if (s->why != NULL) {
		settle_parting(s);
		return;
	}
	if (local->broken != 0) {
		if (s->deadline_us == 0)
			set_deadline(s, ORPHAN_S);
		if (local->read_ended || is_late(s))
			settle_orphan(s);
	} else if (local->read_ended && local->fin_sent && shut) {
		end_orderly(s);
	}
}

static void
watch(struct base_session *s, const struct stream *stream,
    struct hangup_entry *entry, bool *watched)
{
	if (*watched || stream->fd == -1)
		return;
	*watched = true;
	hangup_watch(s->options.hangup, stream->fd, entry);
}

/* The one place where interest is derived. */
static void
update_interest(struct base_session *s)
{
	bool open = s->phase == PHASE_OPEN, polls;
	bool reads = open && base_local_reads(&s->local);

	stream_want(&s->local.stream, reads, base_local_writes(&s->local));
	if (!reads)
		watch(s, &s->local.stream, &s->hangup, &s->watched);
	for (int i = 0; i < s->count; i++) {
		struct subflow *sf = &s->subflows[i];
		struct stream *stream = &sf->line.stream;

		reads = open && base_line_wants(&sf->line);
		stream_want(stream, reads, s->phase != PHASE_PARTING &&
		    base_line_blocked(&sf->line));
		if (!reads)
			watch(s, stream, &sf->hangup, &sf->watched);
	}
	/* Nothing else tells when a kernel has seen something acknowledged. */
	polls = !open || s->local.broken != 0 || base_waits(s->base);
	if (!polls) {
		ev_timer_stop(s->options.loop, &s->poll);
	} else if (!ev_is_active(&s->poll)) {
		ev_timer_set(&s->poll, POLL_S, POLL_S);
		ev_timer_start(s->options.loop, &s->poll);
	}
}

/* After each event: do what can be done, and derive what to wait for. */
static void
settle(struct base_session *s)
{
	switch (s->phase) {
	case PHASE_OPEN:
		settle_open(s);
		break;
	case PHASE_PARTING:
		settle_parting(s);
		break;
	case PHASE_ORPHAN:
		settle_orphan(s);
		break;
	case PHASE_GONE:
		return;
	}
	if (s->phase != PHASE_GONE)
		update_interest(s);
}

/* ---- the loop's callbacks ---- */

/* Read first, always: what came before an error must be taken before it. */
static void
on_local(struct stream *stream, int revents)
{
	struct base_session *s = stream->user;

	if (revents & EV_READ)
		(void)judge(s, base_local_read(&s->local));
	settle(s);
}

static void
on_subflow(struct stream *stream, int revents)
{
	struct subflow *sf = stream->user;

	if (revents & EV_READ)
		(void)judge(sf->session, base_line_read(&sf->line));
	if (revents & EV_WRITE)
		(void)judge(sf->session, base_line_flush(&sf->line));
	settle(sf->session);
}

static void
on_local_hangup(struct hangup_entry *entry)
{
	struct base_session *s = list_object(entry, struct base_session,
	    hangup);

	if (s->phase != PHASE_OPEN && s->phase != PHASE_PARTING)
		return;
	base_local_look(&s->local);
	settle(s);
}

static void
on_subflow_hangup(struct hangup_entry *entry)
{
	struct subflow *sf = list_object(entry, struct subflow, hangup);

	if (sf->line.stream.fd == -1)
		return;
	/* Its error is left to read(), behind its last bytes. */
	fail(sf->session, "subflow lost");
	settle(sf->session);
}

static void
on_poll(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	settle(w->data);
}

/* In the loop's next turn: our caller may not see an end now. */
static void
settle_soon(struct base_session *s)
{
	if (s->phase == PHASE_GONE)
		return;
	ev_timer_stop(s->options.loop, &s->poll);
	ev_timer_set(&s->poll, 0., POLL_S);
	ev_timer_start(s->options.loop, &s->poll);
}

/* ---- for the roles ---- */

struct base_session *
base_session_new(int local, const struct base_session_options *o)
{
	struct base_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->base = base_new(&(struct base_options){
		.proxy = o->proxy,
		.limit_bytes = o->limit_bytes,
		.datagram_max = BASE_LINE_DATAGRAM,
		.budget = o->budget,
	});
	if (s->base == NULL) {
		free(s);
		return NULL;
	}
	s->options = *o;
	s->local.base = s->base;
	s->local.traffic = o->traffic;
	s->hangup.on_hangup = on_local_hangup;
	ev_init(&s->poll, on_poll);
	s->poll.data = s;
	stream_open(&s->local.stream, o->loop, local, on_local, s);
	sockopt_leg(local, o->keepalive_s);
	settle_soon(s);
	return s;
}

int
base_session_joinable(const struct base_session *s)
{
	if (s->phase == PHASE_PARTING || s->phase == PHASE_GONE ||
	    s->why != NULL)
		return -ECONNRESET;
	return base_joinable(s->base);
}

void
base_session_join(struct base_session *s, int fd)
{
	int number = base_join(s->base);
	struct subflow *sf = &s->subflows[number];

	s->count++;
	sf->session = s;
	sf->hangup.on_hangup = on_subflow_hangup;
	sf->line.base = s->base;
	sf->line.number = number;
	sf->line.budget = s->options.budget;
	stream_open(&sf->line.stream, s->options.loop, fd, on_subflow, sf);
	settle_soon(s);
}

bool
base_session_rescue(struct base_session *s, int fd)
{
	if (base_joinable(s->base) != 0)
		return false;
	base_session_join(s, fd);
	return true;
}

void
base_session_settle(struct base_session *s)
{
	base_settle(s->base);
	settle_soon(s);
}

void
base_session_break(struct base_session *s, const char *why)
{
	fail(s, why);
	settle(s);
}

void
base_session_reset(struct base_session *s, const char *why)
{
	if (s->phase != PHASE_GONE)
		end_reset(s, why);
}
