/* SPDX-License-Identifier: ISC */
/*
 * A proxy's group and a relay's, driven by a sequence of operations: sessions
 * open, write, read, end and are let go; links carry what they like when they
 * like, die on one side before the other, are replaced; time passes.  Nobody
 * cheats (that is fuzz_hostile_group), so every byte has to arrive as it was
 * given, every end as it was made, and nothing may be left.
 *
 * When the input has ended all links move, and what is still open ends cleanly.
 * From there on ends are served only when group_ready() names them, and time
 * goes on only by group_deadline(): who is forgotten by either stands still,
 * which is found.
 */
#include "fuzz_group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

#define ROOM (256u << 10)		/* that one input writes, in all */
#define START UINT64_C(1000000)
#define TICKS 400		/* with nothing to move */
#define LATE_US UINT64_C(5000)	/* as the role's timer */
#define SHED_US UINT64_C(250000)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct world world;

/* ---- begin ---- */

static uint32_t
choose(uint8_t by, const uint32_t from[static 4])
{
	return from[by & 3];
}

static void
make(struct world *w, int side, struct cursor *in)
{
	static const uint32_t windows[] = { 1000, 4000, 16448, 65536 };
	static const uint32_t growth[] = { 0, 0, 3000, 1 << 20 };
	static const uint32_t datagrams[] = { 500, 1436, 5000, WIRE_DATA_MAX };
	static const uint32_t sessions[] = { 2 * FLOWS, 2 * FLOWS, 65536, 3 };
	static const uint32_t bursts[] = { 0, 0, 5000, 65536 };
	static const uint32_t per_s[] = { 0, 0, 3000, 100000 };
	static const uint32_t memory[] = { 64 << 20, 64 << 20, 64 << 20,
		200 << 10 };
	struct group_options *o = &w->options[side];
	uint8_t a = input_u8(in), b = input_u8(in);

	budget_init(&w->budgets[side], choose(b, memory));
	o->proxy = side == PROXY;
	o->initial_window = choose(a, windows);
	o->start_window = o->initial_window + choose(a >> 2, growth);
	o->window_max = o->start_window + choose(a >> 4, growth);
	o->datagram_max = choose(a >> 6, datagrams);
	o->max_sessions = choose(b >> 2, sessions);
	o->budget = &w->budgets[side];
	if ((b & 3) == 3 || (b >> 2 & 3) == 3)
		w->may_refuse = true;
	w->groups[side] = group_new(o);
	assert(w->groups[side] != NULL);
	group_redundancy(w->groups[side], choose(b >> 4, bursts),
	    choose(b >> 6, per_s), w->now);
}

static void
begin(struct world *w, struct cursor *in)
{
	w->now = START;
	w->may_refuse = w->cut = false;
	w->nflows = 0;
	w->room = ROOM;
	memset(w->ends, 0, sizeof(w->ends));
	links_init(w);
	for (int side = 0; side < SIDES; side++)
		make(w, side, in);
	for (int side = 0; side < SIDES; side++)
		group_peer_window(w->groups[side],
		    w->options[!side].initial_window);
	link_add(w, 0, 0, true);
	link_add(w, 0, WIRE_SLOT_BULK, true);
}

/* ---- what always holds ---- */

/*
 * Each session holds itself, what it may keep to send (128 KiB ahead of the
 * subflows and a window, once more for what one read brings), each byte of that
 * twice and 100 more for each datagram; and what it offered, with a slot of a
 * ring for each datagram.
 */
static void
check_memory(const struct world *w, int side)
{
	const struct group_options *o = &w->options[side];
	const struct budget *b = &w->budgets[side];
	uint64_t keep = 2 * (o->window_max + (128u << 10));
	uint64_t most = 2048 + 2 * keep + keep / 12 * 100 +
	    2 * (o->window_max + WIRE_DATA_MAX);

	assert(b->held_bytes <= w->nflows * most);
	assert(group_sessions(w->groups[side]) <= w->nflows);
}

static void
check(struct world *w)
{
	for (int side = 0; side < SIDES; side++)
		check_memory(w, side);
	for (unsigned int i = 0; i < w->nflows; i++)
		for (int side = 0; side < SIDES; side++)
			end_look(w, &w->ends[i][side]);
}

/* ---- operations ---- */

