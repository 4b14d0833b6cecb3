/* SPDX-License-Identifier: ISC */
#include "instance.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

static char name[64];
static pid_t child;
static int word;			/* its pipe */

static int
setup(void **state)
{
	(void)state;
	snprintf(name, sizeof(name), "ro-ro-tcp test %ld", (long)getpid());
	child = 0;
	return 0;
}

static void
kill_child(void)
{
	if (child == 0)
		return;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(word);
	child = 0;
}

static int
teardown(void **state)
{
	(void)state;
	kill_child();
	return 0;
}

static void
be_child(int pipe_fd, uid_t uid)
{
	pid_t other;
	char result = 1;

	if ((uid == geteuid() || setuid(uid) == 0) &&
	    instance_claim(name, &other) >= 0)
		result = 0;
	if (write(pipe_fd, &result, 1) == 1)
		pause();
	_exit(1);
}

/* Another process of this user claims the name. */
static void
is_claimed_by(uid_t uid)
{
	int fds[2];
	char result;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0)
		be_child(fds[1], uid);
	close(fds[1]);
	word = fds[0];
	assert_int_equal(read(word, &result, 1), 1);
	assert_int_equal(result, 0);
}

static void
a_claim_lasts_until_it_is_closed(void **state)
{
	pid_t other = 0;
	int fd = instance_claim(name, &other);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(instance_claim(name, &other), -EADDRINUSE);
	assert_int_equal(other, getpid());
	close(fd);
	fd = instance_claim(name, &other);
	assert_true(fd >= 0);
	close(fd);
}

static void
a_claim_ends_with_a_process_that_is_killed(void **state)
{
	pid_t other = 0;
	int fd;

	(void)state;
	is_claimed_by(geteuid());
	assert_int_equal(instance_claim(name, &other), -EADDRINUSE);
	assert_int_equal(other, child);
	kill_child();
	fd = instance_claim(name, &other);
	assert_true(fd >= 0);
	close(fd);
}

static void
any_number_of_others_is_told(void **state)
{
	pid_t other = 0;
	int fd = instance_claim(name, &other);

	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(instance_claim(name, &other), -EADDRINUSE);
		if (i % 100 == 0)
			instance_answer(fd);
	}
	close(fd);
}

static void
that_of_a_stranger_does_not_count(void **state)
{
	pid_t other;

	(void)state;
	if (geteuid() != 0)
		skip();
	is_claimed_by(NOBODY);
	assert_int_equal(instance_claim(name, &other), -EPERM);
}

static void
a_name_that_is_too_long_is_an_error(void **state)
{
	static const char *const text = "0123456789" "0123456789" "0123456789"
	    "0123456789" "0123456789" "0123456789" "0123456789" "0123456789"
	    "0123456789" "0123456789" "0123456789";
	pid_t other;

	(void)state;
	assert_int_equal(instance_claim(text, &other), -ENAMETOOLONG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_claim_lasts_until_it_is_closed),
		TEST(a_claim_ends_with_a_process_that_is_killed),
		TEST(any_number_of_others_is_told),
		TEST(that_of_a_stranger_does_not_count),
		TEST(a_name_that_is_too_long_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
