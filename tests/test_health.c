/* SPDX-License-Identifier: ISC */
#include "core/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS UINT64_C(1000)
#define START (77000 * MS)

struct fixture {
	struct health h;
	struct group_facts facts;
	uint64_t now;
};

static void
begin(struct fixture *f, uint32_t rtt_ms)
{
	*f = (struct fixture){ .now = START };
	f->facts.rtt_us = rtt_ms * 1000;
	health_begin(&f->h, f->now);
}

/* Look each tenth of a second for so long. */
static void
look(struct fixture *f, uint32_t waiting, uint64_t for_ms)
{
	f->facts.waiting_bytes = waiting;
	for (uint64_t end = f->now + for_ms * MS; f->now < end;) {
		f->now += 100 * MS;
		health_look(&f->h, &f->facts, f->now);
	}
}

static void
what_waits_and_does_not_move_is_suspect(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 20);
	look(&f, 10, 1000);
	assert_false(f.h.suspect);
	look(&f, 20, 100);
	assert_true(f.h.suspect);
	f.facts.acked_bytes++;
	look(&f, 20, 100);
	assert_false(f.h.suspect);
	look(&f, 20, 900);
	assert_false(f.h.suspect);
	look(&f, 20, 100);
	assert_true(f.h.suspect);
	look(&f, 0, 100);
	assert_false(f.h.suspect);
}

static void
a_long_way_takes_patience(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 600);
	look(&f, 10, 1800);
	assert_false(f.h.suspect);
	look(&f, 10, 100);
	assert_true(f.h.suspect);
}

static void
what_has_nothing_to_do_is_never_suspect(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 20);
	look(&f, 10, 100);
	look(&f, 0, 20000);
	look(&f, 10, 1000);
	assert_false(f.h.suspect);
	f.facts.acked_bytes = 20;	/* it was idle, nobody looked */
	f.now += 60000 * MS;
	look(&f, 10, 100);
	assert_false(f.h.suspect);
}

static void
there_is_something_to_see_until_all_has_arrived(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 20);
	assert_true(health_idle(&f.h));
	health_give(&f.h, 1);
	assert_false(health_idle(&f.h));
	look(&f, 1, 100);
	assert_false(health_idle(&f.h));
	look(&f, 0, 100);
	assert_true(health_idle(&f.h));
}

static void
the_delay_is_the_way_and_the_queue(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	assert_int_equal(health_delay_us(&f.h, f.now), 0);
	begin(&f, 100);
	look(&f, 0, 100);
	assert_int_equal(health_delay_us(&f.h, f.now), 50 * MS);
	f.facts.rate_bytes_s = 1000000;
	/* A full pipe is no queue. */
	look(&f, 100000, 100);
	assert_int_equal(health_delay_us(&f.h, f.now), 50 * MS);
	look(&f, 600000, 100);
	assert_int_equal(health_delay_us(&f.h, f.now), 550 * MS);
	/* The smoothed round trip has the queue in it. */
	f.facts.rtt_us = 600000;
	f.facts.rtt_min_us = 100000;
	look(&f, 600000, 100);
	assert_int_equal(health_delay_us(&f.h, f.now), 550 * MS);
}

static void
between_looks_it_is_given_more_and_delivers(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	f.facts.rate_bytes_s = 1000000;
	look(&f, 600000, 100);
	health_give(&f.h, 100000);
	assert_int_equal(health_delay_us(&f.h, f.now), 650 * MS);
	assert_int_equal(health_delay_us(&f.h, f.now + 50 * MS), 600 * MS);
	assert_int_equal(health_delay_us(&f.h, f.now + 290 * MS), 360 * MS);
}

static void
it_is_given_what_leaves_soon(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 600);
	/* Nothing is known. */
	assert_true(health_room(&f.h) == UINT64_MAX);
	/* New: its first window, and an eighth of what that is in a second. */
	f.facts.free_bytes = 14480;
	f.facts.rate_bytes_s = 24000;
	look(&f, 0, 100);
	assert_int_equal(health_room(&f.h), 14480 + 3000);
	health_give(&f.h, 17000);
	assert_int_equal(health_room(&f.h), 480);
	health_give(&f.h, 14000);
	assert_int_equal(health_room(&f.h), 0);
	/* What waits to be sent for want of a window. */
	f.facts.free_bytes = 0;
	f.facts.unsent_bytes = 31000 - 14480;
	look(&f, 31000, 100);
	assert_int_equal(health_room(&f.h), 0);
	f.facts.unsent_bytes = 0;
	look(&f, 14480, 101);
	assert_int_equal(health_room(&f.h), 3000);
}

