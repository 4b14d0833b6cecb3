# SPDX-License-Identifier: ISC
"""Who is connected with whom: see tproxy.sh and ipv6.sh.  Each command looks at IPv4 and
IPv6."""

import os
import socket
import sys
import time

from probe import (PATIENCE, THROUGH, Route, accept, end_of, error_of, read,
                   until)


def routes():
    return [Route(THROUGH, af) for af in (socket.AF_INET, socket.AF_INET6)]


def name(route, host):
    return os.environ[host + ("4" if route.four else "6")]


def echoes(client, server):
    """In both directions."""
    for a, b in ((client, server), (server, client)):
        a.sendall(b"word")
        if read(b, 4) != (b"word", "more"):
            return False
    return True


def closed(*sockets):
    for s in sockets:
        s.close()


def told(good, *what):
    print("ok:" if good else "FAILED:", *what, flush=True)
    return good


def under_way(opened, go):
    """What was open before the rules came, and is asked after them."""
    pairs = [(route, *route.pair()) for route in routes()]
    open(opened, "w", encoding="ascii").close()
    until(lambda: os.path.exists(go))
    return all([told(echoes(client, server) and
                     server.getpeername()[0] == name(route, "client"),
                     "under way,", route)
                for route, client, server in pairs])


def carried(route):
    """By whom a new connection is: its far end says that.  Or its error."""
    listener = route.listen()
    client = route.socket("client")
    error = error_of(client.connect, listener.getsockname()[:2])
    if error != "ok":
        return error
    listener.settimeout(0.5)
    try:
        server = accept(listener)
    except TimeoutError:
        return end_of(client)
    whom = {name(route, "client"): "direct",
            os.environ["relay4s" if route.four else "relay6s"]: "relay"}
    result = whom.get(server.getpeername()[0], server.getpeername()[0])
    if client.getpeername() != server.getsockname():
        result += ", under another name"
    if not echoes(client, server):
        result += ", badly"
    closed(client, server, listener)
    return result


def goes(*expected):
    results = [carried(route) for route in routes()]
    return told(results == list(expected), *results)


def gives(expected):
    return goes(expected, expected)


def own_gives(*expected):
    """From the gateway itself: the address that the server sees."""
    seen = []
    for route in routes():
        listener = route.listen()
        client = route.socket("gateway")
        client.connect(listener.getsockname()[:2])
        server = accept(listener)
        seen.append(server.getpeername()[0])
        if not echoes(client, server) or \
                client.getpeername() != server.getsockname():
            seen[-1] += ", badly"
        closed(client, server, listener)
    return told(seen == list(expected), *seen)


def own_port_is_closed():
    errors = [error_of(route.socket("client").connect,
                       (name(route, "gateway"), 1091)) for route in routes()]
    return told(errors == ["ECONNREFUSED"] * 2, *errors)


COMMANDS = {f.__name__: f
            for f in (under_way, goes, gives, own_gives, own_port_is_closed)}
sys.exit(0 if COMMANDS[sys.argv[1]](*sys.argv[2:]) else 1)
