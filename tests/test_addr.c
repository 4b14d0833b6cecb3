/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>

#include <cmocka.h>

#include "core/addr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct addr
parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static struct addr_prefix
parsed_prefix(const char *text)
{
	struct addr_prefix prefix;

	assert_int_equal(addr_prefix_parse(&prefix, text), 0);
	return prefix;
}

static void
assert_text(const struct addr *a, const char *text)
{
	char buf[ADDR_TEXT_MAX];

	assert_ptr_equal(addr_format(a, buf), buf);
	assert_string_equal(buf, text);
}

/* ---- text ---- */

static void
address_is_written_with_its_port(void **state)
{
	static const struct {
		const char *in, *out;
	} texts[] = {
		{ "192.0.2.1:80", "192.0.2.1:80" },
		{ "192.0.2.1", "192.0.2.1:0" },
		{ "0.0.0.0:0", "0.0.0.0:0" },
		{ "255.255.255.255:65535", "255.255.255.255:65535" },
		{ "192.0.2.1:00080", "192.0.2.1:80" },
		{ "[2001:db8::1]:443", "[2001:db8::1]:443" },
		{ "[2001:DB8:0::1]:443", "[2001:db8::1]:443" },
		{ "[2001:db8::1]", "[2001:db8::1]:0" },
		{ "2001:db8::1", "[2001:db8::1]:0" },
		{ "2001:db8::1:443", "[2001:db8::1:443]:0" },
		{ "::", "[::]:0" },
		{ "[::1]:1", "[::1]:1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0" },
		{ "64:ff9b::192.0.2.1", "[64:ff9b::c000:201]:0" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct addr a = parsed(texts[i].in);

		assert_text(&a, texts[i].out);
	}
}

static void
no_address_is_a_dash(void **state)
{
	(void)state;
	assert_text(&(struct addr){ 0 }, "-");
}

static void
v4_mapped_text_is_held_as_ipv4(void **state)
{
	static const char *const texts[] = {
		"::ffff:192.0.2.1", "::FFFF:c000:201", "[::ffff:192.0.2.1]:0",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		a = parsed(texts[i]);
		assert_int_equal(a.family, 4);
		assert_text(&a, "192.0.2.1:0");
	}
	a = parsed("[::ffff:192.0.2.1]:8080");
	assert_text(&a, "192.0.2.1:8080");
}

static void
text_that_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {
		"", " ", ":", "::::", ":80", "[", "[]", "[]:80", "]",
		"localhost", "localhost:80", "example.com", "any", "*",
		"192.0.2", "192.0.2.256", "192.0.2.1.1", "192.0.2.01",
		"192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:99999999999999999",
		"192.0.2.1:-1", "192.0.2.1:+1", "192.0.2.1: 80",
		"192.0.2.1:80 ", " 192.0.2.1", "192.0.2.1 ", "192.0.2.1:http",
		"192.0.2.1/32", "0x7f.1", "127.1", "2130706433",
		"[192.0.2.1]:80", "[192.0.2.1]", "[2001:db8::1",
		"[2001:db8::1]:", "[2001:db8::1]80", "[2001:db8::1]:65536",
		"[[2001:db8::1]]", "[2001:db8::1]]:1", "2001:db8::1]",
		"2001:db8::1::", "2001:db8::12345", "fe80::1%lo",
		"[fe80::1%lo]:80", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.255.255.255",
	};
	struct addr a = { .port = 77 };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(addr_parse(&a, texts[i]), -EINVAL);
		assert_int_equal(a.port, 77);
	}
}

/* ---- socket addresses ---- */

static void
socket_address_and_back_is_the_same(void **state)
{
	static const struct {
		const char *text;
		bool mapped;
		int family;
		size_t len;
	} addrs[] = {
		{ "192.0.2.1:80", false, AF_INET, sizeof(struct sockaddr_in) },
		{ "192.0.2.1:80", true, AF_INET6, sizeof(struct sockaddr_in6) },
		{ "[2001:db8::1]:443", false, AF_INET6,
		    sizeof(struct sockaddr_in6) },
		{ "[2001:db8::1]:443", true, AF_INET6,
		    sizeof(struct sockaddr_in6) },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(addrs); i++) {
		struct addr a = parsed(addrs[i].text), back;
		struct sockaddr_storage ss;
		size_t len;

		memset(&ss, 0xee, sizeof(ss));
		len = addr_to_sockaddr(&a, addrs[i].mapped, &ss);
		assert_int_equal(len, addrs[i].len);
		assert_int_equal(ss.ss_family, addrs[i].family);
		assert_int_equal(addr_from_sockaddr(&back,
		    (const struct sockaddr *)&ss, len), 0);
		assert_true(addr_equal(&a, &back));
	}
}

