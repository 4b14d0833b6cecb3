#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A daemon that is killed cannot save its sessions, but it can avoid to lie: what
# was open is reset at both ends, in whatever state it is, and never ends with an
# end of file that nobody sent.  The end at the killed daemon knows at once, the
# other one when resume-timeout is over, or when a relay has started again and
# does not know the sessions.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
echo 'resume-timeout = 2s' | relay_config
echo 'resume-timeout = 2s' | proxy_config
start_relay
start_proxy
redirect 1100-2099

killed()	# proxy|relay
{
	wait "${pids[$1]}" 2>/dev/null
	unset "pids[$1]"
}

echo "    the proxy:"
victim=$(pid_of proxy) probe kill killed
killed proxy
start_proxy

echo "    the relay:"
victim=$(pid_of relay) probe kill killed
killed relay
start_relay
wait_for 20 connected || give_up "the proxy does not find its relay"

# This time the proxy would wait for long, but the relay comes back.
echo 'resume-timeout = 120s' | proxy_config
stop proxy
start_proxy
echo "    the relay, which starts again:"
victim=$(pid_of relay) probe kill killed &
probes=$!
wait_for 20 ended "$(pid_of relay)" || give_up "the relay lives"
killed relay
start_relay
wait $probes || fail "see above"
wait_for 20 connected || give_up "the proxy does not find its relay"

note_descriptors
probe halfclose server_first send_much_and_close
check "everything works again" wait_for 10 settled

finish
