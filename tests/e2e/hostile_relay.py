# SPDX-License-Identifier: ISC
"""A relay that breaks the rules, against a proxy:

    hostile_relay.py [ATTACK...]

Its clients may be cut, which is a reset to them and never an end of file; they
get no byte that was not sent to them in order.  The proxy uses no more memory
or processor than it may, and serves when the relay behaves again.

The proxy is PROXY_PID, PROXY_LOG and dials RELAY_PORT; BOUND_KIB is the memory
that it may have, KEY the file of its key (none: without protection).
"""

import os
import socket
import struct
import sys
import threading
import time

import extended as x
import probe
from crowd import cpu_seconds, resident_kib, route
from probe import at, check, read, until

RELAY = os.environ["relay4"], int(os.environ["RELAY_PORT"])
KEY = x.read_key(os.environ["KEY"]) if os.environ.get("KEY") else None
PROTECTION = x.SEALED if KEY else x.NONE
BOUND_KIB = int(os.environ["BOUND_KIB"])
REQUEST, ANSWER = b"a request", b"an answer"
HUGE = 0xffffffff
MANY = 1000000 if os.environ.get("RORO_LONG") else 50000


# ---- a relay ----

class Relay:
    """What it does with a connection is `greet`, which gives a subflow or
    None, and with the first bytes of a session `reply`, a function of its
    number that gives frames."""

    def __init__(self):
        with at("relay"):
            self.listener = socket.create_server(RELAY, backlog=1024)
        self.groups, self.subflows = set(), []
        self.next = {}          # serial of each session
        self.accepted = 0
        self.behave()
        threading.Thread(target=self.accept_all, daemon=True).start()

    def behave(self):
        self.greet, self.reply = self.honest, honest
        self.on_open = lambda number: [x.Frame(x.OPENED, number)]
        self.acks, self.reads = lambda number: True, True

    def answer(self, hello):
        known = hello.group in self.groups
        if not known:
            self.next.clear()
        self.groups.add(hello.group)
        return x.Answer(hello.protection, int(known), 3, 1 << 20, 1000)

    def honest(self, sock):
        return x.accept(sock, self.answer, [KEY] if KEY else [])

    def accept_all(self):
        while True:
            sock, _ = self.listener.accept()
            self.accepted += 1
            threading.Thread(target=self.serve, args=(sock,),
                             daemon=True).start()

    def serve(self, sock):
        sock.settimeout(20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            subflow = self.greet(sock)
            if subflow is None:
                sock.close()
                return
            subflow.send(x.ping(1))
            self.subflows.append(subflow)
            while True:
                while not self.reads:
                    time.sleep(0.05)
                frame = subflow.frame(seconds=3600)
                self.take(subflow, frame)
        except (x.Wrong, OSError, struct.error):
            sock.close()

    def take(self, subflow, frame):
        n = frame.connection
        if frame.kind == x.PING:
            subflow.send(x.ping(struct.unpack("!Q", frame.body)[0], x.PONG))
        elif frame.kind == x.OPEN:
            subflow.send(*self.on_open(n), *self.ack(n, 1))
        elif frame.kind == x.DATA:
            subflow.send(*self.ack(n, frame.serial + 1),
                         *(self.reply(n) if frame.serial == 1 else []))
        elif frame.kind == x.FIN:
            subflow.send(*self.ack(n, frame.serial + 1))
        elif frame.kind == x.ASK:
            subflow.send(*self.ack(n, 0))
        elif frame.kind == x.RESET and frame.body != bytes([x.UNKNOWN]):
            subflow.send(x.reset(n, x.UNKNOWN))

    def ack(self, number, serial):
        """There is one datagram and the end, so they come in order."""
        self.next[number] = max(self.next.get(number, 1), serial)
        return ([x.ack(number, self.next[number], 1 << 20)]
                if self.acks(number) else [])

    def up(self):
        """Subflows that the proxy has not closed."""
        return [s for s in self.subflows if s.sock.fileno() != -1]

    def complete(self):
        """Has the proxy all subflows that it wants?"""
        return until(lambda: len(self.up()) == 4, 20)

    def close_all(self):
        for subflow in self.up():
            try:        # the thread that reads it then closes it
                subflow.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        until(lambda: not self.up(), 5)


def honest(number):
    return [x.data(number, 1, ANSWER), x.fin(number, 2)]


# ---- a client ----

def ask(relay=None, seconds=60):
    """What it hears, and how that ends."""
    try:
        client = route().connect(1101)
        client.settimeout(seconds)
        client.sendall(REQUEST)
        return read(client)
    except OSError as e:
        return b"", probe.name_of(e)


def is_served():
    return ask() == (ANSWER, "EOF")


def is_cut(heard):
    """A reset, and before it nothing that was not in order."""
    got, how = heard
    return how == "ECONNRESET" and ANSWER.startswith(got)


def lines():
    with open(os.environ["PROXY_LOG"], encoding="ascii") as f:
        return len(f.readlines())


class Cost:
    def __enter__(self):
        self.cpu, self.begin = cpu_seconds("proxy"), time.monotonic()
        self.lines = lines()
        return self

    def __exit__(self, *_):
        self.cpu = cpu_seconds("proxy") - self.cpu
        self.seconds = time.monotonic() - self.begin
        self.lines = lines() - self.lines

    def __str__(self):
        return (f"{resident_kib('proxy')} KiB, {self.cpu:.2f} s of processor "
                f"in {self.seconds:.2f} s, {self.lines} lines")

    def is_bounded(self):
        return (resident_kib("proxy") <= BOUND_KIB and
                self.lines <= 100 * (1 + self.seconds / 10))


# ---- attacks ----

attacks = {}


def attack(function):
    attacks[function.__name__] = function
    return function


# Instead of an answer that ends cleanly: these cut the client.
BAD_REPLIES = {
    "data far beyond the window": lambda n: [x.data(n, 1 << 20, b"x")],
    "more than was offered": lambda n: [
        x.data(n, 2 + i, bytes(x.DATA_MAX)) for i in range(2000)],
    "FIN at two places": lambda n: [x.fin(n, 3), x.fin(n, 4)],
    "FIN and data behind it": lambda n: [x.fin(n, 3), x.data(n, 4, b"x")],
    "data where FIN was": lambda n: [x.fin(n, 3), x.data(n, 3, b"x")],
    "FIN of the past": lambda n: [x.fin(n, 0)],
    "FIN far beyond the window": lambda n: [x.fin(n, 1 << 24)],
    "FIN that is not clean": lambda n: [x.fin(n, 1, 10)],
    "FIN with code 255": lambda n: [x.fin(n, 1, 255)],
    "an answer and FIN that is not clean": lambda n: [
        x.data(n, 1, ANSWER), x.fin(n, 2, 10)],
    "an ACK of what was not sent": lambda n: [x.ack(n, 99, 0)],
    "an ACK of very much": lambda n: [x.ack(n, 1 << 30, HUGE)],
    "OPEN of that session": lambda n: [
        x.open_session(n, os.environ["server4"], 80)],
    "OPENED with what matters and is not known": lambda n: [
        x.Frame(x.OPENED, n, 0, x.tlv(1, b"x"))],
    "OPENED of nonsense": lambda n: [x.Frame(x.OPENED, n, 0, b"\1\2")],
    **{f"RESET {code}": lambda n, c=code: [x.reset(n, c)]
       for code in (*range(11), 255)},
    "part of an answer and RESET": lambda n: [
        x.data(n, 1, ANSWER[:3]), x.reset(n, 0)],
    "FIN behind a hole and RESET 7": lambda n: [
        x.data(n, 1, ANSWER[:3]), x.fin(n, 3), x.reset(n, 7)],
    "FIN behind a hole and RESET 0": lambda n: [
        x.fin(n, 3), x.reset(n, 0)],
    "an answer and RESET 7": lambda n: [
        x.data(n, 1, ANSWER), x.reset(n, 7)],
}

# These do not: what follows is the honest answer.
ODD_REPLIES = {
    "OPEN of another session": lambda n: [
        x.open_session(n + 1000, os.environ["server4"], 80)],
    "data for a session that is not": lambda n: [x.data(n + 1000, 1, b"x")],
    "FIN of a session that is not": lambda n: [x.fin(n + 1000, 1)],
    "data of the past": lambda n: [x.data(n, 0, b"x")],
    "windows that shrink": lambda n: [x.ack(n, 2, 9), x.ack(n, 0, 0)],
    "a window as large as can be": lambda n: [x.ack(n, 2, HUGE)],
    "types that may be skipped": lambda n: [
        x.Frame(kind, n, kind, bytes(kind)) for kind in range(128, 256)],
    "PONG of the future": lambda n: [x.ping((1 << 64) - 1, x.PONG)],
    "the end first, and twice": lambda n: [x.fin(n, 2), x.fin(n, 2)],
    "the answer twice, and other bytes": lambda n: [
        x.data(n, 1, ANSWER), x.data(n, 1, b"other")],
}

# What cannot be a frame ends the subflow; the session goes on over another one.
NO_FRAMES = {
    "a type that is not known": x.Frame(10, 1),
    "a datagram of no bytes": x.Frame(x.DATA, 1, 1),
    "a datagram of 16385 bytes": x.Frame(x.DATA, 1, 1, bytes(16385)),
    "FIN without a code": x.Frame(x.FIN, 1, 1),
    "half a PING": x.Frame(x.PING, 0, 0, bytes(4)),
    "data of no session": x.Frame(x.DATA, 0, 1, b"x"),
}


@attack
def replies(relay):
    for what, reply in BAD_REPLIES.items():
        relay.reply = reply
        heard = ask()
        relay.reply = honest
        check(f"{what}: a reset", is_cut(heard) and is_served(), heard)
    for what, odd in ODD_REPLIES.items():
        relay.reply = lambda n, o=odd: o(n) + honest(n)
        check(f"{what}: harmless", is_served())
    for what, frame in NO_FRAMES.items():
        with Cost() as cost:
            up = len(relay.up())
            relay.reply = lambda n, f=frame: [f] + honest(n)
            client = route().connect(1101)
            client.sendall(REQUEST)
            closed = until(lambda u=up: len(relay.up()) < u, 5)
            relay.reply = honest
            # (The request was acknowledged with the frame that killed it.)
            client.close()
            good = is_served() and until(lambda: len(relay.up()) >= 4, 10)
        check(f"{what} ends its subflow", closed and good and cost.lines < 9,
              cost)


SILENCES = {
    "no answer": lambda n: [],
    "part of an answer": lambda n: [x.data(n, 1, ANSWER[:3])],
    "an answer without its beginning": lambda n: [
        x.data(n, 2, ANSWER), x.fin(n, 3)],
    "no ACK": None,
    "an end and no answer": lambda n: [x.fin(n, 2)],
}


@attack
def silences(relay):
    """Nothing that a relay leaves undone is an end of file."""
    replies = {}

    def ask_one(what):
        before = len(replies)

        def on_open(n):
            replies[n] = SILENCES[what]
            return []

        relay.on_open = on_open
        client = route().connect(1101)
        client.sendall(REQUEST)
        until(lambda: len(replies) > before)
        return client

    relay.complete()
    relay.acks = lambda n: replies.get(n) is not None
    relay.reply = lambda n: replies[n](n) if replies[n] is not None else []
    clients = {what: ask_one(what) for what in SILENCES}
    relay.reads = False
    clients["nothing is read"] = route().connect(1101)
    clients["nothing is read"].sendall(REQUEST)
    heard = {}
    for what, client in clients.items():
        client.settimeout(0.2)
        heard[what], how = read(client)
        check(f"{what}: nothing else", how == "nothing" and
              ANSWER.startswith(heard[what]), (heard[what], how))
    # Nor is it when all subflows are closed then, and stay away.
    relay.greet = lambda sock: None
    relay.reads = True
    relay.close_all()
    for what, client in clients.items():
        client.settimeout(20)
        got, how = read(client)
        check(f"{what}, and all subflows closed: a reset",
              is_cut((heard[what] + got, how)), how)
    relay.behave()
    check("and when it is back it serves", until(is_served, 20))


def garbled(change):
    """An honest answer, changed."""
    def greet(relay):
        def hello(sock):
            class Tap:
                def __init__(self):
                    self.recv = sock.recv

                def sendall(self, message):
                    sock.sendall(change(message))

            x.accept(Tap(), relay.answer, [KEY] if KEY else [])
            time.sleep(0.5)
        return hello
    return greet


def answering(**fields):
    def greet(relay):
        def hello(sock):
            def answer(hello):
                return relay.answer(hello)._replace(**fields)
            x.accept(sock, answer, [KEY] if KEY else [])
            time.sleep(0.5)
        return hello
    return greet


def saying(message, seconds=0.5):
    def greet(relay):
        def hello(sock):
            sock.sendall(message)
            time.sleep(seconds)
        return hello
    return greet


def wrong_key(relay):
    def hello(sock):
        prologue = x.read_exactly(sock, x.PROLOGUE.size)
        x.read_exactly(sock, x.PROLOGUE.unpack(prologue)[3])
        noise = x.Noise(False, os.urandom(32), prologue)
        noise.theirs = x.X25519PrivateKey.generate().public_key()
        noise.first, noise.cipher = False, x.Cipher(bytes(32))
        message = noise.write(x.ANSWER.pack(*x.Answer()))
        sock.sendall(struct.pack("!H", len(message)) + message)
        time.sleep(0.5)
    return hello


CLEAR = x.ANSWER.pack(*x.Answer(x.NONE))
BAD_ANSWERS = {
    "closed at once": lambda relay: lambda sock: None,
    "silence": lambda relay: lambda sock: time.sleep(2.5),
    "random bytes": saying(os.urandom(300)),
    "a length of 65535": saying(b"\xff\xff" + bytes(2000)),
    "a length of 0": saying(bytes(2)),
    "an answer that is too short": saying(b"\0\x0d" + bytes(13)),
    "the end of half an answer": garbled(lambda m: m[:12]),
    "an answer and nothing": answering(),
    "an answer with a bit changed": garbled(
        lambda m: m[:5] + bytes([m[5] ^ 1]) + m[6:]
        if KEY else m[:2] + bytes([m[2] ^ 64]) + m[3:]),
    "another protection": answering(
        protection=x.AUTH if PROTECTION != x.AUTH else x.SEALED),
    "an unknown protection": answering(protection=9),
    "known neither 0 nor 1": answering(known=2),
}
if KEY:
    BAD_ANSWERS.update({
        "an answer in the clear": saying(
            struct.pack("!H", len(CLEAR)) + CLEAR),
        "no protection, sealed": answering(protection=x.NONE),
        "another key": wrong_key,
    })


@attack
def answers(relay):
    """Handshakes that lead to nothing, one after the other, while a client
    waits.  The proxy says so once for each of its subflows, tries again, not
    too often, and serves the client when there is a relay."""
    waiting = []
    greets = [greet(relay) for greet in BAD_ANSWERS.values()]
    subflows = []

    def next_one(sock):
        waiting.append(1)
        try:
            return greets[(len(waiting) - 1) % len(greets)](sock)
        finally:
            sock.close()

    relay.complete()
    relay.greet = next_one
    relay.close_all()
    client = threading.Thread(target=lambda: subflows.append(ask(seconds=60)))
    client.start()
    with Cost() as cost:
        all_seen = until(lambda: len(waiting) >= len(greets), 40)
    check(f"{len(greets)} bad answers", all_seen and cost.is_bounded() and
          len(waiting) < 60, f"{len(waiting)} dials, {cost}")
    relay.behave()
    client.join()
    check("and then the client is served", subflows == [(ANSWER, "EOF")],
          subflows)


@attack
def forgets(relay):
    """A relay that never knows a group makes the proxy begin again each
    time, but not in a rage."""
    relay.greet = lambda sock: x.accept(
        sock, lambda hello: relay.answer(hello)._replace(known=0),
        [KEY] if KEY else [])
    relay.close_all()
    before = relay.accepted
    with Cost() as cost:
        time.sleep(3)
    dials = relay.accepted - before
    check("a relay that knows no group", cost.is_bounded() and dials < 60 and
          cost.lines < 60, f"{dials} dials, {cost}")
    relay.behave()
    relay.close_all()
    check("and then it is served", until(is_served, 15))


@attack
def comes_and_goes(relay):
    """A relay that closes each subflow at its first frame."""
    def greet(sock):
        subflow = relay.honest(sock)
        subflow.send(x.ping(1))
        return None

    relay.greet = greet
    relay.close_all()
    before = relay.accepted
    with Cost() as cost:
        time.sleep(3)
    dials = relay.accepted - before
    check("a relay that closes each subflow", cost.is_bounded() and
          dials < 100, f"{dials} dials, {cost}")
    relay.behave()
    check("and then it is served", until(is_served, 15))


@attack
def drains(relay):
    """A relay that is about to end whenever somebody comes, and does not."""
    def greet(sock):
        subflow = relay.honest(sock)
        subflow.send(x.Frame(x.DRAIN))
        return subflow

    relay.greet = greet
    relay.close_all()
    before = relay.accepted
    with Cost() as cost:
        time.sleep(4)
    dials = relay.accepted - before
    check("a relay that always drains", cost.is_bounded() and dials < 60,
          f"{dials} dials, {cost}")
    relay.behave()
    check("and then it is served", until(is_served, 15))


@attack
def floods(relay):
    for what, frame_of in {
        "PINGs": x.ping,
        "PONGs": lambda i: x.ping(i, x.PONG),
        "RESETs of sessions that are not": lambda i: x.reset(i + 1000, i & 7),
        "ASKs for sessions that are not": lambda i: x.Frame(x.ASK, i + 1000),
        "data for sessions that are not": lambda i: x.data(i + 1000, 1, b"x"),
        "OPENs": lambda i: x.open_session(i + 1000, "192.0.2.1", 80),
        "DRAINs": lambda i: x.Frame(x.DRAIN),
        "ACKs": lambda i: x.ack(i + 1000, 1, i),
    }.items():
        until(lambda: len(relay.up()) >= 4, 10)
        frames = [x.pack(frame_of(i)) for i in range(MANY)]

        def flood():
            try:                # the proxy may close one of an old group
                relay.up()[-1].send(*frames)
                return True
            except (x.Closed, OSError):
                return False

        with Cost() as cost:
            good = until(flood, 10) and until(is_served, 10)
        check(f"{MANY} {what}: bounded and served", good and
              cost.is_bounded(), cost)
        if what == "DRAINs":    # it has gone to look for another relay
            relay.close_all()


def main():
    relay = Relay()
    check("it is served", until(is_served, 20))
    for name, function in attacks.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            begin = time.monotonic()
            try:
                function(relay)
            except (x.Wrong, OSError) as e:
                check(f"{name}: to its end", False, repr(e))
            relay.behave()
            print(f"-- {name}: {time.monotonic() - begin:.1f} s", flush=True)
    sys.exit(1 if probe._failures else 0)


main()
