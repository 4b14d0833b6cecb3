/* SPDX-License-Identifier: ISC */
/*
 * Does the relay answer, over each path, and does it know our key?
 *
 * The connection and the handshake are made by what rorod makes them with.  The
 * answer shows that the relay has the key; then we go, before the first record,
 * and without that a relay makes nothing of a hello: no group, no session, one
 * line in its log.
 */
#include "check_private.h"

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "keyfile.h"
#include "net/dial.h"
#include "net/reap.h"
#include "net/resolve.h"
#include "net/resolver.h"
#include "net/subflow.h"
#include "net/wake.h"
#include "privs.h"

#define CONNECT_MAX_MS 10000u
#define ANSWER_MIN_MS 2000u	/* beside four times what connecting took */
#define ERROR_MAX 1024

static const char item_name[] = "relay";

/* One path of one relay. */
struct attempt {
	struct check *check;
	struct ev_loop *loop;
	const struct config_relay *relay;
	const struct config_path *path;
	struct addr address;
	char *subject;
	const struct key *key;		/* NULL without protection, */
	bool silent;			/* or because it cannot be read */
	uint64_t start_us;
	uint32_t connect_ms;
	struct check_item *item;	/* what came of it */
};

/* ---- what became of it ---- */

static struct check_item *
say(struct attempt *a, enum check_status status, const char *found)
{
	char text[ADDR_TEXT_MAX];

	addr_format(&a->address, text);
	ev_break(a->loop, EVBREAK_ALL);
	a->item = check_add(&a->check->report, status, item_name, a->subject,
	    "%s: %s", text, found);
	return a->item;
}

/* What becomes of connections without this relay. */
static const char *
without(const struct check *c)
{
	if (c->config->nrelays > 1)
		return "it carries no connections; those of other relays go on";
	if (check_intercepts(c) && c->config->intercept.nft)
		return "all connections go directly";
	return "no connections are carried";
}

static void
not_connected(struct attempt *a, int error)
{
	struct check_item *item = say(a, CHECK_ERROR, strerror(-error));

	if (error == -ECONNREFUSED)
		check_why(item, "nobody listens there: does rorod run, with "
		    "this port in its listen?");
	else if (error == -ETIMEDOUT)
		check_why(item, "nothing comes back: a firewall on the way, or "
		    "the host is down");
	else if (error == -ENODEV)
		check_why(item, "the path's interface is not there");
	else if (error == -EADDRNOTAVAIL)
		check_why(item, "the path's source is not an address of ours");
}

static void
no_answer(struct attempt *a)
{
	struct check_item *item = say(a, CHECK_ERROR, "it does not answer our "
	    "hello");
	char *word;

	check_why(item, "not a relay, one that hangs, another protection than "
	    "ours, another key, or its limits are reached: its log may say "
	    "which%s",
	    a->relay->key_file != NULL ? ", and names the key by its id" : "");
	if (a->relay->key_file == NULL)
		return;
	word = check_quote(a->relay->key_file);
	check_now(item, "roroctl keyid %s", word);
	free(word);
}

/* ---- the handshake ---- */

/* What is missing though it answers; NULL: nothing. */
static char *
lack_of(const struct check *c, const struct wire_answer *answer)
{
	if (answer->features & WIRE_FEATURE_ENDING)
		return check_format("it was told to end: sessions that are "
		    "open there may finish, new connections go to another "
		    "relay or directly");
	if ((answer->features & (WIRE_FEATURE_IPV4 | WIRE_FEATURE_IPV6)) == 0)
		return check_format("its host has no route to the Internet; %s",
		    without(c));
	return NULL;
}

