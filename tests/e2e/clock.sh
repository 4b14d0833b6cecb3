#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The wall clock jumps by a year, to and fro: timers are as long as ever, and
# transfers are whole.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
go_first
redirect 1100-2099
on server nft add table inet early
export CLOCK_FILE=$tmp/clock
echo 0 >"$CLOCK_FILE"
with_faults FAIL_CLOCK_FILE="$CLOCK_FILE"
for role in relay proxy; do
	${role}_config <<-END
	connect-timeout = 2s
	END
	sed -i 's/^grace.*/grace = 2s/' "$tmp/$role.conf"
done
start_relay
start_proxy
PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay)
export PROXY_PID RELAY_PID

jump()
{
	while echo $((RANDOM % 3 * 31536000 - 31536000)) >"$CLOCK_FILE"; do
		sleep 0.1
	done
}
jump &
pids[jump]=$!
transfers 1 8 300000 100
stop jump KILL
probe clock connect_timeout idle grace
stop proxy

finish
