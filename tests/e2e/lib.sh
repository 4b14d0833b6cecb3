# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# What the end-to-end tests share: four hosts in network namespaces, and the
# two daemons between them.
#
#	client ---- gateway ---- relay ---- server
#	       .1.0         .2.0       .3.0		10.77.x.0/24, fd77:x::/64
#
# Everybody can also reach everybody directly, so a test can compare.
#
#	#!/bin/bash
#	. "${srcdir:-.}/tests/e2e/lib.sh"
#	begin
#	start web server python3 -m http.server --bind :: 80
#	wait_for 10 listening server 80
#	start_relay
#	start_proxy
#	redirect 80
#	check "a page comes" on client curl -sf "http://$server4/"
#	finish
#
# A test waits by polling with a deadline (wait_for), never by sleeping, and
# ends only what it started.  It is skipped (77) without root or namespaces.

rorod=${rorod:-${top_builddir:-.}/rorod}
roroctl=${roroctl:-${top_builddir:-.}/roroctl}
# Readable from any directory.
rorod=$(readlink -f "$rorod")
roroctl=$(readlink -f "$roroctl")

# The python3 of the system has the modules that the README installs; another one
# may not, and one that is a script (pyenv's) takes five times as long to start,
# of which a run has a thousand.
if [ -d /usr/lib/python3/dist-packages/cryptography ]; then
	PATH=/usr/bin:$PATH
fi

# Ours alone, so that tests can run side by side.
prefix=rr$$
hosts=

client4=10.77.1.2 client6=fd77:1::2
gateway4=10.77.1.1 gateway6=fd77:1::1	# as the client sees it
proxy4=10.77.2.1 proxy6=fd77:2::1	# as the relay sees it
relay4=10.77.2.2 relay6=fd77:2::2
server4=10.77.3.2 server6=fd77:3::2	# the server sees relay4s
relay4s=10.77.3.1 relay6s=fd77:3::1
export client4 client6 gateway4 gateway6 proxy4 proxy6 relay4 relay6 \
    server4 server6 relay4s relay6s

proxy_port=1092
relay_port=1093

tmp=
failures=0
declare -A pids=()

skip()		# why...
{
	echo "skipped: $*"
	exit 77
}

fail()		# what...
{
	echo "FAILED: $*"
	failures=$((failures + 1))
}

check()		# description, command...
{
	local what=$1
	shift
	if "$@"; then
		echo "ok: $what"
	else
		fail "$what ($*)"
	fi
}

# ---- hosts ----

ns()		# client|gateway|relay|server
{
	echo "$prefix-$1"
}

# Run a command on a host.
on()		# host, command...
{
	local host=$1
	shift
	ip netns exec "$prefix-$host" "$@"
}

# Commands of ip on a host, one a line of standard input: in one process, of
# which the hosts of all tests would need thousands.
on_ip()		# host, options of ip...
{
	local host=$1
	shift
	ip -n "$prefix-$host" "$@" -batch -
}

cable()		# host, interface, host, interface, number of the network
{
	ip link add "$2" netns "$prefix-$1" type veth \
	    peer name "$4" netns "$prefix-$3" || return
	on_ip "$1" <<-END && on_ip "$3" <<-END
		addr add 10.77.$5.1/24 dev $2
		addr add fd77:$5::1/64 dev $2 nodad
		link set $2 up
	END
		addr add 10.77.$5.2/24 dev $4
		addr add fd77:$5::2/64 dev $4 nodad
		link set $4 up
	END
}

# One with nothing but a loopback; it goes with the test.
add_host()	# host
{
	ip netns add "$prefix-$1" || return
	hosts="$hosts $1"
	ip -n "$prefix-$1" link set lo up
	# Nobody waits to see whether a link-local address is a duplicate.
	on "$1" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/dad_transmits'
}