/* A window of 26 KB that is held to 7 KB a second is full of what others could
 * have sent, or what should have gone first, for seconds. */
static void
pacing_holds_back_what_the_window_lets_out(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 600);
	f.facts.free_bytes = 26000;
	f.facts.rate_bytes_s = 7000;
	f.facts.paced_bytes_s = 7000;
	look(&f, 0, 100);
	assert_int_equal(health_room(&f.h), 1750 + 875);
	/* However slow, some time something has to go. */
	f.facts.paced_bytes_s = f.facts.rate_bytes_s = 1;
	f.facts.unsent_bytes = 0;
	health_look(&f.h, &f.facts, f.now);
	assert_int_equal(health_room(&f.h), 1);
	f.facts.rate_bytes_s = 7000;
	f.facts.paced_bytes_s = 1000000;
	look(&f, 0, 101);
	assert_int_equal(health_room(&f.h), 26000 + 875);
	/* No limit. */
	f.facts.paced_bytes_s = UINT64_MAX;
	look(&f, 0, 102);
	assert_int_equal(health_room(&f.h), 26000 + 875);
}

static void
what_was_late_is_forgotten(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	look(&f, 0, 100);
	health_late(&f.h, 800 * MS, f.now);
	assert_int_equal(health_delay_us(&f.h, f.now), 850 * MS);
	health_late(&f.h, 100 * MS, f.now);
	assert_int_equal(health_delay_us(&f.h, f.now + 799 * MS), 850 * MS);
	/* Though nobody looks. */
	assert_int_equal(health_delay_us(&f.h, f.now + 800 * MS), 450 * MS);
	assert_int_equal(health_delay_us(&f.h, f.now + 60000 * MS), 50 * MS);
}

static void
losses_cost_round_trips(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	look(&f, 0, 100);
	f.h.lost_permille = 10;
	assert_int_equal(health_delay_us(&f.h, f.now), 60 * MS);
	f.h.lost_permille = 200;
	assert_int_equal(health_delay_us(&f.h, f.now), 250 * MS);
	f.h.lost_permille = 900;
	assert_int_equal(health_delay_us(&f.h, f.now), 350 * MS);
}

static void
what_is_sent_again_after_a_standstill_is_no_loss(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	f.facts.acked_bytes = 1;
	f.facts.again_bytes = 100;
	look(&f, 50000, 100);
	assert_int_equal(f.h.lost_bytes, 100);
	f.facts.unsent_bytes = 20000;
	look(&f, 50000, 2000);
	assert_true(f.h.suspect);
	f.facts.again_bytes += 5000;	/* in vain */
	look(&f, 50000, 1000);
	f.facts.acked_bytes++;
	f.facts.again_bytes += 10000;
	look(&f, 50000, 100);
	assert_false(f.h.suspect);
	assert_int_equal(f.h.lost_bytes, 100);
	f.facts.acked_bytes++;
	f.facts.again_bytes += 25000;
	look(&f, 50000, 100);
	assert_int_equal(f.h.lost_bytes, 5100);
	f.facts.again_bytes += 7000;
	look(&f, 50000, 100);
	assert_int_equal(f.h.lost_bytes, 12100);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_and_does_not_move_is_suspect),
		cmocka_unit_test(a_long_way_takes_patience),
		cmocka_unit_test(what_has_nothing_to_do_is_never_suspect),
		cmocka_unit_test(
		    there_is_something_to_see_until_all_has_arrived),
		cmocka_unit_test(the_delay_is_the_way_and_the_queue),
		cmocka_unit_test(between_looks_it_is_given_more_and_delivers),
		cmocka_unit_test(it_is_given_what_leaves_soon),
		cmocka_unit_test(pacing_holds_back_what_the_window_lets_out),
		cmocka_unit_test(what_was_late_is_forgotten),
		cmocka_unit_test(losses_cost_round_trips),
		cmocka_unit_test(
		    what_is_sent_again_after_a_standstill_is_no_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
