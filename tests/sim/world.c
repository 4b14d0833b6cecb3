/* SPDX-License-Identifier: ISC */
/*
 * The clock, and what the event loop of the daemon does: after each event the
 * side that it touched hands on what became ready and offers every subflow to
 * send, until nothing moves any more.
 *
 * A seed is over when every session has ended at both local sides and both
 * groups have forgotten them all.  Then what is still under way arrives (late
 * copies must not wake anything up again), and nothing may be left: no session,
 * no byte of budget, no timer.
 */
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "told.h"
#include "watch.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ALLOCATED_BYTES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ALLOCATED_BYTES
#endif
#endif
#ifdef HAVE_ALLOCATED_BYTES
/* <sanitizer/allocator_interface.h>, which not every compiler brings. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

/* Longer than all the waiting that a scenario can ask for in a row: a death
 * that takes its time to be noticed on every link, slow dialling, a pause. */
#define STUCK_US (600 * SECOND)
#define LATE_US (120 * SECOND)	/* what is left may take, in the end */
#define DEAD_BYTES 65536	/* sessions not yet buried */
#define ROUNDING_US 8		/* of the smoothed round trip */
#define ROUNDS_MAX 100000	/* of settling at one instant */

const char *const side_names[SIDES] = { "proxy", "relay" };

/* ---- words ---- */

void
world_fail(const struct world *w, const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 ": ", w->seed);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ", at virtual time %" PRIu64 ".%06" PRIu64 " s\n"
	    "to see it again: tests/sim/sim --verbose --seed %" PRIu64 "\n",
	    w->now / SECOND, w->now % SECOND, w->seed);
	fflush(stderr);
	/* Not exit(): what is still allocated is no leak. */
	_exit(1);
}

void
world_say(const struct world *w, const char *format, ...)
{
	va_list ap;

	if (!w->verbose)
		return;
	printf("%" PRIu64 ".%06" PRIu64 " ", w->now / SECOND,
	    w->now % SECOND);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
}

static void *
grown(void *array, size_t *room, size_t size)
{
	*room = *room > 0 ? *room * 2 : 64;
	array = realloc(array, *room * size);
	if (array == NULL)
		abort();
	return array;
}

/* ---- events ---- */

static bool
earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void
world_at(struct world *w, uint64_t at, event_fn *fn, void *object, int which)
{
	struct event event = {
		.at = at > w->now ? at : w->now,
		.order = w->events_made++,
		.fn = fn,
		.object = object,
		.which = which,
	};

	if (w->nevents == w->events_room)
		w->events = grown(w->events, &w->events_room, sizeof(event));
	size_t i = w->nevents++;
	for (; i > 0; i = (i - 1) / 2) {
		if (!earlier(&event, &w->events[(i - 1) / 2]))
			break;
		w->events[i] = w->events[(i - 1) / 2];
	}
	w->events[i] = event;
}

static struct event
take_event(struct world *w)
{
	struct event first = w->events[0];
	struct event last = w->events[--w->nevents];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->nevents)
			break;
		if (child + 1 < w->nevents &&
		    earlier(&w->events[child + 1], &w->events[child]))
			child++;
		if (!earlier(&w->events[child], &last))
			break;
		w->events[i] = w->events[child];
		i = child;
	}
	w->events[i] = last;
	return first;
}

/* ---- sides ---- */

static void
on_tick(struct world *w, void *object, int which)
{
	struct side *side = object;

	if (side->tick_at <= w->now)
		side->tick_at = GROUP_NEVER;
	world_touch(w, which);
	if (group_deadline(side->group) > w->now)
		return;		/* it moved since */
	group_tick(side->group, w->now);
	if (group_deadline(side->group) <= w->now)
		world_fail(w, "the deadline of the %s does not move",
		    side_names[which]);
}

static void
on_ping(struct world *w, void *object, int which)
{
	(void)object;
	if (w->over)
		return;
	links_ping(w, which);
	world_at(w, w->now + w->plan.ping_us, on_ping, NULL, which);
}

