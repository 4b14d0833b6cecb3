# SPDX-License-Identifier: ISC
"""Resets, cuts and urgent data: see reset.sh."""

import select
import socket
import time

from probe import (at_once, end_of, error_of, finish, main, pattern,
                   probe, read, reset, same, until)

KB = pattern(1000)


def broken(s):
    """Does the kernel know of an error, without being asked to read?"""
    poll = select.poll()
    poll.register(s, 0)
    return bool(poll.poll(0))


def error_when_told(s):
    """Wait for the error without reading; what writing says then."""
    if not until(lambda: broken(s)):
        return "nothing"
    return error_of(s.send, b"x")


@probe("the client resets", "ECONNRESET")
def client_resets(route):
    client, server = route.pair()
    reset(client)
    return end_of(server)


@probe("the server resets", "ECONNRESET")
def server_resets(route):
    client, server = route.pair()
    reset(server)
    return end_of(client)


@probe("the client sends and resets at once", ("all", "ECONNRESET"))
def client_data_then_reset(route):
    client, server = route.pair()
    client.sendall(KB)
    reset(client)
    data, end = read(server)
    return same(data, KB), end


@probe("the server sends and resets at once", ("all", "ECONNRESET"))
def server_data_then_reset(route):
    client, server = route.pair()
    server.sendall(KB)
    reset(server)
    data, end = read(client)
    return same(data, KB), end


@probe("the server resets after an exchange", ("all", "all", "ECONNRESET"))
def server_resets_later(route):
    client, server = route.pair()
    client.sendall(KB)
    asked = read(server, len(KB))[0]
    server.sendall(KB)
    answered = read(client, len(KB))[0]
    reset(server)
    return same(asked, KB), same(answered, KB), end_of(client)


