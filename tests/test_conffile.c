/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conffile.h"
#include "core/config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define RELAY \
	"role = relay\n" \
	"listen = 127.0.0.1:1093\n" \
	"protection = none\n"

static char error[CONFFILE_ERROR_MAX];

static struct config *
parse(const char *text, size_t len)
{
	/* An allocation of just that size: a read past its end is seen. */
	char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	error[0] = '\0';
	struct config *c = conffile_parse("test.conf", copy, len, error,
	    sizeof(error));
	free(copy);
	return c;
}

static struct config *
parsed(const char *text)
{
	struct config *c = parse(text, strlen(text));

	assert_string_equal(error, "");
	assert_non_null(c);
	return c;
}

static void
refused(const char *text, const char *why)
{
	struct config *c = parse(text, strlen(text));

	assert_string_equal(error, why);
	assert_null(c);
}

/* ---- what is understood ---- */

static void
proxy_is_read(void **state)
{
	struct config *c = parsed("# A gateway.\n"
	    "role = proxy\n"
	    "log-level = info   # a comment after a value\n"
	    "max-sessions = 0  max-sessions-per-client = 0\n"
	    "memory-limit=64MiB window = 4MiB\n"
	    "intercept { interfaces = \"br-lan\" }\n"
	    "forward \"web\" { listen = \"127.0.0.1:8080\"  "
	    "destination = 'server.example:80' }\n"
	    "forward mail {\n"
	    "\tlisten = 127.0.0.1:2525\n"
	    "\tdestination = [2001:db8::25]:25\n"
	    "}\n"
	    "relay \"earth\" {\n"
	    "\tpath \"sat\" { rate = 2Mbit delay = 600ms }\n"
	    "\taddress = \"relay.example:1093\" # after its path\n"
	    "\tprotection = none\n"
	    "}\n");

	(void)state;
	assert_int_equal(c->role, CONFIG_PROXY);
	assert_int_equal(c->memory_limit_bytes, 64 << 20);
	assert_int_equal(c->intercept.listen.port, 1092);
	assert_int_equal(c->nforwards, 2);
	assert_string_equal(c->forwards[0].name, "web");
	assert_string_equal(c->forwards[0].destination.host, "server.example");
	assert_int_equal(c->forwards[0].line, 7);
	assert_string_equal(c->forwards[1].name, "mail");
	assert_string_equal(c->forwards[1].destination.host, "2001:db8::25");
	assert_int_equal(c->forwards[1].line, 8);
	assert_string_equal(c->relays[0].name, "earth");
	assert_int_equal(c->relays[0].line, 12);
	assert_string_equal(c->relays[0].address.host, "relay.example");
	assert_string_equal(c->relays[0].paths[0].name, "sat");
	assert_int_equal(c->relays[0].paths[0].line, 13);
	assert_int_equal(c->relays[0].paths[0].socket.rate_bps, 2000000);
	config_free(c);
}

static void
relay_is_read(void **state)
{
	struct config *c = parsed("role = relay\n"
	    "listen = { \"[::]:1093\",	# a comment in a list\n"
	    "    0.0.0.0:1094 }\n"
	    "protection = none\n"
	    "trusted-interfaces = wg0\n"
	    "peer cpe {\n"
	    "    deny(any, 25)\n"
	    "    permit(10.0.0.0/8, \"80,443\") permit('fd00::/8', \"any\")\n"
	    "}\n"
	    "base { server = a:80 proxies = { 192.0.2.1 } }\n");
	static const struct {
		const char *destination;
		enum acl_verdict verdict;
	} checks[] = {
		{ "10.0.0.1:25", ACL_DENY_RULE },
		{ "10.0.0.1:80", ACL_PERMIT },
		{ "10.0.0.1:81", ACL_DENY_SPECIAL },
		{ "[fd00::1]:5", ACL_PERMIT },
	};

	(void)state;
	assert_int_equal(c->nlisten, 2);
	assert_int_equal(c->listen[0].family, 6);
	assert_int_equal(c->listen[1].family, 4);
	assert_int_equal(c->ntrusted, 1);
	assert_int_equal(c->peers[0].line, 6);
	assert_true(c->base.enabled);
	assert_int_equal(c->base.nproxies, 1);
	for (size_t i = 0; i < COUNT(checks); i++) {
		struct addr a;

		assert_int_equal(addr_parse(&a, checks[i].destination), 0);
		assert_int_equal(acl_check(c->peers[0].acl, &a, NULL, 0),
		    checks[i].verdict);
	}
	config_free(c);
}

