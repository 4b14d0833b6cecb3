/* SPDX-License-Identifier: ISC */
#include "config_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define HOST_MAX 253		/* of a name in the DNS */
#define INTERFACE_MAX 15	/* IFNAMSIZ without its terminator */
#define INTERFACE_OTHERS "_.-"	/* beside letters and digits */
#define CONGESTION_MAX 15	/* TCP_CA_NAME_MAX, the same */
#define ACCOUNT_MAX 32		/* of useradd(8) and groupadd(8) */
#define FILE_NAME_MAX 4095	/* PATH_MAX, the same */

static_assert(sizeof(enum config_role) == sizeof(uint32_t),
    "store() writes an enum as a number of its size");

static int
expected(struct config_builder *b, const struct key *k, const char *what,
    const char *value)
{
	return FAIL(b, b->line, k->label, ": expected ", what, ", found ",
	    config_quoted(b, value));
}

static void
store(void *field, size_t size, uint64_t value)
{
	uint8_t u8 = (uint8_t)value;
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;

	switch (size) {
	case sizeof(u8):	/* a bool as well: `value` is then 0 or 1 */
		memcpy(field, &u8, size);
		break;
	case sizeof(u16):
		memcpy(field, &u16, size);
		break;
	case sizeof(u32):
		memcpy(field, &u32, size);
		break;
	default:
		assert(size == sizeof(value));
		memcpy(field, &value, size);
	}
}

/* `result` is what units_parse() said of it: a unit that is none is answered
 * with those that there are. */
static int
bad_integer(struct config_builder *b, const struct key *k,
    const char *value, int result)
{
	static const char *const nouns[] = {
		[UNITS_NONE] = "a number",
		[UNITS_RATE] = "a rate",
		[UNITS_TIME] = "a time",
		[UNITS_SIZE] = "a size",
	};
	static const char *const examples[] = {
		[UNITS_NONE] = "",
		[UNITS_RATE] = ", such as 20Mbit",
		[UNITS_TIME] = ", such as 600ms or 30s",
		[UNITS_SIZE] = ", such as 4MiB",
	};
	static const char *const units[] = {
		[UNITS_NONE] = "",
		[UNITS_RATE] = ", in bit, kbit, Mbit, Gbit or Tbit",
		[UNITS_TIME] = ", in ms, s, min or h",
		[UNITS_SIZE] = ", in B, KiB, MiB, GiB or TiB",
	};
	char min[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];

	return FAIL(b, b->line, k->label, ": expected ", nouns[k->units],
	    " from ", units_format(min, k->units, k->min), " to ",
	    units_format(max, k->units, k->max), k->or_zero ? ", or 0" : "",
	    k->scale > 1 ? ", in whole seconds" : "", (result == -EINVAL ?
	    units : examples)[k->units], ", found ", config_quoted(b, value));
}

static int
set_integer(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	uint64_t scale = k->scale > 0 ? k->scale : 1, n;
	int result = units_parse(&n, k->units, value);

	if (result < 0 || n > k->max ||
	    (n < k->min && !(k->or_zero && n == 0)) || n % scale != 0)
		return bad_integer(b, k, value, result);
	store(field, k->size, n / scale);
	return 0;
}

static int
bad_word(struct config_builder *b, const struct key *k, const char *value)
{
	const char *parts[16] = { k->label, ": expected " };
	size_t n = 2;

	for (size_t i = 0; k->words[i] != NULL; i++) {
		if (i > 0)
			parts[n++] = k->words[i + 1] != NULL ? ", " : " or ";
		parts[n++] = k->words[i];
		assert(n + 2 < LENGTH(parts));
	}
	parts[n++] = ", found ";
	parts[n] = config_quoted(b, value);
	return config_fail(b, b->line, parts);
}

static int
set_word(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	size_t n = 0;

	while (k->words[n] != NULL && strcmp(k->words[n], value) != 0)
		n++;
	if (k->words[n] == NULL)
		return bad_word(b, k, value);
	store(field, k->size, n);
	return 0;
}

