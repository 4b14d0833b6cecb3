/* SPDX-License-Identifier: ISC */
/*
 * The kernel answers a message that failed, and says nothing of those that did
 * not: acknowledging each (NLM_F_ACK) would fill the receive buffer with a
 * large batch.  So after the batch comes a question whose answer is certain,
 * and what arrived before it is all there is.  (The end of the batch itself is
 * acknowledged only since Linux 6.10.)
 *
 * Which object failed is read from the batch, which we still have: the answer
 * has the number of the message and, for expressions of rules, where in it.
 */
#include "transact.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>

#include "batch.h"
#include "netlink.h"

struct transact {
	int fd;
	uint32_t seq;		/* of the next message */
};

/* ---- what a message is about ---- */

struct subject {
	const struct nlmsghdr *message;
	const struct nlattr *attributes[NFTA_RULE_MAX + 1];
};

static uint16_t
operation(const struct nlmsghdr *h)
{
	return h->nlmsg_type & 0xff;	/* without the subsystem */
}

static bool
is_nf_tables(const struct nlmsghdr *h)
{
	return h->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES;
}

/* All attributes have lower numbers than those of a rule. */
static void
read_subject(struct subject *s, const struct nlmsghdr *h)
{
	const struct nlattr *a;

	*s = (struct subject){ .message = h };
	if (!is_nf_tables(h))
		return;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(a) <= NFTA_RULE_MAX)
			s->attributes[mnl_attr_get_type(a)] = a;
}

/* The string of an attribute, or "?". */
static const char *
string(const struct subject *s, unsigned attribute)
{
	const struct nlattr *a = s->attributes[attribute];

	if (a == NULL || memchr(mnl_attr_get_payload(a), '\0',
	    mnl_attr_get_payload_len(a)) == NULL)
		return "?";
	return mnl_attr_get_str(a);
}

/* The comment that rule.c gave to a rule, or "". */
static const char *
comment(const struct subject *s)
{
	const struct nlattr *a = s->attributes[NFTA_RULE_USERDATA];
	const char *bytes;

	if (a == NULL || mnl_attr_get_payload_len(a) < 3)
		return "";
	bytes = mnl_attr_get_payload(a);	/* type, length, string */
	return bytes[mnl_attr_get_payload_len(a) - 1] == '\0' ? bytes + 2 : "";
}

/* The name of the expression at `offset` of the message, or NULL. */
static const char *
expression(const struct subject *s, uint32_t offset)
{
	const struct nlattr *all = s->attributes[NFTA_RULE_EXPRESSIONS];
	const char *start = (const char *)s->message;
	const struct nlattr *e, *a;

	if (all == NULL || offset == 0)
		return NULL;
	mnl_attr_for_each_nested(e, all) {
		if (offset < (size_t)((const char *)e - start) ||
		    offset >= (size_t)((const char *)mnl_attr_next(e) - start))
			continue;
		mnl_attr_for_each_nested(a, e)
			if (mnl_attr_get_type(a) == NFTA_EXPR_NAME)
				return mnl_attr_get_str(a);
	}
	return NULL;
}

static void
say_rule(const struct subject *s, uint32_t offset, char *into, size_t size)
{
	const char *what = expression(s, offset);
	int n = 0;

	if (what != NULL)
		n = snprintf(into, size, "expression %s of ", what);
	snprintf(into + n, size - (size_t)n, "rule \"%s\" of chain %s",
	    comment(s), string(s, NFTA_RULE_CHAIN));
}

static void
say_subject(const struct subject *s, uint32_t offset, char *into, size_t size)
{
	switch (operation(s->message)) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_DELTABLE:
		break;		/* it is named with all others */
	case NFT_MSG_NEWCHAIN:
		snprintf(into, size, "chain %s", string(s, NFTA_CHAIN_NAME));
		break;
	case NFT_MSG_NEWRULE:
		say_rule(s, offset, into, size);
		break;
	case NFT_MSG_NEWSET:
		snprintf(into, size, "set %s", string(s, NFTA_SET_NAME));
		break;
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		snprintf(into, size, "elements of set %s",
		    string(s, NFTA_SET_ELEM_LIST_SET));
		break;
	default:
		snprintf(into, size, "message %u", operation(s->message));
	}
}

