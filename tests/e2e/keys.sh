#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What keys are good for: with protection = sealed nobody on the way can read
# what clients send, with auth and none they can, and who has another key, or
# another protection, does not get in; both ends say why.  Keys are read again as
# the user that the daemon has become.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
redirect 1100-2099
make_key other

on_the_way()
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 \
	    python3 "${srcdir:-.}/tests/e2e/keys.py"
}

carries()	# protection, read|not read
{
	protection=$1
	relay_config </dev/null
	proxy_config </dev/null
	start_relay
	start_proxy
	check "with $1 it can be $2" [ "$(on_the_way)" = "$2" ]
	stop proxy
	stop relay
}

# The relay has one protection and the proxy another.
differ()	# relay's, proxy's, what the relay says
{
	protection=$1
	relay_config </dev/null
	protection=$2
	proxy_config <<<'connect-timeout = 2s'
	rm -f "$tmp/relay.log" "$tmp/proxy.log"
	start_relay
	start_proxy_alone
	check "$2 at the proxy and $1 at the relay: the relay says why" \
	    wait_for 10 logged relay "$3"
	# It says nothing to the proxy, which gives up when its time is over.
	check "the proxy says what may be wrong" wait_for 20 logged proxy \
	    "closed in the handshake: wrong key, not a relay, its limits, or it ends"
	check "it is not connected" [ "$(grep -c ': up' "$tmp/proxy.log")" -eq 0 ]
	stop proxy
	stop relay
}

carries none read
carries auth read
carries sealed "not read"

differ sealed none "no protection"
differ sealed auth "hello refused"
differ auth sealed "hello refused"
differ none sealed "unknown key $("$roroctl" keyid "$tmp/proxy.key")"

protection=sealed
relay_config </dev/null
proxy_config </dev/null

# ---- as somebody else ----

# What can be read again is what this user can read.
chmod 755 "$tmp"
sed -i '1a user = nobody' "$tmp/relay.conf"
start_relay
start_proxy
check "the relay is somebody else" [ "$(stat -c %U "/proc/$(pid_of relay)")" != root ]
reload()
{
	rm -f "$tmp/mark"
	wc -l <"$tmp/relay.log" >"$tmp/mark"
	kill -HUP "$(pid_of relay)"
	wait_for 10 since "read again"
}
since()		# text
{
	tail -n "+$(($(cat "$tmp/mark") + 1))" "$tmp/relay.log" |
	    grep -qF -- "$1"
}
# Subflows of which nothing is left have to be made again.
again()
{
	on gateway ss -K "dport = :$relay_port" >/dev/null 2>&1
	wait_for 10 connected
}
reload
check "a key that it cannot read again stays" \
    since "proxy.key: Permission denied; the key that was there stays in use"
check "it still lets the proxy in" again

cp "$tmp/other.key" "$tmp/proxy.key"
chown nobody "$tmp/proxy.key"
chmod 600 "$tmp/proxy.key"
reload
check "one that it can read is used" \
    wait_for 10 since "its key is not accepted any more"
kill -HUP "$(pid_of proxy)"
check "by the proxy, too" wait_for 20 connected

finish
