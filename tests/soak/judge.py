# SPDX-License-Identifier: ISC
"""What the records of both ends mean beside the diary of the faults.

Wrong whatever happened: other bytes, an end of file that is early, an end that
does not hear of a reset, a session that never ends.  A reset that no end asked
for is permitted

 - where a relay or the proxy that carried the session died or was told to end,
 - where the session was without a subflow for resume-timeout,
 - before the server was reached, while a relay was away.

A silence is permitted while nothing can get through, and then for as long as
protocol.md 2.4 promises: 5 s and three round trips.  As machines are busy, twice
that is a failure; what was really seen is in the summary.
"""

import collections
import json
import os
import sys

from apply import Entry
from world import RELAYS

RETURN = 5.0            # and three round trips
NOTICE = 6.0            # until the proxy knows that a relay has another state
FOREVER = float("inf")


def load(path):
    with open(path, encoding="ascii") as file:
        return {record["id"]: record for record in map(json.loads, file)}


def union(intervals):
    """Sorted and disjoint."""
    joined = []
    for begin, end in sorted(intervals):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def both(one, other):
    """Where two unions overlap."""
    return [(max(a, c), min(b, d)) for a, b in one for c, d in other
            if max(a, c) < min(b, d)]


class Judge:
    def __init__(self, diary, skies, resume_timeout):
        self.diary, self.skies = diary, skies
        self.resume_timeout = resume_timeout
        self.wrong = []
        self.count = collections.Counter()
        self.kinds = collections.Counter()
        self.bytes = self.sessions = 0
        self.longest = {"return": (0, 0, ""), "otherwise": (0, 0, ""),
                        "end": (0, 0, "")}
        self.away = [self._away(i) for i in range(len(RELAYS))]

    # ---- what the diary says ----

    def _away(self, relay):
        """When nothing got through to or from it."""
        def of(name):
            return union((e.begin, e.end) for e in self.diary if name in e.away)

        return union([*of(f"relay{relay}"), *of("proxy"),
                      *both(of("path0"), of("path1"))])

    def round_trip(self, begin, end):
        """The longest of both paths with a full queue, and the worst loss."""
        now = {0: (0.04, 0), 1: (0.04, 0)}
        rtt = loss = 0
        for at, path, its_rtt, its_loss in [*self.skies, (FOREVER, 0, 0, 0)]:
            if at > begin:
                rtt = max(rtt, *(r for r, _ in now.values()))
                loss = max(loss, *(l for _, l in now.values()))
            if at > end:
                break
            now[path] = (its_rtt, its_loss)
        return 2 * rtt, loss

    def limit(self, begin, end):
        rtt, loss = self.round_trip(begin, end)
        return 2 * (RETURN + 3 * rtt) * (2 if loss >= 8 else 1)

    def lost(self, relay, begin, end):
        """Did it lose its sessions in that time, or the proxy?"""
        names = {"proxy", f"relay{relay}"} if relay is not None else \
            {"proxy", *(f"relay{i}" for i in range(len(RELAYS)))}
        for entry in self.diary:
            if not names.intersection(entry.lost) or entry.begin > end:
                continue
            known = entry.end + NOTICE
            for a, b in self.away[relay or 0]:
                if a < known and b > entry.end:
                    known = b + NOTICE
            if known >= begin:
                return True
        return False

    def expired(self, relay, begin, end):
        """Was there no way to it for resume-timeout?"""
        run = None
        for a, b in self.away[relay]:
            rtt, _ = self.round_trip(a, b)
            if run is not None and a - run[1] < RETURN + 3 * rtt:
                run[1] = b
            else:
                run = [a, b]
            if run[1] - run[0] > self.resume_timeout - 1 and run[0] < end and \
                    run[0] + self.resume_timeout - 1 < end and run[1] > begin:
                return True
        return False

    def back(self, relay, entry):
        """When what the entry took away could be reached again."""
        at = entry.end
        for a, b in self.away[relay]:
            if a < at + RETURN and b > at:
                at = b
        return at

    def overdue(self, relay, session, record):
        """The sessions of what has died end when its successor is met, those
        that a proxy leaves behind after resume-timeout.  A client that thinks
        does not look."""
        if record["side"] == "client" and session["kind"] in ("idle", "tiny"):
            return False
        for entry in self.diary:
            if entry.begin < session["t0"] + 1 or entry.begin > record["t1"]:
                continue
            if f"relay{relay}" in entry.lost:
                due = self.back(relay, entry)
            elif "proxy" in entry.lost:
                due = entry.end
                if record["side"] == "server":
                    due += self.resume_timeout
            else:
                continue
            late = record["t1"] - due
            if late > self.longest["end"][0]:
                self.longest["end"] = (late, self.limit(due, due) / 2,
                                       f"session {session['id']}")
            return late > self.limit(due, due)
        return False

    # ---- sessions ----

    def fail(self, session, what):
        self.wrong.append(f"session {session['id']} ({session['kind']}, "
                          f"{self.via(session)}): {what}")

    def via(self, session):
        """The number of a relay, "direct", or None."""
        via = session.get("via")
        if via is None:
            return None
        for i, address in enumerate(RELAYS):
            if via == address or via.endswith("::" + address.split(".")[-1]):
                return i
        return "direct"

    def may_be_cut(self, session, record):
        via = self.via(session)
        if via == "direct":
            return False
        begin, end = session["t0"], record["t1"]
        relays = range(len(RELAYS)) if via is None else [via]
        if self.lost(via, begin, end):
            return True
        if any(self.expired(i, begin, end) for i in relays):
            return True
        return via is None and any(a < end and b + NOTICE > begin
                                   for i in relays for a, b in self.away[i])

    def judge_end(self, session, record):
        """Whether it was cut."""
        result = record["result"]
        if result == "whole":
            return False
        if result != "cut":
            self.fail(session, f"{record['side']}: {result}")
            return False
        # (ENOTCONN is what shutdown() says behind a reset.)
        if record["error"] not in ("ECONNRESET", "EPIPE", "ENOTCONN",
                                   "ETIMEDOUT", "ECONNREFUSED",
                                   "EHOSTUNREACH"):
            self.fail(session, f"{record['side']}: {record['error']}")
        self.count[record["error"]] += 1
        if not self.may_be_cut(session, record):
            self.fail(session, f"{record['side']} was cut at "
                      f"{record['t1']:.2f}, and nothing had happened "
                      f"({record['error']}, {record['got']} bytes here, "
                      f"begun at {session['t0']:.2f})")
        return True

    def judge_reset(self, session, client, server):
        """One end resets on purpose, and the other has to hear of it."""
        asker, other = (client, server) if session["by"] == "client" else \
            (server, client)
        if asker is not None and self.judge_end(session, asker):
            return True
        if other is None:
            return False
        if other["result"] == "cut":
            if asker is None or other["t1"] < asker["t1"] - 0.1:
                return self.judge_end(session, other)
            return False
        self.fail(session, f"{other['side']}: {other['result']} instead of a "
                  "reset")
        return False

    def judge(self, client, server):
        session = client
        if "via" not in session and server is not None:
            session = {**client, "via": server["via"]}
        via = self.via(session)
        self.count[{None: "not reached", "direct": "direct"}.get(
            via, f"over relay{via}")] += 1
        self.kinds[session["kind"]] += 1
        if "by" in session:
            cut = self.judge_reset(session, client, server)
        else:
            cut = any([self.judge_end(session, record)
                       for record in (client, server) if record is not None])
            if server is None and client["result"] == "whole":
                self.fail(session, "the server has not ended")
        self.count["cut" if cut else "as meant"] += 1
        for record in (client, server):
            if record is not None:
                self.bytes += record["got"]
                if via in (0, 1) and self.overdue(via, session, record):
                    self.fail(session, f"{record['side']}: ended too late, at "
                              f"{record['t1']:.2f}, begun at "
                              f"{session['t0']:.2f}")
                for gap in record["gaps"]:
                    self.judge_gap(session, via, *gap)

    def judge_gap(self, session, via, begin, end):
        if via is None or (via != "direct" and self.lost(via, begin, end)):
            return
        kind, start = "otherwise", begin
        away = self.away[via] if via != "direct" else []
        pieces = []
        for a, b in away:
            if b <= begin or a >= end:
                continue
            if a > start:
                pieces.append((kind, start, a))
            kind, start = "return", b
        if start < end:
            pieces.append((kind, start, end))
        for kind, a, b in pieces:
            if b - a > self.longest[kind][0]:
                self.longest[kind] = (b - a, self.limit(a, b) / 2,
                                      f"session {session['id']}")
            if b - a > self.limit(a, b):
                self.fail(session, f"nothing for {b - a:.1f} s from {a:.2f} on,"
                          f" more than {self.limit(a, b):.1f} s ({kind})")

    def run(self, clients, servers):
        self.sessions = len(clients)
        for number, client in clients.items():
            self.judge(client, servers.get(number))


def write_diary(path, faults, resume_timeout):
    with open(path, "w", encoding="ascii") as file:
        json.dump({"diary": [vars(entry) for entry in faults.diary],
                   "skies": faults.skies,
                   "resume_timeout": resume_timeout}, file)


def judge(directory):
    """What a run has left in its directory."""
    with open(os.path.join(directory, "diary"), encoding="ascii") as file:
        run = json.load(file)
    verdict = Judge([Entry(**entry) for entry in run["diary"]], run["skies"],
                    run["resume_timeout"])
    servers, clients = (load(os.path.join(directory, f"{side}.records"))
                        for side in ("server", "client"))
    verdict.run(clients, servers)
    return verdict


if __name__ == "__main__":
    print("\n".join(judge(sys.argv[1]).wrong))
