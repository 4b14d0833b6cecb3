# SPDX-License-Identifier: ISC
"""Clients and servers of the soak; one process for each side.

    traffic.py server RECORDS ADDRESS...
    traffic.py client RECORDS SEED AT_A_TIME ADDRESS...

Clients begin sessions of all kinds, AT_A_TIME of them, until a line comes on
standard input; those that are open then go on to their end.  The first line of
a session says what it will be, so that both ends know every byte.  Each end
writes what became of it to RECORDS, a line of JSON for each session; judge.py
puts both together.  Times are those of CLOCK_MONOTONIC.
"""

import asyncio
import contextlib
import errno
import json
import random
import socket
import struct
import sys
import time

PORT = 7000
PATIENCE = 120          # of silence, whatever happens
GAP = 1.0               # shorter ones are not worth a line
PIECE = 32768
TCP_CLOSE = b"\x07"    # netinet/tcp.h: neither FIN nor anything else
BLOCK = random.Random(1).randbytes(1000003)
DOUBLE = BLOCK + BLOCK[:PIECE * 2]

# kind: how often, in a hundred
KINDS = {"down": 18, "up": 14, "both": 14, "halfclose": 12, "reset": 14,
         "tiny": 12, "idle": 6, "slow": 5, "steady": 5}


class Wrong(Exception):
    """What must not be, whatever happens in between."""


def size(rng, most):
    return int(2 ** rng.uniform(8, most))


def rounds(rng, most, think):
    """Of requests and answers: bytes there, bytes back, pause before."""
    return [[rng.randint(1, 2000), size(rng, 15), rng.uniform(0, think)]
            for _ in range(rng.randint(1, most))]


def new_session(rng, number):
    kind = rng.choices(list(KINDS), KINDS.values())[0]
    s = {"id": number, "kind": kind, "at": rng.randrange(len(BLOCK)),
         "up": 0, "down": 0, "pace": 0, "reading": 0}
    if kind in ("down", "both", "reset", "halfclose"):
        s["down"] = size(rng, 22)
    if kind in ("up", "both", "reset", "halfclose"):
        s["up"] = size(rng, 21)
    if kind == "reset":
        s["by"] = rng.choice(("client", "server"))
        s["after"] = rng.randrange(s["down" if s["by"] == "client" else "up"])
    elif kind == "slow":
        s[rng.choice(("up", "down"))] = rng.randint(60000, 200000)
        s["reading"] = rng.randint(20000, 100000)
    elif kind == "steady":
        s["up"] = s["down"] = rng.randint(20000, 100000)
        s["pace"] = rng.randint(10000, 40000)
    elif kind == "tiny":
        s["rounds"] = rounds(rng, 12, 0.3)
    elif kind == "idle":
        s["rounds"] = rounds(rng, 4, 20)
    return s


