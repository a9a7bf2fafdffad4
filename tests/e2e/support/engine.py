"""Engines made for the tests, and the containers on them; spoken to directly, without the docker CLI."""
import fcntl
import json
import os
import signal
import subprocess
import urllib.parse
from pathlib import Path

from .http import NamespaceConnection, UnixConnection, exchange
from .wait import eventually

ROOT = Path(__file__).resolve().parents[3]
HOST_ENGINE = ROOT / "tests/support/host-engine"
STATE = Path("/run/sentinel-engine")
API = {"20.10": "1.41", "26.1": "1.45"}
SECOND = 1_000_000_000


class EngineError(Exception):
    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


class Engine:
    """One Engine of our own. Only one test run uses it at a time, guarded by a lock file."""

    def __init__(self, name, version, live_restore=False):
        self.name = name
        self.version = version
        self.live_restore = live_restore
        self.socket = f"{STATE}/{name}/docker.sock"
        self.image = None
        self.crashed = False
        self._lock = None
        self._pid = None

    # --- the daemon -----------------------------------------------------------------------------------

    def claim(self):
        """False when another test run has this name."""
        self._lock = open(STATE / f".e2e-{self.name}.lock", "w", encoding="ascii")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            self._lock.close()
            return False

    def forget(self):
        """Removes it and its lock; only for a name that no other run would choose."""
        self.stop(purge=True)
        os.unlink(self._lock.name)
        self._lock.close()

    def host(self, *arguments):
        result = subprocess.run([str(HOST_ENGINE), "--name", self.name, *arguments], capture_output=True,
                                text=True, timeout=300, check=False)
        assert result.returncode == 0, f"docker/engine {' '.join(arguments)}: {result.stderr}"
        return result.stdout.strip()

    def start(self, version=None):
        options = ["--live-restore"] if self.live_restore else []
        self.version = version or self.version
        self.host("--version", self.version, *options, "start")
        self._pid = None

    def stop(self, purge=False):
        self.host("stop", *(["--purge"] if purge else []))
        self._pid = None

    def kill(self):
        """SIGKILL to dockerd, as a crash would; returns once it is gone."""
        self.host("kill")
        self.crashed = True
        self._pid = None

    def tidy(self):
        """After a crash dockerd can forget a container's network, which then answers for the address of a later
        one. Ours goes with the Engine's namespace."""
        self.clear()
        if self.crashed:
            self.stop()
            self.start()
            self.crashed = False

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    @property
    def pid(self):
        if self._pid is None:
            self._pid = int(self.host("pid"))
        return self._pid

    def variables(self):
        lines = self.host("env").splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    # --- its API --------------------------------------------------------------------------------------

    def request(self, method, path, body=None, seconds=60.0, **query):
        encoded = {k: json.dumps(v) if isinstance(v, (dict, list, bool)) else v for k, v in query.items()}
        target = f"/v{API[self.version]}{path}"
        if encoded:
            target += "?" + urllib.parse.urlencode(encoded)
        headers = {"Content-Type": "application/x-tar"} if hasattr(body, "read") else None
        return exchange(UnixConnection(self.socket, seconds), method, target, body, headers)

    def call(self, method, path, body=None, seconds=60.0, **query):
        answer = self.request(method, path, body, seconds, **query)
        if answer.status >= 300:
            raise EngineError(answer.status, answer.text.strip())
        return answer.json if answer.body[:1] in (b"{", b"[") else None

    def import_image(self, archive, name):
        """Imports a root file system once, and forgets the images of earlier builds."""
        repository, tag = name.split(":")
        self.image = name
        present = [t for image in self.call("GET", "/images/json") for t in image["RepoTags"] or []]
        for old in present:
            if old.startswith(repository + ":") and old != name:
                self.request("DELETE", f"/images/{old}", force=1)
        if name not in present:
            with open(archive, "rb") as tar:
                answer = self.request("POST", "/images/create", tar, 120, fromSrc="-", repo=repository, tag=tag,
                                      changes='CMD ["/usr/bin/demo-service"]')
            assert answer.status == 200 and "error" not in answer.text, answer.text

    def containers(self):
        return [row["Id"] for row in self.call("GET", "/containers/json", all=1)]

    def clear(self):
        for container in self.containers():
            self.request("DELETE", f"/containers/{container}", force=1, v=1)

    def create(self, name, command, labels=None, health=None, environment=None, host=None, stop_timeout=2, **config):
        """Creates a container of the test image; `health` is a dictionary in seconds, None: no check."""
        body = {
            "Image": self.image, "Entrypoint": command, "Labels": labels or {},
            "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
            "StopTimeout": stop_timeout, "HostConfig": {"NetworkMode": "bridge", **(host or {})}, **config,
        }
        if health is not None:
            body["Healthcheck"] = {
                "Test": health.get("test", ["CMD", "/usr/bin/demo-service", "healthcheck"]),
                "Interval": int(health.get("interval", 1) * SECOND), "Timeout": int(health.get("timeout", 1) * SECOND),
                "Retries": health.get("retries", 1), "StartPeriod": int(health.get("start_period", 0) * SECOND),
            }
        container = self.call("POST", "/containers/create", body, name=name)["Id"]
        return Container(self, container, name)


class Container:
    def __init__(self, engine, container, name):
        self.engine = engine
        self.id = container
        self.name = name

    def __repr__(self):
        return f"<{self.name} {self.id[:12]}>"

    def call(self, method, verb, seconds=60.0, **query):
        return self.engine.call(method, f"/containers/{self.id}{verb}", None, seconds, **query)

    def start(self):
        self.call("POST", "/start")
        return self

    def stop(self, seconds=2):
        self.call("POST", "/stop", t=seconds)

    def kill(self):
        self.call("POST", "/kill")

    def pause(self):
        self.call("POST", "/pause")

    def unpause(self):
        self.call("POST", "/unpause")

    def rename(self, name):
        self.call("POST", "/rename", name=name)
        self.name = name

    def remove(self):
        self.call("DELETE", "", force=1, v=1)

    def inspect(self):
        return self.call("GET", "/json")

    @property
    def state(self):
        return self.inspect()["State"]

    @property
    def started_at(self):
        return self.state["StartedAt"]

    @property
    def running(self):
        return self.state["Status"] == "running"

    @property
    def health(self):
        return self.state.get("Health", {}).get("Status", "none")

    @property
    def address(self):
        networks = self.inspect()["NetworkSettings"]["Networks"]
        return next(iter(networks.values()))["IPAddress"]

    def ask(self, method, target, seconds=5.0):
        """The service inside, through the Engine's network namespace."""
        return exchange(NamespaceConnection(self.engine.pid, (self.address, 8080), seconds), method, target)

    def simulate(self, what):
        said = []

        def accepted():
            try:
                answer = self.ask("POST", f"/simulate/{what}")
                said[:] = [f"{answer.status} {answer.text}"]
                return answer.status < 300
            except OSError as error:
                said[:] = [repr(error)]
                return False

        eventually(accepted, lambda: f"{self.name} at {self.address} accepts /simulate/{what}: {said}", 20)

    def wait_health(self, wanted, seconds=20):
        eventually(lambda: self.health == wanted, lambda: f"{self.name} is {wanted}; it is {self.health}", seconds)
        return self
