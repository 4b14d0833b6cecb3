/* SPDX-License-Identifier: ISC */
/*
 * Sockets, so this one needs the loopback interface and a little time.
 */
#include "loopback.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "net/dial.h"
#include "net/ifaces.h"
#include "net/listener.h"
#include "net/log.h"
#include "net/origdst.h"
#include "net/resolve.h"
#include "net/sockopt.h"
#include "net/stream.h"
#include "net/wake.h"

/* ---- stream ---- */

static int events, last_revents;

static void
on_stream(struct stream *st, int revents)
{
	(void)st;
	events++;
	last_revents = revents;
}

static void
open_pair(struct stream *st, int *peer)
{
	int fds[2];

	tcp_pair(fds);
	events = 0;
	stream_open(st, loop, fds[0], on_stream, NULL);
	*peer = fds[1];
}

static void
bytes_go_through_spans(void **state)
{
	struct stream st;
	uint8_t a[2], b[8];
	struct span in[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct span out[] = { { (uint8_t *)"he", 2 }, { (uint8_t *)"llo", 3 } };
	char buf[16];
	int peer;

	(void)state;
	open_pair(&st, &peer);
	assert_int_equal(stream_read(&st, in, 2), -EAGAIN);
	assert_int_equal(stream_write(&st, out, 2), 5);
	assert_int_equal(read_once(peer, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);

	assert_int_equal(write(peer, "world", 5), 5);
	stream_want(&st, true, false);
	assert_true(run_until(&events, 1));
	assert_int_equal(last_revents, EV_READ);
	assert_int_equal(stream_read(&st, in, 2), 5);
	assert_memory_equal(a, "wo", 2);
	assert_memory_equal(b, "rld", 3);
	stream_close(&st);
	close(peer);
}

static void
no_room_is_not_an_end(void **state)
{
	struct stream st;
	uint8_t byte;
	struct span none = { &byte, 0 }, one = { &byte, 1 };
	int peer;

	(void)state;
	open_pair(&st, &peer);
	assert_int_equal(write(peer, "x", 1), 1);
	close(peer);
	stream_want(&st, true, false);
	assert_true(run_until(&events, 1));
	assert_int_equal(stream_read(&st, &none, 1), -EAGAIN);
	assert_int_equal(stream_read(&st, &none, 0), -EAGAIN);
	assert_int_equal(stream_read(&st, &one, 1), 1);
	events = 0;
	assert_true(run_until(&events, 1));
	assert_int_equal(stream_read(&st, &one, 1), 0);
	stream_close(&st);
}

static void
only_what_is_wanted_is_told(void **state)
{
	struct stream st;
	int peer;

	(void)state;
	open_pair(&st, &peer);
	assert_int_equal(write(peer, "x", 1), 1);
	assert_false(run_for(0.02, &events, 1));
	stream_want(&st, false, true);
	assert_true(run_until(&events, 1));
	assert_int_equal(last_revents, EV_WRITE);
	stream_want(&st, true, true);
	events = 0;
	assert_true(run_until(&events, 1));
	assert_int_equal(last_revents, EV_READ | EV_WRITE);
	stream_want(&st, false, false);
	events = 0;
	assert_false(run_for(0.02, &events, 1));
	stream_want(&st, true, false);
	stream_close(&st);
	stream_close(&st);
	stream_want(&st, true, true);
	assert_false(run_for(0.02, &events, 1));
	close(peer);
}

static void
an_armed_stream_resets(void **state)
{
	struct stream st;
	char c;
	int peer;

	(void)state;
	open_pair(&st, &peer);
	stream_close(&st);
	assert_int_equal(read_once(peer, &c, 1), -ECONNRESET);
	close(peer);
}

static void
a_disarmed_stream_ends_cleanly(void **state)
{
	struct stream st;
	struct span out = { (uint8_t *)"end", 3 };
	char buf[8];
	int peer;

	(void)state;
	open_pair(&st, &peer);
	assert_int_equal(stream_write(&st, &out, 1), 3);
	stream_disarm(&st);
	stream_close(&st);
	assert_int_equal(read_once(peer, buf, sizeof(buf)), 3);
	assert_int_equal(read_once(peer, buf, sizeof(buf)), 0);
	close(peer);
}

static void
reset_resets_even_when_disarmed(void **state)
{
	struct stream st;
	char c;
	int peer;

	(void)state;
	open_pair(&st, &peer);
	stream_disarm(&st);
	stream_reset(&st);
	assert_int_equal(read_once(peer, &c, 1), -ECONNRESET);
	close(peer);
}

static void
one_direction_ends_alone(void **state)
{
	struct stream st;
	uint8_t byte;
	struct span in = { &byte, 1 };
	char c;
	int peer;

	(void)state;
	open_pair(&st, &peer);
	assert_int_equal(stream_shutdown(&st), 0);
	assert_int_equal(read_once(peer, &c, 1), 0);
	assert_int_equal(write(peer, "y", 1), 1);
	stream_want(&st, true, false);
	assert_true(run_until(&events, 1));
	assert_int_equal(stream_read(&st, &in, 1), 1);
	stream_close(&st);
	close(peer);
}

static void
death_of_the_process_resets(void **state)
{
	struct stream st;
	int fds[2], status;
	char c;
	pid_t child;

	(void)state;
	tcp_pair(fds);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(fds[1]);
		stream_open(&st, loop, fds[0], on_stream, NULL);
		_exit(0);
	}
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(read_once(fds[1], &c, 1), -ECONNRESET);
	close(fds[1]);
}

static void
writing_to_a_lost_connection_is_an_error(void **state)
{
	struct stream st;
	struct span out = { (uint8_t *)"x", 1 };
	struct linger reset = { .l_onoff = 1 };
	int peer;

	(void)state;
	open_pair(&st, &peer);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(peer);
	stream_want(&st, true, false);
	assert_true(run_until(&events, 1));
	assert_int_equal(stream_write(&st, &out, 1), -ECONNRESET);
	assert_int_equal(stream_write(&st, &out, 1), -EPIPE);
	stream_close(&st);
}

static void
what_the_peer_does_not_read_stays_unacknowledged(void **state)
{
	static uint8_t bytes[1 << 20];
	struct stream st;
	struct span out = { bytes, sizeof(bytes) };
	ssize_t n, sent = 0;
	int peer;

	(void)state;
	open_pair(&st, &peer);
	assert_int_equal(stream_unacked(&st), 0);
	while ((n = stream_write(&st, &out, 1)) > 0)
		sent += n;
	assert_int_equal(n, -EAGAIN);
	assert_true(stream_unacked(&st) > 0);
	assert_true(stream_unacked(&st) <= (size_t)sent);
	assert_true(stream_unsent(&st) <= stream_unacked(&st));
	stream_close(&st);
	assert_int_equal(stream_unacked(&st), 0);
	assert_int_equal(stream_unsent(&st), 0);
	close(peer);
}

/* ---- reap ---- */

struct mortal {
	struct reap_entry reap;
	int name;
};

static int freed, order;

static void
free_mortal(struct reap_entry *entry)
{
	freed++;
	order = order * 10 + ((struct mortal *)entry)->name;
	free(entry);
}

static void
the_dead_are_freed_on_the_next_turn(void **state)
{
	(void)state;
	freed = order = 0;
	for (int i = 1; i <= 3; i++) {
		struct mortal *m = calloc(1, sizeof(*m));

		m->name = i;
		reap_later(&m->reap, free_mortal);
	}
	assert_int_equal(freed, 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(freed, 3);
	assert_int_equal(order, 123);
}

/* ---- listener ---- */

static int accepted, accepted_fd;
static struct addr accepted_peer;
static struct listener *free_this, *pause_this;

static void
on_accept(void *user, int fd, const struct addr *peer)
{
	(void)user;
	accepted++;
	accepted_peer = *peer;
	if (accepted_fd != -1)
		close(accepted_fd);
	accepted_fd = fd;
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	if (free_this != NULL) {
		listener_free(free_this);
		free_this = NULL;
	}
	if (pause_this != NULL) {
		listener_pause(pause_this, true);
		pause_this = NULL;
	}
}

static struct listener *
listen_on(const char *text, int *error, const char **step)
{
	struct listener_options o = { .on_accept = on_accept };

	assert_int_equal(addr_parse(&o.address, text), 0);
	accepted = 0;
	accepted_fd = -1;
	return listener_new(loop, &o, error, step);
}

static void
listen_end(struct listener *l)
{
	listener_free(l);
	if (accepted_fd != -1)
		close(accepted_fd);
}

static int
connect_to(const char *host, uint16_t port)
{
	struct sockaddr_storage ss;
	struct addr a;
	int fd;

	assert_int_equal(addr_parse(&a, host), 0);
	a.port = port;
	fd = socket(a.family == 4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss,
	    (socklen_t)addr_to_sockaddr(&a, false, &ss)), 0);
	return fd;
}

static void
any_address_serves_both_families(void **state)
{
	const char *step;
	int error, four, six;
	struct listener *l = listen_on("[::]:0", &error, &step);
	uint16_t port;

	(void)state;
	if (l == NULL)
		skip();		/* no IPv6 here */
	port = listener_address(l)->port;
	assert_int_not_equal(port, 0);
	four = connect_to("127.0.0.1", port);
	assert_true(run_until(&accepted, 1));
	assert_int_equal(accepted_peer.family, 4);
	six = connect_to("::1", port);
	assert_true(run_until(&accepted, 2));
	assert_int_equal(accepted_peer.family, 6);
	close(four);
	close(six);
	listen_end(l);
}

static void
an_address_in_use_is_told_with_its_step(void **state)
{
	const char *step;
	char text[ADDR_TEXT_MAX];
	int error;
	struct listener *l = listen_on("127.0.0.1:0", &error, &step);

	(void)state;
	assert_non_null(l);
	addr_format(listener_address(l), text);
	assert_null(listen_on(text, &error, &step));
	assert_int_equal(error, -EADDRINUSE);
	assert_string_equal(step, "bind");
	listen_end(l);
}

static void
a_paused_listener_leaves_them_in_the_backlog(void **state)
{
	const char *step;
	int error, fd;
	struct listener *l = listen_on("127.0.0.1:0", &error, &step);

	(void)state;
	listener_pause(l, true);
	fd = connect_to("127.0.0.1", listener_address(l)->port);
	assert_false(run_for(0.03, &accepted, 1));
	listener_pause(l, false);
	assert_true(run_until(&accepted, 1));
	close(fd);
	listen_end(l);
}

/* libev's own calls come here as well. */
static int refused_watches;

int
epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation == EPOLL_CTL_ADD && refused_watches > 0) {
		refused_watches--;
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

static void
a_listener_that_the_kernel_would_not_watch_tries_again(void **state)
{
	const char *step;
	int error, fd;
	struct listener *l = listen_on("127.0.0.1:0", &error, &step);

	(void)state;
	wake_start(loop);
	ev_run(loop, EVRUN_NOWAIT);	/* what the loop watches for itself */
	listener_pause(l, true);
	ev_run(loop, EVRUN_NOWAIT);
	fd = connect_to("127.0.0.1", listener_address(l)->port);
	ev_run(loop, EVRUN_NOWAIT);	/* the kernel forgets the listener */
	listener_pause(l, false);
	refused_watches = 1;
	/* Nothing else would wake it up before the guard does. */
	assert_true(run_until(&accepted, 1));
	assert_int_equal(refused_watches, 0);
	close(fd);
	listen_end(l);
	wake_stop(loop);
}

static void
a_listener_may_be_paused_or_freed_by_whom_it_calls(void **state)
{
	const char *step;
	int error, first, second;
	struct listener *l = listen_on("127.0.0.1:0", &error, &step);

	(void)state;
	first = connect_to("127.0.0.1", listener_address(l)->port);
	second = connect_to("127.0.0.1", listener_address(l)->port);
	pause_this = l;
	assert_false(run_for(0.03, &accepted, 2));
	assert_int_equal(accepted, 1);
	listener_pause(l, false);
	assert_true(run_until(&accepted, 2));

	close(first);
	close(second);
	accepted = 0;
	first = connect_to("127.0.0.1", listener_address(l)->port);
	second = connect_to("127.0.0.1", listener_address(l)->port);
	free_this = l;
	/* Longer than a pause that must not have begun. */
	assert_false(run_for(0.15, &accepted, 2));
	assert_int_equal(accepted, 1);
	close(accepted_fd);
	close(first);
	close(second);
}

static void
without_descriptors_it_waits_and_does_not_spin(void **state)
{
	const char *step;
	int error, fd, next;
	unsigned int turns;
	struct listener *l = listen_on("127.0.0.1:0", &error, &step);
	struct rlimit old, none;

	(void)state;
	fd = connect_to("127.0.0.1", listener_address(l)->port);
	/* The loop may want descriptors of its own for its first turn. */
	listener_pause(l, true);
	run_for(0.001, NULL, 0);
	listener_pause(l, false);

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	next = dup(fd);
	close(next);
	none = old;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turns = ev_iteration(loop);
	run_for(0.35, &accepted, 1);
	turns = ev_iteration(loop) - turns;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	log_set_level(LOG_LEVEL_INFO);

	assert_int_equal(accepted, 0);
	assert_true(turns < 20);
	assert_true(run_until(&accepted, 1));
	close(fd);
	listen_end(l);
}

/* ---- listeners of those that end ---- */

static struct listener *
next_at(struct listener *old, const char *host)
{
	char text[64];
	const char *step;
	int error;

	snprintf(text, sizeof(text), "%s:%u", host,
	    (unsigned)listener_address(old)->port);
	return listen_on(text, &error, &step);
}

static void
a_listener_has_a_successor_at_any_address_of_its_port(void **state)
{
	static const char *const each[] = { "127.0.0.1", "0.0.0.0", "[::]" };
	const char *step;
	int error;

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		char text[64];
		struct listener *old, *new;

		snprintf(text, sizeof(text), "%s:0", each[i / 3]);
		old = listen_on(text, &error, &step);
		assert_non_null(old);
		assert_null(next_at(old, each[i % 3]));
		assert_true(listener_share(old));
		new = next_at(old, each[i % 3]);
		assert_non_null(new);
		assert_true(listener_succeeds(new));
		listener_free(old);
		listen_end(new);
	}
}

