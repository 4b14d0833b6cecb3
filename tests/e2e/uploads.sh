#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Many small uploads begin at once where there is room for a few: all arrive whole,
# and are answered, and what waits for its turn is not taken for lost and sent
# again.
#
# RORO_LONG=1: 150 of 40 kB instead of 80 of 15 kB.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

count=80 size=15000
[ -z "${RORO_LONG-}" ] || { count=150 size=40000; }

# Packets are lost where they do not find room in the queue, no others.
loss=0

begin
far
echo "rate 2Mbit" >"$tmp/link.fifo"
control=$tmp/run
relay_config </dev/null
proxy_config </dev/null
sed -i 's/^log-level.*/log-level = info/' "$tmp/relay.conf" "$tmp/proxy.conf"
start_relay
start_proxy
redirect 1100-2099
wait_for 10 known || give_up "the relay does not know its subflows"
note_descriptors

export COUNT=$count SIZE=$size RTT=$rtt
export RORO_TMP=$tmp RORO_ROROCTL=$roroctl
probe uploads
check "nothing is left of them" wait_for 20 settled
finish
