#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What the bench runs on the server and on the client.

    agent.py serve PORT[=CONGESTION]...   a web server, in memory
    agent.py fetch                        orders on stdin, results on stdout

Both are started once, so that starting a program is in no measurement, and
both use TCP_NODELAY and answers in one piece, so that no algorithm of the
kernel waits for what is not coming.  Times are from before connect().

The server sends the first SIZE bytes of PATTERN for /SIZE, and /forever as
fast as it can without copying; the client compares what it gets with PATTERN.
For PUT /SIZE it takes so many bytes and answers with their hash.
"""

import errno
import hashlib
import json
import os
import random
import select
import socket
import struct
import sys
import threading
import time

PATTERN_SIZE = 20_000_000
PATTERN = random.Random(20).randbytes(PATTERN_SIZE)
CHUNK = 1 << 20


# ---- the server ----

def read_request(s):
    """Method, path, and what has come behind its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(4096)
        if not more:
            return None, None, None
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    method, path = head.decode().split()[:2]
    return method, path, rest


def take(s, size, data):
    """An upload: the hash of all of it."""
    digest = hashlib.sha256(data)
    left = size - len(data)
    while left > 0:
        data = s.recv(min(left, CHUNK))
        if not data:
            return
        digest.update(data)
        left -= len(data)
    s.sendall(digest.digest())


def send_forever(s):
    """Zeros from a file in memory: sendfile() spares the server a copy."""
    file = os.memfd_create("zeros")
    os.truncate(file, CHUNK)
    try:
        while True:
            os.sendfile(s.fileno(), file, 0, CHUNK)
    finally:
        os.close(file)


def answer(s, congestion):
    try:
        set_congestion(s, congestion)
        method, path, rest = read_request(s)
        if method == "PUT":
            take(s, int(path[1:]), rest)
        elif path == "/forever":
            s.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            send_forever(s)
        elif path:
            size = int(path[1:])
            head = f"HTTP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n"
            first = head.encode() + PATTERN[:min(size, CHUNK)]
            s.sendall(first)
            s.sendall(memoryview(PATTERN)[CHUNK:size])
    except (OSError, ValueError):
        pass                    # the client has gone, or is not ours
    finally:
        s.close()


def set_congestion(s, name):
    """On each connection, since a route with a choice of its own (congctl)
    decides about those that are accepted, whatever the listener has."""
    if name:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())


def listen(port, congestion):
    family = socket.AF_INET6
    try:
        server = socket.socket(family)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        any_address = "::"
    except OSError:
        server = socket.socket(socket.AF_INET)
        any_address = "0.0.0.0"
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    set_congestion(server, congestion)      # whether the kernel has it
    server.bind((any_address, port))
    server.listen(256)
    return server


def accept_all(server, congestion):
    while True:
        s, _ = server.accept()
        threading.Thread(target=answer, args=(s, congestion),
                         daemon=True).start()


def serve(words):
    """Prints the ports it has, since the kernel may lack an algorithm."""
    ports = []
    for word in words:
        port, _, congestion = word.partition("=")
        try:
            server = listen(int(port), congestion)
        except OSError as e:
            if e.errno != errno.ENOENT:
                raise
            continue
        threading.Thread(target=accept_all, args=(server, congestion),
                         daemon=True).start()
        ports.append(int(port))
    print(json.dumps(ports), flush=True)
    sys.stdin.read()            # until the bench ends


# ---- the client ----

class Failed(Exception):
    pass


