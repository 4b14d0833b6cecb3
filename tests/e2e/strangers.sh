#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A thousand connections that dribble their hello keep out nobody: neither from
# 100 sources nor from one.  A proxy that is there serves as before, and one
# that starts meanwhile gets in, also from the very address of the strangers.
#
# RORO_LONG=1: for longer.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
ulimit -n 4096 2>/dev/null || skip "needs 4096 open files"

here=${srcdir:-.}/tests/e2e
export PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1
ENTRIES=2
SETTLE=2
[ -n "${RORO_LONG-}" ] && ENTRIES=30 SETTLE=30

sources=()
for i in {100..199}; do
	on client ip addr add "10.77.1.$i/24" dev eth0
	sources+=("10.77.1.$i")
done

protection=sealed
relay_config <<<"connect-timeout = 3s"
proxy_config </dev/null
sed -i 's/^log-level.*/log-level = info/' "$tmp/relay.conf" "$tmp/proxy.conf"
start_relay
start_proxy
redirect 1100-2099

# One at a time that starts, and serves port 81.
newcomer()	# its host
{
	local begin seconds status
	sed -e '/^intercept/d' "$tmp/proxy.conf" >"$tmp/newcomer.conf"
	echo "forward \"web\" { listen = \"[::]:81\"" \
	    "destination = \"$server4:1101\" }" >>"$tmp/newcomer.conf"
	echo 'connect-timeout = 3s' >>"$tmp/newcomer.conf"
	begin=$EPOCHREALTIME
	start newcomer "$1" "$rorod" -c "$tmp/newcomer.conf"
	seconds=$(on "$1" python3 "$here/strangers.py" enter 127.0.0.1 81 \
	    "$begin")
	status=$?
	echo "$seconds" >>"$tmp/seconds"
	stop newcomer
	return $status
}

newcomers()	# what, host
{
	local i
	: >"$tmp/seconds"
	for ((i = 0; i < ENTRIES; i++)); do
		newcomer "$2" || break
	done
	echo "$1: $(sort -n "$tmp/seconds" | tr '\n' ' ')s"
	check "$1 gets in" quick
}

# Two of the proxy's own attempts may fail, and the machine may be busy.
quick()
{
	awk -v n="$ENTRIES" '$1 < 10 { m++ } END { exit m != n }' \
	    "$tmp/seconds"
}

# What the bystander has seen since it was last asked.
phase()		# name
{
	local lines
	lines=$(wc -l <"$tmp/bystander.log")
	kill -USR1 "$(pid_of bystander)"
	wait_for 60 more_lines "$tmp/bystander.log" "$lines" ||
	    give_up "the bystander is stuck"
	echo "$1: $(tail -n 1 "$tmp/bystander.log")"
}

more_lines()	# file, than this
{
	[ "$(wc -l <"$1")" -gt "$2" ]
}

siege()		# what, sources...
{
	local what=$1
	shift
	phase "between" >/dev/null
	sleep "$SETTLE"
	phase "before"
	start dribble client python3 "$here/strangers.py" dribble "$relay4" \
	    "$relay_port" 1000 2 "$@"
	wait_for 10 logged dribble begun
	sleep 1
	phase "when they come"
	newcomers "$what: a proxy elsewhere" gateway
	newcomers "$what: a proxy at their address" client
	sleep "$SETTLE"
	echo "the relay holds $(sockets relay established \
	    "sport = :$relay_port") connections," \
	    "$(resident relay) KiB, $(descriptors relay) descriptors"
	phase "$what"
	stop dribble
	tail -n 1 "$tmp/dribble.log"
	: >"$tmp/dribble.log"
}

start bystander client python3 "$here/bystander.py"
wait_for 10 logged bystander begun
sleep 1
newcomers "no strangers: a proxy" gateway
siege "1000 of 100 sources" "${sources[@]}"
siege "1000 of one source" "$client4"
stop bystander
check "the bystander lost nothing" [ "$stopped" -eq 0 ]

finish
