/* SPDX-License-Identifier: ISC */
/*
 * link: a long, thin or lossy link in user space, for tests and benchmarks.
 *
 * It makes two TUN devices, usually in two network namespaces, and carries
 * packets from one to the other as a link of a given rate, delay, queue and
 * loss would.  Nothing but /dev/net/tun is needed from the kernel, which is
 * why it exists: many machines have no netem.
 *
 *	ip netns add one; ip netns add two
 *	link --ns-a one --addr-a 10.9.0.1/30 --addr-a fd09::1/64 \
 *	     --ns-b two --addr-b 10.9.0.2/30 --addr-b fd09::2/64 \
 *	     --rate 20Mbit --delay 300ms --loss 1% --control /tmp/link.fifo &
 *	(wait for the line "ready" on its output)
 *	ip netns exec one ping 10.9.0.2
 *	echo loss-ab 3% >/tmp/link.fifo
 *	kill $!
 *
 * End the link before deleting its namespaces: its devices keep them alive.
 *
 * Theory.  A process that sleeps until a packet is due wakes up late, and if
 * the next packet's time were counted from there, the link would be slower
 * than asked for.  So every time but the arrival is computed, not observed:
 *
 *	link_free = max(link_free, arrival) + bits / rate
 *	due = link_free + delay
 *
 * A late wake-up then delays some packets but never changes the rate.  How
 * late packets were written is measured and reported, so that a benchmark
 * can reject a run that the machine disturbed.  What cannot be seen is how
 * long a packet waited in the device before we read it, but what makes us
 * read late makes us write late too.  Most lateness of more than a few
 * milliseconds on virtual machines is time stolen by the host; it is printed
 * beside.
 *
 * Waking for each packet costs more than moving it, and that processor time
 * is missing to what is being tested.  So under load we look only once per
 * slack, a fifth of a millisecond; after a pause we look at once.
 *
 * The queue is drop-tail and measured in time, not in packets: a packet is
 * dropped if the link is busy with earlier ones for longer than the queue is
 * long.  A packet that random loss takes has used its share of the link like
 * any other, because radio loss happens after sending.  While an end is
 * blackholed nothing enters the link and nothing leaves it.
 *
 * Bursty loss is a Gilbert-Elliott chain that loses everything in its bad
 * state: with mean burst B and loss ratio L, it leaves the bad state with
 * probability 1/B and enters it with L / (B (1 - L)).
 *
 * The size of a packet is that of its IP packet; there is no framing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <arpa/inet.h>
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/if_tun.h>

#define NS_PER_US	UINT64_C(1000)
#define NS_PER_MS	UINT64_C(1000000)
#define NS_PER_S	UINT64_C(1000000000)

#define EXIT_USAGE	2

/* What a direction may hold, whatever its settings ask for. */
#define HELD_BYTES_MAX	((size_t)256 << 20)

/* Longest delay and queue.  Far from where sums of times would wrap. */
#define TIME_MAX	(1000 * NS_PER_S)

/* A queue of automatic length holds at least so many packets of full size. */
#define QUEUE_PACKETS_MIN	10

/* Packets read from one device before the other one gets its turn. */
#define BATCH		32

#define ADDRESSES_MAX	8

/* Buckets are exact below 16 and 1/16 of their value wide above. */
#define BUCKETS		((64 - 3) * 16)

struct packet {
	struct packet	*next;
	uint64_t	 due;
	uint16_t	 len;
	uint8_t		 data[];
};

/* What the user can choose for each direction, at start and later. */
struct settings {
	uint64_t	rate;		/* bit/s, 0 if unlimited */
	uint64_t	delay;		/* ns */
	uint64_t	queue;		/* ns */
	bool		queue_auto;	/* one round trip instead */
	double		loss;		/* ratio */
	double		burst;		/* mean packets, 0: independent loss */
	uint64_t	outage;		/* ns out of every outage_period */
	uint64_t	outage_period;
};

/* rx_packets is the sum of all that can become of a packet. */
struct counters {
	uint64_t	rx_packets;
	uint64_t	rx_bytes;
	uint64_t	tx_packets;
	uint64_t	tx_bytes;
	uint64_t	queue_drops;
	uint64_t	lost;
	uint64_t	blackholed;
	uint64_t	memory_drops;
	uint64_t	write_errors;
	uint64_t	queue_max;	/* ns that a packet waited to be sent */
	uint64_t	late_sum;	/* ns, over tx_packets */
	uint64_t	late_max;
	uint64_t	late[BUCKETS];
};

