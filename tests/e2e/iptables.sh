#!/bin/bash
# SPDX-License-Identifier: ISC
#
# contrib/examples/iptables-redirect.sh and iptables-tproxy.sh: what they catch
# and what they leave alone, over IPv4 and IPv6; that they can be started again
# and stopped, and touch nothing of anybody else's.  A listener of Python stands
# in for rorod.  See iptables.py.

rorod=${gate:-${top_builddir:-.}/tests/gate}
. "${srcdir:-.}/tests/e2e/lib.sh"

command -v iptables >/dev/null || skip "needs iptables"
begin
for iptables in iptables ip6tables; do
	on gateway $iptables -t nat -S >/dev/null 2>&1 ||
	    skip "this kernel has no $iptables"
done
export GATE=$rorod GATE_LOG=$tmp/gate.log
: >"$GATE_LOG"
export EXAMPLES=${srcdir:-.}/contrib/examples

probe iptables "$@"
finish
