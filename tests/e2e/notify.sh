#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What a service manager hears of a daemon: when it serves, that it lives (not
# while it hangs), that it reads its configuration again, and that it ends.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
heard()		# word, times
{
	[ "$(grep -c "$1" "$tmp/manager.log")" -ge "${2:-1}" ]
}

count()
{
	grep -c "$1" "$tmp/manager.log"
}

for name in "$tmp/notify" "@$prefix-notify"; do
	rm -f "$tmp/manager.log"
	start manager relay python3 "${srcdir:-.}/tests/e2e/notify.py" "$name"
	wait_for 10 heard listening
	relay_config </dev/null
	start relay relay env NOTIFY_SOCKET="$name" WATCHDOG_USEC=400000 \
	    "$rorod" -c "$tmp/relay.conf"
	check "$name: it serves" wait_for 10 heard READY=1
	check "then it listens" listening relay "$relay_port"
	check "it lives" wait_for 10 heard WATCHDOG=1 5
	kill -STOP "$(pid_of relay)"
	before=$(count WATCHDOG=1)
	sleep 1
	check "nothing is heard of one that hangs" \
	    [ "$(count WATCHDOG=1)" -le $((before + 1)) ]
	kill -CONT "$(pid_of relay)"
	kill -HUP "$(pid_of relay)"
	check "it reads its configuration again" wait_for 10 heard \
	    "RELOADING=1 MONOTONIC_USEC="
	check "and serves" wait_for 10 heard READY=1 2
	stop relay
	check "it ends" wait_for 10 heard STOPPING=1
	kill "$(pid_of manager)"
	unset "pids[manager]"
done

start relay relay env NOTIFY_SOCKET="$tmp/nobody" WATCHDOG_USEC=400000 \
    WATCHDOG_PID=1 "$rorod" -c "$tmp/relay.conf"
check "one that nobody hears serves all the same" \
    wait_for 10 listening relay "$relay_port"
finish