static void
on_drain(struct world *w, void *object, int which)
{
	(void)object;
	if (w->over)
		return;
	group_drain(w->sides[which].group);
	w->sides[which].drained = links_any_up(w, which);
	world_touch(w, which);
}

/*
 * What windows allow to be held: on the way in, what was offered, with a ring
 * of pointers that at worst (all but the last is missing) takes a quarter more;
 * on the way out, what the peer offered and what is read ahead, in blocks that
 * may be half empty.
 *
 * And what the budget allows: its limit, beyond it only what every session was
 * promised at its start and may have under way nevertheless.  (Datagrams of a
 * few bytes take more memory than they count there.)
 */
static uint64_t
memory_bound(const struct world *w, int which)
{
	const struct side *side = &w->sides[which];
	const struct group_options *o = &w->plan.options[which];
	uint64_t n = side->open_ends + group_sessions(side->group);
	uint64_t in = o->window_max;
	uint64_t out = w->plan.options[!which].window_max;
	uint64_t ahead = (128 << 10) + 4 * WIRE_DATA_MAX;
	uint64_t windows = n * (in + in / 4 + 2 * (out + ahead) + 4096);

	in = o->initial_window;
	uint64_t budget = side->budget.limit_bytes +
	    (n + 1) * (in + in / 4 + ahead);
	if (o->datagram_max < 1000 || windows < budget)
		return windows + DEAD_BYTES;
	return budget;
}

static void
check_budget(struct world *w, int which)
{
	struct side *side = &w->sides[which];

	uint64_t held = side->budget.held_bytes;

	if (held > w->totals.held_max)
		w->totals.held_max = held;
	if (held > memory_bound(w, which))
		world_fail(w, "the %s holds %" PRIu64 " bytes for %zu sessions",
		    side_names[which], held, side->open_ends);
	while (budget_level(&side->budget) == BUDGET_OVER) {
		if (!group_shed(side->group, w->now))
			break;
		world_touch(w, which);
		world_say(w, "%s: shed", side_names[which]);
	}
}

static void
set_timer(struct world *w, int which)
{
	struct side *side = &w->sides[which];
	uint64_t deadline = group_deadline(side->group);

	if (deadline >= side->tick_at)
		return;
	if (w->plan.timer_late_us > 0)
		deadline += random_range(&w->random, 0,
		    w->plan.timer_late_us);
	if (deadline >= side->tick_at)
		return;
	side->tick_at = deadline;
	world_at(w, deadline, on_tick, side, which);
}

static void
settle(struct world *w, int which)
{
	struct side *side = &w->sides[which];
	unsigned rounds = 0;

	if (!side->touched)
		return;
	do {
		struct session *session;

		side->touched = false;
		while ((session = group_ready(side->group)) != NULL) {
			ends_ready(w, which, session);
			if (++rounds > ROUNDS_MAX)
				break;
		}
		if (links_pump(w, which))
			side->touched = true;
		check_budget(w, which);
		if (++rounds > ROUNDS_MAX)
			world_fail(w, "the %s goes round and round",
			    side_names[which]);
	} while (side->touched);
	set_timer(w, which);
	told_settled(w, which);

	uint32_t overdue = watch_overdue(w->watch, which);
	if (!links_all_open(w, which))
		side->shut_at = w->now;
	else if (overdue != 0)
		world_fail(w, "session %u: the %s owes an ACK and could send "
		    "it", overdue, side_names[which]);
}

/* ---- the course of a seed ---- */

static void
add_metrics(struct totals *t, const struct metrics *m)
{
	t->datagrams += m->sent_datagrams;
	t->resent += m->resent_datagrams;
	t->resent_bytes += m->resent_bytes;
	t->duplicates += m->duplicate_datagrams;
	t->sessions_reset += m->sessions_reset;
	t->refused += m->sessions_refused;
}

static void
set_paths(struct world *w)
{
	told_configured(w);
	for (int i = 0; i < SIM_PATHS; i++)
		group_path(w->sides[PROXY].group, (uint8_t)i,
		    &w->plan.paths[w->reloaded][i], w->now);
	world_touch(w, PROXY);
}