add_hosts()
{
	local host
	for host in client gateway relay server; do
		add_host "$host" || return
	done
	for host in gateway relay; do
		on "$host" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	done
	cable gateway lan client eth0 1 &&
	cable gateway wan relay eth0 2 &&
	cable relay eth1 server eth0 3 &&
	on_ip client <<-END && on_ip gateway <<-END &&
		route add default via 10.77.1.1
		route add default via fd77:1::1
	END
		route add default via 10.77.2.2
		route add default via fd77:2::2
	END
	on_ip relay <<-END && on_ip server <<-END
		route add 10.77.1.0/24 via 10.77.2.1
		route add fd77:1::/64 via fd77:2::1
	END
		route add default via 10.77.3.1
		route add default via fd77:3::1
	END
}

# One more network of clients: what the client sends from .2 in it goes that
# way.  It may be there a second time, after its interface has gone.
add_lan()	# interface of the gateway, number of the network
{
	local n=$2
	cable gateway "$1" client "eth$n" "$n" || give_up "cable $n"
	on client ip route add default via "10.77.$n.1" table "$n"
	on client ip -6 route add default via "fd77:$n::1" table "$n"
	[ -z "$(on client ip rule show from "10.77.$n.2")" ] || return 0
	on client ip rule add from "10.77.$n.2" lookup "$n"
	on client ip -6 rule add from "fd77:$n::2" lookup "$n"
	on relay ip route add "10.77.$n.0/24" via "$proxy4"
	on relay ip -6 route add "fd77:$n::/64" via "$proxy6"
}

# What a killed test left behind.
remove_leftovers()
{
	local name pid
	for name in $(ip netns list 2>/dev/null | cut -d ' ' -f 1); do
		case $name in
		rr[0-9]*-[a-z]*)
			pid=${name#rr}
			pid=${pid%%-*}
			kill -0 "$pid" 2>/dev/null || ip netns del "$name"
			;;
		esac
	done
}

# ---- begin and end ----

clean_up()
{
	local status=$? name host

	trap - EXIT
	for name in "${!pids[@]}"; do
		kill -CONT "${pids[$name]}" 2>/dev/null
		kill -KILL "${pids[$name]}" 2>/dev/null
		wait "${pids[$name]}" 2>/dev/null
	done
	for host in $hosts; do
		ip netns del "$prefix-$host" 2>/dev/null
	done
	if [ -n "$tmp" ]; then
		if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
			show_logs
		fi
		rm -rf "$tmp"
	fi
	exit "$status"
}

show_logs()
{
	local log
	for log in "$tmp"/*.log; do
		[ -s "$log" ] || continue
		echo "---- ${log##*/}, its last lines ----"
		tail -n "${LOG_LINES:-60}" "$log"
	done
}

begin()
{
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	command -v ip >/dev/null || skip "needs ip (iproute2)"
	command -v nft >/dev/null || skip "needs nft (nftables)"
	{ [ -x "$rorod" ] && [ -x "$roroctl" ]; } ||
	    { echo "no $rorod or no $roroctl"; exit 99; }
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/$prefix.XXXXXX") || exit 99
	trap clean_up EXIT
	trap 'exit 99' HUP INT TERM
	remove_leftovers
	ip netns add "$prefix-client" 2>/dev/null ||
	    skip "needs network namespaces"
	ip netns del "$prefix-client"
	add_hosts || { echo "cannot make the hosts"; exit 99; }
}

# For tests of promised deadlines, before their daemons start: what else runs
# here waits for them, where that can be had.
go_first()
{
	renice -n $(($(nice) - 10)) -p $$ >/dev/null 2>&1
	return 0
}

# Nothing that follows could be judged.
give_up()	# what...
{
	fail "$@"
	exit 1
}

# Reports of the sanitizers are failures wherever they come up.
look_for_sanitizers()
{
	local log
	for log in "$tmp"/*.log; do
		if grep -qE 'Sanitizer|runtime error:|Assertion .* failed' \
		    "$log"; then
			fail "${log##*/} has a report"
		fi
	done
}

