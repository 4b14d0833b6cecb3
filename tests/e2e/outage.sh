#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The link is gone, and back: sessions wait, and go on within 5 s and three round
# trips, also when the outage was almost as long as resume-timeout.
#
# RORO_LONG=1: for as long as in the fault list, with the timeout of
# the default.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

back()		# what, seconds
{
	mark back "$(trips 5 3)" "$1, for $2 s"
	wait_for 20 goes_on
}

outage()	# seconds, what, on|ab|ba
{
	hole "$3"
	sleep "$1"
	hole off
	back "$2" "$1"
}

resume=12 outages="4 11" one_way=3 down=2
[ -z "${RORO_LONG-}" ] ||
    { resume=120 outages='5 30 60 119' one_way=30 down=30; }

begin
go_first
relay_config <<<"resume-timeout = ${resume}s"
proxy_config <<<"resume-timeout = ${resume}s"
far
start_relay
start_proxy
redirect 1100-2099

carry 4
for seconds in $outages; do
	outage "$seconds" "6: everything is lost" on
done
outage "$one_way" "8: what the relay sends is lost" ba
outage "$one_way" "8: what the proxy sends is lost" ab

on gateway ip link set wan down
sleep "$down"
on gateway ip link set wan up
far_routes
back "10: the link is down" "$down"
carried
finish
