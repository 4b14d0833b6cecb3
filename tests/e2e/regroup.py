# SPDX-License-Identifier: ISC
"""A proxy whose relays are others after a reload; see regroup.sh."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import probe
from crowd import carries
from probe import THROUGH, Route, at, check, end_of, finish, until

TMP = os.environ["RORO_TMP"]
AT = {os.environ["relay4"]: "relay", os.environ["two4"]: "two"}
ROUTE = Route(THROUGH, socket.AF_INET)


def told(form):
    return subprocess.run([os.environ["RORO_ROROCTL"], "status", "-f", form,
                           "-s", f"{TMP}/run/proxy.sock"], check=True,
                          capture_output=True, text=True).stdout


def status():
    relays = json.loads(told("json"))["relays"]
    return {("old " if relay["state"] == "removed" else "") + relay["name"]:
            relay for relay in relays}


def reloads():
    with open(f"{TMP}/proxy.log", encoding="utf-8") as f:
        return f.read().count(": read again")


def configure(name):
    before = reloads()
    shutil.copy(f"{TMP}/{name}.conf", f"{TMP}/proxy.new")
    os.replace(f"{TMP}/proxy.new", f"{TMP}/proxy.conf")
    os.kill(int(os.environ["PROXY_PID"]), signal.SIGHUP)
    check(f"it takes {name}.conf", until(lambda: reloads() > before, 10))


def up(name):
    relay = status().get(name)
    return relay is not None and relay["up"]


class Session:
    def __init__(self):
        self.client, self.server = ROUTE.pair()
        self.where = next((name for name, relay in status().items()
                           if relay["sessions"] > 0), None)

    def goes_on(self):
        return carries(self.client, self.server) and \
            carries(self.server, self.client)

    def ends(self):
        finish(self.client)
        finish(self.server)
        return (end_of(self.client), end_of(self.server)) == ("EOF", "EOF")


def subflows():
    """The ports here of those that there are to each relay."""
    found = {name: set() for name in AT.values()}
    with at("gateway"):
        out = subprocess.run(["ss", "-Htn", "state", "established"],
                             check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        here, there = line.split()[2:4]
        name = AT.get(there.rpartition(":")[0])
        if name is not None:
            found[name].add(here)
    return found


def main():
    first = Session()
    check("a session at the first", first.where == "relay")
    configure("other")
    check("the first is behind those that there are",
          list(status()) == ["two", "old relay"])
    check("the second is found", until(lambda: up("two"), 10))
    check("the session goes on where it is", first.goes_on())
    old = status()["old relay"]
    check("which is shown", not old["up"] and old["sessions"] == 1 and
          old["address"].startswith(os.environ["relay4"]) and
          old["subflows"]["up"] == old["subflows"]["wanted"] > 0 and
          old["paths"][0]["traffic"]["sent_bytes"] > 0, old)
    check("to people, too", re.search(
        r"\n +removed for \d+ s, 1 session, ", told("text")), told("text"))
    second = Session()
    check("a new one is at the second",
          second.where == "two" and second.goes_on())
    check("the first one ends well", first.ends())
    check("and the first relay is left",
          until(lambda: not subflows()["relay"], 10) and
          list(status()) == ["two"], status())

    before = subflows()["two"]
    configure("both")
    check("the first is back", until(lambda: up("relay"), 10))
    check("both are there, in order", list(status()) == ["relay", "two"])
    check("the second has kept its subflows",
          before and subflows()["two"] == before)
    check("and its session", second.goes_on() and
          status()["two"]["sessions"] == 1)
    third = Session()
    check("a new session is at the first", third.goes_on() and
          status()["relay"]["sessions"] == 1)

    configure("more")
    check("the first has more subflows", until(
        lambda: up("relay") and status()["relay"]["subflows"]["up"] == 5, 10),
        status()["relay"]["subflows"])
    check("its session has stayed", third.goes_on() and
          list(status())[2:] == ["old relay"] and
          status()["old relay"]["sessions"] == 1, status())
    check("all end well", third.ends() and second.ends())
    check("what it was before is left",
          until(lambda: len(subflows()["relay"]) == 5, 10))
    sys.exit(1 if probe._failures else 0)


if __name__ == "__main__":
    main()
