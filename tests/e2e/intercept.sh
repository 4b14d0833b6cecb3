#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What a plan of nft/ intercepts and what it leaves alone, with TPROXY and with
# REDIRECT, over IPv4 and IPv6, seen by clients; see intercept.py.  Listeners of
# Python stand in for rorod.
#
# The gateway has three interfaces with clients: one with the name of a VLAN,
# one that only a wildcard names, and one that is not intercepted.  Behind the
# first is another router, with a link of a small MTU.
#
#	              eth0.10 10.77.1.1 ---- 10.77.1.2 client ---- 10.77.9.2 behind
#	gateway ----  lan2    10.77.4.1 ---- 10.77.4.2 client     (host "server")
#	              guest   10.77.5.1 ---- 10.77.5.2 client

rorod=${gate:-${top_builddir:-.}/tests/gate}
. "${srcdir:-.}/tests/e2e/lib.sh"

begin
go_first
export GATE=$rorod GATE_LOG=$tmp/gate.log

# It loses its IPv6 addresses when it goes down.
rename()	# interface, name
{
	on gateway ip link set "$1" down &&
	on gateway ip link set "$1" name "$2" &&
	on gateway ip link set "$2" up &&
	on gateway ip addr add fd77:1::1/64 dev "$2" nodad
}
rename lan eth0.10 || give_up "an interface with a dot in its name"

for network in 4:lan2 5:guest; do
	n=${network%%:*}
	cable gateway "${network#*:}" client "eth$n" "$n" || give_up "cable $n"
	on client ip rule add from "10.77.$n.2" lookup "$n"
	on client ip route add default via "10.77.$n.1" table "$n"
	on client ip -6 rule add from "fd77:$n::2" lookup "$n"
	on client ip -6 route add default via "fd77:$n::1" table "$n"
	on relay ip route add "10.77.$n.0/24" via "$proxy4"
	on relay ip -6 route add "fd77:$n::/64" via "$proxy6"
done

# More servers.
on server ip addr add 10.77.3.3/24 dev eth0
on server ip addr add fd77:3::3/64 dev eth0 nodad

# A way from the server's host to the clients' router; only the router's side of
# it has a small MTU, so that it has to say so.
cable client eth9 server eth9 9 || give_up "cable 9"
on client ip link set eth9 mtu 1280
on client sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
on gateway ip route add 10.77.9.0/24 via 10.77.1.2
on gateway ip -6 route add fd77:9::/64 via fd77:1::2
on server ip route add 198.51.100.0/24 via 10.77.9.1
on server ip -6 route add 2001:db8::/32 via fd77:9::1

probe intercept "$@"
finish
