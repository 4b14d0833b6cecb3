# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# Measuring.  The hosts are made here, as for the demo; what is done on them,
# and why so, is in tests/bench/bench.py.
#
# What two hops are compared with, HAProxy and Shadowsocks, would be started by
# installing their packages.  So these are only unpacked, beside the build, and
# the libraries that they need are installed.  Without them there is no
# comparison, but all the rest.

bench_options()
{
	bench_plan=full bench_output=
	while [[ $# -gt 0 ]]; do
		case $1 in
		--quick|--hops|--paths|--small|--uploads)
			bench_plan=${1#--}
			;;
		--output=*)
			bench_output=${1#*=}
			;;
		--output)
			[[ $# -ge 2 ]] || refuse "$1: a value is missing"
			bench_output=$2
			shift
			;;
		*)
			refuse "$1: no such option (see --help)"
			;;
		esac
		shift
	done
	# What the engine does not set itself.
	link_options
}

# A package's program that runs with that option, which makes it say something
# and end: sets $bench_program, to nothing if it cannot be had.
bench_find()	# package, program, option
{
	local unpacked=$top/build-lab/$1 download libraries

	bench_program=$(command -v "${2##*/}") && return
	bench_program=$unpacked/$2
	"$bench_program" "$3" >/dev/null 2>&1 && return
	bench_program=
	command -v apt-get >/dev/null || return
	mapfile -t libraries < <(apt-cache depends "$1" 2>/dev/null |
	    sed -n 's/^ *Depends: \(lib.*\)/\1/p')
	[[ ${#libraries[@]} -gt 0 ]] || return
	dpkg -s "${libraries[@]}" >/dev/null 2>&1 || install "${libraries[@]}"
	download=$(mktemp -d) || return
	( cd "$download" && apt download "$1" >/dev/null 2>&1 &&
	    chmod -R a+rX . ) &&
	    as_owner mkdir -p "$unpacked" &&
	    as_owner dpkg-deb -x "$download"/*.deb "$unpacked" &&
	    "$unpacked/$2" "$3" >/dev/null 2>&1 &&
	    bench_program=$unpacked/$2
	rm -rf "$download"
}

# Sets $bench_haproxy, and $bench_shadowsocks to where both of its programs
# are; or to nothing.
bench_find_others()
{
	bench_find haproxy usr/sbin/haproxy -v
	bench_haproxy=$bench_program
	bench_find shadowsocks-libev usr/bin/ss-tunnel -h
	bench_shadowsocks=${bench_program%/*}
	[[ -n $bench_haproxy ]] ||
	    say 'HAProxy cannot be had: two hops are measured without it'
	[[ -n $bench_shadowsocks ]] ||
	    say 'Shadowsocks cannot be had: two hops are measured without it'
}

# Both ends of that cable speak cubic, unless a program says otherwise.
bench_hop_cable()
{
	net_cable gateway hop0 relay hop0 4
	on gateway ip route change 10.77.4.0/24 dev hop0 src 10.77.4.1 \
	    congctl cubic &&
	on relay ip route change 10.77.4.0/24 dev hop0 src 10.77.4.2 \
	    congctl cubic || die 'cannot set the routes'
}

# Results belong to the owner of the tree, wherever they are.
bench_give_back()
{
	chown -R "$build_owner:$build_group" "$bench_output"
}

lab_bench()
{
	local status began

	check_kernel
	check_bbr
	require "${needs_build[@]}" "${needs_lab[@]}" "${needs_bench[@]}"
	bench_find_others
	clear_proxy_variables
	build_hold run
	build_make rorod roroctl tests/link --
	build_release
	began=$SECONDS
	: "${bench_output:=$top/build-lab/bench/$(date +%Y%m%d-%H%M%S)}"
	as_owner mkdir -p "$bench_output" || die "cannot make $bench_output"
	bench_output=$(readlink -f "$bench_output")

	net_up
	bench_hop_cable
	net_key
	net_write_rules
	say "measuring; all of it goes to $bench_output"
	apart python3 -B "$top/tests/bench/bench.py" --prefix "$net_prefix" \
	    --dir "$net_dir" --build "$build/obj" --parts "$parts" \
	    --server "$net_server4" --relay "$net_relay4" \
	    --output "$bench_output" --haproxy "$bench_haproxy" \
	    --shadowsocks "$bench_shadowsocks" \
	    --spent "$((SECONDS - began))" --plan "$bench_plan"
	status=$?
	bench_give_back
	exit $status
}
