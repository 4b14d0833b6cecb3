# SPDX-License-Identifier: ISC
"""What takes time, while the wall clock jumps: see clock.sh."""

import os
import random
import signal
import threading
import time

from crowd import pid_of
from early import let_in, slow_listen
from probe import end_of, error_of, main, probe

YEAR = 365 * 86400
CLOCK = os.environ["CLOCK_FILE"]


def write_clock(seconds):
    with open(CLOCK + ".new", "w") as f:
        f.write(str(seconds))
    os.rename(CLOCK + ".new", CLOCK)


class Jumping:
    """A year to and fro, all the time."""

    def __enter__(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.1):
            write_clock(random.choice((-YEAR, 0, YEAR)))

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        write_clock(0)


def took(function, *arguments):
    begin = time.monotonic()
    function(*arguments)
    return time.monotonic() - begin


@probe("connect-timeout is 2 s", lambda s: 1.8 < s < 6, direct=None,
       families=(4,))
def connect_timeout(route):
    with Jumping():
        listener = slow_listen(route)
        client = route.connect(listener)
        seconds = took(end_of, client)
        let_in(listener)
        return seconds


@probe("an idle session is left alone", "nothing", direct=None, families=(4,))
def idle(route):
    with Jumping():
        client, server = route.pair()
        client.settimeout(2)
        return error_of(client.recv, 1) if client else server


@probe("grace is 2 s", lambda s: 1.8 < s < 6, direct=None, families=(4,))
def grace(route):
    with Jumping():
        client, server = route.pair()
        os.kill(pid_of("proxy"), signal.SIGTERM)
        seconds = took(end_of, client)
        server.close()
        return seconds


if __name__ == "__main__":
    main()
