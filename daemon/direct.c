/* SPDX-License-Identifier: ISC */
#include "direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Special ranges, never of use on the other side, and private ones, which may
 * be.  Both as in nft/redirect.nft.  ::/80 holds the v4-mapped addresses, whose
 * own prefix would be read as that of all IPv4 addresses. */
static const char *const special[] = {
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24",
	"224.0.0.0/3", "::/80", "100::/64", "fe80::/10", "ff00::/8",
};
static const char *const private[] = {
	"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16",
	"198.18.0.0/15", "64:ff9b:1::/48", "fc00::/7",
};

void
direct_free(struct direct *d)
{
	free(d->extra);
	free(d->relays);
}

static struct ruleset_prefix
to_ruleset(const struct addr_prefix *p)
{
	struct ruleset_prefix r = { .family = p->family,
		.length = p->length };

	memcpy(r.ip, p->ip, sizeof(r.ip));
	return r;
}

static void
append_texts(struct ruleset_prefix *to, size_t *n, const char *const texts[],
    size_t ntexts)
{
	struct addr_prefix p;

	for (size_t i = 0; i < ntexts; i++)
		if (addr_prefix_parse(&p, texts[i]) == 0)
			to[(*n)++] = to_ruleset(&p);
}

struct ruleset_prefix *
direct_collect(const struct direct *d, const struct config_intercept *c,
    size_t *n)
{
	struct ruleset_prefix *all = calloc(LENGTH(special) + LENGTH(private) +
	    c->nbypass + d->nextra, sizeof(*all));

	*n = 0;
	if (all == NULL)
		return NULL;
	append_texts(all, n, special, LENGTH(special));
	if (!c->private)
		append_texts(all, n, private, LENGTH(private));
	for (size_t i = 0; i < c->nbypass; i++)
		all[(*n)++] = to_ruleset(&c->bypass[i]);
	for (size_t i = 0; i < d->nextra; i++)
		all[(*n)++] = to_ruleset(&d->extra[i]);
	return all;
}

/* ---- relays ---- */

static struct ruleset_prefix
host_prefix(const struct addr *a)
{
	struct ruleset_prefix p = { .family = a->family,
		.length = a->family == 4 ? 32 : 128 };

	memcpy(p.ip, a->ip, sizeof(p.ip));
	return p;
}

int
direct_set_relays(struct direct *d, const struct addr *addrs, size_t n)
{
	struct ruleset_prefix *new = calloc(n > 0 ? n : 1, sizeof(*new));

	if (new == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		new[i] = host_prefix(&addrs[i]);
	free(d->relays);
	d->relays = new;
	d->nrelays = n;
	return 0;
}

struct ruleset_prefixes
direct_relays(const struct direct *d)
{
	return (struct ruleset_prefixes){ d->relays, d->nrelays };
}

/* ---- the operator's ---- */

static size_t
find(const struct direct *d, const struct addr_prefix *p)
{
	size_t i = 0;

	while (i < d->nextra && (d->extra[i].family != p->family ||
	    d->extra[i].length != p->length ||
	    memcmp(d->extra[i].ip, p->ip, sizeof(p->ip)) != 0))
		i++;
	return i;
}

int
direct_add(struct direct *d, const struct addr_prefix *p)
{
	struct addr_prefix *new;

	if (find(d, p) < d->nextra)
		return -EEXIST;
	if (d->nextra == DIRECT_EXTRA_MAX)
		return -ENOSPC;
	new = realloc(d->extra, (d->nextra + 1) * sizeof(*new));
	if (new == NULL)
		return -ENOMEM;
	d->extra = new;
	d->extra[d->nextra++] = *p;
	return 0;
}

int
direct_del(struct direct *d, const struct addr_prefix *p)
{
	size_t i = find(d, p);

	if (i == d->nextra)
		return -ENOENT;
	d->extra[i] = d->extra[--d->nextra];
	return 0;
}

const struct addr_prefix *
direct_at(const struct direct *d, size_t i)
{
	return i < d->nextra ? &d->extra[i] : NULL;
}
