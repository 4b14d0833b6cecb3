/* SPDX-License-Identifier: ISC */
/*
 * An object of json-c owns what is put into it.  When memory runs out a value
 * is missing, and `failed` says so: such a document is not given to anybody.
 */
#include "answers.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autoconf.h"
#include "clock.h"
#include "core/traffic.h"

#define SAMPLE_S 1.

struct answers {
	struct answers_options options;
	uint64_t begun_us;
	struct traffic_rate rate;
	ev_timer sample;
	bool ending;
	bool failed;			/* the document at hand */
};

/* ---- values ---- */

/* Takes `value`; NULL: there was no memory for it. */
static void
put(struct answers *a, struct json_object *o, const char *name,
    struct json_object *value)
{
	if (value == NULL || o == NULL ||
	    json_object_object_add(o, name, value) != 0) {
		json_object_put(value);
		a->failed = true;
	}
}

static void
put_null(struct answers *a, struct json_object *o, const char *name)
{
	if (o == NULL || json_object_object_add(o, name, NULL) != 0)
		a->failed = true;
}

static void
put_text(struct answers *a, struct json_object *o, const char *name,
    const char *text)
{
	put(a, o, name, json_object_new_string(text));
}

/* No number of ours comes near 2^63. */
static void
put_number(struct answers *a, struct json_object *o, const char *name,
    uint64_t number)
{
	put(a, o, name, json_object_new_int64((int64_t)number));
}

static void
put_truth(struct answers *a, struct json_object *o, const char *name,
    bool truth)
{
	put(a, o, name, json_object_new_boolean(truth));
}

static void
append(struct answers *a, struct json_object *array, struct json_object *value)
{
	if (value == NULL || array == NULL ||
	    json_object_array_add(array, value) != 0) {
		json_object_put(value);
		a->failed = true;
	}
}

static void
append_text(struct answers *a, struct json_object *array, const char *text)
{
	append(a, array, json_object_new_string(text));
}

/* A member that is an object, or an array; NULL if out of memory, which all of
 * these accept. */
static struct json_object *
put_object(struct answers *a, struct json_object *o, const char *name)
{
	struct json_object *new = json_object_new_object();

	put(a, o, name, new);
	return a->failed ? NULL : new;
}

static struct json_object *
put_array(struct answers *a, struct json_object *o, const char *name)
{
	struct json_object *new = json_object_new_array();

	put(a, o, name, new);
	return a->failed ? NULL : new;
}

/* ---- what both roles have ---- */

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

static uint64_t
seconds_since(uint64_t us)
{
	return (clock_us() - us) / 1000000;
}

static const char *
protection_text(enum wire_protection protection)
{
	switch (protection) {
	case WIRE_PROTECTION_SEALED:
		return "sealed";
	case WIRE_PROTECTION_AUTH:
		return "auth";
	default:
		return "none";
	}
}

static void
put_families(struct answers *a, struct json_object *o, unsigned families)
{
	struct json_object *array = put_array(a, o, "families");

	if (families & GATE_IPV4)
		append_text(a, array, "ipv4");
	if (families & GATE_IPV6)
		append_text(a, array, "ipv6");
}

static void
put_memory(struct answers *a, struct json_object *o,
    const struct budget *budget)
{
	struct json_object *memory = put_object(a, o, "memory");

	put_number(a, memory, "held_bytes", budget->held_bytes);
	put_number(a, memory, "limit_bytes", budget_limit(budget));
}

static struct json_object *
put_traffic(struct answers *a, struct json_object *o, const struct traffic *t)
{
	struct json_object *traffic = put_object(a, o, "traffic");

	put_number(a, traffic, "sent_bytes", t->from_bytes);
	put_number(a, traffic, "received_bytes", t->to_bytes);
	return traffic;
}

static void
put_repeats(struct answers *a, struct json_object *o, const struct repeats *r)
{
	struct json_object *again = put_object(a, o, "again");

	put_number(a, again, "resent_bytes", r->resent_bytes);
	put_number(a, again, "doubled_bytes", r->doubled_bytes);
	put_number(a, again, "reinjected_bytes", r->reinjected_bytes);
}