static void
line_ends_and_blanks_do_not_matter(void **state)
{
	(void)state;
	config_free(parsed("role=relay\r\n\r\n\tlisten\t=\t127.0.0.1:1\r\n"
	    "# CR before LF\r\nprotection = none"));
	config_free(parsed("role=relay listen={127.0.0.1:1}protection=none#"));
	config_free(parsed("\n\n" RELAY "peer a\n{\n}\n# caf\xc3\xa9 \x01"));
}

/* ---- what libconfuse would let pass ---- */

static void
section_that_never_ends_is_an_error(void **state)
{
	(void)state;
	refused(RELAY "peer cpe {\nrate = 20Mbit\n",
	    "test.conf:4: expected } at the end of section peer, which begins "
	    "here, found the end of the file");
	refused("role = proxy\nrelay a {\naddress = a:1\npath b {\n"
	    "rate = 20Mbit\n}\n",
	    "test.conf:2: expected } at the end of section relay, which begins "
	    "here, found the end of the file");
	refused("listen = { [::]:1093,\n",
	    "test.conf:2: expected a value, found the end of the file");
	refused(RELAY "}\n",
	    "test.conf:4: expected an option, a section or the end of the "
	    "file, found }");
}

static void
option_given_twice_is_an_error(void **state)
{
	(void)state;
	refused("role = relay\n\nrole = relay\n",
	    "test.conf:3: role: given twice, first on line 1");
	refused("listen = 127.0.0.1:1\nlisten = { 127.0.0.1:2, 127.0.0.1:3 }\n",
	    "test.conf:2: listen: given twice, first on line 1");
	refused(RELAY "peer cpe { rate = 1Mbit\nrate = 2Mbit }\n",
	    "test.conf:5: peer rate: given twice, first on line 4");
	refused("intercept { listen = [::]:1 }\n"
	    "intercept { listen = [::]:2 }\n",
	    "test.conf:2: intercept: given twice, first on line 1");
	refused("forward a { listen = [::]:1 }\nforward a { }\n",
	    "test.conf:2: expected a name of its own, found 'a' again");
}

static void
missing_value_does_not_take_the_next_word(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "relay a { path b {\ninterface =\nsource = 192.0.2.1 } }\n",
		    "test.conf:2: expected a value for interface, found the "
		    "end of the line" },
		{ "relay a { path b { interface = source = 192.0.2.1 } }\n",
		    "test.conf:1: expected a value for interface, found "
		    "source =" },
		{ "log = intercept { listen = [::]:1 }\n",
		    "test.conf:1: expected a value for log, found "
		    "intercept {" },
		{ "peer a { rate = permit(any, any) }\n",
		    "test.conf:1: expected a value for rate, found permit (" },
		{ "peer a { rate = }\n",
		    "test.conf:1: expected a value for rate, found }" },
		{ "relay a { key-file = "
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0/AA= }\n",
		    "test.conf:1: expected a value for key-file, found what "
		    "looks like a key =" },
		{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0/AA=\n",
		    "test.conf:1: expected a value for what looks like a key, "
		    "found the end of the line" },
		{ "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+/AA='\n",
		    "test.conf:1: expected an option or a section, found what "
		    "looks like a key" },
		{ "listen =\n{ [::]:1 }\n",
		    "test.conf:1: expected a value for listen, found the end "
		    "of the line" },
		{ "role =",
		    "test.conf:1: expected a value for role, found the end of "
		    "the line" },
		{ "role = # relay\nrelay = 1\n",
		    "test.conf:1: expected a value for role, found the end of "
		    "the line" },
		{ "role\nlog-level = info\n",
		    "test.conf:1: expected = or { after role" },
		{ "role relay\n",
		    "test.conf:1: expected = or { after role" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		refused(cases[i].text, cases[i].why);
}

