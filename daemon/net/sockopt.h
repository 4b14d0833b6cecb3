/* SPDX-License-Identifier: ISC */
/*
 * Options of the sockets of subflows.  Buffers and congestion control are set
 * before connect() and on listeners before listen(): the first window is
 * decided there, and accepted sockets inherit them.
 */
#ifndef NET_SOCKOPT_H
#define NET_SOCKOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockopt_subflow {
	const char *congestion;		/* NULL: leave it to the kernel */
	uint32_t notsent_lowat_bytes;	/* 0: leave it */
	uint32_t user_timeout_ms;	/* 0: leave it */
	uint32_t rto_max_ms;		/* TCP_RTO_MAX_MS, where there is one,
					 * and only with the user timeout: it
					 * makes the kernel give up early
					 * otherwise; 0: leave it */
	uint32_t mark;			/* 0: none */
	uint32_t buffer_bytes;		/* 0: the kernel tunes it; receiving, it
					 * is at least what that would give, */
	uint32_t receive_bytes;		/* or this where it is more */
	uint32_t keepalive_s;		/* 0: off */
};

/* Before connect() or listen().  What the kernel refuses is warned about once
 * per process and kind, and is no error (a missing congestion control falls
 * back to the system's). */
void sockopt_subflow(int fd, const struct sockopt_subflow *);

/* Of an accepted subflow: a route may have chosen another congestion control
 * (ip-route(8), congctl) than it inherited from its listener. */
void sockopt_congestion(int fd, const char *name);

/* TCP_NOTSENT_LOWAT. */
void sockopt_lowat(int fd, uint32_t bytes);

/* SO_MAX_PACING_RATE in bytes a second; UINT64_MAX: none. */
void sockopt_pacing(int fd, uint64_t bytes_per_s);

/* Bytes that the kernel has not yet seen acknowledged by the far end (SIOCOUTQ)
 * and those not yet sent at all (SIOCOUTQNSD). */
size_t sockopt_unacked(int fd);
size_t sockopt_unsent(int fd);

/* Have BBR begin again with its start-up, its window kept: switched off and on.
 * false, and nothing is done: it is not BBR, it may not be chosen again (net.
 * ipv4.tcp_allowed_congestion_control), a timeout is being repaired, or, unless
 * `in_recovery`, a loss. */
bool sockopt_restart_congestion(int fd, bool in_recovery);

/* Client and server legs: TCP_NODELAY, keepalive after `idle_s` (0: off) and
 * then four times as far apart, at most 15 s.  TCP_USER_TIMEOUT is left
 * alone. */
void sockopt_leg(int fd, uint32_t keepalive_s);

/* One direction of a leg has ended: ask each 25 s at least, so that connection
 * tracking remembers it, and give up no sooner than before (after 53 minutes at
 * the latest; also when keepalive was off). */
void sockopt_half_closed(int fd);

/* Of what a socket of family 4 or 6 sends, 0 to 63; before connect(), so that
 * the first packet has it.  ECN stays the kernel's business. */
void sockopt_dscp(int fd, uint8_t family, uint8_t dscp);

/* What the rate (bit/s) and round trip of a link ask for: the buffer of each of
 * `n` subflows (four times the bandwidth-delay product over them, 256 KiB to
 * 64 MiB; 0, so that the kernel tunes it, when either is not known), and the
 * notsent-lowat (20 ms at that rate, 16 KiB to 128 KiB; 64 KiB when it is not
 * known). */
uint32_t sockopt_buffer_bytes(uint64_t rate_bps, uint32_t delay_ms,
    unsigned int n);
uint32_t sockopt_lowat_bytes(uint64_t rate_bps);

#endif
