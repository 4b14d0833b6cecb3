/* SPDX-License-Identifier: ISC */
#include "late.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "race.h"

#define MS UINT64_C(1000)
#define MBIT UINT64_C(125000)		/* bytes a second */
#define BEGIN_US (2 * SECOND)		/* until it turns bad */
#define TIME_US (8 * SECOND)		/* of what is sent */
#define UNSENT (32 << 10)		/* where subflows share a path */
#define CRAWL_RATE 4000			/* a packet now and then */
#define SESSIONS 6			/* that write now and then */

/* What waited for a second and two round trips goes elsewhere (reinject.h); to
 * look, and to be there, takes two more.  Twice that is a failure: the good
 * path may have a queue. */
#define LIMIT_US (SECOND + 200 * MS)
#define TRIPS 4

/* Sessions that write small pieces;
 * all together need a part of the good path. */
static void
add_sessions(struct scenario *sc, struct random *r, uint64_t rate)
{
	struct flow_plan first = sc->flows[0];
	size_t n = random_range(r, 1, SESSIONS);

	for (size_t i = 0; i < n; i++) {
		struct flow_plan *f = &sc->flows[sc->nflows++];
		struct end_plan *e = &f->ends[RELAY];

		*f = first;
		e->timed = true;
		e->write_gap_us = random_log(r, 50 * MS, SECOND);
		e->write_piece = (uint32_t)(1 + rate * e->write_gap_us /
		    SECOND * random_range(r, 1, 40) / 100 / n);
		e->bytes = (uint32_t)(TIME_US / e->write_gap_us) *
		    e->write_piece;
	}
}

/* The second path is part of the first, and only one of its subflows turns bad:
 * its packets are lost again and again. */
static void
join_paths(struct scenario *sc, struct random *r)
{
	struct link_plan *crawls = &sc->links[random_range(r, 2, 3)];

	for (size_t i = 0; i < sc->nlinks; i++) {
		struct link_plan *l = &sc->links[i];

		l->delay_us = sc->links[0].delay_us;
		l->unsent_max = UNSENT;
		if (i < 2)
			continue;
		l->path = 0;
		l->slot++;
		l->rate = sc->links[0].rate;
		if (l != crawls)
			l->slow_at_us = l->slow_rate = l->slow_loss_ppm = 0;
	}
	crawls->slow_rate = CRAWL_RATE;
	crawls->slow_loss_ppm = 0;
}

void
late_run(uint64_t seed, bool verbose, struct totals *totals)
{
	static struct scenario sc;
	struct random random = { random_mix(seed + 911) }, *r = &random;
	struct link_plan good = {
		.rate = random_log(r, MBIT, 10 * MBIT),
		.delay_us = random_log(r, 5 * MS, 300 * MS),
		.fine = true,
	}, bad = good;
	bool bulk = random_once_in(r, 2);

	bad.delay_us = random_range(r, good.delay_us / 2, 2 * good.delay_us);
	bad.rate = random_range(r, good.rate / 2, 2 * good.rate);
	race_scenario(&sc, bulk ? (uint32_t)(good.rate * TIME_US / SECOND) :
	    1);
	add_sessions(&sc, r, good.rate);
	bad.slow_at_us = sc.flows[0].start_us + BEGIN_US;
	bad.slow_rate = bad.rate / random_log(r, 5, 200);
	if (bad.slow_rate < 4000)
		bad.slow_rate = 4000;
	if (random_once_in(r, 2))
		bad.slow_loss_ppm = (uint32_t)random_range(r, 10000, 200000);
	race_path(&sc, &good);
	race_path(&sc, &bad);
	bool joined = random_once_in(r, 3);
	if (joined)
		join_paths(&sc, r);
	sc.timed_us = bad.slow_at_us;

	struct totals one = { 0 };
	uint64_t trip = 2 * (good.delay_us > bad.delay_us ? good.delay_us :
	    bad.delay_us);
	uint64_t most = LIMIT_US + TRIPS * trip;
	world_play(&sc, seed, verbose, &one);
	totals->seeds++;
	totals->bytes += one.bytes;
	totals->datagrams += one.datagrams;
	totals->virtual_us += one.virtual_us;
	if (verbose)
		printf("%" PRIu64 ": %s, %.1f Mbit/s %.0f ms and %.1f Mbit/s "
		    "%.0f ms, then %.3f Mbit/s %.0f%%: late %.3f s, gap %.3f "
		    "s, limit %.3f s\n", seed, joined ? "one path" :
		    bulk ? "bulk" : "small",
		    (double)good.rate / MBIT, (double)good.delay_us / 1e3,
		    (double)bad.rate / MBIT, (double)bad.delay_us / 1e3,
		    (double)bad.slow_rate / MBIT, bad.slow_loss_ppm / 1e4,
		    (double)one.late_us / 1e6, (double)one.gap_us / 1e6,
		    (double)most / 1e6);
	if (one.late_us <= 2 * most && one.gap_us <= 2 * most)
		return;
	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 ": beside a path that turned bad a "
	    "piece was %.3f s late, and nothing came for %.3f s; %.3f s are "
	    "promised\nto see it again: tests/sim/sim --late --verbose --seed %"
	    PRIu64 "\n", seed, (double)one.late_us / 1e6,
	    (double)one.gap_us / 1e6, (double)most / 1e6, seed);
	fflush(stderr);
	_exit(1);
}
