#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Give each fuzz target its corpus once.  Files are named one by one, since
# libFuzzer (--enable-fuzzers) would take a directory as a wish to fuzz.

srcdir=${srcdir:-.}
status=0

for target in ${FUZZ_TARGETS-}; do
	corpus=$srcdir/tests/fuzz/corpus/${target##*/}
	set -- "$corpus"/*
	if ! test -e "$1"; then
		echo "$target: no corpus in $corpus" >&2
		status=1
	elif ! "./$target" "$@"; then
		echo "$target: failed on the last input above" >&2
		status=1
	fi
done
exit $status