/* One that has begun to end, and its successor. */
static struct listener *
succeeded(struct listener **new)
{
	const char *step;
	int error;
	struct listener *old = listen_on("127.0.0.1:0", &error, &step);

	assert_non_null(old);
	assert_true(listener_share(old));
	*new = next_at(old, "127.0.0.1");
	assert_non_null(*new);
	return old;
}

static void
a_second_one_that_ends_is_closed_while_the_first_is_there(void **state)
{
	struct listener *new, *old = succeeded(&new);

	(void)state;
	assert_false(listener_share(new));
	listener_free(old);
	listen_end(new);
}

/* Else it would get nothing, or everything when it is about to end itself. */
static void
a_place_has_one_successor_at_a_time(void **state)
{
	struct listener *second, *third, *old = succeeded(&second);

	(void)state;
	assert_null(next_at(old, "127.0.0.1"));
	assert_false(listener_share(second));	/* it ends as well, */
	listener_free(second);
	third = next_at(old, "127.0.0.1");	/* or it has died */
	assert_non_null(third);
	assert_true(listener_succeeds(third));
	listener_free(old);

	assert_null(next_at(third, "127.0.0.1"));
	assert_true(listener_share(third));
	second = next_at(third, "127.0.0.1");
	assert_non_null(second);
	listener_free(third);
	listen_end(second);
}

