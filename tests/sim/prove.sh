#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The simulator finds nothing in core as it is (check.sh does more of that), and
# finds what it is there to find: built against a copy of core with a bug planted,
# it has to fail, and without the bug the same seed has to pass.
#
# Each bug is a patch in bugs/, with a word on what it is; it has to apply without
# fuzz, so that a change of core cannot turn it into something else unnoticed.  A
# line "step: N" in it means that only each Nth seed can show it, a line
# "with: --race" that races have to, and a line "seen: N" that this seed showed it
# once: it is tried first.

srcdir=${srcdir:-.}
CC=${CC:-cc}
seeds=${SEEDS:-400}		# it has to be found within so many
# So many are clean without any; the first of them are check.sh's.
clean=201-500 races=11-40 late=11-40 dials=101-300
test -z "${RORO_UNIT_ONLY-}" || clean=
modules='addr adopt bucket budget exchange group group_subflows health numbers
    paths receive redial reinject reorder sched sendq session session_local
    share silence transmit wire worth'

command -v patch >/dev/null || {
	echo 'patch is missing (Debian and OpenWrt: patch)' >&2
	exit 77
}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/prove.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM

# compile TREE FILE OBJECT
compile()
{
	$CC -std=gnu11 -O1 -D_GNU_SOURCE -I"$1/daemon" -c "$2" -o "$3"
}

# The simulator, and core as it is.
mkdir -p "$tmp/none/daemon/core" "$tmp/sim" || exit 99
cp "$srcdir"/daemon/core/*.[ch] "$tmp/none/daemon/core" || exit 99
for source in "$srcdir"/tests/sim/*.c; do
	compile "$tmp/none" "$source" "$tmp/sim/$(basename "$source" .c).o" ||
	    exit 1
done
for module in $modules; do
	compile "$tmp/none" "$tmp/none/daemon/core/$module.c" \
	    "$tmp/none/$module.o" || exit 1
done
$CC -o "$tmp/none/sim" "$tmp"/sim/*.o "$tmp"/none/*.o || exit 1

# plant PATCH TREE: core with the bug in TREE, and a simulator of it
plant()
{
	mkdir -p "$2" && cp -R "$tmp/none/daemon" "$2" &&
	    cp "$tmp"/none/*.o "$2" || return 1
	if ! patch -s -p1 --fuzz=0 -d "$2" <"$1" >&2; then
		echo "$1 does not fit core any more: make it again" >&2
		return 1
	fi
	changed=$(sed -n 's|^+++ b/daemon/core/\(.*\)\.c$|\1|p' "$1")
	for module in $changed; do
		compile "$2" "$2/daemon/core/$module.c" "$2/$module.o" ||
		    return 1
	done
	$CC -o "$2/sim" "$tmp"/sim/*.o "$2"/*.o
}

status=0
if test -n "$clean"; then
	"$tmp/none/sim" --race --seeds "$races" || status=1
	"$tmp/none/sim" --late --seeds "$late" || status=1
	"$tmp/none/sim" --redial --seeds "$dials" || status=1
	"$tmp/none/sim" --seeds "$clean" || status=1
fi
for bug in "$srcdir"/tests/sim/bugs/*.patch; do
	name=$(basename "$bug" .patch)
	step=$(sed -n 's/^step: //p' "$bug")
	step=${step:-1}
	with=$(sed -n 's/^with: //p' "$bug")
	last=$((seeds * step))
	seen=$(sed -n 's/^seen: //p' "$bug")
	if ! plant "$bug" "$tmp/$name"; then
		status=1
		continue
	fi
	# shellcheck disable=SC2086 # options, or none
	if { test -z "$seen" ||
	    "$tmp/$name/sim" $with --seed "$seen" >"$tmp/out" 2>&1; } &&
	    "$tmp/$name/sim" $with --seeds "1-$last" --step "$step" \
	    >"$tmp/out" 2>&1; then
		echo "$name: not found in $seeds seeds" >&2
		status=1
		continue
	fi
	found=$(sed -n 's/^\(seed [0-9]*:\)/\1/p' "$tmp/out" | head -n 1)
	echo "$name: ${found:-$(tail -n 1 "$tmp/out")}"
	seed=${found#seed }
	seed=${seed%%:*}
	if test -z "$seed"; then
		status=1	# it ended in some other way
		continue
	fi
	# shellcheck disable=SC2086 # options, or none
	if ! "$tmp/none/sim" $with --seed "$seed" >"$tmp/out" 2>&1; then
		echo "$name: seed $seed fails without it as well" >&2
		cat "$tmp/out" >&2
		status=1
	elif test -n "${RENEW-}"; then
		awk -v "seed=$seed" '
		    /^seen: / { print "seen: " seed; n++; next }
		    /^--- / && !n++ { print "seen: " seed "\n" }
		    { print }' "$bug" >"$tmp/out" &&
		    cat "$tmp/out" >"$bug"
	fi
	rm -rf "${tmp:?}/$name"
done
exit $status
