# SPDX-License-Identifier: ISC
"""A relay with 20 ports: see ports.sh."""

import select

from probe import end_of, main, probe, until

MANY = 30


@probe("20 sessions with a server, 10 resets, and the rest goes on",
       {"carried": 20, "reset": 10, "go on": 20, "again": "ok"},
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
    for c in rest:
        c.sendall(b"x")
    result["go on"] = sum(s.recv(1) == b"x" for s in servers)
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
    result["again"] = "ok" if until(again, 20) else "never"
    return result


main()
