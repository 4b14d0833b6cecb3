#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A reload adds relays, removes them and changes everything of one: new sessions
# go to those that there are, and what is open stays where it is until it ends.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
redirect 1100-2099
control=$tmp/run
export two4=10.77.2.3
on relay ip addr add $two4/24 dev eth0
make_key two
relay_config </dev/null
sed -i "s/^listen.*/listen = \"$relay4:$relay_port\"/" "$tmp/relay.conf"
sed "s/^listen.*/listen = \"$two4:$relay_port\"/
    s/relay.sock/two.sock/; s/proxy.key/two.key/" "$tmp/relay.conf" >"$tmp/two.conf"
proxy_config </dev/null
cp "$tmp/proxy.conf" "$tmp/one.conf"
cat >"$tmp/two.section" <<END
relay "two" {
	address = "$two4:$relay_port"
	key-file = "$tmp/two.key"
}
END
sed '/^relay /,$d' "$tmp/one.conf" | cat - "$tmp/two.section" >"$tmp/other.conf"
cat "$tmp/one.conf" "$tmp/two.section" >"$tmp/both.conf"
sed 's/path "wan" {/& express = 3 /' "$tmp/both.conf" >"$tmp/more.conf"
start two relay "$rorod" -c "$tmp/two.conf"
start_relay
start_proxy
PROXY_PID=$(pid_of proxy)
export PROXY_PID RORO_TMP=$tmp RORO_ROROCTL=$roroctl
check "relays come and go" probe regroup
stop two
finish
