# SPDX-License-Identifier: ISC
"""A thousand sessions that nobody reads: see memory.sh."""

import os

from crowd import DAEMONS, close, echoes, fill, pairs, resident_kib, route
from probe import main, probe

SESSIONS = 1000
LIMIT_KIB = int(os.environ["LIMIT_KIB"])
BOUND_KIB = int(os.environ["BOUND_KIB"])        # 0: only printed


def memory(when):
    kib = {name: resident_kib(name) for name in DAEMONS}
    print(f"{when}: " + ", ".join(f"{name} {kib[name]} KiB"
                                  for name in DAEMONS), flush=True)
    return BOUND_KIB == 0 or all(k <= BOUND_KIB for k in kib.values())


def stopped_readers(what, writer):
    r = route()
    both = pairs(r, SESSIONS)
    memory(f"{what}, {SESSIONS} sessions")
    took = fill([pair[writer] for pair in both])
    alive = sum(t is not None for t in took)
    print(f"{what}: {sum(t or 0 for t in took) >> 20} MiB were taken, "
          f"{alive} sessions live", flush=True)
    bounded = memory(f"{what}, readers stopped")
    new = echoes(r)
    close(both)
    return bounded, alive >= SESSIONS * 9 // 10, new


GOOD = (True, True, True)


@probe("memory bounded, most sessions alive, a new one works: downloads",
       GOOD, direct=None, families=(4,))
def downloads(_):
    return stopped_readers("downloads", 1)


@probe("memory bounded, most sessions alive, a new one works: uploads",
       GOOD, direct=None, families=(4,))
def uploads(_):
    return stopped_readers("uploads", 0)


if __name__ == "__main__":
    main()
