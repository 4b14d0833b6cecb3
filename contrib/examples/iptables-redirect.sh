#!/bin/sh
# SPDX-License-Identifier: ISC
#
# For a gateway that still runs iptables: TCP connections that come in from the
# LAN and go to the Internet are redirected to rorod, which listens with
#
#	intercept { mode = redirect nft = off }
#
# Copy this file, edit the first lines, and then
#
#	iptables-redirect.sh start	(again after every edit: nothing doubles)
#	iptables-redirect.sh stop
#
# What to know before:
#
# - These rules do not notice that rorod has stopped: from then on, connections
#   are refused until it is back or the rules are gone.
# - An interface where IPv4 is redirected needs an IPv4 address of its own: the
#   kernel drops the packets otherwise, without a word.
# - The rules go to the end of PREROUTING, so that a port forwarding (DNAT) of
#   yours wins.

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

# ---- nothing to edit below --------------------------------------------------

set -eu

# One chain, replaced as a whole (a chain that is named is emptied): a connection
# meets the old rules or the new ones.
rules()		# destinations that stay direct...
{
	echo '*nat'
	echo ':roro - [0:0]'
	# What is no SYN is a connection older than the kernel's memory of it.
	echo '-A roro -p tcp ! --syn -j RETURN'
	# (For IPv6, a local address is a unicast one, too.)
	echo '-A roro -m addrtype --dst-type LOCAL -j RETURN'
	echo '-A roro -m addrtype ! --dst-type UNICAST -j RETURN'
	for destination; do
		echo "-A roro -d $destination -j RETURN"
	done
	echo "-A roro -p tcp -m multiport --dports $direct_ports -j RETURN"
	echo "-A roro -p tcp -j REDIRECT --to-ports $proxy_port"
	echo 'COMMIT'
}

# Empty, it lets everything pass.
no_rules()
{
	printf '%s\n' '*nat' ':roro - [0:0]' COMMIT
}

# Jumps to the chain are from these interfaces, and no others.
set_jumps()	# iptables|ip6tables, interfaces...
{
	iptables=$1
	shift
	for interface; do
		"$iptables" -w -t nat -C PREROUTING -i "$interface" -p tcp \
		    -j roro 2>/dev/null ||
		    "$iptables" -w -t nat -A PREROUTING -i "$interface" \
		        -p tcp -j roro
	done
	"$iptables" -w -t nat -S PREROUTING |
	    sed -n 's/^-A \(.* -j roro\)$/\1/p' |
	    while read -r chain i interface rest; do
		case " $* " in
		*" $interface "*) ;;
		*)
			# shellcheck disable=SC2086 # these are words
			"$iptables" -w -t nat -D $chain $i $interface $rest
			;;
		esac
	done
}

start()		# iptables|ip6tables, destinations that stay direct...
{
	iptables=$1
	shift
	rules "$@" | "$iptables-restore" -w --noflush
	# shellcheck disable=SC2086 # a list
	set_jumps "$iptables" $lan_interfaces
}

stop()		# iptables|ip6tables
{
	no_rules | "$1-restore" -w --noflush
	set_jumps "$1"
	"$1" -w -t nat -X roro
}

case ${1-} in
start)
	# shellcheck disable=SC2086 # these are lists
	start iptables $relay4 $bypass4
	# shellcheck disable=SC2086
	start ip6tables $relay6 $bypass6
	;;
stop)
	stop iptables
	stop ip6tables
	;;
*)
	echo "usage: $0 start|stop" >&2
	exit 2
	;;
esac
