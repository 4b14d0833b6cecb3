/* SPDX-License-Identifier: ISC */
#include "core/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS UINT64_C(1000)
#define SECOND (1000 * MS)
#define STEP (100 * MS)
#define RTT (200 * MS)

struct fixture {
	struct share share;
	uint64_t now, all;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->now = SECOND;
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	free(*state);
	return 0;
}

/* So long it brings `mine` of `all` bytes a second.
 * How often was there news? */
static unsigned int
pass(struct fixture *f, uint64_t us, bool loaded, uint64_t mine, uint64_t all)
{
	unsigned int news = 0;

	for (uint64_t end = f->now + us; f->now < end;) {
		f->now += STEP;
		f->all += all * STEP / SECOND;
		share_add(&f->share, mine * STEP / SECOND, 0, 0, f->now);
		news += share_look(&f->share, loaded, f->all, RTT, f->now);
	}
	return news;
}

static void
one_that_brings_little_is_poor(void **state)
{
	struct fixture *f = *state;

	/* (The first of them is more than nothing before it.) */
	assert_int_equal(pass(f, 4 * SECOND, true, 90000, 1000000), 0);
	assert_false(share_is_poor(&f->share));
	assert_int_equal(pass(f, SECOND, true, 90000, 1000000), 1);
	assert_true(share_is_poor(&f->share));
}

static void
one_that_brings_a_tenth_is_not(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pass(f, 60 * SECOND, true, 110000, 1000000), 0);
	assert_false(share_is_poor(&f->share));
}

static void
one_that_had_little_to_send_is_not(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pass(f, 60 * SECOND, false, 100, 1000000), 0);
	assert_false(share_is_poor(&f->share));
}

static void
one_that_begins_slowly_is_not(void **state)
{
	struct fixture *f = *state;

	for (uint64_t mine = 2000; mine < 128000; mine *= 2)
		assert_int_equal(pass(f, SECOND, true, mine, 1000000), 0);
	assert_false(share_is_poor(&f->share));
}

/* Small numbers go up and down. */
static void
up_and_down_is_not_up(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		pass(f, SECOND, true, 2000, 1000000);
		pass(f, SECOND, true, 6000, 1000000);
	}
	assert_true(share_is_poor(&f->share));
}

static void
it_is_tried_again_less_and_less_often(void **state)
{
	struct fixture *f = *state;
	uint64_t wait = SHARE_WAIT_US;

	for (int i = 0; i < 4; i++) {
		assert_int_equal(pass(f, 5 * SECOND, true, 1000, 1000000), 1);
		assert_true(share_is_poor(&f->share));
		assert_int_equal(pass(f, wait - SECOND, true, 0, 1000000), 0);
		assert_int_equal(pass(f, SECOND, true, 0, 1000000), 1);
		assert_false(share_is_poor(&f->share));
		wait *= 2;
	}
	/* Well now, and anew later. */
	assert_int_equal(pass(f, 3 * SECOND, true, 500000, 1000000), 0);
	assert_int_equal(pass(f, 5 * SECOND, true, 1000, 1000000), 1);
	assert_int_equal(pass(f, SHARE_WAIT_US, true, 0, 1000000), 1);
}

static void
when_the_others_bring_as_little_it_is_wanted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pass(f, 5 * SECOND, true, 50000, 1000000), 1);
	assert_int_equal(pass(f, 5 * SECOND, true, 0, 300000), 0);
	assert_int_equal(pass(f, 2 * SECOND, true, 0, 200000), 1);
	assert_false(share_is_poor(&f->share));
}

static void
what_it_loses_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct share *s = &f->share;

	share_add(s, 0, 20000, 20000, f->now);
	assert_int_equal(share_lost_permille(s, f->now), 0); /* too few */
	for (int i = 0; i < 100; i++)
		share_add(s, 0, 10000, 2000, f->now);
	assert_in_range(share_lost_permille(s, f->now), 195, 210);
	for (int i = 0; i < 100; i++)
		share_add(s, 0, 10000, 0, f->now);
	assert_in_range(share_lost_permille(s, f->now), 0, 20);
	for (int i = 0; i < 100; i++)
		share_add(s, 0, 10000, 2000, f->now);
	assert_in_range(share_lost_permille(s, f->now + 15 * SECOND), 190, 210);
	assert_int_equal(share_lost_permille(s, f->now + 60 * SECOND), 0);
	share_add(s, 0, 50000, 0, f->now + 60 * SECOND);
	assert_in_range(share_lost_permille(s, f->now + 60 * SECOND), 0, 40);
}

static void
lose(struct fixture *f, uint64_t us, uint64_t again)
{
	for (uint64_t end = f->now + us; f->now < end; f->now += SECOND / 4)
		share_add(&f->share, 0, 20000, again, f->now);
}

static void
one_that_loses_much_for_long_is_lossy(void **state)
{
	struct fixture *f = *state;

	lose(f, 2 * SECOND, 8000);	/* a start */
	assert_false(share_is_lossy(&f->share));
	lose(f, 8 * SECOND, 900);
	assert_false(share_is_lossy(&f->share));
	lose(f, 6 * SECOND, 1100);
	assert_true(share_is_lossy(&f->share));
	lose(f, 2 * SECOND, 0);
	assert_false(share_is_lossy(&f->share));
	/* Blocks that say nothing are none. */
	for (int i = 0; i < 20; i++, f->now += SECOND)
		share_add(&f->share, 0, 1000, 500, f->now);
	assert_false(share_is_lossy(&f->share));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(one_that_brings_little_is_poor),
		T(one_that_brings_a_tenth_is_not),
		T(one_that_had_little_to_send_is_not),
		T(one_that_begins_slowly_is_not),
		T(up_and_down_is_not_up),
		T(it_is_tried_again_less_and_less_often),
		T(when_the_others_bring_as_little_it_is_wanted),
		T(what_it_loses_is_forgotten),
		T(one_that_loses_much_for_long_is_lossy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
