#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Connections that say what nobody understands, 2000 to the relay's port and
# 2000 to the proxy's: both daemons serve as before, keep nothing of them and
# say little.
#
# RORO_LONG=1: a million.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
python3 -c 'import cryptography' 2>/dev/null ||
    skip "needs python3-cryptography"

here=${srcdir:-.}/tests/e2e
export PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1
MANY=2000
[ -n "${RORO_LONG-}" ] && MANY=500000
# Freed memory, kept to find its users, would look like growth.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1"
GROWTH_KIB=1024
# They have a MiB of it all the same, and their allocator itself grows by 40 bytes
# a connection; what is lost they say.
sanitized && GROWTH_KIB=$((3 * GROWTH_KIB + MANY / 20))

protection=sealed
relay_config </dev/null
proxy_config </dev/null
sed -i 's/^log-level.*/log-level = info/' "$tmp/relay.conf" "$tmp/proxy.conf"
start_relay
start_proxy
redirect 1100-1199

say_garbage()	# host, address, port, connections
{
	on "$1" python3 "$here/garbage.py" "$2" "$3" "$4" "$tmp/proxy.key" ||
	    fail "garbage.py ended with $?"
}

lines()
{
	cat "$tmp/relay.log" "$tmp/proxy.log" | wc -l
}

bombard()	# what, host, address, port
{
	local relay proxy lines begin=$SECONDS
	say_garbage "$2" "$3" "$4" 500	# it has what it may need
	relay=$(resident relay) proxy=$(resident proxy) lines=$(lines)
	say_garbage "$2" "$3" "$4" "$MANY"
	check "$1: nothing is left" wait_for 20 settled
	relay=$(($(resident relay) - relay))
	proxy=$(($(resident proxy) - proxy))
	lines=$(($(lines) - lines))
	echo "the relay has grown by $relay KiB, the proxy by $proxy KiB," \
	    "and both said $lines lines"
	check "the relay's memory is as before" [ "$relay" -lt "$GROWTH_KIB" ]
	check "... and the proxy's" [ "$proxy" -lt "$GROWTH_KIB" ]
	check "logs are short" \
	    [ "$lines" -lt $((100 + 10 * (SECONDS - begin))) ]
	check "both are alive" alive
}

note_descriptors

bombard "the relay's port" gateway "$relay4" "$relay_port"
bombard "the proxy's port" client "$gateway6" "$proxy_port"

start bystander client python3 "$here/bystander.py"
wait_for 10 logged bystander begun
sleep 1
stop bystander
tail -n 1 "$tmp/bystander.log"
check "who says something is served" [ "$stopped" -eq 0 ]

finish
