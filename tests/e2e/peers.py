# SPDX-License-Identifier: ISC
"""One peer has used up what it may have, the other works: see peers.sh."""

import os
import signal
import socket
import time

import extended
from crowd import carries, close, fill, pairs, resident_kib
from probe import (THROUGH, Route, accept, at, at_once, end_of, error_of, main,
                   probe, until)

RELAY_PORT = 1093
GROUPS = 16             # that a peer may have


class Way(Route):
    """Over one of the proxies, whose front leads to one port of the server."""

    def __init__(self, name, same=False):
        super().__init__(THROUGH, socket.AF_INET)
        self.base = THROUGH if same else int(os.environ[name + "_PORT"])
        self.front = (os.environ["gateway4"],
                      int(os.environ[name + "_FRONT"]) + (100 if same else 0))


ONE, TWIN, TWO = Way("ONE"), Way("TWIN"), Way("TWO")


def works(way):
    """Does one more carry bytes both ways?"""
    try:
        with way.listen() as listener:
            listener.settimeout(1)
            with way.connect(listener) as client, accept(listener) as server:
                return carries(client, server) and carries(server, client)
    except OSError:
        return False


def is_reset(way):
    """Is one more reset?  (Perhaps so soon that connect() sees it.)"""
    with way.listen() as listener:
        try:
            with way.connect(listener) as client:
                return end_of(client) == "ECONNRESET"
        except ConnectionResetError:
            return True


def all_carry(both):
    return all(carries(*pair) for pair in both)


@probe("sessions: 3 and 2 of a peer are 5; one more of either is reset, the "
       "other peer has 50, and one that ends makes room",
       (True, True, True, True, True), direct=None, families=(4,))
def max_sessions(_):
    first, second = pairs(ONE, 3), pairs(TWIN, 2)
    reset = is_reset(ONE) and is_reset(TWIN)
    other = pairs(TWO, 50)
    result = (all_carry(first + second), reset, all_carry(other))
    close(first[:1])
    room = until(lambda: works(TWIN), 10)
    still = all_carry(first[1:] + second + other)
    close(first[1:] + second + other)
    return *result, room, still


def try_all(way, n):
    """That many at once: how many of them were served, and how many reset."""
    clients, served, gone = [], [], 0
    with way.listen(4096) as listener:
        for _ in range(n):
            try:
                clients.append(way.connect(listener))
            except ConnectionResetError:
                gone += 1
        listener.settimeout(1)
        while len(served) < n:
            try:
                served.append(accept(listener))
            except TimeoutError:
                break
    gone += sum(end_now(client) for client in clients)
    close([(s, s) for s in clients + served])
    return len(served), gone


@probe("new sessions: 5 a second of a peer, and all 40 of the other",
       lambda r: len(r) == 5 and 5 <= r[0] <= 5 * (r[2] + 1) + 1 and
       r[0] + r[1] == 40 and r[3:] == ((40, 0), True),
       direct=None, families=(4,))
def new_sessions(_):
    time.sleep(1.1)
    begin = time.monotonic()
    served, gone = try_all(ONE, 40)
    took = time.monotonic() - begin
    other = try_all(TWO, 40)
    time.sleep(1.1)
    return served, gone, round(took, 1), other, works(ONE)


@probe("memory: servers that do not read cost a peer some of its sessions, "
       "while the other has all of them, and is fast",
       (True, True, True, True), direct=None, families=(4,))
def memory(_):
    other = pairs(TWO, 20)
    before = rate(*other[0])
    stuck = pairs(ONE, 60) + pairs(TWIN, 60)
    lost = fill([client for client, _ in stuck], quiet=3).count(None)
    print(f"{lost} of 120 sessions were reset; the relay has "
          f"{resident_kib('relay')} KiB", flush=True)
    fill([client for client, _ in other[10:]])
    alive = not any(end_now(client) for client, _ in other)
    quick = all_carry(other[:10])
    after = rate(*other[0])
    print(f"the other one: {before:.0f} Mbit/s before, {after:.0f} after",
          flush=True)
    result = lost > 0, alive, quick and after > 0, works(TWO)
    close(stuck + other)
    return result