static void
answered(struct attempt *a, const struct wire_answer *answer)
{
	static const char *const reach[] = {
		[0] = "it reaches no servers",
		[WIRE_FEATURE_IPV4] = "it reaches IPv4 only",
		[WIRE_FEATURE_IPV6] = "it reaches IPv6 only",
		[WIRE_FEATURE_IPV4 | WIRE_FEATURE_IPV6] =
		    "it reaches IPv4 and IPv6",
	};
	char *lack = lack_of(a->check, answer);
	char *text = check_format("connected in %" PRIu32 " ms; %s%s",
	    a->connect_ms, a->key != NULL ? "it has our key; " : "",
	    answer->features & WIRE_FEATURE_ENDING ? "it is about to end" :
	    reach[answer->features & (WIRE_FEATURE_IPV4 | WIRE_FEATURE_IPV6)]);
	struct check_item *item = say(a, lack == NULL ? CHECK_OK :
	    CHECK_WARNING, text);

	if (lack != NULL)
		check_why(item, "%s", lack);
	free(lack);
	free(text);
}

static bool
on_up(struct subflow *subflow, const struct wire_answer *answer)
{
	answered(subflow_user(subflow), answer);
	return false;		/* go */
}

static void
on_closed(struct subflow *subflow, int error, const char *why)
{
	(void)error;
	(void)why;
	no_answer(subflow_user(subflow));
}

static void
greet(struct attempt *a, int fd)
{
	static const struct subflow_callbacks callbacks = {
		.on_up = on_up,
		.on_closed = on_closed,
	};
	struct wire_hello hello = { .protection = a->relay->protection };
	struct subflow *subflow = NULL;

	/* A name that nobody else has. */
	if (getrandom(hello.group, sizeof(hello.group), 0) ==
	    sizeof(hello.group))
		subflow = subflow_proxy(a->loop, fd, &(struct subflow_options){
		    .callbacks = &callbacks, .user = a,
		    .handshake_ms = ANSWER_MIN_MS + 4 * a->connect_ms },
		    &hello, a->key != NULL ? a->key->bytes : NULL);
	else
		close(fd);
	if (subflow == NULL)
		check_out_of_memory();
}

static void
on_dialed(void *user, int fd, int error)
{
	struct attempt *a = user;
	char *text;

	if (fd == -1) {
		not_connected(a, error);
		return;
	}
	a->connect_ms = (uint32_t)((clock_us() - a->start_us) / 1000);
	if (a->relay->protocol == CONFIG_EXTENDED && !a->silent) {
		greet(a, fd);
		return;
	}
	close(fd);
	text = check_format("connected in %" PRIu32 " ms%s", a->connect_ms,
	    a->silent ? "; whether it has our key only root can ask" : "");
	say(a, CHECK_OK, text);
	free(text);
}

static void
try(struct attempt *a)
{
	const struct sockopt_subflow sockopt = {
		.mark = a->path->socket.mark,
	};
	uint32_t timeout_ms = a->check->config->connect_timeout_ms;

	if (sockopt.mark != 0 && !a->check->root) {
		say(a, CHECK_SKIPPED, "only root can mark packets as this path "
		    "wants");
		return;
	}
	a->start_us = clock_us();
	if (dial_start(a->loop, &(struct dial_options){
	    .destination = a->address, .source = a->path->source,
	    .interface = a->path->interface, .subflow = &sockopt,
	    .timeout_ms = timeout_ms < CONNECT_MAX_MS ? timeout_ms :
	    CONNECT_MAX_MS, .on_done = on_dialed, .user = a }) == NULL)
		check_out_of_memory();
	ev_run(a->loop, 0);
}

/* ---- relays ---- */

static void
unknown_name(struct check *c, const char *name, const char *subject,
    const char *host, int error, bool waits)
{
	struct check_item *item = check_add(&c->report, CHECK_ERROR, name,
	    subject, "%s: %s", host, gai_strerror(error));
	char *word = check_quote(host);

	check_why(item, "%s", waits ?
	    "nothing goes there until it is known; rorod asks for it again and "
	    "again" : "rorod does not start without its address");
	check_now(item, "getent ahosts %s", word);
	free(word);
}

/* NULL: there is none, or it cannot be read, which check_keys() has said. */
static struct key *
read_key(const struct check *c, const struct config_relay *relay)
{
	char error[ERROR_MAX];
	struct privs *privs = privs_find(c->config->user, c->config->group,
	    error, sizeof(error));
	struct key *key = NULL;

	if (relay->key_file != NULL)
		key = keyfile_read(relay->key_file, privs != NULL ?
		    privs->uid : KEYFILE_NOBODY, error, sizeof(error));
	privs_free(privs);
	return key;
}

