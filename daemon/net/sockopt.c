/* SPDX-License-Identifier: ISC */
/*
 * Buffers.  A subflow can fill its share of the link only if its windows hold
 * the bandwidth-delay product.  To recover from a loss without a pause they
 * have to hold twice that: while one half waits for the retransmission, the
 * other comes in.  With much loss the retransmission is lost as well: with 3 %
 * on 20 Mbit/s and 600 ms twice the product gave 12, four times 14 Mbit/s.
 * `buffer_bytes` is this window.
 *
 * The kernel doubles what it is given, as it counts whole socket buffers and
 * not bytes.  Receiving, about half of that is payload, so the window is the
 * value given.  Sending, BBR keeps up to two bandwidth-delay products under
 * way, and what is sent, sent again, acknowledged out of order and still to be
 * sent stays in the queue all together; the kernel's own tuning therefore asks
 * for three times the window (bbr_sndbuf_expand()).  So the send buffer is
 * given half as much again, which doubled makes three.
 *
 * A buffer that we set is not tuned by the kernel any more, so one that is too
 * small is worse than none: without rate and delay there is none.  And the rate
 * is that of our direction: what comes from the other end of a link of 2 Mbit/s
 * up and 20 down needs ten times as much (measured: 9 instead of 16 Mbit/s).
 * So the receive buffer is never smaller than what the kernel would tune it to.
 */
#include "net/sockopt.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/log.h"

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44		/* linux/tcp.h */
#endif

#define KEEPALIVE_INTERVAL_MAX_S 15
#define KEEPALIVE_PROBES 4

/* Connection tracking forgets a connection of which one direction has ended
 * after 60 s of silence (nf_conntrack_tcp_timeout_close_wait), and one that was
 * redirected is lost with it: its client hears nothing more, not even a reset.
 * One question may be lost. */
#define HALF_CLOSED_S 25
#define KEEPALIVE_PROBES_MAX 127	/* MAX_TCP_KEEPCNT, net/tcp.h */

#define BUFFER_MIN (256u << 10)
#define BUFFER_MAX (64u << 20)
#define LOWAT_MIN (16u << 10)
#define LOWAT_MAX (128u << 10)
#define LOWAT_UNKNOWN (64u << 10)

/* More than any link has; they keep the products below within 64 bits. */
#define RATE_MAX_BPS 400000000000u
#define DELAY_MAX_MS 60000u

/* What may be warned about, each once. */
enum kind {
	KIND_CONGESTION,
	KIND_LOWAT,
	KIND_USER_TIMEOUT,
	KIND_MARK,
	KIND_SEND_BUFFER,
	KIND_RECEIVE_BUFFER,
	KIND_KEEPALIVE,
	KIND_PACING,
	NKINDS,
};

static const char *const names[] = {
	[KIND_CONGESTION] = "congestion control",
	[KIND_LOWAT] = "TCP_NOTSENT_LOWAT",
	[KIND_USER_TIMEOUT] = "TCP_USER_TIMEOUT",
	[KIND_MARK] = "SO_MARK",
	[KIND_SEND_BUFFER] = "send buffer",
	[KIND_RECEIVE_BUFFER] = "receive buffer",
	[KIND_KEEPALIVE] = "keepalive",
	[KIND_PACING] = "SO_MAX_PACING_RATE",
};
static_assert(sizeof(names) / sizeof(names[0]) == NKINDS, "a name each");

static bool warned[NKINDS];

static bool
warn_now(enum kind kind)
{
	bool first = !warned[kind];

	warned[kind] = true;
	return first;
}

static void
set_int(int fd, int level, int name, int value, enum kind kind)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) == -1 &&
	    warn_now(kind))
		log_warn("subflow: %s %d: %s", names[kind], value,
		    strerror(errno));
}

static void
set_u32(int fd, int level, int name, uint32_t value, enum kind kind)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) == -1 &&
	    warn_now(kind))
		log_warn("subflow: %s %u: %s", names[kind],
		    (unsigned int)value, strerror(errno));
}

static bool
choose(int fd, const char *name)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name,
	    (socklen_t)strlen(name)) == 0;
}

/* It was that of the system, of its listener or of its route. */
static void
set_congestion(int fd, const char *name)
{
	char now[16] = "";
	socklen_t len = sizeof(now) - 1;
	int error;

	if (choose(fd, name) || !warn_now(KIND_CONGESTION))
		return;
	error = errno;
	(void)getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now, &len);
	log_warn("subflow: congestion control %s: %s; it stays %s", name,
	    strerror(error), now);
}

