/* SPDX-License-Identifier: ISC */
/*
 * What the kernel's TCP needs for the rate and the delay that are configured.
 *
 * Where both are known, subflows get buffers of a size of their own (see
 * net/sockopt.h), and the kernel's limits on such a wish count only where the
 * daemon has no privilege.  Where they are not, the kernel tunes buffers by
 * itself, up to the last number of tcp_rmem and tcp_wmem.  The relay's
 * connections to servers are always tuned so.
 */
#include "check_private.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/units.h"
#include "net/sockopt.h"

#define MIB (UINT64_C(1) << 20)
#define TUNED_MIN MIB		/* 14 Mbit/s over 600 ms */
#define SMALL_MACHINE (256 * MIB)
#define SERVER_MS 100		/* from the relay to a server far away */

/* ---- buffers ---- */

static const char *
size_text(char text[static UNITS_TEXT_MAX], uint64_t bytes)
{
	/* Whole KiB: nobody wants to read 1499136B. */
	return units_format(text, UNITS_SIZE, bytes >= 10240 ?
	    bytes >> 10 << 10 : bytes);
}

static uint64_t
memory_bytes(const struct check *c)
{
	char *text = check_read(&c->machine, "/proc/meminfo");
	uint64_t kib = 0;

	if (text != NULL)
		check_text_status(text, "MemTotal", 10, &kib);
	free(text);
	return kib << 10;
}

/* One of the limits on what a socket may ask for. */
static void
check_wish(struct check *c, const struct check_flow *f, const char *limit,
    uint64_t wanted)
{
	char have[UNITS_TEXT_MAX], want[UNITS_TEXT_MAX], value[24];
	struct check_item *item;
	uint64_t most;

	if (!check_number(&c->machine, &most, "/proc/sys/net/core/%s", limit))
		return;
	if (most >= wanted) {
		check_add(&c->report, CHECK_OK, "buffers", f->name,
		    "net.core.%s is %s", limit, size_text(have, most));
		return;
	}
	item = check_add(&c->report, CHECK_WARNING, "buffers", f->name,
	    "net.core.%s is %s", limit, size_text(have, most));
	check_why(item, "rate and delay need %s for each of %u subflows, and "
	    "rorod has not the privilege to have more",
	    size_text(want, wanted), f->subflows);
	snprintf(value, sizeof(value), "%" PRIu64, wanted);
	check_sysctl(item, value, "net/core/%s", limit);
}

/* tcp_rmem or tcp_wmem: up to where the kernel tunes. */
static void
check_tuned(struct check *c, const char *subject, const char *limit,
    uint64_t wanted, const char *why)
{
	uint64_t n[3], most = memory_bytes(c) < SMALL_MACHINE ? 4 * MIB :
	    16 * MIB;
	char *text = check_read(&c->machine, "/proc/sys/net/ipv4/%s", limit);
	char have[UNITS_TEXT_MAX], *value;
	bool known = text != NULL && check_text_numbers(text, n, 3) == 3;
	struct check_item *item;

	free(text);
	if (!known)
		return;
	item = check_add(&c->report, n[2] < wanted ? CHECK_WARNING : CHECK_OK,
	    "buffers", subject, "net.ipv4.%s: the kernel tunes up to %s",
	    limit, size_text(have, n[2]));
	if (n[2] >= wanted)
		return;
	check_why(item, "%s", why);
	value = check_format("%" PRIu64 " %" PRIu64 " %" PRIu64, n[0], n[1],
	    most > wanted ? most : wanted);
	check_sysctl(item, value, "net/ipv4/%s", limit);
	free(value);
}

static void
check_servers(struct check *c, const struct check_flow *f)
{
	uint64_t bytes = 2 * (f->socket->rate_bps / 8000 * SERVER_MS);
	static const char why[] = "servers cannot send as fast as the link "
	    "to the proxy is";

	if (check_is_relay(c) && f->socket->rate_bps != 0)
		check_tuned(c, f->name, "tcp_rmem", bytes, why);
}

