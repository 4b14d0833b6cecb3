/* SPDX-License-Identifier: ISC */
/*
 * What the kernel answers, and what we make of it.  No kernel is asked.
 */
#include "nft/transact.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <libmnl/libmnl.h>

#include <cmocka.h>

#include "nft/batch.h"
#include "nft/netlink.h"
#include "nft/ruleset.h"

static uint32_t memory[16384];
static struct batch batch;

static const char *const lan[] = { "lan0" };

static void
install(bool owner)
{
	const struct ruleset_plan plan = {
		.mode = RULESET_TPROXY, .owner = owner, .port = 1091,
		.interfaces = lan, .ninterfaces = 1, .mark = 1, .mask = 1,
		.families = RULESET_IPV4, .alive_ms = 8000,
		.refused_max = 10,
	};

	assert_int_equal(ruleset_install(&batch, memory, sizeof(memory),
	    &plan), 0);
}

/* ---- messages of the kernel ---- */

static union netlink_buffer incoming;

/* An answer to a request of `request` bytes, the whole of which is in it unless
 * it is capped; details may be added to it. */
static struct nlmsghdr *
answer(void *at, uint32_t seq, int error, size_t request, bool capped)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(at);
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(h, sizeof(*e));

	h->nlmsg_type = NLMSG_ERROR;
	h->nlmsg_seq = seq;
	e->error = error;
	e->msg.nlmsg_len = (uint32_t)request;
	if (capped)
		h->nlmsg_flags = NLM_F_CAPPED;
	else
		memset(mnl_nlmsg_put_extra_header(h,
		    request - sizeof(e->msg)), 0x7f,
		    request - sizeof(e->msg));
	return h;
}

static void
add_details(struct nlmsghdr *h, uint32_t offset, const char *text)
{
	h->nlmsg_flags |= NLM_F_ACK_TLVS;
	mnl_attr_put_strz(h, NLMSGERR_ATTR_MSG, text);
	mnl_attr_put_u32(h, NLMSGERR_ATTR_OFFS, offset);
}

static struct netlink_cursor
all(size_t len)
{
	return (struct netlink_cursor){ incoming.bytes, len };
}

static void
an_answer_has_a_number_an_error_and_details(void **state)
{
	struct netlink_reply r;

	(void)state;
	for (int capped = 0; capped < 2; capped++) {
		struct nlmsghdr *h = answer(incoming.bytes, 77, -ENOENT, 123,
		    capped);

		add_details(h, 40, "no \x1b[1m such");
		struct netlink_cursor c = all(h->nlmsg_len);
		assert_int_equal(netlink_next(&c, &r), NETLINK_ACK);
		assert_int_equal(r.seq, 77);
		assert_int_equal(r.error, -ENOENT);
		assert_int_equal(r.offset, 40);
		assert_string_equal(r.text, "no ?[1m such");
		assert_int_equal(netlink_next(&c, &r), NETLINK_END);
	}
}

static void
details_are_read_only_where_the_kernel_says_that_there_are_some(void **state)
{
	struct nlmsghdr *h = answer(incoming.bytes, 1, -EINVAL, 16, true);
	struct netlink_reply r;

	(void)state;
	add_details(h, 40, "text");
	h->nlmsg_flags = NLM_F_CAPPED;
	struct netlink_cursor c = all(h->nlmsg_len);
	assert_int_equal(netlink_next(&c, &r), NETLINK_ACK);
	assert_int_equal(r.offset, 0);
	assert_string_equal(r.text, "");
}

static void
a_long_text_is_cut(void **state)
{
	char text[3 * NETLINK_TEXT_MAX];
	struct nlmsghdr *h = answer(incoming.bytes, 1, -EINVAL, 16, true);
	struct netlink_reply r;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	add_details(h, 0, text);
	struct netlink_cursor c = all(h->nlmsg_len);
	assert_int_equal(netlink_next(&c, &r), NETLINK_ACK);
	assert_int_equal(strlen(r.text), NETLINK_TEXT_MAX - 1);
}

