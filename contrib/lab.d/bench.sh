# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# Nothing yet.

bench_options()
{
	refuse 'bench: not built yet'
}

lab_bench()
{
	:
}
