#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The base protocol: between our own two ends, and with a peer that knows
# nothing but the description; serials that wrap while a subflow is slow; what
# is refused.

. "${srcdir:-.}/tests/e2e/lib.sh"

command -v python3 >/dev/null || skip "needs python3"
begin

here=${srcdir:-.}/tests/e2e
other4=10.77.2.11	# of the gateway, a proxy as well
stranger4=10.77.2.99
on gateway ip addr add "$other4/24" dev wan
on gateway ip addr add "$stranger4/24" dev wan

relay_config <<END
base {
	server = "$server4:80"
	proxies = { "$proxy4", "$other4" }
}
END
cat >"$tmp/proxy.conf" <<END
role = proxy
control = off
log-level = debug
grace = 5s
forward "base" { listen = "[::]:$proxy_port" }
relay "relay" {
	address = "$relay4:$relay_port"
	protocol = base
	protection = none
}
END

# The other one is in the background.  Have both found everything right?
both()		# its name, host, arguments of base_peer.py...
{
	local name=$1 host=$2 front back
	shift 2
	on "$host" python3 "$here/base_peer.py" "$@" >"$tmp/front.log" 2>&1
	front=$?
	wait "${pids[$name]}"
	back=$?
	unset "pids[$name]"
	tail -q -n 1 "$tmp/front.log" "$tmp/$name.log"
	[ $front -eq 0 ] && [ $back -eq 0 ]
}

peer()		# name, host, arguments of base_peer.py...
{
	local name=$1 host=$2
	shift 2
	start "$name" "$host" python3 "$here/base_peer.py" "$@"
	wait_for 10 listening "$host" "$3" || give_up "$name does not start"
}

ends()		# case
{
	on client python3 -u "$here/base_ends.py" client "$1" "$gateway4" \
	    "$proxy_port"
}

says()		# what, case
{
	[ "$(ends "$2")" = "$1" ]
}

has()		# host, how many connections of the server's port
{
	[ "$(sockets "$1" established "sport = :80")" -eq "$2" ]
}

free_again()
{
	[ "$(descriptors relay)" -le "$idle" ]
}

start_relay
start_proxy_alone

# ---- our own two ends ----

peer server server server "$server4" 80 --send 20000000 --piece 65536 \
    --expect 10000000
check "20 MB and 10 MB, both ways at once" both server client client \
    "$gateway4" "$proxy_port" --send 10000000 --piece 65536 --expect 20000000

start ends server python3 -u "$here/base_ends.py" server 80
wait_for 10 listening server 80 || give_up "the server does not start"
check "the answer comes after the client's end" says "a 1000000 EOF" a
check "which the server saw" wait_for 5 logged ends "a 1000 EOF"
check "the server's end comes first" says "b 1000 EOF" b
check "and all that follows" wait_for 5 logged ends "b 1000000 EOF"
check "the server's reset after data" says "c 1000 ECONNRESET" c
ends d
check "the client's reset after data" wait_for 5 logged ends \
    "d 1000 ECONNRESET"

idle=$(descriptors relay)
again=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
	says "a 1000000 EOF" a && again=$((again + 1))
done
check "the same ten times" [ $again -eq 10 ]
check "no descriptor is left" wait_for 5 free_again

# Whoever is killed, nobody takes that for an end.
killed()	# name
{
	: >"$tmp/ends.log"
	: >"$tmp/client.log"
	start client client python3 -u "$here/base_ends.py" client e \
	    "$gateway4" "$proxy_port"
	wait_for 5 has server 1
	sleep 0.3	# for 1000 bytes to be on their way
	stop "$1" KILL
	check "a killed $1 is no end to the server" wait_for 5 logged ends \
	    "e 0 ECONNRESET"
	check "nor to the client" wait_for 5 logged client \
	    "e 1000 ECONNRESET"
	stop client
}
killed proxy
start_proxy_alone
killed relay
start_relay
stop ends
check "without a server there is a reset" says "0 0 ECONNRESET" 0

# ---- somebody else's ----

# More than 200,000 datagrams of one byte to us; of four subflows one is slow,
# and stands still for a while, so that 65,536 others go by.  How many we send
# depends on how many bytes have come together when we read them; that they are
# as many is for the first case, or with RORO_LONG for each.
back=80000
[ -z "${RORO_LONG-}" ] || back=400000
peer server server server "$server4" 80 --send 400000 --piece 1 \
    --expect 220000
check "somebody else's proxy" both server gateway proxy "$relay4" \
    "$relay_port" --send 220000 --piece 1 --expect 400000 --slow 2

stop relay
peer relay relay relay "$relay4" "$relay_port" --send 220000 --piece 1 \
    --expect $back --slow 1
check "somebody else's relay" both relay client client "$gateway4" \
    "$proxy_port" --send $back --piece 1 --expect 220000

# It sends and resets before it has answered on all subflows.
for case in joined waiting; do
	start cut relay python3 "$here/base_cut.py" "$relay4" "$relay_port" \
	    $case
	wait_for 10 listening relay "$relay_port" ||
	    give_up "the relay does not start"
	check "what a relay sent before its early reset, $case first" \
	    says "0 1000 ECONNRESET" 0
	wait_for 5 ended "$(pid_of cut)"
	stop cut
done
stop proxy

# ---- little memory ----

# The receiver stops at early datagrams again and again.
for file in relay proxy; do
	printf 'window = 64KiB\nmemory-limit = 1MiB\n' >>"$tmp/$file.conf"
done
start_relay
start_proxy_alone
peer server server server "$server4" 80 --send $back --piece 1 \
    --expect 220000
check "somebody else's proxy, little memory" both server gateway proxy \
    "$relay4" "$relay_port" --send 220000 --piece 1 --expect $back --slow 2
peer server server server "$server4" 80 --send 5000000 --piece 65536 \
    --expect 5000000
check "5 MB both ways, little memory" both server client client \
    "$gateway4" "$proxy_port" --send 5000000 --piece 65536 --expect 5000000

# ---- what is refused ----

start echo server python3 -u -c '
import socket, threading
def echo(s):
    try:
        while data := s.recv(65536):
            s.sendall(data)
    except OSError:
        pass
    s.close()
listener = socket.create_server(("", 80))
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],),
        daemon=True).start()'
wait_for 10 listening server 80 || give_up "the server does not start"
idle=$(descriptors relay)
check "what is refused harms nobody" on gateway python3 \
    "$here/base_refused.py" "$relay4" "$relay_port" "$proxy4" "$other4" \
    "$stranger4"
check "no descriptor is left" wait_for 15 free_again

# And the same relay, asked by the same address, speaks the other protocol.
stop proxy
proxy_config <<END
forward "web" { listen = "$gateway4:81" destination = "$server4:80" }
END
start_proxy
check "the extended protocol is spoken, too" \
    [ "$(echo hello | on client timeout 5 python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 81))
s.sendall(b"hello")
print(s.recv(5).decode())' "$gateway4")" = hello ]

finish
