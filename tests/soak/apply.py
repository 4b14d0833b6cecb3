# SPDX-License-Identifier: ISC
"""Doing what the plan says, and the diary of what was done: from when to when
a path, a relay or the proxy could not be used."""

import dataclasses
import random
import re
import signal
import subprocess
import threading
import time

from world import RELAY_PORT, RELAYS


@dataclasses.dataclass
class Entry:
    """Of the diary.  What happens at once has two times that are equal."""
    begin: float
    end: float
    kind: str
    away: tuple = ()    # what of path0, path1, relay0, relay1, proxy
    lost: tuple = ()    # what lost its sessions at `begin`, of those


class Faults:
    def __init__(self, world, paths, daemons, say):
        self.world, self.paths, self.daemons = world, paths, daemons
        self.say = say
        self.diary = []
        self.skies = []                 # (time, path, rtt, loss)
        self.errors = []
        self.resets = 0                 # subflows
        self.lock = threading.Lock()    # of the diary
        self.proxy_lock = threading.Lock()      # of its configuration

    # ---- when ----

    def run(self, events, begin, stop):
        """All events, each when its time has come."""
        threads = []
        for event in events:
            if stop.wait(max(0, begin + event.at - time.monotonic())):
                break
            thread = threading.Thread(target=self.apply, args=(event,))
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def apply(self, event):
        self.say(event)
        try:
            getattr(self, event.kind.replace("-", "_"))(
                event.seconds, **event.what)
        except Exception as e:          # told at the end, as a failure
            self.errors.append(f"{event.kind}: {e!r}")

    def note(self, kind, away=(), lost=()):
        """An entry whose end is the return of end()."""
        entry = Entry(time.monotonic(), float("inf"), kind, away, lost)
        with self.lock:
            self.diary.append(entry)
        return entry

    @staticmethod
    def over(entry):
        entry.end = time.monotonic()

    # ---- paths ----

    def _holes(self, kind, paths, way, seconds):
        entry = self.note(kind, tuple(f"path{i}" for i in paths))
        for i in paths:
            self.paths[i].control(f"blackhole {way}")
        time.sleep(seconds)
        for i in paths:
            self.paths[i].control("blackhole off")
        self.over(entry)

    def hole(self, seconds, path):
        self._holes("hole", [path], "on", seconds)

    def hole_direction(self, seconds, path, direction):
        self._holes("hole-direction", [path], direction, seconds)

    def hole_all(self, seconds):
        self._holes("hole-all", [0, 1], "on", seconds)

    def hole_all_direction(self, seconds, direction):
        self._holes("hole-all-direction", [0, 1], direction, seconds)

    def long_outage(self, seconds):
        self._holes("long-outage", [0, 1], "on", seconds)

    def interface_down(self, seconds, path):
        entry = self.note("interface-down", (f"path{path}",))
        self.paths[path].down()
        time.sleep(seconds)
        self.paths[path].up()
        self.over(entry)

    def _weather_is(self, path, rtt, loss):
        with self.lock:
            self.skies.append((time.monotonic(), path, rtt, loss))

    def weather(self, _, path, rate, delay, loss):
        self.paths[path].control(f"rate {rate}", f"delay {delay}",
                                 f"loss {loss}")
        self._weather_is(path, 2 * float(delay.rstrip("ms")) / 1000,
                        float(loss.rstrip("%")))

    # ---- subflows ----

    def reset(self, _, percent, pick, relay):
        """Of the subflows to a relay, at the gateway's end or at the relay's."""
        rng = random.Random(pick)
        to = RELAYS[relay]
        listing = self.world.run("gateway", "ss", "-Htn", "state", "established",
                                 f"dst {to} and dport = :{RELAY_PORT}").stdout
        ports = sorted(set(re.findall(r"10\.78\.\d\.1(?:%\w+)?:(\d+)", listing)))
        ports = [port for port in ports if rng.randrange(100) < percent]
        entry = self.note("reset")
        for port in ports:
            host, end = ("gateway", "sport") if rng.random() < 0.5 else \
                (f"relay{relay}", "dport")
            # What has gone meanwhile is an error for ss.
            killed = self.world.run(host, "ss", "-HtnK", "state", "established",
                                    end, "=", f":{port}",
                                    stderr=subprocess.DEVNULL).stdout
            self.resets += len(killed.splitlines())
        self.over(entry)

    # ---- daemons ----

    def relay_kill(self, seconds, relay):
        self._restart("relay-kill", self.daemons.relays[relay], signal.SIGKILL,
                      -signal.SIGKILL, seconds)

    def relay_drain(self, seconds, relay):
        self._restart("relay-drain", self.daemons.relays[relay],
                      signal.SIGTERM, 0, seconds)

    def proxy_kill(self, seconds):
        with self.proxy_lock:
            self._restart("proxy-kill", self.daemons.proxy, signal.SIGKILL,
                          -signal.SIGKILL, seconds)

    def proxy_restart(self, seconds):
        with self.proxy_lock:
            self._restart("proxy-restart", self.daemons.proxy, signal.SIGTERM,
                          0, seconds)

    def _restart(self, kind, daemon, number, status, seconds):
        if daemon.crashed():
            return
        entry = self.note(kind, (daemon.name,), (daemon.name,))
        begin = time.monotonic()
        daemon.stopping = True
        daemon.signal(number)
        daemon.wait(20, status)
        time.sleep(max(0, begin + seconds - time.monotonic()))
        daemon.start()
        daemon.stopping = False
        self.over(entry)

    def _pause(self, kind, daemon, seconds):
        entry = self.note(kind, (daemon.name,))
        daemon.signal(signal.SIGSTOP)
        time.sleep(seconds)
        daemon.signal(signal.SIGCONT)
        self.over(entry)

    def relay_stop(self, seconds, relay):
        self._pause("relay-stop", self.daemons.relays[relay], seconds)

    def proxy_stop(self, seconds):
        with self.proxy_lock:
            self._pause("proxy-stop", self.daemons.proxy, seconds)

    def relay_reload(self, _, relay):
        self.over(self.note("relay-reload"))
        self._hang_up(self.daemons.relays[relay])

    def proxy_reload(self, _, **paths):
        with self.proxy_lock:
            self.over(self.note("proxy-reload"))
            self.daemons.paths.update(paths)
            self.daemons.configure_proxy()
            self._hang_up(self.daemons.proxy)

    def proxy_key(self, _):
        with self.proxy_lock:
            self.over(self.note("proxy-key"))
            self.daemons.key ^= 1
            self.daemons.configure_proxy()
            self._hang_up(self.daemons.proxy)

    @staticmethod
    def _hang_up(daemon):
        """Not before it can be asked: until then the signal ends it."""
        for _ in range(100):
            if daemon.status() is not None:
                break
            time.sleep(0.1)
        daemon.signal(signal.SIGHUP)
