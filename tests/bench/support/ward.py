"""Services that fall ill on demand, and a receiver of alerts, in one process, so that one clock times both."""
import asyncio
import threading
import time

LIMIT = 1 << 20


class Ward:
    """HTTP on two ports of loopback: GET /NAME answers 200, or 503 to those that are ill; POST is an alert."""

    def __init__(self):
        self.ill = set()
        self.refused = {}  # by name: when the first failing answer was sent
        self.alerts = []  # (when it was taken, bytes)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _run(self):
        asyncio.set_event_loop(self._loop)

        async def begin():
            patients = await asyncio.start_server(self._patient, "127.0.0.1", 0, backlog=65535, limit=LIMIT)
            hook = await asyncio.start_server(self._hook, "127.0.0.1", 0, backlog=1024, limit=LIMIT)
            self.patients_port, self.hook_port = (one.sockets[0].getsockname()[1] for one in (patients, hook))
            self._ready.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()

    async def _patient(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            name = head.split(b" ", 2)[1].decode().strip("/")
            ill = name in self.ill
            writer.write(b"HTTP/1.1 503 Ill\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" if ill else
                         b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            if ill:
                self.refused.setdefault(name, time.monotonic())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _hook(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                body = await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                self.alerts.append((time.monotonic(), body))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
