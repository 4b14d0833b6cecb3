/* SPDX-License-Identifier: ISC */
/*
 * Both ends of a subflow over a connection of the loopback interface, or one of
 * them against a plain socket.  The owner of an end is a struct that counts its
 * callbacks; its "frames" are a numbered sequence of bytes.
 */
#include "loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/handshake.h"
#include "core/wire_hello.h"
#include "net/subflow.h"

#define HELLO (WIRE_HELLO_PROLOGUE + WIRE_HELLO_PAYLOAD)
#define ANSWER (2 + WIRE_ANSWER_PAYLOAD)

#define LONG_MS 10000		/* a deadline that no test should reach */
#define SHORT_MS 60
#define ANSWER_MS 400		/* in which an answer comes on a busy machine */

/* Where an owner closes the subflow itself. */
enum place { NOWHERE, IN_KEY, IN_HELLO, IN_UP, IN_TAKE, IN_FILL, IN_EVENT,
	IN_CLOSED };

struct end {
	struct subflow *subflow;
	int keys, hello, up, events, closed;
	int error;
	const char *why;
	struct wire_hello their_hello;
	struct wire_answer their_answer;

	uint32_t deadline_ms;	/* 0: LONG_MS */
	enum wire_protection protection;	/* proxy */
	const uint8_t *key;	/* NULL without; proxy: else chosen for it */
	bool refuse_key, refuse_hello, refuse_up;
	int take_error;
	enum place close_in;

	size_t to_send, sent;	/* of the sequence */
	size_t taken, piece;	/* take and give whole pieces only */
	size_t out_bytes;
	int fills;
};

static const struct wire_hello hello = {
	.group = "sixteen bytes..", .path = 3, .slot = 129,
	.features = WIRE_FEATURE_IPV4, .initial_window = 65536,
};
static const struct wire_answer answer = {
	.group_known = true, .features = WIRE_FEATURE_IPV6,
	.initial_window = 131072, .max_sessions = 77,
};

static const uint8_t our_key[SECURE_KEY] = "thirty-two bytes that are a key";
static const uint8_t other_key[SECURE_KEY] = "and thirty-two others like them";

static const enum wire_protection protections[] = {
	WIRE_PROTECTION_NONE, WIRE_PROTECTION_AUTH, WIRE_PROTECTION_SEALED,
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What a proxy says, whatever it was. */
static const char no_relay[] =
    "closed in the handshake: wrong key, not a relay, its limits, or it ends";

static const uint8_t *
key_for(enum wire_protection protection)
{
	return protection != WIRE_PROTECTION_NONE ? our_key : NULL;
}

static uint8_t
byte_of(size_t i)
{
	return (uint8_t)(i * 31 >> 3);
}

static void
close_in(struct end *e, enum place place)
{
	if (e->close_in == place)
		subflow_close(e->subflow);
}

static bool
on_key(struct subflow *sf, const uint8_t id[static WIRE_KEY_ID],
    const uint8_t **key)
{
	struct end *e = subflow_user(sf);

	(void)id;
	e->keys++;
	assert_int_equal(e->hello, 0);
	*key = e->key;
	close_in(e, IN_KEY);
	return !e->refuse_key;
}

static bool
on_hello(struct subflow *sf, const struct wire_hello *h, struct wire_answer *a)
{
	struct end *e = subflow_user(sf);

	e->hello++;
	e->their_hello = *h;
	*a = answer;
	close_in(e, IN_HELLO);
	return !e->refuse_hello;
}

static bool
on_up(struct subflow *sf, const struct wire_answer *a)
{
	struct end *e = subflow_user(sf);

	e->up++;
	assert_int_equal(e->taken, 0);
	if (a != NULL)
		e->their_answer = *a;
	close_in(e, IN_UP);
	return !e->refuse_up;
}

static int
take(struct subflow *sf, const uint8_t *bytes, size_t len)
{
	struct end *e = subflow_user(sf);

	assert_int_equal(e->up, 1);
	close_in(e, IN_TAKE);
	if (e->take_error != 0)
		return e->take_error;
	len -= len % e->piece;
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != byte_of(e->taken + i))
			fail_msg("byte %zu", e->taken + i);
	e->taken += len;
	return (int)len;
}

static size_t
fill(struct subflow *sf, uint8_t *out, size_t room)
{
	struct end *e = subflow_user(sf);
	size_t len = e->to_send - e->sent;

	e->fills++;
	assert_int_equal(e->up, 1);
	close_in(e, IN_FILL);
	if (len > room)
		len = room;
	len -= len % e->piece;
	for (size_t i = 0; i < len; i++)
		out[i] = byte_of(e->sent + i);
	e->sent += len;
	return len;
}

static void
on_event(struct subflow *sf)
{
	struct end *e = subflow_user(sf);

	e->events++;
	close_in(e, IN_EVENT);
	subflow_pump(sf);
}

static void
on_closed(struct subflow *sf, int error, const char *why)
{
	struct end *e = subflow_user(sf);

	e->closed++;
	e->error = error;
	e->why = why;
	assert_int_equal(subflow_fd(sf), -1);
	close_in(e, IN_CLOSED);
	e->subflow = NULL;
}

