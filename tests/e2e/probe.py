# SPDX-License-Identifier: ISC
"""Both ends of a TCP connection in one process, so that a few lines can say
what one end does and what the other one sees.

A probe is a function that is given a Route, makes connections over it, and
returns what both ends saw.  Most are run twice: over a direct connection, to
know what TCP does by itself, and through rorod, and both have to give what the
probe expects:

    @probe("a reset by the client reaches the server", "ECONNRESET")
    def client_resets(route):
        client, server = route.pair()
        reset(client)
        return end_of(server)

The hosts are those of lib.sh, which also tells us their names; ports from
THROUGH are redirected to the proxy there, those from DIRECT are not.  A socket
belongs to the namespace where it was made, so only making it needs to be there.

With PROBE_FRONT, the port of a forward listener of the proxy, clients connect
to that, and all are led to port THROUGH of the server (IPv4): so it is with the
base protocol.
"""

import contextlib
import ctypes
import errno
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

THROUGH = 1100
DIRECT = 2100
FRONT = int(os.environ["PROBE_FRONT"]) if "PROBE_FRONT" in os.environ else None
PATIENCE = 30           # for what happens at once on a machine that is idle

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


# ---- hosts ----

def host_name(host):
    """Of its network namespace."""
    return f"{os.environ['PROBE_PREFIX']}-{host}"


@contextlib.contextmanager
def at(host):
    """Sockets that this thread makes inside belong to that host."""
    old = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    new = os.open(f"/run/netns/{host_name(host)}", os.O_RDONLY)
    try:
        _setns(new)
        yield
    finally:
        _setns(old)
        os.close(new)
        os.close(old)


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def counter(host, name, protocol="Tcp"):
    """One of the kernel's counters, such as OutRsts, or TCPAbortOnData of
    TcpExt."""
    table = "netstat" if protocol.endswith("Ext") else "snmp"
    with at(host), open("/proc/thread-self/net/" + table) as f:
        rows = [line.split() for line in f if line.startswith(protocol + ":")]
    return int(rows[1][rows[0].index(name)])


class Mute:
    """While this is open nothing leaves a host from or to a port, neither bytes
    nor acknowledgements.  The script has said can_mute."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def _nft(self, verb):
        subprocess.run(["ip", "netns", "exec", host_name(self.host), "nft",
                        verb, "element", "inet", "mute", "ports",
                        f"{{ {self.port} }}"], check=True)

    def __enter__(self):
        self._nft("add")

    def __exit__(self, *_):
        self._nft("delete")


# ---- ways from the client to the server ----

class Route:
    _taken = {THROUGH: 0, DIRECT: 0}

    def __init__(self, base, family):
        self.base = base
        self.family = family
        self.through = base == THROUGH
        self.four = family == socket.AF_INET
        self.server = os.environ["server4" if self.four else "server6"]
        self.front = None
        if self.through and FRONT is not None:
            self.front = (os.environ["gateway4" if self.four else "gateway6"],
                          FRONT)

    def __str__(self):
        return (("through rorod" if self.through else "directly") +
                (", IPv4" if self.four else ", IPv6"))

    def socket(self, host):
        with at(host):
            s = socket.socket(self.family, socket.SOCK_STREAM)
        s.settimeout(PATIENCE)
        return s

    def port(self):
        """One that nobody had before."""
        if self.front is not None:
            return self.base
        Route._taken[self.base] += 1
        return self.base + Route._taken[self.base]

    def listen(self, backlog=128):
        listener = self.socket("server")
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.front is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        while True:
            try:
                listener.bind((self.server, self.port()))
                break
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
        listener.listen(backlog)
        return listener

    def connect(self, to, source=None):
        """`to`: a listener, a port of the server, or address and port."""
        if isinstance(to, socket.socket):
            to = to.getsockname()[:2]
        elif isinstance(to, int):
            to = (self.server, to)
        if self.front is not None:
            to = self.front
        client = self.socket("client")
        if source is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(("", source))
        client.connect(to)
        return client

    def pair(self):
        """A connected pair: client, server."""
        listener = self.listen()
        client = self.connect(listener)
        server = accept(listener)
        listener.close()
        return client, server


def accept(listener):
    server, _ = listener.accept()
    server.settimeout(PATIENCE)
    return server


# ---- what an end does ----

def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


def arm(s):
    """close() resets."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset(s):
    arm(s)
    s.close()


