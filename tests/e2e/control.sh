#!/bin/bash
# SPDX-License-Identifier: ISC
#
# roroctl and the sockets of both daemons: what they say of themselves, what an
# operator changes at the proxy, who may ask, and that clients which do not keep
# to the rules harm nothing.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
port=1100
helper=${srcdir:-.}/tests/e2e/control.py
control=$tmp/run
intercept='mode = tproxy interfaces = { "lan" } private = intercept
bypass = "192.0.2.0/24"'

ctl()		# relay|proxy, command...
{
	local socket=$control/$1.sock
	shift
	"$roroctl" "$@" -s "$socket"
}

exits()		# status, command...
{
	local status=$1
	shift
	"$@" >"$tmp/said" 2>&1
	[ $? -eq "$status" ]
}

said()		# text
{
	grep -qF -- "$1" "$tmp/said"
}

# A field of the status, as JSON has it.
field()		# relay|proxy, name
{
	ctl "$1" status -f json >"$tmp/status.json" &&
	    python3 "$helper" field "$tmp/status.json" "$2"
}

has()		# relay|proxy, name, value
{
	[ "$(field "$1" "$2" 2>&1)" = "$3" ]
}

at_least()	# relay|proxy, name, value
{
	[ "$(field "$1" "$2")" -ge "$3" ]
}

goes()		# D|R
{
	[ "$(on client python3 "$helper" ask "$server4" $port)" = "$1" ] &&
	    [ "$(on client python3 "$helper" ask "$server6" $port)" = "$1" ]
}

not_said()	# text
{
	! said "$1"
}

mode()		# file
{
	stat -c '%a %U %G' "$1"
}

start server server python3 "$helper" serve $port
wait_for 10 listening server $port
relay_config </dev/null
start_relay
start_proxy
wait_for 15 has proxy intercepting.families '["ipv4", "ipv6"]' ||
    give_up "nothing is intercepted"

# ---- status ----

check "connections go through the relay" goes R
check "the proxy says who it is" has proxy role proxy
check "and which process" has proxy pid "$(pid_of proxy)"
check "its relay is up" has proxy relays.0.up true
check "with all its subflows" has proxy relays.0.subflows \
    '{"up": 4, "wanted": 4}'
check "its path is up" has proxy relays.0.paths.0.state up
check "with all of them" has proxy relays.0.paths.0.subflows \
    '{"up": 4, "wanted": 4}'
check "nothing is missing" has proxy relays.0.paths.0.missing null
check "it has carried something" \
    at_least proxy relays.0.paths.0.traffic.sent_bytes 100
check "both ways" at_least proxy relays.0.paths.0.traffic.received_bytes 100
check "a round trip is known" at_least proxy relays.0.paths.0.rtt_us 1
check "and its key" has proxy relays.0.key "$("$roroctl" keyid "$tmp/proxy.key")"
check "sessions are counted" wait_for 5 has proxy sessions.total 2
check "and gone" wait_for 5 has proxy sessions.open 0
check "their bytes, too" has proxy traffic.sent_bytes 2
check "both ways" has proxy traffic.received_bytes 2
check "there is a limit of memory" at_least proxy memory.limit_bytes 1048576
check "the relay says who it is" has relay role relay
check "its peer has a name" has relay peers.0.name proxy
check "subflows" has relay peers.0.subflows 4
check "a group" has relay peers.0.groups 1
check "a key" has relay peers.0.keys.0 "$("$roroctl" keyid "$tmp/proxy.key")"
check "sessions" has relay peers.0.sessions.total 2
check "and bytes, which the relay counts as well" \
    has relay traffic.sent_bytes 2
key=$(cat "$tmp/proxy.key")
for name in proxy relay; do
	check "there is a text of the $name" exits 0 ctl "$name" status
	check "with its version" said "version "
	check "and not with its key" not_said "$key"
	exits 0 ctl "$name" status -f json
	check "nor has JSON" not_said "$key"
done
check "what a relay cannot do it says" exits 1 ctl relay intercept off
check "in words" said "a relay has nothing but its status"

# ---- bypass ----

check "a destination is left alone" exits 0 ctl proxy bypass add "$server4/32"
check "of IPv6, too" exits 0 ctl proxy bypass add "$server6"
check "new connections go directly" goes D
check "twice is an error" exits 1 ctl proxy bypass add "$server4"
check "in words" said "it is in the list already"
exits 0 ctl proxy bypass list
check "the list has it" said "$server4/32"
check "and the other" said "$server6/128"
check "the status counts them" has proxy intercepting.bypass 2
check "it is taken back" exits 0 ctl proxy bypass del "$server4/32"
check "the other, too" exits 0 ctl proxy bypass del "$server6/128"
check "and connections go through the relay again" goes R
check "what is not there cannot be taken back" exits 1 \
    ctl proxy bypass del "$server4/32"
