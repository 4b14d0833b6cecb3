#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The proxy gives up its sessions when there was no subflow for resume-timeout.
# The relay, which waits for longer, must not keep its ends of them when the
# proxy comes back: nobody would ever end them.

. "${srcdir:-.}/tests/e2e/lib.sh"

established()
{
	sockets server established "sport = :1100"
}

none_left()
{
	[ "$(established)" -eq 0 ]
}

one_is_there()
{
	[ "$(established)" -eq 1 ]
}

came_back()
{
	[ "$(sockets gateway established "dport = :$relay_port")" -ge 4 ]
}

no_subflow()
{
	on gateway ss -K "dport = :$relay_port" >/dev/null 2>&1
	on relay ss -K state established "sport = :$relay_port" >/dev/null 2>&1
	[ "$(sockets gateway established "dport = :$relay_port")" -eq 0 ] &&
	    [ "$(sockets relay established "sport = :$relay_port")" -eq 0 ]
}

begin
command -v socat >/dev/null || skip "needs socat"
start server server socat -u TCP-LISTEN:1100,fork,reuseaddr OPEN:/dev/null
wait_for 10 listening server 1100
relay_config <<<"resume-timeout = 6s"
proxy_config <<<"resume-timeout = 1s"
start_relay
start_proxy
redirect 1100-2099
start client client socat -u "TCP:$server4:1100" OPEN:/dev/null
check "an idle session is there" wait_for 10 one_is_there

# Both ends lose their subflows, and new ones are refused.
on relay nft "add table inet cut
	add chain inet cut arrivals { type filter hook input priority 0; }
	add rule inet cut arrivals tcp dport $relay_port reject with tcp reset"
on gateway nft "add table inet cut
	add chain inet cut arrivals { type filter hook input priority 0; }
	add rule inet cut arrivals tcp sport $relay_port reject with tcp reset"
wait_for 2 no_subflow || skip "needs ss -K (INET_DIAG_DESTROY)"
check "the proxy gives the session up" wait_for 30 ended "$(pid_of client)"
on relay nft delete table inet cut
on gateway nft delete table inet cut
check "the proxy comes back" wait_for 10 came_back
check "the relay gives the session up, too" wait_for 15 none_left
finish
