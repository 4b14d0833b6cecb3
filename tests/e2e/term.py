# SPDX-License-Identifier: ISC
"""A daemon that is told to end, the one with the pid $victim: see term.sh."""

import os
import signal
import time

from probe import (at_once, finish, main, name_of, pattern, probe, read, same,
                   until)

VICTIM = int(os.environ["victim"])
NEWCOMER = os.environ["newcomer"]       # what becomes of one
LOT = pattern(8 << 20)
SOON = 15               # long before `grace` is over


def ended():
    try:
        with open(f"/proc/{VICTIM}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def tell():
    os.kill(VICTIM, signal.SIGTERM)


def read_slowly(s, seconds):
    """All of LOT in that time, at least."""
    parts = []
    for _ in range(16):
        parts.append(read(s, len(LOT) // 16)[0])
        time.sleep(seconds / 16)
    rest, end = read(s)
    return same(b"".join(parts) + rest, LOT), end


def newcomer(route):
    """A proxy lets nobody in any more; what comes to a relay waits for its
    successor, which the script starts."""
    try:
        client, server = route.pair()
        client.sendall(b"new")
        return read(server, 3)[0].decode()
    except OSError as e:
        return name_of(e)


@probe("a transfer each way is finished, and newcomers",
       (("all", "EOF"), ("all", "EOF"), True, NEWCOMER), direct=None,
       families=(4,))
def under_way(route):
    down_client, down_server = route.pair()
    up_client, up_server = route.pair()

    def send(s):
        s.sendall(LOT)
        finish(s)

    def end():
        time.sleep(0.3)
        tell()
        time.sleep(0.1)
        return newcomer(route)

    _, _, down, up, new = at_once(
        lambda: send(down_server), lambda: send(up_client),
        lambda: read_slowly(down_client, 1),
        lambda: read_slowly(up_server, 1), end)
    for s in (down_client, down_server, up_client, up_server):
        s.close()
    return down, up, until(ended, SOON), new


@probe("what was sent and closed before arrives",
       (("all", "EOF"), True), direct=None, families=(4,))
def already_closed(route):
    client, server = route.pair()
    lot = pattern(1 << 19)      # as much as fits in between
    client.sendall(lot)
    client.close()
    tell()
    time.sleep(0.5)
    data, end = read(server)
    server.close()
    return (same(data, lot), end), until(ended, SOON)


main()