static void
start_groups(struct world *w)
{
	w->watch = watch_new(w);
	told_start(w);
	for (int i = 0; i < SIDES; i++) {
		struct side *side = &w->sides[i];
		struct group_options options = w->plan.options[i];

		options.budget = &side->budget;
		side->group = group_new(&options);
		if (side->group == NULL)
			abort();
		group_redundancy(side->group, w->plan.redundancy[i],
		    w->plan.redundancy_per_s[i], w->now);
		group_peer_window(side->group,
		    w->plan.options[!i].initial_window);
		side->drained = false;
	}
	for (int i = 0; i < SIM_PATHS; i++)
		group_path_rate(w->sides[PROXY].group, (uint8_t)i,
		    w->plan.path_rates[i]);
	set_paths(w);
}

static void
free_groups(struct world *w)
{
	for (int i = 0; i < SIDES; i++) {
		struct side *side = &w->sides[i];

		add_metrics(&w->totals, group_metrics(side->group));
		if (i == RELAY)
			w->totals.second_bytes += group_path_counts(
			    side->group, 1).sent_bytes;
		group_free(side->group);
		side->group = NULL;
		if (side->budget.held_bytes > 0 ||
		    side->budget.offered_bytes > 0)
			world_fail(w, "the group of the %s is gone and still "
			    "holds %" PRIu64 " and offers %" PRIu64 " bytes",
			    side_names[i], side->budget.held_bytes,
			    side->budget.offered_bytes);
	}
	watch_free(w->watch);
}

/* The relay is another one: it knows no group and no session. */
static void
on_restart(struct world *w, void *object, int which)
{
	struct group *group = w->sides[PROXY].group;

	(void)object, (void)which;
	if (w->over)
		return;
	world_say(w, "the relay starts again");
	w->totals.restarts++;
	links_restart(w);
	group_reset_all(group, WIRE_CODE_UNKNOWN, w->now);
	while (group_ready(group) != NULL)
		;		/* all of them are looked at */
	ends_restart(w);
	if (group_sessions(group) > 0)
		world_fail(w, "sessions outlive a restart of the relay");
	free_groups(w);
	start_groups(w);
}

static void
on_reload(struct world *w, void *object, int which)
{
	(void)object, (void)which;
	w->reloaded = true;
	set_paths(w);
}

static void
start(struct world *w, const struct scenario *plan, uint64_t seed,
    bool verbose)
{
	memset(w, 0, sizeof(*w));
	w->plan = *plan;
	w->seed = seed;
	w->verbose = verbose;
	w->now = w->progress_at = SECOND;
	w->random.state = random_mix(~seed);
	if (verbose)
		scenario_print(&w->plan, seed);
	w->deaths_left = w->plan.deaths;
	w->stalls_left = w->plan.stalls;
	for (int i = 0; i < SIDES; i++) {
		struct side *side = &w->sides[i];

		budget_init(&side->budget, w->plan.budget_bytes[i]);
		side->tick_at = GROUP_NEVER;
		tcp_start(w, i);
		if (w->plan.ping_us > 0)
			world_at(w, w->now + w->plan.ping_us, on_ping, NULL,
			    i);
	}
	if (w->plan.drain_us > 0)
		world_at(w, w->now + w->plan.drain_us, on_drain, NULL,
		    (int)random_range(&w->random, 0, 1));
	if (w->plan.restart_us > 0)
		world_at(w, w->now + w->plan.restart_us, on_restart, NULL, 0);
	if (w->plan.reload_us > 0)
		world_at(w, w->now + w->plan.reload_us, on_reload, NULL, 0);
	start_groups(w);
	links_start(w);
	ends_start(w);
}

static void
check_over(struct world *w)
{
	if (w->over || !ends_done(w))
		return;
	for (int i = 0; i < SIDES; i++)
		if (group_sessions(w->sides[i].group) > 0)
			return;
	w->over = true;
	world_progress(w);
	world_say(w, "all sessions are over");
}

static void
check_stuck(struct world *w)
{
	if (w->now - w->progress_at <= STUCK_US)
		return;
	fflush(stdout);
	ends_print(w);
	if (!ends_done(w))
		world_fail(w, "nothing moves any more");
	world_fail(w, "all sessions ended, but the proxy still knows %zu and "
	    "the relay %zu", group_sessions(w->sides[PROXY].group),
	    group_sessions(w->sides[RELAY].group));
}