/* All connections come to `new`, and none to another one of the same loop. */
static void
assert_has_all(struct listener *new)
{
	int fds[8];

	accepted = 0;
	listener_pause(new, true);
	for (size_t i = 0; i < 8; i++)
		fds[i] = connect_to("127.0.0.1", listener_address(new)->port);
	assert_false(run_for(0.03, &accepted, 1));
	listener_pause(new, false);
	assert_true(run_until(&accepted, 8));
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
	close(accepted_fd);
	accepted_fd = -1;
}

static void
the_latest_of_a_row_of_successors_has_the_connections(void **state)
{
	const char *step;
	int error;
	struct listener *old = listen_on("127.0.0.1:0", &error, &step), *new;

	(void)state;
	assert_non_null(old);
	for (int i = 0; i < 3; i++) {
		assert_true(listener_share(old));
		new = next_at(old, "127.0.0.1");
		assert_non_null(new);
		assert_has_all(new);
		listener_free(old);
		assert_has_all(new);
		old = new;
	}
	listen_end(old);
}

static socklen_t
notice_name(const struct listener *l, const char *notice,
    struct sockaddr_un *name)
{
	int n;

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1,
	    "ro-ro-tcp %s at 127.0.0.1:%u", notice,
	    (unsigned)listener_address(l)->port);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    (size_t)n);
}

