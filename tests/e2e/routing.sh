#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The rules and routes that nft/ makes for TPROXY, as ip lists them: added once,
# replaced when the plan changes, removed, with nothing of anybody else's
# touched.  And what is said when the machine changes.  See routing.py.

rorod=${gate:-${top_builddir:-.}/tests/gate}
. "${srcdir:-.}/tests/e2e/lib.sh"

begin
export GATE=$rorod GATE_LOG=$tmp/gate.log

probe routing "$@"
finish
