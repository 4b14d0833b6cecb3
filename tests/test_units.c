/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "core/units.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
number_is_read_in_its_unit(void **state)
{
	static const struct {
		enum units kind;
		const char *text;
		uint64_t n;
	} texts[] = {
		{ UNITS_NONE, "0", 0 },
		{ UNITS_NONE, "12", 12 },
		{ UNITS_NONE, "0x10", 16 },
		{ UNITS_NONE, "0XfF", 255 },
		{ UNITS_NONE, "18446744073709551615", UINT64_MAX },
		{ UNITS_NONE, "0xffffffffffffffff", UINT64_MAX },
		{ UNITS_RATE, "64000", 64000 },
		{ UNITS_RATE, "9600bit", 9600 },
		{ UNITS_RATE, "512kbit", 512000 },
		{ UNITS_RATE, "20Mbit", 20000000 },
		{ UNITS_RATE, "20mbit", 20000000 },
		{ UNITS_RATE, "1.5Mbit", 1500000 },
		{ UNITS_RATE, "1Gbit", 1000000000 },
		{ UNITS_RATE, "1Tbit", 1000000000000 },
		{ UNITS_TIME, "0", 0 },
		{ UNITS_TIME, "600ms", 600 },
		{ UNITS_TIME, "30s", 30000 },
		{ UNITS_TIME, "0.25s", 250 },
		{ UNITS_TIME, "2min", 120000 },
		{ UNITS_TIME, "1h", 3600000 },
		{ UNITS_SIZE, "4096", 4096 },
		{ UNITS_SIZE, "4096B", 4096 },
		{ UNITS_SIZE, "64KiB", 65536 },
		{ UNITS_SIZE, "4MiB", 4194304 },
		{ UNITS_SIZE, "0.5GiB", 536870912 },
		{ UNITS_SIZE, "1TiB", 1099511627776 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		uint64_t n = 1;

		assert_int_equal(units_parse(&n, texts[i].kind, texts[i].text),
		    0);
		assert_int_equal(n, texts[i].n);
	}
}

static void
text_that_is_no_number_of_the_kind_is_refused(void **state)
{
	static const struct {
		enum units kind;
		const char *text;
	} texts[] = {
		{ UNITS_NONE, "" },
		{ UNITS_NONE, "-1" },
		{ UNITS_NONE, "+1" },
		{ UNITS_NONE, " 1" },
		{ UNITS_NONE, "1 " },
		{ UNITS_NONE, "1.0" },
		{ UNITS_NONE, "0x" },
		{ UNITS_NONE, "1e3" },
		{ UNITS_NONE, "1s" },
		{ UNITS_RATE, "Mbit" },
		{ UNITS_RATE, "20M" },
		{ UNITS_RATE, "20Mbits" },
		{ UNITS_RATE, "20 Mbit" },
		{ UNITS_RATE, "0x10" },
		{ UNITS_RATE, ".5Mbit" },
		{ UNITS_RATE, "5.Mbit" },
		{ UNITS_TIME, "30" },
		{ UNITS_TIME, "30m" },
		{ UNITS_TIME, "30sec" },
		{ UNITS_SIZE, "4MB" },
		{ UNITS_SIZE, "4Mi" },
		{ UNITS_SIZE, "4Mbit" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		uint64_t n = 1;

		assert_int_equal(units_parse(&n, texts[i].kind, texts[i].text),
		    -EINVAL);
		assert_int_equal(n, 1);
	}
}

static void
number_that_is_not_whole_or_too_large_is_refused(void **state)
{
	static const struct {
		enum units kind;
		const char *text;
	} texts[] = {
		{ UNITS_NONE, "18446744073709551616" },
		{ UNITS_NONE, "0x10000000000000000" },
		{ UNITS_RATE, "99999999999Tbit" },
		{ UNITS_RATE, "0.5bit" },
		{ UNITS_TIME, "0.0001s" },
		{ UNITS_TIME, "0.00000000000000000000000000000000000001h" },
		{ UNITS_SIZE, "17000000TiB" },
		{ UNITS_SIZE, "1.1KiB" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		uint64_t n = 1;

		assert_int_equal(units_parse(&n, texts[i].kind, texts[i].text),
		    -ERANGE);
		assert_int_equal(n, 1);
	}
}

static void
number_is_written_in_the_largest_unit_that_fits(void **state)
{
	static const struct {
		enum units kind;
		uint64_t n;
		const char *text;
	} texts[] = {
		{ UNITS_NONE, 0, "0" },
		{ UNITS_NONE, UINT64_MAX, "18446744073709551615" },
		{ UNITS_RATE, 0, "0" },
		{ UNITS_RATE, 1500000, "1500kbit" },
		{ UNITS_RATE, 20000000, "20Mbit" },
		{ UNITS_TIME, 600, "600ms" },
		{ UNITS_TIME, 90000, "90s" },
		{ UNITS_TIME, 3600000, "1h" },
		{ UNITS_SIZE, 4095, "4095B" },
		{ UNITS_SIZE, 4194304, "4MiB" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		char text[UNITS_TEXT_MAX];
		uint64_t n;

		assert_ptr_equal(units_format(text, texts[i].kind, texts[i].n),
		    text);
		assert_string_equal(text, texts[i].text);
		assert_int_equal(units_parse(&n, texts[i].kind, text), 0);
		assert_int_equal(n, texts[i].n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_is_read_in_its_unit),
		cmocka_unit_test(text_that_is_no_number_of_the_kind_is_refused),
		cmocka_unit_test(
		    number_that_is_not_whole_or_too_large_is_refused),
		cmocka_unit_test(
		    number_is_written_in_the_largest_unit_that_fits),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
