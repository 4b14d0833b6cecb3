#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Four paths that are as unlike as can be are worth the sum of their rates, or
# near it.
#
# RORO_LONG=1: more bytes.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

steady="${srcdir:-.}/tests/e2e/steady.py"
size=1500000
[ -z "${RORO_LONG-}" ] || size=10000000

begin
go_first
start server server python3 "$steady" serve 1100
wait_for 10 listening server 1100 || give_up "there is no server"
start_relay
redirect 1100

# Of 3 Mbit/s in all, three have 1 Mbit/s each, two of them a long way, and one
# next to nothing: who gave all of them the same would have 0.2 Mbit/s.
paths=
for i in 0 1 2 3; do
	rate=1000 delay=300
	[ $i -ne 2 ] || delay=25
	[ $i -ne 3 ] || rate=50
	link_between "link$i" "way$i" "yaw$i" $((10 + i)) \
	    --rate "${rate}kbit" --delay "${delay}ms"
	on gateway ip route add "$relay4/32" via "10.77.$((10 + i)).2" \
	    dev "way$i" metric $((100 + i))
	paths="$paths } path \"way$i\" { interface = \"way$i\""
done
on gateway ip link set wan down
PROXY_PATH="interface = \"wan\"$paths" proxy_config </dev/null
SUBFLOWS=16
start_proxy
took=$(date +%s%N)
check "50: bytes over four unlike paths, both ways" on client \
    python3 "$steady" small "$server4" 1100 1 "$size"
took=$((($(date +%s%N) - took) / 1000000))
# Of the sum of their rates, what TCP gets of each by itself, and four round trips
# of the longest.  With queues of a round trip that drop what comes then, and both
# ways at once, that is seven tenths: plain connections were measured to have 685
# of 1000 kbit/s over 600 ms and 792 over 50 ms, and four at once 621 and 506.
promised=$((size * 8 * 10 / 7 / 3050 + 4 * 600))
check "50: in $took ms, promised: $promised ms" [ "$took" -lt $((2 * promised)) ]
finish