static bool
answers(const struct check_item *item)
{
	return item->status == CHECK_OK || item->status == CHECK_WARNING;
}

static void
soften_all(struct check *c, struct check_item *const *items, size_t n,
    const char *why)
{
	for (size_t i = 0; i < n; i++)
		check_soften(&c->report, items[i], why);
}

/* Over one path, all that the relay's name has.  Where one of them answers,
 * rorod takes that one in time. */
static bool
try_all(struct attempt *a, const struct addr *all, size_t n,
    struct check_item **items)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		a->address = all[i];
		try(a);
		items[i] = a->item;
		any = any || answers(items[i]);
		check_way_back(a->check, a->subject, a->path, &a->address);
	}
	if (any)
		soften_all(a->check, items, n, "another of its addresses "
		    "answers");
	return any;
}

/* Over all paths: sessions go over those where it answers. */
static void
try_paths(struct attempt *a, const struct addr *all, size_t n)
{
	size_t npaths = a->relay->npaths, nitems = npaths * n;
	struct check_item **items = check_alloc(nitems * sizeof(*items));
	bool any = false;

	for (size_t i = 0; i < npaths; i++) {
		a->path = &a->relay->paths[i];
		a->subject = check_format("%s, path %s", a->relay->name,
		    a->path->name);
		any = try_all(a, all, n, items + i * n) || any;
		free(a->subject);
	}
	if (any)
		soften_all(a->check, items, nitems, "the relay is reached over "
		    "another path");
	for (size_t i = 0; i < nitems; i++)
		if (items[i]->status == CHECK_ERROR && items[i]->why == NULL)
			check_why(items[i], "%s", without(a->check));
	free(items);
}

static void
check_relay(struct check *c, struct ev_loop *loop,
    const struct config_relay *relay)
{
	struct attempt a = { .check = c, .loop = loop, .relay = relay };
	struct addr all[RESOLVER_MAX];
	struct key *key = NULL;
	size_t n;
	int error = resolve_all(relay->address.host, relay->address.port, all,
	    RESOLVER_MAX, &n);

	if (error != 0) {
		unknown_name(c, item_name, relay->name, relay->address.host,
		    error, true);
		return;
	}
	key = read_key(c, relay);
	a.key = key;
	a.silent = relay->key_file != NULL && key == NULL;
	try_paths(&a, all, n);
	key_free(key);
}

/* ---- other names ---- */

static void
check_destination(struct check *c, const char *subject,
    const struct config_endpoint *e, bool waits)
{
	static const char name[] = "destination";
	char text[ADDR_TEXT_MAX];
	struct addr address;
	int error;

	if (e->host == NULL)
		return;
	if ((error = resolve(e->host, e->port, &address)) != 0)
		unknown_name(c, name, subject, e->host, error, waits);
	else
		check_add(&c->report, CHECK_OK, name, subject, "%s",
		    addr_format(&address, text));
}

void
check_destinations(struct check *c)
{
	if (c->config == NULL || check_is_recorded(&c->machine))
		return;
	for (size_t i = 0; i < c->config->nforwards; i++)
		check_destination(c, c->config->forwards[i].name,
		    &c->config->forwards[i].destination, true);
	if (c->config->base.enabled)
		check_destination(c, "base", &c->config->base.server, false);
}

void
check_relays(struct check *c)
{
	struct ev_loop *loop;

	if (c->config == NULL || check_is_recorded(&c->machine))
		return;
	if ((loop = ev_loop_new(EVFLAG_AUTO)) == NULL)
		check_out_of_memory();
	reap_start(loop);
	wake_start(loop);
	for (size_t i = 0; i < c->config->nrelays; i++)
		check_relay(c, loop, &c->config->relays[i]);
	wake_stop(loop);
	reap_stop(loop);
	ev_loop_destroy(loop);
}
