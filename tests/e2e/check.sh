#!/bin/bash
# SPDX-License-Identifier: ISC
#
# roroctl check finds what was broken on purpose, and the command that it prints
# mends it: that is run as it stands, and the same item is ok afterwards.  It
# changes nothing itself, whoever runs it.

. "${srcdir:-.}/tests/e2e/lib.sh"

here=${srcdir:-.}/tests/e2e
PATH=$(dirname "$roroctl"):$(dirname "$rorod"):$PATH

# ---- what it says ----

look()		# host, options of check...
{
	local host=$1
	shift
	on "$host" "$roroctl" check -f json "$@" >"$tmp/check.json" \
	    2>>"$tmp/check.log"
	looked=$?
}

# One process for all that is asked of what was said: starting one each time
# took longer than roroctl check.
start_asking()
{
	mkfifo "$tmp/ask" "$tmp/answer" || give_up 'no FIFOs'
	python3 "$here/check.py" "$tmp/check.json" <"$tmp/ask" \
	    >"$tmp/answer" 2>>"$tmp/check.log" &
	pids[check]=$!
	exec {ask}>"$tmp/ask" {answer}<"$tmp/answer"
}

said()		# what check.py can...
{
	local IFS=$'\t' line

	echo "$*" >&"$ask"
	while IFS= read -r line <&"$answer"; do
		case $line in
		'end 0') return 0 ;;
		'end 1') return 1 ;;
		esac
		echo "$line"
	done
	return 1
}

item_is()	# status, item, [subject]
{
	local status=$1 is
	shift
	is=$(said status "$@")
	[ "$is" = "$status" ] && return
	echo "$*: $is"
	said wrong
	return 1
}

status_is()	# exit status of the last look
{
	[ "$looked" -eq "$1" ] || {
		said wrong
		false
	}
}

lacks()		# text, file
{
	! grep -q "$1" "$2"
}

check_proxy()
{
	look gateway -n -c "$tmp/proxy.conf"
}

check_relay()
{
	look gateway -c "$tmp/proxy.conf"
}

# Something was just broken: it is found, the commands mend it.
found()		# description, look, status, item, [subject]
{
	local what=$1 look=$2 status=$3 line
	shift 3

	$look
	check "$what" item_is "$status" "$@"
	said now "$@" >"$tmp/now"
	check "... a command mends it" [ -s "$tmp/now" ]
	while read -r line; do
		echo "    $line"
		on gateway sh -c "$line" </dev/null >>"$tmp/check.log" 2>&1 ||
		    fail "$line"
	done <"$tmp/now"
	$look
	check "... and then it is gone" is_mended "$@"
}

is_mended()	# item, [subject]
{
	case $(said status "$@") in
	ok|none) ;;
	*) said wrong; false ;;
	esac
}

# All but the one that rorod leaves behind on purpose.
tables()
{
	on gateway nft list tables | grep -v 'ro-ro-tcp-nat$'
}

sysctl_is()	# setting, value
{
	[ "$(on gateway sysctl -n "$1")" = "$2" ]
}

begin
start_asking

# ---- a gateway and a relay as they should be ----

make_key proxy
on gateway ip link add br0 type bridge || give_up 'no bridges'
on gateway ip addr add 10.77.9.1/24 dev br0
on gateway ip link set br0 up
on gateway sysctl -qw net.ipv4.tcp_slow_start_after_idle=0
for host in gateway relay; do
	on $host sysctl -qw net.ipv4.tcp_mtu_probing=2
done
on gateway sysctl -qw net.bridge.bridge-nf-call-iptables=0 \
    net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null
