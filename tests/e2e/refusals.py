# SPDX-License-Identifier: ISC
"""Refused is refused: see refusals.sh, which knows the rules of the firewalls
for these ports."""

import os
import socket
import sys
import threading
import time

from gate import run
from probe import at, check, end_of, error_of, name_of, until

import probe

MODE = os.environ["MODE"]
WINDOW_S = 5
SERVERS = ((socket.AF_INET, "IPv4", os.environ["server4"], "198.51.100.1"),
           (socket.AF_INET6, "IPv6", os.environ["server6"], "2001:db8::1"))
HOST, PROHIBITED = 1190, 1191
MANY, ROOM = 1200, 1024


def attempt(family, address, port):
    """What a client hears, and from which call."""
    with at("client"):
        s = socket.socket(family)
    s.settimeout(10)
    with s:
        try:
            s.connect((address, port))
        except OSError as e:
            return "connect: " + name_of(e)
        try:
            s.sendall(b"?")
        except OSError as e:
            return "send: " + name_of(e)
        return "read: " + end_of(s)


def is_(what, got, expected):
    check(f"{MODE}, {what}", got == expected, got if got == expected else
          f"{got}, and not {expected}")


def accepted_then_reset(result):
    """By whichever call comes next, connect() itself included."""
    return result in ("connect: ECONNRESET", "send: ECONNRESET", "send: EPIPE",
                      "read: ECONNRESET")


def serve(family, address, port):
    """Every connection ends when a byte has come."""
    with at("server"):
        listener = socket.create_server((address, port), family=family)

    def run():
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.recv(1)
                except OSError:
                    pass

    threading.Thread(target=run, daemon=True).start()


def refused(name, family, address, port, error):
    """Once as if there were a server, then as it is.  The window begins
    somewhere in the first attempt: when that began."""
    begin = time.monotonic()
    first = attempt(family, address, port)
    check(f"{MODE}, {name}: the first attempt is reset after it was accepted",
          accepted_then_reset(first), first)
    is_(f"{name}: the next one fails in its connect()",
        attempt(family, address, port), f"connect: {error}")
    return begin


def kinds():
    port = 1200
    for family, name, server, nowhere in SERVERS:
        refused(f"{name}, closed port", family, server, port, "ECONNREFUSED")
        refused(f"{name}, unreachable host", family, server, HOST,
                "EHOSTUNREACH")
        refused(f"{name}, no route", family, nowhere, port, "ENETUNREACH")
        refused(f"{name}, prohibited", family, server, PROHIBITED,
                "EHOSTUNREACH" if family == socket.AF_INET else "EACCES")
        first = attempt(family, server, port + 1)
        check(f"{MODE}, {name}: another port is another matter",
              accepted_then_reset(first), first)


def expiry():
    """After the window, a try reaches the relay again."""
    begin = {}
    for family, name, server, _ in SERVERS:
        begin[name] = refused(f"{name}, closed for now", family, server, 1300,
                              "ECONNREFUSED")
        serve(family, server, 1300)
        is_(f"{name}: it opens, and is refused for the rest of {WINDOW_S} s",
            attempt(family, server, 1300), "connect: ECONNREFUSED")
    for family, name, server, _ in SERVERS:
        works = until(lambda: attempt(family, server, 1300) == "read: EOF",
                      3 * WINDOW_S)
        took = time.monotonic() - begin[name]
        check(f"{MODE}, {name}: then it works", works, f"after {took:.1f} s")
        check(f"{MODE}, {name}: and not long before", took > WINDOW_S - 1)


def off():
    for family, name, server, _ in SERVERS:
        for i in range(3):
            result = attempt(family, server, 1200)
            check(f"{MODE}, {name}, switched off: attempt {i + 1} is accepted",
                  accepted_then_reset(result), result)


def held(map_name):
    return run("gateway", "nft", "list", "map", "inet", "ro-ro-tcp",
               map_name).count("goto refuse")


def bounded():
    """More than there is room for: the set keeps its size, and the proxy does
    not stop over it."""
    family, _, server, _ = SERVERS[0]
    most = 0
    for first in range(20000, 20000 + MANY, 100):
        waiting = []
        for port in range(first, first + 100):
            with at("client"):
                s = socket.socket(family)
            s.settimeout(10)
            if error_of(s.connect, (server, port)) == "ok":
                waiting.append(s)
        for s in waiting:
            end_of(s)
            s.close()
        most = max(most, held("refused4"))
    check(f"{MODE}: of {MANY} destinations {ROOM} at most are held",
          0 < most <= ROOM, most)
    result = attempt(SERVERS[1][0], SERVERS[1][2], 1400)
    check(f"{MODE}: and the proxy works as before",
          accepted_then_reset(result), result)


for test in sys.argv[1:]:
    globals()[test]()

sys.exit(1 if probe._failures else 0)