# The last line of a test: its status is that of the test.
finish()
{
	local name
	for name in relay proxy; do
		[ -n "${pids[$name]-}" ] && stop "$name"
	done
	look_for_sanitizers
	[ "$failures" -eq 0 ] || echo "$failures failed"
	[ "$failures" -eq 0 ]
}

# ---- processes ----

# Run a command on a host in the background; its output goes to NAME.log.
start()		# name, host, command...
{
	local name=$1 host=$2
	shift 2
	ip netns exec "$prefix-$host" "$@" </dev/null >>"$tmp/$name.log" 2>&1 &
	pids[$name]=$!
}

pid_of()	# name
{
	echo "${pids[$1]}"
}

running()	# name
{
	[ -n "${pids[$1]-}" ] && kill -0 "${pids[$1]}" 2>/dev/null
}

# End it and wait; sets $stopped to its status.  A daemon that does not end
# well is a failure.
stop()		# name, signal (TERM)
{
	local name=$1 signal=${2:-TERM}
	local pid=${pids[$name]}

	kill -"$signal" "$pid" 2>/dev/null
	# (The shell itself would say "Killed".)
	{
		wait_for 30 ended "$pid" || fail "$name does not end"
		ended "$pid" || kill -KILL "$pid"
		wait "$pid"
		stopped=$?
	} 2>/dev/null
	unset "pids[$name]"
	case $name:$signal in
	relay:TERM|proxy:TERM|relay:INT|proxy:INT)
		[ "$stopped" -eq 0 ] || fail "$name ended with $stopped"
		;;
	esac
}

# A zombie has ended, too.
ended()		# pid
{
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" \
	    2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ]
}

not()		# command...
{
	! "$@"
}

# Until the command is true; false if it never was.
wait_for()	# seconds, command...
{
	local end=$((SECONDS + $1 + 1)) looks=0
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		# A look may cost 30 ms of a processor that others wait for.
		if [ $((looks += 1)) -le 10 ]; then
			sleep 0.05
		else
			sleep 0.2
		fi
	done
}

listening()	# host, port
{
	[ -n "$(on "$1" ss -Hltn "sport = :$2" 2>/dev/null)" ]
}

# Open descriptors of a process.
descriptors()	# name
{
	find "/proc/${pids[$1]}/fd" -mindepth 1 2>/dev/null | wc -l
}

# Its resident memory in KiB.
resident()	# name
{
	sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' \
	    "/proc/${pids[$1]}/status"
}

logged()	# name, text
{
	grep -qF -- "$2" "$tmp/$1.log"
}

# How many TCP sockets a host has in a state ("established", "time-wait").
sockets()	# host, state, filter of ss...
{
	local host=$1 state=$2
	shift 2
	on "$host" ss -Htn state "$state" "$@" | wc -l
}

# Sockets of sessions on gateway and relay, TIME-WAIT apart.
legs()
{
	local host
	for host in gateway relay; do
		on "$host" ss -Htan state all exclude listening \
		    exclude time-wait \
		    "sport != :$relay_port and dport != :$relay_port"
	done
}

# The relay has taken all connections that its kernel has.
accepted()
{
	on relay ss -Hltn "sport = :$relay_port" |
	    awk '{ n += $2 } END { exit n != 0 }'
}

# Note what the daemons hold without sessions, to compare with later.
note_descriptors()
{
	wait_for 10 accepted
	proxy_descriptors=$(descriptors proxy)
	relay_descriptors=$(descriptors relay)
}

# All sessions are over and have left nothing.
settled()
{
	[ -z "$(legs)" ] &&
	    [ "$(descriptors proxy)" -eq "$proxy_descriptors" ] &&
	    [ "$(descriptors relay)" -eq "$relay_descriptors" ]
}

