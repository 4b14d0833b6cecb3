#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What holds for the extended protocol holds for the base protocol: both ends of
# a connection see what they would see of each other (halfclose, reset), and
# whatever the kernel refuses to the daemons, nothing that is cut is taken for
# whole (errors, shortio).
#
# RORO_LONG=1: a minute of each fault.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
seconds=1
[ -z "${RORO_LONG-}" ] || seconds=60
seed=${FAIL_SEED:-$$}
echo "FAIL_SEED=$seed"

configure()	# log level
{
	relay_config <<-END
	base { server = "$server4:1100" proxies = "$proxy4" }
	END
	cat >"$tmp/proxy.conf" <<-END
	role = proxy
	control = off
	log-level = $1
	grace = 5s
	forward "base" { listen = "[::]:$proxy_port" }
	relay "relay" {
		address = "$relay4:$relay_port"
		protocol = base
		protection = none
	}
	END
	sed -i "s/^log-level = .*/log-level = $1/" "$tmp/relay.conf"
}

export PROBE_FRONT=$proxy_port
configure debug
can_mute gateway relay
start_relay
start_proxy_alone
note_descriptors
probe halfclose
probe reset
check "nothing is left of all these" wait_for 10 settled
stop proxy
stop relay

configure warn
under()		# bytes of a transfer, least per cent whole, NAME=VALUE...
{
	local bytes=$1 whole=$2
	shift 2
	echo "$*"
	with_faults "$@"
	start_relay
	start_proxy_alone
	transfers "$seconds" 8 "$bytes" "$whole"
	check "both are alive" alive
	stop proxy
	stop relay
}
# Not all: some are on their way to the server when the time is over.
under 20000 75 FAIL_SHORT=1 FAIL_AFTER_MS=10
under 300000 75 FAIL_SHORT=100 FAIL_AFTER_MS=10
under 300000 75 FAIL_EINTR_US=1000 FAIL_SHORT=3000
under 300000 50 FAIL_SEED="$seed" FAIL_AFTER_MS=500 FAIL_CALLS=all \
    FAIL_PER_MILLION=1000
under 30000 0 FAIL_SEED="$seed" FAIL_AFTER_MS=500 FAIL_CALLS=all \
    FAIL_PER_MILLION=20000

finish
