/* SPDX-License-Identifier: ISC */
/*
 * Holds a plan of nft/ in the kernel, as rorod would, for the end-to-end tests:
 * options say what the plan is, lines on standard input what happens to it, and
 * each line is answered by one: "ok", or the sentence that says what failed.
 * Ends at the end of its input; the kernel removes what it owns.
 *
 *	gate -m tproxy -p 1091 -i lan
 *	install
 *	heartbeat 4 6
 *	quit
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libmnl/libmnl.h>

#include "nft/batch.h"
#include "nft/route.h"
#include "nft/ruleset.h"
#include "nft/transact.h"
#include "nft/watch.h"

#define TIMEOUT_MS 5000
#define MANY 64			/* of whatever is in a list */
#define BUFFER (8 << 20)

static const char *interfaces[MANY];
static struct ruleset_ports only[MANY], except[MANY];
static struct ruleset_prefix bypass[MANY], relays[MANY];

static struct ruleset_plan plan = {
	.mode = RULESET_TPROXY, .owner = true,
	.interfaces = interfaces, .only = only, .except = except,
	.bypass = bypass, .relays = relays,
	.mark = RULESET_MARK, .mask = RULESET_MASK,
	.families = RULESET_IPV4 | RULESET_IPV6, .alive_ms = 3600000,
};
static uint32_t route_table = ROUTE_TABLE;
static int beat_ms;		/* 0: no heartbeat by itself */
static bool old_kernel;		/* play one that knows no owners */

static struct transact *transact;
static int watch = -1;
static void *buffer;

static void
die(const char *what)
{
	fprintf(stderr, "gate: %s\n", what);
	exit(2);
}

/* ---- words to values ---- */

static struct ruleset_prefix
read_prefix(const char *text)
{
	struct ruleset_prefix p = { .family = 4 };
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(text, '/');

	if ((size_t)(slash - text) >= sizeof(address))
		die(text);
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_pton(AF_INET, address, p.ip) != 1) {
		p.family = 6;
		if (inet_pton(AF_INET6, address, p.ip) != 1)
			die(text);
	}
	p.length = p.family == 4 ? 32 : 128;
	if (*slash == '/')
		p.length = (uint8_t)atoi(slash + 1);
	return p;
}

static struct ruleset_ports
read_ports(const char *text)
{
	const char *dash = strchr(text, '-');
	uint16_t first = (uint16_t)atoi(text);

	return (struct ruleset_ports){ first,
	    dash != NULL ? (uint16_t)atoi(dash + 1) : first };
}

static void
read_mark(const char *text)
{
	if (sscanf(text, "%" SCNx32 "/%" SCNx32, &plan.mark, &plan.mask) != 2)
		die(text);
}

static unsigned
read_families(char **words, int n)
{
	unsigned bits = 0;

	for (int i = 0; i < n; i++)
		bits |= *words[i] == '4' ? RULESET_IPV4 :
		    *words[i] == '6' ? RULESET_IPV6 : 0;
	return bits;
}

static enum ruleset_refusal_kind
read_kind(const char *text)
{
	static const char *const kinds[] = {
		[RULESET_REFUSE_RESET] = "reset",
		[RULESET_REFUSE_NETWORK] = "network",
		[RULESET_REFUSE_HOST] = "host",
		[RULESET_REFUSE_PROHIBITED] = "prohibited",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0)
			return (enum ruleset_refusal_kind)i;
	die(text);
	return RULESET_REFUSE_RESET;
}

static void
read_options(int argc, char *argv[])
{
	int c;

	while ((c = getopt(argc, argv, "a:b:B:E:f:i:m:M:no:O:p:qR:t:uw")) != -1)
		switch (c) {
		case 'a':
			plan.alive_ms = (uint32_t)atoi(optarg);
			break;
		case 'b':
			beat_ms = atoi(optarg);
			break;
		case 'B':
			bypass[plan.nbypass++ % MANY] = read_prefix(optarg);
			break;
		case 'E':
			except[plan.nexcept++ % MANY] = read_ports(optarg);
			break;
		case 'f':
			plan.refused_max = (uint32_t)atoi(optarg);
			break;
		case 'i':
			interfaces[plan.ninterfaces++ % MANY] = optarg;
			break;
		case 'm':
			plan.mode = strcmp(optarg, "redirect") == 0 ?
			    RULESET_REDIRECT : RULESET_TPROXY;
			break;
		case 'M':
			read_mark(optarg);
			break;
		case 'n':
			plan.families = 0;
			break;
		case 'o':
			plan.own_port = (uint16_t)atoi(optarg);
			break;
		case 'O':
			only[plan.nonly++ % MANY] = read_ports(optarg);
			break;
		case 'p':
			plan.port = (uint16_t)atoi(optarg);
			break;
		case 'q':
			plan.reject_quic = true;
			break;
		case 'R':
			relays[plan.nrelays++ % MANY] = read_prefix(optarg);
			break;
		case 't':
			route_table = (uint32_t)atoi(optarg);
			break;
		case 'u':
			plan.owner = false;
			break;
		case 'w':
			old_kernel = true;
			break;
		default:
			die("see read_options()");
		}
	if (ruleset_fault(&plan) != NULL)
		die(ruleset_fault(&plan));
}

