/* SPDX-License-Identifier: ISC */
/*
 * A second is the beat of everything here: the gate is looked at, and every
 * other second the kernel is told that we live.  What the kernel was told lasts
 * ALIVE_MS, so a daemon that hangs lets go after that.
 *
 * The table should be there as long as we are.  Owned by our socket it is;
 * where it cannot be, somebody may remove it (a firewall that is loaded again),
 * and the keeper is anybody's.  When the kernel says that it happened, they are
 * put back at once: without them, packets of connections that we have go to
 * servers, which reset.  What the kernel did not say the next heartbeat finds
 * out.
 *
 * Without nft = yes there is only the routing to look after.
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
#include "routing.h"
#include "net/log.h"
#include "nft/batch.h"
#include "nft/bridge.h"
#include "nft/ruleset.h"
#include "nft/transact.h"
#include "nft/watch.h"

static_assert(GATE_IPV4 == RULESET_IPV4 && GATE_IPV6 == RULESET_IPV6 &&
    GATE_IPV4 == WIRE_FEATURE_IPV4 && GATE_IPV6 == WIRE_FEATURE_IPV6,
    "the same bits everywhere");

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define TICK_S 1.
#define BEATS_EVERY 2			/* ticks */
#define ALIVE_MS 6000
#define ANSWER_MS 1000			/* the kernel's */
#define MEND_S 1.			/* not more often than that, rules are
					 * installed again */
#define REFUSED_MS 5000
#define REFUSED_MAX 1024		/* of each family */
#define REFUSED_REST_US UINT64_C(1000000)	/* when they are full */
#define PREFIX_BYTES 256		/* of a batch, for each */

struct gateway {
	struct gateway_options options;
	struct transact *transact;	/* NULL: the rules are not ours */
	bool owner;			/* the table is our socket's alone */
	bool installed;
	uint8_t *buffer;		/* of every batch */
	size_t buffer_size;

	struct gate gate;
	bool off;			/* the operator's word */
	unsigned blocked;		/* families, by bridges */
	unsigned families;		/* that the kernel was told to take */
	int ticks;
	uint64_t refused;
	uint64_t refused_rest_us;	/* no more until then */

	struct routing *routing;	/* NULL: none of ours */
	ev_timer tick;

	int tables_fd;			/* -1: not watched */
	bool damaged;			/* somebody removed what is ours */
	ev_timer mend;			/* active: not again so soon */
	ev_io tables;

	struct ruleset_prefix *bypass;	/* all that the kernel has */
	size_t nbypass;
	struct ruleset_prefix *relays;	/* direct as well */
	size_t nrelays;
	struct addr_prefix *extra;	/* those of the operator, at run time */
	size_t nextra;
};

/* Special ranges, never of use on the other side, and private ones, which may
 * be.  Both as in nft/redirect.nft.  ::/80 holds the v4-mapped addresses, whose
 * own prefix would be read as that of all IPv4 addresses. */
static const char *const special[] = {
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24",
	"224.0.0.0/3", "::/80", "100::/64", "fe80::/10", "ff00::/8",
};
static const char *const private[] = {
	"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16",
	"198.18.0.0/15", "64:ff9b:1::/48", "fc00::/7",
};

static const struct config_intercept *
intercept(const struct gateway *g)
{
	return &g->options.config->intercept;
}

/* ---- prefixes ---- */

static struct ruleset_prefix
to_ruleset(const struct addr_prefix *p)
{
	struct ruleset_prefix r = { .family = p->family,
		.length = p->length };

	memcpy(r.ip, p->ip, sizeof(r.ip));
	return r;
}

static void
append_texts(struct ruleset_prefix *to, size_t *n, const char *const texts[],
    size_t ntexts)
{
	struct addr_prefix p;

	for (size_t i = 0; i < ntexts; i++)
		if (addr_prefix_parse(&p, texts[i]) == 0)
			to[(*n)++] = to_ruleset(&p);
}

/* All that should stay direct; the caller's to free.  NULL: out of memory. */
static struct ruleset_prefix *
collect_bypass(const struct gateway *g, size_t *n)
{
	const struct config_intercept *c = intercept(g);
	struct ruleset_prefix *all = calloc(LENGTH(special) + LENGTH(private) +
	    c->nbypass + g->nextra, sizeof(*all));

	*n = 0;
	if (all == NULL)
		return NULL;
	append_texts(all, n, special, LENGTH(special));
	if (!c->private)
		append_texts(all, n, private, LENGTH(private));
	for (size_t i = 0; i < c->nbypass; i++)
		all[(*n)++] = to_ruleset(&c->bypass[i]);
	for (size_t i = 0; i < g->nextra; i++)
		all[(*n)++] = to_ruleset(&g->extra[i]);
	return all;
}

