# SPDX-License-Identifier: ISC
"""Small messages, one every 5 ms, to a server that sends them back, until the
connection ends:

    corrupted.py client HOST PORT, corrupted.py server PORT

The client says how many were right, and how it ended."""

import socket
import sys
import threading
import time

from probe import name_of

SIZE = 200


def message(n):
    return b"%0*d" % (SIZE, n)


def say(s, errors):
    try:
        for n in range(1 << 20):
            s.sendall(message(n))
            time.sleep(0.005)
    except OSError as e:
        errors.append(name_of(e))


def client(host, port):
    n, errors = 0, []
    try:
        with socket.create_connection((host, int(port)), 20) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=say, args=(s, errors), daemon=True).start()
            while True:
                got = b""
                while len(got) < SIZE:
                    part = s.recv(SIZE - len(got))
                    if part == b"":
                        # An error is told once: then the other one has it.
                        time.sleep(0.1)
                        return n, *(errors or ["EOF"])
                    got += part
                if got != message(n):
                    return n, "other bytes"
                n += 1
    except OSError as e:
        return n, name_of(e)


def server(port):
    listener = socket.create_server(("", int(port)))
    while True:
        s, _ = listener.accept()
        try:
            while part := s.recv(65536):
                s.sendall(part)
        except OSError:
            pass
        s.close()


if sys.argv[1] == "client":
    print(*client(*sys.argv[2:]))
else:
    server(*sys.argv[2:])
