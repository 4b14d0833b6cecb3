/* SPDX-License-Identifier: ISC */
/*
 * One rule: expressions in the order in which the kernel evaluates them, as nft
 * 1.0 writes them, so that every nft can list them.
 *
 *	struct rule r;
 *
 *	rule_begin(&r, batch, table, chain, "what it is for");
 *	rule_protocol(&r, IPPROTO_TCP);
 *	rule_accept(&r);
 *	rule_end(&r);
 *
 * A match that fails ends the rule.  Errors stay in the batch.
 */
#ifndef NFT_RULE_H
#define NFT_RULE_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct nftnl_rule;

struct rule {
	struct batch *batch;
	struct nftnl_rule *nl;	/* NULL: out of memory */
};

/* `comment` may be NULL. */
void rule_begin(struct rule *, struct batch *, const char *table,
    const char *chain, const char *comment);
/* Append the rule to its chain. */
void rule_end(struct rule *);

/* ---- matches ---- */

/* iifname "NAME", or "PREFIX*" */
void rule_input_interface(struct rule *, const char *name);
/* meta nfproto FAMILY: NFPROTO_IPV4 or NFPROTO_IPV6 */
void rule_family(struct rule *, uint8_t family);
/* meta nfproto != @SET */
void rule_family_not_in(struct rule *, const char *set);
/* meta l4proto PROTOCOL */
void rule_protocol(struct rule *, uint8_t protocol);
/* fib daddr type != unicast */
void rule_not_unicast(struct rule *);
/* ip daddr @SET, or ip6 daddr @SET; brings its match of the family along */
void rule_destination_in(struct rule *, uint8_t family, const char *set);
/* th dport != @SET */
void rule_port_not_in(struct rule *, const char *set);
/* th dport PORT; after rule_protocol() it lists as tcp or udp */
void rule_port(struct rule *, uint16_t port);
/* tcp flags & (fin | syn | rst | ack) == syn; brings its protocol along */
void rule_syn(struct rule *);
/* @th,64,1 1: the first bit that a datagram carries */
void rule_first_bit_set(struct rule *);
/* socket transparent 1 */
void rule_transparent(struct rule *);
/* meta mark & MASK == MARK */
void rule_marked(struct rule *, uint32_t mark, uint32_t mask);

/* ct status dnat; what asks so makes the kernel track connections */
void rule_translated(struct rule *);

/* ---- what it does ---- */

/* counter */
void rule_count(struct rule *);
/* meta mark set meta mark & ~MASK | MARK */
void rule_mark(struct rule *, uint32_t mark, uint32_t mask);
/* tproxy to :PORT */
void rule_tproxy(struct rule *, uint16_t port);
/* redirect to :PORT */
void rule_redirect(struct rule *, uint16_t port);
/* ip daddr . tcp dport vmap @MAP, or ip6; brings family and protocol along */
void rule_destination_verdict(struct rule *, uint8_t family, const char *map);
/* reject with tcp reset */
void rule_reject_reset(struct rule *);
/* reject with icmpx CODE: NFT_REJECT_ICMPX_* */
void rule_reject(struct rule *, uint8_t code);
/* accept; jump CHAIN; goto CHAIN; return */
void rule_accept(struct rule *);
void rule_jump(struct rule *, const char *chain);
void rule_goto(struct rule *, const char *chain);
void rule_return(struct rule *);

#endif
