#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The engine of `contrib/lab bench`, which makes the hosts and calls this.

Five ways over the same emulated link are compared, one download at a time:

    cubic   directly, the server speaks cubic
    bbr     directly, the server speaks BBR
    warm    through a rorod pair that has run since the link was set up
    clear   the same with protection = none: only small objects, to see whether
            sealing costs the client a round trip
    cold    through one that was started for this download: its subflows are
            connected and have carried nothing

A link with a loss is a cell.  Each round visits every cell, and there makes
every download of the plan in random order; so whatever else this machine does
hits all ways alike.  While the largest object is under way, ping asks what
others on the link would feel.

A download that takes longer than the limit is stopped, and counted by what
had arrived.  One during which the machine made the emulator late is
rejected and repeated, as long as there is time for it; rejected ones stay in
the results, with the reason.  So does what was left out because time was over.

Results go to results.jsonl, one JSON object a line; report.py makes the
table and the plot of that.
"""

import argparse
import collections
import json
import os
import platform
import random
import subprocess
import sys
import time

import hops
import paths
import report
import uploads
from hosts import Agent, Hosts, LabError, Link, Pair, Ping

SERVER_PORT = {"cubic": 8080, "bbr": 8081, "warm": 80, "clear": 82,
               "cold": 81}
PROXY_PORT = {"warm": 1092, "clear": 1096, "cold": 1094}
KB, MB = 1000, 1000 * 1000


def each(sizes, limit):
    """How often each size, with the limit for all of them."""
    return {size: (times, limit) for size, times in sizes.items()}


# What rounds and cells there are, and what is fetched on each visit of a cell:
# by way and size, how often and the limit in seconds.  `repeats` is how often
# again one that was rejected, `deadline` when nothing more is begun: seconds
# from where the build had ended.
#
# The full one takes, by the first round of an earlier run, 48 minutes for
# downloads, 3 for hops, and at most 5 for what is repeated (REPEATS_SHARE); the
# quick one 180 s, 45 s and at most 23 s, and 20 s until the pairs are warm.
OFTEN = {10 * KB: 3, 100 * KB: 3, 1 * MB: 2, 20 * MB: 1}
DIRECTLY = {10 * KB: 1, 100 * KB: 3, 1 * MB: 1, 20 * MB: 1}
ONCE = {10 * KB: 1, 100 * KB: 1, 1 * MB: 1, 20 * MB: 1}
FULL = {
    "links": [(20 * MB, 600), (50 * MB, 100)],
    "losses": [0, 1, 3],
    "rounds": 3,
    "gets": {"cubic": each(DIRECTLY, 60), "bbr": each(DIRECTLY, 60),
             "warm": each(OFTEN, 60), "clear": {10 * KB: (3, 60)},
             "cold": each(ONCE, 60)},
    "repeats": 2,
    "deadline": 57 * 60,
    "hops": {"rounds": 8, "seconds": 1.5},
}
# Directly 10 kB take what the first byte takes.  20 MB by CUBIC would take as
# long as everything may, and are stopped; BBR, which needs so long to find its
# rate, would be wronged by that.
QUICK = {
    "links": [(20 * MB, 600)],
    "losses": [1],
    "rounds": 3,
    "gets": {"cubic": {100 * KB: (1, 12), 1 * MB: (1, 12), 20 * MB: (1, 6)},
             "bbr": {100 * KB: (1, 12), 1 * MB: (1, 12)},
             "warm": {**each(ONCE, 25), 10 * KB: (2, 12)},
             "clear": {10 * KB: (2, 12)},
             "cold": {100 * KB: (1, 12)}},
    "repeats": 1,
    "deadline": 280,
    "hops": {"rounds": 3, "seconds": 1},
}

# Not the five ways, but one of the other things.
OTHER = {"links": [], "losses": [], "rounds": 0, "gets": {}, "repeats": 0}
HOPS = {**OTHER, "deadline": 180, "hops": {"rounds": 10, "seconds": 1}}
PATHS = {**OTHER, "deadline": 1200, "paths": {"rounds": 3}}
SMALL = {**OTHER, "deadline": 300, "paths": {"times": 40}}
UPLOADS = {**OTHER, "deadline": 900,
           "uploads": {"rounds": 3, "count": 150, "size": 40 * KB}}

# For tests/e2e/bench.sh: that all of it starts and carries something, on a
# machine that may be busy; what is measured says nothing.
SMOKE = {
    "links": [(100 * MB, 20)],
    "losses": [0],
    "rounds": 1,
    "gets": {way: {10 * KB: (1, 30)} for way in SERVER_PORT},
    "repeats": 0,
    "deadline": 300,
    "hops": {"rounds": 1, "seconds": 0.5},
    "uploads": {"rounds": 1, "count": 10, "size": 10 * KB,
                "links": [(100 * MB, 20, 0)]},
}
PLANS = {"full": FULL, "quick": QUICK, "hops": HOPS, "paths": PATHS,
         "small": SMALL, "smoke": SMOKE, "uploads": UPLOADS}

LARGEST = 20 * MB
PING_AFTER_S = 2        # slow start is over where it is going to be
IDLE_S = 0.2            # after a download that ended by itself
REPEATS_SHARE = 0.08    # of the time at most goes into repeating

# What the host takes from a virtual machine shows as lateness if it comes in
# long pieces.  Beyond this share even short ones slow the programs down.
STOLEN_SHARE = 0.05


def late_limit_ms(rtt):
    """From here on, lateness could be mistaken for what is measured."""
    return min(20, max(5, rtt / 30))


class Results:
    def __init__(self, directory):
        self.path = os.path.join(directory, "results.jsonl")
        self.file = open(self.path, "w", encoding="ascii")

    def add(self, **record):
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()


class Lab:
    """What one bench has in its hands."""

    def __init__(self, options):
        self.directory = options.dir
        self.rorod = os.path.join(options.build, "rorod")
        self.build, self.parts = options.build, options.parts
        self.server = options.server
        self.relay = options.relay
        self.haproxy = options.haproxy
        self.shadowsocks = options.shadowsocks
        self.hosts = Hosts(options.prefix)
        self.link = Link(options.dir)
        self.key = os.path.join(options.dir, "key")

    def configs(self, rate, rtt, port, protected=True):
        """Those of the demo, for this link, but that several share a gateway
        with rules of its own; the relay's port is the next."""
        texts = []
        for name in ("proxy", "relay"):
            path = os.path.join(self.parts, f"{name}.conf.in")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for word, value in (("@RATE@", f"{rate // 1000}kbit"),
                                ("@DELAY@", f"{rtt}ms"),
                                ("@RELAY@", self.relay),
                                *self.protection(name, protected),
                                ("@CONTROL@", "off"),
                                ("@INTERCEPT@", "mode = redirect nft = off "
                                 f'listen = "[::]:{port}"'),
                                (":1093", f":{port + 1}")):
                text = text.replace(word, value)
            texts.append(text)
        return texts

    def protection(self, name, protected):
        """What to replace in a template; the key file is a line in both."""
        if protected:
            return [("@KEY@", self.key)]
        line = 'key-file = "@KEY@"'
        if name == "proxy":
            return [(line, "protection = none")]
        return [(line, ""),
                ("role = relay", "role = relay\nprotection = none\n"
                                 'trusted-interfaces = { "link0" }')]


