/* SPDX-License-Identifier: ISC */
#include "ruleset.h"

#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "batch.h"
#include "ranges.h"
#include "ruleset_private.h"
#include "set.h"

/* NFT_TABLE_F_OWNER of linux/netfilter/nf_tables.h, which older headers than
 * Linux 5.12 lack. */
#define OWNER 0x2

#define BGP 179

const struct set ruleset_intercepted = {
	.table = T, .name = "intercepted", .type = SET_FAMILY, .expires = true,
	.comment = "families that rorod takes, while it lives",
};
const struct set ruleset_ports = {
	.table = T, .name = "ports", .type = SET_PORT, .ranges = true,
	.comment = "ports to intercept",
};

const struct ruleset_family ruleset_families[RULESET_NFAMILIES] = {
	{
		.number = 4, .nfproto = NFPROTO_IPV4, .bit = RULESET_IPV4,
		.len = 4,
		.relays = { .table = T, .name = "relays4",
		    .type = SET_ADDRESS4,
		    .comment = "where rorod connects to" },
		.bypass = { .table = T, .name = "bypass4",
		    .type = SET_ADDRESS4, .ranges = true,
		    .comment = "destinations that stay direct" },
		.refused = { .table = T, .name = "refused4",
		    .type = SET_ADDRESS4_PORT, .expires = true,
		    .verdicts = true,
		    .comment = "what the relay could not reach just now" },
	}, {
		.number = 6, .nfproto = NFPROTO_IPV6, .bit = RULESET_IPV6,
		.len = 16,
		.relays = { .table = T, .name = "relays6",
		    .type = SET_ADDRESS6,
		    .comment = "where rorod connects to" },
		.bypass = { .table = T, .name = "bypass6",
		    .type = SET_ADDRESS6, .ranges = true,
		    .comment = "destinations that stay direct" },
		.refused = { .table = T, .name = "refused6",
		    .type = SET_ADDRESS6_PORT, .expires = true,
		    .verdicts = true,
		    .comment = "what the relay could not reach just now" },
	},
};

const char *const ruleset_refusals[RULESET_NREFUSALS] = {
	[RULESET_REFUSE_RESET] = "refuse-reset",
	[RULESET_REFUSE_NETWORK] = "refuse-network",
	[RULESET_REFUSE_HOST] = "refuse-host",
	[RULESET_REFUSE_PROHIBITED] = "refuse-prohibited",
};

/* ---- the plan ---- */

/* The names that Linux allows (dev_valid_name() in net/core/dev.c), perhaps
 * with one `*`, at the end. */
static bool
interface_name_is_good(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= IFNAMSIZ || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0 || strcmp(name, "*") == 0)
		return false;
	return strcspn(name, "/: \t\n\v\f\r*") >= len - (name[len - 1] == '*');
}

static bool
prefixes_are_good(const struct ruleset_prefix *p, size_t n, bool whole)
{
	for (size_t i = 0; i < n; i++) {
		unsigned bits = p[i].family == 4 ? 32 : 128;

		if ((p[i].family != 4 && p[i].family != 6) ||
		    p[i].length > bits || (whole && p[i].length != bits))
			return false;
	}
	return true;
}

static bool
ports_are_good(const struct ruleset_ports *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i].first > p[i].last)
			return false;
	return true;
}

const char *
ruleset_fault(const struct ruleset_plan *plan)
{
	if (plan->port == 0 && plan->own_port == 0)
		return "there is no port to intercept to";
	if (plan->port != 0 && plan->ninterfaces == 0)
		return "there is no interface to intercept from";
	for (size_t i = 0; i < plan->ninterfaces; i++)
		if (!interface_name_is_good(plan->interfaces[i]))
			return "an interface has an impossible name";
	if (plan->mark == 0 || (plan->mark & ~plan->mask) != 0)
		return "the mark is zero or outside of its mask";
	if (!ports_are_good(plan->only, plan->nonly) ||
	    !ports_are_good(plan->except, plan->nexcept))
		return "a range of ports ends before it begins";
	if (!prefixes_are_good(plan->bypass, plan->nbypass, false))
		return "a prefix is longer than its address";
	if (!prefixes_are_good(plan->relays, plan->nrelays, true))
		return "a relay is not one address";
	if ((plan->families & ~(RULESET_IPV4 | RULESET_IPV6)) != 0 ||
	    plan->alive_ms == 0)
		return "no family has that bit, or no time is given";
	return NULL;
}

bool
ruleset_interface_is(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(pattern, name, len - 1) == 0 &&
		    strcmp(name, "lo") != 0;
	return strcmp(pattern, name) == 0;
}

/* ---- what is in the sets ---- */