/* A socket of that kind has the name of one of its notices, before it does. */
static int
take_name(const struct listener *l, const char *notice, int type)
{
	struct sockaddr_un name;
	socklen_t len = notice_name(l, notice, &name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
	return fd;
}

/* Somebody asks who follows there until nobody else can. */
static void
ask_until_it_is_full(const struct listener *l)
{
	struct sockaddr_un name;
	socklen_t len = notice_name(l, "follows", &name);
	int result;

	do {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		result = connect(fd, (struct sockaddr *)&name, len);
		assert_true(result == 0 || errno == EAGAIN);
		close(fd);
	} while (result == 0);
}

static void
asking_much_about_a_successor_makes_no_place_for_another(void **state)
{
	struct listener *new, *old = succeeded(&new);
	int none = 0;

	(void)state;
	ask_until_it_is_full(old);
	assert_false(run_for(0.03, &none, 1));
	assert_null(next_at(old, "127.0.0.1"));
	listener_free(old);
	listen_end(new);
}

/* A user who is not ours cannot keep us from it. */
static void
a_stranger_who_has_a_successors_name_keeps_nobody_out(void **state)
{
	const char *step;
	int error, fd;
	struct listener *old = listen_on("127.0.0.1:0", &error, &step), *new;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(old);
	fd = take_name(old, "follows", SOCK_STREAM);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(seteuid(0), 0);
	assert_true(listener_share(old));
	new = next_at(old, "127.0.0.1");
	assert_non_null(new);
	listener_free(new);
	ask_until_it_is_full(old);
	new = next_at(old, "127.0.0.1");
	assert_non_null(new);
	listener_free(old);
	listen_end(new);
	close(fd);
}

static void
whoever_has_the_name_of_its_notice_closes_no_listener(void **state)
{
	const char *step;
	int error, fd;
	struct listener *old = listen_on("127.0.0.1:0", &error, &step), *new;

	(void)state;
	assert_non_null(old);
	fd = take_name(old, "ends", SOCK_DGRAM);
	assert_null(next_at(old, "127.0.0.1"));
	assert_true(listener_share(old));
	new = next_at(old, "127.0.0.1");
	assert_non_null(new);
	listener_free(old);
	listen_end(new);
	close(fd);
}

static void
without_descriptors_nobody_is_said_to_end(void **state)
{
	struct rlimit before, none;
	const char *step;
	int error;
	struct listener *old = listen_on("127.0.0.1:0", &error, &step), *new;

	(void)state;
	assert_non_null(old);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_false(listener_share(old));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(next_at(old, "127.0.0.1"));
	listener_free(old);
	new = listen_on("127.0.0.1:0", &error, &step);
	assert_non_null(new);
	listen_end(new);
}

static void
listeners_of_one_address_on_several_interfaces_all_go_on(void **state)
{
	struct if_nameindex *all = if_nameindex();
	struct listener_options o = { .on_accept = on_accept };
	struct listener *each[2] = { NULL };
	const char *step;
	int error;
	size_t n = 0;

	(void)state;
	assert_non_null(all);
	assert_int_equal(addr_parse(&o.address, "0.0.0.0:0"), 0);
	for (size_t i = 0; all[i].if_index != 0 && n < 2; i++) {
		o.interface = all[i].if_name;
		each[n] = listener_new(loop, &o, &error, &step);
		if (each[n] == NULL)
			continue;
		o.address = *listener_address(each[n++]);
	}
	if_freenameindex(all);
	for (size_t i = 0; i < n; i++)
		assert_true(listener_share(each[i]));
	for (size_t i = 0; i < n; i++)
		listener_free(each[i]);
	if (n < 2)
		skip();		/* a machine with one */
}

/* ---- dial ---- */

static int done, done_fd, done_error;

static void
on_done(void *user, int fd, int error)
{
	(void)user;
	done++;
	done_fd = fd;
	done_error = error;
}

static struct dial_options
dial_to(uint16_t port)
{
	struct dial_options o = { .timeout_ms = 5000, .on_done = on_done };

	assert_int_equal(addr_parse(&o.destination, "127.0.0.1"), 0);
	o.destination.port = port;
	done = 0;
	done_fd = -1;
	done_error = 0;
	return o;
}

static void
dial_gives_a_connected_socket(void **state)
{
	struct sockaddr_in at;
	int server = listen_at(&at, 1), fd;
	struct dial_options o = dial_to(ntohs(at.sin_port));
	const struct sockopt_subflow subflow = {
		.notsent_lowat_bytes = 16384, .keepalive_s = 30 };
	struct addr local;
	char c;

	(void)state;
	o.subflow = &subflow;
	assert_int_equal(addr_parse(&o.source, "127.0.0.2"), 0);
	assert_non_null(dial_start(loop, &o));
	assert_int_equal(done, 0);
	assert_true(run_until(&done, 1));
	assert_int_equal(done_error, 0);
	assert_true(done_fd >= 0);
	assert_true(fcntl(done_fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(done_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(origdst_local(done_fd, &local), 0);
	assert_true(addr_same_host(&local, &o.source));

	fd = accept(server, NULL, NULL);
	assert_int_equal(write(done_fd, "x", 1), 1);
	assert_int_equal(read_once(fd, &c, 1), 1);
	close(fd);
	close(done_fd);
	close(server);
}

/* One who sends and resets while the dial is being looked at: after so many of
 * these calls of ours, which otherwise do what they do. */
static int calls_before_reset = -1;
static int resetting;

static void
send_and_reset(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once)), 0);
	close(fd);
}

static void
after_call(void)
{
	if (calls_before_reset != -1 && calls_before_reset-- == 0)
		send_and_reset(resetting);
}

int
ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	int result = (int)syscall(SYS_ioctl, fd, request, argument);
	after_call();
	return result;
}

