/* SPDX-License-Identifier: ISC */
/*
 * For each family: look at what is there of ours, add what is missing, remove
 * what is left over, in this order, so that a change leaves no gap.
 *
 * What is ours is known by its protocol number, so that rules and routes of an
 * earlier run are found whatever its configuration was.
 */
#include "route.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "netlink.h"
#include "ruleset.h"

#define DUMP_ATTEMPTS 5		/* while others change what we read */

/* Ours in one family. */
struct found {
	struct route_rule *rules;
	size_t nrules;
	struct route_local *locals;
	size_t nlocals;
};

/* What all steps share. */
struct work {
	int fd;
	uint32_t seq;		/* of the last request */
	int64_t deadline_ms;
	uint8_t family;		/* AF_* */
	struct route_failure *failure;
};

union request {
	uint32_t align;
	char bytes[512];	/* the longest has 8 attributes, below 150 */
};

/* ---- the decoder ---- */

/* 0 if it is too short. */
static uint32_t
u32_of(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) >= sizeof(uint32_t) ?
	    mnl_attr_get_u32(a) : 0;
}

/* Cut if it is longer than any name. */
static void
name_of(char into[IFNAMSIZ], const struct nlattr *a)
{
	size_t len = mnl_attr_get_payload_len(a);

	if (len > IFNAMSIZ - 1)
		len = IFNAMSIZ - 1;
	memcpy(into, mnl_attr_get_payload(a), len);
	into[len] = '\0';
}

bool
route_read_rule(const struct nlmsghdr *h, uint8_t family,
    struct route_rule *rule)
{
	struct fib_rule_hdr head;
	struct netlink_cursor c = netlink_attributes(h, sizeof(head));
	const struct nlattr *a;
	uint8_t protocol = RTPROT_UNSPEC;

	*rule = (struct route_rule){ 0 };
	if (mnl_nlmsg_get_payload_len(h) < sizeof(head))
		return false;
	memcpy(&head, mnl_nlmsg_get_payload(h), sizeof(head));
	rule->table = head.table;
	while ((a = netlink_attribute(&c)) != NULL)
		switch (mnl_attr_get_type(a)) {
		case FRA_IIFNAME:
			name_of(rule->interface, a);
			break;
		case FRA_FWMARK:
			rule->mark = u32_of(a);
			break;
		case FRA_FWMASK:
			rule->mask = u32_of(a);
			break;
		case FRA_TABLE:
			rule->table = u32_of(a);
			break;
		case FRA_PRIORITY:
			rule->priority = u32_of(a);
			break;
		case FRA_PROTOCOL:
			if (mnl_attr_get_payload_len(a) >= sizeof(protocol))
				protocol = mnl_attr_get_u8(a);
			break;
		}
	return head.family == family && head.action == FR_ACT_TO_TBL &&
	    protocol == ROUTE_PROTOCOL;
}

bool
route_read_local(const struct nlmsghdr *h, uint8_t family,
    struct route_local *local)
{
	struct rtmsg head;
	struct netlink_cursor c = netlink_attributes(h, sizeof(head));
	const struct nlattr *a;

	*local = (struct route_local){ 0 };
	if (mnl_nlmsg_get_payload_len(h) < sizeof(head))
		return false;
	memcpy(&head, mnl_nlmsg_get_payload(h), sizeof(head));
	local->table = head.rtm_table;
	local->everything = head.rtm_dst_len == 0 &&
	    head.rtm_type == RTN_LOCAL;
	while ((a = netlink_attribute(&c)) != NULL)
		if (mnl_attr_get_type(a) == RTA_TABLE)
			local->table = u32_of(a);
	local->ours = head.rtm_protocol == ROUTE_PROTOCOL;
	return head.rtm_family == family;
}

/* ---- requests ---- */

static struct nlmsghdr *
start_request(struct work *w, union request *m, uint16_t type, uint16_t flags)
{
	memset(m, 0, sizeof(*m));
	struct nlmsghdr *h = mnl_nlmsg_put_header(m->bytes);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++w->seq;
	return h;
}

