# SPDX-License-Identifier: ISC
"""Clients that ask for the proxy itself: see selfconnect.sh."""

import os
import socket
import sys

from probe import Route, check, end_of, error_of


def main():
    how_many = int(sys.argv[1])
    ends = {}
    for i in range(how_many):
        family = socket.AF_INET if i % 2 else socket.AF_INET6
        s = Route(0, family).socket("client")
        gateway = os.environ["gateway4" if i % 2 else "gateway6"]
        end = error_of(s.connect, (gateway, 1092))
        if end == "ok":
            end = end_of(s)
        s.close()
        ends[end] = ends.get(end, 0) + 1
    check("all are reset", ends == {"ECONNRESET": how_many}, ends)
    sys.exit(0 if ends == {"ECONNRESET": how_many} else 1)


main()
