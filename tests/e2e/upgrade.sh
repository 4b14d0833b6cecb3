#!/bin/bash
# SPDX-License-Identifier: ISC
#
# An older version at one end, and this one at the other: sessions go on both ways,
# also while subflows die and the link is away, and a relay of the other version
# can take the place of one.  What each does not know of the other it skips.
#
# OLDER=DIR: where the older one was built.  With RORO_LONG=1, in a tree of git, it
# is made here: the last one without what made sessions outlive their link, that is
# without the frames and the feature that came with it.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/far.sh"

before=459c360c7fd821e47253f0c99ec98fcb73a7a291

make_older()
{
	local tree=$tmp/older
	git -C "${srcdir:-.}" cat-file -e "$before^{commit}" 2>/dev/null ||
	    skip "needs a tree of git that has $before"
	command -v autoreconf >/dev/null || skip "needs autoconf"
	mkdir "$tree"
	git -C "${srcdir:-.}" archive "$before" | tar -x -C "$tree"
	(cd "$tree" && autoreconf -fi && ./configure --disable-tests &&
	    make -j 2 rorod) >"$tmp/older.out" 2>&1 ||
	    give_up "the older one is not built: $(tail -n 5 "$tmp/older.out")"
	OLDER=$tree
}

kill_port()	# filter of ss...
{
	on gateway ss -tK "dport = :$relay_port" "$@" >/dev/null
}

together()	# proxy, relay
{
	echo "    proxy: $1, relay: $2"
	rorod=${!2}
	: >"$tmp/relay.log"
	start_relay
	rorod=${!1}
	start_proxy
	wait_for 10 known || give_up "the relay does not know its subflows"
	carry 4
	kill_port "and sport = :$(on gateway ss -Htn state established \
	    "dport = :$relay_port" |
	    sed -n '1s/^[0-9]* *[0-9]* *[^ ]*:\([0-9]*\) .*/\1/p')"
	mark back "$(trips 1 3)" "52: one of four is reset"
	wait_for 20 goes_on
	check "it is replaced" wait_for 10 connected
	kill_port
	mark back "$(trips 1 3)" "52: all four are reset"
	wait_for 20 goes_on
	hole on
	sleep 4
	hole off
	mark back "$(trips 5 3)" "52: everything is lost for 4 s"
	wait_for 40 goes_on
	carried
	check "a large one arrives" on client \
	    python3 "$steady" small "$server4" 1100 1 2000000
	# A relay of the other version in the place of this one.
	stop relay
	rorod=${!1}
	: >"$tmp/relay.log"
	start_relay
	# (Before that the proxy may not have heard that its group is not known,
	# and what begins then is reset with the old sessions.)
	check "a relay like the proxy takes its place" wait_for 20 known
	check "and works" on client \
	    python3 "$steady" small "$server4" 1100 1 2000000
	stop relay
	stop proxy
}

steady="${srcdir:-.}/tests/e2e/steady.py"

begin
if [ -z "${OLDER-}" ]; then
	[ -n "${RORO_LONG-}" ] || skip "needs OLDER=DIR, or RORO_LONG=1"
	make_older
fi
# shellcheck disable=SC2034	# by their names
old=$(readlink -f "$OLDER/rorod") new=$rorod
[ -x "$old" ] || give_up "there is no $OLDER/rorod"
go_first
far
start server server python3 "$steady" serve 1100
wait_for 10 listening server 1100 || give_up "there is no server"
redirect 1100-2099
together old new
together new old
finish