class End:
    """One end of one session, and its record."""

    def __init__(self, sock, side):
        self.sock = sock
        self.side = side
        self.loop = asyncio.get_running_loop()
        self.sent = self.got = 0
        self.record = {"side": side, "t0": time.monotonic(), "gaps": []}
        self.stopping = None
        self.finished = False           # no more comes from here

    # ---- bytes ----

    async def receive(self, most, watched=True):
        """Bytes, or none at the end; a silence is recorded if it was watched."""
        begin = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                data = await self.loop.sock_recv(self.sock, most)
        except TimeoutError:
            raise Wrong(f"silence: {self.got} bytes here") from None
        finally:
            now = time.monotonic()
            if watched and now - begin > GAP:
                self.record["gaps"].append([begin, now])
        # The error of a reset is told once, perhaps to who was writing; then
        # it looks like an end of file.
        if data == b"" and not self.finished and self.sock.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_INFO, 1) == TCP_CLOSE:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        return data

    async def send(self, data):
        try:
            async with asyncio.timeout(PATIENCE + 60):
                await self.loop.sock_sendall(self.sock, data)
        except TimeoutError:
            raise Wrong(f"nobody takes anything: {self.sent} sent") from None
        self.sent += len(data)

    async def line(self):
        text = b""
        while not text.endswith(b"\n"):
            part = await self.receive(1)
            if part == b"":
                raise Wrong("an end of file in the first line")
            text += part
        return text

    async def expect(self, at, count, pace, watched, until=None, withheld=0):
        """`count` bytes of the stream from `at`; stops after `until`.  The last
        ones are not sent if they are `withheld`."""
        left = count if until is None else until
        while left > 0:
            data = await self.receive(min(left, PIECE if not pace else 4096),
                                      watched and left > withheld)
            if data == b"":
                raise Wrong(f"an end of file {left} bytes early")
            start = (at + self.got) % len(BLOCK)
            if data != DOUBLE[start:start + len(data)]:
                raise Wrong(f"other bytes from {self.got} on")
            self.got += len(data)
            left -= len(data)
            watched = True
            if pace:
                await asyncio.sleep(len(data) / pace)

    async def expect_end(self):
        if await self.receive(1) != b"":
            raise Wrong(f"more than {self.got} bytes")

    async def produce(self, at, count, pace):
        while self.sent < count:
            n = min(PIECE if not pace else max(1, pace // 10),
                    count - self.sent)
            start = (at + self.sent) % len(BLOCK)
            await self.send(DOUBLE[start:start + n])
            if pace:
                await asyncio.sleep(n / pace)

    # ---- what a session does ----

    async def talk(self, s):
        """Requests and answers."""
        at = s["at"]
        for there, back, think in s["rounds"]:
            if self.side == "client":
                await self.think(think)
                await self.produce(at, self.sent + there, 0)
                await self.expect(at, back, 0, True)
            else:
                await self.expect(at, there, 0, False)
                await self.produce(at, self.sent + back, 0)
        if self.side == "client":
            self.finish()
            await self.expect_end()
        else:
            await self.expect_end()
            self.finish()

    def finish(self):
        self.finished = True
        self.sock.shutdown(socket.SHUT_WR)

    async def think(self, seconds):
        if self.stopping is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()

    async def stream(self, s):
        out, back = ("up", "down") if self.side == "client" else ("down", "up")
        last = s["kind"] == "halfclose" and self.side == "server"
        ends = s.get("by") == self.side

        async def write():
            # Who is going to reset keeps its last byte, so that the other end
            # cannot be through before.
            await self.produce(s["at"] + 1, max(0, s[out] - ends), s["pace"])
            if not ends:
                self.finish()

        async def read():
            await self.expect(s["at"] + 1, s[back], s["reading"],
                              s["kind"] != "halfclose",
                              s["after"] if ends else None,
                              int("by" in s))
            if not ends:
                await self.expect_end()

        if last:
            await read()
            await write()
        elif ends:
            writer = asyncio.create_task(write())
            try:
                await read()
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
            self.record["t1"] = time.monotonic()
        else:
            tasks = [asyncio.create_task(write()), asyncio.create_task(read())]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def session(self, s):
        await (self.talk(s) if "rounds" in s else self.stream(s))

    async def run(self, what):
        """The whole of it, to the record."""
        record = self.record
        try:
            await what(self)
            record["result"] = "whole"
        except Wrong as e:
            record["result"] = f"wrong: {e}"
        except OSError as e:
            record["result"] = "cut"
            record["error"] = errno.errorcode.get(e.errno, repr(e))
        finally:
            self.sock.close()
        record.setdefault("t1", time.monotonic())
        record.update(sent=self.sent, got=self.got)
        return record


# ---- servers ----

async def serve_one(sock, peer, write):
    end = End(sock, "server")
    end.record["via"] = peer

    async def answer(end):
        s = json.loads(await end.line())
        end.record["id"] = s["id"]
        if s["kind"] == "slow":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        await end.loop.sock_sendall(sock, peer.encode() + b"\n")
        await end.session(s)

    record = await end.run(answer)
    if "id" in record:
        write(record)


async def server(write, addresses):
    loop = asyncio.get_running_loop()

    async def accept(listener):
        open_now = set()
        while True:
            sock, peer = await loop.sock_accept(listener)
            sock.setblocking(False)
            task = asyncio.create_task(serve_one(sock, peer[0], write))
            open_now.add(task)
            task.add_done_callback(open_now.discard)

    listeners = []
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, PORT), family=family,
                                        backlog=256)
        listener.setblocking(False)
        listeners.append(asyncio.create_task(accept(listener)))
    print("ready", flush=True)
    await asyncio.gather(*listeners)


# ---- clients ----

async def ask(s, address, stopping):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    if s["kind"] == "slow":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    end = End(sock, "client")
    end.stopping = stopping
    end.record.update(s, kind=s["kind"])
    end.record.pop("rounds", None)

    async def go(end):
        async with asyncio.timeout(PATIENCE):
            await end.loop.sock_connect(sock, (address, PORT))
        await end.loop.sock_sendall(sock, json.dumps(s).encode() + b"\n")
        end.record["via"] = (await end.line()).decode().strip()
        await end.session(s)

    try:
        return await end.run(go)
    except TimeoutError:
        end.record.update(result="wrong: no connection", t1=time.monotonic(),
                          sent=0, got=0)
        return end.record


async def client(write, seed, at_a_time, addresses):
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stopping.set)
    begun = 0

    async def worker(number):
        nonlocal begun
        rng = random.Random(seed * 1000 + number)
        while not stopping.is_set():
            begun += 1
            record = await ask(new_session(rng, begun), rng.choice(addresses),
                               stopping)
            write(record)
            if record["result"] != "whole":     # not a flood of them
                await asyncio.sleep(0.3)
            await asyncio.sleep(rng.uniform(0, 0.3))

    await asyncio.gather(*(worker(i) for i in range(at_a_time)))


def main(side, path, *args):
    with open(path, "w", encoding="ascii") as out:
        def write(record):
            out.write(json.dumps(record) + "\n")
            out.flush()

        if side == "server":
            asyncio.run(server(write, args))
        else:
            asyncio.run(client(write, int(args[0]), int(args[1]), args[2:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
