# SPDX-License-Identifier: ISC
"""Throughput over two hops without an emulated link, beside others.

    client -- gateway -- relay -- server

are joined by Ethernet here, so what is measured is what the programs cost:
two proxies in a row, one connection from the server to the client, as fast
as it goes.  The others do the same with two processes each: HAProxy in TCP
mode, once copying and once with splice(), and Shadowsocks, which seals what
goes from the one to the other with ChaCha20-Poly1305.  All speak cubic, but
for rorod as shipped, which speaks BBR between the two and seals.  On the LANs
nothing is configured: one destination, no rules, so that no program has
connection tracking in its way.

The absolute speeds are those of this machine and its few processors, which
the two ends have to share; so the ratios are what counts.
"""

import contextlib
import json
import os

from hosts import Daemon, Pair

SERVER, GATEWAY, RELAY = "10.77.3.2", "10.77.1.1", "10.77.4.2"
SERVER_PORT, FIRST_PORT = 9000, 9010
SETTLE_S = 0.5

PROXY_CONFIG = """
role = proxy
control = off
forward "hop" {{
	listen = "{gateway}:{listen}"
	destination = "{server}:{server_port}"
}}
relay "next" {{
	address = "{relay}:{port}"
	protection = {protection}
	congestion = {congestion}
	{key}
}}
"""
RELAY_CONFIG = """
role = relay
control = off
listen = {{ "{relay}:{port}" }}
protection = {protection}
congestion = {congestion}
{trusted}
peer "hop" {{
	permit("10.77.3.0/24", "any")
	{key}
}}
"""
# name: protection, congestion control between the two
RORODS = {
    "rorod": ("sealed", "bbr"),
    "rorod, cubic": ("sealed", "cubic"),
    "rorod, cubic, auth": ("auth", "cubic"),
    "rorod, cubic, none": ("none", "cubic"),
}
HAPROXY_CONFIG = """
global
	nbthread 1
defaults
	mode tcp
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	{options}
listen hop
	bind {listen}
	server next {to}
"""
SPLICE = "option splice-request\n\toption splice-response"


SHADOWSOCKS_METHOD = "chacha20-ietf-poly1305"


class OtherPair:
    """Another program on the gateway and on the relay, at the same port."""

    def __init__(self, lab, name, port, daemons):
        """`daemons`: by host, the words of a command that the name of the
        configuration follows, and its text; in the order of their start."""
        self.lab, self.name, self.port = lab, name, port
        self.commands = daemons
        self.daemons = []

    @contextlib.contextmanager
    def running(self):
        try:
            for host, (words, config) in self.commands.items():
                self.daemons.append(Daemon(
                    self.lab.hosts, host, f"{self.name}-{host}",
                    self.lab.directory, words, config))
                self.wait(host)
            yield self
        finally:
            while self.daemons:
                self.daemons.pop().stop()

    def wait(self, host):
        Pair.wait(self, lambda: self.lab.hosts.listening(host, self.port))

    def cpu_s(self):
        return sum(daemon.cpu_s() for daemon in self.daemons)


def haproxy_running(lab, name, port, options):
    words = [lab.haproxy, "-db", "-f"]

    def config(address, to):
        return HAPROXY_CONFIG.format(listen=f"{address}:{port}", to=to,
                                     options=options)

    return OtherPair(lab, name, port, {
        "relay": (words, config(RELAY, f"{SERVER}:{SERVER_PORT}")),
        "gateway": (words, config(GATEWAY, f"{RELAY}:{port}")),
    }).running()


def shadowsocks_running(lab, name, port):
    """ss-tunnel is told where to; ss-server connects to what it is asked."""
    def words(program):
        return [os.path.join(lab.shadowsocks, program), "-c"]

    both = {"server": RELAY, "server_port": port, "no_delay": True,
            "method": SHADOWSOCKS_METHOD, "password": "hop", "timeout": 60}
    tunnel = {**both, "local_address": GATEWAY, "local_port": port,
              "tunnel_address": f"{SERVER}:{SERVER_PORT}"}
    return OtherPair(lab, name, port, {
        "relay": (words("ss-server"), json.dumps(both)),
        "gateway": (words("ss-tunnel"), json.dumps(tunnel)),
    }).running()


def rorod_running(lab, name, port, protection, congestion):
    """Its forward listener has the port before the relay's."""
    protected = protection != "none"
    values = {"gateway": GATEWAY, "relay": RELAY, "server": SERVER,
              "server_port": SERVER_PORT, "listen": port,
              "port": port + 1, "protection": protection,
              "congestion": congestion,
              "key": f'key-file = "{lab.key}"' if protected else "",
              "trusted": "" if protected else 'trusted-interfaces = { "hop0" }'}
    return Pair(lab.hosts, name, lab, port).running(
        PROXY_CONFIG.format(**values), RELAY_CONFIG.format(**values))


def contenders(lab, stack):
    """(name, pair, port), all running until the stack is closed."""
    starters = {}
    for name, ways in RORODS.items():
        starters[name] = (rorod_running, *ways)
    if lab.shadowsocks:
        starters["shadowsocks"] = (shadowsocks_running,)
    if lab.haproxy:
        starters["haproxy"] = (haproxy_running, "")
        starters["haproxy, splice"] = (haproxy_running, SPLICE)
    running = []
    for i, (name, (start, *words)) in enumerate(starters.items()):
        port = FIRST_PORT + 10 * i
        pair = start(lab, f"hop-{port}", port, *words)
        running.append((name, stack.enter_context(pair), port))
    return running


def measure(client, pair, port, seconds):
    before = pair.cpu_s()
    result = client.do(do="sink", host=GATEWAY, port=port, settle=SETTLE_S,
                       seconds=seconds)
    result["cpu_s"] = round(pair.cpu_s() - before, 2)
    return result


def run(lab, client, plan, results):
    """Rounds of all contenders in turn, each round in the other direction."""
    print("  two hops without an emulated link", flush=True)
    with contextlib.ExitStack() as stack:
        running = contenders(lab, stack)
        for number in range(plan["rounds"]):
            for name, pair, port in running:
                results.add(kind="hops", round=number, name=name,
                            **measure(client, pair, port, plan["seconds"]))
            running.reverse()