static struct nlmsghdr *
rule_request(struct work *w, union request *m, uint16_t type, uint16_t flags,
    const struct route_rule *rule)
{
	struct nlmsghdr *h = start_request(w, m, type, flags | NLM_F_ACK);
	struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(h,
	    sizeof(*head));

	head->family = w->family;
	head->action = FR_ACT_TO_TBL;
	head->table = RT_TABLE_UNSPEC;	/* it may need more than 8 bits */
	mnl_attr_put_u32(h, FRA_TABLE, rule->table);
	mnl_attr_put_u32(h, FRA_PRIORITY, rule->priority);
	mnl_attr_put_u32(h, FRA_FWMARK, rule->mark);
	mnl_attr_put_u32(h, FRA_FWMASK, rule->mask);
	mnl_attr_put_u8(h, FRA_PROTOCOL, ROUTE_PROTOCOL);
	if (rule->interface[0] != '\0')
		mnl_attr_put_strz(h, FRA_IIFNAME, rule->interface);
	return h;
}

/* local default dev lo table TABLE protocol 82 */
static struct nlmsghdr *
route_request(struct work *w, union request *m, uint16_t type, uint16_t flags,
    uint32_t table)
{
	struct nlmsghdr *h = start_request(w, m, type, flags | NLM_F_ACK);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(h, sizeof(*head));

	head->rtm_family = w->family;
	head->rtm_table = RT_TABLE_UNSPEC;
	head->rtm_protocol = ROUTE_PROTOCOL;
	head->rtm_scope = RT_SCOPE_HOST;
	head->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(h, RTA_TABLE, table);
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex("lo"));
	return h;
}

/* ---- exchanges ---- */

static int
fail(struct work *w, int error, const char *what)
{
	bool ipv6 = w->family == AF_INET6;

	*w->failure = (struct route_failure){ .error = error, .ipv6 = ipv6 };
	snprintf(w->failure->text, sizeof(w->failure->text), "routing: %s%s: "
	    "%s", what, ipv6 ? " (IPv6)" : "", error == -EPERM ?
	    "not permitted (CAP_NET_ADMIN is needed)" : strerror(-error));
	return error;
}

/* One datagram's worth of answers to the last request.  1: there will be no
 * more; 0: go on; or -errno. */
static int
take_answers(struct work *w, struct netlink_cursor c,
    int (*take)(struct found *, const struct nlmsghdr *, uint8_t family),
    struct found *found, bool *interrupted)
{
	struct netlink_reply r;
	int error;

	while (netlink_next(&c, &r) != NETLINK_END) {
		if (r.seq != w->seq)
			continue;
		*interrupted = *interrupted || r.interrupted;
		switch (r.kind) {
		case NETLINK_ACK:
		case NETLINK_DUMP_DONE:
			return r.error != 0 ? r.error : 1;
		case NETLINK_DATA:
			if (take != NULL && (error = take(found, r.message,
			    w->family)) != 0)
				return error;
			break;
		default:
			break;
		}
	}
	return 0;
}

/* Send a request and take all of its answers.  0, -EAGAIN when a dump was
 * interrupted, or -errno, also that of the kernel. */
static int
exchange(struct work *w, const struct nlmsghdr *h,
    int (*take)(struct found *, const struct nlmsghdr *, uint8_t family),
    struct found *found)
{
	union netlink_buffer buffer;
	bool interrupted = false;
	int done = netlink_send(w->fd, h, h->nlmsg_len);

	while (done == 0) {
		ssize_t n = netlink_receive(w->fd, buffer.bytes,
		    sizeof(buffer), w->deadline_ms);

		if (n < 0)
			return (int)n;
		done = take_answers(w, (struct netlink_cursor){ buffer.bytes,
		    (size_t)n }, take, found, &interrupted);
	}
	if (done < 0)
		return done;
	return interrupted ? -EAGAIN : 0;
}

/* ---- what is there ---- */

static void
forget(struct found *found)
{
	free(found->rules);
	free(found->locals);
	*found = (struct found){ 0 };
}

