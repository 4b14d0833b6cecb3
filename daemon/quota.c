/* SPDX-License-Identifier: ISC */
#include "quota.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/group.h"
#include "net/log.h"

#define MIB (UINT64_C(1) << 20)

#define INITIAL_MIN (WIRE_DATA_MAX + WIRE_COST)
#define INITIAL_MAX (64u << 10)
#define INITIAL_SHARES 4096
#define BOUND_MS 20
#define BOUND_MAX (64u << 10)
#define REDUNDANT_UNKNOWN (128u << 10)
#define SEGMENT (1448 - WIRE_HEADER)	/* so that a frame fits one */

#define MEMORY_MAX (256 * MIB)
#define MEMORY_MIN MIB
#define WINDOW_DEFAULT (16 * MIB)
#define WINDOW_START MIB

/* Descriptors that are not for sessions: a quarter, within these. */
#define RESERVE_MIN 16u
#define RESERVE_MAX 512u

static uint64_t
default_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t quarter;

	if (pages <= 0 || size <= 0)
		return MEMORY_MAX;
	quarter = (uint64_t)pages * (uint64_t)size / 4;
	if (quarter > MEMORY_MAX)
		return MEMORY_MAX;
	return quarter < MEMORY_MIN ? MEMORY_MIN : quarter;
}

/* Descriptors that are not for sessions. */
static uint32_t
reserve_of(uint64_t limit)
{
	uint64_t reserve = limit / 4;

	if (reserve < RESERVE_MIN)
		return RESERVE_MIN;
	return reserve < RESERVE_MAX ? (uint32_t)reserve : RESERVE_MAX;
}

uint32_t
quota_descriptors(uint64_t limit)
{
	uint32_t reserve = reserve_of(limit);

	if (limit > QUOTA_SESSIONS + RESERVE_MAX)	/* or none at all */
		return QUOTA_SESSIONS;
	return limit > reserve ? (uint32_t)(limit - reserve) : 1;
}

static void
raise_descriptors(struct quota *l)
{
	struct rlimit r;
	uint64_t limit;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1) {
		log_warn("RLIMIT_NOFILE: %s", strerror(errno));
		l->descriptors = 256;
		l->reserve = RESERVE_MIN;
		return;
	}
	if (r.rlim_cur != r.rlim_max) {
		rlim_t before = r.rlim_cur;

		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) == -1)	/* so be it */
			r.rlim_cur = before;
	}
	limit = r.rlim_cur == RLIM_INFINITY ? UINT64_MAX : r.rlim_cur;
	l->descriptors = quota_descriptors(limit);
	l->reserve = reserve_of(limit);
}

void
quota_start(struct quota *l, const struct config *c)
{
	uint64_t memory = c->memory_limit_bytes;

	budget_init(&l->budget, memory != 0 ? memory : default_memory());
	raise_descriptors(l);
	quota_configure(l, c);
	log_debug("quota: %u sessions, %llu KiB",
	    l->max_sessions,
	    (unsigned long long)(l->budget.limit_bytes >> 10));
}

void
quota_configure(struct quota *l, const struct config *c)
{
	l->max_sessions = l->descriptors;
	if (c->max_sessions != 0 && c->max_sessions <= l->descriptors)
		l->max_sessions = c->max_sessions;
	else if (c->max_sessions != 0)
		log_warn("max-sessions is %u instead of %u: RLIMIT_NOFILE "
		    "does not allow for more",
		    l->descriptors,
		    c->max_sessions);
}

uint32_t
quota_sessions_of(const struct quota *l, uint32_t descriptors)
{
	uint32_t most = l->descriptors / descriptors;

	if (most > l->max_sessions)
		most = l->max_sessions;
	return most > 0 ? most : 1;
}

uint32_t
quota_strangers(const struct quota *l)
{
	return l->reserve / 5 * 4;	/* all that there may be, mostly */
}

uint32_t
quota_window_initial(const struct budget *b, enum config_role role)
{
	uint64_t window = budget_limit(b) / INITIAL_SHARES;

	if (role == CONFIG_PROXY || window < INITIAL_MIN)
		return INITIAL_MIN;
	return window < INITIAL_MAX ? (uint32_t)window : INITIAL_MAX;
}

static uint64_t
bandwidth_delay_product(uint64_t rate_bps, uint32_t delay_ms)
{
	return rate_bps / 8000 * delay_ms;
}

uint32_t
quota_window_max(const struct budget *b, const struct config *c,
    uint64_t rate_bps, uint32_t delay_ms)
{
	uint64_t most = budget_limit(b) / 4;
	uint64_t window = c->window_bytes;
	/* A hole may live for two round trips without a pause. */
	uint64_t wanted = 4 * bandwidth_delay_product(rate_bps, delay_ms);

	if (window == 0)
		window = wanted > WINDOW_DEFAULT ? wanted : WINDOW_DEFAULT;
	if (window > most)
		window = most;
	if (window < INITIAL_MAX)
		window = INITIAL_MAX;
	return window > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)window;
}

uint32_t
quota_window_start(uint32_t window_max, uint64_t rate_bps, uint32_t delay_ms)
{
	uint64_t window = 3 * bandwidth_delay_product(rate_bps, delay_ms);

	if (window < WINDOW_START)
		window = WINDOW_START;
	return window > window_max ? window_max : (uint32_t)window;
}

uint32_t
quota_bound_bytes(uint64_t rate_bps)
{
	uint64_t bytes = bandwidth_delay_product(rate_bps, BOUND_MS);

	if (rate_bps == 0)
		return 0;
	if (bytes < SEGMENT)
		return SEGMENT;
	return bytes < BOUND_MAX ? (uint32_t)bytes : BOUND_MAX;
}

uint32_t
quota_redundancy_per_s(uint64_t rate_bps)
{
	uint64_t bytes = rate_bps / 8 / GROUP_REDUNDANT_PART;

	if (rate_bps == 0)
		return REDUNDANT_UNKNOWN;
	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

uint32_t
quota_datagram_max(uint64_t rate_bps)
{
	uint32_t bytes = quota_bound_bytes(rate_bps);

	return bytes == 0 || bytes > WIRE_DATA_MAX ? WIRE_DATA_MAX : bytes;
}
