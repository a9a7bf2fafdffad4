"""An Engine of the bench's own, its API, and an independent recorder of its events."""
import http.client
import io
import json
import socket
import subprocess
import tarfile
import threading
import time
import urllib.parse
from pathlib import Path

HOST_ENGINE = Path(__file__).resolve().parents[2] / "support" / "host-engine"
IMAGE = "sentinel-bench-target"
LABEL = "sentinel.bench"  # on every container of ours
API = "/v1.41"
START_SECONDS = 120


class EngineError(Exception):
    pass


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, seconds):
        super().__init__("engine", timeout=seconds)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, name, version):
        self.name, self.version = name, version
        self.host("--version", version, "start")
        exports = self.host("env")
        self.socket = next(line.split("=", 1)[1] for line in exports.splitlines() if "SENTINEL_DOCKER_SOCKET=" in line)
        self.pid = int(self.host("pid"))

    def host(self, *arguments):
        done = subprocess.run([HOST_ENGINE, "--name", self.name, *arguments], capture_output=True, text=True,
                              timeout=START_SECONDS, check=False)
        if done.returncode != 0:
            raise EngineError(f"docker/engine {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def call(self, method, target, body=None, seconds=60, good=(200, 201, 204, 304)):
        connection = UnixConnection(self.socket, seconds)
        try:
            is_json = isinstance(body, dict)
            headers = {"Content-Type": "application/json" if is_json else "application/x-tar"}
            connection.request(method, API + target, json.dumps(body) if is_json else body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status not in good:
            raise EngineError(f"{method} {target}: {answer.status} {text[:300]!r}")
        return text

    def versions(self):
        return json.loads(self.call("GET", "/version"))

    def make_image(self, program):
        """An image that holds one static program; no base, so nothing has to be pulled."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            member = tarfile.TarInfo("bench-target")
            member.mode, member.size = 0o755, Path(program).stat().st_size
            with open(program, "rb") as file:
                tar.addfile(member, file)
        query = urllib.parse.urlencode({"fromSrc": "-", "repo": IMAGE, "tag": "1",
                                        "changes": 'CMD ["/bench-target","run"]'})
        self.call("POST", f"/images/create?{query}", packed.getvalue())

    def create(self, name, labels, interval_seconds, ignore_term=False):
        second = 10**9
        body = {"Image": f"{IMAGE}:1", "Labels": {LABEL: "1", **labels}, "StopTimeout": 10,
                "Env": ["IGNORE_TERM=1"] if ignore_term else [],
                "Healthcheck": {"Test": ["CMD", "/bench-target", "check"], "Interval": int(interval_seconds * second),
                                "Timeout": 20 * second, "Retries": 1},
                "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}}}
        return json.loads(self.call("POST", f"/containers/create?name={name}", body))["Id"]

    def start(self, container):
        self.call("POST", f"/containers/{container}/start")

    def halt(self, container):
        self.call("POST", f"/containers/{container}/stop?t=0")

    def inspect(self, container):
        return json.loads(self.call("GET", f"/containers/{container}/json"))

    def ours(self):
        filters = urllib.parse.quote(json.dumps({"label": [LABEL]}))
        return [c["Id"] for c in json.loads(self.call("GET", f"/containers/json?all=1&filters={filters}"))]

    def remove(self, containers):
        for container in containers:
            self.call("DELETE", f"/containers/{container}?force=1&v=1", good=(200, 204, 404, 409))

    def stop(self):
        self.remove(self.ours())
        self.host("stop")

    def processes(self):
        """dockerd and its containerd; not the shims and not the checks they run."""
        found = [self.pid]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
            if name == "containerd" and int(rest[1]) == self.pid:
                found.append(int(stat.parent.name))
        return found


class Recorder(threading.Thread):
    """All that matters in the Engine's event stream, with the Engine's own times."""

    WANTED = {"type": ["container"], "event": ["health_status", "kill", "die", "start"]}

    def __init__(self, engine):
        super().__init__(daemon=True, name="recorder")
        self.events = {}  # container -> [(time in ns, action)]
        self.changed = threading.Condition()
        self.broken = None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(engine.socket)
        query = urllib.parse.urlencode({"filters": json.dumps(self.WANTED)})
        self.socket.sendall(f"GET {API}/events?{query} HTTP/1.0\r\n\r\n".encode())
        self.lines = self.socket.makefile("rb")
        while self.lines.readline().strip():
            pass
        self.start()

    def run(self):
        try:
            for line in self.lines:
                event = json.loads(line)
                with self.changed:
                    self.events.setdefault(event["Actor"]["ID"], []).append((event["timeNano"], event["Action"]))
                    self.changed.notify_all()
            self.broken = "the Engine's event stream ended"
        except (OSError, ValueError) as error:
            self.broken = str(error)
        with self.changed:
            self.changed.notify_all()

    def mark(self, container):
        with self.changed:
            return len(self.events.get(container, []))

    def wait(self, container, mark, actions, seconds):
        """Times (ns) of these actions in this order, from `mark` on; each the first after the one before."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                times, at = [], mark
                events = self.events.get(container, [])
                for action in actions:
                    while at < len(events) and events[at][1] != action:
                        at += 1
                    if at == len(events):
                        break
                    times.append(events[at][0])
                    at += 1
                if len(times) == len(actions):
                    return times
                left = deadline - time.monotonic()
                if self.broken or left <= 0:
                    seen = [action for _, action in events[mark:] if not action.startswith("exec")]
                    raise EngineError(self.broken or f"{container[:12]}: no {' -> '.join(actions)} in {seconds} s, "
                                                     f"only {seen}")
                self.changed.wait(left)
