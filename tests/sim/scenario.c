/* SPDX-License-Identifier: ISC */
/*
 * The mix is chosen so that a seed moves about half a megabyte on average,
 * while each of the extremes (4 MB both ways, fifty sessions, eight links,
 * delivery byte by byte, windows of a few datagrams) still comes every few
 * dozen seeds.
 */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

#include "random.h"

#define MS UINT64_C(1000)

static uint32_t
least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

/* ---- links ---- */

static void
make_links(struct scenario *sc, struct random *r)
{
	sc->nlinks = random_once_in(r, 3) ? random_range(r, 1, SIM_LINKS) :
	    random_range(r, 2, 4);

	/* Delays of one seed are alike or not at all, so that both short and
	 * long reordering between subflows is seen. */
	uint64_t delay = random_log(r, 1, 300 * MS);
	uint64_t rate = random_log(r, 100000, 20000000);
	bool alike = random_once_in(r, 2);
	bool small = random_once_in(r, 8);
	uint32_t datagram_max = sc->options[PROXY].datagram_max;
	if (sc->options[RELAY].datagram_max > datagram_max)
		datagram_max = sc->options[RELAY].datagram_max;

	/* Some groups have one lane only. */
	int lanes = random_once_in(r, 6) ? (int)random_range(r, 0, 1) : 2;
	/* And some paths few links, so that they die. */
	bool few = random_once_in(r, 2);

	for (size_t i = 0; i < sc->nlinks; i++) {
		struct link_plan *l = &sc->links[i];
		size_t k = few ? i / SIM_PATHS : i % 4;	/* on its path */
		bool bulk = lanes == 2 ? k % 2 == 1 : lanes == 1;

		l->path = (uint8_t)(few ? i % SIM_PATHS : i / 4);
		l->slot = (uint8_t)(lanes == 2 ? k / 2 : k);
		if (bulk)
			l->slot += WIRE_SLOT_BULK;
		l->delay_us = alike ? delay + random_range(r, 0, delay / 8) :
		    random_log(r, 1, 300 * MS);
		l->rate = alike ? rate : random_log(r, 50000, 20000000);
		if (random_once_in(r, 2))
			l->jitter_us = random_range(r, 0, l->delay_us);
		/* One frame has to fit, and an OPEN before it. */
		l->unsent_max = small ? datagram_max + 200 :
		    random_log(r, 20000, 128 << 10);
		l->flight_max = random_log(r, l->unsent_max, 512 << 10);
		l->mortal = i > 0 && random_once_in(r, 12);
	}
}

/* ---- groups ---- */

static void
make_group(struct scenario *sc, struct random *r, int side)
{
	struct group_options *o = &sc->options[side];

	o->proxy = side == PROXY;
	switch (random_range(r, 0, 3)) {
	case 0:
		o->initial_window = (uint32_t)random_log(r, 1024, 32 << 10);
		break;
	default:
		o->initial_window = 256 << 10;
	}
	o->start_window = random_once_in(r, 2) ? o->initial_window :
	    (uint32_t)random_log(r, o->initial_window, 1 << 20);
	o->window_max = random_once_in(r, 2) ? o->start_window :
	    (uint32_t)random_log(r, o->start_window, 4 << 20);
	o->max_sessions = 1024;

	switch (random_range(r, 0, 7)) {
	case 0:
		o->datagram_max = (uint32_t)random_log(r, 16, 2000);
		break;
	case 1:
		o->datagram_max = WIRE_DATA_MAX;
		break;
	default:
		o->datagram_max = (uint32_t)random_log(r, 1000, WIRE_DATA_MAX);
	}
	if (random_once_in(r, 2))
		sc->redundancy[side] = (uint32_t)random_log(r, 1000, 256 << 10);
	if (random_once_in(r, 4))
		sc->redundancy_per_s[side] = (uint32_t)random_log(r, 1000,
		    1 << 20);
	sc->budget_bytes[side] = 256 << 20;
}

