# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# All tests, the ones that need root included.  They are built by the owner of
# the tree and run by root, so their logs are given to the owner afterwards.
#
# What make says at the end of a failed run hides what failed; so its summary
# is held back, and printed last, after the end of each failed test's log.

test_options()
{
	test_flavour=test test_configure=() test_match=
	while [[ $# -gt 0 ]]; do
		case $1 in
		--sanitizers)
			test_flavour=sanitizers
			test_configure=(--enable-sanitizers)
			;;
		-*)
			refuse "$1: no such option (see --help)"
			;;
		*)
			[[ -z $test_match ]] ||
			    refuse "$1: one MATCH is enough (see --help)"
			test_match=$1
			;;
		esac
		shift
	done
}

# Names of the tests that match, one a line.
test_list()
{
	make -s --no-print-directory -C "$build/obj" list-tests |
	    grep -E -e "$test_match"
}

# Everything but the summary, which comes from the log later.
test_filter()
{
	grep --line-buffered -v -E \
	    -e '^# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR):' \
	    -e '^Testsuite summary' -e '^={20,}$' \
	    -e '^See \./test-suite\.log' -e '^make.*: (\*\*\*|Entering|Leaving)'
}

# Tests with one result, as their .trs files have it.
test_with()	# result
{
	local name trs

	for name in "${test_names[@]}"; do
		trs=$build/obj/${name%.sh}.trs
		if grep -q "^:test-result: $1" "$trs" 2>/dev/null; then
			echo "$name"
		fi
	done
}

test_show_failed()
{
	local name

	for name in $(test_with FAIL) $(test_with ERROR); do
		say "---- $name: what failed, and the end of its log ----"
		grep -a -m 20 '^FAILED' "$build/obj/${name%.sh}.log"
		tail -n 60 "$build/obj/${name%.sh}.log"
	done
}

# Tests that did not find what they need here.
test_skipped()
{
	test_with SKIP | grep .
}

# Give back what root has written.
test_give_back()
{
	[[ $build_owner -eq 0 ]] ||
	    chown -R -h "$build_owner:$build_group" "$build/obj"
}

test_make()	# arguments...
{
	make -s --no-print-directory -C "$build/obj" "$@" 2>&1 | test_filter
	return "${PIPESTATUS[0]}"
}

test_end()
{
	apart_end
	test_give_back
}

# As automake has it.
test_summary()
{
	local line

	line=$(printf '=%.0s' {1..76})
	printf '%s\n%s\n%s\n' "$line" 'Testsuite summary' "$line"
	grep -m 7 -E '^# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR):' \
	    "$build/obj/test-suite.log"
	say "$line"
}

lab_test()
{
	local status skipped

	check_kernel
	require "${needs_build[@]}" "${needs_test[@]}"
	clear_proxy_variables
	build_hold "$test_flavour"
	build_make check TESTS= -- --enable-tests=all "${test_configure[@]}"
	mapfile -t test_names < <(test_list)
	[[ ${#test_names[@]} -gt 0 ]] ||
	    refuse "$test_match: no test has that in its name"

	trap test_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	rm -f "$build/obj/test-suite.log"
	# Most tests wait more than they compute.
	apart test_make -j"$(($(nproc) * 3))" check TESTS="${test_names[*]}"
	status=$?
	[[ -e $build/obj/test-suite.log ]] || die 'the tests did not run'

	test_show_failed
	skipped=$(test_skipped) && {
		say "skipped, which here is a failure:" $skipped
		status=1
	}
	test_summary
	[[ $status -eq 0 ]] || exit 1
}
