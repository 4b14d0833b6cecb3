/* SPDX-License-Identifier: ISC */
/*
 * A connection is a stranger until its first frames come: it costs little, and
 * has to go when there are too many (strangers.h says which).
 *
 * A subflow keeps the id of the key that it was made with.  Its records need
 * that key no more, but when a reload takes the key away it goes as well, so
 * that whoever held the key is out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "clock.h"
#include "core/list.h"
#include "downlink_private.h"
#include "net/log.h"
#include "net/sockopt.h"
#include "net/stream.h"
#include "net/subflow.h"
#include "peers.h"
#include "strangers.h"

static bool
is_no_key(const uint8_t id[static WIRE_KEY_ID])
{
	static const uint8_t none[WIRE_KEY_ID];

	return memcmp(id, none, sizeof(none)) == 0;
}

static struct member *
member_of(struct subflow *subflow)
{
	struct trunk_subflow *line = subflow_user(subflow);

	return list_object(line, struct member, line);
}

void
member_free(struct member *m)
{
	if (m->group == NULL)
		strangers_remove(m->downlink->strangers, &m->stranger);
	else
		peer_drop_subflow(m->peer);
	list_unlink(&m->list);
	free(m);
}

/* ---- lines of the log ---- */

/* It was let in. */
void
member_log_lost(const struct member *m, int error, const char *why)
{
	char text[ADDR_TEXT_MAX];

	log_limited(peer_limit(m->peer, PEER_LINE_LOST), LOG_LEVEL_INFO,
	    "group %lu: subflow from %s: %s%s%s", m->group->number,
	    addr_format(&m->source, text), why, error != 0 ? ": " : "",
	    error != 0 ? strerror(-error) : "");
}

/* It was not; the key is the one that it named, not one that it proved to
 * know. */
static void
log_stranger(const struct member *m, int error, const char *why)
{
	static struct log_limit limit = { .burst = 20 };
	char text[ADDR_TEXT_MAX], id[KEY_ID_TEXT] = "";

	addr_format(&m->source, text);
	if (m->named && !is_no_key(m->key_id))
		key_id_format(id, m->key_id);
	if (!m->named || m->peer != NULL)
		log_limited(&limit, LOG_LEVEL_INFO, "stranger %s%s%s: %s%s%s",
		    text, id[0] != '\0' ? ", key " : "", id, why,
		    error != 0 ? ": " : "", error != 0 ? strerror(-error) : "");
	else if (id[0] != '\0')
		log_limited(&limit, LOG_LEVEL_INFO, "stranger %s: unknown "
		    "key %s", text, id);
	else
		log_limited(&limit, LOG_LEVEL_INFO, "stranger %s: it asks for "
		    "no protection", text);
}

/* ---- subflows ---- */

/* Has the peer room for it? */
static bool
may_attach(const struct member *m, const struct group_entry *g)
{
	const char *refused = peer_may_attach(m->peer, g != NULL &&
	    trunk_has(g->trunk, m->line.path, m->line.slot));
	char text[ADDR_TEXT_MAX];

	if (refused == NULL)
		return true;
	log_limited(peer_limit(m->peer, PEER_LINE_SUBFLOW), LOG_LEVEL_WARN,
	    "peer \"%s\": subflow from %s: refused: %s", peer_name(m->peer),
	    addr_format(&m->source, text), refused);
	return false;
}

/* Whose key it is; NULL: nobody's. */
static struct peer *
find_peer(const struct downlink *d, const uint8_t id[static WIRE_KEY_ID],
    const struct key **key)
{
	size_t i = 0;

	*key = NULL;
	if (d->options.config->protection == WIRE_PROTECTION_NONE)
		return is_no_key(id) ? peers_at(d->peers, 0) : NULL;
	*key = keyring_find(d->options.keys, id, &i);
	return *key != NULL ? peers_at(d->peers, i) : NULL;
}

static bool
on_key(struct subflow *subflow, const uint8_t id[static WIRE_KEY_ID],
    const uint8_t **bytes)
{
	struct member *m = member_of(subflow);
	const struct key *key;

	m->named = true;
	memcpy(m->key_id, id, sizeof(m->key_id));
	m->peer = find_peer(m->downlink, id, &key);
	*bytes = key != NULL ? key->bytes : NULL;
	return m->peer != NULL;
}

static bool
on_hello(struct subflow *subflow, const struct wire_hello *hello,
    struct wire_answer *answer)
{
	struct member *m = member_of(subflow);
	struct downlink *d = m->downlink;
	const struct config *c = d->options.config;
	const struct group_entry *g;

