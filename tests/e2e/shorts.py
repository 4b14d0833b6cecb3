# SPDX-License-Identifier: ISC
"""Many short connections, some at a time: see shorts.sh."""

import os
import threading
import time

from probe import accept, end_of, main, probe, read

COUNT = int(os.environ["shorts"])
CLIENTS = 8


def serve(listener):
    """Odd bytes: the server closes first; even ones: the client."""
    for _ in range(COUNT):
        server = accept(listener)
        byte = read(server, 1)[0]
        server.sendall(byte)
        if byte[0] % 2 == 0:
            read(server)
        server.close()


@probe(f"{COUNT} times a byte and back", {True: COUNT}, direct=None,
       families=(4,))
def many(route):
    listener = route.listen()
    seen, lock = {}, threading.Lock()
    left = iter(range(COUNT))

    def use():
        while True:
            with lock:
                i = next(left, None)
            if i is None:
                return
            byte = bytes([i % 256])
            with route.connect(listener) as client:
                client.sendall(byte)
                answer, end = read(client, 1)
                if i % 2:
                    end = end_of(client)
            result = answer == byte and end in ("more", "EOF") or end
            with lock:
                seen[result] = seen.get(result, 0) + 1

    server = threading.Thread(target=serve, args=(listener,), daemon=True)
    clients = [threading.Thread(target=use) for _ in range(CLIENTS)]
    begin = time.monotonic()
    for t in [server] + clients:
        t.start()
    for t in clients + [server]:
        t.join()
    listener.close()
    print(f"    {COUNT / (time.monotonic() - begin):.0f} a second")
    return seen


main()
