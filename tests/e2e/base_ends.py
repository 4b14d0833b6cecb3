#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The two ends of TCP connections that end in other ways than by two FINs.

    base_ends.py server PORT
    base_ends.py client CASE HOST PORT

The first byte names the case.  Each end prints how many bytes it got and how
that ended.
"""

import errno
import socket
import struct
import sys
import threading


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock):
    """"1000 EOF" or "1000 ECONNRESET"."""
    got = 0
    try:
        while True:
            data = sock.recv(65536)
            if not data:
                return f"{got} EOF"
            got += len(data)
    except OSError as e:
        return f"{got} {errno.errorcode.get(e.errno, e)}"


def serve(sock):
    case = sock.recv(1).decode()
    if case == "a":             # answers after the client's end
        print(case, read_all(sock), flush=True)
        sock.sendall(bytes(1000000))
        sock.close()
    elif case == "b":           # says that it is done, then reads
        sock.sendall(bytes(1000))
        sock.shutdown(socket.SHUT_WR)
        print(case, read_all(sock), flush=True)
        sock.close()
    elif case == "c":           # answers and resets
        sock.sendall(bytes(1000))
        reset(sock)
    else:
        if case == "e":
            sock.sendall(bytes(1000))
        print(case, read_all(sock), flush=True)
        sock.close()


def server(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6,
                                    dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


def client(case, host, port):
    if case == "0":             # says nothing at all
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family)
        sock.settimeout(60)
        try:
            sock.connect((host, port))
        except ConnectionResetError:
            # Before we could see that we are in; what came before that can
            # still be read.
            print(case, read_all(sock).split()[0], "ECONNRESET", flush=True)
            return
        print(case, read_all(sock), flush=True)
        return
    sock = socket.create_connection((host, port), 60)
    sock.sendall(case.encode())
    if case == "a":
        sock.sendall(bytes(1000))
        sock.shutdown(socket.SHUT_WR)
    elif case == "b":
        said = read_all(sock)
        sock.sendall(bytes(1000000))
        sock.shutdown(socket.SHUT_WR)
        print(case, said, flush=True)
        return
    elif case == "d":           # sends and resets
        sock.sendall(bytes(1000))
        reset(sock)
        return
    print(case, read_all(sock), flush=True)


if sys.argv[1] == "server":
    server(int(sys.argv[2]))
else:
    client(sys.argv[2], sys.argv[3], int(sys.argv[4]))
