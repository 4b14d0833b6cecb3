#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The base protocol of ro-ro-tcp, from its description alone.

It shares nothing with rorod: it is what somebody else would have written.  Both
ends of it, and the two ends of a plain TCP connection that go with them:

    base_peer.py proxy  HOST PORT   what a proxy does for one client
    base_peer.py relay  HOST PORT   what a relay does for one client
    base_peer.py client HOST PORT   connects
    base_peer.py server HOST PORT   accepts one

Each sends --send bytes in pieces of --piece (datagrams, or writes), expects
--expect bytes, all of them known beforehand, and ends each direction by itself.
Datagrams go to the subflows in turn; one of them, --slow, is written and read
slowly, and not at all for a while.  Status 0: everything was right.
"""

import argparse
import random
import selectors
import socket
import struct
import sys
import time

UP, DOWN = 1, 2             # what a client sends, what a server sends
SLOW_BYTES = 400            # of the slow subflow, each way
SLOW_TICK = 0.002           # in this time
PIECES = 16                 # written before one looks what there is to read
STALL = (0.5, 2.0)          # and none between, in seconds


class Wrong(Exception):
    pass


def bytes_of(direction, length):
    return random.Random(direction).randbytes(length)


class Checker:
    """What arrives is what was sent."""

    def __init__(self, direction, length):
        self.expected = bytes_of(direction, length)
        self.got = 0

    def feed(self, data):
        end = self.got + len(data)
        if self.expected[self.got:end] != data:
            raise Wrong(f"wrong bytes between {self.got} and {end}")
        self.got = end

    def end(self):
        if self.got != len(self.expected):
            raise Wrong(f"{self.got} of {len(self.expected)} bytes")


def read_exactly(sock, length):
    data = b""
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            raise Wrong("closed in the greeting")
        data += piece
    return data


class Subflow:
    def __init__(self, sock):
        self.sock = sock
        self.out = bytearray()
        self.into = bytearray()
        self.last = 0           # serial, as it would be without wrapping
        self.sent_fin = False
        self.got_fin = False


class Session:
    def __init__(self, socks, options, send, expect):
        self.subflows = [Subflow(s) for s in socks]
        for sock in socks:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.slow = options.slow
        self.checker = Checker(expect, options.expect)
        self.early = {}
        self.next = 1
        self.received = 0       # datagrams
        self.farthest = 0       # that one was ahead of the one in order
        self.fill(bytes_of(send, options.send), options.piece)

    def fill(self, data, piece):
        serial = 1
        for at in range(0, len(data), piece):
            body = data[at:at + piece]
            subflow = self.subflows[serial % len(self.subflows)]
            subflow.out += struct.pack("!HH", serial % 65536, len(body)) + body
            serial += 1
        self.sent = serial - 1

    def write(self, subflow, most):
        if subflow.out:
            n = subflow.sock.send(subflow.out[:most])
            del subflow.out[:n]
        if not subflow.out and not subflow.sent_fin:
            subflow.sock.shutdown(socket.SHUT_WR)
            subflow.sent_fin = True

    def read(self, subflow, most):
        data = subflow.sock.recv(most)
        if not data:
            subflow.got_fin = True
            if subflow.into:
                raise Wrong("a datagram was cut")
            return
        subflow.into += data
        at = 0
        while len(subflow.into) - at >= 4:
            serial, size = struct.unpack_from("!HH", subflow.into, at)
            if size == 0:
                raise Wrong("a datagram of no bytes")
            if len(subflow.into) - at - 4 < size:
                break
            body = bytes(subflow.into[at + 4:at + 4 + size])
            at += 4 + size
            self.take(subflow, serial, body)
        del subflow.into[:at]

    def take(self, subflow, serial, body):
        step = (serial - subflow.last) % 65536 or 65536
        if step > 32768 and subflow.last > 0:
            raise Wrong(f"a subflow was given nothing for {step} serials")
        subflow.last += step
        self.received += 1
        if subflow.last < self.next or subflow.last in self.early:
            raise Wrong(f"serial {subflow.last} twice")
        self.farthest = max(self.farthest, subflow.last - self.next)
        self.early[subflow.last] = body
        while self.next in self.early:
            self.checker.feed(self.early.pop(self.next))
            self.next += 1

    def run(self):
        selector = selectors.DefaultSelector()
        for i, subflow in enumerate(self.subflows):
            if i != self.slow:
                selector.register(subflow.sock, selectors.EVENT_READ |
                                  selectors.EVENT_WRITE, subflow)
        start = time.monotonic()
        while not all(s.sent_fin and s.got_fin for s in self.subflows):
            for key, events in selector.select(SLOW_TICK):
                self.step(selector, key.data, events)
            now = time.monotonic() - start
            if self.slow is not None and not STALL[0] < now < STALL[1]:
                self.step_slow(self.subflows[self.slow])
            if now > 120:
                raise Wrong("it takes too long")
        self.checker.end()
        if self.early:
            raise Wrong("datagrams are missing")

    def step(self, selector, subflow, events):
        if events & selectors.EVENT_READ and not subflow.got_fin:
            self.read(subflow, 65536)
        if events & selectors.EVENT_WRITE and not subflow.sent_fin:
            self.write(subflow, 65536)
        wanted = (0 if subflow.got_fin else selectors.EVENT_READ) | \
            (0 if subflow.sent_fin else selectors.EVENT_WRITE)
        if wanted:
            selector.modify(subflow.sock, wanted, subflow)
        else:
            selector.unregister(subflow.sock)

    def step_slow(self, subflow):
        try:
            if not subflow.sent_fin:
                self.write(subflow, SLOW_BYTES)
        except BlockingIOError:
            pass
        try:
            if not subflow.got_fin:
                self.read(subflow, SLOW_BYTES)
        except BlockingIOError:
            pass


def connect(options):
    sock = socket.socket(socket.AF_INET6 if ":" in options.host
                         else socket.AF_INET)
    if options.slow is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.settimeout(20)
    sock.connect((options.host, options.port))
    return sock


def listen(options):
    sock = socket.socket(socket.AF_INET6 if ":" in options.host
                         else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.slow is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.bind((options.host, options.port))
    sock.listen(64)
    sock.settimeout(60)
    return sock


def proxy(options):
    socks = [connect(options)]
    socks[0].sendall(struct.pack("!I", 0))
    number = read_exactly(socks[0], 4)
    if number == bytes(4):
        raise Wrong("the relay gave number 0")
    while len(socks) < options.subflows:
        sock = connect(options)
        sock.sendall(number)
        if read_exactly(sock, 4) != number:
            raise Wrong("the relay did not echo the number")
        socks.append(sock)
    return Session(socks, options, UP, DOWN)


def relay(options):
    listener = listen(options)
    number = struct.pack("!I", random.SystemRandom().randrange(1, 2**32 - 1))
    socks, waiting = [], []
    while len(socks) < options.subflows:
        sock, _ = listener.accept()
        sock.settimeout(20)
        waiting.append(sock)
        # The others say nothing before they know the number.
        if not socks:
            if read_exactly(sock, 4) != bytes(4):
                raise Wrong("the first one does not ask for a number")
        elif read_exactly(sock, 4) != number:
            raise Wrong("another one does not say the number")
        sock.sendall(number)
        socks.append(sock)
    return Session(socks, options, DOWN, UP)


class Plain:
    """One end of an ordinary TCP connection."""

    def __init__(self, sock, options, send, expect):
        self.sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out = memoryview(bytes_of(send, options.send))
        self.piece = options.piece
        self.checker = Checker(expect, options.expect)
        self.sent = 0
        self.received = 0
        self.farthest = 0

    def write_some(self):
        try:
            for _ in range(PIECES):
                n = self.sock.send(self.out[:self.piece])
                self.out = self.out[n:]
                self.sent += n > 0
        except BlockingIOError:
            pass

    def run(self):
        selector = selectors.DefaultSelector()
        key = selector.register(self.sock, selectors.EVENT_READ |
                                selectors.EVENT_WRITE)
        while key.events:
            wanted = key.events
            for key, events in selector.select(60):
                if events & selectors.EVENT_READ:
                    data = self.sock.recv(65536)
                    self.checker.feed(data)
                    if not data:
                        wanted &= ~selectors.EVENT_READ
                if events & selectors.EVENT_WRITE:
                    if self.out:
                        self.write_some()
                    else:
                        self.sock.shutdown(socket.SHUT_WR)
                        wanted &= ~selectors.EVENT_WRITE
            if not wanted:
                break
            if wanted != key.events:
                key = selector.modify(self.sock, wanted)
        self.checker.end()


def client(options):
    return Plain(connect(options), options, UP, DOWN)


def server(options):
    sock, _ = listen(options).accept()
    return Plain(sock, options, DOWN, UP)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["proxy", "relay", "client", "server"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--send", type=int, default=0)
    parser.add_argument("--expect", type=int, default=0)
    parser.add_argument("--piece", type=int, default=1000)
    parser.add_argument("--subflows", type=int, default=4)
    parser.add_argument("--slow", type=int)
    options = parser.parse_args()
    try:
        end = globals()[options.role](options)
        end.run()
    except (Wrong, OSError) as e:
        print(f"{options.role}: {e!r}", flush=True)
        return 1
    print(f"{options.role}: right, {end.sent} sent, {end.received} received, "
          f"{end.farthest} ahead", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
