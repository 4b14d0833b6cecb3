#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What is written leaves at once, counted in packets: one write at one end is one
# segment at the other and on the link, and does not wait for an acknowledgement
# of the one before.  (A firewall holds all of them back meanwhile.)

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
go_first
can_mute client relay server
# (And nothing goes twice.)
relay_config <<<'redundancy = 0'
proxy_config <<<'redundancy = 0'
start_relay
start_proxy
redirect 1100-2099
note_descriptors

probe packets
check "nothing is left of all these" wait_for 10 settled

finish
