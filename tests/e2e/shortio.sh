#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Every read and write of the daemons moves a few bytes at most, and a signal
# interrupts them a thousand times a second: all transfers are whole.
#
# RORO_LONG=1: a minute of each.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
seconds=1
[ -z "${RORO_LONG-}" ] || seconds=60
redirect 1100-2099

under()		# bytes of a transfer, NAME=VALUE...
{
	local bytes=$1
	shift
	echo "$*"
	with_faults "$@"
	start_relay
	start_proxy
	transfers "$seconds" 8 "$bytes" 100
	check "both are alive" alive
	stop proxy
	stop relay
}

relay_config <<<"log-level = warn"
proxy_config <<<"log-level = warn"
sed -i '/^log-level = debug/d' "$tmp/relay.conf" "$tmp/proxy.conf"

under 20000 FAIL_SHORT=1 FAIL_AFTER_MS=10
under 300000 FAIL_SHORT=100 FAIL_AFTER_MS=10
under 3000000 FAIL_EINTR_US=1000
under 300000 FAIL_EINTR_US=1000 FAIL_SHORT=3000

finish
