#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The table that rorod installs and the static file for the same mode catch the
# same: each is loaded on a host of its own, and their chains and sets are
# compared, as nft lists them.  Loading or installing again changes nothing.
# See same.py.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin

list()		# host, file
{
	on "$1" nft -s list ruleset >"$tmp/$2"
}

compare()
{
	python3 "${srcdir:-.}/tests/e2e/same.py" "$tmp/file" "$tmp/daemon" \
	    $proxy_port
}

installed()
{
	on gateway nft list table inet ro-ro-tcp >/dev/null 2>&1
}

# Only the heartbeat goes on.
list_gateway()	# file
{
	list gateway "$1"
	sed -i '/set intercepted {/,/}/d; s/ # progname .*//' "$tmp/$1"
}

reloaded()
{
	[ "$(grep -c "read again" "$tmp/proxy.log")" -gt "$before" ]
}

for mode in tproxy redirect; do
	file=${srcdir:-.}/nft/$mode.nft
	check "$mode: the file is loaded" on server nft -f "$file"
	list server file
	check "$mode: again" on server nft -f "$file"
	list server again
	check "$mode: that changes nothing" cmp "$tmp/file" "$tmp/again"

	intercept="mode = $mode interfaces = \"br-lan\""
	proxy_config </dev/null
	sed -i 's/^address = .*/address = "192.0.2.1:1093"/' "$tmp/proxy.conf"
	start_proxy_alone
	wait_for 5 installed || give_up "$mode: there is no table"
	list_gateway daemon
	check "$mode: both catch the same" compare
	before=$(grep -c "read again" "$tmp/proxy.log")
	kill -HUP "$(pid_of proxy)"
	check "$mode: the proxy installs its table again" wait_for 5 reloaded
	list_gateway again
	check "$mode: that changes nothing" cmp "$tmp/daemon" "$tmp/again"
	stop proxy KILL
	start_proxy_alone
	wait_for 5 installed
	list_gateway again
	check "$mode: nor does a new start" cmp "$tmp/daemon" "$tmp/again"
	stop proxy
	on gateway nft flush ruleset
	on server nft flush ruleset
done
finish
