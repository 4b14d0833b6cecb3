#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A proxy with two paths to its relay.  A backup carries nothing, until the
# other path swallows all that it is given; it gives back when that path is
# there again.  Weights say where small sessions go, and a path without weight
# has none; bulk uses both.  The relay paces each path as the proxy says.  A
# reload changes all of that.
#
# RORO_LONG=1: the path is gone for 60 s, not for 3.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

begin
go_first
# Rates are those of the configuration.
link_between link wan eth0 2 --rate 100Mbit --delay 10ms
link_between second lte eth2 4 --rate 100Mbit --delay 10ms
far_routes
on gateway ip route add "$relay4/32" via 10.77.4.2 dev lte metric 100
steady="${srcdir:-.}/tests/e2e/steady.py"
away=3
[ -z "${RORO_LONG-}" ] || away=60
control=$tmp/run
SUBFLOWS=8

# Two paths, with these options, and no byte twice on purpose.
two_paths()	# options of wan, options of lte
{
	PROXY_PATH="interface = \"wan\" $1 }
	    path \"lte\" { interface = \"lte\" $2" proxy_config <<-END
		redundancy = 0
	END
}

# Bytes that the gateway sent and got on an interface.
carried()	# wan|lte
{
	on gateway sh -c "cd /sys/class/net/$1/statistics &&
	    echo \$((\$(cat tx_bytes) + \$(cat rx_bytes)))"
}

note()
{
	wan=$(carried wan) lte=$(carried lte)
}

# How much of it was there since note(), in percent.
share()	# wan|lte
{
	local a=$(($(carried wan) - wan)) b=$(($(carried lte) - lte))

	case $1 in
	wan) echo $((100 * a / (a + b))) ;;
	lte) echo $((100 * b / (a + b))) ;;
	esac
}

within()	# least, value, most
{
	[ "$1" -le "$2" ] && [ "$2" -le "$3" ]
}

# The cable is there, but nothing gets through.
swallow()
{
	on relay nft -f - <<-END || give_up "the relay has no firewall"
	table inet swallow {
		chain in {
			type filter hook prerouting priority raw
			iifname "eth1" ip saddr != 10.77.3.0/24 accept
			iifname "eth0" drop
		}
	}
	END
}

let_through()
{
	on relay nft delete table inet swallow
}

read_again()	# how often
{
	[ "$(grep -c ": read again" "$tmp/proxy.log")" -eq "$1" ]
}

reload()	# which it is
{
	kill -HUP "$(pid_of proxy)"
	wait_for 5 read_again "$1" || give_up "the proxy does not reload"
}

steadily()	# seconds, bytes a second
{
	on client python3 "$steady" run "$server4" 1100 "$1" "$2" 2>"$tmp/gap"
}

small()	# how many
{
	on client python3 "$steady" small "$server4" 1100 "$1" 20000
}

start server server python3 "$steady" serve 1100
wait_for 10 listening server 1100 || give_up "there is no server"

echo "    a backup:"
two_paths "" "backup = yes"
echo 'redundancy = 0' | relay_config
start_relay
start_proxy
redirect 1100
note
check "small sessions work" small 20
check "and a steady one" steadily 1 1000000
check "the backup carries nothing of them ($(share lte) %)" \
    within 0 "$(share lte)" 1

steadily $((away + 3)) 200000 >"$tmp/steady" &
client=$!
sleep 1
swallow
sleep "$away"
note
sleep 0.5
check "the backup has taken over ($(share lte) %)" within 90 "$(share lte)" 100
let_through
wait $client
status=$?
cat "$tmp/steady" "$tmp/gap"
check "the session does not notice" [ "$status" -eq 0 ]
# A path is suspect after a second, and looked at each 100 ms.
check "it went on in time ($(tail -n 1 "$tmp/gap") s of 1.1)" \
    awk -v gap="$(tail -n 1 "$tmp/gap")" 'BEGIN { exit !(gap + 0 < 2.2) }'
back()
{
	note
	small 5 && within 0 "$(share lte)" 5
}
check "the backup gives back" wait_for 8 back

echo "    weights:"
two_paths "weight = 75" "weight = 25"
reload 1
# A path that stands still on a busy machine has fewer, whatever its weight.
by_weight()
{
	note
	small 100 || give_up "small sessions do not work"
	within 60 "$(share wan)" 90
}
check "three of four go over the first path" wait_for 20 by_weight
echo "    $(share wan) %"