class Transfer:
    """One download, with a deadline for all of it."""

    def __init__(self, host, port, limit):
        self.start = time.monotonic()
        self.end = self.start + limit
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.s = socket.socket(family)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.setblocking(False)
        error = self.s.connect_ex((host, port))
        if error not in (0, errno.EINPROGRESS):
            raise Failed(os.strerror(error))
        self.stopped = not self.ready(select.POLLOUT)
        error = self.s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Failed(os.strerror(error))
        self.connected = self.elapsed()

    def elapsed(self):
        return time.monotonic() - self.start

    def ready(self, events):
        poll = select.poll()
        poll.register(self.s, events)
        left = max(0, self.end - time.monotonic())
        return bool(poll.poll(left * 1000))

    def request(self, path):
        if not self.stopped:
            self.s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())

    def receive(self, buffer, flags=0):
        """How many bytes; 0 at the end, None when time is over."""
        while True:
            if not self.ready(select.POLLIN):
                self.stopped = True
                return None
            try:
                return self.s.recv_into(buffer, 0, flags)
            except BlockingIOError:
                continue
            except OSError as e:
                raise Failed(e.strerror) from e

    def close(self):
        """What is under way should not disturb the next one: reset."""
        if self.stopped:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
        self.s.close()


def get(order):
    """One object, compared with what it should be."""
    t = Transfer(order["host"], order["port"], order["limit"])
    try:
        t.request(f"/{order['size']}")
        head, first, same = b"", None, True
        buffer = bytearray(CHUNK)
        view = memoryview(buffer)
        got = 0
        while not t.stopped and got < order["size"]:
            n = t.receive(buffer)
            if n is None:
                break
            if n == 0:
                raise Failed(f"ended after {got} bytes")
            if first is None:
                first = t.elapsed()
            data = view[:n]
            if got == 0:                # until the head is whole
                head += bytes(data)
                _, found, rest = head.partition(b"\r\n\r\n")
                if not found:
                    continue
                data = memoryview(rest)
            same = same and data == PATTERN[got:got + len(data)]
            got += len(data)
        return {"connect_s": t.connected, "first_s": first,
                "total_s": t.elapsed(), "bytes": got, "stopped": t.stopped,
                "same": same}
    finally:
        t.close()


def sink(order):
    """As many bytes as come, for a time after a time; none is looked at."""
    t = Transfer(order["host"], order["port"],
                 order["settle"] + order["seconds"])
    try:
        t.request("/forever")
        buffer = bytearray(CHUNK)
        settled = t.start + order["settle"]
        got = 0
        begin = None
        while True:
            n = t.receive(buffer, socket.MSG_TRUNC)
            now = time.monotonic()
            if n is None:
                break
            if n == 0:
                raise Failed("the server has ended it")
            if begin is not None:
                got += n
            elif now >= settled:
                begin = now
            if now >= t.end:
                break
        t.stopped = True
        return {"bytes": got, "seconds": now - (begin or now)}
    finally:
        t.close()


def put(order, number, begin, times, wrong):
    """One upload, of bytes of its own."""
    body = PATTERN[number:number + order["size"]]
    try:
        with socket.create_connection((order["host"], order["port"]),
                                      order["limit"]) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(f"PUT /{len(body)} HTTP/1.0\r\n\r\n".encode() + body)
            answer = b""
            while len(answer) < hashlib.sha256().digest_size:
                part = s.recv(4096)
                if not part:
                    raise OSError("an end instead of an answer")
                answer += part
    except OSError as e:
        wrong.append(str(e))
        return
    if answer != hashlib.sha256(body).digest():
        wrong.append("other bytes have arrived")
    times.append(time.monotonic() - begin)


def uploads(order):
    """As many at once."""
    times, wrong = [], []
    begin = time.monotonic()
    threads = [threading.Thread(target=put,
                                args=(order, i, begin, times, wrong))
               for i in range(order["count"])]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return {"total_s": time.monotonic() - begin, "times_s": times,
            "wrong": wrong}


ORDERS = {"get": get, "sink": sink, "uploads": uploads}


def fetch():
    for line in sys.stdin:
        order = json.loads(line)
        try:
            result = ORDERS[order["do"]](order)
        except Failed as e:
            result = {"error": str(e)}
        print(json.dumps(result), flush=True)


def main():
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2:])
    elif sys.argv[1:] == ["fetch"]:
        fetch()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
