/* SPDX-License-Identifier: ISC */
#include "answers_private.h"

#include <stdio.h>

#include "clock.h"

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
tell_key(struct put *p, struct json_object *o, const struct key *key)
{
	char text[KEY_ID_TEXT];

	if (key != NULL)
		put_text(p, o, "key", key_id_format(text, key->id));
	else
		put_null(p, o, "key");
}

/* In a word.  What is not used though it could be waits for its turn, or shares
 * its way with what does not move; or it is poor and has bulk subflows only.
 * The kernel of a relay that hangs takes what it is sent, and says so to ours:
 * nothing but its silence tells that nobody is there. */
static const char *
path_state(const struct config_path *c, const struct trunk_path *now,
    bool answers)
{
	if (now->up == 0)
		return "down";
	if (now->moving == 0 || !answers)
		return "suspect";
	if (!now->used && c->backup)
		return "backup";
	if (now->poor)
		return "poor";
	return now->used ? "up" : "suspect";
}

static void
tell_rate(struct put *p, struct json_object *o, const char *name,
    uint64_t bps)
{
	if (bps != 0)
		put_number(p, o, name, bps);
	else
		put_null(p, o, name);
}

static void
append_path(struct answers *a, struct json_object *array,
    const struct config_path *c, size_t relay, size_t i, bool answers)
{
	struct put *p = &a->put;
	struct json_object *path = json_object_new_object(), *o;
	struct uplink_path s;

	put_element(p, array, path);
	if (p->failed)
		return;
	proxy_path_status(a->options.proxy, relay, i, &s);
	put_text(p, path, "name", c->name);
	if (c->interface != NULL)
		put_text(p, path, "interface", c->interface);
	else
		put_null(p, path, "interface");
	put_text(p, path, "state", path_state(c, &s.now, answers));
	if (s.missing != NULL)
		put_text(p, path, "missing", s.missing);
	else
		put_null(p, path, "missing");
	put_truth(p, path, "backup", c->backup);
	put_number(p, path, "weight", c->weight);
	tell_rate(p, path, "rate_bps", c->socket.rate_bps);
	tell_rate(p, path, "receive_rate_bps", c->socket.receive_bps);
	o = put_object(p, path, "subflows");
	put_number(p, o, "up", s.now.up);
	put_number(p, o, "wanted", (uint64_t)c->express + c->bulk);
	if (s.now.rtt_us != 0)
		put_number(p, path, "rtt_us", s.now.rtt_us);
	else
		put_null(p, path, "rtt_us");
	o = put_object(p, path, "traffic");
	put_number(p, o, "sent_bytes", s.now.counts.sent_bytes);
	put_number(p, o, "received_bytes", s.now.counts.received_bytes);
	put_number(p, o, "resent_bytes", s.now.counts.resent_bytes);
	put_number(p, o, "sent_bps", s.sent_bps);
	put_number(p, o, "received_bps", s.received_bps);
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
tell_nothing(struct put *p, struct json_object *relay)
{
	static const char *const names[] = {
		"up", "state", "since_s", "aside_s", "sessions", "subflows",
		"again", "families", "paths",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_null(p, relay, names[i]);
}

static void
append_relay(struct answers *a, struct json_object *array, size_t i,
    bool extended)
{
	struct put *p = &a->put;
	const struct config_relay *c;
	struct json_object *relay = json_object_new_object(), *subflows;
	struct json_object *paths;
	char text[ADDR_TEXT_MAX];
	struct relays_status s;

	put_element(p, array, relay);
	if (p->failed)
		return;
	proxy_relay_status(a->options.proxy, i, &s);
	c = s.config;
	put_text(p, relay, "name", c->name);
	if (s.address.family != 0)
		put_text(p, relay, "address", addr_format(&s.address, text));
	else
		put_null(p, relay, "address");
	put_text(p, relay, "protocol", extended ? "extended" : "base");
	put_text(p, relay, "protection", protection_text(c->protection));
	tell_key(p, relay, s.key);
	if (!extended) {
		tell_nothing(p, relay);
		return;
	}
	put_truth(p, relay, "up", s.up);
	put_text(p, relay, "state", relay_state(&s));
	put_number(p, relay, "since_s", (clock_us() - s.since_us) / 1000000);
	put_number(p, relay, "aside_s", (s.aside_us + 999999) / 1000000);
	put_number(p, relay, "sessions", s.sessions);
	subflows = put_object(p, relay, "subflows");
	put_number(p, subflows, "up", s.uplink.up);
	put_number(p, subflows, "wanted", s.uplink.subflows);
	answers_repeats(p, relay, &s.repeats);
	answers_families(p, relay, s.families);
	paths = put_array(p, relay, "paths");
	for (size_t k = 0; k < c->npaths; k++)
		append_path(a, paths, &c->paths[k], i, k,
		    s.up || s.draining || s.removed);
}

bool
answers_has_rules(const struct answers *a)
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
tell_others_reason(struct put *p, struct json_object *o,
    enum gate_reason reason)
{
	char text[160];

	snprintf(text, sizeof(text), "what the operator's rules say "
	    "(nft = off)%s%s", reason == GATE_OPEN ? "" : ", and not ready: ",
	    reason == GATE_OPEN ? "" : gate_reason_text(reason));
	put_text(p, o, "reason", text);
}

void
answers_intercepting(struct answers *a, struct json_object *o)
{
	struct put *p = &a->put;
	const struct gateway *g = proxy_gateway(a->options.proxy);
	struct json_object *intercepting;
	struct gateway_status s;

	if (g == NULL) {
		put_null(p, o, "intercepting");
		return;
	}
	gateway_status(g, &s);
	intercepting = put_object(p, o, "intercepting");
	if (answers_has_rules(a)) {
		char text[160];

		snprintf(text, sizeof(text), "%s%s", gate_reason_text(s.reason),
		    s.lacks);
		answers_families(p, intercepting, s.families);
		put_text(p, intercepting, "reason", text);
	} else {
		put_null(p, intercepting, "families");
		tell_others_reason(p, intercepting, s.reason);
	}
	put_truth(p, intercepting, "rules", s.rules);
	put_number(p, intercepting, "bypass", count_bypass(g));
	put_number(p, intercepting, "unreachable", s.refused);
}

void
answers_proxy(struct answers *a, struct json_object *o)
{
	struct put *p = &a->put;
	struct json_object *relays = put_array(p, o, "relays");
	struct proxy_status s;

	proxy_status(a->options.proxy, &s);
	for (size_t i = 0; i < proxy_relays(a->options.proxy); i++)
		append_relay(a, relays, i, s.extended);
	answers_intercepting(a, o);
	answers_sessions(p, o, s.sessions, s.max_sessions, s.sessions_taken,
	    s.sessions_refused);
}
