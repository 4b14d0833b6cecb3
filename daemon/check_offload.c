/* SPDX-License-Identifier: ISC */
/*
 * Flow offload carries established connections past the rules, from one
 * interface to another.  It takes only what is forwarded.  So it never has a
 * connection that is intercepted, and one that went directly stays in it until
 * it ends, as it would have stayed direct anyway.  Seen with flow tables on
 * Linux 6.1, with TPROXY and REDIRECT: new connections are intercepted all the
 * same, also from the port of one that had just been in it.  What it does hide
 * from our rules is QUIC that is to be rejected.
 *
 * There are three kinds: a rule of nf_tables that adds to a flow table (fw4 of
 * OpenWrt makes one), a target of iptables, with either of its versions, and
 * what a vendor has built, which nobody sees from here.
 */
#include "check_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_listing.h"
#include "check_nft.h"

#define QUIC_PORT 443

static const char item_name[] = "flow-offload";
static const char xt_target[] = "FLOWOFFLOAD";

/* ---- which ports? ---- */

static bool
is_intercepted(const struct config *config, uint16_t port)
{
	bool in = config->intercept.nports == 0;

	for (size_t i = 0; i < config->intercept.nports; i++)
		in = in || (port >= config->intercept.ports[i].first &&
		    port <= config->intercept.ports[i].last);
	for (size_t i = 0; i < config->intercept.nexcept_ports; i++)
		in = in && (port < config->intercept.except_ports[i].first ||
		    port > config->intercept.except_ports[i].last);
	return in;
}

static bool
meets(const struct check *c, const struct check_ports *ports)
{
	for (uint16_t port = 1; port != 0; port++)
		if (check_ports_have(ports, port) &&
		    (c->config == NULL || is_intercepted(c->config, port)))
			return true;
	return false;
}

/* "all ports", "all ports but 22", "port 80, 8000-8999", "some ports" */
static char *
ports_text(const struct check_ports *ports, bool fewer)
{
	char *text = ports->n == 0 ?
	    check_format("%s ports", fewer ? "some" : "all") :
	    check_format("%s%s ", fewer ? "some of " : "", ports->except ?
	    "all ports but" : "port");

	for (size_t i = 0; i < ports->n; i++) {
		const struct acl_ports *range = &ports->ranges[i];
		char *before = text;

		if (range->first == range->last)
			text = check_format("%s%s%u", before, i > 0 ? ", " :
			    "", range->first);
		else
			text = check_format("%s%s%u-%u", before, i > 0 ? ", " :
			    "", range->first, range->last);
		free(before);
	}
	return text;
}

/* ---- what is found ---- */

/* What one rule offloads, whoever has it. */
struct offload {
	const char *subject;
	bool tcp, udp;
	const struct check_ports *ports;
	bool fewer;
	const char *detail;
};

static bool
hides_quic(const struct check *c, bool udp, const struct check_ports *ports)
{
	return c->config != NULL && c->config->intercept.reject_quic && udp &&
	    check_ports_have(ports, QUIC_PORT);
}

/* NULL: it has nothing to do with us. */
static struct check_item *
found(struct check *c, const struct offload *o)
{
	bool quic = hides_quic(c, o->udp, o->ports);
	struct check_item *item;
	char *text;

	if (!quic && !(o->tcp && meets(c, o->ports)))
		return NULL;
	text = ports_text(o->ports, o->fewer);
	item = check_add(&c->report, quic ? CHECK_WARNING : CHECK_OK,
	    item_name, o->subject, "it takes what goes directly to %s%s",
	    text, o->detail);
	free(text);
	check_why(item, quic ? "QUIC that is under way, or comes from the same "
	    "port, does not meet the rule that rejects it" :
	    "it never has what is intercepted");
	return item;
}

/* What is left of an item to say: is it one to mend? */
static bool
is_wrong(const struct check_item *item)
{
	return item != NULL && item->status >= CHECK_WARNING;
}

/* OpenWrt makes its rules anew from its own configuration. */
static bool
is_fw4(const struct check *c, const char *table)
{
	return c->openwrt && strcmp(table, "fw4") == 0;
}

static void
mend_fw4(struct check_item *item)
{
	check_now(item, "uci set firewall.@defaults[0].flow_offloading=0");
	check_now(item, "uci set firewall.@defaults[0].flow_offloading_hw=0");
	check_now(item, "uci commit firewall");
	check_now(item, "/etc/init.d/firewall reload");
}

/* The flow table; the caller's. */
static char *
describe(const struct check_listing *flowtables, const struct check_rule *rule)
{
	struct netlink_cursor cursor = check_messages(flowtables);
	struct check_flowtable f;

	while (flowtables->bytes != NULL && check_next_flowtable(&cursor, &f))
		if (f.family == rule->family &&
		    strcmp(f.table, rule->table) == 0 &&
		    strcmp(f.name, rule->flowtable) == 0)
			return check_format(" (%sflow table %s of %s)",
			    f.hardware ? "hardware, " : "", f.name,
			    f.devices[0] != '\0' ? f.devices : "no interface");
	return check_format("%s", "");
}

