# SPDX-License-Identifier: ISC
"""Connections of both families through the proxy, while something happens:

    meddle.py busy|idle|reset OPEN GO

When they are open the file OPEN is made; until there is a file GO, `busy` ones
send both ways without a pause, and the others are silent.  Then the busy ones
end, and what arrived has to be what was sent, by its hash; the idle ones have to
work; those of `reset` have to be reset."""

import hashlib
import os
import socket
import sys
import threading

import probe
from probe import THROUGH, Route, end_of, finish, pattern, say, until

PIECE = pattern(5000)
PAUSE_S = 0.002


def send(s, go, hashes):
    """Small pieces, so that packets are always on their way."""
    pause = threading.Event()
    while not os.path.exists(go):
        s.sendall(PIECE)
        hashes["sent"].update(PIECE)
        pause.wait(PAUSE_S)
    finish(s)


def receive(s, hashes):
    while data := s.recv(65536):
        hashes["received"].update(data)
        hashes["bytes"] += len(data)


def busy(route, client, server, go):
    def both(s):
        hashes = {"sent": hashlib.sha256(), "received": hashlib.sha256(),
                  "bytes": 0}
        results = probe.at_once(lambda: send(s, go, hashes),
                                lambda: receive(s, hashes))
        hashes["errors"] = [r for r in results if r is not None]
        return hashes

    a, b = probe.at_once(lambda: both(client), lambda: both(server))
    good = not a["errors"] and not b["errors"] and all(
        x["sent"].digest() == y["received"].digest()
        for x, y in ((a, b), (b, a)))
    say(good, f"    busy, {route}: {b['bytes']} bytes and {a['bytes']} back, "
        f"{a['errors']} {b['errors']}")


def idle(route, client, server, go):
    until(lambda: os.path.exists(go))
    for a, b in ((client, server), (server, client)):
        a.sendall(b"word")
        data, end = probe.read(b, 4)
        say(data == b"word", f"    idle, {route}: {end}")


def reset(route, client, server, go):
    until(lambda: os.path.exists(go))
    end = end_of(client)
    say(end == "ECONNRESET", f"    {route}: {end}")


def main():
    kind, opened, go = sys.argv[1:]
    routes = [Route(THROUGH, af) for af in (socket.AF_INET, socket.AF_INET6)]
    pairs = [(route, *route.pair()) for route in routes]
    for route, client, server in pairs:
        relay = os.environ["relay4s" if route.four else "relay6s"]
        say(server.getpeername()[0] == relay, f"    {route}: by the relay")
    open(opened, "w", encoding="ascii").close()
    what = {"busy": busy, "idle": idle, "reset": reset}[kind]
    results = probe.at_once(*((lambda p=p: what(*p, go)) for p in pairs))
    for result in results:
        if result is not None:
            say(False, f"    {result}")
    sys.exit(1 if probe._failures else 0)


main()
