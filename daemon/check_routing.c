/* SPDX-License-Identifier: ISC */
/*
 * TPROXY's rule and route.  Seen on Linux 6.18:
 *
 *  - Without the rule or its route, all that TPROXY has marked is lost.
 *  - src_valid_mark drops IPv4 packets that a rule of routing brings here by
 *    their mark alone.  With the interface in the rule they come, whatever
 *    rp_filter is.
 *  - What a rule before that sends elsewhere, a source of the LAN to one of
 *    several uplinks for instance, is lost as well: a packet that TPROXY has
 *    given a socket is not forwarded.
 */
#include "check_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_listing.h"
#include "check_route.h"
#include "nft/policy.h"
#include "nft/route.h"
#include "nft/ruleset.h"

struct policies {
	struct check *check;
	bool ipv6;
	struct policy *list;
	size_t n;
	struct check_route *locals;	/* default routes to this machine */
	size_t nlocals;
};

static const char *
family_option(const struct policies *p)
{
	return p->ipv6 ? "-6 " : "";
}

static const char *
family_text(const struct policies *p)
{
	return p->ipv6 ? "IPv6" : "IPv4";
}

/* false: they cannot be seen, which is said. */
static bool
read_policies(struct policies *p)
{
	struct check *c = p->check;
	struct check_listing rules, routes;
	struct policy policy;
	struct check_route route;
	struct netlink_cursor cursor;
	bool known;

	check_listing(&c->machine, p->ipv6 ? CHECK_POLICY6 : CHECK_POLICY4,
	    &rules);
	check_listing(&c->machine, p->ipv6 ? CHECK_LOCAL6 : CHECK_LOCAL4,
	    &routes);
	cursor = check_messages(&rules);
	while (policy_next(&cursor, &policy)) {
		p->list = check_grow(p->list, p->n + 1, sizeof(policy));
		p->list[p->n++] = policy;
	}
	cursor = check_messages(&routes);
	while (check_next_route(&cursor, &route)) {
		if (!route.local || !route.everything)
			continue;
		p->locals = check_grow(p->locals, p->nlocals + 1,
		    sizeof(route));
		p->locals[p->nlocals++] = route;
	}
	known = rules.bytes != NULL && routes.bytes != NULL;
	if (!known)
		check_add(&c->report, CHECK_SKIPPED, "routing",
		    family_text(p), "%s", strerror(rules.error != 0 ?
		    -rules.error : -routes.error));
	check_free_listing(&rules);
	check_free_listing(&routes);
	return known;
}

static void
free_policies(struct policies *p)
{
	free(p->list);
	free(p->locals);
}

static bool
delivers(const struct policies *p, uint32_t table)
{
	for (size_t i = 0; i < p->nlocals; i++)
		if (p->locals[i].table == table)
			return true;
	return false;
}

static struct policy_search
search(const struct policies *p, const char *name)
{
	const struct config_intercept *i = &p->check->config->intercept;

	/* Where the operator makes rule and route, the table may be another. */
	return (struct policy_search){ .list = p->list, .n = p->n,
		.interface = name, .mark = i->mark,
		.table = i->route ? i->route_table : 0,
		.priority = i->route_priority };
}

/* "iif NAME fwmark MARK/MASK lookup TABLE pref PRIORITY"; the caller's. */
static char *
rule_text(const char *name, const struct policy *p)
{
	char *word = check_quote(name);
	char *text = check_format("%s%s%sfwmark 0x%" PRIx32 "/0x%" PRIx32
	    " lookup %" PRIu32 " pref %" PRIu32, name[0] != '\0' ? "iif " : "",
	    name[0] != '\0' ? word : "", name[0] != '\0' ? " " : "", p->mark,
	    p->mask, p->table, p->priority);

	free(word);
	return text;
}

/* What rorod would add by itself, and so remove, has its number. */
static const char *
whose(bool ours)
{
	static char text[24];

	if (!ours)
		return "";
	snprintf(text, sizeof(text), " protocol %d", ROUTE_PROTOCOL);
	return text;
}

