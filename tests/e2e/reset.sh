#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A reset is a reset at the other end, never an end of file, whoever resets and
# when: before the first byte, right behind data (which arrives), in the middle
# of a stream, after a half-close, with buffers full.  A write to an end that has
# closed is answered by a reset.  Urgent data arrives in line.
#
# What both ends see is compared with a direct connection, IPv4 and IPv6.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
start_relay
start_proxy
redirect 1100-2099
note_descriptors

probe reset
check "nothing is left of all these" wait_for 10 settled

finish
