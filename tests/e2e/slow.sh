#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Applications that stand still, a client and a server, for longer than TCP has
# patience with anybody else: the daemons keep what their windows allow and no
# more, and everything arrives when they go on.  Then many readers of 1 kB/s each:
# memory-limit holds, they get what they read, and others do not notice.
#
# Who stood still goes on within three round trips.
#
# RORO_LONG=1: for five minutes, and 500 readers for one.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

steady="${srcdir:-.}/tests/e2e/steady.py"
still=4 readers=100 seconds=3 rate=1000000
[ -z "${RORO_LONG-}" ] || { still=300 readers=500 seconds=60 rate=100000; }
# Two sessions, two directions, 256 KiB each; as much again for how it is kept,
# and 1 MiB for all else.  The sockets keep 512 KiB.  What is sent meanwhile is
# four times that and more.
growth_kib=$((2 * 2 * 256 * 2 + 1024))

# Is the session to this port under way?
moves()		# port
{
	on client ss -Htin "dport = :$1" | grep -q "bytes_received:[0-9]\{6\}"
}

# How much has come there.
received()	# host, filter of ss
{
	on "$1" ss -Htin "$2" |
	    sed -n 's/.* bytes_received:\([0-9]*\).*/\1/p' | sort -n | tail -n 1
}

more_than()	# bytes, host, filter
{
	[ "$(received "$2" "$3")" -gt "$1" ]
}

# More than it had in its buffers meanwhile.
goes_on()	# what, since when, bytes, host, filter
{
	local took
	wait_for 20 more_than "$3" "$4" "$5" || give_up "$1 does not go on"
	took=$(since "$2")
	check "19: $1 goes on: within $took s, promised: $(trips 0 3) s" \
	    awk -v took="$took" -v promised="$(trips 0 3)" \
	    'BEGIN { exit !(took <= 2 * promised + 1) }'
}

now()
{
	cut -d ' ' -f 1 /proc/uptime
}

since()		# when
{
	awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f\n", b - a }'
}

# Sessions begin one after another.
rtt=40

begin
go_first
far
ulimit -n 4096 2>/dev/null || skip "needs 4096 open files"
for host in client gateway relay server; do
	for name in tcp_rmem tcp_wmem; do
		on "$host" sh -c \
		    "echo 4096 131072 524288 >/proc/sys/net/ipv4/$name"
	done
done
relay_config <<-END
	window = 256KiB
	memory-limit = 64MiB
END
proxy_config <<-END
	window = 256KiB
	memory-limit = 64MiB
END
sed -i 's/^log-level.*/log-level = info/' "$tmp/relay.conf" "$tmp/proxy.conf"
start one server python3 "$steady" serve 1100
start two server python3 "$steady" serve 1101
wait_for 10 listening server 1100 || give_up "there is no server"
wait_for 10 listening server 1101 || give_up "there is no server"
start_relay
start_proxy
redirect 1100-2099
wait_for 10 known || give_up "the relay does not know its subflows"
note_descriptors

start client client python3 "$steady" run "$server4" 1100 $((still + 2)) $rate
start other client python3 "$steady" run "$server4" 1101 $((still + 2)) $rate
wait_for 30 moves 1100 || give_up "nothing moves"
wait_for 30 moves 1101 || give_up "nothing moves"
# shellcheck disable=SC2034	# by their names
proxy_kib=$(resident proxy) relay_kib=$(resident relay)
kill -STOP "$(pid_of client)" "$(pid_of two)"
sleep "$still"
check "another session works" on client \
    python3 "$steady" small "$server4" 1100 1 1000000
for name in proxy relay; do
	before=${name}_kib
	grown=$(($(resident $name) - ${!before}))
	echo "    19: $name has grown by $grown KiB, of $growth_kib"
	# The sanitizers keep what was freed.
	grep -q __asan_init "$rorod" ||
	    check "19: $name is bounded" [ "$grown" -le "$growth_kib" ]
done
at_client=$(received client "dport = :1100")
at_server=$(received server "sport = :1101")
begun=$(now)
kill -CONT "$(pid_of client)"
goes_on "the client" "$begun" "$at_client" client "dport = :1100"
begun=$(now)
kill -CONT "$(pid_of two)"
goes_on "the server" "$begun" "$at_server" server "sport = :1101"
for name in client other; do
	check "19: all has arrived" wait "${pids[$name]}"
	unset "pids[$name]"
	cat "$tmp/$name.log"
done
check "nothing is left of them" wait_for 10 settled

BOUND_KIB=$((65536 + 40960))
grep -q __asan_init "$rorod" && BOUND_KIB=0
PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay)
export BOUND_KIB PROXY_PID RELAY_PID
READERS=$readers SECONDS_EACH=$seconds probe slow
check "nothing is left of the slow ones" wait_for 20 settled
finish