/* Was one reported? */
static bool
check_nf_rule(struct check *c, const struct check_rule *rule,
    const struct check_listing *flowtables)
{
	const char *family = check_family_text(rule->family);
	char *detail = describe(flowtables, rule);
	char *subject = check_format("table %s %s, chain %s", family,
	    rule->table, rule->chain);
	struct check_item *item = found(c, &(struct offload){ subject,
	    rule->tcp, rule->udp, &rule->ports, rule->fewer, detail });

	free(detail);
	free(subject);
	if (is_wrong(item) && is_fw4(c, rule->table)) {
		mend_fw4(item);
	} else if (is_wrong(item)) {
		char *table = check_quote(rule->table);
		char *chain = check_quote(rule->chain);

		check_now(item, "nft delete rule %s %s %s handle %" PRIu64,
		    family, table, chain, rule->handle);
		free(table);
		free(chain);
	}
	return item != NULL;
}

/* How many rules were reported. */
static unsigned
check_nf_tables(struct check *c, const struct check_listing *rules,
    const struct check_listing *flowtables)
{
	struct netlink_cursor cursor = check_messages(rules);
	struct check_rule rule;
	unsigned n = 0;

	while (check_next_rule(&cursor, &rule))
		n += rule.deed == CHECK_OFFLOAD &&
		    check_nf_rule(c, &rule, flowtables);
	return n;
}

/* ---- iptables of old ---- */

/* What a command prints; the caller's, NULL if it cannot be had. */
static char *
output_of(char *const command[])
{
	int fds[2], status = -1;
	char *text = NULL;
	size_t len;
	FILE *from;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return NULL;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null != -1 && dup2(null, STDIN_FILENO) != -1 &&
		    dup2(fds[1], STDOUT_FILENO) != -1 &&
		    dup2(null, STDERR_FILENO) != -1)
			execv(command[0], command);
		_exit(127);
	}
	close(fds[1]);
	from = fdopen(fds[0], "r");
	if (from == NULL) {
		close(fds[0]);
	} else {
		size_t room = 0;
		ssize_t n = getdelim(&text, &room, '\0', from);

		len = n > 0 ? (size_t)n : 0;
		if (len == 0) {
			free(text);
			text = NULL;
		}
		fclose(from);
	}
	while (pid > 0 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return text;
}

static char *
saved_rules(const struct check *c, const char *name)
{
	static const char *const folders[] = { "/usr/sbin", "/sbin" };

	if (check_is_recorded(&c->machine))
		return check_read(&c->machine, "/commands/%s", name);
	for (size_t i = 0; i < 2; i++) {
		char *path = check_format("%s/%s", folders[i], name);
		char option[] = "-t", table[] = "filter";
		char *const command[] = { path, option, table, NULL };
		char *text = access(path, X_OK) == 0 ? output_of(command) :
		    NULL;

		free(path);
		if (text != NULL)
			return text;
	}
	return NULL;
}

static unsigned
check_xtables(struct check *c, const char *names, const char *save,
    const char *command)
{
	char *tables = check_read(&c->machine, "/proc/net/%s", names);
	/* Asking for a table would make it. */
	bool there = tables != NULL && check_text_has(tables, "filter");
	char *text = there ? saved_rules(c, save) : NULL;
	const char *p = text;
	struct check_xt_rule rule;
	unsigned n = 0;

	while (p != NULL && check_text_xt_rule(&p, xt_target, &rule)) {
		char *subject = check_format("%s, chain %s", command,
		    rule.chain);
		struct check_item *item = found(c, &(struct offload){ subject,
		    rule.tcp, rule.udp, &rule.ports, false, "" });

		n += item != NULL;
		if (is_wrong(item) && c->openwrt)
			mend_fw4(item);
		else if (is_wrong(item) && rule.spec[0] != '\0')
			check_now(item, "%s -D %s", command, rule.spec);
		free(subject);
	}
	free(tables);
	free(text);
	return n;
}

/* ---- the setting of OpenWrt ---- */

/* It may be on while the rules are not loaded, or cannot be seen. */
static bool
check_setting(struct check *c)
{
	static const struct check_ports all = { .except = true };
	char *text = check_read(&c->machine, "/etc/config/firewall");
	char value[CHECK_UCI_MAX];
	struct check_item *item;
	bool on = text != NULL && check_text_uci(text, "defaults",
	    "flow_offloading", value) && strcmp(value, "0") != 0;

	free(text);
	if (!c->openwrt || !on)
		return false;
	item = found(c, &(struct offload){ "/etc/config/firewall", true, true,
	    &all, false, " (flow_offloading)" });
	if (is_wrong(item))
		mend_fw4(item);
	return item != NULL;
}

void
check_offload(struct check *c)
{
	struct check_listing rules, flowtables;
	unsigned n = 0;

	if (!check_intercepts(c))
		return;
	check_listing(&c->machine, CHECK_RULES, &rules);
	check_listing(&c->machine, CHECK_FLOWTABLES, &flowtables);
	if (rules.bytes != NULL)
		n += check_nf_tables(c, &rules, &flowtables);
	n += check_xtables(c, "ip_tables_names", "iptables-save", "iptables");
	n += check_xtables(c, "ip6_tables_names", "ip6tables-save",
	    "ip6tables");
	if (n == 0 && check_setting(c))
		n++;
	if (rules.error == -EPERM && n == 0)
		check_add(&c->report, CHECK_SKIPPED, item_name, NULL,
		    "only root can list rules");
	else if (n == 0)
		check_add(&c->report, CHECK_OK, item_name, NULL,
		    "nothing is offloaded");
	check_free_listing(&rules);
	check_free_listing(&flowtables);
}