struct direction {
	const char	*name;
	struct settings	 set;
	int		 in;		/* the devices */
	int		 out;
	struct packet	*head;		/* owned, in order of their due time */
	struct packet	**tail;
	uint64_t	 held_packets;
	size_t		 held_bytes;
	uint64_t	 link_free;
	uint64_t	 last_due;
	uint64_t	 random;
	bool		 bad;		/* of the Gilbert-Elliott chain */
	bool		 blackhole;
	struct counters	 count;
};

struct end {
	const char	*netns;		/* NULL: where we were started */
	const char	*device;
	const char	*address[ADDRESSES_MAX];
	size_t		 addresses;
	int		 fd;
	uint64_t	 drops_at_reset;
};

enum { AB, BA, DIRECTIONS };

static struct direction	 direction[DIRECTIONS] = {
	[AB] = { .name = "ab", .set = { .queue_auto = true } },
	[BA] = { .name = "ba", .set = { .queue_auto = true } },
};
static struct end	 end[2] = {
	{ .device = "link0", .fd = -1 }, { .device = "link0", .fd = -1 }
};
static unsigned int	 mtu = 1500;
static unsigned int	 txqueuelen = 10000;
static uint64_t		 slack = 200 * NS_PER_US;
static uint64_t		 seed = 1;
static const char	*control_path;
static bool		 control_is_ours;	/* and to be removed */
static int		 control_fd = -1;
static int		 home_netns = -1;
static const char	*scheduling = "normal";
static uint64_t		 start;
static uint64_t		 reset_at;
static uint64_t		 stolen_at_reset;	/* ms */

static const char usage[] =
    "usage: link [--OPTION VALUE]...\n"
    "ends (X is a or b):\n"
    "  --ns-X NAME       network namespace, or its path; else the current one\n"
    "  --dev-X NAME      device to make (link0)\n"
    "  --addr-X ADDR/LEN one IPv4 and several IPv6 addresses\n"
    "  --mtu BYTES       of both devices (1500)\n"
    "  --txqueuelen N    of both devices (10000)\n"
    "the link, in both directions, or in one as --rate-ab, --rate-ba etc.:\n"
    "  --rate RATE       20Mbit, 64kbit, 1Gbit; 0: unlimited (0)\n"
    "  --delay TIME      one way: 300ms, 50us, 1s (0)\n"
    "  --queue TIME      longest wait before sending, or auto: one round\n"
    "                    trip and at least 10 packets (auto)\n"
    "  --loss PERCENT    random loss: 1.5% (0)\n"
    "  --burst PACKETS   mean length of a burst of loss; 0: independent (0)\n"
    "  --outage TIME/TIME  lose everything for that long at the end of each\n"
    "                    period: 300ms/15s (0)\n"
    "  --seed N          of the random numbers (1)\n"
    "  --slack TIME      least time between looks, for less load (200us)\n"
    "  --control FIFO    take lines from there; made if missing; -: stdin\n"
    "control lines: rate-ab 10Mbit and so on as above;\n"
    "  blackhole on|off|ab|ba; counters; reset (counters to zero)\n"
    "signals: USR1 blackhole on/off; RTMIN+1, RTMIN+2 same for ab, ba;\n"
    "  USR2 counters to stderr; TERM, INT, HUP counters and exit\n";

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/*
 * Values.  Each takes the whole text or returns false.
 */

struct unit {
	const char	*name;
	double		 factor;
};

static bool
parse_unit(const char *text, const struct unit *units, double max,
    double *value)
{
	char *rest;
	double number = strtod(text, &rest);

	if (rest == text || !isfinite(number) || number < 0)
		return false;
	if (*rest == '\0' && number == 0) {	/* nothing of any unit */
		*value = 0;
		return true;
	}
	for (; units->name != NULL; units++) {
		if (strcasecmp(rest, units->name) == 0) {
			*value = number * units->factor;
			return *value <= max;
		}
	}
	return false;
}