static void
check_flow_buffers(struct check *c, const struct check_flow *f)
{
	static const char why[] = "without rate and delay in the "
	    "configuration that is all that a subflow gets";
	static const char other[] = "what comes from the relay has no more "
	    "room than that in a subflow";
	char text[UNITS_TEXT_MAX];
	uint64_t bytes = sockopt_buffer_bytes(f->socket->rate_bps,
	    f->socket->delay_ms, f->subflows);

	if (bytes == 0) {
		check_tuned(c, f->name, "tcp_rmem", TUNED_MIN, why);
		check_tuned(c, f->name, "tcp_wmem", TUNED_MIN, why);
	} else if (check_is_privileged(c)) {
		check_add(&c->report, CHECK_OK, "buffers", f->name,
		    "%s for each of %u subflows, whatever the system's limits",
		    size_text(text, bytes), f->subflows);
	} else {
		check_wish(c, f, "rmem_max", bytes);
		check_wish(c, f, "wmem_max", bytes + bytes / 2);
	}
	if (bytes != 0 && bytes < TUNED_MIN / 2 && check_is_proxy(c))
		check_tuned(c, f->name, "tcp_rmem", TUNED_MIN, other);
	check_servers(c, f);
}

void
check_buffers(struct check *c)
{
	struct check_flow f;

	for (size_t i = 0; check_flow_at(c, i, &f); i++)
		check_flow_buffers(c, &f);
}

/* ---- memory for all of TCP ---- */

/* Under pressure the kernel makes windows smaller, of all that there are.  What
 * BBR keeps under way is twice the bandwidth-delay product, at each end, and
 * the kernel counts whole buffers: four times that for both directions. */
void
check_tcp_memory(struct check *c)
{
	static const char name[] = "tcp-memory";
	uint64_t wanted = 0, n[3], page = (uint64_t)sysconf(_SC_PAGESIZE);
	char *text = check_read(&c->machine, "/proc/sys/net/ipv4/tcp_mem");
	bool known = text != NULL && check_text_numbers(text, n, 3) == 3;
	char have[UNITS_TEXT_MAX], want[UNITS_TEXT_MAX], *value;
	struct check_item *item;
	struct check_flow f;

	free(text);
	for (size_t i = 0; check_flow_at(c, i, &f); i++)
		wanted += 8 * (f.socket->rate_bps / 8000 *
		    f.socket->delay_ms);
	if (!known || wanted == 0)	/* or in a namespace of its own */
		return;
	item = check_add(&c->report, n[1] < wanted / page ? CHECK_WARNING :
	    CHECK_OK, name, NULL, "net.ipv4.tcp_mem: pressure from %s on",
	    size_text(have, n[1] * page));
	if (n[1] >= wanted / page)
		return;
	check_why(item, "rate and delay may need %s, and windows get smaller "
	    "under pressure", size_text(want, wanted));
	if (wanted > memory_bytes(c) / 4)	/* nobody can mend that */
		return;
	value = check_format("%" PRIu64 " %" PRIu64 " %" PRIu64,
	    wanted / page, wanted / page * 4 / 3, wanted / page * 2);
	check_sysctl(item, value, "net/ipv4/tcp_mem");
	free(value);
}

/* ---- congestion control ---- */

static bool
choose(const char *name)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool done = fd != -1 && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION,
	    name, (socklen_t)strlen(name)) == 0;

	if (fd != -1)
		close(fd);
	return done;
}

/* Is it there?  The kernel loads what root asks for, as it will for rorod. */
static bool
is_available(const struct check *c, const char *name)
{
	char *list = check_read(&c->machine,
	    "/proc/sys/net/ipv4/tcp_available_congestion_control");
	bool there = list != NULL && check_text_has(list, name);

	free(list);
	return there || (!check_is_recorded(&c->machine) && choose(name));
}

static bool
is_allowed(const struct check *c, const char *name)
{
	char *list = check_read(&c->machine,
	    "/proc/sys/net/ipv4/tcp_allowed_congestion_control");
	bool allowed = list == NULL || check_text_has(list, name);

	free(list);
	return allowed;
}

static void
allow(struct check *c, struct check_item *item, const char *name)
{
	char *list = check_read(&c->machine,
	    "/proc/sys/net/ipv4/tcp_allowed_congestion_control");
	char *value = check_format("%.*s %s", (int)strcspn(list != NULL ?
	    list : "", "\n"), list != NULL ? list : "", name);

	check_sysctl(item, value, "net/ipv4/tcp_allowed_congestion_control");
	free(list);
	free(value);
}

