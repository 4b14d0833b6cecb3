#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A relay that has used up its ports towards a server: who comes then is reset,
# nobody else suffers, and when ports are free it goes on.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

# A packet that is lost is not what this is about, and takes as long.
loss=0

begin
far
start_relay
start_proxy
redirect 1100-2099
wait_for 10 known || give_up "the relay does not know its subflows"
note_descriptors
export RTT=$rtt
range=$(on relay cat /proc/sys/net/ipv4/ip_local_port_range)
# TIME-WAIT is the server's, where sessions end first.
on relay sh -c 'echo 50000 50019 >/proc/sys/net/ipv4/ip_local_port_range'
probe ports
on relay sh -c "echo $range >/proc/sys/net/ipv4/ip_local_port_range"
check "the relay says why" wait_for 5 logged relay \
    "Cannot assign requested address"
probe halfclose server_first
check "nothing is left" wait_for 10 settled
finish