def rate(client, server, size=10_000_000):
    """Mbit/s; 0: what came was not what was sent."""
    begin = time.monotonic()
    whole = carries(client, server, size=size)
    return whole and size * 8e-6 / (time.monotonic() - begin)


def end_now(s):
    """Has it been reset?"""
    s.setblocking(False)
    return error_of(s.recv, 1, socket.MSG_PEEK) == "ECONNRESET"


@probe("rules: a port that a peer may not reach, and the other may",
       (True, True, True, True), direct=None, families=(4,))
def rules(_):
    return (is_reset(Way("ONE", same=True)), is_reset(Way("TWIN", same=True)),
            works(Way("TWO", same=True)), works(ONE) and works(TWIN))


@probe("subflows: the peer that has all that it may does not harm the other",
       (True, True), direct=None, families=(4,))
def other_works(_):
    ok = at_once(lambda: works(ONE), lambda: works(TWIN), lambda: works(TWO))
    return ok[0] != ok[1], ok[2]


def key_of(name):
    return extended.read_key(f"{os.environ['KEYS']}/{name}.key")


def come(name, group, slot=0, patience=20):
    """A subflow of that peer in that group; None if it is not let in."""
    with at("gateway"):
        sock = socket.create_connection((os.environ["relay4"], RELAY_PORT), 20)
    sock.settimeout(patience)
    try:
        subflow = extended.dial(sock, extended.Hello(group, slot=slot),
                                key_of(name))
        return subflow if subflow.frame() is not None else None
    except (extended.Closed, TimeoutError):
        return None


@probe("groups: a peer has 16, a name is known to its own peer only, and the "
       "oldest without a subflow gives way",
       (14, (1, 0), (True, True), True, (True, True, True)),
       direct=None, families=(4,))
def groups(_):
    both = pairs(ONE, 3) + pairs(TWIN, 3) + pairs(TWO, 3)
    name = os.urandom(16)
    mine = [come("one", name)]
    while len(mine) < 100:      # two are those of the proxies
        subflow = come("one", os.urandom(16))
        if subflow is None:
            break
        mine.append(subflow)
    again = come("one", name, slot=1)
    other = come("two", name, slot=1)
    known = again.answer.known, other.answer.known
    alive = all_carry(both), works(TWO)
    for subflow in mine:
        subflow.close()
    room = until(lambda: come("one", os.urandom(16)) is not None, 10)
    result = (len(mine), known, alive, room,
              (all_carry(both), works(ONE), works(TWO)))
    for subflow in (again, other):
        subflow.close()
    close(both)
    return result


def reload(change):
    """Give the relay another configuration."""
    directory = os.environ["KEYS"]
    with open(f"{directory}/relay.conf", encoding="ascii") as f:
        text = change(f.read())
    with open(f"{directory}/relay.conf", "w", encoding="ascii") as f:
        f.write(text)

    def read_again():
        with open(f"{directory}/relay.log", encoding="ascii") as f:
            return f.read().count("relay.conf: read again")

    before = read_again()
    os.kill(int(os.environ["RELAY_PID"]), signal.SIGHUP)
    until(lambda: read_again() > before, 10)


@probe("reload: limits and rules hold for what is new, sessions stay, and "
       "peers come and go",
       ((True, True), True, (True, True), (False, True, False), True),
       direct=None, families=(4,))
def reloaded(_):
    both = pairs(ONE, 3) + pairs(TWIN, 3)
    reload(lambda text: text.replace("max-sessions = 20", "max-sessions = 5"))
    fewer = is_reset(ONE), all_carry(both)
    reload(lambda text: text.replace("max-sessions = 5", "max-sessions = 20"))
    more = works(ONE) and works(TWIN)
    reload(lambda text: text.replace(
        "max-sessions = 20", f'deny("any", "{ONE.base}")'))
    rules = is_reset(ONE), works(TWIN) and all_carry(both)
    third = f'peer "three" {{ key-file = "{os.environ["KEYS"]}/three.key" }}\n'
    came = []
    for text in ("", third, ""):
        reload(lambda old, new=text: old.replace(third, "") + new)
        subflow = come("three", os.urandom(16), patience=1)
        came.append(subflow is not None)
    still = all_carry(both)
    close(both)
    return fewer, more, rules, tuple(came), still


if __name__ == "__main__":
    main()