/* ---- sessions ---- */

/* At most about so many pieces, whatever the size. */
#define PIECES 500

static void
make_speed(struct end_plan *e, uint32_t to_read, struct random *r)
{
	if (random_once_in(r, 3)) {
		e->write_gap_us = random_log(r, 10, 100 * MS);
		e->write_piece = (uint32_t)random_log(r, 1, 65536);
	} else
		e->write_piece = (uint32_t)random_log(r, 1000, 262144);
	if (e->write_piece < e->bytes / PIECES)
		e->write_piece = e->bytes / PIECES;

	if (random_once_in(r, 3)) {
		e->read_gap_us = random_log(r, 10, 300 * MS);
		e->read_piece = (uint32_t)random_log(r, 1, 65536);
		if (e->read_piece < to_read / PIECES)
			e->read_piece = to_read / PIECES;
	} else
		e->read_piece = UINT32_MAX;
	if (random_once_in(r, 8))
		e->pause_us = random_log(r, MS, 20 * SECOND);
	if (random_once_in(r, 4))
		e->release_delay_us = random_log(r, 1, 2 * SECOND);
}

static void
make_fate(struct flow_plan *f, struct random *r, int side)
{
	struct end_plan *e = &f->ends[side], *other = &f->ends[!side];

	switch (random_range(r, 0, 4)) {
	case 0:
	case 1:
		e->fate = FATE_RESET;
		e->fate_code = WIRE_CODE_RESET;
		break;
	case 2:
		e->fate = FATE_RELEASE;
		e->fate_code = WIRE_CODE_OK;
		break;
	case 3:
		if (side == RELAY) {
			e->fate = FATE_REFUSE;
			e->fate_code = (uint8_t)random_range(r,
			    WIRE_CODE_REFUSED, WIRE_CODE_DENIED);
			return;
		}
		/* FALLTHROUGH */
	default:
		e->fate = FATE_ABORT;
		e->fate_code = random_once_in(r, 2) ? WIRE_CODE_OK :
		    WIRE_CODE_PROHIBITED;
	}
	if (random_once_in(r, 2))
		e->fate_written = (uint32_t)random_range(r, 0, e->bytes);
	if (random_once_in(r, 2))
		e->fate_read = (uint32_t)random_range(r, 0, other->bytes);
	if (random_once_in(r, 2))
		e->fate_delay_us = random_log(r, 1, 3 * SECOND);
}

static uint32_t
draw_bytes(struct random *r, uint64_t left)
{
	if (left == 0 || random_once_in(r, 12))
		return 0;
	return least(random_log(r, 1, least(left, SIM_BYTES_MAX)), left);
}

static void
make_flow(struct scenario *sc, struct flow_plan *f, struct random *r,
    uint64_t *left, bool troubled)
{
	struct end_plan *client = &f->ends[PROXY], *server = &f->ends[RELAY];

	(void)sc;
	client->bytes = draw_bytes(r, *left / 2);
	*left -= client->bytes;
	server->bytes = draw_bytes(r, *left);
	*left -= server->bytes;

	for (int side = 0; side < SIDES; side++)
		make_speed(&f->ends[side], f->ends[!side].bytes, r);
	if (client->pause_us > 0)
		client->pause_at = (uint32_t)random_range(r, 0, server->bytes);
	if (server->pause_us > 0)
		server->pause_at = (uint32_t)random_range(r, 0, client->bytes);

	switch (random_range(r, 0, 3)) {
	case 0:			/* request and answer */
		server->write_after = (uint32_t)random_range(r, 0,
		    client->bytes);
		break;
	case 1:			/* the server speaks first */
		client->write_after = (uint32_t)random_range(r, 0,
		    server->bytes);
		break;
	default:		/* both at once */
		break;
	}
	switch (random_range(r, 0, 3)) {
	case 0:
		client->end_last = true;
		break;
	case 1:
		server->end_last = true;
		break;
	default:
		break;
	}
	f->connect_us = random_once_in(r, 3) ? 0 :
	    random_log(r, 1, 300 * MS);
	if (troubled && random_once_in(r, 4)) {
		make_fate(f, r, (int)random_range(r, 0, 1));
		if (random_once_in(r, 8))
			make_fate(f, r, (int)random_range(r, 0, 1));
	}
}