static void
add_rule(const struct policies *p, struct check_item *item, const char *name)
{
	const struct config_intercept *i = &p->check->config->intercept;
	const struct policy wanted = { .mark = i->mark, .mask = i->mark,
		.table = i->route_table, .priority = i->route_priority };
	char *text = rule_text(name, &wanted);

	check_now(item, "ip %srule add %s%s", family_option(p), text,
	    whose(i->route));
	free(text);
}

/* Is a packet with a mark not taken for one that came the wrong way? */
static bool
minds_marks(const struct check *c, const char *name)
{
	uint64_t all = 0, one = 0;

	check_number(&c->machine, &all,
	    "/proc/sys/net/ipv4/conf/all/src_valid_mark");
	check_number(&c->machine, &one,
	    "/proc/sys/net/ipv4/conf/%s/src_valid_mark", name);
	return all != 0 || one != 0;
}

/* The daemon lets go of the family as long as it is there. */
static void
check_precedence(const struct policies *p, const char *name)
{
	const struct policy_search s = search(p, name);
	const struct policy *one = policy_before(&s);
	struct check_item *item;
	char *subject;

	if (one == NULL)
		return;
	subject = check_format("%s%s%s", name, name[0] != '\0' ? ", " : "",
	    family_text(p));
	item = check_add(&p->check->report, CHECK_WARNING, "routing", subject,
	    "a rule with priority %" PRIu32 " comes before that for what "
	    "TPROXY has marked", one->priority);
	check_why(item, "connections that it leads elsewhere would be lost, so "
	    "%s is not intercepted while it is there%s", family_text(p),
	    p->check->config->intercept.route ?
	    "; route-priority chooses a smaller one" : "");
	free(subject);
}

static void
check_policy(const struct policies *p, const char *name)
{
	struct check *c = p->check;
	const struct policy_search s = search(p, name);
	const struct policy *policy = policy_of(&s);
	char *subject = check_format("%s%s%s", name, name[0] != '\0' ? ", " :
	    "", family_text(p));
	struct check_item *item;

	check_precedence(p, name);
	if (policy == NULL) {
		item = check_add(&c->report, CHECK_ERROR, "routing", subject,
		    "no rule for what TPROXY has marked");
		check_why(item, "it is lost");
		add_rule(p, item, name);
	} else if (!delivers(p, policy->table)) {
		item = check_add(&c->report, CHECK_ERROR, "routing", subject,
		    "no local route in table %" PRIu32, policy->table);
		check_why(item, "what TPROXY has marked is lost");
		check_now(item, "ip %sroute add local default dev lo table %"
		    PRIu32 "%s", family_option(p), policy->table,
		    whose(c->config->intercept.route));
	} else if (!p->ipv6 && policy->interface[0] == '\0' &&
	    minds_marks(c, name)) {
		item = check_add(&c->report, CHECK_ERROR, "routing", subject,
		    "src_valid_mark is on, and the rule does not name the "
		    "interface");
		check_why(item, "the kernel drops what TPROXY has marked "
		    "(WireGuard and Tailscale turn it on)");
		if (name[0] != '\0')
			add_rule(p, item, name);
		else
			check_sysctl(item, "0",
			    "net/ipv4/conf/all/src_valid_mark");
	} else {
		check_add(&c->report, CHECK_OK, "routing", subject,
		    "what TPROXY has marked comes to table %" PRIu32,
		    policy->table);
	}
	free(subject);
}

/* Before rorod's own is there. */
static void
check_coming(const struct policies *p, const char *name)
{
	check_precedence(p, name);
}

/* What a daemon left that was killed.  Without a table that marks packets it
 * does nothing. */
