# SPDX-License-Identifier: ISC
"""The hosts of the soak, and what runs on them.

	client --- gateway ==link0== exit --- relay0, relay1, server
	                   ==link1==

Everything right of the exit is one network, 10.78.20.0/24.  Both paths are
emulated links (tests/link); sessions that are not intercepted go over a cable
of their own from the gateway to the exit, so nothing here hits them.
"""

import json
import os
import signal
import subprocess
import time

SERVER4, SERVER6 = "10.78.20.1", "fd78:20::1"
RELAYS = ("10.78.20.11", "10.78.20.12")
RELAY_PORT, PROXY_PORT = 1093, 1092
HOSTS = ("client", "gateway", "exit", "relay0", "relay1", "server")
SUBFLOWS = 4                            # of a path
FAIR = ("rate 20Mbit", "delay 20ms", "loss 0%", "blackhole off")


class Broken(Exception):
    """The soak cannot go on; a sentence."""


def wait_until(what, seconds, test):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise Broken(f"{what}: not after {seconds} s")
        time.sleep(0.05)


class World:
    def __init__(self, directory, build):
        self.directory, self.build = directory, build
        self.prefix = f"rr{os.getpid()}"
        self.hosts = []
        self.processes = []

    # ---- hosts ----

    def at(self, host, *words):
        return ["ip", "netns", "exec", f"{self.prefix}-{host}", *words]

    def run(self, host, *words, **options):
        return subprocess.run(self.at(host, *words), text=True,
                              stdout=subprocess.PIPE, **options)

    def ip(self, host, *lines):
        """Lines of ip(8)."""
        subprocess.run(self.at(host, "ip", "-batch", "-"), check=True,
                       text=True, input="".join(f"{line}\n" for line in lines))

    def set(self, host, name, value):
        self.run(host, "sh", "-c", f"echo {value} >/proc/sys/net/{name}",
                 check=True)

    def cable(self, one, its, two, its_other):
        subprocess.run(["ip", "link", "add", its, "netns",
                        f"{self.prefix}-{one}", "type", "veth", "peer", "name",
                        its_other, "netns", f"{self.prefix}-{two}"], check=True)

    def make(self):
        for host in HOSTS:
            subprocess.run(["ip", "netns", "add", f"{self.prefix}-{host}"],
                           check=True)
            self.hosts.append(host)
            self.set(host, "ipv6/conf/default/dad_transmits", 0)
            for conf in ("all", "default"):
                self.set(host, f"ipv4/conf/{conf}/rp_filter", 0)
            self.ip(host, "link set lo up")
        for host in ("gateway", "exit"):
            self.set(host, "ipv4/ip_forward", 1)
            self.set(host, "ipv6/conf/all/forwarding", 1)
        self.cable("gateway", "lan", "client", "eth0")
        self.cable("gateway", "plain", "exit", "plain")
        for host in ("relay0", "relay1", "server"):
            self.cable("exit", host, host, "eth0")
        self.ip("exit", "link add far type bridge",
                *(f"link set {port} master far up"
                  for port in ("relay0", "relay1", "server")),
                "addr add 10.78.20.254/24 dev far",
                "addr add fd78:20::fe/64 dev far nodad", "link set far up",
                "addr add 10.78.3.2/30 dev plain",
                "addr add fd78:3::2/64 dev plain nodad", "link set plain up",
                "route add 10.78.9.0/24 via 10.78.3.1",
                "route add fd78:9::/64 via fd78:3::1")
        self.ip("gateway",
                "addr add 10.78.9.1/24 dev lan",
                "addr add fd78:9::1/64 dev lan nodad", "link set lan up",
                "addr add 10.78.3.1/30 dev plain",
                "addr add fd78:3::1/64 dev plain nodad", "link set plain up",
                "route add default via 10.78.3.2",
                "route add default via fd78:3::2")
        self.ip("client",
                "addr add 10.78.9.2/24 dev eth0",
                "addr add fd78:9::2/64 dev eth0 nodad", "link set eth0 up",
                "route add default via 10.78.9.1",
                "route add default via fd78:9::1")
        for host, four, six in (("server", SERVER4, SERVER6),
                                ("relay0", RELAYS[0], "fd78:20::11"),
                                ("relay1", RELAYS[1], "fd78:20::12")):
            self.ip(host, f"addr add {four}/24 dev eth0",
                    f"addr add {six}/64 dev eth0 nodad", "link set eth0 up",
                    "route add default via 10.78.20.254",
                    "route add default via fd78:20::fe")

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        for host in self.hosts:
            subprocess.run(["ip", "netns", "del", f"{self.prefix}-{host}"],
                           check=False)

    def start(self, host, log, *words, **options):
        with open(os.path.join(self.directory, log), "ab") as out:
            process = subprocess.Popen(self.at(host, *words), stdout=out,
                                       stderr=out, **options)
        self.processes.append(process)
        return process

    def log_lines(self, log):
        path = os.path.join(self.directory, log)
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()


class Path:
    """An emulated link."""

    def __init__(self, world, number, seed):
        self.world, self.device = world, f"link{number}"
        self.ours = f"10.78.{number + 1}.1"
        self.fifo = os.path.join(world.directory, f"{self.device}.fifo")
        self.rtt = 0.04
        self.process = world.start(
            "exit", f"{self.device}.log",
            os.path.join(world.build, "tests", "link"),
            "--ns-a", f"{world.prefix}-gateway", "--dev-a", self.device,
            "--addr-a", f"{self.ours}/30",
            "--ns-b", f"{world.prefix}-exit", "--dev-b", self.device,
            "--addr-b", f"10.78.{number + 1}.2/30", "--seed", str(seed),
            "--control", self.fifo)
        wait_until(f"{self.device} is there", 10, lambda: os.path.exists(
            self.fifo) and self.device in world.run(
                "gateway", "ip", "-o", "link").stdout)
        self.control(*FAIR)
        self.metric = number + 1
        self.add_routes()

    def add_routes(self):
        self.world.ip("gateway", *(
            f"route replace {relay}/32 dev {self.device} src {self.ours} "
            f"metric {self.metric}" for relay in RELAYS))

    def control(self, *lines):
        with open(self.fifo, "w", encoding="ascii") as fifo:
            fifo.write("".join(f"{line}\n" for line in lines))

    def down(self):
        self.world.ip("gateway", f"link set {self.device} down")

    def up(self):
        self.world.ip("gateway", f"link set {self.device} up")
        self.add_routes()


