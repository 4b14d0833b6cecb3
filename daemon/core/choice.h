/* SPDX-License-Identifier: ISC */
/*
 * Which of several relays is a new session given to?
 *
 * In order: the first that will do; by weight: smooth weighted round robin
 * among all that will do.  One that is lost is set aside: after its return
 * others are preferred for CHOICE_ASIDE_MIN_US, and for twice as long each time
 * that it is lost again before it has been there for CHOICE_CALM_US beyond
 * that.  So one that comes and goes is left alone, however fast, while there
 * is another.  The first time that a relay is up it is believed at once.
 *
 * No relay is ever out of the question: if there is none that is up, the
 * session waits where it was up last.
 */
#ifndef CORE_CHOICE_H
#define CORE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHOICE_MAX 32			/* relays, since they are bits */
#define CHOICE_ASIDE_MIN_US UINT64_C(5000000)
#define CHOICE_ASIDE_MAX_US UINT64_C(300000000)
#define CHOICE_CALM_US UINT64_C(300000000)

struct choice_relay {
	uint32_t weight;	/* 0: only while there is no other, whose is
				 * more; of no effect in order */
	unsigned families;	/* that it reaches, as bits */
	bool full;		/* it takes no more sessions (room.h): only
				 * while there is no other */

	/* Private. */
	bool up;
	uint64_t since_us;	/* it is up since then; or was, until */
	uint64_t aside_us;	/* after its return */
	int64_t credit;
};

struct choice {
	bool by_weight;
	size_t n;
	struct choice_relay relays[CHOICE_MAX];
};

/* Of `n` relays; none is up, all weigh 1 and reach nothing. */
void choice_init(struct choice *, size_t n);

/* There are `n` relays now, of which the i-th is the one that had the number
 * was[i]; -1: a new one, as after choice_init(). */
void choice_arrange(struct choice *, const int was[], size_t n);

/* Whether the relay is up: it answers, and is not about to end. */
void choice_tell(struct choice *, size_t relay, bool up, uint64_t now_us);

/* For how much longer others are preferred; 0 for one that is not up. */
uint64_t choice_aside_us(const struct choice *, size_t relay, uint64_t now_us);

/* For a session whose destination is of this family (one bit), a relay that is
 * not in `tried` (a bit each); -1: there is none left. */
int choice_pick(struct choice *, unsigned family, uint32_t tried,
    uint64_t now_us);
/* The one that choice_pick() would say, which it still has its turn for. */
int choice_look(const struct choice *, unsigned family, uint32_t tried,
    uint64_t now_us);

#endif