static int
set_congestion(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	if (!config_is_name(value, CONGESTION_MAX, "_-"))
		return expected(b, k, "a congestion control of the kernel, "
		    "such as bbr or cubic", value);
	return config_store_text(b, field, value);
}

static bool
is_interface(const char *value)
{
	return config_is_name(value, INTERFACE_MAX, INTERFACE_OTHERS) &&
	    strcmp(value, ".") != 0 && strcmp(value, "..") != 0;
}

static int
set_interface(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	if (!is_interface(value))
		return expected(b, k, "the name of an interface, 1 to 15 "
		    "letters, digits or _.-", value);
	return config_store_text(b, field, value);
}

/* Of clients: "wlan*" stands for all that begin so.  The loopback has none, and
 * what leaves this machine, marked as ours, seems to come from it to rules of
 * routing. */
static int
set_interfaces(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	char start[INTERFACE_MAX + 1];
	size_t len = strlen(value);
	bool good = is_interface(value);

	if (len > 1 && len <= INTERFACE_MAX && value[len - 1] == '*') {
		memcpy(start, value, len - 1);
		start[len - 1] = '\0';
		good = config_is_name(start, INTERFACE_MAX, INTERFACE_OTHERS);
	}
	if (!good)
		return expected(b, k, "the name of an interface, 1 to 15 "
		    "letters, digits or _.-, or its beginning and *", value);
	if (strcmp(value, "lo") == 0)
		return expected(b, k, "an interface with clients", value);
	return config_store_text(b, field, value);
}

static int
set_account(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	if (!config_is_name(value, ACCOUNT_MAX, "_.-") || value[0] == '-')
		return expected(b, k, "a name of this system's, 1 to 32 "
		    "letters, digits or _.-", value);
	return config_store_text(b, field, value);
}

/* One from / on: a daemon's working directory is nobody's business. */
static bool
is_file(const char *value, size_t max)
{
	size_t len = strlen(value);

	return value[0] == '/' && value[len - 1] != '/' && len <= max;
}

static int
set_file(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	size_t len = strlen(value);

	/* One in 64 keys begins with a slash. */
	if (!is_file(value, FILE_NAME_MAX) ||
	    (value[len - 1] == '=' && config_is_like_key(value, len)))
		return expected(b, k, "a file, from / on, such as "
		    "/etc/rorod/earth.key", value);
	return config_store_text(b, field, value);
}

/* Without one the field stays as it is. */
static int
set_control(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	if (strcmp(value, "off") == 0)
		return 0;
	/* Its directory is made by us, for us, so it is not the root. */
	if (!is_file(value, CONFIG_CONTROL_MAX) ||
	    strchr(value + 1, '/') == NULL)
		return expected(b, k, "a socket in a directory of its own, "
		    "from / on, of at most 107 characters, such as "
		    CONFIG_CONTROL ", or off", value);
	return config_store_text(b, field, value);
}

static int
set_source(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	struct addr_prefix prefix;
	struct addr a = { 0 };

	/* Unlike addr_parse() this takes neither a port nor brackets. */
	if (strchr(value, '/') == NULL &&
	    addr_prefix_parse(&prefix, value) == 0) {
		a.family = prefix.family;
		memcpy(a.ip, prefix.ip, sizeof(a.ip));
	}
	if (a.family == 0 || addr_is_any(&a))
		return expected(b, k, "an address of this host without a port, "
		    "such as 192.0.2.9", value);
	memcpy(field, &a, sizeof(a));
	return 0;
}

bool
config_listens(const struct config *c, const struct addr *a)
{
	bool listens = addr_equal(a, &c->intercept.listen);

	for (size_t i = 0; i < c->nforwards; i++)
		listens |= addr_equal(a, &c->forwards[i].listen);
	for (size_t i = 0; i < c->nlisten; i++)
		listens |= addr_equal(a, &c->listen[i]);
	return listens;
}

static int
set_listen(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	struct addr a;

	if (addr_parse(&a, value) < 0 || a.port == 0)
		return expected(b, k, "an address and a port from 1 to 65535, "
		    "such as [::]:1092 or 127.0.0.1:8080", value);
	if (config_listens(b->config, &a))
		return FAIL(b, b->line, k->label, ": expected an address that "
		    "nothing else here listens on, found ",
		    config_quoted(b, value), " again");
	memcpy(field, &a, sizeof(a));
	return 0;
}

