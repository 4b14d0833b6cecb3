/* SPDX-License-Identifier: ISC */
/*
 * Is there room for as many sessions as are configured: descriptors, and
 * entries of connection tracking?
 */
#include "check_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quota.h"

#define FEW_SESSIONS 1000	/* for a gateway of one household */
#define BESIDE 512		/* descriptors that are not for sessions */
#define FULL_PERCENT 90

/* ---- descriptors ---- */

/* In the order in which systemd looks at them; the first is what
 * raise_limit() writes. */
static const char *const units[] = {
	"/etc/systemd/system/rorod.service.d/limits.conf",
	"/etc/systemd/system/rorod.service",
	"/usr/local/lib/systemd/system/rorod.service",
	"/usr/lib/systemd/system/rorod.service",
	"/lib/systemd/system/rorod.service",
};
#define NUNITS (sizeof(units) / sizeof(units[0]))

static bool
has_unit(const struct check *c)
{
	bool has = c->daemon.unit[0] != '\0';

	for (size_t i = 1; i < NUNITS; i++)
		has = has || check_exists(&c->machine, "%s", units[i]);
	return has;
}

static bool
unit_limit(const struct check *c, uint64_t *limit)
{
	bool found = false;

	for (size_t i = 0; i < NUNITS && !found; i++) {
		char *text = check_read(&c->machine, "%s", units[i]);

		found = text != NULL &&
		    check_text_assignment(text, "LimitNOFILE", limit);
		free(text);
	}
	return found;
}

/* Of the daemon, which raises its own limit as far as it may; of its unit; or
 * of this shell, from which it may be started. */
static bool
descriptor_limit(const struct check *c, uint64_t *limit, const char **whose)
{
	char *text;
	uint64_t soft;
	bool known;

	*whose = "";
	if (c->daemon.pid != 0) {
		text = check_read(&c->machine, "/proc/%ld/limits",
		    c->daemon.pid);
	} else if (has_unit(c) && unit_limit(c, limit)) {
		*whose = " (of its unit)";
		return true;
	} else {
		text = check_read(&c->machine, "/proc/self/limits");
		*whose = " (started from here)";
	}
	known = text != NULL &&
	    check_text_limit(text, "Max open files", &soft, limit);
	free(text);
	return known;
}

static void
raise_limit(const struct check *c, struct check_item *item, uint64_t wanted)
{
	const char *unit = c->daemon.unit[0] != '\0' ? c->daemon.unit :
	    "rorod.service";

	if (!has_unit(c)) {
		check_now(item, "ulimit -n %" PRIu64, wanted);
		check_restart(c, item);
		return;
	}
	check_now(item, "mkdir -p /etc/systemd/system/%s.d", unit);
	check_now(item, "printf '[Service]\\nLimitNOFILE=%" PRIu64 "\\n' "
	    ">/etc/systemd/system/%s.d/limits.conf", wanted, unit);
	check_now(item, "systemctl daemon-reload");
	check_now(item, "systemctl restart %s", unit);
}

/* All processes together. */
static void
check_file_max(struct check *c, uint64_t wanted)
{
	uint64_t most, used = 0;
	char *text, value[24];
	struct check_item *item;

	if (!check_number(&c->machine, &most, "/proc/sys/fs/file-max"))
		return;
	text = check_read(&c->machine, "/proc/sys/fs/file-nr");
	if (text != NULL)
		check_text_numbers(text, &used, 1);
	free(text);
	if (c->daemon.pid != 0)		/* it is part of them */
		used = 0;
	if (most >= used && most - used >= wanted)
		return;
	item = check_add(&c->report, CHECK_WARNING, "descriptors", "file-max",
	    "%" PRIu64 " for the whole system", most);
	check_why(item, "rorod can ask for %" PRIu64 " at its limit", wanted);
	snprintf(value, sizeof(value), "%" PRIu64, used + 2 * wanted);
	check_sysctl(item, value, "fs/file-max");
}

void
check_descriptors(struct check *c)
{
	static const char name[] = "descriptors";
	uint32_t sessions = c->config != NULL ? c->config->max_sessions : 0;
	uint32_t room;
	struct check_item *item;
	const char *whose;
	uint64_t limit;

	if (!descriptor_limit(c, &limit, &whose)) {
		check_add(&c->report, CHECK_SKIPPED, name, NULL,
		    "the limit cannot be seen");
		return;
	}
	room = quota_descriptors(limit);
	if (room >= (sessions != 0 ? sessions : FEW_SESSIONS)) {
		check_add(&c->report, CHECK_OK, name, NULL,
		    "enough for %" PRIu32 " sessions%s", room, whose);
	} else {
		item = check_add(&c->report, CHECK_WARNING, name, NULL,
		    "enough for %" PRIu32 " sessions%s", room, whose);
		if (sessions != 0)
			check_why(item, "max-sessions is %" PRIu32, sessions);
		else
			check_why(item, "a browser alone opens dozens");
		raise_limit(c, item, sessions != 0 ? sessions + BESIDE :
		    QUOTA_SESSIONS + BESIDE);
	}
	check_file_max(c, (sessions != 0 ? sessions : room) + BESIDE);
}

/* ---- connection tracking ---- */

static void
widen_table(const struct check *c, struct check_item *item, uint64_t wanted)
{
	char value[24];
	uint64_t n = 16384;

	while (n < wanted)
		n *= 2;
	snprintf(value, sizeof(value), "%" PRIu64, n);
	check_sysctl(item, value, "net/netfilter/nf_conntrack_max");
	/* The setting is not there before the module is. */
	if (!c->openwrt)
		check_keep(item, "echo nf_conntrack "
		    ">>/etc/modules-load.d/ro-ro-tcp.conf");
}

void
check_conntrack(struct check *c)
{
	static const char name[] = "conntrack";
	uint32_t sessions = c->config != NULL ? c->config->max_sessions : 0;
	struct check_item *item;
	uint64_t most, used;

	if (!check_number(&c->machine, &most,
	    "/proc/sys/net/netfilter/nf_conntrack_max") ||
	    !check_number(&c->machine, &used,
	    "/proc/sys/net/netfilter/nf_conntrack_count")) {
		check_add(&c->report, CHECK_OK, name, NULL,
		    "connections are not tracked here");
		return;
	}
	if (most != 0 && used >= most / 100 * FULL_PERCENT) {
		item = check_add(&c->report, CHECK_ERROR, name, NULL,
		    "%" PRIu64 " of %" PRIu64 " entries are used", used, most);
		check_why(item, "when there are no more, new connections are "
		    "dropped");
		widen_table(c, item, 2 * used);
	} else if (most != 0 && sessions > most) {
		item = check_add(&c->report, CHECK_WARNING, name, NULL,
		    "%" PRIu64 " entries", most);
		check_why(item, "max-sessions is %" PRIu32 ", and each needs "
		    "one", sessions);
		widen_table(c, item, 2 * (uint64_t)sessions);
	} else {
		check_add(&c->report, CHECK_OK, name, NULL,
		    "%" PRIu64 " of %" PRIu64 " entries are used", used, most);
	}
}
