#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The other ends of control.sh.

    control.py serve PORT       D to who comes directly, R to the relay
    control.py ask ADDRESS PORT what the server says to the client
    control.py hold ADDRESS PORT    a connection that stays
    control.py field FILE NAME  a value of a document: a.b.0.c
    control.py hostile SOCKET   clients that do not keep to the rules
"""

import json
import os
import select
import signal
import socket
import sys
import time

CLIENTS = [os.environ.get("client4"), os.environ.get("client6")]
AT_ONCE = 8
PATIENCE_S = 5


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6,
                                    dualstack_ipv6=True, backlog=64)
    while True:
        connection, peer = listener.accept()
        with connection:
            address = peer[0].removeprefix("::ffff:")
            try:
                connection.settimeout(5)
                if connection.recv(1):
                    connection.sendall(b"D" if address in CLIENTS else b"R")
            except OSError:
                pass


def ask(address, port):
    with socket.create_connection((address, port), 5) as s:
        s.settimeout(5)
        s.sendall(b"?")
        print(s.recv(1).decode())


def hold(address, port):
    with socket.create_connection((address, port), 5):
        signal.pause()


def field(file, name):
    with open(file) as f:
        value = json.load(f)
    for part in name.split("."):
        value = value[int(part) if isinstance(value, list) else part]
    print(json.dumps(value).strip('"'))


# ---- hostile ----

def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(3 * PATIENCE_S)
    s.connect(path)
    return s


def send(s, data):
    """As much of it as is taken before the connection is closed."""
    try:
        s.sendall(data)
    except OSError:
        pass


def read(s):
    data = b""
    try:
        while chunk := s.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def asked(path, data):
    with connect(path) as s:
        send(s, data)
        return read(s)


def document(data):
    assert data.endswith(b"\n") and data.count(b"\n") == 1, data
    value = json.loads(data)
    assert value["version"] == 1, value
    return value


def works(path):
    assert document(asked(path, b"status\n"))["pid"] > 0


def one_request_only(path):
    assert "pid" in document(asked(path, b"status\nstatus\nnonsense\n"))


def in_pieces(path):
    with connect(path) as s:
        for byte in b"status\n":
            s.sendall(bytes([byte]))
            time.sleep(0.02)
        assert "pid" in document(read(s))


def nonsense(path):
    for data in (b"\n", b"nonsense\n", b"status\0\n", bytes(range(11, 256)) +
                 b"\n", b"bypass add 1.2.3.4/8\n", b"\0" * 4000 + b"\n"):
        assert "error" in document(asked(path, data)), data


def a_long_line(path):
    assert "error" in document(asked(path, b"x" * 4095 + b"\n"))
    assert "error" in document(asked(path, b"x" * 4096))
    assert "error" in document(asked(path, b"x" * 4097))
    assert "error" in document(asked(path, b"x" * 8192 + b"\n"))
    data = asked(path, b"x" * (1 << 20) + b"\n")
    assert data == b"" or "error" in document(data)


def gone(path):
    """They leave before, in the middle of, and after the request."""
    for data in (b"", b"stat", b"status\n"):
        with connect(path) as s:
            s.sendall(data)


def closed_in_time(sockets):
    """They are closed after PATIENCE_S, and not long after."""
    begin, left = time.monotonic(), list(sockets)
    while left:
        ready, _, _ = select.select(left, [], [], 3 * PATIENCE_S)
        assert ready, "a silent client stays"
        left = [s for s in left if s not in ready]
    return time.monotonic() - begin


def silence(path):
    with connect(path) as s:
        s.sendall(b"stat")
        took = closed_in_time([s])
        assert PATIENCE_S - 1 < took < 2 * PATIENCE_S, took
        assert read(s) == b""


def many(path):
    """Who is silent keeps others waiting, but not for ever."""
    crowd = []
    for _ in range(50):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(path)
            crowd.append(s)
        except BlockingIOError:         # the backlog is full
            s.close()
    assert len(crowd) >= AT_ONCE
    sockets = crowd[:AT_ONCE]
    assert closed_in_time(sockets) > PATIENCE_S - 2
    for s in crowd:
        s.close()


def hostile(path):
    for test in (one_request_only, in_pieces, nonsense, a_long_line, gone,
                 silence, many):
        test(path)
        works(path)
        print(f"ok: {test.__name__}", flush=True)


def slow(path):
    """Never comes to an end."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            s, _ = listener.accept()
            try:
                while True:
                    s.sendall(b" ")
                    time.sleep(0.5)
            except OSError:
                s.close()


def main():
    command, *arguments = sys.argv[1:]
    if command == "serve":
        serve(int(arguments[0]))
    elif command == "ask":
        ask(arguments[0], int(arguments[1]))
    elif command == "hold":
        hold(arguments[0], int(arguments[1]))
    elif command == "field":
        field(*arguments)
    elif command == "slow":
        slow(*arguments)
    else:
        hostile(*arguments)


if __name__ == "__main__":
    main()
