/* SPDX-License-Identifier: ISC */
#include "config_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000

/* ---- errors ---- */

static void
say(struct config_builder *b, const char *text)
{
	size_t len = strlen(text);

	if (len > CONFIG_ERROR_MAX - 1 - b->error_len)
		len = CONFIG_ERROR_MAX - 1 - b->error_len;
	memcpy(b->error + b->error_len, text, len);
	b->error_len += len;
	b->error[b->error_len] = '\0';
}

static void
say_number(struct config_builder *b, uint64_t n)
{
	char text[UNITS_TEXT_MAX];

	say(b, units_format(text, UNITS_NONE, n));
}

int
config_fail(struct config_builder *b, unsigned int line,
    const char *const parts[])
{
	if (b->error_len > 0)
		return -EINVAL;
	say(b, b->file);
	if (line > 0) {
		say(b, ":");
		say_number(b, line);
	}
	say(b, ": ");
	for (; *parts != NULL; parts++)
		say(b, *parts);
	return -EINVAL;
}

int
config_out_of_memory(struct config_builder *b)
{
	(void)FAIL(b, 0, "out of memory");
	return -ENOMEM;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z');
}

/* In base64; the last character of 44 is no part of it. */
bool
config_is_like_key(const char *text, size_t len)
{
	if (len == 44 && text[43] == '=')
		len--;
	if (len != 43)
		return false;
	while (len > 0 && (is_alnum(text[len - 1]) || text[len - 1] == '+' ||
	    text[len - 1] == '/'))
		len--;
	return len == 0;
}

const char *
config_quoted(struct config_builder *b, const char *value)
{
	char *p = b->found;

	if (config_is_like_key(value, strlen(value)))
		return "what looks like a key";
	*p++ = '\'';
	for (size_t i = 0; value[i] != '\0'; i++) {
		if (i == CONFIG_FOUND_MAX) {
			memcpy(p, "...", 3);
			p += 3;
			break;
		}
		*p++ = value[i] >= ' ' && value[i] <= '~' ? value[i] : '?';
	}
	*p++ = '\'';
	*p = '\0';
	return b->found;
}

/* ---- small things ---- */

bool
config_is_name(const char *text, size_t max, const char *others)
{
	size_t len = strlen(text);

	if (len < 1 || len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && strchr(others, text[i]) == NULL)
			return false;
	return true;
}

int
config_store_text(struct config_builder *b, void *field, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return config_out_of_memory(b);
	memcpy(field, &copy, sizeof(copy));
	/* cppcheck-suppress memleak ; the field owns it now */
	return 0;
}

