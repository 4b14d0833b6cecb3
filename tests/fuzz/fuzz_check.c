/* SPDX-License-Identifier: ISC */
/*
 * What roroctl check reads: files of /proc and of OpenWrt, what iptables-save
 * prints, listings of the kernel.  The first byte says which; the rest is it.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check_daemon.h"
#include "check_nft.h"
#include "check_report.h"
#include "check_route.h"
#include "check_text.h"
#include "nft/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* ---- text ---- */

static void
read_numbers(const char *text)
{
	uint64_t n[3], one, two;
	size_t count = check_text_numbers(text, n, 3);

	assert(count <= 3);
	if (check_text_number(text, &one))
		assert(count == 1 && n[0] == one);
	(void)check_text_limit(text, "Max open files", &one, &two);
	(void)check_text_status(text, "CapEff", 16, &one);
	(void)check_text_assignment(text, "LimitNOFILE", &one);
	(void)check_text_has(text, "bbr");
}

static void
read_listeners(const char *text)
{
	const char *p = text, *end = text + strlen(text), *before = p;
	struct check_socket s;

	while (check_text_listener(&p, &s)) {
		assert(p > before && p <= end);
		assert(s.address.family == 4 || s.address.family == 6);
		before = p;
	}
	assert(p == end);
}

static void
read_names(const char *text)
{
	char unit[CHECK_UNIT_MAX], value[CHECK_UCI_MAX];

	if (check_text_unit(text, unit))
		assert(strlen(unit) < sizeof(unit) &&
		    strstr(unit, ".service") != NULL);
	if (check_text_uci(text, "defaults", "flow_offloading", value))
		assert(strlen(value) < sizeof(value));
}

static void
read_xt_rules(const char *text)
{
	const char *p = text, *end = text + strlen(text);
	struct check_xt_rule r;

	while (check_text_xt_rule(&p, "FLOWOFFLOAD", &r)) {
		assert(p <= end && strlen(r.chain) < sizeof(r.chain));
		assert(strlen(r.spec) < sizeof(r.spec));
		assert(r.ports.n <= CHECK_PORTS_MAX);
		for (size_t i = 0; i < r.ports.n; i++)
			assert(r.ports.ranges[i].first <=
			    r.ports.ranges[i].last);
		(void)check_ports_have(&r.ports, 443);
	}
	assert(p == end);
}

static void
read_words(const uint8_t *data, size_t size)
{
	char *file = check_file_of((const char *)data, size);

	assert(strlen(file) <= size || file[0] == '/');
	free(file);
}

/* It is printed, and a shell may read it. */
static void
say(const char *text)
{
	struct check_report r;
	struct check_item *item;
	char *word = check_quote(text);

	check_report_init(&r);
	item = check_add(&r, CHECK_ERROR, "x", text, "%s", text);
	for (const char *p = item->found; *p != '\0'; p++)
		assert((unsigned char)*p >= ' ' && *p != 0x7f);
	assert(strlen(item->found) == strlen(text));
	assert(strlen(word) >= strlen(text));
	check_report_free(&r);
	free(word);
}

/* ---- listings ---- */

static void
read_nft(struct netlink_cursor all)
{
	struct netlink_cursor c;
	struct check_table t;
	struct check_rule r;
	struct check_flowtable f;

	for (c = all; check_next_table(&c, &t);)
		assert(strlen(t.name) < sizeof(t.name));
	for (c = all; check_next_flowtable(&c, &f);)
		assert(strlen(f.devices) < sizeof(f.devices));
	for (c = all; check_next_rule(&c, &r);) {
		assert(r.deed != CHECK_NOTHING && r.ports.n <= 1);
		assert(strlen(r.table) < sizeof(r.table));
		assert(strlen(r.chain) < sizeof(r.chain));
		assert(strlen(r.flowtable) < sizeof(r.flowtable));
		if (r.ports.n == 1)
			assert(r.ports.ranges[0].first <=
			    r.ports.ranges[0].last);
	}
}

static void
read_routes(struct netlink_cursor all)
{
	struct netlink_cursor c;
	struct policy p;
	struct check_route r;
	struct check_address a;

	for (c = all; policy_next(&c, &p);)
		assert(strlen(p.interface) < sizeof(p.interface));
	for (c = all; check_next_route(&c, &r);)
		continue;
	for (c = all; check_next_address(&c, &a);)
		assert(a.address.family == 4 || a.address.family == 6);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { NUMBERS = 'n', LISTENERS = 't', NAMES = 'u', RULES = 'x',
		WORDS = 'c', SAY = 's', NFT = 'f', ROUTES = 'r' };
	uint8_t *bytes;

	if (size == 0)
		return 0;
	bytes = malloc(size);	/* aligned, and a text ends */
	assert(bytes != NULL);
	memcpy(bytes, data + 1, size - 1);
	bytes[size - 1] = '\0';
	switch (data[0]) {
	case NUMBERS:
		read_numbers((char *)bytes);
		break;
	case LISTENERS:
		read_listeners((char *)bytes);
		break;
	case NAMES:
		read_names((char *)bytes);
		break;
	case RULES:
		read_xt_rules((char *)bytes);
		break;
	case WORDS:
		read_words(bytes, size - 1);
		break;
	case SAY:
		say((char *)bytes);
		break;
	case NFT:
		read_nft((struct netlink_cursor){ bytes, size - 1 });
		break;
	case ROUTES:
		read_routes((struct netlink_cursor){ bytes, size - 1 });
		break;
	}
	free(bytes);
	return 0;
}
