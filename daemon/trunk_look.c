/* SPDX-License-Identifier: ISC */
/*
 * What a trunk looks at: who has something to send, what TCP says of each
 * subflow, and on which of them nothing is heard.
 */
#include "clock.h"
#include "net/log.h"
#include "net/tcpinfo.h"
#include "trunk_private.h"

#define LOOK_US UINT64_C(20000)	/* at the TCP of each subflow */
/* A timer that is so late says that we were stopped, and not what the peer did
 * meanwhile. */
#define AWAY_US UINT64_C(1000000)

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}


/* ---- pacing ---- */

/* Enough to tell a burst from a keystroke. */
#define WAITING_BYTES 65536

void
trunk_pace(struct trunk *t)
{
	struct pacer_item items[GROUP_SUBFLOWS];
	uint64_t now = clock_us();
	unsigned int n = 0;

	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		struct trunk_subflow *f = t->subflows[i];

		if (f == NULL || f->rate_bps == 0)
			continue;
		items[n++] = (struct pacer_item){
			.memory = &f->pacer,
			.fd = subflow_fd(f->subflow),
			.path = f->path,
			.express = f->slot < WIRE_SLOT_BULK,
			.rate_bps = f->rate_bps,
			.waiting_bytes = group_waiting(t->group, i,
			    WAITING_BYTES, now),
		};
	}
	if (n > 0)
		pacer_look(items, n, now);
}

/* ---- what TCP says ---- */

/* Where the rate was told: an idle subflow is given its share as soon as it has
 * something to send, and what it could do before it was held to one says
 * nothing. */
static void
note_share(struct group_facts *facts, const struct trunk_subflow *f)
{
	uint64_t share = f->pacer.busy ? f->pacer.pacing : f->rate_bps / 8;

	if (f->rate_bps == 0)
		return;
	if (facts->rate_bytes_s > share)
		facts->rate_bytes_s = share;
	if (!f->pacer.busy || facts->paced_bytes_s > share)
		facts->paced_bytes_s = share;
}

void
trunk_look_at_one(struct trunk *t, const struct trunk_subflow *f, uint64_t now)
{
	bool suspect = group_subflow_suspect(t->group, f->number);
	uint32_t pending = (uint32_t)subflow_pending(f->subflow);
	struct group_facts facts;

	if (!tcpinfo_facts(subflow_fd(f->subflow), &facts))
		return;
	facts.waiting_bytes += pending;
	facts.unsent_bytes += pending;
	note_share(&facts, f);
	group_subflow_facts(t->group, f->number, &facts, now);
	if (group_subflow_suspect(t->group, f->number) != suspect)
		log_debug("path %u: subflow %u %s", f->path, f->slot,
		    suspect ? "moves again" : "does not move");
}

void
trunk_look_at_tcp(struct trunk *t)
{
	uint64_t now = clock_us();

	if (now < t->look_at)
		return;
	t->look_at = now + LOOK_US;
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		if (t->subflows[i] != NULL && !group_subflow_idle(t->group, i))
			trunk_look_at_one(t, t->subflows[i], now);
}

/* Only while there is something to see. */
bool
trunk_has_to_look(const struct trunk *t)
{
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		if (t->subflows[i] != NULL && !group_subflow_idle(t->group, i))
			return true;
	return false;
}

/* ---- silence ---- */

/* The first question that was not answered yet, on any subflow; 0: none. */
static uint64_t
first_asked(const struct trunk *t)
{
	uint64_t first = 0;

	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		const struct trunk_subflow *f = t->subflows[i];

		if (f != NULL && f->silence.asked_us != 0 &&
		    (first == 0 || f->silence.asked_us < first))
			first = f->silence.asked_us;
	}
	return first;
}

static struct silence_facts
silence_facts(const struct trunk *t, const struct trunk_subflow *f,
    uint64_t asked)
{
	return (struct silence_facts){
		.heard_us = group_heard(t->group, f->number),
		.expects = group_subflow_expects(t->group, f->number),
		.moved_us = group_subflow_moved(t->group, f->number),
		.rtt_us = group_rtt_us(t->group),
		.beside_us = asked,
	};
}

/* When a subflow has been silent for long enough, for whatever is next. */
uint64_t
trunk_silence_deadline(const struct trunk *t)
{
	uint64_t at = GROUP_NEVER, asked = first_asked(t);

	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		const struct trunk_subflow *f = t->subflows[i];

		if (f == NULL)
			continue;
		struct silence_facts facts = silence_facts(t, f, asked);
		at = earlier(at, silence_due(&f->silence, &facts));
	}
	return at;
}

/* When the sessions have waited for long enough.  Subflows that are there and
 * silent are no better than none. */
uint64_t
trunk_expiry(const struct trunk *t)
{
	uint64_t since;

	if (t->alive == 0)
		return t->expires != 0 ? t->expires : GROUP_NEVER;
	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		const struct trunk_subflow *f = t->subflows[i];

		if (f != NULL && f->heard && !f->silence.silent)
			return GROUP_NEVER;
	}
	since = first_asked(t);
	return (since > t->heard_us ? since : t->heard_us) + t->resume_us;
}

static void
look_after(struct trunk *t, struct trunk_subflow *f, uint64_t asked,
    uint64_t now)
{
	struct silence_facts facts = silence_facts(t, f, asked);
	bool was_silent = f->silence.silent;
	enum silence_step step = silence_look(&f->silence, &facts, now);

	if (step == SILENCE_DEAD) {
		trunk_close_subflow(f, "no sign of life");
		return;
	}
	if (step == SILENCE_ASK)
		group_ping(t->group, f->number, now);
	if (f->silence.silent && !was_silent &&
	    t->callbacks->on_silent != NULL)
		t->callbacks->on_silent(t->user, f, true);
}

/* Only what is there is closed in here, so that `t` stays. */
void
trunk_look_after(struct trunk *t, uint64_t now)
{
	bool away = now > t->armed_us + AWAY_US;
	uint64_t asked;

	for (int i = 0; i < GROUP_SUBFLOWS && away; i++)
		if (t->subflows[i] != NULL)
			silence_pardon(&t->subflows[i]->silence, now);
	asked = first_asked(t);
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		if (t->subflows[i] != NULL)
			look_after(t, t->subflows[i], asked, now);
}
