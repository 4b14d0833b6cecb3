#!/bin/bash
# SPDX-License-Identifier: ISC
#
# While the relay takes no more sessions, new connections go directly: none fails
# when it had said how many it takes, and few do when it has less room than that.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/asking.sh"

begin
go_first
mode=${MODE:-tproxy}
intercept="mode = $mode interfaces = { \"lan\" } private = intercept"
full="go directly: the relay takes no more sessions"

relay_config <<<'max-sessions = 40'
proxy_config </dev/null
start_relay
start_proxy
start_asking
at=$(now)
then_all_go R 3 "it is started" none

start holder client python3 "$helper" hold 38
wait_for 20 logged holder held
at=$(now)
then_all_go D 1 "nearly all that the relay takes are there" none
check "and the log says so" logged proxy "$full"
at=$(now)
end_of holder
then_all_go R 1 "they are not any more" none

relay_config <<<'max-sessions = 5'
kill -HUP "$(pid_of relay)"
wait_for 10 logged relay "read again"
at=$(now)
start holder client python3 "$helper" hold 20
wait_for 20 logged holder held
then_all_go D 2 "the relay has less room than it said"
at=$(now)
end_of holder
then_all_go R 16 "it has room again"
end_of client
finish
