/* SPDX-License-Identifier: ISC */
/*
 * A question is not repeated for fear that it was lost, since TCP does that; it
 * is repeated so that a NAT that has begun to forget is reminded.
 *
 * When one subflow has no answer for half of the patience, the others of the
 * group are asked: if the link is gone it is known of all of them, and not one
 * after another.  Whoever was heard since needs no question.
 *
 * On a slow link a question may wait for long behind what was sent before it.
 * While TCP moves there it is not silent, but that is no answer: the kernel of
 * a daemon that stands still acknowledges, too, for a while.
 */
#include "silence.h"

#define PATIENCE_MIN_US UINT64_C(3000000)
#define PATIENCE_RTTS 4

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
silence_patience_us(uint64_t rtt_us)
{
	uint64_t us = PATIENCE_RTTS * rtt_us;

	return us > PATIENCE_MIN_US ? us : PATIENCE_MIN_US;
}

void
silence_asked(struct silence *s, uint64_t now)
{
	s->again_us = now;
	if (s->asked_us == 0)
		s->first_us = s->asked_us = now;
}

bool
silence_heard(struct silence *s)
{
	bool was_silent = s->silent;

	*s = (struct silence){ 0 };
	return was_silent;
}

void
silence_pardon(struct silence *s, uint64_t now)
{
	if (s->asked_us != 0)
		s->first_us = s->asked_us = s->again_us = now;
}

static uint64_t
waiting_since(const struct silence *s, const struct silence_facts *f)
{
	return s->asked_us > f->moved_us ? s->asked_us : f->moved_us;
}

uint64_t
silence_due(const struct silence *s, const struct silence_facts *f)
{
	uint64_t patience = silence_patience_us(f->rtt_us), due;

	if (s->asked_us == 0) {
		due = f->heard_us + (f->expects ? patience / 2 :
		    SILENCE_IDLE_US);
		if (f->beside_us > f->heard_us)
			due = earlier(due, f->beside_us + patience / 2);
		return due;
	}
	due = s->again_us + SILENCE_IDLE_US;
	if (s->silent)
		return earlier(due, s->asked_us + SILENCE_DEAD_US);
	return earlier(due, waiting_since(s, f) + patience);
}

enum silence_step
silence_look(struct silence *s, const struct silence_facts *f, uint64_t now)
{
	if (now < silence_due(s, f))
		return SILENCE_NOTHING;
	if (s->asked_us == 0) {
		silence_asked(s, now);
		return SILENCE_ASK;
	}
	if (!s->silent && now >= waiting_since(s, f) +
	    silence_patience_us(f->rtt_us)) {
		s->silent = true;
		s->asked_us = waiting_since(s, f);
	}
	if (s->silent && now - s->asked_us >= SILENCE_DEAD_US)
		return SILENCE_DEAD;
	if (now - s->again_us < SILENCE_IDLE_US)
		return SILENCE_NOTHING;
	s->again_us = now;
	return SILENCE_ASK;
}
