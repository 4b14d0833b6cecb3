# SPDX-License-Identifier: ISC
"""The hosts of a lab, as the bench sees them: the link, agents, daemons, ping.

contrib/lab has made the hosts and the link.  What is started here runs in
their namespaces, so that contrib/lab finds it whatever happens to the bench.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import time


class LabError(Exception):
    """The measurement cannot go on; a sentence for the user."""


def wait_until(what, seconds, test):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise LabError(f"{what}: not after {seconds} s")
        time.sleep(0.02)


class Hosts:
    def __init__(self, prefix):
        self.prefix = prefix

    def command(self, host, *words):
        return ["ip", "netns", "exec", f"{self.prefix}-{host}", *words]

    def start(self, host, *words, **options):
        return subprocess.Popen(self.command(host, *words), **options)

    def output(self, host, *words):
        return subprocess.run(self.command(host, *words), text=True,
                              stdout=subprocess.PIPE, check=True).stdout

    def listening(self, host, port):
        return bool(self.output(host, "ss", "-Hltn", f"sport = :{port}"))

    def established(self, host, port):
        """Connections from this host to that port."""
        lines = self.output(host, "ss", "-Htn", "state", "established",
                            f"dport = :{port}")
        return len(lines.splitlines())


class Link:
    """The emulator: lines to its FIFO, counters from its log."""

    def __init__(self, directory):
        self.fifo = os.path.join(directory, "link.fifo")
        self.log = os.path.join(directory, "link.log")

    def lines(self):
        with open(self.log, encoding="ascii") as log:
            return log.read().splitlines()

    def control(self, *lines):
        """Takes effect before this returns: the counters come last."""
        def reports():
            return sum(line.startswith("process") for line in self.lines())

        before = reports()
        with open(self.fifo, "w", encoding="ascii") as fifo:
            fifo.write("".join(f"{line}\n" for line in (*lines, "counters")))
        wait_until("counters of the link", 5, lambda: reports() > before)
        for line in self.lines():
            if "bad control" in line:
                raise LabError(f"link: {line}")

    def set(self, rate, rtt, loss):
        """rate in bit/s, rtt in ms, loss in percent"""
        self.control(f"rate {rate}bit", f"delay {rtt / 2}ms", f"loss {loss}%")

    def reset(self):
        self.control("reset")

    def measure(self):
        """Since the reset: greatest lateness, time that the host of this
        machine took from each processor on average, time in all (ms); packets
        lost at random, dropped by the queue, and by the devices."""
        self.control()
        late, lost, queue, device = 0.0, 0, 0, 0
        lines = self.lines()
        for line in lines[-5:]:
            value = dict(re.findall(r"(\w+)=([\d.]+)", line))
            if line.startswith("lateness"):
                late = max(late, float(value["max_us"]) / 1000)
            elif line.startswith("counters"):
                lost += int(value["lost"])
                queue += int(value["queue_drops"])
                device += int(value["device_drops"])
            elif line.startswith("process"):
                stolen = int(value["stolen_ms"]) / os.cpu_count()
                elapsed = int(value["elapsed_ms"])
        return {"late_max_ms": round(late, 2), "stolen_ms": stolen,
                "elapsed_ms": elapsed, "lost": lost, "queue_drops": queue,
                "device_drops": device}


class Agent:
    """agent.py on a host; orders and results are lines of JSON."""

    def __init__(self, hosts, host, *words):
        script = os.path.join(os.path.dirname(__file__), "agent.py")
        self.process = hosts.start(
            host, "python3", script, *words, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def result(self):
        line = self.process.stdout.readline()
        if not line:
            raise LabError("an agent has ended")
        return json.loads(line)

    def begin(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def do(self, **order):
        self.begin(**order)
        return self.result()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Ping:
    """Round trips as somebody else on the link sees them."""

    def __init__(self, hosts, host, address):
        self.process = hosts.start(
            host, "ping", "-n", "-i", "0.2", address, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def stop(self):
        """Times in ms."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate()
        return [float(ms) for ms in re.findall(r"time=([\d.]+)", output)]


class Daemon:
    """rorod or another program, with a configuration and a log."""

    def __init__(self, hosts, host, name, directory, words, config):
        path = os.path.join(directory, f"{name}.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(config)
        self.name = name
        self.log = os.path.join(directory, f"{name}.log")
        with open(self.log, "ab") as log:
            self.process = hosts.start(host, *words, path, stdout=log,
                                       stderr=log)

    def check(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                last = log.read().splitlines()[-5:]
            raise LabError("\n".join([f"{self.name} has ended:", *last]))

    def cpu_s(self):
        """Processor time of the process until now."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / \
            os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Pair:
    """rorod on the gateway and on the relay."""

    def __init__(self, hosts, name, lab, port):
        """The proxy listens at `port`, the relay at the one after it."""
        self.hosts, self.name, self.lab = hosts, name, lab
        self.port = port
        self.daemons = []

    def start(self, proxy_config, relay_config, subflows=4):
        for host, config in (("relay", relay_config),
                             ("gateway", proxy_config)):
            daemon = Daemon(self.hosts, host, f"{self.name}-{host}",
                            self.lab.directory,
                            [self.lab.rorod, "-c"], config)
            self.daemons.append(daemon)
            port = self.port + (host == "relay")
            self.wait(lambda h=host, p=port: self.hosts.listening(h, p))
        self.wait(lambda: self.hosts.established(
            "gateway", self.port + 1) >= subflows)

    def wait(self, test):
        def alive_and_true():
            for daemon in self.daemons:
                daemon.check()
            return test()

        wait_until(f"{self.name} is ready", 60, alive_and_true)

    def cpu_s(self):
        return sum(daemon.cpu_s() for daemon in self.daemons)

    def stop(self):
        while self.daemons:
            self.daemons.pop().stop()

    @contextlib.contextmanager
    def running(self, *configs):
        try:
            self.start(*configs)
            yield self
        finally:
            self.stop()
