# SPDX-License-Identifier: ISC
"""Many readers that read 1 kB a second each, clients and servers in turn: see
slow.sh."""

import os
import threading
import time

from crowd import DAEMONS, close, echoes, pairs, resident_kib, route
from probe import main, pattern, probe

READERS = int(os.environ["READERS"])
SECONDS = int(os.environ["SECONDS_EACH"])
RATE = 1000
BLOCK = pattern(1 << 20)

BOUND_KIB = int(os.environ["BOUND_KIB"])        # 0: only printed


def pour(writers, stop):
    """All that they take, the same to each."""
    sent = [0] * len(writers)
    for s in writers:
        s.setblocking(False)
    while not stop.is_set():
        for i, s in enumerate(writers):
            try:
                sent[i] += s.send(BLOCK[sent[i]:sent[i] + 65536])
            except (BlockingIOError, ConnectionError):
                pass
        time.sleep(0.05)


@probe("slow readers get what they read, within the memory, and others go on",
       (True, True, True), direct=None, families=(4,))
def slow(_):
    r = route()
    both = pairs(r, READERS)
    ends = [pair if i % 2 else pair[::-1] for i, pair in enumerate(both)]
    stop = threading.Event()
    thread = threading.Thread(target=pour,
                              args=([writer for _, writer in ends], stop))
    thread.start()
    right = others = True
    slowest = 0
    most = dict.fromkeys(DAEMONS, 0)
    for second in range(SECONDS):
        due = time.monotonic() + 1
        for reader, _ in ends:
            reader.settimeout(30)
            expected = BLOCK[second * RATE:(second + 1) * RATE]
            got = b""
            while len(got) < RATE:
                part = reader.recv(RATE - len(got))
                if part == b"":
                    break
                got += part
            right = right and got == expected
        begin = time.monotonic()
        others = echoes(r) and others
        slowest = max(slowest, time.monotonic() - begin)
        for name in DAEMONS:
            most[name] = max(most[name], resident_kib(name))
        time.sleep(max(0, due - time.monotonic()))
    print(f"{READERS} slow readers: {most} KiB, of {BOUND_KIB or 'any'}; "
          f"100 kB there and back beside them: {slowest:.2f} s at most",
          flush=True)
    stop.set()
    thread.join()
    close(both)
    bounded = BOUND_KIB == 0 or max(most.values()) <= BOUND_KIB
    return right, bounded, others


if __name__ == "__main__":
    main()
