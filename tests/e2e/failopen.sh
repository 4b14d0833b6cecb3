#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Whatever happens to proxy or relay, new connections work: through the relay
# while it can be reached, directly else.  The windows are those of rorod(8),
# WHEN SOMETHING FAILS, and a machine that is busy gets twice that.  Where
# nothing breaks (a start, a clean end, limits, what comes back) not one
# connection may fail.
#
# With TPROXY; failopen_redirect.sh is the same with REDIRECT.  What does not
# depend on that is done with one of them only, but with both if RORO_LONG=1.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/asking.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
go_first
mode=${MODE:-tproxy}

clean()
{
	! on gateway nft list tables | grep -q 'ro-ro-tcp$' &&
	    ! on gateway ip rule | grep -q 0x10000000 &&
	    ! on gateway ip -6 rule | grep -q 0x10000000
}

# Its loop turns no more, in one of two ways.
hang()
{
	if [ "$mode" = tproxy ] || ! running_with_faults; then
		kill -STOP "$(pid_of proxy)"
	else
		touch "$tmp/stuck"
	fi
}

go_on()
{
	kill -CONT "$(pid_of proxy)"
	rm -f "$tmp/stuck"
}

wanted()	# tproxy|redirect
{
	[ "$mode" = "$1" ] || [ -n "${RORO_LONG-}" ]
}

running_with_faults()
{
	[ "$rorod" != "$rorod_itself" ]
}

# What the proxy holds has to stay there.
keep_it_small()	# host...
{
	local host
	for host; do
		on "$host" sh -c 'echo 4096 16384 65536 >/proc/sys/net/ipv4/tcp_wmem
		    echo 4096 65536 65536 >/proc/sys/net/ipv4/tcp_rmem'
	done
}

# A connection that is open while something happens is not harmed.
open_one()
{
	start open client python3 "$helper" wait "$tmp/go"
	wait_for 20 logged open connected
}

still_works()	# after what
{
	touch "$tmp/go"
	wait_for 40 test ! -e "$tmp/go"
	check "$mode: $1: what was open goes on" logged open "got R"
	wait "$(pid_of open)"
	unset "pids[open]"
	rm "$tmp/open.log"
}

if command -v "${CC%% *}" >/dev/null || command -v cc >/dev/null; then
	with_faults FAIL_STUCK_FILE="$tmp/stuck"
fi
keep_it_small client gateway relay server
intercept="mode = $mode interfaces = { \"lan\" } private = intercept"
relay_config <<<'window = 64KiB'
memory='memory-limit = 2MiB'
proxy_config <<<"$memory"
start_asking

at=$(now)
start_proxy_alone
then_all_go D 0.1 "a proxy without its relay" none
at=$(now)
start_relay
then_all_go R 4 "its relay comes" none

if wanted tproxy; then
open_one
at=$(now)
on relay nft add table inet deaf
on relay nft add chain inet deaf input "{ type filter hook input priority 0; }"
on relay nft add rule inet deaf input tcp dport "$relay_port" drop
then_all_go D 10 "nothing reaches the relay"
at=$(now)
on relay nft delete table inet deaf
then_all_go R 15 "the way to the relay is free" none 1
still_works "nothing reached the relay"
fi

at=$(now)
stop relay KILL
then_all_go D 10 "the relay is killed"
at=$(now)
start_relay
then_all_go R 15 "the relay is back, and believed later" none 1

at=$(now)
stop proxy KILL
then_all_go D 1 "the proxy is killed"
at=$(now)
start_proxy
then_all_go R 3 "it is back" none

open_one
at=$(now)
hang
then_all_go D 10 "the proxy hangs"
[ -z "${RORO_LONG-}" ] || sleep 25
at=$(now)
go_on
then_all_go R 5 "it goes on" none
still_works "the proxy hung"

if wanted tproxy; then
proxy_config <<<"$memory max-sessions = 40"
kill -HUP "$(pid_of proxy)"
wait_for 10 logged proxy "read again"
begin=$(now)
start holder client python3 "$helper" hold 38
wait_for 20 logged holder held
at=$(now)
then_all_go D 1 "nearly all sessions are in use" none
at=$(now)
end_of holder
then_all_go R 1 "they are not any more" none
at=$begin
then_all_go R 60 "none failed in all that time" none
proxy_config <<<"$memory"
kill -HUP "$(pid_of proxy)"
fi

if wanted redirect; then
start sink server python3 "$helper" sink 1101
wait_for 20 listening server 1101
start holder client python3 "$helper" stuff 1000
wait_for 60 logged holder held
at=$(now)
then_all_go D 1 "nearly all memory is in use" none
at=$(now)
end_of holder
end_of sink
then_all_go R 1 "it is not any more" none
fi

at=$(now)
stop proxy
then_all_go D 0.5 "the proxy is stopped" none
check "$mode: nothing is left of it" clean
at=$(now)
start_proxy
then_all_go R 3 "it is started" none
at=$(now)
stop proxy
start_proxy
then_all_go R 3 "it is restarted" none
end_of client
finish