# What both ends of connections see: the probes of tests/e2e/NAME.py, all or
# those that are named.  probe.py says how they are written; for them, the ports
# 1100 to 2099 are redirected and others are not.
probe()		# name, probes...
{
	local name=$1
	shift
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 \
	    python3 "${srcdir:-.}/tests/e2e/$name.py" "$@" && return
	failures=$((failures + 1))
	return 1
}

# Connections of all kinds at the same time: see topology.py.  The proxy has a
# socket in $control.
look()		# what, expectations of topology.py...
{
	local what=$1
	shift
	check "${mode:+$mode: }$what" env PROBE_PREFIX="$prefix" \
	    PYTHONDONTWRITEBYTECODE=1 roroctl="$roroctl" python3 \
	    "${srcdir:-.}/tests/e2e/topology.py" "$control/proxy.sock" "$@"
}

# Sessions that go on until carried(); what happens to them meanwhile is said with
# mark (carry.py says how).
carry()		# how many
{
	: >"$tmp/marks"
	: >"$tmp/carry.out"
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 \
	    python3 "${srcdir:-.}/tests/e2e/carry.py" "$tmp/marks" "$1" \
	    >"$tmp/carry.out" 2>&1 &
	pids[carry]=$!
	wait_for 20 grep -q ready "$tmp/carry.out" ||
	    give_up "no session: $(cat "$tmp/carry.out")"
	sleep 0.5
}

