#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes a table and a plot of the results of a bench.

    report.py DIRECTORY         with a results.jsonl in it

Medians of what was not rejected; where everything was, of everything, with a
mark.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys

import paths
import uploads

WAYS = {
    "cubic": "directly, cubic",
    "bbr": "directly, bbr",
    "warm": "through rorod",
    "clear": "through rorod, clear",
    "cold": "through rorod, cold",
}


# ---- names and numbers for people ----

def clock(seconds):
    return f"{int(seconds) // 60:2}:{int(seconds) % 60:02}"


def size_name(size):
    return f"{size // 10**6} MB" if size >= 10**6 else f"{size // 1000} kB"


def cell_name(cell):
    rate, rtt, loss = cell
    return f"{rate // 10**6} Mbit/s, {rtt} ms, {loss} % loss"


def seconds_name(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


# ---- what there is ----

def read(directory):
    path = os.path.join(directory, "results.jsonl")
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]


def unique(values):
    return list(dict.fromkeys(values))


class Cell:
    """Downloads over one link with one loss."""

    def __init__(self, key, records, left_out):
        self.key = key
        self.records = records
        self.left_out = left_out

    def ways(self):
        return [w for w in WAYS if any(r["way"] == w for r in self.records)]

    def some(self, way, size=None):
        """(records, whether none of them was good)"""
        found = [r for r in self.records if r["way"] == way and
                 "error" not in r and size in (None, r["size"])]
        good = [r for r in found if not r["rejected"]]
        return (good, False) if good else (found, bool(found))

    def total(self, way, size):
        """(seconds, marks), or None"""
        found, late = self.some(way, size)
        if not found:
            return None
        stopped = any(r["stopped"] for r in found)
        fewer = any(r["way"] == way and r["size"] == size
                    for r in self.left_out)
        return (statistics.median(r["total_s"] for r in found),
                "*" * stopped + "!" * late + "-" * fewer)

    def stops(self):
        """What was stopped, in words."""
        for way in self.ways():
            for size in sizes(self.records):
                found, _ = self.some(way, size)
                stopped = sum(r["stopped"] for r in found)
                if stopped:
                    yield (f"{WAYS[way]}, {size_name(size)}: {stopped} of "
                           f"{len(found)} after {found[0]['limit_s']} s")

    def gaps(self):
        """What there was no time for, in words."""
        for r in self.left_out:
            yield (f"{WAYS[r['way']]}, {size_name(r['size'])}: "
                   f"{r['planned'] - r['made']} of {r['planned']}")

    def first(self, way):
        found, _ = self.some(way)
        found = [r["first_s"] for r in found if r["first_s"] is not None]
        return statistics.median(found) if found else None

    def rate(self, way, size):
        """Mbit/s"""
        found, _ = self.some(way, size)
        if not found:
            return None
        return statistics.median(r["bytes"] * 8 / r["total_s"] / 1e6
                                 for r in found)

    def pings(self, way, size):
        """(median, 95th percentile) in ms"""
        found, _ = self.some(way, size)
        times = sorted(ms for r in found for ms in r["ping_ms"])
        if not times:
            return None
        return statistics.median(times), times[int(0.95 * len(times))]


def cells(records):
    downloads = [r for r in records if r["kind"] == "download"]
    left_out = [r for r in records if r["kind"] == "left out"]

    def key(r):
        return r["rate_bit_s"], r["rtt_ms"], r["loss_percent"]

    return [Cell(k, [r for r in downloads if key(r) == k],
                 [r for r in left_out if key(r) == k])
            for k in sorted(unique(map(key, downloads + left_out)))]


def sizes(records):
    return sorted(unique(r["size"] for r in records
                         if r["kind"] == "download"))


# ---- the table ----

def download_row(cell, way, all_sizes):
    largest = all_sizes[-1]
    first, rate, pings = (cell.first(way), cell.rate(way, largest),
                          cell.pings(way, largest))
    row = f"  {WAYS[way]:20}"
    row += f"{seconds_name(first):>9}  " if first is not None else f"{'':11}"
    for size in all_sizes:
        total = cell.total(way, size)
        row += f"{seconds_name(total[0]):>7}{total[1]:3}" if total \
            else f"{'':10}"
    row += f"{rate:8.2f}" if rate is not None else f"{'':8}"
    row += f"{pings[0]:9.0f} {pings[1]:6.0f}" if pings else ""
    return row.rstrip()


