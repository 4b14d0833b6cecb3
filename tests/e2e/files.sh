#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Few descriptors (RLIMIT_NOFILE), at proxy or relay, known at start or not:
# while clients keep coming nobody spins, sessions that are there go on, and new
# ones work as soon as there is room again.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
command -v prlimit >/dev/null || skip "needs prlimit (util-linux)"
redirect 1100-2099

LOAD_MAX=5
sanitized && LOAD_MAX=15
export LOAD_MAX

# Each by itself, so that the other one has room.
small()		# of the relay, of the proxy, sessions, probe...
{
	local relay=$1 proxy=$2
	HELD=$3
	shift 3
	echo "RLIMIT_NOFILE: relay $relay, proxy $proxy"
	with_limit "$relay"
	start_relay
	with_limit "$proxy"
	start_proxy
	PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay)
	export PROXY_PID RELAY_PID HELD
	note_descriptors
	probe files "$@"
	check "nothing is left" wait_for 20 settled
	stop proxy
	stop relay
}

with_limit()	# descriptors
{
	rorod=$tmp/limited
	printf '#!/bin/sh\nexec prlimit --nofile=%s "%s" "$@"\n' "$1" \
	    "$rorod_itself" >"$rorod"
	chmod +x "$rorod"
}

small 1024 128 96 small_from_the_start
small 128 1024 96 small_from_the_start
if [ -n "${RORO_LONG-}" ]; then
	small 1024 40 24 small_from_the_start
	small 40 1024 24 small_from_the_start
fi
small 1024 1024 8 none_left_at_the_proxy none_left_at_the_relay

finish
