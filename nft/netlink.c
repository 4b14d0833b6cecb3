/* SPDX-License-Identifier: ISC */
#include "netlink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>

#include <libmnl/libmnl.h>

/* The kernel refuses what does not fit the send buffer with its bookkeeping
 * (netlink_sendmsg()). */
#define SEND_OVERHEAD 4096

#define MAX_ERRNO 4095		/* include/linux/err.h */

/* ---- the socket ---- */

/* 0 or -errno. */
static int
prepare(int fd, uint32_t groups)
{
	struct sockaddr_nl us = { .nl_family = AF_NETLINK,
		.nl_groups = groups };
	const int one = 1;

	/* Without the request in it, an answer is short whatever was sent.
	 * Both are a help only: older kernels than 4.12 lack them. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&us, sizeof(us)) == -1 ? -errno : 0;
}

int
netlink_open(int protocol, uint32_t groups)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    protocol);
	int error;

	if (fd == -1)
		return -errno;
	if ((error = prepare(fd, groups)) != 0) {
		close(fd);
		return error;
	}
	return fd;
}

/* Doubled by the kernel.  The first is for the privileged, without the limit of
 * net.core.wmem_max. */
static void
make_room(int fd, size_t len)
{
	int bytes = (int)(len + SEND_OVERHEAD), have = 0;
	socklen_t size = sizeof(have);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &size) == 0 &&
	    have / 2 >= bytes)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes,
	    sizeof(bytes)) == -1)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes,
		    sizeof(bytes));
}

int
netlink_send(int fd, const void *data, size_t len)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	make_room(fd, len);
	do
		n = sendto(fd, data, len, 0, (const struct sockaddr *)&kernel,
		    sizeof(kernel));
	while (n == -1 && errno == EINTR);
	return n == -1 ? -errno : 0;
}

int64_t
netlink_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 0 when there is something, -ETIMEDOUT, or -errno. */
static int
wait_readable(int fd, int64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do {
		int64_t left = deadline_ms - netlink_now_ms();

		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

/* One datagram that is there: its length, 0 if it is not of the kernel, -EAGAIN
 * if there is none, -errno. */
static ssize_t
take(int fd, void *buffer, size_t size)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from),
		.msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = recvmsg(fd, &m, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -errno;
	if (m.msg_namelen != sizeof(from) || from.nl_pid != 0)
		return 0;
	return (m.msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : n;
}

ssize_t
netlink_receive(int fd, void *buffer, size_t size, int64_t deadline_ms)
{
	for (;;) {
		ssize_t n = take(fd, buffer, size);

		if (n == -EAGAIN)
			n = wait_readable(fd, deadline_ms);
		if (n != 0)
			return n;
	}
}

/* ---- the decoder ---- */

/* What is left of `len` bytes behind the first `skip`. */
static struct netlink_cursor
behind(const uint8_t *bytes, size_t len, size_t skip)
{
	if (skip >= len)
		return (struct netlink_cursor){ bytes, 0 };
	return (struct netlink_cursor){ bytes + skip, len - skip };
}

struct netlink_cursor
netlink_attributes(const struct nlmsghdr *h, size_t len)
{
	return behind(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h),
	    MNL_ALIGN(len));
}

const struct nlattr *
netlink_attribute(struct netlink_cursor *c)
{
	const struct nlattr *a = c->next;

	if (c->left > INT32_MAX || !mnl_attr_ok(a, (int)c->left))
		return NULL;
	*c = behind(c->next, c->left, MNL_ALIGN(mnl_attr_get_len(a)));
	return a;
}

static void
copy_text(char into[static NETLINK_TEXT_MAX], const struct nlattr *a)
{
	const char *from = mnl_attr_get_payload(a);
	size_t len = mnl_attr_get_payload_len(a), i;

	for (i = 0; i < len && i < NETLINK_TEXT_MAX - 1 && from[i] != '\0'; i++)
		into[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	into[i] = '\0';
}

static void
take_details(struct netlink_reply *r, struct netlink_cursor c)
{
	const struct nlattr *a;

	while ((a = netlink_attribute(&c)) != NULL)
		switch (mnl_attr_get_type(a)) {
		case NLMSGERR_ATTR_MSG:
			copy_text(r->text, a);
			break;
		case NLMSGERR_ATTR_OFFS:
			if (mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
				r->offset = mnl_attr_get_u32(a);
			break;
		}
}

/* 0 or -errno: what the kernel cannot mean is an error as well. */
static int
error_of(int32_t value)
{
	return value > 0 || value < -MAX_ERRNO ? -EPROTO : value;
}

/* The error, a copy of the request (its header only if the kernel says that it
 * capped it), and then details if it says that there are some. */
static enum netlink_kind
take_ack(struct netlink_reply *r, const struct nlmsghdr *h)
{
	struct nlmsgerr e;
	const uint8_t *payload = mnl_nlmsg_get_payload(h);
	size_t len = mnl_nlmsg_get_payload_len(h);
	size_t request = MNL_ALIGN(sizeof(e));

	if (len < sizeof(e))
		return NETLINK_IGNORED;
	memcpy(&e, payload, sizeof(e));
	r->error = error_of(e.error);
	if ((h->nlmsg_flags & NLM_F_CAPPED) == 0 &&
	    e.msg.nlmsg_len > sizeof(e.msg)) {
		if (e.msg.nlmsg_len > len)	/* cannot be in it */
			return NETLINK_ACK;
		request += MNL_ALIGN(e.msg.nlmsg_len - sizeof(e.msg));
	}
	if ((h->nlmsg_flags & NLM_F_ACK_TLVS) != 0)
		take_details(r, behind(payload, len, request));
	return NETLINK_ACK;
}

static enum netlink_kind
take_dump_done(struct netlink_reply *r, const struct nlmsghdr *h)
{
	int32_t error = 0;	/* or the length of what was shown */

	if (mnl_nlmsg_get_payload_len(h) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(h), sizeof(error));
	r->error = error > 0 ? 0 : error_of(error);
	return NETLINK_DUMP_DONE;
}

static enum netlink_kind
take_message(struct netlink_reply *r, const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case NLMSG_ERROR:
		return take_ack(r, h);
	case NLMSG_DONE:
		return take_dump_done(r, h);
	default:
		if (h->nlmsg_type < NLMSG_MIN_TYPE)
			return NETLINK_IGNORED;
		r->message = h;
		return NETLINK_DATA;
	}
}

/* libmnl's own test takes a length above 2 GiB for a negative one, which is
 * short. */
static bool
is_whole(const struct nlmsghdr *h, size_t left)
{
	return left >= sizeof(*h) && h->nlmsg_len >= sizeof(*h) &&
	    h->nlmsg_len <= left;
}

enum netlink_kind
netlink_next(struct netlink_cursor *c, struct netlink_reply *r)
{
	const struct nlmsghdr *h = c->next;

	*r = (struct netlink_reply){ .kind = NETLINK_END };
	if (!is_whole(h, c->left))
		return NETLINK_END;
	*c = behind(c->next, c->left, MNL_ALIGN(h->nlmsg_len));
	r->type = h->nlmsg_type;
	r->seq = h->nlmsg_seq;
	r->interrupted = (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
	r->kind = take_message(r, h);
	return r->kind;
}
