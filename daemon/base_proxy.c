/* SPDX-License-Identifier: ISC */
/*
 * All subflows of a client are dialed at once.  The first asks for a number,
 * which the relay gives when it has reached the server; the others wait for it.
 * So a session costs three round trips and what the server takes before the
 * first byte leaves, and not four.  (Always the first of them, not the one that
 * happens to be connected first: a relay may take them one after the other.)
 *
 * Whatever goes wrong until then ends the session, as the protocol has it, and
 * resets the client.  But a relay that has given a number may send at once, and
 * reset: so what has come over some subflows is delivered first, whatever the
 * others wait for.
 */
#include "base_proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base_session.h"
#include "core/base.h"
#include "core/list.h"
#include "greet.h"
#include "net/dial.h"
#include "net/log.h"
#include "tuning.h"

#define ANSWER_MS 10000		/* beyond what connecting to the server takes */

struct client;

struct subflow {
	struct client *client;
	struct dial *dial;
	int fd;			/* connected, and the number is not known yet */
	struct greet *greet;
};

struct client {
	struct list list;
	struct base_proxy *proxy;
	struct base_session *session;	/* until it is gone */
	struct addr addr;
	void (*on_gone)(void *);
	void *user;
	uint32_t number;		/* 0: not known yet */
	int joined, count;
	struct subflow subflows[BASE_SUBFLOWS];
};

struct base_proxy {
	struct base_proxy_options options;
	struct list clients;
	uint32_t nclients;
	bool draining;
	bool answers;			/* it was connected to at
					 * the last try */
	ev_timer idle;
};

static const struct config_relay *
relay_of(const struct base_proxy *p)
{
	return &p->options.config->relays[0];
}

/* ---- the end ---- */

static void
idle_if_empty(struct base_proxy *p)
{
	if (!p->draining || p->nclients > 0 || ev_is_active(&p->idle))
		return;
	ev_timer_set(&p->idle, 0., 0.);
	ev_timer_start(p->options.loop, &p->idle);
}

static void
on_idle(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct base_proxy *p = w->data;

	(void)loop;
	(void)revents;
	p->options.on_idle(p->options.user);
}

/* The session has ended. */
static void
on_gone(void *user)
{
	struct client *c = user;
	struct base_proxy *p = c->proxy;

	for (int i = 0; i < c->count; i++) {
		struct subflow *sf = &c->subflows[i];

		dial_cancel(sf->dial);
		greet_cancel(sf->greet);
		if (sf->fd != -1)
			greet_refuse(sf->fd);
	}
	list_unlink(&c->list);
	p->nclients--;
	c->on_gone(c->user);
	free(c);
	idle_if_empty(p);
}

/* A relay that resets has reset all of them.  What was sent before is in our
 * kernel, perhaps behind a number that nobody has read yet. */
static void
on_break(void *user)
{
	struct client *c = user;

	for (int i = 0; i < c->count; i++) {
		struct subflow *sf = &c->subflows[i];
		uint32_t word;
		int fd = greet_take(sf->greet, &word);

		sf->greet = NULL;
		if (fd != -1 && (word != c->number ||
		    !base_session_rescue(c->session, fd)))
			greet_refuse(fd);
		dial_cancel(sf->dial);
		sf->dial = NULL;
		if (sf->fd != -1)
			greet_refuse(sf->fd);
		sf->fd = -1;
	}
}

/* The session cannot be made, or made whole. */
static void
give_up(struct client *c, const char *why, int error)
{
	static struct log_limit limit;
	char text[ADDR_TEXT_MAX];

	log_limited(&limit, LOG_LEVEL_WARN, "relay \"%s\": no session for "
	    "client %s: %s%s%s", relay_of(c->proxy)->name,
	    addr_format(&c->addr, text), why, error != 0 ? ": " : "",
	    error != 0 ? strerror(-error) : "");
	if (c->joined > 0)
		base_session_break(c->session, why);
	else
		base_session_reset(c->session, why);
}

/* ---- establishment ---- */

static void on_word(void *, int, uint32_t, int);

/* Say the number, and wait for what the relay says.  false: the client is
 * gone. */
static bool
ask(struct subflow *sf, int fd, uint32_t number)
{
	const struct config *config = sf->client->proxy->options.config;
	int error = greet_send(fd, number);

	if (error != 0) {
		greet_refuse(fd);
		give_up(sf->client, "connection lost", error);
		return false;
	}
	sf->greet = greet_start(fd, &(struct greet_options){
		.loop = sf->client->proxy->options.loop,
		.timeout_ms = config->connect_timeout_ms + ANSWER_MS,
		.on_word = on_word,
		.user = sf,
	});
	if (sf->greet == NULL) {
		give_up(sf->client, "out of memory", 0);
		return false;
	}
	return true;
}

static void
ask_others(struct client *c)
{
	for (int i = 0; i < c->count; i++) {
		struct subflow *sf = &c->subflows[i];
		int fd = sf->fd;

		sf->fd = -1;
		if (fd != -1 && !ask(sf, fd, c->number))
			return;
	}
}

