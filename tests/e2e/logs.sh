#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Nobody takes the log: the disk is full, stderr is closed, a pipe without a
# reader or with one that does not read, or there is no syslog.  The daemons go
# on as if nothing were, and nothing of it gets into a connection.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
redirect 1100-2099

# From the next start on, daemons are started by this, in a mount namespace of
# their own; $RORODs arguments are in "$@".
start_by()	# shell command
{
	rorod=$tmp/wrapper
	{
		echo '#!/bin/bash'
		echo "rorod='$rorod_itself' tmp='$tmp'"
		echo "$1"
	} >"$rorod"
	chmod +x "$rorod"
}

unharmed()	# what
{
	echo "$1:"
	start_relay
	start_proxy
	transfers 1 8 300000 100
	check "both are alive" alive
	stop proxy
	stop relay
}

# shellcheck disable=SC2016	# expanded in the wrapper
{
	mkdir "$tmp/full"
	start_by 'mount -t tmpfs -o size=4k none "$tmp/full" &&
	    exec "$rorod" "$@" 2>>"$tmp/full/log"'
	unharmed "a full disk"

	start_by 'exec "$rorod" "$@" <&- >&- 2>&-'
	unharmed "closed standard streams"

	start_by 'exec "$rorod" "$@" 2> >(exit)'
	unharmed "a pipe without a reader"

	# A reader that does not read (it is the end of a fifo that we hold).
	mkfifo "$tmp/fifo"
	exec 9<>"$tmp/fifo"
	start_by 'exec "$rorod" "$@" 2>"$tmp/fifo" 9>&-'
	unharmed "a pipe that is full"
	unharmed "a pipe that was full from the start"
	exec 9>&-

	mkdir "$tmp/dev"
	start_by 'mount -t tmpfs none "$tmp/dev" &&
	    mknod "$tmp/dev/null" c 1 3 && mount --bind "$tmp/dev" /dev &&
	    exec "$rorod" "$@"'
	relay_config <<<"log = syslog"
	proxy_config <<<"log = syslog"
	unharmed "no syslog"
}

finish
