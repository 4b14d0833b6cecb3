/* SPDX-License-Identifier: ISC */
/*
 * A connection number is all that tells one session's subflows from another's,
 * so it has to be hard to find.  It is random; it works from the address of the
 * session's first subflow only, for JOIN_S, and as long as there is room; and a
 * source that was wrong waits: its other numbers are not looked at before
 * FAILURE_US is over, also those that are right, or the right one would be
 * known by not having to wait.  Who asks for a new number says nothing that
 * could be wrong, and never waits.  Nor does a proxy whose session has just
 * ended while others of its subflows were on their way: numbers that could be
 * joined until then are remembered for a while.
 *
 * Refused is refused: the connection is reset without a word, and nothing
 * happens to the session whose number was said.
 */
#include "base_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base_session.h"
#include "clock.h"
#include "core/list.h"
#include "greet.h"
#include "net/dial.h"
#include "net/log.h"
#include "penalty.h"

#define GREET_MS 10000
#define JOIN_S 10.
#define FAILURE_US 1000000u
#define CALLERS_MAX 1024
#define CALLERS_OF_ONE 256	/* of one source: all subflows of a client come
				 * at once, and all but one wait for a number */
#define BUCKETS 1024
#define ENDED 1024		/* numbers remembered */

/* A connection that has not become a subflow yet. */
struct caller {
	struct list list;
	struct base_relay *relay;
	struct addr peer;
	struct greet *greet;
	int fd;				/* it has said its number and waits */
	uint32_t number;
	uint64_t deadline_us;
	ev_timer wait;
};

/* A session, from the moment that its number was asked for. */
struct carried {
	struct list list, bucket;
	struct base_relay *relay;
	uint32_t number;
	struct addr proxy;
	unsigned int joined;
	struct base_session *session;	/* NULL: the server is not reached */
	struct dial *dial;
	int first;			/* subflow, until there is a session */
	ev_io watch;			/* of it */
	ev_timer joining;
};

struct ended {
	uint32_t number;
	struct addr proxy;
};

struct base_relay {
	struct base_relay_options options;
	struct list callers, all;
	uint32_t ncallers, count;
	uint64_t taken;
	bool draining;
	ev_timer idle;
	struct penalty wrong;		/* those who said wrong numbers */
	struct ended ended[ENDED];
	size_t next_ended;
	struct list buckets[BUCKETS];	/* of sessions, by number */
};

/* ---- numbers ---- */

static struct list *
bucket_of(struct base_relay *r, uint32_t number)
{
	return &r->buckets[number % BUCKETS];
}

static struct carried *
find(struct base_relay *r, uint32_t number)
{
	struct list *node, *bucket = bucket_of(r, number);

	list_each(node, bucket) {
		struct carried *c = list_object(node, struct carried, bucket);

		if (c->number == number)
			return c;
	}
	return NULL;
}

/* 0: there is no randomness. */
static uint32_t
new_number(struct base_relay *r)
{
	uint32_t number;

	do {
		if (getrandom(&number, sizeof(number), GRND_NONBLOCK) !=
		    sizeof(number))
			return 0;
	} while (number == 0 || number >> 24 == GREET_MAGIC ||
	    find(r, number) != NULL);
	return number;
}

static const char session_ended[] = "its session has ended";

static void
complain(const struct addr *peer, const char *why)
{
	enum log_level level = why == session_ended ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_WARN;
	static struct log_limit limit;
	char text[ADDR_TEXT_MAX];

	log_limited(&limit, level, "base subflow %s: refused: %s",
	    addr_format(peer, text), why);
}

/* ---- sessions ---- */

static void
idle_if_empty(struct base_relay *r)
{
	if (!r->draining || r->count > 0 || ev_is_active(&r->idle))
		return;
	ev_timer_set(&r->idle, 0., 0.);
	ev_timer_start(r->options.loop, &r->idle);
}

static void
on_idle(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct base_relay *r = w->data;

	(void)loop;
	(void)revents;
	r->options.on_idle(r->options.user);
}

static void
forget(struct carried *c)
{
	struct base_relay *r = c->relay;

	if (ev_is_active(&c->joining))
		r->ended[r->next_ended++ % ENDED] = (struct ended){
			.number = c->number, .proxy = c->proxy };
	ev_io_stop(r->options.loop, &c->watch);
	ev_timer_stop(r->options.loop, &c->joining);
	dial_cancel(c->dial);
	if (c->first != -1)
		greet_refuse(c->first);
	list_unlink(&c->list);
	list_unlink(&c->bucket);
	r->count--;
	free(c);
	idle_if_empty(r);
}

static void
on_gone(void *user)
{
	forget(user);
}

/* Whoever comes now is too late. */
static void
on_joined(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct carried *c = w->data;

	(void)loop;
	(void)revents;
	base_session_settle(c->session);
}

/* Echo the number; a subflow from now on.  NULL, or why not: then `fd` is still
 * the caller's. */