exits 0 ctl proxy bypass list
check "the list has what is configured" said "192.0.2.0/24"
check "which cannot be taken back" exits 1 ctl proxy bypass del 192.0.2.0/24
check "for a reason" said "it is in the configuration"
check "what is no prefix is told at once" exits 2 \
    ctl proxy bypass add "$server4/8"

# ---- intercept ----

check "it is switched off" exits 0 ctl proxy intercept off
check "which it says" said "switched off"
check "new connections go directly" goes D
check "and the status says so" has proxy intercepting.reason "switched off"
check "it is switched on" exits 0 ctl proxy intercept on
check "and connections go through the relay again" wait_for 5 goes R

# ---- hostile clients ----

as_before()
{
	[ "$(descriptors proxy)" -eq "$proxy_has" ]
}

proxy_has=$(descriptors proxy)
for name in proxy relay; do
	python3 "$helper" hostile "$control/$name.sock" &
	pids[hostile-$name]=$!
done
for name in proxy relay; do
	wait "${pids[hostile-$name]}"
	check "hostile clients do not harm the $name" [ $? -eq 0 ]
	unset "pids[hostile-$name]"
	check "which runs on" running "$name"
done
check "nothing is left of them" wait_for 10 as_before
check "connections still go through the relay" goes R

# ---- who may use it ----

check "the directory is for nobody else" \
    [ "$(mode "$control")" = "700 root root" ]
check "nor is the socket" \
    [ "$(mode "$control/proxy.sock")" = "600 root root" ]
start second gateway "$rorod" -c "$tmp/proxy.conf"
check "a second daemon with the same socket ends" \
    wait_for 10 ended "$(pid_of second)"
check "and says why" logged second "another daemon listens there"
check "the first one has not noticed" has proxy role proxy

# One that is about to end gives its socket to the next.
check "a daemon is not about to end" has relay ending false
start hold client python3 "$helper" hold "$server4" $port
wait_for 5 has relay sessions.open 1 || give_up "there is no session"
pids[before]=$(pid_of relay)
kill -TERM "$(pid_of before)"
check "one that is says so" wait_for 5 has relay ending true
exits 0 ctl relay status
check "in words" said "about to end"
check "one is one" said "1 group, 4 subflows, 1 session of "
sed 's/^listen.*/listen = "192.0.2.9:1"/' "$tmp/relay.conf" >"$tmp/wrong.conf"
on relay "$rorod" -c "$tmp/wrong.conf" >"$tmp/wrong.log" 2>&1
check "a successor that cannot listen does not start" [ $? -eq 1 ]
check "and says why" logged wrong "listen 192.0.2.9:1: bind"
check "nor does it take the socket" has relay pid "$(pid_of before)"
start_relay
check "its successor has the socket" \
    wait_for 5 has relay pid "$(pid_of relay)"
check "and is not about to end" has relay ending false
check "the first one goes on" running before
stop hold KILL
stop before
check "and leaves the socket when it ends" has relay pid "$(pid_of relay)"
stop proxy
check "a clean end removes the socket" [ ! -e "$control/proxy.sock" ]
check "nobody listens: that is a status of its own" exits 3 ctl proxy status
stop relay KILL
check "one that is killed leaves it" [ -S "$control/relay.sock" ]
check "nobody listens there, either" exits 3 ctl relay status
start_relay
check "the next one takes its place" has relay role relay
stop relay

if user=$(id -un 65534 2>/dev/null) && group=$(id -gn "$user"); then
	control=$tmp/shared
	chmod 711 "$tmp"
	relay_config <<-END
		user = $user
		control-group = $group
	END
	chown "$user" "$tmp/proxy.key"
	start_relay
	check "with control-group it is for that group, too" \
	    [ "$(mode "$control")" = "750 $user $group" ]
	check "and the socket" \
	    [ "$(mode "$control/relay.sock")" = "660 $user $group" ]
	check "root may ask" has relay role relay
	stop relay
	check "the daemon's user may remove it" [ ! -e "$control/relay.sock" ]
fi
python3 "$helper" slow "$control/relay.sock" &
pids[slow]=$!
wait_for 5 [ -S "$control/relay.sock" ]
start held relay "$rorod" -c "$tmp/relay.conf"
check "who answers for ever holds no start up" wait_for 10 ended "$(pid_of held)"
check "and stays" logged held "another daemon listens there"
stop held KILL
stop slow KILL
rm "$control/relay.sock"
touch "$control/relay.sock"
"$rorod" -c "$tmp/relay.conf" >"$tmp/file.log" 2>&1
check "another file is not replaced" [ $? -eq 1 ]
check "which is said" logged file "expected a socket or nothing"
finish
