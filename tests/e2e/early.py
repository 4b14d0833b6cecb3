# SPDX-License-Identifier: ISC
"""Clients that are gone before the server was reached: see early.sh.  The first
SYN to the server is lost each time, so all that they do comes first."""

import subprocess
import time

from probe import (accept, end_of, finish, host_name, main, pattern, probe,
                   read, reset, same)

KB = pattern(1000)
PARTING = 0.4           # less than the second until SYN comes again


def nft(text):
    subprocess.run(["ip", "netns", "exec", host_name("server"), "nft", "-f",
                    "-"], input=text, text=True, check=True)


def slow_listen(route):
    """Whoever connects to this server waits for a second."""
    listener = route.listen()
    listener.settimeout(10)
    port = listener.getsockname()[1]
    nft(f"""table inet early {{
        chain {'a' + str(port)} {{
            type filter hook input priority 0; policy accept;
            tcp dport {port} tcp flags & (syn|ack) == syn drop
        }}
    }}""")
    return listener


def let_in(listener):
    nft(f"delete chain inet early {'a' + str(listener.getsockname()[1])}")


def accepted_end(listener, wait):
    """What a server sees; "nobody" if none came."""
    listener.settimeout(wait)
    try:
        server = accept(listener)
    except TimeoutError:
        return "nobody"
    return end_of(server)


@probe("a reset before the server was reached",
       lambda end: end in ("nobody", "ECONNRESET"), direct=None)
def reset_early(route):
    listener = slow_listen(route)
    client = route.connect(listener)
    time.sleep(PARTING)
    reset(client)
    let_in(listener)
    return accepted_end(listener, 1.2)


@probe("a reset right behind data, before the server was reached",
       lambda end: end in ("nobody", "ECONNRESET"), direct=None)
def reset_early_after_data(route):
    listener = slow_listen(route)
    client = route.connect(listener)
    client.sendall(KB)
    time.sleep(PARTING)
    reset(client)
    let_in(listener)
    return accepted_end(listener, 1.2)


@probe("bytes and the end, before the server was reached",
       ("all", "EOF"), direct=None)
def close_early(route):
    listener = slow_listen(route)
    client = route.connect(listener)
    client.sendall(KB)
    client.close()
    time.sleep(PARTING)
    let_in(listener)
    data, end = read(accept(listener))
    return same(data, KB), end


@probe("an end without a byte, before the server was reached", ("all", "EOF"),
       direct=None)
def close_early_without_a_byte(route):
    listener = slow_listen(route)
    route.connect(listener).close()
    time.sleep(PARTING)
    let_in(listener)
    data, end = read(accept(listener))
    return same(data, b""), end


@probe("a half-close before the server was reached, then an answer",
       ("all", "EOF", "all", "EOF"), direct=None)
def half_close_early(route):
    listener = slow_listen(route)
    client = route.connect(listener)
    client.sendall(KB)
    finish(client)
    time.sleep(PARTING)
    let_in(listener)
    server = accept(listener)
    asked, server_end = read(server)
    server.sendall(KB[::-1])
    server.close()
    answer, client_end = read(client)
    return same(asked, KB), server_end, same(answer, KB[::-1]), client_end


if __name__ == "__main__":
    main()
