#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A relay that is known by its name: a name server that is silent, or knows
# nothing, stops nobody, and when the name has another address the sessions go
# on there, but for those of a relay that is about to end: it has not moved.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

begin
go_first
far
export rtt
control=$tmp/run
intercept='mode = redirect interfaces = { "lan" } private = intercept'

# Where it moves to; and another relay, of which the address is written.
export moved4=10.77.2.4 two4=10.77.2.3
on relay ip addr add $two4/24 dev eth0
on relay ip addr add $moved4/24 dev eth0
make_key two
relay_config </dev/null
sed -i 's/^grace.*/grace = 1min/' "$tmp/relay.conf"
sed "s/^listen.*/listen = \"$two4:$((relay_port + 1))\"/
    s/relay.sock/two.sock/; s/proxy.key/two.key/" \
    "$tmp/relay.conf" >"$tmp/two.conf"
# The successor of the first has its address, at another port of this host.
sed "s/^listen.*/listen = \"[::]:$((relay_port + 2))\"/
    s/relay.sock/three.sock/" "$tmp/relay.conf" >"$tmp/three.conf"
proxy_config <<-END
forward "f" { listen = "[::]:2201" destination = "server.example:2200" }
relay "two" {
	address = "$two4:$((relay_port + 1))"
	key-file = "$tmp/two.key"
}
END
sed -i "s/$relay4/relay.example/" "$tmp/proxy.conf"

# The probes are the name server.
{
	echo 'nameserver 127.0.0.1'
	echo 'options timeout:2 attempts:2'
} >"$tmp/resolv.conf"
[ -e /etc/resolv.conf ] || skip "there is no /etc/resolv.conf"
start_relay
RELAY_PID=$(pid_of relay)
export RELAY_PID
start two relay "$rorod" -c "$tmp/two.conf"
export RORO_TMP=$tmp RORO_ROROD=$rorod RORO_ROROCTL=$roroctl
check "a name and its addresses" probe resolve
stop two
finish
