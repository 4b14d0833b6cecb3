#!/bin/bash
# SPDX-License-Identifier: ISC
#
# rorod --check-config reads the keys as well, and warns of what the daemon
# could not read again once it has become somebody else.  The latter only as
# root.

set -u

rorod=${top_builddir:-.}/rorod
roroctl=${top_builddir:-.}/roroctl
tmp=$(mktemp -d "${TMPDIR:-/tmp}/check_config.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
chmod 755 "$tmp"
failures=0

check()		# description, command...
{
	local what=$1
	shift
	if "$@"; then
		echo "ok: $what"
	else
		echo "FAILED: $what ($*)"
		cat "$tmp/err"
		failures=$((failures + 1))
	fi
}

# Exit status, and as a pattern each line that is said, in any order.
says()		# status, patterns...
{
	local status=$1
	shift
	"$rorod" --check-config -c "$tmp/rorod.conf" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq "$status" ] || return
	[ ! -s "$tmp/out" ] || return
	[ "$(wc -l <"$tmp/err")" -eq $# ] || return
	local pattern
	for pattern; do
		grep -qE -- "$pattern" "$tmp/err" || return
	done
}

relay()		# more lines
{
	cat >"$tmp/rorod.conf" <<-END
	role = relay
	listen = "[::]:1093"
	peer "one" { key-file = { "$tmp/a.key", "$tmp/b.key" } }
	$*
	END
}

"$roroctl" keygen "$tmp/a.key" 2>/dev/null || exit 99
"$roroctl" keygen "$tmp/b.key" 2>/dev/null || exit 99
"$roroctl" keygen "$tmp/c.key" 2>/dev/null || exit 99

relay
check "keys that roroctl makes" says 0
relay "peer \"two\" { key-file = \"$tmp/c.key\" }"
check "another peer" says 0
cp "$tmp/b.key" "$tmp/c.key"
check "not one key for two" says 1 \
    "^rorod: $tmp/rorod.conf:4: peer key-file: expected a key of its own for each\
 peer, found in $tmp/c.key that of peer \"one\"$"
relay "peer \"two\" { key-file = \"$tmp/d.key\" }"
check "nor one that is not there" says 1 "^rorod: $tmp/d.key: No such file"
relay
chmod 640 "$tmp/b.key"
check "nor one that others may read" says 1 "^rorod: $tmp/b.key: .*chmod 600"
chmod 600 "$tmp/b.key"
cat >"$tmp/rorod.conf" <<END
role = proxy
intercept { interfaces = lan0 }
relay "a" { address = "192.0.2.1:1093" key-file = "$tmp/d.key" }
END
check "a proxy's neither" says 1 "^rorod: $tmp/d.key: No such file"
sed -i 's/d\.key/a.key/' "$tmp/rorod.conf"
cat >>"$tmp/rorod.conf" <<END
relay "b" { address = "192.0.2.2:1093" key-file = "$tmp/a.key" }
END
check "but one key for two relays" says 0
relay 'user = "no.such.user"'
check "a user that is not there" says 1 "no.such.user"

if [ "$(id -u)" -eq 0 ] && id nobody >/dev/null 2>&1; then
	relay 'user = nobody'
	check "keys that are not read again" says 0 \
	    "^rorod: warning: $tmp/a.key: Permission denied" \
	    "^rorod: warning: $tmp/b.key: Permission denied"
	chown nobody "$tmp/a.key" "$tmp/b.key"
	check "those of the user are" says 0
	chmod 400 "$tmp/a.key"
	check "even when it cannot write" says 0
	chmod 600 "$tmp/rorod.conf"
	check "a configuration that is not" says 0 \
	    "^rorod: warning: $tmp/rorod.conf: Permission denied"
	chmod 644 "$tmp/rorod.conf"
	chmod 700 "$tmp"
	check "nor what is behind a directory" says 0 \
	    "rorod.conf: Permission denied" "a.key: Permission denied" \
	    "b.key: Permission denied"
	chmod 755 "$tmp"
	relay
	check "without a user, those of others are none" says 1 \
	    "a.key: expected a file of root's"
fi

[ "$failures" -eq 0 ]