static void
socket_address_holds_what_the_kernel_expects(void **state)
{
	struct addr a = parsed("192.0.2.1:258");
	struct sockaddr_storage ss;
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	(void)state;
	(void)addr_to_sockaddr(&a, false, &ss);
	memcpy(&sin, &ss, sizeof(sin));
	assert_memory_equal(&sin.sin_addr, "\xc0\x00\x02\x01", 4);
	assert_memory_equal(&sin.sin_port, "\x01\x02", 2);

	(void)addr_to_sockaddr(&a, true, &ss);
	memcpy(&sin6, &ss, sizeof(sin6));
	assert_memory_equal(&sin6.sin6_addr,
	    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16);
	assert_memory_equal(&sin6.sin6_port, "\x01\x02", 2);
	assert_int_equal(sin6.sin6_flowinfo, 0);
	assert_int_equal(sin6.sin6_scope_id, 0);
}

static void
other_and_short_socket_addresses_are_refused(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct addr a;

	(void)state;
	assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&sun,
	    sizeof(sun)), -EAFNOSUPPORT);
	for (size_t n = 0; n < sizeof(sin); n++)
		assert_int_equal(addr_from_sockaddr(&a,
		    (struct sockaddr *)&sin, n), -EAFNOSUPPORT);
	for (size_t n = 0; n < sizeof(sin6); n++)
		assert_int_equal(addr_from_sockaddr(&a,
		    (struct sockaddr *)&sin6, n), -EAFNOSUPPORT);
	assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&sin,
	    sizeof(sin)), 0);
	assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&sin6,
	    sizeof(sin6)), 0);
}

static void
socket_address_need_not_be_aligned(void **state)
{
	struct addr a = parsed("[2001:db8::1]:443"), back;
	struct sockaddr_storage ss;
	uint8_t *odd = malloc(sizeof(ss) + 1);
	size_t len = addr_to_sockaddr(&a, false, &ss);

	(void)state;
	assert_non_null(odd);
	memcpy(odd + 1, &ss, len);
	assert_int_equal(addr_from_sockaddr(&back, (void *)(odd + 1), len), 0);
	assert_true(addr_equal(&a, &back));
	free(odd);
}

/* ---- prefixes ---- */

static void
prefix_is_read_with_its_length(void **state)
{
	static const struct {
		const char *text;
		uint8_t family, length;
	} prefixes[] = {
		{ "10.0.0.0/8", 4, 8 },
		{ "0.0.0.0/0", 4, 0 },
		{ "192.0.2.1", 4, 32 },
		{ "192.0.2.1/32", 4, 32 },
		{ "192.0.2.128/25", 4, 25 },
		{ "2001:db8::/32", 6, 32 },
		{ "::/0", 6, 0 },
		{ "2001:db8::1", 6, 128 },
		{ "fe80::/10", 6, 10 },
		{ "::/96", 6, 96 },
		{ "::ffff:10.0.0.0/104", 4, 8 },
		{ "::ffff:0:0/96", 4, 0 },
		{ "::ffff:192.0.2.1", 4, 32 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		struct addr_prefix prefix = parsed_prefix(prefixes[i].text);

		assert_int_equal(prefix.family, prefixes[i].family);
		assert_int_equal(prefix.length, prefixes[i].length);
	}
}

static void
text_that_is_no_prefix_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "/", "/8", "any", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/8 ", "10.0.0.0/8/8",
		"10.0.0.0/255.0.0.0", "10.0.0.0/4294967304", "10/8",
		"10.0.0.0:80", "[2001:db8::]/32", "2001:db8::/129",
		"2001:db8::/x", "example.com/24", "::/", "fe80::%lo/64",
	};
	struct addr_prefix prefix = { .length = 77 };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(addr_prefix_parse(&prefix, texts[i]),
		    -EINVAL);
		assert_int_equal(prefix.length, 77);
	}
}

static void
prefix_with_bits_beyond_its_length_is_refused(void **state)
{
	static const char *const texts[] = {
		"10.0.0.1/8", "10.128.0.0/8", "192.0.2.1/31", "0.0.0.1/0",
		"128.0.0.0/0", "192.0.2.128/24", "2001:db8::1/32",
		"2001:db8::1/127", "8000::/0", "fe80::/8", "::ffff:0:1/96",
		"::1/96",
	};
	struct addr_prefix prefix;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(addr_prefix_parse(&prefix, texts[i]),
		    -EINVAL);
}

