/* SPDX-License-Identifier: ISC */
/*
 * A second is the beat of everything here: the gate is looked at, and every
 * other second the kernel is told that we live (table.h).  Without nft = yes
 * there is only the routing to look after.
 */
#include "gateway.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "core/wire.h"
#include "direct.h"
#include "instance.h"
#include "refused.h"
#include "routing.h"
#include "table.h"
#include "net/log.h"
#include "nft/bridge.h"
#include "nft/policy.h"

static_assert(GATE_IPV4 == RULESET_IPV4 && GATE_IPV6 == RULESET_IPV6 &&
    GATE_IPV4 == WIRE_FEATURE_IPV4 && GATE_IPV6 == WIRE_FEATURE_IPV6,
    "the same bits everywhere");

#define TICK_S 1.
#define BEATS_EVERY 2			/* ticks */
#define ANSWER_MS 200			/* the kernel's, about rules */

struct gateway {
	struct gateway_options options;
	struct direct direct;
	struct refused refused;
	struct routing *routing;	/* NULL: none of ours */
	struct table *table;		/* NULL: the rules are not ours */
	int claim_fd;			/* -1: likewise (instance.h) */

	struct gate gate;
	bool off;			/* the operator's word */
	unsigned blocked;		/* families, by bridges */
	unsigned diverted;		/* by rules of routing */
	unsigned families;		/* that the table was told to take */
	int ticks;
	ev_timer tick;
};

static const struct config_intercept *
intercept(const struct gateway *g)
{
	return &g->options.config->intercept;
}

/* ---- the beat ---- */

static void
beat(struct gateway *g, unsigned families)
{
	g->families = families;
	g->ticks = 0;
	table_beat(g->table, families);
}

/* Which family this machine takes from TPROXY, and by what; or "". */
static const char *
lacks(const struct gateway *g, unsigned families)
{
	unsigned missing = ~families;

	if (missing & g->blocked & GATE_IPV6)
		return ", IPv4 only: bridge-nf-call-ip6tables keeps TPROXY "
		    "from working";
	if (missing & g->diverted & GATE_IPV6)
		return ", IPv4 only: a rule of routing that comes before "
		    "TPROXY's leads elsewhere";
	if (missing & g->blocked & GATE_IPV4)
		return ", IPv6 only: bridge-nf-call-iptables keeps TPROXY "
		    "from working";
	if (missing & g->diverted & GATE_IPV4)
		return ", IPv6 only: a rule of routing that comes before "
		    "TPROXY's leads elsewhere";
	return "";
}

/* What follows "are intercepted", or "ready". */
static const char *
but_not_all(const struct gateway *g, unsigned families)
{
	const char *text = lacks(g, families);

	if (text[0] != '\0')
		return text;
	if ((families & GATE_IPV6) == 0)
		return ", IPv4 only: the relay has no route for IPv6";
	if ((families & GATE_IPV4) == 0)
		return ", IPv6 only: the relay has no IPv4";
	return "";
}

static void
log_gate(enum gate_reason before, const struct gateway *g, unsigned families)
{
	static struct log_limit limit = { .burst = 20 };
	bool ours = g->table != NULL;

	if (families != 0 && families != g->families)
		log_limited(&limit, LOG_LEVEL_INFO, "gateway: %s%s", ours ?
		    "new connections are intercepted" :
		    "ready for what the operator's rules intercept (nft = off)",
		    but_not_all(g, families));
	else if (families == 0 && (before != g->gate.reason ||
	    g->families != 0))
		log_limited(&limit, LOG_LEVEL_WARN, "gateway: %s: %s", ours ?
		    "new connections go directly" :
		    "not ready for what the operator's rules intercept "
		    "(nft = off)", gate_reason_text(g->gate.reason));
}

/* What on this machine keeps TPROXY from working, now. */
static void
look_around(struct gateway *g)
{
	const struct config_intercept *i = intercept(g);
	const struct route_plan plan = {
		.interfaces = (const char *const *)i->interfaces,
		.ninterfaces = i->ninterfaces,
		.mark = i->mark, .mask = i->mark,
		/* The operator's may be another one. */
		.table = i->route ? i->route_table : 0,
		.priority = i->route_priority,
		.ipv4 = true, .ipv6 = true,
	};

	g->blocked = g->diverted = 0;
	if (i->mode != CONFIG_TPROXY)
		return;
	g->blocked = bridge_families(plan.interfaces, plan.ninterfaces);
	g->diverted = policy_families(&plan, ANSWER_MS);
}

void
gateway_look(struct gateway *g)
{
	struct gate_input in = { .off = g->off, .blocked = g->blocked,
		.diverted = g->diverted };
	enum gate_reason before = g->gate.reason;
	unsigned families;

	g->options.on_look(g->options.user, &in);
	families = gate_update(&g->gate, &in, clock_us());
	log_gate(before, g, families);
	if (g->table == NULL)
		g->families = families;
	else if (families != g->families)
		beat(g, families);
}

static void
on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gateway *g = w->data;

	(void)loop;
	(void)revents;
	g->ticks++;
	if (g->claim_fd >= 0)
		instance_answer(g->claim_fd);
	look_around(g);
	gateway_look(g);
	/* While the gate is closed there is nothing to keep alive, but somebody
	 * may have removed the table. */
	if (g->table != NULL && g->ticks >= BEATS_EVERY)
		beat(g, g->families);
}

void
gateway_look_soon(struct gateway *g)
{
	ev_feed_event(g->options.loop, &g->tick, EV_TIMER);
}

