# SPDX-License-Identifier: ISC
"""Two paths to one relay, and small objects that are sent twice.

    gateway ==link0== relay		as everywhere in the lab
    gateway ==link1== relay		a second link, which is made here

The relay has one address, and a route over each link leads to it; which one a
subflow takes is said by `interface` in its path.  Two pairs of daemons run at
the same time, and downloads through the one and the other take turns, so that
whatever else this machine does hits both alike:

    paths	a pair that has the first path only, and one that has both; and
		the same two where both rates and the delay of each path are
		configured
    small	a pair with redundancy = 0, and one as shipped

Nothing is intercepted: a forward listener stands for that, as the sessions are
the same behind it.
"""

import contextlib
import os
import statistics
import time

from hosts import LabError, Link, Pair, wait_until

GATEWAY, SERVER, SERVER_PORT = "10.77.1.1", "10.77.3.2", 9000
RELAY, SECOND_GATEWAY, SECOND_RELAY = "10.77.2.2", "10.77.5.1", "10.77.5.2"
FIRST_PORT = 9100
KB, MB = 1000, 1000 * 1000
LIMIT_S = 60
IDLE_S = 0.3
SETTLE_S, STEADY_S = 5, 15     # of a download that does not end

PROXY_CONFIG = """
role = proxy
control = off
redundancy = {redundancy}
forward "hop" {{
	listen = "{gateway}:{listen}"
	destination = "{server}:{server_port}"
}}
relay "earth" {{
	address = "{relay}:{port}"
	key-file = "{key}"
	{paths}
}}
"""
RELAY_CONFIG = """
role = relay
control = off
redundancy = {redundancy}
listen = {{ "0.0.0.0:{port}" }}
peer "hop" {{
	permit("10.77.3.0/24", "any")
	key-file = "{key}"
}}
"""
PATH = 'path "{device}" {{ interface = "{device}" {known} }}'

# name: the first link and the second (bit/s, ms, percent), and what is asked: how
# a download compares with one over the first alone, or the rate that it gets to
# with the sum of both links' rates (of which headers take 4 %).
PATHS = {
    "beside 1 Mbit/s": ((20 * MB, 600, 0), (1 * MB, 600, 0), "alone"),
    "beside 900 ms": ((20 * MB, 600, 0), (20 * MB, 900, 0), "alone"),
    "beside 20 % loss": ((20 * MB, 600, 0), (20 * MB, 600, 20), "alone"),
    "two alike": ((10 * MB, 300, 0), (10 * MB, 300, 0), "sum"),
    "unlike": ((20 * MB, 50, 0), (5 * MB, 300, 0), "sum"),
}
SMALL = (20 * MB, 600, 1)


class SecondLink(Link):
    """Its own emulator, between the same two hosts."""

    def __init__(self, lab):
        directory = os.path.join(lab.directory, "link1")
        os.mkdir(directory)
        super().__init__(directory)
        hosts, prefix = lab.hosts, lab.hosts.prefix
        with open(self.log, "ab") as log:
            self.process = hosts.start(
                "relay", os.path.join(lab.build, "tests", "link"),
                "--ns-a", f"{prefix}-gateway", "--dev-a", "link1",
                "--addr-a", f"{SECOND_GATEWAY}/30",
                "--ns-b", f"{prefix}-relay", "--dev-b", "link1",
                "--addr-b", f"{SECOND_RELAY}/30",
                "--rate", "20Mbit", "--delay", "1ms",
                "--control", self.fifo, stdout=log, stderr=log)
        wait_until("the second link", 10, lambda: "ready" in self.lines())
        for words in (("gateway", f"{RELAY}/32", "dev", "link0"),
                      ("gateway", f"{RELAY}/32", "dev", "link1", "src",
                       SECOND_GATEWAY, "metric", "9")):
            hosts.output(words[0], "ip", "route", "add", *words[1:])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def known(link):
    """What is said of a link whose rate is known."""
    rate, delay, _ = link
    return f"rate = {rate // 1000}kbit receive-rate = {rate // 1000}kbit " \
        f"delay = {delay}ms"


def configs(lab, port, paths, redundancy="128KiB"):
    """`paths`: what is said of the link over each device."""
    values = {"gateway": GATEWAY, "listen": port, "server": SERVER,
              "server_port": SERVER_PORT, "relay": RELAY, "port": port + 1,
              "key": lab.key, "redundancy": redundancy,
              "paths": "\n\t".join(PATH.format(device=d, known=k)
                                   for d, k in paths.items())}
    return PROXY_CONFIG.format(**values), RELAY_CONFIG.format(**values)


@contextlib.contextmanager
def pair_running(lab, name, port, paths, redundancy="128KiB"):
    pair = Pair(lab.hosts, name, lab, port)
    try:
        pair.start(*configs(lab, port, paths, redundancy),
                   subflows=4 * len(paths))
        yield pair
    finally:
        pair.stop()


