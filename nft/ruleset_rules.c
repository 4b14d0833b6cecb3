/* SPDX-License-Identifier: ISC */
/*
 * How a packet goes through the table:
 *
 *	prerouting ──► lan ──► new ──► direct ──► tproxy or redirect
 *	                 └───► known (TPROXY: packets of connections we have)
 *	output ──────────────► own ──► direct ──► redirect
 *
 * What stays direct is accepted in chain `direct`, which ends our base chain
 * and leaves the packet as it was; what comes back from there is intercepted.
 *
 * Theory of TPROXY.  A SYN goes through the decisions.  All else does not: if
 * there is a transparent socket for exactly its addresses and ports, it belongs
 * to a connection that we took and goes there, whatever has changed since; if
 * not, the connection was never ours.  So connections older than the table, and
 * those that were let through, stay direct, and those that we have survive a
 * missed heartbeat.  What follows from it:
 *
 * - A SYN must not go to its socket first: one in TIME-WAIT would answer with
 *   an ACK, and the client have to reset that and try again, where the tproxy
 *   expression finds the listener at once.
 * - The lookup finds the listener too, for packets to its port at any address.
 *   They are let through before it, and that port is left out of those to
 *   intercept.  (`socket wildcard` would tell exactly, but until Linux 6.11 it
 *   leaks a reference whenever it meets a connection half open: "nft_socket:
 *   fix sk refcount leaks".)
 * - ICMP errors about our connections are looked up as well.  Without that, a
 *   small MTU behind the LAN would be a hole: the error is addressed to the
 *   server.
 * - Where nobody listens the tproxy expression ends the rule, so the mark comes
 *   behind it: a packet that is marked and has no socket would be lost.
 * - An ACK that brings back a SYN cookie has no socket and goes to the server,
 *   which resets.  The kernel sends cookies when more connections are half open
 *   than the listener's backlog has room for: a flood from the LAN.
 *
 * Theory of REDIRECT.  The chains are of type nat, so they see what the kernel
 * takes for the first packet of a connection.  Without a SYN that is a
 * connection in progress, older than its memory; translating would break it.
 *
 * Both kinds of base chain share all other chains: the expressions in them are
 * valid in both, except for the last one of `new` and `own`.
 */
#include "ruleset_private.h"

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "batch.h"
#include "rule.h"

#define HTTPS 443

/* ---- rules ---- */

/* iifname "lan0" goto lan */
static void
from_interface(struct batch *b, const char *name)
{
	struct rule r;

	rule_begin(&r, b, T, "prerouting", "from the clients");
	rule_input_interface(&r, name);
	rule_goto(&r, "lan");
	rule_end(&r);
}

/* tcp flags & (fin | syn | rst | ack) == syn goto new */
static void
new_connections(struct batch *b, const char *chain, const char *to)
{
	struct rule r;

	rule_begin(&r, b, T, chain, "new connections");
	rule_syn(&r);
	rule_goto(&r, to);
	rule_end(&r);
}

/* udp dport 443 @th,64,1 1 goto new
 *
 * The first bit is set in the packets that begin a connection (long header, RFC
 * 8999), and not in what else is known to use this port: WireGuard, OpenVPN,
 * DTLS.  QUIC connections in progress go on. */
static void
new_quic(struct batch *b, const char *chain, const char *to)
{
	struct rule r;

	rule_begin(&r, b, T, chain, "QUIC: new connections");
	rule_protocol(&r, IPPROTO_UDP);
	rule_port(&r, HTTPS);
	rule_first_bit_set(&r);
	rule_goto(&r, to);
	rule_end(&r);
}

/* tcp dport 1091 return */
static void
not_the_listener(struct batch *b, uint16_t port)
{
	struct rule r;

	rule_begin(&r, b, T, "lan", "the port of the listener: never ours");
	rule_protocol(&r, IPPROTO_TCP);
	rule_port(&r, port);
	rule_return(&r);
	rule_end(&r);
}

/* meta l4proto tcp goto known */
static void
look_for_socket(struct batch *b, uint8_t protocol, const char *comment)
{
	struct rule r;

	rule_begin(&r, b, T, "lan", comment);
	rule_protocol(&r, protocol);
	rule_goto(&r, "known");
	rule_end(&r);
}

/* socket transparent 1 meta mark set meta mark | 0x10000000 counter accept */
static void
known_connections(struct batch *b, const struct ruleset_plan *plan)
{
	struct rule r;

	rule_begin(&r, b, T, "known", "connections that rorod has");
	rule_transparent(&r);
	rule_mark(&r, plan->mark, plan->mask);
	rule_count(&r);
	rule_accept(&r);
	rule_end(&r);
}

/* jump direct */
static void
unless_direct(struct batch *b, const char *chain)
{
	struct rule r;

	rule_begin(&r, b, T, chain, "what stays direct ends there");
	rule_jump(&r, "direct");
	rule_end(&r);
}