class Bench:
    def __init__(self, lab, plan, results, started):
        self.lab, self.plan, self.results = lab, plan, results
        self.started = started
        self.random = random.Random(4)
        self.longest = {}               # seconds, by cell, way and size
        self.said = 0
        self.cell = None                # where the link and the pair are
        self.made = collections.Counter()       # by cell, way and size
        self.repeating_s = 0
        self.failed = 0
        self.warm = {way: Pair(lab.hosts, way, lab, PROXY_PORT[way])
                     for way in ("warm", "clear")}
        self.cold = Pair(lab.hosts, "cold", lab, PROXY_PORT["cold"])
        self.server = Agent(lab.hosts, "server", "serve", "80", "81", "82",
                            "8080=cubic", "8081=bbr", "9000")
        ports = self.server.result()
        self.ways = [w for w, p in SERVER_PORT.items() if p in ports]
        self.client = Agent(lab.hosts, "client", "fetch")

    # ---- time ----

    def elapsed(self):
        return time.monotonic() - self.started

    def there_is_time(self, seconds):
        return self.elapsed() + seconds < self.plan["deadline"]

    # ---- one download ----

    def get(self, way, size, limit):
        """Result of the client, and the pings beside it."""
        self.client.begin(do="get", host=self.lab.server,
                          port=SERVER_PORT[way], size=size, limit=limit)
        pings = []
        if size == LARGEST:
            time.sleep(PING_AFTER_S)
            ping = Ping(self.lab.hosts, "client", self.lab.server)
            result = self.client.result()
            pings = ping.stop()
        else:
            result = self.client.result()
        return result, pings

    def get_cold(self, cell, size, limit):
        rate, rtt, _ = cell
        configs = self.lab.configs(rate, rtt, PROXY_PORT["cold"])
        with self.cold.running(*configs):
            time.sleep(rtt / 1000)      # what they say first has arrived
            self.lab.link.reset()
            return self.get("cold", size, limit)

    def download(self, number, cell, way, size, limit):
        """Measure once; true if the machine left us alone."""
        rate, rtt, loss = cell
        if way == "cold":
            result, pings = self.get_cold(cell, size, limit)
        else:
            self.lab.link.reset()
            result, pings = self.get(way, size, limit)
        link = self.lab.link.measure()
        rejected = None
        if "error" in result or not result["same"]:
            rejected = result.get("error", "not what was sent")
            self.failed += 1
            print(f"  FAILED: {way}, {report.size_name(size)}, "
                  f"{report.cell_name(cell)}: {rejected}", flush=True)
        elif link["late_max_ms"] > late_limit_ms(rtt):
            rejected = "late"
        elif link["stolen_ms"] > max(50, STOLEN_SHARE * link["elapsed_ms"]):
            rejected = "stolen"
        self.results.add(
            kind="download", round=number, rate_bit_s=rate, rtt_ms=rtt,
            loss_percent=loss, way=way, size=size, limit_s=limit,
            rejected=rejected, **result, ping_ms=pings, link=link)
        key = (cell, way, size)
        self.longest[key] = max(self.longest.get(key, 0),
                                result.get("total_s", 0))
        # What a stopped one has sent is still in the queue.
        ended = "stopped" in result and not result["stopped"]
        time.sleep(IDLE_S if ended else 2.2 * rtt / 1000)
        return rejected is None

    def download_repeatedly(self, number, cell, way, size):
        limit = self.plan["gets"][way][size][1]
        most = REPEATS_SHARE * self.plan["deadline"]
        for attempt in range(1 + self.plan["repeats"]):
            expected = self.longest.get((cell, way, size), limit / 2)
            if not self.there_is_time(expected) or \
                    (attempt > 0 and self.repeating_s + expected > most):
                return
            begin = self.elapsed()
            good = self.download(number, cell, way, size, limit)
            if attempt > 0:
                self.repeating_s += self.elapsed() - begin
            else:
                self.made[cell, way, size] += 1
            if good:
                return

    # ---- cells and rounds ----

    def cells(self):
        return [(rate, rtt, loss) for rate, rtt in self.plan["links"]
                for loss in self.plan["losses"]]

    def orders(self):
        """(way, size) of one visit, in random order."""
        orders = [(way, size) for way in self.ways
                  for size, (times, _) in self.plan["gets"][way].items()
                  for _ in range(times)]
        self.random.shuffle(orders)
        return orders

    def check_link(self, cell):
        """The round trip is what was asked for, by the best of some pings."""
        rtt = cell[1]
        ping = Ping(self.lab.hosts, "client", self.lab.server)
        time.sleep(0.6 + rtt / 1000)
        pings = ping.stop()
        if not pings or not rtt <= min(pings) <= rtt * 1.02 + 5:
            raise LabError(f"the link has a round trip of {pings} ms "
                           f"instead of {rtt}")

    def enter(self, cell):
        """Set the link, start the warm pairs and warm them up."""
        rate, rtt, loss = self.cell = cell
        for pair in self.warm.values():
            pair.stop()
        self.lab.link.set(rate, rtt, 0)
        if self.plan is not SMOKE:
            self.check_link(cell)
        self.lab.link.set(rate, rtt, loss)
        for way, pair in self.warm.items():
            pair.start(*self.lab.configs(rate, rtt, PROXY_PORT[way],
                                         protected=way == "warm"))
            for size in (1 * MB, 1 * MB, 100 * KB):     # alike
                self.get(way, size, 20)
                time.sleep(IDLE_S)

    def visit(self, number, cell):
        if cell != self.cell:
            self.enter(cell)
        orders = self.orders()
        for i, (way, size) in enumerate(orders):
            self.say(number, cell, i, len(orders), way, size)
            self.download_repeatedly(number, cell, way, size)

    def say(self, number, cell, i, n, way, size):
        """A line now and then: somebody may be watching."""
        if i > 0 and self.elapsed() - self.said < 10:
            return
        self.said = self.elapsed()
        print(f"  {report.clock(self.elapsed())}  round {number + 1} of "
              f"{self.plan['rounds']}, {report.cell_name(cell)}: download "
              f"{i + 1} of {n} ({way}, {report.size_name(size)})",
              flush=True)

    def run(self):
        for number in range(self.plan["rounds"]):
            for cell in self.cells():
                if self.there_is_time(20):
                    self.visit(number, cell)
        self.add_left_out()

    def add_left_out(self):
        """What there was no time for belongs to the results."""
        for cell in self.cells():
            for way in self.ways:
                for size, (times, _) in self.plan["gets"][way].items():
                    planned = times * self.plan["rounds"]
                    made = self.made[cell, way, size]
                    if made < planned:
                        rate, rtt, loss = cell
                        self.results.add(
                            kind="left out", rate_bit_s=rate, rtt_ms=rtt,
                            loss_percent=loss, way=way, size=size,
                            planned=planned, made=made)

    def stop(self):
        for pair in (*self.warm.values(), self.cold):
            pair.stop()
        self.client.stop()
        self.server.stop()


