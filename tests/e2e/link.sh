#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The link emulator carries packets as it was told to.  What other tests and
# benchmarks find on it is worth no more than this.
#
# Needs root, network namespaces and /dev/net/tun; everything happens inside
# of two namespaces.  Limits are wide, because machines are shared: they find
# a link that is wrong, not a machine that is slow.

set -u

link=${top_builddir:-.}/tests/link
prefix=roro$$-link
a=$prefix-a
b=$prefix-b
tmp=
pid=
failures=0
six_a=
six_b=

skip()
{
	echo "skipped: $*"
	exit 77
}

check()		# description, command...
{
	local what=$1
	shift
	if "$@"; then
		echo "ok: $what"
	else
		echo "FAILED: $what ($*)"
		failures=$((failures + 1))
	fi
}

within()	# value, least, greatest
{
	awk -v v="$1" -v l="$2" -v g="$3" \
	    'BEGIN { exit !(v != "" && v + 0 >= l && v + 0 <= g) }'
}

# shellcheck disable=SC2086	# options and values
link_start()	# options...
{
	: >"$tmp/out"
	: >"$tmp/err"
	"$link" --ns-a "$a" --addr-a 10.9.0.1/30 $six_a \
	    --ns-b "$b" --addr-b 10.9.0.2/30 $six_b \
	    --control "$tmp/control" --seed 7 "$@" \
	    </dev/null >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	for _ in $(seq 600); do
		grep -q '^ready$' "$tmp/out" && return
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	cat "$tmp/err"
	echo "FAILED: link did not start"
	exit 1
}

link_stop()	# its exit status
{
	kill -TERM "$pid"
	wait "$pid"
	status=$?
	pid=
	grep '^lateness' "$tmp/err" | tail -n 2 | sed 's/^/    /'
	return $status
}

# The last value of a counter.  link_stop or SIGUSR2 wrote it.
counter()	# direction, name
{
	sed -n "s/^counters $1 .*\\b$2=\\([0-9]*\\).*/\\1/p" "$tmp/err" |
	    tail -n 1
}

counters_add_up()	# direction
{
	local sum=0 name
	for name in tx queue_drops lost blackholed memory_drops \
	    write_errors in_flight; do
		sum=$((sum + $(counter "$1" $name)))
	done
	[ "$sum" -eq "$(counter "$1" rx)" ]
}

# Send commands and wait until they have been taken: as all of them come from
# one FIFO, the counters asked for last are printed last.
control()	# line...
{
	local before after
	before=$(grep -c '^process' "$tmp/err")
	printf '%s\n' "$@" counters >"$tmp/control"
	for _ in $(seq 1500); do
		after=$(grep -c '^process' "$tmp/err")
		[ "$after" -gt "$before" ] && return
		sleep 0.02
	done
}

