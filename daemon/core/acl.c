/* SPDX-License-Identifier: ISC */
/*
 * A relay stands inside somebody's network, and what its clients ask for comes
 * from outside.  So what is never meant when somebody says "the internet" is
 * denied: special ranges, and the relay's own addresses.
 *
 * Special ranges nest (2001::/23 is reserved, Teredo's 2001::/32 in it is not):
 * the longest that holds an address is the one that counts.
 *
 * Who writes a prefix means what it holds: a permit for 192.168.0.0/16 or for
 * 0.0.0.0/0 opens the ranges and own addresses in it.  (To ask for one as long
 * as the range was tried; it was hard to explain.)  The word "any" is for those
 * who speak of ports only, and opens nothing that is not open without it.
 *
 * An IPv6 address that embeds an IPv4 one ends, somewhere behind a translator
 * or tunnel, at that IPv4 host: it is judged by both.
 */
#include "acl.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ANY 0			/* family of the prefix of an "any" rule */

struct acl {
	struct acl_rule *rules;	/* in order; ours, and so are their ports */
	size_t nrules, room;
};

/* A row of the IANA special-purpose registries, or of an older RFC. */
struct range {
	struct addr_prefix prefix;
	bool reachable;		/* an exception within a longer range */
};

#define IP4(a, b, c, d, len) .prefix = { 4, { a, b, c, d }, len }
#define IP6(len, ...) .prefix = { 6, { __VA_ARGS__ }, len }

static const struct range special[] = {
	{ IP4(0, 0, 0, 0, 8) },			/* RFC 791: this network */
	{ IP4(10, 0, 0, 0, 8) },		/* RFC 1918: private use */
	{ IP4(100, 64, 0, 0, 10) },		/* RFC 6598: carrier's NAT */
	{ IP4(127, 0, 0, 0, 8) },		/* RFC 1122: loopback */
	{ IP4(169, 254, 0, 0, 16) },		/* RFC 3927: link-local */
	{ IP4(172, 16, 0, 0, 12) },		/* RFC 1918: private use */
	{ IP4(192, 0, 0, 0, 24) },		/* RFC 6890: IETF protocols */
	{ IP4(192, 0, 2, 0, 24) },		/* RFC 5737: documentation */
	{ IP4(192, 88, 99, 0, 24) },		/* RFC 7526: was 6to4 anycast */
	{ IP4(192, 168, 0, 0, 16) },		/* RFC 1918: private use */
	{ IP4(198, 18, 0, 0, 15) },		/* RFC 2544: benchmarking */
	{ IP4(198, 51, 100, 0, 24) },		/* RFC 5737: documentation */
	{ IP4(203, 0, 113, 0, 24) },		/* RFC 5737: documentation */
	{ IP4(224, 0, 0, 0, 4) },		/* RFC 5771: multicast */
	{ IP4(240, 0, 0, 0, 4) },		/* RFC 1112: reserved; and */
						/* RFC 919: broadcast */

	{ IP6(8, 0) },				/* RFC 4291: reserved */
	{ IP6(96, 0) },				/* RFC 4291: v4-compatible */
	{ IP6(128, 0) },			/* RFC 4291: unspecified */
	{ IP6(128, [15] = 1) },			/* RFC 4291: loopback */
	{ IP6(96, 0x00, 0x64, 0xff, 0x9b), .reachable = true }, /* RFC 6052 */
	/* RFC 8215, translation inside one network.  Not reachable, and where
	 * the IPv4 stands depends on a length that only its owner knows. */
	{ IP6(48, 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01) },
	{ IP6(64, 0x01, 0x00) },		/* RFC 6666: discard */
	{ IP6(64, 0x01, 0x00, [7] = 1) },	/* RFC 9780: dummy */
	{ IP6(23, 0x20, 0x01) },		/* RFC 2928: IETF protocols */
	{ IP6(32, 0x20, 0x01), .reachable = true },	/* RFC 4380: Teredo */
	{ IP6(32, 0x20, 0x01, 0x00, 0x03), .reachable = true },	/* RFC 7450 */
	{ IP6(48, 0x20, 0x01, 0x00, 0x04, 0x01, 0x12),
	    .reachable = true },		/* RFC 7535: AS112 */
	{ IP6(32, 0x20, 0x01, 0x0d, 0xb8) },	/* RFC 3849: documentation */
	{ IP6(20, 0x3f, 0xff) },		/* RFC 9637: documentation */
	{ IP6(16, 0x5f, 0x00) },		/* RFC 9602: SRv6 identifiers */
	{ IP6(7, 0xfc) },			/* RFC 4193: unique local */
	{ IP6(10, 0xfe, 0x80) },		/* RFC 4291: link-local */
	{ IP6(10, 0xfe, 0xc0) },		/* RFC 3879: was site-local */
	{ IP6(8, 0xff) },			/* RFC 4291: multicast */
};

