# SPDX-License-Identifier: ISC
# shellcheck shell=bash disable=SC2154	# tmp, prefix
#
# For tests of faults, after lib.sh: daemons with tests/preload/fail.c.

# Has rorod been built with AddressSanitizer?
sanitized()
{
	grep -q __asan_init "$rorod_itself"
}

rorod_itself=$rorod

build_preload()
{
	local flags=()

	sanitized && flags=(-DFAIL_WITHOUT_MALLOC)	# it has its own
	# shellcheck disable=SC2086	# CC may have options
	${CC:-cc} -O1 -shared -fPIC "${flags[@]}" -o "$tmp/fail.so" \
	    "${srcdir:-.}/tests/preload/fail.c" -ldl >"$tmp/cc.out" 2>&1 || {
		cat "$tmp/cc.out"
		skip "needs a compiler and glibc"
	}
}

# From the next start on, daemons have these variables and the library; without
# any they are as usual.
with_faults()	# NAME=VALUE...
{
	rorod=$rorod_itself
	[ $# -gt 0 ] || return 0
	[ -e "$tmp/fail.so" ] || build_preload
	rorod=$tmp/rorod
	cat >"$rorod" <<-END
	#!/bin/sh
	exec env LD_PRELOAD="$tmp/fail.so" \
	    ASAN_OPTIONS="\$ASAN_OPTIONS:verify_asan_link_order=0" \
	    $* "$rorod_itself" "\$@"
	END
	chmod +x "$rorod"
}

# Transfers while that is so, see transfers.py.
transfers()	# seconds, at a time, bytes, least per cent that are whole, until
{
	PROBE_PREFIX=$prefix PYTHONDONTWRITEBYTECODE=1 python3 \
	    "${srcdir:-.}/tests/e2e/transfers.py" "$1" "$2" "$3" "$4" \
	    "${PATIENCE:-60}" "${@:5}" || failures=$((failures + 1))
}

# Both processes are there and serve.
alive()
{
	running relay && running proxy
}