static void
a_datagram_holds_several_messages(void **state)
{
	uint8_t *at = incoming.bytes;
	struct netlink_reply r;
	struct nlmsghdr *h;

	(void)state;
	h = answer(at, 1, -EEXIST, 16, true);
	at += MNL_ALIGN(h->nlmsg_len);
	h = mnl_nlmsg_put_header(at);
	h->nlmsg_type = NLMSG_NOOP;
	at += MNL_ALIGN(h->nlmsg_len);
	h = mnl_nlmsg_put_header(at);
	h->nlmsg_type = 0x1234;
	h->nlmsg_flags = NLM_F_DUMP_INTR;
	at += MNL_ALIGN(h->nlmsg_len);
	struct nlmsghdr *done = mnl_nlmsg_put_header(at);
	done->nlmsg_type = NLMSG_DONE;
	*(int32_t *)mnl_nlmsg_put_extra_header(done, 4) = -ENOBUFS;
	at += MNL_ALIGN(done->nlmsg_len);

	struct netlink_cursor c = all((size_t)(at - incoming.bytes));
	assert_int_equal(netlink_next(&c, &r), NETLINK_ACK);
	assert_int_equal(netlink_next(&c, &r), NETLINK_IGNORED);
	assert_int_equal(netlink_next(&c, &r), NETLINK_DATA);
	assert_int_equal(r.type, 0x1234);
	assert_true(r.interrupted);
	assert_ptr_equal(r.message, h);
	assert_int_equal(netlink_next(&c, &r), NETLINK_DUMP_DONE);
	assert_int_equal(r.error, -ENOBUFS);
	assert_int_equal(netlink_next(&c, &r), NETLINK_END);
}

static void
an_error_is_always_negative(void **state)
{
	static const int errors[][2] = {
		{ 0, 0 }, { -ENOENT, -ENOENT }, { -4095, -4095 },
		{ -4096, -EPROTO }, { INT32_MIN, -EPROTO }, { 2, -EPROTO },
	};
	struct netlink_reply r;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct nlmsghdr *h = answer(incoming.bytes, 1, errors[i][0],
		    16, true);
		struct netlink_cursor c = all(h->nlmsg_len);

		assert_int_equal(netlink_next(&c, &r), NETLINK_ACK);
		assert_int_equal(r.error, errors[i][1]);
	}
}

static void
a_length_beyond_all_bounds_is_the_end(void **state)
{
	struct nlmsghdr *h = answer(incoming.bytes, 1, -EINVAL, 16, true);
	struct netlink_cursor c = all(h->nlmsg_len);
	struct netlink_reply r;

	(void)state;
	h->nlmsg_len = UINT32_MAX;
	assert_int_equal(netlink_next(&c, &r), NETLINK_END);
	h->nlmsg_len = 0x80000010;
	assert_int_equal(netlink_next(&c, &r), NETLINK_END);
}

/* Sanitizers see a read past the end. */
static void
nothing_is_read_past_the_end(void **state)
{
	struct nlmsghdr *h = answer(incoming.bytes, 1, -EINVAL, 60, false);

	(void)state;
	add_details(h, 40, "text");
	const size_t whole = h->nlmsg_len;
	for (size_t len = 0; len <= whole; len++) {
		for (int says_so = 0; says_so < 2; says_so++) {
			struct netlink_reply r;
			void *exact = malloc(len > 0 ? len : 1);

			assert_non_null(exact);
			memcpy(exact, incoming.bytes, len);
			if (says_so && len >= sizeof(*h))
				((struct nlmsghdr *)exact)->nlmsg_len =
				    (uint32_t)len;
			struct netlink_cursor c = { exact, len };
			while (netlink_next(&c, &r) != NETLINK_END)
				;
			free(exact);
		}
	}
}

/* ---- what it means ---- */

static bool
is(const struct nlmsghdr *h, int type)
{
	return h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type);
}

/* The number of the n-th message of a type. */
static uint32_t
number_of(int type, int n)
{
	const uint8_t *at = batch.data;

	for (uint32_t i = 0; i < batch.messages; i++) {
		const struct nlmsghdr *h = (const void *)at;

		if (is(h, type) && n-- == 0)
			return i;
		at += MNL_ALIGN(h->nlmsg_len);
	}
	fail();
	return 0;
}

static struct transact_failure failure;

static enum transact_result
judge(uint32_t number, int error)
{
	return transact_judge(&batch, number, error, 0, "", &failure);
}

