/* SPDX-License-Identifier: ISC */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/log.h"
#include "visit.h"

#define REST_S 1.		/* when descriptors have run out */
#define PATIENCE_S 3		/* with a daemon that may be about to end */
#define DRAIN_MAX 64		/* calls: more than a socket's buffer */

struct visitor {
	struct control *control;
	int fd;				/* -1: nobody */
	ev_io io;
	ev_timer timer;
	char line[REQUEST_MAX];
	size_t len;
	char *answer;			/* NULL: not yet */
	size_t answer_len, sent;
};

struct control {
	struct control_options options;
	int fd;				/* -1: none */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev;			/* which file is ours */
	ino_t ino;
	ev_io io;
	ev_timer rest;
	struct visitor visitors[CONTROL_MAX];
};

/* ---- visitors ---- */

/* Others wait in the backlog while there are CONTROL_MAX. */
static void
update(struct control *c)
{
	bool room = false;

	for (size_t i = 0; i < CONTROL_MAX; i++)
		room = room || c->visitors[i].fd == -1;
	if (room && !ev_is_active(&c->rest))
		ev_io_start(c->options.loop, &c->io);
	else
		ev_io_stop(c->options.loop, &c->io);
}

/* What a stream's end closes with data unread, the other end loses, and what we
 * have sent with it.  As much as the socket holds; who sends more is reset. */
static void
drain(const struct visitor *v)
{
	char rest[REQUEST_MAX];

	for (int i = 0; i < DRAIN_MAX; i++)
		if (recv(v->fd, rest, sizeof(rest), 0) <= 0)
			return;
}

static void
dismiss(struct visitor *v)
{
	struct ev_loop *loop = v->control->options.loop;

	if (v->fd == -1)
		return;
	ev_io_stop(loop, &v->io);
	ev_timer_stop(loop, &v->timer);
	drain(v);
	close(v->fd);
	v->fd = -1;
	free(v->answer);
	v->answer = NULL;
	update(v->control);
}

static void
wait_for(struct visitor *v, int events)
{
	struct ev_loop *loop = v->control->options.loop;

	ev_io_stop(loop, &v->io);
	ev_io_set(&v->io, v->fd, events);
	ev_io_start(loop, &v->io);
	ev_timer_stop(loop, &v->timer);
	ev_timer_set(&v->timer, CONTROL_S, 0.);
	ev_timer_start(loop, &v->timer);
}

static void
send_answer(struct visitor *v)
{
	ssize_t n = send(v->fd, v->answer + v->sent, v->answer_len - v->sent,
	    MSG_NOSIGNAL);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		v->sent += (size_t)n;
	if (n <= 0 || v->sent == v->answer_len)
		dismiss(v);
}

/* `end` is that of the line; NULL: it is too long. */
static void
answer(struct visitor *v, const char *end)
{
	const struct control_options *o = &v->control->options;
	struct request request = { .kind = REQUEST_STATUS };
	const char *wrong = "expected a line of less than 4096 bytes";

	if (end != NULL)
		wrong = request_parse(&request, v->line,
		    (size_t)(end - v->line));
	v->answer = o->on_request(o->user, &request, wrong);
	if (v->answer == NULL) {
		dismiss(v);
		return;
	}
	v->answer_len = strlen(v->answer);
	wait_for(v, EV_WRITE);
	send_answer(v);
}

static void
receive(struct visitor *v)
{
	ssize_t n = recv(v->fd, v->line + v->len, sizeof(v->line) - v->len, 0);
	const char *end;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		dismiss(v);
		return;
	}
	end = memchr(v->line + v->len, '\n', (size_t)n);
	v->len += (size_t)n;
	if (end != NULL || v->len == sizeof(v->line))
		answer(v, end);
}

static void
on_visitor(struct ev_loop *loop, ev_io *w, int revents)
{
	struct visitor *v = w->data;

	(void)loop;
	(void)revents;
	if (v->answer != NULL)
		send_answer(v);
	else
		receive(v);
}

static void
on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	dismiss(w->data);
}

/* ---- the socket ---- */

static void
on_rested(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	update(w->data);
}

static void
accept_failed(struct control *c, int error)
{
	static struct log_limit limit = { .burst = 1 };

	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return;
	log_limited(&limit, LOG_LEVEL_WARN, "control: accept: %s; trying again "
	    "soon", strerror(error));
	ev_timer_set(&c->rest, REST_S, 0.);
	ev_timer_start(c->options.loop, &c->rest);
	update(c);
}

static void
on_connection(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *c = w->data;
	struct visitor *v = c->visitors;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)loop;
	(void)revents;
	if (fd == -1) {
		accept_failed(c, errno);
		return;
	}
	while (v->fd != -1)	/* we are stopped when there is none */
		v++;
	v->fd = fd;
	v->len = v->sent = 0;
	wait_for(v, EV_READ);
	update(c);
}

/* ---- start ---- */

static bool
failed(const struct control *c, const char *what, char *error, size_t size)
{
	snprintf(error, size, "control %s: %s: %s", c->path, what,
	    strerror(errno));
	return false;
}

static bool
find_group(struct control *c, char *error, size_t size)
{
	const struct group *g;

	if (c->options.group == NULL)
		return true;
	errno = 0;
	if ((g = getgrnam(c->options.group)) != NULL) {
		c->options.gid = g->gr_gid;
		return true;
	}
	snprintf(error, size, "control-group: %s: %s", c->options.group,
	    errno != 0 ? strerror(errno) : "there is no such group");
	return false;
}

