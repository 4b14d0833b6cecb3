/* SPDX-License-Identifier: ISC */
/*
 * Names here are what the tests make of them: getaddrinfo() is replaced.
 */
#include "net/resolver.h"

#include "loopback.h"

#include <netdb.h>
#include <string.h>

#include "net/resolve.h"

static int gate[2];			/* "slow" waits for a byte of it */
static int entered[2];			/* and says when it does */

int __real_getaddrinfo(const char *, const char *, const struct addrinfo *,
    struct addrinfo **);
int __wrap_getaddrinfo(const char *, const char *, const struct addrinfo *,
    struct addrinfo **);

int
__wrap_getaddrinfo(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **list)
{
	char byte = 0;

	if (strcmp(host, "nobody") == 0)
		return EAI_NONAME;
	if (strcmp(host, "slow") != 0)
		return __real_getaddrinfo(host, service, hints, list);
	if (write(entered[1], &byte, 1) != 1 || read(gate[0], &byte, 1) != 1)
		return EAI_FAIL;
	return __real_getaddrinfo("127.0.0.7", service, hints, list);
}

static void
wait_until_asked(void)
{
	char byte;

	assert_int_equal(read(entered[0], &byte, 1), 1);
}

static void
let_slow_go(void)
{
	assert_int_equal(write(gate[1], "", 1), 1);
}

static int answers, last_error;
static size_t last_n;
static struct addr last[RESOLVER_MAX];

static void
on_answer(void *user, int error, const struct addr *addrs, size_t n)
{
	assert_ptr_equal(user, &answers);
	answers++;
	last_error = error;
	last_n = n;
	memcpy(last, addrs, n * sizeof(*last));
}

static struct resolver *
ask(const char *host)
{
	return resolver_start(loop, host, 1093, on_answer, &answers);
}

static int
setup(void **state)
{
	answers = 0;
	return pipe(gate) != 0 || pipe(entered) != 0 || loop_setup(state);
}

static int
teardown(void **state)
{
	close(gate[0]);
	close(gate[1]);
	close(entered[0]);
	close(entered[1]);
	return loop_teardown(state);
}

static void
a_name_becomes_its_addresses(void **state)
{
	struct addr a;

	(void)state;
	assert_true(resolve_numeric("127.0.0.9", 1093, &a));
	assert_non_null(ask("127.0.0.9"));
	assert_true(run_until(&answers, 1));
	assert_int_equal(last_error, 0);
	assert_int_equal(last_n, 1);
	assert_true(addr_equal(&last[0], &a));
	assert_int_equal(last[0].port, 1093);
}

static void
why_there_is_none_is_told(void **state)
{
	(void)state;
	assert_non_null(ask("nobody"));
	assert_true(run_until(&answers, 1));
	assert_int_equal(last_error, EAI_NONAME);
	assert_int_equal(last_n, 0);
}

static void
the_loop_goes_on_meanwhile(void **state)
{
	(void)state;
	assert_non_null(ask("slow"));
	wait_until_asked();
	assert_non_null(ask("nobody"));
	assert_true(run_until(&answers, 1));
	assert_int_equal(last_error, EAI_NONAME);
	assert_false(run_for(.05, &answers, 2));
	let_slow_go();
	assert_true(run_until(&answers, 2));
	assert_int_equal(last_error, 0);
	assert_int_equal(last[0].ip[3], 7);
}

/* A later one that gets the same descriptor has its own answer. */
static void
one_that_is_cancelled_says_nothing(void **state)
{
	struct resolver *first;

	(void)state;
	assert_non_null(first = ask("slow"));
	wait_until_asked();
	resolver_cancel(first);
	assert_non_null(ask("slow"));
	wait_until_asked();
	let_slow_go();
	let_slow_go();
	assert_true(run_until(&answers, 1));
	assert_int_equal(last_error, 0);
	assert_false(run_for(.05, &answers, 2));
}

static void
only_what_is_written_as_an_address_is_numeric(void **state)
{
	struct addr a;

	(void)state;
	assert_true(resolve_numeric("::1", 1093, &a));
	assert_int_equal(a.family, 6);
	assert_int_equal(a.port, 1093);
	assert_false(resolve_numeric("localhost", 1093, &a));
	assert_false(resolve_numeric("nobody", 1093, &a));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_becomes_its_addresses),
		TEST(why_there_is_none_is_told),
		TEST(the_loop_goes_on_meanwhile),
		TEST(one_that_is_cancelled_says_nothing),
		TEST(only_what_is_written_as_an_address_is_numeric),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
