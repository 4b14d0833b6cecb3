# SPDX-License-Identifier: ISC
"""A holder of a key who breaks the rules, against a relay:

    hostile.py [ATTACK...]

Whatever it says costs its own subflow, session or group, a few lines in the
log, and bounded memory.  Faults of one session are answered with RESET 6 and
leave its subflow alone; faults of the framing end that subflow and leave the
sessions of the group alone, which go on over another one.

The relay is RELAY_PID, RELAY_LOG and RELAY_PORT, and has BOUND_KIB of memory;
it lets us have SESSIONS.  KEY is the file of our key (none: without
protection), SOURCE our address on the gateway.
"""

import os
import re
import socket
import struct
import sys
import threading
import time

import extended as x
from crowd import cpu_seconds, resident_kib
from probe import at, check, pattern, until

RELAY = os.environ["relay4"], int(os.environ["RELAY_PORT"])
SERVER = os.environ["server4"]
SOURCE = os.environ["SOURCE"]
KEY = x.read_key(os.environ["KEY"]) if os.environ.get("KEY") else None
PROTECTION = x.SEALED if KEY else x.NONE
BOUND_KIB = int(os.environ["BOUND_KIB"])
SESSIONS = int(os.environ["SESSIONS"])
ECHO, SINK, FOUNTAIN, CLOSED = 1201, 1202, 1203, 1204
HUGE = 0xffffffff
MANY = 1000000 if os.environ.get("RORO_LONG") else 20000


# ---- servers ----

def echo(s):
    while part := s.recv(65536):
        s.sendall(part)


def sink(s):
    threading.Event().wait()


def fountain(s):
    while True:
        s.sendall(bytes(65536))


def serve(port, function):
    with at("server"):
        listener = socket.create_server(("", port), backlog=1024)

    def one(s):
        try:
            function(s)
        except OSError:
            pass
        s.close()

    def accept_all():
        while True:
            s, _ = listener.accept()
            threading.Thread(target=one, args=(s,), daemon=True).start()

    threading.Thread(target=accept_all, daemon=True).start()


# ---- what an attack costs ----

class Cost:
    """Of the relay, while the body runs: memory at most, processor, lines of
    the log by kind."""

    def __enter__(self):
        self.over = threading.Event()
        self.most = resident_kib("relay")
        self.cpu, self.begin = cpu_seconds("relay"), time.monotonic()
        self.skip = len(self.log())
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()
        return self

    def sample(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, resident_kib("relay"))

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.most = max(self.most, resident_kib("relay"))
        self.cpu = cpu_seconds("relay") - self.cpu
        self.seconds = time.monotonic() - self.begin
        self.lines = self.log()[self.skip:]

    @staticmethod
    def log():
        with open(os.environ["RELAY_LOG"], encoding="ascii") as f:
            return f.readlines()

    def faults(self):
        """Lines that say more than that something began or ended."""
        return [line for line in self.lines if not re.search(
            "made by|: up$|: forgotten$|closed by the peer|connection lost",
            line)]

    def is_bounded(self):
        """Each kind of line has its own limit in ten seconds."""
        return (self.most <= BOUND_KIB and
                len(self.lines) <= 100 * (1 + self.seconds / 10))

    def __str__(self):
        return (f"{self.most} KiB, {self.cpu:.2f} s of processor in "
                f"{self.seconds:.2f} s, {len(self.lines)} lines")


# ---- our group ----

class Group:
    def __init__(self, key=KEY):
        self.key, self.name, self.number = key, os.urandom(16), 0
        self.subflows = []

    def dial(self, slot=None, path=0, window=x.WINDOW, patience=20):
        """Another subflow."""
        with at("gateway"):
            sock = socket.socket()
        sock.settimeout(patience)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((SOURCE, 0))
        sock.connect(RELAY)
        subflow = x.dial(sock, x.Hello(self.name, path,
                         len(self.subflows) if slot is None else slot,
                         PROTECTION, 0, window), self.key)
        self.subflows.append(subflow)
        return subflow

    def numbers(self, n):
        first = self.number + 1
        self.number += n
        return range(first, first + n)

    def close(self):
        for subflow in self.subflows:
            subflow.close()


