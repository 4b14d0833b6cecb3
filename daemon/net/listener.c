/* SPDX-License-Identifier: ISC */
/*
 * When descriptors or memory have run out, accept() fails and the connection
 * stays in the backlog, so the socket stays readable: a loop that just tries
 * again eats the processor.  So the watcher stops for a while, longer each time
 * up to a second, and one success ends that.
 *
 * The watcher runs unless the owner paused us or such a pause is on; it is
 * started and stopped in one place, from these two facts.
 */
#include "net/listener.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/log.h"
#include "net/reap.h"

/* What others are told: see "succession". */
enum notice { NOTICE_PLACE, NOTICE_PORT, NOTICE_SUCCESSOR, NOTICES };

#define BATCH 64		/* accepted in one event; others wait too */
#define BACK_OFF_MIN_S 0.1
#define BACK_OFF_MAX_S 1.
#define ASK_MS 500		/* for room in the backlog of a notice */

struct listener {
	struct reap_entry reap;
	struct ev_loop *loop;
	ev_io io;
	ev_timer timer;		/* runs while we back off */
	int fd;			/* -1 once freed */
	bool paused;		/* by the owner */
	bool succeeds;		/* one that is about to end */
	int notices[NOTICES];	/* what others are told; -1: nothing */
	ev_io asked;		/* whose notice of a successor it is */
	char interface[IFNAMSIZ];	/* empty: any */
	double back_off_s;	/* the next pause of our own */
	struct addr address;
	listener_accept *on_accept;
	void *user;
};

static void
update(struct listener *l)
{
	bool want = l->fd != -1 && !l->paused && !ev_is_active(&l->timer);

	if (want && !ev_is_active(&l->io))
		ev_io_start(l->loop, &l->io);
	else if (!want)
		ev_io_stop(l->loop, &l->io);
	if (l->notices[NOTICE_SUCCESSOR] == -1 || ev_is_active(&l->timer))
		ev_io_stop(l->loop, &l->asked);
	else if (!ev_is_active(&l->asked))
		ev_io_start(l->loop, &l->asked);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	update(w->data);
}

static void
back_off(struct listener *l, int error)
{
	static struct log_limit limit = { .burst = 1 };
	char text[ADDR_TEXT_MAX];

	log_limited(&limit, LOG_LEVEL_WARN, "listener %s: accept: %s; trying "
	    "again soon", addr_format(&l->address, text), strerror(error));
	ev_timer_set(&l->timer, l->back_off_s, 0.);
	ev_timer_start(l->loop, &l->timer);
	l->back_off_s *= 2;
	if (l->back_off_s > BACK_OFF_MAX_S)
		l->back_off_s = BACK_OFF_MAX_S;
	update(l);
}

/* Does the error belong to one connection, which is gone from the backlog? */
static bool
concerns_one(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPERM:		/* a firewall's */
	case EPROTO:		/* from here: pending ones of the network */
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case ENONET:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		return true;
	default:
		return false;
	}
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct listener *l = w->data;

	(void)loop;
	if (revents & EV_ERROR) {	/* the loop could not watch it */
		back_off(l, ENOMEM);
		return;
	}
	/* The owner may pause or free us in on_accept(). */
	for (int i = 0; i < BATCH && l->fd != -1 && !l->paused; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct addr peer = { 0 };
		int fd = accept4(l->fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd == -1) {
			if (errno == EAGAIN)
				return;
			if (concerns_one(errno))
				continue;
			back_off(l, errno);
			return;
		}
		l->back_off_s = BACK_OFF_MIN_S;
		(void)addr_from_sockaddr(&peer, (struct sockaddr *)&ss, len);
		l->on_accept(l->user, fd, &peer);
	}
}

/* ---- succession ---- */

/* One says where exactly somebody ends, and who has that name is the only one
 * to listen on.  A successor may have another address, or other interfaces,
 * that include those: for it the other says at which port.  Several may end
 * there, of which the first has the name.  The third says that the place has a
 * successor: one more would have to share with it, unnoticed. */

/* An abstract name is there for as long as the process that bound it, in its
 * network namespace. */
static socklen_t
name_notice(const struct listener *l, enum notice which,
    struct sockaddr_un *name)
{
	const char *on = l->interface[0] != '\0' ? " on " : "";
	const char *does = which == NOTICE_SUCCESSOR ? "follows" : "ends";
	size_t size = sizeof(name->sun_path) - 1;
	char text[ADDR_TEXT_MAX];
	int n;

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (which == NOTICE_PORT)
		n = snprintf(name->sun_path + 1, size,
		    "ro-ro-tcp ends at port %u", (unsigned)l->address.port);
	else
		n = snprintf(name->sun_path + 1, size,
		    "ro-ro-tcp %s at %s%s%s", does,
		    addr_format(&l->address, text), on, l->interface);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    (size_t)n);
}