/* Labels of letters, digits, - and _ with dots between.  What ends in a label
 * of digits is meant as an IPv4 address, and has to be a whole one. */
static bool
is_host(const char *host)
{
	const char *last = strrchr(host, '.');
	struct addr a;

	last = last != NULL ? last + 1 : host;
	if (*last != '\0' && last[strspn(last, "0123456789")] == '\0')
		return addr_parse(&a, host) == 0 && a.family == 4 &&
		    !addr_is_any(&a);
	return config_is_name(host, HOST_MAX, "_.-") && host[0] != '.' &&
	    host[0] != '-' && strstr(host, "..") == NULL;
}

/* -EINVAL or -ENOMEM. */
static int
parse_endpoint(struct config_endpoint *e, const char *text)
{
	const char *host = text, *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	bool ip6 = text[0] == '[';
	struct addr a;
	uint64_t port;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9' ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    units_parse(&port, UNITS_NONE, colon + 1) < 0 ||
	    port < 1 || port > UINT16_MAX)
		return -EINVAL;
	if (ip6) {
		if (addr_parse(&a, text) < 0 || addr_is_any(&a))
			return -EINVAL;
		host++;
		len -= 2;
	}
	char *copy = strndup(host, len);
	if (copy == NULL)
		return -ENOMEM;
	if (!ip6 && !is_host(copy)) {
		free(copy);
		return -EINVAL;
	}
	e->host = copy;
	e->port = (uint16_t)port;
	return 0;
}

static int
set_endpoint(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	switch (parse_endpoint(field, value)) {
	case 0:
		return 0;
	case -ENOMEM:
		return config_out_of_memory(b);
	default:
		return expected(b, k, "a host and a port from 1 to 65535, such "
		    "as host.example:1093, 192.0.2.1:1093 or "
		    "[2001:db8::1]:1093", value);
	}
}

static int
set_prefix(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	struct addr_prefix prefix;

	if (addr_prefix_parse(&prefix, value) < 0)
		return expected(b, k, "an address or a prefix, such as "
		    "192.0.2.1 or 2001:db8::/64", value);
	memcpy(field, &prefix, sizeof(prefix));
	return 0;
}

static int
set_ports(struct config_builder *b, const struct key *k, void *field,
    const char *value)
{
	struct acl_ports ports;

	if (acl_ports_parse(&ports, value) < 0 || ports.first == 0)
		return expected(b, k, "a port from 1 to 65535, or a range, "
		    "such as 80 or 8000-8999", value);
	memcpy(field, &ports, sizeof(ports));
	return 0;
}

static bool
same_bytes(const struct key *k, const void *x, const void *y)
{
	return memcmp(x, y, k->size) == 0;
}

static bool
same_text(const struct key *k, const void *x, const void *y)
{
	const char *s, *t;

	(void)k;
	memcpy(&s, x, sizeof(s));
	memcpy(&t, y, sizeof(t));
	if (s == NULL || t == NULL)
		return s == t;
	return strcmp(s, t) == 0;
}

static bool
same_addr(const struct key *k, const void *x, const void *y)
{
	(void)k;
	return addr_equal(x, y);
}

static bool
same_endpoint(const struct key *k, const void *x, const void *y)
{
	const struct config_endpoint *e = x, *f = y;

	return e->port == f->port && same_text(k, &e->host, &f->host);
}

/* `same` is missing where every option of the kind can be reloaded. */
static const struct {
	int (*set)(struct config_builder *, const struct key *, void *,
	    const char *);
	bool (*same)(const struct key *, const void *, const void *);
} kinds[] = {
	[KIND_INTEGER] = { set_integer, same_bytes },
	[KIND_WORD] = { set_word, same_bytes },
	[KIND_CONGESTION] = { set_congestion, same_text },
	[KIND_INTERFACE] = { set_interface, same_text },
	[KIND_INTERFACES] = { set_interfaces, same_text },
	[KIND_ACCOUNT] = { set_account, same_text },
	[KIND_FILE] = { set_file, NULL },
	[KIND_CONTROL] = { set_control, same_text },
	[KIND_SOURCE] = { set_source, same_addr },
	[KIND_LISTEN] = { set_listen, same_addr },
	[KIND_ENDPOINT] = { set_endpoint, same_endpoint },
	[KIND_PREFIX] = { set_prefix, NULL },
	[KIND_PORTS] = { set_ports, NULL },
	[KIND_RULE] = { NULL, NULL },
};