/* A session that goes past the numbers of 16 bits, twice, in datagrams of a
 * few bytes. */
static void
make_long(struct scenario *sc, struct random *r)
{
	int side = (int)random_range(r, 0, 1);
	struct end_plan *writer = &sc->flows[0].ends[side];
	uint32_t max = (uint32_t)random_range(r, 1, 8);

	sc->options[side].datagram_max = max;
	sc->options[!side].window_max = 1 << 20;
	if (sc->options[!side].start_window < 256 << 10)
		sc->options[!side].start_window = 256 << 10;
	writer->bytes = max * (SIM_LONG + 64);
	writer->write_gap_us = 0;
	writer->write_piece = UINT32_MAX;
	for (int i = 0; i < SIDES; i++) {
		struct end_plan *e = &sc->flows[0].ends[i];

		e->fate = FATE_NONE;
		e->write_after = e->pause_at = 0;
		if (e->read_gap_us > 10 * MS)
			e->read_gap_us = 10 * MS;
		if (e->read_piece < 1000)
			e->read_piece = 1000;
	}
	sc->is_long = true;
}

static void
make_flows(struct scenario *sc, struct random *r)
{
	uint64_t left;
	uint64_t spread = random_once_in(r, 4) ? 1 :
	    random_log(r, MS, 20 * SECOND);
	bool troubled = !random_once_in(r, 3);

	switch (random_range(r, 0, 9)) {
	case 0:
		sc->nflows = SIM_FLOWS - random_range(r, 0, 10);
		break;
	case 1:
	case 2:
		sc->nflows = 1;
		break;
	default:
		sc->nflows = random_range(r, 2, 12);
	}
	if (random_once_in(r, 30))
		left = 16 << 20;
	else if (random_once_in(r, 6))
		left = random_range(r, 1 << 20, 4 << 20);
	else
		left = random_log(r, 1, 1 << 20);

	for (size_t i = 0; i < sc->nflows; i++) {
		struct flow_plan *f = &sc->flows[i];

		make_flow(sc, f, r, &left, troubled);
		f->start_us = random_range(r, 1, spread);
	}
	if (random_once_in(r, 150)) {
		struct flow_plan *f = &sc->flows[0];

		for (int side = 0; side < SIDES; side++) {
			f->ends[side].bytes = SIM_BYTES_MAX;
			f->ends[side].fate = FATE_NONE;
			f->ends[side].write_piece = UINT32_MAX;
			if (f->ends[side].read_piece < SIM_BYTES_MAX / PIECES)
				f->ends[side].read_piece =
				    SIM_BYTES_MAX / PIECES;
		}
	}
}

/* ---- trouble ---- */

static void
make_trouble(struct scenario *sc, struct random *r)
{
	sc->chunk_max = UINT32_MAX;
	if (random_once_in(r, 4))
		sc->chunk_max = (uint32_t)random_log(r, 8, 100000);
	sc->stingy = random_once_in(r, 4);
	if (random_once_in(r, 2))
		sc->timer_late_us = random_log(r, 1, 10 * MS);
	if (random_once_in(r, 2))
		sc->ping_us = random_log(r, 100 * MS, 10 * SECOND);
	if (random_once_in(r, 6))
		sc->drain_us = random_log(r, 1, 10 * SECOND);
	if (random_once_in(r, 12))
		sc->restart_us = random_log(r, 1, 10 * SECOND);

	sc->notice_max_us = random_log(r, 1, 20 * SECOND);
	sc->dial_max_us = random_log(r, 1, 20 * SECOND);
	sc->stall_max_us = random_log(r, 10 * MS, 20 * SECOND);
	sc->trouble_us = random_log(r, 5 * MS, 2 * SECOND);
	switch (random_range(r, 0, 4)) {
	case 0:
		break;
	case 1:
		sc->deaths = (unsigned)random_range(r, 1, 20);
		break;
	case 2:
		sc->stalls = (unsigned)random_range(r, 1, 20);
		break;
	default:
		sc->deaths = (unsigned)random_range(r, 1, 10);
		sc->stalls = (unsigned)random_range(r, 1, 10);
	}
}

