/* SPDX-License-Identifier: ISC */
/*
 * A path is an express and a bulk subflow of its rate and delay.  The same
 * transfer is made over the best one alone and then over all of them.  (The
 * links of a path do not share its rate: a session sends on one lane at a
 * time.)  On a single path that loses packets little goes twice, since all of
 * it takes from the same link; and a path that brings next to nothing is soon
 * left alone.  Beside one that stands still again and again, no more goes twice
 * than may (fill.c sees to that).
 */
#include "race.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS UINT64_C(1000)
#define MBIT UINT64_C(125000)		/* bytes a second */
#define LEARN_US (300 * MS)
#define STEADY 6			/* sessions */
#define STEADY_US (4 * SECOND)		/* for so long */
#define STEADY_GAP_US (400 * MS)
#define SLOWED_RATE (MBIT / 2)		/* it still moves */
#define RARE_PPM 30000			/* few are lost so often that nothing
					 * moves for a second */
#define POOR_BESIDE (8 * MBIT)
#define SLOWED_US SECOND		/* at most, to find out */

#define RESTLESS_S 30

#define CROWD_BYTES 40000		/* of each */
#define CROWD_UNSENT (16 << 10)

enum hazard { SLOW, LONG, LOSSY, STALLED, GOOD, SLOWED, HAZARDS };

static const char *const hazard_names[HAZARDS] = {
	"slow", "long", "lossy", "stalled", "good", "slowed",
};

void
race_path(struct scenario *sc, const struct link_plan *path)
{
	uint8_t number = (uint8_t)(sc->nlinks / 2);

	for (int bulk = 0; bulk < 2; bulk++) {
		struct link_plan *l = &sc->links[sc->nlinks++];

		*l = *path;
		l->path = number;
		l->slot = bulk ? WIRE_SLOT_BULK : 0;
		/* What the socket takes before it is full, and a window that
		 * never is. */
		l->unsent_max = 128 << 10;
		l->flight_max = l->unsent_max + 4 * l->rate *
		    (2 * l->delay_us + 100 * MS) / SECOND;
	}
}

void
race_scenario(struct scenario *sc, uint32_t bytes)
{
	memset(sc, 0, sizeof(*sc));
	for (int i = 0; i < SIDES; i++) {
		sc->options[i] = (struct group_options){
			.proxy = i == PROXY,
			.initial_window = 256 << 10,
			.start_window = 1 << 20,
			.window_max = 16 << 20,
			.max_sessions = 16,
			.datagram_max = WIRE_DATA_MAX,
		};
		sc->budget_bytes[i] = 256 << 20;
	}
	sc->chunk_max = UINT32_MAX;
	sc->trouble_us = sc->stall_max_us = sc->notice_max_us =
	    sc->dial_max_us = SECOND;
	sc->ping_us = 15 * SECOND;
	for (size_t i = 0; i < SIM_PATHS; i++)
		sc->paths[0][i].weight = WIRE_WEIGHT_MAX;
	sc->nflows = 1;
	struct flow_plan *f = &sc->flows[0];
	f->start_us = 3 * SECOND;	/* all are up */
	f->ends[RELAY].bytes = bytes;
	f->ends[RELAY].write_piece = 256 << 10;
	f->ends[PROXY].bytes = 100;
	f->ends[PROXY].write_piece = UINT32_MAX;
	f->ends[PROXY].read_piece = f->ends[RELAY].read_piece = UINT32_MAX;
	f->ends[RELAY].write_after = 100;
}

/* Some that write a little now and then, all in the same time. */
static void
add_steady(struct scenario *sc)
{
	for (; sc->nflows <= STEADY; sc->nflows++) {
		struct flow_plan *f = &sc->flows[sc->nflows];

		*f = sc->flows[0];
		f->ends[RELAY].write_piece = (uint32_t)(sc->links[0].rate *
		    STEADY_GAP_US / SECOND / STEADY);
		f->ends[RELAY].bytes = (uint32_t)(STEADY_US / STEADY_GAP_US) *
		    f->ends[RELAY].write_piece;
		f->ends[RELAY].write_gap_us = STEADY_GAP_US;
	}
}

static uint64_t
play(const struct scenario *sc, uint64_t seed, bool verbose,
    struct totals *totals)
{
	return world_play(sc, seed, verbose, totals) - sc->flows[0].start_us;
}

static void
check_twice(uint64_t bytes, uint64_t most, uint64_t seed)
{
	if (bytes <= most)
		return;
	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 ": at most %.2f MB of it should\n"
	    "to see it again: tests/sim/sim --race --verbose --seed %" PRIu64
	    "\n", seed, (double)most / 1e6, seed);
	fflush(stderr);
	_exit(1);
}

/* What comes late is TCP's business, but for the last round trips, and for what
 * was lost so often that its subflow is suspect. */
