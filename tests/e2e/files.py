# SPDX-License-Identifier: ISC
"""Clients keep coming while there are no descriptors left: see files.sh."""

import os
import resource
import socket
import time

from crowd import Load, carries, close, pairs, pid_of, route
from probe import accept, at, main, name_of, probe, until

SECONDS = 5 if os.environ.get("RORO_LONG") else 2
LOAD_MAX = float(os.environ["LOAD_MAX"])        # per cent of a processor
HELD = int(os.environ["HELD"])                  # sessions that are there first


def knock(r, port, seconds, every=0.01):
    """Connect again and again, without waiting for anything."""
    knocking = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with at("client"):
            s = socket.socket(r.family, socket.SOCK_STREAM)
        s.setblocking(False)
        try:
            s.connect((r.server, port))
        except BlockingIOError:
            pass
        knocking.append(s)
        time.sleep(every)
    return knocking


def descriptors(name):
    return len(os.listdir(f"/proc/{pid_of(name)}/fd"))


def beset(r, both):
    """Clients come and come: do the daemons keep calm, and do those who were
    there before go on?"""
    listener = r.listen(4096)
    with Load() as load:
        knocking = knock(r, listener.getsockname()[1], SECONDS)
    unharmed = all(carries(c, s) and carries(s, c) for c, s in both)
    print(f"{len(knocking)} knocked: {load}", flush=True)
    for s in knocking:
        s.close()
    listener.close()
    return max(load.used.values()) < LOAD_MAX, unharmed


def recovers(r):
    """One that comes too early is reset after connect(): its server does not
    see it, and is not waited for."""
    def works():
        try:
            with r.listen() as listener:
                listener.settimeout(2)
                client = r.connect(listener)
                server = accept(listener)
            return (carries(client, server, 10000) and
                    carries(server, client, 10000))
        except OSError as e:
            print(f"not yet: {name_of(e)}", flush=True)
            time.sleep(0.2)
            return False

    return until(works, 20)


@probe("calm, sessions unharmed, recovers: RLIMIT_NOFILE was small at start",
       (True, True, True), direct=None, families=(4,))
def small_from_the_start(_):
    r = route()
    both = pairs(r, HELD)
    calm, unharmed = beset(r, both)
    close(both)
    return calm, unharmed, recovers(r)


def none_left(name):
    """The same with a limit that a daemon does not know of."""
    r = route()
    both = pairs(r, 8)
    _, hard = resource.prlimit(pid_of(name), resource.RLIMIT_NOFILE)
    resource.prlimit(pid_of(name), resource.RLIMIT_NOFILE,
                     (descriptors(name), hard))
    calm, unharmed = beset(r, both)
    resource.prlimit(pid_of(name), resource.RLIMIT_NOFILE, (hard, hard))
    works = recovers(r)
    close(both)
    return calm, unharmed, works


@probe("calm, sessions unharmed, recovers: EMFILE at the proxy",
       (True, True, True), direct=None, families=(4,))
def none_left_at_the_proxy(_):
    return none_left("proxy")


@probe("calm, sessions unharmed, recovers: EMFILE at the relay",
       (True, True, True), direct=None, families=(4,))
def none_left_at_the_relay(_):
    return none_left("relay")


if __name__ == "__main__":
    main()
