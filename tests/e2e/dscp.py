# SPDX-License-Identifier: ISC
"""Connections with a DSCP, and what of it arrives at the server: see dscp.sh."""

import socket
import struct
import sys

from probe import THROUGH, Route, accept, at, check, read, until

CLASSES = (46, 10, 63, 0)       # EF, AF11, the highest, none
ECT0 = 2
SYN, PSH = 0x02, 0x08


class Wire:
    """TCP packets to a port that arrive at the server: flags, DSCP, ECN."""

    def __init__(self, route, port):
        self.port, self.seen = port, []
        with at("server"):
            kind = 0x0800 if route.four else 0x86dd
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                        socket.htons(kind))
            self.socket.bind(("eth0", kind))
        self.socket.setblocking(False)
        self.four = route.four

    def packets(self):
        while True:
            try:
                packet, source = self.socket.recvfrom(1 << 16)
            except BlockingIOError:
                return self.seen
            if source[2] == socket.PACKET_OUTGOING:
                continue
            if self.four:
                octet, tcp = packet[1], packet[(packet[0] & 15) * 4:]
                protocol = packet[9]
            else:
                octet = struct.unpack("!H", packet[:2])[0] >> 4 & 255
                protocol, tcp = packet[6], packet[40:]
            if protocol == socket.IPPROTO_TCP and \
                    struct.unpack("!H", tcp[2:4])[0] == self.port:
                self.seen.append((tcp[13], octet >> 2, octet & 3))

    def with_flag(self, flag):
        return [p for p in self.packets() if p[0] & flag]


def arrives(route, dscp):
    """DSCP and ECN of the first packet and of those with data."""
    listener = route.listen()
    to = listener.getsockname()[:2]
    wire = Wire(route, to[1])
    client = route.socket("client")
    if route.four:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    else:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    client.connect(to)
    server = accept(listener)
    client.sendall(b"x" * 10000)
    read(server, 10000)
    until(lambda: wire.with_flag(PSH), 5)
    syn, data = wire.with_flag(SYN), wire.with_flag(PSH)
    for s in (client, server, listener, wire.socket):
        s.close()
    return {p[1:] for p in syn}, {p[1:] for p in data}


good = True
for af in (socket.AF_INET, socket.AF_INET6):
    for dscp in CLASSES:
        expected = dscp if sys.argv[1] == "as sent" else int(sys.argv[1])
        got = arrives(Route(THROUGH, af), dscp)
        right = got == ({(expected, 0)}, {(expected, ECT0)})
        check(f"{dscp} arrives as {expected}", right, got)
        good = good and right
sys.exit(0 if good else 1)
