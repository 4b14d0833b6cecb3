/* SPDX-License-Identifier: ISC */
#include "core/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void
each_request_is_known(void **state)
{
	static const struct {
		const char *line;
		enum request_kind kind;
		const char *prefix;
	} lines[] = {
		{ "status", REQUEST_STATUS, NULL },
		{ "  status  ", REQUEST_STATUS, NULL },
		{ "bypass list", REQUEST_BYPASS_LIST, NULL },
		{ "bypass add 192.0.2.0/24", REQUEST_BYPASS_ADD,
		    "192.0.2.0/24" },
		{ "bypass   del 2001:db8::/32", REQUEST_BYPASS_DEL,
		    "2001:db8::/32" },
		{ "bypass add 192.0.2.1", REQUEST_BYPASS_ADD, "192.0.2.1/32" },
		{ "bypass add "
		    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
		    REQUEST_BYPASS_ADD,
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
		{ "intercept on", REQUEST_INTERCEPT_ON, NULL },
		{ "intercept off", REQUEST_INTERCEPT_OFF, NULL },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(lines); i++) {
		char text[ADDR_PREFIX_TEXT_MAX];
		struct request r;

		assert_null(request_parse(&r, lines[i].line,
		    strlen(lines[i].line)));
		assert_int_equal(r.kind, lines[i].kind);
		if (lines[i].prefix != NULL)
			assert_string_equal(addr_prefix_format(&r.prefix, text),
			    lines[i].prefix);
		else
			assert_int_equal(r.prefix.family, 0);
	}
}

static void
what_is_none_is_refused(void **state)
{
	static const char *const lines[] = {
		"", " ", "Status", "statu", "statuss", "status\r", "status x",
		"\tstatus", "bypass", "bypass add", "bypass list 10.0.0.0/8",
		"bypass add 10.0.0.0/8 10.0.0.0/8", "bypass add 10.0.0.1/8",
		"bypass add 10.0.0.0/33", "bypass add example.org",
		"bypass del /", "intercept", "intercept auto",
		"intercept on off", "a b c d e f g",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(lines); i++) {
		struct request r;

		assert_non_null(request_parse(&r, lines[i], strlen(lines[i])));
	}
}

static void
bytes_that_are_no_text_are_refused(void **state)
{
	static const char zero[] = "status\0";
	static const char prefix[] = "bypass add 10.0.0.0/8\0x";
	char line[REQUEST_MAX];
	struct request r;

	(void)state;
	assert_non_null(request_parse(&r, zero, sizeof(zero)));
	assert_non_null(request_parse(&r, prefix, sizeof(prefix) - 1));
	for (int byte = 0; byte < 256; byte++) {
		memset(line, byte, sizeof(line));
		assert_non_null(request_parse(&r, line, sizeof(line)));
	}
	memset(line, '1', sizeof(line));
	memcpy(line, "bypass add ", strlen("bypass add "));
	assert_non_null(request_parse(&r, line, sizeof(line)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_known),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
