/* SPDX-License-Identifier: ISC */
/*
 * Who hands connections to the proxy: the table that rorod makes while it runs,
 * or what the operator loads; and what is there although nobody listens.
 */
#include "check_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check_listing.h"
#include "check_nft.h"
#include "nft/ruleset.h"

static const char item_name[] = "table";

/* Of nft/redirect.nft and nft/tproxy.nft. */
static const char static_table[] = "ro-ro-tcp-static";

/* ---- listings ---- */

static bool
find_table(const struct check_listing *l, const char *name,
    struct check_table *t)
{
	struct netlink_cursor cursor = check_messages(l);

	while (check_next_table(&cursor, t))
		if (strcmp(t->name, name) == 0)
			return true;
	return false;
}

static bool
is_own(const struct check_rule *rule)
{
	return strcmp(rule->table, RULESET_TABLE) == 0;
}

static bool
is_ours(const struct check *c, const struct check_rule *rule)
{
	const struct config_intercept *i = &c->config->intercept;

	return (rule->deed == CHECK_REDIRECT || rule->deed == CHECK_TPROXY) &&
	    (rule->port == i->listen.port || rule->port == 0);
}

/* What takes back all rules like `found`, those of IPv6 too.  They may stand
 * beside others, in a table of iptables or of a firewall: those stay. */
static void
mend_rules(struct check_item *item, const struct check *c,
    const struct check_rule *found, const struct check_listing *rules)
{
	struct netlink_cursor cursor = check_messages(rules);
	struct check_rule rule;
	bool whole = false;

	while (check_next_rule(&cursor, &rule)) {
		const char *family = check_family_text(rule.family);
		char *table, *chain;

		if (is_own(&rule) || !is_ours(c, &rule) ||
		    rule.deed != found->deed || rule.port != found->port)
			continue;
		if (strcmp(rule.table, static_table) == 0) {
			if (!whole)
				check_now(item, "nft delete table %s %s",
				    family, static_table);
			whole = true;
			continue;
		}
		table = check_quote(rule.table);
		chain = check_quote(rule.chain);
		check_now(item, "nft delete rule %s %s %s handle %" PRIu64,
		    family, table, chain, rule.handle);
		free(table);
		free(chain);
	}
}

/* ---- the table of a daemon that runs ---- */

static void
check_own(struct check *c, const struct check_listing *tables)
{
	struct check_item *item;
	struct check_table t;

	if (find_table(tables, RULESET_TABLE, &t)) {
		check_add(&c->report, CHECK_OK, item_name, RULESET_TABLE,
		    t.owned ? "it is there, and goes when rorod does" :
		    "it is there, without an owner");
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, item_name, RULESET_TABLE,
	    "rorod runs, and its table is not there");
	check_why(item, "all connections go directly");
	check_restart(c, item);
}

/* Others that do the same. */
static void
check_second(struct check *c, const struct check_listing *rules)
{
	struct netlink_cursor cursor = check_messages(rules);
	struct check_rule rule;
	struct check_item *item;

	while (check_next_rule(&cursor, &rule)) {
		if (is_own(&rule) || rule.port == 0 || !is_ours(c, &rule))
			continue;
		item = check_add(&c->report, CHECK_WARNING, item_name,
		    rule.table, "it hands connections to rorod, too");
		check_why(item, "it does so as well when rorod cannot take "
		    "them");
		mend_rules(item, c, &rule, rules);
		return;
	}
}

/* ---- rules that the operator has made ---- */

/* Rules of the old iptables are listed by nobody but itself. */
static bool
has_old_iptables(const struct check *c)
{
	static const char *const files[] = { "/proc/net/ip_tables_names",
		"/proc/net/ip6_tables_names" };
	bool any = false;

	for (size_t i = 0; i < 2; i++) {
		char *names = check_read(&c->machine, "%s", files[i]);

		any = any || (names != NULL && names[0] != '\0');
		free(names);
	}
	return any;
}

