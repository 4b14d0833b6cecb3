/* SPDX-License-Identifier: ISC */
/*
 * What the daemon says is read as something that anybody could have written: a
 * field that is missing or of another type is 0 or "-", never a fault.
 */
#include "ask.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/request.h"
#include "visit.h"

#define VERSION 1
#define ANSWER_S 10

struct asking {
	const char *socket;
	bool json;
	char line[REQUEST_MAX];		/* with its newline */
};

/* ---- the command line ---- */

static int
usage(void)
{
	fputs("usage: roroctl status [-s SOCKET] [-f json|text]\n"
	    "       roroctl bypass add|del PREFIX [-s SOCKET] [-f json|text]\n"
	    "       roroctl bypass list [-s SOCKET] [-f json|text]\n"
	    "       roroctl intercept on|off [-s SOCKET] [-f json|text]\n",
	    stderr);
	return 2;
}

static bool
append_word(struct asking *a, const char *word)
{
	size_t len = strlen(a->line), more = strlen(word);

	if (more > sizeof(a->line) - len - 3)	/* blank, newline, end */
		return false;
	if (len > 0)
		a->line[len++] = ' ';
	memcpy(a->line + len, word, more + 1);
	return true;
}

/* 0, or an exit status. */
static int
read_options(struct asking *a, int argc, char *argv[])
{
	static const struct option options[] = {
		{ "format", required_argument, NULL, 'f' },
		{ "socket", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	optind = 0;		/* begin anew */
	while ((option = getopt_long(argc, argv, "f:s:", options, NULL)) !=
	    -1) {
		if (option == 's')
			a->socket = optarg;
		else if (option == 'f' && (strcmp(optarg, "json") == 0 ||
		    strcmp(optarg, "text") == 0))
			a->json = optarg[0] == 'j';
		else
			return usage();
	}
	for (int i = optind; i < argc; i++)
		if (!append_word(a, argv[i]))
			return usage();
	return 0;
}

/* 0, or an exit status. */
static int
read_arguments(struct asking *a, const char *command, int n,
    char *const arguments[])
{
	char **argv = calloc((size_t)n + 2, sizeof(*argv));
	static char program[] = "roroctl";
	struct request request;
	const char *wrong;
	int status;

	*a = (struct asking){ .socket = CONFIG_CONTROL };
	(void)append_word(a, command);
	if (argv == NULL) {
		fprintf(stderr, "roroctl: %s\n", strerror(ENOMEM));
		return 1;
	}
	argv[0] = program;
	memcpy(&argv[1], arguments, (size_t)n * sizeof(*argv));
	status = read_options(a, n + 1, argv);
	free(argv);
	if (status != 0)
		return status;
	wrong = request_parse(&request, a->line, strlen(a->line));
	if (wrong == NULL) {
		memcpy(a->line + strlen(a->line), "\n", 2);
		return 0;
	}
	fprintf(stderr, "roroctl: %s: %s\n", command, wrong);
	return usage();
}

/* ---- the daemon ---- */

static int
complain(const struct asking *a, const char *why)
{
	fprintf(stderr, "roroctl: %s: %s\n", a->socket, why);
	return 1;
}

/* The answer, the caller's; NULL with an exit status. */
static char *
exchange(const struct asking *a, int *status)
{
	char *answer = visit(a->socket, a->line, ANSWER_S);

	if (answer != NULL)
		*status = 0;
	else if (errno == ENOENT || errno == ECONNREFUSED) {
		complain(a, "no daemon listens there");
		*status = ASK_NOBODY;
	} else {
		*status = complain(a, strerror(errno));
	}
	return answer;
}

/* ---- fields ---- */

static struct json_object *
field(struct json_object *o, const char *name)
{
	struct json_object *value = NULL;

	if (json_object_is_type(o, json_type_object))
		(void)json_object_object_get_ex(o, name, &value);
	return value;
}

static uint64_t
number(struct json_object *o, const char *name)
{
	int64_t value = json_object_get_int64(field(o, name));

	return value > 0 ? (uint64_t)value : 0;
}

static const char *
text_of(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) ?
	    json_object_get_string(value) : "-";
}

static const char *
text(struct json_object *o, const char *name)
{
	return text_of(field(o, name));
}

static size_t
length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ?
	    (size_t)json_object_array_length(array) : 0;
}

