# SPDX-License-Identifier: ISC
"""See iptables.sh."""

import os
import sys

from gate import Listener, asked, connect, goes_on, line, run, server4, server6
from probe import check

import probe

FAMILIES = (("IPv4", server4, "10.77.3.50"), ("IPv6", server6, "fd77:3::50"))


def is_(what, expected, got):
    check(what, got == expected, got if got == expected else
          f"{got}, and not {expected}")


def example(name, what, interfaces="lan"):
    """The bypassed ranges of the examples hold the addresses of this lab."""
    with open(f"{os.environ['EXAMPLES']}/iptables-{name}.sh") as f:
        text = f.read()
    for old, new in (('172.16', '10.77.3.50/32\n172.16'), (" 10.0.0.0/8", ""),
                     (" fc00::/7", " fd77:3::50/128")):
        assert old in text
        text = text.replace(old, new)
    return run("gateway", "env", f"LAN_INTERFACES={interfaces}", "sh", "-s",
               what, input=text)


def rules():
    """All tables and rules of routing."""
    return "".join(run("gateway", *command.split()) for command in (
        "iptables-save -t nat", "iptables-save -t mangle",
        "ip6tables-save -t nat", "ip6tables-save -t mangle", "ip -4 rule",
        "ip -6 rule", "ip -4 route show table all",
        "ip -6 route show table all"))


def without_comments(text):
    """And without counters, and what the kernel adds in its own time: routes of
    link-local addresses, and how long ago something was used."""
    return [line.split(" [")[0].split(" expires")[0].split(" users")[0]
            for line in text.splitlines()
            if not line.startswith("#") and "fe80" not in line and
            "anycast" not in line]


def same(before, after):
    for line in set(before) ^ set(after):
        print("    differs:", line)
    return before == after


def catches(name, port):
    run("gateway", "iptables", "-t", "nat", "-A", "PREROUTING", "-d",
        "10.77.3.60", "-j", "DNAT", "--to-destination", server4)
    run("gateway", "ip6tables", "-t", "mangle", "-N", "foreign")
    before = without_comments(rules())
    older = connect("client", server4, 80)
    line(older)
    proxy = Listener("gateway", port, "proxy", name)
    is_(f"{name}: starts", "", example(name, "start"))
    once = without_comments(rules())
    check(f"{name}: an older connection stays direct", goes_on(older))
    for family, server, bypassed in FAMILIES:
        is_(f"{name}, {family}: a connection is caught", f"proxy {server} 80",
            asked("client", server, 80))
        is_(f"{name}, {family}: port 22 is not", f"server {server} 22",
            asked("client", server, 22))
        is_(f"{name}, {family}: nor is what is bypassed",
            f"server {bypassed} 80", asked("client", bypassed, 80))
        is_(f"{name}, {family}: nor is the gateway itself", "ECONNREFUSED",
            asked("client", "10.77.1.1" if family == "IPv4" else "fd77:1::1",
                  81))
        if name == "tproxy":
            is_(f"{name}, {family}: the listener's own port is caught, too",
                f"proxy {server} {port}", asked("client", server, port))
    with connect("client", server4, 80) as held:
        line(held)
        example(name, "start")
        check(f"{name}: started again, a connection goes on", goes_on(held))
    check(f"{name}: started again, nothing is there twice",
          same(once, without_comments(rules())))
    example(name, "start", "other")
    is_(f"{name}: of another interface, nothing is caught here",
        f"server {server4} 80", asked("client", server4, 80))
    example(name, "start", "other lan")
    is_(f"{name}: of two, it is", f"proxy {server4} 80",
        asked("client", server4, 80))
    example(name, "start")
    check(f"{name}: without the other again, nothing is left of it",
          same(once, without_comments(rules())))
    example(name, "stop")
    for family, server, _ in FAMILIES:
        is_(f"{name}, {family}: stopped, connections are direct",
            f"server {server} 80", asked("client", server, 80))
    check(f"{name}: and all is as before",
          same(before, without_comments(rules())))
    older.close()
    proxy.close()
    run("gateway", "iptables", "-t", "nat", "-F", "PREROUTING")
    run("gateway", "ip6tables", "-t", "mangle", "-X", "foreign")


for p in (22, 80, 1092):
    Listener("server", p, "server")
run("server", "ip", "addr", "add", "10.77.3.50/24", "dev", "eth0")
run("server", "ip", "addr", "add", "fd77:3::50/64", "dev", "eth0", "nodad")
# So that all tables are there from the beginning.
rules()

catches("redirect", 1092)
catches("tproxy", 1092)

sys.exit(1 if probe._failures else 0)
