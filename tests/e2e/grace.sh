#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A relay that is about to end, and its link breaks: within grace the sessions go
# on as they do otherwise, and what is left then is reset at both ends, also when
# nobody can be told.  It may have any number of successors meanwhile.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

# New sessions are the relay's.
ready()
{
	grep 'gateway: .*ready' "$tmp/proxy.log" | tail -n 1 |
	    grep -q 'gateway: ready'
}

grace=10 away=4
[ -z "${RORO_LONG-}" ] || { grace=30 away=20; }

begin
go_first
redirect 1100-2099
relay_config </dev/null
sed -i "s/^grace.*/grace = ${grace}s/" "$tmp/relay.conf"
far
start_relay
start_proxy

carry 4
mark lost $grace "grace is over"
kill -TERM "$(pid_of relay)"
sleep 1
# Every subflow is reset, at the proxy's end alone.
on gateway nft -f - <<END
table inet cut {
	chain output {
		type filter hook output priority 0
		ip daddr $relay4 meta l4proto tcp reject with tcp reset
	}
}
END
sleep 2
check "no subflow is left" not connected
on gateway nft delete table inet cut
mark back "$(trips 5 3)" "all subflows are reset for 2 s, in grace"
check "the sessions go on" wait_for 12 goes_on
# New ones are not for it.
check "it takes no group more" wait_for 10 logged proxy "it is about to end"
on gateway "$roroctl" check -f json -c "$tmp/proxy.conf" >"$tmp/check.json" \
    2>/dev/null
check "... which roroctl check says" [ "$(python3 \
    "${srcdir:-.}/tests/e2e/check.py" "$tmp/check.json" status relay)" = warning ]
wait_for $((2 * grace)) ended "$(pid_of relay)"
stop relay
carried

# Its last words are lost.
start_relay
wait_for 30 ready || give_up "the proxy does not find its relay"
RELAY_PID=$(pid_of relay) LINK=$tmp/link.fifo AWAY=$away RTT=$rtt
export RELAY_PID LINK AWAY RTT
probe grace unheard
stop relay

export RORO_ROROD=$rorod RORO_TMP=$tmp
sed -i 's/^grace.*/grace = 1min/' "$tmp/relay.conf"
probe grace generations places

finish