	if (hello->protection != c->protection)
		return false;
	memcpy(m->name, hello->group, sizeof(m->name));
	m->window = hello->initial_window;
	m->line.path = hello->path;
	m->line.slot = hello->slot;
	g = downlink_find_group(m);
	if (!may_attach(m, g))
		return false;
	m->told_known = g != NULL;
	m->told_features = d->features;
	m->told_window = quota_window_initial(peer_budget(m->peer),
	    CONFIG_RELAY);
	m->stranger.answered = true;
	downlink_tune(m);
	*answer = (struct wire_answer){
		.protection = hello->protection,
		.group_known = m->told_known,
		.features = m->told_features |
		    (d->draining ? WIRE_FEATURE_ENDING : 0),
		.initial_window = m->told_window,
		.max_sessions = peer_max_sessions(m->peer,
		    d->options.quota->max_sessions),
	};
	return true;
}

static bool
on_up(struct subflow *subflow, const struct wire_answer *answer)
{
	struct member *m = member_of(subflow);
	struct downlink *d = m->downlink;
	struct group_entry *g = downlink_find_group(m);
	char text[ADDR_TEXT_MAX];

	(void)answer;
	/* One that was told that its group is known goes on in the middle of
	 * what it says: if the group has expired since, that begins
	 * nothing.  Others may have come up since it was let in. */
	if (!may_attach(m, g) ||
	    (g == NULL && (m->told_known ||
	    (g = downlink_add_group(d, m)) == NULL)) ||
	    trunk_attach(g->trunk, &m->line) != 0) {
		member_free(m);
		return false;
	}
	if (m->told_features != d->features)
		trunk_tell_features(g->trunk, &m->line, d->features);
	strangers_remove(d->strangers, &m->stranger);
	peer_take_subflow(m->peer);
	m->group = g;
	downlink_tune(m);
	log_limited(peer_limit(m->peer, PEER_LINE_UP), LOG_LEVEL_INFO,
	    "group %lu: subflow from %s: up", g->number,
	    addr_format(&m->source, text));
	return true;
}

static void
on_closed(struct subflow *subflow, int error, const char *why)
{
	struct member *m = member_of(subflow);

	if (m->group != NULL)
		member_log_lost(m, error, why);
	else
		log_stranger(m, error, why);
	m->line.subflow = NULL;
	trunk_detach(&m->line);
	member_free(m);
}

static const struct subflow_callbacks subflow_callbacks = {
	.on_key = on_key,
	.on_hello = on_hello,
	.on_up = on_up,
	.take = trunk_take,
	.fill = trunk_fill,
	.on_event = trunk_event,
	.on_closed = on_closed,
};

/* There are too many of them: one has to go. */
static void
make_room(struct downlink *d, const struct addr *source)
{
	static struct log_limit limit;
	struct stranger *victim = strangers_victim(d->strangers, source,
	    clock_us() << 16 | chance_u16());
	char text[ADDR_TEXT_MAX];
	struct member *m;

	if (victim == NULL)
		return;
	m = list_object(victim, struct member, stranger);
	log_limited(&limit, LOG_LEVEL_WARN, "stranger %s: dropped: too many "
	    "of them", addr_format(&m->source, text));
	subflow_close(m->line.subflow);
	member_free(m);
}

void
downlink_accept(struct downlink *d, int fd, const struct addr *peer)
{
	struct member *m = calloc(1, sizeof(*m));
	struct stream st;

	make_room(d, peer);
	if (m == NULL || strangers_add(d->strangers, &m->stranger, peer) != 0) {
		free(m);
		stream_open(&st, d->options.loop, fd, NULL, NULL);
		stream_reset(&st);
		return;
	}
	m->downlink = d;
	m->source = *peer;
	list_append(&d->members, &m->list);
	sockopt_congestion(fd, d->options.config->socket.congestion);
	m->line.subflow = subflow_relay(d->options.loop, fd,
	    &(struct subflow_options){ .callbacks = &subflow_callbacks,
	    .user = &m->line });
	if (m->line.subflow == NULL)
		member_free(m);
}

void
downlink_close_unwelcome(struct downlink *d)
{
	struct list *node, *after;
	const struct key *key;

	list_each_safe(node, after, &d->members) {
		struct member *m = list_object(node, struct member, list);

		if (m->peer == NULL ||
		    find_peer(d, m->key_id, &key) == m->peer)
			continue;
		if (m->group != NULL)
			member_log_lost(m, 0, "its key is not accepted any "
			    "more");
		else
			log_stranger(m, 0, "its key is not accepted any more");
		subflow_close(m->line.subflow);
		m->line.subflow = NULL;
		trunk_detach(&m->line);
		member_free(m);
	}
}