static struct json_object *
element(struct json_object *array, size_t i)
{
	return json_object_array_get_idx(array, i);
}

/* ---- for people ---- */

#define SHORT_MAX 32

static const char *
scaled(char buffer[static SHORT_MAX], uint64_t value, const char *unit)
{
	static const char *const prefixes[] = { "", "k", "M", "G", "T", "P" };
	double v = (double)value;
	size_t i = 0;

	while (v >= 999.5 && i < sizeof(prefixes) / sizeof(prefixes[0]) - 1) {
		v /= 1000;
		i++;
	}
	snprintf(buffer, SHORT_MAX, "%.*f %s%s", i > 0 && v < 99.95 ? 1 : 0, v,
	    prefixes[i], unit);
	return buffer;
}

static const char *
duration(char buffer[static SHORT_MAX], uint64_t s)
{
	if (s < 120)
		snprintf(buffer, SHORT_MAX, "%" PRIu64 " s", s);
	else if (s < 7200)
		snprintf(buffer, SHORT_MAX, "%" PRIu64 " min", s / 60);
	else if (s < 172800)
		snprintf(buffer, SHORT_MAX, "%" PRIu64 " h", s / 3600);
	else
		snprintf(buffer, SHORT_MAX, "%" PRIu64 " days", s / 86400);
	return buffer;
}

/* "1 session", "2 sessions". */
static const char *
counted(char buffer[static SHORT_MAX], uint64_t n, const char *noun)
{
	snprintf(buffer, SHORT_MAX, "%" PRIu64 " %s%s", n, noun,
	    n == 1 ? "" : "s");
	return buffer;
}

static void
label(const char *name)
{
	printf("%-14s", name);
}

static void
print_families(struct json_object *families)
{
	for (size_t i = 0; i < length(families); i++) {
		const char *family = text_of(element(families, i));

		printf("%s%s", i > 0 ? " and " : "",
		    strcmp(family, "ipv4") == 0 ? "IPv4" :
		    strcmp(family, "ipv6") == 0 ? "IPv6" : family);
	}
}

/* And of how much, where that is known. */
static void
print_rate(struct json_object *now, const char *rate, struct json_object *of,
    const char *most)
{
	char buffer[SHORT_MAX];

	fputs(scaled(buffer, number(now, rate), "bit/s"), stdout);
	if (field(of, most) != NULL)
		printf(" of %s", scaled(buffer, number(of, most), "bit/s"));
}

/* More than its relay's line says. */
static void
print_path(struct json_object *path)
{
	struct json_object *subflows = field(path, "subflows");
	struct json_object *traffic = field(path, "traffic");
	char out[SHORT_MAX], in[SHORT_MAX], again[SHORT_MAX];

	label("  path");
	printf("%s", text(path, "name"));
	if (field(path, "interface") != NULL)
		printf(" over %s", text(path, "interface"));
	printf(": %s, %" PRIu64 " of %" PRIu64 " subflows",
	    text(path, "state"), number(subflows, "up"),
	    number(subflows, "wanted"));
	if (field(path, "missing") != NULL)
		printf(", %s", text(path, "missing"));
	if (field(path, "rtt_us") != NULL)
		printf(", %.1f ms", (double)number(path, "rtt_us") / 1000);
	putchar('\n');
	label("");
	printf("%s sent, %s received, %s sent again;",
	    scaled(out, number(traffic, "sent_bytes"), "B"),
	    scaled(in, number(traffic, "received_bytes"), "B"),
	    scaled(again, number(traffic, "resent_bytes"), "B"));
	fputs(" now ", stdout);
	print_rate(traffic, "sent_bps", path, "rate_bps");
	fputs(" and ", stdout);
	print_rate(traffic, "received_bps", path, "receive_rate_bps");
	putchar('\n');
}

/* The parts may be none; of the rest,
 * subflows died or packets were given up. */