static void
check_empty(struct world *w)
{
	for (int i = 0; i < SIDES; i++) {
		struct side *side = &w->sides[i];

		if (group_sessions(side->group) > 0)
			world_fail(w, "a late frame woke something up at the "
			    "%s", side_names[i]);
		if (side->budget.held_bytes > 0 ||
		    side->budget.offered_bytes > 0)
			world_fail(w, "the %s has no session and still holds "
			    "%" PRIu64 " and offers %" PRIu64 " bytes",
			    side_names[i], side->budget.held_bytes,
			    side->budget.offered_bytes);
		bool calm = w->totals.deaths == 0 && w->totals.replaced == 0;
		if (calm && w->sides[!i].drained &&
		    !group_draining(side->group))
			world_fail(w, "the %s never hears that the other "
			    "drains", side_names[i]);
		uint64_t rtt = group_rtt_us(side->group);
		/* (What dies lets bytes arrive early.) */
		if (calm && rtt != 0 &&
		    rtt + ROUNDING_US < links_rtt_min(w))
			world_fail(w, "the %s takes %" PRIu64 " us for a round"
			    " trip", side_names[i], rtt);
		if (group_deadline(side->group) != GROUP_NEVER)
			world_fail(w, "the %s has no session and still a "
			    "timer", side_names[i]);
	}
	links_check_idle(w);
	told_check(w);
}

static void
add_totals(const struct world *w, struct totals *sum)
{
	const struct totals *t = &w->totals;

	sum->seeds++;
	sum->long_seeds += w->plan.is_long;
	sum->sessions += w->plan.nflows;
	sum->sessions_reset += t->sessions_reset;
	sum->refused += t->refused;
	sum->bytes += t->bytes;
	sum->datagrams += t->datagrams;
	sum->resent += t->resent;
	sum->resent_bytes += t->resent_bytes;
	sum->second_bytes += t->second_bytes;
	sum->duplicates += t->duplicates;
	sum->deaths += t->deaths;
	sum->stalls += t->stalls;
	sum->replaced += t->replaced;
	sum->restarts += t->restarts;
	sum->paths_lost += t->paths_lost;
	sum->events += w->events_made;
	sum->virtual_us += w->now;
	if (t->late_us > sum->late_us)
		sum->late_us = t->late_us;
	if (t->gap_us > sum->gap_us)
		sum->gap_us = t->gap_us;
	if (t->held_max > sum->held_max)
		sum->held_max = t->held_max;
}

static void
finish(struct world *w)
{
	free_groups(w);
	links_free(w);
	ends_free(w);
	free(w->events);
}

static size_t
allocated(void)
{
#ifdef HAVE_ALLOCATED_BYTES
	return __sanitizer_get_current_allocated_bytes();
#else
	return 0;
#endif
}

void
world_run(uint64_t seed, bool verbose, struct totals *sum)
{
	static struct scenario plan;	/* large */

	scenario_make(&plan, seed);
	world_play(&plan, seed, verbose, sum);
}

uint64_t
world_play(const struct scenario *plan, uint64_t seed, bool verbose,
    struct totals *sum)
{
	static struct world world;	/* large */
	struct world *w = &world;
	size_t before = allocated();

	start(w, plan, seed, verbose);
	while (w->nevents > 0) {
		struct event event = take_event(w);

		w->now = event.at;
		event.fn(w, event.object, event.which);
		for (int i = 0; i < SIDES; i++)
			settle(w, i);
		check_over(w);
		if (w->over && w->now - w->progress_at > LATE_US)
			break;
		check_stuck(w);
	}
	if (!w->over) {
		fflush(stdout);
		ends_print(w);
		world_fail(w, "nothing will ever happen again");
	}
	check_empty(w);
	finish(w);
	add_totals(w, sum);
	if (allocated() > before)
		world_fail(w, "%zu bytes were never freed",
		    allocated() - before);
	return w->taken_at - SECOND;
}