intercept='mode = tproxy interfaces = { "lan", "br0" }'
PROXY_PATH='rate = 20Mbit delay = 600ms'
echo 'max-sessions = 100' | proxy_config
sed -i 's/^path .*/congestion = cubic\n&/' "$tmp/proxy.conf"
on relay ip route add default via 10.77.3.2
on relay ip -6 route add default via fd77:3::2
start_relay
tables >"$tmp/tables"
on gateway "$roroctl" check -n -c "$tmp/proxy.conf" >"$tmp/text" 2>&1
check_proxy
check "nothing is wrong before it starts" status_is 0
check "and no table is left" cmp -s "$tmp/tables" <(tables)
check "the JSON is that of the manual" said schema
check "the text says the same" grep -q '^ok .*kernel' "$tmp/text"
check "the kernel has what the rules need" item_is ok kernel
check "the port is free" item_is ok listener

start_proxy
check_relay
check "nothing is wrong while it runs" status_is 0
check "the JSON is that of the manual" said schema
check "its table is there" item_is ok table ro-ro-tcp
check "its rule and route are there" item_is ok routing 'lan, IPv6'
check "its listener is its own" item_is ok listener
check "the key is" item_is ok key
check "the relay has our key" grep -q 'it has our key' "$tmp/check.json"
sed 's/:1092/:1090/' "$tmp/proxy.conf" >"$tmp/other.conf"
look gateway -n -c "$tmp/other.conf"
check "no second one can have a table" item_is error table ro-ro-tcp

# ---- it leaves no trace at the relay ----

groups()
{
	grep -c 'group [0-9]*: made' "$tmp/relay.log"
}
before=$(groups)
check_relay
check_relay
check "the relay made no group of it" [ "$(groups)" -eq "$before" ]

# ---- settings of the kernel ----

on gateway sysctl -qw net.ipv4.ip_forward=0
found "IPv4 is not forwarded" check_proxy error forwarding IPv4
on gateway sysctl -qw net.ipv6.conf.all.forwarding=0
found "IPv6 is not forwarded" check_proxy warning forwarding lan
on gateway sysctl -qw net.ipv4.tcp_slow_start_after_idle=1
found "subflows start slowly" check_proxy warning slow-start
check "... by the setting" sysctl_is net.ipv4.tcp_slow_start_after_idle 0
on gateway sysctl -qw net.ipv4.tcp_mtu_probing=0
found "large packets may be swallowed" check_proxy warning mtu-probing
check "... by the setting" sysctl_is net.ipv4.tcp_mtu_probing 2
on gateway sysctl -qw net.ipv4.tcp_mtu_probing=1
found "... or found too late" check_proxy warning mtu-probing
if on gateway sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null; then
	on gateway sysctl -qw net.bridge.bridge-nf-call-ip6tables=1
	found "br_netfilter takes from TPROXY" check_proxy error bridge br0
	on gateway ip link set br0 type bridge nf_call_iptables 1
	found "... for one bridge alone" check_proxy error bridge br0
else
	echo "no br_netfilter here"
fi
on gateway ip link set br0 down
found "an interface is down" check_proxy warning interface br0

# ---- rule and route, which the daemon would put back if it could ----

kill -STOP "$(pid_of proxy)"
on gateway ip rule del iif lan pref 100
on gateway ip -6 rule del iif br0 pref 100
found "a rule is missing" check_proxy error routing 'lan, IPv4'
found "... of IPv6" check_proxy error routing 'br0, IPv6'
on gateway ip route flush table 2025
on gateway ip -6 route flush table 2025
found "the route is missing" check_proxy error routing 'lan, IPv4'
found "... of IPv6" check_proxy error routing 'lan, IPv6'
kill -CONT "$(pid_of proxy)"

# ---- key files ----

key=$tmp/proxy.key
chmod 644 "$key"
found "others can read the key" check_proxy error key
chown 65534 "$key"
found "it belongs to somebody else" check_proxy error key
cp -p "$key" "$key.kept"
rm "$key"
found "it is not there" check_proxy error key
sed "s|$tmp/proxy.key|$tmp/new/proxy.key|" "$tmp/proxy.conf" >"$tmp/other.conf"
check_other()
{
	look gateway -n -c "$tmp/other.conf"
}
found "nor its folder" check_other error key
echo nonsense >"$key"
check_proxy
check "it is no key" item_is error key
cp -p "$key.kept" "$key"
sed 's/^role/user = nobody\n&/' "$tmp/proxy.conf" >"$tmp/nobody.conf"
chmod 755 "$tmp"
as_nobody()
{
	look gateway -n -c "$tmp/nobody.conf"
}
found "rorod cannot read it again" as_nobody warning key
chown 0 "$key"
sed 's/nobody/nosuch-user/' "$tmp/nobody.conf" >"$tmp/nosuch.conf"
look gateway -n -c "$tmp/nosuch.conf"
check "its user does not exist" item_is error user