static void
make_paths(struct scenario *sc, struct random *r)
{
	for (int when = 0; when < 2; when++)
		for (int i = 0; i < SIM_PATHS; i++) {
			struct wire_path *p = &sc->paths[when][i];

			p->backup = random_once_in(r, 4);
			p->weight = random_once_in(r, 2) ? WIRE_WEIGHT_MAX :
			    (uint8_t)random_range(r, 0, WIRE_WEIGHT_MAX);
			if (random_once_in(r, 2))
				p->receive_kbit = (uint32_t)random_log(r,
				    WIRE_RATE_MIN, 1000000);
			if (when == 0 && random_once_in(r, 2))
				sc->path_rates[i] = random_log(r, 1000,
				    100000000);
		}
	if (random_once_in(r, 4))
		sc->reload_us = random_log(r, 1, 10 * SECOND);
}

static void
make_versions(struct scenario *sc, struct random *r)
{
	for (int side = 0; side < SIDES; side++) {
		sc->newer[side] = random_once_in(r, 8);
		sc->older[side] = random_once_in(r, 16);
	}
}

/* Everybody at `side` has much to send, and the other side takes it all. */
static void
make_crowd(struct scenario *sc, struct random *r, int side)
{
	struct group_options *to = &sc->options[!side];

	to->start_window = 1 << 20;
	to->window_max = 4 << 20;
	for (size_t i = 0; i < sc->nflows; i++) {
		struct end_plan *e = &sc->flows[i].ends[side];
		struct end_plan *reader = &sc->flows[i].ends[!side];

		e->bytes = (uint32_t)random_log(r, 64 << 10, 512 << 10);
		e->write_piece = 65536;
		reader->write_after = 0;
		if (reader->read_piece < 65536)
			reader->read_piece = 65536;
	}
}

/* Too little memory or too few sessions for all that come. */
static void
make_shortage(struct scenario *sc, struct random *r)
{
	int side = (int)random_range(r, 0, 1);

	sc->may_refuse = true;
	if (random_once_in(r, 2)) {
		sc->options[side].max_sessions =
		    (uint32_t)random_range(r, 1, 5);
		return;
	}
	sc->budget_bytes[side] = random_log(r, 200 << 10, 2 << 20);
	if (random_once_in(r, 2))
		make_crowd(sc, r, side);
}

void
scenario_make(struct scenario *sc, uint64_t seed)
{
	struct random random = { random_mix(seed + 1) };
	struct random *r = &random;

	memset(sc, 0, sizeof(*sc));
	make_group(sc, r, PROXY);
	make_group(sc, r, RELAY);
	make_flows(sc, r);
	if (seed % SIM_LONG_EVERY == 0)
		make_long(sc, r);
	make_links(sc, r);
	make_trouble(sc, r);
	if (!sc->is_long && random_once_in(r, 16))
		make_shortage(sc, r);
	make_paths(sc, r);
	make_versions(sc, r);
	/* The contract of struct group_options. */
	for (int i = 0; i < SIDES; i++) {
		struct group_options *o = &sc->options[i];

		if (o->window_max < o->start_window)
			o->window_max = o->start_window;
	}
	/* A long seed is about the numbers; the rest should not slow it. */
	if (sc->is_long && sc->chunk_max < 4096)
		sc->chunk_max = 4096;
}

