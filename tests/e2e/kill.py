# SPDX-License-Identifier: ISC
"""A daemon that is killed, the one with the pid $victim: see kill.sh."""

import os
import signal
import threading
import time

from probe import (end_of, error_of, finish, main, pattern, probe, read,
                   until)

VICTIM = int(os.environ["victim"])
BLOCK = pattern(1 << 16)


class Busy(threading.Thread):
    """Sends until that fails; how it failed."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.socket = s
        self.error = None
        self.start()

    def run(self):
        while True:
            error = error_of(self.socket.sendall, BLOCK)
            if error != "ok":
                self.error = error
                return


def last_words(s):
    """An end that has seen the other's end already learns by writing."""
    error = []

    def fails():
        error.append(error_of(s.send, b"x"))
        return error[-1] != "ok"

    return error[-1] if until(fails) else "nothing"


@probe("whatever is open is reset, and nothing ends",
       {"idle": ("ECONNRESET", "ECONNRESET"),
        "download": ("ECONNRESET", "ECONNRESET"),
        "upload": ("ECONNRESET", "ECONNRESET"),
        "download, all sent": "ECONNRESET",
        "answer to come": ("ECONNRESET", "EPIPE"),
        "request to come": ("EPIPE", "ECONNRESET")},
       direct=None, families=(4,))
def killed(route):
    idle, download, upload, whole, asked, served = (
        route.pair() for _ in range(6))

    # Some bytes have come, more are on their way.
    down, up = Busy(download[1]), Busy(upload[0])
    read(download[0], 1 << 20)
    read(upload[1], 1 << 20)
    for first, second in asked, reversed(served):
        finish(first)
        end = end_of(second)
        if end != "EOF":
            return f"half-close: {end}"
        second.sendall(BLOCK[:1000])

    # The server has said all of this and closed, before it got to the client.
    whole[1].setblocking(False)
    while error_of(whole[1].send, BLOCK) == "ok":
        pass
    whole[1].close()

    os.kill(VICTIM, signal.SIGKILL)
    begin = time.monotonic()
    result = {
        "idle": (end_of(idle[0]), end_of(idle[1])),
        "download": (end_of(download[0]), None),
        "upload": (None, end_of(upload[1])),
        "download, all sent": end_of(whole[0]),
        "answer to come": (end_of(asked[0]), last_words(asked[1])),
        "request to come": (last_words(served[0]), end_of(served[1])),
    }
    down.join(30)
    up.join(30)
    result["download"] = (result["download"][0], down.error)
    result["upload"] = (up.error, result["upload"][1])
    print(f"    {time.monotonic() - begin:.2f} s until all knew")
    return result


main()
