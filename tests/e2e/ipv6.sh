#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A proxy knows whether its relay reaches IPv6, and intercepts it only then: what
# the relay finds out (a route to the Internet and a global address), and what
# its operator says.  It hears of a change while its subflows are up, and after
# they were lost.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
intercept='mode = redirect interfaces = "lan" private = intercept
    ports = "1100-2099"'
relay_config </dev/null

# How a new connection goes, for IPv4 and IPv6.
goes()		# direct|relay, direct|relay
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "${srcdir:-.}/tests/e2e/tproxy.py" goes "$@" >>"$tmp/asked.log" 2>&1
}

becomes()	# what the log says, direct|relay of IPv6
{
	check "the proxy hears: it reaches $1" wait_for 10 says "$1"
	check "IPv6 is then: $2" wait_for 10 goes relay "$2"
	check "and stays so" goes relay "$2"
}

# The last word.
says()		# text
{
	grep -F 'relay "relay": it reaches' "$tmp/proxy.log" | tail -n 1 |
	    grep -qF "reaches $1"
}

words()		# name
{
	grep -cF ": it reaches" "$tmp/$1.log"
}

operator()	# auto|yes|no
{
	sed -i "s/^ipv6 = .*/ipv6 = $1/" "$tmp/relay.conf"
	kill -HUP "$(pid_of relay)"
}

# What the operator says, from the start and with a reload.
sed -i "s/^ipv6 = .*/ipv6 = no/" "$tmp/relay.conf"
start_relay
start_proxy
becomes "no IPv6" direct
operator yes
becomes IPv6 relay
operator no
becomes "no IPv6" direct

# What the relay finds.
operator auto
check "an address of its own network is not enough" goes relay direct
on relay ip -6 route add default via fd77:3::2
check "nor is a route without another" goes relay direct
on relay ip -6 addr add 2001:db8:9::1/64 dev eth1 nodad
becomes IPv6 relay
on relay ip -6 route del default
becomes "no IPv6" direct
on relay ip -6 route add default via fd77:3::2
becomes IPv6 relay
on relay ip -6 addr del 2001:db8:9::1/64 dev eth1
becomes "no IPv6" direct
check "no subflow was lost for it" [ "$(grep -c "subflow 0: up" \
    "$tmp/proxy.log")" -eq 2 ]

# While there is no subflow.
on gateway nft -f - <<-END || give_up "the gateway has no firewall"
	table inet cut {
		chain output {
			type filter hook output priority filter
			tcp dport $relay_port reject with tcp reset
		}
	}
END
on gateway ss -K dst "$relay4" dport = ":$relay_port" >/dev/null
check "there is no subflow" wait_for 10 [ "$(sockets gateway established \
    "dport = :$relay_port")" -eq 0 ]
operator yes
on gateway nft delete table inet cut
wait_for 20 connected || give_up "the subflows do not come back"
becomes IPv6 relay

# Routes that come and go all the time, and change nothing.
before_relay=$(words relay) before_proxy=$(words proxy)
operator auto
becomes "no IPv6" direct
for ((i = 0; i < 500; i++)); do
	echo "route add 10.99.$((i % 250)).0/24 via 10.77.3.2"
	echo "route del 10.99.$((i % 250)).0/24 via 10.77.3.2"
done | on relay ip -batch - || give_up "there are no routes"
check "a storm of routes is no news" [ "$(words relay)" -eq \
    $((before_relay + 1)) -a "$(words proxy)" -eq $((before_proxy + 1)) ]
check "and changes nothing" goes relay direct

finish