static void
put_sessions(struct answers *a, struct json_object *o, uint64_t open,
    uint64_t limit, uint64_t taken, uint64_t refused)
{
	struct json_object *sessions = put_object(a, o, "sessions");

	put_number(a, sessions, "open", open);
	put_number(a, sessions, "limit", limit);
	put_number(a, sessions, "total", taken);
	put_number(a, sessions, "refused", refused);
}

static void
put_quota(struct answers *a, struct json_object *o, const struct quota *quota)
{
	struct json_object *traffic = put_traffic(a, o, &quota->traffic);
	uint64_t sent_bps, received_bps;

	traffic_rates(&a->rate, &sent_bps, &received_bps);
	put_number(a, traffic, "sent_bps", sent_bps);
	put_number(a, traffic, "received_bps", received_bps);
	put_memory(a, o, &quota->budget);
}

/* ---- a proxy ---- */

static void
put_key(struct answers *a, struct json_object *o, const struct key *key)
{
	char text[KEY_ID_TEXT];

	if (key != NULL)
		put_text(a, o, "key", key_id_format(text, key->id));
	else
		put_null(a, o, "key");
}

/* In a word.  What is not used though it could be waits for its turn, or shares
 * its way with what does not move; or it is poor and has bulk subflows only. */
static const char *
path_state(const struct config_path *c, const struct trunk_path *now)
{
	if (now->up == 0)
		return "down";
	if (now->moving == 0)
		return "suspect";
	if (!now->used && c->backup)
		return "backup";
	if (now->poor)
		return "poor";
	return now->used ? "up" : "suspect";
}

static void
put_rate(struct answers *a, struct json_object *o, const char *name,
    uint64_t bps)
{
	if (bps != 0)
		put_number(a, o, name, bps);
	else
		put_null(a, o, name);
}

static void
append_path(struct answers *a, struct json_object *array,
    const struct config_path *c, size_t relay, size_t i)
{
	struct json_object *path = json_object_new_object(), *o;
	struct uplink_path s;

	append(a, array, path);
	if (a->failed)
		return;
	proxy_path_status(a->options.proxy, relay, i, &s);
	put_text(a, path, "name", c->name);
	if (c->interface != NULL)
		put_text(a, path, "interface", c->interface);
	else
		put_null(a, path, "interface");
	put_text(a, path, "state", path_state(c, &s.now));
	if (s.missing != NULL)
		put_text(a, path, "missing", s.missing);
	else
		put_null(a, path, "missing");
	put_truth(a, path, "backup", c->backup);
	put_number(a, path, "weight", c->weight);
	put_rate(a, path, "rate_bps", c->socket.rate_bps);
	put_rate(a, path, "receive_rate_bps", c->socket.receive_bps);
	o = put_object(a, path, "subflows");
	put_number(a, o, "up", s.now.up);
	put_number(a, o, "wanted", (uint64_t)c->express + c->bulk);
	if (s.now.rtt_us != 0)
		put_number(a, path, "rtt_us", s.now.rtt_us);
	else
		put_null(a, path, "rtt_us");
	o = put_object(a, path, "traffic");
	put_number(a, o, "sent_bytes", s.now.counts.sent_bytes);
	put_number(a, o, "received_bytes", s.now.counts.received_bytes);
	put_number(a, o, "resent_bytes", s.now.counts.resent_bytes);
	put_number(a, o, "sent_bps", s.sent_bps);
	put_number(a, o, "received_bps", s.received_bps);
}

static const char *
relay_state(const struct relays_status *s)
{
	if (s->removed)
		return "removed";
	return s->up ? "up" : s->draining ? "draining" : "down";
}

