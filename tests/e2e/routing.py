# SPDX-License-Identifier: ISC
"""See routing.sh."""

import sys
import time

from gate import Gate, run
from probe import check, until

import probe

PLAN = ("-p", 1091, "-i", "lan", "-i", "eth0.10")
MARK = "0x10000000/0x10000000"


def is_(what, expected, got):
    check(what, got == expected, got if got == expected else
          f"{got}, and not {expected}")


def ip(*words):
    return run("gateway", "ip", *words)


def lines(*words):
    """Without the padding that ip likes."""
    return [" ".join(text.split()) for text in ip(*words).splitlines()]


def rules(family):
    return [text for text in lines(family, "rule") if "proto 82" in text]


def routes(family):
    """Of ours, in any table."""
    return lines(family, "route", "show", "table", "all", "proto", "82")


def expected_rules(*interfaces, table=2025, mark=MARK):
    # An interface that is not there is "detached".
    return sorted(f"100: from all fwmark {mark} iif {name} lookup {table} "
                  "proto 82" for name in interfaces)


def are(what, family, *interfaces, **how):
    got = sorted(text.replace(" [detached]", "") for text in rules(family))
    is_(f"{what}, rules {family}", expected_rules(*interfaces, **how), got)


def route_is(what, table=2025):
    # Older versions of ip show a scope, or a metric with IPv6.
    for family, start in (("-4", "local default dev lo"),
                          ("-6", "local default dev lo")):
        got = routes(family)
        check(f"{what}, one route {family}", len(got) == 1 and
              got[0].startswith(start) and f"table {table} " in got[0] + " ",
              got)


def others():
    """All that is not ours, nor of the kernel, which makes some in its own
    time."""
    return [text for family in ("-4", "-6") for text in
            lines(family, "rule") + lines(family, "route", "show", "table",
                                          "all")
            if "proto 82" not in text and "proto kernel" not in text]


def installing():
    for family in ("-4", "-6"):
        ip(family, "rule", "add", "pref", "50", "fwmark", MARK, "lookup", "7")
        ip(family, "route", "add", "local", "default", "dev", "lo", "table",
           "7")
    before = others()
    with Gate(*PLAN) as g:
        is_("installed", "ok", g.say("route"))
        for family in ("-4", "-6"):
            are("installed", family, "lan", "eth0.10")
        route_is("installed")
        is_("again", "ok", g.say("route"))
        for family in ("-4", "-6"):
            are("again", family, "lan", "eth0.10")
        route_is("again")
    # An earlier run's, with another configuration.
    with Gate("-p", 1091, "-i", "lan", "-M", "02000000/06000000", "-t",
              70000) as g:
        is_("another plan", "ok", g.say("route"))
        for family in ("-4", "-6"):
            are("another plan", family, "lan", table=70000,
                mark="0x2000000/0x6000000")
        route_is("another plan", 70000)
        is_("removed", "ok", g.say("unroute"))
        is_("again", "ok", g.say("unroute"))
    for family in ("-4", "-6"):
        is_(f"nothing is left {family}", [], rules(family) + routes(family))
    check("what others made is as it was", others() == before)
    for family in ("-4", "-6"):
        ip(family, "rule", "del", "pref", "50")
        ip(family, "route", "flush", "table", "7")


def conflict():
    ip("route", "add", "default", "dev", "lan", "table", "2025")
    with Gate(*PLAN) as g:
        is_("a table of somebody else", "routing: table 2025 has another "
            "default route: File exists", g.say("route"))
        g.say("unroute")
    ip("route", "flush", "table", "2025")
    for family in ("-4", "-6"):
        ip(family, "route", "add", "local", "default", "dev", "lo", "table",
           "2025")
    with Gate(*PLAN) as g:
        is_("a route made by hand will do", "ok", g.say("route"))
        are("with our rules", "-4", "lan", "eth0.10")
        is_("removed", "ok", g.say("unroute"))
    for family in ("-4", "-6"):
        check(f"the route stays {family}", lines(
            family, "route", "show", "table", "2025") != [])
        ip(family, "route", "flush", "table", "2025")
    with Gate(*PLAN) as g:
        is_("can be mended", "ok", g.say("route"))
        g.say("unroute")


def wildcard():
    """For a pattern, rules follow the interfaces that there are."""
    with Gate("-p", 1091, "-i", "dial*") as g:
        is_("a pattern without an interface", "ok", g.say("route"))
        is_("makes no rule", [], rules("-4"))
        ip("link", "add", "dial0", "type", "veth", "peer", "name", "far0")
        ip("link", "add", "dial1", "type", "veth", "peer", "name", "far1")
        check("an interface that comes is told", until(
            lambda: "links" in g.say("look")))
        is_("then", "ok", g.say("route"))
        are("it has a rule", "-4", "dial0", "dial1")
        are("it has a rule", "-6", "dial0", "dial1")
        route_is("it has a rule")
        ip("link", "del", "dial0")
        check("an interface that goes is told", until(
            lambda: "links" in g.say("look")))
        is_("then", "ok", g.say("route"))
        are("its rule goes", "-4", "dial1")
        ip("link", "del", "dial1")
        g.say("route")
        is_("with the last, the route", [], routes("-4") + routes("-6"))


def changes():
    def told(what, *command):
        quiet()
        ip(*command)
        check(f"{' '.join(command)}: {what} changed",
              until(lambda: what in g.say("look"), 5))

    def quiet():
        while g.say("look") != "ok:":
            time.sleep(0.01)

    with Gate(*PLAN) as g:
        told("addresses", "addr", "add", "10.77.9.9/32", "dev", "lan")
        told("routes", "route", "add", "10.99.0.0/16", "dev", "lan")
        told("rules", "rule", "add", "pref", "9", "lookup", "main")
        told("rules", "-6", "rule", "add", "pref", "9", "lookup", "main")
        told("links", "link", "set", "lan", "mtu", "1400")
        quiet()
        g.say("route")
        is_("our own rules and routes are no change", "ok:", g.say("look"))
        told("rules", "rule", "flush", "proto", "82")
        is_("what others removed comes back", "ok", g.say("route"))
        are("what others removed comes back", "-4", "lan", "eth0.10")
        quiet()
        batch = "".join(f"route add 10.{100 + i // 250}.{i % 250}.0/24 "
                        "dev lan\n" for i in range(5000))
        run("gateway", "ip", "-batch", "-", input=batch)
        is_("when there is too much to say, all of it",
            "ok: links addresses routes rules", g.say("look"))
        quiet()
        g.say("unroute")


for test in (installing, conflict, wildcard, changes):
    if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
        test()

sys.exit(1 if probe._failures else 0)
