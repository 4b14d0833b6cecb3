#!/bin/bash
# SPDX-License-Identifier: ISC
#
# roroctl makes keys that rorod takes: nobody else can read them, whatever the
# umask is, none is overwritten, and a full disk leaves none in part.

set -u

roroctl=${top_builddir:-.}/roroctl
tmp=$(mktemp -d "${TMPDIR:-/tmp}/keygen.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
failures=0

check()		# description, command...
{
	local what=$1
	shift
	if "$@"; then
		echo "ok: $what"
	else
		echo "FAILED: $what ($*)"
		failures=$((failures + 1))
	fi
}

# Exit status and, as a pattern, what is said on standard error.
says()		# status, pattern, arguments of roroctl...
{
	local status=$1 pattern=$2
	shift 2
	"$roroctl" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq "$status" ] || return
	[ -z "$pattern" ] || grep -qE -- "$pattern" "$tmp/err"
}

is_mode()	# mode, file
{
	[ "$(stat -c %a "$2")" = "$1" ]
}

a_key='^[A-Za-z0-9+/]{43}=$'
an_id='^key [0-9a-f]{16}$'

# ---- files ----

for mask in 000 022 077 777; do
	umask $mask
	check "a key with umask $mask" says 0 "$an_id" keygen "$tmp/$mask.key"
	umask 022
	check "nobody else reads it" is_mode 600 "$tmp/$mask.key"
	check "it is one line" [ "$(grep -cE "$a_key" "$tmp/$mask.key")" -eq 1 ]
	check "and no more" [ "$(wc -c <"$tmp/$mask.key")" -eq 45 ]
	check "nothing on standard output" [ ! -s "$tmp/out" ]
done
check "each is another" [ "$(cat "$tmp"/*.key | sort -u | wc -l)" -eq 4 ]

cp "$tmp/022.key" "$tmp/before"
check "none is overwritten" says 1 "022.key: is there already" \
    keygen "$tmp/022.key"
check "it is as before" cmp "$tmp/before" "$tmp/022.key"
ln -s nowhere "$tmp/link"
check "nor is one made behind a link" says 1 "is there already" \
    keygen "$tmp/link"
check "nothing is there" [ ! -e "$tmp/nowhere" ]
check "a directory that is not there" says 1 \
    "^roroctl: $tmp/no/a.key: No such file or directory$" keygen "$tmp/no/a.key"

# As on a full disk: the second half has no room.
full()
{
	local said
	said=$(
		trap '' XFSZ
		prlimit --fsize=20 --pid $BASHPID
		"$roroctl" keygen "$tmp/full.key" 2>&1
	)
	[ $? -eq 1 ] && [[ $said == *"full.key: File too large" ]]
}
if command -v prlimit >/dev/null; then
	check "a full disk is told" full
	check "no part is left" [ ! -e "$tmp/full.key" ]
fi

# ---- standard output ----

check "a key on standard output" says 0 "$an_id" keygen
check "it is one line" [ "$(grep -cE "$a_key" "$tmp/out")" -eq 1 ]
check "and no more" [ "$(wc -l <"$tmp/out")" -eq 1 ]
to_full()
{
	"$roroctl" "$@" >/dev/full 2>"$tmp/err"
	[ $? -eq 1 ] &&
	    grep -q "standard output: No space left" "$tmp/err"
}
check "no room is told" to_full keygen
check "no room is told" to_full keyid "$tmp/022.key"

# ---- ids ----

says 0 . keygen "$tmp/a.key"
id=$(sed 's/^key //' "$tmp/err")
check "it has an id" [ "$("$roroctl" keyid "$tmp/a.key")" = "$id" ]
chmod 640 "$tmp/a.key"
check "not when others may read it" says 1 "a.key: .*chmod 600" \
    keyid "$tmp/a.key"
check "nor when it is not there" says 1 "b.key: No such file" \
    keyid "$tmp/b.key"
echo "do not tell" >"$tmp/b.key"
chmod 600 "$tmp/b.key"
check "nor when it is no key" says 1 "b.key: expected a key" \
    keyid "$tmp/b.key"
check "what is in it is not told" [ "$(grep -c 'tell' "$tmp/err")" -eq 0 ]

# ---- arguments ----

check "a command is needed" says 2 '^usage:'
check "one that exists" says 2 '^usage:' keys
check "with its arguments" says 2 '^usage:' keyid
check "and no others" says 2 '^usage:' keygen "$tmp/x" "$tmp/y"
check "no file was made" [ ! -e "$tmp/x" ]
check "help" says 0 '' --help
check "names the commands" grep -qE '^  keygen \[FILE\]  ' "$tmp/out"
check "the version" says 0 '' --version
check "names the program" grep -q '^roroctl [^ ]' "$tmp/out"

[ "$failures" -eq 0 ]