static bool
parse_time(const char *text, uint64_t *ns)
{
	static const struct unit units[] = {
		{ "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 },
		{ NULL, 0 }
	};
	double value;

	if (!parse_unit(text, units, (double)TIME_MAX, &value))
		return false;
	*ns = (uint64_t)(value + 0.5);
	return true;
}

static bool
parse_rate(const char *text, uint64_t *rate)
{
	static const struct unit units[] = {
		{ "bit", 1 }, { "kbit", 1e3 }, { "Mbit", 1e6 },
		{ "Gbit", 1e9 }, { NULL, 0 }
	};
	double value;

	if (!parse_unit(text, units, 1e12, &value))
		return false;
	if (value > 0 && value < 1000)	/* a packet would take for ever */
		return false;
	*rate = (uint64_t)(value + 0.5);
	return true;
}

static bool
parse_percent(const char *text, double *ratio)
{
	static const struct unit units[] = { { "%", 0.01 }, { NULL, 0 } };

	return parse_unit(text, units, 1, ratio);
}

static bool
parse_burst(const char *text, double *burst)
{
	static const struct unit units[] = { { "", 1 }, { NULL, 0 } };

	return parse_unit(text, units, 1e9, burst) &&
	    (*burst == 0 || *burst >= 1);
}

static bool
parse_outage(const char *text, uint64_t *outage, uint64_t *period)
{
	char first[32];
	const char *slash = strchr(text, '/');

	if (slash == NULL) {
		*period = 0;
		return parse_time(text, outage) && *outage == 0;
	}
	if ((size_t)(slash - text) >= sizeof(first))
		return false;
	memcpy(first, text, (size_t)(slash - text));
	first[slash - text] = '\0';
	return parse_time(first, outage) && parse_time(slash + 1, period) &&
	    *outage <= *period && *period > 0;
}

static bool
parse_integer(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *rest;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &rest, 10);
	return *rest == '\0' && errno == 0 && *value >= min && *value <= max;
}

/*
 * Settings of directions.
 */

static bool
settings_parse(struct settings *s, const char *name, const char *value)
{
	if (strcmp(name, "rate") == 0)
		return parse_rate(value, &s->rate);
	if (strcmp(name, "delay") == 0)
		return parse_time(value, &s->delay);
	if (strcmp(name, "loss") == 0)
		return parse_percent(value, &s->loss);
	if (strcmp(name, "burst") == 0)
		return parse_burst(value, &s->burst);
	if (strcmp(name, "outage") == 0)
		return parse_outage(value, &s->outage, &s->outage_period);
	if (strcmp(name, "queue") == 0) {
		s->queue_auto = strcmp(value, "auto") == 0;
		return s->queue_auto || parse_time(value, &s->queue);
	}
	return false;
}

