/* SPDX-License-Identifier: ISC */
#include "answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answers_private.h"
#include "autoconf.h"
#include "clock.h"

#define SAMPLE_S 1.

/* ---- what both roles have ---- */

void
answers_families(struct put *p, struct json_object *o, unsigned families)
{
	struct json_object *array = put_array(p, o, "families");

	if (families & GATE_IPV4)
		put_element_text(p, array, "ipv4");
	if (families & GATE_IPV6)
		put_element_text(p, array, "ipv6");
}

void
answers_memory(struct put *p, struct json_object *o,
    const struct budget *budget)
{
	struct json_object *memory = put_object(p, o, "memory");

	put_number(p, memory, "held_bytes", budget->held_bytes);
	put_number(p, memory, "limit_bytes", budget_limit(budget));
}

struct json_object *
answers_traffic(struct put *p, struct json_object *o,
    const struct traffic *t)
{
	struct json_object *traffic = put_object(p, o, "traffic");

	put_number(p, traffic, "sent_bytes", t->from_bytes);
	put_number(p, traffic, "received_bytes", t->to_bytes);
	return traffic;
}

void
answers_repeats(struct put *p, struct json_object *o,
    const struct repeats *r)
{
	struct json_object *again = put_object(p, o, "again");

	put_number(p, again, "resent_bytes", r->resent_bytes);
	put_number(p, again, "doubled_bytes", r->doubled_bytes);
	put_number(p, again, "reinjected_bytes", r->reinjected_bytes);
}

void
answers_sessions(struct put *p, struct json_object *o, uint64_t open,
    uint64_t limit, uint64_t taken, uint64_t refused)
{
	struct json_object *sessions = put_object(p, o, "sessions");

	put_number(p, sessions, "open", open);
	put_number(p, sessions, "limit", limit);
	put_number(p, sessions, "total", taken);
	put_number(p, sessions, "refused", refused);
}

static const struct quota *
quota_of(const struct answers *a)
{
	struct proxy_status proxy;
	struct relay_status relay;

	if (a->options.proxy != NULL) {
		proxy_status(a->options.proxy, &proxy);
		return proxy.quota;
	}
	relay_status(a->options.relay, &relay);
	return relay.quota;
}

static void
tell_quota(struct answers *a, struct json_object *o, const struct quota *quota)
{
	struct put *p = &a->put;
	struct json_object *traffic = answers_traffic(p, o, &quota->traffic);
	uint64_t sent_bps, received_bps;

	traffic_rates(&a->rate, &sent_bps, &received_bps);
	put_number(p, traffic, "sent_bps", sent_bps);
	put_number(p, traffic, "received_bps", received_bps);
	answers_memory(p, o, &quota->budget);
}

static void
tell_status(struct answers *a, struct json_object *o)
{
	struct put *p = &a->put;

	put_text(p, o, "role", a->options.proxy != NULL ? "proxy" : "relay");
	put_text(p, o, "program", PACKAGE_VERSION);
	put_number(p, o, "pid", (uint64_t)getpid());
	put_number(p, o, "uptime_s", (clock_us() - a->begun_us) / 1000000);
	put_truth(p, o, "ending", a->ending);
	if (a->options.proxy != NULL)
		answers_proxy(a, o);
	else
		answers_relay(a, o);
	tell_quota(a, o, quota_of(a));
}

/* ---- what changes something ---- */

static const char *
bypass_error(int error)
{
	switch (error) {
	case -EEXIST:
		return "it is in the list already";
	case -ENOENT:
		return "it is not in the list";
	case -ENOSPC:
		return "the list is full";
	case -ESTALE:
		return "somebody has changed the daemon's table, and it cannot "
		    "be mended now";
	default:
		return strerror(-error);
	}
}

static void
tell_bypass(struct answers *a, struct json_object *o, const struct gateway *g)
{
	struct put *p = &a->put;
	const struct config_intercept *c = &a->options.config->intercept;
	struct json_object *array = put_array(p, o, "added");
	const struct addr_prefix *prefix;
	char text[ADDR_PREFIX_TEXT_MAX];

	for (size_t i = 0; (prefix = gateway_bypass(g, i)) != NULL; i++)
		put_element_text(p, array, addr_prefix_format(prefix, text));
	array = put_array(p, o, "configured");
	for (size_t i = 0; i < c->nbypass; i++)
		put_element_text(p, array,
		    addr_prefix_format(&c->bypass[i], text));
}

