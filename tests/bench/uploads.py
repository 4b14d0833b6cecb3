# SPDX-License-Identifier: ISC
"""Many small uploads that begin at once, on a link with room for a few: directly,
with CUBIC on every host, and through a pair of daemons as shipped, in turns.

Each uploads its bytes and is answered with their hash.  What the link carried
for that is counted at its interface: what is sent again, by the kernel or by
us, costs the others its time.
"""

import statistics
import time

from hosts import LabError
from paths import (FIRST_PORT, GATEWAY, IDLE_S, KB, MB, SERVER, SERVER_PORT,
                   pair_running)

LINKS = [(2 * MB, 600, 0), (2 * MB, 600, 1)]
LIMIT_S = 240


def sent(lab):
    """Bytes that the gateway gave to the link."""
    return int(lab.hosts.output(
        "gateway", "cat", "/sys/class/net/link0/statistics/tx_bytes"))


def upload(lab, client, host, port, plan):
    before = sent(lab)
    result = client.do(do="uploads", host=host, port=port,
                       count=plan["count"], size=plan["size"], limit=LIMIT_S)
    if result["wrong"]:
        raise LabError(f"uploads failed: {result['wrong'][:3]}")
    time.sleep(IDLE_S)
    result["link_bytes"] = sent(lab) - before
    return result


def run_link(lab, client, link, plan, results):
    rate, rtt, loss = link
    lab.link.set(*link)
    with pair_running(lab, "uploads", FIRST_PORT, {"link0": ""}):
        ways = [("directly", SERVER, SERVER_PORT),
                ("rorod", GATEWAY, FIRST_PORT)]
        for number in range(plan["rounds"]):
            for name, host, port in ways:
                results.add(kind="uploads", round=number, way=name,
                            rate_bit_s=rate, rtt_ms=rtt, loss_percent=loss,
                            count=plan["count"], size=plan["size"],
                            **upload(lab, client, host, port, plan))
            ways.reverse()


def run(lab, client, plan, results):
    for link in plan.get("links", LINKS):
        print(f"  {plan['count']} uploads at once, {link[2]} % loss",
              flush=True)
        run_link(lab, client, link, plan, results)


# ---- table ----

def row(found):
    """One way over one link."""
    first = found[0]
    times = sorted(t for r in found for t in r["times_s"])
    payload = first["count"] * first["size"]
    link = f"{first['rate_bit_s'] / MB:g} Mbit/s, {first['rtt_ms']} ms, " \
        f"{first['loss_percent']} %"
    return f"  {link:26}{first['way']:10}" \
        f"{statistics.median(r['total_s'] for r in found):8.1f} s" \
        f"{statistics.median(times):9.1f} s" \
        f"{times[-(-95 * len(times) // 100) - 1]:8.1f} s" \
        f"{statistics.median(r['link_bytes'] for r in found) / payload:12.2f}"


def table(records):
    by_way = {}
    for r in records:
        if r["kind"] == "uploads":
            key = (r["rate_bit_s"], r["rtt_ms"], r["loss_percent"], r["way"])
            by_way.setdefault(key, []).append(r)
    if not by_way:
        return []
    first = next(iter(by_way.values()))[0]
    return ["", f"{first['count']} uploads of {first['size'] / KB:g} kB at "
            "once: all of them, and each: median, 95 %; what the link carried "
            "for a byte",
            *(row(found) for _, found in sorted(by_way.items()))]
