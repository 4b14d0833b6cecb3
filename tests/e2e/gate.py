# SPDX-License-Identifier: ISC
"""tests/gate on the gateway of lib.sh, listeners in place of rorod and of
servers, and clients that ask who answers.

A listener tells each connection who it is and where the connection was going,
and then echoes, so that

    asked("client", server4, 80) == "server 10.77.3.2 80"

says that a connection went directly, and "proxy 10.77.3.2 80" that it was
intercepted, with the destination that rorod would have learned.
"""

import os
import signal
import socket
import struct
import subprocess
import threading

from probe import PATIENCE, at, host_name, name_of, say

SO_ORIGINAL_DST = 80    # linux/netfilter_ipv4.h; of IPv6, too
IP_TRANSPARENT = 19     # linux/in.h
MARK = 0x10000000

QUIC = bytes([0xc3]) + bytes(1199)      # long header: a connection begins
OTHER_UDP = bytes([0x43]) + bytes(99)   # short header, or no QUIC at all

server4, server6 = os.environ["server4"], os.environ["server6"]
gateway4, gateway6 = os.environ["gateway4"], os.environ["gateway6"]


def run(host, *command, check=True, input=None):
    """Its output."""
    return subprocess.run(
        ["ip", "netns", "exec", host_name(host), *command], check=check,
        input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True).stdout


def nft(host, script):
    return run(host, "nft", "-f", "-", input=script)


class Gate:
    """What it says is in tests/gate.c.  As `prefix`, a command that runs it."""

    def __init__(self, *options, prefix=(), **environment):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", host_name("gateway"), *prefix,
             os.environ["GATE"], *(str(o) for o in options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1, env={**os.environ, **environment},
            stderr=open(os.environ["GATE_LOG"], "a"))

    def say(self, line):
        """Its answer."""
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().strip()

    def signal(self, number):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        if self.process.wait(PATIENCE) not in (0, -signal.SIGKILL):
            say(False, "gate ended badly")
        self.process.stdout.close()


class Listener:
    """`kind`: None, "tproxy" or "redirect".  Ends with the process."""

    def __init__(self, host, port, who, kind=None):
        self.who, self.kind = who, kind
        self.echoes = True      # False: what is connected is left alone
        self.connections = []
        with at(host):
            self.socket = socket.socket(socket.AF_INET6)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == "tproxy":
            self.socket.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        self.socket.bind(("::", port))
        self.socket.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """New connections are refused then; others go on."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        while True:
            try:
                s, peer = self.socket.accept()
            except OSError:
                return
            s.settimeout(PATIENCE)
            self.connections.append(s)
            threading.Thread(target=self._echo, daemon=True,
                             args=(s, peer, self.echoes)).start()

    def _destination(self, s, peer):
        if self.kind != "redirect":
            host, port = s.getsockname()[:2]
            return host.removeprefix("::ffff:"), port
        if peer[0].startswith("::ffff:"):
            raw = s.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16)
            host = socket.inet_ntop(socket.AF_INET, raw[4:8])
        else:
            raw = s.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
            host = socket.inet_ntop(socket.AF_INET6, raw[8:24])
        return host, struct.unpack_from("!H", raw, 2)[0]

    def _echo(self, s, peer, echoes):
        try:
            host, port = self._destination(s, peer)
            s.sendall(f"{self.who} {host} {port}\n".encode())
            if not echoes:
                return
            while data := s.recv(65536):
                s.sendall(data)
        except OSError:
            pass
        s.close()


def line(s):
    text = b""
    while not text.endswith(b"\n"):
        part = s.recv(1)
        if not part:
            return "EOF"
        text += part
    return text.decode().strip()


def connect(host, address, port, source=None, mark=0, timeout=PATIENCE,
            source_port=0):
    with at(host):
        s = socket.socket(socket.AF_INET6 if ":" in address
                          else socket.AF_INET)
    s.settimeout(timeout)
    if mark:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    if source or source_port:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((source or "", source_port))
    try:
        s.connect((address, port))
    except OSError:
        s.close()
        raise
    return s


def asked(host, address, port, **how):
    """Who answers, or the error."""
    try:
        with connect(host, address, port, **how) as s:
            return line(s)
    except OSError as e:
        return name_of(e)


def goes_on(s):
    """Whether a connection in progress still does."""
    try:
        s.sendall(b"still there?\n")
        return line(s) == "still there?"
    except OSError:
        return False


def datagram(host, address, port, payload, timeout=1):
    """What becomes of one: the echo, "nothing", or an error."""
    with at(host):
        s = socket.socket(socket.AF_INET6 if ":" in address
                          else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    try:
        s.connect((address, port))
        s.send(payload)
        return s.recv(2000)
    except OSError as e:
        return name_of(e)
    finally:
        s.close()


def echo_datagrams(host, port, addresses=(server4, server6)):
    """Answers each with itself, from the address that it came to."""
    def serve(s):
        while True:
            data, peer = s.recvfrom(2000)
            s.sendto(data, peer)

    for address in addresses:
        with at(host):
            s = socket.socket(socket.AF_INET6 if ":" in address
                              else socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, port))
        threading.Thread(target=serve, args=(s,), daemon=True).start()
