# SPDX-License-Identifier: ISC
"""Can what clients send be read on the link?  Prints "read" or "not read"."""

import socket
import threading

from probe import THROUGH, Route, at, finish, read

ETH_P_ALL = 3
TEXT = b"whoever is on the way can read this "


class Eye:
    """Looks for that text in what an interface carries."""

    def __init__(self, host):
        with at(host):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                        socket.htons(ETH_P_ALL))
        self.socket.bind(("eth0", ETH_P_ALL))
        self.socket.settimeout(1)
        self.packets = self.found = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                packet = self.socket.recv(1 << 17)
            except TimeoutError:
                return
            self.packets += 1
            self.found += TEXT in packet

    def end(self):
        """Once nothing comes any more."""
        self.thread.join()
        if self.packets == 0:
            raise AssertionError("nothing was carried")
        return "read" if self.found > 0 else "not read"


def carry():
    eye = Eye("relay")
    client, server = Route(THROUGH, socket.AF_INET).pair()
    for a, b in (client, server), (server, client):
        a.sendall(TEXT * 1000)
        finish(a)
        if read(b) != (TEXT * 1000, "EOF"):
            raise AssertionError("something else came")
    return eye.end()


print(carry())