int
getpeername(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
	int result = (int)syscall(SYS_getpeername, fd, sa, len);

	after_call();
	return result;
}

static void
what_was_sent_before_a_reset_is_not_lost(void **state)
{
	(void)state;
	/* -1: before the first call. */
	for (int calls = -1; calls < 3; calls++) {
		struct sockaddr_in at;
		int server = listen_at(&at, 1);
		struct dial_options o = dial_to(ntohs(at.sin_port));
		char bytes[8];

		assert_non_null(dial_start(loop, &o));
		resetting = accept(server, NULL, NULL);
		if (calls == -1)
			send_and_reset(resetting);
		calls_before_reset = calls;
		assert_true(run_until(&done, 1));
		if (calls_before_reset != -1)	/* there were no more */
			send_and_reset(resetting);
		calls_before_reset = -1;
		assert_int_equal(done_error, 0);
		assert_int_equal(read(done_fd, bytes, sizeof(bytes)), 5);
		assert_int_equal(read(done_fd, bytes, sizeof(bytes)), -1);
		assert_int_equal(errno, ECONNRESET);
		close(done_fd);
		close(server);
	}
}

static void
a_refused_dial_says_so(void **state)
{
	struct sockaddr_in at;
	struct dial_options o;

	(void)state;
	close(listen_at(&at, 1));
	o = dial_to(ntohs(at.sin_port));
	assert_non_null(dial_start(loop, &o));
	assert_int_equal(done, 0);
	assert_true(run_until(&done, 1));
	assert_int_equal(done_fd, -1);
	assert_int_equal(done_error, -ECONNREFUSED);
}

