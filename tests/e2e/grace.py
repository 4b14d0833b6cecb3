# SPDX-License-Identifier: ISC
"""What becomes of idle sessions when their relay ends: see grace.sh."""

import os
import select
import signal
import subprocess
import time

from crowd import carries, pid_of
from probe import at_once, end_of, finish, host_name, main, probe, until

# It is asked every 3 s, and nothing was heard for 3 s, and it refuses for 5 s.
PROMISED = 3 + 3 + 5 + 3 * float(os.environ["RTT"]) / 1000
GENERATIONS = 10


def hole(what):
    with open(os.environ["LINK"], "w", encoding="ascii") as f:
        f.write(f"blackhole {what}\n")


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@probe("it has ended, and its last words are lost",
       ("ECONNRESET", "ECONNRESET", True), direct=None, families=(4,))
def unheard(route):
    client, server = route.pair()
    os.kill(pid_of("relay"), signal.SIGTERM)
    time.sleep(0.5)
    hole("on")
    os.kill(pid_of("relay"), signal.SIGTERM)    # which does not wait
    until(lambda: has_ended(pid_of("relay")))
    at_server = end_of(server)
    time.sleep(float(os.environ["AWAY"]))
    hole("off")
    begin = time.monotonic()
    at_client = end_of(client)
    took = time.monotonic() - begin
    print(f"    the client heard of it {took:.1f} s after the link was back, "
          f"promised {PROMISED:.1f}")
    return at_client, at_server, took < PROMISED + 3


def start_relay():
    """The next one, beside those that are about to end; when it has begun to
    listen to signals."""
    name = f"{os.environ['RORO_TMP']}/relay.log"

    def started():
        with open(name, "rb") as log:
            return log.read().count(b" started\n")

    before = started()
    with open(name, "ab") as log:
        relay = subprocess.Popen(
            ["ip", "netns", "exec", host_name("relay"),
             os.environ["RORO_ROROD"], "-c",
             f"{os.environ['RORO_TMP']}/relay.conf"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    until(lambda: started() > before)
    return relay


@probe("two are about to end, and the links of both break",
       ("open", "open"), direct=None, families=(4,))
def places(route):
    relays, sessions = [], []
    for _ in range(2):
        relays.append(start_relay())
        sessions.append(route.pair())
        relays[-1].send_signal(signal.SIGTERM)
        time.sleep(0.5)
    subprocess.run(["ip", "netns", "exec", host_name("gateway"), "ss", "-tK",
                    "dport = :1093"], check=True, stdout=subprocess.DEVNULL)
    readable = select.select([s for pair in sessions for s in pair], [], [],
                             8)[0]
    for relay in relays:
        relay.kill()
        relay.wait()
    return tuple("ended" if set(pair) & set(readable) else "open"
                 for pair in sessions)


@probe(f"{GENERATIONS} relays one after another, each with a session",
       (GENERATIONS, ["EOF"], [0]), direct=None, families=(4,))
def generations(route):
    relays, sessions = [], []
    for _ in range(GENERATIONS):
        relays.append(start_relay())
        sessions.append(route.pair())
        relays[-1].send_signal(signal.SIGTERM)
        time.sleep(0.3)
    alive = sum(carries(client, server) and carries(server, client)
                for client, server in sessions)
    for client, server in sessions:
        finish(client)
        finish(server)
    ends = at_once(*(lambda s=s: end_of(s) for pair in sessions
                     for s in pair))
    return (alive, sorted(set(ends)),
            sorted({relay.wait(30) for relay in relays}))


if __name__ == "__main__":
    main()
