# SPDX-License-Identifier: ISC
"""Connections that say what nobody understands:

    garbage.py HOST PORT CONNECTIONS [KEY]

Random bytes, beginnings of hellos that are right up to some byte, other
protocols, or nothing at all; each is reset as soon as all is said, some with
an end of file before.  AT_A_TIME is what a relay lets one source have, so that
most are heard.  Prints what became of them."""

import collections
import errno
import os
import random
import select
import socket
import struct
import sys
import time

import extended as x

AT_A_TIME = 14
RESET = struct.pack("ii", 1, 0)


def messages(key, rng):
    """One that leads nowhere."""
    kind = rng.randrange(8)
    if kind == 0:
        return b""
    if kind == 1:
        return rng.randbytes(rng.randrange(1, 40))
    if kind == 2:
        return rng.randbytes(rng.randrange(1, 20000))
    if kind == 3:
        return rng.choice((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                           b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                           b"SSH-2.0-x\r\n", bytes(5000), b"\xff" * 5000))
    if kind == 4:
        return struct.pack("!I", rng.choice((0, 1, rng.randrange(1 << 32))))
    if kind == 5:
        return (x.PROLOGUE.pack(0xffffffff, 1, 0, rng.randrange(1 << 16),
                                rng.randbytes(8)) +
                rng.randbytes(rng.randrange(400)))
    hello = bytearray(x.write_hello(x.Hello(rng.randbytes(16)), key)[0])
    if kind == 6:
        return bytes(hello[:rng.randrange(len(hello))])
    hello[rng.randrange(len(hello))] ^= 1 << rng.randrange(8)
    return bytes(hello) + rng.randbytes(rng.randrange(400))


class One:
    def __init__(self, to, message, rng):
        self.left, self.rng = message, rng
        self.sock = socket.socket(socket.AF_INET6 if ":" in to[0]
                                  else socket.AF_INET)
        # Always: there are fewer ports than connections.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.setblocking(False)
        if self.sock.connect_ex(to) not in (0, errno.EINPROGRESS):
            raise OSError(errno.ECONNREFUSED, "connect")
        self.end = time.monotonic() + 10

    def write(self):
        """None, or how it ended."""
        try:
            while self.left:
                self.left = self.left[self.sock.send(self.left):]
            if self.rng.randrange(2):
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return None if time.monotonic() < self.end else "not taken"
        except OSError as e:
            return errno.errorcode[e.errno]
        return "said"


def main():
    host, port, n, *key = sys.argv[1:]
    key = x.read_key(key[0]) if key else os.urandom(32)
    seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    print(f"SEED={seed}", flush=True)
    rng = random.Random(seed)
    results = collections.Counter()
    poll, open_ones, begun = select.epoll(), {}, 0
    begin = time.monotonic()
    while begun < int(n) or open_ones:
        while begun < int(n) and len(open_ones) < AT_A_TIME:
            begun += 1
            one = One((host, int(port)), messages(key, rng), rng)
            open_ones[one.sock.fileno()] = one
            poll.register(one.sock, select.EPOLLOUT)
        for fd, _ in poll.poll(0.1):
            how = open_ones[fd].write()
            if how is not None:
                results[how] += 1
                open_ones.pop(fd).sock.close()
    took = time.monotonic() - begin
    print(f"{begun} connections in {took:.1f} s: {dict(results)}")


main()
