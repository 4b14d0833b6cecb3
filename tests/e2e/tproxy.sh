#!/bin/bash
# SPDX-License-Identifier: ISC
#
# TPROXY with rules of the operator's: connections are what they are without a
# proxy, IPv4 and IPv6; those under way when the rules come stay direct, and so
# does everything while there is no proxy.  What was not given to us by TPROXY is
# no session.  And the gateway's own connections, which are redirected, on a
# listener that nobody else reaches.

. "${srcdir:-.}/tests/e2e/lib.sh"

here=${srcdir:-.}/tests/e2e

ask()		# what tproxy.py can...
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "$here/tproxy.py" "$@" >>"$tmp/tproxy.log" 2>&1
}

knock()
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "$here/selfconnect.py" "$1" || failures=$((failures + 1))
}

few()		# text
{
	local n
	n=$(grep -cF -- "$1" "$tmp/proxy.log")
	[ "$n" -ge 1 ] && [ "$n" -le 20 ]
}

silent_relay()
{
	! grep -q "session [0-9]" "$tmp/relay.log"
}

begin
control=$tmp/run
intercept='mode = tproxy nft = off route = off own = yes'
can_mute gateway relay
start_relay
start_proxy
note_descriptors

# ---- what is not TPROXY's ----

knock 1000
check "who asks for the proxy is reset, and the log says so, not often" \
    few "refused: it asked for the proxy itself"
redirect 1100-2099
check "what is redirected to it is reset, not carried" ask gives ECONNRESET
direct
check "the relay hears nothing of it" silent_relay

# ---- connections ----

ask under_way "$tmp/open" "$tmp/go" &
under_way=$!
wait_for 10 [ -e "$tmp/open" ] || give_up "nothing is open"
tproxy 1100-2099
touch "$tmp/go"
wait "$under_way"
check "what was under way stays direct" [ $? -eq 0 ]

check "the log does not claim the operator's rules" wait_for 10 logged proxy \
    "ready for what the operator's rules intercept (nft = off)"
says_the_operators()
{
	[ "$("$roroctl" status -s "$control/proxy.sock" |
	    sed -n 's/^intercepting  *//p')" = \
	    "what the operator's rules say (nft = off)" ]
}
check "nor does the status" wait_for 10 says_the_operators

probe ends names again_after_close again_after_reset
probe halfclose
probe reset
check "nothing is left of all these" wait_for 10 settled
check "the server sees the relay" ask gives relay

# ---- no proxy ----

stop proxy KILL
check "without a proxy, connections are direct" ask gives direct
start_proxy
check "and carried when it is back" ask gives relay
stop proxy
check "those after a clean end are direct, too" ask gives direct
intercept='mode = redirect nft = off' proxy_config </dev/null
start_proxy
check "a listener that is not transparent is given nothing" ask gives direct
stop proxy

# ---- without the privilege ----

proxy_config </dev/null
if command -v setpriv >/dev/null; then
	on gateway setpriv --bounding-set -net_admin,-net_raw \
	    --inh-caps -net_admin,-net_raw "$rorod" -c "$tmp/proxy.conf" \
	    >"$tmp/poor.log" 2>&1
	check "a proxy that may not do it does not start" [ $? -eq 1 ]
	check "and says why" logged poor \
	    "listen [::]:$proxy_port for TPROXY: IP_TRANSPARENT: "
fi

# ---- the gateway's own ----

own_rules()	# lines before the redirection
{
	on gateway nft -f - <<-END || give_up "there is no nat output"
	table inet test-own
	delete table inet test-own
	table inet test-own {
		chain output {
			type nat hook output priority -95
			fib daddr type local return
			$1
			tcp dport { 1100-2099, $relay_port } redirect to :1091
		}
	}
	END
}

start_proxy
check "the gateway's own are direct" ask own_gives "$proxy4" "$proxy6"
own_rules 'meta mark and 0x10000000 == 0x10000000 return'
check "until they are redirected" ask own_gives "$relay4s" "$relay6s"
check "that listener is there for this machine only" ask own_port_is_closed
stop proxy
start_proxy
check "the proxy's are marked, and direct" ask own_gives "$relay4s" "$relay6s"
stop proxy
own_rules ''
start_proxy_alone
check "without that rule, it does not carry itself" \
    wait_for 10 logged proxy "refused: it asked for a relay itself"
own_rules 'meta mark and 0x10000000 == 0x10000000 return'
check "and finds the relay once it is there" wait_for 20 connected
check "the gateway's own are carried" ask own_gives "$relay4s" "$relay6s"
check "and the clients'" ask gives relay

finish
