/* SPDX-License-Identifier: ISC */
/*
 * What the kernel sends: the first byte chooses who reads it, the rest (from
 * the fifth, so that messages are easy to align) is a datagram.
 *
 *	even	answers to a batch
 *	odd	changes of interfaces, addresses, routes and rules
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nft/batch.h"
#include "nft/netlink.h"
#include "nft/ruleset.h"
#include "nft/transact.h"
#include "nft/watch.h"

#define HEADER 4

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static uint32_t memory[16384];
static struct batch batch;

static void
build(void)
{
	static const char *const lan[] = { "lan0", "wg*" };
	const struct ruleset_plan plan = {
		.mode = RULESET_TPROXY, .owner = true, .port = 1091,
		.own_port = 1094, .interfaces = lan, .ninterfaces = 2,
		.mark = 1, .mask = 1, .families = RULESET_IPV4,
		.alive_ms = 8000, .refused_max = 10, .reject_quic = true,
	};

	if (batch.messages == 0 && ruleset_install(&batch, memory,
	    sizeof(memory), &plan) != 0)
		abort();
}

static void
printable(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	assert(len < size);
	for (size_t i = 0; i < len; i++)
		assert(text[i] >= ' ' && text[i] <= '~');
}

static void
read_answers(struct netlink_cursor c)
{
	struct transact_failure failure;
	struct netlink_reply r;

	build();
	while (netlink_next(&c, &r) != NETLINK_END) {
		assert(r.error <= 0);
		printable(r.text, sizeof(r.text));
		assert((r.kind == NETLINK_DATA) == (r.message != NULL));
		if (r.kind != NETLINK_ACK || r.error == 0)
			continue;
		assert(transact_judge(&batch, r.seq, r.error, r.offset,
		    r.text, &failure) != TRANSACT_DONE);
		printable(failure.text, sizeof(failure.text));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size > HEADER ? size - HEADER : 0;
	uint8_t *datagram;	/* aligned, and not a byte longer */

	if (size == 0 || (datagram = malloc(len > 0 ? len : 1)) == NULL)
		return 0;
	if (len > 0)
		memcpy(datagram, data + HEADER, len);
	if (data[0] % 2 == 0)
		read_answers((struct netlink_cursor){ datagram, len });
	else
		assert(watch_parse(datagram, len) <= WATCH_ALL);
	free(datagram);
	return 0;
}