clean_up()
{
	[ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid"
	ip netns del "$a" 2>/dev/null
	ip netns del "$b" 2>/dev/null
	[ -n "$tmp" ] && rm -rf "$tmp"
}

pings()		# destination, ping options...
{
	local to=$1
	shift
	ip netns exec "$a" ping -q -n "$@" "$to"
}

received()
{
	sed -n 's/.* \([0-9]*\) received.*/\1/p'
}

shortest()
{
	sed -n 's/^rtt [^=]*= \([0-9.]*\).*/\1/p'
}

# Numbered packets from a to b.  Prints what arrived: packets, bits per
# second, losses between the first and the last, and bursts of those.
flood()		# packets, bytes of each as IP counts, packets per second
{
	ip netns exec "$b" python3 -c '
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.setsockopt(socket.SOL_SOCKET, 35, 1)	# SO_TIMESTAMPNS: when it came
s.bind(("10.9.0.2", 5000))
s.settimeout(10)
open("'"$tmp"'/listening", "w").close()
first = last = None
got = bits = lost = bursts = 0
expected = 0
while True:
    try:
        data, extra, flags, sender = s.recvmsg(2048, 64)
    except TimeoutError:
        break
    serial, = struct.unpack("!i", data[:4])
    if serial < 0:	# the end; several, as some may be lost
        break
    sec, nsec = struct.unpack("ll", extra[0][2])
    time = sec + nsec / 1e9
    if first is None:
        first = time
    else:
        bits += (len(data) + 28) * 8
    last = time
    if serial > expected:
        lost += serial - expected
        bursts += 1
    expected = serial + 1
    got += 1
rate = bits / (last - first) if got > 1 else 0
print(got, int(rate), lost, bursts)
' >"$tmp/flood" &
	local receiver=$!
	for _ in $(seq 600); do
		[ -e "$tmp/listening" ] && break
		sleep 0.05
	done
	rm -f "$tmp/listening"
	ip netns exec "$a" python3 -c '
import socket, struct, sys, time
count, size, rate = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.9.0.2", 5000))
padding = bytes(size - 28 - 4)
start = time.monotonic()
for i in range(count):
    ahead = start + i / rate - time.monotonic()
    if ahead > 0.001:
        time.sleep(ahead)
    s.send(struct.pack("!i", i) + padding)
time.sleep(0.5)
for i in range(20):
    s.send(struct.pack("!i", -1))
' "$@"
	wait "$receiver"
	cat "$tmp/flood"
}

[ "$(id -u)" -eq 0 ] || skip "not root"
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
for tool in ip ping awk; do
	command -v $tool >/dev/null || skip "no $tool"
done
if [ -e /proc/net/if_inet6 ]; then
	six_a="--addr-a fd09::1/64"
	six_b="--addr-b fd09::2/64"
fi
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
tmp=$(mktemp -d) || exit 1
if ! ip netns add "$a" 2>/dev/null || ! ip netns add "$b" 2>/dev/null; then
	skip "no network namespaces"
fi
# Fewer packets that we did not send.  Multicast reports remain, so no check
# of counters is exact to a few packets.
for ns in "$a" "$b"; do
	ip netns exec "$ns" sysctl -qw \
	    net.ipv6.conf.default.router_solicitations=0 2>/dev/null
done

refused()
{
	timeout 5 "$link" "$@" >/dev/null 2>&1
	[ $? -eq 2 ]
}

for bad in "--rate 5" "--rate 5Mbyte" "--delay 3" "--loss 101%" \
    "--loss 0.01" "--burst 0.5" "--burst 2 --loss 90%" "--outage 2s/1s" \
    "--mtu 12" "--color red" "--delay" "word" "--ns-a $prefix-none" \
    "--addr-a 10.9.0.1"; do
	# shellcheck disable=SC2086
	check "refuses $bad" refused $bad
done

# Delay and blackholes

link_start --delay 30ms --delay-ba 20ms
rtt=$(pings 10.9.0.2 -c 10 -i 0.05 | shortest)
check "IPv4 takes 50 ms there and back" within "$rtt" 50 58
if [ -n "$six_a" ]; then
	rtt=$(pings fd09::2 -c 10 -i 0.05 | shortest)
	check "IPv6 takes 50 ms there and back" within "$rtt" 50 58
fi

kill -USR1 "$pid"
got=$(pings 10.9.0.2 -c 3 -i 0.05 -W 0.3 | received)
check "nothing passes while both directions are blackholed" [ "$got" = 0 ]
kill -USR1 "$pid"
got=$(pings 10.9.0.2 -c 3 -i 0.05 | received)
check "all passes after the blackhole" [ "$got" = 3 ]

kill -s RTMIN+1 "$pid"
got=$(pings 10.9.0.2 -c 3 -i 0.05 -W 0.3 | received)
check "no answers while there is blackholed" [ "$got" = 0 ]
kill -s RTMIN+1 "$pid"
control reset
kill -s RTMIN+2 "$pid"
got=$(pings 10.9.0.2 -c 3 -i 0.05 -W 0.3 | received)
check "no answers while back is blackholed" [ "$got" = 0 ]
control "blackhole off"
check "no question was blackholed" within "$(counter ab blackholed)" 0 2
check "the answers were blackholed" within "$(counter ba blackholed)" 3 5

control "delay 5ms" "delay nonsense" "loss 100%"
got=$(pings 10.9.0.2 -c 3 -i 0.05 -W 0.3 | received)
check "nothing passes with all lost" [ "$got" = 0 ]
check "a bad control line is reported" grep -q 'bad control' "$tmp/err"
control "loss 0"
rtt=$(pings 10.9.0.2 -c 10 -i 0.05 | shortest)
check "the new delay is in effect" within "$rtt" 10 18

check "ends with status 0" link_stop
check "packets there add up" counters_add_up ab
check "packets back add up" counters_add_up ba
check "the device has gone" [ -z "$(ip -n "$a" link show link0 2>/dev/null)" ]
check "the control FIFO has gone" [ ! -e "$tmp/control" ]

# Rate and loss

if ! python3 -c '' 2>/dev/null; then
	echo "no python3: rate and loss are not checked"
	exit $((failures != 0))
fi

link_start --rate-ab 10Mbit --delay 5ms --queue 20ms
read -r got rate lost _ <<EOT
$(flood 2000 1250 1200)
EOT
check "of 12 Mbit/s, 10 arrive (got $rate)" within "$rate" 8500000 10500000
check "ends with status 0" link_stop
check "the queue dropped the rest" within "$(counter ab queue_drops)" 100 700
check "the device dropped nothing" [ "$(counter ab device_drops)" = 0 ]
check "packets there add up" counters_add_up ab
check "the receiver agrees (got $got)" \
    within "$(counter ab queue_drops)" $((2000 - got)) $((2003 - got))
check "no packet waited longer than the queue" \
    within "$(counter ab queue_max_us)" 10000 20000

# With 6000 packets and 3 % of loss, 180 are lost with a standard deviation
# of 13.2; with bursts of 4 packets, of 34 at most.

link_start --delay 5ms --loss-ab 3%
read -r got _ lost bursts <<EOT
$(flood 6000 200 4000)
EOT
check "3 % are lost (got $lost of 6000)" within "$lost" 120 240
check "one by one mostly (got $bursts bursts)" \
    within "$bursts" $((lost * 9 / 10)) "$lost"
control reset "burst-ab 4"
read -r got _ lost bursts <<EOT
$(flood 6000 200 4000)
EOT
check "3 % are lost in bursts (got $lost of 6000)" within "$lost" 60 320
check "of 4 packets (got $bursts bursts)" \
    within "$bursts" $((lost / 6)) $((lost * 10 / 25))
control "loss 0" reset "outage 100ms/500ms"
read -r got _ lost bursts <<EOT
$(flood 4000 200 2000)
EOT
check "an outage takes a fifth (got $lost of 4000)" within "$lost" 500 1100
check "ends with status 0" link_stop
check "packets there add up" counters_add_up ab

[ "$failures" -eq 0 ]
