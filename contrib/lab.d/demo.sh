# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# The same download twice over the same link: as it would be without us, and
# through rorod, which does not know what is coming.  The second time through
# rorod is shown as well, because its subflows know the link by then.

demo_limit=60		# s; a download that takes longer is stopped

# Of each download: seconds to the first byte and in all, bytes that arrived,
# and whole, stopped or what curl said.
declare -A demo_first=() demo_total=() demo_got=() demo_outcome=()

# ---- numbers for people ----

human_rate()	# bytes, seconds
{
	awk -v b="$1" -v s="$2" 'BEGIN {
		r = s > 0 ? b * 8 / s : 0
		if (r >= 1e6)
			printf "%.3g Mbit/s\n", r / 1e6
		else
			printf "%.0f kbit/s\n", r / 1e3
	}'
}

human_size()	# bytes
{
	awk -v b="$1" 'BEGIN {
		if (b >= 1e6)
			printf "%.4g MB\n", b / 1e6
		else
			printf "%.4g kB\n", b / 1e3
	}'
}

# ---- one download ----

# What happens to be there, every 5 seconds.
demo_progress()		# pid of curl, file
{
	local seconds=0 have

	while kill -0 "$1" 2>/dev/null; do
		sleep 0.2
		seconds=$((seconds + 1))
		[[ $((seconds % 25)) -eq 0 ]] || continue
		have=$(stat -c %s "$2" 2>/dev/null || echo 0)
		printf '      after %2d s: %s of %s\n' $((seconds / 5)) \
		    "$(human_size "$have")" "$(human_size "$size")"
	done
}

demo_download()		# name, port, what to say
{
	local name=$1 file=$net_dir/$1 status

	say "$3"
	: >"$file"
	ip netns exec "$net_prefix-client" curl -q --noproxy '*' -g -s -S -f \
	    --max-time $demo_limit -o "$file" \
	    -w '%{time_starttransfer} %{time_total} %{size_download}\n' \
	    "http://$server:$2/file" </dev/null \
	    >"$file.curl" 2>"$file.err" &
	demo_progress $! "$file"
	wait $!
	status=$?
	read -r "demo_first[$name]" "demo_total[$name]" "demo_got[$name]" \
	    <"$file.curl"
	case $status in
	0)
		demo_outcome[$name]=whole
		say "      $(human_size "$size") in $(printf %.1f "${demo_total[$name]}") s"
		;;
	28)
		demo_outcome[$name]=stopped
		say "      stopped after $demo_limit s:" \
		    "$(human_size "${demo_got[$name]}") had arrived"
		;;
	*)
		demo_outcome[$name]=failed
		say "      failed: $(<"$file.err")"
		;;
	esac
}

# ---- what came of it ----

# Bytes a second.
demo_rate()	# name
{
	awk -v b="${demo_got[$1]}" -v s="${demo_total[$1]}" \
	    'BEGIN { print (s > 0 ? b / s : 0) }'
}

# By rates, since what was stopped has no time.
demo_faster()	# name
{
	awk -v a="$(demo_rate "$1")" -v b="$(demo_rate direct)" 'BEGIN {
		x = b > 0 ? a / b : 0
		printf (x < 10 ? "%.1f times\n" : "%.0f times\n"), x
	}'
}

demo_row()	# name, what it is, how many times faster
{
	local mark=' '

	[[ ${demo_outcome[$1]} == whole ]] || mark='*'
	printf '  %-26s %8.2f s %8.2f s%s %12s   %s\n' "$2" \
	    "${demo_first[$1]}" "${demo_total[$1]}" "$mark" \
	    "$(human_rate "${demo_got[$1]}" "${demo_total[$1]}")" "$3"
}

demo_table()
{
	printf '\n  %-26s %10s %10s  %12s   %s\n' '' 'first byte' 'all of it' \
	    'rate' 'faster'
	demo_row direct 'directly (cubic)' ''
	demo_row through 'through ro-ro-tcp' "$(demo_faster through)"
	demo_row again 'through ro-ro-tcp, again' "$(demo_faster again)"
	[[ "${demo_outcome[*]}" != *stopped* ]] ||
	    say "  * stopped after $demo_limit s; the rate is that of what" \
		'had arrived'
	say
}