static struct ruleset_prefix
host_prefix(const struct addr *a)
{
	struct ruleset_prefix p = { .family = a->family,
		.length = a->family == 4 ? 32 : 128 };

	memcpy(p.ip, a->ip, sizeof(p.ip));
	return p;
}

/* ---- transactions ---- */

/* Room for `n` prefixes and what comes with them.  0 or -ENOMEM. */
static int
make_room(struct gateway *g, size_t n)
{
	size_t size = RULESET_BUFFER + n * PREFIX_BYTES;
	uint8_t *new;

	if (size <= g->buffer_size)
		return 0;
	if ((new = realloc(g->buffer, size)) == NULL)
		return -ENOMEM;
	g->buffer = new;
	g->buffer_size = size;
	return 0;
}

/* `built` is what a function of ruleset.h returned.  0, or -errno with *text. */
static int
commit(struct gateway *g, struct batch *b, int built,
    struct transact_failure *failure)
{
	enum transact_result result;

	failure->text[0] = '\0';
	if (built != 0) {
		failure->error = built;
		snprintf(failure->text, sizeof(failure->text), "%s",
		    strerror(-built));
		return built;
	}
	result = transact_send(g->transact, b, ANSWER_MS, failure);
	if (result == TRANSACT_DONE)
		return 0;
	return failure->error != 0 ? failure->error : -EIO;
}

static void
complain(const char *what, const struct transact_failure *failure)
{
	static struct log_limit limit;

	log_limited(&limit, LOG_LEVEL_WARN, "gateway: %s: %s", what,
	    failure->text);
}

/* ---- the table ---- */

static struct ruleset_ports *
to_ports(const struct acl_ports *ports, size_t n)
{
	struct ruleset_ports *to = calloc(n > 0 ? n : 1, sizeof(*to));

	for (size_t i = 0; to != NULL && i < n; i++)
		to[i] = (struct ruleset_ports){ ports[i].first,
			ports[i].last };
	return to;
}

static enum transact_result
send_table(struct gateway *g, const struct ruleset_plan *plan,
    struct transact_failure *failure)
{
	const char *fault = ruleset_fault(plan);
	struct batch b;
	int built;

	if (fault != NULL) {
		failure->error = -EINVAL;
		snprintf(failure->text, sizeof(failure->text), "%s", fault);
		return TRANSACT_FAILED;
	}
	built = ruleset_install(&b, g->buffer, g->buffer_size, plan);
	if (built != 0) {
		failure->error = built;
		snprintf(failure->text, sizeof(failure->text), "%s",
		    strerror(-built));
		return TRANSACT_FAILED;
	}
	return transact_send(g->transact, &b, ANSWER_MS, failure);
}

/* The whole table, in place of one that is there. */
static enum transact_result
install_table(struct gateway *g, struct transact_failure *failure)
{
	const struct config_intercept *c = intercept(g);
	struct ruleset_ports *only = to_ports(c->ports, c->nports);
	struct ruleset_ports *except = to_ports(c->except_ports,
	    c->nexcept_ports);
	struct ruleset_prefix *bypass;
	enum transact_result result = TRANSACT_FAILED;
	size_t nbypass;

	bypass = collect_bypass(g, &nbypass);
	if (only == NULL || except == NULL || bypass == NULL ||
	    make_room(g, nbypass + g->nrelays + c->nports +
	    c->nexcept_ports) != 0) {
		failure->error = -ENOMEM;
		snprintf(failure->text, sizeof(failure->text), "%s",
		    strerror(ENOMEM));
	} else {
		struct ruleset_plan plan = {
			.mode = c->mode == CONFIG_TPROXY ? RULESET_TPROXY :
			    RULESET_REDIRECT,
			.owner = g->owner,
			.port = g->options.port,
			.own_port = g->options.own_port,
			.interfaces = (const char *const *)c->interfaces,
			.ninterfaces = c->ninterfaces,
			.only = only, .nonly = c->nports,
			.except = except, .nexcept = c->nexcept_ports,
			.bypass = bypass, .nbypass = nbypass,
			.relays = g->relays, .nrelays = g->nrelays,
			.mark = c->mark, .mask = c->mark,
			.reject_quic = c->reject_quic,
			.refused_max = c->refused ? REFUSED_MAX : 0,
			.families = g->families,
			.alive_ms = ALIVE_MS,
		};

		result = send_table(g, &plan, failure);
		if (result == TRANSACT_NO_OWNER) {
			log_warn("gateway: this kernel has no owned tables");
			plan.owner = g->owner = false;
			result = send_table(g, &plan, failure);
		}
	}
	if (result == TRANSACT_DONE) {
		g->installed = true;
		free(g->bypass);
		g->bypass = bypass;
		g->nbypass = nbypass;
		bypass = NULL;
	}
	free(only);
	free(except);
	free(bypass);
	return result;
}

