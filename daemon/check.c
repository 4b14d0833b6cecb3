/* SPDX-License-Identifier: ISC */
#include "check.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_print.h"
#include "check_private.h"
#include "visit.h"

#define PATIENCE_S 3		/* with a daemon that is asked how it is */

struct options {
	const char *file;	/* NULL: the default */
	bool json, brief, no_relay;
};

static void
usage(FILE *to)
{
	fprintf(to, "usage: roroctl check [-nq] [-c FILE] [-f text | json]\n"
	    "\n"
	    "  -c, --config FILE  the configuration, instead of\n"
	    "                     " SYSCONFDIR "/rorod.conf\n"
	    "  -f, --format json  for scripts\n"
	    "  -n, --no-relay     do not connect to the relay\n"
	    "  -q, --quiet        only what is wrong\n");
}

/* false: they are wrong. */
static bool
parse(int n, char *const arguments[], struct options *o)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "format", required_argument, NULL, 'f' },
		{ "no-relay", no_argument, NULL, 'n' },
		{ "quiet", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	optind = 0;		/* once more, from the beginning */
	while ((option = getopt_long(n + 1, arguments - 1, "c:f:nq", options,
	    NULL)) != -1)
		switch (option) {
		case 'c':
			o->file = optarg;
			break;
		case 'f':
			o->json = strcmp(optarg, "json") == 0;
			if (!o->json && strcmp(optarg, "text") != 0)
				return false;
			break;
		case 'n':
			o->no_relay = true;
			break;
		case 'q':
			o->brief = true;
			break;
		default:
			return false;
		}
	return optind == n + 1;
}

/* What the daemon says of itself, the caller's.  NULL: nothing; *hangs: it
 * takes a request and does not answer. */
static char *
ask(const struct check *c, bool *hangs)
{
	const char *socket = c->config != NULL ? c->config->control : NULL;
	char *answer;

	*hangs = false;
	if (c->daemon.pid == 0 || socket == NULL ||
	    check_is_recorded(&c->machine))
		return NULL;
	answer = visit(socket, "status\n", PATIENCE_S);
	*hangs = answer == NULL && errno == ETIMEDOUT;
	return answer;
}

static void
check_running(struct check *c)
{
	static const char name[] = "daemon";
	struct check_item *item;
	bool hangs;
	char *answer = ask(c, &hangs);
	char *closed = answer != NULL ? check_closed(answer) : NULL;

	free(answer);
	if (hangs) {
		item = check_add(&c->report, CHECK_ERROR, name, NULL,
		    "rorod runs as process %ld and does not answer",
		    c->daemon.pid);
		check_why(item, "it hangs, and so does what it carries");
		check_restart(c, item);
	} else if (closed != NULL) {
		item = check_add(&c->report, CHECK_WARNING, name, NULL,
		    "rorod runs as process %ld, and intercepts nothing: %s",
		    c->daemon.pid, closed);
		check_why(item, "new connections go directly");
	} else if (c->daemon.pid != 0)
		check_add(&c->report, CHECK_OK, name, NULL,
		    "rorod runs as process %ld", c->daemon.pid);
	else if (c->daemon.other != 0)
		check_add(&c->report, CHECK_OK, name, NULL,
		    "rorod does not run with this configuration; process %ld "
		    "has another", c->daemon.other);
	else
		check_add(&c->report, CHECK_OK, name, NULL,
		    "rorod does not run");
	free(closed);
}

static void
look(struct check *c, const struct options *o)
{
	struct check_addresses listen;

	check_configuration(c, o->file != NULL);
	check_find_sockets(&c->machine, &c->sockets);
	check_listen(c, &listen);
	check_find_daemon(&c->machine, c->file, &c->sockets, listen.addresses,
	    listen.n, &c->daemon);
	check_running(c);
	check_user(c);
	check_keys(c);
	check_kernel(c);
	check_tables(c);
	check_routing(c);
	check_interfaces(c);
	check_forwarding(c);
	check_bridges(c);
	check_firewall(c);
	check_offload(c);
	check_conntrack(c);
	check_descriptors(c);
	check_buffers(c);
	check_tcp_memory(c);
	check_slow_start(c);
	check_mtu_probing(c);
	check_congestion(c);
	check_listeners(c);
	check_destinations(c);
	if (!o->no_relay)
		check_relays(c);
}

static void
print(const struct check *c, const struct options *o)
{
	const struct check_head head = {
		.file = c->config != NULL ? c->file : NULL,
		.role = c->config == NULL ? NULL :
		    c->config->role == CONFIG_PROXY ? "proxy" : "relay",
		.pid = c->daemon.pid,
		.root = c->root,
	};

	if (o->json)
		check_print_json(stdout, &head, &c->report);
	else
		check_print_text(stdout, &head, &c->report, o->brief);
}

int
check(int n, char *const arguments[])
{
	struct options o = { 0 };
	struct check c = { .machine.root = "" };
	int status;

	if (!parse(n, arguments, &o)) {
		usage(stderr);
		return 2;
	}
	c.file = o.file != NULL ? o.file : SYSCONFDIR "/rorod.conf";
	c.root = geteuid() == 0;
	c.openwrt = check_exists(&c.machine, "/etc/openwrt_release");
	check_report_init(&c.report);
	look(&c, &o);
	print(&c, &o);
	status = check_exit_status(&c.report);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "roroctl: standard output: %s\n",
		    strerror(errno));
		status = 2;
	}
	check_free_daemon(&c.daemon);
	check_free_sockets(&c.sockets);
	config_free(c.config);
	check_report_free(&c.report);
	return status;
}
