/* SPDX-License-Identifier: ISC */
/*
 * The turn.  One event brings what other subflows and legs have to carry, so
 * after each of them all would have to be offered something.  With a thousand
 * events in one turn of the loop that is done once, at its end, by a prepare
 * watcher: it runs after all callbacks of the turn and before the loop waits.
 * So bytes that came together also leave together.
 *
 * Ready sessions are looked at before the subflows are pumped, because what
 * they hand on makes ACKs; pumping can make sessions ready again (there is
 * room), so both are repeated, but not for ever.
 *
 * Sessions wait for a subflow that the peer was heard on.  One that a relay
 * takes and closes again, time after time, would keep them for ever.
 */
#include "trunk.h"

#include <stdlib.h>

#include "clock.h"
#include "net/log.h"
#include "net/reap.h"
#include "net/sockopt.h"
#include "trunk_private.h"

#define ROUNDS 8
#define SHED_US UINT64_C(250000)
#define IDLE_MIN_US UINT64_C(20000)
#define IDLE_MAX_US UINT64_C(1000000)
/* What is due but cannot leave waits for a subflow to become writable, which is
 * an event of its own; looking sooner would be spinning. */
#define TICK_MIN_US UINT64_C(5000)
#define RESUME_LAST_US UINT64_C(4000000)

void
trunk_change(struct trunk *t)
{
	t->changed = true;
}

static void
on_leg_change(struct leg_host *host)
{
	trunk_change(list_object(host, struct trunk, host));
}

/* ---- the turn ---- */

/* false: no session was ready. */
static bool
serve_sessions(struct trunk *t)
{
	struct session *s;
	bool some = false;

	while ((s = group_ready(t->group)) != NULL) {
		struct leg *leg = session_user(s);

		some = true;
		if (leg != NULL)
			leg_update(leg);
		else if (t->callbacks->on_session != NULL)
			t->callbacks->on_session(t->user, s);
	}
	return some;
}

static void
pump(struct trunk *t)
{
	for (int i = 0; i < GROUP_SUBFLOWS; i++)
		if (t->subflows[i] != NULL)
			subflow_pump(t->subflows[i]->subflow);
}

static void
shed(struct trunk *t)
{
	uint64_t now = clock_us();

	while (budget_yields(t->budget) && group_shed(t->group, now))
		t->callbacks->on_shed(t->user);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Nothing is left to say, but the last of it is still under way, and closing
 * the subflows would catch up with it. */
static uint64_t
idle_us(const struct trunk *t)
{
	uint64_t us = 2 * group_rtt_us(t->group);

	if (us < IDLE_MIN_US)
		return IDLE_MIN_US;
	return us > IDLE_MAX_US ? IDLE_MAX_US : us;
}

static void
note_idle(struct trunk *t)
{
	if (!t->draining || t->host.count > 0 || group_sessions(t->group) > 0)
		t->idle_since = 0;
	else if (t->idle_since == 0)
		t->idle_since = clock_us();
}

static void
arm(struct trunk *t)
{
	uint64_t now = clock_us(), at = group_deadline(t->group);

	at = earlier(at, trunk_silence_deadline(t));
	if (trunk_has_to_look(t))
		at = earlier(at, t->look_at);
	at = earlier(at, trunk_expiry(t));
	if (budget_level(t->budget) == BUDGET_OVER)
		at = earlier(at, now + SHED_US);
	if (t->idle_since != 0 && !t->idle_told)
		at = earlier(at, t->idle_since + idle_us(t));
	if (t->changed || at < now + TICK_MIN_US)
		at = now + TICK_MIN_US;
	t->armed_us = at;
	ev_timer_stop(t->loop, &t->timer);
	if (at == GROUP_NEVER)
		return;
	ev_timer_set(&t->timer, (double)(at - now) / 1e6, 0.);
	ev_timer_start(t->loop, &t->timer);
}

/* Facts that the role has to know; it may free us. */
static void
report(struct trunk *t)
{
	const struct trunk_callbacks *c = t->callbacks;
	uint32_t features;
	int path;

	if (group_take_features(t->group, &features) && c->on_features != NULL)
		c->on_features(t->user, features);
	while (c->on_path != NULL && (path = group_path_news(t->group)) >= 0)
		c->on_path(t->user, (uint8_t)path);
	if (group_draining(t->group) && !t->drain_told) {
		t->drain_told = true;
		if (c->on_peer_drain != NULL)
			c->on_peer_drain(t->user);
	}
	if (!t->dead && !t->idle_told && t->idle_since != 0 &&
	    clock_us() >= t->idle_since + idle_us(t)) {
		t->idle_told = true;
		if (c->on_idle != NULL)
			c->on_idle(t->user);
	}
}

static void
turn(struct trunk *t)
{
	shed(t);
	trunk_look_at_tcp(t);
	for (int i = 0; serve_sessions(t) || i == 0; i++) {
		t->changed = i == ROUNDS;	/* the rest next time */
		if (t->changed)
			break;
		trunk_pace(t);
		pump(t);
	}
	note_idle(t);
	arm(t);
	report(t);
}

static void
on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct trunk *t = w->data;

	(void)loop;
	(void)revents;
	if (t->changed)
		turn(t);
}

