#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Memory is refused: at start, each allocation once; then at random while
# transfers run; then for good (RLIMIT_AS), while readers stop.  A start that
# fails says so and ends with 1; later it costs sessions, never a daemon, and what
# is cut is never taken for an end of file.
#
# The sanitizers have an allocator of their own: skipped there.  RORO_LONG=1:
# every allocation of the start, and a minute of transfers.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

sanitized && skip "the sanitizers have an allocator of their own"
begin
step=5 seconds=4
[ -z "${RORO_LONG-}" ] || { step=1; seconds=60; }
seed=${FAIL_SEED:-$$}
echo "FAIL_SEED=$seed"
redirect 1100-2099
relay_config </dev/null
proxy_config </dev/null

# ---- at start ----

# Started or ended, either in order?
starts_or_ends()	# role, number of the allocation
{
	local host=relay status
	[ "$1" = relay ] || host=gateway
	: >"$tmp/start.log"
	with_faults FAIL_MALLOC_NTH="$2" FAIL_COUNT_FILE="$tmp/count"
	start start "$host" "$rorod" -c "$tmp/$1.conf"
	wait_for 10 over_or_started
	stop start
	status=$stopped
	if ! logged start started; then
		[ $status -eq 1 ] && [ -s "$tmp/start.log" ]
	else
		[ $status -eq 0 ]
	fi
}

over_or_started()
{
	logged start started || ended "${pids[start]}"
}

for role in relay proxy; do
	n=1
	while :; do
		starts_or_ends "$role" "$n" || {
			fail "$role, allocation $n"
			cat "$tmp/start.log"
		}
		grep -q " 0 failures" "$tmp/count" 2>/dev/null && break
		rm -f "$tmp/count"
		n=$((n + step))
		[ "$n" -lt 3000 ] || break
	done
	echo "$role: $n allocations"
done

# ---- later ----

under()		# NAME=VALUE...
{
	echo "$*"
	with_faults FAIL_SEED="$seed" FAIL_AFTER_MS=1500 "$@"
	start_relay
	start_proxy
	sleep 1.5
	transfers "$seconds" 8 300000 0
	check "both are alive" alive
	stop proxy
	stop relay
}

under FAIL_CALLS=malloc FAIL_PER_MILLION=300
under FAIL_CALLS=malloc FAIL_PER_MILLION=20000

with_faults
start_relay
start_proxy
PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay)
export PROXY_PID RELAY_PID
note_descriptors
probe alloc
check "both are alive" alive
check "nothing is left" wait_for 20 settled

finish