/* ---- what happens ---- */

static void
answer(const char *text)
{
	puts(text);
	fflush(stdout);
}

/* A flag that no kernel knows, as NFT_TABLE_F_OWNER was before 5.12. */
static void
spoil_flags(struct batch *b)
{
	uint8_t *at = b->data;
	struct nlattr *a;

	for (uint32_t i = 0; i < b->messages; i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)at;

		at += MNL_ALIGN(h->nlmsg_len);
		if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 |
		    NFT_MSG_NEWTABLE))
			continue;
		mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
			if (mnl_attr_get_type(a) == NFTA_TABLE_FLAGS)
				((uint8_t *)mnl_attr_get_payload(a))[0] = 0x40;
	}
}

static const char *
send_batch(struct batch *b, int error)
{
	static struct transact_failure failure;
	static char text[TRANSACT_TEXT_MAX + 40];
	static const char *const results[] = {
		[TRANSACT_DONE] = "ok",
		[TRANSACT_OTHER_INSTANCE] = "other instance",
		[TRANSACT_NO_OWNER] = "no owner",
		[TRANSACT_FAILED] = "failed",
	};

	if (error != 0)
		return strerror(-error);
	enum transact_result r = transact_send(transact, b, TIMEOUT_MS,
	    &failure);
	if (r == TRANSACT_DONE)
		return results[r];
	snprintf(text, sizeof(text), "%s (%d): %s", results[r],
	    failure.error, failure.text);
	return text;
}

static const char *
install(void)
{
	struct batch b;
	int error = ruleset_install(&b, buffer, BUFFER, &plan);

	if (old_kernel && plan.owner)
		spoil_flags(&b);
	return send_batch(&b, error);
}

static const char *
heartbeat(unsigned families)
{
	struct batch b;

	plan.families = families;
	return send_batch(&b, ruleset_heartbeat(&b, buffer, BUFFER, families,
	    plan.alive_ms));
}

/* How long heartbeats take, in microseconds. */
static const char *
measure(int n)
{
	static char text[100];
	double worst = 0, sum = 0;

	for (int i = 0; i < n; i++) {
		struct timespec a, z;

		clock_gettime(CLOCK_MONOTONIC, &a);
		heartbeat(plan.families);
		clock_gettime(CLOCK_MONOTONIC, &z);
		double us = (double)(z.tv_sec - a.tv_sec) * 1e6 +
		    (double)(z.tv_nsec - a.tv_nsec) / 1e3;
		sum += us;
		worst = us > worst ? us : worst;
	}
	snprintf(text, sizeof(text), "ok: mean %.0f us, worst %.0f us",
	    sum / n, worst);
	return text;
}

static const char *
change_bypass(char **words, int n)
{
	struct ruleset_prefix now[MANY];
	struct batch b;

	for (int i = 0; i < n; i++)
		now[i] = read_prefix(words[i]);
	const char *text = send_batch(&b, ruleset_bypass(&b, buffer, BUFFER,
	    (struct ruleset_prefixes){ bypass, plan.nbypass },
	    (struct ruleset_prefixes){ now, (size_t)n }));
	if (strcmp(text, "ok") == 0) {
		memcpy(bypass, now, sizeof(now[0]) * (size_t)n);
		plan.nbypass = (size_t)n;
	}
	return text;
}

static const char *
change_relays(char **words, int n)
{
	struct batch b;

	for (int i = 0; i < n; i++)
		relays[i] = read_prefix(words[i]);
	plan.nrelays = (size_t)n;
	return send_batch(&b, ruleset_relays(&b, buffer, BUFFER,
	    (struct ruleset_prefixes){ relays, plan.nrelays }));
}

/* ADDRESS PORT KIND MILLISECONDS */
static const char *
refuse(char **words, int n)
{
	struct ruleset_prefix p;
	struct ruleset_refusal r;
	struct batch b;

	if (n != 4)
		die("refuse");
	p = read_prefix(words[0]);
	r = (struct ruleset_refusal){ .family = p.family,
		.port = (uint16_t)atoi(words[1]), .kind = read_kind(words[2]),
		.timeout_ms = (uint32_t)atoi(words[3]) };
	memcpy(r.ip, p.ip, sizeof(r.ip));
	return send_batch(&b, ruleset_refuse(&b, buffer, BUFFER, &r));
}