static void
on_word(void *user, int fd, uint32_t word, int error)
{
	struct subflow *sf = user;
	struct client *c = sf->client;
	bool first = c->number == 0;

	sf->greet = NULL;
	if (fd == -1) {
		give_up(c, "refused by the relay", error);
		return;
	}
	if (word == 0 || word == WIRE_MAGIC || (!first && word != c->number) ||
	    base_session_joinable(c->session) != 0) {
		greet_refuse(fd);
		give_up(c, "wrong answer", 0);
		return;
	}
	c->number = word;
	base_session_join(c->session, fd);
	if (++c->joined == c->count)
		base_session_settle(c->session);
	else if (first)
		ask_others(c);
}

static void
on_dialed(void *user, int fd, int error)
{
	struct subflow *sf = user;
	struct client *c = sf->client;

	sf->dial = NULL;
	c->proxy->answers = fd != -1;
	if (fd == -1) {
		give_up(c, "connect", error);
	} else if (c->number != 0 || sf == &c->subflows[0]) {
		(void)ask(sf, fd, c->number);
	} else {
		sf->fd = fd;
	}
}

static struct dial *
dial(struct client *c, int i)
{
	const struct base_proxy *p = c->proxy;
	const struct config_relay *relay = relay_of(p);
	const struct config_path *path = &relay->paths[(size_t)i %
	    relay->npaths];
	struct sockopt_subflow sockopt = tuning_subflow(&path->socket,
	    relay->subflows);

	sockopt.keepalive_s = p->options.config->keepalive_s;
	return dial_start(p->options.loop, &(struct dial_options){
		.destination = p->options.address,
		.source = path->source,
		.interface = path->interface,
		.subflow = &sockopt,
		.timeout_ms = p->options.config->connect_timeout_ms,
		.on_done = on_dialed,
		.user = &c->subflows[i],
	});
}

static bool
dial_all(struct client *c)
{
	for (; c->count < relay_of(c->proxy)->subflows; c->count++) {
		struct subflow *sf = &c->subflows[c->count];

		sf->client = c;
		sf->fd = -1;
		if ((sf->dial = dial(c, c->count)) == NULL)
			return false;
	}
	return true;
}

static struct base_session *
make_session(struct client *c, int fd)
{
	struct base_proxy *p = c->proxy;
	const struct config *config = p->options.config;
	const struct config_socket *s = &relay_of(p)->paths[0].socket;

	return base_session_new(fd, &(struct base_session_options){
		.loop = p->options.loop,
		.hangup = p->options.hangup,
		.budget = &p->options.quota->budget,
		.traffic = &p->options.quota->traffic,
		.limit_bytes = quota_window_max(&p->options.quota->budget,
		    config, s->rate_bps, s->delay_ms),
		.proxy = true,
		.keepalive_s = config->keepalive_s,
		.peer = c->addr,
		.on_break = on_break,
		.on_gone = on_gone,
		.user = c,
	});
}

/* ---- for the proxy ---- */

struct base_proxy *
base_proxy_new(const struct base_proxy_options *o)
{
	struct base_proxy *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->options = *o;
	p->answers = true;
	list_init(&p->clients);
	ev_init(&p->idle, on_idle);
	p->idle.data = p;
	return p;
}

void
base_proxy_free(struct base_proxy *p)
{
	if (p == NULL)
		return;
	p->draining = false;
	base_proxy_abort(p);
	ev_timer_stop(p->options.loop, &p->idle);
	free(p);
}

void
base_proxy_configure(struct base_proxy *p, const struct config *config,
    struct addr address)
{
	p->options.config = config;
	p->options.address = address;
}

bool
base_proxy_answers(const struct base_proxy *p)
{
	return p->answers && p->options.address.family != 0;
}

uint32_t
base_proxy_max(const struct base_proxy *p)
{
	return quota_sessions_of(p->options.quota,
	    1u + relay_of(p)->subflows);
}

int
base_proxy_open(struct base_proxy *p, int fd, const struct addr *addr,
    void (*gone)(void *), void *user)
{
	struct client *c;

	if (p->nclients >= base_proxy_max(p) ||
	    budget_level(&p->options.quota->budget) >= BUDGET_CLOSED)
		return -EAGAIN;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return -ENOMEM;
	c->proxy = p;
	c->addr = *addr;
	c->on_gone = gone;
	c->user = user;
	if (!dial_all(c) || (c->session = make_session(c, fd)) == NULL) {
		for (int i = 0; i < c->count; i++)
			dial_cancel(c->subflows[i].dial);
		free(c);
		return -ENOMEM;
	}
	list_append(&p->clients, &c->list);
	p->nclients++;
	return 0;
}

void
base_proxy_drain(struct base_proxy *p)
{
	p->draining = true;
	idle_if_empty(p);
}

void
base_proxy_abort(struct base_proxy *p)
{
	struct list *node;

	while ((node = list_first(&p->clients)) != NULL)
		base_session_reset(list_object(node, struct client,
		    list)->session, "aborted");
}