/* With `give`, ours; else is there somebody's?  -1 with errno.  A stream says
 * whose it is, where its backlog has room: EAGAIN, it had none for ASK_MS. */
static int
notice_socket(const struct listener *l, enum notice which, bool give)
{
	bool stream = which == NOTICE_SUCCESSOR;
	struct sockaddr_un name;
	socklen_t len = name_notice(l, which, &name);
	const struct sockaddr *sa = (const struct sockaddr *)&name;
	const struct timeval patience = { .tv_usec = ASK_MS * 1000 };
	int error, fd = socket(AF_UNIX, (stream ? SOCK_STREAM : SOCK_DGRAM) |
	    (give ? SOCK_NONBLOCK : 0) | SOCK_CLOEXEC, 0);

	if (fd != -1 && !give)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		    sizeof(patience));
	if (fd == -1 || (give ? bind(fd, sa, len) == 0 &&
	    (!stream || listen(fd, SOMAXCONN) == 0) :
	    connect(fd, sa, len) == 0))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool
ends_there(const struct listener *l, enum notice which)
{
	int fd = notice_socket(l, which, false);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

/* Others ask by connecting.  Who is not taken from the backlog stays in it,
 * even after leaving, and when it is full nobody hears any more whose it is. */
static void
on_asked(struct ev_loop *loop, ev_io *w, int revents)
{
	struct listener *l = w->data;

	(void)loop;
	(void)revents;
	for (int i = 0; i < BATCH; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd != -1)
			close(fd);
		else if (errno == EAGAIN)
			return;
		else if (!concerns_one(errno)) {
			back_off(l, errno);
			return;
		}
	}
}

/* Nobody of our user follows there yet.  (Other users cannot keep us out, also
 * not with a backlog that they leave full: ours, on_asked() empties.) */
static bool
is_vacant(struct listener *l)
{
	struct ucred other;
	socklen_t len = sizeof(other);
	bool ours;
	int fd;

	l->notices[NOTICE_SUCCESSOR] = notice_socket(l, NOTICE_SUCCESSOR, true);
	if (l->notices[NOTICE_SUCCESSOR] != -1 ||
	    (fd = notice_socket(l, NOTICE_SUCCESSOR, false)) == -1)
		return true;
	ours = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &len) == 0 &&
	    other.uid == geteuid();
	close(fd);
	return !ours;
}

/* Has one of us that is about to end this address?  (Another program that
 * shares its own is not to lose it to us.)  With SO_REUSEPORT on both, two of
 * one user may have it. */
static bool
succeed(struct listener *l, const struct sockaddr *sa, socklen_t len)
{
	const int error = errno, one = 1;

	l->succeeds = error == EADDRINUSE &&
	    (ends_there(l, NOTICE_PLACE) || ends_there(l, NOTICE_PORT)) &&
	    is_vacant(l) && setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one,
	    sizeof(one)) == 0 && bind(l->fd, sa, len) == 0;
	errno = error;
	return l->succeeds;
}

/* The second of them, as there are no more, gets every connection; when it is
 * alone the kernel takes the first.  Where it cannot do that they get as many
 * each, and proxies try again. */
static void
prefer(struct listener *l)
{
	struct sock_filter second = BPF_STMT(BPF_RET | BPF_K, 1);
	const struct sock_fprog program = { 1, &second };

	(void)setsockopt(l->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
	    sizeof(program));
}

static void
close_notice(struct listener *l, enum notice which)
{
	if (which == NOTICE_SUCCESSOR)
		ev_io_stop(l->loop, &l->asked);
	if (l->notices[which] != -1)
		close(l->notices[which]);
	l->notices[which] = -1;
}

static void
close_notices(struct listener *l)
{
	for (enum notice i = 0; i < NOTICES; i++)
		close_notice(l, i);
}

/* NULL, or why it is to be closed.  Nobody older of us is there when we were
 * the first: then another user has the name, which serves our successor as
 * well. */