static void
add_ranges(struct batch *b, const struct set *s, const struct range *r,
    size_t n)
{
	struct set_elements e;

	set_elements_begin(&e, b, s, false);
	for (size_t i = 0; i < n; i++)
		set_elements_range(&e, &r[i]);
	set_elements_end(&e);
}

/* The destinations of one family as ranges, in new memory; *n is 0 if there
 * are none, or no memory. */
static struct range *
join_prefixes(struct batch *b, const struct ruleset_family *f,
    struct ruleset_prefixes p, size_t *n)
{
	struct range *r;

	*n = 0;
	if (p.n == 0)
		return NULL;
	if ((r = calloc(p.n, sizeof(*r))) == NULL) {
		batch_fail(b, -ENOMEM);
		return NULL;
	}
	for (size_t i = 0; i < p.n; i++)
		if (p.prefixes[i].family == f->number)
			r[(*n)++] = range_of_prefix(p.prefixes[i].ip, f->len,
			    p.prefixes[i].length);
	*n = ranges_join(r, *n, f->len);
	return r;
}

/* add element inet ro-ro-tcp bypass4 { 10.0.0.0/8, ... } */
static void
fill_bypass(struct batch *b, const struct ruleset_family *f,
    struct ruleset_prefixes p)
{
	size_t n;
	struct range *r = join_prefixes(b, f, p, &n);

	add_ranges(b, &f->bypass, r, n);
	free(r);
}

/* add element inet ro-ro-tcp relays4 { 192.0.2.1, ... } */
static void
fill_relays(struct batch *b, const struct ruleset_family *f,
    struct ruleset_prefixes p)
{
	struct set_elements e;

	set_elements_begin(&e, b, &f->relays, false);
	for (size_t i = 0; i < p.n; i++)
		if (p.prefixes[i].family == f->number)
			set_elements_key(&e, p.prefixes[i].ip, 0);
	set_elements_end(&e);
}

/* add element inet ro-ro-tcp intercepted { ipv4 timeout 8s, ... } */
static void
fill_intercepted(struct batch *b, unsigned bits, uint32_t alive_ms)
{
	struct set_elements e;

	set_elements_begin(&e, b, &ruleset_intercepted, false);
	FOR_EACH_FAMILY(f)
		if ((bits & f->bit) != 0)
			set_elements_key(&e, &f->nfproto, alive_ms);
	set_elements_end(&e);
}

static void
mark_ports(bool *wanted, struct ruleset_ports p, bool want)
{
	for (uint32_t port = p.first; port <= p.last; port++)
		wanted[port] = want;
}

/* Which of 65536 ports; the caller's memory, zero. */
static void
choose_ports(const struct ruleset_plan *plan, bool *wanted)
{
	if (plan->nonly == 0)
		mark_ports(wanted, (struct ruleset_ports){ 1, 65535 }, true);
	for (size_t i = 0; i < plan->nonly; i++)
		mark_ports(wanted, plan->only[i], true);
	for (size_t i = 0; i < plan->nexcept; i++)
		mark_ports(wanted, plan->except[i], false);
	wanted[BGP] = false;
	if (plan->mode == RULESET_TPROXY && plan->port != 0)
		wanted[plan->port] = false;
}

/* add element inet ro-ro-tcp ports { 1-178, 180-65535 } */
static void
fill_ports(struct batch *b, const struct ruleset_plan *plan)
{
	bool *wanted = calloc(65536, sizeof(*wanted));
	struct set_elements e;

	if (wanted == NULL) {
		batch_fail(b, -ENOMEM);
		return;
	}
	choose_ports(plan, wanted);
	set_elements_begin(&e, b, &ruleset_ports, false);
	for (uint32_t first = 0; first < 65536; first++) {
		uint32_t last = first;

		if (!wanted[first])
			continue;
		while (last < 65535 && wanted[last + 1])
			last++;
		struct range r = range_of_ports((uint16_t)first,
		    (uint16_t)last);
		set_elements_range(&e, &r);
		first = last;
	}
	set_elements_end(&e);
	free(wanted);
}

static void
add_sets(struct batch *b, const struct ruleset_plan *plan)
{
	const struct ruleset_prefixes bypass = { plan->bypass, plan->nbypass };
	const struct ruleset_prefixes relays = { plan->relays, plan->nrelays };

	set_add(b, &ruleset_intercepted, 0);
	fill_intercepted(b, plan->families, plan->alive_ms);
	set_add(b, &ruleset_ports, 0);
	fill_ports(b, plan);
	FOR_EACH_FAMILY(f) {
		set_add(b, &f->relays, 0);
		fill_relays(b, f, relays);
		set_add(b, &f->bypass, 0);
		fill_bypass(b, f, bypass);
		if (plan->refused_max > 0)
			set_add(b, &f->refused, plan->refused_max);
	}
}

