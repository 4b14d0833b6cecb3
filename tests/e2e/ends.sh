#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Clients and servers stay who they are: a client sees the address that it asked
# for; one that comes back with the same port gets a new session, whatever became
# of the old one; one that vanishes without a word, as a server may, is noticed by
# keepalive, and the other end is reset.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
on server nft -f - <<-END || give_up "the server has no firewall"
	table inet test {
		set gone {
			type inet_service
		}
		chain input {
			type filter hook input priority filter; policy accept;
			tcp dport @gone drop
		}
	}
END
relay_config <<-END
	keepalive = 1s
END
proxy_config <<-END
	keepalive = 1s
END
start_relay
start_proxy
redirect 1100-2099
note_descriptors

# The last one takes the client's link down.
probe ends names again_after_close again_after_reset again_meanwhile \
    server_vanishes client_vanishes
check "nothing is left of all these" wait_for 10 settled

finish
