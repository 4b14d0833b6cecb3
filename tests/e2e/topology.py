# SPDX-License-Identifier: ISC
"""Connections of all kinds at the same time, and who came at their servers:

    topology.py SOCKET EXPECTATION...

An expectation is a line of words, `WHO ADDRESS PORT`: a client connects there,
both ends send at once, and the hashes of what they get are right; the server
saw that this came from WHO, a name of NAMES or an address.  Behind it there may
be: `by HOST` (the client, by default), `from ADDRESS` (of the client), `at HOST`
(where the server is), `to ADDRESS PORT` (there, when somebody translates).
WHO may also be an error of the client, in capitals.

The proxy, whose socket is SOCKET, must have had as many sessions as there are
expectations of `relay`."""

import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading

from probe import at, finish, name_of, pattern, read, say, until

import probe

HEADER = struct.Struct("!I")
OUT, BACK = 300000, 400000
PATIENCE_S = 10
NAMES = {
    "client": ("client4", "client6"),
    "gateway": ("proxy4", "proxy6"),
    "relay": ("relay4s", "relay6s"),
}


class Expectation:
    def __init__(self, number, words):
        self.text = words
        self.number = number
        self.who, self.address, port, *more = words.split()
        self.port = int(port)
        self.client, self.source, self.host = "client", None, "server"
        self.to = (self.address, self.port)
        while more:
            word, *more = more
            if word == "by":
                self.client, *more = more
            elif word == "from":
                self.source, *more = more
            elif word == "at":
                self.host, *more = more
            elif word == "to":
                self.to, more = (more[0], int(more[1])), more[2:]
            else:
                sys.exit(f"{words}: {word}?")
        self.six = ":" in self.address
        names = NAMES.get(self.who)
        self.peer = os.environ[names[self.six]] if names else self.who
        self.seen = "nobody"
        self.served = threading.Event()


def hash_of(data):
    return hashlib.sha256(data).digest()


def both_ways(s, data):
    """What comes back until the end, while `data` goes."""
    def send():
        try:
            s.sendall(data)
            finish(s)
        except OSError:
            pass                # the other direction says more
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    got = read(s)
    sender.join(PATIENCE_S)
    return got


def serve(s, peer, expectations):
    s.settimeout(PATIENCE_S)
    e = None
    try:
        head = s.recv(HEADER.size, socket.MSG_WAITALL)
        e = expectations[HEADER.unpack(head)[0]]
        e.seen = peer.removeprefix("::ffff:").split("%")[0]
        data, end = both_ways(s, pattern(BACK, e.number))
        if hash_of(data) != hash_of(pattern(OUT, e.number + 1)):
            e.seen += f", {len(data)} bytes, {end}"
    except (OSError, struct.error):
        pass                    # the client hears of it
    s.close()
    if e is not None:
        e.served.set()


def listen(host, to, expectations):
    with at(host):
        s = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(to)
    s.listen(64)

    def accept():
        while True:
            connection, peer = s.accept()
            threading.Thread(target=serve, args=(connection, peer[0],
                                                 expectations),
                             daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


def connect(e):
    with at(e.client):
        s = socket.socket(socket.AF_INET6 if e.six else socket.AF_INET)
    s.settimeout(PATIENCE_S)
    if e.source is not None:
        s.bind((e.source, 0))
    s.connect((e.address, e.port))
    return s


def ask(e):
    """Who it was, by the server's word, or what went wrong."""
    try:
        s = connect(e)
        s.sendall(HEADER.pack(e.number))
        data, end = both_ways(s, pattern(OUT, e.number + 1))
        s.close()
    except OSError as error:
        return name_of(error)
    if hash_of(data) != hash_of(pattern(BACK, e.number)):
        return f"{e.seen}, {len(data)} bytes back, {end}"
    e.served.wait(PATIENCE_S)
    return e.seen


def sessions(control):
    text = subprocess.run([os.environ["roroctl"], "status", "-f", "json",
                           "-s", control], check=True, capture_output=True,
                          text=True).stdout
    return json.loads(text)["sessions"]["total"]


def main():
    control, *lines = sys.argv[1:]
    expectations = [Expectation(i, line) for i, line in enumerate(lines)]
    for host, to in {(e.host, e.to) for e in expectations
                     if not e.who.startswith("E")}:
        listen(host, to, expectations)
    before = sessions(control)
    results = probe.at_once(*((lambda e=e: ask(e)) for e in expectations))
    for e, result in zip(expectations, results):
        say(result == e.peer, f"    {e.text}" + (
            "" if result == e.peer else f": {result}, and not {e.peer}"))
    relay = [os.environ[name] for name in NAMES["relay"]]
    expected = sum(e.peer in relay for e in expectations)
    until(lambda: sessions(control) == before + expected, 10)
    had = sessions(control) - before
    say(had == expected, f"    the proxy had {had} of them")
    sys.exit(1 if probe._failures else 0)


main()
