#!/bin/sh
# SPDX-License-Identifier: ISC
#
# For a gateway that still runs iptables: TCP connections that come in from the
# LAN and go to the Internet are handed to rorod, which listens with
#
#	intercept { mode = tproxy nft = off route = off }
#
# Copy this file, edit the first lines, and then
#
#	iptables-tproxy.sh start	(again after every edit: nothing doubles)
#	iptables-tproxy.sh stop
#
# What to know before:
#
# - These rules do not notice that rorod has stopped: from then on, connections
#   get no answer until it is back or the rules are gone.  (nft/tproxy.nft lets
#   them go directly.)
# - TPROXY works in the table mangle only, where a port forwarding (DNAT) has
#   not been seen: put the addresses that yours are for among those that stay
#   direct.
# - A firewall that filters what is for the gateway itself has to accept what
#   is marked: -A INPUT -m mark --mark 0x10000000/0x10000000 -j ACCEPT

# Where the clients are; several: "lan0 wlan0"
lan_interfaces=${LAN_INTERFACES-br-lan}

# The port of `listen`
proxy_port=1092

# Destination ports that stay direct, at most 15.  With 22, the machines behind
# the link can be reached even when rorod cannot; BGP (179) wants to meet its
# neighbour.
direct_ports=22,179

# The addresses of your relay: clients that talk to it directly should do so.
# (These here are from the ranges for documentation, they do no harm.)
relay4="192.0.2.1"
relay6="2001:db8::1"

# Other destinations that stay direct.  Special and private ranges are here
# because a relay refuses them, unless its configuration permits them.
bypass4="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16
	172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/3"
bypass6="::/96 ::ffff:0:0/96 64:ff9b:1::/48 100::/64 fc00::/7 fe80::/10 ff00::/8"

# The bit by which packets find their way, one that nobody else uses, and the
# routing table that it leads to.
mark=0x10000000
table=2025
priority=100

# ---- nothing to edit below --------------------------------------------------

set -eu

# Two chains, replaced as a whole (a chain that is named is emptied): a
# connection meets the old rules or the new ones.
#
# A SYN goes through the decisions; all else goes to the socket that it belongs
# to, if there is one, and to its destination otherwise.  (The match "socket"
# leaves out listeners that are bound to all addresses.)  Errors about our
# connections are addressed to the servers.
rules()		# icmp|ipv6-icmp, destinations that stay direct...
{
	echo '*mangle'
	echo ':roro - [0:0]'
	echo ':roro-known - [0:0]'
	echo "-A roro-known -j MARK --set-xmark $mark/$mark"
	echo '-A roro-known -j ACCEPT'
	echo '-A roro -p tcp ! --syn -m socket --transparent -j roro-known'
	echo "-A roro -p $1 -m socket --transparent -j roro-known"
	shift
	echo '-A roro ! -p tcp -j RETURN'
	echo '-A roro -p tcp ! --syn -j RETURN'
	# (For IPv6, a local address is a unicast one, too.)
	echo '-A roro -m addrtype --dst-type LOCAL -j RETURN'
	echo '-A roro -m addrtype ! --dst-type UNICAST -j RETURN'
	for destination; do
		echo "-A roro -d $destination -j RETURN"
	done
	echo "-A roro -p tcp -m multiport --dports $direct_ports -j RETURN"
	echo "-A roro -p tcp -j TPROXY --on-port $proxy_port" \
	    "--tproxy-mark $mark/$mark"
	echo 'COMMIT'
}

# Empty, they let everything pass.
no_rules()
{
	printf '%s\n' '*mangle' ':roro - [0:0]' ':roro-known - [0:0]' COMMIT
}

# Jumps to the chain are from these interfaces, and no others.
set_jumps()	# iptables|ip6tables, interfaces...
{
	iptables=$1
	shift
	for interface; do
		"$iptables" -w -t mangle -C PREROUTING -i "$interface" \
		    -j roro 2>/dev/null ||
		    "$iptables" -w -t mangle -A PREROUTING -i "$interface" \
		        -j roro
	done
	"$iptables" -w -t mangle -S PREROUTING |
	    sed -n 's/^-A \(.* -j roro\)$/\1/p' |
	    while read -r chain i interface rest; do
		case " $* " in
		*" $interface "*) ;;
		*)
			# shellcheck disable=SC2086 # these are words
			"$iptables" -w -t mangle -D $chain $i $interface $rest
			;;
		esac
	done
}

# Packets with the mark are delivered here.  Without the interface in the rule
# that fails where net.ipv4.conf.*.src_valid_mark is set.
remove_routing()	# -4|-6
{
	while ip "$1" rule del fwmark "$mark/$mark" lookup "$table" \
	    pref "$priority" 2>/dev/null; do
		:
	done
	ip "$1" route del local default dev lo table "$table" 2>/dev/null || :
}

add_routing()	# -4|-6
{
	ip "$1" rule show lookup "$table" pref "$priority" |
	    sed -n 's/.* iif \([^ ]*\).*/\1/p' |
	    while read -r interface; do
		case " $lan_interfaces " in
		*" $interface "*) ;;
		*)
			ip "$1" rule del iif "$interface" \
			    fwmark "$mark/$mark" lookup "$table" \
			    pref "$priority"
			;;
		esac
	done
	ip "$1" route replace local default dev lo table "$table"
	for interface in $lan_interfaces; do
		ip "$1" rule show iif "$interface" lookup "$table" |
		    grep -q . ||
		    ip "$1" rule add iif "$interface" fwmark "$mark/$mark" \
		        lookup "$table" pref "$priority"
	done
}

start()		# iptables|ip6tables, -4|-6, icmp|ipv6-icmp, destinations...
{
	iptables=$1
	add_routing "$2"
	shift 2
	rules "$@" | "$iptables-restore" -w --noflush
	# shellcheck disable=SC2086 # a list
	set_jumps "$iptables" $lan_interfaces
}

stop()		# iptables|ip6tables, -4|-6
{
	no_rules | "$1-restore" -w --noflush
	set_jumps "$1"
	"$1" -w -t mangle -X roro
	"$1" -w -t mangle -X roro-known
	remove_routing "$2"
}

case ${1-} in
start)
	# shellcheck disable=SC2086 # these are lists
	start iptables -4 icmp $relay4 $bypass4
	# shellcheck disable=SC2086
	start ip6tables -6 ipv6-icmp $relay6 $bypass6
	;;
stop)
	stop iptables -4
	stop ip6tables -6
	;;
*)
	echo "usage: $0 start|stop" >&2
	exit 2
	;;
esac
