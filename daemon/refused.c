/* SPDX-License-Identifier: ISC */
#include "refused.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "core/wire.h"

#define FOR_MS 5000
#define REST_US UINT64_C(1000000)	/* when the kernel's sets are full */

static bool
kind_of(uint8_t code, enum ruleset_refusal_kind *kind)
{
	switch (code) {
	case WIRE_CODE_REFUSED:
		*kind = RULESET_REFUSE_RESET;
		return true;
	case WIRE_CODE_NET_UNREACH:
		*kind = RULESET_REFUSE_NETWORK;
		return true;
	case WIRE_CODE_HOST_UNREACH:
		*kind = RULESET_REFUSE_HOST;
		return true;
	case WIRE_CODE_PROHIBITED:
		*kind = RULESET_REFUSE_PROHIBITED;
		return true;
	default:		/* what the client got says no more */
		return false;
	}
}

void
refused_add(struct refused *r, struct table *t, const struct addr *destination,
    uint8_t code)
{
	struct ruleset_refusal refusal = { .family = destination->family,
		.port = destination->port, .timeout_ms = FOR_MS };

	if (!kind_of(code, &refusal.kind))
		return;
	memcpy(refusal.ip, destination->ip, sizeof(refusal.ip));
	r->count++;
	/* A transaction that fails takes the kernel long (15 ms measured). */
	if (clock_us() < r->rest_us)
		return;
	if (table_refuse(t, &refusal) == -ENFILE)
		r->rest_us = clock_us() + REST_US;
}
