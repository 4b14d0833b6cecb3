#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A proxy or a relay that is told to end (SIGTERM) loses nothing of what is under
# way when it can be finished within `grace`, and a relay can have a successor
# from the first moment.  (drain.sh is about sessions that last for longer.)

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
for role in relay proxy; do
	${role}_config </dev/null
	# What is under way is soon over, and then nobody waits.
	sed -i 's/^grace.*/grace = 30s/' "$tmp/$role.conf"
done
start_relay
start_proxy
redirect 1100-2099

# Told to end and replaced, with a line of what happens.
replace()	# proxy|relay, probe
{
	echo "    SIGTERM to the $1:"
	victim=$(pid_of "$1") newcomer=ECONNREFUSED probe term "$2"
	stop "$1"
	"start_$1"
	wait_for 20 connected || give_up "the proxy does not find its relay"
}

# The old relay has sessions to finish when the new one starts.
succeed()
{
	local probes

	echo "    SIGTERM to the relay, and another one starts:"
	victim=$(pid_of relay) newcomer=new probe term under_way &
	probes=$!
	wait_for 20 logged relay "rorod: ending when" ||
	    give_up "the relay does not end"
	pids[old]=${pids[relay]}
	mv "$tmp/relay.log" "$tmp/old.log"
	start_relay
	check "both are there" running old
	check "one in the place of the other" \
	    wait_for 5 logged relay "in the place of one that is about to end"
	wait $probes || fail "see above"
	stop old
	check "the old one ended well" [ "$stopped" -eq 0 ]
	wait_for 20 connected || give_up "the proxy does not find its relay"
}

replace proxy under_way
replace proxy already_closed
succeed
replace relay already_closed

finish
