#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A path that brings next to nothing beside another one gets no bulk for a while,
# and an operator is told.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

steady="${srcdir:-.}/tests/e2e/steady.py"

begin
go_first
start server server python3 "$steady" serve 1100
wait_for 10 listening server 1100 || give_up "there is no server"
start_relay
redirect 1100
link_between link wan eth0 2 --rate 10Mbit --delay 10ms
far_routes
link_between slow way yaw 10 --rate 600kbit --delay 20ms
on gateway ip route add "$relay4/32" via 10.77.10.2 dev way metric 100
control=$tmp/run
PROXY_PATH='interface = "wan" } path "slow" { interface = "way"' \
    proxy_config </dev/null
SUBFLOWS=8
start_proxy

path_is()	# number, state
{
	[ "$("$roroctl" status -f json -s "$control/proxy.sock" | python3 -c '
import json, sys
print(json.load(sys.stdin)["relays"][0]["paths"][int(sys.argv[1])]["state"])' \
	    "$1")" = "$2" ]
}

check "both paths are up" wait_for 10 path_is 1 up
start large client python3 "$steady" small "$server4" 1100 1 60000000
# Three windows of a second find it out, when none brings more than the one
# before; queues fill first.
check "one that brings next to nothing is poor" wait_for 20 path_is 1 poor
check "... and the other is not" path_is 0 up
"$roroctl" status -s "$control/proxy.sock" >"$tmp/status"
check "people are told, too" \
    grep -q 'path  *slow over way: poor, 4 of 4 subflows' "$tmp/status"
finish
