#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Interfaces of paths come and go, and their addresses.  One that is not there
# at the start is no error; when it comes it is used at once.  What is deleted,
# down or without its address is left at once, before TCP could notice, and
# sessions go on over the other path.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
go_first
control=$tmp/run
helper="${srcdir:-.}/tests/e2e/control.py"
steady="${srcdir:-.}/tests/e2e/steady.py"
SUBFLOWS=4

# The second way to the relay, from the source address 10.77.4.1.
plug_in()
{
	cable gateway lte relay eth2 4 &&
	on gateway ip route add "$relay4/32" via 10.77.4.2 dev lte metric 100
}

PROXY_PATH="interface = \"wan\" }
    path \"lte\" { interface = \"lte\" source = \"10.77.4.1\"" \
    proxy_config </dev/null

# A field of path 0 (wan) or 1 (lte).
path()		# wan|lte, field
{
	local i=0
	[ "$1" = wan ] || i=1
	"$roroctl" status -f json -s "$control/proxy.sock" \
	    >"$tmp/status.json" 2>"$tmp/ctl.log" &&
	    python3 "$helper" field "$tmp/status.json" "relays.0.paths.$i.$2"
}

is()		# wan|lte, state
{
	[ "$(path "$1" state)" = "$2" ]
}

says()		# wan|lte, what is missing
{
	[ "$(path "$1" missing)" = "$2" ]
}

start_at=
begin_to_wait()
{
	start_at=$(date +%s%N)
}

# How long ago, in milliseconds.
since()
{
	echo $((($(date +%s%N) - start_at) / 1000000))
}

# A session that goes on, while a command is run; no pause is longer than that.
meanwhile()	# most seconds, command...
{
	local most=$1 status client
	shift
	on client python3 "$steady" run "$server4" 1100 2 200000 \
	    >"$tmp/steady" 2>"$tmp/gap" &
	client=$!
	sleep 0.4
	"$@" || fail "cannot do that: $*"
	begin_to_wait
	wait_for 5 "${expected[@]}" ||
	    fail "the proxy does not see it (${expected[*]})"
	echo "    seen after $(since) ms"
	wait $client
	status=$?
	sed 's/^/    /' "$tmp/steady" "$tmp/gap"
	check "the session goes on" [ "$status" -eq 0 ]
	check "without a long pause" \
	    awk -v gap="$(tail -n 1 "$tmp/gap")" -v most="$most" \
	    'BEGIN { exit !(gap + 0 < most + 0) }'
}

# It is back, and used; what needs no session.
returns()	# command...
{
	"$@" || fail "cannot do that: $*"
	begin_to_wait
	check "it is back" wait_for 5 "${expected[@]}"
	echo "    seen after $(since) ms"
}

start server server python3 "$steady" serve 1100
wait_for 10 listening server 1100 || give_up "there is no server"
relay_config </dev/null
start_relay
start_proxy
redirect 1100

check "one that is not there is down" is lte down
check "and is said to be missing" says lte "there is no such interface"
check "which is logged once" [ "$(grep -c 'path "lte"' "$tmp/proxy.log")" -eq 1 ]
check "sessions use the other" on client python3 "$steady" small "$server4" \
    1100 3 1000

# The promise: notices within half a second, and the handshake.
expected=(is lte up)
meanwhile 1 plug_in
connected_there()
{
	[ "$(sockets gateway established "src 10.77.4.1 and dport = :$relay_port")" \
	    -eq 4 ]
}
check "all of its subflows are there" wait_for 2 connected_there

# Whatever was on it is sent again by the other, at once and at both ends, since the
# relay is told: TCP alone would need a second to be suspect.
expected=(is wan down)
meanwhile 0.9 on gateway ip link set wan down
check "it is known why" says wan "its interface is down"
expected=(is wan up)
wan_returns()
{
	on gateway ip link set wan up &&
	on gateway ip route replace default via 10.77.2.2
}
returns wan_returns

expected=(is lte down)
meanwhile 0.9 on gateway ip addr del 10.77.4.1/24 dev lte
check "it is known why" says lte "its address is not there"
expected=(is lte up)
address_returns()
{
	on gateway ip addr add 10.77.4.1/24 dev lte &&
	on gateway ip route replace "$relay4/32" via 10.77.4.2 dev lte metric 100
}
returns address_returns

expected=(is lte down)
meanwhile 0.9 on gateway ip link del lte
expected=(is lte up)
returns plug_in

# The address that its subflows have, where none is configured: there is another
# one.
on gateway ip addr add 10.77.2.9/32 dev wan
expected=(logged proxy 'path "wan" bulk subflow 1: its address is gone')
meanwhile 1 on gateway sh -c "ip addr del $proxy4/24 dev wan &&
    ip route replace $relay4/32 dev wan"
check "it goes on with the other one" wait_for 5 is wan up
has_other()
{
	[ "$(sockets gateway established "src 10.77.2.9 and dport = :$relay_port")" \
	    -eq 4 ]
}
check "which is that of the interface" wait_for 5 has_other

# The last one: those of other interfaces would not come back this way.
expected=(is wan down)
meanwhile 1 on gateway ip addr del 10.77.2.9/32 dev wan
check "it is known why" says wan "its interface has no IPv4 address"
nobody_dials()
{
	[ -z "$(on gateway ss -Htan "dport = :$relay_port and not src 10.77.4.1")" ]
}
sleep 2
check "nobody dials with an address of another one" nobody_dials
expected=(is wan up)
wan_has_one()
{
	on gateway ip addr add "$proxy4/24" dev wan &&
	on gateway ip route replace default via 10.77.2.2
}
returns wan_has_one
check "small sessions work" on client python3 "$steady" small "$server4" 1100 5 1000
finish
