# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# The hosts of a lab, the link, and what runs on them.
#
#	client ------ gateway ====== relay ------ server
#	      10.77.1.0/24   10.77.2.0/30   10.77.3.0/24
#	      fd77:1::/64    fd77:2::/64    fd77:3::/64
#
# The server answers on two ports: what goes to 80 is intercepted at the
# gateway, by rules of the proxy's own, and what goes to 8080 is not.
#
# Everything that a lab starts runs in one of its namespaces, the link too.
# So whoever finds the namespaces of a lab whose process has died finds what
# it has left running as well.  A link has to end before its namespaces go:
# its devices would keep them alive.
#
# Directly, the client and the server speak cubic, whatever the machine is set
# to: routes say so, because a namespace may not choose an algorithm that the
# machine does not allow to everybody.  Buffers are the kernel's defaults, for
# the same reason.

net_prefix=rorolab-$$
net_hosts=(client gateway relay server)
net_started=()		# names, in order
declare -A net_pids=()
net_dir=		# for what belongs to this lab

net_gateway4=10.77.1.1 net_gateway6=fd77:1::1
net_relay4=10.77.2.2 net_relay6=fd77:2::2
net_server4=10.77.3.2 net_server6=fd77:3::2

on()		# host, command...
{
	local host=$1

	shift
	ip netns exec "$net_prefix-$host" "$@"
}

# Run in the background; output in NAME.log.
start()		# name, host, command...
{
	local name=$1 host=$2

	shift 2
	: >>"$net_dir/$name.log"	# somebody may look at once
	ip netns exec "$net_prefix-$host" "$@" \
	    </dev/null >>"$net_dir/$name.log" 2>&1 &
	net_pids[$name]=$!
	net_started+=("$name")
}

stop()		# name, signal (TERM)
{
	local pid=${net_pids[$1]-} i

	[[ -n $pid ]] || return 0
	unset "net_pids[$1]"
	# (The shell itself would say "Killed".)
	{
		kill -"${2:-TERM}" "$pid"
		for ((i = 0; i < 60; i++)); do
			kill -0 "$pid" || break
			sleep 0.05
		done
		kill -KILL "$pid"
		wait "$pid"
	} 2>/dev/null
	return 0
}

running()	# name
{
	[[ -n ${net_pids[$1]-} ]] && kill -0 "${net_pids[$1]}" 2>/dev/null
}

# Until a command succeeds, as long as the process it is about lives.
wait_for()	# seconds, name, command...
{
	local end=$((SECONDS + $1)) name=$2

	shift 2
	until "$@"; do
		if ! running "$name" || [[ $SECONDS -gt $end ]]; then
			tail -n 20 "$net_dir/$name.log" >&2
			die "$name does not start"
		fi
		sleep 0.05
	done
}

listening()	# host, port
{
	[[ -n $(on "$1" ss -Hltn "sport = :$2") ]]
}

# The gateway has all of its subflows to the relay, two for each lane.
connected()
{
	[[ $(on gateway ss -Htn state established 'dport = :1093' |
	    wc -l) -ge 4 ]]
}

# ---- cleaning up ----

# Namespaces with this prefix, what runs in them, and the directory.
net_remove()	# prefix
{
	local name i

	for name in $(ip netns list 2>/dev/null | cut -d ' ' -f 1); do
		[[ $name == "$1"-* ]] || continue
		for ((i = 0; i < 20; i++)); do
			ip netns pids "$name" 2>/dev/null |
			    xargs -r kill -KILL 2>/dev/null
			[[ -n $(ip netns pids "$name" 2>/dev/null) ]] || break
			sleep 0.05
		done
		ip netns del "$name"
	done
	find /tmp -maxdepth 1 -user root -type d -name "$1.*" \
	    -exec rm -rf {} + 2>/dev/null
}