static const struct subflow_callbacks callbacks = {
	.on_key = on_key, .on_hello = on_hello, .on_up = on_up, .take = take,
	.fill = fill, .on_event = on_event, .on_closed = on_closed,
};

static struct subflow_options
options_of(struct end *e)
{
	if (e->piece == 0)
		e->piece = 1;
	if (e->deadline_ms == 0)
		e->deadline_ms = LONG_MS;
	return (struct subflow_options){ .callbacks = &callbacks, .user = e,
		.handshake_ms = e->deadline_ms, .out_bytes = e->out_bytes };
}

static void
start_proxy(struct end *e, int fd)
{
	struct subflow_options o = options_of(e);
	struct wire_hello said = hello;

	said.protection = (uint8_t)e->protection;
	if (e->key == NULL)
		e->key = key_for(e->protection);
	e->subflow = subflow_proxy(loop, fd, &o, &said, e->key);
	assert_non_null(e->subflow);
}

static void
start_relay(struct end *e, int fd)
{
	struct subflow_options o = options_of(e);

	e->subflow = subflow_relay(loop, fd, &o);
	assert_non_null(e->subflow);
}

/* A relay's end and a plain socket in the place of its proxy. */
static int
start_relay_alone(struct end *e)
{
	int fds[2];

	tcp_pair(fds);
	start_relay(e, fds[0]);
	return fds[1];
}

static int
start_proxy_alone(struct end *e)
{
	int fds[2];

	tcp_pair(fds);
	start_proxy(e, fds[0]);
	return fds[1];
}

static size_t
put_hello(uint8_t out[HELLO])
{
	const struct wire_prologue prologue = { .version = WIRE_VERSION,
		.length = WIRE_HELLO_PAYLOAD };

	wire_put_prologue(out, &prologue);
	wire_put_hello(out + WIRE_HELLO_PROLOGUE, &hello);
	return HELLO;
}

static size_t
put_answer(uint8_t out[ANSWER])
{
	wire_put_length(out, WIRE_ANSWER_PAYLOAD);
	wire_put_answer(out + 2, &answer);
	return ANSWER;
}

static size_t
put_sequence(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = byte_of(i);
	return len;
}

static void
send_all(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void
read_all(int fd, uint8_t *out, size_t len)
{
	assert_int_equal(recv(fd, out, len, MSG_WAITALL), (ssize_t)len);
}

/* Turn the loop until the relay has that many bytes waiting for it to read. */
static int
unread(const struct end *e)
{
	int n = -1;

	run_for(0.02, NULL, 0);
	assert_int_equal(ioctl(subflow_fd(e->subflow), FIONREAD, &n), 0);
	return n;
}

/* ---- the handshake ---- */

static void
assert_joins(enum wire_protection protection)
{
	struct end p = { .to_send = 12, .deadline_ms = 300,
		.protection = protection };
	struct end r = { .to_send = 20, .deadline_ms = 300,
		.key = key_for(protection) };
	int fds[2];

	tcp_pair(fds);
	start_relay(&r, fds[1]);
	start_proxy(&p, fds[0]);
	assert_int_equal(subflow_peer(p.subflow)->family, 4);
	assert_int_equal(p.up + p.fills + r.keys + r.hello, 0);
	assert_true(run_until(&r.up, 1));
	assert_true(run_until(&p.events, 2));

	assert_int_equal(p.up, 1);
	assert_int_equal(r.keys, 1);
	assert_int_equal(r.hello, 1);
	assert_memory_equal(r.their_hello.group, hello.group,
	    sizeof(hello.group));
	assert_int_equal(r.their_hello.path, 3);
	assert_int_equal(r.their_hello.slot, 129);
	assert_int_equal(r.their_hello.protection, protection);
	assert_int_equal(r.their_hello.initial_window, 65536);
	assert_int_equal(p.their_answer.protection, protection);
	assert_true(p.their_answer.group_known);
	assert_int_equal(p.their_answer.max_sessions, 77);
	assert_int_equal(r.taken, 12);
	assert_int_equal(p.taken, 20);

	/* Established: the deadline of the handshake is none of it. */
	assert_false(run_for(0.4, &p.closed, 1));
	assert_int_equal(r.closed, 0);
	subflow_close(p.subflow);
	assert_true(run_until(&r.closed, 1));
	assert_string_equal(r.why, "connection lost");
	assert_int_equal(r.error, -ECONNRESET);
	assert_int_equal(p.closed, 0);
}

static void
proxy_and_relay_join(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++)
		assert_joins(protections[i]);
}

static void
a_relay_is_up_with_the_first_bytes_of_frames(void **state)
{
	struct end r = { 0 };
	uint8_t bytes[HELLO], got[ANSWER], want[ANSWER];
	int fd = start_relay_alone(&r);

	(void)state;
	send_all(fd, bytes, put_hello(bytes));
	assert_true(run_until(&r.hello, 1));
	read_all(fd, got, sizeof(got));
	put_answer(want);
	assert_memory_equal(got, want, sizeof(want));
	assert_false(run_for(0.02, &r.up, 1));
	subflow_pump(r.subflow);
	assert_int_equal(r.fills, 0);

	send_all(fd, bytes, put_sequence(bytes, 1));
	assert_true(run_until(&r.events, 1));
	assert_int_equal(r.up, 1);
	assert_int_equal(r.taken, 1);
	subflow_close(r.subflow);
	close(fd);
}