static const char *
join(struct carried *c, int fd)
{
	struct base_relay *r = c->relay;
	unsigned int most = r->options.config->base.max_subflows;

	if (c->joined >= most)
		return "too many subflows";
	if (base_session_joinable(c->session) != 0)
		return "too late";
	if (greet_send(fd, c->number) != 0)
		return "connection lost";
	base_session_join(c->session, fd);
	if (++c->joined == most) {
		ev_timer_stop(r->options.loop, &c->joining);
		base_session_settle(c->session);
	}
	return NULL;
}

static struct base_session *
make_session(struct carried *c, int fd)
{
	const struct base_relay_options *o = &c->relay->options;

	return base_session_new(fd, &(struct base_session_options){
		.loop = o->loop,
		.hangup = o->hangup,
		.budget = &o->quota->budget,
		.traffic = &o->quota->traffic,
		.limit_bytes = quota_window_max(&o->quota->budget, o->config,
		    0, 0),
		.proxy = false,
		.keepalive_s = o->config->keepalive_s,
		.peer = c->proxy,
		.on_gone = on_gone,
		.user = c,
	});
}

/* The server, or why not. */
static void
on_dialed(void *user, int fd, int error)
{
	struct carried *c = user;
	struct ev_loop *loop = c->relay->options.loop;
	static struct log_limit limit;
	char text[ADDR_TEXT_MAX];
	int first = c->first;

	c->dial = NULL;
	if (fd == -1) {
		log_limited(&limit, LOG_LEVEL_WARN, "base server %s: %s",
		    addr_format(&c->relay->options.server, text),
		    strerror(-error));
		forget(c);
		return;
	}
	ev_io_stop(loop, &c->watch);
	if ((c->session = make_session(c, fd)) == NULL) {
		greet_refuse(fd);
		forget(c);
		return;
	}
	ev_timer_set(&c->joining, JOIN_S, 0.);
	ev_timer_start(loop, &c->joining);
	c->first = -1;
	if (join(c, first) != NULL) {
		greet_refuse(first);
		base_session_reset(c->session, "subflow lost");
	}
}

/* The first subflow has to say nothing before it has its number, but it may
 * go. */
static void
on_first(struct ev_loop *loop, ev_io *w, int revents)
{
	struct carried *c = w->data;
	uint8_t byte;
	ssize_t n = recv(c->first, &byte, 1, MSG_PEEK);

	(void)revents;
	if (n > 0)
		ev_io_stop(loop, w);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		forget(c);
}

static uint32_t
sessions_max(const struct base_relay *r)
{
	return quota_sessions_of(r->options.quota,
	    1 + r->options.config->base.max_subflows);
}

/* A number is asked for.  NULL, or why there is none. */
static const char *
open_session(struct base_relay *r, int fd, const struct addr *peer)
{
	const struct base_relay_options *o = &r->options;
	struct carried *c;

	if (r->draining)
		return "the relay is about to end";
	if (r->count >= sessions_max(r) ||
	    budget_level(&o->quota->budget) >= BUDGET_CLOSED)
		return "too many sessions, or too little memory";
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return "out of memory";
	c->relay = r;
	c->proxy = *peer;
	c->number = new_number(r);
	if (c->number != 0)
		c->dial = dial_start(o->loop, &(struct dial_options){
			.destination = o->server,
			.timeout_ms = o->config->connect_timeout_ms,
			.on_done = on_dialed,
			.user = c,
		});
	if (c->dial == NULL) {
		free(c);
		return "out of memory or randomness";
	}
	c->first = fd;
	ev_init(&c->joining, on_joined);
	ev_io_init(&c->watch, on_first, fd, EV_READ);
	c->joining.data = c->watch.data = c;
	ev_io_start(o->loop, &c->watch);
	list_append(&r->all, &c->list);
	list_append(bucket_of(r, c->number), &c->bucket);
	r->count++;
	r->taken++;
	return NULL;
}

static bool
has_ended(const struct base_relay *r, uint32_t number, const struct addr *peer)
{
	for (int i = 0; i < ENDED; i++)
		if (r->ended[i].number == number &&
		    addr_same_host(&r->ended[i].proxy, peer))
			return true;
	return false;
}

/* A number was said.  NULL, or why it is refused; and was it a wrong one? */
static const char *
join_session(struct base_relay *r, int fd, const struct addr *peer,
    uint32_t number, bool *wrong)
{
	struct carried *c = find(r, number);

	*wrong = false;
	if (c != NULL && c->session != NULL && addr_same_host(&c->proxy, peer))
		return join(c, fd);
	if (c == NULL && has_ended(r, number, peer))
		return session_ended;
	*wrong = true;
	return c == NULL || c->session == NULL ? "no such number" :
	    "number of another source";
}

/* ---- callers ---- */

static void
drop_caller(struct caller *caller)
{
	struct base_relay *r = caller->relay;

	ev_timer_stop(r->options.loop, &caller->wait);
	greet_cancel(caller->greet);
	if (caller->fd != -1)
		greet_refuse(caller->fd);
	list_unlink(&caller->list);
	r->ncallers--;
	free(caller);
}

