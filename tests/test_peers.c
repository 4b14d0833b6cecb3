/* SPDX-License-Identifier: ISC */
#include "peers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define NOW (5 * SECOND)
#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct budget memory;
	struct traffic traffic;
	struct peers *peers;
	struct config_peer at[3];
	struct config config;
};

/* (The names of a configuration are not const.) */
static char name_a[] = "a", name_b[] = "b", name_c[] = "c";

/* Two of them, one without limits of its own. */
static int
setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){
		.at = {
			{ .name = name_a, .max_sessions = 2,
			    .max_subflows = 4, .memory_bytes = MIB },
			{ .name = name_b, .max_subflows = 64 },
		},
	};
	f.config.peers = f.at;
	f.config.npeers = 2;
	budget_init(&f.memory, 64 * MIB);
	f.peers = peers_new(&f.memory, &f.traffic);
	assert_non_null(f.peers);
	peers_configure(f.peers, &f.config, NOW);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	peers_free(f->peers);
	assert_true(list_empty(&f->memory.parts));
	return 0;
}

static void
each_has_its_name_and_configuration(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < 2; i++) {
		struct peer *p = peers_at(f->peers, i);

		assert_string_equal(peer_name(p), f->at[i].name);
		assert_ptr_equal(peer_config(p), &f->at[i]);
	}
}

static void
sessions_are_bounded_for_each(void **state)
{
	struct fixture *f = *state;
	struct peer *a = peers_at(f->peers, 0), *b = peers_at(f->peers, 1);

	assert_null(peer_take_session(a, 100, NOW));
	assert_null(peer_take_session(a, 100, NOW));
	assert_string_equal(peer_take_session(a, 100, NOW), "max-sessions");
	for (int i = 0; i < 1000; i++)
		assert_null(peer_take_session(b, 4000, NOW));
	peer_drop_session(a);
	assert_null(peer_take_session(a, 100, NOW));
	assert_string_equal(peer_take_session(a, 100, NOW), "max-sessions");
	assert_int_equal(peer_counters(a)->sessions, 2);
	assert_int_equal(peer_counters(a)->sessions_taken, 3);
	assert_int_equal(peer_counters(a)->sessions_refused, 2);
	assert_int_equal(peer_counters(b)->sessions_refused, 0);
	assert_int_equal(peer_max_sessions(a, 100), 2);
	assert_int_equal(peer_max_sessions(a, 1), 1);
	assert_int_equal(peer_max_sessions(b, 100), 50);	/* half */
	assert_int_equal(peer_max_sessions(b, 1), 1);
	for (int i = 0; i < 1000; i++)
		peer_drop_session(b);
	peer_drop_session(a);
	peer_drop_session(a);
}

static void
new_sessions_are_bounded_by_time(void **state)
{
	struct fixture *f = *state;
	struct peer *b = peers_at(f->peers, 1);

	f->at[1].new_sessions_per_s = 3;
	peers_configure(f->peers, &f->config, NOW);
	for (int second = 0; second < 5; second++) {
		uint64_t now = NOW + second * SECOND;

		for (int i = 0; i < 3; i++) {
			assert_null(peer_take_session(b, 100, now));
			peer_drop_session(b);
		}
		assert_string_equal(peer_take_session(b, 100, now),
		    "new-sessions");
	}
}

/* One that is refused for another reason was not begun. */
static void
a_session_too_many_does_not_use_up_the_rate(void **state)
{
	struct fixture *f = *state;
	struct peer *a = peers_at(f->peers, 0);

	f->at[0].max_sessions = 1;
	f->at[0].new_sessions_per_s = 2;
	peers_configure(f->peers, &f->config, NOW);
	assert_null(peer_take_session(a, 100, NOW));
	for (int i = 0; i < 10; i++)
		assert_string_equal(peer_take_session(a, 100, NOW),
		    "max-sessions");
	peer_drop_session(a);
	assert_null(peer_take_session(a, 100, NOW));
	peer_drop_session(a);
}

static void
subflows_are_bounded_and_may_be_replaced(void **state)
{
	struct fixture *f = *state;
	struct peer *a = peers_at(f->peers, 0);

	for (int i = 0; i < 4; i++) {
		assert_null(peer_may_attach(a, false));
		peer_take_subflow(a);
	}
	assert_string_equal(peer_may_attach(a, false), "max-subflows");
	assert_null(peer_may_attach(a, true));
	peer_take_subflow(a);
	assert_string_equal(peer_may_attach(a, true), "max-subflows");
	for (int i = 0; i < 5; i++)
		peer_drop_subflow(a);
	assert_null(peer_may_attach(a, false));
}

static void
groups_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct peer *a = peers_at(f->peers, 0), *b = peers_at(f->peers, 1);

	for (int i = 0; i < PEER_GROUPS; i++)
		assert_true(peer_take_group(a));
	assert_false(peer_take_group(a));
	assert_true(peer_take_group(b));
	peer_drop_group(b);
	peer_drop_group(a);
	assert_true(peer_take_group(a));
	for (int i = 0; i < PEER_GROUPS; i++)
		peer_drop_group(a);
}

