# SPDX-License-Identifier: ISC
"""Readers that do not read, and both directions full: see backpressure.sh."""

import fcntl
import hashlib
import os
import struct
import threading
import time

from probe import at_once, finish, main, pattern, probe, read

SIOCOUTQ = 0x5411
MB = 1 << 20
BLOCK = pattern(MB)
BOUND = int(os.environ["absorbed_max"])


def blocks(n):
    """`n` MiB, no two alike."""
    for i in range(n):
        yield struct.pack("!Q", i) + BLOCK[8:]


def send_all(s, n):
    h = hashlib.sha256()
    for block in blocks(n):
        s.sendall(block)
        h.update(block)
    finish(s)
    return h.hexdigest()


def read_all(s):
    h = hashlib.sha256()
    while True:
        part = s.recv(MB)
        if part == b"":
            return h.hexdigest()
        h.update(part)


def accepted(s, sent):
    """Of the bytes written to a socket, those that have left this host and
    were acknowledged."""
    waiting = struct.unpack("i", fcntl.ioctl(s, SIOCOUTQ, b"\0" * 4))[0]
    return sent[0] - waiting


class Sender(threading.Thread):
    """Sends 32 MiB and ends, unless it is stopped by whoever does not read."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.socket = s
        self.sent = [0]
        self.hash = hashlib.sha256()
        self.start()

    def run(self):
        for block in blocks(32):
            self.hash.update(block)
            while block:
                n = self.socket.send(block)
                self.sent[0] += n
                block = block[n:]
        finish(self.socket)

    def absorbed(self):
        return accepted(self.socket, self.sent)

    def wait_until_stuck(self):
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 1:
            if self.absorbed() != last:
                last, since = self.absorbed(), time.monotonic()
            time.sleep(0.02)
        return last


def comes(sender, receiver):
    sender.sendall(b"?")
    return read(receiver, 1)[0] == b"?"


def stop_and_go(route, up):
    client, server = route.pair()
    others = route.pair()
    sender = Sender(client if up else server)
    reader = server if up else client
    stuck_at = sender.wait_until_stuck()
    back = comes(reader, sender.socket)
    other = comes(*others) and comes(*reversed(others))
    digest = read_all(reader)
    sender.join(1)
    return stuck_at, back, other, digest == sender.hash.hexdigest()


def bounded_and_complete(result):
    return isinstance(result, tuple) and result[0] <= BOUND and all(result)


# How much is absorbed; does the other direction work meanwhile, and another
# connection; does everything come when the reader reads?

@probe("a server that does not read, and then does", bounded_and_complete,
       direct=None, families=(4,))
def server_stops(route):
    return stop_and_go(route, True)


@probe("a client that does not read, and then does", bounded_and_complete,
       direct=None, families=(4,))
def client_stops(route):
    return stop_and_go(route, False)


@probe("64 MiB in both directions at once", (True, True), direct=None,
       families=(4,))
def both_ways(route):
    client, server = route.pair()
    sums = at_once(lambda: send_all(client, 64), lambda: read_all(server),
                   lambda: send_all(server, 64), lambda: read_all(client))
    return sums[0] == sums[1], sums[2] == sums[3]


@probe("both directions full before anybody reads", (True, True),
       direct=None, families=(4,))
def both_full(route):
    client, server = route.pair()
    up, down = Sender(client), Sender(server)
    at_once(up.wait_until_stuck, down.wait_until_stuck)
    received = at_once(lambda: read_all(server), lambda: read_all(client))
    up.join(1)
    down.join(1)
    return (received[0] == up.hash.hexdigest(),
            received[1] == down.hash.hexdigest())


main()
