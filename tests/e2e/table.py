# SPDX-License-Identifier: ISC
"""See table.sh."""

import difflib
import os
import re
import signal
import sys
import time

from gate import Gate, nft, run
from probe import check, until

import probe

FULL = ("-p", 1091, "-m", "tproxy", "-M", "01000000/0f000000", "-i", "br-lan",
        "-i", "eth0.10", "-i", "wg*", "-o", 1094, "-q", "-f", 512, "-E", 22,
        "-R", "192.0.2.1", "-R", "192.0.2.2", "-R", "2001:db8::1",
        "-B", "10.0.0.0/8", "-B", "172.16.0.0/12", "-B", "224.0.0.0/4",
        "-B", "240.0.0.0/4", "-B", "10.1.0.0/16", "-B", "fe80::/10",
        "-B", "ff00::/8", "-B", "fc00::/8", "-B", "fd00::/8")
SMALL = ("-p", 1092, "-m", "redirect", "-i", "br-lan")
TABLE = ("table", "inet", "ro-ro-tcp")


def is_(what, expected, got):
    check(what, got == expected, got if got == expected else
          f"{got}, and not {expected}")


def says(what, expected, got):
    check(what, expected in got, got)


def listing(host="gateway"):
    """Of all tables, as this nft writes it, without what says who owns them,
    and without empty lines."""
    text = run(host, "nft", "-s", "list", "ruleset")
    return re.sub(r" # progname gate$|^\tflags owner\n|^\n", "", text,
                  flags=re.MULTILINE)


def there():
    return "table inet ro-ro-tcp\n" in run("gateway", "nft", "list", "tables")


def as_written():
    """Against a file that says the same in nft's own words, loaded elsewhere
    by the same nft, since every version lists a little differently."""
    for name, options in (("tproxy", FULL), ("redirect", SMALL)):
        with open(f"{os.environ['TABLES']}/{name}.nft") as f:
            nft("server", f.read())
        with Gate(*options) as g:
            is_(f"{name}: it can be installed", "ok", g.say("install"))
            ours, theirs = listing(), listing("server")
            check(f"{name}: it is what the file says", ours == theirs)
            for text in difflib.unified_diff(
                    theirs.split("\n"), ours.split("\n"), "expected", "found"):
                print(text)
            is_(f"{name}: again", "ok", g.say("install"))
            check(f"{name}: that changes nothing", listing() == ours)
            is_(f"{name}: nft can load what it lists", "",
                nft("client", listing()))
            is_(f"{name}: it can be removed", "ok", g.say("remove"))
            is_(f"{name}: again", "ok", g.say("remove"))
            is_(f"{name}: the keeper, too", "ok", g.say("remove-keeper"))
            is_(f"{name}: nothing is left", "", listing())
        for host in ("server", "client"):
            run(host, "nft", "flush", "ruleset")


STATIC = ("-i", "br-lan", "-E", 22, "-R", "192.0.2.1", "-R", "2001:db8::1")


def static():
    """The static files catch by the same chains, without what needs a daemon
    that feeds sets, and with what the daemon leaves out of the ports."""
    def chains(text):
        text = text[text.index("\tchain prerouting"):]
        text = text[:text.index("\n}")]
        return [line for line in text.splitlines() if not re.search(
            r"@intercepted|tcp dport \d+ accept", line)]

    for name, port in (("tproxy", 1092), ("redirect", 1092)):
        run("server", "nft", "-f",
            f"{os.environ['TABLES']}/../../../nft/{name}.nft")
        with Gate("-m", name, "-p", port, *STATIC) as g:
            g.say("install")
            ours, theirs = chains(listing()), chains(listing("server"))
            check(f"{name}: the static file has the same chains",
                  ours == theirs)
            for text in difflib.unified_diff(theirs, ours, "static", "ours"):
                print(text)
            g.say("remove-keeper")
        run("server", "nft", "flush", "ruleset")