static void
assert_says(const char *part)
{
	if (strstr(failure.text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", failure.text, part);
}

static void
a_table_of_somebody_else_is_told_apart_from_a_lack_of_privilege(void **state)
{
	(void)state;
	install(true);
	assert_int_equal(judge(number_of(NFT_MSG_NEWTABLE, 0), -EPERM),
	    TRANSACT_OTHER_INSTANCE);
	assert_says("another rorod");
	assert_int_equal(failure.error, -EPERM);
	assert_int_equal(judge(0, -EPERM), TRANSACT_FAILED);
	assert_says("CAP_NET_ADMIN");
}

static void
a_kernel_without_owners_is_told(void **state)
{
	(void)state;
	install(true);
	const uint32_t flagged = number_of(NFT_MSG_NEWTABLE, 1);
	assert_int_equal(judge(flagged, -EOPNOTSUPP), TRANSACT_NO_OWNER);
	assert_int_equal(judge(flagged, -EINVAL), TRANSACT_NO_OWNER);
	assert_int_equal(judge(flagged, -ENOMEM), TRANSACT_FAILED);
	assert_int_equal(judge(number_of(NFT_MSG_NEWTABLE, 0), -EOPNOTSUPP),
	    TRANSACT_FAILED);
	install(false);
	assert_int_equal(judge(number_of(NFT_MSG_NEWTABLE, 1), -EOPNOTSUPP),
	    TRANSACT_FAILED);
}

static void
what_failed_is_named(void **state)
{
	(void)state;
	install(true);
	assert_int_equal(judge(number_of(NFT_MSG_NEWCHAIN, 0), -ENOMEM),
	    TRANSACT_FAILED);
	assert_string_equal(failure.text, "nf_tables: table inet ro-ro-tcp, "
	    "chain prerouting: Cannot allocate memory");
	judge(number_of(NFT_MSG_DELTABLE, 0), -EBUSY);
	assert_string_equal(failure.text, "nf_tables: table inet ro-ro-tcp: "
	    "Device or resource busy");
	judge(number_of(NFT_MSG_NEWSET, 1), -EINVAL);
	assert_says("table inet ro-ro-tcp, set ports: ");
	judge(number_of(NFT_MSG_NEWSETELEM, 0), -ENFILE);
	assert_says("elements of set intercepted");
	assert_says("full");
	transact_judge(&batch, number_of(NFT_MSG_NEWRULE, 0), -EINVAL, 0,
	    "because", &failure);
	assert_says("rule \"");
	assert_says(": because");
	assert_int_equal(judge(batch.messages, -EINVAL), TRANSACT_FAILED);
}

/* The offset of the n-th expression's attribute in a rule. */
static uint32_t
offset_of(uint32_t number, int n)
{
	const uint8_t *at = batch.data;
	const struct nlattr *a, *e;

	for (uint32_t i = 0; i < number; i++)
		at += MNL_ALIGN(((const struct nlmsghdr *)(const void *)
		    at)->nlmsg_len);
	mnl_attr_for_each(a, (const struct nlmsghdr *)(const void *)at,
	    sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(a) == NFTA_RULE_EXPRESSIONS)
			mnl_attr_for_each_nested(e, a)
				if (n-- == 0)
					return (uint32_t)((const uint8_t *)e -
					    at);
	fail();
	return 0;
}

static void
the_expression_that_a_kernel_lacks_is_named(void **state)
{
	(void)state;
	install(true);
	/* iifname "lan0" goto lan: meta, cmp, immediate */
	for (int i = 0; i < 50; i++) {
		uint32_t number = number_of(NFT_MSG_NEWRULE, i);

		transact_judge(&batch, number, -ENOENT, offset_of(number, 0),
		    "", &failure);
		assert_says("expression ");
		assert_says("without the module");
		if (strstr(failure.text, "expression socket of rule "
		    "\"connections that rorod has\" of chain known") != NULL)
			return;
	}
	fail_msg("no rule begins with socket");
}

static void
any_offset_is_harmless(void **state)
{
	(void)state;
	install(true);
	for (uint32_t offset = 0; offset < 2000; offset++)
		for (uint32_t number = 0; number < batch.messages; number++)
			transact_judge(&batch, number, -ENOENT, offset, "",
			    &failure);
	transact_judge(&batch, number_of(NFT_MSG_NEWRULE, 0), -ENOENT,
	    UINT32_MAX, "", &failure);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_has_a_number_an_error_and_details),
		cmocka_unit_test(
	details_are_read_only_where_the_kernel_says_that_there_are_some),
		cmocka_unit_test(a_long_text_is_cut),
		cmocka_unit_test(a_datagram_holds_several_messages),
		cmocka_unit_test(an_error_is_always_negative),
		cmocka_unit_test(a_length_beyond_all_bounds_is_the_end),
		cmocka_unit_test(nothing_is_read_past_the_end),
		cmocka_unit_test(
	a_table_of_somebody_else_is_told_apart_from_a_lack_of_privilege),
		cmocka_unit_test(a_kernel_without_owners_is_told),
		cmocka_unit_test(what_failed_is_named),
		cmocka_unit_test(the_expression_that_a_kernel_lacks_is_named),
		cmocka_unit_test(any_offset_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
