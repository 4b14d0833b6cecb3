#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A holder of a key who breaks every rule costs his own sessions, subflows and
# groups, and bounded memory, while somebody else's proxy at the same relay is
# served.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
go_first
python3 -c 'import cryptography' 2>/dev/null ||
    skip "needs python3-cryptography"
ulimit -n 4096 2>/dev/null || skip "needs 4096 open files"

here=${srcdir:-.}/tests/e2e
export PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1

export SESSIONS=200 BOUND_KIB=49152 SOURCE=10.77.2.66
sanitized && BOUND_KIB=600000	# freed memory is kept for a while
on gateway ip addr add "$SOURCE/24" dev wan

protection=sealed
make_key mallory
KEY=$tmp/mallory.key OTHER_KEY=$tmp/proxy.key
export KEY OTHER_KEY
relay_config <<-END
	memory-limit = 32MiB
	resume-timeout = 2s
	peer "mallory" {
		key-file = "$KEY"
		max-sessions = $SESSIONS
		memory = 8MiB
		$permit_server
	}
END
proxy_config </dev/null
sed -i 's/^log-level.*/log-level = info/' "$tmp/relay.conf" "$tmp/proxy.conf"
start_relay
start_proxy
redirect 1100-1199
RELAY_PID=$(pid_of relay) RELAY_LOG=$tmp/relay.log RELAY_PORT=$relay_port
export RELAY_PID RELAY_LOG RELAY_PORT
start bystander client python3 "$here/bystander.py"
wait_for 10 logged bystander begun
sleep 1
kill -USR1 "$(pid_of bystander)"

probe hostile "$@"

stop bystander
echo "others, before and meanwhile:"
tail -n 2 "$tmp/bystander.log"
check "others lost nothing" [ "$stopped" -eq 0 ]
check "the relay says who broke the rules" \
    logged relay 'peer "mallory": group 2: a session was reset: protocol error'
echo "$(wc -l <"$tmp/relay.log") lines in the relay's log," \
    "$(resident relay) KiB"

finish
