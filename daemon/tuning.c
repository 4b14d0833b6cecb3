/* SPDX-License-Identifier: ISC */
#include "tuning.h"

/* A link that is back is tried again this soon by what waits on it; well above
 * what a queue can add to the round trip.  The kernel takes up to 120 s. */
#define RTO_MAX_MS 3000
#define RTO_MOST_MS 120000

static uint32_t
rto_max_ms(uint32_t delay_ms)
{
	if (delay_ms > RTO_MOST_MS / 4)
		return RTO_MOST_MS;
	return 4 * delay_ms > RTO_MAX_MS ? 4 * delay_ms : RTO_MAX_MS;
}

struct sockopt_subflow
tuning_subflow(const struct config_socket *s, unsigned int n)
{
	return (struct sockopt_subflow){
		.congestion = s->congestion,
		.notsent_lowat_bytes = s->notsent_lowat_bytes != 0 ?
		    s->notsent_lowat_bytes : sockopt_lowat_bytes(s->rate_bps),
		.user_timeout_ms = s->user_timeout_ms,
		.rto_max_ms = rto_max_ms(s->delay_ms),
		.mark = s->mark,
		.buffer_bytes = sockopt_buffer_bytes(s->rate_bps, s->delay_ms,
		    n),
		.receive_bytes = sockopt_buffer_bytes(s->receive_bps,
		    s->delay_ms, n),
	};
}
