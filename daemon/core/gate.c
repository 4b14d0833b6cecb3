/* SPDX-License-Identifier: ISC */
#include "gate.h"

#include <assert.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const char *const reason_texts[] = {
	[GATE_OPEN] = "intercepting",
	[GATE_OPERATOR] = "switched off",
	[GATE_DRAINING] = "about to end",
	[GATE_NO_RELAY] = "no relay answers",
	[GATE_PROBATION] = "the relay has just come back",
	[GATE_SESSIONS] = "nearly all sessions are in use",
	[GATE_MEMORY] = "nearly all memory is in use",
	[GATE_RELAY_FULL] = "the relay takes no more sessions",
	[GATE_NO_FAMILY] = "the relay has neither IPv4 nor IPv6",
	[GATE_BRIDGE] = "bridge-nf-call-iptables keeps TPROXY from working",
	[GATE_DIVERTED] = "a rule of routing that comes before TPROXY's "
	    "leads elsewhere",
};

static_assert(LENGTH(reason_texts) == GATE_NREASONS, "a text for each");

void
gate_init(struct gate *g)
{
	*g = (struct gate){ .reason = GATE_NO_RELAY };
}

/* The relay went or came. */
static void
turn(struct gate *g, bool up, uint64_t now_us)
{
	if (up == g->up)
		return;
	if (!up) {
		if (now_us - g->since_us >= GATE_SOON_US)
			g->probation_us = GATE_PROBATION_MIN_US;
		else if (g->probation_us == 0)
			g->probation_us = GATE_PROBATION_MIN_US;
		else
			g->probation_us *= 2;
		if (g->probation_us > GATE_PROBATION_MAX_US)
			g->probation_us = GATE_PROBATION_MAX_US;
	}
	g->up = up;
	g->since_us = now_us;
}

bool
gate_is_full(bool was, uint64_t used, uint64_t most)
{
	return used * 100 >= most * (was ? GATE_ROOM : GATE_FULL);
}

static enum gate_reason
reason(const struct gate *g, const struct gate_input *in, uint64_t now_us)
{
	if (in->off)
		return GATE_OPERATOR;
	if (in->draining)
		return GATE_DRAINING;
	if (!g->up)
		return GATE_NO_RELAY;
	if (now_us - g->since_us < g->probation_us)
		return GATE_PROBATION;
	if (g->sessions_full)
		return GATE_SESSIONS;
	if (g->memory_full)
		return GATE_MEMORY;
	if (in->relay_full)
		return GATE_RELAY_FULL;
	if (in->relay_families == 0)
		return GATE_NO_FAMILY;
	if ((in->relay_families & ~in->blocked) == 0)
		return GATE_BRIDGE;
	if ((in->relay_families & ~(in->blocked | in->diverted)) == 0)
		return GATE_DIVERTED;
	return GATE_OPEN;
}

unsigned
gate_update(struct gate *g, const struct gate_input *in, uint64_t now_us)
{
	turn(g, in->relay_up, now_us);
	g->sessions_full = gate_is_full(g->sessions_full, in->sessions,
	    in->max_sessions);
	g->memory_full = gate_is_full(g->memory_full, in->held_bytes,
	    in->limit_bytes);
	g->reason = reason(g, in, now_us);
	return g->reason == GATE_OPEN ? in->relay_families &
	    ~(in->blocked | in->diverted) : 0;
}

const char *
gate_reason_text(enum gate_reason r)
{
	return reason_texts[r];
}