static void
tick(struct world *w)
{
	for (int side = 0; side < SIDES; side++) {
		group_tick(w->groups[side], w->now);
		while (budget_level(&w->budgets[side]) == BUDGET_OVER &&
		    group_shed(w->groups[side], w->now))
			assert(w->may_refuse);
	}
}

/* All that is due and can leave, and all that is under way. */
static void
move_all(struct world *w)
{
	for (int i = 0; i < LINKS; i++) {
		for (int side = 0; side < SIDES; side++) {
			link_fill(w, &w->links[i], side, QUEUE);
			link_deliver(w, &w->links[i], side, QUEUE);
		}
	}
}

static void
operate_link(struct world *w, uint8_t op, uint8_t which, struct cursor *in)
{
	struct link *l = &w->links[(which >> 1) % LINKS];
	int side = which & 1;

	switch (op) {
	case 0:
	case 1:
		link_fill(w, l, side, input_u16(in) * 2u);
		break;
	case 2:
		link_deliver(w, l, side, input_u8(in) * 80u + 1);
		break;
	case 3:
		link_fill(w, l, side, QUEUE);
		link_deliver(w, l, side, QUEUE);
		break;
	case 4:
		link_kill(w, l, side);
		break;
	case 5:
		if (l->number[side] != DOWN)
			group_ping(w->groups[side], l->number[side], w->now);
		break;
	}
}

static void
operate_end(struct world *w, uint8_t op, uint8_t which, struct cursor *in)
{
	struct end *e = &w->ends[(which >> 1) % FLOWS][which & 1];

	switch (op) {
	case 6:
		end_give(w, e, input_u8(in), 1);
		break;
	case 7:
		end_give(w, e, input_u16(in), 1 + (which & 3));
		break;
	case 8:
		end_take(w, e, input_u8(in) * 64u + 1);
		break;
	case 9:
		end_read_end(w, e, which & 0x80 ? WIRE_CODE_RESET :
		    WIRE_CODE_OK);
		break;
	case 10:
		end_give_up(w, e, input_u8(in) % WIRE_CODE_UNKNOWN);
		break;
	case 11:
		end_release(w, e);
		break;
	case 12:
		end_opened(w, e);
		break;
	}
}

static void
operate(struct world *w, struct cursor *in)
{
	uint8_t op = input_u8(in) & 15, which = input_u8(in);

	switch (op) {
	case 13:
		end_open(w, which);
		break;
	case 14:
		w->now += (which & 63) * (UINT64_C(300) << 4 * (which >> 6));
		tick(w);
		break;
	case 15:
		if (which & 0x80)
			move_all(w);
		else if (which & 0x40)
			if (which & 4)
				group_path(w->groups[PROXY], which >> 3 & 1,
				    &(struct wire_path){ which & 1,
				    (uint8_t)(which & 16 ? 100 : 7),
				    which & 8 ? 20000 : 0 },
				    w->now);
			else if (which & 2)
				group_tell_features(w->groups[RELAY], -1,
				    which);
			else
				group_drain(w->groups[which & 1]);
		else
			link_add(w, which >> 1 & 1, (uint8_t)((which >> 2 & 1) +
			    (which & 8 ? WIRE_SLOT_BULK : 0)), which & 1);
		break;
	default:
		operate_link(w, op, which, in);
		operate_end(w, op, which, in);
	}
}

/* ---- the end ---- */

/* May it end its direction?  Some wait for the end of the other one, some until
 * they have read as much as they want. */
static bool
may_end(const struct world *w, const struct end *e)
{
	const struct end *from = &w->ends[e->flow][!e->side];

	if (e->given < e->goal)
		return false;
	switch (e->flow % 3) {
	case 1:
		return e->side == PROXY || e->state == SESSION_END;
	case 2:
		return from->ended || from->gave_up || from->released ||
		    e->taken >= from->goal;
	default:
		return true;
	}
}

/* As a role: what can be done is done. */
static void
serve(struct world *w, struct end *e)
{
	end_look(w, e);
	for (uint64_t before = w->moved - 1; before != w->moved;) {
		before = w->moved;
		end_take(w, e, SIZE_MAX);
		if (e->given < e->goal)
			end_give(w, e, e->goal - e->given, 3);
		end_look(w, e);
	}
	if (may_end(w, e))
		end_read_end(w, e, WIRE_CODE_OK);
	if (e->state == SESSION_RESET || e->state == SESSION_ABORT ||
	    (e->ended && (e->end_code != WIRE_CODE_OK ||
	    e->state == SESSION_END)))
		end_release(w, e);
}

