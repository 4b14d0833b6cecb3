/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/syn.h"

/* EF, ECN 2, from 10.77.1.2 to 10.77.3.2; then TCP, which is not looked at. */
static const uint8_t ipv4[] = {
	0x45, 0xba, 0x00, 0x28, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x00, 0x00,
	10, 77, 1, 2, 10, 77, 3, 2,
	0x9c, 0x40, 0x00, 0x50,
};

/* AF11, ECN 3, flow label 0xfffff, from fd77:1::2 to fd77:3::2. */
static const uint8_t ipv6[] = {
	0x62, 0xbf, 0xff, 0xff, 0x00, 0x14, 0x06, 0x40,
	0xfd, 0x77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	0xfd, 0x77, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	0x9c, 0x40, 0x00, 0x50,
};

/* In an allocation of just that size: a read past its end is seen. */
static int
dscp(const uint8_t *packet, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, packet, len);
	result = syn_dscp(copy, len);
	free(copy);
	return result;
}

static void
dscp_is_found_in_both_families(void **state)
{
	(void)state;
	assert_int_equal(dscp(ipv4, sizeof(ipv4)), 46);
	assert_int_equal(dscp(ipv6, sizeof(ipv6)), 10);
}

/* Each of the 64, whatever ECN is. */
static void
ecn_is_left_out(void **state)
{
	uint8_t four[sizeof(ipv4)], six[sizeof(ipv6)];

	(void)state;
	memcpy(four, ipv4, sizeof(four));
	memcpy(six, ipv6, sizeof(six));
	for (int octet = 0; octet < 256; octet++) {
		four[1] = (uint8_t)octet;
		six[0] = (uint8_t)(0x60 | octet >> 4);
		six[1] = (uint8_t)(octet << 4 | 0xf);
		assert_int_equal(dscp(four, sizeof(four)), octet / 4);
		assert_int_equal(dscp(six, sizeof(six)), octet / 4);
	}
}

static void
what_is_no_whole_header_has_none(void **state)
{
	uint8_t other[sizeof(ipv6)];

	(void)state;
	for (size_t n = 0; n < 20; n++)
		assert_int_equal(dscp(ipv4, n), -1);
	assert_int_equal(dscp(ipv4, 20), 46);
	for (size_t n = 0; n < 40; n++)
		assert_int_equal(dscp(ipv6, n), -1);
	assert_int_equal(dscp(ipv6, 40), 10);

	for (unsigned int version = 0; version < 16; version++) {
		if (version == 4 || version == 6)
			continue;
		memcpy(other, ipv6, sizeof(other));
		other[0] = (uint8_t)(version << 4 | 5);
		assert_int_equal(dscp(other, sizeof(other)), -1);
	}
}

static void
ipv4_options_belong_to_the_header(void **state)
{
	uint8_t long_one[60] = { 0 };

	(void)state;
	memcpy(long_one, ipv4, sizeof(ipv4));
	long_one[0] = 0x4f;
	assert_int_equal(dscp(long_one, 60), 46);
	assert_int_equal(dscp(long_one, 59), -1);
	long_one[0] = 0x44;	/* shorter than a header can be */
	assert_int_equal(dscp(long_one, 60), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dscp_is_found_in_both_families),
		cmocka_unit_test(ecn_is_left_out),
		cmocka_unit_test(what_is_no_whole_header_has_none),
		cmocka_unit_test(ipv4_options_belong_to_the_header),
	};

	return cmocka_run_group_tests_name("syn", tests, NULL, NULL);
}
