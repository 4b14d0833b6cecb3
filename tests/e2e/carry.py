# SPDX-License-Identifier: ISC
"""Sessions that go on while something happens to what carries them:

    carry.py MARKS FLOWS

Each sends a little both ways all the time.  What arrives has to be what was
sent, and each end of file has to come behind the last byte.  The script writes
what it does into the file MARKS, a line each, with the time (of /proc/uptime):

    cut TIME SECONDS what       something broke: no pause of more than SECONDS
    back TIME SECONDS what      and is there again: everybody goes on that soon
    lost TIME SECONDS what      every end is reset, that long after;
    clients, servers ...        each of those
    anew TIME SECONDS what      a new session gets through that soon
    end TIME                    send no more, and end

and reads in MARKS.seen when every stream has had bytes.

All have to be met within twice SECONDS, as the machine may be busy, and a second
for the test itself."""

import os
import select
import socket
import sys
import threading
import time

from crowd import route
from probe import error_of, finish, name_of, pattern, say, until

PIECE = 2000
PAUSE = 0.05
GRACE = 1
BLOCK = pattern(1 << 20)
LOST = {"lost": ("client", "server"), "clients": ("client",),
        "servers": ("server",)}


class Marks:
    def __init__(self, path):
        self.path = path

    def read(self):
        with open(self.path) as f:
            for line in f:
                if line.endswith("\n"):
                    words = line.split(maxsplit=3)
                    yield (words[0], float(words[1]),
                           float(words[2]) if len(words) > 2 else 0,
                           words[3].strip() if len(words) > 3 else "")

    def seen(self, at):
        with open(self.path + ".new", "w") as f:
            f.write(f"{at:.2f}\n")
        os.rename(self.path + ".new", self.path + ".seen")

    def ended(self):
        return any(mark[0] == "end" for mark in self.read())


class End:
    """A socket; its error is told once, to whoever comes first."""

    def __init__(self, s):
        self.socket = s
        self.error = None

    def send(self, data):
        error = error_of(self.socket.sendall, data)
        if error == "EPIPE":            # who was receiving knows why
            until(lambda: self.error is not None, 1)
        if error != "ok":
            self.error = self.error or error
        return error == "ok"

    def recv(self):
        """Bytes, or None after an error."""
        try:
            data = self.socket.recv(PIECE)
        except OSError as e:
            self.error = self.error or name_of(e)
            return None
        if data == b"" and until(lambda: self.error is not None, 0.2):
            return None
        return data


class Half:
    """One direction: its sender, its receiver, and when something came."""

    def __init__(self, name, receiver, out, back, marks):
        self.name, self.receiver, self.marks = name, receiver, marks
        self.out, self.back = out, back
        self.sent = self.got = 0
        self.times = [time.monotonic()]
        self.wrong = self.error = self.reset_at = None
        self.whole = False
        self.threads = [threading.Thread(target=f, daemon=True)
                        for f in (self.send, self.receive)]
        for t in self.threads:
            t.start()

    def send(self):
        while not self.marks.over:
            start = self.sent % (len(BLOCK) - PIECE)
            if not self.out.send(BLOCK[start:start + PIECE]):
                return
            self.sent += PIECE
            time.sleep(PAUSE)
        error_of(finish, self.out.socket)

    def receive(self):
        while True:
            data = self.back.recv()
            if data is None:
                self.error, self.reset_at = self.back.error, time.monotonic()
                return
            if data == b"":
                self.whole = self.marks.over and self.got == self.sent
                if not self.whole:
                    self.wrong = f"an end after {self.got} of {self.sent}"
                return
            self.times.append(time.monotonic())
            while data:
                # Pieces are sent from where a multiple of PIECE begins.
                within = self.got % PIECE
                start = (self.got - within) % (len(BLOCK) - PIECE) + within
                n = min(len(data), PIECE - within)
                if data[:n] != BLOCK[start:start + n]:
                    self.wrong = f"other bytes after {self.got}"
                    return
                self.got += n
                data = data[n:]

    def pause_after(self, at, before):
        """The longest one that lasts beyond that, and begins soon after, but
        not because of what comes next."""
        return max((b - a for a, b in zip(self.times, self.times[1:])
                    if b >= at and a < min(at + 2, before - PAUSE)),
                   default=None)

    def next_after(self, at):
        return next((t - at for t in self.times if t >= at), None)


class Flow:
    def __init__(self, number, marks):
        family = socket.AF_INET if number % 2 == 0 else socket.AF_INET6
        client, server = route(family).pair()
        for s in client, server:
            s.settimeout(300)
        client, server = End(client), End(server)
        self.halves = [Half(f"{number} up", "server", client, server, marks),
                       Half(f"{number} down", "client", server, client, marks)]


def open_anew():
    """When a byte of a new session has arrived."""
    r = route()
    listener = r.listen()
    while True:
        try:
            client = r.connect(listener)
            client.sendall(b"x")
            ready, _, _ = select.select([listener, client], [], [], 10)
            if listener in ready:
                server, _ = listener.accept()
                server.settimeout(1)
                if server.recv(1) == b"x":
                    return time.monotonic()
        except OSError:
            pass
        time.sleep(0.02)


def judge(mark, halves, marks):
    kind, at, promised, what = mark
    if kind == "cut":
        before = min((m[1] for m in marks.read() if m[1] > at),
                     default=at + 2)
        times = [h.pause_after(at, before) for h in halves]
    elif kind == "back":
        times = [h.next_after(at) for h in halves]
    elif kind in LOST:
        halves = [h for h in halves if h.receiver in LOST[kind]]
        times = [h.reset_at and h.reset_at - at for h in halves]
    elif kind == "anew":
        times = [marks.anew[at] - at]
    else:
        return
    if any(t is None for t in times):
        say(False, f"{what}: " + ", ".join(
            f"{h.name}: never ({h.wrong or h.error})"
            for h, t in zip(halves, times) if t is None))
        sys.exit(1)
    good = max(times) <= 2 * promised + GRACE
    if kind in LOST:                    # nor before
        good = good and min(times) >= min(promised / 2, promised - 3)
    verb = {"cut": "no pause above", "back": "all go on within",
            "anew": "a new session works within"}.get(
                kind, "all are reset within")
    say(good, f"{what}: {verb} {max(times):.2f} s, promised: "
        f"{promised:.2f} s")
    return good


def main():
    marks = Marks(sys.argv[1])
    marks.over = False
    flows = [Flow(i, marks) for i in range(int(sys.argv[2]))]
    print("ready", flush=True)
    halves = [h for f in flows for h in f.halves]
    marks.anew = {}
    while not marks.ended():
        for mark in marks.read():
            if mark[0] == "anew" and mark[1] not in marks.anew:
                marks.anew[mark[1]] = open_anew()
        marks.seen(min(h.times[-1] for h in halves))
        time.sleep(0.05)
    marks.over = True
    for h in halves:
        for t in h.threads:
            t.join(60)
    lost = any(mark[0] in LOST for mark in marks.read())
    good = all([judge(mark, halves, marks) is not False for mark in marks.read()])
    for h in halves:
        if h.wrong is not None or not (lost or h.whole):
            say(False, f"{h.name}: {h.wrong or h.error}")
            good = False
    if lost:
        for h in halves:
            if h.error != "ECONNRESET":
                say(False, f"{h.name}: {h.error} instead of a reset")
                good = False
    else:
        total = sum(h.got for h in halves)
        say(good, f"{total} bytes of {len(halves)} streams are whole")
    sys.exit(0 if good else 1)


main()
