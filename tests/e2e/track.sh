#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The connection tracking of the gateway is full: with REDIRECT no new connection
# gets through it, as it would be without us; those that are open go on, and new
# ones work again when there is room.  With TPROXY, and with nothing else that
# asks for it, nothing is tracked, and nothing happens.
#
# Only with RORO_LONG=1: there is one limit for the whole machine, which is left
# as it is, and to reach it takes a hundred MB of the kernel's memory.

. "${srcdir:-.}/tests/e2e/lib.sh"

[ -n "${RORO_LONG-}" ] || skip "only with RORO_LONG=1"
begin
control=$tmp/run
helper=${srcdir:-.}/tests/e2e/meddle.py

tracked()
{
	on gateway cat /proc/sys/net/netfilter/nf_conntrack_count
}

full()
{
	[ "$(tracked)" -ge "$most" ]
}

goes()		# direct|relay
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "${srcdir:-.}/tests/e2e/tproxy.py" goes "$1" "$1" \
	    >>"$tmp/asked.log" 2>&1
}

connects()
{
	on client python3 -c '
import socket, sys
socket.create_connection((sys.argv[1], 1100), 2)' "$server4" 2>/dev/null
}

most=$(cat /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null) ||
    skip "this machine tracks no connections"
start_relay
for mode in tproxy redirect; do
	intercept="mode = $mode interfaces = \"lan\" private = intercept"
	proxy_config </dev/null
	start_proxy
	wait_for 10 intercepting ipv6 || give_up "$mode: it does not intercept"
	start kept client env PROBE_PREFIX="$prefix" \
	    PYTHONDONTWRITEBYTECODE=1 python3 "$helper" busy \
	    "$tmp/open-$mode" "$tmp/go-$mode"
	wait_for 20 [ -e "$tmp/open-$mode" ] || give_up "no connections"
	on gateway python3 "${srcdir:-.}/tests/e2e/track.py" "$most"
	check "$mode: it is full" full
	if [ "$mode" = redirect ]; then
		check "$mode: nothing new gets through" not connects
	else
		check "$mode: new connections work" goes relay
	fi
	touch "$tmp/go-$mode"
	wait "${pids[kept]}"
	check "$mode: those that are open go on" [ $? -eq 0 ]
	unset "pids[kept]"
	on gateway python3 "${srcdir:-.}/tests/e2e/track.py" ||
	    give_up "$mode: it cannot be made empty"
	check "$mode: when there is room, new ones work" wait_for 10 goes relay
	check "$mode: with the proxy as it was" running proxy
	stop proxy
done
finish
