# SPDX-License-Identifier: ISC
# shellcheck shell=bash disable=SC2154	# tmp, those of lib.sh
#
# Sourced after lib.sh: the relay at the far end of a link with a round trip, in
# the place of the cable.  It is that of tests/link.c, from "wan" of the gateway
# (a) to "eth0" of the relay (b).
#
#	begin
#	far
#	...
#	hole ab			# what the proxy sends is lost
#	hole off
#	mark back "$(trips 5 3)" "what the proxy sends was lost"
#
# Round trip and loss are for the short form and for RORO_LONG=1.

far_link=${far_link:-${top_builddir:-.}/tests/link}
rtt=${rtt:-200} loss=${loss:-0.5}
[ -z "${RORO_LONG-}" ] || { rtt=600 loss=1; }

# One link more, in the place of a cable between these interfaces if there is one.
link_between()	# name, interface here, there, number of the network, options...
{
	local name=$1 here=$2 there=$3 n=$4
	shift 4

	[ -c /dev/net/tun ] || skip "no /dev/net/tun"
	on gateway ip link del "$here" 2>/dev/null
	start "$name" relay "$far_link" \
	    --ns-a "$(ns gateway)" --dev-a "$here" --addr-a "10.77.$n.1/24" \
	    --addr-a "fd77:$n::1/64" \
	    --ns-b "$(ns relay)" --dev-b "$there" --addr-b "10.77.$n.2/24" \
	    --addr-b "fd77:$n::2/64" \
	    --seed "${SEED:-1}" --control "$tmp/$name.fifo" "$@"
	wait_for 10 grep -q '^ready$' "$tmp/$name.log" ||
	    give_up "there is no link: $(cat "$tmp/$name.log")"
}

# The routes of lib.sh that went with the cable, or with the link being down.
far_routes()
{
	on gateway ip -6 addr replace "$proxy6/64" dev wan nodad
	on gateway ip route replace default via "$relay4"
	on gateway ip -6 route replace default via "$relay6"
	on relay ip route replace 10.77.1.0/24 via "$proxy4"
	on relay ip -6 route replace fd77:1::/64 via "$proxy6"
}

far()
{
	link_between link wan eth0 2 --rate 20Mbit --delay "$((rtt / 2))ms" \
	    --loss "$loss%"
	far_routes
	echo "    a round trip of $rtt ms, $loss % are lost"
}

# What does not pass: all, nothing, or one direction.
hole()		# on|off|ab|ba
{
	echo "blackhole $1" >"$tmp/link.fifo"
}

# What is promised: so many seconds, and so many round trips.
trips()		# seconds, round trips
{
	awk -v s="$1" -v n="$2" -v rtt="$rtt" \
	    'BEGIN { printf "%.2f\n", s + n * rtt / 1000 }'
}

# Of one subflow: the larger of 2 s and four round trips.
silent()
{
	trips $((rtt > 500 ? 0 : 2)) $((rtt > 500 ? 4 : 0))
}

# So does the relay know all subflows that the proxy has.
known()
{
	[ "$(grep -c 'subflow from .*: up$' "$tmp/relay.log")" -ge \
	    "${SUBFLOWS:-4}" ]
}
