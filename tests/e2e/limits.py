# SPDX-License-Identifier: ISC
"""As many sessions as there may be, and one more: see limits.sh."""

from crowd import carries, close, pairs
from probe import accept, counter, end_of, main, name_of, probe, until

SUBFLOWS = 4


def comes(listener, seconds):
    """Does somebody come within that time?"""
    listener.settimeout(seconds)
    try:
        return accept(listener)
    except TimeoutError:
        return None


@probe("the sixth of five waits, and comes when one has gone", (None, True),
       direct=None)
def sixth_waits(route):
    both = full(route, 5)
    listener = route.listen()
    client = route.connect(listener)
    server = comes(listener, 0.5)
    close(both[:1])
    late = comes(listener, 10)
    result = server, late is not None and carries(client, late)
    close(both[1:] + [(client, late)])
    return result


@probe("the sixth of five is reset, and another comes when one has gone",
       ("ECONNRESET", True), direct=None)
def sixth_is_reset(route):
    both = full(route, 5)
    listener = route.listen()
    end = end_of_one_more(route, listener)
    close(both[:1])
    again = until(lambda: works(route, listener), 10)
    close(both[1:])
    return end, again


def end_of_one_more(route, listener):
    try:
        return end_of(route.connect(listener))
    except OSError as e:        # so soon that connect() sees it
        return name_of(e)


def works(route, listener):
    try:
        client = route.connect(listener)
        server = comes(listener, 0.5)
        with client:
            if server is None:
                return False
            with server:
                return carries(client, server)
    except OSError:
        return False


def full(route, n):
    """So many, when those of the probe before have gone."""
    until(lambda: all(counter(host, "CurrEstab") == SUBFLOWS
                      for host in ("gateway", "relay")), 10)
    return pairs(route, n)


def other_client(route, listener):
    """A connection from the client's second address."""
    s = route.socket("client")
    s.bind(("10.77.1.3" if route.four else "fd77:1::3", 0))
    s.connect(listener.getsockname()[:2])
    server = comes(listener, 5)
    good = server is not None and carries(s, server)
    close([(s, server or s)])
    return good


@probe("the fourth of three of one client is reset, another client comes, and "
       "the first again when one of its own has gone",
       ("ECONNRESET", True, True), direct=None)
def fourth_of_one_client(route):
    both = full(route, 3)
    listener = route.listen()
    end = end_of_one_more(route, listener)
    other = other_client(route, listener)
    close(both[:1])
    again = until(lambda: works(route, listener), 10)
    close(both[1:])
    return end, other, again


if __name__ == "__main__":
    main()
