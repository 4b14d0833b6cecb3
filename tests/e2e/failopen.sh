#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Whatever happens to proxy or relay, new connections work: through the relay
# while it can be reached, directly else.  The windows are those of rorod(8),
# WHEN SOMETHING FAILS, and a machine that is busy gets twice that.
#
# RORO_LONG=1: also with REDIRECT.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
modes=tproxy
[ -z "${RORO_LONG-}" ] || modes="tproxy redirect"
modes=${MODES:-$modes}

now()
{
	python3 -c 'import time; print("%.3f" % time.monotonic())'
}

# After what happened at $at, within so many seconds (and twice that), new
# connections go that way.
then_all_go()	# D|R, within, what happened
{
	check "$mode: $3: $1 within $2 s" python3 \
	    "${srcdir:-.}/tests/e2e/failopen.py" judge "$tmp/asked" "$at" \
	    "$(python3 -c "print(2 * $2)")" "$1"
}

clean()
{
	! on gateway nft list tables | grep -q 'ro-ro-tcp$' &&
	    ! on gateway ip rule | grep -q 0x10000000 &&
	    ! on gateway ip -6 rule | grep -q 0x10000000
}

start server server python3 "${srcdir:-.}/tests/e2e/failopen.py" serve 1100
wait_for 10 listening server 1100
# A router that translates has a chain of type nat; this one has none.
for mode in $modes; do
	rm -f "$tmp"/*.conf
	intercept="mode = $mode interfaces = { \"lan\" } private = intercept"
	start client client python3 "${srcdir:-.}/tests/e2e/failopen.py" ask \
	    "$tmp/asked"
	at=$(now)
	start_proxy_alone
	then_all_go D 0.1 "a proxy without its relay"
	at=$(now)
	start_relay
	then_all_go R 4 "its relay comes"

	at=$(now)
	stop proxy KILL
	then_all_go D 1 "the proxy is killed"
	at=$(now)
	start_proxy
	then_all_go R 3 "it is back"

	at=$(now)
	kill -STOP "$(pid_of proxy)"
	then_all_go D 10 "the proxy hangs"
	at=$(now)
	kill -CONT "$(pid_of proxy)"
	then_all_go R 5 "it goes on"

	at=$(now)
	stop relay KILL
	then_all_go D 10 "the relay is killed"
	at=$(now)
	start_relay
	then_all_go R 15 "the relay is back"

	at=$(now)
	on relay nft add table inet deaf
	on relay nft add chain inet deaf input \
	    "{ type filter hook input priority 0; }"
	on relay nft add rule inet deaf input tcp dport "$relay_port" drop
	then_all_go D 10 "nothing reaches the relay"
	at=$(now)
	on relay nft delete table inet deaf
	then_all_go R 25 "the way to the relay is free"

	at=$(now)
	stop proxy
	then_all_go D 0.5 "the proxy is stopped"
	check "$mode: nothing is left of it" clean
	stop relay
	kill "$(pid_of client)"
	unset "pids[client]"
done
finish
