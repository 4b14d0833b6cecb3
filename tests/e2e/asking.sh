# SPDX-License-Identifier: ISC
# shellcheck shell=bash disable=SC2154	# tmp
#
# For tests with the client of failopen.py, after lib.sh.

helper=${srcdir:-.}/tests/e2e/failopen.py

# The monotonic clock.
now()
{
	local uptime
	read -r uptime _ </proc/uptime
	echo "$uptime"
}

# A server, and a client that asks for as long as it is let.
start_asking()
{
	start server server python3 "$helper" serve 1100
	wait_for 10 listening server 1100
	start client client python3 "$helper" ask "$tmp/asked"
	wait_for 10 test -s "$tmp/asked"
}

# After what happened at $at, within so many seconds (and twice that), new
# connections go that way.
then_all_go()	# D|R, within, what happened, [none], [not before]
{
	check "$mode: $3: $1 within $2 s${4:+, and none fails}" python3 \
	    "$helper" judge "$tmp/asked" "$at" "${5:-0}" "$2" "$1" \
	    ${4:+"$4"}
}

end_of()	# name
{
	kill "$(pid_of "$1")"
	wait "$(pid_of "$1")" 2>/dev/null
	unset "pids[$1]"
	rm -f "$tmp/$1.log"
}