/* The list that an operator sees has these as well. */
static bool
is_configured(const struct answers *a, const struct addr_prefix *p)
{
	const struct config_intercept *c = &a->options.config->intercept;

	for (size_t i = 0; i < c->nbypass; i++)
		if (c->bypass[i].family == p->family &&
		    c->bypass[i].length == p->length &&
		    memcmp(c->bypass[i].ip, p->ip, sizeof(p->ip)) == 0)
			return true;
	return false;
}

/* NULL, or why not. */
static const char *
command(struct answers *a, struct json_object *o, const struct request *r)
{
	struct gateway *g = a->options.proxy != NULL ?
	    proxy_gateway(a->options.proxy) : NULL;
	int error = 0;

	if (a->options.relay != NULL)
		return "a relay has nothing but its status";
	if (g == NULL || !answers_has_rules(a))
		return "this proxy has no rules of its own: it has no "
		    "intercept section, or nft = off in it";
	switch (r->kind) {
	case REQUEST_BYPASS_ADD:
		error = gateway_bypass_add(g, &r->prefix);
		break;
	case REQUEST_BYPASS_DEL:
		error = gateway_bypass_del(g, &r->prefix);
		if (error == -ENOENT && is_configured(a, &r->prefix))
			return "it is in the configuration, and stays";
		break;
	case REQUEST_BYPASS_LIST:
		tell_bypass(a, o, g);
		break;
	case REQUEST_INTERCEPT_ON:
	case REQUEST_INTERCEPT_OFF:
		gateway_switch(g, r->kind == REQUEST_INTERCEPT_ON);
		answers_intercepting(a, o);
		break;
	default:
		break;
	}
	return error != 0 ? bypass_error(error) : NULL;
}

char *
answers_give(struct answers *a, const struct request *r, const char *wrong)
{
	struct json_object *o = json_object_new_object();
	struct put *p = &a->put;
	const char *text;
	char *copy = NULL;
	size_t len;

	p->failed = false;
	put_number(p, o, "version", ANSWERS_VERSION);
	if (wrong == NULL && r->kind != REQUEST_STATUS)
		wrong = command(a, o, r);
	else if (wrong == NULL)
		tell_status(a, o);
	if (wrong != NULL)
		put_text(p, o, "error", wrong);
	if (!p->failed && (text = json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)) != NULL) {
		len = strlen(text);
		if ((copy = malloc(len + 2)) != NULL) {
			memcpy(copy, text, len);
			memcpy(copy + len, "\n", 2);
		}
	}
	json_object_put(o);
	return copy;
}

/* ---- start and end ---- */

static void
on_sample(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct answers *a = w->data;

	(void)loop;
	(void)revents;
	traffic_sample(&a->rate, &quota_of(a)->traffic, clock_us());
}

struct answers *
answers_new(const struct answers_options *o)
{
	struct answers *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->options = *o;
	a->begun_us = clock_us();
	traffic_sample(&a->rate, &quota_of(a)->traffic, a->begun_us);
	ev_init(&a->sample, on_sample);
	a->sample.data = a;
	ev_timer_set(&a->sample, SAMPLE_S, SAMPLE_S);
	ev_timer_start(o->loop, &a->sample);
	return a;
}

void
answers_free(struct answers *a)
{
	if (a == NULL)
		return;
	ev_timer_stop(a->options.loop, &a->sample);
	free(a);
}

void
answers_configure(struct answers *a, const struct config *c,
    const struct keyring *keys)
{
	a->options.config = c;
	a->options.keys = keys;
}

void
answers_end(struct answers *a)
{
	a->ending = true;
}

bool
answers_ending(const char *answer)
{
	struct json_object *o = json_tokener_parse(answer), *ending;
	bool is = json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, "ending", &ending) &&
	    json_object_get_boolean(ending);

	json_object_put(o);
	return is;
}
