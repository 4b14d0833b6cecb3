#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A rule of routing of somebody else's that comes before TPROXY's and leads
# elsewhere: what it is for is let go, since it would be lost, in its family
# alone; and intercepted again once the rule is gone.

. "${srcdir:-.}/tests/e2e/lib.sh"

goes()		# direct|relay for IPv4, for IPv6
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "${srcdir:-.}/tests/e2e/tproxy.py" goes "$1" "$2" \
	    >>"$tmp/asked.log" 2>&1
}

says()		# text in the status
{
	"$roroctl" status -s "$control/proxy.sock" >"$tmp/said.log"
	logged said "$1"
}

begin
control=$tmp/run
intercept='mode = tproxy interfaces = "lan" private = intercept'
for family in -4 -6; do
	[ "$family" = -4 ] && via=$relay4 || via=$relay6
	on gateway ip $family route add default via "$via" table 77
done
reason="a rule of routing that comes before TPROXY's leads elsewhere"

start_relay
start_proxy
wait_for 10 intercepting ipv6 || give_up "it does not intercept"
check "both families are carried" goes relay relay

on gateway ip rule add pref 50 from 10.77.1.0/24 lookup 77
wait_for 5 not intercepting ipv4
check "a rule for IPv4 comes: that goes directly" goes direct relay
check "the log says why" logged proxy "intercepted, IPv6 only: $reason"
check "the status, too" says "IPv6 only: $reason"
on gateway ip -6 rule add pref 50 iif lan lookup 77
wait_for 5 not intercepting ipv6
check "one for IPv6, too" goes direct direct
check "the log says that nothing is left" \
    logged proxy "new connections go directly: $reason"
check "the status, too" says "nothing: $reason"
on gateway ip rule del pref 50
on gateway ip -6 rule del pref 50
wait_for 5 intercepting ipv6
check "without them they are intercepted again" goes relay relay

on gateway ip rule add pref 101 from 10.77.1.0/24 lookup 77
on gateway ip rule add pref 50 iif wan lookup 77
sleep 2.5	# it has looked
check "those that come later, or are for others, change nothing" \
    goes relay relay
on gateway ip rule del pref 101
on gateway ip rule del pref 50
stop proxy

# ---- the same rule with another table, and it was there first ----

on gateway ip rule add pref 100 iif lan fwmark 0x10000000/0x10000000 lookup 77
start_proxy
wait_for 10 intercepting ipv6 || give_up "it does not intercept IPv6"
check "one of the same priority that is older" goes direct relay
on gateway ip rule del pref 100 lookup 77
wait_for 5 intercepting ipv4
check "... is gone" goes relay relay
stop proxy
check "the clients go directly without the proxy" goes direct direct
finish
