"""A daemon of the binary as a process of its own, and what it says: log, metrics, HTTP on its Unix socket."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from .http import UnixConnection, exchange
from .wait import Growing, eventually

BUILD = Path(os.environ.get("SENTINEL_BUILD", "/src/build/release"))
SENTINEL = BUILD / "monitor/app/sentinel"
DEMO_SERVICE = BUILD / "demo-service/demo-service"

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Metrics:
    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = SAMPLE.match(line)
            assert match, f"not a sample: {line!r}"
            labels = {key: re.sub(r'\\[\\"n]', lambda m: ESCAPED[m.group(0)], value)
                      for key, value in LABEL.findall(match.group(2) or "")}
            self.samples.append((match.group(1), labels, float(match.group(3))))

    def find(self, name, **labels):
        return [(l, v) for n, l, v in self.samples if n == name and all(l.get(k) == x for k, x in labels.items())]

    def sum(self, name, **labels):
        return sum(value for _, value in self.find(name, **labels))

    def one(self, name, **labels):
        found = self.find(name, **labels)
        assert len(found) == 1, f"{name}{labels}: {found}"
        return found[0][1]

    def state(self, service):
        states = [l["state"] for l, v in self.find("sentinel_service_state", service=service) if v == 1]
        assert len(states) == 1, f"{service}: {states}"
        return states[0]


class Daemon:
    """`name`: of the subcommand and of its socket. `folder` is made by the caller and removed with this."""

    def __init__(self, name, folder, config=None, level="debug", environment=None, data_dir=None, text=False,
                 namespace=None, listen="none"):
        """`text`: text lines, which are found in `errors`. `namespace`: a Namespace it runs in. `listen`: over TCP, too."""
        self.name = name
        self.namespace = namespace
        self.listen = listen
        self.folder = Path(folder)
        self.run_dir = self.folder / "run"
        self.data_dir = Path(data_dir) if data_dir else self.folder / "data"
        self.run_dir.mkdir()
        if not data_dir:
            self.data_dir.mkdir()
        self.config = self.folder / "sentinel.yaml"
        self.config.write_text(config or "{}\n", encoding="utf-8")
        self.level = level
        self.environment = environment or {}
        self.format = "text" if text else "json"
        self.lines = Growing()
        self.errors = Growing()
        self.process = None
        self._readers = []

    @property
    def socket(self):
        return str(self.run_dir / f"{self.name}.sock")

    def arguments(self):
        """After the binary's own path."""
        return [self.name, "--config", str(self.config), "--data-dir", str(self.data_dir), "--run-dir", str(self.run_dir),
                "--listen", self.listen, "--log-level", self.level, "--log-format", self.format]

    def command(self):
        command = [str(SENTINEL), *self.arguments()]
        return self.namespace.command(*command) if self.namespace else command

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTINEL_")}
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**environment, **self.environment})
        take = self._log_line if self.format == "json" else self._error_line
        self._readers = [threading.Thread(target=self._read, args=(stream, sink), daemon=True)
                         for stream, sink in ((self.process.stdout, take), (self.process.stderr, self._error_line))]
        for reader in self._readers:
            reader.start()
        return self

    @staticmethod
    def _read(stream, sink):
        for line in stream:
            sink(line)

    def _log_line(self, line):
        try:
            self.lines.append(json.loads(line))
        except ValueError:
            self.errors.append("not a JSON line: " + line.decode(errors="replace"))

    def _error_line(self, line):
        self.errors.append(line.decode(errors="replace").rstrip())

    def wait_ready(self, seconds=20):
        def ready():
            assert self.process.poll() is None, f"{self.name} ended: {self.tail()}"
            return self.ready()

        eventually(ready, lambda: f"{self.name} is ready; {self.tail()}", seconds)
        return self

    def ready(self):
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def listening(self):
        try:
            return self.get("/livez").status == 200
        except OSError:
            return False

    def stop(self, seconds=5):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        self.process.kill()
        self.wait(5)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def wait(self, seconds):
        status = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        return status

    def dispose(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what it says ---------------------------------------------------------------------------------

    def get(self, target, headers=None):
        return exchange(UnixConnection(self.socket, 10), "GET", target, None, headers)

    def post(self, target, body):
        return exchange(UnixConnection(self.socket, 10), "POST", target, body)

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.status == 200, answer.text
        return Metrics(answer.text)

    def cli(self, *arguments, seconds=20):
        """Another invocation of the binary, pointed at this monitor."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTINEL_")}
        environment["SENTINEL_RUN_DIR"] = str(self.run_dir)
        return subprocess.run([str(SENTINEL), *arguments], capture_output=True, text=True, timeout=seconds,
                              env=environment, check=False)

    def log(self, event=None, service=None, **fields):
        """Log lines by their fields; `service` is matched by its last part too."""
        if event is not None:
            fields["event"] = event if event.startswith("sentinel") else f"sentinel.{event}"
        return [line for line in self.lines.snapshot() if matches(line, service, fields)]

    def wait_log(self, event=None, service=None, seconds=20.0, count=1, **fields):
        if event is not None:
            fields["event"] = event if event.startswith("sentinel") else f"sentinel.{event}"

        def found(lines):
            matching = [line for line in lines if matches(line, service, fields)]
            return matching[count - 1] if len(matching) >= count else None

        try:
            return self.lines.wait(found, f"log line {fields} of {service} (number {count})", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.tail()}") from None

    def sentences(self, service=None, level=None):
        return [line["msg"] for line in self.lines.snapshot()
                if matches(line, service, {}) and (level is None or line["level"] == level)]

    def tail(self, count=15):
        lines = [line.get("msg", str(line)) for line in self.lines.snapshot()[-count:]]
        return "its log ends: " + " | ".join(lines + self.errors.snapshot()[-count:])

    def dump(self):
        for line in self.lines.snapshot():
            if line.get("event") != "sentinel.probe":
                print(line.get("time"), line.get("level"), line.get("event", ""), line.get("msg"))
        for line in self.errors.snapshot():
            print("stderr:", line)


def matches(line, service, fields):
    if service is not None:
        own = line.get("service", "")
        if own != service and not own.startswith(service + "/") and f"/{service}/" not in own:
            return False
    return all(line.get(key) == value for key, value in fields.items())
