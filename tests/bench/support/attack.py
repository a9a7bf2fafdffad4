"""What hostile clients do to an HTTP server, all at once, for so many seconds; a program of its own, so that it can have
a core of its own: attack.py PORT SECONDS IDLE. Prints what it did as JSON.

Every client comes from one of 200 addresses of loopback. Who is thrown out comes again after a second.
"""
import asyncio
import json
import resource
import sys
import time

ADDRESSES = 200
AGAIN_SECONDS = 1
SLOW, GREEDY, BAD = 100, 8, 8
DEAR = [b"/api/v1/services", b"/metrics", b"/api/v1/services?limit=900", b"/api/v1/status", b"/api/v1/decisions"]
NONSENSE = [
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000 + b"\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"POST /api/v1/maintenance HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n{",
    b"POST /api/v1/maintenance HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 500 + b"\r\n",
]


class Attack:
    def __init__(self, port, seconds):
        self.port = port
        self.end = time.monotonic() + seconds
        self.counts = {"connections": 0, "held": 0, "held_most": 0, "trickled": 0, "pipelined": 0, "nonsense": 0}
        self.next = 0

    def left(self):
        return self.end - time.monotonic()

    async def again_and_again(self, what):
        while self.left() > 0:
            writer = None
            try:
                self.next += 1
                source = f"127.9.{self.next % ADDRESSES}.1"
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
                self.counts["connections"] += 1
                await what(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass
            finally:
                if writer:
                    writer.close()
            await asyncio.sleep(min(AGAIN_SECONDS, max(self.left(), 0)))

    async def idle(self, reader, _):
        self.counts["held"] += 1
        self.counts["held_most"] = max(self.counts["held_most"], self.counts["held"])
        try:
            await asyncio.wait_for(reader.read(1), max(self.left(), 0))
        except TimeoutError:
            pass
        finally:
            self.counts["held"] -= 1

    async def slow(self, reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        while self.left() > 0:
            writer.write(b"x")
            await writer.drain()
            self.counts["trickled"] += 1
            try:
                await asyncio.wait_for(reader.read(1), 0.5)
                return
            except TimeoutError:
                pass

    async def greedy(self, reader, writer):
        """All that it may have, as fast as it can be had."""
        many = 20
        asked = b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in DEAR)
        while self.left() > 0:
            writer.write(asked * (many // len(DEAR)))
            for _ in range(many):
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                await reader.readexactly(length)
                self.counts["pipelined"] += 1

    async def bad(self, reader, writer):
        writer.write(NONSENSE[self.next % len(NONSENSE)])
        self.counts["nonsense"] += 1
        await asyncio.wait_for(reader.read(), max(self.left(), 0.1))

    async def run(self, idle):
        tasks = [self.again_and_again(what) for what, count in
                 ((self.greedy, GREEDY), (self.bad, BAD), (self.slow, SLOW), (self.idle, idle)) for _ in range(count)]
        await asyncio.gather(*tasks)


def main():
    port, seconds, idle = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_NOFILE, (idle + 1000, idle + 1000))
    attack = Attack(port, seconds)
    asyncio.run(attack.run(idle))
    print(json.dumps(attack.counts))


if __name__ == "__main__":
    main()