static void
check_leftovers(const struct policies *p)
{
	struct check_item *item = NULL;
	struct check_report *r = &p->check->report;
	static const char found[] = "rorod does not run, and its rules of "
	    "routing are there";

	for (size_t i = 0; i < p->n; i++) {
		char *text;

		if (!p->list[i].ours)
			continue;
		if (item == NULL)
			item = check_add(r, CHECK_WARNING, "routing",
			    family_text(p), "%s", found);
		text = rule_text(p->list[i].interface, &p->list[i]);
		check_now(item, "ip %srule del %s%s", family_option(p), text,
		    whose(true));
		free(text);
	}
	for (size_t i = 0; i < p->nlocals; i++) {
		if (!p->locals[i].ours)
			continue;
		if (item == NULL)
			item = check_add(r, CHECK_WARNING, "routing",
			    family_text(p), "%s", found);
		check_now(item, "ip %sroute del local default dev lo table %"
		    PRIu32 "%s", family_option(p), p->locals[i].table,
		    whose(true));
	}
	if (item != NULL)
		check_why(item, "harmless; they go when it starts, too");
}

/* Is a packet with our mark, which rorod's route is for, sent there?  The same
 * route made by somebody else will do, and a default route with a larger metric
 * than that of ours, which is what the kernel gives it, does no harm. */
static bool
diverts(const struct check_route *r, bool ipv6)
{
	uint32_t ours = ipv6 ? 1024 : 0;	/* IP6_RT_PRIO_USER */

	return !r->local && (!r->everything || r->metric <= ours);
}

/* What somebody else has put where rorod wants to put its own. */
static void
check_foreign(const struct policies *p)
{
	uint32_t table = p->check->config->intercept.route_table;
	struct check_listing routes;
	struct check_route route;
	struct check_item *item;
	struct netlink_cursor cursor;
	bool found = false;

	check_table_routes(&p->check->machine, p->ipv6, table, &routes);
	cursor = check_messages(&routes);
	while (!found && check_next_route(&cursor, &route))
		found = route.table == table && diverts(&route, p->ipv6);
	check_free_listing(&routes);
	if (!found)
		return;
	item = check_add(&p->check->report, CHECK_ERROR, "routing",
	    family_text(p), "table %" PRIu32 " has a route of somebody else",
	    table);
	check_why(item, "what TPROXY has marked goes there, or rorod does not "
	    "start; route-table chooses another");
}

struct naming {
	const struct policies *policies;
	const char *pattern;
	void (*look)(const struct policies *, const char *name);
};

static bool
look_at_matching(void *user, const char *name)
{
	const struct naming *n = user;

	if (ruleset_interface_is(n->pattern, name))
		n->look(n->policies, name);
	return false;
}

/* The interfaces of the clients; "" if it is not known which they are. */
static void
each_interface(const struct policies *p,
    void (*look)(const struct policies *, const char *name))
{
	const struct config_intercept *intercept = &p->check->config->intercept;

	if (intercept->ninterfaces == 0)
		look(p, "");
	for (size_t i = 0; i < intercept->ninterfaces; i++) {
		struct naming n = { p, intercept->interfaces[i], look };

		if (strchr(n.pattern, '*') == NULL)
			look(p, n.pattern);
		else
			check_each(&p->check->machine, "/sys/class/net",
			    look_at_matching, &n);
	}
}

void
check_routing(struct check *c)
{
	bool tproxy = c->config != NULL && check_is_tproxy(c);
	bool route = tproxy && c->config->intercept.route;

	if (!check_is_proxy(c))
		return;
	for (int ipv6 = 0; ipv6 <= 1; ipv6++) {
		struct policies p = { .check = c, .ipv6 = ipv6 != 0 };
		bool known;

		if (ipv6 && !check_exists(&c->machine, "/proc/net/if_inet6"))
			continue;
		known = read_policies(&p);
		if (known && tproxy && (c->daemon.pid != 0 || !route))
			each_interface(&p, check_policy);
		else if (known && tproxy)
			each_interface(&p, check_coming);
		if (known && (c->daemon.pid == 0 && c->daemon.other == 0) &&
		    (route || !tproxy))
			check_leftovers(&p);
		if (route)
			check_foreign(&p);
		free_policies(&p);
	}
}