/* Beyond the system's limit where we may (CAP_NET_ADMIN), else up to it. */
static void
set_buffer(int fd, int force, int plain, uint64_t bytes, enum kind kind)
{
	int value = bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)bytes;
	int got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, force, &value, sizeof(value)) == 0)
		return;
	if (setsockopt(fd, SOL_SOCKET, plain, &value, sizeof(value)) == -1 ||
	    getsockopt(fd, SOL_SOCKET, plain, &got, &len) == -1) {
		if (warn_now(kind))
			log_warn("subflow: %s: %s", names[kind],
			    strerror(errno));
	} else if (got / 2 < value && warn_now(kind)) {
		log_warn("subflow: %s is %d bytes instead of %d: raise "
		    "net.core.%s", names[kind], got / 2, value,
		    kind == KIND_SEND_BUFFER ? "wmem_max" : "rmem_max");
	}
}

/* Up to which value of SO_RCVBUF the kernel would go by itself; 0: unknown. */
static uint64_t
tuned_receive(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_rmem", "re");
	uint64_t most = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*s %*s %" SCNu64, &most) != 1)
		most = 0;
	fclose(file);
	return most / 2;		/* it is doubled by setting it */
}

/* Without the privilege, what the kernel tunes can be more than may be set. */
static void
set_receive_buffer(int fd, uint32_t bytes)
{
	uint64_t tuned = tuned_receive();
	int value = tuned > INT_MAX / 2 ? INT_MAX / 2 : (int)tuned;

	if (bytes > tuned)
		set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes,
		    KIND_RECEIVE_BUFFER);
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &value,
		    sizeof(value));
}

static void
set_keepalive(int fd, uint32_t idle_s)
{
	/* The kernel takes 1 to 32767 seconds. */
	int idle = idle_s > 32767 ? 32767 : (int)idle_s;
	/* Who asks early wants to know early. */
	int interval = idle < KEEPALIVE_INTERVAL_MAX_S ? idle :
	    KEEPALIVE_INTERVAL_MAX_S;

	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, idle > 0, KIND_KEEPALIVE);
	if (idle == 0)
		return;
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle, KIND_KEEPALIVE);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval, KIND_KEEPALIVE);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES,
	    KIND_KEEPALIVE);
}

static void
set_nodelay(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void
sockopt_lowat(int fd, uint32_t bytes)
{
	set_u32(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes, KIND_LOWAT);
}

/* Since Linux 6.15; it is no fault of anybody's to have an older one. */
static void
set_rto_max(int fd, uint32_t ms)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &ms, sizeof(ms));
}

void
sockopt_subflow(int fd, const struct sockopt_subflow *s)
{
	uint32_t receive = s->receive_bytes > s->buffer_bytes ?
	    s->receive_bytes : s->buffer_bytes;

	set_nodelay(fd);
	if (receive > 0)
		set_receive_buffer(fd, receive);
	if (s->buffer_bytes > 0)
		set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF,
		    s->buffer_bytes + s->buffer_bytes / 2ull, KIND_SEND_BUFFER);
	if (s->congestion != NULL)
		set_congestion(fd, s->congestion);
	if (s->notsent_lowat_bytes > 0)
		sockopt_lowat(fd, s->notsent_lowat_bytes);
	if (s->user_timeout_ms > 0)
		set_u32(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, s->user_timeout_ms,
		    KIND_USER_TIMEOUT);
	if (s->user_timeout_ms > 0 && s->rto_max_ms > 0)
		set_rto_max(fd, s->rto_max_ms);
	if (s->mark != 0)
		set_u32(fd, SOL_SOCKET, SO_MARK, s->mark, KIND_MARK);
	set_keepalive(fd, s->keepalive_s);
}

void
sockopt_pacing(int fd, uint64_t bytes_per_s)
{
	/* All bits set means no limit, in each of the two sizes that the
	 * kernel takes: a long, and 32 bits before Linux 5.0. */
	unsigned long rate = bytes_per_s >= ULONG_MAX ? ULONG_MAX :
	    (unsigned long)bytes_per_s;
	uint32_t rate32 = bytes_per_s >= UINT32_MAX ? UINT32_MAX :
	    (uint32_t)bytes_per_s;

	if (setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate,
	    sizeof(rate)) == 0)
		return;
	set_u32(fd, SOL_SOCKET, SO_MAX_PACING_RATE, rate32, KIND_PACING);
}

