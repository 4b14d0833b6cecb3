#!/bin/bash
# SPDX-License-Identifier: ISC
#
# max-sessions and max-sessions-per-client: at the proxy, clients beyond
# max-sessions wait until one has gone; those beyond the limit of one client, or
# of the relay, are reset.  What is free again is used again.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
redirect 1100-2099
on client ip addr add 10.77.1.3/24 dev eth0
on client ip addr add fd77:1::3/64 dev eth0 nodad preferred_lft 0

limited()	# option of the relay, of the proxy, probe
{
	relay_config <<<"$1"
	proxy_config <<<"$2"
	start_relay
	start_proxy
	note_descriptors
	probe limits "$3"
	check "nothing is left" wait_for 20 settled
	stop proxy
	stop relay
}

limited "" "max-sessions = 5" sixth_waits
limited "max-sessions = 5" "" sixth_is_reset
limited "" "max-sessions-per-client = 3" fourth_of_one_client

finish