static void
number_out_of_range_is_an_error(void **state)
{
	(void)state;
	refused("max-sessions = 99999999999999999999999\n",
	    "test.conf:1: max-sessions: expected a number from 0 to 65536, "
	    "found '99999999999999999999999'");
	refused("max-sessions = -4294967295\n",
	    "test.conf:1: max-sessions: expected a number from 0 to 65536, "
	    "found '-4294967295'");
}

static void
variables_are_not_expanded(void **state)
{
	static const char *const texts[] = {
		"role = ${ROLE}\n", "role = \"${ROLE}\"\n",
		"role = '${ROLE}'\n", "role = ${ROLE:-relay}\n",
		"role = re${ROLE}\n", "${ROLE} = 1\n", "role = $ROLE\n",
		"role = relay$\n",
	};

	(void)state;
	assert_int_equal(setenv("ROLE", "relay", 1), 0);
	for (size_t i = 0; i < COUNT(texts); i++)
		refused(texts[i], "test.conf:1: expected no $, since variables "
		    "are not expanded here");
	config_free(parsed(RELAY "# ${ROLE} in a comment\n"));
}

static void
file_cannot_include_another(void **state)
{
	(void)state;
	refused("include(\"/etc/hostname\")\n",
	    "test.conf:1: no such option 'include', expected one of "
	    "rorod.conf(5)");
	refused("__unknown = 1\n",
	    "test.conf:1: no such option '__unknown', expected one of "
	    "rorod.conf(5)");
}

static void
names_are_no_paths(void **state)
{
	(void)state;
	refused("peer cpe { }\npeer|rate = 20Mbit\n",
	    "test.conf:2: expected a word, or text in quotes, found |");
	refused("\"peer=cpe|rate\" = 20Mbit\n",
	    "test.conf:1: expected an option or a section, found "
	    "\"peer=cpe|rate\"");
}

/* ---- other errors ---- */

static void
unknown_option_is_an_error_with_its_line(void **state)
{
	(void)state;
	refused("role = relay\nspeed = fast\n",
	    "test.conf:2: no such option 'speed', expected one of "
	    "rorod.conf(5)");
	refused("# first\n\nmux { }\n",
	    "test.conf:3: no such option 'mux', expected one of rorod.conf(5)");
	refused("Role = relay\n",
	    "test.conf:1: no such option 'Role', expected one of "
	    "rorod.conf(5)");
	refused("role = proxy\nrate = 20Mbit\n",
	    "test.conf:2: no such option 'rate' here, expected it in a section "
	    "path or in a section peer");
	refused("relay a {\n\trate = 20Mbit\n}\n",
	    "test.conf:2: no such option 'rate' here, expected it in a section "
	    "path or in a section peer");
	refused("intercept {\n\tlog-level = info\n}\n",
	    "test.conf:2: no such option 'log-level' here, expected it outside "
	    "of sections");
}

static void
option_of_another_shape_is_an_error_with_its_line(void **state)
{
	(void)state;
	refused("\nintercept = 5\n",
	    "test.conf:2: expected { after intercept");
	refused("intercept a { }\n",
	    "test.conf:1: expected { after intercept");
	refused("relay { }\n",
	    "test.conf:1: expected a name after relay");
	refused("peer a {\npermit = any\n}\n",
	    "test.conf:2: expected permit(PREFIX, PORTS)");
	refused("peer a {\nrate(20Mbit)\n}\n",
	    "test.conf:2: expected = after rate");
	refused("log-level { }\n",
	    "test.conf:1: expected = after log-level");
	refused("log-level = { info, debug }\n",
	    "test.conf:1: log-level: expected one value, found a list");
}

