#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The extended protocol of ro-ro-tcp, from its description alone.

It shares nothing with rorod, not even the library for its ciphers: it is what
somebody else would have written.  Other tests import it to say what no honest
peer says; by itself it is one end of one session:

    extended.py vectors              the handshake gives published numbers
    extended.py proxy  HOST PORT     what a proxy and its client do
    extended.py relay  HOST PORT     what a relay and its server do

Each sends --send bytes in datagrams of --piece over --subflows in turn, expects
--expect bytes, all of them known beforehand, and ends its direction.  With
--key FILE it is sealed, or as --protection says.  Status 0: all was right.
"""

import argparse
import base64
import collections
import hashlib
import hmac
import os
import selectors
import socket
import struct
import sys
import threading
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey, X25519PublicKey)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat)

from base_peer import DOWN, UP, Checker, Wrong, bytes_of


class Closed(Wrong):
    """The other end has closed or reset the connection."""


# ---- Noise_NNpsk0_25519_ChaChaPoly_SHA256 ----

NAME = b"Noise_NNpsk0_25519_ChaChaPoly_SHA256"
TAG = 16


def hkdf(chaining_key, material, outputs):
    temporary = hmac.digest(chaining_key, material, "sha256")
    result = [b""]
    for i in range(1, outputs + 1):
        result.append(hmac.digest(temporary, result[-1] + bytes([i]),
                                  "sha256"))
    return result[1:]


class Cipher:
    """A key, and how often it was used."""

    def __init__(self, key):
        self.cipher, self.count = ChaCha20Poly1305(key), 0

    def nonce(self):
        self.count += 1
        return struct.pack("<4xQ", self.count - 1)

    def seal(self, plain, known=b""):
        return self.cipher.encrypt(self.nonce(), plain, known)

    def open(self, sealed, known=b""):
        try:
            return self.cipher.decrypt(self.nonce(), bytes(sealed), known)
        except InvalidTag:
            raise Wrong("it does not verify") from None


class Noise:
    """Both ends; the initiator writes one message and reads one."""

    def __init__(self, initiator, key, prologue, secret=None):
        self.initiator, self.key = initiator, key
        self.hash = self.chaining_key = hashlib.sha256(NAME).digest()
        self.cipher = self.theirs = None
        self.secret = (X25519PrivateKey.generate() if secret is None else
                       X25519PrivateKey.from_private_bytes(secret))
        self.mix_hash(prologue)
        self.first = True

    def mix_hash(self, data):
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, material):
        self.chaining_key, key = hkdf(self.chaining_key, material, 2)
        self.cipher = Cipher(key)

    def mix_key_and_hash(self, material):
        self.chaining_key, temporary, key = hkdf(self.chaining_key, material, 3)
        self.mix_hash(temporary)
        self.cipher = Cipher(key)

    def tokens(self, public):
        """psk, e in the first message; e, ee in the second one."""
        if self.first:
            self.mix_key_and_hash(self.key)
        self.mix_hash(public)
        self.mix_key(public)
        if not self.first:
            self.mix_key(self.secret.exchange(self.theirs))
        self.first = False

    def write(self, payload):
        public = self.secret.public_key().public_bytes(Encoding.Raw,
                                                       PublicFormat.Raw)
        self.tokens(public)
        sealed = self.cipher.seal(payload, self.hash)
        self.mix_hash(sealed)
        return public + sealed

    def read(self, message):
        public, sealed = message[:32], message[32:]
        self.theirs = X25519PublicKey.from_public_bytes(public)
        self.tokens(public)
        payload = self.cipher.open(sealed, self.hash)
        self.mix_hash(sealed)
        return payload

    def split(self):
        """Ciphers for what we send, and for what we receive."""
        ours, theirs = map(Cipher, hkdf(self.chaining_key, b"", 2))
        return (ours, theirs) if self.initiator else (theirs, ours)


# ---- records ----

RECORD = 16640          # bytes of frames in one, at most


class Records:
    """Between frames and the connection.  Without ciphers it changes nothing;
    with `only_first` nothing behind the first record each way."""

    def __init__(self, send=None, receive=None, only_first=False):
        self.send, self.receive = send, receive
        self.only_first = only_first
        self.raw, self.frames = bytearray(), bytearray()

    def pack(self, data):
        if self.send is None:
            return data
        sealed = self.send.seal(data)
        if self.only_first:
            self.send = None
        return struct.pack("!H", len(sealed)) + sealed

    def unpack(self, data):
        """Whole frames of what came, as a list."""
        self.raw += data
        found = []
        while self.receive is not None:
            if len(self.raw) < 2:
                return found
            size, = struct.unpack_from("!H", self.raw)
            if not TAG <= size <= RECORD + TAG:
                raise Wrong(f"a record of {size} bytes")
            if len(self.raw) < 2 + size:
                return found
            self.frames += self.receive.open(self.raw[2:2 + size])
            del self.raw[:2 + size]
            found += self.parse()
            if self.frames:
                raise Wrong("a frame spans records")
            if self.only_first:
                self.receive = None
        self.frames += self.raw
        self.raw.clear()
        return found + self.parse()

    def parse(self):
        found, at = [], 0
        while len(self.frames) - at >= HEADER.size:
            kind, flags, size, connection, serial = HEADER.unpack_from(
                self.frames, at)
            if len(self.frames) - at - HEADER.size < size:
                break
            at += HEADER.size + size
            found.append(Frame(kind, connection, serial,
                               bytes(self.frames[at - size:at]), flags))
        del self.frames[:at]
        return found


# ---- frames ----

HEADER = struct.Struct("!BBHII")
DATA, OPEN, FIN, ACK, RESET, OPENED, PING, PONG, DRAIN, ASK = range(10)
DATA_MAX, COST = 16384, 64
REFUSED, DENIED, RESOURCES, PROTOCOL, UNKNOWN = 1, 4, 5, 6, 7

Frame = collections.namedtuple("Frame", "kind connection serial body flags",
                               defaults=(0, 0, b"", 0))


def pack(frame):
    return HEADER.pack(frame.kind, frame.flags, len(frame.body),
                       frame.connection, frame.serial) + frame.body


def data(connection, serial, body):
    return Frame(DATA, connection, serial, body)


def fin(connection, serial, code=0):
    return Frame(FIN, connection, serial, bytes([code]))


def ack(connection, serial, window):
    return Frame(ACK, connection, serial, struct.pack("!I", window))


def reset(connection, code):
    return Frame(RESET, connection, 0, bytes([code]))


def ping(opaque=0, kind=PING):
    return Frame(kind, 0, 0, struct.pack("!Q", opaque))


def tlv(kind, value):
    return bytes([kind, len(value)]) + value


def address(host, port):
    family = 6 if ":" in host else 4
    packed = socket.inet_pton(socket.AF_INET6 if family == 6 else
                              socket.AF_INET, host)
    return bytes([family]) + packed + struct.pack("!H", port)


def open_session(connection, host, port, more=b""):
    return Frame(OPEN, connection, 0, tlv(1, address(host, port)) + more)


# What a later version may say to one that does not know it yet.
SKIPPABLE = 0x80
SKIPPED = Frame(0xf0, 0, 0, b"not known yet")
SKIPPED_EMPTY = Frame(0xf1, 17, 4, b"", 0xff)
SKIPPED_PART = tlv(0xf0, b"nor is this")


# ---- establishment of a subflow ----

NONE, AUTH, SEALED = range(3)
PROLOGUE = struct.Struct("!IBBH8s")
HELLO = struct.Struct("!16sBBBII")
ANSWER = struct.Struct("!BBIII")
BULK = 128              # slots from here
WINDOW = DATA_MAX + COST

Hello = collections.namedtuple("Hello", "group path slot protection features "
                               "window", defaults=(0, 0, SEALED, 0, WINDOW))
Answer = collections.namedtuple("Answer", "protection known features window "
                                "sessions", defaults=(SEALED, 0, 3, WINDOW, 99))


def key_id(key):
    return hashlib.sha256(b"ro-ro-tcp key" + key).digest()[:8]


def read_key(file):
    with open(file, encoding="ascii") as f:
        return base64.b64decode(f.read(), validate=False)


def read_exactly(sock, size):
    got = b""
    while len(got) < size:
        try:
            part = sock.recv(size - len(got))
        except ConnectionError as e:
            raise Closed(repr(e)) from None
        if part == b"":
            raise Closed("closed in the handshake")
        got += part
    return got


def write_hello(hello, key=None, secret=None):
    """The bytes that a proxy sends first, and the state of its handshake."""
    payload = HELLO.pack(*hello)
    if key is None:
        return PROLOGUE.pack(0xffffffff, 1, 0, len(payload), bytes(8)) + \
            payload, None
    prologue = PROLOGUE.pack(0xffffffff, 1, 0, 32 + len(payload) + TAG,
                             key_id(key))
    noise = Noise(True, key, prologue, secret)
    return prologue + noise.write(payload), noise


def records_of(noise, protection):
    if noise is None:
        return Records()
    return Records(*noise.split(), only_first=protection == AUTH)


def read_answer(sock, noise):
    size, = struct.unpack("!H", read_exactly(sock, 2))
    message = read_exactly(sock, size)
    payload = message if noise is None else noise.read(message)
    return Answer(*ANSWER.unpack(payload[:ANSWER.size]))


class Subflow:
    """After the handshake: frames."""

    def __init__(self, sock, records, hello, answer):
        self.sock, self.records = sock, records
        self.hello, self.answer = hello, answer
        self.waiting = collections.deque()
        self.sending = threading.Lock()

    def send(self, *frames):
        """As few records as there can be; no frame makes an empty one.  They
        are whole, and in the order of their counts, whoever else sends."""
        with self.sending:
            self.send_all(frames)

    def send_all(self, frames):
        record, size, out = [], 0, []
        for frame in frames:
            packed = frame if isinstance(frame, bytes) else pack(frame)
            if size + len(packed) > RECORD and record:
                out.append(self.records.pack(b"".join(record)))
                record, size = [], 0
            record.append(packed)
            size += len(packed)
        out.append(self.records.pack(b"".join(record)))
        try:
            self.sock.sendall(b"".join(out))
        except ConnectionError as e:
            raise Closed(repr(e)) from None

    def read(self):
        """Those that came with the next bytes."""
        try:
            part = self.sock.recv(1 << 18)
        except ConnectionError as e:
            raise Closed(repr(e)) from None
        if part == b"":
            raise Closed("closed")
        return self.records.unpack(part)

    def frame(self, wanted=lambda frame: True, seconds=20):
        """The next one that is wanted; others are dropped.  None: it did not
        come."""
        end = time.monotonic() + seconds
        while True:
            while self.waiting:
                frame = self.waiting.popleft()
                if wanted(frame):
                    return frame
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                self.waiting += self.read()
            except TimeoutError:
                return None
            finally:
                self.sock.settimeout(20)

    def close(self):
        self.sock.close()


def dial(sock, hello, key=None):
    """The proxy's side, over a connected socket."""
    first, noise = write_hello(hello, key)
    sock.sendall(first)
    answer = read_answer(sock, noise)
    if answer.protection != hello.protection:
        raise Wrong("the relay wants another protection")
    subflow = Subflow(sock, records_of(noise, hello.protection), hello, answer)
    subflow.send(*([ping()] if noise is None else []))
    return subflow


