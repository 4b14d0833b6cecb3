# SPDX-License-Identifier: ISC
"""Very many connections, one after the other: see churn.sh."""

import multiprocessing
import os
import select
import socket
import subprocess
import time

from crowd import DAEMONS, descriptors, echoes, resident_kib, route
from probe import arm, at, host_name, main, probe, until

CONNECTIONS = 100000 if os.environ.get("RORO_LONG") else 8000
BATCH = 500
BEHIND = 4 * BATCH      # sessions that the daemons may have yet to end
GROWTH_KIB = int(os.environ["GROWTH_KIB"])


def serve(listener):
    """Accept and close what the client has closed, in a process of its own."""
    poll = select.epoll()
    listener.setblocking(False)
    poll.register(listener, select.EPOLLIN)
    here = {}
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                try:
                    while True:
                        s, _ = listener.accept()
                        poll.register(s, select.EPOLLIN)
                        here[s.fileno()] = s
                except BlockingIOError:
                    continue
            s = here[fd]
            try:
                if s.recv(65536):
                    continue
            except OSError:
                pass
            here.pop(fd).close()


def burst(r, port, n):
    """So many at once: connect, say something, and close, or reset."""
    pending = {}
    good = 0
    poll = select.epoll()
    with at("client"):
        for i in range(n):
            s = socket.socket(r.family, socket.SOCK_STREAM)
            s.setblocking(False)
            s.connect_ex((r.server, port))
            poll.register(s, select.EPOLLOUT)
            pending[s.fileno()] = s, i
    while pending:
        ready = poll.poll(30)
        if not ready:
            break
        for fd, _ in ready:
            s, i = pending.pop(fd)
            if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                good += 1
                if i % 3 == 0:
                    s.send(b"hello")
                if i % 2 == 0:
                    arm(s)
            s.close()
    poll.close()
    return good


def least_growth(resident):
    """What is lost with each connection is lost in every quarter; a machine
    that was busy for a while shows in one."""
    return min(b - a for a, b in zip(resident, resident[1:]))


@probe("nearly all connect, no memory is lost, and the next one works",
       (True, True, True), direct=None, families=(4,))
def connect_and_close(_):
    r = route()
    listeners = [r.listen(4096) for _ in range(5)]
    servers = []
    for listener in listeners:
        servers.append(multiprocessing.Process(target=serve, daemon=True,
                                               args=(listener,)))
        servers[-1].start()
    before = {name: descriptors(name) for name in DAEMONS}

    def room():
        return all(descriptors(name) < before[name] + BEHIND
                   for name in DAEMONS)

    begin = time.monotonic()
    good, resident = 0, {name: [] for name in DAEMONS}
    for quarter in range(4):
        for i in range(CONNECTIONS // 4 // BATCH):
            # Whoever begins faster than they end, where the machine is busy,
            # is refused in the end.
            until(room, 30)
            good += burst(r, listeners[i % 5].getsockname()[1], BATCH)
        for name in DAEMONS:
            resident[name].append(resident_kib(name))
    took = time.monotonic() - begin
    print(f"{good} of {CONNECTIONS} in {took:.1f} s, {good / took:.0f}/s; " +
          ", ".join(f"{name}: {', '.join(map(str, resident[name]))} KiB"
                    for name in DAEMONS), flush=True)
    works = until(room, 30) and echoes(r, 10000)
    for server in servers:
        server.kill()
        server.join()
    return (good >= CONNECTIONS * 99 // 100,
            all(least_growth(resident[n]) <= GROWTH_KIB for n in DAEMONS),
            works)


@probe("two thousand handshakes that never end keep nobody out", True,
       direct=None, families=(4,))
def half_open(_):
    four, six = route(), route(socket.AF_INET6)
    drop = ["ip", "netns", "exec", host_name("client"), "nft", "-f", "-"]
    subprocess.run(drop, text=True, check=True, input="""table ip deaf {
        chain input {
            type filter hook input priority 0; policy accept;
            tcp flags & (syn|ack) == syn|ack drop
        }
    }""")
    knocking = []
    with at("client"):
        for _ in range(2000):
            s = socket.socket(four.family, socket.SOCK_STREAM)
            s.setblocking(False)
            s.connect_ex((four.server, 1999))
            knocking.append(s)
    works = all(echoes(six, 10000) for _ in range(20))
    for s in knocking:
        s.close()
    subprocess.run(drop, text=True, check=True, input="delete table ip deaf")
    return works and echoes(four, 10000)


if __name__ == "__main__":
    main()