static const char *
share(struct listener *l)
{
	const int one = 1;
	int *notices = l->notices;

	notices[NOTICE_PLACE] = notice_socket(l, NOTICE_PLACE, true);
	if (notices[NOTICE_PLACE] == -1) {
		if (errno != EADDRINUSE)
			return strerror(errno);
		if (l->succeeds)
			return "another one that is about to end has its "
			    "place";
	}
	notices[NOTICE_PORT] = notice_socket(l, NOTICE_PORT, true);
	close_notice(l, NOTICE_SUCCESSOR);
	if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ==
	    -1)
		return strerror(errno);
	return NULL;
}

bool
listener_share(struct listener *l)
{
	char text[ADDR_TEXT_MAX];
	const char *wrong = share(l);

	if (wrong != NULL)
		log_warn("listener %s: closed: %s; subflows that are lost from "
		    "now on stay so", addr_format(&l->address, text), wrong);
	return wrong == NULL;
}

bool
listener_succeeds(const struct listener *l)
{
	return l->succeeds;
}

/* ---- beginning and end ---- */

/* The name of the call that failed, with errno; NULL: listening. */
static const char *
begin(struct listener *l, const struct listener_options *o)
{
	bool six = o->address.family == 6;
	/* "::" stands for all addresses, those of IPv4 included. */
	int only_six = !addr_is_any(&o->address);
	const int one = 1;
	struct sockaddr_storage ss;
	socklen_t len;

	l->fd = socket(six ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd == -1)
		return "socket";
	if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one)) == -1)
		return "SO_REUSEADDR";
	if (six && setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_six,
	    sizeof(only_six)) == -1)
		return "IPV6_V6ONLY";
	if (o->interface != NULL &&
	    setsockopt(l->fd, SOL_SOCKET, SO_BINDTODEVICE, o->interface,
	    (socklen_t)strlen(o->interface)) == -1)
		return "SO_BINDTODEVICE";
	/* Either of both serves both families. */
	if (o->transparent && setsockopt(l->fd,
	    six ? IPPROTO_IPV6 : IPPROTO_IP,
	    six ? IPV6_TRANSPARENT : IP_TRANSPARENT, &one, sizeof(one)) == -1)
		return "IP_TRANSPARENT";
	if (o->subflow != NULL)
		sockopt_subflow(l->fd, o->subflow);
	len = (socklen_t)addr_to_sockaddr(&o->address, false, &ss);
	if (bind(l->fd, (struct sockaddr *)&ss, len) == -1 &&
	    !succeed(l, (struct sockaddr *)&ss, len))
		return "bind";
	if (listen(l->fd, o->backlog > 0 ? o->backlog : SOMAXCONN) == -1)
		return "listen";
	if (l->succeeds)
		prefer(l);
	len = sizeof(ss);
	if (getsockname(l->fd, (struct sockaddr *)&ss, &len) == -1)
		return "getsockname";
	(void)addr_from_sockaddr(&l->address, (struct sockaddr *)&ss, len);
	return NULL;
}

struct listener *
listener_new(struct ev_loop *loop, const struct listener_options *o,
    int *error, const char **step)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		*error = -ENOMEM;
		*step = "malloc";
		return NULL;
	}
	l->loop = loop;
	l->back_off_s = BACK_OFF_MIN_S;
	for (size_t i = 0; i < NOTICES; i++)
		l->notices[i] = -1;
	l->address = o->address;
	if (o->interface != NULL)
		(void)snprintf(l->interface, sizeof(l->interface), "%s",
		    o->interface);
	l->on_accept = o->on_accept;
	l->user = o->user;
	if ((*step = begin(l, o)) != NULL) {
		*error = -errno;
		if (l->fd != -1)
			close(l->fd);
		close_notices(l);
		free(l);
		return NULL;
	}
	*error = 0;
	ev_io_init(&l->io, on_readable, l->fd, EV_READ);
	ev_init(&l->timer, on_timer);
	ev_io_init(&l->asked, on_asked, l->notices[NOTICE_SUCCESSOR], EV_READ);
	l->io.data = l->timer.data = l->asked.data = l;
	update(l);
	return l;
}

static void
free_entry(struct reap_entry *entry)
{
	free(entry);	/* it is the first member */
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	ev_io_stop(l->loop, &l->io);
	ev_timer_stop(l->loop, &l->timer);
	close(l->fd);
	l->fd = -1;
	close_notices(l);
	reap_later(&l->reap, free_entry);
}

void
listener_save_syn(struct listener *l, bool save)
{
	const int value = save;

	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_SAVE_SYN, &value,
	    sizeof(value));
}

void
listener_pause(struct listener *l, bool pause)
{
	l->paused = pause;
	update(l);
}

const struct addr *
listener_address(const struct listener *l)
{
	return &l->address;
}
