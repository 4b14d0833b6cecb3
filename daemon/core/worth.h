/* SPDX-License-Identifier: ISC */
/*
 * Should a bulk subflow that can send take what a session has next, or would
 * the session be better off without it (protocol.md 2.5)?
 *
 * What a slow one is given now arrives late.  Meanwhile faster ones deliver so
 * many bytes.  If the session has, or may send, no more than those, then the
 * slow one only makes it wait: for its last bytes (Lim et al., "ECF", CoNEXT
 * 2017), or for its window (Ferlin et al., "BLEST", IFIP Networking 2016).
 * With more behind it, every subflow helps.
 *
 * Where one packet in twenty is lost, and again when it is sent again, nobody
 * knows when a byte arrives: whatever such a path was given may have to go on a
 * good one in the end.  So it holds no more than half of what may be sent
 * again.
 *
 * For the group and its sessions only.
 */
#ifndef CORE_WORTH_H
#define CORE_WORTH_H

#include "session_private.h"

#define WORTH_UNEVEN_US UINT64_C(40000)	/* less is no difference */
#define WORTH_SESSIONS 64	/* that send at once: with more of them no one's
				 * share is worth the look */

/* Do some of the subflows in use deliver much later than others? */
bool worth_uneven(const struct session_env *, uint64_t now);

/* Those that deliver about as early as the best: answers go there. */
uint64_t worth_prompt(const struct session_env *, uint64_t now);

/* The express subflows in use where what is given now does not wait for very
 * much longer than on the best of them: a rate may drop to a hundredth, and TCP
 * goes on, so the subflow is not suspect, with a queue for a minute.  There is
 * one if any is in use. */
uint64_t worth_timely(const struct session_env *, uint64_t now);

/* The bulk subflows in use whose paths lose much (share.h), if the others
 * deliver as much at least. */
uint64_t worth_lossy(const struct session_env *);

/* Until what is given to the best of those in use arrives; 0: not known. */
uint64_t worth_soonest_us(const struct session_env *, uint64_t now);

/* Does a session, other than that one (NULL: any), wait for an express subflow
 * of this one's path?  Then what goes there twice takes from what goes once. */
bool worth_others_wait(const struct session_env *, int subflow,
    const struct session *);

/* Has the local side more than we have read? */
bool worth_more(const struct session *);

bool worth_taking(const struct session *, int subflow, uint64_t now);

#endif