static int
take_rule(struct found *found, const struct nlmsghdr *h, uint8_t family)
{
	struct route_rule rule, *more;

	if (h->nlmsg_type != RTM_NEWRULE || !route_read_rule(h, family, &rule))
		return 0;
	more = reallocarray(found->rules, found->nrules + 1, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	found->rules = more;
	found->rules[found->nrules++] = rule;
	return 0;
}

static int
take_local(struct found *found, const struct nlmsghdr *h, uint8_t family)
{
	struct route_local local, *more;

	if (h->nlmsg_type != RTM_NEWROUTE ||
	    !route_read_local(h, family, &local))
		return 0;
	more = reallocarray(found->locals, found->nlocals + 1, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	found->locals = more;
	found->locals[found->nlocals++] = local;
	return 0;
}

static int
list_rules(struct work *w, struct found *found)
{
	union request m;
	struct nlmsghdr *h = start_request(w, &m, RTM_GETRULE, NLM_F_DUMP);
	struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(h,
	    sizeof(*head));

	head->family = w->family;
	return exchange(w, h, take_rule, found);
}

/* Routes: ours of all tables, or everybody's of one.  Since Linux 4.20 the
 * kernel shows only what is asked for (NETLINK_GET_STRICT_CHK), before that
 * all. */
static int
list_locals(struct work *w, uint8_t protocol, uint32_t table,
    struct found *found)
{
	union request m;
	struct nlmsghdr *h = start_request(w, &m, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(h, sizeof(*head));

	head->rtm_family = w->family;
	head->rtm_protocol = protocol;
	if (table != 0)
		mnl_attr_put_u32(h, RTA_TABLE, table);
	return exchange(w, h, take_local, found);
}

/* Rules and routes of ours.  The caller forgets them, also after an error. */
static int
look(struct work *w, struct found *found)
{
	int error = -EAGAIN;

	for (int i = 0; i < DUMP_ATTEMPTS && error == -EAGAIN; i++) {
		forget(found);
		if ((error = list_rules(w, found)) == 0)
			error = list_locals(w, ROUTE_PROTOCOL, 0, found);
	}
	return error;
}

/* ---- what should be there ---- */

static bool
same_rule(const struct route_rule *a, const struct route_rule *b)
{
	return strcmp(a->interface, b->interface) == 0 &&
	    a->mark == b->mark && a->mask == b->mask &&
	    a->table == b->table && a->priority == b->priority;
}

static bool
has_rule(const struct found *f, const struct route_rule *rule)
{
	for (size_t i = 0; i < f->nrules; i++)
		if (same_rule(&f->rules[i], rule))
			return true;
	return false;
}

static int
want(struct found *wanted, const struct route_plan *plan, const char *name)
{
	struct route_rule rule = { .mark = plan->mark, .mask = plan->mask,
		.table = plan->table, .priority = plan->priority };
	struct route_rule *more;

	snprintf(rule.interface, sizeof(rule.interface), "%s", name);
	if (has_rule(wanted, &rule))
		return 0;
	more = reallocarray(wanted->rules, wanted->nrules + 1, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	wanted->rules = more;
	wanted->rules[wanted->nrules++] = rule;
	return 0;
}

/* Those that are there now. */
static int
want_matching(struct found *wanted, const struct route_plan *plan,
    const char *pattern)
{
	struct if_nameindex *all = if_nameindex();
	int error = all == NULL ? -errno : 0;

	for (size_t i = 0; all != NULL && all[i].if_index != 0; i++)
		if (error == 0 && ruleset_interface_is(pattern, all[i].if_name))
			error = want(wanted, plan, all[i].if_name);
	if_freenameindex(all);
	return error;
}

static int
choose(struct found *wanted, const struct route_plan *plan)
{
	int error = 0;

	for (size_t i = 0; i < plan->ninterfaces && error == 0; i++) {
		const char *name = plan->interfaces[i];

		if (strchr(name, '*') != NULL)
			error = want_matching(wanted, plan, name);
		else
			error = want(wanted, plan, name);
	}
	return error;
}

/* ---- from the one to the other ---- */

static int
add_rules(struct work *w, const struct found *have, const struct found *wanted)
{
	for (size_t i = 0; i < wanted->nrules; i++) {
		const struct route_rule *rule = &wanted->rules[i];
		union request m;
		int error;

		if (has_rule(have, rule))
			continue;
		error = exchange(w, rule_request(w, &m, RTM_NEWRULE,
		    NLM_F_CREATE | NLM_F_EXCL, rule), NULL, NULL);
		if (error != 0 && error != -EEXIST)
			return fail(w, error, "cannot add a rule");
	}
	return 0;
}

static int
remove_rules(struct work *w, const struct found *have,
    const struct found *wanted)
{
	for (size_t i = 0; i < have->nrules; i++) {
		const struct route_rule *rule = &have->rules[i];
		union request m;
		int error;

		if (has_rule(wanted, rule))
			continue;
		error = exchange(w, rule_request(w, &m, RTM_DELRULE, 0, rule),
		    NULL, NULL);
		if (error != 0 && error != -ENOENT)
			return fail(w, error, "cannot remove a rule");
	}
	return 0;
}

static bool
has_local(const struct found *f, uint32_t table)
{
	for (size_t i = 0; i < f->nlocals; i++)
		if (f->locals[i].table == table && f->locals[i].everything)
			return true;
	return false;
}

/* An operator may have made the same route by hand: that will do. */
static bool
somebody_has_local(struct work *w, uint32_t table)
{
	struct found found = { 0 };
	bool has = list_locals(w, RTPROT_UNSPEC, table, &found) == 0 &&
	    has_local(&found, table);

	forget(&found);
	return has;
}

static int
add_local(struct work *w, const struct found *have, uint32_t table)
{
	char what[ROUTE_TEXT_MAX / 2];
	union request m;
	int error;

	if (has_local(have, table))
		return 0;
	error = exchange(w, route_request(w, &m, RTM_NEWROUTE,
	    NLM_F_CREATE | NLM_F_EXCL, table), NULL, NULL);
	if (error == 0 || (error == -EEXIST && somebody_has_local(w, table)))
		return 0;
	snprintf(what, sizeof(what), error == -EEXIST ?
	    "table %u has another default route" :
	    error == -ENETDOWN ? "interface lo is down, table %u" :
	    "cannot add the local route to table %u", table);
	return fail(w, error, what);
}

/* All but that of `keep`; 0 is no table. */
static int
remove_locals(struct work *w, const struct found *have, uint32_t keep)
{
	for (size_t i = 0; i < have->nlocals; i++) {
		union request m;
		int error;

		const struct route_local *l = &have->locals[i];

		if (!l->ours || !l->everything || l->table == keep)
			continue;
		error = exchange(w, route_request(w, &m, RTM_DELROUTE, 0,
		    l->table), NULL, NULL);
		if (error != 0 && error != -ESRCH)
			return fail(w, error, "cannot remove a route");
	}
	return 0;
}

/* `wanted` is empty for a family that is not wanted. */
static int
change(struct work *w, const struct route_plan *plan,
    const struct found *wanted)
{
	uint32_t table = wanted->nrules > 0 ? plan->table : 0;
	struct found have = { 0 };
	int error = look(w, &have);

	/* A kernel without the family has nothing of ours. */
	if ((error == -EOPNOTSUPP || error == -EAFNOSUPPORT) && table == 0)
		error = 0;
	else if (error != 0)
		error = fail(w, error, "cannot list rules and routes");
	if (error == 0 && table != 0)
		error = add_local(w, &have, table);
	if (error == 0)
		error = add_rules(w, &have, wanted);
	if (error == 0)
		error = remove_rules(w, &have, wanted);
	if (error == 0)
		error = remove_locals(w, &have, table);
	forget(&have);
	return error;
}

/* Both families are seen to, whatever happens to the first; the failure is that
 * of the last. */
static int
change_all(struct work *w, const struct route_plan *plan)
{
	const struct found none = { 0 };
	struct found wanted = { 0 };
	int error = choose(&wanted, plan), error6;

	if (error != 0) {
		error = fail(w, error, "cannot list interfaces");
		forget(&wanted);
		return error;
	}
	w->family = AF_INET;
	error = change(w, plan, plan->ipv4 ? &wanted : &none);
	w->family = AF_INET6;
	error6 = change(w, plan, plan->ipv6 ? &wanted : &none);
	forget(&wanted);
	return error != 0 ? error : error6;
}

int
route_install(const struct route_plan *plan, int timeout_ms,
    struct route_failure *failure)
{
	struct work w = { .fd = netlink_open(NETLINK_ROUTE, 0),
		.deadline_ms = netlink_now_ms() + timeout_ms,
		.family = AF_INET, .failure = failure };
	const int one = 1;

	*failure = (struct route_failure){ 0 };
	if (w.fd < 0)
		return fail(&w, w.fd, "cannot open a socket");
	(void)setsockopt(w.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one,
	    sizeof(one));
	int error = change_all(&w, plan);
	close(w.fd);
	return error;
}

int
route_remove(int timeout_ms, struct route_failure *failure)
{
	const struct route_plan nothing = { 0 };

	return route_install(&nothing, timeout_ms, failure);
}