/* meta l4proto udp counter reject with icmpx port-unreachable */
static void
refuse_quic(struct batch *b, const char *chain)
{
	struct rule r;

	rule_begin(&r, b, T, chain, "QUIC: refused, so that clients take TCP");
	rule_protocol(&r, IPPROTO_UDP);
	rule_count(&r);
	rule_reject(&r, NFT_REJECT_ICMPX_PORT_UNREACH);
	rule_end(&r);
}

/* meta l4proto tcp tproxy to :1091 meta mark set meta mark | 0x10000000
 *     counter accept */
static void
tproxy(struct batch *b, const struct ruleset_plan *plan)
{
	struct rule r;

	rule_begin(&r, b, T, "new", "to rorod; direct if it does not listen");
	rule_protocol(&r, IPPROTO_TCP);
	rule_tproxy(&r, plan->port);
	rule_mark(&r, plan->mark, plan->mask);
	rule_count(&r);
	rule_accept(&r);
	rule_end(&r);
}

/* meta l4proto tcp counter redirect to :1092 */
static void
redirect(struct batch *b, const char *chain, uint16_t port)
{
	struct rule r;

	rule_begin(&r, b, T, chain, "to rorod");
	rule_protocol(&r, IPPROTO_TCP);
	rule_count(&r);
	rule_redirect(&r, port);
	rule_end(&r);
}

/* meta mark & 0x10000000 == 0x10000000 accept */
static void
own_connections(struct batch *b, const struct ruleset_plan *plan)
{
	struct rule r;

	rule_begin(&r, b, T, "output",
	    "of rorod itself, or they would come back");
	rule_marked(&r, plan->mark, plan->mask);
	rule_accept(&r);
	rule_end(&r);
}

/* ---- rules of chain `direct` ---- */

/* meta nfproto != @intercepted counter accept */
static void
direct_if_not_intercepted(struct batch *b)
{
	struct rule r;

	rule_begin(&r, b, T, "direct",
	    "rorod takes none now, or is not there");
	rule_family_not_in(&r, ruleset_intercepted.name);
	rule_count(&r);
	rule_accept(&r);
	rule_end(&r);
}

/* fib daddr type != unicast accept */
static void
direct_if_local(struct batch *b)
{
	struct rule r;

	rule_begin(&r, b, T, "direct", "to this machine, broadcast, no route");
	rule_not_unicast(&r);
	rule_accept(&r);
	rule_end(&r);
}

/* ip daddr @bypass4 counter accept */
static void
direct_if_in(struct batch *b, const struct ruleset_family *f,
    const struct set *s)
{
	struct rule r;

	rule_begin(&r, b, T, "direct", s->comment);
	rule_destination_in(&r, f->nfproto, s->name);
	rule_count(&r);
	rule_accept(&r);
	rule_end(&r);
}

/* th dport != @ports accept */
static void
direct_if_other_port(struct batch *b)
{
	struct rule r;

	rule_begin(&r, b, T, "direct", "ports that stay direct");
	rule_port_not_in(&r, ruleset_ports.name);
	rule_accept(&r);
	rule_end(&r);
}

/* ip daddr . tcp dport vmap @refused4 */
static void
refused(struct batch *b, const struct ruleset_family *f)
{
	struct rule r;

	rule_begin(&r, b, T, "direct", f->refused.comment);
	rule_destination_verdict(&r, f->nfproto, f->refused.name);
	rule_end(&r);
}

/* ---- chains ---- */

/* meta l4proto tcp counter reject with tcp reset */
static void
refuse_reset(struct batch *b)
{
	struct rule r;

	rule_begin(&r, b, T, ruleset_refusals[RULESET_REFUSE_RESET],
	    "the server refused");
	rule_protocol(&r, IPPROTO_TCP);
	rule_count(&r);
	rule_reject_reset(&r);
	rule_end(&r);
}

/* counter reject with icmpx host-unreachable */
static void
refuse_icmp(struct batch *b, enum ruleset_refusal_kind kind, uint8_t code,
    const char *comment)
{
	struct rule r;

	rule_begin(&r, b, T, ruleset_refusals[kind], comment);
	rule_count(&r);
	rule_reject(&r, code);
	rule_end(&r);
}

/* chain refuse-reset { }, and so on */
static void
fill_refusals(struct batch *b)
{
	for (size_t i = 0; i < RULESET_NREFUSALS; i++)
		batch_add_chain(b, T, ruleset_refusals[i], NULL);
	refuse_reset(b);
	refuse_icmp(b, RULESET_REFUSE_NETWORK, NFT_REJECT_ICMPX_NO_ROUTE,
	    "there is no route to it");
	refuse_icmp(b, RULESET_REFUSE_HOST, NFT_REJECT_ICMPX_HOST_UNREACH,
	    "it does not answer there");
	refuse_icmp(b, RULESET_REFUSE_PROHIBITED,
	    NFT_REJECT_ICMPX_ADMIN_PROHIBITED, "somebody forbids it");
}

