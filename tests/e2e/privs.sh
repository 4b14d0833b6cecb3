#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Once started, a relay has no capability and a proxy CAP_NET_ADMIN, as root and
# as the user of the configuration, with nothing that could give any back; and
# what comes later works all the same: dials with a mark and an interface,
# transfers, SIGHUP.  A subflow that a relay accepts keeps the BBR that its
# listener got, where the daemon's user may not choose it.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

command -v setpriv >/dev/null || skip "needs setpriv (util-linux)"
command -v flock >/dev/null || skip "needs flock (util-linux)"
begin

uid=$(id -u nobody) || skip "needs a user nobody"
gid=$(id -g nobody)
ulimit -c unlimited 2>/dev/null || true

as_nobody()	# command...
{
	setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
}

# Daemons that are nobody read their configuration there.
chmod 755 "$tmp"
as_nobody test -x "$tmp" || skip "nobody cannot reach $tmp"
# A binary that nobody can reach.
cp "$rorod" "$tmp/rorod"

# ---- which algorithms who has no right may choose ----

# On most kernels one for all namespaces, so others wait; what there was is
# kept in a file, in case that we are killed.
allowed=/proc/sys/net/ipv4/tcp_allowed_congestion_control
kept=/run/ro-ro-tcp.allowed

forbid_bbr()
{
	exec 9>>"$kept" && flock -w 300 9 || return
	[ -s "$kept" ] || cat "$allowed" >"$kept"
	trap 'restore_allowed; clean_up' EXIT
	{
		echo reno cubic >"$allowed"
		on relay grep -qxF "reno cubic" "$allowed" ||
		    on relay sh -c "echo reno cubic >$allowed"
	} 2>/dev/null
}

restore_allowed()
{
	local status=$?

	cat "$kept" >"$allowed"
	: >"$kept"
	flock -u 9
	return $status
}

# Of the established connections of a host: bbr, reno, ...
algorithms()	# host, filter
{
	on "$1" ss -Htni state established "$2" |
	    grep -owE 'bbr|reno|cubic' | sort -u
}

# ---- what a daemon is ----

status()	# name, key
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$(pid_of "$1")/status" |
	    tr '\t' ' ' | sed 's/ *$//'
}

is()		# name, key, value
{
	[ "$(status "$1" "$2")" = "$3" ] ||
	    { echo "$1: $2 is $(status "$1" "$2")"; false; }
}

# Its own group may or may not be among them.
has_groups()	# name, groups
{
	[ -z "$(status "$1" Groups)" ] || is "$1" Groups "$2"
}

# Without a capability, not even its own user can look into it.
hidden()	# name, uid
{
	local file
	file=/proc/$(pid_of "$1")/maps
	[ "$(stat -c %u "$file")" -eq 0 ] &&
	    ! setpriv --reuid "$2" --clear-groups --inh-caps -all \
	    --bounding-set -all cat "$file" >/dev/null 2>&1
}

no_core_dump()	# name
{
	grep -q '^Max core file size  *0  *0 ' "/proc/$(pid_of "$1")/limits"
}

none=0000000000000000
net_admin=0000000000001000

dropped()	# name, uid, gid, groups, capabilities
{
	local name=$1 key

	check "$name: user $2" is "$name" Uid "$2 $2 $2 $2"
	check "$name: group $3" is "$name" Gid "$3 $3 $3 $3"
	check "$name: no groups but \"$4\"" has_groups "$name" "$4"
	for key in CapPrm CapEff; do
		check "$name: $key $5" is "$name" "$key" "$5"
	done
	for key in CapInh CapBnd CapAmb; do
		check "$name: $key" is "$name" "$key" "$none"
	done
	check "$name: no_new_privs" is "$name" NoNewPrivs 1
	check "$name: no core dump" no_core_dump "$name"
	sanitized || check "$name: is hidden" hidden "$name" "$2"
}

start sleep client setpriv --inh-caps -all --bounding-set -all sleep 1000
check "what is not hidden can be seen" wait_for 5 not hidden sleep 0

# ---- with and without ----

reload()	# name, what its log says
{
	kill -HUP "$(pid_of "$1")"
	check "$1: $2" wait_for 5 logged "$1" "$2"
}

# All that a proxy sends to the relay, and what of it is marked.
on gateway nft -f - <<-END || skip "needs nft"
	table inet count {
		chain output {
			type filter hook output priority filter
			tcp dport $relay_port tcp flags syn meta mark 7 counter comment "marked"
			tcp dport $relay_port tcp flags syn meta mark != 7 counter comment "plain"
		}
	}
END
count()		# comment
{
	on gateway nft list table inet count |
	    sed -n "s/.* counter packets \([0-9]*\) .*\"$1\".*/\1/p"
}