/* What is known of a relay that speaks the base protocol. */
static void
put_nothing(struct answers *a, struct json_object *relay)
{
	static const char *const names[] = {
		"up", "state", "since_s", "aside_s", "sessions", "subflows", "again",
		"families", "paths",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_null(a, relay, names[i]);
}

static void
append_relay(struct answers *a, struct json_object *array, size_t i,
    bool extended)
{
	const struct config_relay *c;
	struct json_object *relay = json_object_new_object(), *subflows;
	struct json_object *paths;
	char text[ADDR_TEXT_MAX];
	struct relays_status s;

	append(a, array, relay);
	if (a->failed)
		return;
	proxy_relay_status(a->options.proxy, i, &s);
	c = s.config;
	put_text(a, relay, "name", c->name);
	if (s.address.family != 0)
		put_text(a, relay, "address", addr_format(&s.address, text));
	else
		put_null(a, relay, "address");
	put_text(a, relay, "protocol", extended ? "extended" : "base");
	put_text(a, relay, "protection", protection_text(c->protection));
	put_key(a, relay, s.key);
	if (!extended) {
		put_nothing(a, relay);
		return;
	}
	put_truth(a, relay, "up", s.up);
	put_text(a, relay, "state", relay_state(&s));
	put_number(a, relay, "since_s", seconds_since(s.since_us));
	put_number(a, relay, "aside_s", (s.aside_us + 999999) / 1000000);
	put_number(a, relay, "sessions", s.sessions);
	subflows = put_object(a, relay, "subflows");
	put_number(a, subflows, "up", s.uplink.up);
	put_number(a, subflows, "wanted", s.uplink.subflows);
	put_repeats(a, relay, &s.repeats);
	put_families(a, relay, s.families);
	paths = put_array(a, relay, "paths");
	for (size_t k = 0; k < c->npaths; k++)
		append_path(a, paths, &c->paths[k], i, k);
}

/* nft = yes: it is us who say what is intercepted. */
static bool
has_rules(const struct answers *a)
{
	return a->options.config->intercept_given &&
	    a->options.config->intercept.nft;
}

static size_t
count_bypass(const struct gateway *g)
{
	size_t n = 0;

	while (gateway_bypass(g, n) != NULL)
		n++;
	return n;
}

/* What others' rules do is not known; what would become of it, is. */
static void
put_others_reason(struct answers *a, struct json_object *o,
    enum gate_reason reason)
{
	char text[160];

	snprintf(text, sizeof(text), "what the operator's rules say "
	    "(nft = off)%s%s", reason == GATE_OPEN ? "" : ", and not ready: ",
	    reason == GATE_OPEN ? "" : gate_reason_text(reason));
	put_text(a, o, "reason", text);
}

static void
put_intercepting(struct answers *a, struct json_object *o)
{
	const struct gateway *g = proxy_gateway(a->options.proxy);
	struct json_object *intercepting;
	struct gateway_status s;

	if (g == NULL) {
		put_null(a, o, "intercepting");
		return;
	}
	gateway_status(g, &s);
	intercepting = put_object(a, o, "intercepting");
	if (has_rules(a)) {
		char text[160];

		snprintf(text, sizeof(text), "%s%s", gate_reason_text(s.reason),
		    s.lacks);
		put_families(a, intercepting, s.families);
		put_text(a, intercepting, "reason", text);
	} else {
		put_null(a, intercepting, "families");
		put_others_reason(a, intercepting, s.reason);
	}
	put_truth(a, intercepting, "rules", s.rules);
	put_number(a, intercepting, "bypass", count_bypass(g));
	put_number(a, intercepting, "unreachable", s.refused);
}

static void
put_proxy(struct answers *a, struct json_object *o)
{
	struct json_object *relays = put_array(a, o, "relays");
	struct proxy_status s;

	proxy_status(a->options.proxy, &s);
	for (size_t i = 0; i < proxy_relays(a->options.proxy); i++)
		append_relay(a, relays, i, s.extended);
	put_intercepting(a, o);
	put_sessions(a, o, s.sessions, s.max_sessions, s.sessions_taken,
	    s.sessions_refused);
	put_quota(a, o, s.quota);
}

/* ---- a relay ---- */

static void
append_peer(struct answers *a, struct json_object *array, size_t i,
    const struct relay_status *s)
{
	struct peer *p = peers_at(s->peers, i);
	const struct peer_counters *counters;
	struct json_object *peer, *keys;
	const struct key *key;
	char text[KEY_ID_TEXT];

	if (p == NULL)
		return;
	peer = json_object_new_object();
	append(a, array, peer);
	if (a->failed)
		return;
	counters = peer_counters(p);
	put_text(a, peer, "name", peer_name(p));
	keys = put_array(a, peer, "keys");
	for (size_t k = 0; (key = keyring_peer(a->options.keys, i, k)) != NULL;
	    k++)
		append_text(a, keys, key_id_format(text, key->id));
	put_number(a, peer, "groups", counters->groups);
	put_number(a, peer, "subflows", counters->subflows);
	put_sessions(a, peer, counters->sessions,
	    peer_max_sessions(p, s->quota->max_sessions),
	    counters->sessions_taken, counters->sessions_refused);
	put_traffic(a, peer, peer_traffic(p));
	put_repeats(a, peer, peer_repeats(p));
	put_memory(a, peer, peer_budget(p));
}

static void
put_relay(struct answers *a, struct json_object *o)
{
	const struct config *c = a->options.config;
	struct json_object *peers = put_array(a, o, "peers"), *base;
	uint64_t open, taken, refused = 0;
	struct relay_status s;

	relay_status(a->options.relay, &s);
	open = s.base.sessions;
	taken = s.base.sessions_taken;
	for (size_t i = 0; i < c->npeers; i++) {
		const struct peer *p = peers_at(s.peers, i);

		append_peer(a, peers, i, &s);
		if (p == NULL)
			continue;
		open += peer_counters(p)->sessions;
		taken += peer_counters(p)->sessions_taken;
		refused += peer_counters(p)->sessions_refused;
	}
	if (c->base.enabled) {
		base = put_object(a, o, "base");
		put_number(a, base, "open", s.base.sessions);
		put_number(a, base, "limit", s.base.max_sessions);
		put_number(a, base, "total", s.base.sessions_taken);
	} else {
		put_null(a, o, "base");
	}
	put_sessions(a, o, open, s.quota->max_sessions, taken, refused);
	put_quota(a, o, s.quota);
}

static void
put_status(struct answers *a, struct json_object *o)
{
	put_text(a, o, "role", a->options.proxy != NULL ? "proxy" : "relay");
	put_text(a, o, "program", PACKAGE_VERSION);
	put_number(a, o, "pid", (uint64_t)getpid());
	put_number(a, o, "uptime_s", seconds_since(a->begun_us));
	put_truth(a, o, "ending", a->ending);
	if (a->options.proxy != NULL)
		put_proxy(a, o);
	else
		put_relay(a, o);
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
put_bypass(struct answers *a, struct json_object *o, const struct gateway *g)
{
	const struct config_intercept *c = &a->options.config->intercept;
	struct json_object *array = put_array(a, o, "added");
	const struct addr_prefix *p;
	char text[ADDR_PREFIX_TEXT_MAX];

	for (size_t i = 0; (p = gateway_bypass(g, i)) != NULL; i++)
		append_text(a, array, addr_prefix_format(p, text));
	array = put_array(a, o, "configured");
	for (size_t i = 0; i < c->nbypass; i++)
		append_text(a, array, addr_prefix_format(&c->bypass[i], text));
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
	if (g == NULL || !has_rules(a))
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
		put_bypass(a, o, g);
		break;
	case REQUEST_INTERCEPT_ON:
	case REQUEST_INTERCEPT_OFF:
		gateway_switch(g, r->kind == REQUEST_INTERCEPT_ON);
		put_intercepting(a, o);
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
	const char *text;
	char *copy = NULL;
	size_t len;

	a->failed = false;
	put_number(a, o, "version", ANSWERS_VERSION);
	if (wrong == NULL && r->kind != REQUEST_STATUS)
		wrong = command(a, o, r);
	else if (wrong == NULL)
		put_status(a, o);
	if (wrong != NULL)
		put_text(a, o, "error", wrong);
	if (!a->failed && (text = json_object_to_json_string_ext(o,
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