def cell_table(cell, all_sizes):
    head = f"  {'':20}{'1st byte':>9}  "
    head += "".join(f"{size_name(size):>7}   " for size in all_sizes)
    head += f"{'Mbit/s':>8}{'ping':>9} {'95 %':>6}"
    return ["", cell_name(cell.key), head] + \
        [download_row(cell, way, all_sizes) for way in cell.ways()] + \
        [f"  * {words}" for words in cell.stops()] + \
        [f"  - {words}" for words in cell.gaps()]


def hops_found(records):
    """(Gbit/s, processor seconds per GB) by name and round."""
    found = {}
    for r in records:
        if r["kind"] == "hops" and r.get("bytes"):
            found.setdefault(r["name"], {})[r["round"]] = (
                r["bytes"] * 8 / r["seconds"] / 1e9,
                r["cpu_s"] * 1e9 / r["bytes"])
    return found


def hops_ratio(one, other):
    """Median of those in each round: what else the machine does changes from
    round to round, and hits neighbours alike."""
    ratios = [one[n][0] / other[n][0] for n in one if n in other]
    return statistics.median(ratios) if ratios else float("nan")


def hops_rates(records):
    """Median Gbit/s and processor seconds per GB, by name."""
    return {name: tuple(map(statistics.median, zip(*rounds.values())))
            for name, rounds in hops_found(records).items()}


def hops_table(records):
    found, rates = hops_found(records), hops_rates(records)
    if not rates:
        return []
    others = [name for name in rates if not name.startswith("rorod")]
    lines = ["", "Two hops without an emulated link",
             f"  {'':20}{'Gbit/s':>9}{'CPU s/GB':>10}" +
             "".join(f"{'/ ' + name:>18}" for name in others)]
    for name, (rate, cpu) in rates.items():
        lines.append(f"  {name:20}{rate:9.2f}{cpu:10.2f}" + "".join(
            f"{hops_ratio(found[name], found[other]):18.2f}"
            for other in others))
    return lines + ["  ratios: medians of those in each round"]


def of_kind(records, kind):
    return [r for r in records if r["kind"] == kind]


def time_note(records):
    """How much of it there was; nothing if the bench has not ended well."""
    used = of_kind(records, "time")
    if not used:
        return "It broke off before its end."
    left = sum(r["planned"] - r["made"]
               for r in of_kind(records, "left out"))
    return (f"It took {clock(used[0]['all_s']).strip()} minutes"
            " (without building), "
            f"{clock(used[0]['repeating_s']).strip()} of them to repeat; "
            + (f"{left} LEFT OUT." if left else "nothing was left out."))


def download_notes(records):
    downloads = of_kind(records, "download")
    if not downloads:
        return []
    rejected = sum(r["rejected"] in ("late", "stolen") for r in downloads)
    failed = sum(bool(r["rejected"]) for r in downloads) - rejected
    return [
        "",
        "Seconds until all of an object is there, from before connect();",
        f"medians of {records[0]['rounds']} rounds.  Mbit/s and ping (ms,"
        " median and 95 %): with the largest.",
        "* how many were stopped; they count with that, and Mbit/s are of what"
        " had arrived",
        "! the machine was late with all of them; they are shown nevertheless",
        "- how many were left out because time was over",
        f"{len(downloads)} downloads, {rejected} of them rejected because the"
        " machine was late." + (f"  {failed} FAILED." if failed else ""),
        time_note(records),
    ]


def notes(records):
    machine = records[0]
    return download_notes(records) + [
        "",
        f"rorod {machine['version']}, Linux {machine['kernel']},"
        f" {machine['processors']} processors, {machine['date']}",
    ]


def table(records):
    lines = []
    for cell in cells(records):
        lines += cell_table(cell, sizes(records))
    return "\n".join(lines + hops_table(records) + paths.table(records) +
                     uploads.table(records) + notes(records)) + "\n"


# ---- the plot ----

COLOURS = {"cubic": "#c0392b", "bbr": "#e08e0b", "warm": "#1f6fb4",
           "clear": "#16a085", "cold": "#7fb2dc"}


