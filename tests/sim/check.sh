#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The simulator's part in make check: small writes beside bulk ones, transfers
# over a good path and another, sessions beside a path that turns bad, what
# becomes of dials, then many seeds; with RORO_LONG many more.  The sanitizers make
# it ten times as slow, so they see a sample, and prove.sh, which does without
# them, goes on behind it.

seeds=200 races=10 late=10 dials=100
test -z "$RORO_LONG" || seeds=40000 races=1000 late=4000 dials=40000

tests/sim/sim --lanes --verbose && tests/sim/sim --race --count "$races" &&
    tests/sim/sim --late --count "$late" &&
    tests/sim/sim --redial --count "$dials" &&
    tests/sim/sim --count "$seeds"
