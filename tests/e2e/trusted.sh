#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A relay without protection: it starts only when that is written out, on the
# loopback or on interfaces that are listed as trusted, and its address cannot be
# reached over any other interface.  Whatever is missing is said in one line.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
cable relay eth2 server eth1 4

# Does it end with status 1 and one line that says this?
refused()	# pattern; the configuration is standard input
{
	local status
	cat >"$tmp/bad.conf"
	on relay timeout 10 "$rorod" -c "$tmp/bad.conf" >"$tmp/bad.log" 2>&1
	status=$?
	if [ $status -ne 1 ] || [ "$(grep -c . "$tmp/bad.log")" -ne 1 ] ||
	    ! grep -qE "$1" "$tmp/bad.log"; then
		echo "status $status:"
		cat "$tmp/bad.log"
		return 1
	fi
}

check "protection has to be written out" refused "protection" <<END
role = relay
control = off
log-level = error
listen = "10.77.2.2:1093"
trusted-interfaces = "eth0"
END

check "interfaces have to be written out" refused "trusted-interfaces" <<END
role = relay
control = off
log-level = error
listen = "10.77.2.2:1093"
protection = none
END

check "for all addresses, too" refused "trusted-interfaces" <<END
role = relay
control = off
log-level = error
listen = "[::]:1093"
protection = none
END

check "loopback excuses no other address" refused "trusted-interfaces" <<END
role = relay
control = off
log-level = error
listen = { "127.0.0.1:1093", "10.77.2.2:1093" }
protection = none
END

check "an empty list is none" refused "trusted-interfaces|expected" <<END
role = relay
control = off
log-level = error
listen = "10.77.2.2:1093"
protection = none
trusted-interfaces = { }
END

check "the interface has to be there" refused \
    "listen .* on nosuch0: SO_BINDTODEVICE: No such device" <<END
role = relay
control = off
log-level = error
listen = "10.77.2.2:1093"
protection = none
trusted-interfaces = "nosuch0"
END

check "the address has to be there" refused \
    "listen 192.0.2.1:1093 on eth0: bind: Cannot assign" <<END
role = relay
control = off
log-level = error
listen = "192.0.2.1:1093"
protection = none
trusted-interfaces = "eth0"
END

check "with keys there are none" refused "trusted-interfaces: expected" <<END
role = relay
control = off
log-level = error
listen = "10.77.2.2:1093"
protection = sealed
trusted-interfaces = "eth0"
END

# ---- those that start ----

# How does a connection begin?
connect()	# host, address, port
{
	on "$1" timeout 5 python3 -c '
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("accepted")
except OSError as e:
    print(type(e).__name__)' "$2" "$3"
}

reaches()	# host, address
{
	[ "$(connect "$1" "$2" "$relay_port")" = accepted ]
}

fails()		# host, address
{
	[ "$(connect "$1" "$2" "$relay_port")" != accepted ]
}

with_listen()	# listen, trusted-interfaces
{
	{
		echo 'role = relay'
		echo 'control = off'
		echo "listen = $1"
		echo 'protection = none'
		[ -z "$2" ] || echo "trusted-interfaces = $2"
	} >"$tmp/relay.conf"
	echo "listen = $1, trusted-interfaces = $2"
	start_relay
}

with_listen "\"[::]:$relay_port\"" '"eth0"'
check "its interface reaches it" reaches gateway "$relay4"
check "IPv6, too" reaches gateway "$relay6"
check "another interface does not" fails server "$relay4"
check "IPv6, too" fails server "$relay6"
check "nor by its own address" fails server "$relay4s"
check "nor does the loopback" fails relay 127.0.0.1
stop relay

with_listen "\"$relay4:$relay_port\"" '"eth0"'
check "its interface reaches it" reaches gateway "$relay4"
check "another interface does not" fails server "$relay4"
stop relay

with_listen "\"[::]:$relay_port\"" '{ "eth0", "eth1" }'
check "both interfaces reach it" reaches gateway "$relay4"
check "both interfaces reach it" reaches server "$relay4s"
check "a third one does not" fails server 10.77.4.1
stop relay

with_listen "{ \"127.0.0.1:$relay_port\", \"[::1]:$relay_port\" }" ''
check "the host itself reaches its loopback" reaches relay 127.0.0.1
check "IPv6, too" reaches relay ::1
check "others do not" fails gateway "$relay4"
stop relay

finish
