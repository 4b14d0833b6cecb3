/* SPDX-License-Identifier: ISC */
#include "penalty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct addr
source(uint8_t number)
{
	return (struct addr){ .family = 4, .ip = { 10, 0, 0, number },
		.port = number };
}

static void
each_source_waits_for_itself(void **state)
{
	struct penalty p = { 0 };
	const struct addr one = source(1), two = source(2);
	struct addr again = one;

	(void)state;
	assert_int_equal(penalty_until(&p, &one), 0);
	penalty_note(&p, &one, 100);
	penalty_note(&p, &two, 200);
	assert_int_equal(penalty_until(&p, &one), 100);
	assert_int_equal(penalty_until(&p, &two), 200);
	again.port = 9;
	assert_int_equal(penalty_until(&p, &again), 100);
	penalty_note(&p, &again, 300);
	assert_int_equal(penalty_until(&p, &one), 300);
}

static void
the_first_that_is_over_is_forgotten(void **state)
{
	struct penalty p = { 0 };

	(void)state;
	for (uint8_t i = 0; i < PENALTY_SOURCES; i++) {
		const struct addr a = source(i);

		penalty_note(&p, &a, i == 20 ? 1 : 1000u + i);
	}
	const struct addr forgotten = source(20), kept = source(0),
	    new = source(200);
	penalty_note(&p, &new, 5000);
	assert_int_equal(penalty_until(&p, &forgotten), 0);
	assert_int_equal(penalty_until(&p, &kept), 1000);
	assert_int_equal(penalty_until(&p, &new), 5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_source_waits_for_itself),
		cmocka_unit_test(the_first_that_is_over_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
