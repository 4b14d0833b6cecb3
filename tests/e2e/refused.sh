#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A client whose server is not reached gets a reset, never a clean end: closed
# ports, ICMP errors, rules of the relay, no route, a server that never answers
# (in the time of connect-timeout).  The kernel has accepted the client before,
# so connect() succeeds where it would fail directly; the reset comes as soon as
# the relay knows, within two round trips.  Others do not notice.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

# A packet that is lost costs more than two short round trips.
[ -n "${RORO_LONG-}" ] || { rtt=100 loss=0; }

begin
far
export RTT=$rtt
on server nft -f - <<-END || give_up "the server has no firewall"
	table inet test {
		chain input {
			type filter hook input priority filter; policy accept;
			tcp dport { 1190, 2190 } reject with icmpx host-unreachable
			tcp dport { 1191, 2191 } reject with icmpx admin-prohibited
			tcp dport 1192 drop
			tcp dport { 1194, 2194 } reject with icmpx port-unreachable
			tcp dport { 1195, 2195 } reject with icmpx no-route
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
wait_for 10 known || give_up "the relay does not know its subflows"
note_descriptors

carry 2
mark cut "$(silent)" "41, 42: others, while destinations are refused"
probe refused
carried
check "nothing is left of all these" wait_for 10 settled
for reason in "refused" "host unreachable" "administratively prohibited" \
    "network unreachable" "destination not allowed" "connect timed out"; do
	check "the proxy knows: $reason" logged proxy ": $reason, 0 bytes to it"
done

# However many addresses the relay has, it does not connect to its own.
for i in {1..150}; do
	echo "addr add 11.0.0.$i/32 dev lo"
	echo "addr add 11.0.1.$i/32 dev lo"
done >"$tmp/addresses"
on relay ip -batch "$tmp/addresses" || give_up "the relay gets no addresses"
own()		# address
{
	on client timeout 5 python3 -c '
import socket, sys
try:
    socket.create_connection((sys.argv[1], 1180), 5).recv(1)
except OSError:
    pass' "$1"
	logged relay "to $1:1180: denied: own address"
}
check "the first of 300 addresses is denied" wait_for 15 own 11.0.0.1
check "and the last" wait_for 15 own 11.0.1.150

finish