const struct key *
config_find_key(enum config_section s, const char *name)
{
	for (size_t i = 0; i < config_nkeys; i++)
		if (config_keys[i].section == s &&
		    strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

static size_t
key_index(const struct key *k)
{
	assert(k != NULL);
	return (size_t)(k - config_keys);
}

/* ---- taking sections and options ---- */

struct config_builder *
config_builder_new(const char *file)
{
	struct config_builder *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->seen[CONFIG_IN_TOP].n = 1;
	b->file = strdup(file);
	b->config = calloc(1, sizeof(*b->config));
	if (b->file == NULL || b->config == NULL) {
		config_builder_free(b);
		return NULL;
	}
	b->config->log_level = CONFIG_INFO;
	b->config->connect_timeout_ms = 30 * SECOND;
	b->config->grace_ms = 30 * SECOND;
	b->config->keepalive_s = 60;
	b->config->resume_timeout_ms = 120 * SECOND;
	b->config->redundancy_bytes = 128 << 10;
	b->config->socket.user_timeout_ms = 30 * SECOND;
	b->config->base.max_subflows = 8;
	b->config->protection = WIRE_PROTECTION_SEALED;
	return b;
}

void
config_builder_free(struct config_builder *b)
{
	if (b == NULL)
		return;
	config_free(b->config);
	free(b->file);
	free(b);
}

const char *
config_error(const struct config_builder *b)
{
	return b->error_len > 0 ? b->error : NULL;
}

static void
note_role(struct config_builder *b, enum belongs role, const char *label)
{
	if (role == FOR_BOTH || b->first_of[role].label != NULL)
		return;
	b->first_of[role].label = label;
	b->first_of[role].line = b->line;
}

int
config_add_path(struct config_builder *b, struct config_relay *relay,
    const char *title)
{
	struct config_path *path = config_grow(&relay->paths, relay->npaths,
	    sizeof(*path));

	if (path == NULL)
		return config_out_of_memory(b);
	relay->npaths++;
	path->line = b->line;
	path->weight = CONFIG_WEIGHT_DEFAULT;
	return config_store_text(b, &path->name, title);
}

int
config_add_object(struct config_builder *b, enum config_section s,
    const char *title)
{
	struct config *c = b->config;
	struct config_forward *forward;
	struct config_relay *relay;
	struct config_peer *peer;

	switch (s) {
	case CONFIG_IN_INTERCEPT:
		c->intercept_given = true;
		c->intercept.refused = true;
		c->intercept.nft = true;
		c->intercept.nft_owner = true;
		c->intercept.route = true;
		c->intercept.mark = 0x10000000;
		c->intercept.route_table = 2025;
		c->intercept.route_priority = 100;
		return 0;
	case CONFIG_IN_FORWARD:
		forward = config_grow(&c->forwards, c->nforwards,
		    sizeof(*forward));
		if (forward == NULL)
			return config_out_of_memory(b);
		c->nforwards++;
		forward->line = b->line;
		return config_store_text(b, &forward->name, title);
	case CONFIG_IN_RELAY:
		relay = config_grow(&c->relays, c->nrelays, sizeof(*relay));
		if (relay == NULL)
			return config_out_of_memory(b);
		c->nrelays++;
		relay->line = b->line;
		relay->protection = WIRE_PROTECTION_SEALED;
		relay->weight = 1;
		relay->socket.user_timeout_ms = 30 * SECOND;
		return config_store_text(b, &relay->name, title);
	case CONFIG_IN_PATH:
		return config_add_path(b, &c->relays[c->nrelays - 1], title);
	case CONFIG_IN_PEER:
		peer = config_grow(&c->peers, c->npeers, sizeof(*peer));
		if (peer == NULL)
			return config_out_of_memory(b);
		c->npeers++;
		peer->line = b->line;
		peer->max_subflows = 64;
		peer->acl = acl_new();
		if (peer->acl == NULL)
			return config_out_of_memory(b);
		return config_store_text(b, &peer->name, title);
	case CONFIG_IN_BASE:
		c->base.enabled = true;
		return 0;
	default:
		return 0;
	}
}

static int
check_title(struct config_builder *b, enum config_section s, const char *title)
{
	const char *name = config_sections[s].info.name;

	if (!config_sections[s].info.titled) {
		if (title != NULL)
			return FAIL(b, b->line, name, ": expected no name, "
			    "found ", config_quoted(b, title));
		return 0;
	}
	if (title == NULL)
		return FAIL(b, b->line, name, ": expected a name, found none");
	if (!config_is_name(title, CONFIG_NAME_MAX - 1, "_.-"))
		return FAIL(b, b->line, name, ": expected a name of 1 to 63 "
		    "letters, digits or _.-, found ", config_quoted(b, title));
	/* Each relay has paths of its own. */
	size_t i = 0;
	if (s == CONFIG_IN_PATH)
		i = b->seen[s].n - b->config->relays[b->config->nrelays - 1].
		    npaths;
	for (;; i++) {
		const void *other = config_object(b->config, s, i);

		if (other == NULL)
			return 0;
		if (strcmp(*(char *const *)other, title) == 0)
			return FAIL(b, b->line, name, ": expected a name of "
			    "its own, found ", config_quoted(b, title),
			    " again");
	}
}

static int
check_only_one(struct config_builder *b, enum config_section s)
{
	const struct section *row = &config_sections[s];
	char first[UNITS_TEXT_MAX];

	if (row->many || b->seen[s].n == 0)
		return 0;
	units_format(first, UNITS_NONE, b->seen[s].line);
	return FAIL(b, b->line, row->info.name, ": given twice, first on line ",
	    first);
}

int
config_begin(struct config_builder *b, const char *section, const char *title,
    unsigned int line)
{
	size_t s = 0;

	if (b->error_len > 0)
		return -EINVAL;
	b->line = line;
	while (s < CONFIG_NSECTIONS && (s == CONFIG_IN_TOP ||
	    config_sections[s].info.parent != b->open ||
	    strcmp(config_sections[s].info.name, section) != 0))
		s++;
	if (s == CONFIG_NSECTIONS)
		return FAIL(b, line, "expected an option or a section, found ",
		    config_quoted(b, section), ", which is none here");

	int result = check_only_one(b, s);
	if (result == 0)
		result = check_title(b, s, title);
	if (result == 0)
		result = config_add_object(b, s, title);
	if (result < 0)
		return result;
	note_role(b, config_sections[s].role, config_sections[s].info.name);
	b->open = s;
	b->seen[s].n++;
	b->seen[s].line = line;
	for (size_t i = 0; i < config_nkeys; i++)
		if (config_keys[i].section == s)
			b->given[i].yes = false;
	return 0;
}

/* The base protocol has none, which need not be written out. */
static void
choose_protection(const struct config_builder *b, struct config_relay *relay)
{
	const struct key *k = config_find_key(CONFIG_IN_RELAY, "protection");

	if (relay->protocol == CONFIG_BASE && !b->given[key_index(k)].yes)
		relay->protection = WIRE_PROTECTION_NONE;
}

int
config_end(struct config_builder *b)
{
	enum config_section s = b->open;

	if (b->error_len > 0)
		return -EINVAL;
	if (s == CONFIG_IN_TOP)
		return FAIL(b, 0, "expected an open section, found none");
	for (size_t i = 0; i < config_nkeys; i++)
		if (config_keys[i].section == s && config_keys[i].required &&
		    !b->given[i].yes)
			return FAIL(b, b->seen[s].line,
			    config_sections[s].info.name,
			    ": expected the option ", config_keys[i].name,
			    ", which is missing");
	if (s == CONFIG_IN_RELAY)
		choose_protection(b, &b->config->relays[b->seen[s].n - 1]);
	b->open = config_sections[s].info.parent;
	return 0;
}

static const struct key *
take_key(struct config_builder *b, const char *name, bool rule)
{
	const struct key *k = config_find_key(b->open, name);

	if (k == NULL || (k->kind == KIND_RULE) != rule) {
		(void)FAIL(b, b->line, "expected an option or a section, "
		    "found ", config_quoted(b, name), ", which is none here");
		return NULL;
	}
	note_role(b, k->role, k->label);
	return k;
}

int
config_value(struct config_builder *b, const char *name,
    const char *const *values, size_t n, unsigned int line)
{
	if (b->error_len > 0)
		return -EINVAL;
	b->line = line;

	const struct key *k = take_key(b, name, false);
	if (k == NULL)
		return -EINVAL;
	size_t i = key_index(k);
	if (b->given[i].yes) {
		char first[UNITS_TEXT_MAX];

		return FAIL(b, line, k->label, ": given twice, first on line ",
		    units_format(first, UNITS_NONE, b->given[i].line));
	}
	b->given[i].yes = true;
	b->given[i].line = line;

	void *object = config_object(b->config, k->section,
	    b->seen[k->section].n - 1);
	assert(object != NULL);
	return config_set(b, k, object, values, n);
}

int
config_rule(struct config_builder *b, const char *name,
    const char *const *values, size_t n, unsigned int line)
{
	if (b->error_len > 0)
		return -EINVAL;
	b->line = line;

	const struct key *k = take_key(b, name, true);
	if (k == NULL)
		return -EINVAL;
	return config_set_rule(b, k, config_object(b->config, CONFIG_IN_PEER,
	    b->seen[CONFIG_IN_PEER].n - 1), values, n);
}