static void
no_rule(struct check *c)
{
	bool tproxy = check_is_tproxy(c);
	struct check_item *item;

	if (has_old_iptables(c)) {
		check_add(&c->report, CHECK_SKIPPED, item_name, NULL,
		    "no rule of nftables hands connections to port %u; those "
		    "of iptables-legacy are not seen here",
		    c->config->intercept.listen.port);
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, item_name, NULL,
	    "no rule hands connections to port %u",
	    c->config->intercept.listen.port);
	check_why(item, "nft = off, so the rules are for you to load; all "
	    "connections go directly");
	check_now(item, "nft -f %s/%s.nft", PKGDATADIR, tproxy ? "tproxy" :
	    "redirect");
}

/* One is there: does it do what the configuration says?  And without a daemon?
 * A rule of TPROXY that finds nobody lets its packet go on, but for iptables,
 * which drops it. */
static void
check_rule(struct check *c, const struct check_rule *rule,
    const struct check_listing *rules)
{
	enum check_deed wanted = check_is_tproxy(c) ? CHECK_TPROXY :
	    CHECK_REDIRECT;
	const char *deeds[] = { [CHECK_TPROXY] = "tproxy",
		[CHECK_REDIRECT] = "redirect" };
	struct check_item *item;

	if (rule->deed != wanted) {
		item = check_add(&c->report, CHECK_ERROR, item_name,
		    rule->table, "its rule is of %s, and mode is %s",
		    deeds[rule->deed], deeds[wanted]);
		check_why(item, "rorod does not find out where the connection "
		    "was to go");
	} else if (c->daemon.pid == 0 &&
	    (rule->deed == CHECK_REDIRECT || rule->iptables)) {
		item = check_add(&c->report, CHECK_ERROR, item_name,
		    rule->table, "it hands connections to rorod, which does "
		    "not run");
		check_why(item, rule->deed == CHECK_REDIRECT ?
		    "they are refused" : "they get no answer");
	} else {
		check_add(&c->report, CHECK_OK, item_name, rule->table,
		    "it hands connections to rorod");
		return;
	}
	mend_rules(item, c, rule, rules);
}

static void
check_static(struct check *c, const struct check_listing *rules)
{
	struct netlink_cursor cursor = check_messages(rules);
	struct check_rule rule;

	while (check_next_rule(&cursor, &rule))
		if (!is_own(&rule) && is_ours(c, &rule)) {
			check_rule(c, &rule, rules);
			return;
		}
	if (c->daemon.pid != 0)
		no_rule(c);
}

/* ---- leftovers ---- */

/* There is one table, so there is one rorod with rules of its own. */
static void
check_others(struct check *c)
{
	bool own = c->config == NULL || c->config->intercept.nft;
	struct check_item *item = check_add(&c->report, own ? CHECK_ERROR :
	    CHECK_OK, item_name, RULESET_TABLE, "it is that of process %ld, "
	    "which has another configuration", c->daemon.other);

	if (own)
		check_why(item, "rorod does not start beside it");
}

static void
check_left(struct check *c, const struct check_listing *tables)
{
	struct check_item *item;
	struct check_table t;

	if (!find_table(tables, RULESET_TABLE, &t)) {
		check_add(&c->report, CHECK_OK, item_name, RULESET_TABLE,
		    "it is not there while rorod does not run");
		return;
	}
	if (c->daemon.other != 0) {
		check_others(c);
		return;
	}
	item = check_add(&c->report, CHECK_WARNING, item_name, RULESET_TABLE,
	    "rorod does not run, and its table is there");
	check_why(item, "it intercepts nothing any more, and goes when rorod "
	    "starts, too");
	check_now(item, "nft delete table inet " RULESET_TABLE);
}

void
check_tables(struct check *c)
{
	struct check_listing tables = { 0 }, rules = { 0 };
	bool own = c->config == NULL || c->config->intercept.nft;

	if (!check_intercepts(c))
		return;
	if (!check_get(c, item_name, CHECK_TABLES, &tables))
		return;
	if (c->daemon.pid == 0)
		check_left(c, &tables);
	else if (own)
		check_own(c, &tables);
	if (c->config != NULL && check_get(c, item_name, CHECK_RULES, &rules)) {
		if (own)
			check_second(c, &rules);
		else
			check_static(c, &rules);
	}
	check_free_listing(&tables);
	check_free_listing(&rules);
}
