#!/bin/bash
# SPDX-License-Identifier: ISC
#
# 2,000 sessions at the same time that hardly say anything: all of them carry a
# line, later another one, and when they are gone no descriptor is left.
#
# RORO_LONG=1: 10,000.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

[ -n "${RORO_LONG-}" ] || rtt=40

begin
far
SESSIONS=2000
[ -z "${RORO_LONG-}" ] || SESSIONS=10000
export SESSIONS
ulimit -n $((SESSIONS + 1000)) 2>/dev/null ||
    skip "needs $((SESSIONS + 1000)) open files"
for name in relay proxy; do
	${name}_config </dev/null
	sed -i 's/^log-level.*/log-level = info/' "$tmp/$name.conf"
done
start_relay
start_proxy
redirect 1100-2099
PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay)
export PROXY_PID RELAY_PID
wait_for 10 known || give_up "the relay does not know its subflows"
note_descriptors

probe idle
check "nothing is left of them" wait_for 30 settled
finish