static bool
is_setting(const char *name)
{
	static const char *const names[] = {
		"rate", "delay", "queue", "loss", "burst", "outage"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* Bursts that are short and frequent would have no gaps between them. */
static bool
settings_are_possible(const struct settings *s)
{
	return s->burst == 0 || s->loss <= s->burst * (1 - s->loss);
}

/* "rate", "rate-ab" or "rate-ba" and its value.  0; -ENOENT if this is no
 * setting; -EINVAL if the value is bad, and then nothing has changed. */
static int
settings_change(const char *full_name, const char *value)
{
	char name[16];
	bool in[DIRECTIONS] = { true, true };
	struct settings changed[DIRECTIONS];
	size_t len = strlen(full_name);

	if (len > 3 && strcmp(full_name + len - 3, "-ab") == 0) {
		in[BA] = false;
		len -= 3;
	} else if (len > 3 && strcmp(full_name + len - 3, "-ba") == 0) {
		in[AB] = false;
		len -= 3;
	}
	if (len >= sizeof(name))
		return -ENOENT;
	memcpy(name, full_name, len);
	name[len] = '\0';
	if (!is_setting(name))
		return -ENOENT;
	for (int i = 0; i < DIRECTIONS; i++) {
		changed[i] = direction[i].set;
		if (in[i] && !settings_parse(&changed[i], name, value))
			return -EINVAL;
	}
	for (int i = 0; i < DIRECTIONS; i++)
		direction[i].set = changed[i];
	return 0;
}

static uint64_t
time_to_send(const struct settings *s, size_t bytes)
{
	return s->rate == 0 ? 0 : bytes * 8 * NS_PER_S / s->rate;
}

static uint64_t
queue_limit(const struct settings *s)
{
	uint64_t round_trip = direction[AB].set.delay + direction[BA].set.delay;
	uint64_t some = time_to_send(s, (size_t)QUEUE_PACKETS_MIN * mtu);

	if (!s->queue_auto)
		return s->queue;
	return round_trip > some ? round_trip : some;
}

static void
settings_print(void)
{
	for (int i = 0; i < DIRECTIONS; i++) {
		const struct settings *s = &direction[i].set;

		fprintf(stderr, "settings %s rate_bit_s=%" PRIu64
		    " delay_us=%" PRIu64 " queue_us=%" PRIu64
		    " loss_percent=%g burst=%g outage_ms=%" PRIu64
		    " outage_period_ms=%" PRIu64 " blackhole=%d seed=%" PRIu64
		    "\n", direction[i].name, s->rate, s->delay / NS_PER_US,
		    queue_limit(s) / NS_PER_US, s->loss * 100, s->burst,
		    s->outage / NS_PER_MS, s->outage_period / NS_PER_MS,
		    direction[i].blackhole, seed);
	}
}

/*
 * Histogram of lateness.
 */

static unsigned int
bucket_of(uint64_t value)
{
	if (value < 16)
		return (unsigned int)value;
	unsigned int top = 63 - (unsigned int)__builtin_clzll(value);

	return (top - 3) * 16 + (unsigned int)((value >> (top - 4)) & 15);
}

/* The largest value that falls into the bucket. */
static uint64_t
bucket_end(unsigned int bucket)
{
	if (bucket < 16)
		return bucket;
	unsigned int top = bucket / 16 + 3;

	return ((UINT64_C(16) + bucket % 16 + 1) << (top - 4)) - 1;
}

static void
late_add(struct counters *c, uint64_t late)
{
	c->late_sum += late;
	if (late > c->late_max)
		c->late_max = late;
	c->late[bucket_of(late)]++;
}

static uint64_t
late_quantile(const struct counters *c, double quantile)
{
	double rank = quantile * (double)c->tx_packets;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < BUCKETS; i++) {
		seen += c->late[i];
		if (seen > 0 && (double)seen >= rank) {
			uint64_t value = bucket_end(i);

			return value < c->late_max ? value : c->late_max;
		}
	}
	return 0;
}

/*
 * Devices.
 */

static void
netns_enter(const char *name)
{
	char path[4096];

	if (name == NULL)
		return;
	if (strchr(name, '/') != NULL)
		snprintf(path, sizeof(path), "%s", name);
	else
		snprintf(path, sizeof(path), "/run/netns/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(EXIT_USAGE, "network namespace %s", path);
	if (setns(fd, CLONE_NEWNET) != 0)
		err(EXIT_USAGE, "cannot enter network namespace %s", path);
	close(fd);
}

static void
netns_leave(const char *name)
{
	if (name != NULL && setns(home_netns, CLONE_NEWNET) != 0)
		err(EXIT_FAILURE, "cannot return to our network namespace");
}

/* Drops in front of us, which only the kernel sees.  They are 0 unless the
 * device's own queue overflowed because we read too slowly. */
static uint64_t
device_drops(const struct end *e)
{
	struct ifaddrs *list, *i;
	uint64_t drops = 0;

	netns_enter(e->netns);
	if (getifaddrs(&list) == 0) {
		for (i = list; i != NULL; i = i->ifa_next) {
			if (i->ifa_addr == NULL || i->ifa_data == NULL ||
			    i->ifa_addr->sa_family != AF_PACKET ||
			    strcmp(i->ifa_name, e->device) != 0)
				continue;
			const struct rtnl_link_stats *s = i->ifa_data;

			drops = s->tx_dropped;
		}
		freeifaddrs(list);
	}
	netns_leave(e->netns);
	return drops;
}

static void
address4_add(const char *device, const struct in_addr *address,
    unsigned int prefix)
{
	struct ifreq request = { 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(EXIT_FAILURE, "socket");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	sin.sin_addr = *address;
	memcpy(&request.ifr_addr, &sin, sizeof(sin));
	if (ioctl(fd, SIOCSIFADDR, &request) != 0)
		err(EXIT_USAGE, "%s: cannot set address", device);
	sin.sin_addr.s_addr = prefix == 0 ? 0 : htonl(~0U << (32 - prefix));
	memcpy(&request.ifr_netmask, &sin, sizeof(sin));
	if (ioctl(fd, SIOCSIFNETMASK, &request) != 0)
		err(EXIT_USAGE, "%s: cannot set netmask", device);
	close(fd);
}

static void
address6_add(const char *device, const struct in6_addr *address,
    unsigned int prefix)
{
	/* struct in6_ifreq, whose header does not go with libc's */
	struct {
		struct in6_addr	address;
		uint32_t	prefix;
		int		index;
	} request = {
		.address = *address,
		.prefix = prefix,
		.index = (int)if_nametoindex(device),
	};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(EXIT_USAGE, "no IPv6");
	if (ioctl(fd, SIOCSIFADDR, &request) != 0)
		err(EXIT_USAGE, "%s: cannot add IPv6 address", device);
	close(fd);
}

static void
address_add(const char *device, const char *text)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct in6_addr six;
	struct in_addr four;
	uint64_t prefix;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(host))
		errx(EXIT_USAGE, "address %s: want ADDRESS/LENGTH", text);
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (inet_pton(AF_INET, host, &four) == 1 &&
	    parse_integer(slash + 1, 0, 32, &prefix))
		address4_add(device, &four, (unsigned int)prefix);
	else if (inet_pton(AF_INET6, host, &six) == 1 &&
	    parse_integer(slash + 1, 0, 128, &prefix))
		address6_add(device, &six, (unsigned int)prefix);
	else
		errx(EXIT_USAGE, "address %s: want ADDRESS/LENGTH", text);
}

static void
device_configure(const char *device)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(EXIT_FAILURE, "socket");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	request.ifr_mtu = (int)mtu;
	if (ioctl(fd, SIOCSIFMTU, &request) != 0)
		err(EXIT_USAGE, "%s: cannot set MTU %u", device, mtu);
	request.ifr_qlen = (int)txqueuelen;
	if (ioctl(fd, SIOCSIFTXQLEN, &request) != 0)
		err(EXIT_USAGE, "%s: cannot set txqueuelen", device);
	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		err(EXIT_FAILURE, "%s: cannot get flags", device);
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		err(EXIT_FAILURE, "%s: cannot set up", device);
	close(fd);
}