/* A full backlog drops SYNs. */
static int
listen_full(struct sockaddr_in *at, int fds[4])
{
	int server = listen_at(at, 0);

	for (int i = 0; i < 4; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fds[i], (struct sockaddr *)at, sizeof(*at));
	}
	return server;
}

static void
a_silent_destination_times_out(void **state)
{
	struct sockaddr_in at;
	int fds[4], server = listen_full(&at, fds);
	struct dial_options o = dial_to(ntohs(at.sin_port));
	ev_tstamp start;

	(void)state;
	o.timeout_ms = 60;
	start = ev_time();
	assert_non_null(dial_start(loop, &o));
	assert_true(run_until(&done, 1));
	assert_true(ev_time() - start > 0.05);
	assert_int_equal(done_fd, -1);
	assert_int_equal(done_error, -ETIMEDOUT);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close(server);
}

static void
a_cancelled_dial_is_silent(void **state)
{
	struct sockaddr_in at;
	int server = listen_at(&at, 1);
	struct dial_options o = dial_to(ntohs(at.sin_port));

	(void)state;
	dial_cancel(dial_start(loop, &o));
	o.destination.family = 0;
	dial_cancel(dial_start(loop, &o));
	dial_cancel(NULL);
	assert_false(run_for(0.03, &done, 1));
	close(server);
}

static void
what_fails_at_once_is_told_later(void **state)
{
	static const struct {
		const char *source, *interface;
		int error;
	} rows[] = {
		{ "192.0.2.1", NULL, -EADDRNOTAVAIL },
		{ "::1", NULL, -EAFNOSUPPORT },
		{ NULL, "nonesuch0", -ENODEV },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dial_options o = dial_to(9);

		if (rows[i].source != NULL)
			assert_int_equal(addr_parse(&o.source, rows[i].source),
			    0);
		o.interface = rows[i].interface;
		assert_non_null(dial_start(loop, &o));
		assert_int_equal(done, 0);
		assert_true(run_until(&done, 1));
		assert_int_equal(done_fd, -1);
		if (rows[i].interface != NULL && done_error == -EPERM)
			continue;	/* unprivileged before Linux 5.7 */
		assert_int_equal(done_error, rows[i].error);
	}
}

/* ---- sockopt ---- */

static void
buffers_are_twice_the_product_of_rate_and_delay(void **state)
{
	(void)state;
	/* 20 Mbit/s and 600 ms are 1.5 MB. */
	assert_int_equal(sockopt_buffer_bytes(20000000, 600, 1), 6000000);
	assert_int_equal(sockopt_buffer_bytes(20000000, 600, 4), 1500000);
	assert_int_equal(sockopt_buffer_bytes(20000000, 600, 100), 256 << 10);
	assert_int_equal(sockopt_buffer_bytes(UINT64_MAX, UINT32_MAX, 1),
	    64 << 20);
	assert_int_equal(sockopt_buffer_bytes(0, 600, 1), 0);
	assert_int_equal(sockopt_buffer_bytes(20000000, 0, 1), 0);
	assert_int_equal(sockopt_buffer_bytes(20000000, 600, 0), 0);
}

static void
lowat_is_twenty_milliseconds_of_the_rate(void **state)
{
	(void)state;
	assert_int_equal(sockopt_lowat_bytes(20000000), 50000);
	assert_int_equal(sockopt_lowat_bytes(1000000), 16 << 10);
	assert_int_equal(sockopt_lowat_bytes(1000000000), 128 << 10);
	assert_int_equal(sockopt_lowat_bytes(UINT64_MAX), 128 << 10);
	assert_int_equal(sockopt_lowat_bytes(0), 64 << 10);
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void
options_of_a_subflow_reach_the_kernel(void **state)
{
	const struct sockopt_subflow s = { .congestion = "reno",
		.notsent_lowat_bytes = 20000, .user_timeout_ms = 12345,
		.buffer_bytes = 100000, .keepalive_s = 17 };
	char name[16] = "";
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	sockopt_subflow(fd, &s);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name,
	    &len), 0);
	assert_string_equal(name, "reno");
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 20000);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 17);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 300000);
	sockopt_pacing(fd, 1000000);
	assert_int_equal(option(fd, SOL_SOCKET, SO_MAX_PACING_RATE), 1000000);
	sockopt_leg(fd, 3);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 3);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 3);
	sockopt_pacing(fd, UINT64_MAX);
	assert_int_equal(option(fd, SOL_SOCKET, SO_MAX_PACING_RATE), -1);
	close(fd);
}

