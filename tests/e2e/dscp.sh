#!/bin/bash
# SPDX-License-Identifier: ISC
#
# dscp = copy: what the relay sends to a server, from its first packet on, has the
# DSCP of the client's first packet, IPv4 and IPv6, and ECN is not touched.  It is
# off unless asked for, and can be changed while the proxy runs.  What arrives is
# read off the server's interface.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
# So that data has ECN's bits as well.
for host in relay server; do
	on "$host" sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_ecn'
done

arrives()	# expected ("as sent" or 0)
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "${srcdir:-.}/tests/e2e/dscp.py" "$1" >>"$tmp/dscp.log" 2>&1
}

copy()		# off|copy
{
	local before
	before=$(grep -c "read again" "$tmp/proxy.log")
	sed -i "s/^intercept { .*mode/intercept { dscp = $1 mode/" \
	    "$tmp/proxy.conf"
	kill -HUP "$(pid_of proxy)"
	wait_for 10 reloaded "$before" || give_up "the proxy does not reload"
}

reloaded()	# how often before
{
	[ "$(grep -c "read again" "$tmp/proxy.log")" -gt "$1" ]
}

start_relay
start_proxy
redirect 1100-2099
check "off by default" arrives 0
copy copy
check "copied" arrives "as sent"
copy off
check "off again" arrives 0
stop proxy
direct

intercept='dscp = copy mode = tproxy nft = off route = off'
proxy_config </dev/null
start_proxy
tproxy 1100-2099
check "copied with TPROXY" arrives "as sent"
copy off
check "off with TPROXY" arrives 0

finish
