/* SPDX-License-Identifier: ISC */
/*
 * Which destinations a relay connects to.  Ordered rules come first; the first
 * that matches decides.  When none does, special ranges (loopback, private,
 * link-local, multicast, documentation, ... IANA special-purpose registries,
 * RFC 6890) and the relay's own addresses are denied, everything else is
 * permitted.
 *
 * A rule with a prefix decides for all that the prefix holds.  "any" stands for
 * what may be reached anyway: a permit for it opens no special range and no own
 * address, so that `permit(any, "80,443")` before `deny(any, any)` limits the
 * ports and nothing else.
 *
 * An IPv6 address that embeds an IPv4 one (64:ff9b::/96 RFC 6052, 2002::/16
 * RFC 3056, 2001::/32 RFC 4380) is judged by both, and denied if either is;
 * the inner one is not looked at when the permit for the outer one is by an
 * IPv6 prefix at least as long as the embedding one (so "64:ff9b::/96" opens
 * all that a translator reaches).  A v4-mapped address is judged as the IPv4
 * one; 64:ff9b:1::/48 (RFC 8215) is a special range, since only its owner knows
 * where it holds the IPv4 address.
 */
#ifndef CORE_ACL_H
#define CORE_ACL_H

#include "addr.h"

struct acl_ports {
	uint16_t first, last;	/* both included */
};

/* "80" or "8000-8999".  0, or -EINVAL, also when it ends before it begins. */
int acl_ports_parse(struct acl_ports *, const char *text);

struct acl_rule {
	bool permit;
	struct addr_prefix prefix;
	struct acl_ports *ports;	/* owned by the acl; NULL: every port */
	size_t nports;
};

struct acl;

/* Why a destination was denied, for the one log line. */
enum acl_verdict {
	ACL_PERMIT,
	ACL_DENY_RULE,		/* by a deny rule */
	ACL_DENY_SPECIAL,	/* a special range, or family 0 */
	ACL_DENY_SELF,		/* one of our own addresses */
	ACL_DENY_PORT,		/* port 0 */
};

/* No rules.  NULL if out of memory; acl_free() accepts NULL. */
struct acl *acl_new(void);
void acl_free(struct acl *);

/* Append a rule.  `prefix` is "any" (both families) or as addr_prefix_parse();
 * `ports` is "any", or numbers and ranges with commas, without spaces:
 * "80,443,8000-8999".
 * 0, -EINVAL or -ENOMEM. */
int acl_add(struct acl *, bool permit, const char *prefix, const char *ports);

/* Is this destination allowed?  `own` are the relay's own addresses (their
 * ports are not looked at); a NULL acl has no rules. */
enum acl_verdict acl_check(const struct acl *, const struct addr *destination,
    const struct addr *own, size_t nown);

/* A word for the log: "permitted", "denied by rule", ... */
const char *acl_verdict_text(enum acl_verdict);

#endif
