#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Links that take small packets only: 1280 bytes, 576, and one in the middle that
# swallows what is larger without a word (ICMP is filtered somewhere).  For the
# last the kernel has to look for itself, at both ends, as rorod(8) says.  With
# net.ipv4.tcp_mtu_probing = 1 it does after some timeouts, and a subflow is often
# replaced before; with 2 the new one begins with what gets through.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

[ -n "${RORO_LONG-}" ] || { rtt=40 loss=0; }

begin
far
steady="${srcdir:-.}/tests/e2e/steady.py"
large=1000000

small_link()	# bytes
{
	on gateway ip link set wan mtu "$1" &&
	    on relay ip link set eth0 mtu "$1"
}

# Nothing above this is carried, either way; who sends it hears nothing.
swallow()	# bytes
{
	on relay nft -f - <<-END && on gateway nft -f - <<-END2
	table inet swallow {
		chain in {
			type filter hook prerouting priority raw
			iifname "eth0" meta length > $1 counter drop
		}
	}
	END
	table inet swallow {
		chain in {
			type filter hook prerouting priority raw
			iifname "wan" meta length > $1 counter drop
		}
	}
	END2
}

swallowed()	# host
{
	[ "$(on "$1" nft list table inet swallow |
	    sed -n 's/.*counter packets \([0-9]*\) .*/\1/p')" -gt 0 ]
}

exchange()	# bytes, address
{
	on client python3 "$steady" small "$2" 1100 1 "$1"
}

start server server python3 "$steady" serve 1100
wait_for 10 listening server 1100 || give_up "there is no server"
start_relay
redirect 1100

for mtu in 1280 576; do
	small_link $mtu || give_up "the link cannot be made small"
	start_proxy
	check "bytes come through a link of $mtu" exchange $large "$server4"
	[ $mtu -lt 1280 ] ||
	    check "and of sessions over IPv6" exchange $large "$server6"
	stop proxy
done

small_link 1500
for host in gateway relay; do
	on $host sh -c "echo 2 >/proc/sys/net/ipv4/tcp_mtu_probing"
done
start_proxy
# The path grows small while all is well.
check "bytes come through" exchange $large "$server4"
swallow 1100 || give_up "there is no firewall"
SECONDS=0
check "bytes come through where large packets do not" \
    exchange $large "$server4"
echo "    49: after $SECONDS s, promised: a subflow's replacement"
check "they were swallowed on their way" swallowed relay
check "and on the way back" swallowed gateway
stop proxy
start_proxy
SECONDS=0
check "and by new subflows" exchange $large "$server4"
echo "    49: after $SECONDS s, promised: a subflow's replacement"
finish
