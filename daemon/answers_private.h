/* SPDX-License-Identifier: ISC */
/*
 * What an operator is told: what answers.c and answers_*.c share.
 */
#ifndef ANSWERS_PRIVATE_H
#define ANSWERS_PRIVATE_H

#include "answers.h"
#include "core/metrics.h"
#include "core/traffic.h"
#include "put.h"

struct answers {
	struct answers_options options;
	uint64_t begun_us;
	struct traffic_rate rate;
	ev_timer sample;
	bool ending;
	struct put put;			/* of the document at hand */
};

/* Members that both roles have, or more than one object. */
void answers_families(struct put *, struct json_object *, unsigned families);
void answers_memory(struct put *, struct json_object *, const struct budget *);
struct json_object *answers_traffic(struct put *, struct json_object *,
    const struct traffic *);
void answers_repeats(struct put *, struct json_object *,
    const struct repeats *);
void answers_sessions(struct put *, struct json_object *, uint64_t open,
    uint64_t limit, uint64_t taken, uint64_t refused);

/* What a role says of its own; `options` has it. */
void answers_proxy(struct answers *, struct json_object *);
void answers_relay(struct answers *, struct json_object *);

/* A proxy: nft = yes, so it is us who say what is intercepted; and what is. */
bool answers_has_rules(const struct answers *);
void answers_intercepting(struct answers *, struct json_object *);

#endif