def reset_midway(sender, receiver):
    """Of a stream without end; is what came its beginning, and how did it
    end?"""
    block = pattern(1 << 16)

    def send():
        for _ in range(40):
            sender.sendall(block)
        sender.setblocking(False)
        at = 0
        try:
            while True:
                at = (at + sender.send(block[at:])) % len(block)
        except BlockingIOError:
            reset(sender)

    _, (data, end) = at_once(send, lambda: read(receiver))
    whole = block * (len(data) // len(block) + 1)
    return "a beginning" if whole.startswith(data) else "other bytes", end


@probe("the client resets in the middle of an upload",
       ("a beginning", "ECONNRESET"))
def client_resets_midway(route):
    client, server = route.pair()
    return reset_midway(client, server)


@probe("the server resets in the middle of a download",
       ("a beginning", "ECONNRESET"))
def server_resets_midway(route):
    client, server = route.pair()
    return reset_midway(server, client)


def reset_under_load(resetter, other):
    """Reset while both directions are busy.  The error is told once, to
    whichever call comes first."""
    block = pattern(1 << 16)

    def push(s):
        while True:
            error = error_of(s.sendall, block)
            if error != "ok":
                return error

    def exchange_and_reset():
        taken = 0
        resetter.setblocking(False)
        while taken < 2 << 20:
            error_of(resetter.send, block)
            try:
                taken += len(resetter.recv(1 << 16))
            except BlockingIOError:
                time.sleep(0.001)
        reset(resetter)

    _, seen_writing, seen_reading = at_once(
        exchange_and_reset, lambda: push(other), lambda: end_of(other))
    told = {seen_writing, seen_reading}
    return "ECONNRESET" if "ECONNRESET" in told else told


@probe("the client resets while both directions are busy", "ECONNRESET")
def client_resets_under_load(route):
    client, server = route.pair()
    return reset_under_load(client, server)


@probe("the server resets while both directions are busy", "ECONNRESET")
def server_resets_under_load(route):
    client, server = route.pair()
    return reset_under_load(server, client)


def close_unread(closer, other):
    """Close with bytes unread."""
    other.sendall(KB)
    until(lambda: len(closer.recv(2000, socket.MSG_PEEK)) == len(KB))
    closer.close()
    return end_of(other)


@probe("the client closes without reading", "ECONNRESET")
def client_closes_unread(route):
    client, server = route.pair()
    return close_unread(client, server)


@probe("the server closes without reading", "ECONNRESET")
def server_closes_unread(route):
    client, server = route.pair()
    return close_unread(server, client)


@probe("the client ends, the server answers and resets",
       ("EOF", "all", "ECONNRESET"))
def reset_after_the_other_end(route):
    client, server = route.pair()
    finish(client)
    asked = end_of(server)
    server.sendall(KB)
    reset(server)
    data, end = read(client)
    return asked, same(data, KB), end


@probe("the server ends, the client answers and resets",
       ("EOF", "all", "ECONNRESET"))
def reset_after_the_servers_end(route):
    client, server = route.pair()
    finish(server)
    answered = end_of(client)
    client.sendall(KB)
    reset(client)
    data, end = read(server)
    return answered, same(data, KB), end


# Linux tells whoever has seen a FIN before the RST "EPIPE".

@probe("the client ends, then resets", ("EOF", "EPIPE"))
def reset_after_own_end(route):
    client, server = route.pair()
    finish(client)
    end = end_of(server)
    reset(client)
    return end, error_when_told(server)


@probe("the server ends, then resets", ("EOF", "EPIPE"))
def reset_after_servers_own_end(route):
    client, server = route.pair()
    finish(server)
    end = end_of(client)
    reset(server)
    return end, error_when_told(client)


def write_to_closed(closer, writer):
    """The first write goes, the second fails; and when it is known."""
    closer.close()
    end = end_of(writer)
    first = error_of(writer.send, b"x")
    begin = time.monotonic()
    told = until(lambda: broken(writer))
    took = time.monotonic() - begin
    second = error_of(writer.send, b"y")
    return end, first, told and took < 1, second


@probe("the client writes to a server that has closed",
       ("EOF", "ok", True, "EPIPE"))
def client_writes_to_closed(route):
    client, server = route.pair()
    return write_to_closed(server, client)


@probe("the server writes to a client that has closed",
       ("EOF", "ok", True, "EPIPE"))
def server_writes_to_closed(route):
    client, server = route.pair()
    return write_to_closed(client, server)


def reset_unread(sender, receiver):
    """Reset when the receiver does not read and all buffers are full."""
    sender.setblocking(False)
    block = pattern(1 << 16)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        if error_of(sender.send, block) != "ok":
            time.sleep(0.02)
    reset(sender)
    return end_of(receiver)


@probe("the client resets when everything is full", "ECONNRESET",
       families=(4,))
def client_resets_full(route):
    client, server = route.pair()
    return reset_unread(client, server)


@probe("the server resets when everything is full", "ECONNRESET",
       families=(4,))
def server_resets_full(route):
    client, server = route.pair()
    return reset_unread(server, client)


def reader_resets(reader, sender):
    """Reset by an end that does not read and to which everything is full."""
    sender.setblocking(False)
    block = pattern(1 << 16)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        if error_of(sender.send, block) != "ok":
            time.sleep(0.02)
    reset(reader)
    told = until(lambda: broken(sender))
    return told and error_of(sender.recv, 1)


@probe("the client, which does not read, resets", "ECONNRESET", families=(4,))
def stuck_client_resets(route):
    client, server = route.pair()
    return reader_resets(client, server)


@probe("the server, which does not read, resets", "ECONNRESET", families=(4,))
def stuck_server_resets(route):
    client, server = route.pair()
    return reader_resets(server, client)


# Urgent data.  A direct reader that did not ask for it in line gets it apart,
# and one who does not know of it loses a byte; through us it is in line.

def urgent(sender, receiver):
    sender.sendall(b"abc")
    sender.send(b"d", socket.MSG_OOB)
    sender.sendall(b"efg")
    finish(sender)
    return read(receiver)


@probe("urgent data from the client is in line", (b"abcdefg", "EOF"),
       direct=(b"abcefg", "EOF"))
def client_urgent(route):
    client, server = route.pair()
    return urgent(client, server)


@probe("urgent data from the server is in line", (b"abcdefg", "EOF"),
       direct=(b"abcefg", "EOF"))
def server_urgent(route):
    client, server = route.pair()
    return urgent(server, client)


main()
