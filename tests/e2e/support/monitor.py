"""The monitor under test, beside a real Engine."""
import os
import tempfile

from .daemon import BUILD, DEMO_SERVICE, SENTINEL, Daemon  # noqa: F401 (tests take them from here)
from .engine import STATE
from .wait import eventually


class Watcher(Daemon):
    """What a monitor says of its services."""

    def services(self):
        return {row["name"]: row for row in self.get("/api/v1/services").json["services"]}

    def service(self, name):
        answer = self.get(f"/api/v1/services/{name}")
        assert answer.status == 200, answer.text
        return answer.json

    def state(self, name):
        row = self.services().get(name)
        return None if row is None else row["state"]

    def wait_state(self, name, *wanted, seconds=20):
        eventually(lambda: self.state(name) in wanted,
                   lambda: f"{name} is {' or '.join(wanted)}; it is {self.state(name)}; {self.tail()}", seconds)


class Watch(Watcher):
    """A monitor without an Engine, in a namespace of the tests' own: targets of the file alone."""

    def __init__(self, folder, config, namespace, **options):
        super().__init__("monitor", folder, config, namespace=namespace, **options)

    def arguments(self):
        return [*super().arguments(), "--engine", "none"]


class Monitor(Watcher):
    """A process of this machine, in the Engine's network namespace."""

    def __init__(self, engine, config=None, endpoint=None, user=0, groups=None, inside=False, **options):
        """`user`, `groups`: who it runs as. `inside`: in a container on that Engine, as the stack has it, so that
        it shares a network with what it probes. `options`: of Daemon."""
        # Where the Engine, too, finds it.
        super().__init__("monitor", tempfile.mkdtemp(prefix=".e2e-", dir=STATE), config, **options)
        self.engine = engine
        self.inside = inside
        self.endpoint = endpoint or f"unix://{engine.socket}"
        # The namespace outlives the Engine's process, but only this way can it be found without it.
        self.network = os.open(f"/proc/{engine.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.drop = []
        if user:
            self.drop = ["setpriv", f"--reuid={user}", f"--regid={user}",
                         "--groups=" + ",".join(map(str, groups)) if groups else "--clear-groups"]
            for place in (self.folder, self.run_dir, self.data_dir, self.config):
                os.chown(place, user, user)

    def arguments(self):
        return [*super().arguments(), "--engine", self.endpoint]

    def command(self):
        if self.inside:
            mounts = [f"--volume={place}:{place}" for place in (self.engine.socket, self.folder)]
            before = ["docker", "-H", f"unix://{self.engine.socket}", "run", "--rm", f"--name={self.folder.name[1:]}",
                      "--user=0:0", "--entrypoint=/usr/bin/sentinel", *mounts, self.engine.image]
        else:
            before = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.network}", *self.drop, str(SENTINEL)]
        return [*before, *self.arguments()]

    def kill(self):
        if self.inside:
            self.engine.request("DELETE", f"/containers/{self.folder.name[1:]}", force=1)
        super().kill()

    def dispose(self):
        super().dispose()
        os.close(self.network)
