# SPDX-License-Identifier: ISC
"""Who does not hold a key learns nothing from a relay:

    silence.py record FILE      a proxy's subflows and one session, as they go
                                over the wire to the relay, by way of RECORDER
    silence.py replay FILE      the same bytes again, while that proxy is there
    silence.py all FILE         those, and hellos that are wrong in one way
                                each, all at once: nothing is connected, and
                                all hear the same for the same time
    silence.py relay FILE       the relay's bytes again, to a proxy

The relay is RELAY_PORT; KEY is the file of its key.
"""

import collections
import json
import math
import os
import re
import selectors
import socket
import statistics
import struct
import sys
import threading
import time

import extended as x
import probe
from probe import at, check, read, until

RELAY = os.environ["relay4"], int(os.environ["RELAY_PORT"])
RECORDER = os.environ["gateway4"], 1094
SERVER = os.environ["server4"]
KEY = x.read_key(os.environ["KEY"])
SOURCES = os.environ["SOURCES"].split()
SECRET = b"a secret"
ANSWER = 2 + 32 + x.ANSWER.size + x.TAG
TIMEOUT = 10
APART = TIMEOUT / 10    # on a busy machine all are late
AT_ONCE = 380           # of 400, 16 of each source


# ---- recorded ----

class Recorder:
    """Between a proxy and the relay; keeps what goes over each connection."""

    def __init__(self):
        with at("gateway"):
            self.listener = socket.create_server(RECORDER)
        self.streams = []
        threading.Thread(target=self.accept_all, daemon=True).start()

    def accept_all(self):
        while True:
            proxy, _ = self.listener.accept()
            with at("gateway"):
                relay = socket.create_connection(RELAY, 20)
            stream = {"proxy": bytearray(), "relay": bytearray()}
            self.streams.append(stream)
            for name, one, other in (("proxy", proxy, relay),
                                     ("relay", relay, proxy)):
                threading.Thread(target=self.forward, daemon=True,
                                 args=(one, other, stream[name])).start()

    @staticmethod
    def forward(one, other, kept):
        one.settimeout(None)
        try:
            while part := one.recv(65536):
                kept += part
                other.sendall(part)
        except OSError:
            pass


class Server:
    """Counts who comes."""

    def __init__(self):
        with at("server"):
            self.listener = socket.create_server(("", 1101))
        self.accepted = 0
        threading.Thread(target=self.accept_all, daemon=True).start()

    def accept_all(self):
        while True:
            s, _ = self.listener.accept()
            self.accepted += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    @staticmethod
    def serve(s):
        try:
            s.sendall(s.recv(len(SECRET)))
        except OSError:
            pass
        s.close()


def ask():
    try:
        with at("client"):
            s = socket.create_connection((SERVER, 1101), 20)
        s.sendall(SECRET)
        return read(s)
    except OSError as e:
        return b"", probe.name_of(e)


def record(file):
    recorder, server = Recorder(), Server()
    check("a session, recorded", until(lambda: ask() == (SECRET, "EOF")) and
          until(lambda: len(recorder.streams) == 4) and server.accepted > 0)
    time.sleep(0.3)
    with open(file, "w", encoding="ascii") as f:
        json.dump([{name: bytes(part).hex() for name, part in stream.items()}
                   for stream in recorder.streams], f)


def recorded(file, name):
    with open(file, encoding="ascii") as f:
        return [bytes.fromhex(stream[name]) for stream in json.load(f)]


# ---- what strangers say ----

def hello(**fields):
    return x.write_hello(x.Hello(os.urandom(16), **fields), KEY)[0]


def under(key, prologue, payload=x.HELLO.pack(*x.Hello(bytes(16)))):
    return prologue + x.Noise(True, key, prologue).write(payload)