def machine(lab, plan_name, plan):
    """What a reader of the results has to know."""
    version = subprocess.run([lab.rorod, "--version"], text=True, check=True,
                             stdout=subprocess.PIPE).stdout.split()[-1]
    return {
        "kind": "machine", "date": time.strftime("%Y-%m-%d %H:%M:%S%z"),
        "plan": plan_name, "rounds": plan["rounds"],
        "deadline_s": plan["deadline"], "version": version,
        "kernel": platform.release(), "machine": platform.machine(),
        "processors": os.cpu_count(), "python": platform.python_version(),
    }


def load_rules(lab):
    """Those of the lab, and more ports for the other pairs."""
    def nft(*words):
        subprocess.run(lab.hosts.command("gateway", "nft", *words),
                       check=True)

    nft("-f", os.path.join(lab.directory, "redirect.nft"))
    for way in ("clear", "cold"):
        nft("add", "rule", "inet", "ro-ro-tcp-static", "prerouting",
            "iifname", "lan0", "tcp", "dport", str(SERVER_PORT[way]),
            "redirect", "to", f":{PROXY_PORT[way]}")


def options():
    parser = argparse.ArgumentParser(description="see contrib/lab bench")
    for name, what in (
            ("prefix", "of the namespaces"),
            ("dir", "of the lab: key, link.fifo, link.log, redirect.nft"),
            ("build", "where rorod is"),
            ("parts", "where the templates of configurations are"),
            ("server", "address"), ("relay", "address, as in a file"),
            ("output", "directory for the results")):
        parser.add_argument(f"--{name}", required=True, help=what)
    parser.add_argument("--haproxy", default="", help="program, if there")
    parser.add_argument("--shadowsocks", default="",
                        help="where its programs are, if there")
    parser.add_argument("--spent", type=float, default=0,
                        help="seconds since the build")
    parser.add_argument("--plan", choices=PLANS, default="full")
    return parser.parse_args()


def main():
    opts = options()
    plan = PLANS[opts.plan]
    lab = Lab(opts)
    results = Results(opts.output)
    results.add(**machine(lab, opts.plan, plan))
    bench = None
    try:
        bench = Bench(lab, plan, results, time.monotonic() - opts.spent)
        if "hops" in plan:
            hops.run(lab, bench.client, plan["hops"], results)
        if "paths" in plan:
            paths.run(lab, bench.client, plan["paths"], results)
        if "uploads" in plan:
            uploads.run(lab, bench.client, plan["uploads"], results)
        load_rules(lab)
        bench.run()
        results.add(kind="time", all_s=round(bench.elapsed(), 1),
                    repeating_s=round(bench.repeating_s, 1))
    except LabError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        if bench is not None:
            bench.stop()
    report.make(opts.output)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
