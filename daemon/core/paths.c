/* SPDX-License-Identifier: ISC */
/*
 * Shares are dealt out by smooth weighted round robin: with each burst, every
 * path that could have it gets as much credit as its weight, and the one with
 * the most has it and pays what all of them got.  So credits stay bounded, and
 * a path that could not be chosen for a while has nothing to catch up with.
 */
#include "paths.h"

#define SECOND UINT64_C(1000000)
#define SLACK_US UINT64_C(2000)	/* as good: a quarter more, and so much */

void
paths_init(struct paths *p)
{
	*p = (struct paths){ 0 };
	for (size_t i = 0; i < PATHS; i++)
		p->of[i].weight = WIRE_WEIGHT_MAX;
}

bool
paths_set(struct paths *p, uint8_t path, const struct wire_path *is)
{
	struct wire_path *was = &p->of[path];

	if (was->backup == is->backup && was->weight == is->weight &&
	    was->receive_kbit == is->receive_kbit)
		return false;
	*was = *is;
	p->said[path] = true;
	p->nnews += !p->news[path];
	p->news[path] = true;
	return true;
}

int
paths_news(struct paths *p)
{
	for (int i = 0; p->nnews > 0 && i < PATHS; i++) {
		if (!p->news[i])
			continue;
		p->news[i] = false;
		p->nnews--;
		return i;
	}
	return -1;
}

/* Until the last byte arrives; 0: not known. */
static uint64_t
arrival_us(const struct paths *p, const struct paths_subflow *f,
    uint64_t burst_bytes)
{
	uint64_t rate = p->rate_bytes_s[f->path];

	if (rate == 0)
		rate = f->rate_bytes_s;
	if (f->delay_us == 0 || rate == 0)
		return f->delay_us;
	return f->delay_us + burst_bytes * SECOND / rate;
}

/* The longest that is as good as the best, of paths with a weight or of all;
 * 0: nothing is known. */
static uint64_t
longest(const struct paths *p, const struct paths_subflow *f, size_t n,
    uint64_t burst_bytes, bool weighed)
{
	uint64_t best = 0, us;

	for (size_t i = 0; i < n; i++) {
		us = arrival_us(p, &f[i], burst_bytes);
		if ((!weighed || p->of[f[i].path].weight > 0) &&
		    us != 0 && (best == 0 || us < best))
			best = us;
	}
	return best == 0 ? 0 : best + best / 4 + SLACK_US;
}

int
paths_choose(struct paths *p, const struct paths_subflow *f, size_t n,
    int not_on, uint64_t burst_bytes)
{
	const struct paths_subflow *best[PATHS] = { NULL };
	uint8_t candidates[PATHS];
	size_t ncandidates = 0;
	int32_t all = 0;
	bool weighed = false;

	for (size_t i = 0; i < n; i++)
		weighed = weighed || p->of[f[i].path].weight > 0;
	uint64_t most = longest(p, f, n, burst_bytes, weighed);
	for (size_t i = 0; i < n; i++) {
		const struct paths_subflow **b = &best[f[i].path];
		uint64_t us = arrival_us(p, &f[i], burst_bytes);

		if ((weighed && p->of[f[i].path].weight == 0) ||
		    (most != 0 && (us == 0 || us > most)))
			continue;
		if (*b == NULL)
			candidates[ncandidates++] = f[i].path;
		/* A loss stops a subflow: the less is on it, the better. */
		if (*b == NULL || f[i].carried_bytes < (*b)->carried_bytes)
			*b = &f[i];
	}
	if (ncandidates == 0)
		return -1;
	for (size_t i = 0; ncandidates > 1 && i < ncandidates; i++)
		if (candidates[i] == not_on)
			candidates[i] = candidates[--ncandidates];

	uint8_t chosen = candidates[0];
	for (size_t i = 0; ncandidates > 1 && i < ncandidates; i++) {
		uint8_t path = candidates[i];
		int32_t weight = weighed ? p->of[path].weight : 1;

		all += weight;
		p->credit[path] += weight;
		if (p->credit[path] > p->credit[chosen])
			chosen = path;
	}
	p->credit[chosen] -= all;
	return best[chosen]->subflow;
}
