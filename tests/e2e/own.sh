#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What rorod intercepts beside the TCP of its clients, or leaves alone: QUIC and
# the gateway's own connections, with both modes, also when relay or proxy are
# killed, and when an operator changes what is intercepted; see own.py.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
cable gateway guest client eth5 5 || give_up "no second interface"
on client ip rule add from 10.77.5.2 lookup 5
on client ip route add default via 10.77.5.1 table 5
on client ip -6 rule add from fd77:5::2 lookup 5
on client ip -6 route add default via fd77:5::1 table 5
on relay ip route add 10.77.5.0/24 via "$proxy4"
on relay ip -6 route add fd77:5::/64 via "$proxy6"
on server ip addr add 10.77.3.3/24 dev eth0
on server ip addr add fd77:3::3/64 dev eth0 nodad

control=$tmp/run
SOCKET=$control/proxy.sock ROROCTL=$roroctl
export SOCKET ROROCTL

intercepting()
{
	on gateway nft list set inet ro-ro-tcp intercepted 2>/dev/null |
	    grep -q ipv6
}

phases()	# of own.py
{
	MODE=$mode probe own "$@"
}

with()		# options of intercept
{
	intercept="mode = $mode interfaces = { \"lan\" } $*"
	proxy_config </dev/null
	start_proxy
	wait_for 10 intercepting || give_up "nothing is intercepted"
}

private="private = intercept bypass = { \"10.77.3.3\", \"fd77:3::3\" }"
start_relay
for mode in tproxy redirect; do
	with "$private"
	phases clients not_own quic_passes guests
	stop proxy

	with "quic = reject"
	phases not_own quic_passes quic_not_own
	stop proxy

	with "$private quic = reject"
	phases clients not_own quic_rejected quic_not_own guests
	stop proxy

	with "$private quic = reject own = yes"
	phases clients own quic_rejected own_quic guests changes
	check "$mode: subflows are as many as they should be" \
	    [ "$(sockets gateway established "dport = :$relay_port")" -eq 4 ]
	stop relay KILL
	WITHIN=10 phases direct
	start_relay
	wait_for 15 connected || give_up "the proxy does not find its relay"
	phases back
	stop proxy KILL
	WITHIN=1 phases direct
done
finish