static void
one_that_only_says_hello_is_closed_at_the_deadline(void **state)
{
	struct end r = { .deadline_ms = SHORT_MS };
	uint8_t bytes[HELLO];
	int fd = start_relay_alone(&r);

	(void)state;
	send_all(fd, bytes, put_hello(bytes));
	assert_true(run_until(&r.closed, 1));
	assert_int_equal(r.hello, 1);
	assert_int_equal(r.up, 0);
	assert_int_equal(r.error, -ETIMEDOUT);
	close(fd);
}

static void
frames_may_follow_the_hello_at_once(void **state)
{
	struct end r = { 0 };
	uint8_t bytes[HELLO + 1000];
	size_t len = put_hello(bytes);
	int fd = start_relay_alone(&r);

	(void)state;
	len += put_sequence(bytes + len, 1000);
	send_all(fd, bytes, len);
	while (r.taken < 1000)
		run_turn();
	assert_int_equal(r.up, 1);
	subflow_close(r.subflow);
	close(fd);
}

static void
frames_may_follow_the_answer_at_once(void **state)
{
	struct end p = { .to_send = 5 };
	uint8_t bytes[1000], want[HELLO];
	size_t len = put_answer(bytes);
	int fd = start_proxy_alone(&p);

	(void)state;
	len += put_sequence(bytes + len, 900);
	send_all(fd, bytes, len);
	while (p.taken < 900)
		run_turn();
	put_hello(want);
	read_all(fd, bytes, HELLO);
	assert_memory_equal(bytes, want, HELLO);
	read_all(fd, bytes, 5);
	subflow_close(p.subflow);
	close(fd);
}

static void
greetings_may_come_byte_by_byte(void **state)
{
	struct end r = { 0 }, p = { 0 };
	uint8_t bytes[HELLO + 1];
	size_t len;
	int fd;

	(void)state;
	fd = start_relay_alone(&r);
	len = put_hello(bytes);
	len += put_sequence(bytes + len, 1);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(r.hello, i >= HELLO);
		send_all(fd, bytes + i, 1);
		run_for(0.0005, &r.events, 1);
		if (i == HELLO - 1)
			assert_true(run_until(&r.hello, 1));
	}
	assert_true(run_until(&r.up, 1));
	subflow_close(r.subflow);
	close(fd);

	fd = start_proxy_alone(&p);
	len = put_answer(bytes);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(p.up, 0);
		send_all(fd, bytes + i, 1);
		run_for(0.0005, &p.up, 1);
	}
	assert_true(run_until(&p.up, 1));
	subflow_close(p.subflow);
	close(fd);
}

/* What a relay does not like: no byte comes back, and the end is a reset at the
 * deadline, whatever was wrong. */
static void
assert_closed_in_silence(struct end *r, int fd, ev_tstamp start)
{
	char c;

	assert_true(run_until(&r->closed, 1));
	assert_true(ev_time() - start > (r->deadline_ms - 10) / 1000.);
	assert_int_equal(r->up, 0);
	assert_int_equal(read_once(fd, &c, 1), -ECONNRESET);
	close(fd);
}