/* Where everything but a table itself is. */
static const char *
table_of(const struct subject *s)
{
	static_assert((int)NFTA_TABLE_NAME == (int)NFTA_RULE_TABLE &&
	    (int)NFTA_CHAIN_TABLE == (int)NFTA_RULE_TABLE &&
	    (int)NFTA_SET_TABLE == (int)NFTA_RULE_TABLE &&
	    (int)NFTA_SET_ELEM_LIST_TABLE == (int)NFTA_RULE_TABLE,
	    "the first attribute of all");
	return string(s, NFTA_RULE_TABLE);
}

/* ---- what went wrong ---- */

static const struct nlmsghdr *
message_of(const struct batch *b, uint32_t number)
{
	const void *at = b->data;
	size_t left = b->used;

	for (uint32_t i = 0; i < b->messages; i++) {
		const struct nlmsghdr *h = at;
		size_t step = MNL_ALIGN(h->nlmsg_len);

		if (i == number)
			return h;
		at = (const char *)at + step;
		left -= step;
	}
	assert(left == 0);
	return NULL;
}

/* The words of strerror() do not fit what the kernel means here. */
static const char *
reason(const struct subject *s, int error)
{
	switch (error) {
	case -ENOENT:
		if (operation(s->message) == NFT_MSG_NEWRULE)
			return "this kernel has no such expression, or is "
			    "without the module for it";
		return "it is not there";
	case -ENFILE:
		return "the set is full";
	case -EOPNOTSUPP:
		return "this kernel does not support it";
	case -EEXIST:
		return "it is there already, otherwise or in part";
	}
	return strerror(-error);
}

/* The batch as a whole: what belongs to none of its messages is said of the
 * first. */
static void
say_whole(int error, const char *text, struct transact_failure *failure)
{
	snprintf(failure->text, sizeof(failure->text), "nf_tables: %s%s%s",
	    error == -EPERM ? "not permitted (CAP_NET_ADMIN is needed)" :
	    strerror(-error), *text != '\0' ? ": " : "", text);
}

static void
say_message(const struct subject *s, int error, uint32_t offset,
    const char *text, struct transact_failure *failure)
{
	char what[TRANSACT_TEXT_MAX / 2] = "";

	say_subject(s, offset, what, sizeof(what));
	snprintf(failure->text, sizeof(failure->text),
	    "nf_tables: table inet %s%s%s: %s%s%s", table_of(s),
	    what[0] != '\0' ? ", " : "", what, reason(s, error),
	    *text != '\0' ? ": " : "", text);
}

static bool
is_table_with_flags(const struct subject *s)
{
	return operation(s->message) == NFT_MSG_NEWTABLE &&
	    s->attributes[NFTA_TABLE_FLAGS] != NULL;
}

enum transact_result
transact_judge(const struct batch *b, uint32_t number, int error,
    uint32_t offset, const char *text, struct transact_failure *failure)
{
	const struct nlmsghdr *h = message_of(b, number);
	struct subject s;

	failure->error = error;
	if (h == NULL || !is_nf_tables(h)) {
		say_whole(error, text, failure);
		return TRANSACT_FAILED;
	}
	read_subject(&s, h);
	/* What we may not do at all, the first message would have said. */
	if (error == -EPERM) {
		snprintf(failure->text, sizeof(failure->text), "table inet %s "
		    "belongs to another process: is another rorod running?",
		    table_of(&s));
		return TRANSACT_OTHER_INSTANCE;
	}
	say_message(&s, error, offset, text, failure);
	/* Since Linux 5.12 the former, before the latter. */
	if ((error == -EOPNOTSUPP || error == -EINVAL) &&
	    is_table_with_flags(&s))
		return TRANSACT_NO_OWNER;
	return TRANSACT_FAILED;
}

/* ---- sending ---- */

struct transact *
transact_open(int *error)
{
	struct transact *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	t->fd = netlink_open(NETLINK_NETFILTER, 0);
	if (t->fd < 0) {
		*error = t->fd;
		free(t);
		return NULL;
	}
	t->seq = 1;
	*error = 0;
	return t;
}

uint32_t
transact_port(const struct transact *t)
{
	struct sockaddr_nl us = { 0 };
	socklen_t len = sizeof(us);

	if (getsockname(t->fd, (struct sockaddr *)&us, &len) == -1)
		return 0;
	return us.nl_pid;
}