def owned():
    with Gate(*FULL) as g:
        is_("owned: installed", "ok", g.say("install"))
        run("gateway", "nft", "flush", "ruleset")
        check("owned: flushing the ruleset leaves it there", there())
        for command in (("delete", *TABLE), ("flush", *TABLE),
                        ("add", "element", *TABLE[1:], "relays4",
                         "{ 192.0.2.9 }")):
            says(f"owned: nobody else can {command[0]}",
                 "Operation not permitted",
                 run("gateway", "nft", *command, check=False))
        g.signal(signal.SIGKILL)
        begin = time.monotonic()
        gone = until(lambda: not there(), 5)
        took = time.monotonic() - begin
        check("owned: it goes with a process that is killed", gone and
              took < 2, f"{took * 1000:.0f} ms, promised 1 s")


def second():
    with Gate(*FULL) as first:
        first.say("install")
        before = listing()
        for options in (FULL, (*FULL, "-u")):
            with Gate(*options) as g:
                for line in ("install", "remove", "heartbeat 4"):
                    says(f"a second one is told: {line}",
                         "other instance (-1): table inet ro-ro-tcp belongs "
                         "to another process", g.say(line))
        check("a second one changes nothing", listing() == before)
    until(lambda: not there())
    with Gate(*FULL) as g:
        is_("when the first has ended, it may", "ok", g.say("install"))


def not_owned():
    with Gate(*FULL, "-u") as g:
        is_("not owned: installed", "ok", g.say("install"))
        g.signal(signal.SIGKILL)
        time.sleep(0.3)
        check("not owned: it survives its process", there())
    with Gate(*SMALL, "-u") as g:
        is_("not owned: the next one replaces it", "ok", g.say("install"))
        before = listing()
        is_("not owned: again", "ok", g.say("install"))
        check("not owned: that changes nothing", listing() == before)
        run("gateway", "nft", "flush", "ruleset")
        says("not owned: a heartbeat notices that others removed it",
             "failed (-2): nf_tables: table inet ro-ro-tcp, elements of set "
             "intercepted: it is not there", g.say("heartbeat 4 6"))
        is_("not owned: so it can be installed again", "ok",
            g.say("install"))
        check("not owned: as it was", listing() == before)
    with Gate(*FULL) as g:
        is_("owned: replaces one that nobody owns", "ok", g.say("install"))
    until(lambda: not there())
    check("owned: and then it is owned", not there())
    with Gate(*FULL, "-u") as g:
        g.say("install")
        is_("not owned: removed at a clean end", "ok", g.say("remove"))
        is_("not owned: with the keeper", "ok", g.say("remove-keeper"))
    is_("not owned: nothing is left", "", listing())


def old_kernel():
    with Gate(*FULL, "-w") as g:
        says("a kernel that knows no owners is told apart", "no owner (-95)",
             g.say("install"))
        check("and nothing was done", not there())


def unprivileged():
    with Gate(*FULL, prefix=("setpriv", "--bounding-set", "-net_admin")) as g:
        is_("without privilege it is said so", "failed (-1): nf_tables: not "
            "permitted (CAP_NET_ADMIN is needed)", g.say("install"))
        is_("of routing, too", "routing: cannot add the local route to table "
            "2025 (IPv6): not permitted (CAP_NET_ADMIN is needed)",
            g.say("route"))


def many():
    """More than fits the buffers of a socket."""
    with Gate(*SMALL) as g:
        g.say("install")
        is_("100,000 prefixes in one transaction", "ok",
            g.say("fill 100000"))
    with Gate(*FULL, GATE_SMALL_BUFFER="1") as g:
        says("more errors than the receive buffer holds",
             "failed (-2): nf_tables: table inet ro-ro-tcp, elements of set "
             "bypass4",
             g.say("fill 20000"))
        is_("leave the socket usable", "ok", g.say("install"))
        is_("also for what follows", "ok", g.say("heartbeat 4 6"))
        says("and errors still belong to what they are about",
             "elements of set bypass4", g.say("fill 20000"))
        print(g.say("measure 300"))


for test in (as_written, static, owned, second, not_owned, old_kernel, unprivileged,
             many):
    if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
        test()

sys.exit(1 if probe._failures else 0)