static void
text_out_of_place_is_an_error_with_its_line(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "role = \"relay\n",
		    "test.conf:1: expected \" before the end of the line" },
		{ "\nrole = 'relay",
		    "test.conf:2: expected ' before the end of the line" },
		{ "role = \"re\\x6cay\"\n",
		    "test.conf:1: expected no \\, since it has no meaning "
		    "here" },
		{ "role = rel\xc3\xa9\n",
		    "test.conf:1: expected printable ASCII outside of "
		    "comments, found byte 0xc3" },
		{ "role = \"rel\xc3\xa9\"\n",
		    "test.conf:1: expected printable ASCII outside of "
		    "comments, found byte 0xc3" },
		{ "role = relay\rlog = stderr\n",
		    "test.conf:1: expected printable ASCII outside of "
		    "comments, found byte 0x0d" },
		{ "\xef\xbb\xbfrole = relay\n",
		    "test.conf:1: expected printable ASCII outside of "
		    "comments, found byte 0xef" },
		{ "// comment\n",
		    "test.conf:1: expected # before a comment, found //" },
		{ "/* comment */\n",
		    "test.conf:1: expected a word, or text in quotes, "
		    "found *" },
		{ "role = relay;\n",
		    "test.conf:1: expected a word, or text in quotes, "
		    "found ;" },
		{ "listen += [::]:1\n",
		    "test.conf:1: expected a word, or text in quotes, "
		    "found +" },
		{ "listen = { }\n",
		    "test.conf:1: expected a value, found }" },
		{ "listen = { [::]:1, }\n",
		    "test.conf:1: expected a value, found }" },
		{ "listen = { [::]:1 [::]:2 }\n",
		    "test.conf:1: expected a value, then , or }, "
		    "found [::]:2" },
		{ "peer a {\npermit()\n",
		    "test.conf:2: expected a value, found )" },
		{ "peer a {\npermit(any, any\ndeny(any, any)\n",
		    "test.conf:3: expected a value, then , or ), found deny" },
		{ "= 5\n",
		    "test.conf:1: expected an option or a section, found =" },
		{ "a{a{a{a{a{a{a{a{a{\n",
		    "test.conf:1: expected no section here, inside of 8 "
		    "others" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		refused(cases[i].text, cases[i].why);
}

static void
nul_byte_is_an_error(void **state)
{
	static const char in_comment[] = RELAY "# \0 ${HOME}\n";
	static const char at_end[] = RELAY;

	(void)state;
	assert_null(parse(in_comment, sizeof(in_comment) - 1));
	assert_string_equal(error, "test.conf: expected text, found a NUL "
	    "byte");
	assert_null(parse(at_end, sizeof(at_end)));
	assert_string_equal(error, "test.conf: expected text, found a NUL "
	    "byte");
}

static void
nothing_is_an_error(void **state)
{
	(void)state;
	refused("", "test.conf: expected the option role = proxy or role = "
	    "relay, found none");
	refused("# role = relay\n", "test.conf: expected the option role = "
	    "proxy or role = relay, found none");
}

static void
error_is_cut_to_its_room(void **state)
{
	char small[24];

	(void)state;
	memset(small, 'x', sizeof(small));
	assert_null(conffile_parse("test.conf", "speed = 5", 9, small, 16));
	assert_string_equal(small, "test.conf:1: no");
	assert_int_equal(small[16], 'x');
	assert_null(conffile_parse("test.conf", "role = 5", 8, small, 16));
	assert_string_equal(small, "test.conf:1: ro");
	assert_null(conffile_parse("test.conf", "$", 1, small, 4));
	assert_string_equal(small, "tes");
	assert_null(conffile_parse("test.conf", "$", 1, small, 0));
}

/* A reload after an error begins afresh, whatever the error was. */
static void
error_does_not_touch_the_next_file(void **state)
{
	static const char *const texts[] = {
		"role = \"relay\n", "speed = 5\n", "peer a { rate = 5",
		"role = relay relay\n", "listen = { [::]:1, $ }\n",
		"relay a { path b { x = 1 } }\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_null(parse(texts[i], strlen(texts[i])));
		config_free(parsed(RELAY));
		refused(RELAY "\nspeed = 5\n", "test.conf:5: no such option "
		    "'speed', expected one of rorod.conf(5)");
	}
}

/* ---- files ---- */

struct file {
	char dir[64], path[80];
};

static struct file
make_file(const char *text, size_t len)
{
	struct file f = { .dir = "/tmp/test_conffile.XXXXXX" };

	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/rorod.conf", f.dir);
	FILE *to = fopen(f.path, "w");
	assert_non_null(to);
	assert_int_equal(fwrite(text, 1, len, to), len);
	assert_int_equal(fclose(to), 0);
	return f;
}

