/* SPDX-License-Identifier: ISC */
/*
 * Orders are carried out in a world of virtual time, whose paths answer, refuse
 * or are silent as the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/redial.h"

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define RTT (600 * MS)
#define SLOTS 8			/* four of each path */
#define EVENTS 256

enum road {
	ROAD_GOOD, ROAD_SILENT, ROAD_REFUSED, ROAD_LOCAL, ROAD_HOSTILE,
	ROAD_ENDING,		/* connects, and its hellos are refused */
	ROAD_FICKLE,		/* subflows end as soon as they are there */
};

enum kind {
	EVENT_NONE,
	EVENT_SYN,		/* sent, also again */
	EVENT_HELLO,		/* likewise */
	EVENT_CONNECTED,
	EVENT_UP,
	EVENT_HEARD,
	EVENT_LOST,
	EVENT_FAILED,
};

struct event {
	enum kind kind;
	uint64_t at;
	size_t slot;
	unsigned int attempt;
	enum redial_failure why;
	uint32_t resend_ms;
};

static struct redial *redial;
static uint64_t now, rtt;
static enum road road[2];
static uint64_t seed;
static struct event events[EVENTS];
static size_t nslots;
static uint8_t paths[SLOTS];

/* What the world knows of a slot. */
static struct {
	unsigned int attempt;	/* its number; even: none */
	bool up, heard;
	bool silent;		/* before it was heard */
} slots[SLOTS];

static struct {
	uint64_t dialed[2], gap[2];	/* probes: the last one, most between */
	unsigned int dials, hellos, drops, gave_up;
	unsigned int dialing[2], most_dialing[2];
	unsigned int speaking, most_speaking;	/* before one is heard */
} seen;

static uint16_t
chance(void)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint16_t)(seed >> 48);
}

static void
add(enum kind kind, uint64_t after, size_t slot, enum redial_failure why,
    uint32_t resend_ms)
{
	for (size_t i = 0; i < EVENTS; i++)
		if (events[i].kind == EVENT_NONE) {
			events[i] = (struct event){ kind, now + after, slot,
				slots[slot].attempt, why, resend_ms };
			return;
		}
	fail();
}

static void
over(size_t slot, bool spoke)
{
	slots[slot].attempt++;
	seen.dialing[paths[slot]]--;
	if (spoke)
		seen.speaking--;
}

static bool spoken[SLOTS];

static void
obey(const struct redial_action *a)
{
	uint8_t path = paths[a->slot];

	switch (a->order) {
	case REDIAL_DIAL:
		slots[a->slot].attempt++;
		spoken[a->slot] = false;
		seen.dials++;
		if (seen.dialed[path] != 0 &&
		    now - seen.dialed[path] > seen.gap[path])
			seen.gap[path] = now - seen.dialed[path];
		seen.dialed[path] = now;
		if (++seen.dialing[path] > seen.most_dialing[path])
			seen.most_dialing[path] = seen.dialing[path];
		add(EVENT_SYN, 0, a->slot, 0, 1000);
		add(EVENT_FAILED, a->timeout_ms * MS, a->slot, REDIAL_SILENT,
		    0);
		break;
	case REDIAL_HELLO:
		spoken[a->slot] = true;
		seen.hellos++;
		/* Who made the group has sent no record yet. */
		for (size_t i = 0; i < nslots; i++)
			assert_false(!redial_established(redial) &&
			    slots[i].up && !slots[i].silent);
		if (++seen.speaking > seen.most_speaking &&
		    !redial_established(redial))
			seen.most_speaking = seen.speaking;
		add(EVENT_HELLO, 0, a->slot, 0, 1000);
		add(EVENT_FAILED, a->timeout_ms * MS, a->slot, REDIAL_SILENT,
		    0);
		break;
	case REDIAL_DROP:
		seen.drops++;
		over(a->slot, spoken[a->slot]);
		break;
	case REDIAL_GIVE_UP:
		seen.gave_up++;
		break;
	}
}

static void
lose(size_t slot)
{
	slots[slot].up = slots[slot].heard = false;
	redial_lost(redial, slot, now, chance());
}

