# SPDX-License-Identifier: ISC
"""Servers that are not reached: see refused.sh, which knows the rules of the
firewalls for these ports."""

import os
import time

from probe import (accept, end_of, error_of, finish, main, name_of, probe,
                   reset)

HOST_UNREACHABLE, PROHIBITED, DROPPED, DENIED = 90, 91, 92, 93
PORT_UNREACHABLE, NO_ROUTE = 94, 95
TIMEOUT = 2             # connect-timeout of the relay
REFUSED = "ECONNRESET"  # by whichever call of the client comes next
PROMISED = 2 * float(os.environ["RTT"]) / 1000

_slowest = None


def use(route, to, say=b""):
    """How a client hears that there is no server."""
    global _slowest
    begin = time.monotonic()
    try:
        client = route.connect(to)
        client.sendall(say)
        end = end_of(client)
    except OSError as e:
        end = name_of(e)
    # Linux loses an ICMPv6 error that comes within connect(), as it does here,
    # and hears the next one a second later.
    if route.through and route.four and to != route.base + DROPPED:
        _slowest = max(_slowest or 0, time.monotonic() - begin)
    return end


@probe("a port that is closed", REFUSED, direct="ECONNREFUSED")
def closed_port(route):
    return use(route, route.port())


@probe("and a client that speaks first", REFUSED, direct="ECONNREFUSED")
def closed_port_spoken_to(route):
    return use(route, route.port(), b"GET / HTTP/1.0\r\n\r\n")


@probe("and a client that has already ended", REFUSED, direct=None)
def closed_port_ended(route):
    try:
        client = route.connect(route.port())
    except OSError as e:
        return name_of(e)
    error_of(finish, client)    # unless the reset came first
    return end_of(client)


@probe("a host that is unreachable", REFUSED, direct="EHOSTUNREACH")
def unreachable(route):
    return use(route, route.base + HOST_UNREACHABLE)


@probe("a port that is unreachable, by an ICMP error", REFUSED,
       direct="ECONNREFUSED")
def port_unreachable(route):
    return use(route, route.base + PORT_UNREACHABLE)


@probe("a network that is unreachable, by an ICMP error", REFUSED,
       direct="ENETUNREACH")
def no_route_there(route):
    return use(route, route.base + NO_ROUTE)


@probe("a port that a firewall prohibits", REFUSED, direct=None)
def prohibited(route):
    return use(route, route.base + PROHIBITED)


@probe("a network to which the relay has no route", REFUSED, direct=None)
def no_route(route):
    return use(route, ("198.51.100.1" if route.four else "2001:db8::1",
                       route.base))


@probe("a server that the relay's rules deny", REFUSED, direct=None)
def denied(route):
    return use(route, route.base + DENIED)


@probe("a private address that no rule permits", REFUSED, direct=None)
def private(route):
    return use(route, ("10.99.0.1" if route.four else "fd99::1", route.base))


@probe("the relay itself", REFUSED, direct=None)
def relay_itself(route):
    name = "relay4" if route.four else "relay6"
    return use(route, (os.environ[name], route.base))


@probe("the proxy itself", REFUSED, direct=None)
def proxy_itself(route):
    name = "gateway4" if route.four else "gateway6"
    return use(route, (os.environ[name], 1092))


@probe("a server that does not answer, in time", (REFUSED, True),
       direct=None, families=(4,))
def silent(route):
    begin = time.monotonic()
    result = use(route, route.base + DROPPED, b"hello")
    took = time.monotonic() - begin
    return result, TIMEOUT - 0.1 < took < 3 * TIMEOUT


@probe("a server that resets at once", "ECONNRESET")
def resets_at_once(route):
    listener = route.listen()
    client = route.connect(listener)
    reset(accept(listener))
    return end_of(client)


@probe("a server that closes at once", "EOF")
def closes_at_once(route):
    listener = route.listen()
    client = route.connect(listener)
    accept(listener).close()
    return end_of(client)


@probe("41, 42: all that is refused was reset in time", True, direct=None,
       families=(4,))
def in_time(_):
    print(f"    within {_slowest:.2f} s, promised: {PROMISED:.2f} s",
          flush=True)
    return _slowest < 2 * PROMISED


main()
