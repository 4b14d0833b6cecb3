/* SPDX-License-Identifier: ISC */
#include "core/sendq.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLENTY UINT64_C(1000000)

struct fixture {
	struct budget budget;
	struct sendq q;
	uint64_t carried[64];
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	budget_init(&f->budget, PLENTY);
	sendq_init(&f->q, 1, &f->budget);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	sendq_clear(&f->q, f->carried);
	assert_int_equal(f->budget.held_bytes, 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(f->carried[i], 0);
	free(f);
	return 0;
}

static void
append(struct fixture *f, const char *text)
{
	assert_int_equal(sendq_append(&f->q, (const uint8_t *)text,
	    strlen(text)), 0);
}

/* Send the next item and check its bytes; returns its serial. */
static uint64_t
assert_sends(struct fixture *f, int subflow, uint64_t edge,
    const char *expected)
{
	struct datagram *d = sendq_next(&f->q, edge, WIRE_DATA_MAX);

	assert_non_null(d);
	assert_int_equal(d->len, strlen(expected));
	assert_memory_equal(d->data + d->off, expected, d->len);
	sendq_sent(&f->q, d, subflow, 1);
	f->carried[subflow] += d->len;
	return d->serial;
}

static void
bytes_gather_until_they_are_sent(void **state)
{
	struct fixture *f = *state;

	append(f, "key");
	append(f, "stroke");
	assert_int_equal(assert_sends(f, 0, PLENTY, "keystroke"), 1);
	append(f, "!");
	assert_int_equal(assert_sends(f, 0, PLENTY, "!"), 2);
	assert_false(sendq_ready(&f->q, PLENTY));
}

static void
large_input_becomes_datagrams_of_the_largest_size(void **state)
{
	struct fixture *f = *state;
	static uint8_t big[WIRE_DATA_MAX * 2 + 5];
	struct datagram *d;

	assert_int_equal(sendq_append(&f->q, big, sizeof(big)), 0);
	d = sendq_next(&f->q, PLENTY, WIRE_DATA_MAX);
	assert_int_equal(d->len, WIRE_DATA_MAX);
	assert_int_equal(f->q.unsent_bytes, sizeof(big));
}

static void
what_does_not_fit_is_cut(void **state)
{
	struct fixture *f = *state;
	struct datagram *d;

	append(f, "abcdefgh");
	d = sendq_next(&f->q, PLENTY, 3);
	assert_int_equal(d->len, 3);
	sendq_sent(&f->q, d, 0, 1);
	f->carried[0] += 3;
	assert_sends(f, 0, PLENTY, "defgh");
}

static void
the_window_is_never_passed(void **state)
{
	struct fixture *f = *state;

	append(f, "abcdefgh");
	assert_null(sendq_next(&f->q, WIRE_COST, WIRE_DATA_MAX));
	assert_false(sendq_ready(&f->q, WIRE_COST));
	assert_sends(f, 0, WIRE_COST + 5, "abcde");
	assert_int_equal(f->q.cost_sent, WIRE_COST + 5);
	assert_null(sendq_next(&f->q, WIRE_COST + 5, WIRE_DATA_MAX));
}

static void
a_silly_window_is_waited_for_while_something_is_under_way(void **state)
{
	struct fixture *f = *state;
	static uint8_t big[8000];

	append(f, "x");
	assert_sends(f, 0, PLENTY, "x");
	assert_int_equal(sendq_append(&f->q, big, sizeof(big)), 0);
	assert_false(sendq_ready(&f->q, 2 * WIRE_COST + 1 + 100));
	assert_true(sendq_ready(&f->q, 2 * WIRE_COST + 1 + 2000));
	assert_int_equal(sendq_ack(&f->q, 2, f->carried), 0);
	assert_true(sendq_ready(&f->q, 2 * WIRE_COST + 1 + 100));
}

static void
fin_needs_no_window(void **state)
{
	struct fixture *f = *state;
	const uint8_t code = 0;

	assert_int_equal(sendq_item(&f->q, WIRE_FIN, &code, 1), 0);
	assert_true(sendq_ready(&f->q, 0));
	assert_int_equal(sendq_next(&f->q, 0, 1)->type, WIRE_FIN);
}

static void
an_ack_frees_what_is_before_it(void **state)
{
	struct fixture *f = *state;

	append(f, "one");
	assert_sends(f, 3, PLENTY, "one");
	append(f, "two");
	assert_sends(f, 3, PLENTY, "two");
	assert_int_equal(f->carried[3], 6);
	assert_int_equal(sendq_ack(&f->q, 2, f->carried), 0);
	assert_int_equal(f->carried[3], 3);
	assert_int_equal(f->q.cost_acked, WIRE_COST + 3);
	assert_false(sendq_empty(&f->q));
	assert_int_equal(sendq_ack(&f->q, 3, f->carried), 0);
	assert_true(sendq_empty(&f->q));
}

static void
an_ack_of_what_was_not_sent_is_refused(void **state)
{
	struct fixture *f = *state;

	append(f, "one");
	assert_sends(f, 0, PLENTY, "one");
	assert_int_equal(sendq_ack(&f->q, 3, f->carried), -EPROTO);
	assert_false(sendq_empty(&f->q));
}

static void
what_a_dead_subflow_carried_goes_first_and_in_order(void **state)
{
	struct fixture *f = *state;

	append(f, "one");
	assert_sends(f, 0, PLENTY, "one");
	append(f, "two");
	assert_sends(f, 1, PLENTY, "two");
	append(f, "three");
	assert_sends(f, 0, PLENTY, "three");
	append(f, "new");
	f->carried[0] = 0;
	assert_int_equal(sendq_lose(&f->q, 0), 2);
	assert_int_equal(assert_sends(f, 1, PLENTY, "one"), 1);
	assert_int_equal(assert_sends(f, 1, PLENTY, "three"), 3);
	assert_int_equal(assert_sends(f, 1, PLENTY, "new"), 4);
}

static void
a_copy_elsewhere_is_as_good(void **state)
{
	struct fixture *f = *state;
	struct datagram *d;

	append(f, "one");
	d = sendq_next(&f->q, PLENTY, WIRE_DATA_MAX);
	sendq_sent(&f->q, d, 0, 1);
	sendq_sent(&f->q, d, 1, 1);
	f->carried[1] += 3;
	assert_int_equal(sendq_lose(&f->q, 0), 0);
	assert_false(sendq_ready(&f->q, PLENTY));
	f->carried[1] = 0;
	assert_int_equal(sendq_lose(&f->q, 1), 1);
	assert_true(sendq_ready(&f->q, PLENTY));
}

static void
a_lost_one_may_be_acknowledged_before_it_is_sent_again(void **state)
{
	struct fixture *f = *state;

	append(f, "one");
	assert_sends(f, 0, PLENTY, "one");
	append(f, "two");
	assert_sends(f, 0, PLENTY, "two");
	f->carried[0] = 0;
	sendq_lose(&f->q, 0);
	assert_int_equal(sendq_ack(&f->q, 2, f->carried), 0);
	assert_int_equal(assert_sends(f, 1, PLENTY, "two"), 2);
	assert_false(sendq_ready(&f->q, PLENTY));
}

static void
a_filled_datagram_is_adopted_without_a_copy(void **state)
{
	struct fixture *f = *state;
	struct datagram *d = sendq_datagram(WIRE_DATA_MAX);

	memcpy(d->data, "filled", 6);
	sendq_adopt(&f->q, d, 6);
	assert_ptr_equal(sendq_next(&f->q, PLENTY, WIRE_DATA_MAX), d);
	append(f, "more");
	assert_sends(f, 0, PLENTY, "filledmore");
}

static void
what_only_a_stalled_one_carries_goes_again_until_it_moves(void **state)
{
	struct fixture *f = *state;

	append(f, "one");
	assert_sends(f, 3, PLENTY, "one");
	append(f, "two");
	assert_sends(f, 4, PLENTY, "two");
	append(f, "three");
	assert_sends(f, 3, PLENTY, "three");
	sendq_stall(&f->q, UINT64_C(1) << 3, 0);
	assert_sends(f, 4, PLENTY, "one");
	assert_int_equal(f->q.lost, 1);
	sendq_stall(&f->q, 0, 0);
	assert_int_equal(f->q.lost, 0);
	assert_false(sendq_ready(&f->q, PLENTY));
	/* A death of what is stalled changes nothing. */
	sendq_stall(&f->q, UINT64_C(1) << 3, 0);
	assert_int_equal(f->q.lost, 1);
	f->carried[3] = 0;
	assert_int_equal(sendq_lose(&f->q, 3), 1);
	sendq_stall(&f->q, 0, 0);
	assert_int_equal(f->q.lost, 1);
	assert_sends(f, 4, PLENTY, "three");
	assert_int_equal(sendq_ack(&f->q, 4, f->carried), 0);
}

static void
what_a_stalled_one_carries_goes_again_within_the_credit(void **state)
{
	struct fixture *f = *state;
	uint64_t credit = 0;

	f->q.credit = &credit;
	append(f, "one");
	assert_sends(f, 3, PLENTY, "one");
	append(f, "two");
	assert_sends(f, 3, PLENTY, "two");
	append(f, "three");
	assert_sends(f, 3, PLENTY, "three");
	sendq_stall(&f->q, UINT64_C(1) << 3, 0);
	assert_true(sendq_again(&f->q));	/* the oldest needs none */
	assert_sends(f, 4, PLENTY, "one");
	assert_false(sendq_ready(&f->q, PLENTY));
	append(f, "new");
	assert_false(sendq_again(&f->q));
	assert_sends(f, 4, PLENTY, "new");
	credit = 3;
	assert_true(sendq_again(&f->q));
	assert_sends(f, 4, PLENTY, "two");
	assert_false(sendq_ready(&f->q, PLENTY));
	/* What is known to be gone needs none either. */
	sendq_stall(&f->q, UINT64_C(1) << 3, UINT64_C(1) << 3);
	assert_sends(f, 4, PLENTY, "three");
	assert_int_equal(f->q.lost, 0);
	assert_int_equal(f->q.doubted, 0);
}

static void
what_a_dead_one_carried_waits_for_no_credit(void **state)
{
	struct fixture *f = *state;
	uint64_t credit = 0;

	f->q.credit = &credit;
	append(f, "one");
	assert_sends(f, 4, PLENTY, "one");
	append(f, "two");
	assert_sends(f, 3, PLENTY, "two");
	append(f, "three");
	assert_sends(f, 3, PLENTY, "three");
	sendq_stall(&f->q, UINT64_C(1) << 3, 0);
	assert_false(sendq_ready(&f->q, PLENTY));
	assert_int_equal(f->q.doubted, 2);
	f->carried[3] = 0;
	sendq_lose(&f->q, 3);
	assert_int_equal(f->q.doubted, 0);
	assert_sends(f, 4, PLENTY, "two");
	assert_sends(f, 4, PLENTY, "three");
}

static void
an_acknowledgement_by_a_stalled_one_counts(void **state)
{
	struct fixture *f = *state;

	append(f, "one");
	assert_sends(f, 3, PLENTY, "one");
	sendq_stall(&f->q, UINT64_C(1) << 3, 0);
	assert_int_equal(sendq_ack(&f->q, 2, f->carried), 0);
	assert_int_equal(f->q.lost, 0);
	assert_int_equal(f->carried[3], 0);
	assert_true(sendq_empty(&f->q));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(bytes_gather_until_they_are_sent),
		T(large_input_becomes_datagrams_of_the_largest_size),
		T(what_does_not_fit_is_cut),
		T(the_window_is_never_passed),
		T(a_silly_window_is_waited_for_while_something_is_under_way),
		T(fin_needs_no_window),
		T(an_ack_frees_what_is_before_it),
		T(an_ack_of_what_was_not_sent_is_refused),
		T(what_a_dead_subflow_carried_goes_first_and_in_order),
		T(a_copy_elsewhere_is_as_good),
		T(a_lost_one_may_be_acknowledged_before_it_is_sent_again),
		T(a_filled_datagram_is_adopted_without_a_copy),
		T(what_only_a_stalled_one_carries_goes_again_until_it_moves),
		T(what_a_stalled_one_carries_goes_again_within_the_credit),
		T(what_a_dead_one_carried_waits_for_no_credit),
		T(an_acknowledgement_by_a_stalled_one_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
