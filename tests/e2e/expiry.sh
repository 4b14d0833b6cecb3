#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What is away for resume-timeout costs every session: both ends are reset, and
# nothing ends well.  So it is with a link that is silent, with a relay that is,
# and at once with a timeout of 0.
#
# RORO_LONG=1: with the timeout of the default.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

restart()	# resume-timeout
{
	stop relay
	stop proxy
	relay_config <<<"resume-timeout = $1s"
	proxy_config <<<"resume-timeout = $1s"
	start_relay
	start_proxy
}

resume=6 away=10
[ -z "${RORO_LONG-}" ] || { resume=120 away=130; }

begin
go_first
control=$tmp/run
relay_config <<<"resume-timeout = ${resume}s"
proxy_config <<<"resume-timeout = ${resume}s"
far
start_relay
start_proxy
redirect 1100-2099

carry 4
mark lost $resume "7: everything is lost for longer than resume-timeout"
hole on
sleep $away
hole off
sleep 2
carried
check "the proxy says how many were lost" \
    logged proxy "no subflow for too long: open sessions are reset: 4"
check "the proxy comes back" wait_for 10 connected

# What the proxy says of its relay, and of its path, a word each, is in $said.
says()		# state of the relay
{
	said=$("$roroctl" status -f json -s "$control/proxy.sock" |
	    python3 -c '
import json, sys
relay = json.load(sys.stdin)["relays"][0]
print(relay["state"], relay["paths"][0]["state"])')
	[ "${said% *}" = "$1" ]
}

check "it is up" wait_for 10 says up
check "and so is its path" [ "$said" = "up up" ]
carry 4
mark clients $resume "18: the relay stands still for longer"
kill -STOP "$(pid_of relay)"
on=$((SECONDS + resume + resume / 10 + 7))
# Its kernel answers as ever: that nobody is there is found by asking, each 3 s.
check "that is known" wait_for 10 says down
check "a path to nobody is suspect ($said)" [ "$said" = "down suspect" ]
sleep $((on - SECONDS))
kill -CONT "$(pid_of relay)"
mark servers $resume "18: the relay goes on"
sleep $((resume + 5))
carried

restart 0
on gateway ss -tK "dport = :1" >/dev/null ||
    skip "needs ss -K (INET_DIAG_DESTROY)"
carry 4
mark lost "$(trips 0 2)" "nobody waits with a resume-timeout of 0"
on gateway ss -tK "dport = :$relay_port" >/dev/null
sleep 1
carried
finish
