/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/transform.h"
#include "core/wire_hello.h"

#define FRAME_MAX (WIRE_HEADER + WIRE_SIZE_MAX)
#define OVERHEAD (WIRE_RECORD_LENGTH + SECURE_TAG)
#define RECORD (WIRE_RECORD_MAX + OVERHEAD)

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
	size_t room, enough;

	(void)state;
	assert_non_null(t);
	assert_int_equal(transform_out_peek(t, &bytes), 0);
	memcpy(transform_out_room(t, &room, &enough), "abcdef", 6);
	assert_int_equal(enough, room);
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
	size_t room, enough;

	(void)state;
	transform_out_room(t, &room, &enough);
	transform_out_commit(t, room);
	transform_out_room(t, &room, &enough);
	assert_int_equal(room, 0);
	transform_out_consume(t, 100);
	transform_out_room(t, &room, &enough);
	assert_int_equal(room, 0);
	transform_out_consume(t, FRAME_MAX - 100);
	transform_out_room(t, &room, &enough);
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
		size_t room, enough;

		transform_out_room(t, &room, &enough);
		assert_int_equal(room, want);
		transform_in_room(t, &room);
		assert_int_equal(room, want);
		transform_free(t);
	}
}

/* Numbered bytes show that none is lost, twice or moved. */
static uint8_t
byte_of(size_t i)
{
	return (uint8_t)(i * 31 >> 3);
}

static void
put_sequence(uint8_t *out, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = byte_of(from + i);
}

static void
assert_sequence(const uint8_t *bytes, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != byte_of(from + i))
			fail_msg("byte %zu", from + i);
}

static size_t
peek(struct transform *t, const uint8_t **bytes)
{
	size_t len;

	assert_int_equal(transform_in_peek(t, bytes, &len), 0);
	return len;
}

/* Whole frames are taken, whatever pieces they come in, and there is always
 * room for more. */
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
		put_sequence(in, sent, room);
		sent += room;
		transform_in_commit(t, room);
		assert_true(transform_heard(t));

		while ((len = peek(t, &bytes)) >= frame) {
			assert_sequence(bytes, taken, frame);
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
	assert_false(transform_heard(t));
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

/* ---- records ---- */

static const struct secure_cipher one = {
	.key = "thirty-two bytes of a first key",
};
static const struct secure_cipher two = {
	.key = "thirty-two bytes of another key",
};

/* Both ends of one connection. */
struct pair {
	struct transform *a, *b;
};

static struct pair
join(size_t out_bytes, size_t in_bytes, bool only_first)
{
	struct pair p = {
		transform_sealed(out_bytes, in_bytes, &one, &two, only_first),
		transform_sealed(out_bytes, in_bytes, &two, &one, only_first),
	};

	assert_non_null(p.a);
	assert_non_null(p.b);
	return p;
}

static void
leave(struct pair p)
{
	transform_free(p.a);
	transform_free(p.b);
}

/* Write `len` bytes of the sequence as one record. */
static void
put(struct transform *t, size_t from, size_t len)
{
	size_t room, enough;
	uint8_t *out = transform_out_room(t, &room, &enough);

	assert_true(len <= room);
	put_sequence(out, from, len);
	transform_out_commit(t, len);
}

static void
give(struct transform *t, const uint8_t *bytes, size_t len)
{
	size_t room;
	uint8_t *in = transform_in_room(t, &room);

	assert_true(len <= room);
	memcpy(in, bytes, len);
	transform_in_commit(t, len);
}

/* All that one end sends arrives. */
static void
carry(struct transform *from, struct transform *to)
{
	const uint8_t *bytes;
	size_t len = transform_out_peek(from, &bytes);

	give(to, bytes, len);
	transform_out_consume(from, len);
}

static void
assert_shows_nothing(struct transform *t)
{
	const uint8_t *bytes;

	assert_int_equal(peek(t, &bytes), 0);
}

static void
assert_broken(struct transform *t)
{
	const uint8_t *bytes;
	size_t len, room;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(transform_in_peek(t, &bytes, &len), -EBADMSG);
		transform_in_room(t, &room);
		assert_int_equal(room, 0);
	}
}