/* Somebody has removed the table, or some of it. */
static void
install_again(struct gateway *g)
{
	static struct log_limit limit = { .burst = 3 };
	struct transact_failure failure;

	log_limited(&limit, LOG_LEVEL_WARN, "gateway: others have removed "
	    "rules of ours: installing them again");
	g->damaged = false;
	g->installed = false;
	if (install_table(g, &failure) != TRANSACT_DONE)
		complain("cannot install the rules", &failure);
}

static void
mend(struct gateway *g)
{
	install_again(g);
	ev_timer_set(&g->mend, MEND_S, 0.);
	ev_timer_start(g->options.loop, &g->mend);
}

static void
on_mend(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gateway *g = w->data;

	(void)loop;
	(void)revents;
	if (g->damaged)
		mend(g);
}

static void
on_tables(struct ev_loop *loop, ev_io *w, int revents)
{
	struct gateway *g = w->data;
	bool removed;
	int error = watch_tables_read(g->tables_fd, transact_port(g->transact),
	    &removed);

	(void)revents;
	if (error != 0) {
		log_warn("gateway: tables are not watched any more: %s",
		    strerror(-error));
		ev_io_stop(loop, w);
		return;
	}
	if (!removed)
		return;
	g->damaged = true;
	if (!ev_is_active(&g->mend))
		mend(g);
}

/* Without, the heartbeat finds out. */
static void
watch_tables(struct gateway *g)
{
	if ((g->tables_fd = watch_tables_open()) < 0) {
		log_warn("gateway: tables cannot be watched: %s",
		    strerror(-g->tables_fd));
		g->tables_fd = -1;
		return;
	}
	ev_io_init(&g->tables, on_tables, g->tables_fd, EV_READ);
	g->tables.data = g;
	ev_io_start(g->options.loop, &g->tables);
}

static void
unwatch_tables(struct gateway *g)
{
	ev_timer_stop(g->options.loop, &g->mend);
	if (g->tables_fd == -1)
		return;
	ev_io_stop(g->options.loop, &g->tables);
	close(g->tables_fd);
}

static void
remove_table(struct gateway *g)
{
	struct transact_failure failure;
	struct batch b;

	if (commit(g, &b, ruleset_remove(&b, g->buffer, g->buffer_size),
	    &failure) != 0)
		complain("cannot remove the rules", &failure);
}

/* ---- the beat ---- */

/* Intercept these families from now on, for ALIVE_MS. */
static void
beat(struct gateway *g, unsigned families)
{
	struct transact_failure failure;
	struct batch b;
	int error;

	g->families = families;
	g->ticks = 0;
	if (!g->installed) {
		install_again(g);
		return;
	}
	error = commit(g, &b, ruleset_heartbeat(&b, g->buffer, g->buffer_size,
	    families, ALIVE_MS), &failure);
	if (error == -ENOENT)
		install_again(g);
	else if (error != 0)
		complain("heartbeat", &failure);
}

/* What follows "are intercepted". */
static const char *
but_not_all(unsigned families, unsigned blocked)
{
	if ((families & GATE_IPV6) == 0)
		return blocked & GATE_IPV6 ? ", IPv4 only: "
		    "bridge-nf-call-ip6tables keeps TPROXY from working" :
		    ", IPv4 only: the relay has no route for IPv6";
	if ((families & GATE_IPV4) == 0)
		return blocked & GATE_IPV4 ? ", IPv6 only: "
		    "bridge-nf-call-iptables keeps TPROXY from working" :
		    ", IPv6 only: the relay has no IPv4";
	return "";
}