static void
remove_file(const struct file *f)
{
	unlink(f->path);
	rmdir(f->dir);
}

static void
file_is_read(void **state)
{
	struct file f = make_file(RELAY, strlen(RELAY));
	struct config *c = conffile_read(f.path, error, sizeof(error));

	(void)state;
	remove_file(&f);
	assert_non_null(c);
	assert_int_equal(c->role, CONFIG_RELAY);
	config_free(c);
}

static void
assert_unreadable(const char *path, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s", path, why);
	assert_null(conffile_read(path, error, sizeof(error)));
	assert_string_equal(error, text);
}

static void
error_in_a_file_names_it(void **state)
{
	struct file f = make_file("role = relay\nspeed = 5\n", 23);

	(void)state;
	assert_unreadable(f.path, ":2: no such option 'speed', expected one of "
	    "rorod.conf(5)");
	remove_file(&f);
}

static void
what_is_no_file_is_named(void **state)
{
	struct file f = make_file("", 0);

	(void)state;
	assert_unreadable(f.path, ": expected the option role = proxy or "
	    "role = relay, found none");
	assert_unreadable(f.dir, ": expected a file, found a directory");
	remove_file(&f);
	assert_unreadable(f.path, ": No such file or directory");
}

static void
large_file_is_refused(void **state)
{
	size_t len = 256 * 1024 + 1;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', len);
	memcpy(text, RELAY, strlen(RELAY));
	struct file f = make_file(text, len);
	assert_unreadable(f.path, ": expected at most 256 KiB, found more");
	remove_file(&f);
	f = make_file(text, len - 1);
	struct config *c = conffile_read(f.path, error, sizeof(error));
	assert_non_null(c);
	config_free(c);
	remove_file(&f);
	free(text);
}

/* ---- examples and manual page ---- */

static char *
source_file(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], *text = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/%s", srcdir != NULL ? srcdir : ".",
	    name);
	FILE *from = fopen(path, "r");
	if (from == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	if (getdelim(&text, &size, '\0', from) == -1)
		fail_msg("%s: empty", path);
	fclose(from);
	return text;
}

/* Does a line of `text` begin with `start`, blanks and `next`? */
static bool
has_line(const char *text, const char *start, char next)
{
	for (const char *line = text; line != NULL;
	    line = strchr(line, '\n')) {
		const char *p = line + strspn(line, "\n\t #");

		line += *line == '\n';
		if (strncmp(p, start, strlen(start)) != 0)
			continue;
		p += strlen(start);
		if (p[strspn(p, " ")] == next)
			return true;
	}
	return false;
}

/* Options behind a # without a blank come to life. */
static void
uncomment(char *text)
{
	char *to = text;
	bool begins = true;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '#' && begins && p[1] != ' ' && p[1] != '\n')
			continue;
		if (*p != ' ' && *p != '\t')
			begins = *p == '\n';
		*to++ = *p;
	}
	*to = '\0';
}

static void
examples_are_valid_and_complete(void **state)
{
	char *proxy = source_file("contrib/examples/proxy.conf");
	char *relay = source_file("contrib/examples/relay.conf");
	struct config_key_info key;

	(void)state;
	struct config *c = parsed(proxy), *d = parsed(relay);
	assert_int_equal(c->role, CONFIG_PROXY);
	assert_int_equal(d->role, CONFIG_RELAY);
	config_free(c);
	config_free(d);
	uncomment(proxy);
	uncomment(relay);
	c = parsed(proxy);
	d = parsed(relay);
	assert_int_equal(c->nforwards, 1);
	assert_true(d->base.enabled);
	config_free(c);
	config_free(d);
	for (size_t i = 0; config_key(i, &key); i++)
		if (!has_line(proxy, key.name, key.rule ? '(' : '=') &&
		    !has_line(relay, key.name, key.rule ? '(' : '='))
			fail_msg("no example has '%s'", key.name);
	for (size_t s = CONFIG_IN_TOP + 1; s < CONFIG_NSECTIONS; s++) {
		struct config_section_info info = config_section(s);
		char next = info.titled ? '"' : '{';

		if (!has_line(proxy, info.name, next) &&
		    !has_line(relay, info.name, next))
			fail_msg("no example has a section '%s'", info.name);
	}
	free(proxy);
	free(relay);
}