/* ---- time ---- */

void
trunk_close_subflow(struct trunk_subflow *f, const char *why)
{
	struct trunk *t = f->trunk;

	subflow_close(f->subflow);
	f->subflow = NULL;
	trunk_detach(f);
	t->callbacks->on_lost(t->user, f, why);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct trunk *t = w->data;
	uint64_t now = clock_us();
	size_t sessions;

	(void)loop;
	(void)revents;
	t->changed = true;
	group_tick(t->group, now);
	trunk_look_after(t, now);
	if (now < trunk_expiry(t))
		return;
	t->expires = 0;
	sessions = group_sessions(t->group);
	trunk_reset(t, WIRE_CODE_TIMEOUT);
	if (t->callbacks->on_expired != NULL)
		t->callbacks->on_expired(t->user, sessions);
}

/* ---- subflows ---- */

int
trunk_attach(struct trunk *t, struct trunk_subflow *f)
{
	uint64_t now = clock_us();
	int replaced;
	int number = group_attach(t->group, f->path, f->slot, now, &replaced);

	if (number < 0)
		return number;
	f->trunk = t;
	f->number = number;
	t->subflows[number] = f;
	t->up++;
	group_path_rate(t->group, f->path, f->rate_bps / 8);
	trunk_look_at_one(t, f, now);	/* the first window may be
					 * a large one */
	if (!t->proxy) {	/* it was heard, or would not be up */
		f->heard = true;
		t->alive++;
	}
	/* A sign of life each way, at once: the peer's first frame says that
	 * the group exists. */
	group_ping(t->group, number, now);
	silence_asked(&f->silence, now);
	if (replaced >= 0)
		trunk_close_subflow(t->subflows[replaced],
		    "replaced by a newer one");
	trunk_change(t);
	return 0;
}

void
trunk_detach(struct trunk_subflow *f)
{
	struct trunk *t = f->trunk;
	uint64_t now = clock_us(), since;

	if (t == NULL)
		return;
	if (f->heard && --t->alive == 0) {
		since = f->silence.silent ? f->silence.asked_us : now;
		t->expires = (since > t->heard_us ? since : t->heard_us) +
		    t->resume_us;
	}
	group_detach(t->group, f->number, now);
	t->subflows[f->number] = NULL;
	t->up--;
	*f = (struct trunk_subflow){ .subflow = f->subflow, .path = f->path,
		.slot = f->slot, .rate_bps = f->rate_bps };
	for (int i = 0; i < GROUP_SUBFLOWS; i++)	/* its share is free */
		if (t->subflows[i] != NULL)
			t->subflows[i]->pacer.pacing = 0;
	trunk_change(t);
}