static void
a_half_closed_leg_is_asked_often_and_no_less_patiently(void **state)
{
	static const struct { uint32_t before_s; int idle, interval, probes; }
	legs[] = {
		{ 3, 3, 3, 4 },
		{ 60, 25, 25, 4 },		/* 120 s, then 125 */
		{ 600, 25, 25, 26 },		/* 660 s, then 675 */
		{ 30000, 25, 25, 127 },
		{ 0, 25, 25, 127 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(legs) / sizeof(legs[0]); i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		sockopt_leg(fd, legs[i].before_s);
		for (int both = 0; both < 2; both++) {
			sockopt_half_closed(fd);
			assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE),
			    1);
			assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE),
			    legs[i].idle);
			assert_int_equal(option(fd, IPPROTO_TCP,
			    TCP_KEEPINTVL), legs[i].interval);
			assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT),
			    legs[i].probes);
		}
		close(fd);
	}
}

static unsigned
tuned_receive_buffer(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_rmem", "r");
	unsigned most = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %*u %u", &most), 1);
	fclose(file);
	return most;
}

/* The other direction of the link may be much faster than ours. */
static void
a_slow_uplink_does_not_make_the_receive_buffer_small(void **state)
{
	struct sockopt_subflow s = { .buffer_bytes = 100000 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	unsigned tuned = tuned_receive_buffer();
	socklen_t len = sizeof(tuned);

	(void)state;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &tuned, len) == -1)
		skip();
	sockopt_subflow(fd, &s);
	assert_int_equal(option(fd, SOL_SOCKET, SO_RCVBUF), tuned / 2 * 2);
	s.buffer_bytes = tuned;
	sockopt_subflow(fd, &s);
	assert_int_equal(option(fd, SOL_SOCKET, SO_RCVBUF), 2 * tuned);
	close(fd);
}

static void
an_unknown_congestion_control_is_no_error(void **state)
{
	const struct sockopt_subflow s = { .congestion = "nonesuch" };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	sockopt_subflow(fd, &s);
	log_set_level(LOG_LEVEL_INFO);
	close(fd);
}

/* ---- origdst, resolve ---- */

static void
our_own_addresses_hold_loopback(void **state)
{
	struct addr *own, lo;
	bool found = false;
	int n = origdst_own(&own);

	(void)state;
	assert_int_equal(addr_parse(&lo, "127.0.0.1"), 0);
	assert_true(n > 0);
	for (int i = 0; i < n; i++)
		found |= addr_same_host(&own[i], &lo);
	assert_true(found);
	free(own);
}

static void
a_numeric_host_is_its_own_address(void **state)
{
	struct addr a, want;

	(void)state;
	assert_int_equal(resolve("127.0.0.1", 80, &a), 0);
	assert_int_equal(addr_parse(&want, "127.0.0.1:80"), 0);
	assert_true(addr_equal(&a, &want));
	assert_int_equal(resolve("::1", 443, &a), 0);
	assert_int_equal(addr_parse(&want, "[::1]:443"), 0);
	assert_true(addr_equal(&a, &want));
}

/* ---- log ---- */

static int stderr_was;

/* What is written to stderr arrives here. */
static int
capture(bool with_socket)
{
	int fds[2];

	if (with_socket)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	else
		assert_int_equal(pipe(fds), 0);
	stderr_was = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	return fds[0];
}

static void
release(int fd)
{
	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	if (fd != -1)
		close(fd);
}

static void
assert_reads(int fd, const char *want)
{
	char buf[4096];
	ssize_t n = read_once(fd, buf, sizeof(buf) - 1);

	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, want);
}

static void
a_line_has_its_level_and_stays_a_line(void **state)
{
	(void)state;
	for (int with_socket = 0; with_socket < 2; with_socket++) {
		int fd = capture(with_socket);

		log_init(LOG_LEVEL_INFO, false);
		log_debug("not this");
		log_warn("session %d: one\ntwo\x1b", 17);
		release(-1);
		assert_reads(fd, "warn: session 17: one?two?\n");
		close(fd);
	}
}

static void
a_long_line_is_cut(void **state)
{
	char text[3000], buf[4096];
	int fd = capture(false);
	ssize_t n;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
	release(-1);
	n = read_once(fd, buf, sizeof(buf));
	assert_true(n > 1000 && n <= 1024);
	assert_int_equal(buf[n - 1], '\n');
	assert_int_equal(buf[n - 2], 'x');
	close(fd);
}

static void
more_than_a_burst_is_counted_instead(void **state)
{
	struct log_limit limit = { .burst = 2 };
	int fd = capture(false);

	(void)state;
	for (int i = 0; i < 5; i++)
		log_limited(&limit, LOG_LEVEL_INFO, "line %d", i);
	limit.since_us -= 10000000;	/* ten seconds later */
	log_limited(&limit, LOG_LEVEL_INFO, "line %d", 5);
	log_limited(&limit, LOG_LEVEL_INFO, "line %d", 6);
	release(-1);
	assert_reads(fd, "info: line 0\ninfo: line 1\n"
	    "info: line 5 (3 more like it were left out)\ninfo: line 6\n");
	close(fd);
}