/* Its directory, for those who may use the socket, unless it is there. */
static bool
make_directory(struct control *c, char *error, size_t size)
{
	char name[sizeof(c->path)];
	bool good;
	int fd;

	memcpy(name, c->path, sizeof(name));
	*strrchr(name, '/') = '\0';	/* a path begins with one */
	if (name[0] == '\0')
		return true;
	if (mkdir(name, 0700) == -1)
		return errno == EEXIST || failed(c, "its directory", error,
		    size);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	good = fd != -1 &&
	    ((c->options.uid == geteuid() && c->options.gid == getegid()) ||
	    fchown(fd, c->options.uid, c->options.gid) == 0) &&
	    fchmod(fd, c->options.group != NULL ? 0750 : 0700) == 0;
	if (!good)
		failed(c, "its directory", error, size);
	if (fd != -1)
		close(fd);
	return good;
}

/* Somebody listens there: does he make room for us? */
static bool
gives_way(const struct control *c)
{
	char *answer = visit(c->path, "status\n", PATIENCE_S);
	bool ends = answer != NULL && c->options.gives_way(answer);

	free(answer);
	return ends;
}

/* Is there room for ours, or a socket that is in nobody's use, or soon will be?
 */
static bool
may_have(struct control *c, bool *other, char *error, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, result;

	*other = lstat(c->path, &st) == 0;
	if (!*other)
		return errno == ENOENT || failed(c, "stat", error, size);
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, size, "control %s: expected a socket or "
		    "nothing, found another file", c->path);
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return failed(c, "socket", error, size);
	memcpy(address.sun_path, c->path, sizeof(address.sun_path));
	result = connect(fd, (const struct sockaddr *)&address,
	    sizeof(address)) == 0 ? 0 : errno;
	close(fd);
	/* EAGAIN: a full backlog. */
	if (result == ECONNREFUSED || gives_way(c))
		return true;
	snprintf(error, size, "control %s: another daemon listens there; each "
	    "needs a socket of its own", c->path);
	return false;
}

static bool
remove_other(const struct control *c, char *error, size_t size)
{
	return unlink(c->path) == 0 || errno == ENOENT || failed(c, "the "
	    "socket of a daemon that has gone or is about to", error, size);
}

static bool
listen_there(struct control *c, char *error, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t before;
	int result;

	memcpy(address.sun_path, c->path, sizeof(address.sun_path));
	before = umask(c->options.group != NULL ? 0117 : 0177);
	result = bind(c->fd, (const struct sockaddr *)&address,
	    sizeof(address));
	umask(before);
	if (result == -1)
		return failed(c, "bind", error, size);
	if (lstat(c->path, &st) == -1)
		return failed(c, "stat", error, size);
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	if ((st.st_uid != c->options.uid || st.st_gid != c->options.gid) &&
	    lchown(c->path, c->options.uid, c->options.gid) == -1)
		return failed(c, "chown", error, size);
	return listen(c->fd, CONTROL_MAX) == 0 ||
	    failed(c, "listen", error, size);
}

static bool
prepare(struct control *c, char *error, size_t size)
{
	bool other;

	if (!find_group(c, error, size) || !make_directory(c, error, size) ||
	    !may_have(c, &other, error, size))
		return false;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return c->fd != -1 || failed(c, "socket", error, size);
}

/* Since we were made somebody may have come, or gone. */
bool
control_listen(struct control *c, char *error, size_t size)
{
	bool other;

	if (!may_have(c, &other, error, size) ||
	    (other && !remove_other(c, error, size)) ||
	    !listen_there(c, error, size))
		return false;
	ev_io_set(&c->io, c->fd, EV_READ);
	update(c);
	return true;
}

struct control *
control_new(const struct control_options *o, char *error, size_t size)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL || strlen(o->path) >= sizeof(c->path)) {
		snprintf(error, size, "control %s: %s", o->path,
		    strerror(c == NULL ? ENOMEM : ENAMETOOLONG));
		free(c);
		return NULL;
	}
	c->options = *o;
	c->fd = -1;
	memcpy(c->path, o->path, strlen(o->path) + 1);
	ev_init(&c->io, on_connection);
	ev_init(&c->rest, on_rested);
	c->io.data = c->rest.data = c;
	for (size_t i = 0; i < CONTROL_MAX; i++) {
		struct visitor *v = &c->visitors[i];

		v->control = c;
		v->fd = -1;
		ev_init(&v->io, on_visitor);
		ev_init(&v->timer, on_timeout);
		v->io.data = v->timer.data = v;
	}
	if (prepare(c, error, size))
		return c;
	control_free(c);
	return NULL;
}

/* ---- the end ---- */

/* Unless somebody has put another there.  Who cannot leaves it: it is replaced
 * at the next start. */
static void
remove_socket(const struct control *c)
{
	struct stat st;

	if (c->ino != 0 && lstat(c->path, &st) == 0 && st.st_dev == c->dev &&
	    st.st_ino == c->ino)
		(void)unlink(c->path);
}

void
control_free(struct control *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < CONTROL_MAX; i++)
		dismiss(&c->visitors[i]);
	ev_io_stop(c->options.loop, &c->io);
	ev_timer_stop(c->options.loop, &c->rest);
	remove_socket(c);
	if (c->fd != -1)
		close(c->fd);
	free(c);
}