# What arrived is what was sent, or its beginning where it was stopped.
demo_same()	# name
{
	local file=$net_dir/$1

	[[ ${demo_outcome[$1]} != failed ]] &&
	    cmp -s -n "$(stat -c %s "$file")" "$file" "$net_dir/www/file" &&
	    [[ ${demo_outcome[$1]} == stopped ||
	    $(sha256sum <"$file") == $(sha256sum <"$net_dir/www/file") ]]
}

# Each download took the way that it should: the server saw who came.
demo_came_from()	# log, address
{
	grep -q -F "$2]:" "$net_dir/$1.log" ||
	    grep -q "^$2:" "$net_dir/$1.log"
}

demo_check()
{
	local name status=0

	for name in direct through again; do
		demo_same "$name" || {
			say "$name: WRONG: not the bytes that were sent"
			status=1
		}
	done
	if ! demo_came_from web-direct "$demo_client" ||
	    ! demo_came_from web "$demo_relay"; then
		say 'WRONG: a download did not go where it should have'
		status=1
	fi
	[[ $status -ne 0 ]] || say "All bytes are those that were sent" \
	    "(sha256 $(sha256sum <"$net_dir/www/file" | cut -c 1-16)...)."
	return $status
}

# Whoever comes when the proxy has died is let through.
demo_kill()
{
	local first

	say
	say '4. the first 100 kB once more, and rorod is killed at the gateway now'
	stop proxy KILL
	first=$(ip netns exec "$net_prefix-client" curl -q --noproxy '*' -g \
	    -s -S -f --max-time 30 -r 0-99999 -o /dev/null \
	    -w '%{time_starttransfer}\n' "http://$server:80/file" \
	    </dev/null 2>&1) && demo_came_from web "$demo_client" || {
		say "      WRONG: $first"
		return 1
	}
	printf '      it went directly: first byte after %.2f s\n' "$first"
}

# Which host the server should have seen.
demo_addresses()
{
	demo_client=10.77.1.2 demo_relay=10.77.3.1
	[[ $ip -eq 4 ]] || demo_client=fd77:1::2 demo_relay=fd77:3::1
}

# A machine with other things to do makes a worse link than was asked for.
demo_lateness()
{
	stop link
	awk '/^lateness/ { sub(".*p99_us=", ""); if ($1 > m) m = $1 }
	    END { if (m > 20000) printf "This machine was busy: packets were" \
		" up to %.0f ms late.\n", m / 1000 }' "$net_dir/link.log"
}

# ---- the command ----

# The lab with everything that runs in it; also for the shell.
demo_up()
{
	check_kernel
	require "${needs_build[@]}" "${needs_lab[@]}"
	clear_proxy_variables
	build_hold run
	build_make rorod roroctl tests/link --
	build_release
	net_up
	mkdir "$net_dir/www" &&
	    head -c "$size" /dev/urandom >"$net_dir/www/file" ||
	    die 'no room in /tmp'
	net_web "$net_dir/www"
	net_configure
	net_daemons
}

demo_picture()
{
	printf '\n  %s\n  %s\n  %39s\n\n' \
	    'client ------ gateway ============= relay ------ server' \
	    '              (rorod)               (rorod)' \
	    "$(human_rate "${rate}000" 8), $delay ms, $loss % lost"
}

lab_demo()
{
	local status

	demo_up
	demo_picture
	demo_download direct 8080 \
	    "1. $(human_size "$size") directly, without ro-ro-tcp (cubic)"
	demo_download through 80 '2. through ro-ro-tcp'
	demo_download again 80 '3. again, now that it knows the link'
	demo_table
	demo_addresses
	demo_check
	status=$?
	demo_kill || status=1
	demo_lateness
	say 'Try more: contrib/lab shell, and contrib/lab demo --help'
	exit $status
}
