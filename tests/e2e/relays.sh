#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Several relays: new sessions go to them in order or by weight, to those that
# reach their family, and elsewhere as soon as one is lost or about to end;
# sessions of a lost one wait for it; one that comes and goes is left alone.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

# Some round trips, on a machine that is busy; a relay ends when its sessions have.
grace=10
[ -z "${RORO_LONG-}" ] || grace=15

begin
go_first
far
export rtt
redirect 1100-2099
control=$tmp/run

# Two on one host, of which the first does not reach IPv6.
export two4=10.77.2.3
on relay ip addr add $two4/24 dev eth0
make_key two
relay_config </dev/null
sed -i "s/^listen.*/listen = \"$relay4:$relay_port\"/; s/^ipv6.*/ipv6 = no/
    s/^grace.*/grace = ${grace}s/" "$tmp/relay.conf"
sed "s/^listen.*/listen = \"$two4:$relay_port\"/; s/^ipv6.*/ipv6 = yes/
    s/relay.sock/two.sock/; s/proxy.key/two.key/" "$tmp/relay.conf" >"$tmp/two.conf"
proxy_config <<-END
relays = order
relay "two" {
	address = "$two4:$relay_port"
	key-file = "$tmp/two.key"
}
END

# Whom the probes start and stop themselves.
export RORO_TMP=$tmp RORO_ROROD=$rorod RORO_ROROCTL=$roroctl
start_proxy_alone
export PROXY_PID
PROXY_PID=$(pid_of proxy)
check "one relay or the other" probe relays
finish
