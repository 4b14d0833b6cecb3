#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The link is gone, and back: sessions wait, and go on within 5 s and three round
# trips.  (There is next to no round trip here.)
#
# RORO_LONG=1: for as long as in the fault list, with the timeout of
# the default.

. "${srcdir:-.}/tests/e2e/lib.sh"

# Nothing gets in: from the relay, from the proxy, or neither.
cut_off()	# relay, gateway...
{
	local host
	for host; do
		on "$host" nft "add table inet outage
			add chain inet outage in {
				type filter hook input priority 0; }
			add rule inet outage in tcp dport $relay_port drop
			add rule inet outage in tcp sport $relay_port drop"
	done
}

join_up()
{
	local host
	for host; do
		on "$host" nft delete table inet outage
	done
}

outage()	# seconds, what, hosts...
{
	local seconds=$1 what=$2
	shift 2
	cut_off "$@"
	sleep "$seconds"
	join_up "$@"
	mark back 5 "$what, for $seconds s"
	wait_for 15 goes_on
}

resume=20 outages=6 one_way=5 down=2
[ -z "${RORO_LONG-}" ] ||
    { resume=120 outages='5 30 60 119' one_way=30 down=30; }

begin
relay_config <<<"resume-timeout = ${resume}s"
proxy_config <<<"resume-timeout = ${resume}s"
start_relay
start_proxy
redirect 1100-2099

carry 4
for seconds in $outages; do
	outage "$seconds" "6: everything is lost" gateway relay
done
outage "$one_way" "8: what the relay sends is lost" gateway
outage "$one_way" "8: what the proxy sends is lost" relay

on gateway ip link set wan down
sleep "$down"
on gateway ip link set wan up
on gateway ip -6 addr add "$proxy6/64" dev wan nodad 2>/dev/null
on gateway ip route replace default via 10.77.2.2
on gateway ip -6 route replace default via fd77:2::2
mark back 5 "10: the link is down, for $down s"
wait_for 15 goes_on
carried
finish
