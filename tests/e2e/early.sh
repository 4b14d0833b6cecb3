#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Clients reset, close or half-close before the relay has reached the server:
# what they sent before their end arrives, a reset is never an end of file, and
# nothing is left.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
start_relay
start_proxy
redirect 1100-2099
note_descriptors
on server nft add table inet early

probe early
check "nothing is left of all these" wait_for 20 settled

finish
