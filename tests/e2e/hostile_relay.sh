#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A relay that breaks every rule: clients are reset and never given an end of
# file, the proxy stays within its memory, says little, and serves when the
# relay behaves again.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
go_first
python3 -c 'import cryptography' 2>/dev/null ||
    skip "needs python3-cryptography"

export RELAY_PORT=$relay_port BOUND_KIB=65536
sanitized && BOUND_KIB=600000	# freed memory is kept for a while
protection=sealed
KEY=$tmp/proxy.key
export KEY
proxy_config <<-END
	memory-limit = 32MiB
	connect-timeout = 1s
	resume-timeout = 2s
END
sed -i 's/^log-level.*/log-level = info/' "$tmp/proxy.conf"
start_proxy_alone
redirect 1100-1199
PROXY_PID=$(pid_of proxy) PROXY_LOG=$tmp/proxy.log
export PROXY_PID PROXY_LOG

probe hostile_relay replies silences forgets comes_and_goes drains floods
# Now sessions wait for a good relay.
sed -i 's/^resume-timeout.*/resume-timeout = 60s/' "$tmp/proxy.conf"
kill -HUP "$(pid_of proxy)"
probe hostile_relay answers
check "the proxy says who broke the rules" \
    logged proxy 'relay "relay": a session was reset: protocol error'
echo "$(wc -l <"$tmp/proxy.log") lines in the proxy's log," \
    "$(resident proxy) KiB"

finish