/* ---- transactions ---- */

/* table inet ro-ro-tcp; delete table inet ro-ro-tcp
 *
 * What is not there cannot be deleted, so it is made first: without flags,
 * since those of a table that is there cannot change. */
static void
delete_table(struct batch *b, const char *table)
{
	batch_add_table(b, table, 0, NULL);
	batch_delete_table(b, table);
}

int
ruleset_install(struct batch *b, void *buffer, size_t size,
    const struct ruleset_plan *plan)
{
	assert(ruleset_fault(plan) == NULL);
	batch_begin(b, buffer, size);
	delete_table(b, T);
	batch_add_table(b, T, plan->owner ? OWNER : 0,
	    "rorod: TCP connections that it carries");
	add_sets(b, plan);
	ruleset_add_chains(b, plan);
	if (plan->mode == RULESET_REDIRECT || plan->own_port != 0) {
		delete_table(b, RULESET_KEEPER);
		ruleset_add_keeper(b);
	}
	return batch_end(b);
}

int
ruleset_remove(struct batch *b, void *buffer, size_t size)
{
	batch_begin(b, buffer, size);
	delete_table(b, T);
	return batch_end(b);
}

int
ruleset_remove_keeper(struct batch *b, void *buffer, size_t size)
{
	batch_begin(b, buffer, size);
	delete_table(b, RULESET_KEEPER);
	return batch_end(b);
}

/* An element that is there keeps its timeout when it is added again, before
 * Linux 6.12 at least; so all go first.  Nobody sees the set without them. */
int
ruleset_heartbeat(struct batch *b, void *buffer, size_t size, unsigned bits,
    uint32_t alive_ms)
{
	batch_begin(b, buffer, size);
	set_flush(b, &ruleset_intercepted);
	fill_intercepted(b, bits, alive_ms);
	return batch_end(b);
}

/* The ranges of `a` that are not, just so, in `b`. */
static void
put_difference(struct set_elements *e, const struct range *a, size_t na,
    const struct range *b, size_t nb)
{
	size_t j = 0;

	for (size_t i = 0; i < na; i++) {
		while (j < nb && range_compare(&b[j], &a[i]) < 0)
			j++;
		if (j == nb || range_compare(&b[j], &a[i]) != 0)
			set_elements_range(e, &a[i]);
	}
}

static void
change_bypass(struct batch *b, const struct ruleset_family *f,
    struct ruleset_prefixes before, struct ruleset_prefixes now)
{
	struct set_elements e;
	size_t nold, nnew;
	struct range *old = join_prefixes(b, f, before, &nold);
	struct range *new = join_prefixes(b, f, now, &nnew);

	set_elements_begin(&e, b, &f->bypass, true);
	put_difference(&e, old, nold, new, nnew);
	set_elements_end(&e);
	set_elements_begin(&e, b, &f->bypass, false);
	put_difference(&e, new, nnew, old, nold);
	set_elements_end(&e);
	free(old);
	free(new);
}

int
ruleset_bypass(struct batch *b, void *buffer, size_t size,
    struct ruleset_prefixes before, struct ruleset_prefixes now)
{
	batch_begin(b, buffer, size);
	FOR_EACH_FAMILY(f)
		change_bypass(b, f, before, now);
	return batch_end(b);
}

int
ruleset_relays(struct batch *b, void *buffer, size_t size,
    struct ruleset_prefixes now)
{
	batch_begin(b, buffer, size);
	FOR_EACH_FAMILY(f) {
		set_flush(b, &f->relays);
		fill_relays(b, f, now);
	}
	return batch_end(b);
}

/* add element inet ro-ro-tcp refused4 {
 *     192.0.2.1 . 80 timeout 5s : goto refuse-reset } */
int
ruleset_refuse(struct batch *b, void *buffer, size_t size,
    const struct ruleset_refusal *refusal)
{
	const struct ruleset_family *f =
	    &ruleset_families[refusal->family == 4 ? 0 : 1];
	uint8_t key[SET_KEY_MAX] = { 0 };
	struct set_elements e;

	memcpy(key, refusal->ip, f->len);
	key[f->len] = (uint8_t)(refusal->port >> 8);
	key[f->len + 1] = (uint8_t)refusal->port;
	batch_begin(b, buffer, size);
	set_elements_begin(&e, b, &f->refused, false);
	set_elements_goto(&e, key, refusal->timeout_ms,
	    ruleset_refusals[refusal->kind]);
	set_elements_end(&e);
	return batch_end(b);
}