static void
prefix_holds_its_addresses_and_no_others(void **state)
{
	static const struct {
		const char *prefix, *address;
		bool holds;
	} pairs[] = {
		{ "10.0.0.0/8", "10.0.0.0", true },
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "9.255.255.255", false },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "172.16.0.0/12", "172.16.0.0", true },
		{ "172.16.0.0/12", "172.31.255.255", true },
		{ "172.16.0.0/12", "172.15.255.255", false },
		{ "172.16.0.0/12", "172.32.0.0", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.0", false },
		{ "192.0.2.0/31", "192.0.2.1", true },
		{ "192.0.2.0/31", "192.0.2.2", false },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::", false },
		{ "::/0", "0.0.0.0", false },
		{ "::/0", "ffff::", true },
		{ "fe80::/10", "febf:ffff::", true },
		{ "fe80::/10", "fec0::", false },
		{ "2001:db8::/33", "2001:db8:7fff::", true },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "2001:db8::1", "2001:db8::1", true },
		{ "2001:db8::1", "2001:db8::2", false },
		{ "2001:db8::/127", "2001:db8::1", true },
		{ "2001:db8::/127", "2001:db8::2", false },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", true },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "10.0.0.0/8", "a00::", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct addr_prefix prefix = parsed_prefix(pairs[i].prefix);
		struct addr a = parsed(pairs[i].address);

		assert_int_equal(addr_prefix_holds(&prefix, &a),
		    pairs[i].holds);
	}
}

static void
no_prefix_holds_no_address(void **state)
{
	const struct addr none = { 0 };
	struct addr_prefix all4 = parsed_prefix("0.0.0.0/0");
	struct addr_prefix all6 = parsed_prefix("::/0");

	(void)state;
	assert_false(addr_prefix_holds(&all4, &none));
	assert_false(addr_prefix_holds(&all6, &none));
	assert_false(addr_prefix_holds(&(struct addr_prefix){ 0 }, &none));
}

/* ---- comparison ---- */

static void
equal_is_family_address_and_port(void **state)
{
	struct addr a = parsed("192.0.2.1:80"), same = parsed("192.0.2.1:80");
	struct addr port = parsed("192.0.2.1:81");
	struct addr host = parsed("192.0.2.2:80");
	struct addr six = parsed("[c000:201::]:80");
	struct addr six2 = parsed("[c000:201::1]:80");

	(void)state;
	assert_true(addr_equal(&a, &same));
	assert_false(addr_equal(&a, &port));
	assert_false(addr_equal(&a, &host));
	assert_false(addr_equal(&a, &six));
	assert_false(addr_equal(&six, &six2));
	assert_true(addr_same_host(&a, &port));
	assert_false(addr_same_host(&a, &host));
	assert_false(addr_same_host(&a, &six));
	assert_true(addr_equal(&(struct addr){ 0 }, &(struct addr){ 0 }));
	assert_false(addr_equal(&(struct addr){ 0 }, &a));

	memset(same.ip + 4, 0xee, sizeof(same.ip) - 4);
	assert_true(addr_equal(&a, &same));	/* bytes that are not used */
}

static void
any_is_all_zero_bits(void **state)
{
	static const struct {
		const char *text;
		bool any;
	} texts[] = {
		{ "0.0.0.0:80", true }, { "[::]:80", true }, { "::", true },
		{ "0.0.0.1:80", false }, { "1.0.0.0", false },
		{ "::1", false }, { "8000::", false },
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		a = parsed(texts[i].text);
		assert_int_equal(addr_is_any(&a), texts[i].any);
	}
	a = parsed("0.0.0.0");
	memset(a.ip + 4, 0xee, sizeof(a.ip) - 4);
	assert_true(addr_is_any(&a));
	assert_false(addr_is_any(&(struct addr){ 0 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_is_written_with_its_port),
		cmocka_unit_test(no_address_is_a_dash),
		cmocka_unit_test(v4_mapped_text_is_held_as_ipv4),
		cmocka_unit_test(text_that_is_no_address_is_refused),
		cmocka_unit_test(socket_address_and_back_is_the_same),
		cmocka_unit_test(socket_address_holds_what_the_kernel_expects),
		cmocka_unit_test(other_and_short_socket_addresses_are_refused),
		cmocka_unit_test(socket_address_need_not_be_aligned),
		cmocka_unit_test(prefix_is_read_with_its_length),
		cmocka_unit_test(text_that_is_no_prefix_is_refused),
		cmocka_unit_test(prefix_with_bits_beyond_its_length_is_refused),
		cmocka_unit_test(prefix_holds_its_addresses_and_no_others),
		cmocka_unit_test(no_prefix_holds_no_address),
		cmocka_unit_test(equal_is_family_address_and_port),
		cmocka_unit_test(any_is_all_zero_bits),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
