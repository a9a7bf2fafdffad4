"""What clients of a virtual address do, and what becomes of it: requests one by one, in bulk, and over UDP."""
import collections
import http.client
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass

from .wait import eventually


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class DnsClient:
    """Asks for who.example.net TXT over UDP, always from the same port."""

    def __init__(self, namespace, address, source_port=0):
        self._socket = namespace.call(lambda: socket.socket(family_of(address), socket.SOCK_DGRAM))
        self._socket.bind(("::" if ":" in address else "0.0.0.0", source_port))
        self._socket.connect((address, 53))
        self._id = 0

    def ask(self, seconds=1.0):
        """The name of the server that answered; None when none did in time."""
        self._id = (self._id + 1) & 0xffff
        question = b"\x03who\x07example\x03net\x00\x00\x10\x00\x01"
        deadline = time.monotonic() + seconds
        try:
            self._socket.send(struct.pack(">HHHHHH", self._id, 0, 1, 0, 0, 0) + question)
            while True:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                answer = self._socket.recv(1500)
                if struct.unpack(">H", answer[:2])[0] == self._id:
                    # The first answer: name, type, class, TTL, length; then a string with its length.
                    text = answer[12 + len(question) + 12:]
                    return text[1:1 + text[0]].decode()
        except OSError:
            return None

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass
class Failure:
    began: float  # the connection, by the monotonic clock
    text: str


class Load:
    """Requests one after the other on connections that are new or kept, from several threads, until told to stop."""

    def __init__(self, bed, threads=4, keep_alive=False, address="203.0.113.10", port=80):
        self._bed = bed
        self._stop = threading.Event()
        self._keep = keep_alive
        self._place = (address, port)
        self._lock = threading.Lock()
        self.answers = collections.Counter()
        self.failures = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def wait(self, requests, seconds=30.0):
        """Until so many more were answered."""
        aim = sum(self.answers.values()) + requests
        eventually(lambda: sum(self.answers.values()) >= aim, lambda: f"{aim} answers: {self.answers}", seconds)

    def _run(self):
        connection = None
        began = 0.0
        while not self._stop.is_set():
            try:
                if connection is None:
                    began = time.monotonic()
                    connection = KeptConnection(self._bed, *self._place)
                name = connection.ask(self._keep)
                with self._lock:
                    self.answers[name] += 1
                if connection.ended or not self._keep:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failures.append(Failure(began, f"{type(error).__name__}: {error}"))
                if connection is not None:
                    connection.close()
                    connection = None
        if connection is not None:
            connection.close()


class KeptConnection:
    """HTTP/1.1 on one connection of the client."""

    def __init__(self, bed, address, port, seconds=5.0, source_port=0):
        self._connection = http.client.HTTPConnection(address, port, timeout=seconds)
        self._connection.sock = bed.connect(address, port, seconds, source_port=source_port)
        self.ended = False

    def ask(self, keep=True):
        self.send("/", keep)
        return self.receive()

    def send(self, target, keep=True):
        if self._connection.sock is None:
            raise ConnectionResetError("the connection is not open any more")
        self._connection.request("GET", target, headers={} if keep else {"Connection": "close"})

    def receive(self):
        response = self._connection.getresponse()
        body = response.read().decode().strip()
        self.ended = response.will_close
        if response.status != 200:
            raise http.client.HTTPException(f"status {response.status}")
        return body

    def close(self):
        self._connection.close()


class Wrk:
    """wrk in the client's namespace until it is told to stop; then what it counted."""

    def __init__(self, bed, url="http://203.0.113.10/", connections=16, keep_alive=True):
        headers = [] if keep_alive else ["-H", "Connection: close"]
        self._command = bed.client.command("wrk", "-t1", f"-c{connections}", "-d600s", "--timeout", "10s", *headers, url)
        self.requests = self.errors = self.refused = None
        self.output = ""

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGINT)
        self.output, _ = self._process.communicate(timeout=30)
        print(self.output)
        total = re.search(r"(\d+) requests in", self.output)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", self.output)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", self.output)
        self.requests = int(total.group(1)) if total else 0
        self.errors = sum(map(int, errors.groups())) if errors else 0
        self.refused = int(refused.group(1)) if refused else 0

    def assert_flawless(self, at_least=100):
        assert self.requests >= at_least, self.output
        assert self.errors == 0 and self.refused == 0, self.output


class Witness:
    """Counts new connections from the firewall to each server, as the firewall forwards them: checks do not count."""

    def __init__(self, firewall, hosts):
        self._firewall = firewall
        rules = "".join(f"ct state new ct direction original {family} daddr {address} counter name {host.name}\n"
                        for host in hosts for family, address in (("ip", host.address), ("ip6", host.address6)))
        counters = "".join(f"counter {host.name} {{ }}\n" for host in hosts)
        self._names = [host.name for host in hosts]
        firewall.nft(f"table inet witness {{\n{counters}chain c {{ type filter hook forward priority 300;\n{rules}}}\n}}")
        self._base = collections.Counter()

    def close(self):
        self._firewall.run("nft", "delete", "table", "inet", "witness")

    def _read(self):
        text = self._firewall.run("nft", "list", "counters", "table", "inet", "witness")
        found = re.findall(r"counter (\w+) \{\s+packets (\d+)", text)
        return collections.Counter({name: int(count) for name, count in found})

    def restart(self):
        self._base = self._read()

    def counts(self):
        """Since the restart, by server."""
        now = self._read()
        return {name: now[name] - self._base[name] for name in self._names}
