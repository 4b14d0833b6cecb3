/* SPDX-License-Identifier: ISC */
/*
 * Sends a batch to the kernel and says what became of it.
 *
 * A table that a plan wants owned belongs to the socket that sent it, so one
 * object stays open as long as rorod runs, and sends everything.
 */
#ifndef NFT_TRANSACT_H
#define NFT_TRANSACT_H

#include <stdint.h>

struct batch;
struct transact;

/* NULL, with *error set to -errno. */
struct transact *transact_open(int *error);

/* Closes the socket: the kernel removes the tables that it owns, within a
 * fraction of a second.  NULL is accepted. */
void transact_close(struct transact *);

/* By which the kernel names the socket when it tells others who has changed
 * something; 0 if it does not say. */
uint32_t transact_port(const struct transact *);

enum transact_result {
	TRANSACT_DONE,
	TRANSACT_OTHER_INSTANCE,	/* somebody else owns the table */
	TRANSACT_NO_OWNER,		/* the kernel knows no owners: the same
					   plan without may do */
	TRANSACT_FAILED,
};

#define TRANSACT_TEXT_MAX 320

struct transact_failure {
	int error;			/* -errno of the kernel */
	char text[TRANSACT_TEXT_MAX];	/* one sentence, without a full stop */
};

/*
 * Do all of it, or nothing.  Waits for the answer until `timeout_ms` have
 * passed; the kernel answers while it is asked, so that is for a machine in
 * trouble.  When there is no answer (-ETIMEDOUT) it is not known whether the
 * batch was done.
 *
 * The batch has ended without an error; it may be sent again.  Unless all was
 * done, *failure says what failed first and why.
 */
enum transact_result transact_send(struct transact *, struct batch *,
    int timeout_ms, struct transact_failure *);

/* What the kernel's answer to message `number` of a batch means: `error` is not
 * 0, `offset` and `text` are those of struct netlink_reply.  (transact_send()
 * without a socket, for tests.) */
enum transact_result transact_judge(const struct batch *, uint32_t number,
    int error, uint32_t offset, const char *text, struct transact_failure *);

#endif
