/* SPDX-License-Identifier: ISC */
#include "greet.h"

#include "loopback.h"

static int words;
static int got_fd, got_error;
static uint32_t got_word;

static void
on_word(void *user, int fd, uint32_t word, int error)
{
	(void)user;
	got_fd = fd;
	got_word = word;
	got_error = error;
	words++;
}

static struct greet *
start(int fd, uint32_t timeout_ms)
{
	words = 0;
	return greet_start(fd, &(struct greet_options){
		.loop = loop, .timeout_ms = timeout_ms, .extended = true,
		.on_word = on_word,
	});
}

static void
a_number_is_taken_and_no_more(void **state)
{
	char rest[8];
	int fds[2];

	(void)state;
	tcp_pair(fds);
	assert_non_null(start(fds[1], 10000));
	assert_int_equal(greet_send(fds[0], 0x01020304), 0);
	assert_int_equal(write(fds[0], "rest", 4), 4);
	assert_true(run_until(&words, 1));
	assert_int_equal(got_fd, fds[1]);
	assert_int_equal(got_word, 0x01020304);
	assert_int_equal(read_once(fds[1], rest, sizeof(rest)), 4);
	close(fds[0]);
	close(fds[1]);
}

static void
the_magic_is_left_for_others(void **state)
{
	uint8_t bytes[4];
	int fds[2];

	(void)state;
	tcp_pair(fds);
	assert_non_null(start(fds[1], 10000));
	assert_int_equal(greet_send(fds[0], WIRE_MAGIC), 0);
	assert_true(run_until(&words, 1));
	assert_int_equal(got_word, WIRE_MAGIC);
	assert_int_equal(read_once(got_fd, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "\xff\xff\xff\xff", 4);
	close(fds[0]);
	close(got_fd);
}

static void
the_first_byte_tells(void **state)
{
	int fds[2];

	(void)state;
	tcp_pair(fds);
	assert_non_null(start(fds[1], 10000));
	assert_int_equal(write(fds[0], "\xff", 1), 1);
	assert_true(run_until(&words, 1));
	assert_int_equal(got_word, WIRE_MAGIC);
	close(fds[0]);
	close(got_fd);
}

static void
another_relay_may_give_any_number(void **state)
{
	int fds[2];

	(void)state;
	tcp_pair(fds);
	words = 0;
	assert_non_null(greet_start(fds[1], &(struct greet_options){
	    .loop = loop, .timeout_ms = 10000, .on_word = on_word }));
	assert_int_equal(greet_send(fds[0], 0xff000001), 0);
	assert_true(run_until(&words, 1));
	assert_int_equal(got_word, 0xff000001);
	close(fds[0]);
	close(got_fd);
}

static void
a_word_may_come_in_parts(void **state)
{
	int fds[2];

	(void)state;
	tcp_pair(fds);
	assert_non_null(start(fds[1], 10000));
	assert_int_equal(write(fds[0], "\0\0", 2), 2);
	assert_false(run_for(.1, &words, 1));
	assert_int_equal(write(fds[0], "\1\2", 2), 2);
	assert_true(run_until(&words, 1));
	assert_int_equal(got_word, 0x0102);
	close(fds[0]);
	close(got_fd);
}

static void
whoever_says_nothing_is_ended(void **state)
{
	char byte;
	int fds[2];

	(void)state;
	tcp_pair(fds);
	assert_non_null(start(fds[1], 50));
	assert_int_equal(write(fds[0], "\0", 1), 1);
	assert_true(run_until(&words, 1));
	assert_int_equal(got_fd, -1);
	assert_int_equal(got_error, -ETIMEDOUT);
	assert_int_equal(read_once(fds[0], &byte, 1), -ECONNRESET);
	close(fds[0]);
}

static void
whoever_goes_is_told_of(void **state)
{
	int fds[2];

	(void)state;
	tcp_pair(fds);
	assert_non_null(start(fds[1], 10000));
	close(fds[0]);
	assert_true(run_until(&words, 1));
	assert_int_equal(got_fd, -1);
	assert_int_equal(got_error, 0);
}

static void
a_cancelled_one_says_nothing(void **state)
{
	char byte;
	int fds[2];

	(void)state;
	tcp_pair(fds);
	struct greet *g = start(fds[1], 10);
	assert_int_equal(greet_send(fds[0], 1), 0);
	greet_cancel(g);
	greet_cancel(NULL);
	assert_false(run_for(.1, &words, 1));
	assert_int_equal(read_once(fds[0], &byte, 1), -ECONNRESET);
	close(fds[0]);
}

static int
take(const void *bytes, size_t len, uint32_t *word)
{
	int fds[2], fd;

	tcp_pair(fds);
	words = 0;
	struct greet *g = greet_start(fds[1], &(struct greet_options){
	    .loop = loop, .timeout_ms = 10, .on_word = on_word });
	assert_non_null(g);
	assert_int_equal(write(fds[0], bytes, len), (ssize_t)len);
	fd = greet_take(g, word);
	assert_false(run_for(.1, &words, 1));
	close(fds[0]);
	return fd;
}

static void
what_is_there_can_be_taken(void **state)
{
	uint32_t word;
	char byte;
	int fd;

	(void)state;
	fd = take("\0\0\0\7x", 5, &word);
	assert_int_not_equal(fd, -1);
	assert_int_equal(word, 7);
	assert_int_equal(read_once(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(fd);
	assert_int_equal(take("\0\0\0", 3, &word), -1);
	assert_int_equal(take("", 0, &word), -1);
	assert_int_equal(greet_take(NULL, &word), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_number_is_taken_and_no_more,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(the_magic_is_left_for_others,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(the_first_byte_tells,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(
		    another_relay_may_give_any_number,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(a_word_may_come_in_parts,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(whoever_says_nothing_is_ended,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(whoever_goes_is_told_of,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(a_cancelled_one_says_nothing,
		    loop_setup, loop_teardown),
		cmocka_unit_test_setup_teardown(what_is_there_can_be_taken,
		    loop_setup, loop_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
