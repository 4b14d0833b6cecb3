#!/bin/bash
# SPDX-License-Identifier: ISC
#
# SIGHUP, again and again, while transfers run: all of them are whole.  A
# configuration with an error, and one that changes what cannot change, leave the
# old one in use, and the log says why.  What can change does.
#
# RORO_LONG=1: a thousand times.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
times=200
[ -z "${RORO_LONG-}" ] || times=1000
redirect 1100-2099
relay_config </dev/null
proxy_config </dev/null
start_relay
start_proxy
note_descriptors

# How often was it read?
read_again()	# name
{
	grep -c ": read again" "$tmp/$1.log"
}

reload()	# name
{
	local before
	before=$(wc -l <"$tmp/$1.log")
	kill -HUP "$(pid_of "$1")"
	wait_for 10 answered "$1" "$before"
}

# Did lines come about the configuration since?
answered()	# name, lines before
{
	tail -n "+$(($2 + 1))" "$tmp/$1.log" |
	    grep -qE "read again|left as it was"
}

# Replace as an editor does: a reader finds one or the other.
set_config()	# name, sed script
{
	sed "$2" "$tmp/$1.first" >"$tmp/$1.new" &&
	    mv "$tmp/$1.new" "$tmp/$1.conf"
}
for name in relay proxy; do
	cp "$tmp/$name.conf" "$tmp/$name.first"
done

# ---- under load ----

storm()
{
	local i
	for ((i = 0; i < times; i++)); do
		set_config relay "s/^grace.*/grace = $((i % 9 + 1))s/"
		set_config proxy "s/^grace.*/grace = $((i % 7 + 1))s/"
		kill -HUP "$(pid_of relay)" "$(pid_of proxy)"
		sleep 0.01
	done
}
storm &
pids[storm]=$!
transfers $((times / 40)) 8 300000 100
wait "${pids[storm]}"
unset "pids[storm]"
for name in relay proxy; do
	set_config "$name" ''
	reload "$name"
	check "$name read it $times times, or nearly" \
	    [ "$(read_again "$name")" -ge $((times / 2)) ]
done
check "all subflows are still there" connected
check "nothing is left" wait_for 20 settled

# ---- what does not change ----

# Reload with that, and expect this in the log.
stays()		# name, sed script, text
{
	set_config "$1" "$2"
	reload "$1"
	check "$1: $3" logged "$1" "$3"
	logged "$1" "the configuration is left as it was" ||
	    fail "$1 does not say that it is left"
}

stays proxy "1s/.*/role = prosy/" "proxy.conf:1:"
stays proxy "\$a colour = blue" "proxy.conf:"
stays proxy "/^intercept /s/:$proxy_port/:1095/" \
    "cannot change while rorod runs"
stays relay "s/^role.*/role = proxy/" "relay.conf:"
stays relay "\$a memory-limit = 32MiB" "memory-limit cannot change"
stays relay "s/^protection.*/protection = auth/" \
    "protection cannot change"
stays relay "s/^key-file.*//" "relay.conf:"
mv "$tmp/relay.conf" "$tmp/relay.away"
reload relay
check "a file that is not there" logged relay "relay.conf: No such file"
transfers 1 2 100000 100

# ---- what does ----

set_config relay 's/^permit("10.*/deny("10.77.3.0\/24", "any")/'
reload relay
refused()	# address
{
	[ "$(on client timeout 5 python3 -c '
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], 1150), 3)
    print(s.recv(1))
except OSError as e:
    print(type(e).__name__)' "$1")" = ConnectionResetError ]
}
check "a new rule denies" refused "$server4"
check "the log says so" logged relay "to $server4:1150: "
set_config relay ''
reload relay
transfers 1 2 100000 100

set_config proxy 's/^log-level.*/log-level = warn/'
kill -HUP "$(pid_of proxy)"
quiet()
{
	local before
	before=$(wc -l <"$tmp/proxy.log")
	transfers 1 2 1000 100
	[ "$(wc -l <"$tmp/proxy.log")" -eq "$before" ]
}
check "a new log level is used" wait_for 5 quiet
set_config proxy ''
reload proxy
check "nothing is left" wait_for 20 settled

finish