static void
happen(const struct event *e)
{
	enum road r = road[paths[e->slot]];
	bool spoke = spoken[e->slot];

	switch (e->kind) {
	case EVENT_SYN:
	case EVENT_HELLO:
		if (r == ROAD_GOOD || r == ROAD_FICKLE ||
		    ((r == ROAD_HOSTILE || r == ROAD_ENDING) &&
		    e->kind == EVENT_SYN))
			add(e->kind == EVENT_SYN ? EVENT_CONNECTED : EVENT_UP,
			    rtt, e->slot, 0, 0);
		else if (r == ROAD_SILENT)
			add(e->kind, e->resend_ms * MS, e->slot, 0,
			    2 * e->resend_ms);
		else
			add(EVENT_FAILED, r == ROAD_LOCAL ? 0 : rtt, e->slot,
			    r == ROAD_LOCAL ? REDIAL_LOCAL :
			    r == ROAD_HOSTILE ? REDIAL_UNWELCOME :
			    REDIAL_REFUSED, 0);
		break;
	case EVENT_CONNECTED:
		redial_connected(redial, e->slot, (uint32_t)rtt);
		slots[e->slot].attempt += 2;	/* its end is another one */
		break;
	case EVENT_UP:
		over(e->slot, true);
		slots[e->slot].up = true;
		slots[e->slot].heard = false;
		redial_up(redial, e->slot);
		if (r != ROAD_FICKLE || chance() % 2 != 0)
			add(EVENT_HEARD, r == ROAD_FICKLE ? MS : rtt, e->slot,
			    0, 0);
		if (r == ROAD_FICKLE)
			add(EVENT_LOST, 2 * MS, e->slot, 0, 0);
		break;
	case EVENT_LOST:
		lose(e->slot);
		break;
	case EVENT_HEARD:
		slots[e->slot].heard = true;
		redial_heard(redial, e->slot, now);
		break;
	case EVENT_FAILED:
		over(e->slot, spoke);
		redial_failed(redial, e->slot, e->why, now, chance());
		break;
	case EVENT_NONE:
		break;
	}
}

static void
settle(void)
{
	struct redial_action a;

	for (int i = 0; redial_next(redial, now, &a); i++) {
		assert_true(i < 100);
		obey(&a);
	}
}

/* Until then, or until something was given up. */
static void
run(uint64_t until)
{
	for (;;) {
		struct event *first = NULL;
		uint64_t due;

		settle();
		due = redial_deadline(redial, now);
		for (size_t i = 0; i < EVENTS; i++)
			if (events[i].kind != EVENT_NONE &&
			    (first == NULL || events[i].at < first->at))
				first = &events[i];
		if (first != NULL && first->at <= due && first->at <= until) {
			struct event e = *first;

			first->kind = EVENT_NONE;
			now = e.at;
			if (e.attempt == slots[e.slot].attempt ||
			    ((e.kind == EVENT_HEARD ||
			    e.kind == EVENT_LOST) && slots[e.slot].up))
				happen(&e);
		} else if (due <= until) {
			assert_true(due > now);		/* it does not spin */
			now = due;
		} else {
			now = until;
			return;
		}
	}
}

static void
run_for(uint64_t us)
{
	run(now + us);
}

static unsigned int
up(uint8_t path)
{
	unsigned int n = 0;

	for (size_t i = 0; i < nslots; i++)
		n += paths[i] == path && slots[i].up && slots[i].heard;
	return n;
}

/* How long until so many are heard on a path. */
static uint64_t
time_until(uint8_t path, unsigned int n)
{
	uint64_t begin = now;

	while (up(path) < n) {
		run_for(10 * MS);
		assert_true(now - begin < 100 * SECOND);
	}
	return now - begin;
}

static void
forget(void)
{
	for (size_t i = 0; i < 2; i++)
		seen.dialed[i] = seen.gap[i] = 0, seen.most_dialing[i] = 0;
	seen.dials = seen.hellos = seen.drops = seen.gave_up = 0;
	seen.most_speaking = 0;
}

static void
silence(uint8_t path)
{
	for (size_t i = 0; i < nslots; i++)
		if (paths[i] == path && slots[i].up) {
			slots[i].heard = false;
			redial_silent(redial, i, true, now, chance());
		}
}

static void
lose_all(void)
{
	for (size_t i = 0; i < nslots; i++)
		if (slots[i].up)
			lose(i);
}

static void
begin(unsigned int npaths, uint64_t seed_)
{
	seed = seed_;
	now = 1000 * SECOND;
	rtt = RTT;
	nslots = 4 * npaths;
	for (size_t i = 0; i < EVENTS; i++)
		events[i].kind = EVENT_NONE;
	for (size_t i = 0; i < SLOTS; i++) {
		paths[i] = i >= 4;
		slots[i].attempt = 0;
		slots[i].up = slots[i].heard = slots[i].silent = false;
		spoken[i] = false;
	}
	seen.dialing[0] = seen.dialing[1] = seen.speaking = 0;
	road[0] = road[1] = ROAD_GOOD;
	forget();
	redial = redial_new(paths, nslots, 10000);
	assert_non_null(redial);
	redial_begin(redial, now, chance());
}

