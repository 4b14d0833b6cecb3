#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Subflows die, one, all, one after another, or at one end only: sessions go on
# within half a second and two round trips, or a second and three when all had to
# be dialed again, and what is dead is replaced.  An end that is not told has a
# subflow that is silent, and two seconds or four round trips, as in stall.sh.
# (Where 1 % are lost, one of TCP's timeouts may come to that.)
#
# RORO_LONG=1: one after another for a minute.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

local_ports()
{
	on gateway ss -Htn state established "dport = :$relay_port" |
	    sed -n 's/^[0-9]* *[0-9]* *[^ ]*:\([0-9]*\) .*/\1/p'
}

kill_port()	# port, as the gateway has it; or all
{
	if [ "$1" = all ]; then
		on gateway ss -tK "dport = :$relay_port"
	else
		on gateway ss -tK "dport = :$relay_port and sport = :$1"
	fi >/dev/null
}

# No reset that a host says to its end gets to the other.
hush()		# host
{
	on "$1" nft "add table inet hush
		add chain inet hush out { type filter hook output priority 0; }
		add rule inet hush out tcp flags & rst == rst \
		    tcp dport $relay_port drop
		add rule inet hush out tcp flags & rst == rst \
		    tcp sport $relay_port drop"
}

unhush()
{
	on "$1" nft delete table inet hush
}

# None of these is left, and others have taken their places.
four_others()	# ports
{
	local port now
	now=" $(local_ports | tr '\n' ' ')"
	for port; do
		[[ $now != *" $port "* ]] || return 1
	done
	[ "$(sockets gateway established "dport = :$relay_port")" -eq 4 ] &&
	    [ "$(sockets relay established "sport = :$relay_port")" -eq 4 ]
}

# An end that nobody told about is not kept for longer than a minute.
gone()		# what, its port, seconds
{
	local begun=$SECONDS
	check "$1" wait_for "$3" four_others "$2"
	echo "    within $((SECONDS - begun)) s, promised: 60 s"
}

times=5 pause=0.5 calm=1
[ -z "${RORO_LONG-}" ] || { times=30 pause=2 calm=5; }

begin
go_first
far
start_relay
start_proxy
redirect 1100-2099
kill_port 1 || skip "needs ss -K (INET_DIAG_DESTROY)"
carry 4

victim=$(local_ports | head -n 1)
mark cut "$(trips 0.5 2)" "1: one of four is reset"
kill_port "$victim"
check "it is replaced" wait_for 3 four_others "$victim"
sleep $calm

mapfile -t victims < <(local_ports)
mark cut "$(trips 1 3)" "2: all four are reset"
kill_port all
check "they are replaced" wait_for 5 four_others "${victims[@]}"
sleep $calm

mapfile -t victims < <(local_ports)
for ((i = 0; i < times; i++)); do
	mark cut "$(trips 0.5 2)" "3: one after another is reset"
	kill_port "$(local_ports | sed -n "$((i % 4 + 1))p")"
	sleep $pause
done
check "they are replaced" wait_for 5 four_others
sleep $calm

victim=$(local_ports | tail -n 1)
hush gateway
mark cut "$(silent)" "4: one is reset at the proxy's end only"
kill_port "$victim"
gone "4: the relay's half is gone" "$victim" 5
unhush gateway
sleep $calm

victim=$(local_ports | head -n 1)
hush relay
mark cut "$(silent)" "4: one is reset at the relay's end only"
on relay ss -tK "sport = :$relay_port and dport = :$victim" >/dev/null
gone "4: the proxy's half is gone" "$victim" 60
unhush relay

carried
finish
