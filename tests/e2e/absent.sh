#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The clients' interfaces need not be there: those that come, with a name of the
# configuration or with the beginning of one, are intercepted from then on, and
# what is intercepted already does not notice those that come and go.
#
# RORO_LONG=1: also with REDIRECT.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
control=$tmp/run

# Routing follows events, after a second.
routed()	# interface
{
	local family
	[ "$mode" = tproxy ] || return 0
	for family in -4 -6; do
		on gateway ip $family rule | grep 0x10000000 |
		    grep -q "iif $1 " || return
	done
}

not_routed()	# interface
{
	! on gateway ip rule | grep -q "iif $1 " &&
	    ! on gateway ip -6 rule | grep -q "iif $1 "
}

is_intercepted()	# what, number of the network
{
	look "$1" "relay $server4 1100 from 10.77.$2.2" \
	    "relay $server6 1100 from fd77:$2::2"
}

comes()		# interface, number of the network
{
	add_lan "$1" "$2"
	check "$mode: $1 comes: there is routing" wait_for 5 routed "$1"
	is_intercepted "$1 comes" "$2"
}

goes()		# interface
{
	on gateway ip link del "$1"
}

relay_config </dev/null
start_relay
modes=tproxy
[ -z "${RORO_LONG-}" ] || modes="tproxy redirect"
for mode in ${MODES:-$modes}; do
	intercept="mode = $mode private = intercept
	    interfaces = { \"late\", \"radio*\" }"
	proxy_config </dev/null
	start_proxy
	wait_for 10 intercepting ipv6 ||
	    give_up "$mode: it does not start without its interfaces"
	look "there is only another one" "client $server4 1100" \
	    "client $server6 1100"
	comes late 4
	comes radio0 5
	goes late
	is_intercepted "late goes, radio0 does not notice" 5
	comes late 4
	comes radio1 6
	goes radio0
	check "$mode: radio0 goes, with its routing" \
	    wait_for 5 not_routed radio0
	is_intercepted "and radio1 stays" 6
	on gateway ip link set radio1 down
	on gateway ip link set radio1 name radio2
	on gateway ip link set radio2 up
	on gateway ip addr replace fd77:6::1/64 dev radio2 nodad
	check "$mode: it is renamed: there is routing" wait_for 5 routed radio2
	is_intercepted "and it is intercepted" 6
	goes late
	goes radio2
	stop proxy
	check "$mode: no routing is left" not_routed late
done
finish
