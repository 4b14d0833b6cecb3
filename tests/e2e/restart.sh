#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A relay or a proxy that ends takes its sessions with it, at once or, if it is
# told to, after `grace`: both ends are reset, and new sessions work within a
# second and three round trips of its return.  One that only stands still for a
# while has lost nothing.
#
# RORO_LONG=1: it stands still for longer, and so does the relay wait for a proxy.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

kill_hard()	# relay|proxy
{
	{
		kill -KILL "$(pid_of "$1")"
		wait "$(pid_of "$1")"
	} 2>/dev/null
	unset "pids[$1]"
}

# Is any still connected to the proxy?
clients()
{
	[ "$(sockets gateway established "sport = :$proxy_port")" -gt 0 ]
}

resume=6 still=3 grace=3
[ -z "${RORO_LONG-}" ] || { resume=120 still=30 grace=20; }

begin
go_first
relay_config <<<"resume-timeout = ${resume}s"
proxy_config <<<'resume-timeout = 120s'
sed -i "s/^grace.*/grace = ${grace}s/" "$tmp/relay.conf"
far
start_relay
start_proxy
redirect 1100-2099

carry 4
kill -STOP "$(pid_of relay)"
sleep $still
kill -CONT "$(pid_of relay)"
mark back "$(trips 5 3)" "18: the relay stands still for $still s"
wait_for 20 goes_on
carried

carry 4
mark clients "$(trips 5 3)" "12: the relay is killed, the clients"
mark servers 0 "12: the relay is killed, the servers"
kill_hard relay
# Nothing of that is because it is back.
check "the clients are gone" wait_for 14 not clients
start_relay
mark anew "$(trips 1 3)" "12: the relay is back later"
sleep 1
carried
check "all subflows are there" wait_for 5 connected

carry 4
kill_hard relay
sleep 1
start_relay
mark clients "$(trips 1 3)" "14: the relay is killed and back, the clients"
mark anew "$(trips 1 3)" "14: the relay is killed and back"
sleep 2
carried
check "all subflows are there" wait_for 5 connected

carry 4
mark lost $grace "13: the relay is told to end"
stop relay
start_relay
mark anew "$(trips 1 3)" "13: it is back"
sleep 2
carried
check "all subflows are there" wait_for 5 connected

# Whoever watches over it starts another, after as long as contrib/systemd says.
stop proxy
# shellcheck disable=SC2016	# of that shell
start proxy gateway sh -c 'while ! "$@"; do sleep 1; done' sh \
    "$rorod" -c "$tmp/proxy.conf"
watched()
{
	cat "/proc/$(pid_of proxy)/task/$(pid_of proxy)/children"
}
check "all subflows are there" wait_for 10 connected
carry 4
mark clients 0 "16: the proxy is killed, the clients"
mark servers $resume "16: the proxy is killed, the servers"
# shellcheck disable=SC2046	# it ends with a space
kill -KILL $(watched)
mark anew "$(trips 2 3)" "16: the proxy is started again"
sleep $((resume + 5))
carried
# shellcheck disable=SC2046
kill -TERM $(watched)
check "a proxy that ends well is not started again" \
    wait_for 10 ended "$(pid_of proxy)"
stop proxy
finish
