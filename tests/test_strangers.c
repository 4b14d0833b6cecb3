/* SPDX-License-Identifier: ISC */
#include "strangers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 1000

struct fixture {
	struct strangers *strangers;
	struct stranger all[MOST];
	size_t n;
	uint64_t random;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->strangers = strangers_new(SIZE_MAX, 1);
	assert_non_null(f->strangers);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	strangers_free(f->strangers);
	free(f);
	return 0;
}

static struct addr
source4(unsigned int n)
{
	return (struct addr){ .family = 4, .ip = { 10, 0, (uint8_t)(n >> 8),
		(uint8_t)n } };
}

/* Different addresses of the n-th network. */
static struct addr
source6(unsigned int n, uint8_t host)
{
	return (struct addr){ .family = 6, .ip = { 0x20, 0x01,
		[7] = (uint8_t)n, [15] = host } };
}

static struct stranger *
add(struct fixture *f, struct addr source)
{
	struct stranger *s = &f->all[f->n++];

	assert_true(f->n <= MOST);
	assert_int_equal(strangers_add(f->strangers, s, &source), 0);
	return s;
}

static struct stranger *
victim(struct fixture *f, struct addr source)
{
	return strangers_victim(f->strangers, &source, ++f->random);
}

static void
nobody_goes_while_there_is_room(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < STRANGERS_MAX; i++) {
		assert_null(victim(f, source4(i / STRANGERS_OF_ONE)));
		add(f, source4(i / STRANGERS_OF_ONE));
	}
	assert_int_equal(strangers_count(f->strangers), STRANGERS_MAX);
	assert_non_null(victim(f, source4(9999)));
	strangers_remove(f->strangers, &f->all[7]);
	assert_null(victim(f, source4(9999)));
}

static void
there_may_be_room_for_fewer(void **state)
{
	struct fixture *f = *state;

	strangers_free(f->strangers);
	f->strangers = strangers_new(50, 1);
	assert_non_null(f->strangers);
	for (unsigned int i = 0; i < 50; i++) {
		assert_null(victim(f, source4(i)));
		add(f, source4(i));
	}
	assert_non_null(victim(f, source4(9999)));
}

static void
one_source_makes_room_for_itself(void **state)
{
	struct fixture *f = *state;

	add(f, source4(1));
	for (int i = 0; i < STRANGERS_OF_ONE; i++)
		add(f, source4(2));
	add(f, source4(3));
	for (int i = 0; i < 1000; i++)
		assert_int_equal(victim(f, source4(2))->source.ip[3], 2);
	assert_null(victim(f, source4(1)));
}

static void
a_network_is_one_source(void **state)
{
	struct fixture *f = *state;

	for (uint8_t i = 0; i < STRANGERS_OF_ONE; i++) {
		assert_null(victim(f, source6(1, i)));
		add(f, source6(1, i));
		add(f, source6(2, i));
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(victim(f, source6(1, 200))->source.ip[7], 1);
}

static void
the_largest_source_goes_first(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < STRANGERS_MAX - 3; i++)
		add(f, source4(i));
	for (int i = 0; i < 3; i++)
		add(f, source4(5));
	for (int i = 0; i < 100; i++)
		assert_int_equal(victim(f, source4(9999))->source.ip[3], 5);
}

static void
who_was_answered_goes_last(void **state)
{
	struct fixture *f = *state;
	struct stranger *alone;

	for (unsigned int i = 0; i < STRANGERS_MAX - 1; i++)
		add(f, source4(i / STRANGERS_OF_ONE))->answered = true;
	alone = add(f, source4(100));
	assert_ptr_equal(victim(f, source4(9999)), alone);
	assert_int_equal(victim(f, source4(3))->source.ip[3], 3);
	/* But they do go: else a few would keep out everybody. */
	alone->answered = true;
	assert_ptr_not_equal(victim(f, source4(9999)), alone);
}

static void
equals_have_the_same_chance(void **state)
{
	struct fixture *f = *state;
	static unsigned int chosen[STRANGERS_MAX];

	for (unsigned int i = 0; i < STRANGERS_MAX; i++)
		add(f, source4(i));
	for (unsigned int i = 0; i < 100 * STRANGERS_MAX; i++)
		chosen[victim(f, source4(9999)) - f->all]++;
	for (unsigned int i = 0; i < STRANGERS_MAX; i++)
		assert_in_range(chosen[i], 50, 160);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nobody_goes_while_there_is_room),
		TEST(there_may_be_room_for_fewer),
		TEST(one_source_makes_room_for_itself),
		TEST(a_network_is_one_source),
		TEST(the_largest_source_goes_first),
		TEST(who_was_answered_goes_last),
		TEST(equals_have_the_same_chance),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