RELAY_PEER="$permit_server
rate = 200Mbit
delay = 50ms"
PROXY_PATH='interface = "wan"
mark = 7
rate = 200Mbit
delay = 50ms'

begin_daemons()	# lines of both configurations
{
	: >"$tmp/relay.log"
	: >"$tmp/proxy.log"
	relay_config <<<"$1"
	proxy_config <<<"$1"
	start_relay
	start_proxy
}

end_daemons()
{
	stop proxy
	stop relay
}

# Subflows are dialed again, now without what was dropped.
dials_again()
{
	local before
	before=$(count marked)
	stop relay
	start_relay
	check "the proxy dials again" wait_for 20 connected
	check "with its mark" [ "$(count marked)" -ge $((before + 4)) ]
	check "always" [ "$(count plain)" -eq 0 ]
}

redirect 1100-2099
own_groups=$(sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status |
    sed 's/ *$//')

begin_daemons ''
dropped relay 0 0 "$own_groups" "$none"
dropped proxy 0 0 "$own_groups" "$net_admin"
transfers 1 4 300000 100
reload relay "read again"
reload proxy "read again"
dials_again
transfers 1 4 300000 100
end_daemons

begin_daemons 'user = nobody'
dropped relay "$uid" "$gid" "$gid" "$none"
dropped proxy "$uid" "$gid" "$gid" "$net_admin"
transfers 1 4 300000 100
reload relay "read again"
reload proxy "read again"
chmod 600 "$tmp/relay.conf" "$tmp/proxy.conf"
for name in relay proxy; do
	reload "$name" \
	    "$name.conf: Permission denied; the configuration is left as it was"
	check "in one line" [ "$(grep -c '^error:' "$tmp/$name.log")" -eq 1 ]
done
chmod 644 "$tmp/relay.conf" "$tmp/proxy.conf"
dials_again
transfers 1 4 300000 100
for name in relay proxy; do
	stop "$name" XCPU 2>/dev/null	# the shell would say so
	check "$name is ended by SIGXCPU" [ "$stopped" -eq $((128 + 24)) ]
done
check "and leaves no core dump" not compgen -G 'core*'

begin_daemons "group = $(id -gn nobody)"
check "a group alone" is relay Gid "$gid $gid $gid $gid"
check "its supplementary groups" is relay Groups ""
check "the user stays" is relay Uid "0 0 0 0"
end_daemons

# ---- keys that only root can read ----

make_key common
cat >"$tmp/relay.conf" <<END
role = relay
control = off
user = nobody
listen = "[::]:$relay_port"
grace = 5s
peer "proxy" {
	key-file = "$tmp/common.key"
	$permit_server
}
END
cat >"$tmp/proxy.conf" <<END
role = proxy
control = off
user = nobody
grace = 5s
intercept { mode = redirect nft = off }
relay "relay" {
	address = "$relay4:$relay_port"
	key-file = "$tmp/common.key"
	path "wan" { $PROXY_PATH }
}
END
start_relay
start_proxy
for name in relay proxy; do
	reload "$name" "common.key: Permission denied; the key that was there"
	check "$name reads the rest" wait_for 5 logged "$name" "read again"
done
dials_again
transfers 1 4 300000 100
end_daemons

# ---- the base protocol ----

relay_config <<END
user = nobody
base {
	server = "$server4:80"
	proxies = "$proxy4"
}
END
cat >"$tmp/proxy.conf" <<END
role = proxy
control = off
user = nobody
forward "base" { listen = "[::]:$proxy_port" }
relay "relay" {
	address = "$relay4:$relay_port"
	protocol = base
	protection = none
	path "wan" { $PROXY_PATH }
}
END
start web server python3 -m http.server --bind :: --directory \
    "${srcdir:-.}/tests/e2e" 80
wait_for 10 listening server 80 || give_up "the server does not start"
start_relay
start_proxy_alone
dropped relay "$uid" "$gid" "$gid" "$none"
dropped proxy "$uid" "$gid" "$gid" "$net_admin"
same()
{
	on client curl -sf "http://$gateway4:$proxy_port/lib.sh" |
	    cmp -s - "${srcdir:-.}/tests/e2e/lib.sh"
}
before=$(count marked)
check "base: a file comes" same
check "base: with the mark" [ "$(count marked)" -gt "$before" ]
check "base: always" [ "$(count plain)" -eq 0 ]
end_daemons

# ---- BBR that only the listener could choose ----

grep -qw bbr /proc/sys/net/ipv4/tcp_available_congestion_control ||
    modprobe -q tcp_bbr
for host in relay gateway; do
	on "$host" sh -c 'echo reno >/proc/sys/net/ipv4/tcp_congestion_control'
done

watch_algorithms()
{
	while :; do
		algorithms relay "sport = :$relay_port" >>"$tmp/relay.seen"
		algorithms gateway "dport = :$relay_port" >>"$tmp/proxy.seen"
		sleep 0.1
	done
}

