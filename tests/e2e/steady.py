# SPDX-License-Identifier: ISC
"""Connections that go on for a while, or are many, and know what they carry.

    steady.py serve PORT
    steady.py run HOST PORT SECONDS RATE	bytes a second, each way
    steady.py small HOST PORT COUNT SIZE	one after another, each way

Both ends write a stream of their own and compare the hash of what comes.  What
is wrong ends with status 1 and a word; otherwise a line says how much came, and
for how long nothing did at most.
"""

import hashlib
import socket
import struct
import sys
import threading
import time

TICK = 0.05


def stream(seed, size):
    """Some bytes that depend on where they are."""
    out = bytearray()
    block = 0
    while len(out) < size:
        out += hashlib.sha256(struct.pack("!QQ", seed, block)).digest()
        block += 1
    return bytes(out[:size])


def read_exactly(s, size):
    data = b""
    while len(data) < size:
        part = s.recv(size - len(data))
        if not part:
            raise EOFError(f"ends after {len(data)} of {size} bytes")
        data += part
    return data


def write(s, data, seconds):
    """In even pieces over that time."""
    begin = time.monotonic()
    sent = 0
    while sent < len(data):
        due = len(data)
        if seconds > 0:
            part = (time.monotonic() - begin) / seconds
            due = min(due, int(part * due) + 1)
        s.sendall(data[sent:due])
        sent = due
        if sent < len(data):
            time.sleep(TICK)


def read(s, size):
    """The hash of so many bytes, and the longest pause in them."""
    digest = hashlib.sha256()
    last = None         # the other end makes its bytes first
    gap = 0
    while size > 0:
        part = s.recv(min(size, 1 << 16))
        now = time.monotonic()
        if not part:
            raise EOFError(f"ends {size} bytes early")
        gap = max(gap, now - last if last is not None else 0)
        last = now
        digest.update(part)
        size -= len(part)
    return digest.digest(), gap


def exchange(s, seed, other, size, seconds):
    """Write one stream, expect the other; the longest pause."""
    failed = []

    def writer():
        try:
            write(s, stream(seed, size), seconds)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=writer, daemon=True)
    thread.start()
    got, gap = read(s, size)
    thread.join()
    if failed:
        raise failed[0]
    if got != hashlib.sha256(stream(other, size)).digest():
        raise ValueError("other bytes arrive than were sent")
    return gap


def serve_one(s):
    with s:
        try:
            size, ms = struct.unpack("!QQ", read_exactly(s, 16))
            exchange(s, 2, 1, size, ms / 1000)
            s.sendall(b"y")
        except (OSError, EOFError, ValueError) as error:
            print("server:", error, flush=True)


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6,
                                    dualstack_ipv6=True, backlog=128)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=serve_one, args=(s,), daemon=True).start()


def ask(host, port, size, seconds):
    with socket.create_connection((host, port), timeout=60 + seconds) as s:
        s.sendall(struct.pack("!QQ", size, int(seconds * 1000)))
        gap = exchange(s, 1, 2, size, seconds)
        if read_exactly(s, 1) != b"y":
            raise ValueError("the server got other bytes")
    return gap


def main(verb, *args):
    if verb == "serve":
        serve(int(args[0]))
    host, port = args[0], int(args[1])
    try:
        if verb == "run":
            seconds, rate = float(args[2]), int(args[3])
            size = int(seconds * rate)
            gap = ask(host, port, size, seconds)
            print(f"{size} bytes each way, nothing for {gap:.2f} s at most")
            print(f"{gap:.2f}", file=sys.stderr)
        else:
            for _ in range(int(args[2])):
                ask(host, port, int(args[3]), 0)
    except (OSError, EOFError, ValueError) as error:
        sys.exit(f"client: {type(error).__name__}: {error}")


main(*sys.argv[1:])
