#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Refused is refused: what the relay could not reach is refused by the gateway's
# kernel for five seconds, so that a client's next attempt fails in its own
# connect(), as it would have without us; with TPROXY and REDIRECT, and rules
# that rorod made.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
on server nft -f - <<-END || give_up "the server has no firewall"
	table inet test {
		chain input {
			type filter hook input priority filter; policy accept;
			tcp dport 1190 reject with icmpx host-unreachable
			tcp dport 1191 reject with icmpx admin-prohibited
		}
	}
END
# What goes nowhere needs no rule, and takes no time.
RELAY_PEER="$permit_server
permit(\"198.51.100.0/24\", any)
permit(\"2001:db8::/32\", any)"
relay_config </dev/null
start_relay

intercepting()
{
	on gateway nft list set inet ro-ro-tcp intercepted 2>/dev/null |
	    grep -q ipv6
}

for mode in tproxy redirect; do
	for refused in yes no; do
		intercept="mode = $mode interfaces = { \"lan\" }
		    private = intercept refused = $refused"
		proxy_config </dev/null
		start_proxy
		wait_for 10 intercepting || give_up "nothing is intercepted"
		if [ $refused = yes ]; then
			MODE=$mode probe refusals kinds expiry bounded
		else
			MODE=$mode probe refusals off
		fi
		stop proxy
	done
done
finish
