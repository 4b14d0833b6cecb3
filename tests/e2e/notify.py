#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A service manager's socket: what a daemon says, a line each, with the time.

    notify.py NAME      a path, or @name in the abstract space"""

import socket
import sys
import time

name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + name[1:] if name[0] == "@" else name)
print("listening", flush=True)
while True:
    words = s.recv(4096).decode().split("\n")
    print(f"{time.monotonic():.3f}", *words, flush=True)