def accept(sock, answer, keys=()):
    """The relay's side; what it answers is `answer`, a function of the
    hello."""
    prologue = read_exactly(sock, PROLOGUE.size)
    magic, version, zero, size, name = PROLOGUE.unpack(prologue)
    if (magic, version, zero) != (0xffffffff, 1, 0) or size > 240:
        raise Wrong("this is no hello")
    message = read_exactly(sock, size)
    noise = None
    if keys:
        key = next((k for k in keys if key_id(k) == name), None)
        if key is None:
            raise Wrong("an unknown key")
        noise = Noise(False, key, prologue)
        message = noise.read(message)
    elif name != bytes(8):
        raise Wrong("a key where there should be none")
    hello = Hello(*HELLO.unpack(message[:HELLO.size]))
    if (hello.protection == NONE) != (noise is None):
        raise Wrong("its protection is another inside")
    told = answer(hello)
    payload = ANSWER.pack(*told)
    message = payload if noise is None else noise.write(payload)
    sock.sendall(struct.pack("!H", len(message)) + message)
    return Subflow(sock, records_of(noise, hello.protection), hello, told)


# ---- one session, by the rules ----

class Session:
    """Sends `out` and expects `expect`; nothing is ever lost, since no subflow
    dies."""

    def __init__(self, subflows, number, options, send, expect, opening=None):
        self.subflows, self.number = subflows, number
        self.checker = Checker(expect, options.expect)
        self.pieces = collections.deque()
        out = bytes_of(send, options.send)
        for at in range(0, len(out), options.piece):
            self.pieces.append(out[at:at + options.piece])
        self.pieces.append(None)                # FIN
        first = subflows[0]
        proxy = opening is not None
        # What each of both sides offered before the first ACK.
        self.edge = first.answer.window if proxy else first.hello.window
        self.offered = first.hello.window if proxy else first.answer.window
        self.opening = opening                  # until it is acknowledged
        self.opened_on = set()
        self.next_out, self.cost_out = (1, 0)
        self.acked = 0 if proxy else 1
        self.unacked = {}                       # costs of what is under way
        self.cost_acked = 0
        self.next_in, self.cost_in = 1, 0
        self.early = {}
        self.fin_at = None
        self.sent = self.received = self.farthest = 0

    # to the other end

    def write(self):
        """What the window lets go; FIN needs none."""
        while self.pieces:
            piece = self.pieces[0]
            cost = 0 if piece is None else len(piece) + COST
            if piece is not None and self.cost_out + cost > self.edge:
                return
            self.pieces.popleft()
            serial = self.next_out
            self.next_out += 1
            self.cost_out += cost
            self.unacked[serial] = cost
            self.sent += 1
            self.send(self.subflows[serial % len(self.subflows)],
                      fin(self.number, serial) if piece is None else
                      data(self.number, serial, piece))

    def send(self, subflow, frame):
        if self.opening is not None and subflow not in self.opened_on:
            self.opened_on.add(subflow)
            subflow.send(SKIPPED, self.opening, SKIPPED, frame)
        elif self.next_out % 7 == 0:
            subflow.send(SKIPPED, frame, SKIPPED_EMPTY)
        else:
            subflow.send(frame)

    def owe_ack(self, subflow):
        """There is always as much room as at first, and one MiB."""
        self.offered = max(self.offered, self.cost_in + (1 << 20))
        taken = self.fin_at is not None and self.next_in == self.fin_at
        self.send(subflow, ack(self.number, self.next_in + taken,
                               self.offered - self.cost_in))

    # from the other end

    def take(self, subflow, frame):
        if frame.kind == PING:
            subflow.send(ping(struct.unpack("!Q", frame.body)[0], PONG))
        elif frame.kind == OPEN:
            subflow.send(Frame(OPENED, self.number, 0, SKIPPED_PART))
            self.owe_ack(subflow)
        elif frame.kind == DATA:
            self.take_data(frame)
            self.owe_ack(subflow)
        elif frame.kind == FIN:
            if self.fin_at not in (None, frame.serial) or frame.body != b"\0":
                raise Wrong(f"{frame}")
            self.fin_at = frame.serial
            self.owe_ack(subflow)
        elif frame.kind == ACK:
            self.take_ack(frame)
        elif frame.kind == ASK:
            self.owe_ack(subflow)
        elif frame.kind == RESET:
            if frame.body != bytes([UNKNOWN]) or self.pieces or self.missing():
                raise Wrong(f"reset with {frame.body.hex()}")
            self.unacked.clear()    # it was done, and only its ACK is missing
        elif frame.kind < SKIPPABLE and frame.kind not in (OPENED, PONG):
            raise Wrong(f"{frame}")

    def take_data(self, frame):
        cost = len(frame.body) + COST
        if not 0 < len(frame.body) <= DATA_MAX:
            raise Wrong(f"a datagram of {len(frame.body)} bytes")
        if self.fin_at is not None and frame.serial >= self.fin_at:
            raise Wrong("a datagram behind the end")
        self.received += 1
        if frame.serial < self.next_in or frame.serial in self.early:
            return
        self.farthest = max(self.farthest, frame.serial - self.next_in)
        self.early[frame.serial] = frame.body
        if self.cost_in + sum(len(b) + COST for b in self.early.values()) > \
                self.offered:
            raise Wrong("more than was offered")
        while self.next_in in self.early:
            body = self.early.pop(self.next_in)
            self.checker.feed(body)
            self.cost_in += len(body) + COST
            self.next_in += 1

    def take_ack(self, frame):
        window, = struct.unpack("!I", frame.body)
        if frame.serial > self.next_out:
            raise Wrong("an ACK of what was not sent")
        if frame.serial < self.acked:
            return                              # a newer one overtook it
        self.opening = None
        self.acked = frame.serial
        for serial in [s for s in self.unacked if s < frame.serial]:
            self.cost_acked += self.unacked.pop(serial)
        self.edge = max(self.edge, self.cost_acked + window)

    def missing(self):
        return self.fin_at is None or self.next_in < self.fin_at

    def run(self):
        selector = selectors.DefaultSelector()
        for subflow in self.subflows:
            selector.register(subflow.sock, selectors.EVENT_READ, subflow)
        end = time.monotonic() + 120
        if self.opening is not None:
            self.owe_ack(self.subflows[0])
        while self.missing() or self.pieces or self.unacked:
            self.write()
            for subflow in self.subflows:
                while subflow.waiting:
                    self.take(subflow, subflow.waiting.popleft())
            for key, _ in selector.select(1):
                key.data.waiting += key.data.read()
            if time.monotonic() > end:
                raise Wrong("it takes too long")
        self.checker.end()


