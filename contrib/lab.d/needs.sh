# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# What the lab needs from the machine, and how it gets there.
#
# Each need is the name of a Debian package and what is looked for: a command,
# a header if it ends in .h, or a module of Python if in .py.  So a machine that
# has them from elsewhere is as good, and one without apt is told the names.
# None of these packages starts anything by itself.  What cannot be installed,
# devices and namespaces, is looked at first.

needs_build=(
	autoconf:autoreconf automake:automake make:make gcc:gcc
	libc6-dev:stdio.h pkg-config:pkg-config libev-dev:ev.h
	libconfuse-dev:confuse.h libsodium-dev:sodium.h
	libmnl-dev:libmnl/libmnl.h libnftnl-dev:libnftnl/rule.h
	libjson-c-dev:json-c/json.h libcmocka-dev:cmocka.h
)
needs_lab=(
	iproute2:ip nftables:nft curl:curl busybox:busybox
	iputils-ping:ping
)
needs_test=(
	iproute2:ip nftables:nft iptables:iptables curl:curl
	iputils-ping:ping python3:python3
	python3-cryptography:cryptography.py procps:sysctl patch:patch
	socat:socat
)
needs_bench=(
	python3:python3 gnuplot-nox:gnuplot
)

# The kernel has what a lab is made of.
check_kernel()
{
	[[ -c /dev/net/tun ]] ||
	    refuse 'no /dev/net/tun: the kernel or this container has no TUN'
	( : <>/dev/net/tun ) 2>/dev/null ||
	    refuse 'cannot open /dev/net/tun: this container may not use TUN'
	unshare --net --mount true 2>/dev/null ||
	    refuse 'cannot make network namespaces in this kernel or container'
}

# The relay keeps no privilege, so what everybody may choose is all that it can
# choose once it runs.  That is one setting for the whole machine, so it is left
# to its owner.
check_bbr()
{
	local allowed=/proc/sys/net/ipv4/tcp_allowed_congestion_control

	grep -qw bbr "$allowed" && return
	say 'note: the relay does better where everybody may choose BBR:'
	say '      modprobe tcp_bbr'
	say "      echo $(<"$allowed") bbr >$allowed"
}

# Whether a need is there.
have()		# command, header or module
{
	case $1 in
	*.h)
		echo "#include <$1>" |
		    "${CC:-gcc}" -E -x c - >/dev/null 2>&1
		;;
	*.py)
		python3 -c "import ${1%.py}" 2>/dev/null
		;;
	*)
		command -v "$1" >/dev/null
		;;
	esac
}

apt()		# arguments...
{
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
	    apt-get -q -y -o DPkg::Lock::Timeout=600 "$@" </dev/null
}

# Install them; what apt says is shown when it fails.
install()	# package...
{
	local log

	say "installing: $*"
	log=$(mktemp) || die 'cannot make a file in /tmp'
	apt update >"$log" 2>&1 ||
	    say 'apt-get update failed; trying with the lists that are there'
	apt install --no-install-recommends "$@" >>"$log" 2>&1 || {
		cat "$log"
		rm -f "$log"
		die "apt-get cannot install what is needed: $*"
	}
	rm -f "$log"
}

require()	# need...
{
	local need missing=()

	for need in "$@"; do
		have "${need#*:}" || missing+=("${need%%:*}")
	done
	[[ ${#missing[@]} -gt 0 ]] || return 0
	command -v apt-get >/dev/null ||
	    refuse "install these (names as in Debian): ${missing[*]}"
	install "${missing[@]}"
	hash -r
	for need in "$@"; do
		have "${need#*:}" || die "still missing: ${need#*:}"
	done
}

# Nothing in a lab goes through a proxy but ours.  apt may need them before.
clear_proxy_variables()
{
	unset http_proxy https_proxy ftp_proxy all_proxy no_proxy \
	    HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY
}
