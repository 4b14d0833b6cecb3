#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Others change what is the proxy's: they load their firewall again, flush all
# rules, remove our table, its chains, the rule and the route of TPROXY, and fill
# our sets.  What is intercepted goes on, and new connections always work; with a
# table that nobody owns they may go directly for a moment.  See meddle.py.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
helper=${srcdir:-.}/tests/e2e/meddle.py
number=0
control=$tmp/run

# Connections that somebody meddles with.
keep()		# busy|idle|reset
{
	number=$((number + 1))
	start "kept$number" client env PROBE_PREFIX="$prefix" \
	    PYTHONDONTWRITEBYTECODE=1 python3 "$helper" "$1" \
	    "$tmp/open$number" "$tmp/go$number"
	wait_for 20 [ -e "$tmp/open$number" ] ||
	    give_up "$mode: there are no connections"
}

kept()		# what
{
	touch "$tmp/go$number"
	wait "${pids[kept$number]}"
	check "$mode, owner = $owner: $1" [ $? -eq 0 ]
	cat "$tmp/kept$number.log"
	unset "pids[kept$number]"
}

goes()		# direct|relay for IPv4 and IPv6
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "${srcdir:-.}/tests/e2e/tproxy.py" goes "$1" "$1" \
	    >>"$tmp/asked.log" 2>&1
}

# A table of theirs, loaded as Debian does it.
load_firewall()
{
	on gateway nft -f - <<-END
		flush ruleset
		table inet theirs {
			chain forward {
				type filter hook forward priority filter
				ct state established,related accept
			}
			chain postrouting {
				type nat hook postrouting priority srcnat
				oifname "dummy" masquerade
			}
		}
	END
}

has_keeper()
{
	on gateway nft list table inet ro-ro-tcp-nat 2>/dev/null |
	    grep -q "ct status dnat accept"
}

has_table()
{
	on gateway nft list chain inet ro-ro-tcp new 2>/dev/null |
	    grep -q "to rorod"
}

has_routing()
{
	local family
	for family in -4 -6; do
		on gateway ip $family rule | grep -q 0x10000000 &&
		    on gateway ip $family route show table 2025 |
		    grep -q local || return
	done
}

whole()
{
	has_table && { [ "$mode" != redirect ] || has_keeper; } &&
	    { [ "$mode" != tproxy ] || has_routing; }
}

start_with()	# no|yes
{
	owner=$1
	intercept="mode = $mode interfaces = \"lan\" private = intercept
	    nft-owner = $owner"
	proxy_config </dev/null
	start_proxy
	wait_for 10 intercepting ipv6 || give_up "$mode: it does not intercept"
}

# Nobody can do much to a table with an owner.
owned()
{
	local _

	start_with yes
	keep busy
	for _ in 1 2 3; do
		on gateway nft flush ruleset
		load_firewall
	done
	check "$mode: a firewall that is loaded changes nothing" goes relay
	check "$mode: what can be removed is there again" wait_for 5 whole
	kept "connections go on"
	keep reset
	stop proxy KILL
	kept "and are reset when the proxy is killed"
	check "$mode: the table goes with it" wait_for 5 goes direct
}

meddle()	# what, command...
{
	local what=$1
	shift
	keep idle
	on gateway "$@"
	check "$mode: $what: it is there again" wait_for 5 whole
	check "$mode: and new connections work as before" wait_for 5 goes relay
	kept "those that were open go on"
}

# An operator's list while there is no table.
bypassed()
{
	local command
	for command in add del; do
		kill -STOP "$(pid_of proxy)"
		on gateway nft delete table inet ro-ro-tcp
		"$roroctl" bypass -s "$control/proxy.sock" $command \
		    192.0.2.0/24 >"$tmp/$command.log" 2>&1 &
		sleep 0.2	# it has asked
		kill -CONT "$(pid_of proxy)"
		wait $!
		check "$mode: bypass $command works without the table" \
		    [ $? -eq 0 ]
		cat "$tmp/$command.log"
		check "$mode: which is there again" wait_for 5 whole
	done
}

# One that everybody can remove.
not_owned()
{
	start_with no
	meddle "the table is removed" nft delete table inet ro-ro-tcp
	meddle "its rules are" nft flush table inet ro-ro-tcp
	meddle "so is everything" nft flush ruleset
	meddle "a firewall is loaded" nft -f "$tmp/firewall.nft"
	bypassed
	if [ "$mode" = tproxy ]; then
		meddle "the routing is removed" sh -c "ip rule del pref 100
		    ip -6 rule del pref 100
		    ip route flush table 2025
		    ip -6 route flush table 2025"
	fi
	seq 1 1024 | sed 's/.*/add element inet ro-ro-tcp refused4 { 192.0.2.1 . & : goto refuse-reset }/' |
	    on gateway nft -f - || fail "the set cannot be filled"
	check "$mode: the set of refused destinations is full" goes relay
	for _ in 1 2; do
		on client python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 2099), 10)
sys.exit(s.recv(1) != b"")' "$server4" 2>"$tmp/refused.log"
		check "$mode: so the next one is told late, too" \
		    logged refused ConnectionResetError
	done
	check "$mode: and nothing else changes" goes relay
	stop proxy
}

load_firewall
on gateway nft list ruleset >"$tmp/firewall.nft"
sed -i '1i flush ruleset' "$tmp/firewall.nft"
on gateway nft flush ruleset
start_relay
for mode in ${MODES:-tproxy redirect}; do
	owned
	not_owned
done
finish
