#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The table that nft/ makes, as nft lists it; who owns it, and what that means
# for a killed daemon, for a second one and for operators; what is said when
# something fails.  See table.py; no connection is made here.

rorod=${gate:-${top_builddir:-.}/tests/gate}
. "${srcdir:-.}/tests/e2e/lib.sh"

begin
go_first
export GATE=$rorod GATE_LOG=$tmp/gate.log
export TABLES=${srcdir:-.}/tests/e2e/table

probe table "$@"
finish
