# SPDX-License-Identifier: ISC
"""Who gets which connection: see intercept.sh."""

import socket
import sys
import time

import gate
from gate import (MARK, OTHER_UDP, QUIC, Gate, Listener, asked, connect, datagram,
                  echo_datagrams, gateway4, gateway6, goes_on, line, nft, run,
                  server4, server6)
from probe import at_once, check, counter, end_of, read, reset, until

import probe

PORT, OWN_PORT = 1091, 1094
OTHER4, OTHER6 = "10.77.3.3", "fd77:3::3"
FAMILIES = (("IPv4", server4, OTHER4, "4"), ("IPv6", server6, OTHER6, "6"))



def is_(what, expected, got):
    check(what, got == expected, got if got == expected else
          f"{got}, and not {expected}")


def install(mode, *options, interface="eth0.10", route=True):
    """A gate with this plan in place."""
    g = Gate("-m", mode, "-p", PORT, "-i", interface, *options)
    if route:
        is_(f"{mode}: routes", "ok", g.say("route"))
    is_(f"{mode}: the table", "ok", g.say("install"))
    return g


def basics(mode):
    for name, server, other, _ in FAMILIES:
        is_(f"{mode}, {name}: before, a connection goes directly",
            f"server {server} 80", asked("client", server, 80))
    with install(mode):
        for name, server, other, _ in FAMILIES:
            is_(f"{mode}, {name}: then it is intercepted",
                f"proxy {server} 80", asked("client", server, 80))
            is_(f"{mode}, {name}: that of BGP is not",
                f"server {server} 179", asked("client", server, 179))
            with connect("client", server, 80) as s:
                line(s)
                time.sleep(0.1)     # whoever retransmits, does
                check(f"{mode}, {name}: and goes on", goes_on(s))
        is_(f"{mode}, IPv4: the gateway itself is reached",
            f"gateway {gateway4} 8080", asked("client", gateway4, 8080))
        is_(f"{mode}, IPv6: the gateway itself is reached",
            f"gateway {gateway6} 8080", asked("client", gateway6, 8080))
        is_(f"{mode}: so is the client from outside", "client 10.77.1.2 90",
            asked("server", "10.77.1.2", 90))
    until(lambda: asked("client", server4, 80) == f"server {server4} 80", 5)
    is_(f"{mode}: with the process goes the table", f"server {server4} 80",
        asked("client", server4, 80))


def interfaces(mode):
    with install(mode, "-i", "lan*"):
        for name, server, source in (
                ("IPv4", server4, "10.77.{}.2"), ("IPv6", server6,
                                                  "fd77:{}::2")):
            is_(f"{mode}, {name}: a wildcard's interface is intercepted",
                f"proxy {server} 80",
                asked("client", server, 80, source=source.format(4)))
            is_(f"{mode}, {name}: the first one, too", f"proxy {server} 80",
                asked("client", server, 80, source=source.format(1)))
            is_(f"{mode}, {name}: another is not", f"server {server} 80",
                asked("client", server, 80, source=source.format(5)))


def destinations(mode):
    with install(mode, "-B", "10.99.0.0/16", "-E", "8000-8080",
                 "-R", OTHER4, "-R", OTHER6) as g:
        for name, server, other, _ in FAMILIES:
            is_(f"{mode}, {name}: a relay is not intercepted",
                f"server {other} 80", asked("client", other, 80))
            is_(f"{mode}, {name}: nor are excluded ports",
                f"server {server} 8000", asked("client", server, 8000))
            if mode == "tproxy":
                is_(f"{mode}, {name}: nor is the port of the listener",
                    f"server {server} {PORT}", asked("client", server, PORT))
        held = [connect("client", f[1], 80) for f in FAMILIES]
        for s in held:
            line(s)
        is_(f"{mode}: a bypass is added", "ok",
            g.say(f"bypass 10.99.0.0/16 {server4} fd77:3::/64"))
        for (name, server, other, _), s in zip(FAMILIES, held):
            is_(f"{mode}, {name}: its destination is direct then",
                f"server {server} 80", asked("client", server, 80))
            check(f"{mode}, {name}: what was intercepted before goes on",
                  goes_on(s))
            s.close()
        is_(f"{mode}: it is removed", "ok", g.say("bypass 10.99.0.0/16"))
        is_(f"{mode}: relays are replaced", "ok", g.say(f"relays {server4}"))
        is_(f"{mode}: the old one is intercepted then", f"proxy {OTHER4} 80",
            asked("client", OTHER4, 80))
        is_(f"{mode}, IPv6: too", f"proxy {server6} 80",
            asked("client", server6, 80))
        is_(f"{mode}: the new one is direct", f"server {server4} 80",
            asked("client", server4, 80))
    with install(mode, "-O", "80"):
        is_(f"{mode}: of one port only, it is intercepted",
            f"proxy {server4} 80", asked("client", server4, 80))
        is_(f"{mode}: and others are not", f"server {server4} 8000",
            asked("client", server4, 8000))


