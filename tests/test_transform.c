/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/transform.h"
#include "core/wire.h"

#define FRAME_MAX (WIRE_HEADER + WIRE_SIZE_MAX)

static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)seed * n >> 32);
}

static void
what_is_committed_is_sent_in_order(void **state)
{
	struct transform *t = transform_plain(0, 0);
	const uint8_t *bytes;
	size_t room;

	(void)state;
	assert_non_null(t);
	assert_int_equal(transform_out_peek(t, &bytes), 0);
	memcpy(transform_out_room(t, &room), "abcdef", 6);
	transform_out_commit(t, 6);
	assert_int_equal(transform_out_peek(t, &bytes), 6);
	assert_memory_equal(bytes, "abcdef", 6);
	transform_out_consume(t, 4);
	assert_int_equal(transform_out_peek(t, &bytes), 2);
	assert_memory_equal(bytes, "ef", 2);
	transform_free(t);
}

static void
nothing_is_taken_while_earlier_bytes_wait(void **state)
{
	struct transform *t = transform_plain(0, 0);
	size_t room;

	(void)state;
	transform_out_room(t, &room);
	transform_out_commit(t, room);
	transform_out_room(t, &room);
	assert_int_equal(room, 0);
	transform_out_consume(t, 100);
	transform_out_room(t, &room);
	assert_int_equal(room, 0);
	transform_out_consume(t, FRAME_MAX - 100);
	transform_out_room(t, &room);
	assert_int_equal(room, FRAME_MAX);
	transform_free(t);
}

static void
room_is_a_whole_frame_at_least(void **state)
{
	static const size_t asked[] = { 0, 1, FRAME_MAX, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct transform *t = transform_plain(asked[i], asked[i]);
		size_t want = asked[i] < FRAME_MAX ? FRAME_MAX : asked[i];
		size_t room;

		transform_out_room(t, &room);
		assert_int_equal(room, want);
		transform_in_room(t, &room);
		assert_int_equal(room, want);
		transform_free(t);
	}
}

/* Whole frames are taken, whatever pieces they come in, and there is always
 * room for more; numbered bytes show that none is lost, twice or moved. */
static void
frames_come_out_whole_from_any_pieces(void **state)
{
	struct transform *t = transform_plain(0, FRAME_MAX);
	size_t sent = 0, taken = 0, frame = 1;

	(void)state;
	while (taken < 20u << 20) {
		const uint8_t *bytes;
		size_t room, len;
		uint8_t *in = transform_in_room(t, &room);

		assert_true(room > 0);
		if (random_below(2) == 0)
			room = 1 + random_below((uint32_t)room);
		for (size_t i = 0; i < room; i++)
			in[i] = (uint8_t)((sent + i) * 31 >> 3);
		sent += room;
		assert_int_equal(transform_in_commit(t, room), 0);

		while ((len = transform_in_peek(t, &bytes)) >= frame) {
			for (size_t i = 0; i < frame; i++)
				if (bytes[i] != (uint8_t)((taken + i) * 31 >> 3))
					fail_msg("byte %zu", taken + i);
			transform_in_consume(t, frame);
			taken += frame;
			frame = 1 + random_below(FRAME_MAX);
		}
		assert_int_equal(len, sent - taken);
	}
	transform_free(t);
}

static void
there_is_no_room_when_nothing_is_taken(void **state)
{
	struct transform *t = transform_plain(0, 0);
	size_t room;

	(void)state;
	transform_in_room(t, &room);
	transform_in_commit(t, room);
	transform_in_room(t, &room);
	assert_int_equal(room, 0);
	transform_free(t);
}

static void
none_is_freed_without_harm(void **state)
{
	(void)state;
	transform_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_committed_is_sent_in_order),
		cmocka_unit_test(nothing_is_taken_while_earlier_bytes_wait),
		cmocka_unit_test(room_is_a_whole_frame_at_least),
		cmocka_unit_test(frames_come_out_whole_from_any_pieces),
		cmocka_unit_test(there_is_no_room_when_nothing_is_taken),
		cmocka_unit_test(none_is_freed_without_harm),
	};
	const char *given = getenv("RORO_SEED");

	seed = given != NULL ? (uint32_t)strtoul(given, NULL, 0) : 1;
	printf("RORO_SEED=%u\n", (unsigned int)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
