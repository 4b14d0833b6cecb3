# SPDX-License-Identifier: ISC
"""Two listings of nft, of a static file and of the daemon's table:

    same.py STATIC DAEMON PORT

Rules and sets have to be the same but for what only one of them needs: the
daemon's families with a heartbeat and the destinations that it refuses, and the
file's rules for ports, which the daemon leaves out of its set of ports, as it
does with its own, PORT, in mode tproxy."""

import difflib
import re
import sys

HEARTBEAT = re.compile(r"meta nfproto != @intercepted ")
REFUSED = re.compile(r"vmap @refused[46] ")
PORT = re.compile(r"\t\ttcp dport (\d+) accept ")


def read(file):
    """Of the table with the rules: {name of a set or chain: its lines}."""
    with open(file) as f:
        text = f.read()
    parts = {}
    for table in re.findall(r"^table inet (ro-ro-tcp(?:-static)?) {\n(.*?)^}",
                            text, re.MULTILINE | re.DOTALL):
        for kind, name, body in re.findall(
                r"^\t(set|map|chain) (\S+) {\n(.*?)^\t}", table[1],
                re.MULTILINE | re.DOTALL):
            parts[f"{kind} {name}"] = body
    return parts


def elements(body):
    """Those of a set, in no order."""
    inside = re.search(r"elements = {(.*?)}", body, re.DOTALL)
    return set(inside[1].replace(",", " ").split()) if inside else set()


def ports(body):
    all_of_them = set()
    for e in elements(body):
        first, _, last = e.partition("-")
        all_of_them.update(range(int(first), int(last or first) + 1))
    return all_of_them


def rules(parts):
    return [line for name, body in parts.items() if name.startswith("chain")
            if not name.startswith("chain refuse-")
            for line in [name, *body.splitlines()]]


def compare(what, a, b):
    if a == b:
        print(f"    {what}: the same")
        return True
    print(f"    {what}:")
    for line in difflib.unified_diff(a, b, "static", "daemon", lineterm=""):
        print(f"    {line}")
    return False


def main():
    static, daemon = read(sys.argv[1]), read(sys.argv[2])
    left_out = {int(m[1]) for m in map(PORT.match, rules(static)) if m}
    good = 179 in left_out and left_out <= {179, int(sys.argv[3])}
    good &= compare(
        "rules", [r for r in rules(static) if not PORT.match(r)],
        [r for r in rules(daemon)
         if not HEARTBEAT.search(r) and not REFUSED.search(r)])
    for name in "bypass4", "bypass6", "relays4":
        good &= compare(name, *(sorted(elements(p[f"set {name}"]))
                                for p in (static, daemon)))
    good &= compare("ports", *(sorted(map(str, p)) for p in (
        ports(static["set ports"]) - left_out, ports(daemon["set ports"]))))
    sys.exit(not good)


main()