def families(mode):
    with install(mode, "-n") as g:
        is_(f"{mode}: a plan may begin with none", f"server {server4} 80",
            asked("client", server4, 80))
        for bits, four, six in (("4", "proxy", "server"),
                                ("6", "server", "proxy"),
                                ("4 6", "proxy", "proxy"),
                                ("", "server", "server")):
            is_(f"{mode}: a heartbeat for families [{bits}]", "ok",
                g.say(f"heartbeat {bits}"))
            is_(f"{mode}, IPv4: as it says", f"{four} {server4} 80",
                asked("client", server4, 80))
            is_(f"{mode}, IPv6: as it says", f"{six} {server6} 80",
                asked("client", server6, 80))


def heartbeat(mode):
    """A daemon that hangs."""
    with install(mode, "-a", "1500", "-b", "300") as g:
        held = [connect("client", f[1], 80) for f in FAMILIES]
        for s in held:
            line(s)
        time.sleep(3)
        is_(f"{mode}: heartbeats keep it up", f"proxy {server4} 80",
            asked("client", server4, 80))
        g.signal(gate.signal.SIGSTOP)
        begin = time.monotonic()
        for name, server, *_ in FAMILIES:
            direct = until(lambda to=server: asked("client", to, 80) ==
                           f"server {to} 80", 10)
            took = time.monotonic() - begin
            check(f"{mode}, {name}: without them new connections are direct",
                  direct and took < 5, f"after {took:.1f} s")
        for (name, *_), s in zip(FAMILIES, held):
            check(f"{mode}, {name}: those in progress go on", goes_on(s))
            s.close()
        g.signal(gate.signal.SIGCONT)
        check(f"{mode}: and it is up again when they are back",
              until(lambda: asked("client", server4, 80) ==
                    f"proxy {server4} 80", 10))


def refusals(mode):
    kinds = (("reset", "ECONNREFUSED", "ECONNREFUSED"),
             ("network", "ENETUNREACH", "ENETUNREACH"),
             ("host", "EHOSTUNREACH", "EHOSTUNREACH"),
             ("prohibited", "EHOSTUNREACH", "EACCES"))
    with install(mode, "-f", "100") as g:
        port = 9000
        for kind, *errors in kinds:
            for (name, server, *_), error in zip(FAMILIES, errors):
                port += 1
                is_(f"{mode}, {name}: to refuse, {kind}", "ok",
                    g.say(f"refuse {server} {port} {kind} 60000"))
                is_(f"{mode}, {name}: is what the client's connect() says",
                    error, asked("client", server, port))
        is_(f"{mode}: another port is not refused", f"proxy {server4} 80",
            asked("client", server4, 80))
        is_(f"{mode}: for a while", "ok",
            g.say(f"refuse {server4} 80 reset 1000"))
        check(f"{mode}: only", until(lambda: asked("client", server4, 80) ==
                                     f"proxy {server4} 80", 5))
    with install(mode, "-f", "2") as g:
        for i in (1, 2):
            is_(f"{mode}: there is room for {i}", "ok",
                g.say(f"refuse {server4} {i} reset 60000"))
        check(f"{mode}: and not for more",
              g.say(f"refuse {server4} 3 reset 60000") == "failed (-23): "
              "nf_tables: table inet ro-ro-tcp, elements of set refused4: "
              "the set is full")