static void
a_wrong_hello_is_closed_in_silence(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {
		{ 0, 0 },			/* magic */
		{ 3, 0xfe },
		{ 4, 2 },			/* version */
		{ 5, 1 },			/* reserved */
		{ 6, 1 },			/* length: 283 */
		{ 7, WIRE_HELLO_PAYLOAD - 1 },
		{ 8, 1 },			/* key id */
		{ 15, 1 },
		{ WIRE_HELLO_PROLOGUE + 18, WIRE_PROTECTION_SEALED },
		{ WIRE_HELLO_PROLOGUE + 18, 9 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct end r = { .deadline_ms = SHORT_MS };
		uint8_t bytes[HELLO];
		ev_tstamp start = ev_time();
		int fd = start_relay_alone(&r);

		put_hello(bytes);
		bytes[rows[i].at] = rows[i].value;
		send_all(fd, bytes, sizeof(bytes));
		assert_closed_in_silence(&r, fd, start);
		assert_int_equal(r.hello, 0);
		assert_int_equal(r.error, -EPROTO);
		assert_string_equal(r.why, "bad hello");
	}
}

static void
a_hello_that_is_refused_looks_the_same(void **state)
{
	struct end r = { .refuse_hello = true, .deadline_ms = SHORT_MS };
	uint8_t bytes[HELLO];
	ev_tstamp start = ev_time();
	int fd = start_relay_alone(&r);

	(void)state;
	send_all(fd, bytes, put_hello(bytes));
	assert_closed_in_silence(&r, fd, start);
	assert_int_equal(r.hello, 1);
	assert_int_equal(r.error, -EACCES);
	assert_string_equal(r.why, "hello refused");
}

static void
a_hello_that_never_ends_looks_the_same(void **state)
{
	static const size_t lengths[] = { 0, 1, 15, 16, HELLO - 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct end r = { .deadline_ms = SHORT_MS };
		uint8_t bytes[HELLO];
		ev_tstamp start = ev_time();
		int fd = start_relay_alone(&r);

		put_hello(bytes);
		send_all(fd, bytes, lengths[i]);
		assert_closed_in_silence(&r, fd, start);
		assert_int_equal(r.hello, 0);
		assert_int_equal(r.error, -ETIMEDOUT);
		assert_string_equal(r.why, "timed out in the handshake");
	}
}

static void
no_more_than_256_bytes_are_read_of_a_stranger(void **state)
{
	static const uint8_t bytes[1000] = { 'G', 'E', 'T' };
	struct end r = { .deadline_ms = 300 };
	ev_tstamp start = ev_time();
	int fd = start_relay_alone(&r);
	unsigned int turns = ev_iteration(loop);

	(void)state;
	send_all(fd, bytes, 200);
	assert_int_equal(unread(&r), 0);
	send_all(fd, bytes, sizeof(bytes));
	assert_int_equal(unread(&r), 200 + sizeof(bytes) - WIRE_HELLO_MAX);
	assert_closed_in_silence(&r, fd, start);
	assert_true(ev_iteration(loop) - turns < 50);	/* and nothing spins */
}

static void
one_that_ends_early_is_closed_at_once(void **state)
{
	struct end r = { 0 };
	uint8_t bytes[HELLO];
	int fd = start_relay_alone(&r);

	(void)state;
	put_hello(bytes);
	send_all(fd, bytes, HELLO - 1);
	close(fd);
	assert_true(run_until(&r.closed, 1));
	assert_int_equal(r.error, 0);
	assert_string_equal(r.why, "closed in the handshake");
}

static void
a_proxy_notices_a_relay_that_goes_away(void **state)
{
	struct end p = { 0 };
	uint8_t bytes[HELLO];
	int fd = start_proxy_alone(&p);

	(void)state;
	read_all(fd, bytes, HELLO);
	close(fd);
	assert_true(run_until(&p.closed, 1));
	assert_int_equal(p.up, 0);
	assert_int_equal(p.error, 0);
	assert_string_equal(p.why, no_relay);
}

static void
a_proxy_does_not_wait_for_ever(void **state)
{
	struct end p = { .deadline_ms = SHORT_MS };
	int fd = start_proxy_alone(&p);

	(void)state;
	assert_true(run_until(&p.closed, 1));
	assert_int_equal(p.error, -ETIMEDOUT);
	assert_string_equal(p.why, no_relay);
	close(fd);
}

static void
a_bad_answer_closes(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {
		{ 0, 2 },		/* length: 526 */
		{ 1, WIRE_ANSWER_PAYLOAD - 1 },
		{ 2, WIRE_PROTECTION_SEALED },
		{ 3, 2 },		/* group known */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct end p = { 0 };
		uint8_t bytes[ANSWER];
		int fd = start_proxy_alone(&p);

		put_answer(bytes);
		bytes[rows[i].at] = rows[i].value;
		send_all(fd, bytes, sizeof(bytes));
		assert_true(run_until(&p.closed, 1));
		assert_int_equal(p.up, 0);
		assert_int_equal(p.error, -EPROTO);
		assert_string_equal(p.why, no_relay);
		close(fd);
	}
}

/* ---- under a key ---- */

/* A proxy or relay of our own at the end of a plain socket. */
struct stranger {
	struct handshake handshake;
	struct transform *transform;
	uint8_t bytes[WIRE_HELLO_MAX];
	size_t len;
};

static void
put_sealed_hello(struct stranger *s, const uint8_t *key,
    enum wire_protection protection)
{
	static const uint8_t secret[SECURE_SECRET] = { 7 };
	struct wire_hello said = hello;

	said.protection = (uint8_t)protection;
	s->len = handshake_begin(&s->handshake, &said, key, secret, s->bytes);
}

/* Say hello to a relay and hear its answer. */
static void
greet(struct stranger *s, int fd, struct end *r,
    enum wire_protection protection)
{
	uint8_t bytes[HANDSHAKE_ANSWER];
	struct cursor c = { bytes, bytes + sizeof(bytes) };
	struct wire_answer told;

	put_sealed_hello(s, our_key, protection);
	send_all(fd, s->bytes, s->len);
	assert_true(run_until(&r->hello, 1));
	read_all(fd, bytes, sizeof(bytes));
	assert_int_equal(handshake_answer(&s->handshake, &c, &told),
	    HANDSHAKE_OK);
	assert_int_equal(told.max_sessions, answer.max_sessions);
	s->transform = handshake_transform(&s->handshake, 0, 0);
	assert_non_null(s->transform);
}

/* The next record of a stranger's, with bytes [from, from + len). */
static size_t
put_record(struct stranger *s, size_t from, size_t len, uint8_t *out)
{
	const uint8_t *bytes;
	size_t room, enough;
	uint8_t *plain = transform_out_room(s->transform, &room, &enough);

	assert_true(len <= room);
	for (size_t i = 0; i < len; i++)
		plain[i] = byte_of(from + i);
	transform_out_commit(s->transform, len);
	len = transform_out_peek(s->transform, &bytes);
	memcpy(out, bytes, len);
	transform_out_consume(s->transform, len);
	return len;
}

static void
a_relay_is_up_with_the_first_record(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 100; len += 100) {
		struct end r = { .key = our_key };
		struct stranger s;
		uint8_t bytes[200];
		int fd = start_relay_alone(&r);
		size_t n;

		greet(&s, fd, &r, WIRE_PROTECTION_SEALED);
		n = put_record(&s, 0, len, bytes);
		send_all(fd, bytes, n - 1);
		assert_false(run_for(0.02, &r.up, 1));
		subflow_pump(r.subflow);
		assert_int_equal(r.fills, 0);
		send_all(fd, bytes + n - 1, 1);
		assert_true(run_until(&r.up, 1));
		assert_true(run_until(&r.events, 1));
		assert_int_equal(r.taken, len);
		subflow_close(r.subflow);
		transform_free(s.transform);
		close(fd);
	}
}