def get(client, port, size):
    result = client.do(do="get", host=GATEWAY, port=port, size=size,
                       limit=LIMIT_S)
    if "error" in result or not result["same"] or result["stopped"]:
        raise LabError(f"a download failed: {result}")
    time.sleep(IDLE_S)
    return result["total_s"]


def in_turns(client, ways, size, rounds, results, **record):
    """`ways`: (name, port).  Each round in the other order."""
    for number in range(rounds):
        for name, port in ways:
            results.add(round=number, way=name, size=size,
                        total_s=get(client, port, size), **record)
        ways.reverse()


def run_case(lab, client, name, told, plan, results):
    """`told`: are the links' rates configured?"""
    one, two, asked = PATHS[name]
    first = {"link0": known(one) if told else ""}
    both = {**first, "link1": known(two) if told else ""}
    with pair_running(lab, "alone", FIRST_PORT, first), \
         pair_running(lab, "both", FIRST_PORT + 10, both):
        ways = [("alone", FIRST_PORT), ("both", FIRST_PORT + 10)]
        for _, port in ways:                    # warm
            get(client, port, 2 * MB)
        in_turns(client, ways, 20 * MB, plan["rounds"], results,
                 kind="paths", case=name, told=told)
        if asked == "sum":
            result = client.do(do="sink", host=GATEWAY, port=FIRST_PORT + 10,
                               settle=SETTLE_S, seconds=STEADY_S)
            results.add(kind="steady", case=name, told=told, **result)


def run_paths(lab, client, plan, results):
    second = SecondLink(lab)
    try:
        for name, (one, two, _) in PATHS.items():
            print(f"  two paths: {name}", flush=True)
            lab.link.set(one[0], one[1], one[2])
            second.set(two[0], two[1], two[2])
            for told in (False, True):
                run_case(lab, client, name, told, plan, results)
    finally:
        second.stop()


def run_small(lab, client, plan, results):
    print("  small objects, once and twice", flush=True)
    first = {"link0": known(SMALL)}
    lab.link.set(*SMALL)
    with pair_running(lab, "once", FIRST_PORT, first, "0"), \
         pair_running(lab, "twice", FIRST_PORT + 10, first):
        ways = [("once", FIRST_PORT), ("twice", FIRST_PORT + 10)]
        for _, port in ways:
            for size in (1 * MB, 1 * MB, 100 * KB):
                get(client, port, size)
        for size in (10 * KB, 100 * KB):
            in_turns(client, ways, size, plan["times"], results,
                     kind="small")


def run(lab, client, plan, results):
    if plan.get("rounds"):
        run_paths(lab, client, plan, results)
    if plan.get("times"):
        run_small(lab, client, plan, results)


# ---- tables ----

def times_of(records, **what):
    return {r["round"]: r["total_s"] for r in records
            if all(r.get(k) == v for k, v in what.items())}


def paths_row(records, name, told):
    one, two, asked = PATHS[name]
    alone, both = (times_of(records, kind="paths", case=name, told=told,
                            way=way) for way in ("alone", "both"))
    if not alone or not both:
        return []
    ratio = statistics.median(alone[n] / both[n] for n in both if n in alone)
    steady = [r["bytes"] * 8 / r["seconds"] for r in records
              if r["kind"] == "steady" and r["case"] == name and
              r["told"] == told]
    share = sum(steady) / (one[0] + two[0])
    links = " + ".join(f"{r / MB:g} Mbit/s, {rtt} ms, {loss} %"
                       for r, rtt, loss in (one, two))
    found = f"{ratio:6.2f} of alone" if asked == "alone" \
        else f"{share:6.2f} of the sum"
    return [f"  {name:17}{'known' if told else '':6}{links:52}"
            f"{statistics.median(alone.values()):7.2f} s"
            f"{statistics.median(both.values()):7.2f} s {found}"]


def small_row(records, size, way):
    times = sorted(times_of(records, kind="small", size=size,
                            way=way).values())
    if not times:
        return []
    return [f"  {size // KB:4} kB, {way:6}{statistics.median(times):9.2f} s"
            f"{times[-(-95 * len(times) // 100) - 1]:9.2f} s{max(times):9.2f} s"
            f"   of {len(times)}"]


def table(records):
    lines = []
    rows = [row for name in PATHS for told in (False, True)
            for row in paths_row(records, name, told)]
    if rows:
        lines += ["", "20 MB over two paths, their rates known or not: the "
                  "first alone, both; medians",
                  *rows]
    rows = [row for size in (10 * KB, 100 * KB) for way in ("once", "twice")
            for row in small_row(records, size, way)]
    if rows:
        lines += ["", "Small objects at 20 Mbit/s, 600 ms, 1 % loss: sent once"
                  " or twice; median, 95 %, longest", *rows]
    return lines
