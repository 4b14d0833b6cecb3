# SPDX-License-Identifier: ISC
"""Who the ends are, that come back, and that vanish: see ends.sh."""

import os
import subprocess
import time

from probe import accept, end_of, host_name, main, pattern, probe, read, reset

SOURCE = 40000          # and up: ports of clients that come back
KEEPALIVE = 1           # of both daemons: five seconds without an answer


def on(host, *command):
    subprocess.run(("ip", "netns", "exec", host_name(host)) + command,
                   check=True)


# ---- addresses ----

@probe("the client's peer is whom it asked for, the server's is the relay",
       (True, True, True), direct=(True, True, False))
def names(route):
    client, server = route.pair()
    relay = os.environ["relay4s" if route.four else "relay6s"]
    return (client.getpeername() == server.getsockname(),
            client.getpeername()[0] == route.server,
            server.getpeername()[0] == relay)


# ---- the same client port again ----

def ask(client, server, word):
    """What the server hears, and the client from it."""
    client.sendall(word)
    heard = read(server, len(word))[0]
    server.sendall(heard[::-1])
    return heard, read(client, len(word))[0]


def again(route, source, between):
    """Twice from one port, with `between` to end the first connection."""
    listener = route.listen()
    client = route.connect(listener, source)
    server = accept(listener)
    first = ask(client, server, b"first")
    between(client, server)
    client = route.connect(listener, source)
    new = accept(listener)
    second = ask(client, new, b"second")
    client.close()
    return first, second, end_of(new)


TWICE = (b"first", b"tsrif"), (b"second", b"dnoces"), "EOF"


@probe("the port of a client again, after the server has closed", TWICE)
def again_after_close(route):
    def close(client, server):
        server.close()
        end_of(client)
        client.close()

    return again(route, SOURCE, close)


@probe("the port of a client again, after its reset", TWICE)
def again_after_reset(route):
    return again(route, SOURCE + 1, lambda client, _: reset(client))


@probe("the port of a client again, with the old server still open", TWICE)
def again_meanwhile(route):
    kept = []

    def leave(client, server):
        # The old session has to wait for its reader.
        client.setblocking(False)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            try:
                client.send(pattern(65536))
            except BlockingIOError:
                time.sleep(0.01)
        reset(client)
        kept.append(server)

    result = again(route, SOURCE + 2, leave)
    return result if end_of(kept[0]) == "ECONNRESET" else "no reset"


# ---- ends that vanish ----

GONE = ("nothing yet", "ECONNRESET", True)


def vanished(survivor):
    """What the other end sees, and in time?"""
    begin = time.monotonic()
    survivor.settimeout(1)
    early = end_of(survivor)
    survivor.settimeout(30)
    end = end_of(survivor)
    return ("nothing yet" if early == "nothing" else early, end,
            time.monotonic() - begin < 5 * KEEPALIVE + 5)


@probe("the server vanishes, and the client is told", GONE, direct=None,
       families=(4,))
def server_vanishes(route):
    client, server = route.pair()
    ask(client, server, b"are you there?")
    port = server.getsockname()[1]
    on("server", "nft", "add", "element", "inet", "test", "gone",
       f"{{ {port} }}")
    return vanished(client)


@probe("the client vanishes, and the server is told", GONE, direct=None,
       families=(4,))
def client_vanishes(route):
    client, server = route.pair()
    ask(client, server, b"are you there?")
    on("client", "ip", "link", "set", "eth0", "down")
    return vanished(server)


main()
