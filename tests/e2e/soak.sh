#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A short soak: some faults from a plan that is always the same, under sessions
# of all kinds.  See tests/soak/soak.py; `make soak` is the real one.
#
# RORO_LONG=1: five minutes of a plan that is new each time.

soak=("${srcdir:-.}/tests/soak/soak.py" --build "${top_builddir:-.}")
export PYTHONDONTWRITEBYTECODE=1
command -v python3 >/dev/null || { echo "skipped: needs python3"; exit 77; }
if [ -n "${RORO_LONG-}" ]; then
	exec python3 "${soak[@]}" --minutes 5
fi
SEED=${SEED:-13} exec python3 "${soak[@]}" --seconds 15
