/* SPDX-License-Identifier: ISC */
/*
 * Four downloads run from the relay to the proxy as fast as every subflow can
 * send, and a fifth session writes 100 bytes now and then.  Counted is how much
 * of the downloads was written, on any subflow, between the moment when the
 * relay got those bytes and the one when they were in a frame.  Each time the
 * subflows come in another order, since which can send first is chance.
 */
#include "lanes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/group.h"

#define BULK 4
#define SESSIONS (BULK + 1)
#define SMALL 100
#define WRITES 200
#define BULK_MAX (64 << 10)	/* may go before */
#define ROOM 16384		/* of a subflow that can send */
#define MS UINT64_C(1000)
#define DELAY (25 * MS)		/* one way */

enum { PROXY, RELAY };

/* On its way; all take as long, so a list in order of sending will do. */
struct parcel {
	struct parcel *next;
	uint64_t at;
	int to, subflow;
	size_t len;
	uint8_t bytes[];
};

struct lanes {
	struct parcel *first, **last;
	struct group *groups[2];
	struct budget budgets[2];
	int numbers[2][8];
	int nsubflows;
	struct session *relay[SESSIONS];
	uint64_t now;
	bool waiting;		/* the small write is not yet out */
	uint64_t before;	/* bytes of the others since then */
	uint64_t sent[SESSIONS];
};

struct setting {
	const char *name;
	int express, bulk;
	uint64_t first;		/* bytes of each download before */
	uint64_t small_first;	/* and of the small one's session */
};

static const struct setting settings[] = {
	{ "two lanes", 2, 2, 1 << 20, 0 },
	{ "two lanes, large before", 2, 2, 1 << 20, 1 << 20 },
	{ "two lanes, all new", 2, 2, 0, 0 },
	{ "one bulk subflow", 0, 1, 1 << 20, 0 },
	{ "four bulk subflows, large before", 0, 4, 1 << 20, 1 << 20 },
	{ "one express subflow", 1, 0, 1 << 20, 0 },
	{ "one of each, large before", 1, 1, 1 << 20, 1 << 20 },
};

/* Bytes of the downloads up to the small write, in what was written. */
static void
count(struct lanes *l, const uint8_t *bytes, size_t len)
{
	const uint32_t small = l->relay[BULK] != NULL ?
	    session_number(l->relay[BULK]) : 0;
	struct cursor c = { bytes, bytes + len };
	struct wire_header h;

	while (wire_get_header(&c, &h) == WIRE_OK) {
		c.pos += h.size;
		if (h.type != WIRE_DATA)
			continue;
		if (h.connection == small)
			l->waiting = false;
		else if (l->waiting)
			l->before += h.size;
		for (int i = 0; i < SESSIONS; i++)
			if (l->relay[i] != NULL &&
			    session_number(l->relay[i]) == h.connection)
				l->sent[i] += h.size;
	}
}

/* The local sides take everything at once. */
static void
drain(struct lanes *l, int side)
{
	struct session *s;
	struct span spans[8];

	while ((s = group_ready(l->groups[side])) != NULL) {
		int n;

		if (side == RELAY && session_user(s) == NULL) {
			l->relay[session_open_info(s)->client.port] = s;
			session_set_user(s, l);
		}
		while ((n = session_peek(s, spans, 8)) > 0) {
			size_t len = 0;

			for (int i = 0; i < n; i++)
				len += spans[i].len;
			session_consume(s, len, l->now);
		}
	}
}

static void
send_turn(struct lanes *l, int from, int subflow)
{
	struct parcel *p = malloc(sizeof(*p) + ROOM);

	if (p == NULL)
		abort();
	*p = (struct parcel){
		.at = l->now + DELAY, .to = !from, .subflow = subflow,
	};
	p->len = group_fill(l->groups[from], l->numbers[from][subflow],
	    p->bytes, ROOM, l->now);
	if (from == RELAY)
		count(l, p->bytes, p->len);
	*l->last = p;
	l->last = &p->next;
}

static void
deliver(struct lanes *l, bool all)
{
	struct parcel *p;

	while ((p = l->first) != NULL && (all || p->at <= l->now)) {
		if (!all && group_take(l->groups[p->to],
		    l->numbers[p->to][p->subflow], p->bytes, p->len,
		    l->now) != (int)p->len)
			abort();
		drain(l, p->to);
		l->first = p->next;
		if (l->first == NULL)
			l->last = &l->first;
		free(p);
	}
}