void
transact_close(struct transact *t)
{
	if (t == NULL)
		return;
	close(t->fd);
	free(t);
}

/* Number the messages from t->seq on; returns the first. */
static uint32_t
number_messages(struct transact *t, struct batch *b)
{
	uint32_t first = t->seq;
	uint8_t *at = b->data;

	for (uint32_t i = 0; i < b->messages; i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)at;

		h->nlmsg_seq = t->seq++;
		at += MNL_ALIGN(h->nlmsg_len);
	}
	return first;
}

/* A question about the generation of the ruleset, to be acknowledged: what
 * arrives before that belongs to the batch. */
static int
send_barrier(struct transact *t, uint32_t *seq)
{
	char m[MNL_ALIGN(sizeof(struct nlmsghdr)) +
	    MNL_ALIGN(sizeof(struct nfgenmsg))]
	    __attribute__((aligned(MNL_ALIGNTO)));
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(m, NFT_MSG_GETGEN,
	    NFPROTO_UNSPEC, NLM_F_ACK, t->seq);

	*seq = t->seq++;
	return netlink_send(t->fd, h, h->nlmsg_len);
}

/* What the answers have said so far. */
struct answers {
	uint32_t first, barrier;	/* numbers */
	bool over;			/* the barrier was acknowledged */
	bool failed;
	struct netlink_reply failure;	/* the first */
};

/* A number of another batch, whose answer came late, is none of ours: unsigned
 * arithmetic makes it large. */
static void
take_answers(struct answers *a, struct netlink_cursor c)
{
	struct netlink_reply r;

	while (netlink_next(&c, &r) != NETLINK_END) {
		if (r.kind != NETLINK_ACK)
			continue;
		if (r.seq == a->barrier)
			a->over = true;
		else if (r.error != 0 && !a->failed &&
		    r.seq - a->first < a->barrier - a->first) {
			a->failed = true;
			a->failure = r;
			a->failure.seq -= a->first;
		}
	}
}

/*
 * 0, or -errno when the answer is not known.
 *
 * When the receive buffer overruns, the kernel drops answers until all that is
 * in it has been read, the barrier's among them; so then another follows.  What
 * was dropped was an error, since nothing else is sent.
 */
static int
collect(struct transact *t, struct answers *a, int64_t deadline_ms)
{
	union netlink_buffer buffer;
	bool overrun = false;
	int lost = 0;

	while (!a->over) {
		ssize_t n = netlink_receive(t->fd, buffer.bytes,
		    sizeof(buffer), overrun ? 0 : deadline_ms);

		if (n == -ENOBUFS || n == -EMSGSIZE) {
			lost = (int)n;
			overrun = true;
			continue;
		}
		if (n == -ETIMEDOUT && overrun) {
			overrun = false;
			n = send_barrier(t, &a->barrier);
		}
		if (n < 0)
			return (int)n;
		take_answers(a, (struct netlink_cursor){ buffer.bytes,
		    (size_t)n });
	}
	return a->failed ? 0 : lost;
}

static enum transact_result
fail(struct transact_failure *failure, int error, const char *doing)
{
	failure->error = error;
	snprintf(failure->text, sizeof(failure->text), "nf_tables: %s: %s",
	    doing, strerror(-error));
	return TRANSACT_FAILED;
}

enum transact_result
transact_send(struct transact *t, struct batch *b, int timeout_ms,
    struct transact_failure *failure)
{
	struct answers a = { .first = number_messages(t, b) };
	int error;

	assert(b->error == 0);
	*failure = (struct transact_failure){ 0 };
	if ((error = netlink_send(t->fd, b->data, b->used)) != 0)
		return fail(failure, error, "cannot send");
	if ((error = send_barrier(t, &a.barrier)) != 0)
		return fail(failure, error, "cannot ask what became of it");
	error = collect(t, &a, netlink_now_ms() + timeout_ms);
	if (error != 0)
		return fail(failure, error, "the answer was lost");
	if (!a.failed)
		return TRANSACT_DONE;
	return transact_judge(b, a.failure.seq, a.failure.error,
	    a.failure.offset, a.failure.text, failure);
}
