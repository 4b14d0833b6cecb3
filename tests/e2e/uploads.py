# SPDX-License-Identifier: ISC
"""Many small uploads at once: see uploads.sh."""

import hashlib
import json
import os
import struct
import subprocess
import threading
import time

from crowd import route
from probe import accept, finish, main, pattern, probe, read

COUNT, SIZE = int(os.environ["COUNT"]), int(os.environ["SIZE"])
RTT = float(os.environ["RTT"]) / 1000
ANSWER = 1000
# How much of that may be sent again because it was late (daemon/core/reinject.h):
# an eighth, and what the link carries in half a second or a round trip.  Of 1.2 MB
# it was 50 to 220 kB; where what waits for its turn counted as late, and neither
# that allowance nor the rules for subflows of one path held it back, 430 to 700.
AGAIN = COUNT * SIZE // 8 + int(250000 * max(0.5, RTT))
PATIENCE = 120


def again():
    """What the proxy has sent again because it was late; and twice at once, for
    which there is a budget (redundancy)."""
    out = subprocess.run([os.environ["RORO_ROROCTL"], "status", "-f", "json",
                          "-s", f"{os.environ['RORO_TMP']}/run/proxy.sock"],
                         check=True, capture_output=True).stdout
    counted = json.loads(out)["relays"][0]["again"]
    return (counted["resent_bytes"] - counted["doubled_bytes"],
            counted["doubled_bytes"])


def body(number):
    return struct.pack("!I", number) + pattern(SIZE - 4, number)


def answer(digest):
    """To what has this hash."""
    return pattern(ANSWER, digest)


def serve(server, wrong):
    """Whatever comes has to be one of them; its answer depends on it."""
    data, _ = read(server)
    number, = struct.unpack("!I", data[:4].ljust(4, b"\xff"))
    if data != body(number):
        wrong.append(f"{len(data)} bytes of {number}")
    server.sendall(answer(hashlib.sha256(data).digest()))
    finish(server)


def upload(client, number, times):
    """When its answer is there, as it should be."""
    begin = time.monotonic()
    data = body(number)
    client.sendall(data)
    finish(client)
    if read(client) == (answer(hashlib.sha256(data).digest()), "EOF"):
        times.append(time.monotonic() - begin)


@probe(f"{COUNT} uploads of {SIZE} bytes at once arrive whole and are answered, "
       "and few of their bytes are sent again", (COUNT, [], True), direct=None,
       families=(4,))
def uploads(_):
    r = route()
    listener = r.listen(4096)
    clients = [r.connect(listener) for _ in range(COUNT)]
    times, wrong = [], []
    threads = [threading.Thread(target=upload, args=(c, i, times), daemon=True)
               for i, c in enumerate(clients)]
    before = again()
    begin = time.monotonic()
    for s in listener, *clients:
        s.settimeout(PATIENCE)
    for t in threads:
        t.start()
    for _ in clients:
        server = accept(listener)
        server.settimeout(PATIENCE)
        threads.append(threading.Thread(target=serve, args=(server, wrong),
                                        daemon=True))
        threads[-1].start()
    for t in threads:
        t.join(PATIENCE)
    took = time.monotonic() - begin
    late, twice = (max(0, b - a) for a, b in zip(before, again()))
    print(f"    {took:.1f} s, each {min(times, default=0):.1f} to "
          f"{max(times, default=0):.1f} s; {late} bytes were sent again, "
          f"bound: {AGAIN}; {twice} twice at once", flush=True)
    for s in clients:
        s.close()
    listener.close()
    return len(times), wrong, late <= AGAIN


if __name__ == "__main__":
    main()