/* It has nothing to say, and says that. */
static void
a_proxy_without_frames_sends_an_empty_record(void **state)
{
	(void)state;
	for (size_t i = 1; i < COUNT(protections); i++) {
		struct end p = { .protection = protections[i] };
		struct end r = { .key = our_key };
		int fds[2];

		tcp_pair(fds);
		start_relay(&r, fds[1]);
		start_proxy(&p, fds[0]);
		assert_true(run_until(&r.up, 1));
		assert_int_equal(r.taken, 0);
		/* And later frames go on behind it. */
		p.to_send = r.to_send = 3000;
		subflow_pump(p.subflow);
		subflow_pump(r.subflow);
		while (p.taken < 3000 || r.taken < 3000)
			run_turn();
		subflow_close(p.subflow);
		subflow_close(r.subflow);
	}
}

static void
sealed_greetings_may_come_byte_by_byte(void **state)
{
	struct end r = { .key = our_key };
	struct stranger s;
	uint8_t bytes[200];
	int fd = start_relay_alone(&r);
	size_t n;

	(void)state;
	put_sealed_hello(&s, our_key, WIRE_PROTECTION_SEALED);
	for (size_t i = 0; i + 1 < s.len; i++) {
		send_all(fd, s.bytes + i, 1);
		run_for(0.0005, NULL, 0);
		assert_int_equal(r.keys, 0);
	}
	subflow_close(r.subflow);
	close(fd);

	r = (struct end){ .key = our_key };
	fd = start_relay_alone(&r);
	greet(&s, fd, &r, WIRE_PROTECTION_SEALED);
	n = put_record(&s, 0, 20, bytes);
	n += put_record(&s, 20, 20, bytes + n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r.up, i >= n / 2);
		send_all(fd, bytes + i, 1);
		run_for(0.0005, NULL, 0);
		if (i == n / 2 - 1)
			assert_true(run_until(&r.up, 1));
	}
	while (r.taken < 40)
		run_turn();
	subflow_close(r.subflow);
	transform_free(s.transform);
	close(fd);
}

static void
with_auth_only_the_first_record_is_one(void **state)
{
	struct end r = { .key = our_key, .to_send = 1000 };
	struct stranger s;
	uint8_t bytes[1100], want[1000];
	int fd = start_relay_alone(&r);
	size_t n;

	(void)state;
	greet(&s, fd, &r, WIRE_PROTECTION_AUTH);
	n = put_record(&s, 0, 20, bytes);
	send_all(fd, bytes, n);
	assert_true(run_until(&r.events, 1));
	assert_int_equal(r.taken, 20);
	read_all(fd, bytes, 1000 + 18);
	put_sequence(want, sizeof(want));
	assert_memory_not_equal(bytes + 2, want, sizeof(want));
	for (size_t i = 0; i < 500; i++)
		bytes[i] = byte_of(20 + i);
	send_all(fd, bytes, 500);
	while (r.taken < 520)
		run_turn();
	r.to_send = 1500;
	subflow_pump(r.subflow);
	read_all(fd, bytes, 500);
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(bytes[i], byte_of(1000 + i));
	subflow_close(r.subflow);
	transform_free(s.transform);
	close(fd);
}

/* All that can go wrong before the other end has proved that it knows the key,
 * and what the log says of it.  Nobody else can tell them apart. */