/* So many prefixes.  Without a table that is one error for each 32 of them, and
 * soon more than the receive buffer has room for. */
static const char *
fill(int n)
{
	struct ruleset_prefix *all = calloc((size_t)n, sizeof(*all));
	struct batch b;

	if (all == NULL)
		die("memory");
	for (int i = 0; i < n; i++)
		all[i] = (struct ruleset_prefix){ .family = 4, .length = 32,
			.ip = { 10, (uint8_t)(i >> 15), (uint8_t)(i >> 7),
			    (uint8_t)(i << 1) } };
	int error = ruleset_bypass(&b, buffer, BUFFER,
	    (struct ruleset_prefixes){ NULL, 0 },
	    (struct ruleset_prefixes){ all, (size_t)n });
	free(all);
	return send_batch(&b, error);
}

static const char *
route(bool want)
{
	static struct route_failure failure;
	const struct route_plan p = {
		.interfaces = interfaces, .ninterfaces = plan.ninterfaces,
		.mark = plan.mark, .mask = plan.mask,
		.table = route_table, .priority = ROUTE_PRIORITY,
		.ipv4 = true, .ipv6 = true,
	};
	int error = want ? route_install(&p, TIMEOUT_MS, &failure) :
	    route_remove(TIMEOUT_MS, &failure);

	return error == 0 ? "ok" : failure.text;
}

/* What has changed since the last time. */
static const char *
look(void)
{
	static char text[100];
	unsigned changed;

	if (watch_read(watch, &changed) != 0)
		return "cannot read";
	snprintf(text, sizeof(text), "ok:%s%s%s%s",
	    changed & WATCH_LINKS ? " links" : "",
	    changed & WATCH_ADDRESSES ? " addresses" : "",
	    changed & WATCH_ROUTES ? " routes" : "",
	    changed & WATCH_RULES ? " rules" : "");
	return text;
}

static const char *
do_line(char *line)
{
	struct batch b;
	char *words[MANY];
	int n = 0;

	for (char *w = strtok(line, " \n"); w != NULL && n < MANY;
	    w = strtok(NULL, " \n"))
		words[n++] = w;
	if (n == 0)
		return "nothing";
	const char *what = words[0];
	if (strcmp(what, "install") == 0)
		return install();
	if (strcmp(what, "remove") == 0)
		return send_batch(&b, ruleset_remove(&b, buffer, BUFFER));
	if (strcmp(what, "remove-keeper") == 0)
		return send_batch(&b, ruleset_remove_keeper(&b, buffer,
		    BUFFER));
	if (strcmp(what, "heartbeat") == 0)
		return heartbeat(read_families(words + 1, n - 1));
	if (strcmp(what, "measure") == 0 && n == 2)
		return measure(atoi(words[1]));
	if (strcmp(what, "bypass") == 0)
		return change_bypass(words + 1, n - 1);
	if (strcmp(what, "relays") == 0)
		return change_relays(words + 1, n - 1);
	if (strcmp(what, "refuse") == 0)
		return refuse(words + 1, n - 1);
	if (strcmp(what, "fill") == 0 && n == 2)
		return fill(atoi(words[1]));
	if (strcmp(what, "route") == 0)
		return route(true);
	if (strcmp(what, "unroute") == 0)
		return route(false);
	if (strcmp(what, "look") == 0)
		return look();
	if (strcmp(what, "quit") == 0)
		exit(0);
	return "not understood";
}

/* The socket gets the lowest descriptor, which lets us make its receive buffer
 * as small as can be. */
static void
open_transact(void)
{
	const int none = 0;
	int error, fd = dup(STDIN_FILENO);

	close(fd);
	if ((transact = transact_open(&error)) == NULL)
		die(strerror(-error));
	if (getenv("GATE_SMALL_BUFFER") != NULL)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &none,
		    sizeof(none));
}

/* Standard input is not buffered, so poll() sees what there is. */
int
main(int argc, char *argv[])
{
	char line[1000];
	size_t used = 0;

	read_options(argc, argv);
	open_transact();
	buffer = malloc(BUFFER);
	if (buffer == NULL || (watch = watch_open()) < 0)
		die("memory or netlink");
	for (;;) {
		struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
		int n = poll(&p, 1, beat_ms > 0 ? beat_ms : -1);

		if (n == 0) {
			const char *text = heartbeat(plan.families);

			if (strcmp(text, "ok") != 0)
				fprintf(stderr, "gate: %s\n", text);
			continue;
		}
		if (used == sizeof(line) - 1 ||
		    read(STDIN_FILENO, line + used, 1) != 1)
			return 0;
		if (line[used++] != '\n')
			continue;
		line[used] = '\0';
		used = 0;
		answer(do_line(line));
	}
}
