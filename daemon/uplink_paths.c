/* SPDX-License-Identifier: ISC */
/*
 * The paths of an uplink: what follows from their rates, and what they carry.
 */
#include "clock.h"
#include "uplink_private.h"

#define SAMPLE_US UINT64_C(1000000)

uint64_t
uplink_rate(const struct uplink *u)
{
	uint64_t rate_bps = 0;

	for (size_t i = 0; i < uplink_relay(u)->npaths; i++)
		rate_bps += uplink_relay(u)->paths[i].socket.rate_bps;
	return rate_bps;
}

/* And in the other direction; what is not known of a path is taken to be as in
 * ours. */
static uint64_t
receive_rate_of(const struct uplink *u)
{
	uint64_t rate_bps = 0;

	for (size_t i = 0; i < uplink_relay(u)->npaths; i++) {
		const struct config_socket *s =
		    &uplink_relay(u)->paths[i].socket;

		rate_bps += s->receive_bps != 0 ? s->receive_bps :
		    s->rate_bps;
	}
	return rate_bps;
}

struct uplink_windows
uplink_windows(const struct uplink *u)
{
	const struct config_relay *relay = uplink_relay(u);
	uint64_t rate_bps = uplink_rate(u), receive_bps = receive_rate_of(u);
	uint32_t delay_ms = 0;
	struct uplink_windows w;

	if (receive_bps > rate_bps)
		rate_bps = receive_bps;
	for (size_t i = 0; i < relay->npaths; i++)
		if (relay->paths[i].socket.delay_ms > delay_ms)
			delay_ms = relay->paths[i].socket.delay_ms;
	w.most = quota_window_max(&u->options.quota->budget,
	    u->options.config, rate_bps, delay_ms);
	w.start = quota_window_start(w.most, rate_bps, delay_ms);
	return w;
}

void
uplink_be_redundant(const struct uplink *u, struct trunk *t)
{
	trunk_redundancy(t, u->options.config->redundancy_bytes,
	    quota_redundancy_per_s(uplink_rate(u)));
}

void
uplink_set_paths(const struct uplink *u, struct trunk *t)
{
	for (size_t i = 0; i < uplink_relay(u)->npaths; i++) {
		const struct config_path *path = &uplink_relay(u)->paths[i];

		trunk_path(t, (uint8_t)i, &(struct wire_path){
			.backup = path->backup,
			.weight = path->weight,
			.receive_kbit = (uint32_t)
			    (path->socket.receive_bps / 1000),
		});
	}
}

/* ---- what they carry ---- */

struct paths_counts
uplink_counts(const struct uplink *u, size_t path)
{
	struct paths_counts c = group_path_counts(trunk_group(u->trunk),
	    (uint8_t)path);

	paths_counts_add(&c, &u->paths[path].before);
	return c;
}

void
uplink_sample(struct uplink *u, uint64_t now)
{
	if (now < u->sampled_us + SAMPLE_US)
		return;
	u->sampled_us = now;
	for (size_t i = 0; i < uplink_relay(u)->npaths; i++) {
		struct paths_counts c = uplink_counts(u, i);
		const struct traffic traffic = {
			.from_bytes = c.sent_bytes,
			.to_bytes = c.received_bytes,
		};

		traffic_sample(&u->paths[i].rate, &traffic, now);
	}
}

void
uplink_path(const struct uplink *u, size_t path, struct uplink_path *p)
{
	*p = (struct uplink_path){ .missing = slots_missing(u->slots, path) };
	trunk_path_state(u->trunk, (uint8_t)path, &p->now);
	p->now.counts = uplink_counts(u, path);
	traffic_rates(&u->paths[path].rate, &p->sent_bps, &p->received_bps);
}
