#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The proxy with rules of its own (TPROXY; topology_redirect.sh: REDIRECT) in the
# kinds of networks that gateways are in.  In each, connections of IPv4 and IPv6
# send both ways at once; the servers see whether they came through the relay, and
# the proxy counts as many sessions.  What must not be intercepted goes as it
# would without us.  See topology.py.
#
# MODE=redirect, and TOPOLOGIES="plain bridged ..." for these only.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
control=$tmp/run

# What the Internet stands for here; private addresses stay direct by default.
web4=198.51.100.2 web6=2001:db8:3::2
left4=198.51.100.130 left6=2001:db8:3::8001	# `bypass`
RELAY_PEER='permit("198.51.100.0/24", "any")
permit("2001:db8:3::/64", "any")'
for address in "$web4/24" "$left4/24" "$web6/64" "$left6/64"; do
	on server ip addr add "$address" dev eth0
done
on relay ip route add 198.51.100.0/24 via "$server4"
on relay ip -6 route add 2001:db8:3::/64 via "$server6"

# The proxy takes both families of what comes from these.
intercept_from()	# interfaces, as the configuration has them
{
	intercept="mode = $mode interfaces = { $1 }
	    bypass = { \"198.51.100.128/25\", \"2001:db8:3::8000/120\" }"
	proxy_config </dev/null
	start_proxy
	wait_for 10 intercepting ipv6 || give_up "$mode: it does not intercept"
}

# Two that go through the relay and two that do not, and more.
looks()		# what, whom servers see directly, more expectations...
{
	local what=$1 whom=$2
	shift 2
	look "$what" "relay $web4 80" "relay $web6 80" "$whom $left4 80" \
	    "$whom $left6 80" "$@"
}

rules()		# of nft, on standard input
{
	on gateway nft -f - || give_up "the gateway has no such rules"
}

# What is there beside the daemon's.
others()
{
	local family

	on gateway nft -s list ruleset |
	    sed '/^table inet ro-ro-tcp-nat /,/^}/d'
	on gateway ip rule
	on gateway ip -6 rule
	for family in -4 -6; do
		on gateway ip $family route show table all |
		    grep -v 'table local'
	done
}

# ---- topologies where the clients are behind "lan" ----

plain()
{
	looks "a gateway that routes" client
	look "what stays direct" \
	    "client $web4 22" "client $web6 22" \
	    "client $web4 179" "client $web6 179" \
	    "client $server4 80" "client $server6 80" \
	    "client $gateway4 80 at gateway" "client $gateway6 80 at gateway" \
	    "client $proxy4 80 at gateway" "client $proxy6 80 at gateway" \
	    "client $relay4 80 at relay" "client $relay6 80 at relay"
	look "from where nothing is intercepted" \
	    "$server4 $client4 80 by server at client" \
	    "$server6 $client6 80 by server at client" \
	    "$proxy4 $web4 80 by gateway" "$proxy6 $web6 80 by gateway"
}

masquerading()
{
	rules <<-END
		table inet nat {
			chain postrouting {
				type nat hook postrouting priority srcnat
				oifname "wan" masquerade
			}
		}
	END
	looks "a gateway that masquerades" gateway \
	    "gateway $web4 22" "gateway $web6 22" "gateway $server4 80" \
	    "client $gateway4 80 at gateway" "client $gateway6 80 at gateway"
	on gateway nft delete table inet nat
}

# Port forwardings of the operator's.  With TPROXY we see what they have made of
# the destination; with REDIRECT the first to translate is the only one.
translated()
{
	local whom=relay

	[ "$mode" = tproxy ] || whom=client
	rules <<-END
		table ip foreign {
			chain prerouting {
				type nat hook prerouting priority dstnat
				ip daddr 203.0.113.50 tcp dport 80 dnat to $web4
				ip daddr 203.0.113.51 dnat to $server4
				ip daddr 203.0.113.52 tcp dport 80 redirect to :8080
				iifname "wan" tcp dport 8443 dnat to $client4:443
			}
		}
		table ip6 foreign {
			chain prerouting {
				type nat hook prerouting priority dstnat
				ip6 daddr 2001:db8:f::50 tcp dport 80 dnat to $web6
				ip6 daddr 2001:db8:f::51 dnat to $server6
				ip6 daddr 2001:db8:f::52 tcp dport 80 redirect to :8080
				iifname "wan" tcp dport 8443 dnat to [$client6]:443
			}
		}
	END
	looks "a gateway with port forwardings" client \
	    "$whom 203.0.113.50 80 to $web4 80" \
	    "$whom 2001:db8:f::50 80 to $web6 80" \
	    "client 203.0.113.51 80 to $server4 80" \
	    "client 2001:db8:f::51 80 to $server6 80" \
	    "client 203.0.113.52 80 at gateway to $gateway4 8080" \
	    "client 2001:db8:f::52 80 at gateway to $gateway6 8080" \
	    "$server4 $proxy4 8443 by server at client to $client4 443" \
	    "$server6 $proxy6 8443 by server at client to $client6 443"
	on gateway nft delete table ip foreign
	on gateway nft delete table ip6 foreign
}

# A program that sends some connections another way, and keeps whole marks with
# the connections, ours among them.
marked()
{
	local family

	cable gateway wan2 relay eth2 6
	for family in -4 -6; do
		on gateway ip $family rule add fwmark 0x100/0x3f00 lookup 77 \
		    pref 2001
	done
	on gateway ip route add default via 10.77.6.2 table 77
	on gateway ip route add 10.77.1.0/24 dev lan table 77
	on gateway ip -6 route add default via fd77:6::2 table 77
	on gateway ip -6 route add fd77:1::/64 dev lan table 77
	rules <<-END
		table inet multiwan {
			chain prerouting {
				type filter hook prerouting priority mangle
				meta mark set ct mark
				iifname "lan" meta mark and 0x3f00 == 0 \
				    meta mark set meta mark or 0x100
			}
			chain input {
				type filter hook input priority mangle
				meta mark and 0x3f00 == 0x100 counter name whole
				meta mark and 0x10003f00 == 0x10000100 \
				    counter name ours
				ct mark set meta mark
			}
			chain forward {
				type filter hook forward priority mangle
				ct mark set meta mark
			}
			chain output {
				type route hook output priority mangle
				meta mark set ct mark
			}
			chain postrouting {
				type nat hook postrouting priority srcnat
				oifname "wan2" masquerade
			}
			counter whole { }
			counter ours { }
		}
	END
	look "a gateway where another program sets marks" \
	    "relay $web4 80" "relay $web6 80" \
	    "10.77.6.1 $left4 80" "fd77:6::1 $left6 80" \
	    "10.77.6.1 $web4 22" "fd77:6::1 $web6 22" \
	    "client $gateway4 80 at gateway" "client $gateway6 80 at gateway"
	check "$mode: its marks are still there" counted whole
	[ "$mode" = redirect ] ||
	    check "$mode: beside ours" counted ours
	on gateway nft delete table inet multiwan
	for family in -4 -6; do
		on gateway ip $family rule del pref 2001
	done
	on gateway ip link del wan2
	on gateway ip route flush table 77
	on gateway ip -6 route flush table 77
}

counted()	# name of a counter
{
	on gateway nft list counter inet multiwan "$1" |
	    grep -q 'packets [1-9]'
}

mtu()		# bytes, host, interface, host, interface
{
	on "$2" ip link set "$3" mtu "$1"
	on "$4" ip link set "$5" mtu "$1"
}

narrow()
{
	local leg

	for leg in "client eth0 gateway lan" "gateway wan relay eth0" \
	    "relay eth1 server eth0"; do
		# shellcheck disable=SC2086 # these are words
		mtu 1280 $leg
		looks "an MTU of 1280 between $leg" client
		# shellcheck disable=SC2086
		mtu 1500 $leg
	done
}

# ---- other topologies ----

# Of three networks with clients two are intercepted.
two_lans()
{
	add_lan lan2 4
	add_lan guest 5
	intercept_from '"lan", "lan2"'
	looks "two interfaces" client \
	    "relay $web4 80 from 10.77.4.2" "relay $web6 80 from fd77:4::2" \
	    "10.77.4.2 $left4 80 from 10.77.4.2" \
	    "fd77:4::2 $left6 80 from fd77:4::2" \
	    "10.77.5.2 $web4 80 from 10.77.5.2" \
	    "fd77:5::2 $web6 80 from fd77:5::2"
	stop proxy
	on gateway ip link del lan2
	on gateway ip link del guest
}

bridge_filter()		# 0|1
{
	on gateway sh -c "cd /proc/sys/net/bridge &&
	    echo $1 >bridge-nf-call-iptables &&
	    echo $1 >bridge-nf-call-ip6tables" 2>/dev/null
}

# With br_netfilter TPROXY cannot work, and says so.
filtered()
{
	local whom=client

	if [ "$mode" = tproxy ]; then
		wait_for 5 not intercepting ipv4
		check "$mode: br_netfilter is noticed" not intercepting ipv6
		"$roroctl" status -s "$control/proxy.sock" >"$tmp/said.log"
		check "$mode: the status has the reason" logged said \
		    "bridge-nf-call-iptables keeps TPROXY from working"
	else
		whom=relay
	fi
	look "a bridge with br_netfilter" "$whom $web4 80" \
	    "$whom $web6 80" \
	    "client 10.77.1.3 80 at other" "client fd77:1::3 80 at other"
}

# Two clients behind one bridge, which meet without us.
bridged()
{
	on gateway ip link add br-lan type bridge
	on gateway sh -c \
	    'echo 0 >/proc/sys/net/ipv6/conf/br-lan/accept_dad'
	on gateway ip addr del "$gateway4/24" dev lan
	on gateway ip addr del "$gateway6/64" dev lan
	on gateway ip addr add "$gateway4/24" dev br-lan
	on gateway ip addr add "$gateway6/64" dev br-lan nodad
	on gateway ip link set lan master br-lan
	cable gateway lan3 other eth0 8
	on gateway ip addr flush dev lan3
	on gateway ip link set lan3 master br-lan
	on gateway ip link set br-lan up
	on other ip addr add 10.77.1.3/24 dev eth0
	on other ip addr add fd77:1::3/64 dev eth0 nodad
	on other ip route add default via "$gateway4"
	on other ip -6 route add default via "$gateway6"
	bridge_filter 0		# which is 1 where the module is
	intercept_from '"br-lan"'
	looks "a bridge" client \
	    "relay $web4 80 by other" "relay $web6 80 by other" \
	    "client 10.77.1.3 80 at other" "client fd77:1::3 80 at other"
	if bridge_filter 1; then
		filtered
		bridge_filter 0
		wait_for 5 intercepting ipv6
		looks "a bridge, br_netfilter off again" client
	fi
	stop proxy
	on gateway ip link del br-lan
	on gateway ip link del lan3
	on gateway ip addr add "$gateway4/24" dev lan
	on gateway ip addr add "$gateway6/64" dev lan nodad
	# The bridge's.
	on client ip neigh flush all
}

link_local()	# host, interface
{
	on "$1" ip -6 -o addr show dev "$2" scope link |
	    sed 's/.*inet6 \([^/]*\).*/\1/'
}

# All next hops of IPv6 are link-local, and the clients' interface has no other
# address.
link_locals()
{
	on gateway ip -6 addr del "$gateway6/64" dev lan
	on gateway ip -6 route add fd77:1::/64 dev lan
	on client ip -6 route replace default \
	    via "$(link_local gateway lan)" dev eth0
	on gateway ip -6 route replace default \
	    via "$(link_local relay eth0)" dev wan
	on relay ip -6 route replace fd77:1::/64 \
	    via "$(link_local gateway wan)" dev eth0
	on relay ip -6 route replace 2001:db8:3::/64 \
	    via "$(link_local server eth0)" dev eth1
	on server ip -6 route replace default \
	    via "$(link_local relay eth1)" dev eth0
	intercept_from '"lan"'
	looks "next hops of IPv6 that are link-local" client \
	    "client $proxy6 80 at gateway" "client $relay6 80 at relay"
	stop proxy
}

each()	# topology...
{
	local topology begun
	for topology; do
		[[ " ${TOPOLOGIES:-$topology} " == *" $topology "* ]] ||
		    continue
		begun=$EPOCHREALTIME
		"$topology"
		echo "$mode, $topology: $(python3 -c \
		    "print(round($EPOCHREALTIME - $begun, 1))") s"
	done
}

mode=${MODE:-tproxy}
add_host other || give_up "there are no more hosts"
relay_config </dev/null
start_relay
others >"$tmp/before"
intercept_from '"lan"'
each plain masquerading translated marked narrow
stop proxy
others >"$tmp/after"
check "$mode: what others made is as it was" \
    diff "$tmp/before" "$tmp/after"
each two_lans bridged link_locals
finish
