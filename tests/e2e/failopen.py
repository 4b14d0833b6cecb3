#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A client that opens a connection every 20 ms and asks for one byte:

    failopen.py serve PORT          the server: D to who comes directly, R else
    failopen.py sink PORT           one that reads nothing
    failopen.py ask FILE            the client, until it is ended; a line each
    failopen.py hold N              N connections, until it is ended; says when
                                    it has them
    failopen.py stuff N             N connections that are not read, as full as
                                    they get, likewise
    failopen.py wait FILE           a connection that asks when there is a file,
                                    says what it got, and removes it
    failopen.py judge FILE FROM AFTER WITHIN WAY [none]

A connection has failed unless its byte is there within two seconds.  judge looks
at those that began since FROM (seconds of the monotonic clock).  For WITHIN
seconds they may fail and go either way, and are counted; by then there has to
be a moment from which on none fails and all go WAY (D or R) for STEADY_S.  It
waits for that moment, which may not be before AFTER seconds.  With `none`, none
may fail at all."""

import asyncio
import os
import socket
import sys
import time

EVERY_S = 0.02
PATIENCE_S = 2
STEADY_S = 1
SERVERS = [(socket.AF_INET, os.environ.get("server4")),
           (socket.AF_INET6, os.environ.get("server6"))]
CLIENTS = [os.environ.get("client4"), os.environ.get("client6")]
PORT = 1100
WAYS = ("D", "R")


# ---- the server ----

async def answer(reader, writer):
    peer = writer.get_extra_info("peername")[0].removeprefix("::ffff:")
    try:
        if await reader.read(1):
            writer.write(b"D" if peer in CLIENTS else b"R")
            await writer.drain()
            await reader.read(1)
    except OSError:
        pass
    writer.close()


async def ignore(_, writer):
    writer.transport.pause_reading()
    await asyncio.sleep(3600)


async def serve(port):
    server = await asyncio.start_server(answer, None, port, backlog=1024)
    await server.serve_forever()


async def sink(port):
    server = await asyncio.start_server(ignore, None, port, backlog=1024)
    await server.serve_forever()


# ---- the clients ----

async def ask_once(family, address):
    reader, writer = await asyncio.open_connection(address, PORT,
                                                   family=family)
    try:
        writer.write(b"?")
        return (await reader.readexactly(1)).decode()
    finally:
        writer.transport.abort()


async def ask(out, family, address):
    begin = time.monotonic()
    print(f"{begin:.4f} begun", file=out, flush=True)
    try:
        result = await asyncio.wait_for(ask_once(family, address), PATIENCE_S)
    except asyncio.TimeoutError:
        result = "silence"
    except asyncio.IncompleteReadError:
        result = "end-of-file"
    except OSError as e:
        result = type(e).__name__
    print(f"{begin:.4f} {result}", file=out, flush=True)


async def ask_on(name):
    begin, tasks = time.monotonic(), set()
    with open(name, "w") as out:
        for i in range(10 ** 9):
            task = asyncio.create_task(ask(out, *SERVERS[i % 2]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(max(0, begin + (i + 1) * EVERY_S -
                                    time.monotonic()))


def hold(n):
    held = [socket.create_connection((SERVERS[0][1], PORT)) for _ in range(n)]
    print("held", flush=True)
    while held:
        time.sleep(60)


def push(s):
    try:
        while True:
            s.send(bytes(1 << 16))
    except OSError:
        pass                    # full, or given up


def stuff(n):
    held = []
    for _ in range(n):
        s = socket.create_connection((SERVERS[0][1], PORT + 1))
        s.setblocking(False)
        push(s)
        held.append(s)
        time.sleep(0.01)        # until what can go on has done so
    print("held", flush=True)
    while held:
        for s in held:
            push(s)
        time.sleep(0.1)


def wait(name):
    with socket.create_connection((SERVERS[0][1], PORT)) as s:
        print("connected", flush=True)
        while not os.path.exists(name):
            time.sleep(0.05)
        try:
            s.settimeout(30)
            s.sendall(b"?")
            print("got", s.recv(1).decode() or "nothing", flush=True)
        except OSError as e:
            print("got", type(e).__name__, flush=True)
    os.unlink(name)


# ---- the judge ----

def asked_since(name, start):
    """(begin, result) in order, and when the first began whose result is not
    known."""
    results = {}
    with open(name) as lines:
        for line in lines:
            if line.endswith("\n"):
                begin, result = line.split()
                results[float(begin)] = result
    unknown = [b for b, result in results.items() if result == "begun"]
    return (sorted((b, result) for b, result in results.items()
                   if b >= start and result != "begun"),
            min(unknown, default=float("inf")))


def judge(name, start, after, within, way, none):
    deadline = start + within + STEADY_S + PATIENCE_S
    while True:
        now = time.monotonic()
        asked, unknown = asked_since(name, start)
        last = max((begin for begin, result in asked if result != way),
                   default=start)
        steady = [begin for begin, _ in asked if last < begin < unknown]
        # What has begun and is not over yet may still fail.
        if min(now, unknown) > last + STEADY_S and len(steady) > 10:
            break
        if now > deadline:
            break
        time.sleep(0.05)
    counts = {}
    for begin, result in asked:
        if begin <= last:
            counts[result] = counts.get(result, 0) + 1
    print("    before: " + (", ".join(f"{n} {k}" for k, n in counts.items())
                            or "none") +
          f"; all {way} after {last - start:.2f} s: {len(steady)}")
    return (after <= last - start <= within and len(steady) > 10 and
            not (none and any(result not in WAYS for _, result in asked)))


def main():
    what, arguments = sys.argv[1], sys.argv[2:]
    if what == "serve":
        asyncio.run(serve(int(arguments[0])))
    elif what == "sink":
        asyncio.run(sink(int(arguments[0])))
    elif what == "ask":
        asyncio.run(ask_on(arguments[0]))
    elif what == "hold":
        hold(int(arguments[0]))
    elif what == "wait":
        wait(arguments[0])
    elif what == "stuff":
        stuff(int(arguments[0]))
    else:
        name, start, after, within, way, *none = arguments
        sys.exit(not judge(name, float(start), float(after), float(within),
                           way, none == ["none"]))


if __name__ == "__main__":
    main()
