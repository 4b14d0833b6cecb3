# SPDX-License-Identifier: ISC
"""What will happen and when, from a seed: the same seed, the same plan.

An event is one fault and its end.  Several may be at work at the same time, but
never two that want the same thing (a path, a relay, the proxy)."""

import dataclasses
import random

PATHS, RELAYS = 2, 2
LEAD = 2.0              # nothing happens that early
SHORT = 60              # a run of less has less of everything


@dataclasses.dataclass
class Event:
    at: float           # seconds from the start
    kind: str
    seconds: float
    what: dict = dataclasses.field(default_factory=dict)

    def __str__(self):
        what = " ".join(f"{k}={v}" for k, v in self.what.items())
        return f"{self.at:8.2f} {self.seconds:6.2f} s  {self.kind} {what}"


def path(rng):
    return {"path": rng.randrange(PATHS)}


def direction(rng):
    return {**path(rng), "direction": rng.choice(("ab", "ba"))}


def one_way(rng):
    return {"direction": rng.choice(("ab", "ba"))}


def relay(rng):
    return {"relay": rng.randrange(RELAYS)}


def some(rng):
    """How many of the subflows, in per cent, and which."""
    return {"percent": rng.choice((10, 30, 60, 100)),
            "pick": rng.randrange(1 << 16), **relay(rng)}


def nothing(_):
    return {}


def weights(rng):
    """What a reload can change of the paths."""
    backup = rng.choice((None, None, 0, 1))
    return {**{f"backup{i}": "yes" if backup == i else "no"
               for i in range(PATHS)},
            **{f"weight{i}": rng.choice((0, 10, 50, 100))
               for i in range(PATHS)}}


# kind: weight, least and most seconds, details, what it takes
FAULTS = {
    "reset":		(14, (0, 0), some, ()),
    "hole":		(12, (0.5, 9), path, ("path",)),
    "hole-direction":	(8, (0.5, 9), direction, ("path",)),
    "hole-all":		(8, (0.3, 5), nothing, ("paths",)),
    "hole-all-direction": (6, (0.3, 5), one_way, ("paths",)),
    "interface-down":	(8, (0.3, 6), path, ("path",)),
    "relay-kill":	(5, (0.2, 7), relay, ("relay",)),
    "relay-drain":	(4, (3.5, 8), relay, ("relay",)),
    "relay-stop":	(6, (0.2, 3), relay, ("relay",)),
    "relay-reload":	(4, (0, 0), relay, ("relay",)),
    "proxy-stop":	(4, (0.2, 2), nothing, ("proxy",)),
    "proxy-reload":	(6, (0, 0), weights, ("proxy",)),
    "proxy-key":	(3, (0, 0), nothing, ("proxy",)),
    "proxy-kill":	(2, (0.2, 2), nothing, ("proxy",)),
    "proxy-restart":	(2, (3.5, 4), nothing, ("proxy",)),
    "long-outage":	(1, (1.3, 1.6), nothing, ("paths",)),   # resume-timeouts
}

RATES = (2, 5, 10, 20, 50)              # Mbit/s
DELAYS = (1, 5, 20, 50, 150, 300)       # ms, one way
LOSSES = (0, 0, 0, 0.5, 2, 8, 20)       # per cent


def takes(event):
    """What no other event may have at the same time."""
    wanted = set()
    for name in FAULTS[event.kind][3]:
        if name == "path":
            wanted.add(f"path{event.what['path']}")
        elif name == "paths":
            wanted.update(f"path{i}" for i in range(PATHS))
        elif name == "relay":
            wanted.add(f"relay{event.what['relay']}")
        else:
            wanted.add(name)
    return wanted


def resume_timeout(seconds):
    return 6 if seconds <= SHORT else 15


def faults(rng, seconds):
    free = {}
    chances = [fault[0] for fault in FAULTS.values()]
    pauses = 1 if seconds <= SHORT else 3
    at = LEAD
    while at < seconds:
        kind = rng.choices(list(FAULTS), chances)[0]
        _, (least, most), details, _ = FAULTS[kind]
        lasts = rng.uniform(least, most)
        if kind == "long-outage":
            lasts *= resume_timeout(seconds)
        event = Event(at, kind, lasts, details(rng))
        pause = 0 if rng.random() < 0.3 else \
            min(rng.expovariate(1 / pauses), 4 * pauses)
        alone = rng.random() < 0.75
        wanted = takes(event)
        if at + lasts > seconds:
            at += 1
            continue
        if all(free.get(name, 0) <= at for name in wanted):
            # Whoever has just been started is not killed at once: signals
            # to a process that has not begun to read them tell nothing.
            for name in wanted:
                free[name] = at + lasts + 2
            yield event
            at += pause + (lasts if alone else 0)
        else:
            at += 0.5


def weather(rng, seconds):
    at = LEAD + 1
    while at < seconds:
        yield Event(at, "weather", 0, {
            **path(rng), "rate": f"{rng.choice(RATES)}Mbit",
            "delay": f"{rng.choice(DELAYS)}ms", "loss": f"{rng.choice(LOSSES)}%"})
        at += rng.uniform(3, 20)


def fixed_weather(text):
    """From words."""
    events = []
    for part in text.split(","):
        number, rate, delay, loss = part.split()
        events.append(Event(LEAD, "weather", 0, {
            "path": int(number), "rate": rate, "delay": delay, "loss": loss}))
    return events


def make(seed, seconds):
    rng = random.Random(seed)
    events = [*faults(rng, seconds), *weather(rng, seconds)]
    return sorted(events, key=lambda event: event.at)


def options(seed):
    """What the configuration of this run has."""
    rng = random.Random(f"{seed} options")
    return {
        "mode": rng.choice(("tproxy", "redirect")),
        "protection": rng.choice(("sealed", "sealed", "auth")),
        "relays": rng.choice(("order", "weight")),
        "redundancy": rng.choice(("0", "128KiB", "1MiB")),
    }
