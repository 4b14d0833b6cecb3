#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Without a key a relay is silent: hellos that are wrong in any way, cut
# anywhere, under another key or heard before are all read, never answered (but
# those heard before, once), and closed by the same timer.  What was recorded
# opens nothing, not even after a restart, and the relay's own bytes open no
# proxy.
#
# RORO_LONG=1: with every bit of a hello.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
python3 -c 'import cryptography' 2>/dev/null ||
    skip "needs python3-cryptography"

protection=sealed
SOURCES=
for i in {100..199}; do
	on client ip addr add "10.77.1.$i/24" dev eth0
	SOURCES="$SOURCES 10.77.1.$i"
done
relay_config </dev/null
proxy_config <<-END
	connect-timeout = 2s
END
sed -i "s/$relay4:$relay_port/$gateway4:1094/" "$tmp/proxy.conf"
sed -i 's/^log-level.*/log-level = info/' "$tmp/relay.conf" "$tmp/proxy.conf"
KEY=$tmp/proxy.key RELAY_PORT=$relay_port
export KEY RELAY_PORT SOURCES

groups()
{
	grep -c "made by" "$tmp/relay.log"
}

start_relay
start_proxy_alone
redirect 1101
probe silence record "$tmp/streams"
made=$(groups)
probe silence replay "$tmp/streams"
check "no group is made" [ "$(groups)" -eq "$made" ]
stop proxy
start_proxy_alone
probe silence relay "$tmp/streams"
check "the proxy says why" wait_for 5 logged proxy \
    "closed in the handshake: wrong key, not a relay, its limits, or it ends"
stop proxy

stop relay
start_relay
probe silence all "$tmp/streams"
check "still no group is made" [ "$(groups)" -eq "$made" ]
check "the log is short" [ "$(wc -l <"$tmp/relay.log")" -lt 120 ]

finish
