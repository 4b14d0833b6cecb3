#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The extended protocol with a peer that knows nothing but its description, at
# either end.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
python3 -c 'import cryptography' 2>/dev/null ||
    skip "needs python3-cryptography"

here=${srcdir:-.}/tests/e2e
export PYTHONDONTWRITEBYTECODE=1

check "published numbers" python3 "$here/extended.py" vectors

# The first is in the background.  Have both found everything right?
both()		# name, host, arguments... -- name, host, arguments...
{
	local name=$1 host=$2 back=() front back_status
	shift 2
	while [ "$1" != -- ]; do
		back+=("$1")
		shift
	done
	start "$name" "$host" python3 "${back[@]}"
	wait_for 10 listening "$host" "${back[3]}" ||
	    give_up "$name does not start"
	on "$3" python3 "${@:4}" >"$tmp/$2.log" 2>&1
	front=$?
	wait "${pids[$name]}"
	back_status=$?
	unset "pids[$name]"
	tail -q -n 1 "$tmp/$2.log" "$tmp/$name.log"
	[ $front -eq 0 ] && [ $back_status -eq 0 ]
}

interoperates()	# protection
{
	protection=$1
	set -- --protection "$1"
	[ "$protection" = none ] || set -- "$@" --key "$tmp/proxy.key"
	relay_config </dev/null
	proxy_config </dev/null
	start_relay
	check "somebody else's proxy ($*)" both \
	    server server "$here/base_peer.py" server "$server4" 80 \
	    --send 3000000 --piece 65536 --expect 2000000 -- \
	    proxy gateway "$here/extended.py" proxy "$relay4" "$relay_port" \
	    --to "$server4" --send 2000000 --expect 3000000 "$@"
	stop relay
	start_proxy_alone
	redirect 80
	check "somebody else's relay ($*)" both \
	    relay relay "$here/extended.py" relay "$relay4" "$relay_port" \
	    --send 2000000 --expect 3000000 "$@" -- \
	    client client "$here/base_peer.py" client "$server4" 80 \
	    --send 3000000 --piece 65536 --expect 2000000
	stop proxy
}

interoperates none
interoperates auth
interoperates sealed

finish
