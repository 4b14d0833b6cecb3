#!/bin/bash
# SPDX-License-Identifier: ISC
#
# nft/redirect.nft and nft/tproxy.nft, the static rules for operators, can be
# loaded again and again, and bring to the port of rorod what comes from the
# LAN, and only what they should.  A few lines of Python listen in place of
# rorod, because the rules are what is tested: what arrives says where it wanted
# to go.
#
# Needs root, network namespaces and nft.  Client and gateway are namespaces;
# behind the gateway is nothing, so what is not redirected gets no answer.

set -u

prefix=roro$$-static
client=$prefix-client
gateway=$prefix-gateway
table=ro-ro-tcp-static
tmp=
pid=
kind=
failures=0

skip()
{
	echo "skipped: $*"
	exit 77
}

check()		# description, command...
{
	local what=$1
	shift
	if "$@"; then
		echo "ok: $what"
	else
		echo "FAILED: $what ($*)"
		failures=$((failures + 1))
	fi
}

clean_up()
{
	[ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid"
	ip netns del "$client" 2>/dev/null
	ip netns del "$gateway" 2>/dev/null
	[ -n "$tmp" ] && rm -rf "$tmp"
}

in_gateway()
{
	ip netns exec "$gateway" "$@"
}

load()
{
	in_gateway nft -f "$tmp/$kind.nft"
}

list()
{
	in_gateway nft list ruleset
}

# A rule is there once.
once()		# text of it
{
	[ "$(grep -c -F -- "$1" "$tmp/second")" -eq 1 ]
}

# What an operator would do with an editor.
edit()		# name, value
{
	sed -i "s|^define $1 = .*|define $1 = $2|" "$tmp/$kind.nft"
}

# Answers each connection with the destination that it had.
listen()	# port
{
	rm -f "$tmp/listening"
	ip netns exec "$gateway" python3 -c '
import socket, struct, sys
kind, port = sys.argv[1], int(sys.argv[2])
IP_TRANSPARENT = 19
server = socket.socket(socket.AF_INET6)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
if kind == "tproxy":
    server.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
server.bind(("::", port))
server.listen()
open("'"$tmp"'/listening", "w").close()
SO_ORIGINAL_DST = 80
while True:
    s, peer = server.accept()
    if kind == "tproxy":
        host, port = s.getsockname()[:2]
        host = host.removeprefix("::ffff:")
        s.sendall(f"{host} {port}".encode())
        s.close()
        continue
    if peer[0].startswith("::ffff:"):
        raw = s.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        host = socket.inet_ntop(socket.AF_INET, raw[4:8])
    else:
        raw = s.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
        host = socket.inet_ntop(socket.AF_INET6, raw[8:24])
    port, = struct.unpack_from("!H", raw, 2)
    s.sendall(f"{host} {port}".encode())
    s.close()
' "$kind" "$1" &
	pid=$!
	for _ in $(seq 200); do
		[ -e "$tmp/listening" ] && return
		sleep 0.05
	done
	echo "FAILED: the listener did not start"
	exit 1
}

# What the listener answers, or "nothing".
ask()		# address, port, seconds
{
	ip netns exec "$client" python3 -c '
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])),
        float(sys.argv[3]))
    print(s.recv(100).decode())
except OSError:
    print("nothing")
' "$@"
}

answers()	# what, address, port
{
	local seconds=10

	# An answer takes a millisecond; a busy machine may take its time.
	[ "$1" != nothing ] || seconds=0.3
	[ "$(ask "$2" "$3" "$seconds")" = "$1" ]
}

[ "$(id -u)" -eq 0 ] || skip "not root"
for tool in ip nft python3; do
	command -v $tool >/dev/null || skip "no $tool"
done
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
tmp=$(mktemp -d) || exit 1
if ! ip netns add "$client" 2>/dev/null ||
    ! ip netns add "$gateway" 2>/dev/null; then
	skip "no network namespaces"
fi

