#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A relay of the base protocol that resets before it has taken all subflows.

    base_cut.py HOST PORT CASE

It gives the number, answers two of the other subflows and leaves the rest
without an answer; sends two datagrams, then resets what CASE names first:
"joined", those that it has answered, or "waiting", the others.  The datagrams
go over the two answered last, behind their numbers.
"""

import socket
import struct
import sys
import time

NUMBER = struct.pack("!I", 77)
BODY = bytes(range(250)) * 2


def main():
    host, port, case = sys.argv[1:]
    listener = socket.create_server((host, int(port)), backlog=16)
    listener.settimeout(20)
    waiting, joined = [], []
    while len(waiting) < 4:
        sock, _ = listener.accept()
        sock.settimeout(20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        waiting.append(sock)
    # One asks for a number; the others say it as soon as they know it.
    for sock in list(waiting):
        sock.settimeout(0.2)
        try:
            first = sock.recv(4, socket.MSG_WAITALL)
        except TimeoutError:
            continue
        assert first == bytes(4), first
        waiting.remove(sock)
        joined.append(sock)
        sock.sendall(NUMBER)
        break
    for sock in waiting:
        sock.settimeout(20)
        assert sock.recv(4, socket.MSG_WAITALL) == NUMBER
    for serial in (1, 2):
        sock = waiting.pop()
        sock.sendall(NUMBER + struct.pack("!HH", serial, len(BODY)) + BODY)
        joined.append(sock)
    first, second = joined, waiting
    if case == "waiting":
        first, second = waiting, joined
    for sock in first:
        sock.close()
    time.sleep(0.05)
    for sock in second:
        sock.close()
    print("done", flush=True)


main()