def connect(host, port, source=None):
    sock = socket.create_connection((host, port), 20, source)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def slots(n):
    """Express and bulk in turn."""
    return [i // 2 + BULK * (i % 2) for i in range(n)]


def proxy(options, key):
    group, subflows = os.urandom(16), []
    for slot in slots(options.subflows):
        subflow = dial(connect(options.host, options.port),
                       Hello(group, 0, slot, options.protection), key)
        if subflow.answer.known != (len(subflows) > 0):
            raise Wrong("it does not know what it should, or does")
        # The others come when the relay was heard on the first one.
        if not subflows and subflow.frame() is None:
            raise Wrong("nothing is heard on the first subflow")
        subflows.append(subflow)
    return Session(subflows, 1, options, UP, DOWN,
                   open_session(1, options.to, 80, SKIPPED_PART))


def relay(options, key):
    listener = socket.create_server((options.host, options.port),
                                    family=socket.AF_INET6 if ":" in
                                    options.host else socket.AF_INET)
    groups, subflows = set(), []

    def answer(hello):
        known = hello.group in groups
        groups.add(hello.group)
        return Answer(hello.protection, int(known))

    while len(subflows) < options.subflows:
        sock, _ = listener.accept()
        sock.settimeout(20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        subflow = accept(sock, answer, [key] if key else [])
        subflow.send(SKIPPED, ping(1), SKIPPED)
        subflows.append(subflow)
    # The first frame of a session is its OPEN.
    selector = selectors.DefaultSelector()
    for subflow in subflows:
        selector.register(subflow.sock, selectors.EVENT_READ, subflow)
    while True:
        for ready, _ in selector.select(60):
            ready.data.waiting += ready.data.read()
            if any(f.kind == OPEN for f in ready.data.waiting):
                return Session(subflows, 1, options, DOWN, UP)


# ---- published numbers ----

# From vectors.txt of the Go package github.com/flynn/noise, version 1.0.0
# (Debian's golang-github-flynn-noise-dev): ephemeral secrets of both ends, the
# key, and for each vector the prologue, two payloads and two messages.  Two
# transport messages follow, which are the same for all.
VECTOR_SECRETS = bytes(range(0x20, 0x40)), bytes(range(0x41, 0x61))
VECTOR_KEY = b"!verysecretverysecretverysecret!"
FIRST_PUBLIC = ("358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2"
                "cd166254")
SECOND_PUBLIC = ("64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d98"
                 "46d48466")
VECTORS = (
    (b"", b"", b"", "e7136508cb8178281204abd62e9f2a3e",
     "922f3b7824001193c077abd8b7a73030"),
    (b"", b"test_msg_0", b"test_msg_1",
     "7c78f22f8cea986f934a675201c7f431a539e50c9be46986fa89",
     "6913ea64c74c2f63ee5e814fda25301b9508e4685ee02e9852fd"),
    (b"notsecret", b"", b"", "6e96a20116b68fd776478e81d11779ca",
     "66f51bc44f88917daa53fb4529499b55"),
    (b"notsecret", b"test_msg_0", b"test_msg_1",
     "7c78f22f8cea986f934ab17c2484a24a990a6473d588a4f20e99",
     "6913ea64c74c2f63ee5e32a5358320d459322d624c9ccc975fa0"),
)
VECTOR_TRANSPORT = (
    (b"yellowsubmarine",
     "b349a522c145762c7c737ac1d1425ce1fb25c7cca626177ee4ceed3cd6fb3d"),
    (b"submarineyellow",
     "b41e24399dc3f1ad2faf82868700e4bf31bb89f6616e1d6a92802bb8ad80d6"),
)


def equal(got, expected, what):
    if got.hex() != expected:
        raise Wrong(f"{what}: {got.hex()} instead of {expected}")


def vectors():
    for n, (prologue, *payloads, first, second) in enumerate(VECTORS):
        ends = [Noise(i == 0, VECTOR_KEY, prologue, VECTOR_SECRETS[i])
                for i in (0, 1)]
        expected = FIRST_PUBLIC + first, SECOND_PUBLIC + second
        for i in (0, 1):
            message = ends[i].write(payloads[i])
            equal(message, expected[i], f"vector {n}, message {i + 1}")
            if ends[1 - i].read(message) != payloads[i]:
                raise Wrong(f"vector {n}, payload {i + 1}")
        ciphers = [end.split() for end in ends]
        for i, (plain, sealed) in enumerate(VECTOR_TRANSPORT):
            record = ciphers[i][0].seal(plain)
            equal(record, sealed, f"vector {n}, transport {i + 1}")
            if ciphers[1 - i][1].open(record) != plain:
                raise Wrong(f"vector {n}, transport {i + 1}")
    print(f"vectors: right, {len(VECTORS)} of them")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["vectors", "proxy", "relay"])
    parser.add_argument("host", nargs="?")
    parser.add_argument("port", type=int, nargs="?")
    parser.add_argument("--to", help="address of the server, for a proxy")
    parser.add_argument("--key")
    parser.add_argument("--protection", choices=["none", "auth", "sealed"],
                        default="sealed")
    parser.add_argument("--send", type=int, default=0)
    parser.add_argument("--expect", type=int, default=0)
    parser.add_argument("--piece", type=int, default=1000)
    parser.add_argument("--subflows", type=int, default=4)
    options = parser.parse_args()
    options.protection = ["none", "auth", "sealed"].index(options.protection)
    key = read_key(options.key) if options.key else None
    try:
        if options.role == "vectors":
            vectors()
            return 0
        end = (proxy if options.role == "proxy" else relay)(options, key)
        end.run()
    except (Wrong, OSError) as e:
        print(f"{options.role}: {e!r}", flush=True)
        return 1
    print(f"{options.role}: right, {end.sent} sent, {end.received} received, "
          f"{end.farthest} ahead", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