ip link add wan0 netns "$client" type veth peer name lan0 netns "$gateway"
ip -n "$gateway" address add 10.8.0.1/24 dev lan0
ip -n "$gateway" link set lan0 up
ip -n "$gateway" link set lo up
ip -n "$client" address add 10.8.0.2/24 dev wan0
ip -n "$client" link set wan0 up
ip -n "$client" route add default via 10.8.0.1
six=
if [ -e /proc/net/if_inet6 ]; then
	six=yes
	ip -n "$gateway" address add fd08::1/64 dev lan0 nodad
	ip -n "$client" address add fd08::2/64 dev wan0 nodad
	ip -n "$client" route add default via fd08::1
fi
# So that the gateway has a route for what it is asked to forward, to where
# nobody answers.
in_gateway sysctl -qw net.ipv4.ip_forward=1
[ -n "$six" ] && in_gateway sysctl -qw net.ipv6.conf.all.forwarding=1
ip -n "$gateway" link add nowhere type veth peer name far
ip -n "$gateway" link set nowhere up
ip -n "$gateway" route add default dev nowhere
[ -n "$six" ] && ip -n "$gateway" -6 route add default dev nowhere

# What the comment in nft/tproxy.nft says.
deliver_marked()
{
	in_gateway ip "$1" rule add iif lan0 fwmark 0x10000000/0x10000000 \
	    lookup 2025 pref 100 &&
	in_gateway ip "$1" route add local default dev lo table 2025
}

loading()
{
	check "loads as shipped" load
	edit lan_interfaces '{ "lan0" }'
	check "loads with another interface" load
	list >"$tmp/first"
	check "loads again" load
	list >"$tmp/second"
	check "nothing has changed then" cmp "$tmp/first" "$tmp/second"
	check "one table" once "table inet $table"
	check "one chain" once "hook prerouting priority dstnat + 5"
	check "one rule for the interface" once 'iifname "lan0" goto lan'
	check "one for new connections" once "goto new"
	check "one that catches" once "$1"
}

catching()	# name of the definition of ports
{
	check "IPv4 is caught" answers "198.51.100.7 80" 198.51.100.7 80
	check "port 22 is not" answers nothing 198.51.100.7 22
	check "nor is BGP" answers nothing 198.51.100.7 179
	check "nor is the relay" answers nothing 192.0.2.1 80
	check "nor is a private address" answers nothing 10.99.0.1 80
	check "nor is the gateway itself" answers nothing 10.8.0.1 80
	if [ -n "$six" ]; then
		check "IPv6 is caught" \
		    answers "2001:db8:7::7 443" 2001:db8:7::7 443
		check "the relay is not" answers nothing 2001:db8::1 443
		check "nor is a private address" answers nothing fd99::1 443
	else
		echo "no IPv6: only IPv4 is checked"
	fi

	edit relay4 '{ 198.51.100.7, 198.51.100.8 }'
	edit "$1" '{ 80, 443 }'
	check "loads with other definitions" load
	check "the new relay is not caught" answers nothing 198.51.100.7 80
	check "the old one is" answers "192.0.2.1 443" 192.0.2.1 443
	check "other ports are not" answers nothing 192.0.2.1 8080

	check "can be deleted" in_gateway nft delete table inet $table
	check "then nothing is caught" answers nothing 192.0.2.1 80
	check "nothing is left" [ -z "$(list)" ]
}

both()		# redirect|tproxy, port, rule that catches, definition of ports
{
	kind=$1
	echo "---- $kind ----"
	cp "${srcdir:-.}/nft/$kind.nft" "$tmp/$kind.nft" || exit 1
	loading "$3"
	listen "$2"
	catching "$4"
	kill "$pid" && wait "$pid"
	pid=
}

both redirect 1092 "redirect to :1092" redirected_ports
check "IPv4 that is marked is delivered" deliver_marked -4
[ -z "$six" ] || check "IPv6 that is marked is delivered" deliver_marked -6
both tproxy 1092 "tproxy to :1092" intercepted_ports

[ "$failures" -eq 0 ]