# ---- the relay ----

"$roroctl" keygen "$tmp/other.key" 2>/dev/null
sed "s/proxy.key/other.key/" "$tmp/proxy.conf" >"$tmp/other.conf"
look gateway -c "$tmp/other.conf"
check "the relay does not know the key" item_is error relay
sed "s/:$relay_port/:1/" "$tmp/proxy.conf" >"$tmp/other.conf"
look gateway -c "$tmp/other.conf"
check "nobody listens there" item_is error relay
check "... which is what is said" grep -q 'refused' "$tmp/check.json"
sed "s/$relay4:/nosuch.invalid:/" "$tmp/proxy.conf" >"$tmp/other.conf"
look gateway -c "$tmp/other.conf"
check "its name is unknown" item_is error relay
# A name with two addresses, of which the first is nobody's.
printf '%s both.example\n' 10.77.2.250 "$relay4" >"$tmp/hosts"
sed "s/$relay4:/both.example:/" "$tmp/proxy.conf" >"$tmp/both.conf"
# shellcheck disable=SC2016	# it is for that shell
on gateway sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh \
    "$tmp/hosts" "$roroctl" check -f json -c "$tmp/both.conf" \
    >"$tmp/check.json" 2>>"$tmp/check.log"
check "one of its addresses does not answer" item_is warning relay
check "... and the other does" \
    grep -q "\"$relay4:$relay_port: connected" "$tmp/check.json"
cat >>"$tmp/other.conf" <<-END
forward "known" { listen = "127.0.0.1:8080" destination = "$server4:80" }
forward "nowhere" { listen = "127.0.0.1:8081" destination = "nosuch.invalid:80" }
END
look gateway -n -c "$tmp/other.conf"
check "a destination is known" item_is ok destination known
check "... and another is not" item_is error destination nowhere
on relay nft -f - <<-END
table inet deaf {
	chain input {
		type filter hook input priority 0
		tcp dport $relay_port drop
	}
}
END
sed 's/^role/connect-timeout = 1s\n&/' "$tmp/proxy.conf" >"$tmp/other.conf"
look gateway -c "$tmp/other.conf"
check "a firewall is in the way" item_is error relay
on relay nft delete table inet deaf
look relay -c "$tmp/relay.conf"
check "the relay's own check finds its listener" item_is ok listener
check "... and nothing that is an error" [ "$looked" -lt 2 ]

# The way to the relay is another than the path's.
cable gateway wan2 relay eth2 4 || give_up 'no second cable'
on gateway ip route add "$relay4" dev wan metric 1
on gateway ip route add "$relay4" via 10.77.4.2 dev wan2 metric 2
on gateway sysctl -qw net.ipv4.conf.wan2.rp_filter=1
sed -e 's/^path "wan" {/& interface = "wan2"/' \
    -e 's/^role/connect-timeout = 1s\n&/' "$tmp/proxy.conf" >"$tmp/wan2.conf"
sed -i 's/"eth0"/"eth0", "eth2"/' "$tmp/relay.conf"
check_wan2()
{
	look gateway -c "$tmp/wan2.conf"
}
found "answers come in by the wrong interface" check_wan2 error rp-filter wan2
check "... and it gets through" item_is ok relay

# One of two paths is down, then the only one.
sed 's/^path "wan2*" {.*/&\npath "other" { interface = "wan" }/' \
    "$tmp/wan2.conf" >"$tmp/two.conf"
