/* SPDX-License-Identifier: ISC */
/*
 * Shares are dealt out by smooth weighted round robin: with each burst, every
 * path that could have it gets as much credit as its weight, and the one with
 * the most has it and pays what all of them got.  So credits stay bounded, and
 * a path that could not be chosen for a while has nothing to catch up with.
 */
#include "paths.h"

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

	if (was->backup == is->backup && was->weight == is->weight)
		return false;
	*was = *is;
	p->said[path] = true;
	return true;
}

/* The longest that is as good as the best, of paths with a weight or of all;
 * 0: nothing is known. */
static uint64_t
longest(const struct paths *p, const struct paths_subflow *f, size_t n,
    bool weighed)
{
	uint64_t best = 0;

	for (size_t i = 0; i < n; i++)
		if ((!weighed || p->of[f[i].path].weight > 0) &&
		    f[i].delay_us != 0 &&
		    (best == 0 || f[i].delay_us < best))
			best = f[i].delay_us;
	return best == 0 ? 0 : best + best / 4 + SLACK_US;
}

int
paths_choose(struct paths *p, const struct paths_subflow *f, size_t n)
{
	const struct paths_subflow *best[PATHS] = { NULL };
	uint8_t candidates[PATHS];
	size_t ncandidates = 0;
	int32_t all = 0;
	bool weighed = false;

	for (size_t i = 0; i < n; i++)
		weighed = weighed || p->of[f[i].path].weight > 0;
	uint64_t most = longest(p, f, n, weighed);
	for (size_t i = 0; i < n; i++) {
		const struct paths_subflow **b = &best[f[i].path];

		if ((weighed && p->of[f[i].path].weight == 0) ||
		    (most != 0 && (f[i].delay_us == 0 || f[i].delay_us > most)))
			continue;
		if (*b == NULL)
			candidates[ncandidates++] = f[i].path;
		/* A loss stops a subflow: the less is on it, the better. */
		if (*b == NULL || f[i].carried_bytes < (*b)->carried_bytes)
			*b = &f[i];
	}
	if (ncandidates == 0)
		return -1;

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
