#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Random faults under all kinds of sessions:

    soak.py [--minutes N | --seconds N] [--seed N] [--build DIRECTORY]

SEED=N is another word for --seed.

A proxy with two paths, over two emulated links, to each of two relays; clients
and servers that know every byte; and faults from a plan that the seed makes
(plan.py), while judge.py says what a fault permits.  In the end nothing may be
left: no session, descriptor, memory, rule or route.

--plan prints the plan and ends; --only takes these faults alone (names of
plan.py with commas); --weather "0 20Mbit 50ms 0%, 1 2Mbit 5ms 8%" is all that
happens then (path, rate, delay and loss, one way); --keep leaves the logs, as a
failure does.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import judge
import plan
from apply import Faults
from world import (FAIR, SERVER4, SERVER6, Broken, Daemons, Path, World,
                   wait_until)

HERE = os.path.dirname(os.path.abspath(__file__))
REPORTS = ("Sanitizer", "runtime error:", "Assertion ")
# Resident memory that a daemon may keep beyond what it had before, and this
# share of its peak: the allocator gives pages back as it likes.
KEPT_KIB, KEPT_OF_PEAK = 8192, 0.5
DRAIN_S = 150                           # for sessions that are open at the end


class Soak:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.failures = []
        self.stop = threading.Event()
        self.leaving = []               # who has been told to end
        self.world = World(directory, options.build)
        self.resume_timeout = plan.resume_timeout(options.seconds)
        self.begin = 0

    def say(self, what):
        if not self.options.quiet:
            # One write: threads do not mix.
            sys.stdout.write(f"{time.monotonic():9.2f}  {what}\n")
            sys.stdout.flush()

    def check(self, good, what):
        print(("ok: " if good else "FAILED: ") + what, flush=True)
        if not good:
            self.failures.append(what)
        return good

    # ---- the phases ----

    def set_up(self):
        world, seed = self.world, self.options.seed
        world.make()
        self.paths = [Path(world, i, seed + i) for i in range(plan.PATHS)]
        self.daemons = Daemons(world, plan.options(seed), self.resume_timeout,
                               self.options.log_level)
        for daemon in (*self.daemons.relays, self.daemons.proxy):
            daemon.start()
            daemon.stopping = False
        wait_until("all is connected", 30, self.daemons.connected)
        self.before = self.levels()
        self.faults = Faults(world, self.paths, self.daemons, self.say)

    def levels(self):
        return {d.name: {"descriptors": d.descriptors(),
                         "resident": d.resident()} for d in self.daemons.all}

    def start_traffic(self):
        script = os.path.join(HERE, "traffic.py")
        self.records = [os.path.join(self.directory, f"{side}.records")
                        for side in ("server", "client")]
        self.server = self.world.start(
            "server", "server.log", sys.executable, script, "server",
            self.records[0], SERVER4, SERVER6)
        wait_until("the server listens", 10,
                   lambda: "ready" in self.world.log_lines("server.log"))
        self.server_idle = self.server_descriptors()
        self.client = self.world.start(
            "client", "client.log", sys.executable, script, "client",
            self.records[1], str(self.options.seed),
            str(self.options.at_a_time), SERVER4, SERVER6,
            stdin=subprocess.PIPE)

    def server_descriptors(self):
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def watch(self):
        """Until the plan is through: is everybody still there?"""
        while not self.stop.wait(0.5):
            for daemon in self.daemons.all:
                daemon.sample()
                if not daemon.stopping and daemon.crashed():
                    time.sleep(0.2)
                    if not daemon.stopping and daemon.crashed():
                        self.check(False, f"{daemon.name} has ended by itself "
                                   f"({daemon.process.poll()})")
                        self.stop.set()
            for name, process in (("client", self.client),
                                  ("server", self.server)):
                if process.poll() is not None and name not in self.leaving:
                    self.check(False, f"the {name} has ended")
                    self.stop.set()

    def trouble(self):
        events = events_of(self.options)
        watcher = threading.Thread(target=self.watch)
        watcher.start()
        self.begin = time.monotonic()
        self.faults.run(events, self.begin, self.stop)
        if not self.stop.is_set():
            self.stop.wait(max(0, self.begin + self.options.seconds -
                               time.monotonic()))
        for i, path in enumerate(self.paths):
            path.control(*FAIR)
            self.faults.skies.append((time.monotonic(), i, 0.04, 0))
        self.say("no more faults")
        self.leaving.append("client")
        try:
            self.client.stdin.write(b"stop\n")
            self.client.stdin.flush()
            status = self.client.wait(DRAIN_S)
            self.check(status == 0, f"the client ended with {status}")
        except BrokenPipeError:
            pass                        # watch() has said so
        except subprocess.TimeoutExpired:
            self.check(False, f"clients have not ended in {DRAIN_S} s")
        # One that reads slowly is still at it when its session is over.
        try:
            wait_until("servers have ended", DRAIN_S, lambda:
                       self.server_descriptors() <= self.server_idle)
        except Broken as e:
            self.check(False, str(e))
        self.watcher_end(watcher)

    def watcher_end(self, watcher):
        self.crashed = self.stop.is_set()
        self.stop.set()
        watcher.join()

    def nothing_is_left(self):
        """Before the daemons end."""
        def same():
            now = self.levels()
            return all(now[n]["descriptors"] == self.before[n]["descriptors"]
                       for n in now)

        for what, test in (("all subflows are there again",
                            self.daemons.connected),
                           ("no session is left, and nothing that one held",
                            self.daemons.idle),
                           ("descriptors are as before", same)):
            try:
                wait_until(what, 40, test)
                self.check(True, what)
            except Broken:
                self.check(False, f"{what}: {self.states()}")
        self.after = self.levels()
        for daemon in self.daemons.all:
            first = self.before[daemon.name]["resident"]
            last = self.after[daemon.name]["resident"]
            peak = max(daemon.peaks["resident"], last)
            self.check(self.sanitized() or
                       last <= first + KEPT_KIB + KEPT_OF_PEAK * (peak - first),
                       f"{daemon.name}: {first} KiB at the start, {peak} at "
                       f"most, {last} in the end")

    def states(self):
        def short(status):
            return status and {key: status[key] for key in
                               ("sessions", "memory", "relays", "intercepting")
                               if key in status}
        return {d.name: (short(d.status()), self.levels()[d.name])
                for d in self.daemons.all}

    def sanitized(self):
        with open(os.path.join(self.options.build, "rorod"), "rb") as file:
            return b"__asan_init" in file.read()

    def shut_down(self):
        for daemon in self.daemons.all:
            if daemon.crashed():
                continue
            daemon.stopping = True
            daemon.signal(signal.SIGTERM)
            daemon.wait(30, 0)
        for daemon in self.daemons.all:
            self.check(not daemon.ended,
                       f"{daemon.name} ends as it is told to" +
                       "".join(f"; {what}" for what in daemon.ended))
            lines = self.world.log_lines(daemon.log)
            bad = [line for line in lines if line.startswith("error:") or
                   any(report in line for report in REPORTS)]
            self.check(not bad, f"{daemon.name} logs no error" +
                       "".join(f"\n\t{line}" for line in bad[:10]))
        tables = self.world.run("gateway", "nft", "list", "tables").stdout
        left = [line for line in tables.splitlines()
                if line != "table inet ro-ro-tcp-nat"]
        for family in ("-4", "-6"):
            left += self.world.run("gateway", "ip", family, "route", "show",
                                   "table", "2025",
                                   stderr=subprocess.DEVNULL).stdout.split("\n")
            left += [line for line in self.world.run(
                "gateway", "ip", family, "rule").stdout.splitlines()
                if "2025" in line]
        self.check(not any(left), f"no rule and no route is left {left}")

    # ---- what became of it ----

    def report(self):
        judge.write_diary(os.path.join(self.directory, "diary"), self.faults,
                          self.resume_timeout)
        verdict = judge.judge(self.directory)
        kinds = {}
        for entry in self.faults.diary:
            kinds[entry.kind] = kinds.get(entry.kind, 0) + 1
        kinds["weather"] = len(self.faults.skies) - plan.PATHS
        kinds["subflows reset"] = self.faults.resets
        count = verdict.count
        print(f"""seed {self.options.seed}, {self.options.seconds} s, """
              f"""{self.daemons.options}
transfers: {verdict.sessions} ({dict(verdict.kinds)}), {verdict.bytes} bytes
  over: { {k: v for k, v in count.items() if "relay" in k or k == "direct"} }, """
              f"""before a server was reached: {count["not reached"]}
  as meant: {count["as meant"]}, cut by a fault: {count["cut"]} """
              f"""({ {k: v for k, v in count.items() if k.startswith("E")} })
faults: {dict(sorted(kinds.items()))}""")
        for kind, text in (("return", "silence after a way was back"),
                           ("otherwise", "silence while there was a way"),
                           ("end", "life after that of its relay or proxy")):
            gap, rule, who = verdict.longest[kind]
            print(f"longest {text}: {gap:.2f} s ({who}; the rule: "
                  f"{rule:.2f} s)")
        for daemon in self.daemons.all:
            name = daemon.name
            print(f"{name}: descriptors {self.before[name]['descriptors']}, "
                  f"at most {daemon.peaks['descriptors']}, in the end "
                  f"{self.after[name]['descriptors']}; KiB "
                  f"{self.before[name]['resident']}, "
                  f"{daemon.peaks['resident']}, {self.after[name]['resident']}")
        self.check(count["as meant"] > 0,
                   "there were transfers")
        self.check(not self.faults.errors, "all faults could be made" +
                   "".join(f"\n\t{e}" for e in self.faults.errors[:10]))
        self.check(not verdict.wrong, f"{verdict.sessions} transfers: every byte "
                   "and every end was right" + "".join(
                       f"\n\t{what}" for what in verdict.wrong[:20]))
        if len(verdict.wrong) > 20:
            print(f"\tand {len(verdict.wrong) - 20} more")

    def run(self):
        self.set_up()
        self.start_traffic()
        self.trouble()
        if any(daemon.crashed() for daemon in self.daemons.all):
            self.check(False, "a daemon is missing")
            return
        self.nothing_is_left()
        self.shut_down()
        self.report()


