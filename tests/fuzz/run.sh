#!/bin/sh
# SPDX-License-Identifier: ISC
#
# usage: run.sh SECONDS TARGET ...
#
# Let each fuzz target look for new inputs for so long, one after the other,
# starting from its corpus and from what it found before (fuzz/NAME).  What
# each has to say goes to fuzz/NAME.log, an input that it fails on to
# fuzz/NAME-*; at the end there is a table of all.
#
# To keep what was found, the least of it that reaches everything:
#	TARGET -merge=1 NEW tests/fuzz/corpus/NAME fuzz/NAME

srcdir=${srcdir:-.}
seconds=$1
shift
status=0

# stat NAME LOG: the last of what -print_final_stats says
stat()
{
	sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

# reached WORD LOG: "cov" or "ft" of the last line that has it
reached()
{
	sed -n "s/^#.*[[:space:]]$1: \([0-9]*\) .*/\1/p" "$2" | tail -n 1
}

row()
{
	printf '%-20s %12s %9s %9s %9s %6s  %s\n' "$@"
}

mkdir -p fuzz || exit 1
: >fuzz/table
for target; do
	name=${target##*/}
	log=fuzz/$name.log
	echo "$name: $seconds s, new inputs in fuzz/$name"
	mkdir -p "fuzz/$name" || exit 1
	result=ok
	"./$target" -max_total_time="$seconds" -timeout=10 \
	    -print_final_stats=1 -artifact_prefix="fuzz/$name-" \
	    "fuzz/$name" "$srcdir/tests/fuzz/corpus/$name" >"$log" 2>&1 || {
		result=$(sed -n 's/.*Test unit written to //p' "$log")
		result="failed: ${result:-$log}"
		status=1
	}
	row "$name" "$(stat number_of_executed_units "$log")" \
	    "$(stat average_exec_per_sec "$log")" "$(reached cov "$log")" \
	    "$(reached ft "$log")" "$(stat new_units_added "$log")" \
	    "$result" >>fuzz/table
done
echo
row target executions 'a second' coverage features new result
cat fuzz/table
exit $status
