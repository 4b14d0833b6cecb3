#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What contrib/lab bench compares: each configuration of its daemons starts, over
# the emulated link and over two hops, and carries a download.  How fast says
# nothing here.

top=$(readlink -f "${srcdir:-.}")
parts=$top/contrib/lab.d
built=$(readlink -f "${top_builddir:-.}")

skip()		# why...
{
	echo "skipped: $*"
	exit 77
}

die()
{
	echo "FAILED: $*"
	exit 1
}

refuse()
{
	die "$@"
}

[[ $EUID -eq 0 ]] || skip 'needs root'
command -v ip >/dev/null || skip 'needs ip (iproute2)'
command -v nft >/dev/null || skip 'needs nft (nftables)'
[[ -e /dev/net/tun ]] || skip 'needs /dev/net/tun'

# shellcheck source=contrib/lab.d/net.sh
. "$parts/net.sh"
# shellcheck source=contrib/lab.d/bench.sh
. "$parts/bench.sh"

# For net.sh: the link, nothing that contrib/lab runs apart, and where it looks
# for programs; its clean_up removes what has that name.
# shellcheck disable=SC2034
rate=100000 delay=20 loss=0 ip=4
apart_end()
{
	:
}

ip netns add "$net_prefix-client" 2>/dev/null ||
    skip 'needs network namespaces'
ip netns del "$net_prefix-client"
build=$(mktemp -d "/tmp/$net_prefix.XXXXXX") || exit 99
ln -s "$built" "$build/obj"
net_up
bench_hop_cable
net_key
net_write_rules

output=$build/results
mkdir "$output"
haproxy=$(command -v haproxy)
shadowsocks=$(command -v ss-tunnel)
python3 -B "$top/tests/bench/bench.py" --prefix "$net_prefix" \
    --dir "$net_dir" --build "$built" --parts "$parts" \
    --server "$net_server4" --relay "$net_relay4" --output "$output" \
    --haproxy "$haproxy" --shadowsocks "${shadowsocks%/*}" --plan smoke
status=$?
if [[ $status -ne 0 ]]; then
	tail -n 20 "$net_dir"/*.log
	die "the bench ended with $status"
fi
grep -E 'Sanitizer|runtime error:|Assertion .* failed' "$net_dir"/*.log &&
    die 'a report of a sanitizer'

# Everything that it has tells of bytes that came.
python3 - "$output/results.jsonl" "$top/tests/bench" <<-'END'
	import json, sys
	sys.path.insert(0, sys.argv[2])
	sys.dont_write_bytecode = True
	import bench, hops
	with open(sys.argv[1]) as file:
	    results = [json.loads(line) for line in file]
	carried = {r.get("way", r.get("name")): r["bytes"] for r in results
	           if r["kind"] in ("download", "hops")}
	print(carried)
	expected = {*bench.SERVER_PORT, *hops.RORODS}
	with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as file:
	    if "bbr" not in file.read():
	        expected.remove("bbr")
	wrong = [name for name in expected if not carried.get(name)]
	print("FAILED: nothing came: " + ", ".join(wrong) if wrong else
	      "ok: all of it carries")
	sys.exit(bool(wrong))
END
