#!/bin/bash
# SPDX-License-Identifier: ISC
#
# memory-limit bounds windows: a thousand downloads whose clients stop reading,
# then a thousand uploads whose servers do, stay within it (resident memory is
# printed), while a new session still works.  When the readers are gone all is
# as before.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
ulimit -n 8192 2>/dev/null || skip "needs 8192 open files"

LIMIT_KIB=65536
BOUND_KIB=$((LIMIT_KIB + 40960))
# The sanitizers' own memory is not ours.
if grep -q __asan_init "$rorod"; then
	BOUND_KIB=0
fi
export LIMIT_KIB BOUND_KIB

relay_config <<<"memory-limit = 64MiB"
proxy_config <<<"memory-limit = 64MiB"
sed -i 's/^log-level.*/log-level = info/' "$tmp/relay.conf" "$tmp/proxy.conf"
# What the kernel holds is not in question and only takes time.
for host in client gateway relay server; do
	on "$host" sh -c 'echo 4096 16384 65536 >/proc/sys/net/ipv4/tcp_wmem
	    echo 4096 65536 65536 >/proc/sys/net/ipv4/tcp_rmem'
done
start_relay
start_proxy
redirect 1100-2099
note_descriptors
PROXY_PID=$(pid_of proxy) RELAY_PID=$(pid_of relay)
export PROXY_PID RELAY_PID

probe memory downloads
check "nothing is left of the downloads" wait_for 20 settled
probe memory uploads
check "nothing is left of the uploads" wait_for 20 settled

finish