saw()		# name, algorithms
{
	[ "$(sort -u "$tmp/$1.seen")" = "$2" ]
}

keeps_bbr()	# why it may
{
	rm -f "$tmp"/*.seen
	begin_daemons 'user = nobody'
	watch_algorithms &
	pids[watch]=$!
	transfers 8 4 1000000 90
	stop watch
	check "relay: nothing but bbr, $1" saw relay bbr
	check "proxy: nothing but bbr" saw proxy bbr
	check "the proxy may choose it again" \
	    not logged proxy "BBR cannot begin anew"
}

if ! grep -qw bbr /proc/sys/net/ipv4/tcp_available_congestion_control; then
	echo "not checked: this kernel has no BBR"
elif ! forbid_bbr || ! on relay grep -qxF "reno cubic" "$allowed"; then
	echo "not checked: $allowed cannot be written"
else
	keeps_bbr "which its user may not choose"
	check "the relay says that it may not choose it again" \
	    logged relay "warn: subflow: BBR cannot begin anew: Operation not"
	end_daemons
	restore_allowed
	trap clean_up EXIT
	if grep -qw bbr "$allowed"; then
		keeps_bbr "which its user may choose"
		check "the relay may choose it again" \
		    not logged relay "BBR cannot begin anew"
		end_daemons
	fi
fi

# ---- who has no privileges, and what cannot be ----

cat >"$tmp/forward.conf" <<END
role = proxy
control = off
forward "web" { listen = "127.0.0.1:8080" destination = "$server4:80" }
relay "relay" {
	address = "$relay4:$relay_port"
	key-file = "$tmp/own.key"
}
END
relay_config </dev/null
install -m 600 -o "$uid" "$tmp/proxy.key" "$tmp/own.key"
start_relay
: >"$tmp/proxy.log"
start proxy gateway setpriv --reuid "$uid" --regid "$gid" --clear-groups \
    "$tmp/rorod" -c "$tmp/forward.conf"
wait_for 10 connected || give_up "an ordinary user's proxy does not start"
check "an ordinary user's proxy has nothing" is proxy CapEff "$none"
check "and cannot get anything" is proxy NoNewPrivs 1
forwarded()
{
	on gateway curl -sf "http://127.0.0.1:8080/lib.sh" |
	    cmp -s - "${srcdir:-.}/tests/e2e/lib.sh"
}
check "it works" forwarded
check "without an error" not grep "^error:" "$tmp/proxy.log"
stop proxy

# ---- an ordinary user who has CAP_NET_ADMIN and nothing else from the start ----

intercept='mode = tproxy interfaces = "lan"'
proxy_config </dev/null
sed -i "s|\"[^\"]*proxy\\.key\"|\"$tmp/own.key\"|" "$tmp/proxy.conf"
: >"$tmp/proxy.log"
start proxy gateway setpriv --reuid "$uid" --regid "$gid" --clear-groups \
    --inh-caps +net_admin --ambient-caps +net_admin \
    --bounding-set -all,+net_admin "$tmp/rorod" -c "$tmp/proxy.conf"
wait_for 10 connected || give_up "a user's proxy for TPROXY does not start"
check "CAP_NET_ADMIN is enough to intercept" wait_for 10 intercepting ipv4
check "without an error, either" not grep "^error:" "$tmp/proxy.log"
end_daemons
intercept=

refused()	# text, line of the configuration, command...
{
	local text=$1

	{ echo "$2"; cat "$tmp/forward.conf"; } >"$tmp/refused.conf"
	shift 2
	on gateway "$@" "$tmp/rorod" -c "$tmp/refused.conf" >"$tmp/refused.out" \
	    2>&1
	[ $? -eq 1 ] && [ "$(grep '^error:' "$tmp/refused.out")" = \
	    "error: $text" ] && return
	cat "$tmp/refused.out"
	return 1
}
check "a user that is not there" refused 'user "nonesuch": there is none' \
    'user = nonesuch' env
check "a group that is not there" refused 'group "nonesuch": there is none' \
    'group = nonesuch' env
chown 1 "$tmp/own.key"
check "somebody else, without the right to be" refused \
    "privileges: setresgid: Operation not permitted" 'user = nobody' \
    setpriv --reuid 1 --regid 1 --clear-groups
chown "$uid" "$tmp/own.key"
{ echo 'user = nobody'; cat "$tmp/forward.conf"; } >"$tmp/oneself.conf"
: >"$tmp/proxy.log"
start proxy gateway setpriv --reuid "$uid" --regid "$gid" --clear-groups \
    "$tmp/rorod" -c "$tmp/oneself.conf"
check "to stay oneself needs none" wait_for 5 logged proxy "started"

finish
