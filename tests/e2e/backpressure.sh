#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Who does not read stops who sends: between them is no more than two socket
# buffers at each daemon and the window of the session, the other direction and
# other connections go on, and everything arrives in the end.  Both directions
# full do not stop each other.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin

# The kernel's buffers grow to here, and the window of a session to there.
buffer=$((512 * 1024))
window=$((1024 * 1024))
for host in client gateway relay server; do
	for name in tcp_rmem tcp_wmem; do
		on "$host" sh -c \
		    "echo 4096 131072 $buffer >/proc/sys/net/ipv4/$name"
	done
done
# What was read from the sender, but has not left: 128 KiB.
export absorbed_max=$((4 * buffer + window + 128 * 1024))

relay_config <<-END
	window = 1MiB
END
proxy_config <<-END
	window = 1MiB
END
start_relay
start_proxy
redirect 1100-2099
note_descriptors

probe backpressure
check "nothing is left of all these" wait_for 10 settled

finish
