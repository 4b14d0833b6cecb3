#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A proxy with rules of its own is killed: what was open is reset at both ends
# and never ends cleanly (see kill.sh), also where REDIRECT has to translate the
# resets; what it leaves behind is what nft-owner says, does no harm for longer
# than a few seconds, and is gone after the next start and end.  A second
# instance is told that one is running.
#
# RORO_LONG=1: also TPROXY with nft-owner = no.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
go_first
helper=${srcdir:-.}/tests/e2e/control.py

there()		# table
{
	on gateway nft list tables | grep -q "^table inet $1\$"
}

gone()
{
	! there ro-ro-tcp
}

rules()
{
	on gateway ip rule
	on gateway ip -6 rule
}

intercepting()
{
	on gateway nft list set inet ro-ro-tcp intercepted 2>/dev/null |
	    grep -q ipv6
}

goes()		# D|R
{
	[ "$(on client python3 "$helper" ask "$server4" 2100 2>&1)" = "$1" ] &&
	    [ "$(on client python3 "$helper" ask "$server6" 2100 2>&1)" = "$1" ]
}

killed()
{
	{ wait "${pids[proxy]}"; } 2>/dev/null
	unset "pids[proxy]"
}

second()	# what it says
{
	start second gateway "$rorod" -c "$tmp/second.conf"
	check "a second instance ends" wait_for 10 ended "$(pid_of second)"
	wait "$(pid_of second)"
	check "with status 1" [ $? -eq 1 ]
	unset "pids[second]"
	check "and says: $1" logged second "$1"
	check "in one line" [ "$(wc -l <"$tmp/second.log")" -eq 1 ]
	rm "$tmp/second.log"
	check "the first one goes on" goes R
}

control=$tmp/run
start server server python3 "$helper" serve 2100
wait_for 10 listening server 2100
echo 'resume-timeout = 2s' | relay_config
start_relay
before=$(rules)
for mode in tproxy redirect; do
	for owner in yes no; do
		[ $mode$owner != tproxyno ] || [ -n "${RORO_LONG-}" ] || continue
		echo "    $mode, nft-owner = $owner:"
		intercept="mode = $mode interfaces = { \"lan\" }
		    private = intercept nft-owner = $owner"
		rm -f "$tmp/proxy.log"
		echo 'resume-timeout = 2s' | proxy_config
		start_proxy
		wait_for 10 intercepting || give_up "nothing is intercepted"
		check "connections go through the relay" goes R
		if [ $owner = no ]; then
			check "there is a warning" logged proxy \
			    "the rules are not owned (nft-owner)"
		fi

		# Another, first at the same socket, then at one of its own.
		sed 's/^log-level.*/log-level = warn/' "$tmp/proxy.conf" \
		    >"$tmp/second.conf"
		second "another daemon listens there"
		sed -i 's/^control.*/control = off/
		    s/:1092/:1192/' "$tmp/second.conf"
		second "another rorod runs here, as process"

		victim=$(pid_of proxy) probe kill killed
		killed
		if [ $owner = yes ]; then
			check "the table goes with it" wait_for 1 gone
			check "new connections go directly" goes D
		else
			check "the table stays" there ro-ro-tcp
			check "and new connections soon go directly" \
			    wait_for 12 goes D
			check "though it is still there" there ro-ro-tcp
		fi
		check "its socket stays" [ -S "$control/proxy.sock" ]

		start_proxy
		wait_for 10 intercepting || give_up "nothing is intercepted"
		check "a new one takes all that over" goes R
		stop proxy
		check "and leaves no table" gone
		check "no rule" [ "$(rules)" = "$before" ]
		check "and no socket" [ ! -e "$control/proxy.sock" ]
	done
done
finish
