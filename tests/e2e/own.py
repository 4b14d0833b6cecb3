# SPDX-License-Identifier: ISC
"""QUIC, the gateway's own connections, and what an operator changes while there
are some: see own.sh.

    own.py PHASE...     what should be so now; in words, see below

Servers say where a connection comes from: "relay", or directly from the
"client" or the "gateway"."""

import os
import socket
import subprocess
import sys
import threading

from gate import OTHER_UDP, QUIC, datagram, echo_datagrams
from probe import at, check, name_of, until

import probe

MODE = os.environ["MODE"]
HOSTS = {os.environ[k + n]: who for n in "46" for k, who in (
    ("client", "client"), ("proxy", "gateway"), ("relay", "relay"))}
HOSTS.update({os.environ[f"relay{n}s"]: "relay" for n in "46"})
HOSTS.update({"10.77.5.2": "client", "fd77:5::2": "client"})
# One that is intercepted, and one that the configuration leaves alone.
SERVERS = (("IPv4", os.environ["server4"], "10.77.3.3", "10.77.5.2",
            os.environ["gateway4"]),
           ("IPv6", os.environ["server6"], "fd77:3::3", "fd77:5::2",
            os.environ["gateway6"]))
PORT = 2100


def is_(what, got, expected):
    check(f"{MODE}, {what}", got == expected, got if got == expected else
          f"{got}, and not {expected}")


# ---- servers and clients ----

def answer(connection, who):
    with connection:
        while connection.recv(1):
            connection.sendall(who.encode() + b"\n")


def serve(host, name=None):
    with at(host):
        listener = socket.create_server(("::", PORT), family=socket.AF_INET6,
                                        dualstack_ipv6=True, backlog=64)

    def run():
        while True:
            connection, peer = listener.accept()
            address = peer[0].removeprefix("::ffff:")
            threading.Thread(target=answer, daemon=True, args=(
                connection, name or HOSTS.get(address, address))).start()

    threading.Thread(target=run, daemon=True).start()


def connect(host, address, source=None):
    with at(host):
        s = socket.socket(socket.AF_INET6 if ":" in address
                          else socket.AF_INET)
    s.settimeout(5)
    if source is not None:
        s.bind((source, 0))
    s.connect((address, PORT))
    return s


def ask(s):
    try:
        s.sendall(b"?")
        answer = b""
        while not answer.endswith(b"\n"):
            part = s.recv(100)
            if part == b"":
                return "EOF"
            answer += part
        return answer.decode().strip()
    except OSError as e:
        return name_of(e)


def way(host, address, source=None):
    try:
        with connect(host, address, source) as s:
            return ask(s)
    except OSError as e:
        return name_of(e)


def quic(host, address):
    """Does it pass?"""
    result = datagram(host, address, 443, QUIC, 3)
    return "passes" if result == QUIC else result


# ---- phases ----

def each(function):
    for server in SERVERS:
        function(*server)


def clients(name, server, bypassed, *_):
    is_(f"{name}: connections of clients go", way("client", server), "relay")


def not_own(name, server, *_):
    is_(f"{name}: the gateway's own go", way("gateway", server), "gateway")


def quic_passes(name, server, *_):
    is_(f"{name}: QUIC", quic("client", server), "passes")


def quic_not_own(name, server, *_):
    is_(f"{name}: the gateway's own QUIC", quic("gateway", server), "passes")


def quic_rejected(name, server, bypassed, guest, _):
    is_(f"{name}: QUIC of clients", quic("client", server), "ECONNREFUSED")
    is_(f"{name}: to where TCP goes directly", quic("client", bypassed),
        "passes")
    is_(f"{name}: other datagrams pass", datagram("client", server, 443,
                                                  OTHER_UDP), OTHER_UDP)


def guests(name, server, bypassed, guest, _):
    is_(f"{name}: those of another interface go", way("client", server, guest),
        "client")
    with at("client"):
        s = socket.socket(socket.AF_INET6 if ":" in server
                          else socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.settimeout(3)
        s.bind((guest, 0))
        s.connect((server, 443))
        s.send(QUIC)
        try:
            got = "passes" if s.recv(2000) == QUIC else "other bytes"
        except OSError as e:
            got = name_of(e)
    is_(f"{name}: and their QUIC", got, "passes")


def own(name, server, bypassed, _, gateway):
    for i in range(10):
        result = way("gateway", server)
        if result != "relay":
            break
    is_(f"{name}: the gateway's own go", result, "relay")
    is_(f"{name}: but not to where it stays direct",
        way("gateway", bypassed), "gateway")
    is_(f"{name}: nor to itself", way("gateway", gateway), "itself")


def own_quic(name, server, bypassed, *_):
    is_(f"{name}: the gateway's own QUIC", quic("gateway", server), "EPERM")
    is_(f"{name}: and where TCP goes directly", quic("gateway", bypassed),
        "passes")


def direct(name, server, *_):
    within = float(os.environ["WITHIN"])
    check(f"{MODE}, {name}: clients go directly within {within:.0f} s",
          until(lambda: way("client", server) == "client", 2 * within))
    check(f"{MODE}, {name}: so does the gateway",
          until(lambda: way("gateway", server) == "gateway", 2 * within))
    quic_passes(name, server)
    quic_not_own(name, server)


def back(name, server, *_):
    check(f"{MODE}, {name}: the gateway's own go through the relay again",
          until(lambda: way("gateway", server) == "relay", 30))


def ctl(*arguments):
    subprocess.run([os.environ["ROROCTL"], *arguments, "-s",
                    os.environ["SOCKET"]], check=True,
                   stdout=subprocess.DEVNULL)


def changes():
    """An operator's, while connections are open."""
    held = [(host, connect(host, s[1])) for s in SERVERS
            for host in ("client", "gateway")]
    before = [ask(s) for _, s in held]
    is_("open connections", before, ["relay"] * 4)

    def state(what, ways, quics):
        is_(f"{what}: new ones", [way(h, s[1]) for s in SERVERS
                                  for h in ("client", "gateway")], ways)
        is_(f"{what}: QUIC", [quic("client", s[1]) for s in SERVERS], quics)
        is_(f"{what}: open ones go on", [ask(s) for _, s in held], before)

    straight, through = ["client", "gateway"], ["relay"] * 2
    ctl("bypass", "add", SERVERS[0][1] + "/32")
    state("bypass add, IPv4", straight + through, ["passes", "ECONNREFUSED"])
    ctl("bypass", "add", "fd77:3::/64")
    state("bypass add, IPv6", straight * 2, ["passes"] * 2)
    ctl("bypass", "del", SERVERS[0][1] + "/32")
    ctl("bypass", "del", "fd77:3::/64")
    state("bypass del", through * 2, ["ECONNREFUSED"] * 2)
    ctl("intercept", "off")
    state("intercept off", straight * 2, ["passes"] * 2)
    ctl("intercept", "on")
    state("intercept on", through * 2, ["ECONNREFUSED"] * 2)


for addresses in zip(*SERVERS):
    if addresses[0] in (SERVERS[0][1], SERVERS[0][2]):
        echo_datagrams("server", 443, addresses)
serve("server")
serve("gateway", "itself")
for phase in sys.argv[1:]:
    if phase == "changes":
        changes()
    else:
        each(globals()[phase])
sys.exit(1 if probe._failures else 0)