static void
memory_is_bounded_for_each_and_counts_for_all(void **state)
{
	struct fixture *f = *state;
	struct budget *a = peer_budget(peers_at(f->peers, 0));
	struct budget *b = peer_budget(peers_at(f->peers, 1));

	budget_hold(a, MIB);
	budget_hold(b, 2 * MIB);
	assert_int_equal(budget_level(a), BUDGET_OVER);
	assert_int_equal(budget_level(b), BUDGET_EASY);
	assert_int_equal(f->memory.held_bytes, 3 * MIB);
	assert_int_equal(budget_limit(a), MIB);
	budget_hold(a, -(int64_t)MIB);
	budget_hold(b, -2 * (int64_t)MIB);
}

static void
one_without_a_limit_leaves_half_of_the_memory_to_others(void **state)
{
	struct fixture *f = *state;
	struct budget *b = peer_budget(peers_at(f->peers, 1));

	assert_int_equal(budget_limit(b), 32 * MIB);
	budget_hold(b, 32 * (int64_t)MIB);
	assert_int_equal(budget_level(b), BUDGET_OVER);
	assert_int_equal(budget_level(peer_budget(peers_at(f->peers, 0))),
	    BUDGET_EASY);
	budget_hold(b, -32 * (int64_t)MIB);

	/* Nobody else is there. */
	f->config.peers = &f->at[1];
	f->config.npeers = 1;
	peers_configure(f->peers, &f->config, NOW);
	peers_forget(f->peers);
	assert_int_equal(budget_limit(b), 64 * MIB);
}

static void
what_a_peer_has_outlives_a_reload(void **state)
{
	struct fixture *f = *state;
	struct config_peer again[2] = { f->at[1], f->at[0] };
	struct config config = { .peers = again, .npeers = 2 };
	struct peer *a = peers_at(f->peers, 0), *b = peers_at(f->peers, 1);

	assert_null(peer_take_session(a, 100, NOW));
	assert_null(peer_take_session(a, 100, NOW));
	budget_hold(peer_budget(a), MIB / 2);
	again[1].max_sessions = 3;
	again[1].memory_bytes = 2 * MIB;
	peers_configure(f->peers, &config, NOW);
	peers_forget(f->peers);
	assert_ptr_equal(peers_at(f->peers, 0), b);
	assert_ptr_equal(peers_at(f->peers, 1), a);
	assert_ptr_equal(peer_config(a), &again[1]);
	assert_int_equal(budget_limit(peer_budget(a)), 2 * MIB);
	assert_int_equal(peer_budget(a)->held_bytes, MIB / 2);
	assert_null(peer_take_session(a, 100, NOW));
	assert_string_equal(peer_take_session(a, 100, NOW), "max-sessions");

	/* Fewer than it has: they stay, and no more come. */
	again[1].max_sessions = 1;
	peers_configure(f->peers, &config, NOW);
	assert_int_equal(peer_counters(a)->sessions, 3);
	assert_string_equal(peer_take_session(a, 100, NOW), "max-sessions");
	budget_hold(peer_budget(a), -(int64_t)MIB / 2);
	for (int i = 0; i < 3; i++)
		peer_drop_session(a);
}

static void
peers_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct config_peer now[2] = {
		{ .name = name_c, .max_subflows = 1 }, f->at[1],
	};
	struct config config = { .peers = now, .npeers = 2 };
	struct peer *a = peers_at(f->peers, 0), *b = peers_at(f->peers, 1);

	assert_null(peer_take_session(a, 100, NOW));
	budget_hold(peer_budget(a), 100);
	budget_hold(peer_budget(b), 7);
	peers_configure(f->peers, &config, NOW);
	assert_null(peer_config(a));
	assert_string_equal(peer_name(a), "a");
	assert_ptr_equal(peers_at(f->peers, 1), b);
	assert_string_equal(peer_name(peers_at(f->peers, 0)), "c");

	peer_drop_session(a);
	budget_hold(peer_budget(a), -100);
	peers_forget(f->peers);
	assert_int_equal(f->memory.held_bytes, 7);
	budget_hold(peer_budget(b), -7);

	/* It comes back as a new one. */
	peers_configure(f->peers, &f->config, NOW);
	peers_forget(f->peers);
	assert_int_equal(peer_counters(peers_at(f->peers, 0))->sessions_taken,
	    0);
	assert_ptr_equal(peers_at(f->peers, 1), b);
}

static void
one_peers_lines_leave_room_for_anothers(void **state)
{
	struct fixture *f = *state;
	struct peer *a = peers_at(f->peers, 0), *b = peers_at(f->peers, 1);

	assert_ptr_not_equal(peer_limit(a, PEER_LINE_SESSION),
	    peer_limit(b, PEER_LINE_SESSION));
	assert_ptr_not_equal(peer_limit(a, PEER_LINE_SESSION),
	    peer_limit(a, PEER_LINE_SUBFLOW));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_has_its_name_and_configuration),
		T(sessions_are_bounded_for_each),
		T(new_sessions_are_bounded_by_time),
		T(a_session_too_many_does_not_use_up_the_rate),
		T(subflows_are_bounded_and_may_be_replaced),
		T(groups_are_bounded),
		T(memory_is_bounded_for_each_and_counts_for_all),
		T(one_without_a_limit_leaves_half_of_the_memory_to_others),
		T(what_a_peer_has_outlives_a_reload),
		T(peers_come_and_go),
		T(one_peers_lines_leave_room_for_anothers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