# What labs left that were killed: those of processes that are no more.
net_sweep()
{
	local name pid

	for name in $(ip netns list 2>/dev/null | cut -d ' ' -f 1) \
	    /tmp/rorolab-*.*; do
		[[ ${name##*/} =~ ^rorolab-([0-9]+)[-.] ]] || continue
		pid=${BASH_REMATCH[1]}
		[[ ! -e /proc/$pid ]] || continue
		net_remove "rorolab-$pid"
	done
}

net_down()
{
	local i

	apart_end
	for ((i = ${#net_started[@]} - 1; i >= 0; i--)); do
		stop "${net_started[i]}"
	done
	net_remove "$net_prefix"
}

# From now on, whatever ends this script takes the lab down.
net_guard()
{
	trap net_down EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# ---- hosts ----

# Where the kernel has such a thing.
set_value()	# host, path below /proc/sys, value
{
	# shellcheck disable=SC2016	# expanded there
	on "$1" sh -c '[ ! -e "/proc/sys/$0" ] || echo "$1" >"/proc/sys/$0"' \
	    "$2" "$3" || die "cannot set $2 to $3"
}

net_add_hosts()
{
	local host

	for host in "${net_hosts[@]}"; do
		ip netns add "$net_prefix-$host" ||
		    die "cannot make the namespace $net_prefix-$host"
		on "$host" ip link set lo up
		set_value "$host" net/ipv4/ip_forward 1
		set_value "$host" net/ipv6/conf/all/forwarding 1
		set_value "$host" net/ipv4/tcp_no_metrics_save 1
		set_value "$host" net/ipv4/tcp_rmem '4096 131072 6291456'
		set_value "$host" net/ipv4/tcp_wmem '4096 16384 4194304'
	done
}

# Ethernet between two hosts.  Nobody is named that is not in a namespace.
net_cable()	# host, device, host, device, number of the network
{
	ip link add "$2" netns "$net_prefix-$1" type veth \
	    peer name "$4" netns "$net_prefix-$3" &&
	net_address "$1" "$2" "10.77.$5.1/24" "fd77:$5::1/64" &&
	net_address "$3" "$4" "10.77.$5.2/24" "fd77:$5::2/64" ||
	    die "cannot connect $1 and $3"
}

net_address()	# host, device, IPv4, IPv6
{
	on "$1" ip address add "$3" dev "$2" &&
	on "$1" ip link set "$2" up || return
	[[ -z $net_six ]] || on "$1" ip address add "$4" dev "$2" nodad
}

# Both ends of the LANs speak cubic.  Behind the relay is the Internet, as far
# as it knows.
net_routes()
{
	local cubic='congctl cubic'

	# shellcheck disable=SC2086	# two words
	{
		on client ip route add default via 10.77.1.1 $cubic &&
		on gateway ip route add default via 10.77.2.2 &&
		on relay ip route add 10.77.1.0/24 via 10.77.2.1 &&
		on relay ip route add default via 10.77.3.2 &&
		on server ip route add default via 10.77.3.1 $cubic &&
		on gateway ip route change 10.77.1.0/24 dev lan0 \
		    src 10.77.1.1 $cubic &&
		on relay ip route change 10.77.3.0/24 dev lan0 \
		    src 10.77.3.1 $cubic || die 'cannot set the routes'
		[[ -n $net_six ]] || return 0
		on client ip -6 route add default via fd77:1::1 $cubic &&
		on gateway ip -6 route add default via fd77:2::2 &&
		on relay ip -6 route add fd77:1::/64 via fd77:2::1 &&
		on relay ip -6 route add default via fd77:3::2 &&
		on server ip -6 route add default via fd77:3::1 $cubic ||
		    die 'cannot set the routes of IPv6'
	}
}

# ---- what runs on them ----

# Its control lines go to link.fifo, its counters come to link.log.
# shellcheck disable=SC2154	# link_options sets them
net_link()
{
	local half

	half=$(awk -v d="$delay" 'BEGIN { printf "%.6gms", d / 2 }')
	start link relay "$build/obj/tests/link" \
	    --ns-a "$net_prefix-gateway" --addr-a 10.77.2.1/30 \
	    ${net_six:+--addr-a fd77:2::1/64} \
	    --ns-b "$net_prefix-relay" --addr-b 10.77.2.2/30 \
	    ${net_six:+--addr-b fd77:2::2/64} \
	    --rate "${rate}kbit" --delay "$half" --loss "$loss%" \
	    --seed "$RANDOM" --control "$net_dir/link.fifo"
	wait_for 10 link grep -q '^ready$' "$net_dir/link.log"
}

# What both ends know.
net_key()
{
	local said

	said=$("$build/obj/roroctl" keygen "$net_dir/key" 2>&1) || die "$said"
}

# shellcheck disable=SC2154	# link_options sets them
net_configure()
{
	local conf relay=$net_relay4
	# This lab is made of private addresses.
	local intercept='interfaces = "lan0" ports = "80" private = intercept'

	net_key
	[[ $ip -eq 4 ]] || relay="[$net_relay6]"
	for conf in proxy relay; do
		sed -e "s|@RATE@|${rate}kbit|" \
		    -e "s|@DELAY@|$(printf %.0f "$delay")ms|" \
		    -e "s|@RELAY@|$relay|" \
		    -e "s|@KEY@|$net_dir/key|" \
		    -e "s|@CONTROL@|\"$net_dir/$conf/control.sock\"|" \
		    -e "s|@INTERCEPT@|$intercept|" \
		    "$parts/$conf.conf.in" >"$net_dir/$conf.conf"
	done
}

# Both, until new connections are intercepted.
net_daemons()
{
	start relay relay "$build/obj/rorod" -c "$net_dir/relay.conf"
	wait_for 10 relay listening relay 1093
	start proxy gateway "$build/obj/rorod" -c "$net_dir/proxy.conf"
	wait_for 10 proxy listening gateway 1092
	wait_for 60 proxy connected
	wait_for 10 proxy net_intercepts
}

net_intercepts()
{
	on gateway nft list set inet ro-ro-tcp intercepted 2>/dev/null |
	    grep -q "ipv$ip"
}

# For the bench, which has proxies of its own, the static rules: what an operator
# does with an editor, the interface, the one port, and private addresses.
net_write_rules()
{
	sed -e '/^define lan_interfaces =/s/=.*/= { "lan0" }/' \
	    -e '/^define redirected_ports =/s/=.*/= { 80 }/' \
	    -e "/^define relay4 =/s/=.*/= { $net_relay4 }/" \
	    -e "/^define relay6 =/s/=.*/= { $net_relay6 }/" \
	    -e '/^define bypass4 =/,/^}/c define bypass4 = { 127.0.0.0/8 }' \
	    -e '/^define bypass6 =/,/^}/c define bypass6 = { ::1/128 }' \
	    "$top/nft/redirect.nft" >"$net_dir/redirect.nft"
}

# A real web server, twice.
net_web()	# directory
{
	local any=0.0.0.0

	[[ -z $net_six ]] || any='[::]'
	start web server busybox httpd -f -v -p "$any:80" -h "$1"
	start web-direct server busybox httpd -f -v -p "$any:8080" -h "$1"
	wait_for 10 web listening server 80
	wait_for 10 web-direct listening server 8080
}

# Hosts and link; sets $server, as it is written in a URL.
net_up()
{
	net_six=
	[[ ! -e /proc/net/if_inet6 ]] || net_six=yes
	[[ $ip -eq 4 || -n $net_six ]] || refuse 'this kernel has no IPv6'
	server=$net_server4
	[[ $ip -eq 4 ]] || server="[$net_server6]"
	net_sweep
	net_guard
	net_dir=$(mktemp -d "/tmp/$net_prefix.XXXXXX") ||
	    die 'cannot make a directory in /tmp'
	chmod 755 "$net_dir"
	net_add_hosts
	net_cable gateway lan0 client eth0 1
	net_cable relay lan0 server eth0 3
	net_link
	net_routes
}