/* Where an IPv6 address holds an IPv4 one. */
static const struct {
	struct addr_prefix prefix;
	uint8_t at;		/* its first byte */
	uint8_t mask;		/* what each byte is xored with */
} embeddings[] = {
	{ IP6(96, 0x00, 0x64, 0xff, 0x9b), 12, 0x00 },	/* RFC 6052 */
	{ IP6(16, 0x20, 0x02), 2, 0x00 },		/* RFC 3056: 6to4 */
	{ IP6(32, 0x20, 0x01), 4, 0x00 },	/* RFC 4380: Teredo server */
	{ IP6(32, 0x20, 0x01), 12, 0xff },	/* RFC 4380: Teredo client */
};

static const char *const texts[] = {
	[ACL_PERMIT] = "permitted",
	[ACL_DENY_RULE] = "denied by rule",
	[ACL_DENY_SPECIAL] = "denied: special address",
	[ACL_DENY_SELF] = "denied: own address",
	[ACL_DENY_PORT] = "denied: port 0",
};
static_assert(COUNT(texts) == ACL_DENY_PORT + 1, "a text for each verdict");

struct acl *
acl_new(void)
{
	return calloc(1, sizeof(struct acl));
}

void
acl_free(struct acl *acl)
{
	if (acl == NULL)
		return;
	for (size_t i = 0; i < acl->nrules; i++)
		free(acl->rules[i].ports);
	free(acl->rules);
	free(acl);
}

/* A decimal port at `*text`, which moves past it. */
static bool
parse_port(const char **text, uint16_t *out)
{
	const char *p = *text;
	unsigned int n = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (unsigned int)(*p - '0');
		if (n > UINT16_MAX)
			return false;
	}
	if (p == *text)
		return false;
	*text = p;
	*out = (uint16_t)n;
	return true;
}

/* "80" or "8000-8999" at `*text`, which moves past it. */
static bool
parse_range(const char **text, struct acl_ports *out)
{
	if (!parse_port(text, &out->first))
		return false;
	out->last = out->first;
	if (**text == '-') {
		(*text)++;
		if (!parse_port(text, &out->last))
			return false;
	}
	return out->first <= out->last;
}

int
acl_ports_parse(struct acl_ports *out, const char *text)
{
	struct acl_ports ports;

	if (!parse_range(&text, &ports) || *text != '\0')
		return -EINVAL;
	*out = ports;
	return 0;
}

/* The ranges between the commas, in memory that is the rule's. */
static int
parse_ports(const char *text, struct acl_rule *rule)
{
	size_t n = 1;

	if (strcmp(text, "any") == 0)
		return 0;
	for (const char *p = text; *p != '\0'; p++)
		n += *p == ',';
	rule->ports = calloc(n, sizeof(*rule->ports));
	if (rule->ports == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!parse_range(&text, &rule->ports[i]) ||
		    *text != (i + 1 < n ? ',' : '\0')) {
			free(rule->ports);
			rule->ports = NULL;
			return -EINVAL;
		}
		text++;
	}
	rule->nports = n;
	return 0;
}

/* Room for one more rule? */
static bool
grow(struct acl *acl)
{
	size_t room = acl->room > 0 ? 2 * acl->room : 8;
	struct acl_rule *rules;

	if (acl->nrules < acl->room)
		return true;
	rules = realloc(acl->rules, room * sizeof(*rules));
	if (rules == NULL)
		return false;
	acl->rules = rules;
	acl->room = room;
	return true;
}

