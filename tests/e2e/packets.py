# SPDX-License-Identifier: ISC
"""Writes become segments, one by one: see packets.sh."""

import socket
import statistics
import struct
import threading
import time

from probe import Mute, at, main, pattern, probe, read, until

ETH_P_ALL = 3
RELAY_PORT = 1093
SIZES = (1, 2, 1, 100, 1000, 1400, 1)   # fewer than a first window holds


class Capture:
    """Segments with payload that an interface sees, each once: (destination
    port, source port, sequence number) -> bytes.  What is sent again may be
    cut differently; the first time counts."""

    def __init__(self, host):
        with at(host):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                        socket.htons(ETH_P_ALL))
        self.socket.bind(("eth0", ETH_P_ALL))
        self.segments = {}
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                frame, address = self.socket.recvfrom(1 << 17)
            except OSError:
                return
            if address[2] != socket.PACKET_OUTGOING:
                self._take(frame)

    def _take(self, frame):
        kind, = struct.unpack_from("!H", frame, 12)
        if kind == 0x0800 and frame[23] == socket.IPPROTO_TCP:
            tcp = 14 + (frame[14] & 15) * 4
            end = 14 + struct.unpack_from("!H", frame, 16)[0]
        elif kind == 0x86dd and frame[20] == socket.IPPROTO_TCP:
            tcp = 54
            end = 54 + struct.unpack_from("!H", frame, 18)[0]
        else:
            return
        source, to, sequence = struct.unpack_from("!HHI", frame, tcp)
        payload = end - tcp - (frame[tcp + 12] >> 4) * 4
        if payload > 0:
            self.segments.setdefault((to, source, sequence), payload)

    def sizes(self, port):
        """Of those to a port, in the order of their arrival."""
        return [size for (to, _, _), size in list(self.segments.items())
                if to == port]


def no_delay(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def write_one_by_one(writer, reader, host):
    """Each write when the one before has arrived, though no acknowledgement
    leaves `host`; the sizes of the segments that arrive."""
    port = reader.getsockname()[1]
    capture = Capture(host)
    no_delay(writer)
    with Mute(host, port):
        for i, size in enumerate(SIZES):
            writer.sendall(pattern(size, i))
            if not until(lambda: len(capture.sizes(port)) > i):
                return tuple(capture.sizes(port)), "and no more"
        sizes = capture.sizes(port)[:len(SIZES)]
    whole = b"".join(pattern(size, i) for i, size in enumerate(SIZES))
    return tuple(sizes), read(reader, len(whole))[0] == whole


@probe("each write of the client is a segment at the server", (SIZES, True))
def up(route):
    client, server = route.pair()
    return write_one_by_one(client, server, "server")


@probe("each write of the server is a segment at the client", (SIZES, True))
def down(route):
    client, server = route.pair()
    return write_one_by_one(server, client, "client")


@probe("also when the link brings no acknowledgements", (SIZES, True),
       direct=None, families=(4,))
def silent_link(route):
    client, server = route.pair()
    client.sendall(b"?")        # OPEN is acknowledged
    read(server, 1)
    time.sleep(0.2)
    with Mute("relay", RELAY_PORT):
        return write_one_by_one(client, server, "server")


@probe("and each is one segment on the link", True, direct=None,
       families=(4,))
def on_the_link(route):
    client, server = route.pair()
    no_delay(client)
    client.sendall(b"?")
    read(server, 1)
    time.sleep(0.2)
    capture = Capture("relay")
    for _ in range(50):
        client.sendall(b"x")
        read(server, 1)
    until(lambda: len(capture.sizes(RELAY_PORT)) >= 50)
    segments = len(capture.sizes(RELAY_PORT))
    # A PING may be among them; on a busy machine, something sent again.
    return 50 <= segments <= 55 or segments


@probe("an echo does not wait for anything (median, ms)",
       lambda ms: ms < 10)
def echo(route):
    client, server = route.pair()
    took = []
    for _ in range(300):
        begin = time.monotonic()
        client.sendall(b"?")
        read(server, 1)
        server.sendall(b"!")
        read(client, 1)
        took.append(time.monotonic() - begin)
    return round(statistics.median(took) * 1000, 2)


main()