/* With all its subflows heard. */
static void
begin_well(unsigned int npaths, uint64_t seed_)
{
	begin(npaths, seed_);
	run_for(20 * SECOND);
	for (uint8_t i = 0; i < npaths; i++)
		assert_int_equal(up(i), 4);
	forget();
}

static int
end(void **state)
{
	(void)state;
	redial_free(redial);
	redial = NULL;
	return 0;
}

#define SEEDS(n) for (uint64_t s = 1; s <= (n); s++, end(NULL))

/* ---- what it does ---- */

static void
one_speaks_first_in_a_new_group(void **state)
{
	(void)state;
	SEEDS(50) {
		begin(2, s);
		while (up(0) + up(1) == 0)
			run_for(10 * MS);
		assert_int_equal(seen.most_speaking, 1);
		assert_true(now <= 1000 * SECOND + 3 * RTT + 10 * MS);
		assert_true(time_until(0, 4) <= 3 * RTT + 10 * MS);
		assert_true(time_until(1, 4) <= 3 * RTT + 10 * MS);
	}
}

/* The first one was silent, so another spoke; then it is heard after all, and
 * what the other is told would be from before the relay knew the group. */
static void
what_was_asked_before_the_relay_was_heard_is_dropped(void **state)
{
	(void)state;
	SEEDS(50) {
		begin(2, s);
		while (seen.speaking == 0)
			run_for(10 * MS);
		size_t first = spoken[0] ? 0 : 4;
		while (!slots[first].up)
			run_for(10 * MS);
		slots[first].silent = true;
		forget();
		redial_silent(redial, first, true, now, chance());
		run_for(RTT - 100 * MS);
		assert_int_equal(seen.hellos, 1);
		slots[first].silent = false;
		slots[first].heard = true;
		redial_silent(redial, first, false, now, chance());
		forget();
		run_for(0);
		assert_true(seen.drops > 0);
		assert_true(seen.speaking > 0);
		assert_int_equal(seen.speaking, seen.hellos);
		assert_true(time_until(0, 4) <= 4 * RTT + 10 * MS);
		assert_true(time_until(1, 4) <= 4 * RTT + 10 * MS);
	}
}

static void
a_path_that_is_dead_at_the_start_delays_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(2, 7);
		road[i] = ROAD_SILENT;
		assert_true(time_until((uint8_t)!i, 4) <= 5 * RTT + 10 * MS);
		end(NULL);
	}
}

static void
a_dead_subflow_is_replaced_while_others_live(void **state)
{
	(void)state;
	SEEDS(100) {
		begin_well(1, s);
		lose(s % 4);
		assert_true(time_until(0, 4) <= 400 * MS + 3 * RTT);
		assert_int_equal(seen.dials, 1);
	}
}

static void
back_off_grows_to_three_seconds(void **state)
{
	uint64_t before;
	unsigned int dials;

	(void)state;
	begin_well(1, 3);
	lose(2);
	road[0] = ROAD_REFUSED;		/* for new ones */
	run_for(10 * SECOND);
	before = now;
	dials = seen.dials;
	run_for(60 * SECOND);
	dials = seen.dials - dials;
	assert_in_range(dials, (now - before) / (3 * SECOND + RTT),
	    (now - before) / SECOND);
	assert_true(seen.gap[0] <= 3 * SECOND + RTT);
	assert_int_equal(seen.gave_up, 0);	/* the others are heard */
}

/* The time until the first is heard: a SYN is sent again within 2 s. */
static void
a_link_that_is_back_is_found(void **state)
{
	uint64_t most = 0, sum = 0;

	(void)state;
	SEEDS(2000) {
		uint64_t back;

		begin_well(1, s);
		road[0] = ROAD_SILENT;
		silence(0);
		forget();
		run_for(chance() * 60 * SECOND / 65536);
		assert_true(seen.gap[0] <= 3 * SECOND);
		assert_true(seen.most_dialing[0] <= 1);
		if (s % 2 == 0)		/* the kernel gave them up */
			lose_all();
		road[0] = ROAD_GOOD;
		back = time_until(0, 1);
		sum += back;
		if (back > most)
			most = back;
		assert_true(back <= 2 * SECOND + 3 * RTT + 10 * MS);
		/* They spoke as soon as its hello was answered. */
		assert_true(time_until(0, 4) <= RTT + 10 * MS);
	}
	printf("link back: a subflow is heard after %.2f s on average, %.2f s "
	    "at most, with a round trip of 0.6 s\n", 
	    (double)sum / 2000 / 1e6, (double)most / 1e6);
}