int
acl_add(struct acl *acl, bool permit, const char *prefix, const char *ports)
{
	struct acl_rule rule = { .permit = permit, .prefix.family = ANY };
	int error;

	if (strcmp(prefix, "any") != 0) {
		error = addr_prefix_parse(&rule.prefix, prefix);
		if (error != 0)
			return error;
	}
	if (!grow(acl))
		return -ENOMEM;
	error = parse_ports(ports, &rule);
	if (error != 0)
		return error;
	acl->rules[acl->nrules++] = rule;
	return 0;
}

static bool
ports_hold(const struct acl_rule *rule, uint16_t port)
{
	if (rule->ports == NULL)
		return true;
	for (size_t i = 0; i < rule->nports; i++)
		if (port >= rule->ports[i].first &&
		    port <= rule->ports[i].last)
			return true;
	return false;
}

/* The rule that decides, or NULL. */
static const struct acl_rule *
first_match(const struct acl *acl, const struct addr *a)
{
	if (acl == NULL)
		return NULL;
	for (size_t i = 0; i < acl->nrules; i++) {
		const struct acl_rule *rule = &acl->rules[i];

		if (rule->prefix.family != ANY &&
		    !addr_prefix_holds(&rule->prefix, a))
			continue;
		if (ports_hold(rule, a->port))
			return rule;
	}
	return NULL;
}

/* The longest special range that holds the address, or NULL. */
static const struct range *
find_range(const struct addr *a)
{
	const struct range *found = NULL;

	for (size_t i = 0; i < COUNT(special); i++)
		if (addr_prefix_holds(&special[i].prefix, a) &&
		    (found == NULL ||
		    special[i].prefix.length > found->prefix.length))
			found = &special[i];
	return found;
}

/* Is this a permit that names at least `length` bits of such an address? */
static bool
opens(const struct acl_rule *rule, uint8_t family, uint8_t length)
{
	return rule != NULL && rule->permit &&
	    rule->prefix.family == family && rule->prefix.length >= length;
}

/* One address, with the rule that matches it first or NULL, whatever may be
 * embedded in it. */
static enum acl_verdict
judge(const struct acl_rule *rule, const struct addr *a, const struct addr *own,
    size_t nown)
{
	const struct range *range = find_range(a);

	if (rule != NULL && !rule->permit)
		return ACL_DENY_RULE;
	if (opens(rule, a->family, 0))
		return ACL_PERMIT;
	if (range != NULL && !range->reachable)
		return ACL_DENY_SPECIAL;
	for (size_t i = 0; i < nown; i++)
		if (addr_same_host(a, &own[i]))
			return ACL_DENY_SELF;
	return ACL_PERMIT;
}

/* The IPv4 address in the four bytes from `at`, with the port of `a`. */
static struct addr
embedded(const struct addr *a, uint8_t at, uint8_t mask)
{
	struct addr inner = { .family = 4, .port = a->port };

	for (int i = 0; i < 4; i++)
		inner.ip[i] = a->ip[at + i] ^ mask;
	return inner;
}

/* addr.c holds v4-mapped addresses as IPv4 ones; should one come from
 * elsewhere, it must not go round the rules for IPv4. */
static struct addr
unmapped(const struct addr *a)
{
	static const struct addr_prefix mapped = {
		6, { [10] = 0xff, [11] = 0xff }, 96
	};

	return addr_prefix_holds(&mapped, a) ? embedded(a, 12, 0) : *a;
}

enum acl_verdict
acl_check(const struct acl *acl, const struct addr *destination,
    const struct addr *own, size_t nown)
{
	struct addr a = unmapped(destination);
	const struct acl_rule *rule = first_match(acl, &a);
	enum acl_verdict verdict;

	if (a.port == 0)
		return ACL_DENY_PORT;
	if (a.family != 4 && a.family != 6)
		return ACL_DENY_SPECIAL;
	verdict = judge(rule, &a, own, nown);
	for (size_t i = 0; verdict == ACL_PERMIT && i < COUNT(embeddings);
	    i++) {
		struct addr inner;

		if (!addr_prefix_holds(&embeddings[i].prefix, &a) ||
		    opens(rule, 6, embeddings[i].prefix.length))
			continue;
		inner = embedded(&a, embeddings[i].at, embeddings[i].mask);
		verdict = judge(first_match(acl, &inner), &inner, own, nown);
	}
	return verdict;
}

const char *
acl_verdict_text(enum acl_verdict verdict)
{
	assert((size_t)verdict < COUNT(texts));
	return texts[verdict];
}
