/* SPDX-License-Identifier: ISC */
/*
 * What is intercepted is delivered to this machine, so it passes the chains of
 * hook input, as what a client sends to the gateway itself: with TPROXY to
 * whatever address and port it was for, with our mark; with REDIRECT to rorod's
 * port.  A firewall that has no rule for that drops it, and the client gets no
 * answer.
 */
#include "check_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>

#include "check_fate.h"
#include "check_listing.h"
#include "nft/ruleset.h"

static const char item_name[] = "firewall";

/* Of those that TPROXY brings: what is usual, and what no firewall names. */
static const uint16_t usual_ports[] = { 443, 54321 };

static uint8_t families[] = { NFPROTO_IPV4, NFPROTO_IPV6 };

struct firewall {
	struct check_listing chains, rules, elements;
};

static bool
drops(const struct firewall *f, const struct check_chain *chain,
    struct check_packet packet)
{
	for (size_t i = 0; i < sizeof(families); i++) {
		packet.family = families[i];
		if (check_drops(check_messages(&f->rules),
		    check_messages(&f->elements), chain, &packet))
			return true;
	}
	return false;
}

/* From one of the interfaces (NULL: whichever). */
static bool
drops_ours(const struct check *c, const struct firewall *f,
    const struct check_chain *chain, const char *interface)
{
	const struct config_intercept *i = &c->config->intercept;
	struct check_packet packet = { .interface = interface };

	if (!check_is_tproxy(c)) {
		packet.redirected = true;
		packet.port = i->listen.port;
		return drops(f, chain, packet);
	}
	packet.transparent = true;
	packet.mark = i->mark;
	if (i->nports > 0) {
		packet.port = i->ports[0].first;
		return drops(f, chain, packet);
	}
	for (size_t n = 0; n < sizeof(usual_ports) / sizeof(usual_ports[0]);
	    n++) {
		packet.port = usual_ports[n];
		if (drops(f, chain, packet))
			return true;
	}
	return false;
}

/* A rule in front of all others. */
static void
mend(const struct check *c, struct check_item *item,
    const struct check_chain *chain)
{
	const struct config_intercept *i = &c->config->intercept;
	const char *family = check_family_text(chain->family);
	char *table = check_quote(chain->table);
	char *name = check_quote(chain->name);

	if (check_is_tproxy(c))
		check_now(item, "nft insert rule %s %s %s meta mark and "
		    "0x%" PRIx32 " == 0x%" PRIx32 " accept", family, table,
		    name, i->mark, i->mark);
	else
		check_now(item, "nft insert rule %s %s %s tcp dport %u accept",
		    family, table, name, i->listen.port);
	check_keep(item, "# and the same rule in what loads that table");
	free(table);
	free(name);
}

static void
found(struct check *c, const struct check_chain *chain, const char *interface)
{
	struct check_item *item = check_add(&c->report, CHECK_WARNING,
	    item_name, chain->table, "chain %s drops what is intercepted%s%s",
	    chain->name, interface != NULL ? " from " : "",
	    interface != NULL ? interface : "");

	check_why(item, "no rule of it lets connections to rorod pass, and "
	    "their clients get no answer");
	mend(c, item, chain);
}

/* NULL: it is not known which, as with a name that is but a beginning. */
static const char *
interface_at(const struct check *c, size_t i)
{
	const char *name = c->config->intercept.interfaces[i];

	return strchr(name, '*') != NULL ? NULL : name;
}

static bool
look_at(struct check *c, const struct firewall *f,
    const struct check_chain *chain)
{
	const struct config_intercept *i = &c->config->intercept;

	if (i->ninterfaces == 0 && drops_ours(c, f, chain, NULL)) {
		found(c, chain, NULL);
		return true;
	}
	for (size_t n = 0; n < i->ninterfaces; n++)
		if (drops_ours(c, f, chain, interface_at(c, n))) {
			found(c, chain, i->interfaces[n]);
			return true;
		}
	return false;
}

static void
look_at_all(struct check *c, const struct firewall *f)
{
	struct netlink_cursor cursor = check_messages(&f->chains);
	struct check_chain chain;
	bool any = false;

	while (check_next_chain(&cursor, &chain))
		if (chain.hook == NF_INET_LOCAL_IN &&
		    strcmp(chain.table, RULESET_TABLE) != 0)
			any = look_at(c, f, &chain) || any;
	if (!any)
		check_add(&c->report, CHECK_OK, item_name, NULL, "no chain of "
		    "nftables is seen to drop what is intercepted");
}

void
check_firewall(struct check *c)
{
	struct firewall f = { 0 };

	if (!check_intercepts(c) || c->config == NULL)
		return;
	if (check_get(c, item_name, CHECK_CHAINS, &f.chains) &&
	    check_get(c, item_name, CHECK_RULES, &f.rules) &&
	    check_get(c, item_name, CHECK_ELEMENTS, &f.elements))
		look_at_all(c, &f);
	check_free_listing(&f.chains);
	check_free_listing(&f.rules);
	check_free_listing(&f.elements);
}
