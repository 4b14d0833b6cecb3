# SPDX-License-Identifier: ISC
"""Fill the connection tracking of this host with connections that have to stay:

    track.py COUNT
    track.py            remove these again

They are of UDP, between addresses for documentation."""

import ipaddress
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NEW, DELETE = 1 << 8 | 0, 1 << 8 | 2    # of NFNL_SUBSYS_CTNETLINK
REQUEST = 0x1
NESTED = 0x8000
STATUS = 2 | 4 | 8              # seen a reply, assured, confirmed
UDP = 17
AT_ONCE = 200
MARK = 0x726f
SECONDS = 3600


def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) %
                                                                 4)


def nest(kind, *attributes):
    return attribute(kind | NESTED, b"".join(attributes))


def direction(kind, source, sport, destination, dport):
    return nest(kind, nest(1, attribute(1, source), attribute(2, destination)),
                nest(2, attribute(1, bytes([UDP])),
                     attribute(2, struct.pack("!H", sport)),
                     attribute(3, struct.pack("!H", dport))))


def header(kind, flags, body, number=1):
    body = struct.pack("BBH", socket.AF_INET, 0, 0) + body
    return struct.pack("=IHHII", 16 + len(body), kind, flags, number,
                       0) + body


def message(number):
    a = ipaddress.ip_address("198.51.100.1").packed
    b = ipaddress.ip_address("203.0.113.1").packed
    sport, dport = 1 + number % 60000, 1 + number // 60000
    return header(NEW, REQUEST | 0x400 | 0x200,      # create, only if new
                  direction(1, a, sport, b, dport) +
                  direction(2, b, dport, a, sport) +
                  attribute(3, struct.pack("!I", STATUS)) +
                  attribute(7, struct.pack("!I", SECONDS)) +
                  attribute(8, struct.pack("!I", MARK)), number)


def open_socket():
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return s


def fill(s, count):
    for start in range(0, count, AT_ONCE):
        s.send(b"".join(map(message,
                            range(start, min(count, start + AT_ONCE)))))


def clear(s):
    s.send(header(DELETE, REQUEST | 0x4,             # with an answer
                  attribute(8, struct.pack("!I", MARK)) +
                  attribute(21, struct.pack("!I", 0xffffffff))))
    error, = struct.unpack_from("=i", s.recv(4096), 16)
    return error


if len(sys.argv) > 1:
    fill(open_socket(), int(sys.argv[1]))
else:
    sys.exit(clear(open_socket()) != 0)