static void
fill_direct(struct batch *b, const struct ruleset_plan *plan)
{
	direct_if_not_intercepted(b);
	direct_if_local(b);
	FOR_EACH_FAMILY(f) {
		direct_if_in(b, f, &f->relays);
		direct_if_in(b, f, &f->bypass);
	}
	direct_if_other_port(b);
	FOR_EACH_FAMILY(f)
		if (plan->refused_max > 0)
			refused(b, f);
}

static void
fill_lan(struct batch *b, const struct ruleset_plan *plan)
{
	new_connections(b, "lan", "new");
	if (plan->reject_quic)
		new_quic(b, "lan", "new");
	if (plan->mode != RULESET_TPROXY)
		return;
	not_the_listener(b, plan->port);
	look_for_socket(b, IPPROTO_TCP, "connections in progress");
	look_for_socket(b, IPPROTO_ICMP, "errors, perhaps about one of them");
	look_for_socket(b, IPPROTO_ICMPV6, "errors, perhaps about one of them");
}

static void
fill_new(struct batch *b, const struct ruleset_plan *plan)
{
	unless_direct(b, "new");
	if (plan->reject_quic)
		refuse_quic(b, "new");
	if (plan->mode == RULESET_TPROXY)
		tproxy(b, plan);
	else
		redirect(b, "new", plan->port);
}

static void
fill_output(struct batch *b, const struct ruleset_plan *plan)
{
	own_connections(b, plan);
	new_connections(b, "output", "own");
	if (plan->reject_quic)
		new_quic(b, "output", "own");
}

static void
fill_own(struct batch *b, const struct ruleset_plan *plan)
{
	unless_direct(b, "own");
	if (plan->reject_quic)
		refuse_quic(b, "own");
	redirect(b, "own", plan->own_port);
}

/* chain prerouting {
 *     type filter hook prerouting priority dstnat + 5; policy accept; }
 * or, with REDIRECT, type nat; and what it needs.  All are there before a rule
 * names them, in the order in which one reads a listing. */
static void
add_prerouting(struct batch *b, const struct ruleset_plan *plan)
{
	const struct batch_base base = {
		.type = plan->mode == RULESET_TPROXY ? "filter" : "nat",
		.hook = NF_INET_PRE_ROUTING, .priority = RULESET_PRIORITY,
	};

	batch_add_base_chain(b, T, "prerouting", &base, NULL);
	batch_add_chain(b, T, "lan", NULL);
	if (plan->mode == RULESET_TPROXY)
		batch_add_chain(b, T, "known", NULL);
	batch_add_chain(b, T, "new", NULL);
}

static void
fill_prerouting(struct batch *b, const struct ruleset_plan *plan)
{
	for (size_t i = 0; i < plan->ninterfaces; i++)
		from_interface(b, plan->interfaces[i]);
	fill_lan(b, plan);
	if (plan->mode == RULESET_TPROXY)
		known_connections(b, plan);
	fill_new(b, plan);
}

/* chain output { type nat hook output priority -95; policy accept; } */
static void
add_output(struct batch *b)
{
	const struct batch_base base = {
		.type = "nat", .hook = NF_INET_LOCAL_OUT,
		.priority = RULESET_PRIORITY,
	};

	batch_add_base_chain(b, T, "output", &base, NULL);
	batch_add_chain(b, T, "own", NULL);
}

void
ruleset_add_chains(struct batch *b, const struct ruleset_plan *plan)
{
	if (plan->port != 0)
		add_prerouting(b, plan);
	if (plan->own_port != 0)
		add_output(b);
	batch_add_chain(b, T, "direct", "accepts what stays direct");
	if (plan->refused_max > 0)
		fill_refusals(b);
	if (plan->port != 0)
		fill_prerouting(b, plan);
	if (plan->own_port != 0) {
		fill_output(b, plan);
		fill_own(b, plan);
	}
	fill_direct(b, plan);
}

/* ct status dnat accept */
static void
keep_tracking(struct batch *b)
{
	struct rule r;

	rule_begin(&r, b, RULESET_KEEPER, "prerouting",
	    "so that connections are tracked");
	rule_translated(&r);
	rule_accept(&r);
	rule_end(&r);
}

/* table inet ro-ro-tcp-nat {
 *     chain prerouting { type nat hook prerouting priority dstnat + 5; } } */
void
ruleset_add_keeper(struct batch *b)
{
	const struct batch_base base = {
		.type = "nat", .hook = NF_INET_PRE_ROUTING,
		.priority = RULESET_PRIORITY,
	};

	batch_add_table(b, RULESET_KEEPER, 0,
	    "rorod: so that resets of redirected connections are translated");
	batch_add_base_chain(b, RULESET_KEEPER, "prerouting", &base, NULL);
	keep_tracking(b);
}
