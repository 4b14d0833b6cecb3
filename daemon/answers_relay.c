/* SPDX-License-Identifier: ISC */
#include "answers_private.h"

static void
append_peer(struct answers *a, struct json_object *array, size_t i,
    const struct relay_status *s)
{
	struct put *p = &a->put;
	struct peer *who = peers_at(s->peers, i);
	const struct peer_counters *counters;
	struct json_object *peer, *keys;
	const struct key *key;
	char text[KEY_ID_TEXT];

	if (who == NULL)
		return;
	peer = json_object_new_object();
	put_element(p, array, peer);
	if (p->failed)
		return;
	counters = peer_counters(who);
	put_text(p, peer, "name", peer_name(who));
	keys = put_array(p, peer, "keys");
	for (size_t k = 0; (key = keyring_peer(a->options.keys, i, k)) != NULL;
	    k++)
		put_element_text(p, keys, key_id_format(text, key->id));
	put_number(p, peer, "groups", counters->groups);
	put_number(p, peer, "subflows", counters->subflows);
	answers_sessions(p, peer, counters->sessions,
	    peer_max_sessions(who, s->quota->max_sessions),
	    counters->sessions_taken, counters->sessions_refused);
	answers_traffic(p, peer, peer_traffic(who));
	answers_repeats(p, peer, peer_repeats(who));
	answers_memory(p, peer, peer_budget(who));
}

void
answers_relay(struct answers *a, struct json_object *o)
{
	struct put *p = &a->put;
	const struct config *c = a->options.config;
	struct json_object *peers = put_array(p, o, "peers"), *base;
	uint64_t open, taken, refused = 0;
	struct relay_status s;

	relay_status(a->options.relay, &s);
	open = s.base.sessions;
	taken = s.base.sessions_taken;
	for (size_t i = 0; i < c->npeers; i++) {
		const struct peer *who = peers_at(s.peers, i);

		append_peer(a, peers, i, &s);
		if (who == NULL)
			continue;
		open += peer_counters(who)->sessions;
		taken += peer_counters(who)->sessions_taken;
		refused += peer_counters(who)->sessions_refused;
	}
	if (c->base.enabled) {
		base = put_object(p, o, "base");
		put_number(p, base, "open", s.base.sessions);
		put_number(p, base, "limit", s.base.max_sessions);
		put_number(p, base, "total", s.base.sessions_taken);
	} else {
		put_null(p, o, "base");
	}
	answers_sessions(p, o, open, s.quota->max_sessions, taken, refused);
}
