# SPDX-License-Identifier: ISC
"""Very many sessions at the same time: see idle.sh."""

import multiprocessing
import os
import select
import socket

from crowd import DAEMONS, Load, echoes, resident_kib, route
from probe import at, main, probe

SESSIONS = int(os.environ["SESSIONS"])
BATCH = 100             # at a time, so that no backlog overflows
PATIENCE_MS = 30000


def serve(listener):
    """Echo, in a process of its own: descriptors are counted for each."""
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
                data = s.recv(4096)
            except OSError:
                data = b""
            if data:
                s.send(data)
            else:
                here.pop(fd).close()


def word(i):
    return f"session {i}\n".encode()


def ask(sockets, first):
    """A line through each and back: how many came as they were sent."""
    poll = select.epoll()
    waiting = {}
    for i, s in enumerate(sockets, first):
        s.setblocking(True)
        s.sendall(word(i))
        s.setblocking(False)
        poll.register(s, select.EPOLLIN)
        waiting[s.fileno()] = (s, word(i), b"")
    good = 0
    while waiting:
        ready = poll.poll(PATIENCE_MS / 1000)
        if not ready:
            break
        for fd, _ in ready:
            s, expected, got = waiting.pop(fd)
            try:
                data = s.recv(4096)
            except OSError:
                data = b""
            got += data
            if data and len(got) < len(expected):
                waiting[fd] = (s, expected, got)
                continue
            poll.unregister(fd)
            good += got == expected
    return good


def trickle(sockets):
    return sum(ask(sockets[i:i + BATCH], i)
               for i in range(0, len(sockets), BATCH))


def memory():
    return {name: resident_kib(name) for name in DAEMONS}


@probe("all carry a line when they begin, and another one later; a new one "
       "works beside them", (SESSIONS, SESSIONS, True), direct=None,
       families=(4,))
def crowd(r):
    before = memory()
    listener = r.listen(4096)
    server = multiprocessing.get_context("fork").Process(
        target=serve, args=(listener,), daemon=True)
    server.start()
    sockets, first = [], 0
    while len(sockets) < SESSIONS:
        batch = []
        with at("client"):
            for _ in range(min(BATCH, SESSIONS - len(sockets))):
                batch.append(socket.create_connection(
                    listener.getsockname()[:2], 30))
        first += ask(batch, len(sockets))
        sockets += batch
    with Load() as load:
        select.select((), (), (), 1)
    print(f"{len(sockets)} sessions, nobody says anything: {load}", flush=True)
    then = trickle(sockets)
    after = memory()
    new = echoes(r)
    print("KiB for each: " + ", ".join(
        f"{name} {(after[name] - before[name]) / SESSIONS:.1f}"
        for name in DAEMONS), flush=True)
    for s in sockets:
        s.close()
    server.terminate()
    server.join()
    listener.close()
    return first, then, new


main()