check_two()
{
	look gateway -c "$tmp/two.conf"
}
on gateway ip link set wan2 down
check_two
check "one of two paths is down" item_is warning interface wan2
check "... the relay is not reached over it, which is no error" \
    item_is warning relay 'path wan'
check "... since it is over the other" item_is ok relay 'path other'
check "... which is said" \
    grep -q 'the relay is reached over another path' "$tmp/check.json"
check "... and not that connections go directly" \
    lacks 'all connections go directly' "$tmp/check.json"
check "... so there are but warnings" status_is 1
found "a command sets it up" check_two warning interface wan2
on gateway ip link set wan2 down
check_wan2
check "the only path is down: an error" item_is error relay
check "... and all connections go directly" \
    grep -q 'all connections go directly' "$tmp/check.json"
on gateway ip link set wan2 up
on gateway ip route add "$relay4" via 10.77.4.2 dev wan2 metric 2
sed -i 's/"wan2"/"nosuch0"/' "$tmp/wan2.conf"
check_wan2
check "a path's interface is not there, it may come" \
    item_is warning interface nosuch0
check "... and the relay cannot be reached over the only path" \
    item_is error relay

# ---- what a daemon leaves that is killed ----

stop proxy
check_proxy
check "nothing is left of one that ended" status_is 0
intercept='mode = tproxy nft-owner = no interfaces = "lan"'
proxy_config </dev/null
start_proxy
stop proxy KILL
found "its table is left" check_proxy warning table
found "its rules are left" check_proxy warning routing IPv4
found "... of IPv6" check_proxy warning routing IPv6
check "all of it is gone" cmp -s "$tmp/tables" <(tables)
start_proxy
stop proxy KILL
intercept='mode = redirect interfaces = "lan"'
proxy_config </dev/null
found "one that had another mode" check_proxy warning routing IPv6
intercept='mode = tproxy interfaces = "lan"'
proxy_config </dev/null
start_proxy
stop proxy KILL
intercept='mode = redirect interfaces = "lan"'
proxy_config </dev/null
start_proxy
check_proxy
check "starting with another mode removes it, too" item_is none routing
stop proxy
intercept='mode = tproxy nft-owner = no interfaces = "lan"'
proxy_config </dev/null

# ---- routes of somebody else where its own should be ----

for family in -4 -6; do
	on gateway ip $family route add local default dev lo table 2025
done
check_proxy
check "the same route, made by somebody else, will do" \
    item_is none routing IPv
start_proxy
check_proxy
check "... also while it runs" item_is ok routing IPv
stop proxy
for family in -4 -6; do
	on gateway ip $family route flush table 2025
done
on gateway ip route add default via "$relay4" table 2025 metric 9
check_proxy
check "one that comes behind its own does no harm" item_is none routing IPv
on gateway ip route add default via "$relay4" table 2025
on gateway ip -6 route add "$server6" via "$relay6" table 2025
check_proxy
check "another default route is found" item_is error routing IPv4
check "... and one to a destination" item_is error routing IPv6
start alone gateway "$rorod" -c "$tmp/proxy.conf"
check "it does not start with the first" \
    wait_for 10 logged alone "another default route"
no_rules()
{
	! on gateway ip rule | grep -q 0x10000000 &&
	    ! on gateway ip -6 rule | grep -q 0x10000000
}
check "... and leaves no rule, nor of IPv6" wait_for 5 no_rules
on gateway ip route flush table 2025
on gateway ip -6 route flush table 2025

# ---- rules of routing that come before its own ----

on gateway ip rule add pref 100 from 10.77.1.0/24 lookup 77
on gateway ip -6 rule add pref 50 not fwmark 0x1 lookup 77
for rule in "pref 51 fwmark 0x1 lookup 77" "pref 52 iif wan lookup 77" \
    "pref 53 lookup main suppress_prefixlength 0" \
    "pref 54 ipproto udp lookup 77" "pref 200 lookup main"; do
	# shellcheck disable=SC2086 # words
	on gateway ip rule add $rule