static void
example_of_two_relays_is_valid(void **state)
{
	char *text = source_file("contrib/examples/two-relays.conf");
	struct config *c = parsed(text);

	(void)state;
	assert_int_equal(c->nrelays, 2);
	for (size_t i = 0; i < c->nrelays; i++)
		assert_int_equal(c->relays[i].npaths, 2);
	assert_string_not_equal(c->relays[0].key_file, c->relays[1].key_file);
	config_free(c);
	free(text);
}

/* Is there an item for the option below the heading of its section? */
static bool
has_item(const char *page, const char *section, const char *option)
{
	static const char heading[] = ".Ss Section ";
	const char *in = "", *p;
	size_t len = strlen(option), in_len = 0;

	for (p = page; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, heading, strlen(heading)) == 0) {
			in = p + strlen(heading);
			in_len = strcspn(in, "\n");
		} else if (strncmp(p, ".Ss ", 4) == 0 ||
		    strncmp(p, ".Sh ", 4) == 0) {
			in_len = 0;
		} else if (strncmp(p, ".It Ic ", 7) == 0 &&
		    strncmp(p + 7, option, len) == 0 &&
		    (p[7 + len] == ' ' || p[7 + len] == '\n') &&
		    strlen(section) == in_len &&
		    strncmp(in, section, in_len) == 0) {
			return true;
		}
	}
	return false;
}

static void
manual_page_has_every_option(void **state)
{
	char *page = source_file("daemon/rorod.conf.5.in");
	struct config_key_info key;

	(void)state;
	for (size_t i = 0; config_key(i, &key); i++) {
		const char *in = config_section(key.section).name;

		if (!has_item(page, in, key.name))
			fail_msg("the manual page has no '%s' (section '%s')",
			    key.name, in);
	}
	free(page);
}

static void
examples_of_the_manual_page_are_valid(void **state)
{
	static const char begin[] = "\n.Bd -literal -offset indent\n";
	char *page = source_file("daemon/rorod.conf.5.in");
	int n = 0;

	(void)state;
	for (char *p = strstr(page, begin), *end; p != NULL; p = end) {
		p += strlen(begin);
		end = strstr(p, ".Ed\n");
		assert_non_null(end);
		*end++ = '\0';
		config_free(parsed(p));
		n++;
		end = strstr(end, begin);
	}
	assert_int_equal(n, 4);
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proxy_is_read),
		cmocka_unit_test(relay_is_read),
		cmocka_unit_test(line_ends_and_blanks_do_not_matter),
		cmocka_unit_test(section_that_never_ends_is_an_error),
		cmocka_unit_test(option_given_twice_is_an_error),
		cmocka_unit_test(missing_value_does_not_take_the_next_word),
		cmocka_unit_test(number_out_of_range_is_an_error),
		cmocka_unit_test(variables_are_not_expanded),
		cmocka_unit_test(file_cannot_include_another),
		cmocka_unit_test(names_are_no_paths),
		cmocka_unit_test(unknown_option_is_an_error_with_its_line),
		cmocka_unit_test(
		    option_of_another_shape_is_an_error_with_its_line),
		cmocka_unit_test(text_out_of_place_is_an_error_with_its_line),
		cmocka_unit_test(nul_byte_is_an_error),
		cmocka_unit_test(nothing_is_an_error),
		cmocka_unit_test(error_is_cut_to_its_room),
		cmocka_unit_test(error_does_not_touch_the_next_file),
		cmocka_unit_test(file_is_read),
		cmocka_unit_test(error_in_a_file_names_it),
		cmocka_unit_test(what_is_no_file_is_named),
		cmocka_unit_test(large_file_is_refused),
		cmocka_unit_test(examples_are_valid_and_complete),
		cmocka_unit_test(example_of_two_relays_is_valid),
		cmocka_unit_test(manual_page_has_every_option),
		cmocka_unit_test(examples_of_the_manual_page_are_valid),
	};

	return cmocka_run_group_tests_name("conffile", tests, NULL, NULL);
}