/* ---- changes ---- */

void
gateway_configure(struct gateway *g, const struct config *c)
{
	g->options.config = c;
	if (g->routing != NULL)
		routing_configure(g->routing, c);
	if (g->table != NULL)
		table_configure(g->table, c);
}

void
gateway_relays(struct gateway *g, const struct addr *addrs, size_t n)
{
	if (direct_set_relays(&g->direct, addrs, n) != 0)
		log_warn("gateway: addresses of relays: out of memory");
	else if (g->table != NULL)
		table_update_relays(g->table);
}

void
gateway_refused(struct gateway *g, const struct addr *destination,
    uint8_t code)
{
	if (g->table != NULL && intercept(g)->refused)
		refused_add(&g->refused, g->table, destination, code);
}

/* ---- the operator ---- */

void
gateway_switch(struct gateway *g, bool on)
{
	g->off = !on;
	gateway_look(g);
}

/* Where the table has just been removed it is made anew, with the list. */
static int
update_bypass(struct gateway *g)
{
	int error = table_update_bypass(g->table);

	if (error != -ENOENT)
		return error;
	beat(g, g->families);
	error = table_update_bypass(g->table);
	return error == -ENOENT ? -ESTALE : error;
}

int
gateway_bypass_add(struct gateway *g, const struct addr_prefix *p)
{
	int error;

	if (g->table == NULL)
		return -EOPNOTSUPP;
	if ((error = direct_add(&g->direct, p)) != 0)
		return error;
	if ((error = update_bypass(g)) != 0)
		(void)direct_del(&g->direct, p);
	return error;
}

int
gateway_bypass_del(struct gateway *g, const struct addr_prefix *p)
{
	const struct addr_prefix was = *p;
	int error;

	if (g->table == NULL)
		return -EOPNOTSUPP;
	if ((error = direct_del(&g->direct, p)) != 0)
		return error;
	if ((error = update_bypass(g)) != 0)
		(void)direct_add(&g->direct, &was);
	return error;
}

const struct addr_prefix *
gateway_bypass(const struct gateway *g, size_t i)
{
	return direct_at(&g->direct, i);
}

void
gateway_status(const struct gateway *g, struct gateway_status *s)
{
	*s = (struct gateway_status){
		.rules = g->table != NULL && table_is_there(g->table),
		.families = g->families,
		.reason = g->gate.reason,
		.lacks = g->families == 0 ? "" : lacks(g, g->families),
		.refused = g->refused.count,
	};
}

/* ---- start and end ---- */

static bool
has_routing(const struct gateway *g)
{
	return intercept(g)->mode == CONFIG_TPROXY && intercept(g)->route;
}

/* false: another rorod runs, with a sentence. */
static bool
claim(struct gateway *g, char *error, size_t size)
{
	pid_t other;

	g->claim_fd = instance_claim(INSTANCE_NAME, &other);
	if (g->claim_fd == -EADDRINUSE) {
		snprintf(error, size, "gateway: another rorod runs here, as "
		    "process %ld", (long)other);
		return false;
	}
	if (g->claim_fd < 0)
		log_warn("gateway: another rorod would not be noticed: the "
		    "abstract socket \"" INSTANCE_NAME "\": %s",
		    g->claim_fd == -EPERM ? "a stranger has it" :
		    strerror(-g->claim_fd));
	return true;
}

static void
on_rules(void *user)
{
	gateway_look_soon(user);
}

static bool
start(struct gateway *g, const struct gateway_options *o, char *error,
    size_t size)
{
	/* Before routing, which would be taken from the other one. */
	if ((intercept(g)->nft || has_routing(g)) && !claim(g, error, size))
		return false;
	/* Of a run that was killed and had another mode. */
	if (g->claim_fd >= 0 && !has_routing(g))
		routing_clean();
	if (direct_set_relays(&g->direct, o->relays, o->nrelays) != 0) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return false;
	}
	/* Routing first: a packet that has a socket and no route is lost. */
	if (has_routing(g) &&
	    (g->routing = routing_new(&(struct routing_options){
	    .loop = o->loop, .config = o->config, .on_rules = on_rules,
	    .user = g }, error, size)) == NULL)
		return false;
	if (!intercept(g)->nft)
		return true;
	g->table = table_new(&(struct table_options){
		.loop = o->loop,
		.config = o->config,
		.direct = &g->direct,
		.port = o->port,
		.own_port = o->own_port,
	}, error, size);
	return g->table != NULL;
}

struct gateway *
gateway_new(const struct gateway_options *o, char *error, size_t size)
{
	struct gateway *g = calloc(1, sizeof(*g));

	if (g == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	g->options = *o;
	g->options.relays = NULL;	/* they are ours now */
	g->claim_fd = -1;
	gate_init(&g->gate);
	ev_init(&g->tick, on_tick);
	g->tick.data = g;
	if (!start(g, o, error, size)) {
		gateway_free(g);
		return NULL;
	}
	look_around(g);
	ev_timer_set(&g->tick, TICK_S, TICK_S);
	ev_timer_start(o->loop, &g->tick);
	return g;
}

void
gateway_free(struct gateway *g)
{
	if (g == NULL)
		return;
	ev_timer_stop(g->options.loop, &g->tick);
	table_free(g->table);
	routing_free(g->routing);
	direct_free(&g->direct);
	if (g->claim_fd >= 0)
		close(g->claim_fd);
	free(g);
}
