"""What `bench probes` compares, each pinned to one core, and what they probe, on the other."""
import http.client
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from .process import Contestant, wait_until
from .sentinel import Monitor

PROBER_CORE, TARGET_CORE = 0, 1
TARGET_PORT = 18080
EXPORTER_PORT = 19115
CONNECTIONS = 64  # to the exporter: as many probes as it may have under way
FIRST_TARGET = (127 << 24) + (16 << 16) + 1  # as in http_exchange.h
LAG = "sentinel_probe_schedule_lag_seconds"


def address_of(number):
    return socket.inet_ntoa(struct.pack("!I", FIRST_TARGET + number))


def pinned(core, *arguments):
    return ["taskset", "--cpu-list", str(core), *arguments]


def own_network():
    """A network namespace for this process and its children: no one else's ports, connections or settings."""
    os.unshare(os.CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    settings = {
        "net/core/somaxconn": "65535", "net/ipv4/tcp_max_syn_backlog": "65535", "net/ipv4/ip_local_port_range": "1024 65000",
        # Ten thousand connections a second leave as many in TIME_WAIT; few are kept, so that no minute differs
        # from another.
        "net/ipv4/tcp_max_tw_buckets": "4096",
    }
    for name, value in settings.items():
        try:
            Path("/proc/sys", name).write_text(value, encoding="ascii")
        except OSError as error:
            print(f"  {name} stays as it is: {error}", flush=True)


class Target(Contestant):
    """The server that all of them probe; it counts what it has answered."""

    def __init__(self, binary, folder):
        path = Path(folder) / "answers"
        path.unlink(missing_ok=True)
        super().__init__("target", pinned(TARGET_CORE, binary, TARGET_PORT, path), Path(folder) / "target.log")
        wait_until("the target answers", self.answering, 10)
        with open(path, "r+b") as file:
            self.counter = mmap.mmap(file.fileno(), 8)

    def answering(self):
        self.check()
        try:
            socket.create_connection(("127.0.0.1", TARGET_PORT), 1).close()
            return True
        except OSError:
            return False

    def answers(self):
        return struct.unpack("Q", self.counter[:8])[0]


class Counting(Contestant):
    """One of the C programs: SIGUSR1 begins the window, SIGTERM ends it and gives the figures."""

    def begin(self):
        self.process.send_signal(signal.SIGUSR1)

    def figures(self):
        self.check()
        self.stop()
        return json.loads(self.log.read_text(encoding="ascii").splitlines()[-1])


class Loop(Counting):
    def __init__(self, build, folder, targets, interval_ms):
        super().__init__("loop", pinned(PROBER_CORE, build / "tests/bench/bench-http-loop", targets, interval_ms,
                                        TARGET_PORT), Path(folder) / "loop.log")

    def wait_ready(self):
        self.check()

    def tick(self):
        pass


class Blackbox(Contestant):
    CONFIG = "modules: {http: {prober: http, timeout: 2s, http: {preferred_ip_protocol: ip4}}}\n"

    def __init__(self, build, folder, targets, interval_ms):
        config = Path(folder) / "blackbox.yml"
        config.write_text(self.CONFIG, encoding="ascii")
        self.build, self.folder, self.targets, self.interval_ms = build, Path(folder), targets, interval_ms
        self.scraper = None
        super().__init__("blackbox", pinned(PROBER_CORE, "prometheus-blackbox-exporter", f"--config.file={config}",
                                            f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}", "--log.level=error"),
                         self.folder / "blackbox.log")

    def wait_ready(self):
        def ready():
            self.check()
            try:
                socket.create_connection(("127.0.0.1", EXPORTER_PORT), 1).close()
                return True
            except OSError:
                return False
        wait_until("the exporter listens", ready, 30)
        self.scraper = Counting("scraper", pinned(TARGET_CORE, self.build / "tests/bench/bench-http-scraper", self.targets,
                                                  self.interval_ms, TARGET_PORT, EXPORTER_PORT, CONNECTIONS),
                                self.folder / "scraper.log")

    def begin(self):
        self.scraper.begin()

    def tick(self):
        self.scraper.check()

    def figures(self):
        self.check()
        return self.scraper.figures()

    def stop(self):
        if self.scraper:
            self.scraper.stop()
        super().stop()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("sentinel", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class SentinelProbes(Monitor):
    """`sentinel monitor` without an Engine, with a file of targets; scraped as often as its own stack does."""

    def __init__(self, binary, folder, targets, interval_ms):
        data = Path(tempfile.mkdtemp(prefix="sentinel-probes-", dir=folder))
        self.targets = targets
        self.before = None
        config = data / "sentinel.yaml"
        with open(config, "w", encoding="ascii") as file:
            file.write("targets:\n")
            for number in range(targets):
                file.write(f"  target-{number}:\n"
                           f"    probe.http: http://{address_of(number)}:{TARGET_PORT}/health\n"
                           f"    probe.http.interval: {interval_ms}ms\n")
        super().__init__(pinned(PROBER_CORE, binary, "monitor", "--config", config, "--engine", "none", "--listen",
                                "none", "--data-dir", data, "--run-dir", data / "run",
                                "--log-format", "json", "--log-level", "warning"), data, Path(folder) / "sentinel.log")

    def connection(self):
        return UnixConnection(self.data / "run/monitor.sock")

    def lags(self):
        return self.buckets(LAG)

    def begin(self):
        self.before = self.lags()

    def tick(self):
        self.get("/metrics")

    def figures(self):
        self.check()
        window = [(bound, after - before) for (bound, after), (_, before) in zip(self.lags(), self.before)]
        return {"lag_p50_ms": quantile_ms(window, 0.5), "lag_p99_ms": quantile_ms(window, 0.99)}


def quantile_ms(buckets, q):
    """As Prometheus does it: linear within the bucket; the upper bound of the last one that has any."""
    total = buckets[-1][1]
    below, low = 0, 0.0
    for bound, count in buckets:
        if total and count >= q * total:
            if bound == float("inf") or count == below:
                return low * 1e3
            return (low + (bound - low) * (q * total - below) / (count - below)) * 1e3
        below, low = count, bound
    return 0.0
