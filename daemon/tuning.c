/* SPDX-License-Identifier: ISC */
#include "tuning.h"

struct sockopt_subflow
tuning_subflow(const struct config_socket *s, unsigned int n)
{
	return (struct sockopt_subflow){
		.congestion = s->congestion,
		.notsent_lowat_bytes = s->notsent_lowat_bytes != 0 ?
		    s->notsent_lowat_bytes : sockopt_lowat_bytes(s->rate_bps),
		.user_timeout_ms = s->user_timeout_ms,
		.mark = s->mark,
		.buffer_bytes = sockopt_buffer_bytes(s->rate_bps, s->delay_ms,
		    n),
	};
}