static size_t
queue_bytes(int fd, unsigned long request)
{
	int n = 0;

	return fd >= 0 && ioctl(fd, request, &n) == 0 && n > 0 ? (size_t)n : 0;
}

size_t
sockopt_unacked(int fd)
{
	return queue_bytes(fd, SIOCOUTQ);
}

size_t
sockopt_unsent(int fd)
{
	return queue_bytes(fd, SIOCOUTQNSD);
}

/* Would BBR be given back to a socket that gave it up?  Tried each time, since
 * the operator can change what is allowed, and on a socket of its own, since
 * one that already has it is never refused it.  After the first refusal we do
 * not ask again. */
static bool
may_choose_bbr(void)
{
	static bool refused;
	int fd;

	if (refused || (fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) ==
	    -1)
		return false;
	refused = !choose(fd, "reno") || !choose(fd, "bbr");
	if (refused)
		log_warn("subflow: BBR cannot begin anew: %s: is it in "
		    "net.ipv4.tcp_allowed_congestion_control?",
		    strerror(errno));
	close(fd);
	return !refused;
}

void
sockopt_congestion(int fd, const char *name)
{
	char now[16] = "";
	socklen_t len = sizeof(now) - 1;

	if (name == NULL || (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now,
	    &len) == 0 && strcmp(now, name) == 0))
		return;
	set_congestion(fd, name);
}

bool
sockopt_restart_congestion(int fd, bool in_recovery)
{
	char name[16] = "";
	struct tcp_info info;
	socklen_t len = sizeof(name) - 1;

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) != 0 ||
	    strcmp(name, "bbr") != 0)
		return false;
	len = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    info.tcpi_ca_state == TCP_CA_Loss ||
	    (!in_recovery && info.tcpi_ca_state != TCP_CA_Open))
		return false;
	return may_choose_bbr() && choose(fd, "reno") && choose(fd, "bbr");
}

void
sockopt_leg(int fd, uint32_t keepalive_s)
{
	set_nodelay(fd);
	set_keepalive(fd, keepalive_s);
}

static int
get_tcp(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	(void)getsockopt(fd, IPPROTO_TCP, name, &value, &len);
	return value;
}

void
sockopt_half_closed(int fd)
{
	int idle = get_tcp(fd, TCP_KEEPIDLE), on = 0;
	int probes = KEEPALIVE_PROBES_MAX;
	socklen_t len = sizeof(on);

	(void)getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	if (on && idle <= HALF_CLOSED_S)
		return;
	if (on) {
		int patience = idle + get_tcp(fd, TCP_KEEPCNT) *
		    get_tcp(fd, TCP_KEEPINTVL);

		probes = (patience - 1) / HALF_CLOSED_S;
		if (probes > KEEPALIVE_PROBES_MAX)
			probes = KEEPALIVE_PROBES_MAX;
	}
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, probes, KIND_KEEPALIVE);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, HALF_CLOSED_S, KIND_KEEPALIVE);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, HALF_CLOSED_S, KIND_KEEPALIVE);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1, KIND_KEEPALIVE);
}

void
sockopt_dscp(int fd, uint8_t family, uint8_t dscp)
{
	const int octet = dscp << 2;

	if (family == 4)
		(void)setsockopt(fd, IPPROTO_IP, IP_TOS, &octet,
		    sizeof(octet));
	else
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &octet,
		    sizeof(octet));
}

static uint64_t
bytes_in(uint64_t rate_bps, uint64_t ms)
{
	if (rate_bps > RATE_MAX_BPS)
		rate_bps = RATE_MAX_BPS;
	if (ms > DELAY_MAX_MS)
		ms = DELAY_MAX_MS;
	return rate_bps * ms / 8000;
}

uint32_t
sockopt_buffer_bytes(uint64_t rate_bps, uint32_t delay_ms, unsigned int n)
{
	uint64_t bytes;

	if (rate_bps == 0 || delay_ms == 0 || n == 0)
		return 0;
	bytes = 4 * bytes_in(rate_bps, delay_ms) / n;
	if (bytes < BUFFER_MIN)
		return BUFFER_MIN;
	return bytes > BUFFER_MAX ? BUFFER_MAX : (uint32_t)bytes;
}

uint32_t
sockopt_lowat_bytes(uint64_t rate_bps)
{
	uint64_t bytes = bytes_in(rate_bps, 20);

	if (rate_bps == 0)
		return LOWAT_UNKNOWN;
	if (bytes < LOWAT_MIN)
		return LOWAT_MIN;
	return bytes > LOWAT_MAX ? LOWAT_MAX : (uint32_t)bytes;
}