def quic(mode):
    with install(mode, "-q", "-o", OWN_PORT) as g:
        for name, server, other, bit in FAMILIES:
            is_(f"{mode}, {name}: QUIC is refused at once", "ECONNREFUSED",
                datagram("client", server, 443, QUIC, 3))
            is_(f"{mode}, {name}: this machine's own, too, as any that the "
                "output hook rejects", "EPERM",
                datagram("gateway", server, 443, QUIC, 3))
            is_(f"{mode}, {name}: what does not begin one is not",
                OTHER_UDP, datagram("client", server, 443, OTHER_UDP))
        g.say(f"bypass {server4}")
        is_(f"{mode}: nor is what is bypassed", QUIC,
            datagram("client", server4, 443, QUIC))
        g.say("bypass")
        g.say("heartbeat 6")
        is_(f"{mode}: nor is a family that is not intercepted", QUIC,
            datagram("client", server4, 443, QUIC))
        is_(f"{mode}, IPv6: but the other one is", "ECONNREFUSED",
            datagram("client", server6, 443, QUIC, 3))
    with install(mode, "-q", "-E", "443"):
        is_(f"{mode}: nor QUIC where TCP to its port is not intercepted",
            QUIC, datagram("client", server4, 443, QUIC))
    with install(mode):
        is_(f"{mode}: nor any unless asked for", QUIC,
            datagram("client", server4, 443, QUIC))


def own(mode):
    """What this machine itself opens."""
    with install(mode, "-o", OWN_PORT, "-B", OTHER4) as g:
        for name, server, other, _ in FAMILIES:
            is_(f"{mode}, {name}: the gateway's own is intercepted",
                f"own {server} 80", asked("gateway", server, 80))
            is_(f"{mode}, {name}: what is marked is not",
                f"server {server} 80",
                asked("gateway", server, 80, mark=MARK | 5))
            is_(f"{mode}, {name}: that of clients, by the other listener",
                f"proxy {server} 80", asked("client", server, 80))
        is_(f"{mode}: nor what is bypassed", f"server {OTHER4} 80",
            asked("gateway", OTHER4, 80))
        is_(f"{mode}: nor what is to this machine",
            f"gateway {gateway4} 8080", asked("gateway", gateway4, 8080))
        g.say("heartbeat")
        is_(f"{mode}: nor anything without a heartbeat",
            f"server {server4} 80", asked("gateway", server4, 80))


def operators(mode):
    """DNATs and marks of others."""
    nft("gateway", """
        table ip foreign {
            chain prerouting {
                type nat hook prerouting priority dstnat
                ip daddr 10.77.3.50 tcp dport 80 dnat to 10.77.3.2
                ip daddr 10.77.3.51 tcp dport 8080 redirect to :8080
            }
        }
        table inet marks {
            chain prerouting {
                type filter hook prerouting priority mangle
                iifname "eth0.10" meta mark set 0x5
            }
            chain input {
                type filter hook input priority filter
                tcp dport 80 meta mark 0x10000005 counter
            }
        }""")
    with install(mode):
        # With TPROXY we see what the DNAT has made of it; with REDIRECT the
        # first to translate is the only one.
        who = "proxy" if mode == "tproxy" else "server"
        is_(f"{mode}: a DNAT of others wins", f"{who} 10.77.3.2 80",
            asked("client", "10.77.3.50", 80))
        is_(f"{mode}: a redirection of others wins", f"gateway {gateway4} "
            "8080", asked("client", "10.77.3.51", 8080))
        is_(f"{mode}: with marks of others", f"proxy {server4} 80",
            asked("client", server4, 80))
        if mode == "tproxy":
            listing = run("gateway", "nft", "list", "table", "inet", "marks")
            check("tproxy: they are kept beside ours",
                  "packets 0 " not in listing)
    for table in ("ip foreign", "inet marks"):
        run("gateway", "nft", "delete", "table", *table.split())


def older(mode):
    """Connections that were there before the table, and before the kernel
    tracked any."""
    held = [connect("client", f[1], 80) for f in FAMILIES]
    for s in held:
        line(s)
    with install(mode):
        for (name, *_), s in zip(FAMILIES, held):
            check(f"{mode}, {name}: a connection older than the table stays "
                  "direct", goes_on(s))
            s.close()