static void
failures_before_the_proof_look_the_same(void **state)
{
	enum fault { UNKNOWN, WRONG, FLIPPED, REPEATED, GARBAGE, CLEAR, REFUSED,
		ID_CLEARED, NOTHING, BAD_RECORD, BAD_LENGTH };
	static const struct {
		enum fault fault;
		int error;
		const char *why;
	} rows[] = {
		{ UNKNOWN, -ENOKEY, "unknown key" },
		{ WRONG, -EBADMSG, "hello does not verify" },
		{ FLIPPED, -EBADMSG, "hello does not verify" },
		{ REPEATED, -EBADMSG, "bad record" },
		{ GARBAGE, -EPROTO, "bad hello" },
		{ CLEAR, -EPROTO, "bad hello" },
		{ REFUSED, -EACCES, "hello refused" },
		{ ID_CLEARED, -EPROTO, "bad hello" },
		{ NOTHING, -ETIMEDOUT, "timed out in the handshake" },
		{ BAD_RECORD, -EBADMSG, "bad record" },
		{ BAD_LENGTH, -EBADMSG, "bad record" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum fault fault = rows[i].fault;
		bool answered = fault == REPEATED || fault == BAD_RECORD ||
		    fault == BAD_LENGTH;
		struct end r = { .key = our_key,
			.deadline_ms = answered ? ANSWER_MS : SHORT_MS,
			.refuse_key = fault == UNKNOWN,
			.refuse_hello = fault == REFUSED };
		ev_tstamp start = ev_time();
		int fd = start_relay_alone(&r);
		struct stranger s = { .transform = NULL };
		uint8_t bytes[200] = { 0 };
		size_t len = 0;

		if (answered) {
			greet(&s, fd, &r, WIRE_PROTECTION_SEALED);
			len = put_record(&s, 0, 20, bytes);
			if (fault == BAD_RECORD)
				bytes[len - 1] ^= 1;
			else if (fault == BAD_LENGTH)
				bytes[0] = 0xff;
			else	/* the second is the first, say */
				len = put_record(&s, 0, 20, bytes);
		} else if (fault == CLEAR) {
			len = put_hello(bytes);
		} else if (fault == GARBAGE) {
			len = sizeof(bytes);
		} else if (fault != NOTHING) {
			put_sealed_hello(&s, fault == WRONG ? other_key :
			    our_key, WIRE_PROTECTION_SEALED);
			if (fault == FLIPPED)
				s.bytes[40] ^= 1;
			else if (fault == ID_CLEARED)
				memset(s.bytes + 8, 0, WIRE_KEY_ID);
			memcpy(bytes, s.bytes, len = s.len);
			if (fault == ID_CLEARED)
				r.key = NULL;
		}
		send_all(fd, bytes, len);
		assert_closed_in_silence(&r, fd, start);
		assert_int_equal(r.error, rows[i].error);
		assert_string_equal(r.why, rows[i].why);
		transform_free(s.transform);
	}
}

/* Somebody has listened to one connection and says the same to another relay of
 * that key, or to the same one later. */
static void
what_was_said_once_is_not_taken_again(void **state)
{
	struct end r = { .key = our_key };
	struct stranger s;
	uint8_t record[200], told[HANDSHAKE_ANSWER];
	ev_tstamp start;
	size_t len;
	int fd = start_relay_alone(&r);

	(void)state;
	greet(&s, fd, &r, WIRE_PROTECTION_SEALED);
	len = put_record(&s, 0, 20, record);
	send_all(fd, record, len);
	assert_true(run_until(&r.up, 1));
	subflow_close(r.subflow);
	close(fd);

	r = (struct end){ .key = our_key, .deadline_ms = ANSWER_MS };
	start = ev_time();
	fd = start_relay_alone(&r);
	send_all(fd, s.bytes, s.len);
	assert_true(run_until(&r.hello, 1));
	read_all(fd, told, sizeof(told));
	send_all(fd, record, len);
	assert_closed_in_silence(&r, fd, start);
	assert_string_equal(r.why, "bad record");
	transform_free(s.transform);
}

static void
keys_that_differ_do_not_join(void **state)
{
	(void)state;
	for (int known = 0; known <= 1; known++) {
		struct end p = { .protection = WIRE_PROTECTION_SEALED };
		struct end r = { .key = other_key, .refuse_key = !known,
			.deadline_ms = SHORT_MS };
		int fds[2];

		tcp_pair(fds);
		start_relay(&r, fds[1]);
		start_proxy(&p, fds[0]);
		assert_true(run_until(&p.closed, 1));
		assert_int_equal(p.up + r.up + r.hello, 0);
		assert_int_equal(p.error, -ECONNRESET);
		assert_string_equal(p.why, no_relay);
		assert_string_equal(r.why, known ? "hello does not verify" :
		    "unknown key");
	}
}

/* A relay without keys does not hear one, nor does a proxy that has one take a
 * clear answer. */
static void
nobody_goes_down_to_none(void **state)
{
	struct end r = { .deadline_ms = SHORT_MS };
	struct end p = { .protection = WIRE_PROTECTION_SEALED };
	uint8_t bytes[ANSWER];
	int fds[2];

	(void)state;
	tcp_pair(fds);
	start_relay(&r, fds[1]);
	start_proxy(&p, fds[0]);
	assert_true(run_until(&p.closed, 1));
	assert_int_equal(p.up + r.up + r.hello, 0);
	assert_string_equal(r.why, "bad hello");

	p = (struct end){ .protection = WIRE_PROTECTION_SEALED };
	fds[0] = start_proxy_alone(&p);
	send_all(fds[0], bytes, put_answer(bytes));
	assert_true(run_until(&p.closed, 1));
	assert_int_equal(p.up, 0);
	assert_int_equal(p.error, -EBADMSG);
	assert_string_equal(p.why, no_relay);
	close(fds[0]);
}

static void
a_bad_record_closes_a_subflow_that_is_up(void **state)
{
	struct end r = { .key = our_key };
	struct stranger s;
	uint8_t bytes[200];
	int fd = start_relay_alone(&r);
	size_t len;

	(void)state;
	greet(&s, fd, &r, WIRE_PROTECTION_SEALED);
	len = put_record(&s, 0, 20, bytes);
	len += put_record(&s, 20, 20, bytes + len);
	bytes[len - 1] ^= 0x80;
	send_all(fd, bytes, len);
	assert_true(run_until(&r.closed, 1));
	assert_int_equal(r.up, 1);
	assert_int_equal(r.taken, 20);
	assert_int_equal(r.error, -EBADMSG);
	assert_string_equal(r.why, "bad record");
	transform_free(s.transform);
	close(fd);
}

static void
a_record_that_ends_inside_a_frame_closes(void **state)
{
	struct end r = { .key = our_key, .piece = 20 };
	struct stranger s;
	uint8_t bytes[200];
	int fd = start_relay_alone(&r);
	size_t len;

	(void)state;
	greet(&s, fd, &r, WIRE_PROTECTION_SEALED);
	len = put_record(&s, 0, 50, bytes);
	send_all(fd, bytes, len);
	assert_true(run_until(&r.closed, 1));
	assert_int_equal(r.taken, 40);
	assert_int_equal(r.error, -EPROTO);
	assert_string_equal(r.why, "protocol error");
	transform_free(s.transform);
	close(fd);
}

/* ---- frames ---- */

static void
join(struct end *p, struct end *r)
{
	int fds[2];

	p->to_send += p->to_send == 0;
	tcp_pair(fds);
	r->key = key_for(p->protection);
	start_relay(r, fds[1]);
	start_proxy(p, fds[0]);
	assert_true(run_until(&r->up, 1));
	assert_int_equal(p->up, 1);
}

static void
many_bytes_cross_in_both_directions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(protections); i++) {
		struct end p = { .to_send = 10000000 - 10000000 % 7507,
			.piece = 7507, .protection = protections[i] };
		struct end r = { .to_send = 20000000 - 20000000 % 7507,
			.piece = 7507 };

		join(&p, &r);
		while (p.taken < r.to_send || r.taken < p.to_send) {
			assert_int_equal(p.closed + r.closed, 0);
			run_turn();
		}
		assert_int_equal(p.taken, r.to_send);
		assert_int_equal(r.taken, p.to_send);
		subflow_close(p.subflow);
		subflow_close(r.subflow);
	}
}

