# SPDX-License-Identifier: ISC
"""A proxy with two relays, "relay" and then "two", whose lives are made here;
see relays.sh.  Which of them has a session, the proxy's status says."""

import atexit
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import probe
from probe import (Route, THROUGH, at_once, check, end_of, finish, pattern,
                   read, until)

TMP = os.environ["RORO_TMP"]
IPV4, IPV6 = Route(THROUGH, socket.AF_INET), Route(THROUGH, socket.AF_INET6)
LONG = os.environ.get("RORO_LONG") == "1"
# What the design promises, in seconds.
AT_ONCE = 1
RESUME = 5 + 3 * int(os.environ["rtt"]) / 1000
BREAK, SILENCE = 3, 7           # until they are noticed


# ---- daemons ----

_running = {}


def start(name, host="relay", before="true"):
    command = f'{before} && exec "$@"'
    with open(f"{TMP}/{name}.log", "ab") as log:
        _running[name] = subprocess.Popen(
            ["ip", "netns", "exec", probe.host_name(host),
             "sh", "-c", command, "sh", os.environ["RORO_ROROD"],
             "-c", f"{TMP}/{name}.conf"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return _running[name].pid


@atexit.register
def stop_all():
    for name in list(_running):
        stop(name).wait()


def stop(name, how=signal.SIGKILL):
    daemon = _running.pop(name)
    daemon.send_signal(how)
    return daemon


def status():
    out = subprocess.run([os.environ["RORO_ROROCTL"], "status", "-f", "json",
                          "-s", f"{TMP}/run/proxy.sock"], check=True,
                         capture_output=True).stdout
    return {relay["name"]: relay for relay in json.loads(out)["relays"]}


def is_up(name):
    return status()[name]["up"]


def counts():
    """Sessions at each."""
    now = status()
    return now["relay"]["sessions"], now["two"]["sessions"]


def aside():
    return status()["relay"]["aside_s"]


def is_first():
    """Sessions go to the first one: it is there, and was long enough."""
    first = status()["relay"]
    return first["up"] and first["aside_s"] == 0


def configure(old, new):
    with open(f"{TMP}/proxy.conf", encoding="ascii") as f:
        text = f.read()
    with open(f"{TMP}/proxy.new", "w", encoding="ascii") as f:
        f.write(text.replace(old, new))
    os.replace(f"{TMP}/proxy.new", f"{TMP}/proxy.conf")
    os.kill(int(os.environ["PROXY_PID"]), signal.SIGHUP)


# ---- sessions ----

class Session:
    def __init__(self, route=IPV4):
        before = counts()
        begin = time.monotonic()
        self.client, self.server = route.pair()
        self.took = time.monotonic() - begin
        after = counts()
        self.at = ("relay" if after[0] > before[0] else
                   "two" if after[1] > before[1] else "nowhere")

    def close(self):
        """Whether it ends well; then it is not counted any more."""
        open_now = sum(counts())
        finish(self.client)
        finish(self.server)
        ends = end_of(self.client), end_of(self.server)
        self.client.close()
        self.server.close()
        if self.at != "nowhere":
            until(lambda: sum(counts()) < open_now, 10)
        return ends == ("EOF", "EOF")


def where(route=IPV4):
    session = Session(route)
    session.close()
    return session.at


def goes_on(session):
    """How long a byte takes, each way; the longer one."""
    begin = time.monotonic()
    ends = session.client, session.server
    at_once(*(lambda s=s: s.sendall(b"x") for s in ends))

    def took(s):
        return time.monotonic() - begin if s.recv(1) == b"x" else float("inf")
    return max(at_once(*(lambda s=s: took(s) for s in ends)))


def whole(session, size=1 << 18):
    """Bytes in both directions, by their hashes."""
    data = [pattern(size, seed) for seed in (1, 2)]
    got = at_once(lambda: session.client.sendall(data[0]),
                  lambda: session.server.sendall(data[1]),
                  lambda: read(session.server, size),
                  lambda: read(session.client, size))[2:]
    return [hashlib.sha256(part[0]).digest() for part in got] == \
        [hashlib.sha256(part).digest() for part in data]


# ---- what is to be seen ----

def before_any(route=IPV4):
    """Sessions from before there is a relay go to the one that is there."""
    waiting = []
    data = pattern(100_000, 3)
    for sent, ends in ((b"", False), (data, False), (data, True)):
        listener = route.listen()
        client = route.connect(listener)
        client.sendall(sent)
        if ends:
            finish(client)
        waiting.append((listener, client, sent, ends))
    time.sleep(0.5)
    start("two")
    begin = time.monotonic()
    for listener, client, sent, ends in waiting:
        server = probe.accept(listener)
        got = read(server, len(sent))[0] if sent else b""
        end = end_of(server) if ends else "open"
        server.sendall(b"answer")
        finish(server)
        good = hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()
        check(f"a session that waits for any, {len(sent)} bytes, "
              f"{'with' if ends else 'without'} an end", good and
              end in ("open", "EOF") and read(client)[0] == b"answer",
              f"{time.monotonic() - begin:.2f} s")
        client.close()
        server.close()
    until(lambda: sum(counts()) == 0, 10)


def in_order():
    check("while one is not there, sessions go to the other",
          where() == "two")
    start("relay")
    check("the first is found", until(lambda: is_up("relay"), 10))
    places = [where() for _ in range(3)]
    check("and is believed at once the first time", places == ["relay"] * 3,
          " ".join(places))
    check("IPv6 goes to the relay that reaches it", where(IPV6) == "two")


def by_weight():
    configure("relays = order", "relays = weight")
    configure('path "wan"', "weight = 3\npath \"wan\"")
    until(lambda: {where(), where()} == {"relay", "two"}, 10)
    places = [where() for _ in range(8)]
    check("three to one by weight", sorted(places) ==
          ["relay"] * 6 + ["two"] * 2, " ".join(places))
    configure("relays = weight", "relays = order")
    configure('weight = 3\npath "wan"', 'path "wan"')
    check("in order again", until(lambda: [where() for _ in range(4)] ==
                                  ["relay"] * 4, 10))


def cut(address, rule):
    """Nothing goes there any more, until mend()."""
    subprocess.run(["ip", "netns", "exec", probe.host_name("gateway"), "nft",
                    "-f", "-"], input=f"""table inet cut {{
        chain output {{
            type filter hook output priority 0
            ip daddr {address} {rule}
        }}
    }}""", text=True, check=True)


def mend():
    subprocess.run(["ip", "netns", "exec", probe.host_name("gateway"), "nft",
                    "delete", "table", "inet", "cut"], check=True)


def lost(rule, what, limit, away):
    """A link that breaks, while a session is open there."""
    old = Session()
    check("a session at the first", old.at == "relay" and whole(old))
    cut(os.environ["relay4"], rule)
    begin = time.monotonic()
    found = until(lambda: not is_up("relay"), 2 * limit)
    took = time.monotonic() - begin
    check(f"{what} is noticed", found, f"{took:.2f} s, promised {limit}")
    new = Session()
    check("a new session goes to the other at once", new.at == "two" and
          new.took < 2 * AT_ONCE and whole(new), f"{new.took:.2f} s")
    time.sleep(max(0, begin + away - time.monotonic()))
    mend()
    took = goes_on(old)
    check("the old one has waited, and goes on", took < 2 * RESUME,
          f"{took:.2f} s, promised {RESUME:.2f}")
    check("the relay is back", until(lambda: is_up("relay"), 10))
    check("what was lost is set aside", aside() > 0, f"{aside()} s left")
    check("so sessions go to the other still", where() == "two")
    check("nothing of the old one is lost", whole(old))
    check("the new one has stayed", whole(new))
    begin = time.monotonic()
    back = until(is_first, 30)
    took = time.monotonic() - begin
    check("until it has stayed", back and where() == "relay",
          f"{took:.1f} s more")
    check("both end well", old.close() and new.close())


def traffic():
    """What its path has carried."""
    now = status()["relay"]["paths"][0]["traffic"]
    return min(now["sent_bytes"], now["received_bytes"])


def finishes():
    """How the relay is shown with the last session that it has."""
    now = status()["relay"]
    return (now["state"], now["up"], now["sessions"], now["subflows"]["up"],
            now["paths"][0]["state"], now["paths"][0]["subflows"]["up"])


def about_to_end():
    old = Session()
    check("a session at the first", old.at == "relay" and whole(old, 1 << 20))
    carried = traffic()
    check("its path has carried it", carried >= 1 << 20, carried)
    daemon = stop("relay", signal.SIGTERM)
    begin = time.monotonic()
    took = 0
    while (found := where()) != "two" and took < 10:
        took = time.monotonic() - begin     # when the next one begins
    check("one is about to end: sessions go to the other", found == "two" and
          took < 2 * AT_ONCE, f"{took:.2f} s, promised {AT_ONCE}")
    check("and what it has is shown",
          finishes() == ("draining", False, 1, 4, "up", 4), finishes())
    check("the session that it has goes on", whole(old, 1 << 20))
    check("and is counted with all before", traffic() >= carried + (1 << 20),
          f"{carried}, {traffic()}")
    carried = traffic()
    check("and ends well", old.close())
    check("then the relay ends", daemon.wait(10) == 0)
    check("and is down", until(lambda: status()["relay"]["state"] == "down", 5))
    check("what its path has carried is not forgotten", traffic() >= carried,
          f"{carried}, {traffic()}")


def comes_and_goes():
    times = []
    for _ in range(3):
        start("relay")
        check("it is back", until(lambda: is_up("relay"), 10))
        times.append(aside())
        check("the other has the sessions", where() == "two")
        stop("relay").wait()
        until(lambda: not is_up("relay"), 10)
    check("it is set aside for longer each time",
          times == sorted(times) and times[-1] >= 1.5 * times[-2] >=
          2 * times[-3], times)


def better_than_none():
    start("relay")
    until(lambda: is_up("relay"), 10)
    check("set aside", aside() > 5)
    stop("two").wait()
    until(lambda: not is_up("two"), 10)
    check("but better than none", where() == "relay")


def main():
    before_any()
    check("the second is found", until(lambda: is_up("two"), 10))
    in_order()
    by_weight()
    # Known when something is sent, and a relay is asked every 3 s.
    lost("meta l4proto tcp reject with tcp reset", "a break", BREAK, 2)
    if LONG:
        lost("drop", "silence", SILENCE, 30)
    about_to_end()
    comes_and_goes()
    better_than_none()
    check("the last relay ends", stop("relay", signal.SIGTERM).wait(10) == 0)
    sys.exit(1 if probe._failures else 0)


if __name__ == "__main__":
    main()
