# SPDX-License-Identifier: ISC
"""Many connections at a time, and what the daemons need for them: what the
tests of limits and faults share.  The daemons are those of lib.sh, whose
process ids are in PROXY_PID and RELAY_PID."""

import os
import select
import socket
import time

from probe import THROUGH, Route, accept, pattern, same

DAEMONS = ("proxy", "relay")


def route(family=socket.AF_INET):
    """From the client through rorod to the server."""
    return Route(THROUGH, family)


# ---- daemons ----

def pid_of(name):
    return int(os.environ[name.upper() + "_PID"])


def descriptors(name):
    return len(os.listdir(f"/proc/{pid_of(name)}/fd"))


def resident_kib(name):
    with open(f"/proc/{pid_of(name)}/status") as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("VmRSS:"))


def cpu_seconds(name):
    with open(f"/proc/{pid_of(name)}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    """How much of a processor each daemon takes:

        with Load() as load:
            ...
        load.of("proxy")        # per cent
    """

    def __enter__(self):
        self.begin = time.monotonic()
        self.before = {name: cpu_seconds(name) for name in DAEMONS}
        return self

    def __exit__(self, *_):
        took = time.monotonic() - self.begin
        self.used = {name: 100 * (cpu_seconds(name) - self.before[name]) / took
                     for name in DAEMONS}

    def of(self, name):
        return self.used[name]

    def __str__(self):
        return ", ".join(f"{name} {self.of(name):.1f} %" for name in DAEMONS)


# ---- connections ----

def pairs(r, n):
    """Client and server of each."""
    listener = r.listen(4096)
    both = []
    for _ in range(n):
        client = r.connect(listener)
        both.append((client, accept(listener)))
    listener.close()
    return both


def close(both):
    for client, server in both:
        client.close()
        server.close()


def fill(sockets, quiet=1.5, at_most=30):
    """Write to all until nobody has taken anything for `quiet` seconds; how many
    bytes were taken, None for those that were reset."""
    block = bytes(65536)
    poll = select.poll()
    by_fd = {}
    took = {}
    for s in sockets:
        s.setblocking(False)
        poll.register(s, select.POLLOUT)
        by_fd[s.fileno()] = s
        took[s] = 0
    end = time.monotonic() + at_most
    last = time.monotonic()
    while time.monotonic() - last < quiet and time.monotonic() < end:
        for fd, _ in poll.poll(100):
            s = by_fd[fd]
            try:
                took[s] += s.send(block)
                last = time.monotonic()
            except BlockingIOError:
                pass
            except OSError:
                poll.unregister(fd)
                took[s] = None
    return [took[s] for s in sockets]


def echoes(r, size=100000):
    """Does a new connection carry `size` bytes there and back?"""
    client, server = r.pair()
    return carries(client, server, size) and carries(server, client, size)


def carries(one, other, size=1000, seed=1):
    """Do bytes go from one end to the other?"""
    data = pattern(size, seed)
    got = b""
    one.setblocking(True)
    other.setblocking(True)
    one.settimeout(30)
    other.settimeout(30)
    sent = 0
    while len(got) < size:
        if sent < size:
            sent += one.send(data[sent:sent + 16384])
        part = other.recv(65536)
        if part == b"":
            return False
        got += part
    return same(got, data) == "all"