done
for running in no yes; do
	[ "$running" = no ] || start_proxy
	check_proxy
	check "running: $running: one may take packets from TPROXY" \
	    item_is warning routing 'lan, IPv4'
	check "... which has that priority" \
	    grep -q 'a rule with priority 100 comes' "$tmp/check.json"
	check "... and another of IPv6" \
	    grep -q 'a rule with priority 50 comes' "$tmp/check.json"
done
on gateway ip rule del pref 100 from 10.77.1.0/24
on gateway ip -6 rule del pref 50
check_proxy
check "others do not" item_is ok routing lan
stop proxy
check_proxy
check "... and would not" item_is none routing lan
for priority in 51 52 53 54 200; do
	on gateway ip rule del pref "$priority"
done

# ---- it hangs ----

control=$tmp/run
proxy_config </dev/null
start_proxy
wait_for 10 intercepting ipv4 || fail "it does not intercept"
check_proxy
check "a daemon that answers is well" item_is ok daemon
"$roroctl" intercept off -s "$control/proxy.sock" >/dev/null
check_proxy
check "one that was switched off is not" item_is warning daemon
check "... and why" grep -q "intercepts nothing: switched off" "$tmp/check.json"
"$roroctl" intercept on -s "$control/proxy.sock" >/dev/null
kill -STOP "$(pid_of proxy)"
check_proxy
check "one that does not, hangs" item_is error daemon
check "... and a command mends it" grep -q '"kill [0-9]*"' "$tmp/check.json"
kill -CONT "$(pid_of proxy)"
stop proxy
control=off
proxy_config </dev/null

# ---- listeners ----

start squatter gateway socat TCP6-LISTEN:$proxy_port,fork OPEN:/dev/null
wait_for 10 listening gateway "$proxy_port"
check_proxy
check "somebody has its port" item_is error listener
check "... who is named" grep -q 'socat (' "$tmp/check.json"
stop squatter
start_proxy
sed 's/:1092/:1090/' "$tmp/proxy.conf" >"$tmp/moved.conf"
cp "$tmp/moved.conf" "$tmp/proxy.conf"
check_proxy
check "it does not listen where the configuration says" item_is error listener
stop proxy

# ---- rules that the operator has made ----

intercept='mode = redirect nft = off'
proxy_config </dev/null
start_proxy
check_proxy
check "no rule redirects" item_is error table
redirect 80
check_proxy
check "one does" item_is ok table test-redirect
stop proxy
on gateway nft add chain inet test-redirect mine
found "one does while it does not run" check_proxy error table test-redirect
check "... and what is beside it stays" \
    on gateway nft flush chain inet test-redirect mine
direct
if on gateway iptables -V 2>/dev/null | grep -q nf_tables; then
	example=${srcdir:-.}/contrib/examples/iptables
	export LAN_INTERFACES=lan
	on gateway iptables -t nat -A POSTROUTING -o wan -j MASQUERADE
	for iptables in iptables ip6tables; do
		on gateway $iptables -t nat -A PREROUTING -i lan -p tcp \
		    --dport 3128 -j REDIRECT --to-ports 3129
	done
	check_proxy
	check "iptables redirects to somebody else" item_is none table nat
	on gateway sh "$example-redirect.sh" start
	found "iptables redirects, and it does not run" check_proxy error \
	    table nat
	check "... and other rules of iptables stay" \
	    on gateway iptables -t nat -C POSTROUTING -o wan -j MASQUERADE
	check "... those that redirect, too" on gateway ip6tables -t nat \
	    -C PREROUTING -i lan -p tcp --dport 3128 -j REDIRECT --to-ports 3129
	on gateway sh "$example-redirect.sh" stop
	intercept='mode = tproxy nft = off route = off'
	proxy_config </dev/null
	on gateway sh "$example-tproxy.sh" start
	found "so does TPROXY of iptables" check_proxy error table mangle
	on gateway sh "$example-tproxy.sh" stop
	for table in nat mangle; do
		on gateway nft delete table ip $table
		on gateway nft delete table ip6 $table
	done
