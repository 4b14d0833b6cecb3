/* SPDX-License-Identifier: ISC */
/*
 * The inside of a session and what it shares with the others of its group.  For
 * session.c, exchange.c, numbers.c and those that include group_private.h only.
 *
 * A session never calls its group.  When something changes it links itself into
 * one of the lists of its environment, and the group looks there:
 *
 *	ready      its local side has something to do
 *	acks_now   owes an ACK at once, or on a subflow that it was asked on
 *	acks_later owes one within ACK_DELAY_US, in order of deadline
 *	controls   owes a RESET, OPENED or ASK
 *	busy       waits for the peer (unacknowledged, or a RESET unanswered)
 *	late       its oldest unacknowledged item is late (reinject.h)
 *	tails      has something under way and may send nothing new
 *	opening    OPEN was sent and is not acknowledged, in order of number
 *	doubled[i] something it has sent is due on subflow i as well
 *	dead       nobody needs it any more: the group frees it
 */
#ifndef CORE_SESSION_PRIVATE_H
#define CORE_SESSION_PRIVATE_H

#include "bucket.h"
#include "budget.h"
#include "health.h"
#include "list.h"
#include "metrics.h"
#include "paths.h"
#include "reorder.h"
#include "sched.h"
#include "sendq.h"
#include "session.h"
#include "share.h"

#define SUBFLOWS 64
#define SPARES 4

#define SHARES 16		/* paths that are compared by what they bring */

#define ACK_DELAY_US UINT64_C(50000)
#define EXPRESS_START (128 * 1024)	/* first bytes of a burst */
#define EXPRESS_SMALL (16 * 1024)	/* all that an interactive one has */
#define SECOND_COPY_US UINT64_C(5000)	/* after what was sent last, */
#define SECOND_COPY_MAX_US UINT64_C(20000)	/* or first */
#define UNSENT_MAX (128 * 1024)		/* read ahead of the subflows */
#define LOOKAHEAD 4096			/* read without a window, so that an end
					 * of file behind it is seen */
#define ASK_MIN_US UINT64_C(1000000)
#define ASK_MAX_US UINT64_C(8000000)

struct allowance {		/* reinject.h */
	uint64_t credit, burst;	/* bytes; now and at most */
};

struct session_env {
	bool proxy;
	uint32_t initial_window, start_window, window_max, peer_window;
	uint32_t datagram_max;
	struct budget *budget;
	struct metrics metrics;
	uint64_t rtt_us;
	uint64_t attached;		/* subflows, one bit each, */
	uint64_t express, bulk;		/* and those in use */
	uint64_t stalled;		/* those attached that are not, because
					 * they are suspect and others are
					 * not, */
	uint64_t gone;			/* and those of lost paths */
	struct health health[SUBFLOWS];
	uint8_t path_of[SUBFLOWS];
	struct paths paths;
	struct share shares[SHARES];	/* of the first paths */
	uint64_t acked_bytes;		/* by TCP, of all of them */
	uint64_t shared_at;		/* when they are compared next */
	uint64_t carried[SUBFLOWS];	/* bytes unacknowledged on each */
	struct sched express_turns[SUBFLOWS], bulk_turns;
	struct list doubled[SUBFLOWS];
	uint64_t doubled_since, doubled_at;	/* not before */
	bool doubled_waits;		/* for that time */
	uint32_t redundancy;		/* first bytes of a burst sent twice */
	struct bucket redundant;	/* bytes of it, of all sessions */
	struct allowance copies, doubts;	/* to be sent again: what is
					 * late; what suspects carry */
	uint64_t copy_scan;		/* when `late` is looked after */
	bool uneven;			/* some subflows take much longer */
	uint64_t prompt;		/* those in use that do not */
	uint64_t timely;		/* express ones that do not deliver very
					 * much later than the best */
	uint64_t link_bytes_s[PATHS];	/* what the link of each carries, as
					 * told, or as measured while there is
					 * a queue before it; 0: not known */
	uint64_t lossy;			/* bulk ones whose paths lose much */
	uint64_t soonest_us;		/* least delay of all in use;
					 * 0: not known */
	uint64_t longest_us, shortest_us;	/* round trip, of any of them */
	struct list all, ready, acks_now, acks_later, controls, busy, late,
	    tails, opening, dead;
	struct datagram *spare[SPARES];	/* where local sides receive */
	size_t numbers_in_use;
	bool starved;			/* a local side waits for memory */
};