def flipped(message, bit):
    changed = bytearray(message)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def wrong_hellos():
    """Whole bytes of what somebody says, by what is wrong with it."""
    right, prologue = hello(), hello()[:16]
    wrong = {"nothing": b""}
    for n in range(1, len(right)):
        wrong[f"only {n} bytes"] = right[:n]
    # All of what is in the clear; of the rest a bit of each byte, or all.
    for bit in range(8 * len(right)):
        if (bit < 128 or os.environ.get("RORO_LONG") or
                bit % 8 == bit // 8 % 8):
            wrong[f"bit {bit} is wrong"] = flipped(right, bit)
    other = os.urandom(32)
    short = x.HELLO.pack(*x.Hello(bytes(16)))[:-1]
    wrong.update({
        "another key": x.write_hello(x.Hello(bytes(16)), other)[0],
        "another key under that name": under(other, prologue),
        "no protection": x.write_hello(x.Hello(bytes(16), 0, 0, x.NONE))[0],
        "no protection, sealed": hello(protection=x.NONE),
        "another protection": hello(protection=x.AUTH),
        "an unknown protection": hello(protection=7),
        "a public key of zeros": prologue + bytes(75),
        "a payload that is too short": under(
            KEY, x.PROLOGUE.pack(0xffffffff, 1, 0, 74, x.key_id(KEY)), short),
        "another version": b"\xff\xff\xff\xff\x02" + right[5:],
        "a hello and much more, with another key": under(
            other, prologue) + bytes(1000),
        "the base protocol": bytes(4),
        "a web browser": b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n",
        "256 bytes of it": os.urandom(256), "20000 bytes": os.urandom(20000),
    })
    return wrong


class Stranger:
    """Says that, and listens."""

    def __init__(self, what, message, source, answered=0, ends=False):
        self.what, self.answered, self.ends = what, answered, ends
        self.begin = time.monotonic()
        with at("client"):
            self.sock = socket.create_connection(RELAY, 20, (source, 0))
        self.heard, self.how, self.after = b"", "nothing", None
        self.sock.setblocking(False)
        try:
            self.sock.send(message)
            if ends:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            self.how = probe.name_of(e)

    def listen(self):
        """Is it over?"""
        try:
            part = self.sock.recv(65536)
            self.heard += part
            if part != b"":
                return False
            self.how = "EOF"
        except OSError as e:
            self.how = probe.name_of(e)
        self.after = time.monotonic() - self.begin
        self.sock.close()
        return True


def all_at_once(strangers, seconds):
    selector = selectors.DefaultSelector()
    for s in strangers:
        selector.register(s.sock, selectors.EVENT_READ, s)
    end = time.monotonic() + seconds
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(0.1):
            if key.data.after is None:
                sock = key.fileobj
                selector.unregister(sock)
                if not key.data.listen():
                    selector.register(sock, selectors.EVENT_READ, key.data)


def replays(file, sources):
    """Each recorded connection up to its hello, to the first record, and
    whole."""
    strangers = []
    for i, stream in enumerate(recorded(file, "proxy")):
        for what, size in (("hello", 91), ("hello and half a record", 110),
                           ("all", len(stream))):
            strangers.append(Stranger(f"connection {i} again, {what}",
                                      stream[:size], next(sources), ANSWER))
    return strangers


def in_turn():
    while True:
        yield from SOURCES


def replay(file):
    server = Server()
    strangers = replays(file, in_turn())
    all_at_once(strangers, 2)
    for s in strangers:
        s.sock.close()
    check("bytes that were sent before draw an answer and nothing more", all(
        len(s.heard) == ANSWER and s.after is None for s in strangers))
    check("nothing is connected", server.accepted == 0)


def all_of_them(file):
    server, sources = Server(), in_turn()
    strangers = replays(file, sources)
    batches = list(wrong_hellos().items())
    while batches or strangers:
        room = AT_ONCE - len(strangers)
        batch, batches = batches[:room - 3], batches[room - 3:]
        strangers += [Stranger(what, message, next(sources))
                      for what, message in batch]
        ending = [Stranger("and an end of file", message, next(sources),
                           ends=True)
                  for what, message in batch if what in (
                      "only 90 bytes", "another key", "bit 0 is wrong")]
        all_at_once(ending, TIMEOUT / 2)
        all_at_once(strangers, 2 * TIMEOUT)
        judge(strangers, ending)
        strangers = []
    check("nothing is connected", server.accepted == 0)


def kind(what):
    """Bits are judged by their byte, lengths by what is whole."""
    number = int(re.sub(r"\D", "", what) or 0)
    if what.startswith("bit "):
        return f"byte {number // 8} is wrong"
    if what.startswith("only "):
        return f"only a part of the {'prologue' if number < 16 else 'hello'}"
    return re.sub(r"^connection \d+", "a connection", what)


def judge(strangers, ending):
    check(f"{len(strangers)} strangers hear nothing", not [
        s for s in strangers if len(s.heard) != s.answered],
        ", ".join(f"{s.what}: {s.heard.hex()}" for s in strangers
                  if len(s.heard) != s.answered)[:500])
    ends = collections.Counter(s.how for s in strangers)
    check("and all see the same end", len(ends) == 1, dict(ends))
    times = sorted((s.after or 0, s.what) for s in strangers)
    check("at the same time", times[0][0] > TIMEOUT - 0.5,
          f"{times[0][0]:.2f} s ({times[0][1]}) to {times[-1][0]:.2f} s "
          f"({times[-1][1]})")
    kinds = collections.defaultdict(list)
    for s in strangers:
        kinds[kind(s.what)].append(s.after or math.inf)
    # Of several one may be late on a busy machine.
    medians = {what: statistics.median_low(after)
               for what, after in kinds.items()}
    first, last = min(medians, key=medians.get), max(medians, key=medians.get)
    check("by whatever they said", medians[last] - medians[first] < APART,
          f"{medians[first]:.2f} s ({first}) to {medians[last]:.2f} s "
          f"({last})")
    check("those that end are let go", all(
        s.heard == b"" and s.after is not None and s.how == ending[0].how
        for s in ending), [(s.how, s.after and round(s.after, 2))
                           for s in ending])


def relay(file):
    """To whoever dials, one after the other."""
    streams = recorded(file, "relay")
    with at("gateway"):
        listener = socket.create_server(RECORDER)
    dials = []

    def serve():
        while True:
            s, _ = listener.accept()
            dials.append(s)
            s.sendall(streams[len(dials) % len(streams)])

    threading.Thread(target=serve, daemon=True).start()
    until(lambda: dials)
    heard = ask()
    check("to a relay's bytes of before a proxy gives nothing", heard ==
          (b"", "ECONNRESET") and len(dials) > 0, (*heard, len(dials)))
    said = b""
    for s in dials:
        s.setblocking(False)
        try:
            said = max(said, s.recv(1 << 20), key=len)
        except OSError:
            pass
    check("but hellos", len(said) == 91, len(said))


{"record": record, "replay": replay, "all": all_of_them,
 "relay": relay}[sys.argv[1]](sys.argv[2])
sys.exit(1 if probe._failures else 0)
