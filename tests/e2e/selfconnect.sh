#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Who connects to the proxy's own port, redirected or not, is reset: nothing
# loops, and a thousand of them make a few log lines.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
start_relay
start_proxy
note_descriptors

lines()		# text
{
	grep -cF -- "$1" "$tmp/proxy.log"
}

few()		# text
{
	local n
	n=$(lines "$1")
	[ "$n" -ge 1 ] && [ "$n" -le 20 ]
}

knock()
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "${srcdir:-.}/tests/e2e/selfconnect.py" "$1" ||
	    failures=$((failures + 1))
}

knock 1000
check "the log says so, not often" few "refused: it was not redirected here"
stop proxy
: >"$tmp/proxy.log"
start_proxy

# A ruleset without exception for the gateway's own addresses.
on gateway nft -f - <<END
table inet greedy {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifname "lan" meta l4proto tcp redirect to :$proxy_port
	}
}
END
carry 2
mark cut 1 "41: others, while a thousand ask for the proxy itself"
knock 1000
carried
check "the log says so, not often" few "refused: it asked for the proxy itself"
check "the relay hears of the others alone" \
    [ "$(grep -c "session [0-9]* .*: to " "$tmp/relay.log")" -eq 2 ]
check "the log is short" [ "$(wc -l <"$tmp/proxy.log")" -lt 60 ]
check "nothing is left" wait_for 10 settled

finish
