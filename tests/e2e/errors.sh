#!/bin/bash
# SPDX-License-Identifier: ISC
#
# System calls fail at random with the errors that the kernel can give (no
# descriptors, no memory, interrupted, ...): that costs sessions, never a daemon,
# and what is cut is never taken for an end of file by anybody.  When the errors
# stop, all is as before.
#
# FAIL_SEED=N gives the daemons the same errors again, RORO_LONG=1 two minutes of
# them.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
seconds=4
[ -z "${RORO_LONG-}" ] || seconds=120
seed=${FAIL_SEED:-$$}
echo "FAIL_SEED=$seed"

fail_with()	# calls, per million
{
	with_faults FAIL_SEED="$seed" FAIL_AFTER_MS=2000 FAIL_CALLS="$1" \
	    FAIL_PER_MILLION="$2"
	start_relay
	start_proxy
	sleep 2
}

relay_config <<<"resume-timeout = 20s"
proxy_config <<<"resume-timeout = 20s"
redirect 1100-2099

fail_with all 1000
transfers "$seconds" 8 300000 50
check "both are alive" alive
stop proxy
stop relay

fail_with all 20000
transfers "$seconds" 8 30000 0
check "both are alive" alive
stop proxy
stop relay

finish
