#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A client that opens a connection every 20 ms and asks for one byte:

    failopen.py serve PORT          the server: D to who comes directly, R else
    failopen.py sink PORT           the same, but that it reads nothing
    failopen.py ask FILE            the client, until it is ended; a line each
    failopen.py hold N              N connections, until it is ended; says when
                                    it has them
    failopen.py stuff N             connections that are not read, as full as
                                    they get, until new ones go directly, N at
                                    most, likewise
    failopen.py wait FILE           a connection that asks when there is a file,
                                    says what it got, and removes it
    failopen.py judge FILE FROM AFTER WITHIN WAY [none]

A connection has failed unless its byte is there within two seconds.  judge looks
at those that began since FROM (seconds of the monotonic clock).  For twice
WITHIN seconds they may fail and go either way, and are counted; by then there
has to be a moment from which on none fails and all go WAY (D or R) for STEADY_S.
It waits for that moment, which may not be before AFTER seconds.  With `none`,
none may fail at all.  Time in which the client itself did not run, and so
nobody may have run, does not count as WITHIN."""

import errno
import os
import select
import socket
import sys
import time

EVERY_S = 0.02
PATIENCE_S = 2
STEADY_S = 1
STUFFED_S = 2
SERVERS = [(socket.AF_INET, os.environ.get("server4")),
           (socket.AF_INET6, os.environ.get("server6"))]
CLIENTS = [os.environ.get("client4"), os.environ.get("client6")]
PORT = 1100
WAYS = ("D", "R")


# ---- the server ----

def listen(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6,
                                    dualstack_ipv6=True, backlog=1024)
    listener.setblocking(False)
    return listener


def accept_all(listener):
    try:
        while True:
            s, peer = listener.accept()
            s.setblocking(False)
            yield s, peer[0].removeprefix("::ffff:")
    except OSError:
        pass                    # that was all


def way_of(peer):
    return b"D" if peer in CLIENTS else b"R"


def serve(port):
    listener, poll = listen(port), select.epoll()
    poll.register(listener, select.EPOLLIN)
    here = {}                   # socket and answer, None when that was given
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                for s, peer in accept_all(listener):
                    poll.register(s, select.EPOLLIN)
                    here[s.fileno()] = s, way_of(peer)
                continue
            s, answer = here.pop(fd)
            try:
                if s.recv(1) != b"" and answer is not None:
                    s.send(answer)
                    here[fd] = s, None
            except OSError:
                pass
            if fd not in here:
                s.close()


def sink(port):
    listener, held = listen(port), []
    while True:
        select.select([listener], [], [])
        for s, peer in accept_all(listener):
            s.send(way_of(peer))
            held.append(s)


# ---- the clients ----

class Asker:
    """One socket for each that is not over, in the order of their begin."""

    def __init__(self, out):
        self.out, self.poll, self.open = out, select.epoll(), {}

    def begin(self, family, address):
        begin = time.monotonic()
        self.out.write(f"{begin:.4f} begun\n")
        s = socket.socket(family)
        s.setblocking(False)
        error = s.connect_ex((address, PORT))
        if error not in (0, errno.EINPROGRESS):
            self.over(begin, s, OSError(error, ""))
            return
        self.poll.register(s, select.EPOLLOUT)
        self.open[s.fileno()] = begin, s

    def over(self, begin, s, result):
        if isinstance(result, OSError):
            result = type(result).__name__
        self.out.write(f"{begin:.4f} {result}\n")
        s.close()

    def go_on(self, fd, events):
        begin, s = self.open[fd]
        try:
            error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "")
            if events & select.EPOLLIN:
                result = s.recv(1).decode() or "end-of-file"
            else:               # connected
                s.send(b"?")
                self.poll.modify(s, select.EPOLLIN)
                return
        except OSError as e:
            result = e
        del self.open[fd]
        self.over(begin, s, result)

    def run_until(self, due):
        while True:
            left = max(0, due - time.monotonic())
            for fd, events in self.poll.poll(left):
                self.go_on(fd, events)
            now = time.monotonic()
            for fd, (begin, s) in list(self.open.items()):
                if begin > now - PATIENCE_S:
                    break
                del self.open[fd]
                self.over(begin, s, "silence")
            if now >= due:
                return


def ask(name):
    with open(name, "w", buffering=1) as out:
        asker, begin = Asker(out), time.monotonic()
        for i in range(10 ** 9):
            asker.begin(*SERVERS[i % 2])
            asker.run_until(begin + (i + 1) * EVERY_S)


def hold(n):
    held = [socket.create_connection((SERVERS[0][1], PORT)) for _ in range(n)]
    print("held", flush=True)
    while held:
        time.sleep(60)


def push(s):
    """Has it taken anything?"""
    taken = False
    try:
        while True:
            taken = s.send(bytes(1 << 16)) > 0
    except OSError:
        return taken            # full, or given up


def stuff(most):
    """One after the other, so that memory fills by little and little, until new
    ones have gone directly for a while."""
    held, since = [], None
    while since is None or time.monotonic() < since + STUFFED_S:
        s = socket.create_connection((SERVERS[0][1], PORT + 1))
        s.settimeout(20)
        if s.recv(1) == b"R" and len(held) < most:
            held.append(s)
            since, quiet = None, 0
            s.setblocking(False)
            while quiet < 3:
                quiet = 0 if push(s) else quiet + 1
                time.sleep(0.01)        # until what can go on has done so
        else:
            s.close()
            since = since or time.monotonic()
            for s in held:
                push(s)
            time.sleep(0.05)
    print("held", flush=True)
    while held:
        for s in held:
            push(s)
        time.sleep(0.1)


def wait(name):
    with socket.create_connection((SERVERS[0][1], PORT)) as s:
        print("connected", flush=True)
        while not os.path.exists(name):
            time.sleep(0.05)
        try:
            s.settimeout(30)
            s.sendall(b"?")
            print("got", s.recv(1).decode() or "nothing", flush=True)
        except OSError as e:
            print("got", type(e).__name__, flush=True)
    os.unlink(name)


# ---- the judge ----

class Asked:
    """What the client has written since a time, and still writes."""

    def __init__(self, name, start):
        self.lines, self.rest, self.start = open(name), "", start
        self.results = {}

    def read(self):
        """(begin, result) in order, and when the first began whose result is
        not known."""
        *lines, self.rest = (self.rest + self.lines.read()).split("\n")
        for line in lines:
            begin, result = line.split()
            if float(begin) >= self.start:
                self.results[float(begin)] = result
        return (sorted((b, result) for b, result in self.results.items()
                       if result != "begun"),
                min((b for b, result in self.results.items()
                     if result == "begun"), default=float("inf")))

    def late_s(self, end):
        """How long the client did not run up to then."""
        begins = sorted(b for b in self.results if b <= end)
        return sum(b - a - EVERY_S for a, b in zip(begins, begins[1:])
                   if b - a > 2 * EVERY_S)


def judge(name, start, after, within, way, none):
    lines = Asked(name, start)
    within *= 2
    while True:
        asked, unknown = lines.read()
        now = time.monotonic()
        last = max((begin for begin, result in asked if result != way),
                   default=start)
        steady = [begin for begin, _ in asked if last < begin < unknown]
        # What has begun and is not over yet may still fail.
        if min(now, unknown) > last + STEADY_S and len(steady) > 10:
            break
        if now > start + within + lines.late_s(now) + STEADY_S + PATIENCE_S:
            break
        time.sleep(0.1)
    counts, late = {}, lines.late_s(last)
    for begin, result in asked:
        if begin <= last:
            counts[result] = counts.get(result, 0) + 1
    print("    before: " + (", ".join(f"{n} {k}" for k, n in counts.items())
                            or "none") +
          f"; all {way} after {last - start:.2f} s: {len(steady)}" +
          (f"; the client did not run for {late:.2f} s" if late > 0.1 else ""))
    return (after <= last - start <= within + late and len(steady) > 10 and
            not (none and any(result not in WAYS for _, result in asked)))


def main():
    what, arguments = sys.argv[1], sys.argv[2:]
    if what == "serve":
        serve(int(arguments[0]))
    elif what == "sink":
        sink(int(arguments[0]))
    elif what == "ask":
        ask(arguments[0])
    elif what == "hold":
        hold(int(arguments[0]))
    elif what == "wait":
        wait(arguments[0])
    elif what == "stuff":
        stuff(int(arguments[0]))
    else:
        name, start, after, within, way, *none = arguments
        sys.exit(not judge(name, float(start), float(after), float(within),
                           way, none == ["none"]))


if __name__ == "__main__":
    main()