def about(number, *kinds):
    return lambda f: f.connection == number and f.kind in kinds


def comes_back(subflow, number, serial, text=b"hello"):
    """Does the session on that subflow carry bytes there and back?"""
    subflow.send(x.data(number, serial, text))
    got = b""
    while len(got) < len(text):
        frame = subflow.frame(about(number, x.DATA, x.RESET))
        if frame is None or frame.kind == x.RESET:
            return False
        got += frame.body
    return got == text


def serves(group, subflow):
    """A session of its own, from beginning to end."""
    number, = group.numbers(1)
    subflow.send(x.open_session(number, SERVER, ECHO))
    if not comes_back(subflow, number, 1):
        return False
    subflow.send(x.reset(number, 0))
    frame = subflow.frame(about(number, x.RESET))
    return frame is not None and frame.body == bytes([x.UNKNOWN])


def is_closed(subflow, seconds=10):
    try:
        subflow.frame(lambda f: False, seconds)
    except x.Closed:
        return True
    return False


# ---- attacks ----

attacks = {}


def attack(function):
    attacks[function.__name__] = function
    return function


def destination(family, packed, port=80):
    return x.tlv(1, bytes([family]) + packed + struct.pack("!H", port))


HERE = destination(4, socket.inet_aton(SERVER), ECHO)
MAPPED = destination(6, bytes(10) + b"\xff\xff" + socket.inet_aton(SERVER))

# What an OPEN may not say.
BAD_OPENS = {
    "no destination": x.tlv(3, b"\0"),
    "a destination twice": HERE + HERE,
    "a destination that is cut": HERE[:5],
    "a family that is not known": destination(5, bytes(4)),
    "an IPv4 address of 16 bytes": destination(4, bytes(16)),
    "an IPv6 address of 4 bytes": destination(6, bytes(4)),
    "an empty destination": x.tlv(1, b""),
    "a v4-mapped destination": MAPPED,
    "a v4-mapped client": HERE + b"\x02" + MAPPED[1:],
    "an unknown TLV that matters": HERE + x.tlv(4, b"x"),
    "an unknown TLV that is cut": HERE + b"\x80\xff\0",
    "a length and no value": HERE + b"\x80\x01",
    "a type and no length": HERE + b"\x80",
    "64 as DSCP": HERE + x.tlv(3, b"\x40"),
    "two bytes of DSCP": HERE + x.tlv(3, b"\0\0"),
    "16384 bytes of nonsense": bytes(range(256)) * 64,
}