def finish(s):
    """No more comes from here."""
    s.shutdown(socket.SHUT_WR)


def at_once(*functions):
    """Run all at the same time; what they return."""
    results = [None] * len(functions)

    def run(i):
        try:
            results[i] = functions[i]()
        except Exception as e:          # a probe's result, too
            results[i] = name_of(e)

    threads = [threading.Thread(target=run, args=(i,), daemon=True)
               for i in range(len(functions))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


# ---- what an end sees ----

def name_of(e):
    if isinstance(e, TimeoutError) and e.errno is None:
        return "nothing"
    if isinstance(e, OSError) and e.errno is not None:
        return errno.errorcode[e.errno]
    return repr(e)


def read(s, size=None):
    """Up to the end, or `size` bytes: them, and how it ended."""
    parts, left = [], float("inf") if size is None else size
    while left > 0:
        try:
            part = s.recv(int(min(left, 1 << 18)))
        except OSError as e:
            return b"".join(parts), name_of(e)
        if part == b"":
            return b"".join(parts), "EOF"
        parts.append(part)
        left -= len(part)
    return b"".join(parts), "more"


def end_of(s):
    """How it ends, whatever comes before."""
    return read(s)[1]


def error_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as e:
        return name_of(e)
    return "ok"


def same(data, expected):
    """For results that are to be read by people."""
    if data == expected:
        return "all"
    if expected.startswith(data):
        return f"{len(data)} of {len(expected)} bytes"
    return "other bytes"


def until(condition, seconds=PATIENCE):
    """Poll; whether it became true.  Looking takes a third of the time at most,
    since a look may be a process."""
    end = time.monotonic() + seconds
    while True:
        begin = time.monotonic()
        if condition():
            return True
        now = time.monotonic()
        if now > end:
            return False
        time.sleep(min(max(0.005, 2 * (now - begin)), 0.2))


# ---- running probes ----

_probes = []
_failures = 0


def probe(what, expected, direct="same", families=(4, 6)):
    """`expected` is what rorod has to give, and `direct` is what a direct
    connection gives: the same, None (not asked), or something else."""
    def add(function):
        _probes.append((what, function, expected,
                        expected if direct == "same" else direct, families))
        return function
    return add


def say(good, what):
    global _failures
    if not good:
        _failures += 1
    print(("ok: " if good else "FAILED: ") + what, flush=True)


def check(what, good, detail=""):
    say(bool(good), what + (f" ({detail})" if detail != "" else ""))


def _run(what, function, expected, route):
    begin = time.monotonic()
    try:
        result = function(route)
    except Exception as e:
        result = name_of(e)
    good = expected(result) if callable(expected) else result == expected
    took = time.monotonic() - begin
    text = f"{what}, {route}: {result}"
    if not good and not callable(expected):
        text += f", and not {expected}"
    say(good, f"{text} [{took:.2f} s]")


def main():
    """Run all probes, or those that are named."""
    names = sys.argv[1:]
    for what, function, expected, direct, families in _probes:
        if names and function.__name__ not in names:
            continue
        for family in families if FRONT is None else (4,):
            af = socket.AF_INET if family == 4 else socket.AF_INET6
            if direct is not None and FRONT is None:
                _run(what, function, direct, Route(DIRECT, af))
            _run(what, function, expected, Route(THROUGH, af))
    sys.exit(1 if _failures else 0)