two_paths "weight = 0" "weight = 1"
reload 2
# Bytes that went again, at either end.
again()
{
	local role

	for role in proxy relay; do
		"$roroctl" status -f json -s "$control/$role.sock" |
		    grep -o '"\(resent\|reinjected\)_bytes": *[0-9]*' || return
	done
}
again >"$tmp/again" || give_up "they do not say what goes again"

# What is late on a busy machine goes again wherever it can: not in this sample.
none_late()
{
	local before

	before=$(again)
	note
	small 20 || give_up "small sessions do not work"
	[ "$(again)" = "$before" ]
}
check "small sessions, and nothing goes again" wait_for 20 none_late
check "none is where there is no weight ($(share wan) %)" \
    within 0 "$(share wan)" 1
# What the relay's subflows of a path may send, together, in kbit/s; 0: any of
# them what it wants.
paced()		# address of the proxy there
{
	on relay ss -tinHO state established \
	    "( sport = :$relay_port and dst $1 )" |
	    awk '
	    function kbit(s) {
		if (s ~ /G/)
			return s * 1e6
		if (s ~ /M/)
			return s * 1e3
		return s ~ /K/ ? s + 0 : s / 1e3
	    }
	    {
		most = 0
		for (i = 1; i < NF; i++)
			if ($i == "pacing_rate" && split($(i + 1), r, "/") == 2)
				most = kbit(r[2])
		none = none || most == 0
		sum += most
	    }
	    END { printf "%d\n", none ? 0 : sum }'
}

# 0.95 of that, as ss rounds.
is_paced()	# address, kbit/s
{
	within $(($2 * 90 / 100)) "$(paced "$1")" $(($2 * 97 / 100))
}

echo "    rates:"
check "what is not told is not paced" is_paced "$proxy4" 0
check "on neither path" is_paced 10.77.4.1 0
received()	# wan|lte
{
	on gateway cat "/sys/class/net/$1/statistics/rx_bytes"
}

# Sets $share_lte to the second path's share of what a download brings, percent.
download()	# bytes
{
	local wan lte

	wan=$(received wan) lte=$(received lte)
	check "bulk" on client python3 "$steady" small "$server4" 1100 1 "$1"
	wan=$(($(received wan) - wan)) lte=$(($(received lte) - lte))
	share_lte=$((100 * lte / (wan + lte)))
}

two_paths "receive-rate = 40Mbit" "receive-rate = 40Mbit"
reload 3
check "two paths alike" wait_for 5 is_paced 10.77.4.1 40000
download 20000000
check "both carry it (the second one $share_lte %)" within 20 "$share_lte" 80

two_paths "receive-rate = 60Mbit" "receive-rate = 3Mbit"
reload 4
check "the relay paces the first path" \
    wait_for 5 is_paced "$proxy4" 60000
check "and the second one" \
    wait_for 5 is_paced 10.77.4.1 3000
download 10000000
check "the second path brings what it may ($share_lte %)" \
    within 1 "$share_lte" 15
"$roroctl" status -s "$control/proxy.sock" >"$tmp/status" 2>&1
check "status says so" grep -q 'of 3\(\.0\)* *Mbit/s' "$tmp/status"
RELAY_PEER="rate = 20Mbit" relay_config </dev/null
kill -HUP "$(pid_of relay)"
check "but no faster than the relay's own rate" \
    wait_for 5 is_paced "$proxy4" 20000
check "which the second one is not" is_paced 10.77.4.1 3000
two_paths "" "receive-rate = 5Mbit"
reload 5
check "it goes back to that rate" wait_for 5 is_paced "$proxy4" 20000
check "and to the second path's new one" wait_for 5 is_paced 10.77.4.1 5000
relay_config </dev/null
kill -HUP "$(pid_of relay)"
check "or to none" wait_for 5 is_paced "$proxy4" 0
check "small sessions work" small 5

# Both ends say what they have sent again; the proxy sends nothing twice on
# purpose.
again()		# proxy|relay, relays|peers, which number
{
	"$roroctl" status -f json -s "$control/$1.sock" |
	    python3 -c 'import json, sys
print(json.load(sys.stdin)[sys.argv[1]][0]["again"][sys.argv[2]])' "$2" "$3"
}

relay_doubles()
{
	[ "$(again relay peers doubled_bytes)" -gt 0 ]
}
check "the relay says what it has sent twice" wait_for 5 relay_doubles
check "the proxy has sent nothing twice" \
    [ "$(again proxy relays doubled_bytes)" -eq 0 ]
"$roroctl" status -s "$control/relay.sock" >"$tmp/status" 2>&1
check "so does status for people" grep -q 'sent again: .*by redundancy' \
    "$tmp/status"
stop proxy
finish