void
trunk_rate(struct trunk_subflow *f, uint64_t rate_bps)
{
	if (f->rate_bps == rate_bps)
		return;
	f->rate_bps = rate_bps;
	if (f->trunk == NULL)
		return;
	group_path_rate(f->trunk->group, f->path, rate_bps / 8);
	f->pacer.pacing = 0;		/* shares are others now */
	if (rate_bps == 0)
		sockopt_pacing(subflow_fd(f->subflow), UINT64_MAX);
	trunk_change(f->trunk);
}

void
trunk_path(struct trunk *t, uint8_t path, const struct wire_path *is)
{
	group_path(t->group, path, is, clock_us());
	trunk_change(t);
}

struct wire_path
trunk_path_said(const struct trunk *t, uint8_t path)
{
	return group_path_said(t->group, path);
}

void
trunk_path_state(const struct trunk *t, uint8_t path, struct trunk_path *p)
{
	*p = (struct trunk_path){
		.poor = group_path_poor(t->group, path),
		.counts = group_path_counts(t->group, path),
	};
	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		if (t->subflows[i] == NULL || t->subflows[i]->path != path)
			continue;
		uint32_t rtt_us = group_subflow_health(t->group, i).rtt_us;

		p->up++;
		p->moving += !group_subflow_suspect(t->group, i);
		p->used = p->used || group_subflow_used(t->group, i);
		if (rtt_us != 0 && (p->rtt_us == 0 || rtt_us < p->rtt_us))
			p->rtt_us = rtt_us;
	}
}

unsigned int
trunk_up(const struct trunk *t)
{
	return t->up;
}

bool
trunk_has(const struct trunk *t, uint8_t path, uint8_t slot)
{
	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		const struct trunk_subflow *f = t->subflows[i];

		if (f != NULL && f->path == path && f->slot == slot)
			return true;
	}
	return false;
}

bool
trunk_waits(const struct trunk *t)
{
	return t->alive > 0 || t->expires != 0;
}

void
trunk_tell_features(struct trunk *t, const struct trunk_subflow *f,
    uint32_t features)
{
	group_tell_features(t->group, f != NULL ? f->number : -1, features);
	trunk_change(t);
}

bool
trunk_answers(const struct trunk *t)
{
	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		const struct trunk_subflow *f = t->subflows[i];

		if (f != NULL && f->silence.silent &&
		    t->heard_us < f->silence.first_us)
			return false;
	}
	return t->up > 0;
}

void
trunk_ask(struct trunk *t, uint64_t every_us)
{
	uint64_t now = clock_us();
	bool asked[PATHS] = { false };
	int first = -1;

	if (t->up == 0 || now < t->asked_us + every_us)
		return;
	t->asked_us = now;
	for (int n = 1; n <= GROUP_SUBFLOWS; n++) {
		int i = (t->asked + n) % GROUP_SUBFLOWS;
		struct trunk_subflow *f = t->subflows[i];

		if (f == NULL || asked[f->path] || f->silence.asked_us != 0 ||
		    !group_subflow_used(t->group, i))
			continue;
		asked[f->path] = true;
		if (first < 0)
			first = i;
		group_ping(t->group, i, now);
		silence_asked(&f->silence, now);
	}
	if (first >= 0)
		t->asked = first;
	trunk_change(t);
}

int
trunk_take(struct subflow *subflow, const uint8_t *bytes, size_t len)
{
	struct trunk_subflow *f = subflow_user(subflow);
	struct trunk *t = f->trunk;
	const struct metrics *m = group_metrics(t->group);
	uint64_t faults = m->protocol_errors, now = clock_us();
	int used;

	if (!f->heard) {
		f->heard = true;
		t->alive++;
		if (t->callbacks->on_heard != NULL)
			t->callbacks->on_heard(t->user, f);
	}
	t->changed = true;
	t->heard_us = now;
	if (silence_heard(&f->silence) && t->callbacks->on_silent != NULL)
		t->callbacks->on_silent(t->user, f, false);
	used = group_take(t->group, f->number, bytes, len, now);
	/* (What is wrong with the subflow itself is said when it is closed.) */
	if (used >= 0 && m->protocol_errors != faults)
		t->callbacks->on_fault(t->user);
	return used;
}

