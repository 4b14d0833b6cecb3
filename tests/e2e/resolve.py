# SPDX-License-Identifier: ISC
"""The name server of a proxy, and what becomes of its sessions; see
resolve.sh."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import probe
from probe import at, check, until
from relays import (BREAK, LONG, RESUME, SILENCE, TMP, Session, counts, cut,
                    goes_on, is_first, is_up, mend, start, status, stop, whole)

OLD, NEW = os.environ["relay4"], os.environ["moved4"]
NXDOMAIN = 3
RESET = "meta l4proto tcp reject with tcp reset"


class Server(threading.Thread):
    """Answers all questions alike, but for the server's name."""

    def __init__(self):
        super().__init__(daemon=True)
        self.answer = None      # an address, NXDOMAIN, or None: silent
        self.asked = 0
        with at("gateway"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.start()

    def run(self):
        while True:
            query, client = self.socket.recvfrom(512)
            self.asked += 1
            if self.answer is not None:
                answer = self.answer
                if answer != NXDOMAIN and b"\6server" in query:
                    answer = os.environ["server4"]
                self.socket.sendto(self._reply(query, answer), client)

    @staticmethod
    def _reply(query, answer):
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        has = answer != NXDOMAIN and question[-4:-2] == b"\0\1"    # A
        reply = query[:2] + struct.pack("!HHHHH", 0x8180 | (
            NXDOMAIN if answer == NXDOMAIN else 0), 1, has, 0, 0) + question
        if has:
            reply += struct.pack("!HHHLH", 0xc00c, 1, 1, 0, 4)
            reply += socket.inet_aton(answer)
        return reply


def address():
    return status()["relay"]["address"]


def direct():
    """The addresses of relays that are never intercepted."""
    return subprocess.run(["ip", "netns", "exec", probe.host_name("gateway"),
                           "nft", "list", "set", "inet", "ro-ro-tcp",
                           "relays4"], check=True, capture_output=True,
                          text=True).stdout


def nft(host, rules):
    subprocess.run(["ip", "netns", "exec", probe.host_name(host), "nft", "-f",
                    "-"], input=rules, text=True, check=True)


def silent(server):
    begin = time.monotonic()
    proxy = start("proxy", "gateway",
                  f"mount --bind {TMP}/resolv.conf /etc/resolv.conf")
    check("it starts although the name server is silent",
          until(lambda: os.path.exists(f"{TMP}/run/proxy.sock"), 4),
          f"{time.monotonic() - begin:.2f} s")
    check("no address is known", address() is None)
    what = forward()
    check("a destination is not, either: its client is reset",
          what == "ECONNRESET", what)
    check("the other relay is there", until(lambda: is_up("two"), 10))
    check("and connections are intercepted", until(is_through, 10))
    worst = 0
    before = server.asked
    end = time.monotonic() + 4
    while time.monotonic() < end:
        begin = time.monotonic()
        check_session()
        worst = max(worst, time.monotonic() - begin)
    check("sessions go there, and nothing waits", worst < 2,
          f"{worst:.3f} s at most")
    check("while it asks", server.asked > before)
    return proxy


def forward():
    """What comes of a client of the forward listener: an error, or what the
    server was sent."""
    with at("server"):
        listener = socket.create_server((os.environ["server4"], 2200),
                                        reuse_port=True)
    listener.settimeout(5)
    with at("client"):
        client = socket.socket()
    client.settimeout(5)
    try:
        client.connect((os.environ["gateway4"], 2201))
        client.sendall(b"here")
        if listener not in select.select([listener, client], [], [], 5)[0]:
            return probe.end_of(client)
        server, _ = listener.accept()
        return probe.read(server, 4)[0]
    except OSError as e:
        return probe.name_of(e)
    finally:
        client.close()
        listener.close()


def is_through():
    session = Session()
    session.close()
    return session.at == "two"


def check_session():
    session = Session()
    if session.at != "two" or not session.close():
        raise RuntimeError(f"a session at {session.at}")


def found(server):
    server.answer = OLD
    begin = time.monotonic()
    check("the name server answers: the relay is there",
          until(lambda: is_up("relay"), 30),
          f"{time.monotonic() - begin:.1f} s")
    check("at that address", address() == f"{OLD}:1093")
    check("which is direct", OLD in direct() and
          os.environ["two4"] in direct())
    check("the destination is found, too",
          until(lambda: forward() == b"here", 30))


def moves(server, rule):
    until(lambda: sum(counts()) == 0)   # that of the forward listener has ended
    session = Session()
    check("a session at that relay", session.at == "relay" and whole(session))
    server.answer = NEW
    cut(OLD, rule)
    promised = RESUME + (SILENCE if LONG else BREAK)
    took = goes_on(session)
    check("it has another address: the session goes on there",
          took < 2 * promised, f"{took:.2f} s, promised {promised:.2f}")
    check("and nothing of it is lost", whole(session))
    check("at the new address", address() == f"{NEW}:1093")
    check("which is direct", NEW in direct())
    check("the session ends well", session.close())
    with open(f"{TMP}/proxy.log", encoding="utf-8") as f:
        check("it was the same relay", "it has restarted" not in f.read())
    mend()


def unknown(server, proxy):
    server.answer = NXDOMAIN
    before = server.asked
    os.kill(proxy, signal.SIGHUP)
    check("a reload asks", until(lambda: server.asked > before, 10))
    time.sleep(0.3)
    check("the name is not known any more: the address stays",
          address() == f"{NEW}:1093" and is_up("relay"))


def retires(server, proxy):
    """A relay that is about to end keeps its sessions where it is; the name is
    its successor's."""
    until(is_first)
    session = Session()
    check("a session at that relay", session.at == "relay" and whole(session))
    os.kill(int(os.environ["RELAY_PID"]), signal.SIGTERM)
    server.answer = OLD
    start("three")
    nft("relay", f"""table inet place {{
        chain prerouting {{
            type nat hook prerouting priority dstnat
            ip daddr {OLD} tcp dport 1093 redirect to :1095
        }}
    }}""")
    begin = time.monotonic()
    found = until(lambda: address() == f"{OLD}:1093" and is_up("relay"), 30)
    check("it is about to end: the name leads to another one", found,
          f"{time.monotonic() - begin:.1f} s")
    os.kill(proxy, signal.SIGHUP)
    check("the session goes on meanwhile", whole(session))
    check("both addresses are direct", NEW in direct() and OLD in direct())
    begin = time.monotonic()
    cut(NEW, RESET)
    time.sleep(2)
    mend()
    cut(OLD, "drop")    # who asked there would wait
    took = goes_on(session)
    mend()
    check("its link breaks for 2 s: it goes on where the session is",
          took < 2 * RESUME, f"{took:.2f} s, promised {RESUME:.2f}")
    check("and nothing of it is lost", whole(session))
    check("the session ends well", session.close())


def main():
    server = Server()
    proxy = silent(server)
    found(server)
    moves(server, "drop" if LONG else RESET)
    unknown(server, proxy)
    retires(server, proxy)
    server.answer = None
    before = server.asked
    os.kill(proxy, signal.SIGHUP)
    until(lambda: server.asked > before, 10)
    begin = time.monotonic()
    ended = stop("proxy", signal.SIGTERM).wait(10)
    took = time.monotonic() - begin
    check("it ends at once although the name server is silent",
          ended == 0 and took < 2, f"{took:.2f} s")
    sys.exit(1 if probe._failures else 0)


if __name__ == "__main__":
    main()