/* It has said its number.  It is decided now, or it has to wait. */
static void
decide(struct caller *caller)
{
	struct base_relay *r = caller->relay;
	uint64_t until_us = penalty_until(&r->wrong, &caller->peer);
	uint64_t now = clock_us();
	const char *why;
	bool wrong;

	if (caller->number == 0) {
		why = open_session(r, caller->fd, &caller->peer);
	} else if (until_us <= now) {
		why = join_session(r, caller->fd, &caller->peer,
		    caller->number, &wrong);
		if (wrong)
			penalty_note(&r->wrong, &caller->peer,
			    now + FAILURE_US);
	} else if (until_us < caller->deadline_us) {
		ev_now_update(r->options.loop);
		ev_timer_set(&caller->wait,
		    (double)(until_us - now) / 1e6 + .001, 0.);
		ev_timer_start(r->options.loop, &caller->wait);
		return;
	} else {
		why = "others of its source were wrong";
	}
	if (why == NULL)
		caller->fd = -1;
	else
		complain(&caller->peer, why);
	drop_caller(caller);
}

static void
on_wait(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	decide(w->data);
}

static void
on_word(void *user, int fd, uint32_t word, int error)
{
	struct caller *caller = user;
	struct base_relay *r = caller->relay;
	struct addr peer = caller->peer;

	(void)error;
	caller->greet = NULL;
	if (fd != -1 && word != WIRE_MAGIC) {
		caller->fd = fd;
		caller->number = word;
		decide(caller);
		return;
	}
	drop_caller(caller);
	if (fd != -1)
		r->options.on_extended(r->options.user, fd, &peer);
}

static bool
too_many_callers(const struct base_relay *r, const struct addr *peer)
{
	unsigned int same = 0;
	struct list *node;

	if (r->ncallers >= CALLERS_MAX)
		return true;
	list_each(node, &r->callers)
		if (addr_same_host(&list_object(node, struct caller,
		    list)->peer, peer))
			same++;
	return same >= CALLERS_OF_ONE;
}

static bool
is_allowed(const struct base_relay *r, const struct addr *peer)
{
	const struct config_base *base = &r->options.config->base;

	for (size_t i = 0; base->enabled && i < base->nproxies; i++)
		if (addr_prefix_holds(&base->proxies[i], peer))
			return true;
	return false;
}

/* ---- for the relay ---- */

struct base_relay *
base_relay_new(const struct base_relay_options *o)
{
	struct base_relay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->options = *o;
	list_init(&r->callers);
	list_init(&r->all);
	for (int i = 0; i < BUCKETS; i++)
		list_init(&r->buckets[i]);
	ev_init(&r->idle, on_idle);
	r->idle.data = r;
	return r;
}

void
base_relay_free(struct base_relay *r)
{
	struct list *node;

	if (r == NULL)
		return;
	r->draining = false;
	base_relay_abort(r);
	while ((node = list_first(&r->callers)) != NULL)
		drop_caller(list_object(node, struct caller, list));
	ev_timer_stop(r->options.loop, &r->idle);
	free(r);
}

void
base_relay_configure(struct base_relay *r, const struct config *config,
    struct addr server)
{
	r->options.config = config;
	r->options.server = server;
}

bool
base_relay_accept(struct base_relay *r, int fd, const struct addr *peer)
{
	struct caller *caller;

	if (!is_allowed(r, peer))
		return false;
	if (too_many_callers(r, peer)) {
		complain(peer, "too many say nothing");
		greet_refuse(fd);
		return true;
	}
	if ((caller = calloc(1, sizeof(*caller))) == NULL) {
		greet_refuse(fd);
		return true;
	}
	caller->relay = r;
	caller->peer = *peer;
	caller->fd = -1;
	caller->deadline_us = clock_us() + GREET_MS * UINT64_C(1000);
	ev_init(&caller->wait, on_wait);
	caller->wait.data = caller;
	list_append(&r->callers, &caller->list);
	r->ncallers++;
	caller->greet = greet_start(fd, &(struct greet_options){
		.loop = r->options.loop,
		.timeout_ms = GREET_MS,
		.extended = true,
		.on_word = on_word,
		.user = caller,
	});
	if (caller->greet == NULL)
		drop_caller(caller);
	return true;
}

void
base_relay_status(const struct base_relay *r, struct base_relay_status *s)
{
	*s = (struct base_relay_status){
		.sessions = r->count,
		.max_sessions = sessions_max(r),
		.sessions_taken = r->taken,
	};
}

void
base_relay_drain(struct base_relay *r)
{
	r->draining = true;
	idle_if_empty(r);
}

void
base_relay_abort(struct base_relay *r)
{
	struct list *node;

	while ((node = list_first(&r->all)) != NULL) {
		struct carried *c = list_object(node, struct carried, list);

		if (c->session != NULL)
			base_session_reset(c->session, "aborted");
		else
			forget(c);
	}
}