mark()		# cut|back|lost, seconds, what...
{
	local what=$1 now seconds=${2-}
	shift $(($# > 1 ? 2 : 1))
	read -r now _ </proc/uptime
	echo "$what $now $seconds $*" >>"$tmp/marks"
}

# Every stream has gone on since the last mark.
goes_on()
{
	local at seen
	at=$(tail -n 1 "$tmp/marks" | cut -d ' ' -f 2)
	read -r seen <"$tmp/marks.seen" &&
	    [ "${seen/./}" -gt "${at/./}" ]
}

# They end now: what became of them.
carried()
{
	sleep 0.5
	mark end
	wait "${pids[carry]}" || fail "see below"
	unset "pids[carry]"
	grep -v '^ready$' "$tmp/carry.out"
}

# For probes that use Mute on these hosts.
can_mute()	# host...
{
	local host
	for host; do
		on "$host" nft -f - <<-END || give_up "$host has no firewall"
			table inet mute {
				set ports {
					type inet_service
				}
				chain output {
					type filter hook output priority filter
					tcp sport @ports drop
					tcp dport @ports drop
				}
			}
		END
	done
}

# ---- daemons ----

# A key of its own in NAME.key.
make_key()	# name
{
	"$roroctl" keygen "$tmp/$1.key" 2>/dev/null || give_up "there is no key"
}

# Both write a configuration that works; lines on standard input (if it is not
# a terminal) come in addition.  RELAY_PEER and PROXY_PATH go inside of the
# sections peer and path, $protection says how subflows are protected (with the
# key in proxy.key, if at all), $intercept how the proxy is given connections
# (the rules are the test's).
# What is special is opened only by a rule as long as its range.
permit_server='permit("10.77.3.0/24", "any")
permit("fd77:3::/64", "any")'

# The sockets of roroctl are in a directory, or there are none.
control=off
protection=sealed
intercept='mode = redirect nft = off'

key_file()
{
	[ "$protection" != none ] || return 0
	[ -e "$tmp/proxy.key" ] || make_key proxy
	echo "key-file = \"$tmp/proxy.key\""
}

control_option()	# relay|proxy
{
	if [ "$control" = off ]; then
		echo 'control = off'
	else
		echo "control = \"$control/$1.sock\""
	fi
}

relay_config()
{
	{
		echo 'role = relay'
		echo 'log-level = debug'
		echo "listen = \"[::]:$relay_port\""
		echo "protection = $protection"
		[ "$protection" != none ] || echo 'trusted-interfaces = "eth0"'
		# Servers with IPv6 are next door, not in the Internet.
		echo 'ipv6 = yes'
		echo 'grace = 5s'
		control_option relay
		echo 'peer "proxy" {'
		key_file
		echo "${RELAY_PEER-$permit_server}"
		echo '}'
		[ -t 0 ] || cat
	} >"$tmp/relay.conf"
}

proxy_config()
{
	{
		echo 'role = proxy'
		echo 'log-level = debug'
		echo 'grace = 5s'
		control_option proxy
		echo "intercept { $intercept listen = \"[::]:$proxy_port\" }"
		echo 'relay "relay" {'
		echo "address = \"$relay4:$relay_port\""
		echo "protection = $protection"
		key_file
		echo "path \"wan\" { ${PROXY_PATH-} }"
		echo '}'
		[ -t 0 ] || cat
	} >"$tmp/proxy.conf"
}

start_relay()
{
	[ -e "$tmp/relay.conf" ] || relay_config </dev/null
	start relay relay "$rorod" -c "$tmp/relay.conf"
	wait_for 10 listening relay "$relay_port" ||
	    give_up "the relay does not start"
}

# Without waiting for the relay.
start_proxy_alone()
{
	[ -e "$tmp/proxy.conf" ] || proxy_config </dev/null
	start proxy gateway "$rorod" -c "$tmp/proxy.conf"
	wait_for 10 listening gateway "$proxy_port" ||
	    give_up "the proxy does not start"
}

# With all its subflows.
start_proxy()
{
	start_proxy_alone
	wait_for 10 connected || give_up "the proxy does not find its relay"
}

# All four subflows of the default are there.
connected()
{
	[ "$(sockets gateway established "dport = :$relay_port")" -ge \
	    "${SUBFLOWS:-4}" ]
}

# What the kernel intercepts by the daemon's own table.
intercepting()	# ipv4|ipv6
{
	on gateway nft list set inet ro-ro-tcp intercepted 2>/dev/null |
	    grep -qw "$1"
}

# The gateway redirects these ports of what comes from the client; all without
# an argument.
redirect()	# ports, as nft has them
{
	local ports=${1:-1-65535}
	on gateway nft -f - <<-END
	table inet test-redirect
	delete table inet test-redirect
	table inet test-redirect {
		chain prerouting {
			type nat hook prerouting priority dstnat; policy accept;
			iifname != "lan" return
			fib daddr type local return
			meta l4proto tcp tcp dport { $ports } redirect to :$proxy_port
		}
	}
	END
}

direct()
{
	on gateway nft delete table inet test-redirect
}

# The same with TPROXY.  Only what begins is given to the proxy: what is under
# way stays where it is.  Without a proxy the rule does not match, and the mark
# is not set; so tproxy comes first.
tproxy()	# ports, as nft has them
{
	local ports=${1:-1-65535} family

	for family in -4 -6; do
		on gateway ip "$family" rule add iif lan pref 100 \
		    fwmark 0x10000000/0x10000000 lookup 2025 ||
		    give_up "there is no policy routing"
		on gateway ip "$family" route add local default dev lo \
		    table 2025 || give_up "there is no route"
	done
	on gateway nft -f - <<-END || give_up "there is no TPROXY"
	table inet test-tproxy {
		chain prerouting {
			type filter hook prerouting priority mangle
			iifname != "lan" return
			meta l4proto != tcp return
			socket transparent 1 meta mark set meta mark or 0x10000000 accept
			fib daddr type local return
			tcp flags & (syn | ack) != syn return
			meta l4proto tcp tcp dport { $ports } tproxy to :$proxy_port meta mark set meta mark or 0x10000000 accept
		}
	}
	END
}

no_tproxy()
{
	local family

	on gateway nft delete table inet test-tproxy
	for family in -4 -6; do
		on gateway ip "$family" rule del pref 100
		on gateway ip "$family" route flush table 2025
	done
}
