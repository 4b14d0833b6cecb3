# SPDX-License-Identifier: ISC
"""A relay with 20 ports: see ports.sh."""

import os
import select
import time

from probe import at_once, end_of, main, pattern, probe, read, until

MANY, SIZE = 30, 20000
# Two round trips, to be reset and to try again.
PROMISED = 2 * float(os.environ["RTT"]) / 1000


def both_ways(servers, clients):
    """Whether each end gets what the other one sends; who belongs to whom is
    not known."""
    up, down = pattern(SIZE, 1), pattern(SIZE, 2)
    at_once(*(lambda s=s: s.sendall(down) for s in servers),
            *(lambda c=c: c.sendall(up) for c in clients))
    got = at_once(*(lambda s=s: read(s, SIZE)[0] == up for s in servers),
                  *(lambda c=c: read(c, SIZE)[0] == down for c in clients))
    return [a and b for a, b in zip(got, got[len(servers):])]


@probe("20 sessions with a server, 10 resets, and the rest goes on",
       {"carried": 20, "reset": 10, "go on": 20, "again": "ok",
        "in time": True},
       direct=None, families=(4,))
def used_up(route):
    listener = route.listen()
    clients, servers, early = [], [], 0
    for _ in range(MANY):
        try:
            clients.append(route.connect(listener))
        except ConnectionResetError:    # before connect() has returned
            early += 1

    def one_more():
        if select.select([listener], [], [], 0)[0]:
            servers.append(listener.accept()[0])
        return len(servers) == 20
    until(one_more, 10)
    until(lambda: len(select.select(clients, [], [], 0)[0]) ==
          MANY - 20 - early, 10)
    cut = select.select(clients, [], [], 0)[0]
    result = {"carried": len(servers),
              "reset": early + sum(end_of(c) == "ECONNRESET" for c in cut)}
    rest = [c for c in clients if c not in cut]
    result["go on"] = sum(both_ways(servers, rest))
    servers[0].close()                  # who waits in TIME-WAIT: not the relay
    for c in select.select(rest, [], [], 10)[0]:
        c.close()

    def again():
        try:
            client = route.connect(listener)
            client.sendall(b"x")
        except OSError:
            return False
        ready = select.select([listener, client], [], [], 5)[0]
        return listener in ready
    begin = time.monotonic()
    result["again"] = "ok" if until(again, 20) else "never"
    took = time.monotonic() - begin
    print(f"    a new session works within {took:.2f} s of a port being free, "
          f"promised: {PROMISED:.2f} s", flush=True)
    result["in time"] = took < 2 * PROMISED
    return result


main()