def plot_data(records):
    """One block a way and cell: size, Mbit/s.  Rates, since what was stopped
    has no time."""
    blocks = []
    for cell in cells(records):
        for way in cell.ways():
            rows = [f"# {cell_name(cell.key)}: {WAYS[way]}"]
            for size in sizes(records):
                rate = cell.rate(way, size)
                if rate is not None:
                    rows.append(f"{size} {rate:.4f}")
            blocks.append("\n".join(rows))
    return "\n\n\n".join(blocks) + "\n"


def plot_curves(cell, index):
    """Its blocks of the data, and the rate of the link above them."""
    curves = [f"{cell.key[0] / 1e6} notitle dashtype 2 linecolor '#888888'"]
    for i, way in enumerate(cell.ways()):
        curves.append(f"'plot.dat' index {index + i} title '{WAYS[way]}' "
                      f"with linespoints linewidth 2 pointtype 7 "
                      f"linecolor '{COLOURS[way]}'")
    return "plot " + ", \\\n    ".join(curves)


def plot_script(records, terminal, output):
    all_cells = cells(records)
    columns = min(3, len(all_cells))
    rows = -(-len(all_cells) // columns)
    tics = ", ".join(f'"{size_name(s)}" {s}' for s in sizes(records))
    lines = [
        f"set terminal {terminal} size {110 + 390 * columns},"
        f"{60 + 360 * rows} background 'white'",
        f"set output '{output}'",
        f"set multiplot layout {rows},{columns} title "
        "'Rate of a download by its size'",
        "set logscale xy",
        f"set xtics ({tics})",
        "set ytics (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)",
        "set yrange [0.02:60]",
        "set xrange [7e3:3e7]",
        "set ylabel 'Mbit/s'",
        "set grid",
        "set key below maxrows 2",
    ]
    index = 0
    for cell in all_cells:
        lines.append(f"set title '{cell_name(cell.key)}'")
        lines.append(plot_curves(cell, index))
        index += len(cell.ways())
    return "\n".join(lines + ["unset multiplot"]) + "\n"


HOPS_COLOURS = {"rorod": 0x1f6fb4, "shadowsocks": 0x8e44ad,
                "haproxy": 0x888888}


def hops_data(records):
    """A line a contender: place, Gbit/s, colour, name."""
    return "".join(
        f'{place} {rate:.4f} {HOPS_COLOURS[name.partition(",")[0]]} "{name}"\n'
        for place, (name, (rate, _)) in
        enumerate(reversed(hops_rates(records).items())))


def hops_script(records, terminal, output):
    return "\n".join([
        f"set terminal {terminal} size 640,"
        f"{110 + 36 * len(hops_rates(records))} background 'white'",
        f"set output '{output}'",
        "set title 'Two hops without an emulated link'",
        "set xlabel 'Gbit/s'",
        "set xrange [0:*]",
        "set offsets 0,0,0.3,0.3",
        "set grid xtics",
        "set style fill solid",
        "plot 'hops.dat' using ($2/2):1:($2/2):(0.35):3:ytic(4) "
        "with boxxyerror linecolor rgb variable notitle",
    ]) + "\n"


def draw(directory, name, data, script):
    """NAME.svg, and NAME.png where gnuplot can; both can be made again with
    gnuplot NAME.gp.  `script` is asked for a terminal and a file."""
    for suffix, text in (("dat", data),
                         ("gp", script("svg", f"{name}.svg"))):
        path = os.path.join(directory, f"{name}.{suffix}")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    if shutil.which("gnuplot"):
        subprocess.run(["gnuplot", f"{name}.gp"], cwd=directory, check=True)
        subprocess.run(
            ["gnuplot"], cwd=directory, check=False, text=True,
            input=script("pngcairo", f"{name}.png"),
            stderr=subprocess.DEVNULL)


def plot(directory, records):
    if cells(records):
        draw(directory, "plot", plot_data(records),
             lambda *words: plot_script(records, *words))
    if hops_rates(records):
        draw(directory, "hops", hops_data(records),
             lambda *words: hops_script(records, *words))


def make(directory):
    records = read(directory)
    text = table(records)
    with open(os.path.join(directory, "table.txt"), "w",
              encoding="ascii") as file:
        file.write(text)
    print(text)
    plot(directory, records)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(sys.argv[1])
