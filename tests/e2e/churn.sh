#!/bin/bash
# SPDX-License-Identifier: ISC
#
# 8,000 connections come and go in bursts, and handshakes that never end fill
# the backlog: nobody is kept out, and nothing is left.
#
# RORO_LONG=1: 100,000.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
redirect 1100-2099
GROWTH_KIB=256	# a quarter of them
sanitized && GROWTH_KIB=1000000	# freed memory is kept for a while
export GROWTH_KIB
ulimit -n 8192 2>/dev/null || skip "needs 8192 open files"
for name in relay proxy; do
	${name}_config </dev/null
	sed -i 's/^log-level.*/log-level = warn/' "$tmp/$name.conf"
done
start_relay
start_proxy
PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay)
export PROXY_PID RELAY_PID
note_descriptors

probe churn
check "nothing is left" wait_for 30 settled
check "logs are short" [ "$(cat "$tmp"/{relay,proxy}.log | wc -l)" -lt 100 ]

finish