/* What one side has found dead, the other finds dead in the end; and the proxy
 * dials as long as there is none. */
static void
settle_links(struct world *w)
{
	bool up = false;

	for (int i = 0; i < LINKS; i++) {
		struct link *l = &w->links[i];

		if (l->number[PROXY] == DOWN)
			l->fresh = false;
		if (l->number[RELAY] == DOWN && !l->fresh)
			link_kill(w, l, PROXY);
		if (l->number[PROXY] == DOWN)
			link_kill(w, l, RELAY);
		else
			up = true;
	}
	if (!up)
		link_add(w, 0, 0, false);
}

static bool
is_over(const struct world *w)
{
	for (unsigned int i = 0; i < w->nflows; i++)
		for (int side = 0; side < SIDES; side++)
			if (w->ends[i][side].session != NULL)
				return false;
	return group_sessions(w->groups[PROXY]) == 0 &&
	    group_sessions(w->groups[RELAY]) == 0;
}

/* Until either has something to do by itself. */
static void
wait(struct world *w)
{
	uint64_t at = GROUP_NEVER;

	for (int side = 0; side < SIDES; side++) {
		uint64_t due = group_deadline(w->groups[side]);

		if (budget_level(&w->budgets[side]) == BUDGET_OVER)
			due = w->now + SHED_US;
		if (at > due)
			at = due;
	}
	assert(at != GROUP_NEVER);
	w->now = at > w->now + LATE_US ? at : w->now + LATE_US;
	tick(w);
}

static void
check_silence(const struct world *w)
{
	for (int side = 0; side < SIDES; side++) {
		const struct group *g = w->groups[side];

		assert(group_deadline(g) == GROUP_NEVER);
		for (int i = 0; i < LINKS; i++) {
			int number = w->links[i].number[side];

			if (number == DOWN)
				continue;
			assert(!group_wants(g, number, w->now));
			assert(!group_subflow_busy(g, number));
			assert(group_waiting(g, number, 1, w->now) == 0);
		}
	}
}

/* With links that move it all comes to its end; each end writes `parting` bytes
 * before that. */
static void
finish(struct world *w, size_t parting)
{
	int ticks = 0;

	w->room = SIZE_MAX;
	for (unsigned int i = 0; i < w->nflows; i++) {
		for (int side = 0; side < SIDES; side++) {
			struct end *e = &w->ends[i][side];

			e->goal = e->given + parting;
			serve(w, e);
		}
	}
	for (;;) {
		uint64_t before = w->moved;

		settle_links(w);
		while (ends_ready(w, PROXY, serve) ||
		    ends_ready(w, RELAY, serve))
			continue;
		move_all(w);
		check(w);
		if (w->moved != before)
			continue;
		if (is_over(w))
			break;
		assert(ticks < TICKS);
		ticks++;
		wait(w);
	}
	check_silence(w);
}

/* Both sides give it up. */
static void
cut(struct world *w)
{
	w->cut = true;
	for (int side = 0; side < SIDES; side++) {
		group_reset_all(w->groups[side], WIRE_CODE_TIMEOUT, w->now);
		assert(group_sessions(w->groups[side]) == 0);
		ends_ready(w, side, end_look);
	}
	check(w);
	for (unsigned int i = 0; i < w->nflows; i++)
		for (int side = 0; side < SIDES; side++)
			end_release(w, &w->ends[i][side]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t partings[] = { 0, 100, 1500, 6000 };
	struct cursor in = { data, data + len };
	struct world *w = &world;
	uint8_t how = input_u8(&in);

	if (w->scratch == NULL)
		w->scratch = malloc(QUEUE);
	assert(w->scratch != NULL);
	begin(w, &in);
	while (in.pos < in.end) {
		operate(w, &in);
		ends_ready(w, PROXY, end_look);
		ends_ready(w, RELAY, end_look);
		check(w);
	}
	if (how % 8 == 1)
		cut(w);
	else if (how % 8 != 2)		/* nobody lets go of anything */
		finish(w, choose(how >> 3, partings));
	for (int side = 0; side < SIDES; side++) {
		assert(group_metrics(w->groups[side])->protocol_errors == 0);
		group_free(w->groups[side]);
		budget_end(&w->budgets[side]);
	}
	return 0;
}