static void
check_algorithm(struct check *c, const char *subject, const char *name)
{
	static const char item_name[] = "congestion";
	struct check_item *item;
	char *module;

	if (!is_available(c, name)) {
		item = check_add(&c->report, CHECK_WARNING, item_name, subject,
		    "the kernel has no %s, or has not loaded it", name);
		check_why(item, "the system's own is used, which is slow where "
		    "packets are lost");
		module = check_format("tcp_%s", name);
		if (strcmp(name, "bbr") == 0)
			check_module(c, item, module, "kmod-tcp-bbr");
		else if (!c->openwrt)
			check_module(c, item, module, "");
		free(module);
	} else if (!is_allowed(c, name) && (check_is_relay(c) ||
	    !check_is_privileged(c))) {
		item = check_add(&c->report, CHECK_WARNING, item_name, subject,
		    "%s is only for those with privileges", name);
		check_why(item, check_is_privileged(c) ?
		    "a relay keeps none, so it cannot have %s begin anew on a "
		    "subflow whose rate was misjudged" :
		    "rorod has none, so it cannot use %s", name);
		allow(c, item, name);
	} else {
		check_add(&c->report, CHECK_OK, item_name, subject, "%s",
		    name);
	}
}

/* Each that is used, once. */
void
check_congestion(struct check *c)
{
	struct check_flow f, before;

	for (size_t i = 0; check_flow_at(c, i, &f); i++) {
		bool known = false;

		for (size_t j = 0; j < i && check_flow_at(c, j, &before); j++)
			known = known || strcmp(before.socket->congestion,
			    f.socket->congestion) == 0;
		if (!known)
			check_algorithm(c, f.name, f.socket->congestion);
	}
}

/* An algorithm that decides for itself, as BBR does, is not made to start
 * slowly (tcp_slow_start_after_idle_check() in the kernel). */
void
check_slow_start(struct check *c)
{
	static const char name[] = "slow-start";
	static const char setting[] = "net/ipv4/tcp_slow_start_after_idle";
	struct check_item *item;
	struct check_flow f;
	bool matters = false;
	uint64_t on;

	for (size_t i = 0; check_flow_at(c, i, &f); i++)
		matters = matters ||
		    strncmp(f.socket->congestion, "bbr", 3) != 0 ||
		    !is_available(c, f.socket->congestion);
	if (!check_number(&c->machine, &on, "/proc/sys/%s", setting))
		return;
	if (on == 0 || !matters) {
		check_add(&c->report, CHECK_OK, name, NULL, "%s", on == 0 ?
		    "not after idle times" : "after idle times, but not with "
		    "BBR");
		return;
	}
	item = check_add(&c->report, CHECK_WARNING, name, NULL,
	    "a subflow that was idle starts slowly again");
	check_why(item, "what was learnt about the link is forgotten between "
	    "two downloads");
	check_sysctl(item, "0", "%s", setting);
}

/* Where large packets are swallowed and no ICMP message gets through to say so,
 * a subflow that has sent one stands still for good unless the kernel tries
 * smaller ones.  With 1 it does when its timeouts add up to 3 s and more, and
 * we replace a silent subflow in about that time: the new one begins with large
 * packets again.  (Over a round trip of 400 ms nothing came, over 50 ms it
 * depended on how busy the machine was.) */
void
check_mtu_probing(struct check *c)
{
	static const char name[] = "mtu-probing";
	static const char setting[] = "net/ipv4/tcp_mtu_probing";
	struct check_item *item;
	uint64_t how;

	if (!check_number(&c->machine, &how, "/proc/sys/%s", setting))
		return;
	if (how >= 2) {
		check_add(&c->report, CHECK_OK, name, NULL, "always");
		return;
	}
	item = check_add(&c->report, CHECK_WARNING, name, NULL,
	    "the kernel %s for the size of packets that gets through",
	    how == 1 ? "looks late" : "does not look");
	check_why(item, how == 1 ? "after some timeouts, when a silent subflow "
	    "may have been replaced: a link that swallows large packets "
	    "without saying so carries little or nothing" :
	    "a link that swallows large packets without saying so "
	    "carries nothing, and sessions stand still; the other end needs "
	    "the same");
	check_sysctl(item, "2", "%s", setting);
}
