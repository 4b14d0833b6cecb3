#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Whatever descriptors the daemons have, none of them would be passed on to a
# program that they executed: listeners, clients, servers, connections under way,
# subflows of both protocols, strangers in the middle of a handshake.  SIGPIPE is
# ignored.  Those who stop in the middle of a first word harm nobody else.

. "${srcdir:-.}/tests/e2e/lib.sh"

command -v python3 >/dev/null || skip "needs python3"
begin

nobody4=10.77.3.99		# no host has it, but its packets are sent
on relay ip neigh add "$nobody4" lladdr 02:00:00:00:00:63 dev eth1
gateway_base=10.77.2.11		# of the gateway, for the base protocol
on gateway ip addr add "$gateway_base/24" dev wan

relay_config <<END
base {
	server = "$server4:80"
	proxies = "$gateway_base"
}
END
proxy_config <<END
forward "echo" { listen = "$gateway4:81" destination = "$server4:80" }
END
cat >"$tmp/base.conf" <<END
role = proxy
control = off
log-level = debug
grace = 5s
forward "base" { listen = "$gateway4:82" }
relay "relay" {
	address = "$relay4:$relay_port"
	protocol = base
	protection = none
	path "wan" { source = "$gateway_base" }
}
END

start server server python3 -u -c '
import select, socket
listener = socket.create_server(("", 80))
held = []
while True:
    for s in select.select([listener] + held, [], [])[0]:
        if s is listener:
            held.append(s.accept()[0])
        elif data := s.recv(1000):
            s.sendall(data)
        else:
            held.remove(s)'
wait_for 10 listening server 80 || give_up "the server does not start"
start_relay
start_proxy
start base gateway "$rorod" -c "$tmp/base.conf"
wait_for 10 listening gateway 82 || give_up "the other proxy does not start"
redirect 80

# ---- something of everything ----

# One connection for each argument, HOST:PORT[:BYTES]; there they stop.
cat >"$tmp/stop.py" <<'END'
import socket
import sys
import time

held = []
for word in sys.argv[1:]:
    host, port, *text = word.split(":")
    source = ("", 0)
    if "@" in host:
        host, address = host.split("@")
        source = (address, 0)
    s = socket.create_connection((host, int(port)), 5, source)
    s.sendall(bytes.fromhex("".join(text)))
    held.append(s)
print("stopped", flush=True)
time.sleep(1000)
END

stop_there()	# name, host, connections...
{
	local name=$1 host=$2
	shift 2
	start "$name" "$host" python3 "$tmp/stop.py" "$@"
	wait_for 10 logged "$name" stopped || give_up "$name does not start"
}

# Sessions that are redirected, from both listeners, and one that waits for a
# server; in the middle of the first word of both protocols.
stop_there clients client "$server4:80:aa" "$nobody4:80:aa" "$gateway4:81:aa" \
    "$gateway4:82:aa"
stop_there strangers gateway "$relay4:$relay_port" \
    "$relay4:$relay_port:ffff" "$relay4:$relay_port:ffffffff01000080aa" \
    "$relay4@$gateway_base:$relay_port" \
    "$relay4@$gateway_base:$relay_port:0000"

all_there()
{
	[ "$(sockets relay established "dport = :80")" -eq 3 ] &&
	    [ "$(sockets relay syn-sent "dport = :80")" -eq 1 ] &&
	    [ "$(sockets gateway established "sport = :81 or sport = :82")" \
	    -eq 2 ]
}
check "something of everything is there" wait_for 10 all_there

# ---- what they hold ----

# What we pass on to those whom we start: from the shell, from make.
start sleep client sleep 1000
wait_for 5 grep -qx sleep "/proc/$(pid_of sleep)/comm"
inherited=" $(find "/proc/$(pid_of sleep)/fd" -mindepth 1 -printf '%f ') "

# Each descriptor of its own that a program would get.
passed_on()	# name
{
	local fd flags
	for fd in "/proc/$(pid_of "$1")/fd"/*; do
		[[ $inherited != *" ${fd##*/} "* ]] || continue
		flags=$(sed -n 's/^flags:[[:space:]]*//p' \
		    "${fd/\/fd\//\/fdinfo\/}")
		[ $((flags & 02000000)) -ne 0 ] ||
		    echo "$1: ${fd##*/} $(readlink "$fd")"
	done
}

keeps_all()	# name
{
	local passed
	passed=$(passed_on "$1")
	[ -z "$passed" ] || { echo "$passed"; false; }
}

ignores_pipe()	# name
{
	local ignored
	ignored=$(sed -n 's/^SigIgn:[[:space:]]*//p' \
	    "/proc/$(pid_of "$1")/status")
	[ $((0x$ignored >> 12 & 1)) -eq 1 ]
}

for name in relay proxy base; do
	kill -HUP "$(pid_of "$name")"
	check "$name reads its configuration" wait_for 5 \
	    logged "$name" "read again"
	check "$name has more than ten" [ "$(descriptors "$name")" -gt 10 ]
	check "$name passes none on" keeps_all "$name"
	check "$name ignores SIGPIPE" ignores_pipe "$name"
done

# ---- who goes on ----

answers()	# address, port
{
	[ "$(on client timeout 5 python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"hello")
print(s.recv(5).decode())' "$1" "$2")" = hello ]
}
check "a redirected client has its answer" answers "$server4" 80
check "one of a forward listener, too" answers "$gateway4" 81
check "and of the base protocol" answers "$gateway4" 82

stop base
finish
