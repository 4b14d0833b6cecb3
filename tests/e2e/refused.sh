#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A client whose server is not reached gets a reset, never a clean end: closed
# ports, ICMP errors, rules of the relay, no route, a server that never answers
# (in the time of connect-timeout).  The kernel has accepted the client before,
# so connect() succeeds where it would fail directly; the reset comes as soon as
# the relay knows.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
on server nft -f - <<-END || give_up "the server has no firewall"
	table inet test {
		chain input {
			type filter hook input priority filter; policy accept;
			tcp dport { 1190, 2190 } reject with icmpx host-unreachable
			tcp dport { 1191, 2191 } reject with icmpx admin-prohibited
			tcp dport 1192 drop
		}
	}
END
RELAY_PEER="deny(any, 1193)
$permit_server
permit(\"198.51.100.0/24\", any)
permit(\"2001:db8::/32\", any)"
relay_config <<-END
	connect-timeout = 2s
END
start_relay
start_proxy
redirect 1100-2099
note_descriptors

probe refused
check "nothing is left of all these" wait_for 10 settled
for reason in "refused" "host unreachable" "administratively prohibited" \
    "network unreachable" "destination not allowed" "connect timed out"; do
	check "the proxy knows: $reason" logged proxy ": $reason, 0 bytes to it"
done

finish