# What a live session may not say, behind its OPEN and a datagram.
BAD_FRAMES = {
    "data far beyond the window": lambda n: [x.data(n, 1 << 20, b"x")],
    "data 2^31 - 1 ahead": lambda n: [x.data(n, (1 << 31) - 1, b"x")],
    "a whole window and a byte": lambda n: [
        x.data(n, 2 + i, bytes(x.DATA_MAX)) for i in range(2000)],
    "early data beyond the window": lambda n: [
        x.data(n, 3 + i, b"x") for i in range(2000000 // 65)],
    "another destination": lambda n: [x.open_session(n, SERVER, CLOSED)],
    "another OPEN": lambda n: [x.open_session(n, SERVER, ECHO,
                                              x.tlv(3, b"\x01"))],
    "an OPEN of nonsense": lambda n: [x.Frame(x.OPEN, n, 0, b"\1\2\3")],
    "FIN at two places": lambda n: [x.fin(n, 5), x.fin(n, 6)],
    "FIN taken back": lambda n: [x.fin(n, 5), x.fin(n, 4)],
    "FIN before what was said": lambda n: [x.data(n, 3, b"x"), x.fin(n, 3)],
    "FIN of the past": lambda n: [x.fin(n, 1)],
    "FIN far beyond the window": lambda n: [x.fin(n, 1 << 24)],
    "data at the end": lambda n: [x.fin(n, 3), x.data(n, 3, b"x")],
    "data behind the end": lambda n: [x.fin(n, 2), x.data(n, 9, b"x")],
    "an ACK of one too many": lambda n: [x.ack(n, 3, 0)],
    "an ACK of what was never sent": lambda n: [x.ack(n, 1 << 30, HUGE)],
}

# And what is odd but harmless.
ODD_FRAMES = {
    "data of the past": lambda n: [x.data(n, 0, b"y"), x.data(n, 1, b"other")],
    "data 2^31 behind": lambda n: [x.data(n, (1 << 31) + 2, b"y")],
    "an ACK that goes back": lambda n: [x.ack(n, 1, HUGE), x.ack(n, 0, 5)],
    "an ACK 2^31 behind": lambda n: [x.ack(n, (1 << 31) + 2, 5)],
    "a window that shrinks": lambda n: [x.ack(n, 1, 1 << 20), x.ack(n, 1, 0)],
    "a window as large as can be": lambda n: [x.ack(n, 2, HUGE)],
    "the same OPEN": lambda n: [x.open_session(n, SERVER, ECHO)] * 3,
    "OPENED by a proxy": lambda n: [x.Frame(x.OPENED, n)],
    "ASK of the future": lambda n: [x.Frame(x.ASK, n, HUGE)],
    "flags": lambda n: [x.Frame(x.ASK, n, 0, b"", 0xff)],
    "types that may be skipped": lambda n: [
        x.Frame(kind, n, kind, bytes(kind)) for kind in range(128, 256)],
    "the largest that may be skipped": lambda n: [
        x.Frame(0xff, 0, 0, bytes(x.DATA_MAX))],
}

# What cannot be a frame.
NO_FRAMES = {
    "a type that is not known": x.Frame(10, 1),
    "the last type that is not known": x.Frame(127, 1),
    "a datagram of no bytes": x.Frame(x.DATA, 1, 1),
    "a datagram of 16385 bytes": x.Frame(x.DATA, 1, 1, bytes(16385)),
    "65535 bytes that may be skipped": x.HEADER.pack(200, 0, 65535, 0, 0),
    "FIN without a code": x.Frame(x.FIN, 1, 1),
    "FIN with two": x.Frame(x.FIN, 1, 1, b"\0\0"),
    "half an ACK": x.Frame(x.ACK, 1, 1, b"\0\0"),
    "an ACK and more": x.Frame(x.ACK, 1, 1, bytes(5)),
    "RESET without a code": x.Frame(x.RESET, 1),
    "OPEN of nothing": x.Frame(x.OPEN, 1),
    "half a PING": x.Frame(x.PING, 0, 0, bytes(4)),
    "PING of a session": x.Frame(x.PING, 1, 0, bytes(8)),
    "DRAIN with a body": x.Frame(x.DRAIN, 0, 0, b"x"),
    "ASK with a body": x.Frame(x.ASK, 1, 0, b"x"),
    "data of no session": x.Frame(x.DATA, 0, 1, b"x"),
    "OPEN of no session": x.Frame(x.OPEN, 0, 0, HERE),
    "ACK of no session": x.ack(0, 1, 1),
    "RESET of no session": x.reset(0, 6),
}


def reset_6(group, subflow, frames):
    """Is that what the session gets, and nobody else?"""
    number, = group.numbers(1)
    subflow.send(*frames(number))
    frame = subflow.frame(about(number, x.RESET))
    if frame is None or frame.body != bytes([x.PROTOCOL]):
        return False
    subflow.send(x.reset(number, x.UNKNOWN))
    return serves(group, subflow)


@attack
def sessions():
    group = Group()
    subflow = group.dial()
    for what, body in BAD_OPENS.items():
        check(f"OPEN of {what}", reset_6(
            group, subflow, lambda n, b=body: [x.Frame(x.OPEN, n, 0, b)]))
    for what, frames in BAD_FRAMES.items():
        with Cost() as cost:
            good = reset_6(group, subflow, lambda n, f=frames: [
                x.open_session(n, SERVER, SINK), x.data(n, 1, b"x"), *f(n)])
        check(what, good and len(cost.faults()) <= 1)
    for what, frames in ODD_FRAMES.items():
        number, = group.numbers(1)
        subflow.send(x.open_session(number, SERVER, ECHO))
        good = comes_back(subflow, number, 1)
        subflow.send(*frames(number))
        check(f"{what}: harmless", good and comes_back(subflow, number, 2))
    group.close()


def ends_subflow(raw):
    """Does that end the subflow it comes over, and nothing else?  `raw` is a
    frame or a function that writes to the connection itself."""
    group = Group()
    other, subflow = group.dial(), group.dial()
    number, = group.numbers(1)
    other.send(x.open_session(number, SERVER, ECHO))
    good = comes_back(other, number, 1)
    try:
        if callable(raw):
            raw(subflow)
        else:
            subflow.send(raw)
    except x.Closed:
        pass
    good = is_closed(subflow) and good and comes_back(other, number, 2)
    group.close()
    return good


@attack
def framing():
    for what, frame in NO_FRAMES.items():
        with Cost() as cost:
            good = ends_subflow(frame)
        check(f"{what} ends its subflow", good and len(cost.faults()) <= 1)


def record(subflow, plain, size=None):
    sealed = subflow.records.send.seal(plain)
    return struct.pack("!H", len(sealed) if size is None else size) + sealed


def twice(subflow):
    one = record(subflow, x.pack(x.ping(1)))
    subflow.sock.sendall(one + one)


def swapped(subflow):
    one, two = (record(subflow, x.pack(x.ping(i))) for i in (1, 2))
    subflow.sock.sendall(two + one)


def changed(subflow):
    one = bytearray(record(subflow, x.pack(x.ping(1))))
    one[5] ^= 1
    subflow.sock.sendall(one)


@attack
def records():
    if PROTECTION != x.SEALED:
        return
    cut = x.pack(x.data(1, 1, bytes(100)))[:50]
    for what, raw in {
        "a frame that is cut at a record's end": lambda s: s.send(cut),
        "a header that is cut there": lambda s: s.send(cut[:5]),
        "a frame and half a frame": lambda s: s.send(x.pack(x.ping()) + cut),
        "16641 bytes in one": lambda s: s.sock.sendall(record(
            s, x.pack(x.Frame(200, 0, 0, bytes(16384))) +
            x.pack(x.Frame(200, 0, 0, bytes(16641 - 2 * 12 - 16384))))),
        "a length of 65535": lambda s: s.sock.sendall(record(s, b"", HUGE >>
                                                             16)),
        "a length of 0": lambda s: s.sock.sendall(bytes(2)),
        "a length of 15": lambda s: s.sock.sendall(b"\0\x0f" + bytes(15)),
        "one twice": twice, "two swapped": swapped, "a bit changed": changed,
        "bytes in the clear": lambda s: s.sock.sendall(x.pack(x.ping()) * 99),
    }.items():
        with Cost() as cost:
            good = ends_subflow(raw)
        check(f"records: {what} ends its subflow",
              good and len(cost.faults()) <= 1)


def bounded(what, function):
    """It may cost the relay some memory and a few lines, and afterwards it
    serves a new group as if nothing had been."""
    with Cost() as cost:
        good = function()
    fresh = Group()
    good = serves(fresh, fresh.dial()) and good
    fresh.close()
    check(f"{what}: served", good and cost.is_bounded(), cost)


def flood(frame_of, n=MANY, reads=False, first=()):
    """Many frames over a subflow that is read, or not; it is there after
    all."""
    group = Group()
    subflow = group.dial()
    number, = group.numbers(1)
    subflow.send(x.open_session(number, SERVER, ECHO), *first)
    for i in range(0, n, 10000):
        subflow.send(*(frame_of(j) for j in range(i, min(n, i + 10000))))
        if reads:
            subflow.waiting.clear()
            subflow.frame(lambda f: False, 0)
    good = comes_back(subflow, number, 1)
    group.close()
    return good


@attack
def floods():
    for what, frame_of in {
        "PINGs, answers unread": x.ping,
        "PONGs that nobody asked for": lambda i: x.ping(i, x.PONG),
        "ASKs for one": lambda i: x.Frame(x.ASK, 1, i),
        "ASKs for sessions that are not": lambda i: x.Frame(x.ASK, i + 2),
        "RESETs of sessions that are not": lambda i: x.reset(i + 2, i & 255),
        "data for sessions that are not": lambda i: x.data(i + 2, i, b"x"),
        "numbers beyond the map": lambda i: x.open_session(
            100000 + i, SERVER, ECHO),
        "copies of an OPEN": lambda i: x.open_session(1, SERVER, ECHO),
        "DRAINs": lambda i: x.Frame(x.DRAIN),
        "ACKs of the same": lambda i: x.ack(1, 1, i),
    }.items():
        bounded(f"{MANY} {what}", lambda f=frame_of: flood(f))
    bounded("2000 of 16 KiB to be skipped",
            lambda: flood(lambda i: x.Frame(200, i, 0, bytes(x.DATA_MAX)),
                          2000))
    many = x.tlv(200, bytes(255)) * 63
    bounded("2000 OPENs of 16 KiB", lambda: flood(
        lambda i: x.open_session(2 + i, SERVER, CLOSED, many), 2000))
    if PROTECTION == x.SEALED:
        bounded(f"{MANY} empty records", empty_records)


def empty_records():
    group = Group()
    subflow = group.dial()
    # They are no sign of life, and take a while to be made.
    for _ in range(0, MANY, 10000):
        subflow.send(x.ping())
        subflow.sock.sendall(b"".join(record(subflow, b"")
                                      for _ in range(10000)))
    good = serves(group, subflow)
    group.close()
    return good


@attack
def endless_opens():
    """Within max-sessions they are there, above it is RESET 5; we answer none
    of those."""
    group = Group()
    subflow = group.dial()
    numbers = group.numbers(20 * SESSIONS)

    with Cost() as cost:
        for n in numbers:
            subflow.send(x.open_session(n, SERVER, SINK))
    check(f"{len(numbers)} OPENs", cost.is_bounded(), cost)
    opened, refused = 0, 0
    while (frame := subflow.frame(seconds=1)) is not None:
        opened += frame.kind == x.OPENED
        refused += frame.kind == x.RESET
    check("as many are opened as may be", 0 < opened <= SESSIONS,
          f"{opened} opened, {refused} refused")
    subflow.send(*(x.reset(n, 0) for n in numbers))
    check("when they are given up there is room again",
          until(lambda: serves(group, subflow), 5))
    group.close()


@attack
def replaced():
    """The same slot again and again, while a session goes on."""
    group = Group()
    number, = group.numbers(1)

    def replace():
        good = True
        for i in range(300):
            subflow, text = group.dial(0), b"%d" % i
            subflow.send(x.open_session(number, SERVER, ECHO),
                         x.data(number, i + 1, text))
            frame = subflow.frame(lambda f, t=text: f.kind == x.DATA and
                                  f.body == t)
            good = good and frame is not None
            subflow.send(x.ack(number, i + 2, x.WINDOW))
        return good

    bounded("a slot replaced 300 times", replace)
    group.close()


@attack
def stolen_name():
    """Another peer's group is not joined by its name, nor by its sessions."""
    if not KEY:
        return
    theirs = Group(x.read_key(os.environ["OTHER_KEY"]))
    victim = theirs.dial()
    number, = theirs.numbers(1)
    victim.send(x.open_session(number, SERVER, ECHO))
    good = comes_back(victim, number, 1)
    group = Group()
    group.name = theirs.name
    subflow = group.dial(0)
    check("the name of another peer's group is not known",
          not subflow.answer.known)
    subflow.send(x.data(number, 2, b"stolen"), x.reset(number, 0))
    frame = subflow.frame(about(number, x.RESET))
    check("nor are its sessions", frame is not None and
          frame.body == bytes([x.UNKNOWN]))
    check("which go on", good and comes_back(victim, number, 2))
    victim.close()
    theirs.subflows.clear()
    victim = theirs.dial(0)
    check("its holder is known", bool(victim.answer.known))
    theirs.close()
    group.close()


@attack
def many_groups():
    """Some are left with a subflow, the others without."""
    groups = []

    def make():
        for i in range(300):
            group = Group()
            try:
                group.dial().frame(seconds=0)
            except x.Closed:
                pass
            if i % 30 == 0:
                groups.append(group)
            else:
                group.close()
        return True

    bounded("300 groups", make)
    for group in groups:
        group.close()


def is_open(subflow):
    """Has the relay not closed it?"""
    subflow.sock.setblocking(False)
    try:
        while subflow.sock.recv(65536) != b"":
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@attack
def many_subflows():
    """More than a peer may have; half a frame waits on each.  (One that does
    not answer PINGs for long makes room for another.)"""
    group = Group()
    group.dial().frame()
    half = x.pack(x.data(1, 1, bytes(16384)))[:-1]
    up = 0
    with Cost() as cost:
        for _ in range(70):
            try:
                subflow = group.dial(patience=0.5 if up > 55 else 20)
                if PROTECTION == x.SEALED:
                    subflow.sock.sendall(record(subflow, half, 16412))
                else:
                    subflow.send(half)
                up += 1
            except (x.Closed, TimeoutError):
                pass
    still = sum(is_open(subflow) for subflow in group.subflows)
    check("subflows with half a frame on each", up >= 50 and still <= 64 and
          cost.is_bounded(), f"{up} were up, {still} are, {cost}")
    group.close()


@attack
def never_reads():
    """Whoever takes nothing has windows as large as can be."""
    group = Group()
    subflow = group.dial(window=HUGE)

    def ask():
        for n in group.numbers(SESSIONS // 2):
            subflow.send(x.open_session(n, SERVER, FOUNTAIN), x.ack(n, 1, HUGE))
        time.sleep(3)
        return True

    bounded("downloads that nobody reads", ask)
    group.close()


@attack
def fills_windows():
    """All that was offered, in the smallest pieces, with a hole before them or
    for servers that do not read."""
    for what, first in (("early", 2), ("in order", 1)):
        group = Group()
        subflow = group.dial()

        def fill():
            edge = {}
            for n in group.numbers(SESSIONS // 2):
                edge[n] = [first, subflow.answer.window - 64 * first]
                subflow.send(x.open_session(n, SERVER, SINK))
            end = time.monotonic() + 3
            while time.monotonic() < end:
                for n, (serial, room) in edge.items():
                    k = max(0, min(200, room // 65))
                    edge[n] = [serial + k, room - 65 * k]
                    subflow.send(*(x.data(n, serial + j, b"x")
                                   for j in range(k)))
                frame = subflow.frame(lambda f: f.kind == x.ACK, 0.01)
                while frame is not None:
                    window, = struct.unpack("!I", frame.body)
                    sent = edge[frame.connection][0] - frame.serial
                    edge[frame.connection][1] = window - 65 * sent - 64
                    frame = subflow.frame(lambda f: f.kind == x.ACK, 0)
            return True

        bounded(f"windows filled with single bytes {what}", fill)
        group.close()


@attack
def hellos():
    """What a hello may say, and how it may come."""
    def odd(change, **fields):
        with at("gateway"):
            sock = socket.create_connection(RELAY, 20, (SOURCE, 0))
        first, noise = x.write_hello(x.Hello(os.urandom(16), *fields.get(
            "rest", (0, 0, PROTECTION, 0, x.WINDOW))), KEY)
        change(sock, first)
        answer = x.read_answer(sock, noise)
        subflow = x.Subflow(sock, x.records_of(noise, PROTECTION), None, answer)
        group = Group()
        subflow.send(x.ping())
        good = serves(group, subflow)
        sock.close()
        return good

    def bytewise(sock, first):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(first)):
            sock.sendall(first[i:i + 1])
            time.sleep(0.001)

    check("a hello byte by byte", odd(bytewise))
    for what, rest in {
        "the last path and slot": (255, 255, PROTECTION, 0, x.WINDOW),
        "all features": (0, 0, PROTECTION, HUGE, x.WINDOW),
        "a small window": (0, 0, PROTECTION, 0, 100),
        "all windows": (0, 0, PROTECTION, 0, HUGE),
    }.items():
        check(f"a hello with {what}", odd(socket.socket.sendall, rest=rest))


def main():
    for port, function in ((ECHO, echo), (SINK, sink), (FOUNTAIN, fountain)):
        serve(port, function)
    for name, function in attacks.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            begin = time.monotonic()
            try:
                function()
            except (x.Wrong, OSError) as e:
                check(f"{name}: to its end", False, repr(e))
            print(f"-- {name}: {time.monotonic() - begin:.1f} s", flush=True)
    import probe
    sys.exit(1 if probe._failures else 0)


main()