/*
 * A TUN device is made in the namespace where /dev/net/tun was opened, not
 * where the ioctl is called.  Without IFF_VNET_HDR the kernel segments for
 * us: no read is longer than the MTU.
 */
static void
end_open(struct end *e)
{
	struct ifreq request = { 0 };

	netns_enter(e->netns);
	e->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (e->fd < 0)
		err(EXIT_USAGE, "/dev/net/tun");
	request.ifr_flags = IFF_TUN | IFF_NO_PI;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", e->device);
	if (ioctl(e->fd, TUNSETIFF, &request) != 0)
		err(EXIT_USAGE, "cannot make device %s", e->device);
	device_configure(e->device);
	for (size_t i = 0; i < e->addresses; i++)
		address_add(e->device, e->address[i]);
	netns_leave(e->netns);
}

/*
 * Counters.
 */

/* Time that the host of a virtual machine gave to others, in ms, summed over
 * the processors; 0 if unknown. */
static uint64_t
stolen_time(void)
{
	uint64_t ticks = 0;
	FILE *f = fopen("/proc/stat", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "cpu %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &ticks) != 1)
		ticks = 0;
	fclose(f);
	return ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void
counters_reset(void)
{
	for (int i = 0; i < DIRECTIONS; i++) {
		struct direction *d = &direction[i];

		memset(&d->count, 0, sizeof(d->count));
		/* what is under way will still come out, so the sum holds */
		d->count.rx_packets = d->held_packets;
		end[i].drops_at_reset = device_drops(&end[i]);
	}
	reset_at = now();
	stolen_at_reset = stolen_time();
}

static void
counters_print(void)
{
	struct rusage used;

	settings_print();
	for (int i = 0; i < DIRECTIONS; i++) {
		const struct counters *c = &direction[i].count;

		fprintf(stderr, "counters %s rx=%" PRIu64 " tx=%" PRIu64
		    " queue_drops=%" PRIu64 " lost=%" PRIu64
		    " blackholed=%" PRIu64 " memory_drops=%" PRIu64
		    " write_errors=%" PRIu64 " in_flight=%" PRIu64
		    " rx_bytes=%" PRIu64 " tx_bytes=%" PRIu64
		    " device_drops=%" PRIu64 " queue_max_us=%" PRIu64 "\n",
		    direction[i].name, c->rx_packets, c->tx_packets,
		    c->queue_drops, c->lost, c->blackholed, c->memory_drops,
		    c->write_errors, direction[i].held_packets, c->rx_bytes,
		    c->tx_bytes, device_drops(&end[i]) - end[i].drops_at_reset,
		    c->queue_max / NS_PER_US);
	}
	for (int i = 0; i < DIRECTIONS; i++) {
		const struct counters *c = &direction[i].count;
		uint64_t n = c->tx_packets == 0 ? 1 : c->tx_packets;

		fprintf(stderr, "lateness %s mean_us=%.1f p50_us=%.1f"
		    " p99_us=%.1f max_us=%.1f\n", direction[i].name,
		    (double)c->late_sum / (double)n / 1e3,
		    (double)late_quantile(c, 0.5) / 1e3,
		    (double)late_quantile(c, 0.99) / 1e3,
		    (double)c->late_max / 1e3);
	}
	getrusage(RUSAGE_SELF, &used);
	fprintf(stderr, "process elapsed_ms=%" PRIu64 " user_ms=%ld"
	    " system_ms=%ld stolen_ms=%" PRIu64 " scheduling=%s\n",
	    (now() - reset_at) / NS_PER_MS,
	    (long)used.ru_utime.tv_sec * 1000 + used.ru_utime.tv_usec / 1000,
	    (long)used.ru_stime.tv_sec * 1000 + used.ru_stime.tv_usec / 1000,
	    stolen_time() - stolen_at_reset, scheduling);
}

/*
 * Packets.
 */

/* splitmix64, as a number from 0 up to but not including 1 */
static double
random_ratio(struct direction *d)
{
	uint64_t z = d->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (double)(z >> 11) * 0x1p-53;
}

static bool
is_lost(struct direction *d)
{
	const struct settings *s = &d->set;

	if (s->loss == 0) {
		d->bad = false;
		return false;
	}
	double r = random_ratio(d);
	if (s->burst == 0)
		return r < s->loss;
	if (d->bad)
		d->bad = r >= 1 / s->burst;
	else
		d->bad = r < s->loss / (s->burst * (1 - s->loss));
	return d->bad;
}

static bool
is_blackholed(const struct direction *d, uint64_t when)
{
	const struct settings *s = &d->set;

	if (d->blackhole)
		return true;
	if (s->outage == 0)
		return false;
	return (when - start) % s->outage_period >=
	    s->outage_period - s->outage;
}

/* Keep a copy of the packet until it is due. */
static void
direction_hold(struct direction *d, const uint8_t *data, size_t len,
    uint64_t due)
{
	struct packet *p = NULL;

	if (d->held_bytes + sizeof(*p) + len <= HELD_BYTES_MAX)
		p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		d->count.memory_drops++;
		return;
	}
	/* a shorter delay does not let packets overtake earlier ones */
	if (due < d->last_due)
		due = d->last_due;
	d->last_due = due;
	p->next = NULL;
	p->due = due;
	p->len = (uint16_t)len;
	memcpy(p->data, data, len);
	*d->tail = p;
	d->tail = &p->next;
	d->held_packets++;
	d->held_bytes += sizeof(*p) + len;
}

static void
direction_enter(struct direction *d, const uint8_t *data, size_t len)
{
	uint64_t arrival = now();
	uint64_t wait = d->link_free > arrival ? d->link_free - arrival : 0;

	d->count.rx_packets++;
	d->count.rx_bytes += len;
	if (is_blackholed(d, arrival)) {
		d->count.blackholed++;
		return;
	}
	if (wait > queue_limit(&d->set)) {
		d->count.queue_drops++;
		return;
	}
	if (wait > d->count.queue_max)
		d->count.queue_max = wait;
	d->link_free = arrival + wait + time_to_send(&d->set, len);
	if (is_lost(d)) {
		d->count.lost++;
		return;
	}
	direction_hold(d, data, len, d->link_free + d->set.delay);
}

/* Write the oldest packet and forget it. */
static void
direction_leave(struct direction *d, uint64_t time)
{
	struct packet *p = d->head;

	d->head = p->next;
	if (d->head == NULL)
		d->tail = &d->head;
	d->held_packets--;
	d->held_bytes -= sizeof(*p) + p->len;
	if (is_blackholed(d, p->due)) {
		d->count.blackholed++;
	} else if (write(d->out, p->data, p->len) != (ssize_t)p->len) {
		d->count.write_errors++;	/* the device is down? */
	} else {
		d->count.tx_packets++;
		d->count.tx_bytes += p->len;
		late_add(&d->count, time - p->due);
	}
	free(p);
}

static void
direction_deliver(struct direction *d)
{
	while (d->head != NULL) {
		uint64_t time = now();

		if (d->head->due > time)
			return;
		direction_leave(d, time);
	}
}

static void
direction_receive(struct direction *d)
{
	static uint8_t buffer[65536];

	for (int i = 0; i < BATCH; i++) {
		ssize_t len = read(d->in, buffer, sizeof(buffer));

		if (len < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return;
			err(EXIT_FAILURE, "%s: device has gone", d->name);
		}
		if (len == 0)
			return;
		assert(len <= UINT16_MAX);
		direction_enter(d, buffer, (size_t)len);
	}
}

/*
 * Commands.
 */

/* Both directions go the same way even if one was blackholed alone. */
static void
blackhole_toggle(void)
{
	bool on = !(direction[AB].blackhole && direction[BA].blackhole);

	direction[AB].blackhole = on;
	direction[BA].blackhole = on;
}

static bool
blackhole_set(const char *value)
{
	bool both = strcmp(value, "on") == 0;
	bool ab = both || strcmp(value, "ab") == 0;
	bool ba = both || strcmp(value, "ba") == 0;

	if (!ab && !ba && strcmp(value, "off") != 0)
		return false;
	direction[AB].blackhole = ab;
	direction[BA].blackhole = ba;
	return true;
}

static bool
setting_command(const char *name, const char *value)
{
	struct settings before[DIRECTIONS] = {
		direction[AB].set, direction[BA].set
	};

	if (settings_change(name, value) != 0)
		return false;
	if (settings_are_possible(&direction[AB].set) &&
	    settings_are_possible(&direction[BA].set))
		return true;
	direction[AB].set = before[AB];
	direction[BA].set = before[BA];
	return false;
}

static void
control_line(const char *line)
{
	char name[32], value[64];
	char excess;
	int words = sscanf(line, "%31s %63s %c", name, value, &excess);

	if (words <= 0)
		return;
	if (words == 1 && strcmp(name, "counters") == 0)
		counters_print();
	else if (words == 1 && strcmp(name, "reset") == 0)
		counters_reset();
	else if (words == 2 && strcmp(name, "blackhole") == 0 &&
	    blackhole_set(value))
		settings_print();
	else if (words == 2 && setting_command(name, value))
		settings_print();
	else
		warnx("bad control line: %s", line);
}

static void
control_read(void)
{
	static char buffer[512];
	static size_t used;
	char *newline;
	ssize_t len = read(control_fd, buffer + used, sizeof(buffer) - used);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {		/* end of standard input: run on without */
		control_fd = -1;
		return;
	}
	used += (size_t)len;
	while ((newline = memchr(buffer, '\n', used)) != NULL) {
		*newline = '\0';
		control_line(buffer);
		used -= (size_t)(newline + 1 - buffer);
		memmove(buffer, newline + 1, used);
	}
	if (used == sizeof(buffer)) {
		warnx("control line is too long");
		used = 0;
	}
}

/* Opened for writing too, so that it does not end with its first writer. */
static void
control_open(void)
{
	if (control_path == NULL)
		return;
	if (strcmp(control_path, "-") == 0) {
		control_fd = STDIN_FILENO;
		return;
	}
	if (mkfifo(control_path, 0600) == 0)
		control_is_ours = true;
	else if (errno != EEXIST)
		err(EXIT_USAGE, "%s", control_path);
	control_fd = open(control_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (control_fd < 0)
		err(EXIT_USAGE, "%s", control_path);
}

static int
signals_open(void)
{
	const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2,
		SIGRTMIN + 1, SIGRTMIN + 2
	};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* shells start background jobs with SIGINT ignored */
		signal(signals[i], SIG_DFL);
		sigaddset(&set, signals[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		err(EXIT_FAILURE, "signalfd");
	return fd;
}

/* False if it asks us to end. */
static bool
signal_handle(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int number = (int)info.ssi_signo;

		if (number == SIGUSR1)
			blackhole_toggle();
		else if (number == SIGUSR2)
			counters_print();
		else if (number == SIGRTMIN + 1)
			direction[AB].blackhole = !direction[AB].blackhole;
		else if (number == SIGRTMIN + 2)
			direction[BA].blackhole = !direction[BA].blackhole;
		else
			return false;
	}
	return true;
}

/*
 * Options.
 */

static bool
option_of_end(struct end *e, const char *name, const char *value)
{
	if (strcmp(name, "ns") == 0) {
		e->netns = value;
	} else if (strcmp(name, "dev") == 0) {
		if (*value == '\0' || strlen(value) >= IFNAMSIZ)
			errx(EXIT_USAGE, "bad device name: %s", value);
		e->device = value;
	} else if (strcmp(name, "addr") == 0) {
		if (e->addresses == ADDRESSES_MAX)
			errx(EXIT_USAGE, "too many addresses");
		e->address[e->addresses++] = value;
	} else {
		return false;
	}
	return true;
}

static bool
option_of_program(const char *name, const char *value)
{
	uint64_t number;

	if (strcmp(name, "mtu") == 0) {
		if (!parse_integer(value, 68, 65535, &number))
			errx(EXIT_USAGE, "bad value: --mtu %s", value);
		mtu = (unsigned int)number;
	} else if (strcmp(name, "txqueuelen") == 0) {
		if (!parse_integer(value, 1, 1000000, &number))
			errx(EXIT_USAGE, "bad value: --txqueuelen %s", value);
		txqueuelen = (unsigned int)number;
	} else if (strcmp(name, "seed") == 0) {
		if (!parse_integer(value, 0, UINT64_MAX, &seed))
			errx(EXIT_USAGE, "bad value: --seed %s", value);
	} else if (strcmp(name, "slack") == 0) {
		if (!parse_time(value, &slack) || slack > 10 * NS_PER_MS)
			errx(EXIT_USAGE, "bad value: --slack %s", value);
	} else if (strcmp(name, "control") == 0) {
		control_path = value;
	} else {
		return false;
	}
	return true;
}

static void
option(const char *name, const char *value)
{
	char short_name[16];
	size_t len = strlen(name);
	int error = settings_change(name, value);

	if (error == 0 || option_of_program(name, value))
		return;
	if (error == -EINVAL)
		errx(EXIT_USAGE, "bad value: --%s %s", name, value);
	if (len > 2 && len < sizeof(short_name) && name[len - 2] == '-' &&
	    (name[len - 1] == 'a' || name[len - 1] == 'b')) {
		memcpy(short_name, name, len - 2);
		short_name[len - 2] = '\0';
		if (option_of_end(&end[name[len - 1] - 'a'], short_name,
		    value))
			return;
	}
	errx(EXIT_USAGE, "unknown option: --%s", name);
}

static void
options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		}
		if (strncmp(argv[i], "--", 2) != 0)
			errx(EXIT_USAGE, "unexpected argument: %s", argv[i]);
		char *name = argv[i] + 2;
		char *value = strchr(name, '=');
		if (value != NULL)
			*value++ = '\0';
		else if (i + 1 < argc)
			value = argv[++i];
		else
			errx(EXIT_USAGE, "--%s: value missing", name);
		option(name, value);
	}
	for (int i = 0; i < DIRECTIONS; i++) {
		if (!settings_are_possible(&direction[i].set))
			errx(EXIT_USAGE, "so much loss needs longer bursts");
	}
}

