/* SPDX-License-Identifier: ISC */
/*
 * Does this kernel know everything that rorod's rules are made of?  Each kind
 * is tried in a table of a name of its own, which the same transaction removes
 * again, and which never sees a packet, since it is dormant.
 */
#include "check_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nft/batch.h"
#include "nft/rule.h"
#include "nft/ruleset.h"
#include "nft/set.h"
#include "nft/transact.h"

#define TIMEOUT_MS 5000
#define BUFFER 16384
#define CHAIN "try"
#define PORT 1092		/* of no consequence */

/* Which configurations need it. */
enum need { NEED_ALL, NEED_TPROXY, NEED_REDIRECT, NEED_OWNER };

struct trial {
	const char *name;
	const char *module, *package;	/* what has it; package of OpenWrt */
	enum need need;
	uint32_t flags;			/* of the table */
	void (*add)(struct batch *, const char *table);
};

static void
add_filter(struct batch *b, const char *table)
{
	batch_add_base_chain(b, table, CHAIN, &(struct batch_base){
	    .type = "filter", .hook = NF_INET_PRE_ROUTING,
	    .priority = RULESET_PRIORITY }, NULL);
}

static void
try_sets(struct batch *b, const char *table)
{
	const struct set expiring = { .table = table, .name = "expiring",
		.type = SET_FAMILY, .expires = true };
	const struct set ranges = { .table = table, .name = "ranges",
		.type = SET_PORT, .ranges = true };
	const struct set verdicts = { .table = table, .name = "verdicts",
		.type = SET_ADDRESS6_PORT, .expires = true, .verdicts = true };

	set_add(b, &expiring, 0);
	set_add(b, &ranges, 0);
	set_add(b, &verdicts, 16);
}

static void
try_filter(struct batch *b, const char *table)
{
	struct rule r;

	add_filter(b, table);
	rule_begin(&r, b, table, CHAIN, NULL);
	rule_syn(&r);
	rule_count(&r);
	rule_mark(&r, RULESET_MARK, RULESET_MASK);
	rule_end(&r);
}

static void
try_fib(struct batch *b, const char *table)
{
	struct rule r;

	add_filter(b, table);
	rule_begin(&r, b, table, CHAIN, NULL);
	rule_not_unicast(&r);
	rule_end(&r);
}

static void
try_socket(struct batch *b, const char *table)
{
	struct rule r;

	add_filter(b, table);
	rule_begin(&r, b, table, CHAIN, NULL);
	rule_transparent(&r);
	rule_end(&r);
}

static void
try_tproxy(struct batch *b, const char *table)
{
	struct rule r;

	add_filter(b, table);
	rule_begin(&r, b, table, CHAIN, NULL);
	rule_protocol(&r, IPPROTO_TCP);
	rule_tproxy(&r, PORT);
	rule_end(&r);
}

static void
try_redirect(struct batch *b, const char *table)
{
	struct rule r;

	batch_add_base_chain(b, table, CHAIN, &(struct batch_base){
	    .type = "nat", .hook = NF_INET_PRE_ROUTING,
	    .priority = RULESET_PRIORITY }, NULL);
	rule_begin(&r, b, table, CHAIN, NULL);
	rule_protocol(&r, IPPROTO_TCP);
	rule_redirect(&r, PORT);
	rule_end(&r);
}

static void
try_reject(struct batch *b, const char *table)
{
	struct rule r;

	add_filter(b, table);
	rule_begin(&r, b, table, CHAIN, NULL);
	rule_protocol(&r, IPPROTO_TCP);
	rule_reject_reset(&r);
	rule_end(&r);
}

static void
try_nothing(struct batch *b, const char *table)
{
	(void)b;
	(void)table;
}

