#!/bin/bash
# SPDX-License-Identifier: ISC
#
# One of two paths swallows all that it is given, and nothing else is under way:
# the relay answers on the other one, and is never taken for lost.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
control=$tmp/run
cable gateway lte relay eth2 4 || give_up "there is no second cable"
on gateway ip route add "$relay4/32" via 10.77.4.2 dev lte metric 100
PROXY_PATH='interface = "wan" }
    path "lte" { interface = "lte" ' proxy_config </dev/null

# All subflows of one path come after all of the other.
on gateway ip link set lte down
start_relay
start_proxy
on gateway ip link set lte up
on gateway ip route replace "$relay4/32" via 10.77.4.2 dev lte metric 100
SUBFLOWS=8
wait_for 20 connected || give_up "there is no second path"

status()	# field
{
	"$roroctl" status -f json -s "$control/proxy.sock" |
	    python3 -c 'import json, sys
print(json.load(sys.stdin)["relays"][0][sys.argv[1]])' "$1"
}

# It has been so from the beginning.
has_stayed()
{
	local passed=$((SECONDS - begin))	# (status may take a while)

	[ "$(status up)" = True ] &&
	    [ "$(status since_s | cut -d . -f 1)" -ge "$passed" ]
}
sleep 1.5
begin=$SECONDS
on relay nft -f - <<END
table inet swallow {
	chain in {
		type filter hook prerouting priority raw
		iifname "eth2" drop
	}
}
END
for _ in {1..14}; do
	sleep 1
	has_stayed || break
done
check "the relay is there all the time, up $(status up) for $(status since_s) s of $((SECONDS - begin))" has_stayed
check "nobody took it for lost" not logged proxy "no relay answers"
finish