size_t
trunk_fill(struct subflow *subflow, uint8_t *out, size_t room)
{
	struct trunk_subflow *f = subflow_user(subflow);

	return group_fill(f->trunk->group, f->number, out, room, clock_us());
}

void
trunk_event(struct subflow *subflow)
{
	struct trunk_subflow *f = subflow_user(subflow);

	trunk_change(f->trunk);
}

/* ---- begin and end ---- */

/* A link that is back at the last moment is not found before the next attempt
 * (redial.h), and then two round trips are missing. */
static uint64_t
resume_us(uint32_t resume_ms)
{
	uint64_t us = resume_ms * UINT64_C(1000);

	return us + (us / 4 < RESUME_LAST_US ? us / 4 : RESUME_LAST_US);
}

struct trunk *
trunk_new(const struct trunk_options *o)
{
	struct trunk *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->group = group_new(&o->group);
	if (t->group == NULL) {
		free(t);
		return NULL;
	}
	t->loop = o->loop;
	t->proxy = o->group.proxy;
	t->budget = o->group.budget;
	t->callbacks = o->callbacks;
	t->user = o->user;
	t->resume_us = resume_us(o->resume_ms);
	t->expires = clock_us() + o->first_ms * UINT64_C(1000);
	t->host.loop = o->loop;
	t->host.hangup = o->hangup;
	t->host.keepalive_s = o->keepalive_s;
	t->host.traffic = o->traffic;
	t->host.on_change = on_leg_change;
	leg_host_init(&t->host);
	ev_init(&t->timer, on_timer);
	ev_prepare_init(&t->prepare, on_prepare);
	t->timer.data = t->prepare.data = t;
	ev_prepare_start(t->loop, &t->prepare);
	t->changed = true;
	return t;
}

static void
free_trunk(struct reap_entry *entry)
{
	free(entry);
}

void
trunk_free(struct trunk *t)
{
	if (t == NULL)
		return;
	leg_abort_all(&t->host, WIRE_CODE_OK);
	pump(t);
	for (int i = 0; i < GROUP_SUBFLOWS; i++) {
		struct trunk_subflow *f = t->subflows[i];

		if (f == NULL)
			continue;
		subflow_close(f->subflow);
		f->subflow = NULL;
		trunk_detach(f);
	}
	ev_prepare_stop(t->loop, &t->prepare);
	ev_timer_stop(t->loop, &t->timer);
	t->dead = true;
	group_free(t->group);	/* its budget may not live as long as we */
	reap_later(&t->reap, free_trunk);
}

void
trunk_configure(struct trunk *t, uint32_t keepalive_s, uint32_t resume_ms)
{
	t->host.keepalive_s = keepalive_s;
	t->resume_us = resume_us(resume_ms);
}

void
trunk_redundancy(struct trunk *t, uint32_t burst_bytes, uint32_t bytes_per_s)
{
	group_redundancy(t->group, burst_bytes, bytes_per_s, clock_us());
}

void
trunk_drain(struct trunk *t)
{
	t->draining = true;
	group_drain(t->group);
	trunk_change(t);
}

void
trunk_reset(struct trunk *t, uint8_t code)
{
	group_reset_all(t->group, code, clock_us());
	(void)serve_sessions(t);
	trunk_change(t);
}

struct group *
trunk_group(struct trunk *t)
{
	return t->group;
}

struct leg_host *
trunk_host(struct trunk *t)
{
	return &t->host;
}
