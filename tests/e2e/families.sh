#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A relay without IPv6, one without IPv4, a network without IPv4, and addresses
# of IPv4 that are written as those of IPv6: what the relay cannot reach stays
# direct, the rest is intercepted.  (ipv6.sh: how the proxy hears of it, with
# REDIRECT.)
#
# RORO_LONG=1: here also with REDIRECT.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
control=$tmp/run
web4=$server4 web6=$server6

takes()		# ipv4|ipv6, or both, or nothing
{
	local family
	for family in ipv4 ipv6; do
		if [[ " $* " == *" $family "* ]]; then
			intercepting $family || return
		else
			! intercepting $family || return
		fi
	done
}

# The reason is a part of the line in the log.
then_takes()	# reason, families...
{
	local reason=$1
	shift
	check "$mode: it takes ${*:-nothing}" wait_for 10 takes "$@"
	check "$mode: and says why" logged proxy "$reason"
}

begin_with()	# address of the relay
{
	intercept="mode = $mode interfaces = \"lan\" private = intercept"
	proxy_config </dev/null
	sed -i "s/^address = .*/address = \"$1\"/" "$tmp/proxy.conf"
	: >"$tmp/proxy.log"
	start_proxy
}

relay_says()	# auto|no|yes
{
	sed -i "s/^ipv6 = .*/ipv6 = $1/" "$tmp/relay.conf"
}

without_ipv6()
{
	relay_says no
	start_relay
	begin_with "$relay4:$relay_port"
	then_takes "IPv4 only: the relay has no route for IPv6" ipv4
	look "a relay without IPv6" "relay $web4 1100" "client $web6 1100"
	relay_says yes
	kill -HUP "$(pid_of relay)"
	check "$mode: it takes both once it has" wait_for 10 takes ipv4 ipv6
	look "a relay that has it now" "relay $web4 1100" "relay $web6 1100"
	stop proxy
}

mapped()
{
	begin_with "[::ffff:$relay4]:$relay_port"
	wait_for 10 takes ipv4 ipv6 || give_up "$mode: nothing is taken"
	look "IPv4 written as IPv6" "relay $web6 1100" \
	    "$relay4s ::ffff:$web4 1100" \
	    "client $relay4 1100 at relay" \
	    "$client4 ::ffff:$relay4 1101 at relay"
	stop proxy
	stop relay
}

# IPv4 goes on without an address on the relay, which routes it by IPv6.
lose_ipv4()	# host...
{
	local host link
	for host; do
		for link in $(on "$host" ls /sys/class/net); do
			[ "$link" = lo ] ||
			    on "$host" ip -4 addr flush dev "$link"
		done
	done
}

without_ipv4()
{
	relay_says yes
	start_relay
	begin_with "[$relay6]:$relay_port"
	then_takes "IPv6 only: the relay has no IPv4" ipv6
	look "a relay without IPv4" "client $web4 1100" "relay $web6 1100"
	stop proxy
	stop relay
}

only_ipv6()
{
	relay_says yes
	start_relay
	begin_with "[$relay6]:$relay_port"
	then_takes "new connections are intercepted" ipv6
	look "a network without IPv4" "relay $web6 1100" \
	    "client $relay6 1100 at relay" "client $gateway6 1100 at gateway"
	stop proxy
	stop relay
}

modes=tproxy
[ -z "${RORO_LONG-}" ] || modes="tproxy redirect"
modes=${MODES:-$modes}
relay_config </dev/null
for mode in $modes; do
	without_ipv6
	mapped
done
lose_ipv4 relay
on relay ip route add 10.77.3.0/24 via inet6 "$server6" dev eth1
on relay ip route add 10.77.1.0/24 via inet6 "$proxy6" dev eth0
on gateway ip route replace default via inet6 "$relay6" dev wan
on server ip route replace default via inet6 "$relay6s" dev eth0
for mode in $modes; do
	without_ipv4
done
lose_ipv4 client gateway server
for mode in $modes; do
	only_ipv6
done
finish
