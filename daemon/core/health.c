/* SPDX-License-Identifier: ISC */
#include "health.h"

#define SECOND UINT64_C(1000000)
#define PATIENCE_US SECOND
#define PATIENCE_TRIPS 3
#define MEMORY_TRIPS 8
#define MEMORY_US (SECOND / 4)
#define LATE_MAX_US SECOND	/* what takes longer is no habit */
#define PACKETS 10		/* of a datagram */
#define REPAIRS_MAX 3		/* round trips */
#define AHEAD_US (SECOND / 8)	/* of what it sends: in slow start
				 * acknowledgements that let out twice as much
				 * come in bursts, and looks are 20 ms apart */
#define PACED_US (SECOND / 4)	/* more of a window takes longer to leave */
#define STILL_US (SECOND / 5)	/* and a round trip: two looks */

void
health_begin(struct health *h, uint64_t now)
{
	*h = (struct health){ .alive_us = now };
}

uint64_t
health_patience_us(const struct health *h)
{
	uint64_t trips = PATIENCE_TRIPS * (uint64_t)h->facts.rtt_us;

	return trips > PATIENCE_US ? trips : PATIENCE_US;
}

/* Of what was sent again since the last look. */
static void
count_lost(struct health *h, uint64_t again)
{
	uint64_t stuck = again < h->stuck_bytes ? again : h->stuck_bytes;

	h->stuck_bytes -= stuck;
	if (!h->suspect)
		h->lost_bytes += again - stuck;
}

void
health_look(struct health *h, const struct group_facts *facts, uint64_t now)
{
	bool waited = h->facts.waiting_bytes > 0;
	bool moved = facts->acked_bytes != h->facts.acked_bytes;

	count_lost(h, facts->again_bytes - h->facts.again_bytes);
	h->facts = *facts;
	h->looked_us = now;
	if (moved)
		h->alive_us = now;
	h->looked_bytes = h->given_bytes;
	if (moved || !waited || facts->waiting_bytes == 0)
		h->moved_us = now;
	if (moved || facts->waiting_bytes == 0)
		h->suspect = false;
	else if (now - h->moved_us >= health_patience_us(h))
		h->suspect = true;
	if (h->suspect)		/* (These two are asked apart.) */
		h->stuck_bytes = facts->waiting_bytes > facts->unsent_bytes ?
		    facts->waiting_bytes - facts->unsent_bytes : 0;
}

void
health_give(struct health *h, uint64_t bytes)
{
	h->given_bytes += bytes;
}

bool
health_idle(const struct health *h)
{
	return h->given_bytes == h->looked_bytes &&
	    h->facts.waiting_bytes == 0;
}

/* Its congestion window may have much more room than what leaves soon at the
 * rate that it is held to. */
static uint64_t
at_once(const struct group_facts *f)
{
	uint64_t paced = f->paced_bytes_s > UINT64_MAX / PACED_US ? UINT64_MAX :
	    f->paced_bytes_s * PACED_US / SECOND;

	if (paced == 0)		/* so that what waits does not for ever */
		paced = 1;
	return f->paced_bytes_s == 0 || f->free_bytes < paced ?
	    f->free_bytes : paced;
}

uint64_t
health_room(const struct health *h)
{
	uint64_t most = at_once(&h->facts) +
	    h->facts.rate_bytes_s * AHEAD_US / SECOND;
	uint64_t unsent = h->facts.unsent_bytes + h->given_bytes -
	    h->looked_bytes;

	if (h->looked_us == 0)
		return UINT64_MAX;
	return most > unsent ? most - unsent : 0;
}

uint64_t
health_waiting_bytes(const struct health *h)
{
	return h->facts.waiting_bytes + h->given_bytes - h->looked_bytes;
}

/* What waits up to a position, as far as can be told between two looks. */
static uint64_t
waiting(const struct health *h, uint64_t position, uint64_t now)
{
	uint64_t passed = now > h->looked_us ? now - h->looked_us : 0;
	uint64_t bytes = position + h->facts.waiting_bytes, gone;

	if (passed > SECOND)
		passed = SECOND;
	gone = h->looked_bytes + h->facts.rate_bytes_s * passed / SECOND;
	return bytes > gone ? bytes - gone : 0;
}

static uint64_t
way_us(const struct health *h)
{
	return h->facts.rtt_min_us != 0 ? h->facts.rtt_min_us :
	    h->facts.rtt_us;
}

/* How much later than it looked it has delivered of late; half of that is
 * forgotten in a quarter of a second or eight round trips, also when nobody
 * looks. */
static uint64_t
late_us(const struct health *h, uint64_t now)
{
	uint64_t trips = MEMORY_TRIPS * way_us(h);
	uint64_t halves = (now - h->late_at) /
	    (trips > MEMORY_US ? trips : MEMORY_US);

	return halves < 32 ? h->late_us >> halves : 0;
}

void
health_late(struct health *h, uint64_t us, uint64_t now)
{
	if (us > LATE_MAX_US)
		us = LATE_MAX_US;
	if (us > late_us(h, now)) {
		h->late_us = us;
		h->late_at = now;
	}
}

/*
 * A datagram is about ten packets, each of which may be lost, and again when it
 * is sent again, each time for a round trip: that many of them for a few in a
 * hundred, and for a fifth about two.
 */
static uint64_t
repair_us(const struct health *h)
{
	uint64_t permille = PACKETS * (uint64_t)h->lost_permille;

	if (permille > REPAIRS_MAX * 1000)
		permille = REPAIRS_MAX * 1000;
	return way_us(h) * permille / 1000;
}

/* How long it has stood still beyond what is usual, and made others wait, and
 * what losses cost. */
static uint64_t
trouble_us(const struct health *h, uint64_t now)
{
	uint64_t still = now - h->moved_us;

	if (h->facts.waiting_bytes == 0 || still <= h->facts.rtt_us + STILL_US)
		still = 0;
	return late_us(h, now) + still + repair_us(h);
}

bool
health_has_arrived(const struct health *h, uint64_t position)
{
	return position + h->facts.waiting_bytes <= h->looked_bytes;
}

uint64_t
health_arrival_us(const struct health *h, uint64_t position, uint64_t since,
    uint64_t now)
{
	uint64_t at = since + way_us(h) / 2, us;

	if (h->facts.rate_bytes_s == 0 || health_has_arrived(h, position))
		return 0;
	us = waiting(h, position, now) * SECOND / h->facts.rate_bytes_s;
	us = us > way_us(h) / 2 ? us - way_us(h) / 2 : 0;
	if (at > now && us < at - now)
		us = at - now;
	return us + trouble_us(h, now);
}

/*
 * A pipe that is full holds a round trip's worth, and the next byte still takes
 * half a round trip; whatever is more than that is a queue.
 */
uint64_t
health_delay_us(const struct health *h, uint64_t now)
{
	uint64_t way = way_us(h), drained = 0;

	if (way == 0)
		return 0;
	if (h->facts.rate_bytes_s != 0)
		drained = waiting(h, h->given_bytes, now) * SECOND /
		    h->facts.rate_bytes_s;
	return (drained > way ? drained : way) - way / 2 + trouble_us(h, now);
}
