# SPDX-License-Identifier: ISC
"""A relay with 20 ports: see ports.sh."""

import select

from probe import end_of, error_of, main, probe, until

MANY = 30


@probe("20 sessions with a server, 10 resets, and the rest goes on",
       {"carried": 20, "reset": 10, "go on": 20, "again": "ok"},
       direct=None, families=(4,))
def used_up(route):
    listener = route.listen()
    clients = [route.connect(listener) for _ in range(MANY)]
    servers = []

    def one_more():
        if select.select([listener], [], [], 0)[0]:
            servers.append(listener.accept()[0])
        return len(servers) == 20
    until(one_more, 10)
    until(lambda: len(select.select(clients, [], [], 0)[0]) == MANY - 20, 10)
    cut = select.select(clients, [], [], 0)[0]
    result = {"carried": len(servers),
              "reset": sum(end_of(c) == "ECONNRESET" for c in cut)}
    rest = [c for c in clients if c not in cut]
    for c in rest:
        c.sendall(b"x")
    result["go on"] = sum(s.recv(1) == b"x" for s in servers)
    servers[0].close()                  # who waits in TIME-WAIT: not the relay
    end_of(rest[0])
    rest[0].close()

    def again():
        client = route.connect(listener)
        if error_of(client.sendall, b"x") != "ok":
            return False
        ready = select.select([listener, client], [], [], 5)[0]
        return listener in ready
    result["again"] = "ok" if until(again, 20) else "never"
    return result


main()
