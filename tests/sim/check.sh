#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The simulator's part in make check: small writes beside bulk ones, transfers
# over a good path and another, what becomes of dials, then many seeds.  With
# RORO_UNIT_ONLY a sample of them, with RORO_LONG many more.

seeds=500 races=40 dials=300	# each bug of tests/sim/bugs shows in 400
test -z "$RORO_UNIT_ONLY" || seeds=200 races=10 dials=100
test -z "$RORO_LONG" || seeds=40000 races=1000 dials=40000

tests/sim/sim --lanes --verbose && tests/sim/sim --race --count "$races" &&
    tests/sim/sim --redial --count "$dials" &&
    tests/sim/sim --count "$seeds"