class Daemon:
    """rorod, through all its lives."""

    def __init__(self, world, host, name):
        self.world, self.host, self.name = world, host, name
        self.rorod = os.path.join(world.build, "rorod")
        self.config = os.path.join(world.directory, f"{name}.conf")
        self.socket = os.path.join(world.directory, f"{name}.run", "socket")
        self.log = f"{name}.log"
        self.process = None
        self.ended = []                 # badly: what is to be told
        self.peaks = {"descriptors": 0, "resident": 0}

    def write(self, text):
        with open(self.config, "w", encoding="ascii") as file:
            file.write(text)

    def start(self):
        self.process = self.world.start(self.host, self.log, self.rorod, "-c",
                                        self.config)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds, expected):
        """After a signal that ends it."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.ended.append(f"does not end in {seconds} s")
            self.process.kill()
            self.process.wait()
            return
        if status != expected:
            self.ended.append(f"ended with {status}, not {expected}")

    def crashed(self):
        return self.process.poll() is not None

    def status(self):
        """What roroctl knows, or nothing."""
        try:
            answer = subprocess.run(
                [os.path.join(self.world.build, "roroctl"), "status", "-s",
                 self.socket, "-f", "json"], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, timeout=10, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None
        return json.loads(answer.stdout)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident(self):
        """KiB"""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next((int(line.split()[1]) for line in f
                         if line.startswith("VmRSS:")), 0)

    def sample(self):
        try:
            now = {"descriptors": self.descriptors(),
                   "resident": self.resident()}
        except OSError:                 # it is just being started again
            return
        self.peaks = {key: max(self.peaks[key], now[key]) for key in now}


PROXY_CONFIG = """role = proxy
log-level = {level}
control = "{socket}"
resume-timeout = {resume_timeout}s
grace = 2s
relays = {relays}
redundancy = {redundancy}
intercept {{
	mode = {mode}
	interfaces = "lan"
	private = intercept
	ports = "7000"
	listen = "[::]:1092"
}}
"""
RELAY_SECTION = """relay "relay{number}" {{
	address = "{address}:1093"
	weight = {weight}
	protection = {protection}
	key-file = "{key}"
	path "one" {{ interface = "link0" backup = {backup0} weight = {weight0} }}
	path "two" {{ interface = "link1" backup = {backup1} weight = {weight1} }}
}}
"""
RELAY_CONFIG = """role = relay
log-level = {level}
control = "{socket}"
resume-timeout = {resume_timeout}s
grace = 2s
redundancy = {redundancy}
protection = {protection}
ipv6 = yes
listen = "0.0.0.0:1093"
peer "proxy" {{
	key-file = {{ "{keys[0]}", "{keys[1]}" }}
	permit("10.78.20.1", "7000")
	permit("fd78:20::1", "7000")
}}
"""


class Daemons:
    """One proxy and its relays."""

    def __init__(self, world, options, resume_timeout, level):
        self.options = dict(options, resume_timeout=resume_timeout,
                            level=level)
        self.world = world
        self.proxy = Daemon(world, "gateway", "proxy")
        self.relays = [Daemon(world, f"relay{i}", f"relay{i}")
                       for i in range(len(RELAYS))]
        self.all = [self.proxy, *self.relays]
        self.keys = [[os.path.join(world.directory, f"{relay.name}.{name}")
                      for name in ("first", "second")]
                     for relay in self.relays]      # one each, and another
        for key in sum(self.keys, []):
            subprocess.run([os.path.join(world.build, "roroctl"), "keygen",
                            key], stderr=subprocess.DEVNULL, check=True)
        self.key = 0
        self.paths = {"backup0": "no", "backup1": "no", "weight0": 100,
                      "weight1": 100}
        for relay, keys in zip(self.relays, self.keys):
            relay.write(RELAY_CONFIG.format(
                **self.options, socket=relay.socket, keys=keys))
        self.configure_proxy()

    def configure_proxy(self):
        sections = (RELAY_SECTION.format(
            number=i, address=address, weight=i + 1, key=self.keys[i][self.key],
            **self.options, **self.paths) for i, address in enumerate(RELAYS))
        self.proxy.write(PROXY_CONFIG.format(
            **self.options, socket=self.proxy.socket) + "".join(sections))

    def connected(self):
        """Every subflow of every relay, and what is intercepted."""
        for daemon in self.all:
            if daemon.crashed():
                raise Broken(f"{daemon.name} has ended: " +
                             "; ".join(self.world.log_lines(daemon.log)[-5:]))
        status = self.proxy.status()
        return status is not None and \
            len(status["intercepting"]["families"]) == 2 and \
            all(relay["subflows"]["up"] == relay["subflows"]["wanted"] ==
                SUBFLOWS * 2 for relay in status["relays"]
                if relay["state"] != "removed")

    def idle(self):
        """No session anywhere, nor anything of one."""
        for daemon in self.all:
            status = daemon.status()
            if status is None or status["sessions"]["open"] != 0 or \
                    status["memory"]["held_bytes"] != 0:
                return False
        return True