/* Being late distorts what we emulate, so come before others if we may. */
static void
schedule_early(void)
{
	const struct sched_param first = { .sched_priority = 1 };

	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	if (sched_setscheduler(0, SCHED_FIFO, &first) == 0)
		scheduling = "fifo";
	else if (setpriority(PRIO_PROCESS, 0, -10) == 0)
		scheduling = "nice";
}

static void
devices_open(void)
{
	home_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home_netns < 0)
		err(EXIT_FAILURE, "/proc/self/ns/net");
	for (int i = 0; i < 2; i++)
		end_open(&end[i]);
	direction[AB].in = direction[BA].out = end[0].fd;
	direction[BA].in = direction[AB].out = end[1].fd;
	for (int i = 0; i < DIRECTIONS; i++) {
		direction[i].tail = &direction[i].head;
		direction[i].random = seed * DIRECTIONS + (uint64_t)i;
	}
}

/* How long to sleep; NULL if no packet is under way. */
static const struct timespec *
time_to_next(struct timespec *ts)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < DIRECTIONS; i++) {
		const struct packet *p = direction[i].head;

		if (p != NULL && p->due < next)
			next = p->due;
	}
	if (next == UINT64_MAX)
		return NULL;
	uint64_t time = now();
	next = next > time ? next - time : 0;
	ts->tv_sec = (time_t)(next / NS_PER_S);
	ts->tv_nsec = (long)(next % NS_PER_S);
	return ts;
}

