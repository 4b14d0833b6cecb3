#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Bytes that change inside of TCP, with checksums that fit (a broken middlebox,
# or somebody on the path).  Sealed, that costs a subflow each time, and every
# byte of the sessions is right; the base protocol has nothing but the numbers
# in its headers to notice it by, and resets what is out of order.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
redirect 1100-2099
here=${srcdir:-.}/tests/e2e
export PYTHONDONTWRITEBYTECODE=1
seconds=4
[ -n "${RORO_LONG-}" ] && seconds=120

# From now on a packet in so many, to or from the relay, has another byte at
# this offset, in bits.
corrupt()	# one in, offset, dport|sport...
{
	local one_in=$1 offset=$2 port
	shift 2
	for port; do
		echo "tcp $port $relay_port meta length > 100" \
		    "numgen random mod $one_in == 0" \
		    "@ih,$offset,8 set 0x58 counter"
	done >"$tmp/corrupt"
	on gateway nft -f - <<-END
		table inet corrupt {
			chain output {
				type filter hook output priority filter
				$(cat "$tmp/corrupt")
			}
			chain input {
				type filter hook input priority filter
				$(cat "$tmp/corrupt")
			}
		}
	END
}

sound()
{
	on gateway nft delete table inet corrupt
}

changed()
{
	on gateway nft list table inet corrupt | grep -o 'packets [0-9]*' |
	    awk '{ n += $2 } END { print n + 0 }'
}

count()		# name, text
{
	grep -cF -- "$2" "$tmp/$1.log"
}

protection=sealed
start_relay
start_proxy
corrupt 200 800 dport sport || skip "needs nftables that write into a payload"
transfers "$seconds" 6 2000000 100
echo "$(changed) packets changed; records that were bad:" \
    "$(count relay "bad record") at the relay," \
    "$(count proxy "bad record") at the proxy"
check "bytes were changed" [ "$(changed)" -gt 0 ]
check "the relay noticed" logged relay "bad record"
check "the proxy noticed" logged proxy "bad record"
sound
check "all subflows come back" wait_for 20 connected
transfers 1 4 2000000 100
stop proxy
stop relay

# ---- base ----

protection=none
relay_config <<-END
	base { server = "$server4:80" proxies = "$proxy4" }
END
cat >"$tmp/proxy.conf" <<-END
	role = proxy
	control = off
	log-level = debug
	forward "base" { listen = "[::]:$proxy_port" }
	relay "relay" {
		address = "$relay4:$relay_port"
		protocol = base
		protection = none
	}
END
start_relay
start_proxy_alone
start echo server python3 "$here/corrupted.py" server 80
wait_for 10 listening server 80 || give_up "the server does not start"

# Small datagrams begin a packet, and so with their serial.  That it is wrong
# shows by the others that come after it; at the relay, which does not know how
# many subflows there are, when ten seconds are over.
for port in sport dport; do
	start "echo_$port" client python3 -u "$here/corrupted.py" client \
	    "$gateway4" "$proxy_port"
	sleep 0.5
	corrupt 20 0 "$port"
	check "base: a serial that changes is a reset ($port)" wait_for 20 \
	    logged "echo_$port" ECONNRESET
	sound
	cat "$tmp/echo_$port.log"
	stop "echo_$port"
done

finish