static const char *const fates[] = {
	[FATE_NONE] = "",
	[FATE_RESET] = " reset",
	[FATE_ABORT] = " abort",
	[FATE_RELEASE] = " release",
	[FATE_REFUSE] = " refuse",
};

static void
print_end(const char *name, const struct end_plan *e)
{
	printf("    %s: %u bytes after %u, pieces %u gap %llu%s; reads %u gap "
	    "%llu, pause %llu at %u; held %llu%s", name, e->bytes,
	    e->write_after, e->write_piece,
	    (unsigned long long)e->write_gap_us, e->end_last ? ", last" : "",
	    e->read_piece, (unsigned long long)e->read_gap_us,
	    (unsigned long long)e->pause_us, e->pause_at,
	    (unsigned long long)e->release_delay_us, fates[e->fate]);
	if (e->fate != FATE_NONE)
		printf(" (%u) at %u written %u read, after %llu",
		    e->fate_code, e->fate_written, e->fate_read,
		    (unsigned long long)e->fate_delay_us);
	printf("\n");
}

void
scenario_print(const struct scenario *sc, uint64_t seed)
{
	printf("seed %llu:%s%s chunks %u%s, %u deaths %u stalls, mean %llu, "
	    "stall %llu notice %llu dial %llu ping %llu drain %llu "
	    "restart %llu reload %llu late %llu\n",
	    (unsigned long long)seed, sc->is_long ? " long" : "",
	    sc->may_refuse ? " short of resources" : "", sc->chunk_max,
	    sc->stingy ? " stingy" : "", sc->deaths, sc->stalls,
	    (unsigned long long)sc->trouble_us,
	    (unsigned long long)sc->stall_max_us,
	    (unsigned long long)sc->notice_max_us,
	    (unsigned long long)sc->dial_max_us,
	    (unsigned long long)sc->ping_us,
	    (unsigned long long)sc->drain_us,
	    (unsigned long long)sc->restart_us,
	    (unsigned long long)sc->reload_us,
	    (unsigned long long)sc->timer_late_us);
	for (int i = 0; i < SIDES; i++) {
		const struct group_options *o = &sc->options[i];

		printf("  %s: windows %u, %u, %u; %u sessions; datagrams of "
		    "%u; memory %llu\n", i == PROXY ? "proxy" : "relay",
		    o->initial_window, o->start_window, o->window_max,
		    o->max_sessions, o->datagram_max,
		    (unsigned long long)sc->budget_bytes[i]);
	}
	for (int when = 0; when < 2; when++)
		for (int i = 0; i < SIM_PATHS; i++)
			printf("  path %d%s:%s weight %u, %u kbit/s\n", i,
			    when > 0 ? " then" : "",
			    sc->paths[when][i].backup ? " backup" : "",
			    sc->paths[when][i].weight,
			    sc->paths[when][i].receive_kbit);
	for (size_t i = 0; i < sc->nlinks; i++) {
		const struct link_plan *l = &sc->links[i];

		printf("  link %zu: path %u slot %u, %llu bytes/s, %llu us + "
		    "%llu, room %zu, flight %zu%s\n", i, l->path, l->slot,
		    (unsigned long long)l->rate,
		    (unsigned long long)l->delay_us,
		    (unsigned long long)l->jitter_us, l->unsent_max,
		    l->flight_max, l->mortal ? ", mortal" : "");
	}
	for (size_t i = 0; i < sc->nflows; i++) {
		const struct flow_plan *f = &sc->flows[i];

		printf("  flow %zu: at %llu, connect %llu\n", i,
		    (unsigned long long)f->start_us,
		    (unsigned long long)f->connect_us);
		print_end("client", &f->ends[PROXY]);
		print_end("server", &f->ends[RELAY]);
	}
}
