# SPDX-License-Identifier: ISC
"""Ends of file: see halfclose.sh."""

import os
import time

from probe import (Mute, accept, at_once, counter, end_of, finish, main,
                   pattern, probe, read, same)

PROXY_PORT = 1092
MB = pattern(1 << 20)
CLOSES = 10000 if os.environ.get("RORO_LONG") else 300


@probe("the client ends, then comes a long answer",
       ("all", "EOF", "all", "EOF"))
def answer_after_end(route):
    client, server = route.pair()

    def ask():
        client.sendall(MB)
        finish(client)
        return read(client)

    def answer():
        data, end = read(server)
        server.sendall(MB)
        server.close()
        return data, end

    (got, client_end), (asked, server_end) = at_once(ask, answer)
    return same(asked, MB), server_end, same(got, MB), client_end


@probe("the server ends, then the client sends a lot",
       ("all", "EOF", "all", "EOF"))
def request_after_end(route):
    client, server = route.pair()

    def serve():
        server.sendall(MB)
        finish(server)
        return read(server)

    def use():
        data, end = read(client)
        client.sendall(MB)
        client.close()
        return data, end

    (got, server_end), (served, client_end) = at_once(serve, use)
    return same(served, MB), client_end, same(got, MB), server_end


@probe("after a half-close, bytes go on one by one the other way",
       (list(range(20)), "EOF"))
def trickle_after_end(route):
    client, server = route.pair()
    finish(client)
    if end_of(server) != "EOF":
        return "no end"
    seen = []
    for i in range(20):
        server.sendall(bytes([i]))
        seen += client.recv(10)
    server.close()
    return seen, end_of(client)


# 60 s is what connection tracking gives a redirected connection of which one
# direction has ended.
if os.environ.get("RORO_LONG"):
    @probe("each direction is silent for 65 s after the other has ended",
           ((b"answer", "EOF"), (b"request", "EOF")), direct=None,
           families=(4,))
    def silent_after_end(route):
        pairs = [route.pair(), route.pair()[::-1]]

        def run(ends, word):
            first, second = ends
            finish(first)
            if end_of(second) != "EOF":
                return "no end"
            time.sleep(65)
            second.sendall(word)
            second.close()
            return read(first)

        return tuple(at_once(lambda: run(pairs[0], b"answer"),
                             lambda: run(pairs[1], b"request")))


@probe("the server speaks first", (b"220 hello\r\n", b"QUIT\r\n", "EOF"))
def server_first(route):
    client, server = route.pair()
    server.sendall(b"220 hello\r\n")
    greeting = read(client, 11)[0]
    client.sendall(b"QUIT\r\n")
    answer = read(server, 6)[0]
    server.close()
    return greeting, answer, end_of(client)


@probe("a client that only sends and closes", ("all", "EOF"))
def send_and_close(route):
    client, server = route.pair()
    client.sendall(b"0123456789")
    client.close()
    data, end = read(server)
    return same(data, b"0123456789"), end


@probe("a client that sends a lot and closes", ("all", "EOF"))
def send_much_and_close(route):
    client, server = route.pair()

    def send():
        client.sendall(MB)
        client.close()

    _, (data, end) = at_once(send, lambda: read(server))
    return same(data, MB), end


@probe("a server that only sends and closes", ("all", "EOF"))
def serve_and_close(route):
    client, server = route.pair()

    def send():
        server.sendall(MB)
        server.close()

    _, (data, end) = at_once(send, lambda: read(client))
    return same(data, MB), end


@probe("a client that sends nothing", (b"", "EOF"))
def client_sends_nothing(route):
    client, server = route.pair()
    client.close()
    return read(server)


@probe("a server that sends nothing", (b"", "EOF"))
def server_sends_nothing(route):
    client, server = route.pair()
    server.close()
    return read(client)


@probe("both half-close at the same time", ("EOF", "EOF"))
def half_close_both(route):
    client, server = route.pair()
    finish(client)
    finish(server)
    return end_of(client), end_of(server)


# A daemon has closed its end when the last bytes and the FIN are lost: the
# kernel repeats them, unless it was told to reset.

@probe("the last of an answer is lost once", ("all", "EOF"), direct=None)
def lost_answer(route):
    client, server = route.pair()
    finish(client)
    end_of(server)
    with Mute("gateway", PROXY_PORT):
        server.sendall(MB[:1000])
        server.close()
        time.sleep(0.3)
    data, end = read(client)
    return same(data, MB[:1000]), end


@probe("the last of a request is lost once", ("all", "EOF"), direct=None)
def lost_request(route):
    client, server = route.pair()
    finish(server)
    end_of(client)
    with Mute("relay", server.getsockname()[1]):
        client.sendall(MB[:1000])
        client.close()
        time.sleep(0.3)
    data, end = read(server)
    return same(data, MB[:1000]), end


def close_together(client, server, way):
    """What both see before they close: nothing, or both ends."""
    if way == 0:                # nothing was ever said
        return "more", "more"
    if way == 1:                # FINs cross
        finish(client)
        finish(server)
        return end_of(client), end_of(server)
    client.sendall(b"x")
    server.sendall(b"y")
    return read(server, 1)[1], read(client, 1)[1]


def resets():
    """Connections that an end broke or saw broken, by host.  (OutRsts counts
    answers to late ACKs, too, which nobody sees.)"""
    return {host: sum(counter(host, name, protocol) for name, protocol in (
        ("EstabResets", "Tcp"), ("TCPAbortOnData", "TcpExt"),
        ("TCPAbortOnClose", "TcpExt")))
        for host in ("client", "gateway", "relay", "server")}


@probe(f"both close at the same time, {CLOSES} times: ends, resets", ({}, {}),
       direct=None, families=(4,))
def close_both(route):
    before = resets()
    listener = route.listen()
    unusual = {}
    for i in range(CLOSES):
        client = route.connect(listener)
        server = accept(listener)
        ends = close_together(client, server, i % 3)
        client.close()
        server.close()
        if ends not in (("EOF", "EOF"), ("more", "more")):
            unusual[ends] = unusual.get(ends, 0) + 1
    return unusual, {host: n - before[host] for host, n in resets().items()
                     if n != before[host]}


main()
