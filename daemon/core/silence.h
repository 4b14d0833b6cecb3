/* SPDX-License-Identifier: ISC */
/*
 * Is there still somebody at the other end of a subflow?  TCP knows only while
 * it has something to send, and takes its time; a NAT may have forgotten a
 * subflow that is idle.  So one that was not heard for a while is asked (PING),
 * soon if there is a reason to expect something, and if nothing at all comes
 * after the question it is silent, and in the end dead.
 *
 * Times are microseconds of one monotonic clock; 0 is not a time.
 */
#ifndef CORE_SILENCE_H
#define CORE_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SILENCE_IDLE_US UINT64_C(15000000)	/* NATs forget
						 * sooner or later */
#define SILENCE_DEAD_US UINT64_C(30000000)	/* after a question */

struct silence {
	uint64_t first_us;	/* the first question after which nothing was
				 * heard; 0: none */
	uint64_t asked_us;	/* that, or when its TCP moved last after it */
	uint64_t again_us;	/* and the last */
	bool silent;
};

struct silence_facts {
	uint64_t heard_us;	/* when the last bytes came */
	bool expects;		/* more should: it carries something that is not
				 * acknowledged, or was in the middle of it */
	uint64_t moved_us;	/* when its TCP last saw
				 * anything acknowledged */
	uint64_t rtt_us;	/* 0: not known */
	uint64_t beside_us;	/* the first question on another subflow that
				 * has no answer yet; 0: none */
};

enum silence_step { SILENCE_NOTHING, SILENCE_ASK, SILENCE_DEAD };

/* How long after a question it is silent, or after TCP last moved, if that is
 * later: the larger of 3 s and four round trips. */
uint64_t silence_patience_us(uint64_t rtt_us);

/* It was asked for another reason. */
void silence_asked(struct silence *, uint64_t now);
/* Bytes came.  true: it was silent, and is not any more. */
bool silence_heard(struct silence *);
/* We have been away ourselves; what there is to hear may not have been read. */
void silence_pardon(struct silence *, uint64_t now);

/* What is to be done now; `silent` may become true in here. */
enum silence_step silence_look(struct silence *, const struct silence_facts *,
    uint64_t now);
/* When to look again if nothing is heard. */
uint64_t silence_due(const struct silence *, const struct silence_facts *);

#endif
