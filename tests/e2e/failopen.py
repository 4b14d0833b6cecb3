#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A client that opens a connection every 20 ms and asks for one byte:

    failopen.py serve PORT          the server: D to who comes directly, R else
    failopen.py ask FILE            the client, until it is ended; a line each
    failopen.py judge FILE FROM WITHIN WAY

A connection has failed unless its byte is there within two seconds.  judge looks
at those that began since FROM (seconds of the monotonic clock).  For WITHIN
seconds they may fail and go either way, and are counted; by then there has to
be a moment from which on none fails and all go WAY (D or R) for STEADY_S.  It
waits for that moment."""

import asyncio
import os
import socket
import sys
import time

EVERY_S = 0.02
PATIENCE_S = 2
STEADY_S = 1.5
SERVERS = [(socket.AF_INET, os.environ.get("server4")),
           (socket.AF_INET6, os.environ.get("server6"))]
CLIENTS = [os.environ.get("client4"), os.environ.get("client6")]
PORT = 1100


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


async def serve(port):
    server = await asyncio.start_server(answer, None, port, backlog=1024)
    await server.serve_forever()


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
    try:
        result = await asyncio.wait_for(ask_once(family, address), PATIENCE_S)
    except asyncio.TimeoutError:
        result = "silence"
    except asyncio.IncompleteReadError:
        result = "end-of-file"
    except OSError as e:
        result = type(e).__name__
    took = time.monotonic() - begin
    print(f"{begin:.3f} {took:.3f} {4 if family == socket.AF_INET else 6} "
          f"{result}", file=out, flush=True)


async def ask_on(name):
    begin, tasks = time.monotonic(), set()
    with open(name, "w") as out:
        for i in range(10 ** 9):
            task = asyncio.create_task(ask(out, *SERVERS[i % 2]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(max(0, begin + (i + 1) * EVERY_S -
                                    time.monotonic()))


def asked_since(name, start):
    """Those whose outcome is known: (begin, result), in order."""
    with open(name) as lines:
        fields = [line.split() for line in lines if line.endswith("\n")]
    return sorted((float(begin), result) for begin, _, _, result in fields
                  if float(begin) >= start)


def judge(name, start, within, way):
    deadline = start + within + STEADY_S + PATIENCE_S
    while True:
        now = time.monotonic()
        asked = asked_since(name, start)
        last = max((begin for begin, result in asked if result != way),
                   default=start)
        steady = [begin for begin, _ in asked if begin > last]
        # Whatever began before that is known by now.
        if last + STEADY_S + PATIENCE_S < now and len(steady) > 10:
            break
        if now > deadline:
            break
        time.sleep(0.1)
    counts = {}
    for begin, result in asked:
        if begin <= last:
            counts[result] = counts.get(result, 0) + 1
    print("    before: " + (", ".join(f"{n} {k}" for k, n in counts.items())
                            or "none") +
          f"; all {way} after {last - start:.2f} s: {len(steady)}")
    return last - start <= within and len(steady) > 10


def main():
    if sys.argv[1] == "serve":
        asyncio.run(serve(int(sys.argv[2])))
    elif sys.argv[1] == "ask":
        asyncio.run(ask_on(sys.argv[2]))
    else:
        name, start, within, way = sys.argv[2:]
        sys.exit(not judge(name, float(start), float(within), way))


if __name__ == "__main__":
    main()