/* On a slow link, where records are meant to be small. */
static void
a_frame_larger_than_records_should_be_is_sent(void **state)
{
	struct end p = { .to_send = 5 * 7507, .piece = 7507, .out_bytes = 1436,
		.protection = WIRE_PROTECTION_SEALED };
	struct end r = { .piece = 7507 };

	(void)state;
	join(&p, &r);
	while (r.taken < p.to_send)
		run_turn();
	subflow_close(p.subflow);
	subflow_close(r.subflow);
}

static void
nothing_more_is_asked_for_while_the_socket_is_full(void **state)
{
	struct end p = { .to_send = SIZE_MAX / 2 };
	uint8_t bytes[ANSWER];
	int fd = start_proxy_alone(&p), fills;
	static uint8_t sink[1 << 20];

	(void)state;
	send_all(fd, bytes, put_answer(bytes));
	assert_true(run_until(&p.events, 1));
	run_for(0.02, NULL, 0);
	fills = p.fills;
	assert_true(fills > 0);
	for (int i = 0; i < 10; i++)
		subflow_pump(p.subflow);
	assert_int_equal(p.fills, fills);
	while (p.fills == fills) {
		(void)recv(fd, sink, sizeof(sink), 0);
		run_for(0.002, &p.fills, fills + 1);
	}
	subflow_close(p.subflow);
	close(fd);
}

static void
frames_that_make_no_sense_close(void **state)
{
	struct end p = { 0 }, r = { .take_error = -EPROTO };

	(void)state;
	join(&p, &r);
	assert_true(run_until(&r.closed, 1));
	assert_int_equal(r.error, -EPROTO);
	assert_string_equal(r.why, "protocol error");
	assert_true(run_until(&p.closed, 1));
}

static void
what_came_before_the_end_is_taken(void **state)
{
	struct end p = { 0 };
	uint8_t bytes[3000];
	size_t len = put_answer(bytes);
	int fd = start_proxy_alone(&p);

	(void)state;
	len += put_sequence(bytes + len, 2000);
	send_all(fd, bytes, len);
	shutdown(fd, SHUT_WR);
	assert_true(run_until(&p.closed, 1));
	assert_int_equal(p.taken, 2000);
	assert_true(p.events > 0);
	assert_int_equal(p.error, 0);
	assert_string_equal(p.why, "closed by the peer");
	close(fd);
}

