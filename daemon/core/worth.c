/* SPDX-License-Identifier: ISC */
#include "worth.h"

#define SECOND UINT64_C(1000000)
#define WAIT_US (SECOND / 4)

static uint64_t
delay_us(const struct session_env *env, int subflow, uint64_t now)
{
	return health_delay_us(&env->health[subflow], now);
}

bool
worth_uneven(const struct session_env *env, uint64_t now)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint64_t m = env->express | env->bulk; m != 0; m &= m - 1) {
		uint64_t delay = delay_us(env, __builtin_ctzll(m), now);

		if (delay != 0 && delay < least)
			least = delay;
		if (delay > most)
			most = delay;
	}
	return most > 0 && most - least > WORTH_UNEVEN_US;
}

uint64_t
worth_prompt(const struct session_env *env, uint64_t now)
{
	uint64_t used = env->express | env->bulk, prompt = 0;
	uint64_t best = UINT64_MAX, delay;

	for (uint64_t m = used; m != 0; m &= m - 1) {
		delay = delay_us(env, __builtin_ctzll(m), now);
		if (delay != 0 && delay < best)
			best = delay;
	}
	if (best == UINT64_MAX)
		return used;
	for (uint64_t m = used; m != 0; m &= m - 1) {
		delay = delay_us(env, __builtin_ctzll(m), now);
		if (delay != 0 && delay <= best + best / 4 + WORTH_UNEVEN_US)
			prompt |= m & -m;
	}
	return prompt;
}

static uint64_t
least_us(const struct session_env *env, uint64_t set, uint64_t now)
{
	uint64_t least = 0;

	for (uint64_t m = set; m != 0; m &= m - 1) {
		uint64_t delay = delay_us(env, __builtin_ctzll(m), now);

		if (delay != 0 && (least == 0 || delay < least))
			least = delay;
	}
	return least;
}

uint64_t
worth_timely(const struct session_env *env, uint64_t now)
{
	uint64_t most = 2 * least_us(env, env->express, now) + WAIT_US;
	uint64_t those = 0;

	for (uint64_t m = env->express; m != 0; m &= m - 1)
		if (delay_us(env, __builtin_ctzll(m), now) <= most)
			those |= m & -m;
	return those;
}

uint64_t
worth_soonest_us(const struct session_env *env, uint64_t now)
{
	return least_us(env, env->express | env->bulk, now);
}

uint64_t
worth_lossy(const struct session_env *env)
{
	uint64_t lossy = 0, rate = 0, others = 0;

	for (uint64_t m = env->bulk; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		uint8_t path = env->path_of[i];

		if (path < SHARES && share_is_lossy(&env->shares[path])) {
			lossy |= m & -m;
			rate += env->health[i].facts.rate_bytes_s;
		} else
			others += env->health[i].facts.rate_bytes_s;
	}
	return others > 0 && others >= rate ? lossy : 0;
}

/* How much of what is under way may have to be sent again on other paths. */
static uint64_t
at_stake(const struct session_env *env)
{
	uint64_t bytes = 0;

	for (uint64_t m = env->lossy; m != 0; m &= m - 1)
		bytes += health_waiting_bytes(
		    &env->health[__builtin_ctzll(m)]);
	return bytes;
}

/* What the faster ones deliver before a byte arrives that is given to this one
 * now. */
static uint64_t
lead_bytes(const struct session_env *env, int subflow, uint64_t now)
{
	uint64_t mine = delay_us(env, subflow, now), bytes = 0;

	for (uint64_t m = env->bulk; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		uint64_t delay = delay_us(env, i, now);

		if (delay != 0 && mine > delay + WORTH_UNEVEN_US)
			bytes += env->health[i].facts.rate_bytes_s *
			    (mine - delay) / SECOND;
	}
	return bytes;
}

bool
worth_more(const struct session *s)
{
	const struct sendq *q = &s->out;

	return !q->ended &&
	    (s->read_blocked || q->unsent_bytes >= UNSENT_MAX / 2);
}

/* How much the session has to send, or may. */
static uint64_t
backlog(const struct session *s)
{
	const struct sendq *q = &s->out;
	uint64_t window = s->edge > q->cost_sent ? s->edge - q->cost_sent : 0;

	if (sendq_again(q))
		return q->lost * (uint64_t)s->env->datagram_max;
	return worth_more(s) || q->unsent_bytes > window ? window :
	    q->unsent_bytes;
}

bool
worth_taking(const struct session *s, int subflow, uint64_t now)
{
	const struct session_env *env = s->env;
	uint32_t others = env->bulk_turns.awake;

	if ((env->lossy >> subflow & 1) != 0 &&
	    at_stake(env) + env->datagram_max > env->copies.credit / 2)
		return false;
	return backlog(s) >= lead_bytes(env, subflow, now) /
	    (others > 1 ? others : 1);
}

bool
worth_others_wait(const struct session_env *env, int subflow,
    const struct session *s)
{
	for (uint64_t m = env->express; m != 0; m &= m - 1) {
		int i = __builtin_ctzll(m);
		const struct sched *turns = &env->express_turns[i];

		if (env->path_of[i] == env->path_of[subflow] &&
		    (s != NULL ? sched_others(turns, &s->turn) :
		    sched_awake(turns)))
			return true;
	}
	return false;
}
