#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Each direction of a connection ends for itself, and nothing is lost before its
# end: half-closes by client and server with a lot to come the other way, ends
# right behind the last byte, connections without a byte, servers that speak
# first.  When both ends close at the same moment nobody is reset, and
# afterwards nothing is left at proxy and relay.
#
# What both ends see is compared with a direct connection, IPv4 and IPv6.
# RORO_LONG=1: 10,000 simultaneous closes instead of 1,000; half-closed connections
# outlive the memory of connection tracking.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
can_mute gateway relay
start_relay
start_proxy
redirect 1100-2099
note_descriptors

probe halfclose
check "nothing is left of all these" wait_for 10 settled

finish