static void
a_failed_write_is_told_on_the_next_turn(void **state)
{
	struct end p = { 0 };
	struct linger reset = { .l_onoff = 1 };
	uint8_t bytes[ANSWER];
	int fd = start_proxy_alone(&p), error = 0;
	socklen_t len = sizeof(error);

	(void)state;
	send_all(fd, bytes, put_answer(bytes));
	assert_true(run_until(&p.events, 1));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	/* Not through the loop, which would see the reset first. */
	for (int i = 0; i < 1000 && error == 0; i++) {
		usleep(1000);
		assert_int_equal(getsockopt(subflow_fd(p.subflow), SOL_SOCKET,
		    SO_ERROR, &error, &len), 0);
	}
	assert_int_equal(error, ECONNRESET);
	p.to_send = 100;
	subflow_pump(p.subflow);
	assert_true(p.fills > 0);
	assert_int_equal(p.closed, 0);
	subflow_pump(p.subflow);
	assert_true(run_until(&p.closed, 1));
	assert_int_equal(p.error, -EPIPE);
	assert_string_equal(p.why, "connection lost");
}

/* ---- owners ---- */

static void
an_owner_may_decline(void **state)
{
	struct end p = { .refuse_up = true }, r = { 0 };
	int fds[2];

	(void)state;
	tcp_pair(fds);
	start_relay(&r, fds[1]);
	start_proxy(&p, fds[0]);
	assert_true(run_until(&r.closed, 1));
	assert_int_equal(p.up, 1);
	assert_int_equal(p.closed + p.events + p.fills, 0);
	assert_int_equal(r.up, 0);
}

static void
an_owner_may_close_in_any_callback(void **state)
{
	static const enum place places[] = { IN_UP, IN_TAKE, IN_FILL, IN_EVENT,
		IN_CLOSED };

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct end p = { .to_send = 3000 };
		struct end r = { .to_send = 3000, .close_in = places[i] };
		int fds[2];

		tcp_pair(fds);
		start_relay(&r, fds[1]);
		start_proxy(&p, fds[0]);
		if (places[i] == IN_CLOSED) {
			assert_true(run_until(&r.up, 1));
			subflow_close(p.subflow);
			assert_true(run_until(&r.closed, 1));
			continue;
		}
		assert_true(run_until(&p.closed, 1));
		assert_int_equal(r.closed, 0);
	}

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct end p = { .to_send = 3000, .close_in = places[i] };
		struct end r = { .to_send = 3000 };
		int fds[2];

		tcp_pair(fds);
		start_relay(&r, fds[1]);
		start_proxy(&p, fds[0]);
		if (places[i] == IN_CLOSED) {
			assert_true(run_until(&r.up, 1));
			subflow_close(r.subflow);
			assert_true(run_until(&p.closed, 1));
			continue;
		}
		assert_true(run_until(&r.closed, 1));
		assert_int_equal(p.closed, 0);
	}
}

static void
an_owner_may_close_when_it_hears_a_hello(void **state)
{
	static const enum place places[] = { IN_KEY, IN_HELLO };

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		struct end p = { .protection = WIRE_PROTECTION_SEALED };
		struct end r = { .key = our_key, .close_in = places[i] };
		int fds[2];

		tcp_pair(fds);
		start_relay(&r, fds[1]);
		start_proxy(&p, fds[0]);
		assert_true(run_until(&p.closed, 1));
		assert_int_equal(r.closed, 0);
	}
	subflow_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_setup, \
    loop_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(proxy_and_relay_join),
		TEST(a_relay_is_up_with_the_first_bytes_of_frames),
		TEST(one_that_only_says_hello_is_closed_at_the_deadline),
		TEST(frames_may_follow_the_hello_at_once),
		TEST(frames_may_follow_the_answer_at_once),
		TEST(greetings_may_come_byte_by_byte),
		TEST(a_wrong_hello_is_closed_in_silence),
		TEST(a_hello_that_is_refused_looks_the_same),
		TEST(a_hello_that_never_ends_looks_the_same),
		TEST(no_more_than_256_bytes_are_read_of_a_stranger),
		TEST(one_that_ends_early_is_closed_at_once),
		TEST(a_proxy_notices_a_relay_that_goes_away),
		TEST(a_proxy_does_not_wait_for_ever),
		TEST(a_bad_answer_closes),
		TEST(a_relay_is_up_with_the_first_record),
		TEST(a_proxy_without_frames_sends_an_empty_record),
		TEST(sealed_greetings_may_come_byte_by_byte),
		TEST(with_auth_only_the_first_record_is_one),
		TEST(failures_before_the_proof_look_the_same),
		TEST(what_was_said_once_is_not_taken_again),
		TEST(keys_that_differ_do_not_join),
		TEST(nobody_goes_down_to_none),
		TEST(a_bad_record_closes_a_subflow_that_is_up),
		TEST(a_record_that_ends_inside_a_frame_closes),
		TEST(many_bytes_cross_in_both_directions),
		TEST(a_frame_larger_than_records_should_be_is_sent),
		TEST(nothing_more_is_asked_for_while_the_socket_is_full),
		TEST(frames_that_make_no_sense_close),
		TEST(what_came_before_the_end_is_taken),
		TEST(a_failed_write_is_told_on_the_next_turn),
		TEST(an_owner_may_decline),
		TEST(an_owner_may_close_in_any_callback),
		TEST(an_owner_may_close_when_it_hears_a_hello),
	};

	if (!loopback_is_there())
		return 77;	/* skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
