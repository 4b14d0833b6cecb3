/* SPDX-License-Identifier: ISC */
#include "core/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define BOTH (GATE_IPV4 | GATE_IPV6)

static struct gate gate;
static struct gate_input in;
static uint64_t now;

static int
setup(void **state)
{
	(void)state;
	now = 1000 * SECOND;
	gate_init(&gate);
	in = (struct gate_input){ .relay_up = true, .relay_families = BOTH,
		.max_sessions = 1000, .limit_bytes = 1000000 };
	return 0;
}

static unsigned
look(void)
{
	return gate_update(&gate, &in, now);
}

static void
it_is_closed_until_a_relay_is_up(void **state)
{
	(void)state;
	in.relay_up = false;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_NO_RELAY);
	in.relay_up = true;
	assert_int_equal(look(), BOTH);
	assert_int_equal(gate.reason, GATE_OPEN);
}

static void
it_opens_only_for_what_the_relay_reaches(void **state)
{
	(void)state;
	in.relay_families = GATE_IPV4;
	assert_int_equal(look(), GATE_IPV4);
	in.relay_families = BOTH;
	assert_int_equal(look(), BOTH);
}

static void
it_opens_only_for_what_bridges_leave(void **state)
{
	(void)state;
	in.blocked = GATE_IPV4;
	assert_int_equal(look(), GATE_IPV6);
	assert_int_equal(gate.reason, GATE_OPEN);
	in.relay_families = GATE_IPV4;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_BRIDGE);
	in.blocked = 0;
	assert_int_equal(look(), GATE_IPV4);
	in.relay_families = 0;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_NO_FAMILY);
}

static void
it_opens_only_for_what_rules_of_routing_leave(void **state)
{
	(void)state;
	in.diverted = GATE_IPV4;
	assert_int_equal(look(), GATE_IPV6);
	assert_int_equal(gate.reason, GATE_OPEN);
	in.blocked = GATE_IPV6;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_DIVERTED);
	in.diverted = BOTH;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_DIVERTED);
	in.diverted = in.blocked = 0;
	assert_int_equal(look(), BOTH);
}

static void
the_operator_and_the_end_close_it_at_once(void **state)
{
	(void)state;
	assert_int_equal(look(), BOTH);
	in.off = true;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_OPERATOR);
	in.off = false;
	assert_int_equal(look(), BOTH);
	in.draining = true;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_DRAINING);
}

/* How long after its return a relay is believed, to the tenth of a second. */
static uint64_t
comes_back(uint64_t up_us)
{
	uint64_t since;

	now += up_us;
	in.relay_up = false;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_NO_RELAY);
	now += 5 * SECOND;
	in.relay_up = true;
	since = now;
	while (look() == 0) {
		assert_int_equal(gate.reason, GATE_PROBATION);
		now += SECOND / 10;
	}
	return now - since;
}

static void
a_relay_that_comes_and_goes_is_believed_later_each_time(void **state)
{
	static const uint64_t seconds[] = { 1, 2, 4, 8, 16, 30, 30 };

	(void)state;
	assert_int_equal(look(), BOTH);
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++)
		assert_int_equal(comes_back(SECOND), seconds[i] * SECOND);
}

static void
a_relay_that_stayed_is_believed_soon_again(void **state)
{
	(void)state;
	assert_int_equal(look(), BOTH);
	for (int i = 0; i < 5; i++)
		(void)comes_back(SECOND);
	assert_int_equal(comes_back(GATE_SOON_US), SECOND);
	assert_int_equal(comes_back(SECOND), 2 * SECOND);
}

static void
when_nearly_full_it_closes_and_opens_with_room(void **state)
{
	static const struct {
		uint64_t used;
		bool open;
	} steps[] = {
		{ 949, true }, { 950, false }, { 949, false }, { 800, false },
		{ 799, true }, { 949, true }, { 1000, false }, { 0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		in.sessions = steps[i].used;
		assert_int_equal(look(), steps[i].open ? BOTH : 0);
		assert_int_equal(gate.reason,
		    steps[i].open ? GATE_OPEN : GATE_SESSIONS);
	}
	in.sessions = 0;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		in.held_bytes = steps[i].used * 1000;
		assert_int_equal(look(), steps[i].open ? BOTH : 0);
		assert_int_equal(gate.reason,
		    steps[i].open ? GATE_OPEN : GATE_MEMORY);
	}
}

static void
it_is_closed_while_no_relay_takes_more(void **state)
{
	(void)state;
	in.relay_full = true;
	assert_int_equal(look(), 0);
	assert_int_equal(gate.reason, GATE_RELAY_FULL);
	in.relay_full = false;
	assert_int_equal(look(), BOTH);
	assert_int_equal(gate.reason, GATE_OPEN);
}

static void
a_limit_of_one_session_is_full_with_one(void **state)
{
	(void)state;
	in.max_sessions = 1;
	in.sessions = 0;
	assert_int_equal(look(), BOTH);
	in.sessions = 1;
	assert_int_equal(look(), 0);
	in.sessions = 0;
	assert_int_equal(look(), BOTH);
}

static void
every_reason_has_a_text(void **state)
{
	(void)state;
	for (int i = 0; i < GATE_NREASONS; i++)
		assert_non_null(gate_reason_text((enum gate_reason)i));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_closed_until_a_relay_is_up),
		TEST(it_opens_only_for_what_the_relay_reaches),
		TEST(it_opens_only_for_what_bridges_leave),
		TEST(it_opens_only_for_what_rules_of_routing_leave),
		TEST(the_operator_and_the_end_close_it_at_once),
		TEST(a_relay_that_comes_and_goes_is_believed_later_each_time),
		TEST(a_relay_that_stayed_is_believed_soon_again),
		TEST(when_nearly_full_it_closes_and_opens_with_room),
		TEST(it_is_closed_while_no_relay_takes_more),
		TEST(a_limit_of_one_session_is_full_with_one),
		TEST(every_reason_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