static void
check_one(const struct link_plan *path, uint32_t bytes, uint64_t seed,
    bool verbose, struct totals *totals)
{
	static struct scenario sc;
	struct totals t = { 0 };
	uint64_t trip = 2 * path->delay_us + path->jitter_us;
	uint64_t most = bytes / 50 + 2 * path->rate * (trip + 100 * MS) /
	    SECOND;

	race_scenario(&sc, bytes);
	race_path(&sc, path);
	play(&sc, seed, verbose, &t);
	totals->resent += t.resent;
	if (verbose || t.resent_bytes > most)
		printf("%" PRIu64 ": one path, %.1f MB, %.1f Mbit/s %.0f ms, "
		    "%.1f %% lost: %.2f MB go twice\n", seed, bytes / 1e6,
		    (double)path->rate / MBIT, (double)path->delay_us / 1e3,
		    path->loss_ppm / 1e4, (double)t.resent_bytes / 1e6);
	check_twice(t.resent_bytes, most, seed);
}

/* Many small uploads over two express subflows of one path: all of it together
 * is bulk, so next to nothing goes twice. */
static void
check_crowd(const struct link_plan *path, uint64_t seed, bool verbose,
    struct totals *totals)
{
	static struct scenario sc;
	struct totals t = { 0 };

	race_scenario(&sc, 100);
	for (uint8_t slot = 0; slot < 3; slot++) {
		race_path(&sc, path);
		sc.nlinks--;
		sc.links[slot].path = 0;
		sc.links[slot].slot = slot < 2 ? slot : WIRE_SLOT_BULK;
		sc.links[slot].unsent_max = CROWD_UNSENT;
		sc.links[slot].flight_max = CROWD_UNSENT + 2 * path->rate *
		    (2 * path->delay_us + 100 * MS) / SECOND;
	}
	for (int i = 0; i < SIDES; i++) {
		sc.options[i].max_sessions = SIM_FLOWS;
		sc.redundancy[i] = 128 << 10;
		sc.redundancy_per_s[i] = (uint32_t)path->rate / 8;
	}
	sc.flows[0].ends[PROXY].bytes = CROWD_BYTES;
	for (sc.nflows = 1; sc.nflows < SIM_FLOWS; sc.nflows++)
		sc.flows[sc.nflows] = sc.flows[0];
	play(&sc, seed, verbose, &t);
	totals->resent += t.resent;
	const uint64_t most = SIM_FLOWS * CROWD_BYTES / 12;
	if (verbose || t.resent_bytes > most)
		printf("%" PRIu64 ": %d uploads of %d kB, %.1f Mbit/s %.0f ms: "
		    "%.2f MB go twice\n", seed, SIM_FLOWS, CROWD_BYTES / 1000,
		    (double)path->rate / MBIT, (double)path->delay_us / 1e3,
		    (double)t.resent_bytes / 1e6);
	check_twice(t.resent_bytes, most, seed);
}

static void
check_restless(const struct link_plan *good, uint64_t seed, bool verbose,
    struct totals *totals)
{
	static struct scenario sc;
	struct random random = { random_mix(seed + 79) }, *r = &random;
	struct link_plan thin = *good, other;
	struct totals t = { 0 };

	thin.rate = random_log(r, MBIT / 8, 4 * MBIT);
	other = thin;
	other.rate = thin.rate * random_range(r, 1, 4);
	race_scenario(&sc, (uint32_t)(thin.rate * RESTLESS_S));
	other.stall_at_us = sc.flows[0].start_us + 100 * MS;
	other.stall_us = 2 * SECOND + 8 * other.delay_us;
	other.stall_again_us = random_range(r, 100 * MS, SECOND);
	race_path(&sc, &thin);
	race_path(&sc, &other);
	play(&sc, seed, verbose, &t);
	totals->resent += t.resent;
	if (verbose)
		printf("%" PRIu64 ": %.1f Mbit/s %.0f ms, and again and again "
		    "for %.2f s nothing: %.2f MB of %.2f go twice\n", seed,
		    (double)thin.rate / MBIT, (double)good->delay_us / 1e3,
		    (double)other.stall_us / 1e6, (double)t.resent_bytes / 1e6,
		    (double)t.bytes / 1e6);
}

static void
check_poor(const struct link_plan *good, uint64_t seed, bool verbose,
    struct totals *totals)
{
	static struct scenario sc;
	struct totals t = { 0 };
	struct link_plan one = *good, other = *good;
	uint64_t trip = 2 * other.delay_us + other.jitter_us;

