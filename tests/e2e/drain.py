# SPDX-License-Identifier: ISC
"""A daemon that is told to end, as its sessions see it: see drain.sh."""

import os
import signal
import time

from crowd import carries, pid_of
from probe import at_once, end_of, finish, main, probe, read, until

DAEMON = os.environ["DAEMON"]
GRACE = int(os.environ["GRACE"])
AT_ONCE = GRACE / 2     # long before grace is over, also on a busy machine


def tell():
    os.kill(pid_of(DAEMON), signal.SIGTERM)
    return time.monotonic()


def gone():
    try:
        with open(f"/proc/{pid_of(DAEMON)}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def gone_after(begin):
    until(gone)
    return time.monotonic() - begin


def bytes_then_ends(route):
    """A session that goes on for a while and ends well."""
    client, server = route.pair()
    begin = tell()
    time.sleep(0.5)
    here = not gone()
    good = carries(client, server) and carries(server, client)
    finish(client)
    asked = read(server)
    server.sendall(b"bye")
    server.close()
    answer = read(client)
    return here, good, asked, answer, gone_after(begin) < GRACE - 0.2


@probe("open sessions end well, then it ends",
       (True, True, (b"", "EOF"), (b"bye", "EOF"), True), direct=None,
       families=(4,))
def ends_well(route):
    return bytes_then_ends(route)


@probe("after grace, both ends are reset",
       ("ECONNRESET", "ECONNRESET", True), direct=None, families=(4,))
def grace_is_over(route):
    client, server = route.pair()
    begin = tell()
    ends = at_once(lambda: end_of(client), lambda: end_of(server))
    return *ends, GRACE - 0.2 < gone_after(begin) < 2 * GRACE + 5


@probe("a second signal ends it at once, and both ends are reset",
       ("ECONNRESET", "ECONNRESET", True), direct=None, families=(4,))
def second_signal(route):
    client, server = route.pair()
    begin = tell()
    time.sleep(0.2)
    tell()
    ends = at_once(lambda: end_of(client), lambda: end_of(server))
    return *ends, gone_after(begin) < AT_ONCE


@probe("without sessions it ends at once", True, direct=None, families=(4,))
def idle(route):
    return gone_after(tell()) < AT_ONCE


if __name__ == "__main__":
    main()
