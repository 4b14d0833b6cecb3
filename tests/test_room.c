/* SPDX-License-Identifier: ISC */
#include "core/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)

static struct room room;
static uint64_t now;

static int
setup(void **state)
{
	(void)state;
	now = 1000 * SECOND;
	room = (struct room){ 0 };
	return 0;
}

static bool
full(uint64_t sessions, uint64_t most)
{
	return room_is_full(&room, sessions, most, now);
}

static void
when_nearly_full_it_takes_more_only_with_room(void **state)
{
	(void)state;
	assert_false(full(94, 100));
	assert_true(full(95, 100));
	assert_true(full(80, 100));
	assert_false(full(79, 100));
	assert_false(full(94, 100));
}

static void
a_limit_that_is_not_known_is_none(void **state)
{
	(void)state;
	assert_false(full(0, 0));
	assert_false(full(1000000, 0));
}

static void
a_larger_limit_makes_room(void **state)
{
	(void)state;
	assert_true(full(100, 100));
	assert_false(full(100, 200));
	assert_true(full(100, 100));
	assert_false(full(100, 0));
}

/* How long it rests after a refusal, to the tenth of a second. */
static uint64_t
refuses(void)
{
	uint64_t since = now;

	room_refused(&room, now);
	while (full(0, 100)) {
		now += SECOND / 10;
		assert_true(now < since + 10 * ROOM_REST_MAX_US);
	}
	return now - since;
}

static void
it_rests_longer_each_time_that_it_refuses_soon_again(void **state)
{
	static const uint64_t seconds[] = { 2, 4, 8, 16, 32, 60, 60 };

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		assert_int_equal(refuses(), seconds[i] * SECOND);
		now += ROOM_SOON_US - SECOND;
	}
}

static void
what_was_on_its_way_changes_nothing(void **state)
{
	(void)state;
	room_refused(&room, now);
	now += SECOND;
	room_refused(&room, now);
	now += SECOND - 1;
	assert_true(full(0, 100));
	now++;
	assert_false(full(0, 100));
	assert_int_equal(refuses(), 4 * SECOND);
}

static void
after_it_took_some_for_long_it_rests_shortly(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		(void)refuses();
	now += ROOM_SOON_US;
	assert_int_equal(refuses(), ROOM_REST_MIN_US);
}

static void
it_rests_though_it_has_few_of_ours(void **state)
{
	(void)state;
	room_refused(&room, now);
	assert_true(full(0, 0));
	assert_true(full(1, 100));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(when_nearly_full_it_takes_more_only_with_room),
		TEST(a_limit_that_is_not_known_is_none),
		TEST(a_larger_limit_makes_room),
		TEST(it_rests_longer_each_time_that_it_refuses_soon_again),
		TEST(what_was_on_its_way_changes_nothing),
		TEST(after_it_took_some_for_long_it_rests_shortly),
		TEST(it_rests_though_it_has_few_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