static void
write_some(struct lanes *l, int session, size_t max)
{
	struct span spans[4];
	int n;

	while (max > 0 && (n = session_read_room(l->relay[session], spans,
	    4)) > 0) {
		size_t len = 0;

		for (int i = 0; i < n && len < max; i++) {
			size_t part = spans[i].len;

			if (part > max - len)
				part = max - len;
			memset(spans[i].base, session, part);
			len += part;
		}
		if (session_read(l->relay[session], len, l->now) != 0)
			abort();
		max -= len;
	}
}

/* Each subflow can send once, from the `first` on. */
static void
turn(struct lanes *l, int first)
{
	l->now += MS;
	for (int side = 0; side < 2; side++)
		group_tick(l->groups[side], l->now);
	deliver(l, false);
	for (int i = 0; i < l->nsubflows; i++) {
		for (int s = 0; s < BULK; s++)
			if (l->relay[s] != NULL)
				write_some(l, s, SIZE_MAX);
		send_turn(l, RELAY, (first + i) % l->nsubflows);
		send_turn(l, PROXY, i);
	}
}

static void
start(struct lanes *l, const struct setting *setting)
{
	struct wire_open open = { .dscp = -1 };

	memset(l, 0, sizeof(*l));
	l->last = &l->first;
	l->now = 1000 * MS;
	l->nsubflows = setting->express + setting->bulk;
	for (int side = 0; side < 2; side++) {
		struct group_options o = {
			.proxy = side == PROXY,
			.initial_window = 256 << 10,
			.start_window = 1 << 20,
			.window_max = 4 << 20,
			.max_sessions = 100,
			.datagram_max = WIRE_DATA_MAX,
			.budget = &l->budgets[side],
		};
		int replaced;

		budget_init(&l->budgets[side], 256 << 20);
		l->groups[side] = group_new(&o);
		if (l->groups[side] == NULL)
			abort();
		group_peer_window(l->groups[side], o.initial_window);
		for (int i = 0; i < l->nsubflows; i++)
			l->numbers[side][i] = group_attach(l->groups[side], 0,
			    (uint8_t)(i < setting->express ? i :
			    WIRE_SLOT_BULK + i), l->now, &replaced);
	}
	for (int i = 0; i < SESSIONS; i++) {
		struct session *s;

		open.client = open.destination = (struct addr){
			.family = 4, .port = (uint16_t)i,
		};
		if (group_open(l->groups[PROXY], &open, l->now, &s) != 0)
			abort();
		session_set_user(s, l);
	}
}

static bool
warm(const struct lanes *l, const struct setting *setting)
{
	for (int i = 0; i < SESSIONS; i++)
		if (l->relay[i] == NULL || l->sent[i] < (i < BULK ?
		    setting->first : setting->small_first))
			return false;
	return true;
}

static int
run(const struct setting *setting, bool verbose)
{
	struct lanes l;
	uint64_t most = 0;
	int first = 0;

	start(&l, setting);
	for (int i = 0; !warm(&l, setting); i++) {
		if (i > 10000) {
			fprintf(stderr, "%s: a session gets nothing\n",
			    setting->name);
			return 1;
		}
		if (l.relay[BULK] != NULL && l.sent[BULK] <
		    setting->small_first)
			write_some(&l, BULK, 50000);
		turn(&l, first++);
	}
	/* What it wrote before is gone. */
	for (int i = 0; i < 200 && setting->small_first > 0; i++)
		turn(&l, first++);

	for (int i = 0; i < WRITES; i++) {
		l.before = 0;
		l.waiting = true;
		write_some(&l, BULK, SMALL);
		for (int n = 0; n < 1000 && l.waiting; n++)
			turn(&l, first);
		if (l.before > most)
			most = l.before;
		first++;
	}
	deliver(&l, true);
	for (int side = 0; side < 2; side++)
		group_free(l.groups[side]);
	if (verbose)
		printf("%s: at most %" PRIu64 " bytes before\n",
		    setting->name, most);
	if (most < BULK_MAX && !l.waiting)
		return 0;
	fprintf(stderr, "%s: %" PRIu64 " bytes of others leave before %d "
	    "small ones\n", setting->name, most, SMALL);
	return 1;
}

int
lanes_run(bool verbose)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		failed |= run(&settings[i], verbose);
	return failed;
}