enum session_phase {
	PHASE_WAITING,		/* proxy: OPEN was not sent, no number yet */
	PHASE_LIVE,
	PHASE_RESETTING,	/* until our RESET is answered */
	PHASE_FORGOTTEN,	/* the protocol is done with it */
};

struct session {
	struct session_env *env;
	struct session *hash_next;	/* the group's, by number */
	struct list all, ready, ack, control, busy, late, tail, opening,
	    doubled, dead;
	struct sched_entry turn;

	uint32_t number;
	enum session_phase phase;
	void *user;
	bool released;		/* the role is done with it */
	bool discard;		/* nobody takes what arrives */
	bool aborted;		/* the local side has to be reset now */
	uint8_t code;		/* of that, or of the peer's FIN */
	struct wire_open open;
	bool peer_opened;

	/* To the peer. */
	struct sendq out;
	uint64_t edge;		/* cost that the peer takes in all */
	bool read_ended;	/* FIN is queued */
	bool read_blocked;	/* the role was told not to read */
	int express;		/* subflow of its burst, or -1 */
	int twin;		/* and of its second copy, or -1 */
	uint64_t burst_cost;	/* cost sent when the burst began: nothing was
				 * waiting or unacknowledged */
	uint64_t bytes_out;
	uint64_t acked_us;	/* the peer last took something, or was first
				 * given something to take */

	/* From the peer. */
	struct reorder in;
	uint64_t offered;	/* cost that we said we take in all */
	uint32_t window;	/* what we want to offer
				 * beyond what was taken */
	bool fin_seen;
	uint64_t fin_serial;
	uint64_t bytes_in;
	uint64_t moved_us;	/* the local side last took something, or was
				 * first given something to take */
	uint64_t period_us, period_bytes;	/* of window growth */

	/* Owed. */
	bool ack_owed;
	uint64_t ack_deadline;
	int ack_on;		/* subflow that our last ACK went over, or -1 */
	uint64_t asked_on;	/* subflows where an ASK is to be answered */
	int heard;		/* subflow that we last heard it on */
	bool reset_due, opened_due, ask_due;
	int reset_on;		/* subflow of our last RESET, or -1 */
	uint64_t ask_on;	/* subflows that an ASK went over since there
				 * was progress, or our RESET */
	uint64_t waiting_since, ask_wait_us;
};

/* ---- session.c, for the group ---- */

struct session *session_new(struct session_env *, const struct wire_open *,
    uint64_t now);
void session_free(struct session *);
/* Put it where its state belongs: turns and busy. */
void session_schedule(struct session *, uint64_t now);
/* What waits for an express subflow that has become very slow, or is full, is
 * for another. */
void session_move(struct session *, uint64_t now);
void session_make_ready(struct session *);
void session_owe_ack(struct session *, bool at_once, uint64_t now);
/* Its local side is told to reset, the peer nothing. */
void session_cut(struct session *, uint8_t code);
/* The protocol is done with it. */
void session_forget(struct session *);
void session_maybe_finish(struct session *);
void session_subflow_lost(struct session *, int subflow, uint64_t now);
/* Those in use are others now. */
void session_subflows_changed(struct session *, uint64_t now);
/* A datagram that was just sent for the first time may go twice. */
void session_double(struct session *, struct datagram *, int subflow,
    uint64_t now);
bool session_fin_taken(const struct session *);

/* ---- exchange.c: its frames ---- */

/* A frame for a live session.  What is wrong with it fails the session. */
void session_take(struct session *, const struct wire_header *,
    const uint8_t *body, int subflow, uint64_t now);
/* What one turn writes: at most one datagram. */
struct session_turn {
	int subflow;
	uint8_t *out;
	size_t room;
	size_t cut;		/* to that size; at most the room when */
	bool cut_to_room;	/* there is nothing else in it */
};

/* Bytes written, 0: nothing to write or no room for it. */
size_t session_fill(struct session *, const struct session_turn *,
    uint64_t now);
/* What is due on its twin as well.  0: no room. */
size_t session_fill_second(struct session *, int subflow, uint8_t *out,
    size_t room, uint64_t now);
/* This one again.  0: no room. */
size_t session_fill_copy(struct session *, struct datagram *, int subflow,
    uint8_t *out, size_t room, uint64_t now);
size_t session_fill_ack(struct session *, int subflow, uint8_t *out,
    size_t room, uint64_t now);
/* RESET, OPENED or ASK, whichever is due. */
size_t session_fill_control(struct session *, int subflow, uint8_t *out,
    size_t room, uint64_t now);

#endif
