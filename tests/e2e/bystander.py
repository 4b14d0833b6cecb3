# SPDX-License-Identifier: ISC
"""Honest clients of an honest proxy, while something happens to the relay:

    bystander.py        from "begun" to SIGTERM; SIGUSR1 begins another phase

One client after the other asks for a few bytes over a new connection, and two
of them for a MiB now and then.  All of it arrives, and is right.  For each
phase a line says how long the small ones took, from connect() to the last byte.
Status 1: something was lost."""

import signal
import socket
import struct
import sys
import threading
import time

from crowd import route
from probe import accept, finish, name_of, pattern, read, same

SMALL, LARGE = 200, 1 << 20
REQUEST = struct.Struct("!I")           # how many bytes to send back
PAUSE, LONG_PAUSE = 0.02, 0.2
BLOCK = pattern(LARGE)


class Phase:
    def __init__(self):
        self.small, self.large, self.lost = [], [], []

    def __str__(self):
        def of(times, part):
            return 1000 * times[min(len(times) - 1, int(len(times) * part))]

        small = sorted(self.small)
        text = "nothing was asked for"
        if small:
            text = (f"{len(small)} small: median {of(small, 0.5):.1f} ms, "
                    f"99 % {of(small, 0.99):.1f} ms, "
                    f"worst {of(small, 1):.1f} ms")
        return (f"{text}; {len(self.large)} of a MiB; {len(self.lost)} lost" +
                "".join(f"; {what}" for what in self.lost[:3]))


phase = Phase()
failed = False


def end_phase():
    global phase, failed
    done, phase = phase, Phase()
    failed = failed or done.lost or not done.small
    print(done, flush=True)


def serve(s):
    try:
        request, _ = read(s, REQUEST.size)
        s.sendall(BLOCK[:REQUEST.unpack(request)[0]])
        finish(s)
        read(s)
    except (OSError, struct.error):
        pass
    s.close()


def accept_all(listener):
    while True:
        threading.Thread(target=serve, args=(accept(listener),),
                         daemon=True).start()


def ask(r, to, size, times, lost):
    begin = time.monotonic()
    try:
        s = r.connect(to)
        s.sendall(REQUEST.pack(size))
        got, how = read(s)
        s.close()
        if (same(got, BLOCK[:size]), how) == ("all", "EOF"):
            times.append(time.monotonic() - begin)
        else:
            lost.append(f"{same(got, BLOCK[:size])}, {how}")
    except OSError as e:
        lost.append(name_of(e))


def main():
    # Both families have the same way from here on: IPv4 is enough.
    r = route(socket.AF_INET)
    listener = r.listen()
    listener.settimeout(None)
    threading.Thread(target=accept_all, args=(listener,), daemon=True).start()
    over, next_phase = threading.Event(), threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: next_phase.set())
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    print("begun", flush=True)

    def large():
        while not over.is_set():
            now = phase
            ask(r, listener, LARGE, now.large, now.lost)
            over.wait(LONG_PAUSE)

    threads = [threading.Thread(target=large) for _ in range(2)]
    for t in threads:
        t.start()
    while True:             # a phase has one at least, however short it is
        ask(r, listener, SMALL, phase.small, phase.lost)
        if next_phase.is_set():
            next_phase.clear()
            end_phase()
        if over.is_set():
            break
        over.wait(PAUSE)
    for t in threads:
        t.join()
    end_phase()
    sys.exit(1 if failed else 0)


main()
