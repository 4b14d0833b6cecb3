#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Many short connections, eight at a time: a byte there, a byte back, closed by
# either end.  Afterwards proxy and relay hold what they held before: no socket,
# no descriptor, no memory that grows.
#
# RORO_LONG=1: 10,000 instead of 2,000.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

# Freed memory, kept to find its users, would look like growth.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1"
most_growth=256		# KiB
# Their allocator itself grows by 25 bytes a session; what is lost they say.
sanitized && most_growth=2048

# Not more than that beyond what the first 2000 needed.
grown_little()	# name, KiB before
{
	local now
	now=$(resident "$1")
	echo "    $1: $2 KiB, then $now KiB"
	[ "$now" -le $(($2 + most_growth)) ]
}

begin
start_relay
start_proxy
redirect 1100-2099
note_descriptors

shorts=2000 probe shorts
check "nothing is left of them" wait_for 10 settled
proxy_before=$(resident proxy)
relay_before=$(resident relay)

shorts=$((RORO_LONG ? 10000 : 2000)) probe shorts
check "nothing is left of them" wait_for 10 settled
check "the proxy has not grown" grown_little proxy "$proxy_before"
check "nor the relay" grown_little relay "$relay_before"

finish