fi
# ---- a firewall that lets nothing in ----

on gateway nft -f - <<-END
table inet fw {
	chain input {
		type filter hook input priority 0; policy drop
		iif lo accept
		ct state vmap { established : accept, related : accept }
		tcp dport { 22, 80 } accept
	}
}
END
for mode in tproxy redirect; do
	intercept="mode = $mode interfaces = \"lan\""
	proxy_config </dev/null
	found "a firewall drops what is intercepted: $mode" check_proxy \
	    warning firewall fw
done
on gateway nft delete table inet fw

intercept='mode = tproxy nft = off route = off'
proxy_config </dev/null
start_proxy
tproxy 80
on gateway ip rule del pref 100
on gateway ip rule add pref 101 fwmark 0x10000000/0x10000000 lookup 2025
check_proxy
check "a rule without an interface does" item_is ok routing IPv4
on gateway sysctl -qw net.ipv4.conf.all.src_valid_mark=1
found "but not with src_valid_mark" check_proxy error routing IPv4
on gateway ip rule del pref 101
found "there is no rule" check_proxy error routing IPv4
stop proxy
on gateway nft delete table inet test-tproxy

# The daemon's own rule stands beside one of somebody else's, and names the
# interface.
intercept='mode = tproxy nft = off interfaces = "lan"'
proxy_config </dev/null
start_proxy
on gateway sysctl -qw net.ipv4.conf.all.src_valid_mark=1
check_proxy
check "src_valid_mark does not disturb rorod's rule" item_is ok routing lan
stop proxy

# ---- interfaces ----

on gateway ip addr del 10.77.9.1/24 dev br0
intercept='mode = redirect interfaces = "br0"'
proxy_config </dev/null
found "an interface without an address" check_proxy error interface br0
intercept='mode = redirect interfaces = { "eth*", "nosuch0" }'
proxy_config </dev/null
check_proxy
check "an interface that is not there" item_is error interface nosuch0
check "... or none of a pattern" item_is warning interface 'eth*'

# ---- buffers ----

on gateway sysctl -qw net.ipv4.tcp_rmem='4096 65536 262144'
intercept='mode = redirect interfaces = "lan"'
PROXY_PATH='' proxy_config </dev/null
found "windows are too small" check_proxy warning buffers

# ---- without root, without a configuration, with a wrong one ----

start_proxy
unprivileged()	# options...
{
	on gateway setpriv --reuid=65534 --regid=65534 --clear-groups \
	    "$roroctl" check -f json "$@" >"$tmp/check.json" \
	    2>>"$tmp/check.log"
	looked=$?
}
chmod 644 "$tmp/proxy.conf"
unprivileged -c "$tmp/proxy.conf"
check "whoever is not root" said schema
check "... is told what he cannot see" item_is skipped table
check "... of the kernel" item_is skipped kernel
check "... and of the key" item_is skipped key
check "... sees the rest" item_is ok forwarding IPv4
check "... and is not told of errors" [ "$looked" -lt 2 ]
stop proxy
look gateway -c "$tmp/nosuch"
check "a configuration that is not there" item_is error configuration
check "... is an error" status_is 2
check "... and the rest is looked at" item_is ok kernel
echo 'role = nobody' >"$tmp/wrong.conf"
look gateway -c "$tmp/wrong.conf"
check "one with an error" item_is error configuration wrong.conf
check "... is one" status_is 2
on gateway "$roroctl" check -c "$tmp/proxy.conf" nonsense 2>/dev/null
check "wrong arguments are refused" [ $? -eq 2 ]
on gateway "$roroctl" check -n -q -c "$tmp/nosuch" >"$tmp/text"
check "only what is wrong" [ "$(grep -c '^ok' "$tmp/text")" -eq 0 ]
check "it left no table behind" cmp -s "$tmp/tables" <(tables)

finish
