# SPDX-License-Identifier: ISC
"""Transfers without end, while something happens to the daemons:

    transfers.py SECONDS AT_A_TIME BYTES LEAST PATIENCE [UNTIL]

Each sends up to BYTES both ways at once and ends each way for itself.  Whatever
happens, what arrives is what was sent, and an end of file comes only behind the
last byte; a reset may come at any time, silence of PATIENCE seconds may not.
At least LEAST per cent have to be whole at both ends.  None begins when SECONDS
are over, or the file UNTIL is there."""

import os
import random
import select
import socket
import struct
import sys
import threading
import time

from crowd import route
from probe import finish, name_of, pattern, say, until

HEADER = struct.Struct("!QQQ")          # where in BLOCK, bytes there and back
BLOCK = pattern(1 << 20) * 2
PIECE = 65536


class Wrong(Exception):
    """What must not be."""


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.whole = self.cut = self.open = 0
        self.errors = {}
        self.wrong = []

    def note(self, error=None):
        with self.lock:
            if error is None:
                self.whole += 1
            elif isinstance(error, OSError) and name_of(error) != "nothing":
                self.cut += 1
                name = name_of(error)
                self.errors[name] = self.errors.get(name, 0) + 1
            else:
                self.wrong.append(str(error))

    def __str__(self):
        return (f"{self.whole} whole, {self.cut} cut " +
                str(dict(sorted(self.errors.items()))))


def exchange(s, at, out, back, patience):
    """Send `out` bytes of BLOCK from `at` and receive `back`, up to the end."""
    poll = select.poll()
    events = select.POLLIN | select.POLLOUT
    poll.register(s, events)
    s.setblocking(False)
    sent = got = 0
    while events:
        ready = poll.poll(1000 * patience)
        if not ready:
            raise Wrong(f"silence: {sent} of {out} sent, {got} of {back} here")
        if events & select.POLLOUT and ready[0][1] & ~select.POLLIN:
            if sent < out:
                start = (at + sent) % len(pattern_once)
                n = min(PIECE, out - sent)
                try:
                    sent += s.send(BLOCK[start:start + n])
                except BlockingIOError:
                    pass
            if sent == out:
                finish(s)
                events &= ~select.POLLOUT
        if events & select.POLLIN and ready[0][1] & ~select.POLLOUT:
            try:
                data = s.recv(PIECE)
            except BlockingIOError:
                continue
            start = (at + got) % len(pattern_once)
            if data == b"":
                if got < back:
                    raise Wrong(f"an end of file after {got} of {back}")
                events &= ~select.POLLIN
            elif data != BLOCK[start:start + len(data)]:
                raise Wrong(f"other bytes after {got} of {back}")
            got += len(data)
            if got > back:
                raise Wrong(f"{got} instead of {back} bytes")
        if events:
            poll.modify(s, events)


pattern_once = BLOCK[:1 << 20]


def serve(s, patience, tally):
    try:
        s.settimeout(patience)
        header = b""
        while len(header) < HEADER.size:
            part = s.recv(HEADER.size - len(header))
            if part == b"":
                raise Wrong("an end of file before the first bytes")
            header += part
        at, there, back = HEADER.unpack(header)
        exchange(s, at, back, there, patience)
        tally.note()
    except (OSError, Wrong) as e:
        tally.note(e)
    finally:
        s.close()
        with tally.lock:
            tally.open -= 1


def accept_all(listener, patience, tally):
    while True:
        try:
            s, _ = listener.accept()
        except OSError:
            return
        with tally.lock:
            tally.open += 1
        threading.Thread(target=serve, args=(s, patience, tally),
                         daemon=True).start()


def ask(r, port, most, patience, tally, rng):
    there, back = (int(most ** rng.random()) for _ in range(2))
    at = rng.randrange(len(pattern_once))
    s = None
    try:
        s = r.connect(port)
        s.sendall(HEADER.pack(at, there, back))
        exchange(s, at, there, back, patience)
        tally.note()
    except (OSError, Wrong) as e:
        tally.note(e)
    finally:
        if s is not None:
            s.close()


def main():
    seconds, at_a_time, most, least, patience = map(int, sys.argv[1:6])
    enough = sys.argv[6] if len(sys.argv) > 6 else ""
    seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    print(f"SEED={seed}", flush=True)
    clients, servers = Tally(), Tally()
    end = time.monotonic() + seconds

    def run(i):
        r = route(socket.AF_INET if i % 2 == 0 else socket.AF_INET6)
        rng = random.Random(seed * 1000 + i)
        listener = r.listen()
        listener.settimeout(None)
        threading.Thread(target=accept_all, args=(listener, patience, servers),
                         daemon=True).start()
        while time.monotonic() < end and not os.path.exists(enough):
            before = clients.whole
            ask(r, listener, most, patience, clients, rng)
            if clients.whole == before:         # not a flood of errors
                time.sleep(0.01)

    threads = [threading.Thread(target=run, args=(i,))
               for i in range(at_a_time)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    time.sleep(0.5)                             # for the servers' last ends,
    until(lambda: servers.open == 0, 30)        # longer on a busy machine
    print(f"clients: {clients}; servers: {servers}", flush=True)
    for wrong in (clients.wrong + servers.wrong)[:10]:
        say(False, wrong)
    total = clients.whole + clients.cut
    good = total > 0 and all(t.whole * 100 >= total * least
                             for t in (clients, servers))
    say(good, f"at least {least} % of the transfers are whole")
    sys.exit(0 if good and not clients.wrong and not servers.wrong else 1)


main()