static void
a_stderr_that_is_closed_or_full_does_no_harm(void **state)
{
	(void)state;
	close(capture(true));	/* nobody reads */
	errno = ENOENT;
	log_error("unheard");
	assert_int_equal(errno, ENOENT);
	release(-1);

	int fd = capture(true);	/* somebody hangs */
	for (int i = 0; i < 10000; i++)
		log_error("unheard");
	release(fd);

	stderr_was = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	log_error("unheard");
	release(-1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_setup, \
    loop_teardown)

static struct addr
address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static void
what_a_path_needs_is_missing_or_not(void **state)
{
	const struct addr any = { 0 }, own = address("127.0.0.1:7");
	const struct addr other = address("192.0.2.77:7");
	struct ifaces *now = ifaces_look();

	(void)state;
	assert_non_null(now);
	assert_null(ifaces_missing(now, NULL, &any, 0));
	assert_null(ifaces_missing(now, "lo", &any, 0));
	assert_null(ifaces_missing(now, "lo", &own, 0));
	assert_null(ifaces_missing(now, NULL, &own, 0));
	assert_string_equal(ifaces_missing(now, "nosuch0", &any, 0),
	    "there is no such interface");
	assert_string_equal(ifaces_missing(now, NULL, &other, 0),
	    "its address is not there");
	assert_null(ifaces_missing(now, "lo", &any, 4));
	assert_null(ifaces_missing(now, "lo", &own, 4));
	assert_string_equal(ifaces_missing(now, "lo", &own, 6),
	    "its source is IPv4, the relay's address IPv6");
	assert_true(ifaces_have(now, &own));
	assert_false(ifaces_have(now, &other));
	ifaces_free(now);

	assert_null(ifaces_missing(NULL, "nosuch0", &other, 0));
	assert_true(ifaces_have(NULL, &other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_go_through_spans),
		TEST(no_room_is_not_an_end),
		TEST(only_what_is_wanted_is_told),
		TEST(an_armed_stream_resets),
		TEST(a_disarmed_stream_ends_cleanly),
		TEST(reset_resets_even_when_disarmed),
		TEST(one_direction_ends_alone),
		TEST(death_of_the_process_resets),
		TEST(writing_to_a_lost_connection_is_an_error),
		TEST(what_the_peer_does_not_read_stays_unacknowledged),
		TEST(the_dead_are_freed_on_the_next_turn),
		TEST(any_address_serves_both_families),
		TEST(an_address_in_use_is_told_with_its_step),
		TEST(a_paused_listener_leaves_them_in_the_backlog),
		TEST(a_listener_that_the_kernel_would_not_watch_tries_again),
		TEST(a_listener_may_be_paused_or_freed_by_whom_it_calls),
		TEST(a_listener_has_a_successor_at_any_address_of_its_port),
		TEST(a_second_one_that_ends_is_closed_while_the_first_is_there),
		TEST(a_place_has_one_successor_at_a_time),
		TEST(the_latest_of_a_row_of_successors_has_the_connections),
		TEST(asking_much_about_a_successor_makes_no_place_for_another),
		TEST(a_stranger_who_has_a_successors_name_keeps_nobody_out),
		TEST(whoever_has_the_name_of_its_notice_closes_no_listener),
		TEST(without_descriptors_nobody_is_said_to_end),
		TEST(listeners_of_one_address_on_several_interfaces_all_go_on),
		TEST(without_descriptors_it_waits_and_does_not_spin),
		TEST(dial_gives_a_connected_socket),
		TEST(what_was_sent_before_a_reset_is_not_lost),
		TEST(a_refused_dial_says_so),
		TEST(a_silent_destination_times_out),
		TEST(a_cancelled_dial_is_silent),
		TEST(what_fails_at_once_is_told_later),
		cmocka_unit_test(
		    buffers_are_twice_the_product_of_rate_and_delay),
		cmocka_unit_test(lowat_is_twenty_milliseconds_of_the_rate),
		cmocka_unit_test(options_of_a_subflow_reach_the_kernel),
		cmocka_unit_test(
		    a_half_closed_leg_is_asked_often_and_no_less_patiently),
		cmocka_unit_test(what_a_path_needs_is_missing_or_not),
		cmocka_unit_test(
		    a_slow_uplink_does_not_make_the_receive_buffer_small),
		cmocka_unit_test(an_unknown_congestion_control_is_no_error),
		cmocka_unit_test(our_own_addresses_hold_loopback),
		cmocka_unit_test(a_numeric_host_is_its_own_address),
		cmocka_unit_test(a_line_has_its_level_and_stays_a_line),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(more_than_a_burst_is_counted_instead),
		cmocka_unit_test(a_stderr_that_is_closed_or_full_does_no_harm),
	};

	if (!loopback_is_there())
		return 77;	/* skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