/* Is the last of a list of interfaces there before? */
static bool
is_twice(const struct key *k, const uint8_t *elements, size_t n)
{
	const uint8_t *last = elements + (n - 1) * k->size;

	if (k->kind != KIND_INTERFACE && k->kind != KIND_INTERFACES)
		return false;
	for (const uint8_t *p = elements; p < last; p += k->size)
		if (same_text(k, p, last))
			return true;
	return false;
}

static int
set_list(struct config_builder *b, const struct key *k, uint8_t *object,
    const char *const *values, size_t n)
{
	size_t count;

	memcpy(&count, object + k->count, sizeof(count));
	if (k->most > 0 && n > k->most) {
		char most[UNITS_TEXT_MAX];

		return FAIL(b, b->line, k->label, ": expected at most ",
		    units_format(most, UNITS_NONE, k->most),
		    " values, found more");
	}
	for (size_t i = 0; i < n; i++) {
		void *element = config_grow(object + k->offset, count, k->size);

		if (element == NULL)
			return config_out_of_memory(b);
		int result = kinds[k->kind].set(b, k, element, values[i]);
		if (result < 0)
			return result;
		count++;
		memcpy(object + k->count, &count, sizeof(count));

		const uint8_t *elements;
		memcpy(&elements, object + k->offset, sizeof(elements));
		if (is_twice(k, elements, count))
			return FAIL(b, b->line, k->label, ": ",
			    config_quoted(b, values[i]), " is there twice");
	}
	return 0;
}

int
config_set(struct config_builder *b, const struct key *k, void *object,
    const char *const *values, size_t n)
{
	uint8_t *base = object;

	if (n == 0)
		return FAIL(b, b->line, k->label,
		    ": expected a value, found none");
	if (k->list)
		return set_list(b, k, base, values, n);
	if (n > 1)
		return FAIL(b, b->line, k->label,
		    ": expected one value, found a list");
	return kinds[k->kind].set(b, k, base + k->offset, values[0]);
}

int
config_set_rule(struct config_builder *b, const struct key *k,
    struct config_peer *peer, const char *const *values, size_t n)
{
	struct addr_prefix prefix;

	if (n != 2)
		return FAIL(b, b->line, k->label, ": expected (PREFIX, PORTS), "
		    "found ", n == 0 ? "nothing" :
		    n == 1 ? "one value" : "more than two values");
	switch (acl_add(peer->acl, strcmp(k->name, "permit") == 0, values[0],
	    values[1])) {
	case 0:
		return 0;
	case -ENOMEM:
		return config_out_of_memory(b);
	}
	if (strcmp(values[0], "any") != 0 &&
	    addr_prefix_parse(&prefix, values[0]) < 0)
		return expected(b, k, "a prefix, such as 10.0.0.0/8, or any",
		    values[0]);
	return expected(b, k, "ports, such as 80,443,8000-8999, or any",
	    values[1]);
}

bool
config_same(const struct key *k, const void *x, const void *y)
{
	bool (*same)(const struct key *, const void *, const void *) =
	    kinds[k->kind].same;
	const uint8_t *a = x, *b = y, *p, *q;
	size_t n, m;

	assert(same != NULL);
	if (!k->list)
		return same(k, a + k->offset, b + k->offset);
	memcpy(&n, a + k->count, sizeof(n));
	memcpy(&m, b + k->count, sizeof(m));
	memcpy(&p, a + k->offset, sizeof(p));
	memcpy(&q, b + k->offset, sizeof(q));
	for (size_t i = 0; i < n && n == m; i++)
		if (!same(k, p + i * k->size, q + i * k->size))
			return false;
	return n == m;
}
