#!/bin/bash
# SPDX-License-Identifier: ISC
#
# SIGTERM: sessions that are open may end within grace, and what is left then is
# reset at both ends; a second signal does not wait.  The exit status is 0, and
# the same ports can be used again at once.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
redirect 1100-2099
told()		# daemon, probe
{
	local role

	# Short where the probe waits for its end, else too long to be waited for.
	GRACE=20
	[ "$2" != grace_is_over ] || GRACE=2
	for role in relay proxy; do
		${role}_config </dev/null
		sed -i "s/^grace.*/grace = ${GRACE}s/" "$tmp/$role.conf"
	done
	start_relay
	start_proxy
	PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay) DAEMON=$1
	export PROXY_PID RELAY_PID DAEMON GRACE
	echo "$1:"
	probe drain "$2"
	stop relay	# their status has to be 0
	stop proxy
}

for daemon in proxy relay; do
	for probe in ends_well grace_is_over second_signal idle; do
		told "$daemon" "$probe"
	done
done

finish