static void
log_gate(enum gate_reason before, const struct gateway *g, unsigned families,
    unsigned blocked)
{
	static struct log_limit limit = { .burst = 20 };

	if (families != 0 && families != g->families)
		log_limited(&limit, LOG_LEVEL_INFO, "gateway: new connections "
		    "are intercepted%s", but_not_all(families, blocked));
	else if (families == 0 && (before != g->gate.reason ||
	    g->families != 0))
		log_limited(&limit, LOG_LEVEL_WARN, "gateway: new connections "
		    "go directly: %s", gate_reason_text(g->gate.reason));
}

static void
look_at_bridges(struct gateway *g)
{
	g->blocked = intercept(g)->mode != CONFIG_TPROXY ? 0 : bridge_families(
	    (const char *const *)intercept(g)->interfaces,
	    intercept(g)->ninterfaces);
}

void
gateway_look(struct gateway *g)
{
	struct gate_input in = { .off = g->off, .blocked = g->blocked };
	enum gate_reason before = g->gate.reason;
	unsigned families;

	g->options.on_look(g->options.user, &in);
	families = gate_update(&g->gate, &in, clock_us());
	log_gate(before, g, families, in.blocked);
	if (g->transact == NULL)
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
	look_at_bridges(g);
	gateway_look(g);
	/* While the gate is closed there is nothing to keep alive, but somebody
	 * may have removed the table. */
	if (g->transact != NULL && g->ticks >= BEATS_EVERY)
		beat(g, g->families);
}

/* ---- changes ---- */

/* Let the kernel's bypass sets be what they should be. */
static int
update_bypass(struct gateway *g, struct transact_failure *failure)
{
	struct ruleset_prefix *now;
	struct batch b;
	size_t n;
	int error;

	if ((now = collect_bypass(g, &n)) == NULL)
		return -ENOMEM;
	if (make_room(g, n + g->nbypass) != 0) {
		free(now);
		return -ENOMEM;
	}
	error = commit(g, &b, ruleset_bypass(&b, g->buffer, g->buffer_size,
	    (struct ruleset_prefixes){ g->bypass, g->nbypass },
	    (struct ruleset_prefixes){ now, n }), failure);
	if (error != 0) {
		free(now);
		return error;
	}
	free(g->bypass);
	g->bypass = now;
	g->nbypass = n;
	return 0;
}

void
gateway_configure(struct gateway *g, const struct config *c)
{
	struct transact_failure failure;

	g->options.config = c;
	if (g->routing != NULL)
		routing_configure(g->routing, c);
	if (g->transact != NULL && install_table(g, &failure) != TRANSACT_DONE)
		complain("cannot install the rules", &failure);
}

