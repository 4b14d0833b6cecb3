/* SPDX-License-Identifier: ISC */
/*
 * The C library's struct tcp_info ends before what we want of it; the kernel's
 * header has all, but does not go together with the library's.  So this stands
 * in a file of its own.
 */
#include "net/tcpinfo.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "net/sockopt.h"

#define NO_RTT_MIN UINT32_MAX	/* tcpi_min_rtt before the first sample */

static uint64_t
could_send(const struct tcp_info *info)
{
	return info->tcpi_rtt == 0 ? 0 : (uint64_t)info->tcpi_snd_cwnd *
	    info->tcpi_snd_mss * 1000000 / info->tcpi_rtt;
}

/* What the congestion window lets out (RFC 6675, pipe). */
static uint64_t
free_bytes(const struct tcp_info *info)
{
	uint32_t away = info->tcpi_sacked + info->tcpi_lost;
	uint32_t pipe = info->tcpi_unacked + info->tcpi_retrans;

	pipe = pipe > away ? pipe - away : 0;
	return info->tcpi_snd_cwnd > pipe ?
	    (uint64_t)(info->tcpi_snd_cwnd - pipe) * info->tcpi_snd_mss : 0;
}

bool
tcpinfo_facts(int fd, struct group_facts *facts)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	uint64_t allowed = 0;
	/* First: when nothing waits, none of the rest
	 * is of when something did. */
	uint32_t waiting = (uint32_t)sockopt_unacked(fd);

	/* tcpi_bytes_acked: Linux 4.1; tcpi_notsent_bytes, tcpi_min_rtt: 4.6;
	 * tcpi_delivery_rate: 4.9; tcpi_bytes_retrans: 4.19.  What a kernel
	 * does not know it does not fill. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_received))
		return false;
	*facts = (struct group_facts){
		.rtt_us = info.tcpi_rtt,
		.rtt_var_us = info.tcpi_rttvar,
		.acked_bytes = info.tcpi_bytes_acked,
		.waiting_bytes = waiting,
		.free_bytes = free_bytes(&info),
		.paced_bytes_s = info.tcpi_pacing_rate,
	};
	if (len >= offsetof(struct tcp_info, tcpi_notsent_bytes) +
	    sizeof(info.tcpi_notsent_bytes))
		facts->unsent_bytes = info.tcpi_notsent_bytes;
	if (len >= offsetof(struct tcp_info, tcpi_min_rtt) +
	    sizeof(info.tcpi_min_rtt) && info.tcpi_min_rtt != NO_RTT_MIN)
		facts->rtt_min_us = info.tcpi_min_rtt;
	if (len >= offsetof(struct tcp_info, tcpi_delivery_rate) +
	    sizeof(info.tcpi_delivery_rate))
		facts->rate_bytes_s = info.tcpi_delivery_rate;
	if (len >= offsetof(struct tcp_info, tcpi_bytes_retrans) +
	    sizeof(info.tcpi_bytes_retrans)) {
		facts->sent_bytes = info.tcpi_bytes_sent;
		facts->again_bytes = info.tcpi_bytes_retrans;
	}
	/* While it had little to send it measured little; then what its window
	 * allows is the better guess. */
	if (facts->rate_bytes_s == 0 || info.tcpi_delivery_rate_app_limited)
		allowed = could_send(&info);
	if (allowed > facts->rate_bytes_s)
		facts->rate_bytes_s = allowed;
	return true;
}