static void
print_again(struct json_object *again)
{
	char all[SHORT_MAX], doubled[SHORT_MAX], late[SHORT_MAX];

	if (number(again, "resent_bytes") == 0)
		return;
	label("");
	printf("%s of data sent again: %s at once, by redundancy, %s because "
	    "it was late\n", scaled(all, number(again, "resent_bytes"), "B"),
	    scaled(doubled, number(again, "doubled_bytes"), "B"),
	    scaled(late, number(again, "reinjected_bytes"), "B"));
}

static void
print_relay(struct json_object *relay, bool another)
{
	struct json_object *subflows = field(relay, "subflows");
	struct json_object *families = field(relay, "families");
	struct json_object *paths = field(relay, "paths");
	char for_s[SHORT_MAX], sessions[SHORT_MAX];

	label("relay");
	printf("%s, %s, %s", text(relay, "name"),
	    field(relay, "address") != NULL ? text(relay, "address") :
	    "address not known",
	    strcmp(text(relay, "protocol"), "base") == 0 ? "base protocol" :
	    text(relay, "protection"));
	if (field(relay, "key") != NULL)
		printf(", key %s", text(relay, "key"));
	putchar('\n');
	if (subflows == NULL)
		return;
	label("");
	printf("%s for %s, %s, %" PRIu64 " of %" PRIu64 " subflows",
	    text(relay, "state"), duration(for_s, number(relay, "since_s")),
	    counted(sessions, number(relay, "sessions"), "session"),
	    number(subflows, "up"), number(subflows, "wanted"));
	if (another && number(relay, "aside_s") > 0)
		printf(", set aside for %s",
		    duration(for_s, number(relay, "aside_s")));
	if (length(families) > 0) {
		fputs(", it reaches ", stdout);
		print_families(families);
	}
	putchar('\n');
	print_again(field(relay, "again"));
	for (size_t i = 0; i < length(paths); i++)
		print_path(element(paths, i));
}

/* Does another relay than that answer? */
static bool
does_another(struct json_object *relays, size_t than)
{
	for (size_t i = 0; i < length(relays); i++)
		if (i != than && json_object_get_boolean(field(element(relays,
		    i), "up")))
			return true;
	return false;
}

static void
print_intercepting(struct json_object *intercepting)
{
	struct json_object *families = field(intercepting, "families");
	char sessions[SHORT_MAX];

	if (intercepting == NULL)
		return;
	label("intercepting");
	if (families == NULL) {
		puts(text(intercepting, "reason"));
	} else if (length(families) > 0) {
		const char *but = strchr(text(intercepting, "reason"), ',');

		if (but != NULL)	/* ", IPv6 only: ..." */
			fputs(but + 2, stdout);
		else
			print_families(families);
		putchar('\n');
	} else {
		printf("nothing: %s\n", text(intercepting, "reason"));
	}
	if (number(intercepting, "bypass") > 0) {
		label("bypass");
		printf("%" PRIu64 " added\n", number(intercepting, "bypass"));
	}
	if (number(intercepting, "unreachable") > 0) {
		label("unreachable");
		printf("%s, for the relay\n", counted(sessions,
		    number(intercepting, "unreachable"), "session"));
	}
}

static void
print_peer(struct json_object *peer)
{
	struct json_object *sessions = field(peer, "sessions");
	struct json_object *traffic = field(peer, "traffic");
	struct json_object *memory = field(peer, "memory");
	struct json_object *keys = field(peer, "keys");
	char sent[SHORT_MAX], received[SHORT_MAX], held[SHORT_MAX];

	label("peer");
	fputs(text(peer, "name"), stdout);
	for (size_t i = 0; i < length(keys); i++)
		printf(", key %s", text_of(element(keys, i)));
	putchar('\n');
	label("");
	printf("%s, %s, %s of %" PRIu64 ", %" PRIu64 " since start, %" PRIu64
	    " refused\n", counted(sent, number(peer, "groups"), "group"),
	    counted(received, number(peer, "subflows"), "subflow"),
	    counted(held, number(sessions, "open"), "session"),
	    number(sessions, "limit"),
	    number(sessions, "total"), number(sessions, "refused"));
	label("");
	printf("%s sent, %s received, %s of memory held\n",
	    scaled(sent, number(traffic, "sent_bytes"), "B"),
	    scaled(received, number(traffic, "received_bytes"), "B"),
	    scaled(held, number(memory, "held_bytes"), "B"));
	print_again(field(peer, "again"));
}