/* 0 or -ENOMEM. */
static int
take_relays(struct gateway *g, const struct addr *addrs, size_t n)
{
	struct ruleset_prefix *new = calloc(n > 0 ? n : 1, sizeof(*new));

	if (new == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		new[i] = host_prefix(&addrs[i]);
	free(g->relays);
	g->relays = new;
	g->nrelays = n;
	return 0;
}

void
gateway_relays(struct gateway *g, const struct addr *addrs, size_t n)
{
	struct transact_failure failure = { .text = "out of memory" };
	struct batch b;
	int error = take_relays(g, addrs, n);

	if (error == 0 && g->transact == NULL)
		return;
	if (error == 0)
		error = make_room(g, n);
	if (error == 0)
		error = commit(g, &b, ruleset_relays(&b, g->buffer,
		    g->buffer_size, (struct ruleset_prefixes){ g->relays,
		    g->nrelays }), &failure);
	if (error != 0 && error != -ENOENT)	/* the beat sees to that */
		complain("addresses of relays", &failure);
}

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
gateway_refused(struct gateway *g, const struct addr *destination,
    uint8_t code)
{
	struct ruleset_refusal refusal = { .family = destination->family,
		.port = destination->port, .timeout_ms = REFUSED_MS };
	struct transact_failure failure;
	struct batch b;
	int error;

	if (g->transact == NULL || !intercept(g)->refused ||
	    !kind_of(code, &refusal.kind))
		return;
	memcpy(refusal.ip, destination->ip, sizeof(refusal.ip));
	g->refused++;
	/* A transaction that fails takes the kernel long (15 ms measured). */
	if (clock_us() < g->refused_rest_us)
		return;
	error = commit(g, &b, ruleset_refuse(&b, g->buffer, g->buffer_size,
	    &refusal), &failure);
	if (error == -ENFILE)
		g->refused_rest_us = clock_us() + REFUSED_REST_US;
	/* No room, there already, or the table is gone: the beat sees to it. */
	if (error != 0 && error != -ENFILE && error != -EEXIST &&
	    error != -ENOENT)
		complain("refused destinations", &failure);
}

/* ---- the operator ---- */

void
gateway_switch(struct gateway *g, bool on)
{
	g->off = !on;
	gateway_look(g);
}

static size_t
find_extra(const struct gateway *g, const struct addr_prefix *p)
{
	size_t i = 0;

	while (i < g->nextra && (g->extra[i].family != p->family ||
	    g->extra[i].length != p->length ||
	    memcmp(g->extra[i].ip, p->ip, sizeof(p->ip)) != 0))
		i++;
	return i;
}

int
gateway_bypass_add(struct gateway *g, const struct addr_prefix *p)
{
	struct transact_failure failure;
	struct addr_prefix *new;
	int error;

	if (g->transact == NULL)
		return -EOPNOTSUPP;
	if (find_extra(g, p) < g->nextra)
		return -EEXIST;
	if (g->nextra == GATEWAY_BYPASS_MAX)
		return -ENOSPC;
	new = realloc(g->extra, (g->nextra + 1) * sizeof(*new));
	if (new == NULL)
		return -ENOMEM;
	g->extra = new;
	g->extra[g->nextra++] = *p;
	if ((error = update_bypass(g, &failure)) != 0)
		g->nextra--;
	return error;
}

int
gateway_bypass_del(struct gateway *g, const struct addr_prefix *p)
{
	struct transact_failure failure;
	struct addr_prefix was;
	size_t i = find_extra(g, p);
	int error;

	if (g->transact == NULL)
		return -EOPNOTSUPP;
	if (i == g->nextra)
		return -ENOENT;
	was = g->extra[i];
	g->extra[i] = g->extra[--g->nextra];
	if ((error = update_bypass(g, &failure)) != 0)
		g->extra[g->nextra++] = was;
	return error;
}

const struct addr_prefix *
gateway_bypass(const struct gateway *g, size_t i)
{
	return i < g->nextra ? &g->extra[i] : NULL;
}

void
gateway_status(const struct gateway *g, struct gateway_status *s)
{
	*s = (struct gateway_status){
		.rules = g->transact != NULL && g->installed,
		.families = g->families,
		.reason = g->gate.reason,
		.refused = g->refused,
	};
}

/* ---- start and end ---- */

static bool
has_routing(const struct gateway *g)
{
	return intercept(g)->mode == CONFIG_TPROXY && intercept(g)->route;
}

static bool
start_rules(struct gateway *g, char *error, size_t size)
{
	struct transact_failure failure;
	int result;

	if ((g->transact = transact_open(&result)) == NULL) {
		snprintf(error, size, "gateway: netlink: %s",
		    strerror(-result));
		return false;
	}
	switch (install_table(g, &failure)) {
	case TRANSACT_DONE:
		if (!g->owner)
			log_warn("gateway: the rules are not owned "
			    "(nft-owner): after a crash, new connections are "
			    "intercepted for up to %d s", ALIVE_MS / 1000);
		watch_tables(g);
		return true;
	case TRANSACT_OTHER_INSTANCE:
		snprintf(error, size, "gateway: another rorod runs here: it "
		    "owns the table \"" RULESET_TABLE "\"");
		break;
	default:
		snprintf(error, size, "gateway: cannot install the rules: %s",
		    failure.text);
	}
	transact_close(g->transact);
	g->transact = NULL;
	return false;
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
	g->owner = intercept(g)->nft_owner;
	g->tables_fd = -1;
	gate_init(&g->gate);
	ev_init(&g->tick, on_tick);
	ev_init(&g->mend, on_mend);
	g->tick.data = g->mend.data = g;
	if (take_relays(g, o->relays, o->nrelays) != 0) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		gateway_free(g);
		return NULL;
	}
	/* Routing first: a packet that has a socket and no route is lost. */
	if ((has_routing(g) && (g->routing = routing_new(o->loop, o->config,
	    error, size)) == NULL) ||
	    (intercept(g)->nft && !start_rules(g, error, size))) {
		gateway_free(g);
		return NULL;
	}
	look_at_bridges(g);
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
	unwatch_tables(g);
	if (g->transact != NULL)
		remove_table(g);
	transact_close(g->transact);
	routing_free(g->routing);
	free(g->buffer);
	free(g->bypass);
	free(g->extra);
	free(g->relays);
	free(g);
}
