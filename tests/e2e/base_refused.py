#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What a relay refuses of the base protocol, and that it harms nobody else.

    base_refused.py RELAY PORT OWN OTHER STRANGER

OWN and OTHER are addresses of ours that the relay knows as proxies, STRANGER
one that it does not know.  Its server echoes.  At most 8 subflows a session.
"""

import socket
import struct
import sys
import time

relay = (sys.argv[1], int(sys.argv[2]))
own, other, stranger = sys.argv[3:6]
failures = 0


def check(what, good):
    global failures
    print(("ok: " if good else "FAILED: ") + what, flush=True)
    failures += not good


def say(word, source=own):
    sock = socket.create_connection(relay, 5, (source, 0))
    sock.settimeout(5)
    sock.sendall(struct.pack("!I", word))
    return sock


def answer(sock, seconds=5):
    """The number that comes back; None: nothing does, -1: it was ended."""
    sock.settimeout(seconds)
    try:
        data = sock.recv(4, socket.MSG_WAITALL)
    except TimeoutError:
        return None
    except ConnectionResetError:
        return -1
    return struct.unpack("!I", data)[0] if len(data) == 4 else -1


class Session:
    def __init__(self, source=own, subflows=1):
        self.socks = [say(0, source)]
        self.number = answer(self.socks[0])
        self.serial = 1
        for _ in range(subflows - 1):
            assert self.join(source)

    def join(self, source=own):
        sock = say(self.number, source)
        if answer(sock) != self.number:
            return False
        self.socks.append(sock)
        return True

    def works(self):
        """A datagram on each subflow comes back, on any of them."""
        try:
            for sock in self.socks:
                sock.sendall(struct.pack("!HH", self.serial, 4) + b"echo")
                self.serial += 1
            left = 4 * len(self.socks)
            end = time.monotonic() + 5
            while left > 0 and time.monotonic() < end:
                for sock in self.socks:
                    sock.settimeout(0.01)
                    try:
                        header = sock.recv(4, socket.MSG_WAITALL)
                    except TimeoutError:
                        continue
                    if len(header) < 4:
                        return False
                    size = struct.unpack("!HH", header)[1]
                    left -= len(sock.recv(size, socket.MSG_WAITALL))
            return left == 0
        except OSError:
            return False

    def ended(self):
        return all(answer(sock, 2) == -1 for sock in self.socks)

    def close(self):
        for sock in self.socks:
            sock.close()


began = time.monotonic()
good = Session(subflows=3)
late = Session(subflows=2)
silent = socket.create_connection(relay, 5, (own, 0))
part = socket.create_connection(relay, 5, (own, 0))
part.sendall(b"\x12\x34")
check("a session works", good.works())
check("another one, too", late.works())

some = [Session() for _ in range(8)]
numbers = sorted(s.number for s in some + [good, late])
check("numbers are numbers", 0 < numbers[0] and numbers[-1] < 2**32 - 1)
check("and nothing like each other", all(
    b - a > 1000 for a, b in zip(numbers, numbers[1:])))
for s in some:
    s.close()

# Wrong numbers.  One failure a second is looked at.
start = time.monotonic()
first, second = say(1), say(2)
check("a wrong number is refused", answer(first) == -1)
check("another one as well", answer(second) == -1)
check("a second later", time.monotonic() - start > 0.9)
check("a right one then waits for its turn", good.join())
check("for a second, too", time.monotonic() - start > 1.8)
check("nobody else was harmed", good.works() and late.works())

# Somebody else's number.
def join_after_other():
    check("a number of another source is refused", not good.join(other))
    start = time.monotonic()
    check("but not of its own", good.join())
    return time.monotonic() - start


# The machine may be slow once.
check("which need not wait", min(join_after_other() for _ in range(2)) < 0.9)
check("and the session works", good.works())

# Its session ended while it was on its way.

def join_after_ended():
    over = Session()
    over.close()
    time.sleep(0.2)
    check("a number of a session that has ended is refused", not over.join())
    start = time.monotonic()
    check("and is not a wrong one", good.join())
    return time.monotonic() - start


check("for which others would wait", join_after_ended() < 0.9)

# Asking twice is the header of a datagram of no bytes.
twice = Session(subflows=2)
twice.socks[0].sendall(bytes(4))
check("to ask twice ends that session", twice.ended())
check("and no other", good.works())

check("8 subflows join", all(good.join() for _ in range(8 - len(good.socks))))
check("and no 9th", not good.join())
check("the 8 work", good.works())

check("a stranger hears nothing", answer(say(0, stranger), 2) in (None, -1))

left = began + 10.5 - time.monotonic()
if left > 0:
    time.sleep(left)
check("after 10 seconds nobody joins", not late.join())
check("who has joined stays", late.works())
check("who says nothing is ended", answer(silent, 2) == -1)
check("or says half of it", answer(part, 2) == -1)
good.close()
late.close()
sys.exit(failures > 0)