def events_of(options):
    if options.weather:
        return plan.fixed_weather(options.weather)
    events = plan.make(options.seed, options.seconds)
    if options.only:
        events = [e for e in events if e.kind in options.only.split(",")]
    return events


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int,
                        default=os.environ.get(
                            "SEED", str(time.time_ns() // 1000 % 1000000)))
    parser.add_argument("--build", default=os.environ.get("top_builddir", "."))
    parser.add_argument("--at-a-time", type=int, default=24)
    parser.add_argument("--only")
    parser.add_argument("--weather")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    if options.seconds is None:
        options.seconds = 60 * (options.minutes or 10)
    options.build = os.path.abspath(options.build)
    return options


def prepare(options):
    """Everything that is needed, or not at all."""
    if sys.version_info < (3, 11):
        skip("needs Python 3.11")
    for program in ("rorod", "roroctl", "tests/link"):
        if not os.access(os.path.join(options.build, program), os.X_OK):
            sys.exit(f"there is no {program} in {options.build}")
    if os.geteuid() != 0:
        skip("needs root")
    for tool in ("ip", "nft", "ss"):
        if shutil.which(tool) is None:
            skip(f"needs {tool}")
    if not os.path.exists("/dev/net/tun"):
        skip("needs /dev/net/tun")
    if subprocess.run(["unshare", "--net", "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        skip("needs network namespaces")


def main():
    options = parse()
    if options.plan:
        print(plan.options(options.seed))
        for event in events_of(options):
            print(event)
        return 0
    prepare(options)
    print(f"seed {options.seed}, {options.seconds} s", flush=True)
    directory = tempfile.mkdtemp(prefix="roro-soak.")
    soak = Soak(options, directory)

    def give_up(*_):
        raise Broken("interrupted")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, give_up)
    try:
        soak.run()
    except Broken as e:
        soak.check(False, str(e))
    finally:
        soak.stop.set()
        soak.world.end()
    if soak.failures or options.keep:
        print(f"logs and records: {directory}; seed {options.seed}")
    else:
        shutil.rmtree(directory)
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