/* Under load, let packets gather. */
static void
rest(void)
{
	static uint64_t last;
	uint64_t time = now();

	if (slack > 0 && time - last < slack) {
		struct timespec ts = { .tv_nsec = (long)(slack - time + last) };

		nanosleep(&ts, NULL);
		time = now();
	}
	last = time;
}

static void
run(int signals)
{
	for (;;) {
		struct timespec ts;
		struct pollfd fds[] = {
			{ .fd = direction[AB].in, .events = POLLIN },
			{ .fd = direction[BA].in, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
			{ .fd = control_fd, .events = POLLIN },
		};

		if (ppoll(fds, 4, time_to_next(&ts), NULL) < 0 &&
		    errno != EINTR)
			err(EXIT_FAILURE, "ppoll");
		rest();
		if (fds[2].revents != 0 && !signal_handle(signals))
			return;
		if (fds[3].revents != 0)
			control_read();
		for (int i = 0; i < DIRECTIONS; i++) {
			direction_deliver(&direction[i]);
			if (fds[i].revents != 0)
				direction_receive(&direction[i]);
		}
	}
}

int
main(int argc, char **argv)
{
	options(argc, argv);
	int signals = signals_open();
	devices_open();
	control_open();
#ifdef __GLIBC__
	/* giving memory back and asking for it again costs time */
	mallopt(M_TRIM_THRESHOLD, INT32_MAX);
	mallopt(M_TOP_PAD, 1 << 20);
#endif
	schedule_early();
	start = now();
	counters_reset();
	puts("ready");
	fflush(stdout);
	run(signals);
	counters_print();
	if (control_is_ours)
		unlink(control_path);
	return EXIT_SUCCESS;
}