static void
a_machine_without_a_way_is_tried_each_second(void **state)
{
	(void)state;
	begin_well(1, 5);
	road[0] = ROAD_LOCAL;
	lose_all();
	forget();
	run_for(30 * SECOND);
	assert_in_range(seen.dials, 30, 62);
	assert_true(seen.gap[0] <= SECOND);
	assert_int_equal(seen.gave_up, 0);
}

/* The first of them waits for an answer to its hello, and the way has gone. */
static void
who_cannot_follow_is_not_tried_all_the_time(void **state)
{
	struct redial_action a;
	unsigned int dials = 0;
	bool speaks = false;

	(void)state;
	begin(1, 5);
	for (uint64_t until = now + 10 * SECOND; now < until; now += MS)
		for (int i = 0; redial_next(redial, now, &a); i++) {
			assert_true(i < 10);
			if (a.order == REDIAL_DIAL && speaks) {
				redial_failed(redial, a.slot, REDIAL_LOCAL,
				    now, chance());
				dials++;
			} else if (a.order == REDIAL_DIAL) {
				redial_connected(redial, a.slot, RTT);
			} else if (a.order == REDIAL_HELLO) {
				speaks = true;
			}
		}
	assert_true(speaks);
	assert_in_range(dials, 3 * 4, 3 * 20);
}

static void
what_is_heard_again_is_not_replaced(void **state)
{
	(void)state;
	begin_well(1, 5);
	road[0] = ROAD_SILENT;
	silence(0);
	run_for(30 * SECOND);
	for (size_t i = 0; i < 4; i++) {
		slots[i].heard = true;
		redial_silent(redial, i, false, now, chance());
	}
	forget();
	run_for(30 * SECOND);
	assert_int_equal(seen.drops, 1);
	assert_int_equal(seen.dials, 0);
	assert_int_equal(seen.dialing[0], 0);
}

static void
a_silent_subflow_beside_others_is_replaced(void **state)
{
	(void)state;
	begin_well(1, 5);
	slots[1].heard = false;
	redial_silent(redial, 1, true, now, chance());
	assert_true(time_until(0, 4) <= 3 * RTT + 10 * MS);
	assert_int_equal(seen.dials, 1);
}

static void
a_dead_path_is_probed_while_another_lives(void **state)
{
	(void)state;
	SEEDS(200) {
		begin_well(2, s);
		road[1] = ROAD_SILENT;
		silence(1);
		forget();
		run_for(50 * SECOND + chance() * 100);
		assert_true(seen.gap[1] <= 3 * SECOND);
		assert_true(seen.dialed[0] == 0);
		road[1] = ROAD_GOOD;
		assert_true(time_until(1, 1) <= 2 * SECOND + 3 * RTT +
		    10 * MS);
	}
}

static void
a_relay_that_refuses_is_given_up_after_five_seconds(void **state)
{
	(void)state;
	SEEDS(200) {
		uint64_t begun;

		begin_well(2, s);
		road[0] = road[1] = ROAD_REFUSED;
		lose_all();
		forget();
		begun = now;
		while (seen.gave_up == 0)
			run_for(10 * MS);
		/* (It takes a round trip to be refused, the last one, too.) */
		assert_in_range(now - begun, 5 * SECOND,
		    5 * SECOND + SECOND + 2 * RTT);
		run_for(100 * SECOND);
		assert_true(seen.gap[0] <= SECOND + RTT);
	}
}

static void
silence_on_one_path_is_no_refusal(void **state)
{
	(void)state;
	begin_well(2, 9);
	road[0] = ROAD_REFUSED;
	road[1] = ROAD_SILENT;
	lose_all();
	run_for(100 * SECOND);
	assert_int_equal(seen.gave_up, 0);
	road[1] = ROAD_LOCAL;		/* which says nothing */
	run_for(3 * SECOND + 2 * RTT);
	assert_true(seen.gave_up > 0);
}