static void
a_record_is_its_length_and_what_the_cipher_gives(void **state)
{
	struct pair p = join(0, 0, false);
	struct secure_cipher c = one;
	uint8_t want[OVERHEAD + 20] = { 0, 20 + SECURE_TAG };
	const uint8_t *bytes;

	(void)state;
	put_sequence(want + 2, 0, 20);
	secure_seal(&c, want + 2, 20);
	put(p.a, 0, 20);
	assert_int_equal(transform_out_peek(p.a, &bytes), sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
	carry(p.a, p.b);
	assert_int_equal(peek(p.b, &bytes), 20);
	assert_sequence(bytes, 0, 20);
	leave(p);
}

static void
several_records_leave_in_one_write(void **state)
{
	struct pair p = join(64 << 10, 64 << 10, false);
	const uint8_t *bytes;
	size_t room, enough, sent = 0, taken = 0, len;

	(void)state;
	for (int i = 0; i < 3; i++) {
		transform_out_room(p.a, &room, &enough);
		assert_int_equal(room, WIRE_RECORD_MAX);
		assert_int_equal(enough, WIRE_RECORD_MAX);
		put(p.a, sent, room);
		sent += room;
	}
	/* What is left would not do for each frame. */
	transform_out_room(p.a, &room, &enough);
	assert_int_equal(room, 0);
	assert_int_equal(enough, 0);
	assert_int_equal(transform_out_peek(p.a, &bytes), 3 * RECORD);
	give(p.b, bytes, 3 * RECORD);
	transform_out_consume(p.a, 1);
	transform_out_room(p.a, &room, &enough);
	assert_int_equal(room, 0);
	transform_out_consume(p.a, 3 * RECORD - 1);
	transform_out_room(p.a, &room, &enough);
	assert_int_equal(room, WIRE_RECORD_MAX);

	while ((len = peek(p.b, &bytes)) > 0) {
		assert_int_equal(len, WIRE_RECORD_MAX);
		assert_sequence(bytes, taken, len);
		transform_in_consume(p.b, len);
		taken += len;
	}
	assert_int_equal(taken, sent);
	leave(p);
}

/* There is room for any frame, and yet no more than asked is wished for. */
static void
records_are_small_where_the_room_is(void **state)
{
	static const struct {
		size_t asked, room, enough, next;
	} rows[] = {
		{ 0, WIRE_RECORD_MAX, 1024, 0 },
		{ 1436, WIRE_RECORD_MAX, 1436, 0 },
		{ 5000, WIRE_RECORD_MAX, 5000, 0 },
		{ 40000, WIRE_RECORD_MAX, WIRE_RECORD_MAX, WIRE_RECORD_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = join(rows[i].asked, 0, false);
		size_t room, enough;

		transform_out_room(p.a, &room, &enough);
		assert_int_equal(room, rows[i].room);
		assert_int_equal(enough, rows[i].enough);
		put(p.a, 0, enough);
		transform_out_room(p.a, &room, &enough);
		assert_int_equal(room, rows[i].next);
		leave(p);
	}
}

/* Frames in records in pieces: three things that need not meet. */
static void
records_come_out_whole_from_any_pieces(void **state)
{
	(void)state;
	for (int only_first = 0; only_first <= 1; only_first++) {
		struct pair p = join(64 << 10, RECORD, only_first);
		size_t sent = 0, taken = 0;

		while (taken < 20u << 20) {
			const uint8_t *bytes, *shown;
			size_t room, enough, len;
			uint8_t *in;

			transform_out_room(p.a, &room, &enough);
			if (room > 0) {
				len = random_below(3) == 0 ? room :
				    1 + random_below((uint32_t)room);
				if (random_below(10) == 0 && sent > 0)
					len = 0;
				put(p.a, sent, len);
				sent += len;
			}
			in = transform_in_room(p.b, &room);
			assert_true(room > 0);
			len = transform_out_peek(p.a, &bytes);
			if (len > room)
				len = room;
			if (len > 0 && random_below(2) == 0)
				len = 1 + random_below((uint32_t)len);
			memcpy(in, bytes, len);
			transform_in_commit(p.b, len);
			transform_out_consume(p.a, len);
			while ((len = peek(p.b, &shown)) > 0) {
				if (random_below(2) == 0)
					len = 1 + random_below((uint32_t)len);
				assert_sequence(shown, taken, len);
				transform_in_consume(p.b, len);
				taken += len;
			}
		}
		leave(p);
	}
}

static void
an_empty_record_is_heard(void **state)
{
	struct pair p = join(0, 0, false);
	const uint8_t *bytes;

	(void)state;
	put(p.a, 0, 0);
	assert_int_equal(transform_out_peek(p.a, &bytes), OVERHEAD);
	assert_false(transform_heard(p.b));
	carry(p.a, p.b);
	assert_false(transform_heard(p.b));
	assert_shows_nothing(p.b);
	assert_true(transform_heard(p.b));

	/* And does not hide what follows. */
	put(p.a, 0, 0);
	carry(p.a, p.b);
	put(p.a, 0, 7);
	carry(p.a, p.b);
	assert_int_equal(peek(p.b, &bytes), 7);
	leave(p);
}

static void
of_a_record_in_part_nothing_is_shown(void **state)
{
	struct pair p = join(0, 0, false);
	const uint8_t *bytes, *shown;
	size_t len;

	(void)state;
	put(p.a, 0, 100);
	len = transform_out_peek(p.a, &bytes);
	for (size_t i = 0; i < len; i++) {
		assert_shows_nothing(p.b);
		assert_false(transform_heard(p.b));
		give(p.b, bytes + i, 1);
	}
	assert_int_equal(peek(p.b, &shown), 100);
	assert_sequence(shown, 0, 100);
	leave(p);
}

static void
a_record_with_any_bit_flipped_is_refused(void **state)
{
	enum { LEN = OVERHEAD + 20 };

	(void)state;
	for (size_t bit = 0; bit < 8 * LEN; bit++) {
		struct pair p = join(0, 0, false);
		const uint8_t *bytes;
		uint8_t copy[RECORD] = { 0 };
		size_t len, announced;

		put(p.a, 0, 20);
		assert_int_equal(transform_out_peek(p.a, &bytes), LEN);
		memcpy(copy, bytes, LEN);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		give(p.b, copy, LEN);
		/* One that is longer now has to be filled up first. */
		announced = 2 + ((size_t)copy[0] << 8 | copy[1]);
		if (announced > LEN && announced <= RECORD) {
			assert_int_equal(transform_in_peek(p.b, &bytes, &len),
			    0);
			assert_int_equal(len, 0);
			give(p.b, copy + LEN, announced - LEN);
		}
		assert_broken(p.b);
		assert_false(transform_heard(p.b));
		leave(p);
	}
}

static void
an_impossible_length_is_refused_at_once(void **state)
{
	static const struct {
		uint8_t bytes[2];
		bool bad;
	} rows[] = {
		{ { 0, 0 }, true },
		{ { 0, SECURE_TAG - 1 }, true },
		{ { 0, SECURE_TAG }, false },
		{ { 0x41, 0x10 }, false },	/* 16,640 and the tag */
		{ { 0x41, 0x11 }, true },
		{ { 0xff, 0xff }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = join(0, 0, false);

		give(p.b, rows[i].bytes, 1);
		assert_shows_nothing(p.b);
		give(p.b, rows[i].bytes + 1, 1);
		if (rows[i].bad)
			assert_broken(p.b);
		else
			assert_shows_nothing(p.b);
		leave(p);
	}
}

/* Of three records the second is left out, or comes twice; what came before is
 * good. */
static void
records_are_taken_in_their_order_only(void **state)
{
	enum { LEN = OVERHEAD + 20 };
	static const int orders[][3] = { { 1, 0, 2 }, { 0, 2, 1 },
		{ 0, 0, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct pair p = join(64 << 10, 0, false);
		const uint8_t *bytes, *shown;
		const int *order = orders[i];

		for (size_t k = 0; k < 3; k++)
			put(p.a, 20 * k, 20);
		assert_int_equal(transform_out_peek(p.a, &bytes), 3 * LEN);
		for (int k = 0; k < 3; k++)
			give(p.b, bytes + order[k] * LEN, LEN);
		if (order[0] == 0) {
			assert_int_equal(peek(p.b, &shown), 20);
			assert_sequence(shown, 0, 20);
			transform_in_consume(p.b, 20);
		}
		assert_broken(p.b);
		leave(p);
	}
}

/* Our own record, given back, is none of theirs. */
static void
directions_have_their_own_keys(void **state)
{
	struct pair p = join(0, 0, false);

	(void)state;
	put(p.a, 0, 20);
	carry(p.a, p.a);
	assert_broken(p.a);
	leave(p);
}

/* A frame does not go on in the next record, so nothing is read for it. */
static void
there_is_no_room_behind_a_frame_in_part(void **state)
{
	(void)state;
	for (int only_first = 0; only_first <= 1; only_first++) {
		struct pair p = join(64 << 10, 64 << 10, only_first);
		const uint8_t *bytes;
		size_t room;

		put(p.a, 0, 20);
		carry(p.a, p.b);
		put(p.a, 20, 20);
		carry(p.a, p.b);
		assert_int_equal(peek(p.b, &bytes), 20);
		transform_in_room(p.b, &room);
		assert_int_equal(room, 0);
		transform_in_consume(p.b, 19);
		assert_int_equal(peek(p.b, &bytes), 1);
		transform_in_room(p.b, &room);
		assert_int_equal(room, 0);
		transform_in_consume(p.b, 1);
		assert_int_equal(peek(p.b, &bytes), 20);
		assert_sequence(bytes, 20, 20);
		leave(p);
	}
}

static void
behind_the_only_record_bytes_are_plain(void **state)
{
	struct pair p = join(64 << 10, 64 << 10, true);
	const uint8_t *bytes;
	size_t room, enough;

	(void)state;
	/* The ways are apart: this one is still to begin when that has. */
	put(p.a, 0, 20);
	assert_int_equal(transform_out_peek(p.a, &bytes), 20 + OVERHEAD);
	transform_out_room(p.a, &room, &enough);
	assert_int_equal(room, 0);
	carry(p.a, p.b);
	assert_int_equal(peek(p.b, &bytes), 20);
	transform_in_consume(p.b, 20);

	transform_out_room(p.a, &room, &enough);
	assert_int_equal(room, 64 << 10);
	assert_int_equal(enough, 64 << 10);
	put(p.a, 0, 10);
	put(p.b, 0, 0);
	assert_int_equal(transform_out_peek(p.a, &bytes), 10);
	assert_sequence(bytes, 0, 10);
	assert_int_equal(transform_out_peek(p.b, &bytes), OVERHEAD);
	carry(p.a, p.b);
	assert_int_equal(peek(p.b, &bytes), 10);
	carry(p.b, p.a);
	assert_shows_nothing(p.a);
	assert_true(transform_heard(p.a));
	put(p.b, 0, 5);
	carry(p.b, p.a);
	assert_int_equal(peek(p.a, &bytes), 5);
	leave(p);
}

static void
the_first_record_is_verified_where_it_is_the_only_one(void **state)
{
	struct pair p = join(0, 0, true);
	uint8_t plain[OVERHEAD] = { 0, SECURE_TAG };

	(void)state;
	give(p.b, plain, sizeof(plain));
	assert_broken(p.b);
	leave(p);
}

/* ---- keys ---- */

static const uint8_t *hunted;	/* should not be in what is freed */
static int found;

void __real_free(void *);
void __wrap_free(void *);

void
__wrap_free(void *bytes)
{
	if (hunted != NULL && bytes != NULL &&
	    memmem(bytes, malloc_usable_size(bytes), hunted, SECURE_KEY) !=
	    NULL)
		found++;
	__real_free(bytes);
}

static void
what_is_freed_holds_no_key(void **state)
{
	struct pair p = join(0, 0, false);
	uint8_t *copy = malloc(SECURE_KEY);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, one.key, SECURE_KEY);
	hunted = one.key;
	__wrap_free(copy);	/* under this name the copy is not left out */
	assert_int_equal(found, 1);
	leave(p);
	assert_int_equal(found, 1);
	hunted = NULL;
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
		cmocka_unit_test(
		    a_record_is_its_length_and_what_the_cipher_gives),
		cmocka_unit_test(several_records_leave_in_one_write),
		cmocka_unit_test(records_are_small_where_the_room_is),
		cmocka_unit_test(records_come_out_whole_from_any_pieces),
		cmocka_unit_test(an_empty_record_is_heard),
		cmocka_unit_test(of_a_record_in_part_nothing_is_shown),
		cmocka_unit_test(a_record_with_any_bit_flipped_is_refused),
		cmocka_unit_test(an_impossible_length_is_refused_at_once),
		cmocka_unit_test(records_are_taken_in_their_order_only),
		cmocka_unit_test(directions_have_their_own_keys),
		cmocka_unit_test(there_is_no_room_behind_a_frame_in_part),
		cmocka_unit_test(behind_the_only_record_bytes_are_plain),
		cmocka_unit_test(
		    the_first_record_is_verified_where_it_is_the_only_one),
		cmocka_unit_test(what_is_freed_holds_no_key),
	};
	const char *given = getenv("RORO_SEED");

	seed = given != NULL ? (uint32_t)strtoul(given, NULL, 0) : 1;
	printf("RORO_SEED=%u\n", (unsigned int)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