static const struct trial trials[] = {
	{ "nf_tables", "nf_tables", "nftables", NEED_ALL, 0, try_filter },
	{ "sets and maps with a timeout", "nf_tables", "nftables", NEED_ALL, 0,
	    try_sets },
	{ "fib", "nft_fib_inet", "kmod-nft-fib", NEED_ALL, 0, try_fib },
	{ "reject", "nft_reject_inet", "kmod-nft-core", NEED_ALL, 0,
	    try_reject },
	{ "socket", "nft_socket", "kmod-nft-socket", NEED_TPROXY, 0,
	    try_socket },
	{ "tproxy", "nft_tproxy", "kmod-nft-tproxy", NEED_TPROXY, 0,
	    try_tproxy },
	{ "redirect", "nft_redir", "kmod-nft-nat", NEED_REDIRECT, 0,
	    try_redirect },
	{ "tables with an owner", NULL, NULL, NEED_OWNER, NFT_TABLE_F_OWNER,
	    try_nothing },
};

static bool
is_needed(const struct check *c, enum need need)
{
	switch (need) {
	case NEED_TPROXY:
		return check_is_tproxy(c);
	case NEED_REDIRECT:
		return c->config == NULL || !check_is_tproxy(c) ||
		    c->config->intercept.own;
	case NEED_OWNER:
		return c->config == NULL || c->config->intercept.nft_owner;
	default:
		return true;
	}
}

static enum transact_result
try(struct transact *t, const struct trial *trial,
    struct transact_failure *failure)
{
	void *buffer = check_alloc(BUFFER);
	char *table = check_format("ro-ro-tcp-check-%ld", (long)getpid());
	enum transact_result result;
	struct batch b;

	batch_begin(&b, buffer, BUFFER);
	batch_add_table(&b, table, trial->flags | NFT_TABLE_F_DORMANT, NULL);
	trial->add(&b, table);
	batch_delete_table(&b, table);
	if (batch_end(&b) != 0)
		check_out_of_memory();
	result = transact_send(t, &b, TIMEOUT_MS, failure);
	free(buffer);
	free(table);
	return result;
}

static void
missing(struct check *c, const struct trial *trial,
    const struct transact_failure *failure)
{
	static const char name[] = "kernel";
	struct check_item *item;

	if (trial->module == NULL) {
		item = check_add(&c->report, CHECK_WARNING, name, trial->name,
		    "not in this kernel (Linux 5.12 has them)");
		check_why(item, "should rorod be killed, its table stays, and "
		    "others can change it; nft-owner = no says the same");
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, name, trial->name, "%s",
	    failure->text);
	check_why(item, "rorod's rules need it");
	check_module(c, item, trial->module, trial->package);
}

/* false: there is no use in trying others. */
static bool
check_trial(struct check *c, struct transact *t, const struct trial *trial,
    unsigned *known)
{
	struct transact_failure failure = { 0 };
	enum transact_result result = try(t, trial, &failure);

	if (result == TRANSACT_DONE) {
		++*known;
		return true;
	}
	if (failure.error == -EPERM || failure.error == -EACCES) {
		check_add(&c->report, CHECK_SKIPPED, "kernel", NULL,
		    "only root can try what it knows");
		return false;
	}
	missing(c, trial, &failure);
	return true;
}

void
check_kernel(struct check *c)
{
	unsigned known = 0, tried = 0;
	struct transact *t;
	int error;

	if (check_is_recorded(&c->machine) || !check_intercepts(c) ||
	    (c->config != NULL && !c->config->intercept.nft))
		return;
	if ((t = transact_open(&error)) == NULL) {
		struct check_item *item = check_add(&c->report, CHECK_ERROR,
		    "kernel", "nf_tables", "%s", strerror(-error));

		check_module(c, item, trials[0].module, trials[0].package);
		return;
	}
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		if (!is_needed(c, trials[i].need))
			continue;
		tried++;
		if (!check_trial(c, t, &trials[i], &known))
			break;
	}
	if (known == tried)
		check_add(&c->report, CHECK_OK, "kernel", NULL,
		    "it knows all that rorod's rules need");
	transact_close(t);
}
