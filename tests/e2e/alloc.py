# SPDX-License-Identifier: ISC
"""Address space that runs out, long before memory-limit: see alloc.sh."""

import resource

from crowd import (DAEMONS, carries, close, echoes, fill, pairs, pid_of,
                   resident_kib, route)
from probe import main, probe, until

MORE_BYTES = 8 << 20
SESSIONS = 100


def limit_memory(name):
    with open(f"/proc/{pid_of(name)}/status") as f:
        kib = next(int(line.split()[1]) for line in f
                   if line.startswith("VmSize:"))
    resource.prlimit(pid_of(name), resource.RLIMIT_AS,
                     (kib * 1024 + MORE_BYTES, resource.RLIM_INFINITY))


def works(r):
    try:
        return echoes(r, 10000)
    except OSError:
        return False


@probe("readers stop and memory runs out: the idle session lives, and "
       "afterwards new ones work", (True, True), direct=None, families=(4,))
def address_space(_):
    r = route()
    idle = pairs(r, 1)
    both = pairs(r, SESSIONS)
    for name in DAEMONS:
        limit_memory(name)
    took = fill([server for _, server in both])
    print(f"{sum(t is None for t in took)} of {SESSIONS} were reset; " +
          ", ".join(f"{name} {resident_kib(name)} KiB" for name in DAEMONS),
          flush=True)
    close(both)
    again = until(lambda: works(r), 20)
    return all(carries(c, s) and carries(s, c) for c, s in idle), again


if __name__ == "__main__":
    main()