static void
print_traffic(struct json_object *traffic, const char *name,
    const char *bytes, const char *bps)
{
	char all[SHORT_MAX], rate[SHORT_MAX];

	label(name);
	printf("%s, %s\n", scaled(all, number(traffic, bytes), "B"),
	    scaled(rate, number(traffic, bps), "bit/s"));
}

static void
print_status(struct json_object *o)
{
	struct json_object *sessions = field(o, "sessions");
	struct json_object *memory = field(o, "memory");
	struct json_object *relays = field(o, "relays");
	struct json_object *peers = field(o, "peers");
	char a[SHORT_MAX], b[SHORT_MAX];

	label(text(o, "role"));
	printf("version %s, process %" PRIu64 ", running for %s%s\n",
	    text(o, "program"), number(o, "pid"),
	    duration(a, number(o, "uptime_s")),
	    json_object_get_boolean(field(o, "ending")) ?
	    ", about to end" : "");
	for (size_t i = 0; i < length(relays); i++)
		print_relay(element(relays, i), does_another(relays, i));
	print_intercepting(field(o, "intercepting"));
	for (size_t i = 0; i < length(peers); i++)
		print_peer(element(peers, i));
	label("sessions");
	printf("%" PRIu64 " of %" PRIu64 ", %" PRIu64 " since start, %" PRIu64
	    " refused\n", number(sessions, "open"), number(sessions, "limit"),
	    number(sessions, "total"), number(sessions, "refused"));
	print_traffic(field(o, "traffic"), "sent", "sent_bytes", "sent_bps");
	print_traffic(field(o, "traffic"), "received", "received_bytes",
	    "received_bps");
	label("memory");
	printf("%s of %s\n", scaled(a, number(memory, "held_bytes"), "B"),
	    scaled(b, number(memory, "limit_bytes"), "B"));
}

static void
print_prefixes(struct json_object *array, const char *why)
{
	for (size_t i = 0; i < length(array); i++)
		printf("%-44s%s\n", text_of(element(array, i)), why);
}

static void
print_answer(struct json_object *o)
{
	if (field(o, "role") != NULL)
		print_status(o);
	print_prefixes(field(o, "added"), "added");
	print_prefixes(field(o, "configured"), "configured");
	if (field(o, "role") == NULL)
		print_intercepting(field(o, "intercepting"));
}

/* ---- commands ---- */

/* An exit status. */
static int
show(const struct asking *a, const char *answer)
{
	struct json_object *o = json_tokener_parse(answer);
	int status = 0;

	if (field(o, "version") == NULL)
		status = complain(a, "what answers is not rorod");
	else if (number(o, "version") != VERSION && !a->json)
		status = complain(a, "the daemon is of another version");
	else if (a->json)
		fputs(answer, stdout);
	else if (field(o, "error") == NULL)
		print_answer(o);
	if (status == 0 && field(o, "error") != NULL) {
		fprintf(stderr, "roroctl: %s\n", text(o, "error"));
		status = 1;
	}
	json_object_put(o);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "roroctl: standard output: %s\n",
		    strerror(errno));
		status = 1;
	}
	return status;
}

static int
ask(const char *command, int n, char *const arguments[])
{
	struct asking a;
	int status = read_arguments(&a, command, n, arguments);
	char *answer = status == 0 ? exchange(&a, &status) : NULL;

	if (answer != NULL)
		status = show(&a, answer);
	free(answer);
	return status;
}

int
ask_status(int n, char *const arguments[])
{
	return ask("status", n, arguments);
}

int
ask_bypass(int n, char *const arguments[])
{
	return ask("bypass", n, arguments);
}

int
ask_intercept(int n, char *const arguments[])
{
	return ask("intercept", n, arguments);
}
