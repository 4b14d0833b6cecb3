# SPDX-License-Identifier: ISC
"""Connections that never get to what they want, and how long it takes a proxy
to get past them:

    strangers.py dribble HOST PORT AT_A_TIME SECONDS SOURCE...
        opens so many, from these sources in turn; each says a byte of a hello
        every SECONDS, and one that was dropped is opened again, all together
        RATE a second at most.  Until SIGTERM; then it says how many it opened
    strangers.py enter HOST PORT BEGIN
        asks again and again until there is an answer, and says how many
        seconds after BEGIN (seconds since 1970) that was
"""

import collections
import errno
import random
import select
import signal
import socket
import sys
import time

HELLO = bytes.fromhex("ffffffff0100004b") + bytes(83)
RATE = 1000
TICK = 0.02
PATIENCE = 120


class Dribbler:
    """One of them; closed while `sock` is None."""

    def __init__(self, to, source):
        self.to, self.source, self.sock = to, source, None

    def open(self, poll):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.bind((self.source, 0))
        self.said = 0
        if self.sock.connect_ex(self.to) not in (0, errno.EINPROGRESS):
            return False
        poll.register(self.sock, select.EPOLLIN)
        return True

    def speak(self):
        try:
            self.said += self.sock.send(HELLO[self.said % len(HELLO):][:1])
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def close(self):
        self.sock.close()
        self.sock = None


def dribble(to, at_a_time, seconds, sources):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    poll = select.epoll()
    closed = collections.deque(Dribbler(to, sources[i % len(sources)])
                               for i in range(at_a_time))
    speaking = collections.deque()      # when, who; in order
    by_fd = {}
    opened, may_open = 0, 0.0

    def drop(d):
        del by_fd[d.sock.fileno()]
        d.close()
        closed.append(d)

    while not over:
        may_open = min(may_open + RATE * TICK, RATE * TICK)
        while closed and may_open >= 1:
            may_open -= 1
            opened += 1
            if opened == at_a_time:
                print("begun", flush=True)
            d = closed.popleft()
            good = d.open(poll)
            by_fd[d.sock.fileno()] = d
            if not good:
                drop(d)
            # The first byte comes at any time, the others regularly.
            speaking.append((time.monotonic() + seconds * random.random()
                             if opened <= at_a_time else
                             time.monotonic() + seconds, d, d.sock))
        while speaking and speaking[0][0] <= time.monotonic():
            when, d, sock = speaking.popleft()
            if d.sock is sock and sock is not None:
                if d.speak():
                    speaking.append((when + seconds, d, sock))
                else:
                    drop(d)
        for fd, _ in poll.poll(TICK):
            # Whatever it is, it is the end: nobody has said a whole hello.
            if fd in by_fd:
                drop(by_fd[fd])
        time.sleep(TICK / 4)
    print(f"{opened} connections were opened, "
          f"{at_a_time - len(closed)} are open", flush=True)


def enter(to, begin):
    while time.time() - begin < PATIENCE:
        try:
            with socket.create_connection(to, 5) as s:
                s.sendall(b"\0\0\0\1")
                if s.recv(1) != b"":
                    print(f"{time.time() - begin:.2f}")
                    return 0
        except OSError:
            pass
        time.sleep(0.01)
    print(f"not in {PATIENCE}")
    return 1


def main():
    verb, host, port, *rest = sys.argv[1:]
    to = (host, int(port))
    if verb == "enter":
        return enter(to, float(rest[0]))
    return dribble(to, int(rest[0]), float(rest[1]), rest[2:])


sys.exit(main())
