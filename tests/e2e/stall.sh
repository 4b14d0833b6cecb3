#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Some of a link does not carry what it is given: one subflow of four swallows
# everything, or one direction of it, and sessions go on over the others within
# two seconds or four round trips; packets are lost, one by one or in bursts, and
# everything arrives.
#
# RORO_LONG=1: for as long as in the fault list.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

steady="${srcdir:-.}/tests/e2e/steady.py"
size=200000 still=3 seconds=2
[ -z "${RORO_LONG-}" ] ||
    { size=5000000 still=30 seconds=30; }

# Of this subflow, what one host would hear is lost.
swallow()	# its port at the gateway, relay|gateway
{
	on "$2" nft "add table inet swallow
		add chain inet swallow in { type filter hook input priority 0; }
		add rule inet swallow in tcp sport $1 drop
		add rule inet swallow in tcp dport $1 drop" ||
	    give_up "$2 has no firewall"
}

# Their ports at the gateway; first who has sent most.
busy()
{
	on gateway ss -Htin state established "dport = :$relay_port" |
	    sed -n 's/^[0-9]* *[0-9]* *[^ ]*:\([0-9]*\) .*/\1/p
	    s/.* bytes_sent:\([0-9]*\).*/\1/p' | paste - - |
	    sort -k 2nr | cut -f 1
}

stalled()	# what, port of which the relay hears nothing, the gateway
{
	swallow "$2" relay
	swallow "$3" gateway
	mark cut "$(silent)" "$1, for $still s"
	sleep "$still"
	check "a large one arrives" on client \
	    python3 "$steady" small "$server4" 1100 1 "$size"
	on relay nft delete table inet swallow
	on gateway nft delete table inet swallow
	mark back "$(trips 5 3)" "and is there again"
	wait_for 20 goes_on
	check "all four are there" wait_for 40 connected
	sleep 1
}

begin
go_first
far
start server server python3 "$steady" serve 1100
wait_for 10 listening server 1100 || give_up "there is no server"
start_relay
start_proxy
redirect 1100-2099

carry 4
mapfile -t ports < <(busy)
stalled "5: one of four is silent" "${ports[0]}" "${ports[0]}"
mapfile -t ports < <(busy)
stalled "8: one of four is silent one way, another the other way" \
    "${ports[0]}" "${ports[1]}"
carried

# What is lost, in bursts of so many packets, and how large "large" is.
while read -r lost burst large; do
	printf '%s\n' "loss 0" "burst $burst" "loss $lost%" >"$tmp/link.fifo"
	echo "    $lost % are lost, in bursts of $burst"
	on client python3 "$steady" run "$server4" 1100 "$seconds" 20000 \
	    2>"$tmp/gap" &
	check "9: a large one" on client \
	    python3 "$steady" small "$server4" 1100 1 "$large"
	check "9: a steady one" wait $!
done <<END
1 1 $size
5 1 $size
20 1 $((size / 5))
5 8 $size
END
finish