static void
a_relay_that_is_back_has_a_new_group_soon(void **state)
{
	uint64_t most = 0;

	(void)state;
	SEEDS(500) {
		uint64_t back;

		begin_well(1, s);
		road[0] = ROAD_REFUSED;
		lose_all();
		run_for(SECOND + chance() * 60);
		assert_int_equal(seen.gave_up, 0);
		road[0] = ROAD_GOOD;
		back = now;
		/* Its answer is "group not known". */
		while (seen.hellos == 0)
			run_for(10 * MS);
		run_for(RTT - 10 * MS);
		for (size_t i = 0; i < nslots; i++)
			if (spoken[i] && slots[i].attempt % 2 != 0)
				over(i, true);
		for (size_t i = 0; i < nslots; i++)
			slots[i].up = slots[i].heard = false;
		redial_begin(redial, now, chance());
		forget();
		while (up(0) == 0)
			run_for(10 * MS);
		assert_int_equal(seen.most_speaking, 1);
		/* (The last round trip brings what the session asked for.) */
		back = now - back;
		if (back > most)
			most = back;
		assert_true(back <= SECOND + 4 * RTT + 30 * MS);
	}
	printf("relay back: heard in a new group after %.2f s at most\n",
	    (double)most / 1e6);
}

static void
who_does_not_like_us_is_asked_less_often(void **state)
{
	(void)state;
	begin(1, 4);
	road[0] = ROAD_HOSTILE;
	run_for(20 * SECOND);
	forget();
	run_for(100 * SECOND);
	assert_in_range(seen.hellos, 100 / 5, 100 / 2);
	assert_true(seen.gap[0] <= 3 * SECOND + 2 * RTT);
}

static void
a_relay_that_is_about_to_end_is_asked_each_second(void **state)
{
	(void)state;
	begin_well(1, 7);
	road[0] = ROAD_ENDING;
	rtt = MS;
	lose_all();
	run_for(100 * SECOND);
	/* Four connect, one of them says hello. */
	assert_in_range(seen.hellos, 90, 200);
	assert_in_range(seen.dials, 90, 4 * 200);
	assert_true(seen.gap[0] <= SECOND + 2 * rtt);
}

static void
whose_subflows_soon_end_is_no_reason_to_hurry(void **state)
{
	(void)state;
	for (unsigned int npaths = 1; npaths <= 2; npaths++) {
		begin(npaths, 6);
		road[0] = ROAD_FICKLE;
		rtt = MS;
		run_for(20 * SECOND);
		forget();
		run_for(100 * SECOND);
		assert_in_range(seen.dials, 4 * 100 / 3, 5 * 100);
		road[0] = ROAD_GOOD;
		assert_true(time_until(0, 4) <= 3 * SECOND + 2 * rtt);
		end(NULL);
	}
}

static void
groups_that_end_soon_begin_with_a_pause(void **state)
{
	uint64_t begun;

	(void)state;
	begin(1, 4);
	for (int i = 0; i < 8; i++) {
		settle();
		for (size_t k = 0; k < EVENTS; k++)
			events[k].kind = EVENT_NONE;
		for (size_t k = 0; k < nslots; k++)
			if (slots[k].attempt % 2 != 0) {
				over(k, spoken[k]);
				redial_failed(redial, k, REDIAL_DROPPED, now,
				    0);
			}
		redial_begin(redial, now, 0);
	}
	forget();
	begun = now;
	while (seen.dials == 0)
		run_for(10 * MS);
	assert_in_range(now - begun, SECOND, 3 * SECOND);
}

static void
an_interface_that_comes_is_used_at_once(void **state)
{
	(void)state;
	begin_well(1, 5);
	road[0] = ROAD_LOCAL;
	lose_all();
	run_for(30 * SECOND + 1);
	road[0] = ROAD_GOOD;
	forget();
	redial_hurry(redial, 0, now);
	settle();
	assert_int_equal(seen.dials, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, end)
		TEST(one_speaks_first_in_a_new_group),
		TEST(what_was_asked_before_the_relay_was_heard_is_dropped),
		TEST(a_path_that_is_dead_at_the_start_delays_nothing),
		TEST(a_dead_subflow_is_replaced_while_others_live),
		TEST(back_off_grows_to_three_seconds),
		TEST(a_link_that_is_back_is_found),
		TEST(a_machine_without_a_way_is_tried_each_second),
		TEST(who_cannot_follow_is_not_tried_all_the_time),
		TEST(what_is_heard_again_is_not_replaced),
		TEST(a_silent_subflow_beside_others_is_replaced),
		TEST(a_dead_path_is_probed_while_another_lives),
		TEST(a_relay_that_refuses_is_given_up_after_five_seconds),
		TEST(silence_on_one_path_is_no_refusal),
		TEST(a_relay_that_is_back_has_a_new_group_soon),
		TEST(who_does_not_like_us_is_asked_less_often),
		TEST(a_relay_that_is_about_to_end_is_asked_each_second),
		TEST(whose_subflows_soon_end_is_no_reason_to_hurry),
		TEST(groups_that_end_soon_begin_with_a_pause),
		TEST(an_interface_that_comes_is_used_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