	one.rate = POOR_BESIDE;
	other.rate = one.rate / 25;
	/* Until that is known, twice, and the first bytes of the session. */
	uint64_t most = 2 * other.rate * (5 * SECOND + 8 * trip) / SECOND +
	    (3 << 19);
	race_scenario(&sc, (uint32_t)(one.rate * 60));
	race_path(&sc, &one);
	race_path(&sc, &other);
	play(&sc, seed, verbose, &t);
	totals->resent += t.resent;
	if (verbose || t.second_bytes > most)
		printf("%" PRIu64 ": a twenty-fifth of %.1f Mbit/s, %.0f ms: "
		    "%.2f MB over it\n", seed, (double)one.rate / MBIT,
		    (double)one.delay_us / 1e3, (double)t.second_bytes / 1e6);
	if (t.second_bytes <= most)
		return;
	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 ": %.2f MB at most are right\n"
	    "to see it again: tests/sim/sim --race --verbose --seed %" PRIu64
	    "\n", seed, (double)most / 1e6, seed);
	fflush(stderr);
	_exit(1);
}

void
race_run(uint64_t seed, bool verbose, struct totals *totals)
{
	static struct scenario sc;
	struct random random = { random_mix(seed + 77) }, *r = &random;
	enum hazard hazard = (enum hazard)(seed % HAZARDS);
	uint32_t bytes = (uint32_t)random_range(r, 2 << 20, 16 << 20);
	struct link_plan good = {
		.rate = random_log(r, 4 * MBIT, 40 * MBIT),
		.delay_us = random_log(r, 5 * MS, 300 * MS),
	}, other = good;

	if (random_once_in(r, 2))
		good.jitter_us = good.delay_us / 10;
	race_scenario(&sc, bytes);
	if (hazard == SLOWED)
		/* All end about when the other path has become slow. */
		sc.flows[0].ends[RELAY].bytes = (uint32_t)(good.rate *
		    (STEADY_US / SECOND));
	race_path(&sc, &good);
	if (hazard == SLOWED)
		add_steady(&sc);
	uint64_t alone = play(&sc, seed, false, totals);

	switch (hazard) {
	case SLOW:
		other.rate /= random_range(r, 5, 50);
		break;
	case LONG:
		other.delay_us = random_range(r, 2 * good.delay_us, 2 *
		    good.delay_us + 900 * MS);
		break;
	case LOSSY:
		other.loss_ppm = (uint32_t)random_range(r, 1000, 200000);
		other.rate /= 1 + other.loss_ppm / 20000;
		break;
	case STALLED:
		other.stall_at_us = sc.flows[0].start_us +
		    random_range(r, 0, alone);
		other.stall_us = random_range(r, 2 * SECOND, 30 * SECOND);
		break;
	case SLOWED:
		other.slow_at_us = sc.flows[0].start_us +
		    random_range(r, STEADY_US / 4, STEADY_US);
		other.slow_rate = SLOWED_RATE;
		break;
	default:
		other.delay_us = random_range(r, good.delay_us / 2,
		    2 * good.delay_us);
		other.rate = random_range(r, good.rate / 2, good.rate);
	}
	if (hazard == SLOW)
		check_crowd(&other, seed, verbose, totals);
	if (hazard == LOSSY && other.loss_ppm <= RARE_PPM)
		check_one(&other, bytes, seed, verbose, totals);
	if (hazard == STALLED)
		check_restless(&good, seed, verbose, totals);
	if (hazard == SLOW)
		check_poor(&good, seed, verbose, totals);
	race_path(&sc, &other);
	uint64_t both = play(&sc, seed, verbose, totals);

	/* What it takes to find out may cost a few round trips, once, where
	 * losses come at random a few more; and good ones have to help a
	 * transfer that is long enough for it. */
	uint64_t trip = 2 * good.delay_us + good.jitter_us;
	uint64_t most = alone + alone / 20 + LEARN_US +
	    (hazard == LOSSY ? 6 : 4) * trip;
	if (hazard == SLOWED)
		most += SLOWED_US;
	if (hazard == GOOD && alone > 5 * SECOND) {
		uint64_t sum = good.rate + other.rate;

		most = good.rate * alone / sum * 11 / 10 + 2 * other.delay_us +
		    3 * trip + LEARN_US;
	}
	if (verbose || both > most)
		printf("%" PRIu64 ": %s %.1f MB, %.1f Mbit/s %.0f ms and "
		    "%.1f Mbit/s %.0f ms: alone %.3f s, both %.3f s (%.2f)\n",
		    seed, hazard_names[hazard], bytes / 1e6,
		    (double)good.rate / MBIT, (double)good.delay_us / 1e3,
		    (double)other.rate / MBIT, (double)other.delay_us / 1e3,
		    (double)alone / 1e6, (double)both / 1e6,
		    (double)both / (double)alone);
	if (both <= most)
		return;
	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 ": both paths take %.3f s, at most "
	    "%.3f s are right\nto see it again: tests/sim/sim --race "
	    "--verbose --seed %" PRIu64 "\n", seed, (double)both / 1e6,
	    (double)most / 1e6, seed);
	fflush(stderr);
	_exit(1);
}