def port_again(mode):
    """A client that takes the same port again, where our socket is in
    TIME-WAIT."""
    with install(mode):
        for i, (name, server, *_) in enumerate(FAMILIES):
            s = connect("client", server, 80, source_port=40000 + i)
            line(s)
            proxy.connections[-1].shutdown(socket.SHUT_RDWR)
            read(s)
            s.close()
            check(f"{mode}, {name}: our socket is in TIME-WAIT", until(
                lambda: run("gateway", "ss", "-Htan", "state", "time-wait",
                            "dport", "=", f":{40000 + i}") != ""))
            resets = counter("client", "OutRsts")
            is_(f"{mode}, {name}: a port can be used again",
                f"proxy {server} 80",
                asked("client", server, 80, source_port=40000 + i))
            is_(f"{mode}, {name}: at the first attempt", resets,
                counter("client", "OutRsts"))


def small_mtu(mode):
    """A router between the clients and us whose next link is narrow: what it
    says is addressed to the server."""
    big, results = bytes(200000), []
    with install(mode):
        for name, address in (("IPv4", "198.51.100.1"),
                              ("IPv6", "2001:db8::1")):
            with connect("server", address, 80, timeout=10) as s:
                is_(f"{mode}, {name}: behind another router",
                    f"proxy {address} 80", line(s))
                at_once(lambda: proxy.connections[-1].sendall(big),
                        lambda: results.append(read(s, len(big))))
                data, end = results.pop()
                check(f"{mode}, {name}: a small MTU there is heard of",
                      data == big, f"{len(data)} bytes, {end}")


def strict_filters(mode):
    """Settings that other programs make (wg-quick, Tailscale)."""
    names = ("all.src_valid_mark", "all.rp_filter", "default.rp_filter",
             "eth0/10.rp_filter")
    for name in names:
        run("gateway", "sysctl", "-qw", f"net.ipv4.conf.{name}=1")
    with install(mode):
        is_(f"{mode}: with rp_filter and src_valid_mark",
            f"proxy {server4} 80", asked("client", server4, 80))
    for name in names:
        run("gateway", "sysctl", "-qw", f"net.ipv4.conf.{name}=0")


def killed(mode):
    """What clients see when the daemon is killed: here the table, and then the
    reset that the kernel sends for its sockets."""
    with install(mode) as g:
        proxy.echoes = False
        s = connect("client", server4, 80)
        line(s)
        ours = proxy.connections[-1]
        proxy.echoes = True
        g.signal(gate.signal.SIGKILL)
        begin = time.monotonic()
        direct = until(lambda: asked("client", server4, 80) ==
                       f"server {server4} 80", 5)
        took = time.monotonic() - begin
        check(f"{mode}: killed, and new connections are direct",
              direct and took < 2, f"{took:.3f} s, promised 1")
        reset(ours)
        s.settimeout(5)
        is_(f"{mode}: and one in progress is reset", "ECONNRESET", end_of(s))
    if mode == "redirect":
        with Gate("-m", mode, "-p", PORT, "-i", "lan") as g:
            is_(f"{mode}: the keeper can be removed", "ok",
                g.say("remove-keeper"))
        is_(f"{mode}: nothing is left", "", run("gateway", "nft", "list",
                                                "ruleset"))


def nobody_listens(mode):
    """Without a transparent listener packets go directly; REDIRECT cannot."""
    global proxy
    if mode != "tproxy":
        return
    with install(mode):
        proxy.close()
        for name, server, *_ in FAMILIES:
            is_(f"{mode}, {name}: direct where nobody listens",
                f"server {server} 80", asked("client", server, 80))
    proxy = Listener("gateway", PORT, "proxy", mode)


# `older` is first: later on connections are tracked already.
TESTS = (older, basics, interfaces, destinations, families, heartbeat,
         refusals, quic, own, operators, port_again, small_mtu,
         strict_filters, nobody_listens, killed)

for p in (80, 179, 8000, PORT):
    Listener("server", p, "server")
echo_datagrams("server", 443)
Listener("gateway", 8080, "gateway")
Listener("client", 90, "client")
Listener("gateway", OWN_PORT, "own", "redirect")

for mode in ("tproxy", "redirect"):
    proxy = Listener("gateway", PORT, "proxy", mode)
    for test in TESTS:
        if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
            test(mode)
    proxy.close()

sys.exit(1 if probe._failures else 0)
